"""Rows of embedding tables, whose gradient is rows as well; and gradients by all parameters.

A batch reads a few thousand rows of a table of many. Their gradient stays a list of rows, `Rows`,
up to the optimiser: autograd would write it into an array of zeros as large as the table.
"""
from functools import reduce

import numpy as np
from autograd import value_and_grad as autograds
from autograd.core import SparseBox, VJPNode, VSpace, add_outgrads, sparse_object_types, toposort
from autograd.extend import SparseObject, vspace
from autograd.tracer import new_box

from mbref.nn.device import device_of
from mbref.nn.optim import leaves, tree_map
from mbref.nn.shards import tracer
from mbref.nn.vjps import FORMS, with_gradient

SMALL = 64  # a table of so few rows gets its gradient by one product


class Rows(SparseObject):
    """Gradient of a table [N, D] that is 0 but for the rows `ids` [R], with `values` [R, D]."""
    __slots__ = ["ids", "values"]

    def __init__(self, space, ids, values):
        self.ids, self.values = ids, values
        super().__init__(space, self.add_into)

    def add_into(self, table):
        """Add them to an array of the table's shape."""
        table[self.ids] += self.values
        return table


VSpace.register(Rows, lambda rows: rows.vs)
SparseBox.register(Rows)
sparse_object_types.add(Rows)


def sum_rows(ids, values):
    """The sum of each id's rows.  ids [n], values [n, D] -> increasing ids [R], sums [R, D]."""
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    is_first = np.diff(ids, prepend=-1) > 0
    sums, others = values[order[is_first]], order[~is_first]  # most ids come once: copied
    place = np.cumsum(is_first)[~is_first] - 1  # [n - R] in sums
    width = values.shape[1]
    flat = (place[:, None] * width + np.arange(width)).ravel()  # np.add.at is fast in one dimension
    np.add.at(sums.reshape(-1), flat, values[others].ravel())
    return ids[is_first], sums


def table_gradient(table, ids, g):
    """Where rows `ids` [n] of a table were read: the sum of g [n, D] of each, as Rows or whole."""
    if len(table) <= SMALL:
        return (np.arange(len(table))[:, None] == ids).astype(g.dtype) @ g
    return Rows(vspace(table), *sum_rows(ids, g))


@with_gradient(lambda table, ids: table[ids])
def pick(table, ids):
    """Rows of a table [N, D] for ids [...], 0 an id like any other.  -> [..., D]."""
    return table.take(ids, axis=0), lambda g: (
        table_gradient(table, ids.ravel(), np.reshape(g, (-1, table.shape[1]))), None)


@with_gradient(lambda table, ids: table[ids] * (ids > 0)[..., None])
def lookup(table, ids):
    """Rows of a table [N+1, D] for ids [...] -> [..., D]; id 0 gives zeros and no gradient."""
    out = table.take(ids, axis=0)
    out[ids == 0] = 0

    def backward(g):
        at, g = np.flatnonzero(ids), np.reshape(g, (-1, table.shape[1]))
        return table_gradient(table, ids.ravel()[at], g[at]), None

    return out, backward


def value_and_grad(f, rows=False):
    """f(params, *rest) -> scalar as a function that returns (value, gradients as a tree).

    Every array is a root of autograd's trace, so that no gradient is added into a tree of zeros.
    rows=True leaves the gradients of tables as Rows where they are.
    """
    def both(params, *rest):
        if FORMS["plain"] or device_of(params) != "cpu":
            return autograds(f)(params, *rest)
        with tracer.trace_stack.new_trace() as trace:
            roots = tree_map(lambda array: new_box(array, trace, VJPNode.new_root()), params)
            out = f(roots, *rest)
        found = pass_back(out, {root._node for _, root in leaves(roots)})
        return out._value, tree_map(
            lambda root: total(found.get(root._node, []), root._value, rows), roots)

    return both


def pass_back(out, roots):
    """The parts of the gradient of each root, still to be summed.  -> {root: list}."""
    waiting, found = {out._node: (np.ones_like(out._value), False)}, {}
    for at in toposort(out._node):
        if at not in roots:
            for parent, part in zip(at.parents, at.vjp(waiting.pop(at)[0]), strict=True):
                if parent in roots:
                    found.setdefault(parent, []).append(part)
                else:
                    waiting[parent] = add_outgrads(waiting.get(parent), part)
    return found


def total(parts, array, rows):
    """The sum of the parts of a gradient: Rows if all of them are and `rows` is True."""
    if rows and parts and all(isinstance(part, Rows) for part in parts):
        ids, values = (np.concatenate([getattr(part, name) for part in parts])
                       for name in ("ids", "values"))
        return Rows(parts[0].vs, *sum_rows(ids, values)) if len(parts) > 1 else parts[0]
    return reduce(add_outgrads, parts, None)[0] if parts else np.zeros_like(array)


def add_shards(params, found):
    """The sum of what `value_and_grad` gave for each shard of a batch.  -> value, gradients."""
    if len(found) == 1:
        return found[0]
    values, grads = zip(*found, strict=True)
    return sum(values), tree_map(lambda array, *parts: total(parts, array, True), params, *grads)
