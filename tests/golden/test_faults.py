"""The kill matrix: known faults fail, in float64 and float32; a check names them; without the fault
all cases pass."""
import gzip
import json

import numpy as np
import pytest

from mbref.check import casefile, check, compare, hints, report, run
from tests.golden import kill_matrix as matrix
from tests.golden.__main__ import main
from tests.golden.fault import Fault, plant
from tests.golden.registry import COMPONENTS
from tests.optional import require

IDS = [f"{fault.component}: {fault.name}" for fault in matrix.FAULTS]
ROUNDED = "in one pass"  # faults that are wrong by rounding alone: another processor says otherwise by how much


@pytest.fixture(scope="module")
def kept():
    """What faults.json.gz says, by component and name."""
    return {(one["component"], one["name"]): one for one in hints.signatures()}


@pytest.fixture(scope="module")
def found():
    """Results of every fault on every case in float64, by component and name."""
    return {(fault.component, fault.name): [matrix.run_fault(
        fault, case, "float64") for case in cases_of(fault.component)] for fault in matrix.FAULTS}


def cases_of(component):
    return casefile.cases(component + "/")


# The list.

def test_there_are_faults_of_every_component_and_no_two_of_one_name():
    assert {fault.component for fault in matrix.FAULTS} == set(COMPONENTS)
    assert len(set(IDS)) == len(IDS) >= 60
    assert not [name for name in IDS if " or " in name]  # which stands between the names of a hint


RIGHT = {name: [function for family in matrix.FAMILIES for function in family.RIGHT.get(name, ())]
         for family in matrix.FAMILIES for name in family.RIGHT}


@pytest.mark.parametrize("component", RIGHT)
def test_without_the_one_thing_wrong_a_faults_own_text_is_right(component):
    """Else a case would catch the text around the fault, and not the fault."""
    for function in RIGHT[component]:
        for case in cases_of(component):
            result = matrix.run_fault(Fault("none", component, function), case, "float64")
            assert not result.failures, (case.id, result.note, result.failures)


@pytest.mark.parametrize("component", COMPONENTS)
def test_mbrefs_own_function_is_no_fault(component):
    for dtype in compare.TOLERANCE:
        for case in filter(lambda case: run.is_for(case, dtype), cases_of(component)):
            assert not matrix.run_fault(Fault("none", component, COMPONENTS[component].function),
                                        case, dtype).failures


# The matrix.

def test_every_fault_is_caught_in_float64(found):
    assert [key for key, results in found.items()
            if not any(result.failures for result in results)] == []


@pytest.mark.parametrize("fault", matrix.FAULTS, ids=IDS)
def test_every_fault_is_caught_in_float32(fault, kept):
    """By the first case that faults.json.gz names, and as it says."""
    caught = kept[fault.component, fault.name]["float32"]
    case = next(case for case in cases_of(fault.component) if case.id in caught)
    result = matrix.run_fault(fault, case, "float32")
    assert result.failures
    assert ROUNDED in fault.name or matrix.is_same(caught[case.id], matrix.list_errors(result))


def test_what_is_kept_is_what_the_faults_do(found, kept):
    for key, results in found.items():
        now = {result.case.id: matrix.list_errors(result) for result in results if result.failures}
        assert now.keys() == kept[key]["float64"].keys(), key
        assert ROUNDED in key[1] or all(matrix.is_same(kept[key]["float64"][case], now[case]) for case in now), key


def test_errors_that_float32_shares_with_float64_are_kept_once():
    one = {"component": "x", "float64": {"x/a": [1.0, 0], "x/b": [1.0], "x/c": [1.0]},
           "float32": {"x/a": [1.01, 0], "x/b": [1.1], "x/d": [None]}}
    short = matrix.shorten(one)
    assert short["float64"] == {"a": [1.0, 0], "b": [1.0], "c": [1.0]}
    assert short["float32"] == {"a": None, "b": [1.1], "d": [None]}
    assert hints.lengthen(short) == one | {"float32": one["float32"] | {"x/a": [1.0, 0]}}


def test_faults_json_is_small_and_has_no_fault_that_is_gone():
    path = casefile.ROOT / hints.FILE
    assert path.stat().st_size < 500_000
    assert [(one["component"], one["name"]) for one in hints.signatures()] == [
        (fault.component, fault.name) for fault in matrix.FAULTS]


# Names.

def test_a_check_names_the_planted_fault(found):
    named = {key: (hints.name_fault(results) or "").split(" or ") for key, results in found.items()}
    assert [key for key in found if key[1] not in named[key] and ROUNDED not in key[1]] == []
    assert sum(names == [key[1]] for key, names in named.items()) >= 0.95 * len(named)


def test_outputs_alone_are_enough_for_most_names(found):
    def forward(result):
        return result._replace(
            rows=[row for row in result.rows if row.name.startswith(("taps/", "outputs/"))])
    seen = {key: hints.name_fault([forward(result) for result in results])
            for key, results in found.items()}
    assert sum(key[1] in (hint or "").split(" or ")
               for key, hint in seen.items()) >= 0.9 * len(seen)


def plain_layer_norm(x, gamma, beta, eps):
    """As a student writes it, with an eps of their own."""
    return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + beta


def plain_attention_weights(scores, allowed):
    e = np.exp(scores)
    return e / e.sum(-1, keepdims=True) * allowed


@pytest.mark.parametrize("component, function, hint", [
    ("attention.masked_softmax", plain_attention_weights, None),  # two things wrong: overflow, too
    ("masks.causal", lambda ids: np.triu(np.ones((ids.shape[1],) * 2, bool)),
     "causal mask of the future"),
    ("hmar.behaviour_mask", lambda behaviour: np.array([
        [[a == b > 0 for b in row] for a in row] for row in behaviour]), "attends to later events"),
    ("dmran.redundancy", lambda A: np.array([np.linalg.norm(a @ a.T - np.eye(len(a))) for a in A]),
     "penalty not squared"),
    ("metrics.mrr", lambda g, e, k, ties: np.array([(b < k) / (1 + b) for b in g.tolist()]),
     "ties given the best rank"),
    ("metrics.ndcg", lambda g, e, k, ties: np.array([
        np.mean([(b <= k) / np.log(1 + b)
                 for b in range(low + (ties != "expected") * more + 1, low + more + 2)])
        for low, more in zip(g.tolist(), e.tolist(), strict=True)]),
        "natural logarithm instead of log2"),
])
def test_faults_of_other_people_are_named(component, function, hint):
    with np.errstate(all="ignore"), pytest.raises(AssertionError) as error:
        check(component, function)
    assert (f"looks like: {hint}" in str(error.value)) if hint else "looks like" not in str(
        error.value)


def test_torchs_default_eps_is_named_with_gradients_in_both_dtypes():
    torch = require("torch")

    def layer_norm(params, inputs, tap):
        return {
            "y": torch.nn.functional.layer_norm(inputs["x"], (8,), params["gamma"], params["beta"])}

    results = run.run({"layers.layer_norm": layer_norm}, "torch", cases_of("layers.layer_norm"),
                      compare.TOLERANCE)
    assert report.name_faults(list(results)) == {
        ("layers.layer_norm", dtype): "layer norm eps 1e-5 instead of 1e-8"
        for dtype in compare.TOLERANCE}


def test_torchs_attention_with_a_float_mask_is_named():
    torch = require("torch")

    def softmax(params, inputs, tap):
        return {"weights": torch.softmax(
            inputs["scores"].masked_fill(~inputs["allowed"], -torch.inf), -1)}

    results = [run.run_case(case, softmax, "torch")
               for case in cases_of("attention.masked_softmax")]
    assert hints.name_fault(results) == "-inf on a row where nothing is allowed"


# looks_like by hand: two cases with two arrays each, five faults of one component.

CASE = {name: casefile.Case(f"x/{name}", "x", "both", (), {}, "", "values", {})
        for name in ("a", "b")}


def row_of(name, error):
    """An array that is right (0), off by some number, or, given [error, place], of whole numbers
    and wrong there."""
    if isinstance(error, list):
        return compare.Row(name, error[0], (error[1],), np.inf)
    return compare.Row(name, error, (0,), 2.0 * (error > 0))


def of(errors):
    """Results with the errors of {case: {array: error}}."""
    return [run.Result(CASE[case], "float64", [row_of(*pair) for pair in arrays.items()], [], [])
            for case, arrays in errors.items()]


@pytest.fixture
def five_faults(monkeypatch):
    shown = {"half": {"x/a": [0.5] + [0] * 21}, "two": {"x/a": [2.0, 0]}, "nan": {
        "x/b": [None, 1.0]}, "mask": {"x/b": [[1.0, 4], 0]}, "later": {"x/b": [[1.0, 5], 0]}}
    known = [{"name": name, "component": "x", "float64": wrong} for name, wrong in shown.items()]
    monkeypatch.setattr(hints, "signatures", lambda: known)
    monkeypatch.setattr(hints, "array_names",
                        lambda case: ["outputs/y", "outputs/z", *(f"grads/{i}" for i in range(20))])


OTHERWISE = "the same arrays, by another size: "


@pytest.mark.parametrize("errors, hint", [
    ({"a": {"outputs/y": 0.505}, "b": {"outputs/y": 0.0}}, "half"),             # 1 % off
    # 5 % off: the same array only
    ({"a": {"outputs/y": 0.525}, "b": {"outputs/y": 0.0}}, OTHERWISE + "half"),
    ({"a": {"outputs/y": 2.03}, "b": {"outputs/y": 0.0}}, "two"),               # 1.5 % off
    ({"a": {"outputs/y": 0.0}, "b": {"outputs/y": 0.0}}, None),                 # nothing wrong
    # nor in a part of the cases
    ({"b": {"outputs/y": 0.0}}, None),
    # most are right
    ({"a": {"outputs/y": 0.0, "outputs/z": 0.5} | {f"grads/{i}": 0.0 for i in range(20)}}, None),
    # the same array, by another error
    ({"a": {"outputs/y": 0.7}, "b": {"outputs/y": 0.0}}, OTHERWISE + "half or two"),
    # by an error of another size than that of any
    ({"a": {"outputs/y": 0.1}, "b": {"outputs/y": 0.0}},
     OTHERWISE + "half or two"),
    ({"a": {"outputs/y": 5.0}, "b": {"outputs/y": 0.0}}, OTHERWISE + "two"),
    # everything wrong, by another error
    ({"a": {"outputs/y": 0.7}}, None),
    # a part of the cases
    ({"a": {"outputs/y": 0.5}}, "half"),
    # another case wrong, too
    ({"a": {"outputs/y": 0.5}, "b": {"outputs/y": 0.5}}, None),
    ({"a": {"outputs/y": 0.0}, "b": {"outputs/y": np.inf, "outputs/z": 1.0}}, "nan"),
    ({"a": {"outputs/y": 0.0}, "b": {"outputs/y": 9.0, "outputs/z": 9.0}}, None),
    ({"a": {"outputs/y": 0.0}, "b": {"outputs/y": [1.0, 5], "outputs/z": 0.0}}, "later"),
    ({"a": {"outputs/y": 0.0}, "b": {"outputs/y": [1.0, 6], "outputs/z": 0.0}}, OTHERWISE + "mask or later"),
])
def test_looks_like(five_faults, errors, hint):
    assert hints.name_fault(of(errors)) == hint


def test_too_many_names_are_none(five_faults, monkeypatch):
    monkeypatch.setattr(hints, "MOST_NAMES", 1)
    assert hints.name_fault(of({"a": {"outputs/y": 0.7}, "b": {"outputs/y": 0.0}})) is None


def test_planted_faults_are_taken_out_again():
    import mbref.nn.attention as module
    kept = module.masked_softmax

    def fails(scores, allowed):
        raise ValueError

    with pytest.raises(ValueError):
        plant(lambda *args: module.masked_softmax(*args[:2]), module, masked_softmax=fails)(1, 2, 3)
    assert module.masked_softmax is kept


# The command.

def test_the_command_prints_the_matrix(capsys):
    assert main(["--kill-matrix", "--only", "layers.layer_norm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "outside the square root" in line)
    assert [cell.strip() for cell in row.split("|")][1:] == [
        "layers.layer_norm", "basic, low_variance, other_eps, far, far_float64",
        "low_variance, other_eps"]
    assert lines[-1].endswith("faults, 0 not caught in float64 and float32")


def test_the_command_fails_on_a_fault_that_nothing_catches(monkeypatch, capsys):
    harmless = Fault("no fault at all", "masks.causal", COMPONENTS["masks.causal"].function)
    monkeypatch.setattr(matrix, "FAULTS", [matrix.FAULTS[0], harmless])
    assert main(["--kill-matrix"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "masks.causal: no fault at all"


def test_the_command_names_what_it_does_not_know(capsys):
    assert main(["--kill-matrix", "--only", "nothing"]) == 2
    assert "no fault is known of 'nothing'" in capsys.readouterr().err


def test_making_cases_keeps_what_they_catch(tmp_path, monkeypatch):
    """Of new cases and of faults that are not kept yet; the others stay as they are."""
    some = [fault
            for fault in matrix.FAULTS if fault.component in ("masks.causal", "masks.behaviour")]
    monkeypatch.setattr(matrix, "FAULTS", some)
    old = [{"name": fault.name, "component": fault.component, "float64": {}, "float32": {}}
           for fault in some[:-1]]
    (tmp_path / hints.FILE).write_bytes(gzip.compress(json.dumps({"faults": old}).encode()))
    matrix.renew({"masks.causal"}, tmp_path)
    made = json.loads(gzip.decompress((tmp_path / hints.FILE).read_bytes()))["faults"]
    assert [bool(one["float64"]) for one in made] == [
        fault.component == "masks.causal" or fault is some[-1] for fault in some]


def test_a_fault_must_be_caught_in_both_dtypes():
    one = {"component": "x", "name": "slip", "float64": {"x/a": [1.0]}, "float32": {}}
    assert matrix.find_missed([one]) == ["x: slip"]
    assert matrix.table([one])[1].split("|")[2:] == [" a                    ", " NONE"]
    assert matrix.find_missed([one | {"float32": {"x/a": [1.0]}}]) == []
