"""The registry: every component by its name, with mbref's own function, its equation, and what is differentiated.

A function is f(params, inputs, tap) -> {output: array}. In an implementer's file dots become underscores.
"""
from collections.abc import Callable
from typing import NamedTuple

from mbref.check.functions import hmar, shared


class Component(NamedTuple):
    """One row of the registry."""

    function: Callable           # mbref's side; its docstring says shapes and config
    equation: str                # of the paper
    differentiate: tuple = ()    # inputs with a gradient; all floats of params have one in any case
    kind: str = "values"         # "metric": the tolerance is 1e-12; "model": a loss, with ten steps of training


VASWANI, HMAR = "Vaswani et al. 2017", "HMAR"

SHARED = {
    "layers.dense": Component(shared.dense, "x W + b", ("x",)),
    "layers.lookup": Component(shared.lookup, "rows of an embedding table"),
    "layers.layer_norm": Component(shared.layer_norm, "Ba et al. 2016", ("x",)),
    "masks.causal": Component(shared.causal, f"{VASWANI}, section 3.2.3"),
    "masks.behaviour": Component(shared.behaviour, f"{HMAR} step (3), M_b"),
    "masks.same_behaviour": Component(shared.same_behaviour, f"{HMAR} step (3)"),
    "attention.masked_softmax": Component(shared.masked_softmax, f"{VASWANI} eq. 1", ("scores",)),
    "attention.attention": Component(shared.attention, f"{VASWANI} eq. 1", ("q", "k", "v")),
    "losses.sigmoid_cross_entropy": Component(shared.sigmoid_cross_entropy, "ATRank step (7)", ("logits",)),
    "losses.cross_entropy": Component(shared.cross_entropy, "HierSRec step (5)", ("logits",)),
    "losses.masked_mean": Component(shared.masked_mean, "means over real events", ("values",)),
}

HMAR_TABLE = {
    "hmar.behaviour_mask": Component(hmar.behaviour_mask, f"{HMAR} step (3)"),
    "hmar.code": Component(hmar.code, f"{HMAR} steps (1), (2)", ("item_code", "counts")),
    "hmar": Component(hmar.model, f"{HMAR} steps (1)-(7)", kind="model"),
}

REGISTRY = {**SHARED, **HMAR_TABLE}


def own_functions():
    """mbref's side of all components.  -> {component: function}."""
    return {name: component.function for name, component in REGISTRY.items()}
