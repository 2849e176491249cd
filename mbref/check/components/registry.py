"""mbref's own function of every component.

A component is a function f(params, inputs, tap) -> {output: array} in a module of this folder,
whose docstring says shapes and settings: `code` of hmar.py is "hmar.code", `model` the whole model
"hmar".
"""
import inspect

from mbref.check.components import (
    atrank,
    atrank_groups,
    attention,
    candidates,
    dmran,
    hiersrec,
    hmar,
    hmar_released,
    layers,
    losses,
    masks,
    metrics,
    optim,
)

FAMILIES = {
    layers: "layers", masks: "masks", attention: "attention", losses: "losses", optim: "optim",
    metrics: "metrics", hmar: "hmar", hmar_released: "hmar", atrank: "atrank",
    atrank_groups: "atrank", dmran: "dmran", hiersrec: "hiersrec", candidates: "hiersrec",
}


def own_functions():
    """mbref's side of all components.  -> {component: function}."""
    return {name_component(family, function.__name__): function
            for module, family in FAMILIES.items()
            for _, function in inspect.getmembers(module, is_component)}


def is_component(member):
    """Is this a function of (params, inputs, tap)?"""
    return (inspect.isfunction(member)
            and list(inspect.signature(member).parameters) == ["params", "inputs", "tap"])


def name_component(family, name):
    """"hmar" and "code" -> "hmar.code"; "hmar" and "model" -> "hmar"."""
    return family if name == "model" else f"{family}.{name}"
