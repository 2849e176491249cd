"""Cases for programs in other languages: what is given goes out as files, results come back as files.

A case is DIR/<component>/<case>.npz, or raw a folder DIR/<component>/<case>/ of little-endian files in C order with
arrays.json: {"inputs/x": {"file": "inputs.x.bin", "dtype": "float64", "shape": [3, 7, 8]}, ...}. bool is one byte.
"""
import json
import shutil
from pathlib import Path

import numpy as np

from mbref.check import casefile, run
from mbref.errors import InputError

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
    """The arrays of path.npz or path/arrays.json, or None if there is neither. Raises what reading raises."""
    npz, listing = path.with_name(path.name + ".npz"), path / "arrays.json"
    if npz.is_file():
        with np.load(npz, allow_pickle=False) as z:
            return {key: z[key] for key in z.files}
    if not listing.is_file():
        return None
    return {key: np.frombuffer((path / Path(one["file"]).name).read_bytes(), DTYPES[one["dtype"]]).reshape(one["shape"])
            for key, one in json.loads(listing.read_text()).items()}


def compare_results(folder, cases, dtype, gradients):
    """Judge the results in a folder; cases without a file are left out.  -> iterator of run.Result."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: let your program write its results there.")
    for case in cases:
        want = run.wanted(case, casefile.arrays(case), gradients)
        try:
            got = read_results(folder / case.id)
            if got is not None:
                yield run.judge(case, want, got, dtype)
        except Exception as error:  # a stranger's file may be damaged in any way, and the other cases must go on
            yield run.failed(case, want, dtype, error)
