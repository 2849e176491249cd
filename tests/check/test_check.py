"""The checker: what passes, what fails, what it says of files and with what options."""
import json
import sys

import pytest

from mbref.check import cases, commands, load_implementation, run
from mbref.check.components.reading import own_functions
from tests.check.implementations import CAUSAL, LAYER_NORM, run_check


def test_mbref_passes_all_its_cases(capsys):
    code, text = run_check(capsys)
    n = 2 * len(cases()) - sum("Float64" in case.flags for case in cases())
    assert code == 0 and f"{n} cases: {n} pass" in text
    assert "compared: outputs, grads, taps, steps" in text and "FAIL" not in text


def test_mbref_offers_everything():
    for case in cases():
        if case.kind == "values":
            result = run.run_case(case, own_functions()[case.component])
            assert not result.not_offered and not result.note, case.id


def test_a_right_file_passes_and_others_components_are_skipped(capsys, write_file):
    code, text = run_check(capsys, write_file(LAYER_NORM + CAUSAL))
    n = len(cases("layers.layer_norm")) + len(cases("masks.causal"))
    assert code == 0 and f"{2 * n - 1} cases: {2 * n - 1} pass" in text  # one for float64 alone


def test_a_file_may_import_its_neighbour_from_wherever_it_is_called(capsys, tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("import numpy as np\n" + CAUSAL)
    (tmp_path / "mine.py").write_text("from neighbour_of_mine import masks_causal\n")
    before = [*sys.path]
    code, text = run_check(capsys, str(tmp_path / "mine.py"))
    assert code == 0 and "FAIL" not in text and sys.path == before


BROKEN = {
    "raises": ("raise KeyError('weights')", "it raised KeyError: 'weights'"),
    "nothing": ("pass", "returned None: is a return missing?"),
    "no dict": ("return np.zeros((7, 7))", "instead of a dict"),
    "another name": ("return {'y': np.zeros((7, 7))}", "unknown names: outputs/y"),
    "shape": ("return {'mask': np.ones((5, 5))}", "shape (5, 5) instead of (7, 7)"),
    "nan": ("return {'mask': np.full((7, 7), np.nan)}", "outputs/mask"),
    "exits": ("raise SystemExit(0)", "it raised SystemExit"),
    "words": ("return {'mask': 'wrong'}", "outputs/mask"),
    "no Exception": ("raise type('Skipped', (BaseException,), {})('later')", "it raised Skipped: later"),
    "no words": ("raise type('Mute', (Exception,), {'__str__': lambda error: 1 / 0})", "it raised Mute: (no words)"),
    "lines": ("raise ValueError('one\\n   two')", "it raised ValueError: one two (impl.py, line"),
    "a long story": ("raise ValueError('x' * 10**6)", f"{'x' * 900}"),
}


@pytest.mark.parametrize("body, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_function_is_reported_and_the_run_goes_on(capsys, write_file, body, message):
    broken = f"def masks_causal(params, inputs, tap):\n    {body}\n"
    code, text = run_check(capsys, write_file(broken + LAYER_NORM), "--dtype", "float64")
    assert code == 1 and message in text and "Traceback" not in text and len(text) < 20_000
    assert text.count("FAIL masks.causal") == 4 and text.count("ok   layers.layer_norm") == 6
    no_number_is_wrong = "unknown names" in message or "np.ones" in body or "'wrong'" in body
    assert ("; catches " in text) != no_number_is_wrong  # what the case is for


def test_stubs_fail(capsys, write_file):
    """The file of someone who has not begun: every function is there, and none is write_file."""
    names = sorted({case.component for case in cases()})
    stubs = "".join(
        f"def {name.replace('.', '_')}(params, inputs, tap):\n    raise NotImplementedError\n"
        for name in names)
    code, text = run_check(capsys, write_file(stubs), "--dtype", "float64", "--form", "all")
    assert code == 1 and f"{len(cases())} cases: {len(cases())} fail" in text


@pytest.mark.parametrize("text, message", [
    ("", "no function with the name of a component"), ("x = 1 / 0", "ZeroDivisionError"),
    ("def f(:", "cannot be imported"), ("BACKEND = 'tensorflow'" + CAUSAL, "choose one of numpy, "),
    ("import sys; sys.exit(0)", "cannot be imported"), ("BACKEND = ['numpy']" + CAUSAL, "choose one of numpy, "),
    ("raise type('Skipped', (BaseException,), {})('later')", "cannot be imported (Skipped: later)"),
    ("def f(): pass\ndel __name__", "no function with the name of a component")])
def test_a_file_without_anything_to_check_is_no_success(capsys, write_file, text, message):
    code, printed = run_check(capsys, write_file(text))
    assert code == 2 and message in printed and printed.count("\n") == 1


@pytest.mark.parametrize("names, message", [
    (["hmar_behavior_mask"], "hmar_code: did you mean hmar_behaviour_mask? python"),
    (["hmar_behavior_mask", "mask_causal"], "did you mean hmar_behaviour_mask or masks_causal? "),
    (["helper"], "such as hmar_code: python -m mbref cases lists them")])
def test_a_function_whose_name_is_nearly_right(capsys, write_file, names, message):
    path = write_file("from mbref.check.hints import kinds as masks_causl\n" + "".join(
        f"def {name}(params, inputs, tap):\n    return {{}}\n" for name in names))
    code, text = run_check(capsys, path)
    assert code == 2 and message in text and text.count("\n") == 1


@pytest.mark.parametrize("arguments, message", [
    (["none.py"], "there is no file"), (["."], "is a folder"),
    (["--only", "hmar.nothing"], "there is no case"),
    (["--results", "nowhere"], "there is no folder"), (["--xfail", "none.txt"], "cannot be read"),
    (["--dtype", "float16"], "invalid choice"), (["x.py", "--results", "y"], "not both"),
    *((["--timeout", text], f"--timeout: {float(text):g} is no number of seconds above 0 and at most")
      for text in ("nan", "inf", "0", "-1", "1e7")), (["--timeout", "soon"], "invalid seconds value"),
    (["--fresh", "-1"], "--fresh: -1 is no whole number of at least 0"), (["--fresh", "1.5"], "--fresh")])
def test_wrong_options(capsys, arguments, message):
    code, text = run_check(capsys, "--only", "masks.causal", *arguments)
    assert code == 2 and message in text and text.count("\n") == 1


def test_plain_numpy_has_no_gradients_and_passes_forward_only(capsys, write_file):
    plain = write_file(LAYER_NORM.replace('inputs["x"]', 'plain.array(inputs["x"], float)').replace(
        "def", "import numpy as plain\ndef", 1))
    code, text = run_check(capsys, plain, "--dtype", "float64")
    assert code == 1 and "no gradients (" in text
    assert "; without them: gradients=False in check, --forward-only on the command line" in text
    assert "1 compared, 3 not offered" in text
    code, text = run_check(capsys, plain, "--forward-only")
    assert code == 0 and "compared: outputs" in text and "grads" not in text.splitlines()[-1]


def test_missing_taps_are_listed_and_do_not_fail(capsys, write_file):
    text = """
def attention_masked_softmax(params, inputs, tap):
    scores = inputs["scores"]
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True)) * inputs["allowed"]
    return {"weights": e / np.maximum(np.sum(e, axis=-1, keepdims=True), 1e-300)}

def attention_attention(params, inputs, tap):
    from mbref.nn.attention import attention
    names = ("q", "k", "v", "allowed", "heads")
    return {"y": attention(*(inputs[name] for name in names), scaled=inputs["scaled"])}
"""
    code, printed = run_check(capsys, write_file(text), "--only", "attention.attention", "--dtype",
                        "float64")
    assert code == 0 and printed.count("4 compared, 1 not offered") == len(
        cases("attention.attention"))


def test_a_tap_that_vanishes_from_mbref_itself_fails(capsys, monkeypatch):
    functions = own_functions()
    name = "attention.attention"
    monkeypatch.setattr(commands, "own_functions", lambda: functions | {
        name: lambda params, inputs, tap: functions[name](params, inputs, lambda *tapped: None)})
    code, printed = run_check(capsys, "--only", name, "--dtype", "float64")
    assert code == 1 and printed.count("4 compared, 1 not offered") == len(cases(name))
    monkeypatch.undo()
    assert run_check(capsys, "--only", name, "--dtype", "float64")[0] == 0


def test_the_first_diverging_and_the_last_agreeing_array_are_named(capsys, write_file):
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
    code, printed = run_check(capsys, write_file(text), "--only", "attention.attention", "--dtype",
                        "float64")
    assert code == 1 and "ok   attention.attention/basic" in printed  # one head
    assert "last agreeing    taps/weights" in printed and "x allowed" in printed
    assert "first diverging  outputs/y  off by" in printed
    assert "Heads: several heads; catches heads split or merged" in printed


def test_expected_failures_and_those_that_pass(capsys, write_file, tmp_path):
    wrong = write_file(LAYER_NORM.replace('inputs["eps"]', "1e-5"))
    code, text = run_check(capsys, wrong, "--dtype", "float64")
    assert code == 1 and text.count("FAIL") == 4 and "other_eps" in text
    known = tmp_path / "known.txt"
    known.write_text("# torch's eps\nlayers.layer_norm/basic\n"
                     "layers.layer_norm/low_variance  # worst\nlayers.layer_norm/other_eps\n"
                     "layers.layer_norm/far\nlayers.layer_norm/far_float64\n")
    code, text = run_check(capsys, wrong, "--dtype", "float64", "--xfail", str(known))
    assert code == 0 and text.count("xfail") == 4 and "XPASS layers.layer_norm/other_eps" in text


def test_low_variance_is_what_sees_the_epsilon_in_float32(capsys, write_file):
    wrong = write_file(LAYER_NORM.replace('inputs["eps"]', "1e-5"))
    code, text = run_check(capsys, wrong, "--dtype", "float32")
    assert code == 1 and text.count("FAIL") == 1 and "FAIL layers.layer_norm/low_variance" in text


def test_json_report(capsys, write_file, tmp_path):
    path = tmp_path / "report.json"
    code, _ = run_check(capsys,
                  write_file(CAUSAL + "def masks_behaviour(params, inputs, tap):\n    return {}\n"),
                  "--json", str(path), "--dtype", "float32")
    report = {entry["id"]: entry for entry in json.loads(path.read_text())}
    assert code == 1 and report["masks.causal/basic"]["status"] == "ok"
    assert report["masks.behaviour/basic"]["missing"] == ["outputs/mask"]
    assert report["masks.causal/basic"]["arrays"][0]["times_allowed"] == 0
    nowhere = str(tmp_path / "no" / "folder.json")
    assert run_check(capsys, write_file(CAUSAL), "--json", nowhere)[0] == 2


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


def test_load_implementation(write_file):
    functions, backend = load_implementation(write_file(CAUSAL + "def helper():\n    pass\n"))
    assert list(functions) == ["masks.causal"] and backend == "numpy"
