"""Make the golden cases: draw what is given, compute what is expected, admit a case, write it.

A case that exists is made again from the seed in its entry of the manifest and compared (3e-12 of
scale); it is never overwritten, since the ids that others rely on must not change their meaning. To
replace one, delete its file first.
"""
import gzip
import hashlib
import io
import zlib
from typing import NamedTuple

import numpy as np

from mbref.check import casefile, compare, run
from mbref.check.adapters import ADAPTERS, DESCENTS
from mbref.errors import require
from mbref.nn import optim
from tests.golden import admission
from tests.golden.draw import round8, round_bits
from tests.golden.flags import FLAGS
from tests.golden.manifest import describe_components, form_of, make_entry, read_entries, write_manifest
from tests.golden.registry import BY_HAND, COMPONENTS, PLANS

SAME = 3e-12   # of scale, between machines: two steps of what BITS leave
# the same of cases flagged Far in float64, whose values are 1e5 and more times their spread: of what is left when the
# mean is taken off, the rounding of the last digit of what was there is as much larger
SAME_FAR = 5e-10
BITS = 40      # of answers: 5e-13, beside tolerances of 1e-9; more would take a tenth more space
SEEDS = 50     # tried in turn until a case is admitted


class Made(NamedTuple):
    """A case and what `make` found."""

    id: str
    state: str     # "same", "new", "differs", or "refused": no seed gives a case that is let in
    note: str = ""


def draw_case(component, plan, seed):
    """Inputs, parameters and cotangents of a case, drawn from its id and seed.  -> flat dict."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{component}/{plan.name}".encode())])
    params, inputs = plan.build(rng)
    require(not inputs.keys() & plan.config.keys(),
            f"{component}/{plan.name}: an array is named like a setting.")
    arrays = {f"inputs/{k}": store(a) for k, a in inputs.items()}
    if params:
        arrays |= {f"params/{k}": store(a) for k, a in optim.leaves(params)}
    outputs = COMPONENTS[component].function(params, inputs | plan.config, lambda name, a: None)
    if list_differentiable(component, arrays):
        for name, a in outputs.items():
            if np.asarray(a).dtype.kind == "f":
                arrays[f"cotangents/{name}"] = draw_cotangent(rng, np.shape(a))
    return arrays


def draw_cotangent(rng, shape):
    """Numbers of size .5 to 1.5: in their place a sum or mean would hide wrong gradients."""
    return round8(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def store(a):
    """An array as float64, int64 or bool, in C order."""
    a = np.asarray(a)
    return a.astype({"f": np.float64, "i": np.int64, "u": np.int64, "b": bool}[a.dtype.kind], "C")


def list_differentiable(component, arrays):
    """Paths of all floats among the parameters, and of the inputs that have a gradient."""
    inputs = {f"inputs/{name}" for name in COMPONENTS[component].differentiate}
    return [k for k, a in arrays.items()
            if k in inputs or k.startswith("params/") and a.dtype.kind == "f"]


def answer_case(component, plan, arrays):
    """The case with what mbref computes.  -> flat dict in the order of the forward pass."""
    params, cotangents = (casefile.part(arrays, name) for name in ("params", "cotangents"))
    inputs = casefile.part(arrays, "inputs") | plan.config
    function, free = COMPONENTS[component].function, set(list_differentiable(component, arrays))
    adapter = ADAPTERS["numpy"]
    taps, outputs, grads = adapter(function, params, inputs, cotangents, free, "float64")
    found = {f"taps/{k}": a for k, a in taps.items()}
    found |= {f"outputs/{k}": a for k, a in outputs.items()}
    found |= {f"grads/{k}": grads[k] for k in arrays if k in grads}
    if COMPONENTS[component].kind == "model":
        found["steps/losses"] = DESCENTS["numpy"](function, params, inputs, "float64", run.STEPS)
    bits = 53 if COMPONENTS[component].kind == "metric" else BITS
    return arrays | {k: shorten(store(a), bits) for k, a in found.items()}


def shorten(a, bits):
    """Floats of so many bits; what is no number stays."""
    return round_bits(a, bits) if a.dtype.kind == "f" and bits < 53 else a


def admit(component, plan, oracles):
    """The first seed whose case is let in.

    -> (arrays, seed, oracles that agree, float32 noise), or why the last seed was refused.
    """
    for seed in range(SEEDS):
        arrays = answer_case(component, plan, draw_case(component, plan, seed))
        reason, noise = admission.refuse(component, plan, arrays, BY_HAND.get(component))
        if not reason:
            return arrays, seed, admission.find_oracles(component, plan, arrays, oracles), noise
    return reason


def make(only=None, oracles=(), root=casefile.ROOT):
    """Make all cases whose id `only` takes in; write those that are new.  -> list of Made.

    oracles: implementations (name, functions, backend) by others; those that agree with a case are
    named in its entry.
    """
    known = {entry["id"]: entry for entry in read_entries(root)}
    plans = {f"{component}/{plan.name}": (component, plan)
             for component, several in PLANS.items() for plan in several}
    made = []
    for id, (component, plan) in plans.items():
        require(set(plan.flags) <= set(FLAGS), f"{id} has a flag that flags.py does not explain.")
        if casefile.matches(id, only):
            one, entry = make_one(id, component, plan, known.get(id), oracles, root)
            known |= {id: entry} if entry else {}
            made.append(one)
    write_manifest([known[id] | {"form": form_of(*plans[id])} for id in plans if id in known], root)
    return made


def make_one(id, component, plan, entry, oracles, root):
    """One case: compared if it exists, else written.  -> Made, its entry or None."""
    path = root / f"{id}.npz.gz"
    if entry and path.exists():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()  # whatever stands there is compared
        kept = casefile.arrays(casefile.make_case(entry | {"sha256": digest}, describe_components()), root)
        again = answer_case(component, plan, draw_case(component, plan, entry["seed"]))
        problem = difference(kept, again, SAME_FAR if {"Far", "Float64"} <= set(plan.flags) else SAME)
        more = admission.find_oracles(component, plan, kept, oracles) if oracles else []
        entry = entry | {"oracles": sorted({*entry["oracles"], *more})}
        return Made(id, "differs" if problem else "same", problem), entry
    found = admit(component, plan, oracles)
    if isinstance(found, str):
        return Made(id, "refused", found), None
    arrays, seed, names, noise = found
    path.parent.mkdir(parents=True, exist_ok=True)
    content = pack(arrays)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = make_entry(component, plan, arrays, seed, names, noise, digest)
    return Made(id, "new", f"seed {seed}"), entry


def pack(arrays):
    """The content of a case's file, which casefile.unpack reads."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return gzip.compress(buffer.getvalue(), mtime=0)


def difference(kept, again, same=SAME):
    """What a case differs in from what is made now by more than `same` of scale; "" if nothing.  A sentence."""
    if set(kept) != set(again):
        return f"it has other arrays: {', '.join(sorted(set(kept) ^ set(again)))}"
    if list(casefile.answers(kept)) != list(casefile.answers(again)):
        return "its arrays come in another order"
    bad = [row for row in compare.compare(kept, again, same) if not row.times <= 1]
    return f"{bad[0].name} is off by {bad[0].error:.1e} {bad[0].problem}" if bad else ""
