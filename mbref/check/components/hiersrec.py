"""mbref's side of HierSRec. Sessions are padded on the right. C categories and class 0, N items."""
from functools import partial

import numpy as np

from mbref.candidates import choose
from mbref.check.components.reading import component, config_of, where_real
from mbref.data.session_batches import Batch
from mbref.nn import masks
from mbref.nn.layers import ignore
from mbref.variants import hiersrec

read_config = partial(config_of, hiersrec.Config)  # of a case's inputs


def batch_of(inputs):
    """Sessions with what is known of the items."""
    category, follow = inputs["category"], inputs.get("next")
    texts = inputs.get("texts", np.zeros((len(category), 0)))
    known = inputs.get("known", np.ones(len(category) - 1, bool))
    at = None if follow is None else np.flatnonzero(follow)
    return Batch(inputs["item"], category, texts, follow, inputs.get("oracle"), known, at)


def add_dtype(params):
    """The parameters, and E_I where item_features looks for the dtype of them all."""
    return {"in": {"w": params.get("E_I")}, **params}


item_features = component("features")(lambda params, inputs, item: hiersrec.item_features(
    add_dtype(params), batch_of(inputs), item, read_config(inputs)))
category_logp = component("logp")(hiersrec.category_logp)
projection = component("g")(lambda params, inputs, logp, oracle: hiersrec.projection(
    params, logp, read_config(inputs, items=1, categories=1), oracle))
item_logits = component("logits")(lambda params, inputs, q: hiersrec.item_logits(
    add_dtype(params), batch_of(inputs), q, read_config(inputs)))
score = component("scores")(lambda params, inputs, candidate: hiersrec.score(
    params, batch_of(inputs), candidate, read_config(inputs)))
candidates_topk = component("chosen")(lambda logp, k: choose.topk(logp, k))
candidates_mass = component("chosen")(choose.mass)
candidates_budget = component("chosen")(lambda logp, rho, category: choose.budget(
    logp, rho, choose.index_of(category, logp.shape[1])))
candidate_items = component("allowed")(lambda chosen, category: choose.items_of(
    chosen, choose.index_of(category, chosen.shape[1])))


@component("y")
def encoder_block(params, h, real, heads, tap):
    """A causal pre-norm transformer block.  h [B, T, D] -> [B, T, D].  Step (1)."""
    allowed, shown = masks.causal(real.shape[1], real) & real[:, None], where_real(tap, real)
    y = hiersrec.encoder_block(params, h, allowed, heads, lambda a: a, shown)
    return y * real[..., None]


@component("s")
def encode(params, inputs, item, tap):
    """s after every click, 0 at padding.  item [B, T] -> [B, T, D].  Step (1)."""
    real, config = item > 0, read_config(inputs)
    s = hiersrec.forward(params, batch_of(inputs), config, where_real(tap, real))
    return s * real[..., None]


@component()
def joined(params, inputs, s, oracle):
    """q = [s ; g] and log p_C.  s [R, D] -> [R, D + d_p], [R, C+1].  Steps (2)-(4)."""
    q, logp = hiersrec.join(params, s, read_config(inputs), oracle)
    return {"q": q} | ({} if logp is None else {"logp": logp})


@component("loss")
def model(params, inputs, tap):
    """The loss, and the states where there are clicks.  -> [].  Step (5)."""
    config, batch = read_config(inputs), batch_of(inputs)
    if tap is not ignore:
        hiersrec.forward(params, batch, config, where_real(tap, batch.item > 0))
    return hiersrec.loss(params, batch, config)
