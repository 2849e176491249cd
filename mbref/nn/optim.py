"""Optimisers of nested dicts and lists of arrays. `update` is the page to read.

`update_in_place` takes the same step with fewer ways to memory, and reads gradients that are rows
of a table (lookup.py) as such. Both are exact: moments of rows without a gradient decay as well.
"""
from typing import NamedTuple

import numpy as np

from mbref.nn.device import device_of
from mbref.nn.shards import on_threads

BLOCK = 1 << 18  # numbers at a time: in a near cache, but not so few that threads mostly wait


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
    def add_up(g):  # in float64; of a device's g the squares are not, which would be a large copy
        squares = np.square(g, dtype=np.float64) if device_of(g) == "cpu" else np.square(g)
        return np.sum(squares, dtype=np.float64)
    return sum(add_up(g) for _, g in leaves(grads)) ** 0.5


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


def update_in_place(rule, params, grads, state, step, threads=1):
    """The step of `update` written into `params` and `state`.  -> (params, state).

    grads may hold Rows. The blocks are shared out to `threads`, whose number changes no bit. On a
    device `update` runs: there new arrays cost little.
    """
    if device_of(params) != "cpu":
        return update(rule, params, grads, state, step)
    factor = 1.0
    if rule.clip is not None:
        flat = (np.ravel(getattr(g, "values", g)) for _, g in leaves(grads))  # of Rows theirs
        norm = sum(float(g @ g) for g in flat) ** 0.5
        factor = rule.clip / max(norm, rule.clip)
    places = [[a for _, a in leaf]
              for leaf in zip(*map(leaves, [params, grads, *state.values()]), strict=True)]

    def take(i):
        for p, g, *moments in places:
            for block in blocks_of(g, (p, *moments), slice(i, None, threads)):
                move_block(rule, factor, step, *block)

    on_threads(take, threads)
    return params, state


def blocks_of(g, arrays, turn):
    """BLOCK numbers at a time of a parameter and its moments, those blocks that have their `turn`.

    -> rows of the block that have a gradient, their gradients, the block of each array.
    """
    is_rows = hasattr(g, "ids")
    width = g.values.shape[1] if is_rows else 1
    arrays = [np.reshape(x, (-1, width), copy=False) for x in arrays]
    size = max(1, BLOCK // width)
    for start in range(0, len(arrays[0]), size)[turn]:
        part = slice(start, start + size)
        if is_rows:
            own = slice(*np.searchsorted(g.ids, (start, start + size)))
            at, values = g.ids[own] - start, g.values[own]
        else:
            at, values = ..., np.reshape(g, (-1, 1))[part]
        yield at, values, *(x[part] for x in arrays)


def move_block(rule, factor, step, at, g, p, m=None, v=None):
    """One step of a block whose gradient g at rows `at` counts `factor` times."""
    kind = p.dtype.type
    if isinstance(rule, SGD):
        p[at] -= kind(rule.rate * factor) * g
        return
    root2 = (1 - rule.beta2**step) ** 0.5
    m *= kind(rule.beta1)
    v *= kind(rule.beta2)
    m[at] += kind((1 - rule.beta1) * factor) * g
    v[at] += kind((1 - rule.beta2) * factor**2) * g * g
    move = np.sqrt(v)
    move += kind(rule.eps if rule.epsilon_hat else rule.eps * root2)
    np.divide(m, move, out=move)
    move *= kind(rule.rate * root2 / (1 - rule.beta1**step))
    p -= move
