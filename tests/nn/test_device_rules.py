"""mbref/nn/autograd_rules.py: each rule on the double of CuPy, what NumPy's users see of it (nothing), and known traps."""
import json
import subprocess
import sys
from pathlib import Path

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad, make_vjp, value_and_grad
from autograd.extend import vspace

from mbref.nn.device import to_device
from mbref.nn import masks
from tests.nn import fake_cupy, stock_autograd
from tests.nn.device_cases import DEVICE
from tests.nn.fake_cupy import FakeArray, made, transfers

X = onp.random.default_rng(0).normal(size=(2, 3, 4))
WEIGHTS = onp.random.default_rng(1).normal(size=(24,))
TESTS = Path(__file__).parents[1]


def on_device(*arrays):
    moved = to_device(arrays, DEVICE)
    transfers.clear()
    made.clear()
    return moved if len(moved) > 1 else moved[0]


def same_gradient(f, x=X, rtol=1e-13):
    """f's gradient on the double is NumPy's, nothing crosses the bus, and float32 stays float32."""
    got = grad(f)(on_device(x))
    assert isinstance(got, FakeArray) and not +transfers
    onp.testing.assert_allclose(got.get(), grad(f)(x), rtol=rtol, atol=1e-13)
    got = grad(f)(on_device(x.astype(onp.float32)))
    assert got.dtype == onp.float32 and not made["float64"]
    onp.testing.assert_allclose(got.get(), grad(f)(x), rtol=2e-5, atol=1e-5)


def test_autograd_knows_the_type():
    value, gradient = value_and_grad(lambda x: np.sum(np.exp(x)))(on_device(X))
    assert isinstance(value, FakeArray) and value.shape == ()
    onp.testing.assert_allclose(gradient.get(), onp.exp(X))


def test_zeros_and_ones_are_on_the_device():
    space = vspace(on_device(X.astype(onp.float32)))
    for made_of, number in ((space.zeros(), 0), (space.ones(), 1)):
        assert isinstance(made_of, FakeArray) and made_of.dtype == onp.float32
        onp.testing.assert_array_equal(made_of.get(), onp.full(X.shape, number))
    assert vspace(on_device(X)) == vspace(on_device(X + 1)) != vspace(on_device(X[0]))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("reduce", [np.sum, np.mean, np.var])
def test_repeat_to_match_shape(reduce, axis, keepdims):
    same_gradient(lambda x: np.sum(reduce(x, axis=axis, keepdims=keepdims) ** 2))


def test_repeat_to_match_shape_of_a_number():
    same_gradient(lambda x: np.sum(np.sum(x) * 3))


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_balanced_eq(f):
    same_gradient(lambda x: np.sum(f(x, 0.0) * x))
    same_gradient(lambda x: np.sum(f(x * 2, x + x) ** 2))  # all tie


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("f", [np.max, np.min])
def test_max_and_min(f, axis):
    same_gradient(lambda x: np.sum(f(x, axis=axis) ** 2))
    same_gradient(lambda x: np.sum(f(x, axis=axis, keepdims=True) ** 2), onp.round(X))  # many tie


@pytest.mark.parametrize("index", [
    0, slice(1, None), (slice(None), -1), (Ellipsis, None), (slice(None, None, -1), 1),
    onp.array([1, 0, 1, 1]), (slice(None), onp.array([[2, 2], [0, 2]])), (onp.array([0, 0, 1]), onp.array([1, 1, 2])),
], ids=str)
def test_untake(index):
    moved = to_device(index, DEVICE)
    same_gradient(lambda x: np.sum(x[moved if isinstance(getattr(x, "_value", x), FakeArray) else index] ** 3))


def test_untake_of_a_table_that_is_read_twice():
    ids = onp.array([[1, 1], [0, 1]])
    on = to_device(ids, DEVICE)

    def f(x):
        rows = on if isinstance(x._value, FakeArray) else ids
        return np.sum(x[rows] ** 2) + np.sum(x[rows] * x) + np.sum(x)
    same_gradient(f, X[:, 0, :2])


def test_concatenate_args():
    same_gradient(lambda x: np.sum(np.concatenate([x, x**2], axis=1)[:, 1:5] ** 2))


def test_array_from_scalar_or_array():
    same_gradient(lambda x: np.sum(np.stack([x, x**2], axis=1)[:, :, 1:] ** 2))


def test_parse_einsum_input():
    same_gradient(lambda x: np.sum(np.einsum("...ab,...ac->...bc", x, x**2) ** 2))


@pytest.mark.parametrize("order", ["C", "F"])
def test_reshape_and_ravel(order):
    weights = on_device(WEIGHTS)

    def f(x):
        w = weights if isinstance(x._value, FakeArray) else WEIGHTS
        return np.sum(np.ravel(x, order=order) * w.astype(x.dtype)) + np.sum(
            np.reshape(x, (6, 4), order=order)[2:] ** 2)
    same_gradient(f)


def test_reshape():
    same_gradient(lambda x: np.sum(np.reshape(x, (6, 4))[2:] ** 2))


def test_ravel():
    same_gradient(lambda x: np.sum(np.ravel(x)[3:] ** 2))


def test_where():
    same_gradient(lambda x: np.sum(np.where(x > 0, x**2, 3 * x)))


@pytest.mark.parametrize("f", [
    lambda x: np.sum(np.tanh(x) ** 2 * x), lambda x: np.sum(np.mean(x**3, axis=-1) ** 2),
    lambda x: np.sum(np.concatenate([x, x**3], axis=0)[1:] ** 2), lambda x: np.sum(np.where(x > 0, x**3, x**2)),
    lambda x: np.sum(np.einsum("abc,abd->acd", x, x) ** 2), lambda x: np.sum(np.max(x**3, axis=-1) ** 2),
])
def test_second_order(f):
    same_gradient(lambda x: np.sum(grad(f)(x) ** 2), rtol=1e-11)


def test_what_does_not_depend_on_x_has_no_gradient():
    undo, _ = make_vjp(lambda x: np.zeros_like(x) + 0 * np.sum(x))(on_device(X))
    assert not undo(on_device(onp.ones_like(X))).get().any()


# ------------------------------------------------------------------------------------------------ NumPy's users
def fresh(code):
    """Output of Python code in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numpy_gets_autograds_own_answers_to_the_bit_though_a_device_is_there():
    stock = json.loads(fresh("import runpy; runpy.run_path('tests/nn/stock_autograd.py', run_name='__main__')"))
    assert stock_autograd.answers() == stock


def test_documented_behaviour_on_numpy():
    """Which gradients autograd 1.9.1 makes float64 of float32, as the design notes say; ties share."""
    kinds = {name.partition(", ")[0]: kind for name, (kind, _) in stock_autograd.answers().items() if "float32" in name}
    assert {name for name, kind in kinds.items() if kind == "float64"} == {
        "mean", "var", "std", "max", "max with ties", "min", "maximum", "maximum with ties", "minimum", "where",
        "einsum of one"}
    x = onp.array([[3.0, 1.0, 3.0]])
    onp.testing.assert_array_equal(grad(lambda x: np.sum(np.max(x, axis=1)))(x), [[0.5, 0, 0.5]])
    onp.testing.assert_array_equal(grad(lambda x: np.sum(np.maximum(x, 3.0)))(x), [[0.5, 0, 0.5]])


def test_nothing_is_replaced_until_a_device_is_asked_for():
    fresh("""
import numpy as onp
import autograd.core as core, autograd.tracer as tracer
from autograd.numpy import numpy_vjps, numpy_wrapper
rooms = [vars(numpy_vjps), vars(numpy_wrapper), core.primitive_vjps, core.VSpace.mappings, tracer.Box.type_mappings]
before = [dict(room) for room in rooms]
import sys
import mbref.__main__, mbref.nn.device, mbref.tables.commands
from mbref.nn.device import to_device, beside
assert "mbref.nn.autograd_rules" not in sys.modules and "cupy" not in sys.modules
beside(onp.ones(2), to_device(onp.ones(2), "cpu"))
for old, room in zip(before, rooms):
    assert all(room[name] is what for name, what in old.items())
new = {made.__module__ for old, room in zip(before[2:], rooms[2:]) for made in set(room) - set(old)}
assert new == {"mbref.nn.lookup"}, new
""")


# --------------------------------------------------------------------------------------------------- known traps
def refused(f, *arrays, kinds=TypeError):
    """f fails on the double, loudly, where NumPy may well do it."""
    with pytest.raises(kinds):
        f(*on_device(*arrays)) if len(arrays) > 1 else f(on_device(*arrays))


def test_trap_dot_and_instead():
    x = X[0]
    refused(grad(lambda x: np.sum(np.dot(x, x.T))), x)
    same_gradient(lambda x: np.sum((x @ x.T) ** 2), x)


def test_trap_diagonal_and_instead():
    x = X[:, :, :3]
    refused(grad(lambda x: np.sum(np.diagonal(x, axis1=-1, axis2=-2))), x)
    same_gradient(lambda x: np.sum((x * masks.diagonal(3, x._value)) ** 2), x)


def test_trap_gradient_of_sort_and_instead():
    x = X[0, 0]
    refused(grad(lambda x: np.sum(np.sort(x)[1:])), x)
    same_gradient(lambda x: np.sum(x[np.argsort(x._value)][1:] ** 2), x)


def test_trap_gradient_of_take_and_instead():
    for x in (X, on_device(X)):  # autograd has none for NumPy's either
        with pytest.raises(NotImplementedError):
            grad(lambda x: np.sum(np.take(x, 0, axis=1)))(x)
    same_gradient(lambda x: np.sum(x[:, 0] ** 2))


@pytest.mark.parametrize("make", [
    lambda **like: np.zeros((4, 4), **like), lambda **like: np.arange(4, **like), lambda **like: np.tri(4, **like),
])
def test_trap_bare_arrays_and_like(make):
    refused(lambda x: x + make(), X)
    x = on_device(X)
    got = (x[:, :1] + make(like=x)).get()
    onp.testing.assert_array_equal(got, X[:, :1] + make())
    assert transfers == {"to_host": 1}  # the get above
    assert isinstance(make(like=X), onp.ndarray) and isinstance(make(like=None), onp.ndarray)


def test_trap_eye_ones_and_full_have_no_like_and_instead():
    for make in (np.eye, np.ones, lambda n, **like: np.full(n, 2.0, **like)):
        refused(lambda x, make=make: x + make(4), X)
        refused(lambda x, make=make: make(4, like=x), X)  # NumPy passes device=None on, which CuPy does not know
    onp.testing.assert_array_equal(np.ones_like(on_device(X), shape=(4,)).get(), onp.ones(4))
    onp.testing.assert_array_equal(masks.diagonal(4, on_device(X)).get(), onp.eye(4, dtype=bool))


def test_trap_like_a_traced_array():
    for x in (X, on_device(X)):
        with pytest.raises(TypeError, match="like"):
            grad(lambda x: np.sum(x * np.arange(4, like=x)))(x)


def test_trap_numpy_scalar_as_exponent_and_instead():
    refused(grad(lambda x: np.sum(x ** onp.float64(2))), X)
    same_gradient(lambda x: np.sum(x**2))


def test_trap_reshape_order_none():
    refused(lambda x: np.reshape(x, (6, 4), order=None), X)
    assert np.reshape(X, (6, 4), order=None).shape == (6, 4)


@pytest.mark.parametrize("index", [[1, 0, 1], onp.array([1, 0, 1])], ids=["list", "host array"])
def test_trap_list_and_host_indices_cross_the_bus_each_time(index):
    got = grad(lambda x: np.sum(x[index] ** 2))(on_device(X))
    assert transfers["to_device"] == 2  # forward and back
    onp.testing.assert_allclose(got.get(), grad(lambda x: np.sum(x[index] ** 2))(X))


def test_trap_add_at():
    refused(lambda x: onp.add.at(x, (slice(None), 0), 1.0), X)
    x = on_device(X)
    fake_cupy.cupy.add.at(x, (slice(None), 0), 1.0)
    onp.testing.assert_array_equal(x.get()[:, 0], X[:, 0] + 1)


def test_trap_ids_out_of_range():
    """CuPy would read some other row without a word; the double says so, which is why models run on it first."""
    refused(lambda table, ids: table[ids], X[0], onp.array([1, 3]), kinds=IndexError)
    refused(grad(lambda table: np.sum(table[to_device(onp.array([3]), DEVICE)])), X[0], kinds=IndexError)


def test_trap_a_host_array_beside_a_device_array():
    host = onp.ones(4)
    for f in (lambda x: x + host, lambda x: host * x, lambda x: x @ host, lambda x: np.where(host > 0, x, 0.0),
              lambda x: np.concatenate([x, onp.ones_like(X)]), onp.asarray, lambda x: np.searchsorted(host, x)):
        refused(f, X, kinds=(TypeError, NotImplementedError))


def test_trap_questions_make_the_host_wait():
    x = on_device(X)
    for wait in (lambda: bool(np.all(x > 0)), lambda: float(np.sum(x)), lambda: np.flatnonzero(x), lambda: x[x > 0]):
        before = transfers["to_host"]
        wait()
        assert transfers["to_host"] == before + 1
