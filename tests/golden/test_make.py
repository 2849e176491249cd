"""What lets a case in, and that a case is made again as it was, also on another machine."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import autograd.numpy as np
import numpy as onp
import pytest

from mbref.check import casefile, cases
from mbref.check.adapters import ADAPTERS
from mbref.nn.layers import relu, stop_gradient
from tests.golden import admission, make
from tests.golden.draw import Component, Plan, round8
from tests.golden.registry import BY_HAND, COMPONENTS, PLANS

ROOT = casefile.ROOT
MANIFEST = json.loads((ROOT / "manifest.json").read_text())
CASES = cases()


def small(case):
    """A case with few derivatives."""
    return case.kind != "model" and sum(
        a.size for n, a in casefile.arrays(case).items() if n.startswith("grads")) < 150


def find_plan(case):
    return next(r for r in PLANS[case.component] if f"{case.component}/{r.name}" == case.id)


@pytest.mark.parametrize("case", list(filter(small, CASES)), ids=str)
def test_committed_cases_are_let_in(case):
    reason, _ = admission.refuse(case.component, find_plan(case), casefile.arrays(case),
                                 BY_HAND[case.component])
    assert reason == ""


@pytest.fixture
def gate(monkeypatch):
    """Ask the gate about a function of x that stands in the registry.  function, by_hand, x ->
    reason."""
    def ask(function, by_hand, x, flags=("Basic",)):
        monkeypatch.setitem(COMPONENTS, "layers.dense", Component("", ("x",), function=function))
        plan = Plan("made", flags, lambda rng: ({}, {"x": onp.array(x)}), {})
        arrays = make.answer_case("layers.dense", plan, make.draw_case("layers.dense", plan, 0))
        return admission.refuse("layers.dense", plan, arrays, by_hand)[0]
    return ask


def square(params, inputs, tap=None):
    return {"y": inputs["x"] ** 2}


def test_the_gate(gate):
    assert gate(square, square, [1.0, -2.0]) == ""
    assert "by hand, outputs/y differs" in gate(
        square, lambda p, i: {"y": i["x"] ** 2 * (1 + 1e-9)}, [1.0, -2.0])
    assert "no by-hand form" in gate(square, None, [1.0])


def test_the_gate_sees_a_wrong_gradient(gate):
    """Both forms stop the same path, so only the differences see it."""
    half = lambda p, i, tap=None: {"y": i["x"] * stop_gradient(i["x"])}
    assert "from central differences" in gate(half, half, [1.0, -2.0])
    assert gate(half, half, [1.0, -2.0], ("StopGradient",)) == ""


@pytest.mark.parametrize("x, inside", [(1e-4, False), (1e-2, True), (0.0, False)])
def test_the_gate_sees_a_kink(gate, x, inside):
    """Within two steps of 1e-4, relative to the largest number: here 1."""
    kinked = lambda p, i, tap=None: {"y": relu(i["x"])}
    assert (gate(kinked, kinked, [x, 1.0]) == "") == inside


def test_the_gate_sees_what_is_not_finite_and_what_float32_cannot_do(gate):
    with np.errstate(all="ignore"):
        inverse = lambda p, i, tap=None: {"y": 1.0 / i["x"]}
        assert "not finite" in gate(inverse, inverse, [0.0, 1.0])
    cancelling = lambda p, i, tap=None: {"y": (i["x"] + 4096.0) - 4096.0}
    assert "float32 is off" in gate(cancelling, cancelling, [0.3, 1.1])


def test_rounding_to_8_bits():
    """257/256 and 1/3: 8 significant bits of 1/3 are 171/512."""
    assert round8(onp.array([1.0, 257 / 256, 1 / 3, -3e5, 0.0])).tolist() == [
        1.0, 1.0, 171 / 512, -299008.0, 0.0]


# Making them again.

@pytest.fixture
def copy(tmp_path):
    root = tmp_path / "cases"
    shutil.copytree(ROOT, root)
    return root


def test_a_new_case_is_made_as_it_was(copy):
    (copy / "layers.layer_norm" / "basic.npz.gz").unlink()
    made = {one.id: one.state for one in make.make("layers.layer_norm", root=copy)}
    assert made.pop("layers.layer_norm/basic") == "new" and set(made.values()) == {"same"}
    assert (copy / "layers.layer_norm" / "basic.npz.gz").stat().st_size > 0
    again = json.loads((copy / "manifest.json").read_text())
    assert [e["id"] for e in again["cases"]] == [e["id"] for e in MANIFEST["cases"]]


def test_a_changed_case_is_told_and_not_overwritten(copy):
    path = copy / "layers.dense" / "basic.npz.gz"
    arrays = casefile.unpack(path.read_bytes()) | {}
    arrays["outputs/y"] = arrays["outputs/y"].copy()
    arrays["outputs/y"][1, 2, 3] += 1e-9
    path.write_bytes(make.pack(arrays))
    before = path.read_bytes()
    found = {one.id: one for one in make.make("layers.dense", root=copy)}["layers.dense/basic"]
    assert found.state == "differs" and "outputs/y is off by 1.0e-09" in found.note
    assert path.read_bytes() == before
    arrays.pop("outputs/y")
    path.write_bytes(make.pack(arrays))
    assert "other arrays: outputs/y" in make.make("layers.dense/basic", root=copy)[0].note


AGAIN = """
import sys
from pathlib import Path
from tests.golden import make
made = make.make(root=Path(sys.argv[1]))
print(len(made), [one for one in made if one.state != "same"])
"""


@pytest.mark.parametrize("core", ["Haswell", "Prescott"])
def test_another_blas_kernel_makes_the_same_cases(copy, core):
    env = {**os.environ, "OPENBLAS_CORETYPE": core, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", AGAIN, str(copy)], env=env,
                          capture_output=True, text=True)
    assert done.stdout == f"{len(CASES)} []\n", done.stdout + done.stderr


def test_cotangents_are_not_ones():
    """A sum in their place would hide gradients that cancel."""
    case = next(case for case in cases("layers.layer_norm/basic"))
    arrays = casefile.arrays(case)
    ones = {"y": onp.ones_like(arrays["cotangents/y"])}
    params, inputs = (casefile.part(arrays, name) for name in ("params", "inputs"))
    same_gamma = {**params, "gamma": onp.ones_like(params["gamma"])}
    args = COMPONENTS["layers.layer_norm"].function, same_gamma, inputs | case.config
    blind = ADAPTERS["numpy"](*args, ones, {"inputs/x"}, "float64")[2]["inputs/x"]
    seeing = ADAPTERS["numpy"](*args, casefile.part(arrays, "cotangents"), {"inputs/x"},
                           "float64")[2]["inputs/x"]
    assert onp.abs(blind).max() < 1e-12 < 0.1 < onp.abs(seeing).max()
