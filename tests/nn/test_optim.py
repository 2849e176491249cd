"""Optimisers against torch's own over several steps, in float64; clipping by hand."""
import numpy as np
import pytest
from autograd.extend import vspace

from mbref.nn import optim
from mbref.nn.lookup import Rows
from tests.optional import library

torch = library("torch")


def tree(seed):
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=(3, 2)), "b": [{"c": rng.normal(size=4)}, {"c": rng.normal(size=())}]}


def tensors(params):
    return [torch.tensor(a, requires_grad=True) for _, a in optim.leaves(params)]


def compare(rule, optimiser, clip=None, steps=5):
    params = tree(0)
    theirs = tensors(params)
    optimiser, state = optimiser(theirs), optim.start(rule, params)
    for step in range(1, steps + 1):
        grads = tree(step)
        for tensor, (_, g) in zip(theirs, optim.leaves(grads), strict=True):
            tensor.grad = torch.tensor(g)
        if clip:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        optimiser.step()
        params, state = optim.update(rule, params, grads, state, step)
        for tensor, (name, a) in zip(theirs, optim.leaves(params), strict=True):
            np.testing.assert_allclose(a, tensor.detach().numpy(), atol=1e-10, err_msg=name)


def test_adam():
    compare(optim.Adam(0.01, 0.9, 0.98, 1e-8), lambda p: torch.optim.Adam(p, 0.01, (0.9, 0.98), 1e-8))
    compare(optim.Adam(0.01, 0.8, 0.99, 0.1), lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.99), 0.1))
    compare(optim.Adam(), torch.optim.Adam)  # as its paper has them


def test_adam_with_clipping():
    # torch divides by norm + 1e-6, so the two differ by 1e-6 / norm in the gradients
    params, grads = tree(0), tree(1)
    norm = np.sqrt(sum((g**2).sum() for _, g in optim.leaves(grads)))
    assert optim.global_norm(grads) == pytest.approx(norm)
    clipped = optim.clip_by_global_norm(grads, norm / 4)
    assert optim.global_norm(clipped) == pytest.approx(norm / 4)
    np.testing.assert_allclose(clipped["a"], grads["a"] / 4)
    assert optim.clip_by_global_norm(grads, norm * 1.01) is grads
    assert optim.global_norm(optim.clip_by_global_norm(grads, norm * 0.99)) == pytest.approx(norm * 0.99)
    moved, _ = optim.update(optim.SGD(1.0, clip=norm / 4), params, grads, {}, 1)
    np.testing.assert_allclose(params["a"] - moved["a"], grads["a"] / 4)
    start = optim.start(optim.Adam(), params)
    by_clip, _ = optim.update(optim.Adam(0.1, eps=0.5, clip=norm / 4), params, grads, start, 1)
    by_hand, _ = optim.update(optim.Adam(0.1, eps=0.5), params, clipped, start, 1)
    np.testing.assert_array_equal(by_clip["a"], by_hand["a"])


def test_sgd():
    compare(optim.SGD(0.3), lambda p: torch.optim.SGD(p, 0.3))


def test_tensorflow_epsilon_by_hand():
    """p -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), two steps of gradient 2."""
    rule, p, state = optim.Adam(0.1, 0.9, 0.98, 0.5, epsilon_hat=True), {"x": np.array(1.0)}, {}
    state = optim.start(rule, p)
    want, m, v = 1.0, 0.0, 0.0
    for step in (1, 2):
        p, state = optim.update(rule, p, {"x": np.array(2.0)}, state, step)
        m, v = 0.9 * m + 0.1 * 2, 0.98 * v + 0.02 * 4
        want -= 0.1 * (1 - 0.98**step) ** 0.5 / (1 - 0.9**step) * m / (v**0.5 + 0.5)
        assert p["x"] == pytest.approx(want, abs=1e-14)


def test_updates_leave_their_inputs_alone_and_keep_float32():
    params = optim.tree_map(lambda a: a.astype(np.float32), tree(0))
    before = optim.tree_map(np.array, params)
    grads = optim.tree_map(lambda a: a.astype(np.float32), tree(1))
    for rule in (optim.Adam(clip=0.1), optim.SGD(clip=0.1)):
        new, state = optim.update(rule, params, grads, optim.start(rule, params), 1)
        for _, a in optim.leaves([new, state]):
            assert a.dtype == np.float32
        for (_, a), (_, b) in zip(optim.leaves(params), optim.leaves(before), strict=True):
            np.testing.assert_array_equal(a, b)


def test_leaves_name_every_array():
    assert [name for name, _ in optim.leaves(tree(0))] == ["a", "b/0/c", "b/1/c"]


RULES = [optim.Adam(0.01, clip=1.0), optim.Adam(0.01, 0.8, 0.99, 0.1), optim.Adam(0.02, eps=0.3, epsilon_hat=True, clip=99),
         optim.SGD(0.3), optim.SGD(0.3, clip=0.1)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind, tolerance", [(np.float64, 1e-14), (np.float32, 2e-6)])
def test_the_step_in_place_is_the_pure_one(rule, kind, tolerance, monkeypatch):
    monkeypatch.setattr(optim, "BLOCK", 5)  # of 7 rows of 2 two at a time
    params = {"table": np.ones((7, 2), kind), **optim.tree_map(lambda a: a.astype(kind), tree(0))}
    mine, state = optim.tree_map(np.copy, params), optim.start(rule, params)
    my_state = optim.start(rule, params)
    arrays = [a for _, a in optim.leaves([mine, my_state])]
    for step in range(1, 5):
        rng = np.random.default_rng(step)
        ids, values = np.sort(rng.choice(7, 3, replace=False)), rng.normal(size=(3, 2)).astype(kind)
        grads = {"table": np.zeros((7, 2), kind), **optim.tree_map(lambda a: a.astype(kind), tree(step))}
        grads["table"][ids] = values
        params, state = optim.update(rule, params, grads, state, step)
        rows = grads | {"table": Rows(vspace(grads["table"]), ids, values)}
        mine, my_state = optim.update_in_place(rule, mine, rows if step % 2 else grads, my_state, step, threads=step)
    found = optim.leaves([mine, my_state])
    assert all(a is b for a, (_, b) in zip(arrays, found, strict=True))
    for (name, a), (_, b) in zip(found, optim.leaves([params, state]), strict=True):
        assert a.dtype == kind
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)


def test_arrays_in_another_order_are_refused_in_place():
    """A copy would take the step, and nobody would see it."""
    params = {"w": np.asfortranarray(tree(0)["a"])}
    with pytest.raises(ValueError, match="copy"):
        optim.update_in_place(optim.Adam(), params, params, optim.start(optim.Adam(), params), 1)
