"""Is an array right?  |got - want| <= tolerance * max(max |want|, floor * largest of its group).

An element-wise bound would fail right float32 results. The floor is for arrays that are 0 in
theory, such as the gradient of a bias that a softmax cancels: of float32, rounding of some 1e-7 of
the largest is left. Groups are taps, outputs, grads and steps. Whole numbers and booleans must be
equal. Where a tap's expected value is NaN (padding), nothing is compared; elsewhere it must be NaN.
"""
from typing import NamedTuple

import numpy as np

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
METRIC_TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
FLOOR = {"float64": 1e-3, "float32": 1e-2, "bfloat16": 0.1, "tf32": 0.1}
REDUCED = ("bfloat16", "tf32")  # whose tolerances are measured, one a component: in the manifest


class Row(NamedTuple):
    """How one array compares."""
    name: str
    error: float        # largest absolute difference; inf if shapes differ or one is not finite
    index: tuple        # where
    times: float        # error over what is allowed: at most 1 is right
    problem: str = ""   # "shape (3, 2) instead of (2, 3)", "not finite"


def tolerance(kind, dtype):
    """Relative to the scale of an array.  kind: of the component."""
    return (METRIC_TOLERANCE if kind == "metric" else TOLERANCE)[dtype]


def compare(want, got, relative, floor=FLOOR["float64"]):
    """Compare the arrays that were offered, in the order of `want`, by path.  -> list of Row."""
    largest = {}
    for key, a in want.items():
        largest[group(key)] = max(largest.get(group(key), 0.0), scale_of(a))
    return [row(key, a, np.asarray(got[key]), relative, floor * (largest[group(key)] or 1.0))
            for key, a in want.items() if key in got]


def group(key):
    """"grads/params/w" -> "grads"."""
    return key.partition("/")[0]


def scale_of(a):
    """The largest |number| of an array; 0 if there is none."""
    a = np.abs(a[~np.isnan(a)]) if a.dtype.kind == "f" else np.abs(a.astype(float))
    return float(a.max(initial=0))


def row(name, want, got, relative, floor):
    """One array.  -> Row."""
    if got.shape != want.shape:
        return Row(name, np.inf, (), np.inf, f"shape {got.shape} instead of {want.shape}")
    if got.dtype.kind not in "fiub":
        return Row(name, np.inf, (), np.inf, f"{got.dtype} is no array of numbers")
    exact = want.dtype.kind != "f"
    looked_at = got != want if exact else ~np.isnan(want)
    defined = ~looked_at & ~np.isnan(got) & (not exact and group(name) != "taps")
    broken = looked_at & ~np.isfinite(got)
    error = np.where(looked_at,
                     np.maximum(np.abs(got.astype(float) - want.astype(float)), float(exact)), 0.0)
    error[defined | broken] = np.inf
    if not error.any():
        return Row(name, 0.0, (), 0.0)
    at = np.unravel_index(error.argmax(), error.shape)
    worst, allowed = float(error[at]), 0.0 if exact else relative * max(scale_of(want), floor)
    times = worst / allowed if allowed else np.inf
    problem = "a number where NaN is right" if defined[at] else "not finite" if broken[at] else ""
    return Row(name, worst, tuple(map(int, at)), times, problem)
