"""python -m mbref parity as its user meets it, and its comparison by hand."""
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from mbref.__main__ import main
from mbref.check import parity
from mbref.released.recorded import Recomputed

ORACLES = Path(__file__).parents[1] / "oracles"
BPR = ORACLES / "atrank__bpr.npz"  # the smallest: 13 results


def call(*paths):
    """-> (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["parity", *map(str, paths)])
    return code, out.getvalue(), err.getvalue()


def load(path=BPR):
    with np.load(path, allow_pickle=False) as z:
        return {name: z[name] for name in z.files}


def save(folder, arrays):
    np.savez(folder / "state.npz", **arrays)
    return folder / "state.npz"


def changed(folder, name, change, path=BPR):
    """A copy of a state with one array changed."""
    arrays = load(path)
    return save(folder, arrays | {name: change(arrays[name])})


def one_off(by):
    """Moves the first entry of an array by a part of its largest."""
    def change(array):
        moved = array.copy()
        moved.flat[0] += by * np.max(np.abs(array))
        return moved
    return change


def lines_of(out, verdict):
    return [line.split()[0] for line in out.splitlines() if line.endswith(verdict)]


def test_every_result_has_its_row():
    results = [name for name in load() if name.split("/")[0] in ("outputs", "grads", "after")]
    code, out, err = call(BPR)
    assert (code, err) == (0, "") and len(results) == 13
    assert lines_of(out, "  ok") == results
    assert out.splitlines()[0] == f"{BPR}: atrank/bpr, float64" and out.splitlines()[-1] == "13 of 13 arrays agree"
    row = next(line.split() for line in out.splitlines() if "grads/user_emb_w" in line)
    assert row[1] == "4x8" and float(row[2]) < 1e-14 and float(row[3]) == 1e-9


def test_every_recorded_state_agrees():
    """The files that stand in tests/oracles, of both releases: without files, all that there are."""
    code, out, err = call()
    assert (code, err) == (0, "") and all(f"{path}: " in out for path in ORACLES.glob("*.npz"))
    agree, _, compared = out.splitlines()[-1].split()[:3]
    assert agree == compared and int(agree) > 1139  # ATRank's alone


@pytest.mark.parametrize("name", ["outputs/logits", "grads/item_b", "after/1/user_emb_w", "outputs/global_norm_tf"])
def test_one_changed_number_fails(tmp_path, name):
    code, out, _ = call(changed(tmp_path, name, one_off(1e-6)))
    assert code == 1 and lines_of(out, "differs") == [name] and out.endswith("\n12 of 13 arrays agree\n")
    row = next(line.split() for line in out.splitlines() if name in line)
    assert float(row[2]) == pytest.approx(1e-6, rel=0.06)  # one figure after the point
    assert call(changed(tmp_path, name, one_off(1e-10)))[0] == 0


def test_a_changed_input_or_parameter_fails(tmp_path):
    assert call(changed(tmp_path, "params/user_emb_w", one_off(1e-6)))[0] == 1
    assert call(changed(tmp_path, "inputs/j", lambda j: (j + 1) % 14))[0] == 1


@pytest.mark.parametrize("change, verdict", [
    (lambda a: np.full_like(a, np.nan), "recorded value is not finite"),
    (lambda a: a[:-1], "shape (5,) instead of (4,)"),
    (lambda a: a[:, None], "shape (5,) instead of (5, 1)"),
])
def test_what_cannot_be_compared_fails(tmp_path, change, verdict):
    code, out, _ = call(changed(tmp_path, "outputs/logits", change))
    assert code == 1 and lines_of(out, verdict) == ["outputs/logits"] and "12 of 13" in out


def test_what_nothing_computes_fails(tmp_path):
    code, out, _ = call(save(tmp_path, load() | {"outputs/other": np.zeros(3)}))
    assert code == 1 and lines_of(out, "not computed") == ["outputs/other"] and "13 of 14" in out


def test_several_files_are_counted_together(tmp_path):
    code, out, _ = call(BPR, changed(tmp_path, "outputs/logits", one_off(1e-6)), BPR)
    assert code == 1 and out.count(": atrank/bpr, float64") == 3 and out.endswith("\n38 of 39 arrays agree\n")


def without(name):
    return lambda folder: save(folder, {key: a for key, a in load().items() if key != name})


def with_one(name, value, path=BPR):
    return lambda folder: save(folder, load(path) | {name: value})


def bytes_of(content):
    def make(folder):
        (folder / "state.npz").write_bytes(content)
        return folder / "state.npz"
    return make


def damaged(folder):
    """One byte of the largest array is another."""
    content = bytearray(save(folder, load()).read_bytes())
    content[content.index(load()["params/user_emb_w"].tobytes()) + 3] ^= 1
    return bytes_of(bytes(content))(folder)


def npy(folder):
    with open(folder / "state.npz", "wb") as file:
        np.save(file, np.zeros(3))
    return folder / "state.npz"


def no_results(folder):
    return save(folder, {name: a for name, a in load().items() if name.split("/")[0] in ("meta", "inputs", "params")})


CONFIG = json.loads(str(load()["meta/config"]))
MULTI = ORACLES / "atrank__multi_att-i2i_i.npz"
HMAR = ORACLES / "hmar__taobao_pert.npz"
BAD = {
    "missing file": (lambda folder: folder / "state.npz", "No such file"),
    "folder": (lambda folder: folder, "Is a directory"),
    "empty file": (bytes_of(b""), "no .npz file"),
    "half a file": (bytes_of(BPR.read_bytes()[: BPR.stat().st_size // 2]), "no .npz file"),
    "damaged file": (damaged, "no .npz file"),
    "text": (bytes_of(b"user,item\n1,2\n"), "no .npz file"),
    ".npy": (npy, "no .npz file"),
    "pickles": (with_one("outputs/logits", np.array([{}], dtype=object)), "no .npz file"),
    "another .npz": (lambda folder: save(folder, {"x": np.zeros(3)}), "meta/release"),
    "no type": (without("meta/dtype"), "meta/dtype"),
    "no JSON": (with_one("meta/config", np.array("{")), "meta/config"),
    "JSON of a list": (with_one("meta/config", np.array("[]")), "meta/config"),
    "no rate": (with_one("meta/config", np.array(json.dumps({k: v for k, v in CONFIG.items() if k != "lr"}))), "'lr'"),
    "rate in words": (with_one("meta/config", np.array(json.dumps(CONFIG | {"lr": "fast"}))), "lr"),
    "another release": (with_one("meta/release", np.array("sasrec")), "sasrec"),
    "another folder": (with_one("meta/release", np.array("atrank/gru")), "gru"),
    "another type": (with_one("meta/dtype", np.array("complex64")), "complex64"),
    "no parameter": (without("params/cate_emb_w"), "params/cate_emb_w"),
    "a table of another width": (with_one("params/user_emb_w", np.zeros((4, 7))), "embeddings of user"),
    "a parameter of another shape": (with_one("params/i_layer/kernel", np.zeros((31, 8)), MULTI), "params/i_layer/k"),
    "a bias of another shape": (with_one("params/q_layer/bias", np.zeros(7), MULTI), "params/q_layer/bias"),
    "a table that is a vector": (with_one("params/item_emb_w", np.zeros(56)), "emb_w"),
    "a parameter that is not finite": (with_one("params/item_b", np.full(14, np.nan)), "params/item_b"),
    "a parameter of words": (with_one("params/item_b", np.full(14, "x")), "params/item_b"),
    "no input": (without("inputs/u"), "inputs/u"),
    "an id out of range": (with_one("inputs/i", np.full(5, 14)), "inputs/i"),
    "a negative id": (with_one("inputs/j", np.full(5, -1)), "inputs/j"),
    "ids that are fractions": (with_one("inputs/u", np.full(5, 0.5)), "inputs/u"),
    "other rows": (with_one("inputs/u", np.zeros(4, int)), "inputs/u"),
    "categories for other items": (with_one("inputs/cate_list", np.zeros(13, int)), "cate_list"),
    "labels that are no labels": (with_one("inputs/y", np.full(5, 0.5), MULTI), "inputs/y"),
    "no labels": (lambda folder: save(folder, {k: a for k, a in load(MULTI).items() if k != "inputs/y"}), "inputs/y"),
    "times of another shape": (with_one("inputs/hist_i_time", np.zeros((5, 4), int), MULTI), "inputs/hist_i_time"),
    "a history longer than itself": (with_one("inputs/hist_i_sl", np.full(5, 6), MULTI), "inputs/hist_i_sl"),
    "lengths of other rows": (with_one("inputs/hist_i_sl", np.full(4, 1), MULTI), "inputs/hist_i_sl"),
    "a run that is none": (with_one("meta/config", np.array(json.dumps(
        json.loads(str(load(MULTI)["meta/config"])) | {"net_type": "att-x2i"})), MULTI), "att-x2i"),
    "a step that is no number": (with_one("after/first/item_b", np.zeros(14)), "after/N"),
    "a thousand thousand steps": (with_one("after/1000000/item_b", np.zeros(14)), "after/N"),
    "a step with zeros before it": (with_one("after/0000000009999999/item_b", np.zeros(14)), "after/N"),
    "JSON in JSON in JSON": (with_one("meta/config", np.array("[" * 10**5)), "do not fit together"),
    "an item beyond the table": (with_one("inputs/seq", np.full((6, 12), 31), HMAR), "inputs/seq"),
    "a negative item": (with_one("eval/cand", np.full((14, 100), -1), HMAR), "eval/cand"),
    "a behaviour that is none": (with_one("data/log_rows", np.full((175, 3), 4), HMAR), "data/log_rows"),
    "nothing to compare": (no_results, "nothing to compare"),
}


@pytest.mark.parametrize("make, part", BAD.values(), ids=BAD)
def test_what_is_no_state_is_refused_in_one_sentence(tmp_path, make, part):
    path = make(tmp_path)
    code, out, err = call(BPR, path)
    assert (code, out) == (2, "") and err.startswith("mbref: ") and str(path) in err and part in err
    assert err.count("\n") == 1 and "Traceback" not in err


def test_without_files_all_that_come_with_mbref_are_checked():
    code, out, _ = call()
    assert code == 0 and all(str(path) in out for path in ORACLES.glob("*.npz"))
    agree, _, all_of_them, *_ = out.splitlines()[-1].split()
    assert int(agree) == int(all_of_them) > 1000


# the comparison by hand


def verdicts(recorded, computed, dtype="float64", **more):
    rows = parity.compare_all(recorded, Recomputed(computed, **more), dtype)
    return {row.name: row.ok for row in rows}


def test_error_is_relative_to_the_largest_value_or_a_thousandth_of_the_group():
    recorded = {"grads/a": np.array([2.0, -4000.0]), "grads/b": np.array([0.5]), "outputs/c": np.array([0.5])}
    computed = {"grads/a": np.array([6.0, -4000.0]), "grads/b": np.array([0.54]), "outputs/c": np.array([0.54])}
    errors = {row.name: row.error for row in parity.compare_all(recorded, Recomputed(computed), "float64")}
    assert errors == pytest.approx({"grads/a": 4 / 4000, "grads/b": 0.04 / 4, "outputs/c": 0.04 / 0.5})


def test_steps_are_groups_of_their_own():
    recorded = {"after/1/a": np.array([1e6]), "after/3/b": np.array([1.0])}
    errors = [row.error for row in parity.compare_all(recorded, Recomputed({k: a + 1 for k, a in recorded.items()}), "x")]
    assert errors == pytest.approx([1e-6, 1.0])


@pytest.mark.parametrize("name, dtype, error, ok", [
    ("outputs/x", "float64", 0.9e-9, True), ("outputs/x", "float64", 1.1e-9, False),
    ("after/1/x", "float64", 1.1e-9, False),
    ("outputs/x", "float32", 1.9e-5, True), ("outputs/x", "float32", 2.1e-5, False),
    ("after/1/x", "float32", 0.9e-4, True), ("after/1/x", "float32", 1.1e-4, False),
])
def test_allowed_errors(name, dtype, error, ok):
    assert verdicts({name: np.ones(2)}, {name: np.array([1.0, 1.0 + error])}, dtype) == {name: ok}


def test_a_float32_array_in_a_float64_file_is_held_to_its_own_type():
    assert verdicts({"outputs/x": np.float32([0.6])}, {"outputs/x": np.array([0.6])}) == {"outputs/x": True}
    assert verdicts({"outputs/x": np.float32([0.6])}, {"outputs/x": np.array([0.6001])}) == {"outputs/x": False}


def test_whole_numbers_are_exact_and_make_no_scale():
    big = {"data/n": np.array([10**9, 3]), "data/b": np.array([True]), "data/x": np.ones(1)}
    assert all(verdicts(big, big, "float32").values())
    off = {"data/n": big["data/n"] + np.array([0, 1]), "data/b": ~big["data/b"],
           "data/x": 2 * big["data/x"]}
    assert not any(verdicts(big, off, "float32").values())


def test_what_is_left_out_is_listed_and_not_counted(tmp_path, monkeypatch):
    recompute = parity.RECOMPUTE["atrank"]
    monkeypatch.setitem(parity.RECOMPUTE, "atrank", lambda arrays, config: recompute(arrays, config)._replace(
        left_out={"outputs/logits": "only rounding"}))
    code, out, _ = call(changed(tmp_path, "outputs/logits", one_off(1.0)))
    assert code == 0 and lines_of(out, "left out: only rounding") == ["outputs/logits"]
    assert out.endswith("\n12 of 12 arrays agree\n")


def test_bounds():
    def inside(value):
        return verdicts({"eval/hr": np.array(value)}, {}, "float64", bounds={"eval/hr": (0.25, 0.5)})["eval/hr"]
    assert inside(0.25) and inside(0.4) and inside(0.5) and inside(0.5 + 1e-10)
    assert not inside(0.25 - 1e-8) and not inside(0.5 + 1e-8) and not inside(np.nan)


def test_given_arrays_are_compared_only_where_they_are_computed():
    recorded = {"inputs/a": np.ones(1), "inputs/b": np.ones(1), "params/c": np.ones(1), "outputs/d": np.ones(1)}
    assert verdicts(recorded, {"inputs/b": np.zeros(1)}) == {"inputs/b": False, "outputs/d": False}
