"""Run an implementation on golden cases and judge what comes back."""
import multiprocessing
import os
import runpy
import signal
import sys
import traceback
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from mbref.check import casefile
from mbref.check.adapters import ADAPTERS, DESCENTS
from mbref.check.compare import FLOOR, REDUCED, Row, compare, group, tolerance
from mbref.errors import InputError, require

STEPS = 10
MOST_SAID = 1000  # characters of what was raised
PACKAGE = str(Path(__file__).parents[1])
RANDOM = "it returns other numbers every time: is dropout left on?"
ASSIGNED = ("values were assigned into an array, which cannot be differentiated: build the array "
            "by np.stack or np.where")
# what reduced precision cannot hold apart, as it rounds to 3 or 4 digits
TOO_FINE = {"LargeValues", "LowVariance", "Far", "Float64"}
WITHOUT = "without them: gradients=False in check, --forward-only on the command line"


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


def load_implementation(path):
    """A Python file of functions named after components, hmar_code for "hmar.code".

    -> ({component: function}, backend). BACKEND in the file is "numpy" (if it is not there),
    "torch" or "jax". The functions get the settings that a case leaves out, too. Raises InputError
    if the file cannot be imported, names another backend, or has no such function.
    """
    content = import_file(Path(path))
    backend = content.get("BACKEND", "numpy")
    require(isinstance(backend, str) and backend in ADAPTERS,
            f"BACKEND in {path} is {backend!r}: choose one of {', '.join(ADAPTERS)}.")
    require(find_spec(backend), f"{path} needs {backend}, which is not here: install it.")
    names = casefile.component_names()
    functions = {names[own]: partial(call_with_settings, names[own], content[own])
                 for own in names if callable(content.get(own))}
    close = dict.fromkeys(casefile.find_misspelt(path).values())
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    require(functions, f"{path} has no function with the name of a component, such as hmar_code: "
                       f"{meant}python -m mbref cases lists them.")
    return functions, backend


def call_with_settings(component, function, params, inputs, tap):
    """`function` with inputs among which are all settings of its component."""
    return function(params, casefile.settings(component) | inputs, tap)


def import_file(path):
    """What a Python file defines.  -> dict. Raises InputError if it cannot be imported."""
    require(not path.is_dir(), f"{path} is a folder: give a Python file of functions.")
    require(path.is_file(), f"there is no file {path}.")
    require(path.suffix == ".py", f"{path} is no Python file: its name must end in .py.")
    try:
        here = [str(path.parent.resolve()), *sys.path]  # as when Python runs the file
        with mock.patch.object(os, "_exit", refuse_exit), mock.patch.object(sys, "path", here):
            return runpy.run_path(str(path))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's file does, in one sentence
        raise InputError(f"{path} cannot be imported ({describe_raised(error)}).") from error


def run_case(case, function, backend="numpy", dtype="float64", gradients=True, steps=True):
    """One case, or without `steps` what comes before training.  -> Result; what `function` raises
    ends up in its note."""
    everything = casefile.arrays(case)
    want = casefile.answers(everything, gradients, steps)
    plain = casefile.answers(everything, gradients=False)
    try:
        # an overflow that matters shows in what comes back
        with np.errstate(all="ignore"), mock.patch.object(os, "_exit", refuse_exit):
            got = compute(case, everything, want, function, backend, dtype)
            result = judge(case, want, got, dtype)
            if not result.wrong:
                return result
            again = compute(case, everything, plain, function, backend, dtype)
            same = all(name in got and np.array_equal(got[name], a, equal_nan=a.dtype.kind == "f")
                       for name, a in again.items() if group(name) == "outputs")
            return result if same else result._replace(note=RANDOM)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the function may raise anything; others must go on
        raised = describe_error(error, backend)
    if len(want) > len(plain):
        forward = run_case(case, function, backend, dtype, gradients=False)
        if forward.rows:  # it is the gradients that raise
            cause = ASSIGNED if "setting an array element with a sequence" in raised else raised
            note = f"no gradients ({cause}); {WITHOUT}"
            return judge(case, want, forward.got, dtype)._replace(note=note)
    return judge(case, want, {}, dtype)._replace(note=f"it raised {raised}")


def describe_error(error, backend):
    """What a function raised, and the last line of its own file that was running.  -> text."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith((PACKAGE, "<"))
              and "site-packages" not in frame.filename]
    where = ""
    if frames:  # a notebook's cell has a number for a name
        path, line = frames[-1].filename, frames[-1].lineno
        where = f" ({'the cell' if 'ipykernel_' in path else Path(path).name}, line {line})"
    raised = describe_raised(error)
    advice = ""
    if backend == "numpy" and "Tensor" in raised:
        advice = '; set BACKEND = "torch" in a file, backend="torch" in check'
    elif not frames and "positional argument" in raised:  # it was not called as it is written
        advice = "; in a file every function takes (params, inputs, tap)"
    return f"{raised}{where}{advice}"


def describe_raised(error):
    """What was raised, on one line of at most MOST_SAID characters; its own words may fail."""
    try:
        words = " ".join(str(error).split())
    except Exception:
        words = "(no words)"
    return f"{type(error).__name__}: {words}"[:MOST_SAID]


def refuse_exit(code):
    """In place of os._exit: what ends the process would hide its own failure."""
    raise SystemExit(f"it called os._exit({code})")


def compute(case, everything, want, function, backend, dtype):
    """Taps, outputs, gradients and ten steps of an implementation.  -> dict by path."""
    params, inputs, cotangents = (casefile.part(everything, name)
                                  for name in ("params", "inputs", "cotangents"))
    inputs, free = inputs | case.config, set(casefile.part(want, "grads"))
    found = ADAPTERS[backend](function, params, inputs, cotangents, free, dtype)
    got = {f"{name}/{k}": a for name, arrays in zip(casefile.EXPECTED, found, strict=False)
           for k, a in arrays.items()}
    _, outputs, grads = found
    if "steps/losses" in want and grads:  # of which the first step follows
        rate = inputs["rate"] / cotangents["loss"]
        params = {k: a - rate * grads[f"params/{k}"] for k, a in params.items()}
        losses = outputs.get("losses")  # an implementation may train by itself
        got["steps/losses"] = np.append(outputs["loss"], DESCENTS[backend](
            function, params, inputs, dtype, STEPS - 1)) if losses is None else losses
    return got


def judge(case, want, got, dtype, problems=()):
    """Compare `got` with a case's arrays.  problems: {name: why it cannot be read}.  -> Result."""
    problems = dict(problems)
    rows = {row.name: row for row in compare(want, got, *allow(case, dtype))}
    rows |= {key: Row(key, np.inf, (), np.inf, why) for key, why in problems.items() if key in want}
    free = {*casefile.GIVEN, *casefile.EXPECTED} - set(map(group, want))  # not compared
    others = [key for key in (*got, *problems)
              if not (key in want or group(key) in free or key == "outputs/losses")]
    note = f"unknown names: {', '.join(others)}" if others else name_dtype(want, got, dtype)
    absent = [key for key in want if key not in rows]
    required = [key for key in absent if group(key) != "taps"]
    in_order = [rows[key] for key in want if key in rows]
    return Result(case, dtype, in_order, absent, required, note, got)


def allow(case, dtype):
    """Tolerance and floor of a case's arrays."""
    relative = measured(case)[dtype] if dtype in REDUCED else tolerance(case.kind, dtype)
    return relative, FLOOR[dtype]


def measured(case):
    """Tolerances of a case's component in reduced precision; none where nothing is rounded."""
    return casefile.manifest()["components"][case.component].get("reduced", {})


def name_dtype(want, got, dtype):
    """Floats among the outputs that have another dtype than was asked for: a sentence, or ""."""
    names = {got[key].dtype.name for key, a in want.items() if group(key) == "outputs"
             and key in got and a.dtype.kind == got[key].dtype.kind == "f"}
    names -= {"float32" if dtype in REDUCED else dtype}
    counted = dtype == "float32" and "grads" not in map(group, want)  # from whole numbers
    if len(names) != 1 or counted:
        return ""
    name, = names
    return f"it returned {name} where {dtype} was asked for: --dtype {name} compares as that"


def fail(case, dtype, gradients, why):
    """The Result of a case from which nothing came.  why: a sentence."""
    want = casefile.answers(casefile.arrays(case), gradients)
    return judge(case, want, {}, dtype)._replace(note=why)


def run(functions, backend, chosen, dtypes, gradients=True):
    """Results of all chosen cases that have a function."""
    for case, dtype, steps in list_jobs(functions, chosen, dtypes):
        yield run_case(case, functions[case.component], backend, dtype, gradients, steps)


def list_jobs(functions, chosen, dtypes):
    """(case, dtype, whether to train): steps follow from gradients, so one dtype will do."""
    dtypes = list(dtypes)
    return [(case, dtype, dtype == dtypes[0] and dtype not in REDUCED)
            for case in chosen for dtype in dtypes
            if case.component in functions and is_for(case, dtype)]


def refuse_rounding(backend, dtypes):
    """Raise InputError where NumPy is to round to fewer bits than it can."""
    require(backend != "numpy" or not set(REDUCED) & set(dtypes), "NumPy rounds neither to "
            f"{' nor to '.join(REDUCED)}: give functions for another BACKEND, or --results.")


def is_for(case, dtype):
    """Can this dtype hold what the case is about?"""
    if dtype in REDUCED:
        return dtype in measured(case) and not TOO_FINE & set(case.flags)
    return dtype == "float64" or "Float64" not in case.flags


def run_apart(functions, backend, chosen, dtypes, gradients, seconds):
    """As `run` in a child process, so that a case that ends it, or takes longer than `seconds`,
    loses no other. Raises InputError where a process cannot be forked."""
    require("fork" in multiprocessing.get_all_start_methods(),
            "--timeout needs a system that forks processes, such as Linux: leave it out.")
    context, jobs = multiprocessing.get_context("fork"), list_jobs(functions, chosen, dtypes)
    while jobs:
        here, there = context.Pipe(duplex=False)
        args = there, functions, backend, jobs, gradients
        child = context.Process(target=send_results, args=args, daemon=True)
        child.start()
        there.close()
        why = ""
        try:
            while jobs and not why:
                (case, dtype, _), *jobs = jobs
                result, why = receive(child, here, seconds)
                yield result or fail(case, dtype, gradients, why)
        finally:  # whoever asks may have seen enough
            child.kill()
            child.join()


def send_results(pipe, functions, backend, jobs, gradients):
    """The child's part; signals are for the parent, which kills it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for case, dtype, steps in jobs:
        pipe.send(run_case(case, functions[case.component], backend, dtype, gradients, steps))


def receive(child, pipe, seconds):
    """The child's next Result, or None and why there is none."""
    try:
        if pipe.poll(seconds):
            return pipe.recv(), ""
    except EOFError:
        child.join()
        return None, f"it ended the process with exit code {child.exitcode}"
    return None, f"it took more than {seconds:g} s"
