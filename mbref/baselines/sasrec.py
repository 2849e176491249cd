"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018).

It knows the order of events, not their behaviours. Where the paper and the authors' code
(github.com/kang205/SASRec) differ, this follows the code: queries alone are normalised, and
residuals start from the normalised value. The loss is a softmax over all items, which ranks better
than the paper's cross entropy against one negative; that is there, too. Shapes as in
papers/hmar.py, R positions with a next item.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.windows import examples, ranking_batch, training_batch
from mbref.errors import require_choice, require_ranges
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (dense, dropout, glorot, ignore, init_encoder, init_norm, layer_norm,
                             lookup, relu)
from mbref.nn.losses import masked_mean, softplus, sum_of_losses, whole

# as MovieLens-100K needs it, where the best step is near 2200
SETTINGS = {"steps": "4000", "evaluate_every": "100", "patience": "8"}


@dataclass(frozen=True)
class Config:
    """Shapes and switches."""
    items: int             # N
    width: int = 64        # D; of the authors 50
    length: int = 50       # L; of the authors 50, on MovieLens-1M 200
    heads: int = 1         # of every attention
    blocks: int = 2
    dropout: float = 0.3   # of inputs, attention weights and hidden layers; of the authors .5 or .2
    loss: str = "softmax"  # over all items; "bce": against one drawn negative, as in the paper

    def __post_init__(self):
        require_choice(self, loss=("softmax", "bce"))
        require_ranges(self)


def init(rng, config):
    """Draw the parameters: Glorot-uniform weights and tables, biases 0."""
    D = config.width
    return {"item": glorot(rng, config.items + 1, D), "position": glorot(rng, config.length, D),
            "blocks": [init_encoder(rng, D) | {"ln_q": init_norm(D), "ln_f": init_norm(D)}
                       for _ in range(config.blocks)],
            "ln": init_norm(D)}


def encoder_block(p, x, allowed, heads, drop, tap=ignore):
    """Attention, then a feed-forward net.  x [B, L, D], allowed [B, L, L] -> [B, L, D]."""
    query = layer_norm(p["ln_q"], x)
    q, k, v = dense(p["q"], query), dense(p["k"], x), dense(p["v"], x)
    y = layer_norm(p["ln_f"], attention(q, k, v, allowed, heads, drop, tap) + query)
    return y + drop(dense(p["f2"], drop(relu(dense(p["f1"], y)))))


def forward(params, batch, config, tap=ignore, rng=None):
    """Hidden states after each event, anything at padding; rng draws dropout.  -> [B, L, D]."""
    drop, real = dropout(config.dropout, rng), masks.padding(batch.item)  # [B, L]
    allowed = masks.causal(real.shape[1], real) & real[:, None]  # [B, L, L]
    x = lookup(params["item"], batch.item) * config.width**0.5  # [B, L, D]
    x = drop(x + params["position"][-batch.item.shape[1] :])
    tap("input", x)
    for block in params["blocks"]:
        x = encoder_block(block, x, allowed, config.heads, drop, tap)
    x = layer_norm(params["ln"], x)
    tap("states", x)
    return x


def score(params, batch, candidates, config):
    """Newest state times the embeddings of candidates [B, C].  -> [B, C]."""
    z = forward(params, batch, config)[:, -1:]  # [B, 1, D]
    return np.sum(z * lookup(params["item"], candidates), axis=-1)


def score_all(params, batch, config):
    """Newest state times the embeddings of all items 1..N.  -> [B, N]."""
    return forward(params, batch, config)[:, -1] @ params["item"][1:].T


def loss(params, batch, config, rng=None):
    """Every position predicts the next item.  -> scalar."""
    z, table = forward(params, batch, config, rng=rng), params["item"]
    item, negative = batch.next.item, batch.next.negative  # [B, L]
    if config.loss == "softmax":
        z = np.reshape(z, (-1, z.shape[-1]))[batch.at]  # [R, D]
        label = item.ravel()[batch.at] - 1  # [R]
        bias = np.zeros_like(table[1:, 0])  # [N]
        known = np.ones_like(bias, dtype=bool)
        fit = sum_of_losses({"w": table[1:].T, "b": bias}, z, label, known)
        return fit / whole(len(label))
    positive, negative_score = (np.sum(z * lookup(table, i), axis=-1) for i in (item, negative))
    return masked_mean(softplus(-positive) + softplus(negative_score) * (negative > 0), item > 0)
