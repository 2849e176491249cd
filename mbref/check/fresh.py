"""Cases that no file holds: drawn from a seed after the golden ones, answered by mbref at once.

They go round the SIZES and CHANGES of numbers that ports forget, with settings of golden cases
combined at random. A draw is let in if rounding of what is given, in another order of sums and
in float32, hardly moves its answers; else it is drawn again.
"""
import zlib
from contextlib import contextmanager, nullcontext

import autograd.numpy as anp
import numpy as np
from autograd.core import primitive_vjps
from autograd.extend import defvjp

from mbref.check import casefile, compare, run
from mbref.check.components.reading import own_functions
from mbref.check.inputs import CHANGES, draw_case
from mbref.check.layouts import LAYOUTS, PARAMS, SIZES
from mbref.errors import InputError, require
from mbref.nn import vjps

COUNT = 7      # of a component, after those of files: each of SIZES once
TRIES = 8      # of a kind, then comes the next
SHARE = 0.05   # of the tolerance that rounding may take
FAINT = 1e-6   # of the largest gradient: smaller ones may be rounding alone
SMALL = 1e-2   # of a loss: it may be the difference of numbers that nearly cancel
ROUNDING = {"float64": 3e-16, "float32": 1e-7}
# what is no setting of a model, but of data, or drawn with others
FIXED = {"tables", "groups", "group", "actions", "counts", "newest_only", "pairs", "unit"}


def draw(names, seed, count, form, side):
    """`count` fresh cases of every component among the chosen cases that has a layout.

    -> iterator of Case
    """
    patterns, functions = {}, own_functions()
    for case in casefile.cases(names, side, form=form):
        patterns.setdefault(case.component, []).append(case)
    for component, cases in patterns.items():
        if component not in LAYOUTS:
            continue
        choices = collect_settings(cases, form, side)
        for number in range(count):
            yield draw_one(cases, choices, functions[component], seed, number)


def collect_settings(patterns, form, side):
    """The values of each setting in a component's cases, or in its whole family's where these have
    all settings of a model; None where one is left out.  -> {name: values}."""
    first = patterns[0]
    if PARAMS.get(first.component) == "":
        family = casefile.cases(first.component.partition(".")[0], side, form=form)
        filled = [casefile.settings(first.component) | case.config for case in family
                  if PARAMS.get(case.component) == ""
                  and ("groups" in case.config) == ("groups" in first.config)]
    else:
        filled = [case.config for case in patterns]
    names = dict.fromkeys(name for one in filled for name in one if name not in FIXED)
    return {name: list(dict.fromkeys(read(one.get(name)) for one in filled)) for name in names}


def read(value):
    """A setting's value, where it is a list whether it is there."""
    return bool(value) if isinstance(value, list) else value


def draw_one(patterns, choices, function, seed, number):
    """One case that right implementations agree on; its id says the seed."""
    component = patterns[0].component
    rng = np.random.default_rng([seed, number, zlib.crc32(component.encode())])
    for kind in range(number, number + len(CHANGES)):
        (shape, ranges), values = SIZES[kind % len(SIZES)], CHANGES[kind % len(CHANGES)]
        flags, found = [shape, values[0]], None
        for _ in range(TRIES):
            pattern = patterns[rng.integers(len(patterns))]
            case = pattern._replace(id=f"{component}/fresh-{seed}-{number}", flags=flags)
            try:
                case, given = draw_case(rng, case, choices, ranges, values)
                arrays = answer(rng, given, case, function)
            except (InputError, ZeroDivisionError):
                continue  # settings that exclude each other, or a loss over no event
            if holds(rng, case, arrays, function, "float64"):
                if holds(rng, case, arrays, function, "float32"):
                    return keep(case, arrays)
                found = case._replace(flags=[*flags, "Float64"]), arrays
        if found:
            return keep(*found)
    require(False, f"no fresh case of {component} could be drawn from seed {seed}: take another.")


def explain(component, seed, count, form, side):
    """How to see fresh cases of a component that fail again.  -> a sentence."""
    more = "".join(f" --{name} {value}" for name, value in (("form", form), ("side", side))
                   if value not in (None, "all"))
    return (f"{component} failed on cases drawn from seed {seed}: python -m mbref export DIR "
            f"--fresh {seed} --count {count} --only {component}/{more} writes them with answers")


def keep(case, arrays):
    """The case with its arrays."""
    outputs = list(casefile.part(arrays, "outputs"))
    sizes = {name: list(a.shape) for name, a in casefile.part(arrays, "inputs").items()}
    entry = {"arrays": arrays, "outputs": outputs, "sizes": sizes, "config": case.config,
             "flags": case.flags, "id": case.id}
    return case._replace(entry=case.entry | entry)


def answer(rng, given, case, function):
    """The arrays with cotangents and what mbref computes."""
    weighed = casefile.part(casefile.arrays(case), "cotangents")
    inputs = casefile.manifest()["components"][case.component]["differentiate"]
    free = [key for key, a in given.items() if weighed and a.dtype.kind == "f"
            and (key.startswith("params/") or key.partition("/")[2] in inputs)]
    with np.errstate(all="ignore"):
        outputs = run.compute(case, given, {}, function, "numpy", "float64")
        given |= {f"cotangents/{name}": np.float32(rng.uniform(0.5, 2, a.shape)).astype(float)
                  for name, a in casefile.part(outputs, "outputs").items() if name in weighed}
        found = run.compute(case, given, {f"grads/{key}": 0 for key in free}, function,
                            "numpy", "float64")
    size = {name: max(map(compare.scale_of, casefile.part(found, name).values()), default=0)
            for name in ("outputs", "grads")}
    least = max(FAINT * size["grads"], FAINT**2 * size["outputs"])
    return given | {key: a for key, a in found.items()
                    if compare.group(key) != "grads" or compare.scale_of(a) >= least}


def holds(rng, case, arrays, function, dtype):
    """Does rounding, of what is given and on the way to answers, take little of the tolerance?"""
    want = casefile.answers(arrays)
    undefined = "outputs/" if case.component.startswith("metrics.") else "taps/"
    if not all(np.isfinite(a).all() for key, a in want.items()
               if not key.startswith(("taps/", undefined))):
        return False
    if case.component.startswith("losses.") and any(
            0 < compare.scale_of(a) < SMALL for key, a in want.items()):
        return False
    relative, floor = SHARE * compare.tolerance(case.kind, dtype), compare.FLOOR[dtype]
    for forms in (coarse, nullcontext):
        moved = arrays | {key: move(rng, a, ROUNDING[dtype]) for key, a in arrays.items()
                          if key.startswith(("inputs/", "params/"))}
        with np.errstate(all="ignore"), forms():
            got = run.compute(case, moved, want, function, "numpy", dtype)
        if not all(row.times <= 1 for row in compare.compare(want, got, relative, floor)):
            return False
    return True


@contextmanager
def coarse():
    """Plain forms, and slopes of tanh, so of sigmoid, as most frameworks have them: 1 - tanh^2.

    Where tanh is nearly 1 few digits of that are left; autograd's own is 1 / cosh^2.
    """
    own = primitive_vjps[anp.tanh]
    defvjp(anp.tanh, lambda ans, x: lambda g: g * (1 - ans * ans))
    try:
        with vjps.plain():
            yield
    finally:
        primitive_vjps[anp.tanh] = own


def move(rng, a, by):
    """The numbers of an array moved by a share of themselves, and equal ones by the same."""
    if a.dtype.kind != "f":
        return a
    return a * (1 + by * np.sign(np.sin(1e4 * np.abs(a) + rng.uniform(0, 6))))
