"""BPR-MF: matrix factorisation trained on pairs (Rendle et al., UAI 2009). Knows who the user is, not the order.

Glossary of shapes: B batch, L window length, D width, N items, U users, C candidates.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.window_batches import examples, ranking_batch, training_batch
from mbref.errors import InputError
from mbref.nn.layers import lookup
from mbref.nn.losses import masked_mean, softplus


@dataclass(frozen=True)
class Config:
    items: int                 # N
    users: int                 # U
    width: int = 50            # D
    length: int = 50           # events a training window gives at once; no meaning to the model
    penalty: float = 1e-2      # lambda, L2 weight on the factors of each pair

    def __post_init__(self):
        if min(self.width, self.length) < 1:
            raise InputError("width and length must be at least 1.")
        if not 0 <= self.penalty < float("inf"):
            raise InputError("penalty must be a number of 0 or more.")


def init(rng, config):
    """User and item factors N(0, .1 / sqrt(D)), item biases 0."""
    scale = 0.1 / config.width**0.5
    return {
        "user": rng.normal(0, scale, (config.users + 1, config.width)),
        "item": rng.normal(0, scale, (config.items + 1, config.width)),
        "bias": np.zeros((config.items + 1, 1)),
    }


def forward(params, batch, config):
    """User factors.  -> [B, D]."""
    return lookup(params["user"], batch.user)


def score(params, batch, candidates, config):
    """p_u . q_i + b_i of candidates [B, C].  -> [B, C]."""
    p = np.expand_dims(forward(params, batch, config), 1)  # [B, 1, D]
    return np.sum(p * params["item"][candidates], axis=-1) + params["bias"][candidates][..., 0]


def score_all(params, batch, config):
    """p_u . q_i + b_i of all items 1..N.  -> [B, N]."""
    return forward(params, batch, config) @ params["item"][1:].T + params["bias"][1:, 0]


def loss(params, batch, config, rng=None):
    """-log sigmoid(s_pos - s_neg), the criterion BPR-OPT, plus the penalty, mean over pairs.  -> scalar."""
    p = np.expand_dims(forward(params, batch, config), 1)  # [B, 1, D]
    q, q_negative = (lookup(params["item"], i) for i in (batch.next.item, batch.next.negative))  # [B, L, D]
    b, b_negative = (lookup(params["bias"], i)[..., 0] for i in (batch.next.item, batch.next.negative))
    gap = np.sum(p * (q - q_negative), axis=-1) + b - b_negative  # [B, L]
    size = np.sum(p**2 + q**2 + q_negative**2, axis=-1)
    return masked_mean(softplus(-gap) + config.penalty * size, batch.next.negative > 0)
