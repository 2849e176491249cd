"""A known fault: a component with one thing wrong, as people write it, and two ways to make one.

The faults.py of every family lists its faults by component; kill_matrix.py finds which cases catch
them.
"""
from collections.abc import Callable
from typing import NamedTuple

import mbref


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
