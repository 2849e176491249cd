"""Optimisers: nested dicts and lists of arrays in, new ones out; for training, too, in place.

`update` is the page to read. `update_in_place` takes the same step with fewer ways to memory, and
reads a gradient that is rows of a table (lookup.py) as such. Both are exact: moments of rows
without a gradient decay as well.
"""
from typing import NamedTuple

import numpy as np

from mbref.nn.device import device_of

BLOCK = 1 << 15  # numbers of a parameter that stay in a core's cache, with moments and gradient


class Adam(NamedTuple):
    """Hyper-parameters of Kingma & Ba 2015, algorithm 1. HMAR: beta2 .98, TensorFlow's epsilon."""

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    epsilon_hat: bool = False   # True: eps joins the uncorrected root (TensorFlow; section 2)
    clip: float | None = None   # largest global norm of the gradients; None leaves them alone


class SGD(NamedTuple):
    """Plain stochastic gradient descent."""

    rate: float = 0.1
    clip: float | None = None


def tree_map(function, *trees):
    """Apply `function` to the arrays at the same place of trees of one structure."""
    first = trees[0]
    if isinstance(first, dict):
        return {name: tree_map(function, *(tree[name] for tree in trees)) for name in first}
    if isinstance(first, list):
        return [tree_map(function, *parts) for parts in zip(*trees, strict=True)]
    return function(*trees)


def leaves(tree, path=""):
    """(path, array) of every array of a tree, "blocks/0/sequence/q/w" for instance."""
    if not isinstance(tree, (dict, list)):
        return [(path, tree)]
    start = f"{path}/" if path else ""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [leaf for name, part in pairs for leaf in leaves(part, f"{start}{name}")]


def fill(tree, arrays, path):
    """The tree's structure with the arrays saved under its paths; ValueError for other shapes."""
    found = iter([arrays[name] for name, _ in leaves(tree, path)])

    def take(old):
        new = next(found)
        if new.shape != old.shape or new.dtype != old.dtype:
            raise ValueError(f"an array has shape {new.shape}, not {old.shape}")
        return new

    return tree_map(take, tree)


def global_norm(grads):
    """sqrt of the sum of squares of all entries of all arrays: a number, or a device's array."""
    return sum(sum_of_squares(g) for _, g in leaves(grads)) ** 0.5


def sum_of_squares(g):
    """Sum of g^2 in float64; of a device's g the squares are not, which would be a large copy."""
    squares = np.square(g, dtype=np.float64) if device_of(g) == "cpu" else np.square(g)
    return np.sum(squares, dtype=np.float64)


def clip_by_global_norm(grads, limit):
    """Gradients scaled by one factor to a norm of at most `limit` (Pascanu et al. 2013)."""
    norm = global_norm(grads)
    if isinstance(norm, float) and norm <= limit:  # a device is not asked: that would be to wait
        return grads
    factor = limit / np.maximum(norm, limit)
    return tree_map(lambda g: g * factor.astype(g.dtype), grads)


def start(rule, params):
    """State before the first step: moments of Adam, nothing for SGD."""
    names = "mv" if isinstance(rule, Adam) else ""
    return {name: tree_map(np.zeros_like, params) for name in names}


def update(rule, params, grads, state, step):
    """One step; `step` counts from 1. -> (params, state)."""
    if rule.clip is not None:
        grads = clip_by_global_norm(grads, rule.clip)
    if isinstance(rule, SGD):
        return tree_map(lambda p, g: p - rule.rate * g, params, grads), state
    m = tree_map(lambda m, g: rule.beta1 * m + (1 - rule.beta1) * g, state["m"], grads)
    v = tree_map(lambda v, g: rule.beta2 * v + (1 - rule.beta2) * g * g, state["v"], grads)
    correct1, root2 = 1 - rule.beta1**step, (1 - rule.beta2**step) ** 0.5
    eps = rule.eps / root2 if rule.epsilon_hat else rule.eps

    def move(p, m, v):
        return p - rule.rate / correct1 * m / (np.sqrt(v) / root2 + eps)

    return tree_map(move, params, m, v), {"m": m, "v": v}


def update_in_place(rule, params, grads, state, step):
    """The step of `update` written into `params` and `state`.  -> (params, state).

    grads may hold Rows. On a device `update` runs: there new arrays cost little.
    """
    if device_of(params) != "cpu":
        return update(rule, params, grads, state, step)
    factor = 1.0
    if rule.clip is not None:
        norm = sum(squares(g) for _, g in leaves(grads)) ** 0.5
        factor = rule.clip / max(norm, rule.clip)
    trees = [params, grads, *state.values()]
    for (_, p), (_, g), *moments in zip(*map(leaves, trees), strict=True):
        if isinstance(rule, SGD):
            p[where(g)] -= p.dtype.type(rule.rate * factor) * values(g)
        else:
            adam_in_place(rule, p, g, *(a for _, a in moments), factor, step)
    return params, state


def where(g):
    """The rows that a gradient is of: its ids, or all."""
    return getattr(g, "ids", ...)


def values(g):
    """A gradient's numbers: those of its rows, or all."""
    return getattr(g, "values", g)


def squares(g):
    """Sum of g^2, in g's own type."""
    flat = np.ravel(values(g))
    return float(flat @ flat)


def adam_in_place(rule, p, g, m, v, factor, step):
    """Adam for one array, BLOCK numbers at a time; g, an array or Rows, counts `factor` times."""
    kind, root2 = p.dtype.type, (1 - rule.beta2**step) ** 0.5
    eps = kind(rule.eps if rule.epsilon_hat else rule.eps * root2)
    rate = kind(rule.rate * root2 / (1 - rule.beta1**step))
    width = values(g).shape[1] if hasattr(g, "ids") else 1
    p, m, v = (np.reshape(x, (-1, width), copy=False) for x in (p, m, v))
    size = max(1, BLOCK // width)
    for start in range(0, len(p), size):
        part = slice(start, start + size)
        at, now = rows_between(g, width, start, start + size)
        P, M, V = p[part], m[part], v[part]
        M *= kind(rule.beta1)
        V *= kind(rule.beta2)
        M[at] += kind((1 - rule.beta1) * factor) * now
        V[at] += kind((1 - rule.beta2) * factor**2) * now * now
        move = np.sqrt(V)
        move += eps
        np.divide(M, move, out=move)
        move *= rate
        P -= move


def rows_between(g, width, start, stop):
    """Rows start..stop of a gradient: which of them there are, counted from start, and values."""
    if not hasattr(g, "ids"):
        return ..., np.reshape(g, (-1, width))[start:stop]
    first, last = np.searchsorted(g.ids, (start, stop))
    return g.ids[first:last] - start, g.values[first:last]
