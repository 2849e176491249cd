"""Gradients by all parameters against autograd's own; rows of tables by hand."""
import autograd.numpy as np
import autograd
import numpy as onp
import pytest

from mbref.nn import lookup, optim, vjps

IDS = onp.array([[1, 0, 80], [80, 80, 2]])


def tree():
    rng = onp.random.default_rng(0)
    return {"table": rng.normal(size=(100, 3)), "w": [rng.normal(size=(3, 2)), rng.normal(size=3)],
            "alone": rng.normal(size=(100, 2)), "unused": rng.normal(size=4)}


def loss(params, ids):
    read = lookup.lookup(params["table"], ids) + lookup.lookup(params["table"], ids[:, ::-1]) ** 2
    bias = np.sum(params["w"][1]) + np.sum(params["table"][5:7])
    return np.sum((read @ params["w"][0]) ** 2) + bias + np.sum(lookup.lookup(params["alone"], ids) ** 3)


def dense(g):
    return g.add_into(g.vs.zeros()) if isinstance(g, lookup.Rows) else g


@pytest.mark.parametrize("rows", [False, True])
def test_gradients_are_autograds(rows):
    value, grads = lookup.value_and_grad(loss, rows)(tree(), IDS)
    with vjps.plain():
        want, plain = autograd.value_and_grad(loss)(tree(), IDS)
    assert value == pytest.approx(want, rel=1e-14)
    assert isinstance(grads["alone"], lookup.Rows) == rows
    assert not isinstance(grads["table"], lookup.Rows)  # the slice has another part of its gradient
    for (name, a), (_, b) in zip(optim.leaves(grads), optim.leaves(plain), strict=True):
        onp.testing.assert_allclose(dense(a), b, atol=1e-12, err_msg=name)
    assert not grads["unused"].any()


def test_rows_of_two_lookups_of_a_table_are_summed():
    twice = lambda p, ids: np.sum(lookup.lookup(p["t"], ids)) + 2 * np.sum(lookup.lookup(p["t"], ids[:1]))
    _, grads = lookup.value_and_grad(twice, rows=True)({"t": onp.ones((100, 2), onp.float32)}, IDS)
    assert grads["t"].ids.tolist() == [1, 2, 80] and grads["t"].values.dtype == onp.float32
    onp.testing.assert_array_equal(grads["t"].values, [[3, 3], [1, 1], [5, 5]])


def test_autograds_own_value_and_grad_reads_rows():
    """Whoever differentiates a model by autograd itself gets arrays."""
    _, grads = autograd.value_and_grad(loss)(tree(), IDS)
    for (name, a), (_, b) in zip(optim.leaves(grads), optim.leaves(lookup.value_and_grad(loss)(tree(), IDS)[1]),
                                 strict=True):
        onp.testing.assert_allclose(a, b, atol=1e-12, err_msg=name)


def test_sums_of_rows_by_hand():
    ids, values = lookup.sum_rows(onp.array([7, 2, 7, 7]), onp.array([[1.0, 2], [3, 4], [5, 6], [10, 20]]))
    assert ids.tolist() == [2, 7] and values.tolist() == [[3, 4], [16, 28]]
    ids, values = lookup.sum_rows(onp.zeros(0, int), onp.zeros((0, 2)))
    assert len(ids) == 0 and values.shape == (0, 2)
