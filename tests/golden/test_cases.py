"""The golden cases themselves: manifest, files, what lets a case in, and that another machine makes
the same ones."""
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import autograd.numpy as np
import numpy as onp
import pytest

from mbref.check import casefile, cases
from mbref.check.adapters import ADAPTERS
from mbref.check.components.registry import own_functions
from mbref.nn.layers import relu, stop_gradient
from tests.golden import admission, make, manifest
from tests.golden.draw import Component, Plan, round8
from tests.golden.flags import FLAGS
from tests.golden.registry import BY_HAND, COMPONENTS, PLANS

ROOT = casefile.ROOT
MANIFEST = json.loads((ROOT / "manifest.json").read_text())
CASES = cases()
MODELS = ("atrank", "dmran", "hiersrec", "hmar")
FIELDS = {"id": str, "component": str, "equation": str, "side": str, "flags": list, "config": dict,
          "oracles": list, "sizes": dict, "outputs": list, "seed": int, "noise_float32": float,
          "file": str, "sha256": str}
of_every_case = pytest.mark.parametrize("case", CASES, ids=str)


# The manifest and its files.

def as_json(content):
    """With lists for tuples."""
    return json.loads(json.dumps(content))


def test_manifest_schema():
    assert set(MANIFEST) == {"format", "flags", "components", "defaults",
                             "cases"} and MANIFEST["format"] == 1
    for entry in MANIFEST["cases"]:
        assert {name: type(value) for name, value in entry.items()} == FIELDS, entry["id"]
        assert entry["id"].startswith(entry["component"] + "/") and entry["file"] == entry[
            "id"] + ".npz"
        assert entry["side"] in ("paper", "released",
                                 "both") and entry["outputs"] and "by_hand" in entry["oracles"]
        assert entry["flags"] and set(entry["flags"]) <= set(MANIFEST["flags"])
        assert all(isinstance(v, (int, float, str, bool, list)) for v in entry["config"].values())
    ids = [entry["id"] for entry in MANIFEST["cases"]]
    assert len(set(ids)) == len(ids)
    assert {entry["component"]
            for entry in MANIFEST["cases"]} == set(MANIFEST["components"]) == set(COMPONENTS)
    assert all(part["about"] and part["equation"] for part in MANIFEST["components"].values())
    assert MANIFEST["components"] == manifest.describe_components() and MANIFEST[
        "defaults"] == as_json(manifest.describe_defaults())


@of_every_case
def test_the_manifest_says_which_gradients_there_are(case):
    """As its README: of all floats among the parameters and of the inputs to differentiate, if
    there are cotangents."""
    arrays, inputs = casefile.arrays(case), MANIFEST["components"][case.component]["differentiate"]
    wanted = {f"grads/inputs/{name}" for name in inputs} | {
        f"grads/{name}"
        for name, a in arrays.items() if name.startswith("params/") and a.dtype.kind == "f"}
    has_any = any(name.startswith("cotangents/") for name in arrays)
    assert {name for name in arrays if name.startswith("grads/")} == (wanted if has_any else set())


@pytest.mark.parametrize("family", MANIFEST["defaults"])
def test_config_and_defaults_say_everything_of_a_model(family):
    """So that nobody has to look up what a case leaves out; a changed default shows here."""
    variant, known = importlib.import_module(f"mbref.variants.{family}"), MANIFEST["defaults"][family]
    for case in cases(f"{family}/"):
        names = {field.name for field in fields(variant.Config)}
        assert names <= {*known, *case.config, "dropout"}
    now = {field.name: field.default for field in fields(variant.Config) if field.name in known}
    if family == "atrank":
        now |= variant.RELEASED | {"width": 0}
    assert as_json(now) == known


def test_every_file_is_in_the_manifest_and_all_are_small():
    files = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.npz")}
    assert files == {entry["file"] for entry in MANIFEST["cases"]}
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 3_000_000


@of_every_case
def test_file_is_as_the_manifest_says(case):
    content = (ROOT / case.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == case.entry["sha256"]
    arrays = casefile.arrays(case)
    assert {a.dtype.name for a in arrays.values()} <= {"float64", "int64", "bool"}
    given = casefile.part(arrays, "inputs")
    assert {name: list(a.shape) for name, a in given.items() if a.ndim} == case.entry["sizes"]
    assert list(casefile.part(arrays, "outputs")) == case.entry["outputs"]
    groups = [name.partition("/")[0] for name in arrays]
    assert groups == sorted(
        groups, key=("inputs", "params", "cotangents", "taps", "outputs", "grads", "steps").index)


@of_every_case
def test_what_is_given_starts_from_the_same_numbers_in_float32(case):
    for name, a in casefile.arrays(case).items():
        if a.dtype.kind == "f" and name.partition("/")[0] in casefile.GIVEN and not name.endswith(
            "logp"):
            onp.testing.assert_array_equal(a, a.astype(onp.float32), err_msg=name)


@of_every_case
def test_gradients_of_all_that_is_differentiated(case):
    arrays = casefile.arrays(case)
    grads, differentiable = casefile.part(arrays, "grads"), COMPONENTS[case.component].differentiate
    assert {name for name in grads
            if name.startswith("inputs/")} == {f"inputs/{name}" for name in differentiable}
    assert {name for name in grads
            if name.startswith("params/")} == {n for n in arrays if n.startswith("params/")}
    assert all(grads[name].shape == arrays[name].shape for name in grads)
    assert not grads or any(a.any() for a in grads.values()) == (case.id not in ALL_ZERO)
    for name, a in casefile.part(arrays, "cotangents").items():
        assert a.shape == arrays[f"outputs/{name}"].shape and (abs(onp.abs(a) - 1) <= 0.5).all()


ALL_ZERO = {  # a mean of nothing, a minimum, a softmax over one row, no row at all
    "losses.masked_mean/nothing", "hmar.ranking_loss/empty_history", "dmran.redundancy/own_events",
    "dmran.alignment/one_hop", "dmran.feature_attention/one_alone"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_three_cases_and_one_for_a_fault(component):
    own = cases(component + "/")
    assert len(own) >= 3 and any("Basic" in case.flags
                                 for case in own) or component == "hmar.released"
    assert any(set(case.flags) - {"Basic"} for case in own)


@pytest.mark.parametrize("model", MODELS)
def test_whole_models_have_gradients_of_all_parameters_and_ten_steps(model):
    for case in cases(model + "/"):
        arrays = casefile.arrays(case)
        losses = arrays["steps/losses"]
        assert losses.shape == (10,) and losses[0] == pytest.approx(
            arrays["outputs/loss"], rel=1e-12)
        assert losses[-1] < losses[0] and case.kind == "model" and case.config["rate"] > 0


def test_both_sides_of_atrank_and_hmar_are_there():
    for family in ("atrank", "hmar"):
        kinds = {case.side for case in cases(family) if case.kind == "model"}
        assert "released" in kinds and kinds & {"paper", "both"}


def test_the_page_explains_every_flag_and_every_field():
    page = " ".join((ROOT / "README.md").read_text().split())
    for name, flag in FLAGS.items():
        assert f"| {name} | {flag.situation} | {flag.catches} | {flag.effect} |" in page
    assert all(f"`{field}`" in page for field in FIELDS)
    used = {flag for case in CASES for flag in case.flags}
    assert used == set(FLAGS), "a flag without a case, or the other way round"


def test_every_component_has_plans_and_a_by_hand_form():
    assert set(PLANS) == set(BY_HAND) == set(COMPONENTS) == set(own_functions())


# What lets a case in.

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
    (copy / "layers.layer_norm" / "basic.npz").unlink()
    made = {one.id: one.state for one in make.make("layers.layer_norm", root=copy)}
    assert made.pop("layers.layer_norm/basic") == "new" and set(made.values()) == {"same"}
    assert (copy / "layers.layer_norm" / "basic.npz").stat().st_size > 0
    again = json.loads((copy / "manifest.json").read_text())
    assert [e["id"] for e in again["cases"]] == [e["id"] for e in MANIFEST["cases"]]


def test_a_changed_case_is_told_and_not_overwritten(copy):
    path = copy / "layers.dense" / "basic.npz"
    with onp.load(path) as z:
        arrays = dict(z)
    arrays["outputs/y"][1, 2, 3] += 1e-9
    onp.savez(path, **arrays)
    before = path.read_bytes()
    found = {one.id: one for one in make.make("layers.dense", root=copy)}["layers.dense/basic"]
    assert found.state == "differs" and "outputs/y is off by 1.0e-09" in found.note and path.read_bytes() == before
    arrays.pop("outputs/y")
    onp.savez(path, **arrays)
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
