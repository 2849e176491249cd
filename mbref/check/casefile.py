"""The golden cases on disk: tiny_data/cases/manifest.json, and an .npz of numbers for every case,
in gzip: arrays are many and small, and what a zip says of each takes more than they.

Keys of an .npz are paths: inputs/, params/ and cotangents/ are given; taps/, outputs/, grads/ and
steps/ are expected.
"""
import ast
import difflib
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.check.compare import group
from mbref.data import shipped
from mbref.data.files import read_json as read_any
from mbref.errors import InputError

ROOT = shipped.tiny_data() / "cases"
KINDS = {"id": str, "component": str, "equation": str, "side": str, "flags": list, "config": dict,
         "outputs": list, "form": str, "file": str, "sha256": str}  # of an entry of the manifest
ENTRY = ("id", "component", "side", "flags", "config", "file", "form")  # and of a Case
GIVEN = ("inputs", "params", "cotangents")
EXPECTED = ("taps", "outputs", "grads", "steps")  # in the order in which they are compared
NEARLY = 0.85  # how alike a name is that was to be a component's: but for a letter or two


class Case(NamedTuple):
    """One entry of the manifest."""
    id: str             # component/name
    component: str      # "hmar.code"; whole models are "hmar", "atrank", ...
    side: str           # "paper", "released", or "both" where the two do not differ
    flags: list         # what it is for: names in "flags" of the manifest
    config: dict        # numbers and words that the function gets among its inputs
    file: str
    kind: str           # "values", "metric" (1e-12), "model"
    entry: dict         # everything that the manifest says
    form: str = "paper"  # or "variant", "release"

    def __str__(self):
        return self.id


@cache
def manifest(root=ROOT):
    """The manifest in `root`.  -> dict. Raises InputError if it is missing or damaged."""
    path = Path(root) / "manifest.json"
    content = read_json(path, ("flags", "components", "cases"))
    try:
        for entry in content["cases"]:
            kinds = {name: type(entry[name]) for name in KINDS}
            kind = content["components"][entry["component"]]["kind"]
            if kinds != KINDS or kind not in ("values", "metric", "model"):
                raise ValueError(f"an entry, of kind {kind}, is {str(entry)[:80]}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise file_error(path, error) from error
    return content


def read_json(path, names):
    """A JSON object that came with mbref and has these names.  -> dict. Raises InputError."""
    try:
        packed = Path(path).suffix == ".gz"
        content = json.loads(gzip.decompress(path.read_bytes())) if packed else read_any(path)
        if not isinstance(content, dict) or not content.keys() >= set(names):
            raise ValueError(f"it is no object with {' and '.join(names)}")
        return content
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise file_error(path, error) from error


def file_error(path, error):
    """The InputError that names a damaged file which came with mbref, and the mend."""
    reason = getattr(error, "strerror", None) or error or type(error).__name__
    return InputError(f"{path} is missing or damaged ({reason}): {shipped.mend(path)}.")


def make_case(entry, components):
    """The Case of an entry of the manifest."""
    kind = components[entry["component"]]["kind"]
    return Case(**{name: entry[name] for name in ENTRY}, kind=kind, entry=entry)


def cases(name=None, side=None, root=ROOT, form="all"):
    """The golden cases, for pytest.mark.parametrize("case", cases("hmar"), ids=str).  -> list.

    name: "hmar" takes the model and all its components, "hmar.code" one component, "hmar/" the
    model alone, and "hmar.code/basic" one case; a list takes several. side: "paper" or "released"
    leaves out the cases of the other side; form, "paper", "variant" or "release", those of other
    forms, but no component's only ones. Raises InputError if no case has that name.
    """
    content, names = manifest(root), name if isinstance(name, list) else [name]
    for one in names:
        if not any(matches(entry["id"], one) for entry in content["cases"]):
            raise InputError(f"there is no case {one!r}: {suggest(one)}"
                             "python -m mbref cases lists them.")
    found = [make_case(entry, content["components"]) for entry in content["cases"]
             if any(matches(entry["id"], one) for one in names)
             and (side in (None, entry["side"]) or entry["side"] == "both")]
    having = {case.component for case in found if case.form == form}
    return [case for case in found if case.form == form or case.component not in having]


def suggest(name):
    """""did you mean hmar.code? " of a name that is nearly one of a component or case, or ""."""
    content = manifest()
    known = [*content["components"], *(entry["id"] for entry in content["cases"])]
    close = difflib.get_close_matches(name, known, 2)
    return f"did you mean {' or '.join(close)}? " if close else ""


def component_names():
    """{the name of a function: the component that it computes}."""
    return {name.replace(".", "_"): name for name in manifest()["components"]}


def find_misspelt(path):
    """{the name of a function in a file: that of a component without one that it nearly is}."""
    names, tree = component_names(), ast.parse(Path(path).read_bytes())
    own = [part.name for part in tree.body if isinstance(part, ast.FunctionDef)]
    return {name: match for name in own if name not in names
            for match in difflib.get_close_matches(name, names, 1, NEARLY) if match not in own}


def settings(component):
    """What the config of a component's cases leaves out, from the manifest's defaults.  -> dict."""
    defaults = manifest()["defaults"].get(component.partition(".")[0], {})
    return {name: value for name, value in defaults.items()  # [] and 0: what a case has not
            if value != [] and not (value == 0 and type(value) is int)}


def matches(id, name):
    """Does `name` (a case, a component, a family, or None for all) take in the case `id`?"""
    if name is None or name.endswith(("/", ".")):
        return id.startswith(name or "")
    return id == name or id.startswith((name + "/", name + "."))


def is_fresh(case):
    """Is a case drawn, with its arrays in it, in place of a file?"""
    return "arrays" in case.entry


def arrays(case, root=ROOT):
    """All arrays of a case by their paths.  -> dict. Raises InputError if the file is damaged."""
    if is_fresh(case):
        return case.entry["arrays"]
    path = Path(root) / case.file
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != case.entry["sha256"]:
            raise ValueError("its content is not that of the manifest")
        return dict(unpack(content))
    except (OSError, ValueError) as error:
        raise file_error(path, error) from error


@lru_cache(maxsize=1)  # a case is unpacked once for all types
def unpack(content):
    """The arrays of a file of this content, not to be written to."""
    with zipfile.ZipFile(io.BytesIO(gzip.decompress(content))) as z:
        return {name.removesuffix(".npy"): read_array(z.read(name)) for name in z.namelist()}


def read_array(content):
    """An array as numpy.save writes it in C order.  Most of np.load's time goes into headers."""
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, _, dtype = read_header(content[8:start])
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


@cache  # cases have few shapes
def read_header(content):
    """Shape, order and dtype from the header of an .npy file of version 1."""
    return np.lib.format.read_array_header_1_0(io.BytesIO(content))


def part(everything, name):
    """The arrays of one group, without its name.  {"params/w": a} -> {"w": a}."""
    start = f"{name}/"
    return {key[len(start):]: a for key, a in everything.items() if key.startswith(start)}


def answers(everything, gradients=True, steps=True):
    """What is compared, in the order of the forward pass; without gradients, that pass alone."""
    groups = EXPECTED[:2 + gradients * (1 + steps)]
    return {key: a for name in groups for key, a in everything.items() if group(key) == name}


def nest(flat):
    """{"blocks/0/q/w": a} -> {"blocks": [{"q": {"w": a}}]}: names that are numbers make lists."""
    parts = {}
    for path, a in flat.items():
        name, _, rest = path.partition("/")
        parts.setdefault(name, {})[rest] = a
    tree = {name: part[""] if "" in part else nest(part) for name, part in parts.items()}
    if tree and all(name.isdigit() for name in tree):
        return [tree[str(i)] for i in range(len(tree))]
    return tree
