"""Which cases are let in: finite, away from kinks, the same by hand, by central differences and in float32."""
import numpy as np
from autograd import grad
from autograd.tracer import getval

from mbref.check import casefile, compare, run
from mbref.check.adapters import arguments, joined, numpy_adapter
from mbref.check.components import REGISTRY

DIFFERENCES = 1e-8          # of scale: gradients against central differences
STEP, SMALL_STEP = 1e-4, 1e-6  # nothing kinks within two steps; the small one is for values that hardly vary
BY_HAND = 1e-10             # of scale
FLOAT32 = 5e-6              # of scale: the reference in float32 against itself, a twentieth of what is allowed


def refusal(component, recipe, arrays, by_hand):
    """Why a case is not let in, "" if it is, and its float32 noise.  -> (sentence, number)."""
    if not all(np.isfinite(a).all() for k, a in arrays.items() if not k.startswith("taps/")):
        return "it holds numbers that are not finite", 0.0
    noise = float32_noise(component, recipe, arrays)
    if noise > FLOAT32:
        return f"float32 is off by {noise:.1e} of scale", noise
    return hand_refusal(component, recipe, arrays, by_hand) or difference_refusal(component, recipe, arrays), noise


def worst(want, got):
    """The largest error relative to the scale that compare.py would use.  -> number."""
    return max((row.times for row in compare.compare(want, got, 1.0)), default=0.0)


def float32_noise(component, recipe, arrays):
    """How far mbref in float32 is from itself in float64."""
    case = casefile.Case("", component, "", (), recipe.config, "", REGISTRY[component].kind, {})
    want = {k: a for k, a in casefile.expected(arrays).items() if a.dtype.kind == "f"}
    got = run.offered_by(case, arrays, want, REGISTRY[component].function, "numpy", "float32")
    return worst(want, got)


def hand_refusal(component, recipe, arrays, by_hand):
    """Outputs and gradients of the one-row form, if they differ: a sentence."""
    if by_hand is None:
        return "it has no by-hand form"
    values = joined(casefile.part(arrays, "params"), casefile.part(arrays, "inputs")) | {
        f"inputs/{k}": v for k, v in recipe.config.items()}
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


def difference_refusal(component, recipe, arrays):
    """Gradients that central differences do not confirm: a sentence. StopGradient cases have none by differences."""
    want = {k: a for k, a in arrays.items() if k.startswith("grads/")}
    if not want or "StopGradient" in recipe.flags:
        return ""
    got = differences(component, recipe, arrays, SMALL_STEP if "LowVariance" in recipe.flags else STEP, want)
    bad = [row for row in compare.compare(want, got, DIFFERENCES) if not row.times <= 1]
    return f"{bad[0].name} is {bad[0].error:.1e} from central differences" if bad else ""


def differences(component, recipe, arrays, step, want):
    """Gradients by central differences of four values, exact for polynomials of degree 4.  -> {name: array}.

    The step is relative to the largest number of an array whose numbers are all small, but not 0.
    """
    values = joined(casefile.part(arrays, "params"), casefile.part(arrays, "inputs"))
    cotangents = casefile.part(arrays, "cotangents")

    def total(changed):
        parts = casefile.part(changed, "params"), casefile.part(changed, "inputs") | recipe.config
        out = numpy_adapter(REGISTRY[component].function, *parts, {}, set(), "float64")[1]
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


def oracles(component, recipe, arrays, implementations):
    """Names of what agreed: by hand always, and each implementation (name, functions, backend) that passes."""
    agreed = ["by_hand"]
    case = casefile.Case("", component, "", (), recipe.config, "", REGISTRY[component].kind, {})
    want = casefile.expected(arrays)
    for name, functions, backend in implementations:
        if component in functions:
            got = run.offered_by(case, arrays, want, functions[component], backend, "float64")
            if run.judge(case, want, got, "float64").passed:
                agreed.append(name)
    return agreed
