"""Hand-derived gradients of the few functions in which training spends its time.

Each is a forward form that keeps what its own backward form needs, one step to autograd; beside it
stands its plain form, which autograd differentiates operation by operation, and the derivation.
Longer ones are in lookup.py and in_parts.py. g is the gradient of the loss by an output, dx by x.
These forms see plain arrays only, so they call NumPy itself, `onp`: autograd's wrapper costs a
microsecond a call, which small arrays feel.
"""
from contextlib import contextmanager
from functools import wraps

import autograd.numpy as np
import numpy as onp
from autograd.core import VJPNode, make_vjp
from autograd.tracer import find_top_boxed_args, getval, isbox, new_box
from autograd.util import subvals

FORMS = {"plain": False}  # what runs everywhere while it is True


@contextmanager
def plain():
    """While it is open, all models run on the plain forms, in every thread."""
    before, FORMS["plain"] = FORMS["plain"], True
    try:
        yield
    finally:
        FORMS["plain"] = before


def is_plain(x):
    """Is the plain form asked for, or needed because x is on a device or traced twice?"""
    return FORMS["plain"] or type(getval(x)) is not np.ndarray


def with_gradient(plain):
    """Decorator of forward(*arrays) -> (out, backward): one step to autograd.

    backward(g) gives the gradients of all arrays, in order, None for constants. It must not change
    g, the arrays or what it keeps. plain(*arrays) is the same in autograd's operations: it runs
    inside `plain()`, for arrays of a device and where a derivative is differentiated again.
    """
    def decorate(forward):
        @wraps(forward)
        def step(*args):
            boxes, trace, kind, _ = find_top_boxed_args(args)
            values = subvals(args, [(i, box._value) for i, box in boxes])
            if is_plain(values[0]) or any(map(isbox, values)) or kind not in (None, VJPNode):
                return plain(*args)
            out, backward = forward(*values)
            return new_box(out, trace, node(plain, backward, boxes, values)) if boxes else out

        step.plain = plain
        return step
    return decorate


def node(plain, backward, boxes, values):
    """What autograd keeps of one step: where its arguments come from, and their gradients."""
    def gradients(g):
        if not isbox(g):
            every = backward(g)
            return [every[i] for i, _ in boxes]
        return [make_vjp(lambda x, i=i: plain(*subvals(values, [(i, x)])), values[i])[0](g)
                for i, _ in boxes]

    made = VJPNode.new_root()
    made.parents, made.vjp = tuple(box._node for _, box in boxes), gradients
    return made


def sigmoid(x):
    """1 / (1 + e^-x) without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def row_dot(a, b):
    """Sum of a b over the last axis.  [..., D] twice -> [..., 1]."""
    return onp.einsum("...d,...d->...", a, b)[..., None]  # in a third of the time of np.sum(a * b)


def ones(x, axis):
    """As many as x has along the axis: a product with them sums in half the time of np.sum."""
    return onp.ones(x.shape[axis], x.dtype)


def matrix(x):
    """All leading axes as one: one large product is faster than B small ones.  -> [n, D]."""
    return np.reshape(x, (-1, x.shape[-1]))


def linear_plain(x, w, b):
    """`linear` in autograd's operations."""
    return np.reshape(matrix(x) @ w, x.shape[:-1] + w.shape[-1:]) + b


def layer(x, w, b, relu):
    """`linear`, or with relu `linear_relu`, and the gradients of the three."""
    rows = matrix(x)
    out = rows @ w
    if onp.ndim(b):
        out += b
    if relu:
        onp.maximum(out, 0, out=out)

    def backward(g):
        g = matrix(g) * (out > 0) if relu else matrix(g)
        return onp.reshape(g @ w.T, x.shape), rows.T @ g, ones(g, 0) @ g if onp.ndim(b) else None

    return onp.reshape(out, x.shape[:-1] + w.shape[-1:]), backward


@with_gradient(linear_plain)
def linear(x, w, b):
    """x W + b over the last axis, b [D'] or 0.  [..., D] -> [..., D'].

    With x and g as matrices dx = g W^T, dW = x^T g and db is the sum of the rows of g.
    """
    return layer(x, w, b, relu=False)


@with_gradient(lambda x, w, b: linear_plain(x, w, b) * (linear_plain(x, w, b) > 0))
def linear_relu(x, w, b):
    """max(x W + b, 0): the gradients of `linear`, of the g where the result is above 0."""
    return layer(x, w, b, relu=True)


def layer_norm_plain(x, gamma, beta, eps):
    """`layer_norm` in autograd's operations."""
    d = x.shape[-1]
    centred = x - np.sum(x, axis=-1, keepdims=True) / d
    variance = np.sum(centred**2, axis=-1, keepdims=True) / d  # [..., 1]
    return gamma * centred / np.sqrt(variance + eps) + beta


@with_gradient(layer_norm_plain)
def layer_norm(x, gamma, beta, eps):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis (Ba et al. 2016).  -> as x.

    With s = sqrt(var + eps), n = (x - mean) / s, dn = gamma g and means over the last axis:
    dx = (dn - mean(dn) - n mean(n dn)) / s: x moved along 1 or along n changes only mean or s, not
    n. dgamma = n g and dbeta = g, summed over all rows.
    """
    rows, d = matrix(x), x.shape[-1]
    n = rows - (rows @ ones(rows, 1) / d)[:, None]
    s = onp.sqrt(row_dot(n, n) / d + x.dtype.type(eps))  # [n, 1]
    n /= s

    def backward(g):
        g = matrix(g)
        ng, dx = n * g, gamma * g
        dx -= (g @ gamma / d)[:, None]
        dx -= n * (ng @ gamma / d)[:, None]
        dx /= s
        return onp.reshape(dx, x.shape), ones(g, 0) @ ng, ones(g, 0) @ g, None

    out = n * gamma
    out += beta
    return onp.reshape(out, x.shape), backward


def masked_softmax_plain(scores, allowed):
    """`masked_softmax` in autograd's operations."""
    scores = scores + (~allowed * scores.dtype.type(-1e9))
    e = np.exp(scores - np.max(getval(scores), axis=-1, keepdims=True)) * allowed
    total = np.sum(e, axis=-1, keepdims=True)  # [..., 1]
    return e / (total + (total == 0))


@with_gradient(masked_softmax_plain)
def masked_softmax(scores, allowed):
    """Softmax over the last axis among the allowed entries; 0, never NaN, where there are none.

    scores [..., S]; allowed boolean, broadcast to scores. ds = w (g - sum of w g), since
    dw_i / ds_j = w_i ([i = j] - w_j). Where nothing is allowed, w is 0 and so is ds.
    """
    weights = masked_softmax_plain(scores, allowed)
    return weights, lambda g: (weights * (g - row_dot(weights, g)), None)


def cell_again(gates, c):
    """A step of baselines/bilstm.py's `cell`.  -> c', all that its gradient needs."""
    i, j, f, o = onp.split(gates, 4, axis=-1)
    i, j, f, o = sigmoid(i), onp.tanh(j), sigmoid(f + 1), sigmoid(o)
    new = f * c + i * j
    return new, (i, j, f, o, c, onp.tanh(new))


def cell_backward(dh, dc, known):
    """Gradient of c' = f c + i j, h' = o tanh c'.  all [2, B, D] -> [di dj df do] [2, B, 4D], dc.

    The slope of a sigmoid s is s (1 - s), that of a tanh t is 1 - t^2. So first
    dc' += dh' o (1 - tanh^2 c'); then di = dc' j i (1 - i), dj = dc' i (1 - j^2),
    df = dc' c f (1 - f), do = dh' tanh c' o (1 - o), and dc = dc' f.
    """
    i, j, f, o, c, tanh_c = known
    dc = dc + dh * o * (1 - tanh_c**2)
    di, dj = dc * j * i * (1 - i), dc * i * (1 - j**2)
    df, do = dc * c * f * (1 - f), dh * tanh_c * o * (1 - o)
    return onp.concatenate([di, dj, df, do], axis=-1), dc * f


def scan(drive, u, keep):
    """baselines/bilstm.py's `scan`, by backpropagation through time (Werbos 1990).

    As gates_t = drive_t + h_(t-1) u: dh_(t-1) = dgates_t u^T, and du = sum of h_(t-1)^T dgates_t
    over the steps; at padding dh and dc pass a step unchanged.
    """
    h = c = onp.zeros_like(drive[:, 0, :, : u.shape[1]])  # [2, B, D]
    steps, states = [], [h]
    for t in range(drive.shape[1]):
        new, known = cell_again(drive[:, t] + h @ u, c)
        c = keep[:, t] * new + (1 - keep[:, t]) * c
        h = keep[:, t] * known[3] * known[5] + (1 - keep[:, t]) * h
        steps.append(known)
        states.append(h)

    def backward(g):
        dh = dc = onp.zeros_like(h)
        dgates = onp.empty_like(drive)
        for t in reversed(range(drive.shape[1])):
            dh = dh + g[:, t]
            dgates[:, t], by_c = cell_backward(keep[:, t] * dh, keep[:, t] * dc, steps[t])
            dh = dgates[:, t] @ u.mT + (1 - keep[:, t]) * dh
            dc = by_c + (1 - keep[:, t]) * dc
        before = onp.stack(states[:-1], axis=1)  # all steps in one product
        before, flat = (onp.reshape(x, (2, -1, x.shape[-1])) for x in (before, dgates))
        return dgates, before.mT @ flat, None

    return onp.stack(states[1:], axis=1), backward
