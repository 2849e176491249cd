"""mbref's side of HierSRec. Sessions are padded on the right. C categories and class 0, N items."""
import numpy as np

from mbref.candidates import choose
from mbref.check.components.reading import config_of, take, where_real
from mbref.data.session_batches import Batch
from mbref.nn import masks
from mbref.variants import hiersrec


def batch_of(inputs):
    """Sessions with what is known of the items."""
    category, follow = inputs["category"], inputs.get("next")
    texts = inputs.get("texts", np.zeros((len(category), 0)))
    known = inputs.get("known", np.ones(len(category) - 1, bool))
    at = None if follow is None else np.flatnonzero(follow)
    return Batch(inputs["item"], category, texts, follow, inputs.get("oracle"), known, at)


def typed(params):
    """The parameters, and E_I where item_features looks for the dtype of them all."""
    return {"in": {"w": params.get("E_I")}, **params}


def item_features(params, inputs, tap):
    """[E_I[item] ; E_C[its category] ; its text], as far as `inputs` names them; 0 at padding.

    item [B, T]; category [N+1], 0 = unknown, a class with its own embedding; texts [N+1, M];
    params: E_I, E_C -> features [B, T, d_in].
    """
    batch, config = batch_of(inputs), config_of(hiersrec.Config, inputs)
    return {"features": hiersrec.item_features(typed(params), batch, inputs["item"], config)}


def encoder_block(params, inputs, tap):
    """Pre-norm transformer block, causal: h + attention(ln1(h)) o, then + f2(relu(f1(ln2(.)))).

    h [B, T, D], real [B, T] bool; heads; params: q, k, v, o [D, D] without biases, f1, f2 (w, b),
    ln1, ln2, eps 1e-8 -> y [B, T, D], 0 at padding. Tap: weights [B, heads, T, T], NaN for queries
    that are padding.
    """
    h, real, heads = take(inputs, "h real heads")
    allowed, shown = masks.causal(real.shape[1], real) & real[:, None], where_real(tap, real)
    y = hiersrec.encoder_block(params, h, allowed, heads, lambda a: a, shown)
    return {"y": y * real[..., None]}


def encode(params, inputs, tap):
    """s: the session encoding after every click.  -> s [B, T, D], 0 at padding.

    item [B, T], category, texts; config and params as hiersrec. pool "last": the last state;
    "mean": the mean of the states so far.
    """
    real, config = inputs["item"] > 0, config_of(hiersrec.Config, inputs)
    s = hiersrec.forward(params, batch_of(inputs), config, where_real(tap, real))
    return {"s": s * real[..., None]}


def category_logp(params, inputs, tap):
    """log softmax(s W + b) over the classes 0..C.  s [R, D] -> logp [R, C+1].

    params: category (w [D, C+1], b).
    """
    return {"logp": hiersrec.category_logp(params, inputs["s"])}


def projection(params, inputs, tap):
    """g: what the item head learns of the category.  logp [R, C+1], oracle [R] -> g [R, d_p].

    hier "soft": exp(logp) W_p; "stop": the same, but no gradient to logp; "tied": exp(logp) E_C;
    "logits": layer_norm(logp) W_p with ln_logits (gamma, beta), eps 1e-8; "oracle": W_p[oracle].
    """
    config = config_of(hiersrec.Config, inputs, items=1, categories=1)
    return {"g": hiersrec.projection(params, inputs["logp"], config, inputs["oracle"])}


def joined(params, inputs, tap):
    """q = [s ; g], session and category vector side by side, and log p of the categories.

    s [R, D], oracle [R] -> q [R, D + d_p], logp [R, C+1]. g as in hiersrec.projection, by hier;
    "none": q is s. tasks "item": q is s, and there is no logp. Params: category (w, b) and those of
    hiersrec.projection.
    """
    config = config_of(hiersrec.Config, inputs)
    q, logp = hiersrec.join(params, inputs["s"], config, inputs["oracle"])
    return {"q": q} | ({} if logp is None else {"logp": logp})


def item_logits(params, inputs, tap):
    """Logits of all items 1..N.  q [R, D'] -> logits [R, N].

    item_out "fc": q w + b of params item. "tied": (q query) . (features of the item times value) +
    b_i, features as in hiersrec.item_features.
    """
    config = config_of(hiersrec.Config, inputs)
    return {"logits": hiersrec.item_logits(typed(params), batch_of(inputs), inputs["q"], config)}


def candidates_topk(params, inputs, tap):
    """The k most probable categories; ties go to the lower id, a k above C takes all.

    logp [B, C] -> chosen [B, C] bool.
    """
    return {"chosen": choose.topk(inputs["logp"], inputs["k"])}


def candidates_mass(params, inputs, tap):
    """Categories by falling probability until these sum to at least tau.

    logp [B, C] -> chosen [B, C] bool, at least one.
    """
    return {"chosen": choose.mass(inputs["logp"], inputs["tau"])}


def candidates_budget(params, inputs, tap):
    """Categories by falling probability until they hold at least ceil(rho N) items.

    logp [B, C]; category [N+1] 0..C-1 of items 1..N, entry 0 ignored -> chosen [B, C] bool, at
    least one.
    """
    index = choose.index_of(inputs["category"], inputs["logp"].shape[1])
    return {"chosen": choose.budget(inputs["logp"], inputs["rho"], index)}


def candidate_items(params, inputs, tap):
    """Items of any chosen category.  chosen [B, C] bool, category [N+1] -> allowed [B, N] bool.

    Column i - 1 is item i.
    """
    index = choose.index_of(inputs["category"], inputs["chosen"].shape[1])
    return {"allowed": choose.items_of(inputs["chosen"], index)}


def score(params, inputs, tap):
    """Logits of candidates after the last click.  candidate [B, n] -> scores [B, n].

    item [B, T], category, texts, oracle [B]; config and params as hiersrec.
    """
    config = config_of(hiersrec.Config, inputs)
    return {"scores": hiersrec.score(params, batch_of(inputs), inputs["candidate"], config)}


def model(params, inputs, tap):
    """The loss of a batch: cross entropy of the next item and of its category.  -> loss [].

    The second counts category_weight. item, next [B, T], 0 = padding on the right, or nothing
    follows; category [N+1], 0 = unknown, a class like others; texts [N+1, M]; known [N] bool: items
    in the softmax. Config as in papers/hiersrec.py. Taps, NaN at padding: weights [B, heads, T, T],
    states [B, T, D].
    """
    config, batch = config_of(hiersrec.Config, inputs), batch_of(inputs)
    hiersrec.forward(params, batch, config, where_real(tap, batch.item > 0))
    return {"loss": hiersrec.loss(params, batch, config)}
