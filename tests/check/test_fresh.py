"""`check --fresh`: cases that no file holds tell right functions from wrong ones."""
import json

import numpy as np
import pytest

from mbref.__main__ import main
from mbref.check import casefile, fresh
from mbref.check.casefile import manifest
from tests.check.implementations import CAUSAL, LAYER_NORM, run_check

SEEDS = ["1", "2", "3"]


@pytest.mark.parametrize("seed", SEEDS)
def test_right_functions_pass(capsys, write_file, seed):
    code, text = run_check(capsys, write_file(LAYER_NORM + CAUSAL), "--fresh", seed, "--count", "3")
    assert code == 0 and "12 cases: 12 pass; compared: outputs, grads" in text
    assert f"ok   layers.layer_norm/fresh-{seed}-2 [float32]" in text and "mbref cases" not in text


def test_wrong_functions_fail_and_the_seed_is_told(capsys, write_file):
    path = write_file(LAYER_NORM.replace('+ params["beta"]', '+ 1.01 * params["beta"]'))
    code, text = run_check(capsys, path, "--fresh", "7")
    assert code == 1 and "FAIL layers.layer_norm/fresh-7-0" in text
    assert text.splitlines()[-1].startswith("layers.layer_norm failed on cases drawn from seed 7: ")
    assert "export DIR --fresh 7 --count 1 --only layers.layer_norm/" in text


def test_stored_answers_are_no_answers(capsys, write_file):
    """A file that looks for its input among the golden cases."""
    path = write_file("""
from mbref.check import casefile
def layers_relu(params, inputs, tap):
    for case in casefile.cases("layers.relu/"):
        a = casefile.arrays(case)
        if a["inputs/x"].shape == inputs["x"].shape:
            return {"y": 0 * inputs["x"] + a["outputs/y"]}
    raise KeyError
""")
    assert run_check(capsys, path, "--forward-only", "--fresh", "1")[0] == 1


def test_shapes_settings_and_numbers_vary_and_seeds_repeat():
    found = list(fresh.draw("hmar/", 5, 6, "paper", None))
    inputs = [casefile.part(casefile.arrays(case), "inputs") for case in found]
    assert len({a["item"].shape for a in inputs}) > 2
    assert len({case.config["theta"] for case in found}) > 2
    again = list(fresh.draw("hmar/", 5, 6, "paper", None))
    for case, same in zip(found, again, strict=True):
        a, b = casefile.arrays(case), casefile.arrays(same)
        assert case.id == same.id and all(np.array_equal(a[name], b[name], equal_nan=True)
                                          for name in a)
    others = casefile.arrays(next(iter(fresh.draw("hmar/", 6, 1, "paper", None))))
    assert not np.array_equal(others["params/class2/w"], casefile.arrays(found[0])["params/class2/w"])


@pytest.mark.parametrize("seed", SEEDS)
def test_some_items_that_nobody_clicks_are_unknown(seed):
    inputs = [casefile.part(casefile.arrays(case), "inputs")
              for case in fresh.draw("hiersrec/", int(seed), 4, "paper", None)]
    assert not all(a["known"].all() for a in inputs)
    for a in inputs:
        clicked = np.union1d(a["item"], a["next"])
        assert a["known"][clicked[clicked > 0] - 1].all()


@pytest.mark.parametrize(("sizes", "clear"), [
    ({"item": [2, 5], "x": [2, 5, 4]}, True), ({"item": [2, 5], "x": [2, 5, 5]}, False),
    ({"real": [2, 5], "allowed": [2, 5, 5]}, True), ({"x": [5, 5]}, True)])
def test_a_pattern_is_clear_where_its_events_are_no_width(sizes, clear):
    case = casefile.Case("a/b", "a", "both", [], {}, "b.npz.gz", "values", {"sizes": sizes})
    assert fresh.is_clear(case) is clear


def test_there_are_fresh_cases_of_every_component():
    """The answers are those of mbref's own functions, which float32 is near."""
    found = list(fresh.draw(None, 1, 1, "all", None))
    assert {case.component for case in found} == set(manifest()["components"])
    assert all(set(case.entry["outputs"]) <= set(casefile.part(casefile.arrays(case), "outputs"))
               for case in found)


def test_they_can_be_kept(tmp_path):
    assert main(["export", str(tmp_path), "--fresh", "7", "--only", "layers.layer_norm/"]) == 0
    with np.load(tmp_path / "layers.layer_norm" / "fresh-7-0.npz") as z:
        assert {"inputs/x", "outputs/y", "grads/inputs/x"} <= set(z.files)
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == 2


def test_a_seed_that_is_none_writes_nothing(tmp_path, capsys):
    assert main(["export", str(tmp_path / "out"), "--fresh", "-1"]) == 2
    assert "-1 is no whole number of at least 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_zero_is_a_seed(capsys, write_file):
    assert run_check(capsys, write_file(CAUSAL), "--fresh", "0")[0] == 0


@pytest.mark.parametrize("raw", [[], ["--raw"]])
def test_an_export_writes_over_nothing(tmp_path, capsys, raw):
    """Results may lie where a case was given; other cases of the same manifest fit beside."""
    export, files = ["export", str(tmp_path), "--only"], ["masks.causal/basic", "layers.layer_norm/fresh-7-0"]
    chosen = [[files[0]], ["layers.layer_norm/", "--fresh", "7"]]
    for some in (["layers.layer_norm/basic"], *chosen):
        assert main([*export, *some, *raw]) == 0
    for name in files:
        path = tmp_path / f"{name}/arrays.json" if raw else tmp_path / f"{name}.npz"
        path.write_bytes(path.read_bytes() + b" ")
    whole = read_files(tmp_path)
    for again in (raw, ["--raw"] if not raw else []):
        for some in chosen:
            assert main([*export, *some, *again]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4 and all("already" in line and "give another folder" in line for line in said)
    assert all(name in line for name, line in zip(files * 2, said, strict=True))
    assert read_files(tmp_path) == whole


def read_files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_beside_another_manifest_is_refused(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{}")
    assert main(["export", str(tmp_path), "--only", "masks.causal"]) == 2
    assert "manifest.json: there already with other content" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_text() == "{}"
