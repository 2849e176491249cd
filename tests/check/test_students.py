"""`check` in a notebook or a test suite: answers of a few lines, and what a wrong one is told."""
import autograd.numpy as np
import numpy as onp
import pytest

from mbref.check import casefile, cases, check, run
from mbref.errors import InputError


def test_an_answer_of_two_lines(capsys):
    def behaviour_mask(behaviour):
        same = behaviour[:, :, None] == behaviour[:, None, :]
        return same & (behaviour > 0)[:, :, None] & onp.tri(behaviour.shape[1], dtype=bool)

    check("hmar.behaviour_mask", behaviour_mask)
    assert capsys.readouterr().out == "hmar.behaviour_mask: 4 cases pass\n"
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


@pytest.mark.parametrize("name", ["masks.padding", "metrics.greater_and_ties"])  # one output, two
def test_a_forgotten_return_is_told(name):
    for answer in (lambda: None, lambda params, inputs, tap: None):
        with pytest.raises(AssertionError, match=r"it returned None: is a return missing\?"):
            check(name, answer)


def test_a_line_is_named_in_a_file_or_in_a_notebook(tmp_path):
    for path, place in ((tmp_path / "mine.py", "mine.py"),
                        (tmp_path / "ipykernel_7" / "1408473120.py", "the cell")):
        names = {}
        exec(compile("def fails(ids):\n    return len(ids.size)\n", str(path), "exec"), names)
        with pytest.raises(AssertionError, match=rf" \({place}, line 2\)"):
            check("masks.padding", names["fails"])


def test_what_the_student_mistypes_is_told():
    with pytest.raises(InputError, match="no component 'hmar.mask'"):
        check("hmar.mask", print)
    with pytest.raises(InputError, match="has no case"):
        check("hmar.code", print, cases="hard")
    with pytest.raises(AssertionError, match="there is no behavior: its arguments may be behaviour, "):
        check("hmar.behaviour_mask", lambda behavior: behavior)
    with pytest.raises(AssertionError, match="return a dict of"):
        check("metrics.greater_and_ties", lambda scores, target, allowed: target)


def test_what_every_case_raises_is_told_once():
    with pytest.raises(AssertionError) as failure:
        check("masks.padding", lambda ids: None)
    assert str(failure.value) == ("masks.padding: 5 of 5 cases fail\n  fails in every situation "
                                  "(it raised InputError: it returned None: is a return missing?)")


@pytest.mark.parametrize("case", cases("masks.causal"), ids=str)
def test_one_case_in_a_test_suite(case):
    check(case, lambda ids: onp.tri(ids.shape[1], dtype=bool), quiet=True)
    with pytest.raises(AssertionError):
        check(case, lambda ids: ~onp.tri(ids.shape[1], dtype=bool))


def test_assignment_into_an_array_is_named_as_the_cause():
    def dense(params, inputs, tap):
        x = inputs["x"]
        y = np.zeros((*x.shape[:-1], *params["b"].shape))
        for n in range(len(x)):
            y[n] = x[n] @ params["w"] + params["b"]
        return {"y": y}

    case = casefile.cases("layers.dense")[0]
    assert "values were assigned into an array, which cannot be" in run.run_case(case, dense).note
