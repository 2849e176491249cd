"""Run an implementation on golden cases and judge what comes back."""
import importlib.util
import os
import traceback
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.check import casefile
from mbref.check.adapters import ADAPTERS, DESCENTS
from mbref.check.compare import FLOOR, FLOOR_FLOAT32, Row, compare, group, tolerance
from mbref.errors import InputError, require

STEPS = 10
PACKAGE = str(Path(__file__).parents[1])
RANDOM = "it returns other numbers every time: is dropout left on?"


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
    def wrong(self):
        """The rows of arrays that are wrong."""
        return [row for row in self.rows if not row.times <= 1]

    @property
    def worst(self):
        """The row that is furthest off."""
        return max(self.rows, key=lambda row: row.times)

    @property
    def failures(self):
        """Names of the arrays that are wrong or missing."""
        return [row.name for row in self.wrong] + self.missing

    @property
    def passed(self):
        """Is everything required here, and right?"""
        return not self.failures

ASSIGNED = ("values were assigned into an array, which cannot be differentiated: build the array "
            "by np.stack or np.where")


def load_implementation(path):
    """A Python file of functions named after components, hmar_code for "hmar.code".

    -> ({component: function}, backend). BACKEND in the file is "numpy" (if it is not there),
    "torch" or "jax". The functions get the settings that a case leaves out, too. Raises InputError
    if the file cannot be imported, names another backend, or has no such function.
    """
    module = import_file(Path(path))
    backend = getattr(module, "BACKEND", "numpy")
    require(backend in ADAPTERS,
            f"BACKEND in {path} is {backend!r}: choose one of {', '.join(ADAPTERS)}.")
    found = {name: getattr(module, name.replace(".", "_"), None)
             for name in casefile.manifest()["components"]}
    functions = {name: partial(call_with_settings, name, function)
                 for name, function in found.items() if callable(function)}
    require(functions, f"{path} has no function with the name of a component, such as "
                       "hmar_behaviour_mask: python -m mbref cases lists them.")
    return functions, backend


def call_with_settings(component, function, params, inputs, tap):
    """`function` with inputs among which are all settings of its component."""
    return function(params, casefile.settings(component) | inputs, tap)


def import_file(path):
    """The module in a file.  Raises InputError if it cannot be imported."""
    require(not path.is_dir(), f"{path} is a folder: give a Python file of functions.")
    require(path.is_file(), f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    require(spec is not None, f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's file does, in one sentence
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path} cannot be imported ({what}).") from error
    return module


def run_case(case, function, backend="numpy", dtype="float64", gradients=True, root=casefile.ROOT,
             steps=True):
    """One case, or without `steps` what comes before training.  -> Result; what `function` raises
    ends up in its note."""
    everything = casefile.arrays(case, root)
    want = casefile.answers(everything, gradients, steps)
    try:
        # an overflow that matters shows in what comes back
        with np.errstate(all="ignore"), forbid_exit():
            got = compute(case, everything, want, function, backend, dtype)
            result = judge(case, want, got, dtype)
            if not result.wrong:
                return result
            forward = casefile.answers(everything, gradients=False)
            again = compute(case, everything, forward, function, backend, dtype)
            return result if alike(got, again) else result._replace(note=RANDOM)
    except (Exception, SystemExit) as error:  # the function may raise anything; others must go on
        raised = describe_error(error, backend)
    if len(want) > len(casefile.answers(everything, gradients=False)):
        forward = run_case(case, function, backend, dtype, False, root)
        if forward.rows:  # it is the gradients that raise
            cause = ASSIGNED if "setting an array element with a sequence" in raised else raised
            note = f"no gradients ({cause}); --forward-only does without"
            return judge(case, want, forward.got, dtype)._replace(note=note)
    return fail(case, want, dtype, f"it raised {raised}")


def alike(got, again):
    """Are these the same outputs, as far as both have them?"""
    names = [name for name in again if name in got and group(name) == "outputs"]
    return all(np.array_equal(got[name], again[name], equal_nan=got[name].dtype.kind == "f")
               for name in names)


def describe_error(error, backend):
    """What a function raised, and the last line of its own file that was running.  -> text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith((PACKAGE, "<"))
              and "site-packages" not in frame.filename]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    needs_torch = backend == "numpy" and "Tensor" in str(error)
    advice = '; the file lacks BACKEND = "torch"' if needs_torch else ""
    return f"{type(error).__name__}: {error}{where}{advice}"


@contextmanager
def forbid_exit():
    """os._exit raises, since a function that ends the process would hide its own failure."""
    def exit(code):
        raise SystemExit(f"it called os._exit({code})")

    kept, os._exit = os._exit, exit
    try:
        yield
    finally:
        os._exit = kept


def compute(case, everything, want, function, backend, dtype):
    """Taps, outputs, gradients and ten steps of an implementation.  -> dict by path."""
    adapter, inputs = ADAPTERS[backend], casefile.part(everything, "inputs") | case.config
    params, cotangents = (casefile.part(everything, name) for name in ("params", "cotangents"))
    differentiate = set(casefile.part(want, "grads"))
    found = adapter(function, params, inputs, cotangents, differentiate, dtype)
    got = {f"{name}/{k}": a for name, arrays in zip(casefile.EXPECTED, found, strict=False)
           for k, a in arrays.items()}
    _, outputs, grads = found
    if "steps/losses" in want and grads:
        losses = outputs.get("losses")  # an implementation may train by itself
        got["steps/losses"] = (DESCENTS[backend](function, params, inputs, dtype, STEPS)
                               if losses is None else losses)
    return got


def judge(case, want, got, dtype, problems=()):
    """Compare `got` with a case's arrays.  problems: {name: why it cannot be read}.  -> Result."""
    floor, problems = FLOOR if dtype == "float64" else FLOOR_FLOAT32, dict(problems)
    rows = {row.name: row for row in compare(want, got, tolerance(case.kind, dtype), floor)}
    rows |= {key: Row(key, np.inf, (), np.inf, why) for key, why in problems.items() if key in want}
    others = [key for key in (*got, *problems) if is_unknown(key, want)]
    note = f"unknown names: {', '.join(others)}" if others else name_dtype(want, got, dtype)
    absent = [key for key in want if key not in rows]
    in_order = [rows[key] for key in want if key in rows]
    return Result(case, dtype, in_order, absent, drop_taps(absent), note, got)


def name_dtype(want, got, dtype):
    """Floats among the outputs that have another dtype than was asked for: a sentence, or ""."""
    arrays = [np.asarray(got[key]) for key in got if key.startswith("outputs/") and key in want
              and want[key].dtype.kind == "f"]
    names = {a.dtype.name for a in arrays if a.dtype.kind == "f"} - {dtype}
    counted = dtype == "float32" and "grads" not in map(group, want)  # from whole numbers
    if len(names) != 1 or counted:
        return ""
    name = names.pop()
    return f"it returned {name} where {dtype} was asked for: --dtype {name} compares as that"


def drop_taps(names):
    """Those of some arrays that may not be left out."""
    return [name for name in names if group(name) != "taps"]


def require_all(result):
    """The Result with taps required, too: mbref itself has all that it asks for."""
    return result._replace(missing=result.not_offered)


def is_unknown(key, want):
    """Is this none of a case's names? What was given, and groups not compared, are let through."""
    if key in want or key == "outputs/losses" or group(key) in casefile.GIVEN:
        return False
    return group(key) not in casefile.EXPECTED or group(key) in map(group, want)


def fail(case, want, dtype, why):
    """The Result of an implementation from which nothing came.  why: a sentence."""
    return Result(case, dtype, [], list(want), drop_taps(want), why)


def run(functions, backend, chosen, dtypes, gradients=True):
    """All chosen cases that have a function, component by component.  -> iterator of Result.

    Ctrl-C fails the case that it finds, and ends the run.
    """
    for case, dtype, steps in list_jobs(functions, chosen, dtypes):
        try:
            result = run_case(case, functions[case.component], backend, dtype, gradients,
                              steps=steps)
        except KeyboardInterrupt:
            yield stop(case, dtype, gradients, "it was interrupted")
            return
        yield result


def list_jobs(functions, chosen, dtypes):
    """(case, dtype, whether to take ten steps): these follow from gradients, so one dtype will do.
    """
    dtypes = list(dtypes)
    return [(case, dtype, dtype == dtypes[0]) for case in chosen for dtype in dtypes
            if case.component in functions and is_for(case, dtype)]


def is_for(case, dtype):
    """Can this dtype hold what the case is about?"""
    return dtype == "float64" or "Float64" not in case.flags


def stop(case, dtype, gradients, why):
    """The Result of a case that did not end by itself."""
    return fail(case, casefile.answers(casefile.arrays(case), gradients), dtype, why)
