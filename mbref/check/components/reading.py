"""How mbref's side of a component is written, as a function that names what it reads, and found.

A component is a function f(params, inputs, tap) -> {output: array} in a module of this folder:
`code` of hmar.py is "hmar.code", `model` the model "hmar". What it takes and gives, with shapes
and settings, is its `about` in the manifest.
"""
import inspect
from dataclasses import fields
from importlib import import_module

import autograd.numpy as np
from autograd.tracer import getval

from mbref.nn.layers import ignore

FAMILIES = {  # and the modules that hold their components
    "layers": ("layers",), "masks": ("masks",), "attention": ("attention",), "losses": ("losses",),
    "optim": ("optim",), "metrics": ("metrics",), "hmar": ("hmar", "hmar_released"),
    "atrank": ("atrank", "atrank_groups"), "dmran": ("dmran",),
    "hiersrec": ("hiersrec", "candidates"),
}


def component(*outputs):
    """Make f(params, inputs, tap) -> {output: array} of a function of some of these by name.

    Its arguments are params, inputs, tap and single inputs. It returns the output of this name, or
    as many as there are names, or without any the whole dict.
    """
    def make(function):
        names = list(inspect.signature(function).parameters)

        def call(params, inputs, tap):
            given = {**inputs, "params": params, "inputs": inputs, "tap": tap}
            found = function(*(given[name] for name in names))
            if not outputs:
                return found
            return dict(zip(outputs, found if len(outputs) > 1 else [found], strict=True))

        return call
    return make


def take(inputs, names):
    """The inputs of some names, which stand apart by spaces.  -> list."""
    return [inputs[name] for name in names.split()]


def config_of(kind, inputs, **more):
    """A Config of the plain numbers and words among the inputs; `more` is what these leave out."""
    names = {field.name for field in fields(kind)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in inputs.items()
             if k in names and isinstance(v, bool | int | float | str | list)}
    return kind(**{**more, **given})


def where_real(tap, real):
    """A tap that shows NaN at padding.  real [B, T]: the first axes, of weights the queries."""
    if tap is ignore:  # models then run their fast forms
        return tap

    def show(name, a):
        a = getval(a)
        is_real = real[:, None, :] if name.endswith("weights") else real
        is_real = np.expand_dims(is_real, tuple(range(is_real.ndim, a.ndim)))
        tap(name, np.where(is_real, a, np.nan))
    return show


def own_functions():
    """mbref's side of all components, which imports every model.  -> {component: function}."""
    found = {}
    for family, names in FAMILIES.items():
        for name in names:
            module = import_module(f"mbref.check.components.{name}")
            for part, function in inspect.getmembers(module, inspect.isfunction):
                if list(inspect.signature(function).parameters) == ["params", "inputs", "tap"]:
                    found[family if part == "model" else f"{family}.{part}"] = function
    return found
