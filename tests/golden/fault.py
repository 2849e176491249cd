"""A known fault: a component with one thing wrong, as people write it, and ways to make one: another
function in a module, other inputs, other parameters.

The faults.py of every family lists its faults by component; kill_matrix.py finds which cases catch
them.
"""
from collections.abc import Callable
from typing import NamedTuple

import autograd.numpy as np

import mbref
from mbref.nn.layers import stop_gradient
from mbref.nn.optim import tree_map


class Fault(NamedTuple):
    """A component with one thing wrong."""

    name: str             # as a person would say it
    component: str
    function: Callable    # f(params, inputs, tap) -> {output: array}, as the right one


def plant(function, module, **changes):
    """`function` while names of `module` mean something else.  -> f(params, inputs, tap).

    On the plain forms: the fast ones do not call those names.
    """
    @mbref.plain()
    def faulty(params, inputs, tap):
        kept = {name: getattr(module, name) for name in changes}
        vars(module).update(changes)
        try:
            return function(params, inputs, tap)
        finally:
            vars(module).update(kept)
    return faulty


def feed(function, change):
    """`function` of inputs of which change(inputs) are others.  -> f(params, inputs, tap)."""
    return lambda params, inputs, tap: function(params, inputs | change(inputs), tap)


def give(function, change):
    """`function` of parameters that are change(parameters).  -> f(params, inputs, tap)."""
    return lambda params, inputs, tap: function(change(params), inputs, tap)


def rewrite(params, parts, change):
    """A copy of a tree of parameters in which change(part) stands for some of its dicts."""
    def walk(tree):
        if isinstance(tree, list):
            return [walk(one) for one in tree]
        if not isinstance(tree, dict):
            return tree
        new = {name: walk(one) for name, one in tree.items()}
        return change(new) if any(tree is part for part in parts) else new
    return walk(params)


def itself(params):
    """Parameters as the only part."""
    return [params]


def swap(a, b, inside=itself):
    """A change of parameters: two names change places in every part that inside(params) lists."""
    return lambda params: rewrite(params, inside(params), lambda part: part | (
        {a: part[b], b: part[a]} if a in part and b in part else {}))


def alter(name, change, inside=itself):
    """A change of parameters: one name's value in every part that inside(params) lists."""
    return lambda params: rewrite(params, inside(params), lambda part: part | (
        {name: change(part[name])} if name in part else {}))


def without_bias(layer):
    """A dense layer whose bias is 0."""
    return layer | {"b": 0 * layer["b"]}


def freeze(tree):
    """Parameters that get no gradient."""
    return tree_map(stop_gradient, tree)


def transpose(a):
    """A square matrix the other way round."""
    return np.swapaxes(a, -1, -2)


def by_one(a):
    """Rows one place on, the last before the first."""
    return np.roll(a, 1, axis=0)
