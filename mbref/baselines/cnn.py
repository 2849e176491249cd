"""CNN + Pooling: the CNN of texts (Kim, EMNLP 2014) over a history, a baseline of ATRank's release.

Source: github.com/jinze1994/ATRank @ 2031fd1, folder cnn/; the defaults are its. Events are coded
with time as ATRank's release does; filters that span 1 .. 10 events slide over them, and the
strongest answer of each describes the history. Shapes as in papers/atrank.py, n filters of a size.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np

from mbref.data.target_batches import examples, ranking_batch, training_batch
from mbref.errors import require, require_ranges
from mbref.nn import masks
from mbref.nn.layers import (COLUMNS, dense, dropout, embed, glorot, ignore, init_dense, one_hot,
                             relu, stop_gradient, time_bucket)
from mbref.papers import atrank
from mbref.papers.atrank import SETTINGS  # noqa: F401


@dataclass(frozen=True)
class Config:
    """Shapes and switches."""
    items: int              # N
    categories: int = 0     # 0: the items have none; else half of an item's code is its category's
    width: int = 128        # D of item codes, events and the user vector
    sizes: int = 10         # filters span 1 .. sizes events
    filters: int = 32       # n, of each size
    dropout: float = 0.0    # of the pooled features
    penalty: float = 5e-5   # L2 of user vector and target embedding
    pairs: bool = False     # True: a row trains a target and its negative together
    length: int = 50        # newest events that are read; the release reads all
    unit: int = 86400       # seconds in one unit of time gap: a day

    def __post_init__(self):
        require_ranges(self)
        require(self.width % 2 == 0, f"width is {self.width}: it must be even.")


def init(rng, config):
    """Draw the parameters as released: Glorot-uniform, but filters from N(0, .1^2) cut at 2 sd."""
    d, n = config.width, config.filters
    tables = [config.items, config.categories] if config.categories else [config.items]
    return {"tables": [glorot(rng, size + 1, d // len(tables)) for size in tables],
            "bias": np.zeros(config.items + 1),
            "event": init_dense(glorot(rng, d + COLUMNS["release"], d)),
            "filters": init_filters(rng, config.sizes, d, n),
            "user": init_dense(glorot(rng, config.sizes * n, d))}


def init_filters(rng, sizes, d, n):
    """n filters of each size, N(0, .1^2) cut at 2 sd, with biases .1."""
    return [{"w": 0.1 * truncated_normal(rng, size * d, n), "b": np.full(n, 0.1)}
            for size in range(1, sizes + 1)]


def truncated_normal(rng, *shape):
    """N(0, 1), drawn again wherever it is more than 2 away from 0."""
    x = rng.normal(size=shape)
    while (far := np.abs(x) > 2).any():
        x[far] = rng.normal(size=far.sum())
    return x


def events_code(params, history, features, padding):
    """[item ; category ; time] of events and `padding` empty ones.  -> [B, L + padding, D]."""
    item, gap = (np.pad(x, ((0, 0), (0, padding))) for x in (history.item, history.gap))
    x = embed(params["tables"], features[item])  # [B, L + padding, D]
    time = one_hot(time_bucket(gap, "release"), COLUMNS["release"], x.dtype)
    x = dense(params["event"], np.concatenate([x, time], axis=-1))
    return x * masks.padding(item)[..., None]


def convolve(p, x, size):
    """Filters on every stretch of `size` whole events.  x [B, L, D] -> [B, L - size + 1, n]."""
    shifts = [np.roll(x, -step, axis=1) for step in range(size)]
    stretches = np.concatenate(shifts, axis=-1)  # [B, L, size*D]
    return dense(p, stretches)[:, : x.shape[1] - size + 1]  # later ones run past the end


def pool(filters, x):
    """The strongest answer of each filter.  x [B, L, D] -> [B, sizes * n]."""
    answers = [relu(convolve(p, x, size)) for size, p in enumerate(filters, 1)]
    return np.concatenate([max_over_time(a) for a in answers], axis=-1)


def max_over_time(x):
    """The largest value of every feature.  [B, L, n] -> [B, n]."""
    best = np.argmax(stop_gradient(x), axis=1)  # [B, n]; autograd's gradient of max is float64
    b, n = (np.arange(size, like=best) for size in best.shape)
    return x[b[:, None], best, n]


def forward(params, batch, config, tap=ignore, rng=None):
    """u: the user vector; rng draws dropout, in training.  -> [B, D].

    Padding takes part in the maximum. After `sizes` empty events every filter has seen all that
    more of them (the release pads to 500) could show.
    """
    x = events_code(params, batch.histories[0], batch.features[0], config.sizes)
    tap("input", x)
    pooled = pool(params["filters"], x)  # [B, sizes*n]
    tap("pooled", pooled)
    return dense(params["user"], dropout(config.dropout, rng)(pooled))


def score_all(params, batch, config):
    """b_i + u . x_i of all items 1..N.  -> [B, N]."""
    x = embed(params["tables"], batch.features[0][1:])  # [N, D]
    return forward(params, batch, config) @ x.T + params["bias"][1:]


def logits(params, batch, u, candidates, config, tap=ignore, rng=None):
    """z = b_i + u . x_i for candidates [B, C].  u [B, D] -> z [B, C], u [B, 1, D], x [B, C, D]."""
    u, x = np.expand_dims(u, 1), embed(params["tables"], batch.features[0][candidates])
    return np.sum(u * x, axis=-1) + params["bias"][candidates], u, x


score = partial(atrank.score, forward=forward, logits=logits)
loss = partial(atrank.loss, forward=forward, logits=logits)
