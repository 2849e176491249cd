"""Layers that several papers share: pure functions of (weights, input), any number of leading axes.

Shapes: B batch, L history length, D width, N items, K behaviour types. Id 0 is padding everywhere.
"""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.errors import require_generator
from mbref.nn import vjps
from mbref.nn.device import beside
from mbref.nn.lookup import lookup as lookup, pick as pick
from mbref.nn.vjps import sigmoid as sigmoid

BUCKETS = 14  # of time gaps as the papers bin them: 0, [1, 2), [2, 4) ... units, the last one open
# how wide a bucket's one-hot code is; in ATRank's release the last bucket, open, has no column
COLUMNS = {"paper": BUCKETS, "release": 12}

stop_gradient = getval  # the plain array inside x: a constant to autograd


def ignore(name, array):
    """The default `tap` drops what models hand out as tap(name, array)."""


def glorot(rng, *shape):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)), of the last two axes (Glorot & Bengio 2010)."""
    require_generator(rng)
    limit = (6.0 / sum(shape[-2:])) ** 0.5
    return rng.uniform(-limit, limit, shape)


def init_dense(weights):
    """Parameters of `dense` from weights [..., D_in, D_out]; biases start at 0."""
    return {"w": weights, "b": np.zeros(weights.shape[:-2] + weights.shape[-1:])}


def init_small(rng, *shape):
    """Parameters of `dense` from N(0, .01^2), as HMAR's release draws its heads."""
    return init_dense(rng.normal(0, 0.01, shape))


def init_matrix(rng, rows, columns):
    """A matrix [rows, columns] from N(0, 1 / rows)."""
    require_generator(rng)
    return rng.normal(0, rows**-0.5, (rows, columns))


def init_norm(*shape):
    """Parameters of `layer_norm` over the last axis: it changes nothing at first."""
    return {"gamma": np.ones(shape), "beta": np.zeros(shape)}


def init_encoder(rng, D, hidden=None, stack=()):
    """Queries, keys, values, a feed-forward net of `hidden` units (None: D); K with stack=(K,)."""
    shapes = {name: (D, D) for name in "qkv"} | {"f1": (D, hidden or D), "f2": (hidden or D, D)}
    return {name: init_dense(glorot(rng, *stack, *shape)) for name, shape in shapes.items()}


def init_transformer(rng, D):
    """Attention without biases, a feed-forward net of 2 D units, the layer norms before them."""
    layers = {name: init_matrix(rng, D, D) for name in "qkvo"}
    norms = {"ln1": init_norm(D), "ln2": init_norm(D)}
    return layers | norms | {"f1": init_dense(init_matrix(rng, D, 2 * D)),
                             "f2": init_dense(init_matrix(rng, 2 * D, D))}


def dense(p, x):
    """x W + b.  x [..., D_in] -> [..., D_out]."""
    return vjps.linear(x, p["w"], p["b"])


def dense_relu(p, x):
    """max(x W + b, 0).  x [..., D_in] -> [..., D_out]."""
    return vjps.linear_relu(x, p["w"], p["b"])


def matmul(x, w):
    """x @ w as one product of all rows.  x [..., D_in] -> [..., D_out]."""
    return vjps.linear(x, w, 0)


def embed(tables, ids):
    """Embeddings of F features side by side.  F tables [N_f+1, D_f]; ids [..., F] -> [..., D]."""
    return np.concatenate([lookup(table, ids[..., f]) for f, table in enumerate(tables)], axis=-1)


def time_bucket(gap, rule):
    """Bucket of a time gap in whole units, each twice as wide as the one before.  [...] -> [...].

    "release" (ATRank's code): floor(log2(gap + 1)), 0 .. 12. "paper" (the texts of ATRank and
    DMRAN): 0 for gaps below 1, then floor(log2 gap) + 1, 0 .. 13. The last bucket is open.
    """
    powers = 2 ** np.arange(BUCKETS - 1, like=gap)  # 1, 2, 4 ... 4096
    if rule == "release":
        return np.searchsorted(powers[1:], gap + 1, side="right")
    return np.searchsorted(powers, gap, side="right")


def one_hot(numbers, count, dtype):
    """1 at the place of each number 0..count-1, else 0.  [...] -> [..., count]."""
    return (numbers[..., None] == np.arange(count, like=numbers)).astype(dtype)


def by_chunks(score, batch, largest=8192):
    """score(candidates [B, C]) of all objects 1..N of the batch's group, a few at a time.

    batch: a Batch of data/targets.py. -> [B, N].
    """
    features, rows = batch.features[batch.group], len(batch.histories[0].item)
    ids = np.arange(1, len(features), like=features)  # [N]
    parts = np.array_split(ids, -(-len(ids) // max(1, largest // rows)))
    every = [score(np.broadcast_to(part, (rows, len(part)))) for part in parts]
    return np.concatenate(every, axis=1)


def newest(states, item):
    """The last event's state; histories are padded on the right.  [B, L, D], [B, L] -> [B, D]."""
    last = np.maximum(np.sum(item > 0, axis=1) - 1, 0)  # [B]
    return states[np.arange(len(last), like=last), last]


def relu(x):
    """max(x, 0), written so that float32 stays float32 under autograd."""
    return x * (x > 0)


def layer_norm(p, x, eps=1e-8):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis (Ba et al. 2016).  -> as x."""
    return vjps.layer_norm(x, p["gamma"], p["beta"], eps)


def unchanged(x):
    """The dropout of evaluation."""
    return x


def dropout(rate, rng):
    """A function x -> x with entries zeroed at `rate` and the others scaled by 1 / (1 - rate).

    Without a Generator (evaluation, checks) it returns x itself.
    """
    if rng is None or rate == 0:
        return unchanged

    def drop(x):
        keep = beside(x, rng.random(x.shape, np.float32) >= rate)  # drawn on the host
        return x * (keep * x.dtype.type(1 / (1 - rate)))

    return drop
