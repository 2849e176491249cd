"""Shared layers, attention and losses against torch's own, forward and gradient, in float64; the guards by hand."""
import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad

from mbref.nn import attention, in_parts, layers, losses, masks, vjps
from tests.optional import library

torch = library("torch")
F = library("torch.nn.functional")


def arrays(*shapes, seed=0):
    rng = onp.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def agree(ours, theirs, *inputs, tolerance=1e-12):
    """Same output and, for a random cotangent, the same gradient of every input."""
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    out = theirs(*tensors)
    cotangent = arrays(tuple(out.shape), seed=9)[0]
    onp.testing.assert_allclose(ours(*inputs), out.detach().numpy(), atol=tolerance)
    (out * torch.tensor(cotangent)).sum().backward()
    for i, tensor in enumerate(tensors):
        got = grad(lambda *x: np.sum(ours(*x) * cotangent), i)(*inputs)
        onp.testing.assert_allclose(got, tensor.grad.numpy(), atol=tolerance)


def test_dense():
    inputs = arrays((2, 3, 4), (4, 5), (5,))
    agree(lambda x, w, b: layers.dense({"w": w, "b": b}, x), lambda x, w, b: x @ w + b, *inputs)


def test_layer_norm():
    x, gamma, beta = arrays((2, 3, 6), (6,), (6,))
    agree(lambda x, g, b: layers.layer_norm({"gamma": g, "beta": b}, x),
          lambda x, g, b: F.layer_norm(x, (6,), g, b, eps=1e-8), x, gamma, beta, tolerance=1e-10)
    agree(lambda x, g, b: layers.layer_norm({"gamma": g, "beta": b}, x, eps=1e-3),
          lambda x, g, b: F.layer_norm(x, (6,), g, b, eps=1e-3), x * 1e-2, gamma, beta, tolerance=1e-10)


def test_what_is_drawn_at_first():
    """Bounds and spreads; a mean and a root of n squares are off by about one part in sqrt(n)."""
    rng = onp.random.default_rng(0)
    largest = onp.abs(layers.glorot(rng, 500, 2, 4)).max()
    assert 0.99 < largest <= (6 / (2 + 4)) ** 0.5
    for made, want in (layers.init_small(rng, 100, 200)["w"], 0.01), (layers.init_matrix(rng, 25, 800), 0.2):
        assert abs(made.mean()) < 0.03 * want and abs(made.std() - want) < 0.03 * want


def test_no_dropout_draws_nothing():
    assert layers.dropout(0.0, onp.random.default_rng(0)) is layers.dropout(0.5, None) is layers.unchanged


@pytest.mark.parametrize("align", [in_parts.align, in_parts.align.plain])
def test_alignment_of_large_scores(align):
    """Scores of 2000 and -2000: all weight is on the first."""
    row_i, row_j, M = onp.zeros((1, 2, 1)), onp.array([[[20.0], [-20.0]]]), onp.array([[[3.0], [5.0]]])
    onp.testing.assert_array_equal(align(row_i, row_j, onp.array([[2000.0]]), M), [[[3.0], [3.0]]])


def test_relu_and_lookup():
    agree(layers.relu, torch.relu, *arrays((3, 5)))
    assert grad(layers.relu)(0.0) == 0
    for step in vjps.linear_relu, vjps.linear_relu.plain:
        assert not grad(lambda b, step=step: np.sum(step(onp.zeros((1, 2)), onp.ones((2, 3)), b)))(onp.zeros(3)).any()
    ids = onp.array([[1, 0, 3], [3, 3, 2]])
    table = arrays((4, 2))[0]
    want = torch.nn.Embedding(4, 2, padding_idx=0, dtype=torch.float64)
    want.weight.data = torch.tensor(table * (onp.arange(4) > 0)[:, None])
    want(torch.tensor(ids)).pow(2).sum().backward()
    onp.testing.assert_array_equal(layers.lookup(table, ids), want(torch.tensor(ids)).detach().numpy())
    onp.testing.assert_allclose(grad(lambda t: np.sum(layers.lookup(t, ids) ** 2))(table), want.weight.grad.numpy())


@pytest.mark.parametrize("heads", [1, 2])
def test_attention(heads):
    q, k, v = arrays((2, 5, 4), (2, 5, 4), (2, 5, 4))
    allowed = onp.broadcast_to(masks.causal(5), (2, 5, 5))

    def theirs(q, k, v):
        q, k, v = (x.reshape(2, 5, heads, 4 // heads).transpose(1, 2) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.tensor(allowed.copy())[:, None])
        return mixed.transpose(1, 2).reshape(2, 5, 4)

    agree(lambda *x: attention.attention(*x, allowed, heads), theirs, q, k, v)


def test_attention_equals_torch_multihead_attention():
    x, w, b = arrays((2, 5, 4), (12, 4), (12,))
    module = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    module.out_proj.weight.data = torch.eye(4, dtype=torch.float64)
    causal, padded = masks.causal(5), onp.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 1]], bool)
    allowed = causal & ~padded[:, None]
    taps = {}

    def theirs(x, w, b):
        weights = {"in_proj_weight": w, "in_proj_bias": b}
        return torch.func.functional_call(module, weights, (x, x, x), dict(
            key_padding_mask=torch.tensor(padded), attn_mask=torch.tensor(~causal), average_attn_weights=False))

    def ours(x, w, b):
        q, k, v = (layers.dense({"w": w[i : i + 4].T, "b": b[i : i + 4]}, x) for i in (0, 4, 8))
        return attention.attention(q, k, v, allowed, 2, tap=taps.__setitem__)

    agree(ours, lambda *inputs: theirs(*inputs)[0], x, w, b)
    ours(x, w, b)
    want = theirs(*map(torch.tensor, (x, w, b)))[1]
    onp.testing.assert_allclose(taps["weights"], want.detach().numpy(), atol=1e-12)


def test_masked_softmax_with_rows_of_nothing():
    scores = onp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [800.0, -800.0, 900.0]])
    allowed = onp.array([[True, True, False], [False, False, False], [True, True, False]])
    e = onp.exp(1.0)
    want = [[1 / (1 + e), e / (1 + e), 0], [0, 0, 0], [1, 0, 0]]
    onp.testing.assert_allclose(attention.masked_softmax(scores, allowed), want, atol=1e-15)
    gradient = grad(lambda s: np.sum(attention.masked_softmax(s, allowed) ** 2))(scores)
    assert onp.isfinite(gradient).all() and not gradient[~allowed].any()


def test_heads_are_split_in_slices_of_the_width():
    x = onp.arange(2 * 3 * 4).reshape(2, 3, 4)
    onp.testing.assert_array_equal(attention.split_heads(x, 2)[:, 1], x[:, :, 2:])
    onp.testing.assert_array_equal(attention.merge_heads(attention.split_heads(x, 2)), x)


def test_masks():
    kinds = onp.array([[0, 2, 1, 2]])
    onp.testing.assert_array_equal(masks.padding(kinds), [[False, True, True, True]])
    onp.testing.assert_array_equal(masks.causal(3), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    onp.testing.assert_array_equal(masks.behaviour(kinds, 2)[0].T, [[0, 0, 1, 0], [0, 1, 0, 1]])
    onp.testing.assert_array_equal(masks.same_behaviour(kinds)[0],
                                   [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1]])


def test_losses():
    logits = arrays((2, 3, 5))[0]
    labels = onp.array([[0, 4, 2], [1, 1, 3]])
    agree(losses.softplus, F.softplus, logits * 5)
    agree(losses.log_softmax, lambda x: F.log_softmax(x, -1), logits)
    agree(lambda x: losses.cross_entropy(x, labels),
          lambda x: F.cross_entropy(x.transpose(1, 2), torch.tensor(labels), reduction="none"), logits)


def test_losses_by_hand():
    onp.testing.assert_allclose(losses.softplus(onp.array([-1e4, 0.0, 1e4])), [0, onp.log(2), 1e4])
    assert grad(losses.softplus)(0.0) == 0.5
    assert losses.masked_mean(onp.array([1.0, 2.0, 6.0]), onp.array([True, False, True])) == 3.5
    assert losses.masked_mean(onp.ones(2), onp.zeros(2, bool)) == 0


def test_dropout_keeps_the_mean_and_the_rate():
    x = onp.ones(100_000, onp.float32)
    out = layers.dropout(0.3, onp.random.default_rng(0))(x)
    assert abs((out == 0).mean() - 0.3) < 0.01 and abs(out.mean() - 1) < 0.01 and out.dtype == onp.float32
    assert layers.dropout(0.3, None)(x) is x and layers.dropout(0, onp.random.default_rng(0))(x) is x


def test_glorot_limits():
    w = layers.glorot(onp.random.default_rng(0), 3, 20, 40)
    limit = (6 / 60) ** 0.5  # of the last two axes
    assert w.shape == (3, 20, 40) and 0.99 * limit < abs(w).max() <= limit


@pytest.mark.parametrize("f", [
    lambda x: layers.layer_norm({"gamma": onp.ones(4, "f"), "beta": onp.zeros(4, "f")}, x),
    layers.relu, losses.softplus, losses.log_softmax, lambda x: attention.masked_softmax(x, onp.tri(4, dtype=bool)),
    lambda x: attention.attention(x, x, x, onp.ones((3, 4, 4), bool)),
    lambda x: losses.masked_mean(x, onp.ones((3, 4, 4), bool)) + x,
])
def test_float32_stays_float32_forward_and_backward(f):
    """Autograd turns some gradients into float64; the layers avoid those operations."""
    x = onp.random.default_rng(0).normal(size=(3, 4, 4)).astype(onp.float32)
    seen = []

    def watched(x):
        out = f(x)
        seen.append(out.dtype)
        return np.sum(out)

    assert grad(watched)(x).dtype == onp.float32 and seen == [onp.dtype(onp.float32)]
