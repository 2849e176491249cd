"""What is right: tolerances, ten steps and gradients by arithmetic."""
import numpy as onp
import pytest

from mbref.check import adapters, cases, run
from mbref.check.compare import compare
from mbref.check.components.reading import own_functions


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
        out = own_functions()[component](params, inputs, tap)
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


def test_what_is_undefined_must_be_undefined():
    """NaN of an output, as of a user without a relevant item, is an answer."""
    nan = float("nan")
    assert rows({"outputs/y": [nan, 1.0]}, {"outputs/y": [nan, 1.0]})["outputs/y"].times == 0
    found = rows({"outputs/y": [1.0, nan]}, {"outputs/y": [1.0, 0.0]})["outputs/y"]
    assert found.problem == "a number where NaN is right" and found.index == (1,)
    assert rows({"outputs/y": [nan, 1.0]}, {"outputs/y": [nan, nan]})["outputs/y"].times == float("inf")
    assert rows({"outputs/y": nan}, {"outputs/y": 0.0})["outputs/y"].times == float("inf")


def test_ten_steps_by_arithmetic():
    """loss = w^2 / 2 with a step of .1: w shrinks by .9 each time."""
    losses = adapters.DESCENTS["numpy"](lambda params, inputs, tap: {
        "loss": params["w"] ** 2 / 2}, {"w": onp.array(4.0)}, {"rate": 0.1}, "float64", 10)
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
