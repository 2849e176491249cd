"""python -m mbref parity: do our functions compute what the authors' releases computed?

A recorded state is an .npz of one state of a release: its parameters and inputs, and what the
release made of them (outputs, intermediate activations, gradients, the parameters after optimiser
steps). All is computed anew from parameters and inputs, in float64, and compared array by array.
"""
import json
from typing import NamedTuple

import numpy as np

from mbref.check import compare
from mbref.data import shipped
from mbref.data.arrays import read_arrays
from mbref.data.sequences import NO_NPZ
from mbref.errors import InputError, require
from mbref.released.atrank import recorded as atrank_recorded
from mbref.released.hmar import recorded as hmar_recorded

RECOMPUTE = {"atrank": atrank_recorded.recompute, "hmar": hmar_recorded.recompute}  # of releases
GIVEN = ("meta", "inputs", "params")  # groups of arrays that are read, not computed
STATE = {"meta/*": ("U", 0), "[!m]*": ("biuf", None)}  # kinds and axes of what a file holds
MOST_STEPS = 1000  # of an optimiser, that a state may record
FLOOR = compare.FLOOR["float64"]  # of the largest of a group: what smaller arrays are measured by


class Row(NamedTuple):
    """One array of a file."""
    name: str
    shape: tuple
    verdict: str           # "ok", or what is wrong, or why it is left out
    ok: bool | None        # None: left out
    error: float | None = None    # largest difference, relative to scale
    allowed: float | None = None


def run(options):
    """`parity`: the files that were named, or all recorded states that come with mbref.

    Prints one row an array, once all are read.  -> 0 if all agree, else 1.
    """
    folder = shipped.oracles()
    files = options.files or sorted(folder.glob("*.npz"))
    require(files, f"{folder} holds no recorded states: {shipped.mend(folder)}.")
    reports = [check(path) for path in files]
    for path, (title, rows) in zip(files, reports, strict=True):
        print(f"{path}: {title}\n{table(rows)}\n")
    compared = [row.ok for _, rows in reports for row in rows if row.ok is not None]
    print(f"{sum(compared)} of {len(compared)} arrays agree")
    return 0 if all(compared) else 1


def check(path):
    """Recompute one file.  -> (its kind and type, rows). Raises InputError."""
    arrays = read(path)
    try:
        kind, config, dtype = about(arrays)
        rows = compare_all(arrays, RECOMPUTE[kind.split("/")[0]](arrays, config), dtype)
        require(rows, "it holds nothing to compare, only inputs and parameters.")
    except MemoryError:
        raise
    except Exception as error:  # there is no end of what may not fit
        words = {InputError: "{}", KeyError: "{} is missing."}.get(
            type(error), "its arrays do not fit together ({}).")
        raise InputError(f"{path} cannot be recomputed: {words.format(error)}") from error
    return f"{kind}, {dtype}", rows


def read(path):
    """All arrays of an .npz by name. Raises InputError if it is none, or damaged."""
    try:
        return read_arrays(path, STATE)
    except NO_NPZ as error:
        reason = getattr(error, "strerror", None) or f"no .npz file, or a damaged one: {error}"
        raise InputError(f"{path} cannot be read ({reason}): "
                         "give a recorded state of a release.") from error


def about(arrays):
    """meta/release, meta/config and meta/dtype. Raises InputError for unknown ones."""
    kind, text, dtype = (str(arrays[f"meta/{name}"]) for name in ("release", "config", "dtype"))
    known = " or ".join(RECOMPUTE)
    require(kind.split("/")[0] in RECOMPUTE, f"meta/release is {kind}, not of {known}.")
    require(dtype in ("float32", "float64"), f"meta/dtype is {dtype}, not float32 or float64.")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"meta/config is no JSON ({error}).") from error
    steps = [name.split("/")[1] for name in arrays if name.startswith("after/")]
    require(all(len(step) < 5 and step.isdecimal() and int(step) <= MOST_STEPS for step in steps),
            f"after/N must say after which step, at most {MOST_STEPS}.")
    require(isinstance(config, dict), "meta/config is JSON, but no object with names and values.")
    for name, array in arrays.items():
        if group_of(name) in ("inputs", "params"):
            finite = array.dtype.kind in "biuf" and np.all(np.isfinite(array))
            require(finite, f"{name} must hold finite numbers.")
    return kind, config, dtype


def group_of(name):
    """"outputs", "grads" ..., "after/1": what stands before an array's own name."""
    return "/".join(name.split("/")[: 2 if name.startswith("after/") else 1])


def compare_all(recorded, recomputed, dtype):
    """Rows of all `recorded` arrays that are results; dtype: what the release computed in."""
    largest = {}  # absolute value among the floating arrays of each group
    for name, array in recorded.items():
        if array.dtype.kind == "f":
            top = compare.scale_of(array[np.isfinite(array)])
            largest[group_of(name)] = max(largest.get(group_of(name), 0.0), top)
    names = [name for name in recorded if group_of(name) not in GIVEN or name in recomputed.arrays]
    return [row(name, recorded[name], recomputed, FLOOR * (largest.get(group_of(name)) or 1), dtype)
            for name in names]


def row(name, want, recomputed, floor, dtype):
    """The Row of one recorded array; `floor` is the least scale that its error is measured by."""
    if name in recomputed.left_out:
        return Row(name, want.shape, f"left out: {recomputed.left_out[name]}", None)
    is_float = want.dtype.kind == "f"
    if name in recomputed.bounds:  # a value between them is right
        got = np.clip(want, *recomputed.bounds[name])
    elif name in recomputed.arrays:
        got = np.asarray(recomputed.arrays[name])
    else:
        return Row(name, want.shape, "not computed", False)
    if is_float and not np.all(np.isfinite(want)):
        return Row(name, want.shape, "recorded value is not finite", False)
    allowed = 1e-9 * is_float
    if is_float and "float32" in (dtype, str(want.dtype)):  # the coarser; more after steps
        allowed = 1e-4 if name.startswith("after/") else 2e-5
    found = compare.row(name, want, got, allowed, floor)
    if found.problem:
        return Row(name, want.shape, found.problem, False)
    ok, error = found.times <= 1, found.times * allowed if is_float else found.error
    return Row(name, want.shape, "ok" if ok else "differs", ok, error, allowed)


def table(rows):
    """Rows as text in columns."""
    width = max(len(row.name) for row in rows)
    lines = [f"  {'array':{width}}  {'shape':12}  {'error':7}  allowed"]
    for row in rows:
        shape = "x".join(map(str, row.shape)) or "one"
        error, allowed = ("-" if x is None else f"{x:.1e}" for x in (row.error, row.allowed))
        lines.append(f"  {row.name:{width}}  {shape:12}  {error:7}  {allowed:7}  {row.verdict}")
    return "\n".join(lines)
