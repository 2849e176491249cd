"""Which cases are let in: finite, away from kinks, the same by hand, by central differences and in float32."""
import numpy as np
from autograd import grad
from autograd.tracer import getval

from mbref.check import casefile, compare, run
from mbref.check.adapters import arguments, joined, numpy_adapter
from mbref.data import shipped
from mbref.released import parity
from tests.golden.registry import COMPONENTS

DIFFERENCES = 1e-8          # of scale: gradients against central differences
STEPS = (1e-4,)             # nothing kinks within two steps;
SMALL_STEPS = (1e-4, 1e-5, 1e-6)  # the best of these where values hardly vary and so curve strongly
BY_HAND = 1e-10             # of scale
FLOAT32 = 2e-6              # of scale: the reference in float32 against itself
FLOAT32_OF_ZERO = 5e-5      # the same for arrays below the floor of compare.py, such as gradients that cancel


def refusal(component, plan, arrays, by_hand):
    """Why a case is not let in, "" if it is, and its float32 noise.  -> (sentence, number)."""
    if not all(np.isfinite(a).all() for k, a in arrays.items() if not k.startswith("taps/")):
        return "it holds numbers that are not finite", 0.0
    noise, of_zero = float32_noise(component, plan, arrays)
    if noise > FLOAT32 or of_zero > FLOAT32_OF_ZERO:
        return f"float32 is off by {noise:.1e} of scale, where the scale is the floor by {of_zero:.1e}", noise
    return hand_refusal(component, plan, arrays, by_hand) or difference_refusal(component, plan, arrays), noise


def float32_noise(component, plan, arrays):
    """How far mbref in float32 is from itself in float64, relative to scale.

    -> of arrays that have a scale of their own, of arrays that are smaller than the floor
    """
    case = casefile.Case("", component, "", (), plan.config, "", COMPONENTS[component].kind, {})
    want = {k: a for k, a in casefile.expected(arrays).items() if a.dtype.kind == "f"}
    got = run.offered_by(case, arrays, want, COMPONENTS[component].function, "numpy", "float32")
    rows = compare.compare(want, got, 1.0)
    largest = max(map(compare.scale_of, want.values()), default=0.0)
    small = {k for k, a in want.items() if compare.scale_of(a) < compare.FLOOR * largest}
    return tuple(max((row.times for row in rows if (row.name in small) == which), default=0.0)
                 for which in (False, True))


def hand_refusal(component, plan, arrays, by_hand):
    """Outputs and gradients of the one-row form, if they differ: a sentence."""
    if by_hand is None:
        return "it has no by-hand form"
    values = joined(casefile.part(arrays, "params"), casefile.part(arrays, "inputs")) | {
        f"inputs/{k}": v for k, v in plan.config.items()}
    grads, cotangents = casefile.part(arrays, "grads"), casefile.part(arrays, "cotangents")
    got = {f"outputs/{k}": np.asarray(getval(a)) for k, a in by_hand(*arguments(values)).items()}

    def total(free):
        out = by_hand(*arguments({**values, **free}))
        return sum(np.sum(out[k] * c) for k, c in cotangents.items())

    if grads:
        got |= {f"grads/{k}": a for k, a in grad(total)({k: values[k] for k in grads}).items()}
    want = {k: a for k, a in casefile.expected(arrays).items() if k in got}
    bad = [row for row in compare.compare(want, got, BY_HAND) if not row.times <= 1]
    return f"by hand, {bad[0].name} differs by {bad[0].error:.1e} {bad[0].problem}" if bad else ""


def difference_refusal(component, plan, arrays):
    """Gradients that central differences do not confirm: a sentence. StopGradient cases have none by differences."""
    want = {k: a for k, a in arrays.items() if k.startswith("grads/")}
    if not want or "StopGradient" in plan.flags:
        return ""
    steps = SMALL_STEPS if "LowVariance" in plan.flags else STEPS
    tries = [compare.compare(want, differences(component, plan, arrays, step, want), DIFFERENCES) for step in steps]
    for best in (min(rows, key=lambda row: row.times) for rows in zip(*tries, strict=True)):
        if not best.times <= 1:
            return f"{best.name} is {best.error:.1e} from central differences, {best.times:.1g} x allowed"
    return ""


def differences(component, plan, arrays, step, want):
    """Gradients by central differences of four values, exact for polynomials of degree 4.  -> {name: array}.

    The step is relative to the largest number of an array whose numbers are all small, but not 0.
    """
    values = joined(casefile.part(arrays, "params"), casefile.part(arrays, "inputs"))
    cotangents = casefile.part(arrays, "cotangents")

    def total(changed):
        parts = casefile.part(changed, "params"), casefile.part(changed, "inputs") | plan.config
        out = numpy_adapter(COMPONENTS[component].function, *parts, {}, set(), "float64")[1]
        return sum((out[name] * c).sum() for name, c in cotangents.items())

    def slope(key, at, h):
        found = {}
        for by in (-2, -1, 1, 2):
            changed = values[key].copy()
            changed[at] += by * h
            found[by] = total(values | {key: changed})
        return (8 * (found[1] - found[-1]) - (found[2] - found[-2])) / (12 * h)

    got = {}
    for name in want:
        key = name.partition("/")[2]
        h = step * (min(1.0, np.abs(values[key]).max(initial=0)) or 1.0)
        got[name] = np.array([slope(key, at, h) for at in np.ndindex(values[key].shape)]).reshape(values[key].shape)
    return got


def reproduced(name):
    """Does mbref/released reproduce this recorded state of tests/oracles?  False also where it is not there."""
    path = shipped.oracles() / name
    return path.exists() and all(row.ok is not False for row in parity.check(path)[1])


def agreeing(component, plan, arrays, implementations):
    """Names of what agreed: by hand always, recorded states, and implementations (name, functions, backend) that pass.
    """
    agreed = ["by_hand", *(f"recorded {name}" for name in plan.recorded if reproduced(name))]
    case = casefile.Case("", component, "", (), plan.config, "", COMPONENTS[component].kind, {})
    want = casefile.expected(arrays)
    for name, functions, backend in implementations:
        if component in functions:
            got = run.offered_by(case, arrays, want, functions[component], backend, "float64")
            if run.judge(case, want, got, "float64").passed:
                agreed.append(name)
    return agreed
