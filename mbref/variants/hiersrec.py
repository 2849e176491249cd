"""Other readings of HierSRec: its ablations, and what the abstract leaves open.

At its defaults this is papers/hiersrec.py, from which it takes all that does not change. [M] is its
predecessor M2TRec (arXiv 2209.11824), [I] its successor IntentRec (2408.05353). Shapes as there.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np

from mbref.data.session_batches import examples, ranking_batch, training_batch
from mbref.errors import require, require_choice
from mbref.nn.layers import (dense, ignore, init_dense, init_matrix, init_norm, init_transformer,
                             layer_norm, lookup, newest, pick, stop_gradient)
from mbref.nn.losses import cross_entropy, sum_of_losses, whole
from mbref.papers import hiersrec
from mbref.papers.hiersrec import SETTINGS, category_logp, encoder_block  # noqa: F401


@dataclass(frozen=True)
class Config(hiersrec.Config):
    """The settings of papers/hiersrec.py, and switches."""
    # ablations
    tasks: str = "both"                # "item": no category head, and so hier is "none"
    inputs: str = "id+category+text"   # what (1) reads of an item; without text where there is none
    # points of the ledger: D1, D5 and D7, D8
    pool: str = "last"                 # "mean": of the states so far [M]
    hier: str = "soft"                 # g of (3): "logits", "tied", "stop", "oracle", "none" [M]
    item_out: str = "fc"               # (4); "tied": items by their features, so also cold ones
    # others
    softmax: str = "known"             # (5) over the items with a training click, or over "all"

    def __post_init__(self):
        super().__post_init__()
        parts = [part for part in self.inputs.split("+") if part != "text" or self.text]
        object.__setattr__(self, "inputs", "+".join(parts))
        object.__setattr__(self, "hier", "none" if self.tasks == "item" else self.hier)
        require(set(parts) <= {"id", "category", "text"} and parts,
                f"inputs is {self.inputs!r}: join some of id, category, text by +, text only where "
                "items have texts.")
        require_choice(self, pool=("last", "mean"), tasks=("both", "item"), item_out=("fc", "tied"),
                       hier=("soft", "logits", "tied", "stop", "oracle", "none"),
                       softmax=("known", "all"))


def input_width(config):
    """d_in, the width of the item features that are read."""
    width = {"id": config.item_width, "category": config.category_width, "text": config.text}
    return sum(width[name] for name in config.inputs.split("+"))


def projection_width(config):
    """d_p, the width of g: "tied" takes d_C, and without a hierarchy it is 0."""
    width = {"none": 0, "tied": config.category_width}
    return width.get(config.hier, config.projection_width)


def init(rng, config):
    """Draw the parameters in use; matrices N(0, 1 / fan_in), embeddings N(0, .1^2), biases 0."""
    D, N, classes = config.width, config.items, config.categories + 1
    d_in, d_p, tied = input_width(config), projection_width(config), config.hier == "tied"
    params = {"in": init_dense(init_matrix(rng, d_in, D)),
              "position": rng.normal(0, 0.1, (config.length, D)),
              "blocks": [init_transformer(rng, D) for _ in range(config.blocks)],
              "ln": init_norm(D)}
    if "id" in config.inputs:
        params["E_I"] = rng.normal(0, 0.1, (N + 1, config.item_width))
    if "category" in config.inputs or tied:
        params["E_C"] = rng.normal(0, 0.1, (classes, config.category_width))
    if config.tasks == "both":
        params["category"] = init_dense(init_matrix(rng, D, classes))
    if d_p and not tied:
        params["W_p"] = rng.normal(0, 0.1, (classes, d_p))
    if config.hier == "logits":
        params["ln_logits"] = init_norm(classes)
    if config.item_out == "fc":
        return params | {"item": init_dense(init_matrix(rng, D + d_p, N))}
    return params | {"query": init_matrix(rng, D + d_p, D), "value": init_matrix(rng, d_in, D),
                     "b_i": np.zeros(N)}


def item_features(params, batch, item, config):
    """concat(E^I, E^C, E^M) of items [...], as far as they are read.  -> [..., d_in].  (1)."""
    read = {"id": lambda: lookup(params["E_I"], item),
            "category": lambda: pick(params["E_C"], batch.category[item]) * (item > 0)[..., None],
            "text": lambda: batch.text[item].astype(params["in"]["w"].dtype)}
    return np.concatenate([read[name]() for name in config.inputs.split("+")], axis=-1)


def forward(params, batch, config, tap=ignore, rng=None):
    """s: the session after every click.  -> [B, L, D].  (1)."""
    s = hiersrec.forward(params, batch, config, tap, rng, partial(item_features, config=config))
    if config.pool == "last":
        return s
    clicks = np.arange(1, s.shape[1] + 1, dtype=s.dtype, like=stop_gradient(s))  # [L]
    return np.cumsum(s, axis=1) / clicks[:, None]  # the mean of the states so far


def projection(params, logp, config, oracle=None):
    """g: what the item head learns of the predicted category.  logp [R, C+1] -> [R, d_p].  (3).

    "soft": the expectation of one learned vector a category [I]; "tied": of the category embeddings
    that (1) reads; "stop": soft, but the item loss does not train the category head; "logits": a
    linear map of the layer norm of the logits, which is that of log p; "oracle": the vector of the
    true category `oracle` [R], an upper bound and no model.
    """
    if config.hier == "oracle":
        require(oracle is not None, "hier=oracle needs the true next categories.")
        return params["W_p"][oracle]
    if config.hier == "logits":
        return layer_norm(params["ln_logits"], logp) @ params["W_p"]
    if config.hier == "tied":
        return np.exp(logp) @ params["E_C"]
    if config.hier == "stop":
        logp = stop_gradient(logp)
    return hiersrec.projection(params, logp)


def join(params, s, config, oracle=None):
    """Session and category vector side by side.  s [R, D] -> q [R, D + d_p], log p_C or None."""
    logp = category_logp(params, s) if config.tasks == "both" else None
    if config.hier == "none":
        return s, logp
    return np.concatenate([s, projection(params, logp, config, oracle)], axis=-1), logp


def output_layer(params, batch, q, config):
    """The dense layer whose outputs are the logits of all items 1..N, and its input.  (4)."""
    if config.item_out == "fc":
        return params["item"], q
    items = np.arange(1, config.items + 1, like=batch.item)  # [N]
    value = item_features(params, batch, items, config) @ params["value"]  # [N, D]
    return {"w": value.T, "b": params["b_i"]}, q @ params["query"]


def item_logits(params, batch, q, config):
    """Logits of all items 1..N, never of padding.  q [R, D + d_p] -> [R, N].  (4)."""
    return dense(*output_layer(params, batch, q, config))


def predicts_categories(config):
    """Is there a head for the next category, and does no oracle stand in for its prediction?"""
    return config.tasks == "both" and config.hier != "oracle"


def score_categories(params, batch, config):
    """Logits of all items, and log p_C or None, after the last click.  -> [B, N], [B, C+1]."""
    s = newest(forward(params, batch, config), batch.item)  # [B, D]
    q, logp = join(params, s, config, batch.oracle)
    return item_logits(params, batch, q, config), logp


score_all = partial(hiersrec.score_all, score_categories=score_categories)
score = partial(hiersrec.score, score_all=score_all)


def forget_ids(params, known):
    """Parameters in which items that are not `known` [N+1] are their category and text alone.

    Free output weights know an item by its id only: they stay as they are.
    """
    if "item" in params:
        return params
    masks_of = {"b_i": known[1:], "E_I": known[:, None]}
    return params | {name: params[name] * mask for name, mask in masks_of.items() if name in params}


def loss(params, batch, config, rng=None):
    """L_item + lambda L_cat, the latter where there is a category head.  -> scalar.  (5)."""
    s = forward(params, batch, config, rng=rng)  # [B, L, D]
    s = np.reshape(s, (-1, config.width))[batch.at]  # [R, D]
    target = batch.next.ravel()[batch.at]  # [R]
    label = batch.category[target]
    q, logp = join(params, s, config, label)
    known = batch.known | (config.softmax == "all")
    total = sum_of_losses(*output_layer(params, batch, q, config), target - 1, known)
    if config.tasks == "both":
        total = total + config.category_weight * np.sum(cross_entropy(logp, label))
    return total / whole(len(target))
