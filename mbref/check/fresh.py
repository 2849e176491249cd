"""Cases that no file holds: drawn from a seed after the golden ones, answered by mbref at once.

A golden case is the pattern: of its shapes, widths, words among the settings and kind of padding.
Rows are drawn from its rows, a stretch of its events is taken, and numbers are drawn anew.
"""
import zlib
from functools import partial

import numpy as np

from mbref.check import casefile, compare, run
from mbref.check.components.reading import own_functions
from mbref.errors import require

# what is known of all items, whose first axis is not that of the rows
OF_ALL = {"category", "texts", "known", "popularity", "rho", "weights",
          *(f"features_{g}" for g in range(9))}
EVENTS = ("item", "behaviour", "ids", "real")  # whose second axis is that of events
# components whose numbers are redrawn, not chosen row by row
WHOLE = ("optim.", "metrics.mean", "metrics.paired", "metrics.bias", "metrics.expected",
         "metrics.rank")
FITTING = OF_ALL | {"logp", "category_logp", "g", "e", "target", "draws", "full_greater",
                    "full_ties", "greater", "ties"}  # numbers that fit each other
LOSS_WEIGHTS = {"theta", "penalty", "weight_decay", "redundancy", "category_weight"}
TRIES = 20       # until float32 can do it


def draw(names, seed, count, form, side):
    """`count` fresh cases of every component among the chosen cases.  -> iterator of Case."""
    patterns, functions = {}, own_functions()
    for case in casefile.cases(names, side, form=form):
        patterns.setdefault(case.component, []).append(case)
    for component, cases in patterns.items():
        several = list(filter(is_clear, cases)) or cases
        for number in range(count):
            yield draw_one(several, functions[component], seed, number)


def is_clear(case):
    """Is the number of events of a case no width, too, so that events alone can be left out?"""
    sizes = {name: size for name, size in case.entry["sizes"].items() if len(size) > 1}
    events = next((sizes[name][1] for name in EVENTS if name in sizes), None)
    return all(size[2:] != [events] for name, size in sizes.items() if name != "allowed")


def draw_one(patterns, function, seed, number):
    """One case whose numbers float32 can hold apart; its id says the seed."""
    component = patterns[0].component
    rng = np.random.default_rng([seed, number, zlib.crc32(component.encode())])
    for _ in range(TRIES):
        pattern = patterns[rng.integers(len(patterns))]
        given = draw_inputs(rng, pattern)
        config = {name: value * float(rng.integers(1, 9)) / 4 if name in LOSS_WEIGHTS else value
                  for name, value in pattern.config.items()}  # what decides on shapes stays
        case = pattern._replace(id=f"{component}/fresh-{seed}-{number}", config=config,
                                flags=["Basic"])
        arrays = answer(given, case, function)
        if arrays is not None:
            return case._replace(entry=pattern.entry | {"arrays": arrays})
    require(False, f"no fresh case of {component} could be drawn from seed {seed}: take another.")


def draw_inputs(rng, pattern):
    """What is given."""
    old = casefile.arrays(pattern)
    inputs = casefile.part(old, "inputs")
    chosen = inputs if pattern.component.startswith(WHOLE) else choose_part(rng, inputs)
    given = {f"inputs/{name}": a if name in FITTING else redraw(rng, a)
             for name, a in chosen.items()}
    if "known" in inputs:  # what is clicked, and some of the others
        clicked = [given["inputs/item"], given["inputs/next"]]
        some, items = rng.random(len(inputs["known"])) < 0.5, np.arange(1, len(inputs["known"]) + 1)
        given["inputs/known"] = some | np.isin(items, np.concatenate(clicked))
    return given | {key: redraw(rng, a) for key, a in old.items() if key.startswith("params/")}


def choose_part(rng, inputs):
    """Some rows of the inputs, and a stretch of their events.  -> dict."""
    by_row = {name: a for name, a in inputs.items() if name not in OF_ALL and a.ndim}
    rows = rng.integers(0, min(map(len, by_row.values())), rng.integers(1, 6))
    sizes = [by_row[name].shape[1] for name in EVENTS if name in by_row and by_row[name].ndim > 1]
    events = sizes[0] if sizes else 1
    start, stop = np.sort(rng.choice(events + 1, 2, replace=False))

    def take(name, a):
        for axis in range(1, a.ndim):
            if a.shape[axis] == events > 1 and name != "history":
                a = np.take(a, range(start, stop), axis)
        return a[rows]

    return inputs | {name: take(name, a) for name, a in by_row.items()}


def redraw(rng, a):
    """Numbers of the same kind in the same places: 0, which may be padding, stays 0."""
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind == "i":
        axes = (0, 1) if a.ndim == 3 else None  # features of their own each
        most = np.max(a, axes, initial=1)
        return np.where(a > 0, rng.integers(1, most + 1, a.shape), a)
    moved = rng.permuted(a.ravel()).reshape(a.shape)
    if (a == np.round(a)).all():
        return moved
    return np.float32(moved * rng.uniform(0.75, 1.25, a.shape)).astype(float)


def answer(given, case, function):
    """The arrays with cotangents and what mbref computes, or None if float32 is too coarse."""
    old, compute = casefile.arrays(case), partial(run.compute, function=function, backend="numpy")
    with np.errstate(all="ignore"):
        try:
            found = compute(case, given, {}, dtype="float64")
        except ZeroDivisionError:  # a loss over no event
            return None
        given |= {f"cotangents/{name}": 1.0 + 0 * found[f"outputs/{name}"]
                  for name in casefile.part(old, "cotangents")}
        exact = compute(case, given, old, dtype="float64")
        coarse = compute(case, given, casefile.answers(old, steps=False), dtype="float32")
    floor = compare.FLOOR["float32"]
    rows = compare.compare(exact, coarse, compare.tolerance(case.kind, "float32") / 5, floor)
    finite = all(np.isfinite(a).all() for key, a in exact.items() if not key.startswith("taps/"))
    return given | exact if finite and all(row.times <= 1 for row in rows) else None
