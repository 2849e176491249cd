"""`check --results`: results of another program that are damaged, misnamed or not there are told as
that."""
import json

import numpy as np
import pytest

from mbref.__main__ import main
from mbref.check import casefile, exchange
from mbref.data.files import write_folder

ID = "losses.log_softmax/basic"


def write_raw(path, arrays):
    write_folder(path, exchange.make_raw(arrays), over=True)


@pytest.fixture
def results(tmp_path):
    """A folder with right results, in the raw form, of all cases of log_softmax."""
    for case in casefile.cases("losses.log_softmax/"):
        write_raw(tmp_path / case.id, casefile.answers(casefile.arrays(case)))
    return tmp_path


def run_check(capsys, folder, *more):
    """-> exit code, what was printed."""
    code = main(["check", "--results", str(folder), "--only", "losses.log_softmax", *more])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def rewrite(folder, change):
    """arrays.json of a case, changed."""
    path = folder / ID / "arrays.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def without(name):
    return lambda arrays: {key: one for key, one in arrays.items() if key != name}


def described(**changed):
    """outputs/logp with another entry in arrays.json."""
    return lambda arrays: arrays | {"outputs/logp": arrays["outputs/logp"] | changed}


def test_right_results_pass(capsys, results):
    code, text = run_check(capsys, results)
    assert code == 0 and text.endswith("5 cases: 5 pass; compared: outputs, grads\n")


@pytest.mark.parametrize("change, message", [
    (described(dtype="float16"),
     "outputs/logp  cannot be read: dtype float16; known are float64, float32"),
    (described(file="else.bin"), "outputs/logp  cannot be read: there is no file else.bin"),
    (described(shape=[3, 7, 4]),
     "outputs.logp.bin has 840 bytes and not 672, float64 of shape [3, 7, 4]"),
    (described(shape=[5, 7, 3]), "shape (5, 7, 3) instead of (3, 7, 5)"),
    (lambda arrays: arrays | {"outputs/logp": 7},
     "outputs/logp  cannot be read: give its file, dtype and shape")])
def test_one_array_that_cannot_be_read_leaves_the_others(capsys, results, change, message):
    rewrite(results, change)
    code, text = run_check(capsys, results)
    line = next(line for line in text.splitlines() if line.startswith("FAIL"))
    assert code == 1 and message in text
    assert "2 compared, 0 not offered" in line and "inf x" not in line
    assert "ok   losses.log_softmax/large" in text and "furthest off" not in text
    assert "catches" not in text  # what the case is for has nothing to do with it


@pytest.mark.parametrize("damage, message", [
    (lambda path: (path / "arrays.json").write_text('{"outputs/logp": {"file": "outp'),
     "is no list of arrays"),
    (lambda path: (path / "arrays.json").write_text("[]"), "is no list of arrays"),
    (lambda path: (path / "arrays.json").unlink(), "is no list of arrays"),
    (lambda path: path.with_name("basic.npz").write_bytes(b"no zip"), "basic.npz is no .npz file"),
    (lambda path: np.save(path / "x.npy", np.ones(3))
     or (path / "x.npy").rename(path.with_name("basic.npz")), "basic.npz is no .npz file")])
def test_a_case_of_which_nothing_can_be_read_fails_alone(capsys, results, damage, message):
    damage(results / ID)
    code, text = run_check(capsys, results)
    assert code == 1 and message in text and ID in text and "5 cases: 1 fail, 4 pass" in text
    assert "Traceback" not in text and "catches" not in text


def test_half_an_npz(capsys, results):
    path = results / "losses.log_softmax" / "basic.npz"
    np.savez(path, **casefile.answers(casefile.arrays(casefile.cases(ID)[0])))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, text = run_check(capsys, results)
    assert code == 1 and "basic.npz is no .npz file" in text and "1 fail, 4 pass" in text


def test_results_that_are_not_there_are_named(capsys, results):
    (results / ID).rename(results / "losses.log_softmaks")
    code, text = run_check(capsys, results)
    assert code == 0 and "4 cases: 4 pass" in text
    assert text.splitlines()[-2:] == [
        "no results for 1 of the chosen cases: losses.log_softmax/basic",
        "these have no case's name: losses.log_softmaks"]


def test_no_results_at_all(capsys, results):
    code = main(["check", "--results", str(results), "--only", "masks"])
    assert code == 2
    assert f"none of the chosen cases has results in {results}" in capsys.readouterr().err


@pytest.mark.parametrize("name, status", [("outputs/logq", "FAIL"), (
    "grads/inputs/logit", "FAIL"), ("logp", "FAIL"), ("outputs/extra", "ok"), ("taps/foo", None)])
def test_unknown_names_are_named(capsys, results, name, status):
    """Instead of the right name, or beside it. Which intermediates there are is for the implementer
    to say."""
    right = {"outputs/logq": "outputs/logp", "grads/inputs/logit": "grads/inputs/logits",
             "logp": "outputs/logp"}
    rewrite(results,
            lambda arrays: without(right.get(name))(arrays) | {name: arrays["outputs/logp"]})
    code, text = run_check(capsys, results)
    line = next(line for line in text.splitlines() if ID in line)
    assert line.startswith(status or "ok") and code == (status == "FAIL")
    assert (f"unknown names: {name}" in text) == (status is not None)


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_wrong_number_calls_for_what_the_case_is_for(capsys, results, value):
    want = casefile.answers(casefile.arrays(casefile.cases(ID)[0]))
    want["outputs/logp"] = np.where(want["outputs/logp"] == want["outputs/logp"][0, 0, 0], value,
                                    want["outputs/logp"])
    write_raw(results / ID, want)
    code, text = run_check(capsys, results)
    assert code == 1 and "Basic: ordinary input; catches" in text


def test_what_was_given_may_come_back(capsys, results):
    """And gradients where only the forward pass is asked for."""
    rewrite(results, lambda arrays: arrays | {"inputs/logits": arrays["outputs/logp"]})
    code, text = run_check(capsys, results, "--forward-only")
    assert code == 0 and "unknown" not in text and "compared: outputs\n" in text


def test_missing_gradients_are_advised_on(capsys, results):
    rewrite(results, without("grads/inputs/logits"))
    code, text = run_check(capsys, results)
    assert code == 1 and "not offered      grads/inputs/logits; --forward-only does without" in text


def test_float32_and_whole_numbers_as_floats(capsys, results):
    for case in casefile.cases("losses.log_softmax/"):
        want = casefile.answers(casefile.arrays(case))
        write_raw(results / case.id, {name: a.astype(np.float32) for name, a in want.items()})
    assert run_check(capsys, results, "--dtype", "float32")[0] == 0
    assert run_check(capsys, results)[0] == 1  # float64 was promised
    code, text = run_check(capsys, results, "--dtype", "float32", "--dtype", "float64")
    assert code == 2 and "one --dtype" in text
    want = casefile.answers(casefile.arrays(casefile.cases("masks.positions/nothing")[0]))
    write_raw(results / "masks.positions" / "nothing", {name: a.astype(float) for name, a in want.items()})
    assert main(["check", "--results", str(results), "--only", "masks.positions/nothing"]) == 0


def test_a_file_of_functions_says_what_it_leaves_out(capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import numpy as np\ndef masks_causal(params, inputs, tap):\n"
                    "    return {'mask': np.tri(inputs['ids'].shape[1], dtype=bool)}\n")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "no function for masks.behaviour, masks.diagonal, masks.padding, masks.positions "
        "and 1 more")
    assert main(["check", str(path), "--only", "masks.causal"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("8 cases: 8 pass")
