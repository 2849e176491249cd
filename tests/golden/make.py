"""Make the golden cases: draw the inputs, compute what is expected, admit a case, write it and its manifest entry.

A case that exists is made again from the seed in its entry and compared (1e-12 of scale); it is never overwritten,
since the ids that others rely on must not change their meaning. To replace one, delete its file first.
"""
import hashlib
import json
import zlib
from dataclasses import MISSING, fields
from typing import NamedTuple

import numpy as np

from mbref.check import casefile, compare, run
from mbref.check.adapters import numpy_adapter
from mbref.errors import require
from mbref.nn import optim
from mbref.papers import atrank, dmran, hiersrec, hmar
from tests.golden import admission
from tests.golden.draw import round8
from tests.golden.flags import FLAGS
from tests.golden.registry import BY_HAND, COMPONENTS, PLANS

SAME = 1e-12   # of scale, between machines
SEEDS = 50     # tried in turn until a case is admitted


class Made(NamedTuple):
    """A case and what `make` found."""

    id: str
    state: str     # "same", "new", "differs", or "refused": no seed gives a case that is let in
    note: str = ""


def flat(tree):
    """A nested dict of parameters by paths."""
    return dict(optim.leaves(tree)) if tree else {}


def given(component, plan, seed):
    """Inputs, parameters and cotangents of a case, drawn from its id and seed.  -> flat dict with group names."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{component}/{plan.name}".encode())])
    params, inputs = plan.build(rng)
    require(not inputs.keys() & plan.config.keys(), f"{component}/{plan.name}: an array is named like a setting.")
    arrays = {f"inputs/{k}": as_stored(a) for k, a in inputs.items()}
    arrays |= {f"params/{k}": as_stored(a) for k, a in flat(params).items()}
    outputs = COMPONENTS[component].function(params, inputs | plan.config, lambda name, a: None)
    if arrays_to_differentiate(component, arrays):
        for name, a in outputs.items():
            if np.asarray(a).dtype.kind == "f":
                arrays[f"cotangents/{name}"] = away_from_zero(rng, np.shape(a))
    return arrays


def away_from_zero(rng, shape):
    """Random cotangents of size .5 to 1.5: a sum or mean in their place would hide wrong gradients."""
    return round8(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def as_stored(a):
    """float64, int64 or bool."""
    a = np.asarray(a)
    return a.astype({"f": np.float64, "i": np.int64, "u": np.int64, "b": bool}[a.dtype.kind])


def arrays_to_differentiate(component, arrays):
    """Paths of parameters, all floats of them, and of the component's differentiable inputs."""
    inputs = {f"inputs/{name}" for name in COMPONENTS[component].differentiate}
    return [k for k, a in arrays.items() if k in inputs or k.startswith("params/") and a.dtype.kind == "f"]


def answered(component, plan, arrays):
    """The case with what mbref computes.  -> flat dict in forward order."""
    params, inputs, cotangents = (casefile.part(arrays, name) for name in casefile.GIVEN[1::-1] + ("cotangents",))
    free = set(arrays_to_differentiate(component, arrays))
    function, inputs = COMPONENTS[component].function, inputs | plan.config
    taps, outputs, grads = numpy_adapter(function, params, inputs, cotangents, free, "float64")
    found = {f"taps/{k}": a for k, a in taps.items()} | {f"outputs/{k}": a for k, a in outputs.items()}
    found |= {f"grads/{k}": grads[k] for k in arrays if k in grads}
    if COMPONENTS[component].kind == "model":
        found["steps/losses"] = run.ten_steps(numpy_adapter, function, params, inputs, "float64")
    return arrays | {k: as_stored(a) for k, a in found.items()}


def admitted(component, plan, oracles):
    """The first seed whose case is let in.  -> (arrays, seed, agreeing oracles, float32 noise), or the last reason."""
    for seed in range(SEEDS):
        arrays = answered(component, plan, given(component, plan, seed))
        reason, noise = admission.refusal(component, plan, arrays, BY_HAND.get(component))
        if not reason:
            return arrays, seed, admission.agreeing(component, plan, arrays, oracles), noise
    return reason


def entry_of(component, plan, arrays, seed, oracles, noise, digest):
    """The manifest's entry of a case."""
    sizes = {k.partition("/")[2]: list(a.shape) for k, a in arrays.items() if k.startswith("inputs/") and a.ndim}
    outputs = [k.partition("/")[2] for k in arrays if k.startswith("outputs/")]
    return {"id": f"{component}/{plan.name}", "component": component, "equation": COMPONENTS[component].equation,
            "side": plan.side, "flags": list(plan.flags), "config": plan.config, "oracles": sorted(oracles),
            "sizes": sizes, "outputs": outputs, "seed": seed, "noise_float32": float(f"{noise:.1e}"),
            "file": f"{component}/{plan.name}.npz", "sha256": digest}


def make(only=None, oracles=(), root=casefile.ROOT):
    """Make all cases whose id `only` takes in; write those that are new.  -> list of Made.

    oracles: implementations (name, functions, backend) by others; those that agree with a case are named in its entry.
    """
    known = {entry["id"]: entry for entry in read_manifest(root)}
    report = []
    for component, of_component in PLANS.items():
        for plan in of_component:
            id = f"{component}/{plan.name}"
            require(set(plan.flags) <= set(FLAGS), f"{id} has a flag that flags.py does not explain.")
            if casefile.matches(id, only):
                made, entry = make_one(id, component, plan, known.get(id), oracles, root)
                known |= {id: entry} if entry else {}
                report.append(made)
    order = [f"{component}/{plan.name}" for component, some in PLANS.items() for plan in some]
    write_manifest([known[id] for id in order if id in known], root)
    return report


def make_one(id, component, plan, entry, oracles, root):
    """One case: compared if it exists, else written.  -> Made, its entry or None."""
    path = root / component / f"{plan.name}.npz"
    if entry and path.exists():
        kept = casefile.arrays(casefile.case_of(entry, components_of()), root)
        problem = difference(kept, answered(component, plan, given(component, plan, entry["seed"])))
        more = admission.agreeing(component, plan, kept, oracles) if oracles else []
        entry = entry | {"oracles": sorted({*entry["oracles"], *more})}
        return Made(id, "differs" if problem else "same", problem), entry
    found = admitted(component, plan, oracles)
    if isinstance(found, str):
        return Made(id, "refused", found), None
    arrays, seed, names, noise = found
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Made(id, "new", f"seed {seed}"), entry_of(component, plan, arrays, seed, names, noise, digest)


def difference(kept, again):
    """What a case differs in from what is made now; "" if nothing.  A sentence."""
    if set(kept) != set(again):
        return f"it has other arrays: {', '.join(sorted(set(kept) ^ set(again)))}"
    if list(casefile.expected(kept)) != list(casefile.expected(again)):
        return "its arrays come in another order"
    bad = [row for row in compare.compare(kept, again, SAME) if not row.times <= 1]
    return f"{bad[0].name} is off by {bad[0].error:.1e} {bad[0].problem}" if bad else ""


def components_of():
    """What the manifest says of the components."""
    return {name: {"equation": c.equation, "kind": c.kind, "differentiate": list(c.differentiate),
                   "about": " ".join((c.function.__doc__ or "").split())} for name, c in COMPONENTS.items()}


def defaults():
    """Of each paper, the value of a setting that a case's config leaves out. Dropout is off in all cases."""
    def plain(config):
        return {f.name: f.default for f in fields(config) if f.default is not MISSING and f.name != "dropout"}
    return {name: plain(module.Config) for name, module in (
        ("atrank", atrank), ("dmran", dmran), ("hiersrec", hiersrec), ("hmar", hmar))}


def read_manifest(root):
    """The entries there are."""
    path = root / "manifest.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


def write_manifest(entries, root):
    """manifest.json: one line a case, so that a change shows in a diff."""
    content = {"format": 1, "flags": {name: flag._asdict() for name, flag in FLAGS.items()},
               "components": components_of(), "defaults": defaults(), "cases": entries}
    parts = [f'"{name}": {json.dumps(content[name])}' for name in ("format",)]
    for name in ("flags", "components", "defaults"):
        parts.append(f'"{name}": {{\n' + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in
                                                    content[name].items()) + "\n}")
    parts.append('"cases": [\n' + ",\n".join(f"  {json.dumps(entry)}" for entry in entries) + "\n]")
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.json").write_text("{" + ",\n".join(parts) + "}\n")
    casefile.manifest.cache_clear()
