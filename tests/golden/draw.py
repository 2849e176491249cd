"""Plans of cases, and what they draw: 8-bit numbers, histories of chosen lengths, parameters."""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref.check.casefile import nest
from mbref.nn import optim

B, T, D = 3, 7, 8   # rows, events, width of most cases
SMALL = 2.0**-13    # a spread beside which an epsilon of 1e-8 counts
# beside a spread of 1, what float32 and float64 bear; less where norms follow each other
ONE_NORM, MORE_NORMS, TWO_BLOCKS = (2.0**7, 2.0**16), (48.0, 2.0**14), (32.0, 2.0**14)
HUGE = 2.0**56     # times what a mask of -30 leaves, it shows in both types
MANY_LENGTHS = (0, 2, 1, 1) * 8 + (2, 1, 0)  # 35 rows, of which the first, the last and some between are empty
SHORT = 4, 2, 1
MIXED, EMPTY, FULL, ONE = (T, 4, 2), (T, 0, 3), (T, T, T), (1, 1, 1)  # lengths of histories


class Component(NamedTuple):
    """What the manifest says of a component."""

    equation: str                      # of the paper
    differentiate: tuple = ()          # inputs with a gradient; all floats of params have one
    kind: str = "values"               # "metric": tolerance 1e-12; "model": a loss, ten steps
    about: str = ""                    # its inputs, parameters, outputs and taps, with shapes
    function: Callable | None = None   # mbref's side, which registry.py finds by the name


class Plan(NamedTuple):
    """How a case of a component is drawn."""

    name: str
    flags: tuple           # what the case is for, see flags.py
    build: Callable        # rng -> params, inputs; params nested, inputs flat
    config: dict           # numbers and words that the function gets among its inputs
    side: str = "both"
    recorded: tuple = ()   # states of a release in tests/oracles that mbref's function reproduces


def plan(build, *rows, side="both", recorded=()):
    """The plans of one component.  rows: (name, flags, draw, config), where build(rng, draw) draws.
    """
    return [Plan(name, flags, partial(build, draw=draw), config, side, recorded)
            for name, flags, draw, config in rows]


def plan_coarse(build, *rows, **more):
    """`plan` of numbers of 5 significant bits, which take less space; log p and counts stay."""
    def coarse(rng, draw):
        params, inputs = build(rng, draw)
        params = nest({path: round_bits(a, 5) for path, a in optim.leaves(params)})
        return params, {name: a if np.asarray(a).dtype.kind != "f" or name.endswith("logp") else round_bits(a, 5)
                        for name, a in inputs.items()}
    return plan(coarse, *rows, **more)


def round8(x):
    """To 8 significant bits, so that float32 and bfloat16 start from the same numbers."""
    return round_bits(x, 8)


def round_bits(x, bits):
    """To so many significant bits."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent)


def normal(rng, *shape, scale=1.0):
    """Normal numbers of 8 significant bits."""
    return round8(rng.normal(0, scale, shape))


def log_probabilities(rng, shape, spread=1.0):
    """Rows of log p."""
    z = spread * normal(rng, *shape)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def with_ties(rng, count):
    """Rows of log p of five classes, of which two and three are alike."""
    return np.log(rng.permuted(np.tile([0.3125, 0.3125, 0.125, 0.125, 0.125], (count, 1)), axis=1))


def moved(rng, params, scale=0.4):
    """Parameters away from their initial zeros and ones, so that no gradient is hidden by them."""
    return optim.tree_map(lambda a: round8(a + rng.normal(0, scale, a.shape)), params)


def enlarge(build, *names, most=2, inputs=8, times=()):
    """A build whose parameters are whole numbers, and the inputs of these names, too.

    Products of them are large and exact in float32. Biases are half more, so that no ReLU is at
    its kink; the gammas of norms stay 1. times: (beginning of a path, factor) of some.
    """
    def whole(rng, a, most):
        return rng.integers(-most, most + 1, a.shape).astype(float)

    def one(rng, name, a):
        if name == "gamma":
            return np.ones_like(a)
        return whole(rng, a, most) + 0.5 * (name in ("b", "beta"))

    def large(rng, draw):
        params, found = build(rng, draw)
        params = {path: one(rng, path.rpartition("/")[2], a)
                  for path, a in optim.leaves(params)}
        for start, factor in times:
            params |= {path: factor * a for path, a in params.items() if path.startswith(start)}
        return nest(params), found | {name: whole(rng, found[name], inputs) for name in names}
    return large


def steepen(build, by=2.0**9, ends=("q/w", "k/w")):
    """A build whose queries and keys are large, so that scores differ by thousands and most weights are 0 or 1."""
    def steep(rng, draw):
        params, inputs = build(rng, draw)
        return nest({path: by * a if path.endswith(ends) else a for path, a in optim.leaves(params)}), inputs
    return steep


def quieten(build, *loud, names=()):
    """A build whose parameters hardly vary, but for those whose paths end in `loud`."""
    def quiet(rng, draw):
        params, inputs = build(rng, draw)
        params = nest({path: a if path.endswith(loud) else SMALL * a
                       for path, a in optim.leaves(params)})
        return params, inputs | {name: SMALL * inputs[name] for name in names}
    return quiet


def displace(build, *ends, by, names=()):
    """A build whose parameters with paths that end so, and inputs of these names, are larger `by` a
    number."""
    def add(a):
        return np.float32(a + by).astype(float)

    def far(rng, draw):
        params, inputs = build(rng, draw)
        params = nest({path: add(a) if path.endswith(ends) else a
                       for path, a in optim.leaves(params)})
        return params, inputs | {name: add(inputs[name]) for name in names}
    return far


def level(build, rows=(), columns=()):
    """A build whose matrices with paths that end so do not see what all numbers of a vector share.

    rows: matrices W of W x, whose rows then sum to 0; columns: those of x W.
    """
    def evened(path, a):
        for axis, ends in ((1, rows), (0, columns)):
            if path.endswith(tuple(ends)):
                return a - a.mean(axis, keepdims=True)
        return a

    def even(rng, draw):
        params, inputs = build(rng, draw)
        return nest({path: evened(path, a) for path, a in optim.leaves(params)}), inputs
    return even


def lengthen(build):
    """A build whose table of positions is longer than its histories."""
    def longer(rng, draw):
        params, inputs = build(rng, draw)
        params["position"] = normal(rng, len(params["position"]) + 3, params["position"].shape[1], scale=0.5)
        return params, inputs
    return longer


def label_three(build):
    """A build with a third candidate a row, the first of the row before; any of them may be positive."""
    def labelled(rng, draw):
        params, inputs = build(rng, draw)
        third = np.roll(inputs["candidate"][:, :1], 1, axis=0)
        label = np.array([[False, True, False], [False, False, True], [True, True, False]])
        return params, inputs | {"candidate": np.append(inputs["candidate"], third, axis=1), "label": label}
    return labelled


def label_several(build):
    """A build with as many different candidates as the draw says; where labels are, every third is positive."""
    def labelled(rng, draw):
        params, inputs = build(rng, draw)
        shape = len(inputs["candidate"]), draw.get("candidates", inputs["candidate"].shape[1])
        candidate = [rng.permutation(draw["config"]["items"])[: shape[1]] + 1 for _ in range(shape[0])]
        inputs["candidate"] = np.array(candidate)
        if "label" in inputs:
            inputs["label"] = np.arange(shape[0] * shape[1]).reshape(shape) % 3 == 0
        return params, inputs
    return labelled


def remove_candidates(build):
    """A build in which no candidate is one."""
    def removed(rng, draw):
        params, inputs = build(rng, draw)
        return params, inputs | {"candidate": 0 * inputs["candidate"]}
    return removed


def take_last(build):
    """A build whose candidates are the last items, the very last first."""
    def taken(rng, draw):
        params, inputs = build(rng, draw)
        rows, count = inputs["candidate"].shape
        return params, inputs | {"candidate": np.tile(draw["config"]["items"] - np.arange(count), (rows, 1))}
    return taken


def repeat_candidate(build):
    """A build whose last candidate is the first one again."""
    def repeated(rng, draw):
        params, inputs = build(rng, draw)
        inputs["candidate"][:, -1] = inputs["candidate"][:, 0]
        return params, inputs
    return repeated


def plan_far(build, row, *ends, names=(), most=ONE_NORM, **settings):
    """Plans whose norms read values far from 0: as far as float32 bears, and as float64 does.

    row: name, flags -> a row of `plan`; most: how far.
    """
    kinds = ("far", ("Far",)), ("far_float64", ("Far", "Float64"))
    return [one for by, kind in zip(most, kinds, strict=True)
            for one in plan(displace(build, *ends, by=by, names=names), row(*kind), **settings)]


def real_right(lengths, size=T):
    """True where there is an event, padding on the right.  -> [B, size]."""
    return np.arange(size) < np.array(lengths)[:, None]


def real_left(lengths, size=T):
    """True where there is an event, padding on the left.  -> [B, size]."""
    return real_right(lengths, size)[:, ::-1]


def ids(rng, real, count):
    """Ids 1..count where `real`, else 0.  -> [B, T]."""
    return rng.integers(1, count + 1, real.shape) * real


def dense(rng, *shape):
    """w and b of a layer, of order 1 after it.  shape: [..., D_in, D_out]."""
    return {"w": normal(rng, *shape, scale=shape[-2] ** -0.5),
            "b": normal(rng, *shape[:-2], shape[-1], scale=0.5)}


def norm(rng, size=D):
    """gamma and beta."""
    return {"gamma": round8(1 + rng.normal(0, 0.3, size)), "beta": normal(rng, size, scale=0.3)}
