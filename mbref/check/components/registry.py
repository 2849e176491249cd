"""mbref's own function of every component.

A component is a function f(params, inputs, tap) -> {output: array} in a module of this folder:
`code` of hmar.py is "hmar.code", `model` the model "hmar".
"""
import inspect
from importlib import import_module

FAMILIES = {  # and the modules that hold their components
    "layers": ("layers",), "masks": ("masks",), "attention": ("attention",), "losses": ("losses",),
    "optim": ("optim",), "metrics": ("metrics",), "hmar": ("hmar", "hmar_released"),
    "atrank": ("atrank", "atrank_groups"), "dmran": ("dmran",),
    "hiersrec": ("hiersrec", "candidates"),
}


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
