"""Cases for programs in other languages: what is given goes out as files, results come back as files.

A case is DIR/<component>/<case>.npz, or raw a folder DIR/<component>/<case>/ of little-endian files in C order with
arrays.json: {"inputs/x": {"file": "inputs.x.bin", "dtype": "float64", "shape": [3, 7, 8]}, ...}. bool is one byte.
"""
import json
import math
import shutil
import zipfile
from pathlib import Path

import numpy as np

from mbref.check import casefile, run
from mbref.errors import InputError, require

DTYPES = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "int32": "<i4", "bool": "|b1"}


def export(folder, cases, raw):
    """Write inputs, params and cotangents of the cases, and the manifest.  -> number of cases."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(casefile.ROOT / "manifest.json", folder / "manifest.json")
        for case in cases:
            given = {k: a for k, a in casefile.arrays(case).items() if k.partition("/")[0] in casefile.GIVEN}
            (write_raw if raw else write_npz)(folder / case.id, given)
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}): give another folder.") from error
    return len(cases)


def write_npz(path, arrays):
    """path.npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path.with_name(path.name + ".npz"), **arrays)


def write_raw(path, arrays):
    """path/arrays.json and one file an array."""
    path.mkdir(parents=True, exist_ok=True)
    shapes = {}
    for key, a in arrays.items():
        name = key.replace("/", ".") + ".bin"
        (path / name).write_bytes(np.ascontiguousarray(a, DTYPES[a.dtype.name]).tobytes())
        shapes[key] = {"file": name, "dtype": a.dtype.name, "shape": list(a.shape)}
    (path / "arrays.json").write_text(json.dumps(shapes, indent=1) + "\n")


def read_results(path):
    """The arrays of path.npz or path/arrays.json, and why others cannot be read; None if there is neither.

    -> {name: array}, {name: sentence}. Raises InputError if nothing of it can be read.
    """
    npz, listing = path.with_name(path.name + ".npz"), path / "arrays.json"
    if npz.is_file():
        return read_npz(npz)
    if not path.is_dir():
        return None
    try:
        described = json.loads(listing.read_text()).items()
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{listing} is no list of arrays ({error}): see tiny_data/cases/README.md.") from error
    return each(described, lambda one: read_raw(path, one))


def read_npz(path):
    """As read_results."""
    try:
        with np.load(path, allow_pickle=False) as z:
            return each(((name, name) for name in z.files), z.__getitem__)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no .npz file ({error}).") from error


def each(described, read):
    """read(description) of every array.  described: (name, description).  -> arrays, reasons of those that fail."""
    arrays, problems = {}, {}
    for name, one in described:
        try:
            arrays[name] = read(one)
        except Exception as error:  # a stranger's file may be damaged in any way, and the other arrays must go on
            problems[name] = f"cannot be read: {error}"
    return arrays, problems


def read_raw(folder, one):
    """One array of a folder from its entry in arrays.json.  Raises InputError if the two do not fit together."""
    require(isinstance(one, dict) and {"file", "dtype", "shape"} <= one.keys(), "give its file, dtype and shape.")
    require(one["dtype"] in DTYPES, f"dtype {one['dtype']}; known are {', '.join(DTYPES)}.")
    name, dtype, shape = Path(one["file"]).name, np.dtype(DTYPES[one["dtype"]]), one["shape"]
    require((folder / name).is_file(), f"there is no file {name}.")
    content, size = (folder / name).read_bytes(), dtype.itemsize * math.prod(shape)
    require(len(content) == size, f"{name} has {len(content)} bytes and not {size}, {one['dtype']} of shape {shape}.")
    return np.frombuffer(content, dtype).reshape(shape)


def compare_results(folder, cases, dtype, gradients):
    """Judge the results in a folder; cases without any are left out.  -> iterator of run.Result."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: let your program write its results there.")
    for case in cases:
        want = run.wanted(case, casefile.arrays(case), gradients)
        try:
            found = read_results(folder / case.id)
        except InputError as error:  # the other cases must go on
            yield run.failed(case, want, dtype, str(error))
            continue
        if found is not None:
            got, problems = found
            yield run.judge(case, want, got, dtype, problems)


def strangers(folder):
    """What looks like results of a case in a folder, but has no case's name.  -> sorted list of names."""
    found = {path.parent for path in folder.rglob("arrays.json")} | {p.with_suffix("") for p in folder.rglob("*.npz")}
    return sorted({path.relative_to(folder).as_posix() for path in found} - {case.id for case in casefile.cases()})
