"""`check --fresh`: cases that no file holds tell right functions from wrong ones."""
import json

import numpy as np
import pytest
from autograd import elementwise_grad

from mbref.__main__ import main
from mbref.check import casefile, check, fresh, run
from mbref.check.casefile import manifest
from mbref.check.compare import TOLERANCE
from mbref.check.components.reading import own_functions
from mbref.check.report import tabulate_class
from mbref.nn import vjps
from tests.check.implementations import CAUSAL, LAYER_NORM, run_check

SEEDS = ["1", "2", "3"]


@pytest.mark.parametrize("seed", SEEDS)
def test_right_functions_pass(capsys, write_file, seed):
    code, text = run_check(capsys, write_file(LAYER_NORM + CAUSAL), "--fresh", seed, "--count", "3")
    assert code == 0 and "cases: 1" in text and " pass; compared: outputs, grads" in text
    assert f"ok   layers.layer_norm/fresh-{seed}-2 [float64]" in text and "mbref cases" not in text


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


# it has columns for nine behaviours, as many as any golden case has
NINE = """
import numpy as np
def masks_behaviour(params, inputs, tap):
    columns = [inputs["behaviour"] == k + 1 for k in range(min(9, inputs["count"]))]
    return {"mask": np.stack(columns, -1)}
"""


def test_fresh_cases_follow_those_of_files(capsys, write_file):
    """They are counted apart, and --count 0 leaves them out."""
    code, text = run_check(capsys, write_file(NINE), fresh=True)
    assert code == 1 and "\nfresh: 14 cases: 12 pass, 2 fail; compared: outputs\n" in text
    assert "\nmbref cases 7: 6 of 736, 1 of 86 components\n12 cases: 12 pass; compared" in text
    assert "--fresh 0 --count 7 --only masks.behaviour/ --form paper writes" in text.splitlines()[-1]
    code, text = run_check(capsys, write_file(NINE), "--count", "0")
    assert code == 0 and "fresh" not in text
    code, text = run_check(capsys, write_file(NINE), "--only", "masks.behaviour/basic", fresh=True)
    assert code == 0 and "fresh" not in text


def test_a_component_without_a_layout_has_no_fresh_cases(monkeypatch):
    monkeypatch.delitem(fresh.LAYOUTS, "layers.relu")
    names = {case.component for case in fresh.draw(["layers.relu/", "layers.dense/"], 0, 1, "all", None)}
    assert names == {"layers.dense"}


def test_fresh_cases_follow_in_python(capsys):
    def nine(behaviour, count):
        return np.stack([behaviour == k + 1 for k in range(min(9, count))], -1)

    with pytest.raises(AssertionError, match="1 of 13 cases fail") as caught:
        check("masks.behaviour", nine, count=7)
    assert "--fresh 0 --count 7 --only masks.behaviour/ --form paper writes" in str(caught.value)
    check("masks.behaviour", nine)
    check("masks.behaviour", lambda behaviour, count: behaviour[..., None] == np.arange(count) + 1, count=7)
    assert capsys.readouterr().out.splitlines() == ["masks.behaviour: 6 cases pass",
                                                    "masks.behaviour: 6 cases and 7 fresh ones pass"]


def test_what_is_known_to_fail_may_fail_on_fresh_cases(capsys, write_file, tmp_path):
    path, known = write_file(NINE), tmp_path / "known.txt"
    known.write_text("masks.behaviour")
    report = tmp_path / "report.json"
    code, text = run_check(capsys, path, "--xfail", str(known), "--json", str(report), fresh=True)
    assert code == 0 and "fresh: 14 cases: 12 pass though marked as failing, 2 fail as expected" in text
    rows = json.loads(report.read_text())
    assert [row["fresh"] for row in rows] == [False] * 12 + [True] * 14
    assert tabulate_class([report])[2] == "| report | 6 of 7 | 0 of 1 | masks.behaviour |"


def test_fresh_cases_are_of_sizes_that_ports_forget():
    shapes = [casefile.arrays(case)["inputs/q"].shape
              for case in fresh.draw("attention.attention/", 0, 7, "all", None)]
    assert any(shape[:2] == (1, 1) for shape in shapes) and max(B for B, _, _ in shapes) > 32
    assert all(any(most < T for _, T, _ in shapes) for most in (32, 128, 256))
    logits = [casefile.arrays(case)["inputs/logits"]
              for case in fresh.draw("losses.cross_entropy/", 0, 14, "all", None)]
    assert max(a.shape[-1] for a in logits) > 256 and max(np.abs(a).max() for a in logits) > 800
    assert any((a == 0).any() for a in logits) and min(np.abs(a).max() for a in logits) < 0.01


def test_a_draw_that_rounding_moves_is_not_let_in():
    case = next(fresh.draw("layers.relu/", 1, 1, "all", None))
    rng, own = np.random.default_rng(0), casefile.arrays(case)
    functions = {by: lambda params, inputs, tap, by=by: {"y": (inputs["x"] + by) - by}
                 for by in (1.0, 1e5, 1e9)}
    held = {by: [fresh.holds(rng, case, fresh.answer(rng, dict(own), case, f), f, dtype)
                 for dtype in ("float32", "float64")] for by, f in functions.items()}
    assert held == {1.0: [True, True], 1e5: [False, True], 1e9: [False, False]}


def test_what_a_saturated_gate_decides_is_not_let_in():
    """Its slope is e^-z, or 0 or a rounding as sigmoid (1 - sigmoid): right ports have either."""
    case = next(fresh.draw("dmran.fusion/", 1, 1, "all", None))
    own, function = casefile.arrays(case), own_functions()["dmran.fusion"]
    held = {}
    for size in (1.0, 20.0):
        given = {key: a for key, a in own.items() if key.startswith(("inputs/", "params/"))}
        given["params/b_f"] = 0 * own["params/b_f"] + size
        arrays = fresh.answer(np.random.default_rng(0), given, case, function)
        held[size] = [fresh.holds(np.random.default_rng(0), case, arrays, function, dtype)
                      for dtype in ("float32", "float64")]
    assert held == {1.0: [True, True], 20.0: [False, True]}
    x = np.array([-9.0, 0.5, 9.0])
    with fresh.coarse():
        slopes = elementwise_grad(vjps.sigmoid)(x)
    assert np.allclose(slopes, 1 / (2 + 2 * np.cosh(x)), rtol=1e-9) and slopes[2] != elementwise_grad(vjps.sigmoid)(x)[2]


def test_the_plain_forms_pass_fresh_cases():
    """As an implementation does that computes in another order."""
    functions = own_functions()
    with vjps.plain():
        failed = [(case.id, dtype) for case in fresh.draw(None, 1, 3, "all", None)
                  for dtype in TOLERANCE if run.is_for(case, dtype)
                  and not run.run_case(case, functions[case.component], "numpy", dtype).passed]
    assert not failed


def test_an_export_of_the_same_form_holds_the_same_case(tmp_path):
    case = next(fresh.draw("hiersrec.score/", 3, 1, "paper", None))
    assert main(["export", str(tmp_path), "--fresh", "3", "--only", "hiersrec.score/", "--form", "paper"]) == 0
    with np.load(tmp_path / f"{case.id}.npz") as z:
        assert all(np.array_equal(z[name], a, equal_nan=a.dtype.kind == "f")
                   for name, a in casefile.arrays(case).items())


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
