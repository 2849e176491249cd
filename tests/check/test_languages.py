"""Implementations in torch and jax, and by a program that knows the manifest and not mbref."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as onp
import pytest

from mbref.__main__ import main
from mbref.check import cases
from tests.check.implementations import LAYER_NORM, run_check
from tests.optional import require


def test_torch(capsys, tmp_path):
    require("torch")
    path = tmp_path / "impl.py"
    path.write_text("""
import torch
BACKEND = "torch"
def layers_layer_norm(params, inputs, tap):
    x = inputs["x"]
    gamma, beta = params["gamma"], params["beta"]
    return {"y": torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, inputs["eps"])}
def layers_lookup(params, inputs, tap):
    y = torch.nn.functional.embedding(inputs["ids"], params["table"], padding_idx=0)
    return {"y": y.detach() * 1.0}
""")
    code, text = run_check(capsys, str(path), "--only", "layers.layer_norm")
    assert code == 0 and "4 compared" in text
    code, text = run_check(capsys, str(path), "--only", "layers.lookup")
    assert code == 1 and "RuntimeError" in text  # nothing to differentiate


def test_jax(capsys, tmp_path):
    require("jax")
    path = tmp_path / "impl.py"
    path.write_text("""
import jax.numpy as np
BACKEND = "jax"
""" + LAYER_NORM)
    assert run_check(capsys, str(path), "--only", "layers.layer_norm")[0] == 0
    path.write_text(path.read_text().replace("np.sqrt(variance", "np.sqrt(np.array(variance)[0]"))
    assert run_check(capsys, str(path), "--only", "layers.layer_norm")[0] == 1


RUNNER = """
import json, pathlib, sys
import numpy as np

source, target, raw = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] == "raw"
TYPES = {"float64": "<f8", "int64": "<i8", "bool": "|b1"}

def read(id):
    if not raw:
        return dict(np.load(source / (id + ".npz")))
    listing = json.loads((source / id / "arrays.json").read_text())
    return {k: np.fromfile(source / id / a["file"], TYPES[a["dtype"]]).reshape(a["shape"])
            for k, a in listing.items() if k != "config"}

def write(id, arrays):
    folder = target / id
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not raw:
        return np.savez(str(folder) + ".npz", **arrays)
    folder.mkdir()
    listing = {}
    for n, (k, a) in enumerate(arrays.items()):
        a.astype(TYPES[a.dtype.name]).tofile(folder / str(n))
        listing[k] = {"file": str(n), "dtype": a.dtype.name, "shape": list(a.shape)}
    (folder / "arrays.json").write_text(json.dumps(listing))

for case in json.loads((source / "manifest.json").read_text())["cases"]:
    id, eps = case["id"], case["config"].get("eps")
    if case["component"] == "layers.layer_norm":
        a = read(id)
        x, gamma, g = a["inputs/x"], a["params/gamma"], a["cotangents/y"]
        s = np.sqrt(x.var(-1, keepdims=True) + eps)
        n = (x - x.mean(-1, keepdims=True)) / s
        dn = gamma * g
        dx = (dn - dn.mean(-1, keepdims=True) - n * (n * dn).mean(-1, keepdims=True)) / s
        write(id, {"outputs/y": gamma * n + a["params/beta"], "grads/inputs/x": dx,
                   "grads/params/gamma": (g * n).sum((0, 1)), "grads/params/beta": g.sum((0, 1))})
    if case["component"] == "masks.behaviour":
        kinds = read(id)["inputs/behaviour"]
        each = [kinds == k + 1 for k in range(case["config"]["count"])]
        write(id, {"outputs/mask": np.stack(each, -1)})
"""


@pytest.mark.parametrize("form", ["npz", "raw"])
def test_a_program_that_knows_no_mbref(capsys, tmp_path, form):
    given, out = tmp_path / "given", tmp_path / "out"
    assert main(["export", str(given), *(["--raw"] if form == "raw" else [])]) == 0
    (tmp_path / "runner.py").write_text(RUNNER)
    subprocess.run([sys.executable, str(tmp_path / "runner.py"), str(given), str(out), form],
                   check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    code, text = run_check(capsys, "--results", str(out))
    assert code == 0 and "12 cases: 12 pass" in text
    if form == "npz":
        onp.savez(out / "masks.behaviour" / "basic.npz",
                  **{"outputs/mask": onp.ones((3, 7, 3), bool)})
        (out / "layers.layer_norm" / "basic.npz").write_bytes(b"no zip")
        code, text = run_check(capsys, "--results", str(out))
        assert code == 1 and "12 cases: 10 pass, 2 fail" in text or "12 cases: 2 fail, 10 pass" in text


def test_export_holds_no_answers(tmp_path):
    assert main(["export", str(tmp_path), "--only", "hmar/"]) == 0
    for path in tmp_path.rglob("*.npz"):
        with onp.load(path) as z:
            assert {name.partition("/")[0]
                    for name in z.files} == {"inputs", "params", "cotangents"}
    assert len(list(tmp_path.rglob("*.npz"))) == len(cases("hmar/"))
    (tmp_path / "file").write_text("")
    assert main(["export", str(tmp_path / "file")]) == 2


def test_a_program_in_c(capsys, tmp_path):
    """tests/crosscheck/raw_export.c, with whatever compiler there is."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = Path(__file__).parents[1] / "crosscheck" / "raw_export.c"
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-std=c11", "-o",
                    str(tmp_path / "program"), str(source), "-lm"], check=True)
    given, out = tmp_path / "given", tmp_path / "out"
    assert main(["export", str(given), "--raw", "--only", "layers"]) == 0
    subprocess.run([str(tmp_path / "program"), str(given), str(out)], check=True)
    code, text = run_check(capsys, "--results", str(out), "--only", "layers")
    n = len(cases("layers.layer_norm")) + len(cases("layers.relu"))
    assert code == 0 and f"{n} cases: {n} pass; compared: outputs, grads" in text
