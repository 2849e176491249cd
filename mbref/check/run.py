"""Run an implementation on golden cases and judge what comes back."""
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.check import casefile
from mbref.check.adapters import ADAPTERS
from mbref.check.compare import FLOOR, FLOOR_FLOAT32, Row, compare, group, tolerance
from mbref.errors import InputError, require

STEPS = 10


class Result(NamedTuple):
    """What came of one case in one dtype."""

    case: casefile.Case
    dtype: str
    rows: list              # compare.Row of every array that was offered, in order
    not_offered: list       # names of expected arrays that were not
    missing: list           # those among them without which the case fails
    note: str = ""          # what was raised, or other names that were offered
    got: dict = {}          # the arrays that were offered

    @property
    def failures(self):
        """Names of the arrays that are wrong or missing."""
        return [row.name for row in self.rows if not row.times <= 1] + self.missing

    @property
    def passed(self):
        """Is everything required here, and right?"""
        return not self.failures


def load_implementation(path):
    """A Python file of functions named after components, hmar_code for "hmar.code".

    -> ({component: function}, backend). BACKEND in the file is "numpy" (if it is not there), "torch" or "jax".
    Raises InputError if the file cannot be imported, names another backend, or has no such function.
    """
    path = Path(path)
    require(not path.is_dir(), f"{path} is a folder: give a Python file of functions.")
    require(path.is_file(), f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    require(spec is not None, f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's file does, it is reported in one sentence
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path} cannot be imported ({what}).") from error
    backend = getattr(module, "BACKEND", "numpy")
    require(backend in ADAPTERS, f"BACKEND in {path} is {backend!r}: choose one of {', '.join(ADAPTERS)}.")
    known = casefile.manifest()["components"]
    functions = {name: f for name in known if callable(f := getattr(module, name.replace(".", "_"), None))}
    require(functions, f"{path} has no function with the name of a component, such as hmar_behaviour_mask: "
                       "python -m mbref cases lists them.")
    return functions, backend


def wanted(case, everything, gradients):
    """What is expected of this case; without gradients, the forward pass alone."""
    want = casefile.expected(everything)
    return want if gradients else {key: a for key, a in want.items() if group(key) in ("taps", "outputs")}


def run_case(case, function, backend="numpy", dtype="float64", gradients=True, root=casefile.ROOT):
    """One case.  -> Result; what `function` raises ends up in its note."""
    everything = casefile.arrays(case, root)
    want, forward = (wanted(case, everything, which) for which in (gradients, False))
    try:
        with np.errstate(all="ignore"):  # an overflow that matters shows in what comes back
            return judge(case, want, offered_by(case, everything, want, function, backend, dtype), dtype)
    except (Exception, SystemExit) as error:  # the function may raise anything, and the other cases must go on
        result = run_case(case, function, backend, dtype, False, root) if len(want) > len(forward) else None
        if result and result.rows:  # it is the gradients that raise
            note = f"no gradients ({type(error).__name__}: {error}); --forward-only does without"
            return judge(case, want, result.got, dtype)._replace(note=note)
        return failed(case, want, dtype, f"it raised {type(error).__name__}: {error}")


def offered_by(case, everything, want, function, backend, dtype):
    """Taps, outputs, gradients and ten steps of an implementation.  -> dict by path."""
    params, arrays, cotangents = (casefile.part(everything, name) for name in ("params", "inputs", "cotangents"))
    differentiate = {key.partition("/")[2] for key in want if group(key) == "grads"}
    inputs = arrays | case.config
    taps, outputs, grads = ADAPTERS[backend](function, params, inputs, cotangents, differentiate, dtype)
    got = {f"taps/{k}": a for k, a in taps.items()} | {f"outputs/{k}": a for k, a in outputs.items()}
    got |= {f"grads/{k}": a for k, a in grads.items()}
    if "steps/losses" in want and grads:
        got["steps/losses"] = outputs["losses"] if "losses" in outputs else ten_steps(
            ADAPTERS[backend], function, params, inputs, dtype)
    return got


def ten_steps(adapter, function, params, inputs, dtype):
    """Losses before each of ten steps of plain gradient descent, params - rate * gradient.  -> [10]."""
    losses, names = [], {f"params/{name}" for name in params}
    for _ in range(STEPS):
        _, outputs, grads = adapter(function, params, inputs, {"loss": np.ones(())}, names, dtype)
        losses.append(float(outputs["loss"]))
        params = {k: a - inputs["rate"] * grads[f"params/{k}"] for k, a in params.items()}
    return np.array(losses)


def judge(case, want, got, dtype, problems=()):
    """Compare the arrays `got` with those of a case.  problems {name: why it could not be read}.  -> Result."""
    floor, problems = FLOOR if dtype == "float64" else FLOOR_FLOAT32, dict(problems)
    rows = {row.name: row for row in compare(want, got, tolerance(case.kind, dtype), floor)}
    rows |= {key: Row(key, np.inf, (), np.inf, problem) for key, problem in problems.items() if key in want}
    absent = [key for key in want if key not in rows]
    missing = [key for key in absent if group(key) != "taps"]
    others = [key for key in (*got, *problems) if is_unknown(key, want)]
    note = f"unknown names: {', '.join(others)}" if others else ""
    return Result(case, dtype, [rows[key] for key in want if key in rows], absent, missing, note, got)


def is_unknown(key, want):
    """Is this none of a case's names? Groups that are not compared, and what was given, are let through."""
    if key in want or key == "outputs/losses" or group(key) in casefile.GIVEN:
        return False
    return group(key) not in casefile.EXPECTED or group(key) in map(group, want)


def failed(case, want, dtype, why):
    """The Result of an implementation from which nothing came.  why: a sentence."""
    required = [key for key in want if group(key) != "taps"]
    return Result(case, dtype, [], list(want), required, why)


def run(functions, backend, chosen, dtypes, gradients=True):
    """All chosen cases that have a function, component by component.  -> iterator of Result."""
    for case in chosen:
        for dtype in dtypes:
            if case.component in functions:
                yield run_case(case, functions[case.component], backend, dtype, gradients)
