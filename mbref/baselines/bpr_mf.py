"""BPR-MF: matrix factorisation trained on pairs (Rendle et al., UAI 2009).

It knows who the user is, not the order of events. B batch, L window length, D width, N items,
U users, C candidates.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.windows import examples, ranking_batch, training_batch
from mbref.errors import require_generator, require_ranges
from mbref.nn.layers import lookup
from mbref.nn.losses import masked_mean, softplus


@dataclass(frozen=True)
class Config:
    """Shapes and the one penalty."""
    items: int               # N
    users: int               # U
    width: int = 50          # D
    length: int = 50         # events that a training window gives at once; nothing to the model
    penalty: float = 1e-2    # lambda, L2 of the factors of each pair

    def __post_init__(self):
        require_ranges(self)


def init(rng, config):
    """Draw user and item factors from N(0, .01 / D); item biases are 0."""
    require_generator(rng)
    D, scale = config.width, 0.1 / config.width**0.5
    return {"user": rng.normal(0, scale, (config.users + 1, D)),
            "item": rng.normal(0, scale, (config.items + 1, D)),
            "bias": np.zeros((config.items + 1, 1))}


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
    """Mean over pairs of -log sigmoid(s+ - s-), BPR-OPT, and of their penalty.  -> scalar."""
    ids = batch.next.item, batch.next.negative  # [B, L] each
    p = np.expand_dims(forward(params, batch, config), 1)  # [B, 1, D]
    q, q_negative = (lookup(params["item"], i) for i in ids)  # [B, L, D]
    b, b_negative = (lookup(params["bias"], i)[..., 0] for i in ids)  # [B, L]
    gap = np.sum(p * (q - q_negative), axis=-1) + b - b_negative  # [B, L]
    size = np.sum(p**2 + q**2 + q_negative**2, axis=-1)
    return masked_mean(softplus(-gap) + config.penalty * size, batch.next.negative > 0)
