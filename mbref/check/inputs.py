"""What is given in a fresh case: sizes, settings, parameters and inputs, all drawn anew."""
import re
from importlib import import_module

import numpy as np

from mbref.check import casefile
from mbref.check.components.reading import config_of
from mbref.check.layouts import FOLLOW, LAYOUTS, LETTERS, NONE, PARAMS
from mbref.nn import optim
from mbref.nn.losses import log_softmax

MISS = 2**62        # the place of a target that is no candidate
SHARES = ("theta", "penalty", "weight_decay", "redundancy", "category_weight", "gamma", "rho",
          "tau", "rate")


def level(rng, a):
    """Small whole numbers, of which many are equal, and some rows of zeros."""
    return np.clip(np.round(a), -1, 1) * (rng.random(a.shape[:-1] + (1,) * (a.ndim > 0)) < 0.8)


# kinds of values: the flag of such a case, how many of its arrays of numbers change, and how
CHANGES = (("Basic", [0], None),
           ("LargeValues", [1, 2, 3], lambda rng, a: a * rng.choice([300.0, 1000.0])),
           ("Ties", [99], level),
           ("LowVariance", [99], lambda rng, a: a * 2.0 ** -rng.integers(10, 14)),
           ("Far", [1, 2], lambda rng, a: a + 2.0 ** rng.choice([5, 7, 14, 16])),
           ("LargeValues", [6, 12, 99], lambda rng, a: a * 2.0 ** rng.integers(1, 7)))


def draw_case(rng, case, choices, ranges, values):
    """The case with sizes and settings of its own, and what it is given.  -> Case, {path: array}.

    choices: {setting: its values in golden cases}; ranges: of SIZES; values: of CHANGES.
    """
    sizes = draw_sizes(rng, ranges)
    config = draw_config(rng, case, choices, sizes)
    if case.component == "hmar.released":  # whose model files are for so many behaviours
        sizes["K"] = 3 if config["variant"] == "movielens" else 4
    given = draw_params(rng, case.component, config, sizes)
    sizes["Q"] = len(given.get("params/item/w", given.get("params/query", ())))
    given |= draw_inputs(rng, case.component, config, sizes)
    return case._replace(config=config), change(rng, case.component, given, *values)


def draw_sizes(rng, ranges):
    """What the letters of LAYOUTS are.  -> {letter: number}."""
    sizes = {name: int(rng.integers(low, high + 1)) for name, (low, high) in ranges.items()}
    width = sizes["H"] * -(-sizes["D"] // sizes["H"])
    return sizes | {"D": width, "E": width // 2, "M": sizes["N"] + 1, "P": sizes["G"] + 1}


def draw_config(rng, case, choices, sizes):
    """Settings that cases have, combined at random, with new sizes.  -> dict."""
    config = {name: values[rng.integers(len(values))] for name, values in choices.items()}
    config |= {name: sizes[letter] for name, letter in LETTERS.items() if name in config
               and (config[name] or name != "categories" or case.component[:5] != "dmran")}
    config = {name: value for name, value in config.items() if value is not None}
    config |= {name: float(rng.uniform(0.05, 0.95)) for name in SHARES if config.get(name)}
    most = {"k": sizes["C"] + 2, "n": sizes["N"], "target": sizes["K"], "blocks": 3,
            "m": sizes["N"] if "n" in config else sizes["K"]}
    config |= {name: int(rng.integers(1, most[name] + 1)) for name in most if name in config}
    if rng.random() < 0.5 and "rho" in config:
        config["rho"] = int(rng.integers(1, 100)) / 100
    if "length" in config:
        config["length"] = sizes["T"] + int(rng.integers(4))
    if "weights" in config:
        config["weights"] = rng.uniform(0.1, 1, sizes["K"]).tolist()
    return config | draw_groups(case.config, sizes)


def draw_groups(old, sizes):
    """The groups of a case of ATRank with tables and actions of other sizes.  -> dict."""
    if "groups" not in old:
        return {}
    first = [features[0] for features in old["groups"]]
    return {"groups": old["groups"], "group": old["group"],
            "actions": [sizes["K"] * (n > 0) for n in old["actions"]],
            "tables": [[name, sizes["N" if name in first else "G"]] for name, _ in old["tables"]]}


def read_layout(component):
    """(name, letters of its axes, what its numbers are) of what a component gets."""
    for entry in LAYOUTS[component].split(", "):
        name, _, text = entry.partition(" ")
        axes = re.match("[A-Z0-9]*", text)[0]
        yield name, axes, text[len(axes):]


def shape_of(axes, sizes):
    """The shape of an array with these letters."""
    return tuple(int(axis) if axis.isdigit() else sizes[axis] for axis in axes)


def draw_params(rng, component, config, sizes):
    """Parameters of a layer, or of a part of a model, away from 0 and 1.  -> {path: array}."""
    found = {name[2:]: np.zeros(shape_of(axes, sizes)) + name.endswith("gamma")
             for name, axes, _ in read_layout(component) if name.startswith("p/")}
    if component in PARAMS:
        family, part = component.partition(".")[0], PARAMS[component]
        model = import_module("mbref.released.hmar.model" if component == "hmar.released"
                              else f"mbref.variants.{family}")
        own = {name: sizes[letter] for name, letter in LETTERS.items()}
        own |= {"query": "group", "length": sizes["T"] + 2}
        own = {} if {"items", "tables"} & config.keys() else own
        filled = {} if component == "hmar.released" else casefile.settings(component)
        full = config_of(model.Config, filled | own | config)
        below = part if part.endswith("/") else ""
        found = {path.removeprefix(below): a for path, a in optim.leaves(model.init(rng, full))
                 if not part or path.startswith(part) or path.partition("/")[0] in part.split()}
    return {f"params/{path}": a + rng.normal(0, spread(path, a), a.shape)
            for path, a in found.items()}


def spread(path, a):
    """How far a parameter is moved: matrices so that what comes out is of order 1."""
    return 0.3 if a.ndim < 2 else max(a.shape[-2] ** -0.5, 0.2)


def draw_inputs(rng, component, config, sizes):
    """Inputs whose ids, padding and numbers fit each other.  -> {path: array}."""
    given, left = {}, component.startswith("hmar")
    real = {axis: draw_real(rng, sizes["B"], sizes[axis], left) for axis in "TSJ"}
    for name, axes, kind in read_layout(component):
        group = name[-1] if name[-1].isdigit() else "0"
        if name.startswith("p/") or int(group) >= len(config.get("groups", "1")) \
                or name == "category" and not config.get("categories", 1):
            continue
        a, events = draw_array(rng, name, shape_of(axes, sizes), kind, sizes), real.get(axes[1:2])
        if events is not None and axes[0] == "B" and kind[:1] in ("<", "#", "~"):
            a = a * events.reshape(events.shape + (1,) * (a.ndim - 2))
        given[f"inputs/{name}"] = events if name == "real" else a
    return reconcile(rng, given)


def draw_real(rng, rows, events, left):
    """True where there is an event: full, empty and short histories among others.  -> [B, T]."""
    lengths = np.where(rng.random(rows) < 0.5, rng.integers(1, events + 1, rows),
                       rng.choice([0, 1, events, events], rows))
    real = np.arange(events) < lengths[:, None]
    return real[:, ::-1] if left else real


def draw_array(rng, name, shape, kind, sizes):
    """An array of one of the kinds of LAYOUTS."""
    if kind[:1] in ("<", ">"):
        most = sizes[kind[1:]]
        alike = 1, most, most - (1 << (most.bit_length() - 1)) or 1  # the last two but for a bit
        few = rng.choice(rng.permutation(alike)[: rng.integers(1, 4)], shape)
        ids = np.where(rng.random(shape) < rng.choice([0.1, 0.5, 1]), few,
                       rng.integers(1, most + 1, shape))
        return ids * (rng.random(shape) > 0.15 * (kind[0] == "<" and name in NONE))
    if kind[:1] == "!":
        return rng.integers(0, sizes[kind[1:]], shape)
    if kind == "?":
        rows = shape[:1] + (1,) * (len(shape) - 1)
        return rng.random(shape) < rng.choice([0, 0.3, 0.6, 1], rows)
    if kind == "#":
        counts = np.where(rng.random(shape) < 0.1, rng.integers(250, 300, shape),
                          rng.integers(0, 4, shape))
        return counts * 1.0 if name.endswith(("counts", "history")) else counts
    if kind == "~":
        return np.maximum(0, 2 ** rng.integers(0, 40, shape) + rng.integers(-1, 2, shape))
    numbers = rng.uniform(0.01, 1, shape) if kind == "%" else rng.normal(0, 1, shape)
    return np.float32(numbers).astype(float)


def reconcile(rng, given):
    """The inputs with what depends on others changed.  -> dict."""
    found = {name.removeprefix("inputs/"): a for name, a in given.items()}
    for name, other in FOLLOW.items():
        if name in found and other in found:
            found[name] = (found[name].T * (found[other] > 0).T).T
    if "category" in found:
        found["category"][0] = 0
    for name in [name for name in found if name.startswith("features_")]:
        found[name][:, 0] = np.arange(len(found[name]))
        found[name][0] = 0
    if "known" in found:
        clicked = np.concatenate([found["item"].ravel(), found["next"].ravel()])
        found["known"] |= np.isin(np.arange(1, len(found["known"]) + 1), clicked)
    if "prior" in found:
        found["prior"] /= found["prior"].sum()
    for name in found.keys() & {"greater", "ties"}:
        found[name] = np.minimum(found[name], found[f"full_{name}"])
    for place, ties in (("g", "e"), ("greater", "ties")):
        if place in found:  # of some targets that are no candidates
            missed = ~found.get("inside", rng.random(found[place].shape) < 0.9)
            found[place], found[ties] = np.where(missed, MISS, found[place]), found[ties] * ~missed
    return {f"inputs/{name}": a for name, a in found.items()}


def change(rng, component, given, flag, most, changed):
    """Some of the arrays of numbers of either sign with changed values.  -> dict."""
    fixed = {f"inputs/{name}" for name, _, kind in read_layout(component) if kind not in ("", "^")}
    free = [name for name, a in given.items() if a.dtype.kind == "f" and name not in fixed
            and not name.endswith("/res")  # by which blocks would grow beyond all digits
            and (flag != "Far" or name.endswith(("/b", "/beta")) or name.startswith("inputs/"))]
    for name in rng.permutation(free)[: rng.choice(most)]:
        given[name] = np.float32(changed(rng, given[name])).astype(float)
    if "inputs/texts" in given:
        given["inputs/texts"][0] = 0
    return given | {name: log_softmax(a) for name, a in given.items() if name.endswith("logp")}
