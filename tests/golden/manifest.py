"""tiny_data/cases/manifest.json: an entry for every case, and what flags and components mean."""
import json
from dataclasses import MISSING, fields

from mbref.check import casefile
from mbref.variants import atrank, dmran, hiersrec, hmar
from tests.golden import reduced
from tests.golden.flags import FLAGS
from tests.golden.registry import COMPONENTS

PAPERS = {"atrank": atrank, "dmran": dmran, "hiersrec": hiersrec, "hmar": hmar}
AS_RELEASED = {"atrank": atrank.RELEASED | {"width": 0}}  # what cases of ATRank leave out


VERSION = 7   # of the cases, see tiny_data/cases/CHANGES.md


def make_entry(component, plan, arrays, seed, oracles, noise, digest):
    """The entry of a case."""
    inputs, outputs = casefile.part(arrays, "inputs"), casefile.part(arrays, "outputs")
    return {
        "id": f"{component}/{plan.name}", "component": component,
        "equation": COMPONENTS[component].equation, "side": plan.side, "flags": list(plan.flags),
        "config": plan.config, "oracles": sorted(oracles),
        "sizes": {name: list(a.shape) for name, a in inputs.items() if a.ndim},
        "outputs": list(outputs), "seed": seed, "noise_float32": float(f"{noise:.1e}"),
        "file": f"{component}/{plan.name}.npz.gz", "sha256": digest}


def form_of(component, plan):
    """Which form of the equation a case asks for: the paper's, a variant of it, or a release's.

    What is no part of a paper has settings of its own; a switch of ATRank leads back to the paper.
    """
    if plan.side == "released":
        return "release"
    own = component.partition(".")[0] in ("atrank", "layers", "attention")
    return "variant" if "Switch" in plan.flags and not own else "paper"


def describe_components():
    """What the manifest says of the components.  -> {name: dict}."""
    measured = reduced.tolerances()
    return {name: {"equation": one.equation, "kind": one.kind,
                   "differentiate": list(one.differentiate),
                   "about": " ".join(one.about.split())}
            | ({"reduced": measured[name]} if name in measured else {})
            for name, one in COMPONENTS.items()}


def list_defaults(config):
    """The settings of a Config and their values, but dropout, which is off in all cases."""
    return {field.name: field.default for field in fields(config)
            if field.default is not MISSING and field.name != "dropout"}


def describe_defaults():
    """Of each paper, the value of a setting that a case's config leaves out."""
    return {name: list_defaults(module.Config) | AS_RELEASED.get(name, {})
            for name, module in PAPERS.items()}


def read_entries(root):
    """The entries there are."""
    path = root / "manifest.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


def write_manifest(entries, root):
    """manifest.json: one line a case, so that a change shows in a diff."""
    flags = {name: flag._asdict() for name, flag in FLAGS.items()}
    dicts = {"flags": flags, "components": describe_components(), "defaults": describe_defaults()}
    parts = ['"format": 2', f'"version": {VERSION}']
    for name, content in dicts.items():
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
        parts.append(f'"{name}": {{\n' + ",\n".join(lines) + "\n}")
    parts.append('"cases": [\n' + ",\n".join(f"  {json.dumps(entry, separators=(',', ':'))}" for entry in entries) + "\n]")
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.json").write_text("{" + ",\n".join(parts) + "}\n")
    casefile.manifest.cache_clear()
