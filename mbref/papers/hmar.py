"""HMAR: hierarchical masked attention for multi-behaviour recommendation (PAKDD 2024).

The full paper was not at hand: steps (1)-(7) follow excerpts of arXiv 2405.09638 and the authors'
code. "Deviation D3" is a row of released/LEDGER.md; variants/hmar.py has other choices. B batch, L
length, D width, K behaviours, N items; 0 is padding, on the left.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.indicators import add_counts, own_counts
from mbref.data.windows import examples, ranking_batch, training_batch
from mbref.errors import require_ranges
from mbref.nn import masks
from mbref.nn.attention import attention, in_one_pass
from mbref.nn.layers import (dense, dense_relu, dropout, glorot, ignore, init_encoder, init_norm,
                             init_small, layer_norm, lookup)
from mbref.nn.losses import cross_entropy, masked_mean, softplus, target_weights, weight_of


@dataclass(frozen=True)
class Config:
    """Shapes, and the settings that the paper names."""
    items: int                        # N
    behaviours: int                   # K
    target: int = 1                   # the behaviour to predict, 1..K
    width: int = 50                   # D; 80 in the release's Taobao run
    length: int = 50                  # L; likewise 150
    heads: int = 1                    # of every attention
    blocks: int = 1                   # steps (3) and (4) stacked this often
    dropout: float = 0.4              # of inputs, attention weights and feed-forward layers
    theta: float = 0.1                # weight of the class loss in (7)
    weights: tuple[float, ...] = ()   # w_b in (7); () = .1 each, the target what is left of 1

    def __post_init__(self):
        require_ranges(self)
        weights = self.weights or target_weights(self.behaviours, self.target)
        object.__setattr__(self, "weights", weights)


def init(rng, config):
    """Draw the parameters, a nested dict of float64 arrays named as in the steps below."""
    D, K = config.width, config.behaviours
    return {"item": glorot(rng, config.items + 1, D), "position": glorot(rng, config.length, D),
            "indicator": init_small(rng, K, D), "feature": init_small(rng, 2 * D, D),
            "blocks": [{"behaviour": init_encoder(rng, D, stack=(K,)) | {"res": np.zeros(K)},
                        "sequence": init_encoder(rng, D) | {"ln": init_norm(D)}}
                       for _ in range(config.blocks)],
            "class1": init_small(rng, 2 * D, D), "class2": init_small(rng, D, K)}


def code(params, v, counts):
    """[v ; c W_c + b_c] W_f + b_f.  v [..., D], counts c [..., K] -> [..., D].  (1), (2)."""
    c = dense(params["indicator"], counts)  # [..., D]  # Deviation D14: raw counts
    return dense(params["feature"], np.concatenate([v, c], axis=-1))


def input_code(params, item, counts):
    """G: events' codes and positions.  item [B, L], counts [B, L, K] -> [B, L, D].  (1), (2)."""
    v = lookup(params["item"], item) * params["item"].shape[1] ** 0.5  # Deviation D19: sqrt(D)
    return code(params, v, counts) + params["position"][-item.shape[1] :]


@in_one_pass  # computes the same, by one attention
def behaviour_encoder(p, x, mask, causal, heads, drop, tap=ignore):
    """K encoders, each of one behaviour's events.  x [B, L, D], mask [B, L, K] -> as x.  (3)."""
    merged = 0
    for b, M in enumerate(np.moveaxis(mask, -1, 0)):  # Deviation D2, D3: boolean, no norm before
        own = {name: {"w": p[name]["w"][b], "b": p[name]["b"][b]} for name in p if name != "res"}
        q, k, v = (dense(own[name], x) for name in "qkv")
        allowed = causal & M[:, None, :] & M[:, :, None]  # [B, L, L]
        a = attention(q, k, v, allowed, heads, drop, tap, f"behaviour_weights_{b}")
        y = a + drop(dense(own["f2"], drop(dense_relu(own["f1"], a))))
        merged = merged + M[..., None] * (y + p["res"][b] * x)  # Deviation D4: res, 0 at first
    return merged


def sequence_encoder(p, s, residual, causal, heads, drop, tap=ignore):
    """Attention, layer norm, feed-forward.  s, residual [B, L, D] -> [B, L, D].  (4)."""
    q, k, v = (dense(p[name], s) for name in "qkv")
    a = attention(q, k, v, causal, heads, drop, tap, "sequence_weights")
    z = layer_norm(p["ln"], a + residual)  # Deviation D6: residual is the input of (3), not s
    return z + drop(dense(p["f2"], drop(dense_relu(p["f1"], z))))


def forward(params, batch, config, tap=ignore, rng=None):
    """States z after each event.  -> [B, L, D], 0 at padding. rng draws dropout, in training."""
    drop, real = dropout(config.dropout, rng), masks.padding(batch.item)  # [B, L]
    mask, causal = masks.behaviour(batch.behaviour, config.behaviours), masks.causal_real(real)
    z = drop(input_code(params, batch.item, batch.counts)) * real[..., None]  # [B, L, D]
    tap("input", z)
    for block in params["blocks"]:  # Deviation D23: steps (3) and (4) together
        s = behaviour_encoder(block["behaviour"], z, mask, causal, config.heads, drop, tap)
        tap("merged", s)  # Deviation D1, D5: s is used, and c is not added again
        z = sequence_encoder(block["sequence"], s, z, causal, config.heads, drop, tap)
        z = z * real[..., None]
    tap("states", z)  # Deviation D7: no last layer norm
    return z


def score(params, batch, candidates, config, forward=forward):  # Deviation D10: own counts
    """z_L . q^o of candidates [B, C], each with the user's own counts.  -> [B, C].  (5)."""
    q = code(params, lookup(params["item"], candidates), own_counts(batch.history, candidates))
    return np.sum(forward(params, batch, config)[:, -1:] * q, axis=-1)


def score_all(params, batch, config, forward=forward):
    """z_L . q^o of all items; q^o is linear in v and c, each has its part.  -> [B, N].  (5)."""
    z = forward(params, batch, config)[:, -1]  # [B, D]
    by_v, by_c = np.split(z @ params["feature"]["w"].T, 2, axis=1)  # [B, D] each
    rest = z @ params["feature"]["b"] + by_c @ dense(params["indicator"], batch.history.others)
    scores = by_v @ params["item"][1:].T + rest[:, None]  # [B, N]
    return add_counts(scores, batch.history, by_c @ params["indicator"]["w"].T)


def class_logits(params, q, z):  # Deviation D13: linear
    """Which behaviour comes next.  q, z [B, L, D] -> logits [B, L, K].  (6)."""
    return dense(params["class2"], dense(params["class1"], np.concatenate([q, z], axis=-1)))


def loss(params, batch, config, rng=None, forward=forward):
    """L_rank + theta L_class, means over events: those ranked, all with a next one.  (7)."""
    z, follow = forward(params, batch, config, rng=rng), batch.next
    q = code(params, lookup(params["item"], follow.item), follow.counts)  # Deviation D11, D12: own
    q_negative = code(params, lookup(params["item"], follow.negative), follow.negative_counts)
    mask, label = follow.item > 0, np.maximum(follow.behaviour, 1) - 1  # [B, L]; labels 0..K-1
    w = weight_of(label, config.weights, z.dtype)  # [B, L]  # Deviation D20: by behaviour
    negative = softplus(np.sum(z * q_negative, axis=-1)) * (follow.negative > 0)
    rank = masked_mean(w * softplus(-np.sum(z * q, axis=-1)) + negative, follow.ranked)
    return rank + config.theta * masked_mean(cross_entropy(class_logits(params, q, z), label), mask)
