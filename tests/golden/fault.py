"""A known fault: a component with one thing wrong, as people write them, and two ways to plant it.

The faults.py of every family lists its faults by component; kill_matrix.py finds which cases catch
them.
"""
from collections.abc import Callable
from typing import NamedTuple


class Fault(NamedTuple):
    """A component with one thing wrong."""

    name: str             # as a person would say it
    component: str
    function: Callable    # f(params, inputs, tap) -> {output: array}, as the right one


def planted(function, module, **changed):
    """`function` while some names of `module` mean something else.  -> f(params, inputs, tap)."""
    def faulty(params, inputs, tap):
        kept = {name: getattr(module, name) for name in changed}
        vars(module).update(changed)
        try:
            return function(params, inputs, tap)
        finally:
            vars(module).update(kept)
    return faulty


def fed(function, change):
    """`function` of other inputs: change(inputs) gives those that are other.  -> f(params, inputs, tap)."""
    return lambda params, inputs, tap: function(params, inputs | change(inputs), tap)
