"""What a porter is told: forms, settings, random and in-place functions, dtypes, reports."""
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as onp
import pytest

from mbref.__main__ import main
from mbref.check import cases, check, run
from mbref.check.casefile import manifest, settings
from mbref.check.components.reading import own_functions
from tests.check.implementations import CAUSAL, LAYER_NORM, run_check
from tests.optional import require

ROOT = Path(__file__).parents[2]
CODE = """
def hmar_code(params, inputs, tap):
    counts = inputs["counts"] @ params["indicator"]["w"] + params["indicator"]["b"]
    both = np.concatenate([inputs["item_code"], counts], axis=-1)
    return {"code": both @ params["feature"]["w"] + params["feature"]["b"]}
"""


def test_the_papers_form_is_the_default(capsys, write_file):
    path = write_file(CODE)
    code, text = run_check(capsys, path)
    assert code == 0 and "hmar.code/log" not in text
    assert text.splitlines()[-1] == "3 cases of other forms were left out: --form all takes them"
    code, text = run_check(capsys, path, "--form", "all")
    assert code == 1 and "FAIL hmar.code/log" in text and "left out" not in text
    assert run_check(capsys, path, "--only", "hmar.code/log")[0] == 1  # named, so taken


def test_the_papers_form_is_the_default_of_a_notebook(capsys):
    def code(params, item_code, counts):
        joined = counts @ params["indicator"]["w"] + params["indicator"]["b"]
        both = onp.concatenate([item_code, joined], axis=-1)
        return both @ params["feature"]["w"] + params["feature"]["b"]

    check("hmar.code", code)
    assert capsys.readouterr().out == "hmar.code: 4 cases pass\n"
    for forms in ("all", "variant"):
        with pytest.raises(AssertionError, match="hmar.code/log"):
            check("hmar.code", code, forms=forms)


def test_forms_of_the_cases():
    forms = {case.id: case.form for case in cases()}
    assert forms["hmar/basic"] == forms["atrank/paper"] == "paper"
    assert forms["hmar/blocks"] == forms["dmran/robust"] == "variant"
    assert forms["hmar/bypass"] == forms["atrank/basic"] == "release"
    assert {case.form for case in cases("hmar.released", form="paper")} == {"release"}  # it has no other
    assert {case.side for case in cases("atrank", form="release")} >= {"released"}


def test_settings_that_a_case_leaves_out_are_given(capsys, write_file):
    config = next(case.config for case in cases("hmar/basic"))
    assert "merge" not in config and settings("hmar")["merge"] == "encoder"
    path = write_file("def hmar_code(params, inputs, tap):\n"
                      "    assert inputs['count_scale'] in ('raw', 'log1p') and inputs['theta']\n"
                      "    raise KeyError(inputs['merge'])\n")
    assert "it raised KeyError: 'encoder' (impl.py, line 4)" in run_check(capsys, path)[1]

    def watch(item_code, merge, count_scale):
        raise KeyError(merge + count_scale)

    with pytest.raises(AssertionError, match="encoderraw"):
        check("hmar.code", watch)


def test_a_random_function_is_called_random(capsys, write_file):
    path = write_file(LAYER_NORM.replace('{"y": ', '{"y": (np.random.rand(3, 7, 8) > 0.1) * '))
    code, text = run_check(capsys, path, "--dtype", "float64", "--only", "layers.layer_norm/basic")
    assert code == 1 and run.RANDOM in text and "looks like" not in text


def test_a_function_that_changes_its_inputs_is_told(capsys, write_file):
    wrong = LAYER_NORM.replace('x = inputs["x"]', 'x = inputs["x"]\n    params["gamma"] += 0.5')
    code, text = run_check(capsys, write_file(wrong), "--forward-only")
    assert code == 1 and "it changes params/gamma in place" in text


@pytest.mark.parametrize("dtype, other", [("float64", "float32"), ("float32", "float64")])
def test_another_dtype_than_asked_for_is_told(capsys, write_file, dtype, other):
    path = write_file(LAYER_NORM.replace('inputs["x"]', f'inputs["x"].astype("{other}")').replace(
        '+ params["beta"]}', f'.astype("{other}") + params["beta"].astype("{other}")}}').replace(
        'params["gamma"] *', f'params["gamma"].astype("{other}") *'))
    _, text = run_check(capsys, path, "--dtype", dtype, "--forward-only" if dtype == "float64"
                        else "--exitfirst")
    assert f"it returned {other} where {dtype} was asked for: --dtype {other}" in text


@pytest.mark.parametrize(("function", "told"), [
    ("def layers_relu(x):\n    return x", True), ("def layers_relu():\n    return 1", True),
    ("def layers_relu(params, inputs, tap):\n    return range(1, 2, 3, 4)", False),
    ("def layers_relu(params, inputs, tap):\n    return inputs['y']", False)])
def test_what_a_function_in_a_file_takes_is_told(capsys, write_file, function, told):
    text = run_check(capsys, write_file(function + "\n"))[1]
    assert "it raised" in text and ("in a file every function takes (params, inputs, tap)" in text) == told


def test_a_missing_backend_is_told(capsys, write_file):
    require("torch")
    path = write_file("import torch\ndef layers_relu(params, inputs, tap):\n"
                      "    return {'y': torch.relu(inputs['x'])}\n")
    assert '; set BACKEND = "torch" in a file' in run_check(capsys, path)[1]
    with pytest.raises(AssertionError, match=', backend="torch" in check'):
        check("layers.relu", lambda x: require("torch").relu(x))


def test_sparse_gradients_are_gradients(capsys, write_file):
    require("torch")
    path = write_file("import torch\nBACKEND = 'torch'\ndef layers_lookup(params, inputs, tap):\n"
                      "    y = torch.nn.functional.embedding(inputs['ids'], params['table'],\n"
                      "                                      sparse=True)\n"
                      "    return {'y': y * (inputs['ids'] > 0)[..., None]}\n")
    code, text = run_check(capsys, path)
    assert code == 0, text


@pytest.mark.parametrize("what, seconds, message", [
    ("while True: pass", "9", "it took more than 9 s"),  # for the others, too, on a machine with much to do
    ("import ctypes; ctypes.CDLL(None).exit(0)", "300", "it ended the process with exit code 0")])
def test_a_case_that_does_not_end_loses_no_other(capfd, write_file, what, seconds, message):
    path = write_file(f"def layers_layer_norm(params, inputs, tap):\n    {what}\n" + CAUSAL)
    code = main(["check", path, "--timeout", seconds, "--dtype", "float64", "--only", "masks.causal",
                 "--only", "layers.layer_norm/basic"])
    text = capfd.readouterr().out
    assert code == 1 and message in text and "FAIL layers.layer_norm/basic" in text
    assert text.count("ok   masks.causal") == 4


@pytest.mark.parametrize("what", ["import time; time.sleep(1000)", "while True: pass"])
def test_the_first_failure_leaves_no_process_behind(tmp_path, write_file, what):
    path = write_file("import os\ndef layers_layer_norm(params, inputs, tap):\n"
                      f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n    {what}\n")
    done = subprocess.run([sys.executable, "-m", "mbref", "check", path, "--timeout", "1", "-x", "--only",
                           "layers.layer_norm"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "it took more than 1 s" in done.stdout and not done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_child_is_gone_as_soon_as_nobody_asks(write_file):
    functions, backend = run.load_implementation(write_file(CAUSAL))
    results = run.run_apart(functions, backend, cases("masks.causal"), ["float64"], True, 60)
    assert next(results).passed
    child, = multiprocessing.active_children()
    results.close()
    assert not child.is_alive() and not multiprocessing.active_children()


def test_a_function_that_ends_the_process_is_no_success(capsys, write_file):
    path = write_file("import os\ndef masks_causal(params, inputs, tap):\n    os._exit(0)\n")
    code, text = run_check(capsys, path)
    assert code == 1 and "it called os._exit(0)" in text


@pytest.mark.parametrize("more", [(), ("--timeout", "9"), ("--json", "report.json"), ("-x",)])
def test_a_file_that_ends_the_process_is_no_success(tmp_path, write_file, more):
    path = write_file("import os\nos._exit(0)\n" + CAUSAL)
    done = subprocess.run([sys.executable, "-m", "mbref", "check", path, *more], cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 2 and "cannot be imported" in done.stderr
    assert "it called os._exit(0)" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("more", [(), ("--timeout", "100")])
@pytest.mark.parametrize("group", [False, True])  # a terminal sends Ctrl-C to the child, too
def test_an_interrupted_check_is_no_failure(write_file, more, group):
    path = write_file(LAYER_NORM + "import time\ndef masks_causal(params, inputs, tap):\n"
                                   "    time.sleep(3)\n"  # what is finished before is printed by then
                                   "    print('now', flush=True)\n    while True: pass\n")
    with subprocess.Popen([sys.executable, "-m", "mbref", "check", path, *more], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as process:
        lines = []
        while "now\n" not in lines:
            lines.append(process.stdout.readline())
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        rest, said = process.communicate()
    text = "".join(lines) + rest
    assert process.returncode == 130 and said == "\nmbref: stopped.\n"
    assert text.count("ok   layers.layer_norm") == 11 and "FAIL" not in text and "os._exit" not in text


def test_ctrl_c_is_for_the_parent_alone(capfd, write_file):
    path = write_file(CAUSAL.replace("return", "import os\n    os.kill(os.getpid(), 2)\n    return"))
    assert main(["check", path, "--timeout", "60"]) == 0 and not capfd.readouterr().err


def test_several_names_and_nearly_right_ones(capsys, write_file):
    path = write_file(CAUSAL + LAYER_NORM)
    code, text = run_check(capsys, path, "--only", "masks.causal/basic", "--only",
                           "layers.layer_norm/basic")
    assert code == 0 and "4 cases: 4 pass" in text
    code, text = run_check(capsys, path, "--only", "masks.casual")
    assert code == 2 and "did you mean masks.causal" in text


def test_a_name_that_is_nearly_right_is_told_beside_right_ones(capsys, write_file):
    """But not that of a helper which is near a component that the file has."""
    path = write_file(CAUSAL + LAYER_NORM + "def hmar_behavior_mask(params, inputs, tap): pass\n"
                      "def masks_causals(length): pass\ndef softmax(x): pass\n")
    code, text = run_check(capsys, path)
    assert code == 0 and text.count("no component is called") == 1
    assert "\nno component is called hmar_behavior_mask: did you mean hmar_behaviour_mask?\n" in text


def test_settings_that_are_filled_in_do_not_disturb_blocks():
    """ATRank's default query needs a width that a block alone has not."""
    for name in ("atrank.user_vectors", "atrank.attention_block"):
        check(name, own_functions()[name], forms="all", gradients=True, quiet=True)


def test_stop_at_the_first_failure(capsys, write_file):
    path = write_file(LAYER_NORM.replace('inputs["eps"]', "1.0") + CAUSAL)
    code, text = run_check(capsys, path, "-x")
    assert code == 1 and text.count("FAIL") == 1 and "1 cases: 1 fail" in text


def test_strict(capsys, write_file, tmp_path):
    path, known = write_file(CAUSAL), tmp_path / "known.txt"
    known.write_text("masks.casual\n")
    code, text = run_check(capsys, path, "--xfail", str(known))
    assert code == 0 and "names masks.casual, which is no case: did you mean masks.causal" in text
    assert run_check(capsys, path, "--xfail", str(known), "--strict")[0] == 1
    known.write_text("nope\n")  # like nothing that there is
    code, text = run_check(capsys, path, "--xfail", str(known), "--strict")
    assert code == 1 and "names nope, which is no case: python -m mbref cases lists them.\n" in text
    known.write_text("masks.causal/basic\n")
    assert run_check(capsys, path, "--xfail", str(known))[0] == 0
    assert run_check(capsys, path, "--xfail", str(known), "--strict")[0] == 1


def test_reports(capsys, write_file, tmp_path):
    path = write_file(LAYER_NORM.replace('inputs["eps"]', "1e-5") + CAUSAL)
    report, junit = tmp_path / "anna.json", tmp_path / "junit.xml"
    code, text = run_check(capsys, path, "--dtype", "float64", "--json", str(report), "--junit",
                           str(junit))
    total, components = len(manifest()["cases"]), len(manifest()["components"])
    version = manifest()["version"]
    assert f"\nmbref cases {version}: 6 of {total}, 1 of {components} components\n" in text
    suite = xml.parse(junit).getroot()
    assert suite.get("tests") == "10" and suite.get("failures") == "4" == str(
        len(suite.findall("testcase/failure")))
    assert "layers.layer_norm/basic[float64]" in [one.get("name") for one in suite]
    assert {row["cases"] for row in json.loads(report.read_text())} == {version}
    code, text = run_check(capsys, "--summary", str(report))
    assert code == 0
    assert text.splitlines()[-1] == "| anna | 6 of 10 | 1 of 2 | layers.layer_norm |"
    others = [json.dumps([{"id": "a", "component": "b", "status": "FAIL"} | {name: value}])
              for name in ("id", "component", "status") for value in (None, 3, [], {})]
    for text, why in (("{}", "it holds no case"), ("[]", "it holds no case"), ("[1]", "not subscriptable"),
                      *((text, "is no text") for text in others)):
        report.write_text(text)
        code, said = run_check(capsys, "--summary", str(report))
        assert code == 2 and said.count("\n") == 1 and "anna.json is no report" in said and why in said


def test_a_report_of_what_xml_and_terminals_do_not_take(capsys, write_file, tmp_path):
    path = write_file("def masks_causal(params, inputs, tap):\n    raise ValueError('\\x00\\x1b[0m\\ud800')\n")
    code, _ = run_check(capsys, path, "--junit", str(tmp_path / "junit.xml"), "--json", str(tmp_path / "report.json"))
    assert code == 1
    failure = xml.parse(tmp_path / "junit.xml").getroot().find("testcase/failure")
    assert r"it raised ValueError: \x00\x1b[0m\ud800" in failure.text
    assert "\x00\x1b[0m\ud800" in json.loads((tmp_path / "report.json").read_text())[0]["note"]


def test_the_version_of_the_cases(capsys):
    assert main(["cases", "--version"]) == 0
    assert capsys.readouterr().out == f"cases {manifest()['version']}\n"


def test_cases_of_a_component_are_printed_with_what_it_takes(capsys):
    assert main(["cases", "--only", "masks.causal", "--only", "layers.dense"]) == 0
    text = capsys.readouterr().out
    assert "\n\nlayers.dense: x W + b. x [B, T, D]; w [D, E], b [E] -> y [B, T, E].\n" in text
    assert "\n\nmasks.causal: True where key s is not later than query t." in text
    assert "\nArrays of layers.dense/basic: inputs/x [3, 7, 8], params/w [8, 5], params/b [5]\n" in text
    assert main(["cases"]) == 0 and "x W + b. x" not in capsys.readouterr().out


def test_exit_codes_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert "Exit code 0: all pass" in capsys.readouterr().out


def test_the_raw_export_holds_all_settings(tmp_path):
    assert main(["export", str(tmp_path), "--raw", "--only", "hmar.code/log", "--only",
                 "masks.causal"]) == 0
    config = json.loads((tmp_path / "hmar.code" / "log" / "arrays.json").read_text())["config"]
    assert config["count_scale"] == "log1p" and config["theta"] == 0.1
