"""Which cases are let in: finite, away from kinks, alike by hand, by differences and in float32."""
import zlib

import numpy as np
from autograd import grad
from autograd.tracer import getval

from mbref.check import casefile, compare, run
from mbref.check.adapters import ADAPTERS, join, split
from mbref.data import shipped
from mbref.check import parity
from tests.golden.registry import COMPONENTS

DIFFERENCES = 1e-8          # of scale: gradients against central differences
STEPS = (1e-4,)             # nothing kinks within two steps;
SMALL_STEPS = (1e-2, 1e-4, 1e-6, 1e-5)  # the best of these where values are large or curve,
CURVED = {"LowVariance", "LargeValues", "Far"}  # which are these
SAMPLE = 4                  # entries of an array that are tried of a whole model,
MANY = 500                  # and of a case with more gradients than so many
BY_HAND = 1e-10             # of scale
FLOAT32 = 2e-6              # of scale: the reference in float32 against itself,
FLOAT32_LARGE = 2e-5        # and where scores or means are large, a fifth of the tolerance
FLOAT32_OF_ZERO = 5e-5      # the same below the floor of compare.py: gradients that cancel


def refuse(component, plan, arrays, by_hand):
    """Why a case is not let in, "" if it is, and its float32 noise.  -> (sentence, number)."""
    undefined = "outputs/" if "Undefined" in plan.flags else "taps/"  # where NaN may be right
    values = [a for key, a in arrays.items() if not key.startswith(("taps/", undefined))]
    if not all(np.isfinite(a).all() for a in values):
        return "it holds numbers that are not finite", 0.0
    noise, of_zero = float32_noise(component, plan, arrays)
    most = FLOAT32_LARGE if {"LargeValues", "Far"} & set(plan.flags) else FLOAT32
    if "Float64" not in plan.flags and (noise > most or of_zero > FLOAT32_OF_ZERO):
        return (f"float32 is off by {noise:.1e} of scale, where the scale is the floor by "
                f"{of_zero:.1e}"), noise
    reason = refuse_by_hand(component, plan, arrays, by_hand)
    return reason or refuse_by_differences(component, plan, arrays), noise


def bare_case(component, plan):
    """A Case that has no file yet."""
    kind = COMPONENTS[component].kind
    return casefile.Case("", component, "", (), plan.config, "", kind, {})


def float32_noise(component, plan, arrays):
    """How far mbref in float32 is from itself in float64, relative to scale.

    -> of arrays that have a scale of their own, of arrays that are smaller than the floor
    """
    want = {k: a for k, a in casefile.answers(arrays).items() if a.dtype.kind == "f"}
    function = COMPONENTS[component].function
    got = run.compute(bare_case(component, plan), arrays, want, function, "numpy", "float32")
    largest = max(map(compare.scale_of, want.values()), default=0.0)
    noise = [0.0, 0.0]
    for row in compare.compare(want, got, 1.0):
        small = compare.scale_of(want[row.name]) < compare.FLOOR["float64"] * largest
        noise[small] = max(noise[small], row.times)
    return tuple(noise)


def find_wrong(want, got, tolerance):
    """The first row that is wrong, or None."""
    rows = compare.compare(want, got, tolerance)
    return next((row for row in rows if not row.times <= 1), None)


def refuse_by_hand(component, plan, arrays, by_hand):
    """Outputs and gradients of the one-row form, if they differ: a sentence."""
    if by_hand is None:
        return "it has no by-hand form"
    inputs = casefile.part(arrays, "inputs") | plan.config
    values = join(casefile.part(arrays, "params"), inputs)
    grads, cotangents = casefile.part(arrays, "grads"), casefile.part(arrays, "cotangents")
    outputs = by_hand(*split(values))
    got = {f"outputs/{k}": np.asarray(getval(a)) for k, a in outputs.items()}

    def total(free):
        out = by_hand(*split({**values, **free}))
        return sum(np.sum(out[k] * c) for k, c in cotangents.items())

    if grads:
        free = {k: values[k] for k in grads}
        got |= {f"grads/{k}": a for k, a in grad(total)(free).items()}
    want = {k: a for k, a in casefile.answers(arrays).items() if k in got}
    row = find_wrong(want, got, BY_HAND)
    return f"by hand, {row.name} differs by {row.error:.1e} {row.problem}" if row else ""


def refuse_by_differences(component, plan, arrays):
    """Gradients that central differences do not confirm: a sentence.

    StopGradient cases have none by differences, and Float64 ones too few digits for them. Where all
    parameters are small, those of a model are compared relative to its largest gradient.
    """
    want = {k: a for k, a in arrays.items() if k.startswith("grads/")}
    if not want or {"StopGradient", "Float64"} & set(plan.flags):
        return ""
    left = list(want)
    for step in SMALL_STEPS if CURVED & set(plan.flags) else STEPS:
        found = differences(component, plan, arrays, step, {name: want[name] for name in left})
        small = COMPONENTS[component].kind == "model" and "LowVariance" in plan.flags
        floor = 1.0 if small else compare.FLOOR["float64"]
        found = compare.compare(want, found, DIFFERENCES, floor)
        bad = [row for row in found if not row.times <= 1]
        left = [row.name for row in bad]
        if not left:
            return ""
    return (f"{bad[0].name} is {bad[0].error:.1e} from central differences, "
            f"{bad[0].times:.1g} x allowed")


def differences(component, plan, arrays, step, want):
    """Gradients by central differences of four values, exact for polynomials of degree 4.

    The step is relative to the largest number of an array whose numbers are all small, but not 0.
    -> {name: array}
    """
    values = join(casefile.part(arrays, "params"), casefile.part(arrays, "inputs"))
    cotangents, function = casefile.part(arrays, "cotangents"), COMPONENTS[component].function

    def total(changed):
        params, inputs = (casefile.part(changed, name) for name in ("params", "inputs"))
        out = ADAPTERS["numpy"](function, params, inputs | plan.config, {}, set(), "float64")[1]
        return sum((out[name] * c).sum() for name, c in cotangents.items())

    def slope(key, at, h):
        found = {}
        for by in (-2, -1, 1, 2):
            changed = values[key].copy()
            changed[at] += by * h
            found[by] = total(values | {key: changed})
        return (8 * (found[1] - found[-1]) - (found[2] - found[-2])) / (12 * h)

    size = sum(a.size for name, a in arrays.items() if name.startswith("grads/"))
    got, is_large = {}, COMPONENTS[component].kind == "model" or size > MANY
    for name in want:
        key = name.partition("/")[2]
        a, got[name] = values[key], want[name].copy()
        h = step * (min(1.0, np.abs(a).max(initial=0)) or 1.0)
        for at in choose_entries(name, a, is_large):
            got[name][at] = slope(key, at, h)
    return got


def choose_entries(name, a, is_large):
    """All entries of an array; of one of a large case, which takes its time, a few."""
    entries = list(np.ndindex(a.shape))
    if not is_large or len(entries) <= SAMPLE:
        return entries
    chosen = np.random.default_rng(zlib.crc32(name.encode())).choice(len(entries), SAMPLE, False)
    return [entries[i] for i in chosen]


def reproduces(name):
    """Does mbref/released reproduce this recorded state of tests/oracles?  False if it is absent.
    """
    path = shipped.oracles() / name
    return path.exists() and all(row.ok is not False for row in parity.check(path)[1])


def find_oracles(component, plan, arrays, implementations):
    """Names of what agrees: by hand always, recorded states, and implementations that pass.

    implementations: (name, functions, backend).
    """
    agreed = ["by_hand", *(f"recorded {name}" for name in plan.recorded if reproduces(name))]
    case, want = bare_case(component, plan), casefile.answers(arrays)
    for name, functions, backend in implementations:
        if component in functions:
            got = run.compute(case, arrays, want, functions[component], backend, "float64")
            if run.judge(case, want, got, "float64").passed:
                agreed.append(name)
    return agreed
