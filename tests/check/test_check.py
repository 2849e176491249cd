"""The checker: what passes, what fails, what it says; its tolerance by arithmetic; files, students,
other languages."""
import json
import os
import subprocess
import sys
from pathlib import Path

import autograd.numpy as np
import numpy as onp
import pytest

from mbref.__main__ import main
from mbref.check import adapters, cases, check, load_implementation, run
from mbref.check.compare import compare
from mbref.errors import InputError
from tests.optional import require

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path):
    """A function that writes an implementation.  text -> path."""
    def write(text, name="impl.py"):
        path = tmp_path / name
        path.write_text("import autograd.numpy as np\n" + text)
        return str(path)
    return write


LAYER_NORM = """
def layers_layer_norm(params, inputs, tap):
    x = inputs["x"]
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred ** 2, axis=-1, keepdims=True)
    return {"y": params["gamma"] * centred / np.sqrt(variance + inputs["eps"]) + params["beta"]}
"""
CAUSAL = """
def masks_causal(params, inputs, tap):
    return {"mask": np.tri(inputs["ids"].shape[1]) > 0}
"""


def ran(capsys, *arguments):
    """Exit code and what was printed."""
    code = main(["check", *arguments])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


# mbref itself.

def test_mbref_passes_all_its_cases(capsys):
    code, text = ran(capsys)
    assert code == 0 and f"{2 * len(cases())} cases: {2 * len(cases())} pass" in text
    assert "compared: outputs, grads, taps, steps" in text and "FAIL" not in text


def test_mbref_offers_everything():
    for case in cases():
        if case.kind == "values":
            result = run.run_case(case, run_functions()[case.component])
            assert not result.not_offered and not result.note, case.id


def run_functions():
    from mbref.check.components.registry import own_functions
    return own_functions()


# The tolerance, by arithmetic.

def rows(want, got, relative=1e-9, **more):
    as_arrays = lambda d: {k: onp.asarray(a) for k, a in d.items()}
    return {row.name: row for row in compare(as_arrays(want), as_arrays(got), relative, **more)}


def test_errors_count_relative_to_the_scale_of_the_whole_array():
    """Scale 200, tolerance 1e-3: .2 is allowed, for the small entry too."""
    found = rows({"outputs/y": [1.0, -200.0]}, {"outputs/y": [1.1, -200.0]}, 1e-3)["outputs/y"]
    assert (found.index, found.problem) == ((0,), "")
    assert found.error == pytest.approx(0.1) and found.times == pytest.approx(0.5)
    assert rows({"outputs/y": [1.0, -200.0]}, {"outputs/y": [1.0, -200.3]},
                1e-3)["outputs/y"].times > 1


def test_small_arrays_are_measured_by_the_largest_of_their_group():
    """Largest of grads 50, so the scale of a gradient of 0 is .05, in float32's floor .5; outputs
    do not count."""
    want = {"outputs/y": [1e6], "grads/b": [0.0], "grads/w": [50.0]}
    got = {"outputs/y": [1e6], "grads/b": [2.5e-11], "grads/w": [50.0]}
    assert rows(want, got)["grads/b"].times == pytest.approx(0.5)
    assert rows(want, got, floor=1e-2)["grads/b"].times == pytest.approx(0.05)
    got["grads/b"] = [1e-10]
    assert rows(want, got)["grads/b"].times == pytest.approx(2.0)
    backwards = dict(reversed(want.items()))
    assert rows(backwards, got)["grads/b"].times == pytest.approx(2.0)


@pytest.mark.parametrize("component, dtype, off, right", [
    ("layers.dense", "float64", 3e-10, True), ("layers.dense", "float64", 3e-9, False),
    ("layers.dense", "float32", 3e-5, True), ("layers.dense", "float32", 3e-4, False),
    ("metrics.mrr", "float64", 3e-13, True), ("metrics.mrr", "float64", 3e-12, False),
    ("metrics.mrr", "float32", 3e-7, True), ("metrics.mrr", "float32", 3e-6, False)])
def test_what_is_allowed(component, dtype, off, right):
    """All outputs too large by the same factor: each array is off by that much of its scale."""
    def scaled(params, inputs, tap):
        out = run_functions()[component](params, inputs, tap)
        return {name: onp.asarray(a, "float64") * (1 + off) for name, a in out.items()}
    results = [run.run_case(case, scaled, "numpy", dtype, False) for case in cases(component)]
    assert {result.passed for result in results} == {right}


def test_a_group_of_zeros_has_the_scale_of_one():
    """1e-9 * 1e-3 * 1 is allowed."""
    assert rows({"grads/x": [0.0, 0.0]},
                {"grads/x": [0.0, 5e-13]})["grads/x"].times == pytest.approx(0.5)
    assert rows({"grads/x": [0.0, 0.0]},
                {"grads/x": [0.0, 5e-12]})["grads/x"].times == pytest.approx(5.0)


@pytest.mark.parametrize("want, got", [([3, 4], [3, 5]), ([2**53], [2**53 + 1]), (
    [True, False], [True, True]), ([1.0, 2.0], [1.0, float("nan")]), ([1.0], [float("inf")]), (
        [1.0, 2.0], [[1.0, 2.0]]), ([1.0], 1.0), ([1.0], ["one"]), ([1.0], [None])])
def test_what_is_never_right(want, got):
    found = rows({"outputs/y": want}, {"outputs/y": got}, 1e-3)["outputs/y"]
    assert found.times == float("inf")


def test_padding_is_not_compared_and_other_types_of_the_same_numbers_are_right():
    nan = float("nan")
    assert rows({"taps/s": [nan, 1.0]}, {"taps/s": [7.0, 1.0]})["taps/s"].times == 0
    assert rows({"taps/s": [nan, 1.0]}, {"taps/s": [nan, 1.0]})["taps/s"].times == 0
    assert rows({"taps/s": [nan, 1.0]}, {"taps/s": [nan, nan]})["taps/s"].times == float("inf")
    assert rows({"outputs/m": [True, False]}, {"outputs/m": [1.0, 0.0]})["outputs/m"].times == 0


def test_ten_steps_by_arithmetic():
    """loss = w^2 / 2 with a step of .1: w shrinks by .9 each time."""
    losses = run.ten_steps(adapters.ADAPTERS["numpy"], lambda params, inputs, tap: {
        "loss": params["w"] ** 2 / 2}, {"w": onp.array(4.0)}, {"rate": 0.1}, "float64")
    onp.testing.assert_allclose(losses, 8 * 0.81 ** onp.arange(10), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_floats_come_in_the_dtype_asked_for_and_nothing_else_changes(dtype):
    seen = {}

    def watch(params, inputs, tap):
        seen.update({**params, **inputs})
        return {"y": inputs["q"]}

    case = cases("attention.attention/heads")[0]
    run.run_case(case, watch, "numpy", dtype, gradients=False)
    assert (seen["q"].dtype, seen["k"].dtype, seen["allowed"].dtype) == (dtype, dtype, bool)
    assert type(seen["heads"]) is int and seen["scaled"] is True


def test_gradients_are_those_of_output_times_cotangent():
    """y = w x: dy/dw = x, so the gradient of sum(c y) is sum(c x); with respect to x it is w c."""
    given = dict(params={"w": onp.array(3.0)}, inputs={"x": onp.array([1.0, 2.0]), "power": 1},
                 cotangents={"y": onp.array([5.0, -1.0])}, differentiate={"params/w", "inputs/x"},
                 dtype="float64")
    taps, outputs, grads = adapters.ADAPTERS["numpy"](
        lambda params, inputs, tap: {"y": params["w"] * inputs["x"] ** inputs["power"]}, **given)
    assert not taps and outputs["y"].tolist() == [3.0, 6.0]
    assert grads["params/w"] == 3.0 and grads["inputs/x"].tolist() == [15.0, -3.0]


# Files that are right, and files that are not.

def test_a_right_file_passes_and_others_components_are_skipped(capsys, written):
    code, text = ran(capsys, written(LAYER_NORM + CAUSAL))
    n = len(cases("layers.layer_norm")) + len(cases("masks.causal"))
    assert code == 0 and f"{2 * n} cases: {2 * n} pass" in text


BROKEN = {
    "raises": ("raise KeyError('weights')", "it raised KeyError: 'weights'"),
    "nothing": ("pass", "returned NoneType"),
    "no dict": ("return np.zeros((7, 7))", "instead of a dict"),
    "another name": ("return {'y': np.zeros((7, 7))}", "unknown names: outputs/y"),
    "shape": ("return {'mask': np.ones((5, 5))}", "shape (5, 5) instead of (7, 7)"),
    "nan": ("return {'mask': np.full((7, 7), np.nan)}", "outputs/mask"),
    "exits": ("raise SystemExit(0)", "it raised SystemExit"),
    "words": ("return {'mask': 'wrong'}", "outputs/mask"),
}


@pytest.mark.parametrize("body, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_function_is_reported_and_the_run_goes_on(capsys, written, body, message):
    broken = f"def masks_causal(params, inputs, tap):\n    {body}\n"
    code, text = ran(capsys, written(broken + LAYER_NORM), "--dtype", "float64")
    assert code == 1 and message in text and "Traceback" not in text
    assert text.count("FAIL masks.causal") == 3 and text.count("ok   layers.layer_norm") == 4
    no_number_is_wrong = "unknown names" in message or "np.ones" in body or "'wrong'" in body
    assert ("; catches " in text) != no_number_is_wrong  # what the case is for


def test_stubs_fail(capsys, written):
    """The file of someone who has not begun: every function is there, and none is written."""
    names = sorted({case.component for case in cases()})
    stubs = "".join(
        f"def {name.replace('.', '_')}(params, inputs, tap):\n    raise NotImplementedError\n"
        for name in names)
    code, text = ran(capsys, written(stubs), "--dtype", "float64")
    assert code == 1 and f"{len(cases())} cases: {len(cases())} fail" in text


@pytest.mark.parametrize("text, message", [
    ("", "no function with the name of a component"), ("x = 1 / 0", "ZeroDivisionError"),
    ("def f(:", "cannot be imported"), ("BACKEND = 'tensorflow'" + CAUSAL, "choose one of numpy, "),
    ("import sys; sys.exit(0)", "cannot be imported")])
def test_a_file_without_anything_to_check_is_no_success(capsys, written, text, message):
    code, printed = ran(capsys, written(text))
    assert code == 2 and message in printed and printed.count("\n") == 1


@pytest.mark.parametrize("arguments, message", [
    (["none.py"], "there is no file"), (["."], "is a folder"),
    (["--only", "hmar.nothing"], "there is no case"),
    (["--results", "nowhere"], "there is no folder"), (["--xfail", "none.txt"], "cannot be read"),
    (["--dtype", "float16"], "invalid choice"), (["x.py", "--results", "y"], "not both")])
def test_wrong_options(capsys, arguments, message):
    code, text = ran(capsys, *arguments)
    assert code == 2 and message in text


def test_plain_numpy_has_no_gradients_and_passes_forward_only(capsys, written):
    plain = written(LAYER_NORM.replace('inputs["x"]', 'plain.array(inputs["x"], float)').replace(
        "def", "import numpy as plain\ndef", 1))
    code, text = ran(capsys, plain, "--dtype", "float64")
    assert code == 1 and "no gradients (" in text and "--forward-only does without" in text
    assert "1 compared, 3 not offered" in text
    code, text = ran(capsys, plain, "--forward-only")
    assert code == 0 and "compared: outputs" in text and "grads" not in text.splitlines()[-1]


def test_missing_taps_are_listed_and_do_not_fail(capsys, written):
    text = """
def attention_masked_softmax(params, inputs, tap):
    e = np.exp(inputs["scores"] - np.max(inputs["scores"], axis=-1, keepdims=True)) * inputs["allowed"]
    return {"weights": e / np.maximum(np.sum(e, axis=-1, keepdims=True), 1e-300)}

def attention_attention(params, inputs, tap):
    from mbref.nn.attention import attention
    names = ("q", "k", "v", "allowed", "heads")
    return {"y": attention(*(inputs[name] for name in names), scaled=inputs["scaled"])}
"""
    code, printed = ran(capsys, written(text), "--only", "attention.attention", "--dtype",
                        "float64")
    assert code == 0 and printed.count("4 compared, 1 not offered") == len(
        cases("attention.attention"))


def test_the_first_diverging_and_the_last_agreeing_array_are_named(capsys, written):
    """A merge of heads in the wrong order comes after right weights."""
    text = """
from mbref.nn import attention as a
def attention_attention(params, inputs, tap):
    a_merge, a.merge_heads = a.merge_heads, lambda x: np.reshape(x, (x.shape[0], x.shape[2], -1))
    try:
        return {"y": a.attention(*(inputs[n] for n in ("q", "k", "v", "allowed", "heads")), tap=tap,
                                 scaled=inputs["scaled"])}
    finally:
        a.merge_heads = a_merge
"""
    code, printed = ran(capsys, written(text), "--only", "attention.attention", "--dtype",
                        "float64")
    assert code == 1 and "ok   attention.attention/basic" in printed  # one head
    assert "last agreeing    taps/weights" in printed and "first diverging  outputs/y  off by" in printed
    assert "x allowed" in printed and "Heads: several heads; catches heads split or merged" in printed


def test_expected_failures_and_those_that_pass(capsys, written, tmp_path):
    wrong = written(LAYER_NORM.replace('inputs["eps"]', "1e-5"))
    code, text = ran(capsys, wrong, "--dtype", "float64")
    assert code == 1 and text.count("FAIL") == 2 and "other_eps" in text
    known = tmp_path / "known.txt"
    known.write_text("# torch's eps\nlayers.layer_norm/basic\nlayers.layer_norm/low_variance  # worst\n"
                     "layers.layer_norm/other_eps\n")
    code, text = ran(capsys, wrong, "--dtype", "float64", "--xfail", str(known))
    assert code == 0 and text.count("xfail") == 2 and "XPASS layers.layer_norm/other_eps" in text


def test_low_variance_is_what_sees_the_epsilon_in_float32(capsys, written):
    code, text = ran(capsys, written(LAYER_NORM.replace('inputs["eps"]', "1e-5")), "--dtype",
                     "float32")
    assert code == 1 and text.count("FAIL") == 1 and "FAIL layers.layer_norm/low_variance" in text


def test_json_report(capsys, written, tmp_path):
    path = tmp_path / "report.json"
    code, _ = ran(capsys,
                  written(CAUSAL + "def masks_behaviour(params, inputs, tap):\n    return {}\n"),
                  "--json", str(path), "--dtype", "float32")
    report = {entry["id"]: entry for entry in json.loads(path.read_text())}
    assert code == 1 and report["masks.causal/basic"]["status"] == "ok"
    assert report["masks.behaviour/basic"]["missing"] == ["outputs/mask"]
    assert report["masks.causal/basic"]["arrays"][0]["times_allowed"] == 0
    assert ran(capsys, written(CAUSAL), "--json", str(tmp_path / "no" / "folder.json"))[0] == 2


def test_sides():
    def sides(side):
        return {case.side for case in cases("atrank", side)}
    assert sides(None) == {"paper", "released"}
    assert sides("paper") == {"paper"} and sides("released") == {"released"}
    assert {case.side for case in cases("layers", "paper")} == {"both"}


def test_names():
    assert {case.component for case in cases("hmar/")} == {"hmar"}
    assert {case.component for case in cases("hmar")} > {"hmar", "hmar.code"}
    assert [str(case) for case in cases("hmar.code/basic")] == ["hmar.code/basic"]
    assert "hmar" not in {case.component for case in cases("hmar.")}


# Frameworks.

def test_torch(capsys, tmp_path):
    require("torch")
    path = tmp_path / "impl.py"
    path.write_text("""
import torch
BACKEND = "torch"
def layers_layer_norm(params, inputs, tap):
    x = inputs["x"]
    return {"y": torch.nn.functional.layer_norm(x, x.shape[-1:], params["gamma"], params["beta"], inputs["eps"])}
def layers_lookup(params, inputs, tap):
    return {"y": torch.nn.functional.embedding(inputs["ids"], params["table"], padding_idx=0).detach() * 1.0}
""")
    code, text = ran(capsys, str(path), "--only", "layers.layer_norm")
    assert code == 0 and "4 compared" in text
    code, text = ran(capsys, str(path), "--only", "layers.lookup")
    assert code == 1 and "RuntimeError" in text  # nothing to differentiate


def test_jax(capsys, tmp_path):
    require("jax")
    path = tmp_path / "impl.py"
    path.write_text("""
import jax.numpy as np
BACKEND = "jax"
""" + LAYER_NORM)
    assert ran(capsys, str(path), "--only", "layers.layer_norm")[0] == 0
    path.write_text(path.read_text().replace("np.sqrt(variance", "np.sqrt(np.array(variance)[0]"))
    assert ran(capsys, str(path), "--only", "layers.layer_norm")[0] == 1


# Students.

def test_an_answer_of_two_lines(capsys):
    def behaviour_mask(behaviour):
        same = behaviour[:, :, None] == behaviour[:, None, :]
        return same & (behaviour > 0)[:, :, None] & onp.tri(behaviour.shape[1], dtype=bool)

    check("hmar.behaviour_mask", behaviour_mask)
    assert capsys.readouterr().out == "hmar.behaviour_mask: 3 cases pass\n"
    check("hmar.behaviour_mask", behaviour_mask, cases="basic", quiet=True)
    assert capsys.readouterr().out == ""


def test_a_wrong_answer_is_told_the_situation_and_not_the_numbers():
    def no_padding(behaviour):
        return (behaviour[:, :, None] == behaviour[:, None, :]) & onp.tri(
            behaviour.shape[1], dtype=bool)

    with pytest.raises(AssertionError) as failure:
        check("hmar.behaviour_mask", no_padding)
    text = str(failure.value)
    assert "fails for an empty history" in text and "hmar.behaviour_mask/empty_history" in text
    assert "hmar.behaviour_mask/basic" not in text and "True" not in text
    check("hmar.behaviour_mask", no_padding, cases=["basic"], quiet=True)


def test_numbers_of_a_case_are_not_told():
    with pytest.raises(AssertionError) as failure:
        check("dmran.redundancy", lambda A: onp.sum((A @ onp.swapaxes(A, 1, 2)) ** 2, axis=(1, 2)))
    assert not any(character.isdigit()
                   for character in str(failure.value).partition("\n")[2].replace("outputs/", ""))


def test_answers_with_parameters_and_settings():
    def layer_norm(x, gamma, beta, eps):
        centred = x - x.mean(-1, keepdims=True)
        return gamma * centred / onp.sqrt((centred**2).mean(-1, keepdims=True) + eps) + beta

    check("layers.layer_norm", layer_norm)
    check("layers.layer_norm", lambda params, inputs, tap: {"y": layer_norm(**params, **inputs)},
          quiet=True)
    with pytest.raises(AssertionError, match="values that hardly vary"):
        check("layers.layer_norm", lambda x, gamma, beta: layer_norm(x, gamma, beta, 1e-5))


def test_gradients_of_an_answer_on_demand():
    def stopped(logits, labels):
        from mbref.nn.layers import stop_gradient
        z = stop_gradient(np.where(labels, -1.0, 1.0) * logits)
        return np.logaddexp(0, z) + 0 * logits

    check("losses.sigmoid_cross_entropy", stopped)
    with pytest.raises(AssertionError, match="grads/inputs/logits differs"):
        check("losses.sigmoid_cross_entropy", stopped, gradients=True)


def test_what_the_student_mistypes_is_told():
    with pytest.raises(InputError, match="no component 'hmar.mask'"):
        check("hmar.mask", print)
    with pytest.raises(InputError, match="has no case"):
        check("hmar.code", print, cases="hard")
    with pytest.raises(AssertionError, match="there is no behavior: its arguments may be"):
        check("hmar.behaviour_mask", lambda behavior: behavior)
    with pytest.raises(AssertionError, match="return a dict of"):
        check("metrics.greater_and_ties", lambda scores, target, allowed: target)


@pytest.mark.parametrize("case", cases("masks.causal"), ids=str)
def test_one_case_in_a_test_suite(case):
    check(case, lambda ids: onp.tri(ids.shape[1], dtype=bool), quiet=True)
    with pytest.raises(AssertionError):
        check(case, lambda ids: ~onp.tri(ids.shape[1], dtype=bool))


def test_load_implementation(written):
    functions, backend = load_implementation(written(CAUSAL + "def helper():\n    pass\n"))
    assert list(functions) == ["masks.causal"] and backend == "numpy"


# Other languages: a program that knows the manifest and the page alone, and nothing of mbref.

RUNNER = """
import json, pathlib, sys
import numpy as np

source, target, raw = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] == "raw"
TYPES = {"float64": "<f8", "int64": "<i8", "bool": "|b1"}

def read(id):
    if not raw:
        return dict(np.load(source / (id + ".npz")))
    listing = json.loads((source / id / "arrays.json").read_text())
    return {k: np.fromfile(source / id / a["file"], TYPES[a["dtype"]]).reshape(a["shape"]) for k, a in listing.items()}

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
        write(id, {"outputs/mask": np.stack([kinds == k + 1 for k in range(case["config"]["count"])], -1)})
"""


@pytest.mark.parametrize("form", ["npz", "raw"])
def test_a_program_that_knows_no_mbref(capsys, tmp_path, form):
    given, out = tmp_path / "given", tmp_path / "out"
    assert main(["export", str(given), *(["--raw"] if form == "raw" else [])]) == 0
    (tmp_path / "runner.py").write_text(RUNNER)
    subprocess.run([sys.executable, str(tmp_path / "runner.py"), str(given), str(out), form],
                   check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    code, text = ran(capsys, "--results", str(out))
    assert code == 0 and "7 cases: 7 pass" in text
    if form == "npz":
        onp.savez(out / "masks.behaviour" / "basic.npz",
                  **{"outputs/mask": onp.ones((3, 7, 3), bool)})
        (out / "layers.layer_norm" / "basic.npz").write_bytes(b"no zip")
        code, text = ran(capsys, "--results", str(out))
        assert code == 1 and "7 cases: 5 pass, 2 fail" in text or "7 cases: 2 fail, 5 pass" in text


def test_export_holds_no_answers(tmp_path):
    assert main(["export", str(tmp_path), "--only", "hmar/"]) == 0
    for path in tmp_path.rglob("*.npz"):
        with onp.load(path) as z:
            assert {name.partition("/")[0]
                    for name in z.files} == {"inputs", "params", "cotangents"}
    assert len(list(tmp_path.rglob("*.npz"))) == len(cases("hmar/"))
    (tmp_path / "file").write_text("")
    assert main(["export", str(tmp_path / "file")]) == 2
