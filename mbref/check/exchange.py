"""Cases for programs in other languages: what is given goes out as files, results come back so.

A case is DIR/<component>/<case>.npz, or raw a folder DIR/<component>/<case>/ of little-endian files
in C order with arrays.json: {"inputs/x": {"file": "inputs.x.bin", "dtype": "float64",
"shape": [3, 7, 8]}, ..., "config": {"heads": 2, ...}}. bool is one byte; config are all settings.
"""
import math
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from mbref.check import casefile, run
from mbref.check.compare import group
from mbref.data.arrays import unpack
from mbref.data.files import pack_json, read_json, write_folder
from mbref.errors import InputError, require

DTYPES = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "int32": "<i4", "bool": "|b1"}


def export(folder, cases, raw):
    """Write inputs, params and cotangents of the cases, and the manifest; of fresh ones all.

    Raises InputError if the folder holds something of one of the cases, but not the same.
    """
    other = "{}.npz" if raw else "{}"
    found = [case.id for case in cases if (folder / other.format(case.id)).exists()]
    require(not found, f"{folder} holds {', '.join(found[:1])} in the other form already: "
                       "give another folder.")
    contents = {"manifest.json": (casefile.ROOT / "manifest.json").read_bytes()}
    for case in cases:
        contents |= make_files(case, raw)
    write_folder(folder, contents)


def make_files(case, raw):
    """What is given of a case, of a fresh one all: a file or, raw, several.  -> {name: bytes}."""
    given = {k: a for k, a in casefile.arrays(case).items()
             if group(k) in casefile.GIVEN or casefile.is_fresh(case)}
    if raw:
        files = make_raw(given, config=casefile.settings(case.component) | case.config)
        return {f"{case.id}/{name}": content for name, content in files.items()}
    file = BytesIO()
    np.savez(file, **given)
    return {f"{case.id}.npz": file.getvalue()}


def make_raw(arrays, **more):
    """A file of each array, and arrays.json: what these are, and `more`.  -> {name: bytes}."""
    files, entries = {}, {}
    for key, a in arrays.items():
        name = key.replace("/", ".") + ".bin"
        files[name] = np.ascontiguousarray(a, DTYPES[a.dtype.name]).tobytes()
        entries[key] = {"file": name, "dtype": a.dtype.name, "shape": list(a.shape)}
    return files | {"arrays.json": pack_json(entries | more)}


def read_results(path):
    """The arrays of path.npz or path/arrays.json; None if there is neither.

    -> {name: array}, {name: why it cannot be read}. Raises InputError if nothing can be read.
    """
    npz, listing = Path(f"{path}.npz"), path / "arrays.json"
    if npz.is_file():
        try:
            with zipfile.ZipFile(npz) as z:
                names = [name.removesuffix(".npy") for name in z.namelist()]
                return read_each({name: name for name in names}, partial(unpack, z))
        except Exception as error:  # as in read_each
            raise InputError(f"{npz} is no .npz file ({error}).") from error
    if not path.is_dir():
        return None
    try:
        entries = read_json(listing)
        entries.pop("config", None)  # was given
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{listing} is no list of arrays ({error}): "
                         "see tiny_data/cases/README.md.") from error
    return read_each(entries, partial(read_raw, path))


def read_each(entries, read):
    """read(entry) of every array.  -> arrays, reasons of those that fail."""
    arrays, problems = {}, {}
    for name, entry in entries.items():
        try:
            arrays[name] = read(entry)
        except Exception as error:  # a stranger's file may be damaged in any way; others must go on
            problems[name] = f"cannot be read: {error}"
    return arrays, problems


def read_raw(folder, entry):
    """An array of a folder from its entry in arrays.json; InputError if they do not fit."""
    require(isinstance(entry, dict) and {"file", "dtype", "shape"} <= entry.keys(),
            "give its file, dtype and shape.")
    require(entry["dtype"] in DTYPES, f"dtype {entry['dtype']}; known are {', '.join(DTYPES)}.")
    path, shape = folder / Path(entry["file"]).name, entry["shape"]
    require(path.is_file(), f"there is no file {path.name}.")
    content, dtype = path.read_bytes(), np.dtype(DTYPES[entry["dtype"]])
    size = dtype.itemsize * math.prod(shape)
    require(len(content) == size, f"{path.name} has {len(content)} bytes and not {size}, "
                                  f"{entry['dtype']} of shape {shape}.")
    return np.frombuffer(content, dtype).reshape(shape)


def compare_results(folder, cases, dtype, gradients):
    """Judge the results in a folder; cases without any are left out.  -> iterator of run.Result."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: let your program write its results there.")
    for case in cases:
        if not run.is_for(case, dtype):
            continue
        try:
            found = read_results(folder / case.id)
        except InputError as error:  # the other cases must go on
            yield run.fail(case, dtype, gradients, str(error))
            continue
        if found is not None:
            want = casefile.answers(casefile.arrays(case), gradients)
            yield run.judge(case, want, found[0], dtype, found[1])


def find_strangers(folder):
    """What looks like results of a case, but has no case's name.  -> sorted list of names."""
    raw = {path.parent for path in folder.rglob("arrays.json")}
    found = raw | {path.with_suffix("") for path in folder.rglob("*.npz")}
    names = {path.relative_to(folder).as_posix() for path in found}
    return sorted(names - {case.id for case in casefile.cases()})
