"""Hand-derived gradients against the plain forms, differentiated by autograd, and against central differences."""
import copy

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from autograd.test_util import check_grads

from mbref.baselines import bilstm
from mbref.nn import in_parts, lookup, vjps
from mbref.nn.attention import attention_in_parts
from mbref.nn.vjps import with_gradient


def normal(*shapes):
    """One array a shape, float64."""
    rng = onp.random.default_rng(sum(map(sum, shapes)))
    return [rng.normal(size=shape) for shape in shapes]


def of_scan(rows, length, width, real):
    """Arguments of bilstm.scan; row b has real[b] events, forwards followed by padding, backwards preceded by it."""
    events = onp.arange(length)[:, None] < onp.array(real, int)  # [L, B]
    keep = onp.stack([events, events[::-1]])[..., None].astype(float)
    return [*normal((2, length, rows, 4 * width), (2, width, 4 * width)), keep]


ALLOWED = onp.tril(onp.ones((2, 3, 4), bool), -1)  # nothing in the first row
IDS = onp.array([[1, 0, 4], [4, 4, 2]])
KEEP = onp.random.default_rng(0).integers(0, 2, (2, 2, 3, 4)) * 1.25
KIND = onp.array([[-1, 2, 0, 2], [0, 0, -1, 2]])  # none is 1
KNOWN = onp.array([True, False, True, True, True])
GAPS = onp.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])[:, None, None] * onp.ones((2, 1, 2, 1))  # [2, L, B, 1]; one and two
CASES = {  # name: (function, arguments, how many of them are differentiated: the others are constants)
    "layer norm": (vjps.layer_norm, [*normal((2, 3, 4), (4,), (4,)), 1e-3], 3),
    "layer norm of one row": (vjps.layer_norm, [*normal((5,), (5,), (5,)), 1e-8], 3),
    "layer norm of no row": (vjps.layer_norm, [*normal((0, 3, 5), (5,), (5,)), 1e-8], 3),
    "layer norm with gamma of 0": (vjps.layer_norm, [*normal((2, 3, 4)), onp.zeros(4), onp.ones(4), 1e-3], 3),
    "softmax": (vjps.masked_softmax, [*normal((2, 3, 4)), ALLOWED], 1),
    "softmax over heads": (vjps.masked_softmax, [*normal((2, 5, 3, 4)), ALLOWED[:, None]], 1),
    "softmax of one row": (vjps.masked_softmax, [*normal((4,)), onp.array([True, False, True, True])], 1),
    "softmax of large scores": (vjps.masked_softmax, [normal((2, 3, 4))[0] * 300, ALLOWED], 1),
    "softmax of nothing": (vjps.masked_softmax, [*normal((3, 4)), onp.zeros((3, 4), bool)], 1),
    "softmax of no row": (vjps.masked_softmax, [*normal((0, 3, 4)), ALLOWED[:1]], 1),
    "linear": (vjps.linear, normal((2, 3, 4), (4, 5), (5,)), 3),
    "linear without bias": (vjps.linear, [*normal((2, 3, 4), (4, 5)), 0], 2),
    "linear of one row": (vjps.linear, normal((4,), (4, 5), (5,)), 3),
    "linear of no row": (vjps.linear, normal((0, 3, 4), (4, 5), (5,)), 3),
    "linear, relu": (vjps.linear_relu, normal((2, 3, 4), (4, 5), (5,)), 3),
    "lookup of a small table": (lookup.lookup, [*normal((5, 3)), IDS], 1),
    "lookup": (lookup.lookup, [*normal((70, 3)), IDS * 13], 1),
    "lookup of nothing": (lookup.lookup, [*normal((70, 3)), IDS * 0], 1),
    "pick of a small table": (lookup.pick, [*normal((5, 3)), IDS], 1),
    "pick": (lookup.pick, [*normal((70, 3)), IDS * 13], 1),
    "attention": (attention_in_parts, [*normal((2, 3, 4), (2, 4, 4), (2, 4, 4)), ALLOWED, 2, 2**0.5, None], 3),
    "attention to all": (attention_in_parts, [*normal((2, 3, 4), (2, 5, 4), (2, 5, 4)), None, 1, 1.0, None], 3),
    "attention with dropout": (attention_in_parts, [*normal((2, 3, 4), (2, 4, 4), (2, 4, 4)), ALLOWED, 2, 1.0, KEEP], 3),
    "alignment": (in_parts.align, normal((3, 4, 2), (3, 4, 2), (2, 2), (3, 4, 2)), 4),
    "dense by kind": (in_parts.dense_by_kind, [*normal((2, 4, 3), (3, 3, 5), (3, 5)), KIND], 3),
    "losses": (in_parts.sum_of_losses, [*normal((3, 2), (2, 5), (5,)), onp.array([3, 0, 3]), KNOWN], 3),
    "scan": (bilstm.scan, of_scan(3, 4, 2, [4, 4, 4]), 2),
    "scan with padding": (bilstm.scan, of_scan(3, 5, 2, [5, 0, 2]), 2),
    "scan with padding between events": (bilstm.scan, [*of_scan(2, 6, 2, [6, 6])[:2], GAPS], 2),
    "scan of one event": (bilstm.scan, of_scan(1, 1, 3, [1]), 2),
    "scan of no row": (bilstm.scan, of_scan(0, 4, 2, []), 2),
}
every = pytest.mark.parametrize("f, arguments, count", CASES.values(), ids=CASES)


def gradients(f, arguments, count):
    """Of the sum of f times fixed random numbers, by the first `count` arguments, one after the other.

    By all at once, autograd would sum them in arrays of the arguments' types and hide a gradient of another type.
    """
    weights = normal(f(*arguments).shape)[0].astype(arguments[0].dtype)
    return [grad(lambda *x: np.sum(f(*x) * weights), i)(*arguments) for i in range(count)]


def worst(got, want):
    """Largest error relative to the largest absolute value of `want`."""
    return onp.max(onp.abs(got - want), initial=0) / onp.max(onp.abs(want), initial=1e-30)


@every
def test_equals_its_plain_form(f, arguments, count):
    assert worst(f(*arguments), f.plain(*arguments)) < 1e-13
    for got, want in zip(gradients(f, arguments, count), gradients(f.plain, arguments, count), strict=True):
        assert got.shape == want.shape and worst(got, want) < 1e-10


@every
def test_float32_stays_float32_and_is_no_farther_from_float64_than_the_plain_form(f, arguments, count):
    wanted = gradients(f, arguments, count)
    arguments = [a.astype(onp.float32) if onp.ndim(a) and a.dtype == float else a for a in arguments]
    assert f(*arguments).dtype == onp.float32
    both = gradients(f, arguments, count), gradients(f.plain, arguments, count)
    for got, plain, want in zip(*both, wanted, strict=True):
        assert got.dtype == onp.float32 and worst(got, want) <= max(2e-6, worst(plain, want))


@every
def test_all_arguments_together(f, arguments, count):
    got = grad(lambda x: np.sum(f(*x, *arguments[count:]) ** 2))(arguments[:count])
    want = grad(lambda x: np.sum(f.plain(*x, *arguments[count:]) ** 2))(arguments[:count])
    for a, b in zip(got, want, strict=True):
        assert worst(a, b) < 1e-10


@every
def test_first_and_second_derivatives_against_central_differences(f, arguments, count):
    check_grads(lambda *x: f(*x, *arguments[count:]), modes=["rev"])(*arguments[:count])


@every
def test_nothing_is_written_to(f, arguments, count):
    before = copy.deepcopy(arguments)
    out = f(*arguments)
    kept, f_again = out.copy(), gradients(f, arguments, count)
    for a, b in zip([out, *arguments, *gradients(f, arguments, count)], [kept, *before, *f_again], strict=True):
        onp.testing.assert_array_equal(a, b)


def test_a_wrong_gradient_is_the_one_that_is_used():
    """The backward form replaces autograd's, and the plain form does not know of it."""
    twice, x = with_gradient(lambda x: 2 * x)(lambda x: (2 * x, lambda g: (7 * g,))), onp.array(3.0)
    assert twice(x) == 6.0 and grad(twice)(x) == 7.0 and grad(twice.plain)(x) == 2.0
    with vjps.plain():
        assert grad(twice)(x) == 2.0
    assert grad(twice)(x) == 7.0


@pytest.mark.parametrize("name", ["attention", "attention to all", "attention with dropout", "alignment", "losses"])
def test_many_parts_are_the_whole(name, monkeypatch):
    monkeypatch.setattr(in_parts, "CACHE", 1)
    monkeypatch.setattr(in_parts, "LOGITS", 2)
    test_equals_its_plain_form(*CASES[name])


def test_parts_by_hand(monkeypatch):
    monkeypatch.setattr(in_parts, "CACHE", 6)
    assert in_parts.parts_of(5, 3) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert in_parts.parts_of(2, 7) == [slice(0, 1), slice(1, 2)]
    assert in_parts.parts_of(4, 0) == [slice(0, 6)] and in_parts.parts_of(0, 1) == []
