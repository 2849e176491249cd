"""Optimisers as pure functions: nested dicts and lists of arrays in, new ones out."""
from typing import NamedTuple

import numpy as np

from mbref.device.device import device_of


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
    zeros = tree_map(np.zeros_like, params)
    return {"m": zeros, "v": zeros} if isinstance(rule, Adam) else {}


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
