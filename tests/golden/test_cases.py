"""The golden cases themselves: manifest, files, and what they hold."""
import hashlib
import importlib
import json
from dataclasses import fields

import numpy as onp
import pytest

from mbref.check import casefile, cases
from mbref.check.components.reading import own_functions
from mbref.errors import InputError
from tests.golden import manifest
from tests.golden.flags import FLAGS
from tests.golden.registry import BY_HAND, COMPONENTS, PLANS
from tests.optional import require

ROOT = casefile.ROOT
MANIFEST = json.loads((ROOT / "manifest.json").read_text())
CASES = cases()
MODELS = ("atrank", "dmran", "hiersrec", "hmar")
FIELDS = {"id": str, "component": str, "equation": str, "side": str, "flags": list, "config": dict,
          "oracles": list, "sizes": dict, "outputs": list, "seed": int, "noise_float32": float,
          "file": str, "sha256": str, "form": str}
of_every_case = pytest.mark.parametrize("case", CASES, ids=str)


# The manifest and its files.

def as_json(content):
    """With lists for tuples."""
    return json.loads(json.dumps(content))


def test_manifest_schema():
    assert set(MANIFEST) == {"format", "version", "flags", "components", "defaults", "cases"}
    assert MANIFEST["format"] == 2
    assert {entry["form"] for entry in MANIFEST["cases"]} == {"paper", "variant", "release"}
    changes = (ROOT / "CHANGES.md").read_text()
    assert MANIFEST["version"] == manifest.VERSION and f"## {manifest.VERSION}\n" in changes
    for entry in MANIFEST["cases"]:
        assert {name: type(value) for name, value in entry.items()} == FIELDS, entry["id"]
        assert entry["id"].startswith(entry["component"] + "/")
        assert entry["file"] == entry["id"] + ".npz.gz" and entry["outputs"]
        assert entry["side"] in ("paper", "released", "both") and "by_hand" in entry["oracles"]
        assert entry["flags"] and set(entry["flags"]) <= set(MANIFEST["flags"])
        assert all(isinstance(v, (int, float, str, bool, list)) for v in entry["config"].values())
    ids = [entry["id"] for entry in MANIFEST["cases"]]
    assert len(set(ids)) == len(ids)
    names = {entry["component"] for entry in MANIFEST["cases"]}
    assert names == set(MANIFEST["components"]) == set(COMPONENTS)
    assert all(part["about"] and part["equation"] for part in MANIFEST["components"].values())
    assert MANIFEST["components"] == manifest.describe_components()
    assert MANIFEST["defaults"] == as_json(manifest.describe_defaults())


@of_every_case
def test_the_manifest_says_which_gradients_there_are(case):
    """Of all floats among the parameters and of the inputs to differentiate, with cotangents."""
    arrays, inputs = casefile.arrays(case), MANIFEST["components"][case.component]["differentiate"]
    wanted = {f"grads/inputs/{name}" for name in inputs} | {
        f"grads/{name}"
        for name, a in arrays.items() if name.startswith("params/") and a.dtype.kind == "f"}
    has_any = any(name.startswith("cotangents/") for name in arrays)
    assert {name for name in arrays if name.startswith("grads/")} == (wanted if has_any else set())


@pytest.mark.parametrize("family", MANIFEST["defaults"])
def test_config_and_defaults_say_everything_of_a_model(family):
    """So that nobody has to look up what a case leaves out; a changed default shows here."""
    variant = importlib.import_module(f"mbref.variants.{family}")
    known = MANIFEST["defaults"][family]
    for case in cases(f"{family}/"):
        names = {field.name for field in fields(variant.Config)}
        assert names <= {*known, *case.config, "dropout"}
    now = {field.name: field.default for field in fields(variant.Config) if field.name in known}
    if family == "atrank":
        now |= variant.RELEASED | {"width": 0}
    assert as_json(now) == known


def test_every_file_is_in_the_manifest_and_all_are_small():
    files = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.npz.gz")}
    assert files == {entry["file"] for entry in MANIFEST["cases"]}
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 4_000_000


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


@pytest.mark.parametrize("case", [case for case in CASES if "Float64" not in case.flags], ids=str)
def test_what_is_given_starts_from_the_same_numbers_in_float32(case):
    for name, a in casefile.arrays(case).items():
        is_given = name.partition("/")[0] in casefile.GIVEN
        if a.dtype.kind == "f" and is_given and not name.endswith("logp"):
            onp.testing.assert_array_equal(a, a.astype(onp.float32), err_msg=name)


@of_every_case
def test_gradients_of_all_that_is_differentiated(case):
    arrays = casefile.arrays(case)
    grads, differentiable = casefile.part(arrays, "grads"), COMPONENTS[case.component].differentiate
    of_inputs = {name for name in grads if name.startswith("inputs/")}
    assert of_inputs == {f"inputs/{name}" for name in differentiable}
    assert set(grads) - of_inputs == {name for name in arrays if name.startswith("params/")}
    assert all(grads[name].shape == arrays[name].shape for name in grads)
    assert not grads or any(a.any() for a in grads.values()) == (case.id not in ALL_ZERO)
    for name, a in casefile.part(arrays, "cotangents").items():
        assert a.shape == arrays[f"outputs/{name}"].shape and (abs(onp.abs(a) - 1) <= 0.5).all()


ALL_ZERO = {  # a mean of nothing, a minimum, a softmax over one row, no row at all
    "hmar/nothing",
    # weights that are all 0 or 1
    "dmran.alignment/steepest", "dmran.item_attention/far_below",
    "losses.masked_mean/nothing", "hmar.ranking_loss/empty_history", "dmran.redundancy/own_events",
    "dmran.alignment/one_hop", "dmran.feature_attention/one_alone"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_three_cases_and_one_for_a_fault(component):
    own = cases(component + "/")
    basic = any("Basic" in case.flags for case in own)
    assert len(own) >= 3 and basic or component == "hmar.released"
    assert any(set(case.flags) - {"Basic"} for case in own)


@pytest.mark.parametrize("model", MODELS)
def test_whole_models_have_gradients_of_all_parameters_and_ten_steps(model):
    for case in cases(model + "/"):
        arrays = casefile.arrays(case)
        losses = arrays["steps/losses"]
        assert losses.shape == (10,)
        assert losses[0] == pytest.approx(arrays["outputs/loss"], rel=1e-12)
        assert (losses[-1] < losses[0] or case.id in ALL_ZERO) and case.kind == "model" and case.config["rate"] > 0


NOT_OF_A_LOSS = {"counts", "newest_only", "pairs", "unit", "dropout"}  # how batches are drawn


def list_values(config, field):
    """The values that a setting can have, as its own error message lists them; none of a number."""
    if field.type in ("bool", bool):
        return [True, False]
    if field.type not in ("str", str) or field.name == "inputs":
        return []
    with pytest.raises(InputError) as error:
        config(**SMALLEST[config.__module__.rpartition(".")[2]], **{field.name: "?"})
    return str(error.value).partition("choose one of ")[2].rstrip(".").split(", ")


SMALLEST = {"hmar": {"items": 1, "behaviours": 1}, "atrank": {"items": 1}, "dmran": {"items": 1},
            "hiersrec": {"items": 1, "categories": 1}}
VARY = {"atrank": ("penalty", "weight_decay", "heads", "blocks", "hidden", "table_width"),
        "hmar": ("theta", "weights", "target", "heads", "blocks", "length"),
        "dmran": ("redundancy", "penalty", "weight_decay", "hops", "categories", "heads"),
        "hiersrec": ("category_weight", "blocks", "text", "inputs")}


@pytest.mark.parametrize("family", MODELS)
def test_every_value_of_every_setting_has_a_loss_with_gradients_and_is_explained(family):
    known, config = MANIFEST["defaults"][family], importlib.import_module(
        f"mbref.variants.{family}").Config
    of_models = [known | case.config for case in CASES if case.kind == "model"
                 and case.component.partition(".")[0] == family and ".released" not in case.component]
    text = " ".join(MANIFEST["components"][family]["about"].split())
    for field in fields(config):
        if field.name not in NOT_OF_A_LOSS:
            for value in list_values(config, field):
                assert value in [used.get(field.name) for used in of_models], (field.name, value)
                if value != known[field.name]:
                    assert field.name in text, field.name
                    assert f'"{value}"' in text or value in (True, False), (field.name, value)
    for name in VARY[family]:
        assert any(used.get(name) != known[name] for used in of_models), name


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


def test_the_manifest_is_as_its_schema_says_one_case_a_line():
    schema = json.loads((ROOT / "manifest.schema.json").read_text())
    require("jsonschema").validate(MANIFEST, schema)
    assert set(schema["properties"]["cases"]["items"]["properties"]) == set(FIELDS)
    lines = (ROOT / "manifest.json").read_text().splitlines()
    assert [json.loads(line.rstrip(","))["id"] for line in lines if line.startswith('  {"id"')] == [
        entry["id"] for entry in MANIFEST["cases"]]
