"""mbref's side of DMRAN. Histories are padded on the right. d width, r hops."""
from functools import partial

import autograd.numpy as np

from mbref.check.components.reading import component, config_of
from mbref.data.targets import Batch, History
from mbref.nn.layers import ignore
from mbref.variants import dmran

read_config = partial(config_of, dmran.Config)  # of a case's inputs


def batch_of(inputs):
    """Items alone, or with categories where the config has some."""
    item, columns = inputs["item"], [np.arange(inputs["items"] + 1, like=inputs["item"])]
    columns += [inputs["category"]] if inputs.get("categories") else []
    history, features = History(item, (item > 0).astype(int), inputs["gap"]), np.stack(columns, 1)
    return Batch((history,), (features,), 0, inputs.get("candidate"), inputs.get("label"))


item_attention = component("A")(dmran.item_attention)
redundancy = component("penalty")(dmran.redundancy)
alignment = component("beta")(dmran.feature_weights)
feature_attention = component("M_hat")(
    lambda params, M, allowed, inputs, tap: dmran.feature_attention(
        params, M, allowed, read_config(inputs, items=1), tap))
vanilla = component("h")(lambda params, M, i_c, real, inputs: dmran.vanilla(
    params.get("van"), M, i_c, real, read_config(inputs, items=1)))
fusion = component("h_c")(dmran.fusion)
score = component("scores")(lambda params, inputs, candidate: dmran.score(
    params, batch_of(inputs), candidate, read_config(inputs)))


@component("H")
def history_code(params, inputs, item):
    """H = [V[item] ; T[bucket]] W_0 + b_0.  item, gap [B, T] -> [B, T, d].  Eq. 1, 2."""
    batch, config = batch_of(inputs), read_config(inputs)
    H = dmran.history_code(params, batch.histories[0], batch.features[0], config)
    return H * (item > 0)[..., None]


@component("loss")
def model(params, inputs, tap):
    """The loss, and what the model hands out on the way.  -> [].  Eq. 20-22."""
    batch, config = batch_of(inputs), read_config(inputs)
    if config.variant != "feature" and tap is not ignore:
        states = dmran.forward(params, batch, config, tap)
        dmran.logits(params, batch, states, batch.candidate, config, tap)
    return dmran.loss(params, batch, config)
