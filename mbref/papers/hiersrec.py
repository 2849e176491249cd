"""HierSRec: hierarchical multi-task learning for session-based recommendation (Oh et al., 2023).

Steps: (1) encoder, (2) next category, (3) its projection, (4) next item, (5) joint loss. [P] is
arXiv 2309.06533, of which abstract and one formula were at hand, not the full paper; [I] is its
successor IntentRec; the rest is ours. "Deviation D5": a row of released/LEDGER.md; other choices:
variants/hiersrec.py. B sessions, L clicks, R with a next one, D width, N items, C categories.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.session_batches import examples, ranking_batch, training_batch
from mbref.errors import require_ranges
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (dense, dense_relu, dropout, ignore, init_dense, init_matrix,
                             init_norm, init_transformer, layer_norm, lookup, matmul, newest,
                             pick)
from mbref.nn.losses import cross_entropy, log_softmax, sum_of_losses, whole

SETTINGS = {"rate": "0.002", "beta2": "0.999", "batch_size": "128", "validate": "MRR@20"}  # ours


@dataclass(frozen=True)
class Config:
    """Shapes and settings; values are ours."""
    items: int                     # N
    categories: int                # C, besides 0 = unknown, a class like any other
    text: int = 0                  # width of the items' text vectors; 0: there are none
    width: int = 64                # D
    item_width: int = 64           # d_I
    category_width: int = 32       # d_C
    projection_width: int = 32     # d_p
    length: int = 20               # L, the newest clicks that are read
    heads: int = 2
    blocks: int = 1
    dropout: float = 0.0           # of the encoder's input, weights and feed-forward
    category_weight: float = 1.0   # lambda of (5)

    def __post_init__(self):
        require_ranges(self)


def init(rng, config):
    """Draw the parameters: matrices N(0, 1 / fan_in), embeddings N(0, .1^2), biases 0."""
    D, N, classes = config.width, config.items, config.categories + 1
    d_I, d_C, d_p = config.item_width, config.category_width, config.projection_width
    return {"in": init_dense(init_matrix(rng, d_I + d_C + config.text, D)),
            "position": rng.normal(0, 0.1, (config.length, D)),
            "blocks": [init_transformer(rng, D) for _ in range(config.blocks)], "ln": init_norm(D),
            "E_I": rng.normal(0, 0.1, (N + 1, d_I)), "E_C": rng.normal(0, 0.1, (classes, d_C)),
            "category": init_dense(init_matrix(rng, D, classes)),
            "W_p": rng.normal(0, 0.1, (classes, d_p)),
            "item": init_dense(init_matrix(rng, D + d_p, N))}


def item_features(params, batch, item):
    """concat(E^I, E^C, E^M) of items [...], zeros at padding.  -> [..., d_in].  (1) [P]."""
    vector = lookup(params["E_I"], item)  # [..., d_I]
    category = pick(params["E_C"], batch.category[item]) * (item > 0)[..., None]  # [..., d_C]
    text = batch.text[item].astype(vector.dtype)  # [..., M], not learned
    return np.concatenate([vector, category, text], axis=-1)


def encoder_block(p, h, allowed, heads, drop, tap=ignore):
    """Pre-norm transformer block.  h [B, L, D], allowed [B, L, L] -> [B, L, D].  (1)."""
    a = layer_norm(p["ln1"], h)
    q, k, v = (matmul(a, p[name]) for name in "qkv")
    h = h + matmul(attention(q, k, v, allowed, heads, drop, tap), p["o"])
    return h + drop(dense(p["f2"], dense_relu(p["f1"], layer_norm(p["ln2"], h))))


def forward(params, batch, config, tap=ignore, rng=None, item_features=item_features):
    """s: the session after every click, from it and what came before [I].  -> [B, L, D].  (1)."""
    drop = dropout(config.dropout, rng)
    allowed = masks.causal_real(masks.padding(batch.item))  # [B, L, L]  # Deviation D2: causal
    h = dense(params["in"], item_features(params, batch, batch.item))  # Deviation D3: W_in
    h = drop(h + params["position"][: batch.item.shape[1]])  # Deviation D4: counted from the start
    for block in params["blocks"]:
        h = encoder_block(block, h, allowed, config.heads, drop, tap)
    s = layer_norm(params["ln"], h)  # Deviation D1: the last state, no mean of states
    tap("states", s)
    return s


def category_logp(params, s):
    """log p_C, which category comes next.  s [R, D] -> [R, C+1].  (2) [P]."""
    return log_softmax(dense(params["category"], s))


def projection(params, logp):
    """g: the expectation of one learned vector a category.  [R, C+1] -> [R, d_p].  (3) [P], [I]."""
    return np.exp(logp) @ params["W_p"]  # Deviation D5, D7: of probabilities, with their gradient


def item_logits(params, s, logp):
    """Logits of all items 1..N, never of padding.  s [R, D], logp [R, C+1] -> [R, N].  (4)."""
    q = np.concatenate([s, projection(params, logp)], axis=-1)  # Deviation D6: side by side
    return dense(params["item"], q)  # Deviation D8: weights of their own


def score_categories(params, batch, config):
    """Logits of all items, and log p_C, after the last click.  -> [B, N], [B, C+1].  (2)-(4)."""
    s = newest(forward(params, batch, config), batch.item)  # [B, D]
    logp = category_logp(params, s)
    return item_logits(params, s, logp), logp


def score_all(params, batch, config, score_categories=score_categories):
    """Logits of all items 1..N after the last click.  -> [B, N].  (4)."""
    return score_categories(params, batch, config)[0]


def score(params, batch, candidates, config, score_all=score_all):
    """Logits of candidates [B, n]; 0, padding, is scored like item 1.  -> [B, n].  (4)."""
    rows = np.arange(len(candidates), like=candidates)[:, None]  # [B, 1]
    return score_all(params, batch, config)[rows, np.maximum(candidates, 1) - 1]


def loss(params, batch, config, rng=None):
    """L_item + lambda L_cat, means over the R clicks with a next one.  -> scalar.  (5) [P], [I]."""
    s = forward(params, batch, config, rng=rng)  # [B, L, D]
    s = np.reshape(s, (-1, config.width))[batch.at]  # [R, D]
    target = batch.next.ravel()[batch.at]  # [R], the items to predict
    logp = category_logp(params, s)  # [R, C+1]  # Deviation D10: of the same encoding
    q = np.concatenate([s, projection(params, logp)], axis=-1)  # of which `item_logits` are made
    item = sum_of_losses(params["item"], q, target - 1, batch.known)  # items with training clicks
    category = cross_entropy(logp, batch.category[target])  # [R]; log p are logits of p, too
    total = item + config.category_weight * np.sum(category)  # Deviation D9: lambda is 1
    return total / whole(len(target))
