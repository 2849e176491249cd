"""Steps done part by part, so that what is between their input and their output stays small.

Hand-derived gradients as in vjps.py, each beside its plain form.
"""
from functools import wraps
from itertools import pairwise

import autograd.numpy as np
import numpy as onp
from autograd.tracer import getval

from mbref.nn.layers import ignore
from mbref.nn.vjps import is_plain, linear, linear_plain, matrix, ones, with_gradient

CACHE = 1 << 17  # numbers that stay in a core's cache together with what is computed from them
LOGITS = 100     # rows of logits of a whole catalogue that exist at a time


def parts_of(rows, width):
    """Slices of `rows` rows with `width` numbers each, as many at a time as fit into the cache."""
    size = max(1, CACHE // max(width, 1))
    return [slice(start, start + size) for start in range(0, rows, size)]


def align_plain(row_i, row_j, w, M):
    """`align` in autograd's operations."""
    F = np.tanh(np.expand_dims(row_i, 2) + np.expand_dims(row_j, 1)) @ w  # [B, i, j, d]
    e = np.exp(F - np.max(getval(F), axis=2, keepdims=True))
    return np.sum(e / np.sum(e, axis=2, keepdims=True) * np.expand_dims(M, 1), axis=2)


@with_gradient(align_plain)
def align(row_i, row_j, w, M):
    """sum_j beta_ij * M_j, beta the softmax over j of tanh(row_i + row_j) w.  [B, r, d] -> same.

    DMRAN's eq. 9-13, of whose [B, r, r, d] no more exists at a time than fits into the cache, but
    for t = tanh and beta. dM_j = sum_i beta_ij g_i; dF = beta (M_j - out_i) g_i, the softmax being
    weighed with g; dt = dF w^T (1 - t^2), and d row_i, d row_j are its sums over j and i.
    """
    parts, kept, out = parts_of(len(M), M[:1].size * M.shape[1]), [], onp.empty_like(M)
    for part in parts:
        t = onp.tanh(row_i[part, :, None] + row_j[part, None])
        beta = onp.reshape(matrix(t) @ w, t.shape)
        beta -= onp.max(beta, axis=2, keepdims=True)
        onp.exp(beta, out=beta)
        beta /= onp.sum(beta, axis=2, keepdims=True)
        onp.einsum("bijd,bjd->bid", beta, M[part], out=out[part])
        kept.append((t, beta))

    def backward(g):
        (di, dj, dM), dw = (onp.empty_like(M) for _ in range(3)), onp.zeros_like(w)
        for part, (t, beta) in zip(parts, kept, strict=True):
            dF = beta * g[part, :, None]
            dM[part] = onp.sum(dF, axis=1)
            dF *= M[part, None] - out[part, :, None]
            dw += matrix(t).T @ matrix(dF)
            dt = onp.reshape(matrix(dF) @ w.T, t.shape)
            dt *= 1 - t * t
            di[part], dj[part] = onp.sum(dt, axis=2), onp.sum(dt, axis=1)
        return di, dj, dw, dM

    return out, backward


def aligned(text):
    """Decorator of papers/dmran.py's feature_attention: `align`, or with a `tap` the text."""
    @wraps(text)
    def attend(params, M, tap=ignore):
        if tap is not ignore or is_plain(M):
            return text(params, M, tap)
        row_i, row_j = linear(M, params["W_s4"].T, params["b_s2"]), linear(M, params["W_s3"].T, 0)
        return align(row_i, row_j, params["W_s5"].T, M)

    attend.plain = text
    return attend


@with_gradient(lambda x, w, b, kind: sum((kind == k)[..., None] * linear_plain(x, w[k], b[k])
                                         for k in range(len(w))))
def dense_by_kind(x, w, b, kind):
    """x_t W_k + b_k, k = kind[t] in 0..K-1; 0 where it is negative.  x [B, L, D], w [K, D, E].

    One product a kind, of all its events, in which a row may differ in the last bit with what other
    rows are there: in training the states of a window depend on later events by rounding, 1e-15 in
    float64; evaluation takes the plain form, in which they do not. Gradients as of `linear`.
    """
    order = onp.argsort(kind.ravel(), kind="stable")
    ends = onp.searchsorted(kind.ravel()[order], onp.arange(len(w) + 1))
    parts, rows = [slice(*pair) for pair in pairwise(ends)], matrix(x)[order]
    out = onp.zeros((len(rows), w.shape[2]), x.dtype)
    for k, part in enumerate(parts):
        out[order[part]] = rows[part] @ w[k] + b[k]

    def backward(g):
        g, (dx, dw, db) = matrix(g)[order], map(onp.zeros_like, (rows, w, b))
        for k, part in enumerate(parts):
            dx[order[part]] = g[part] @ w[k].T
            dw[k] = rows[part].T @ g[part]
            db[k] = ones(g[part], 0) @ g[part]
        return onp.reshape(dx, x.shape), dw, db, None

    return onp.reshape(out, x.shape[:-1] + w.shape[-1:]), backward


def sum_of_losses_plain(q, w, b, label, known):
    """`sum_of_losses` with all logits [R, N] at once."""
    z = linear_plain(q, w, b) + ~known * q.dtype.type(-1e9)
    top = np.max(getval(z), axis=1)
    total = np.log(np.sum(np.exp(z - top[:, None]), axis=1)) + top
    return np.sum(total - z[np.arange(len(label), like=label), label])


@with_gradient(sum_of_losses_plain)
def sum_of_losses(q, w, b, label, known):
    """Sum of -log softmax(q W + b)[label] among the known [N] classes.  q [R, D], label [R].

    With its gradient at once, LOGITS rows at a time: the logits [R, N] never exist whole. By the
    logits it is softmax - [n = label], from which those by q, W and b follow as of `linear`.
    """
    bias = onp.where(known, b, b.dtype.type(-1e9))
    loss, dq, dw, db = 0.0, *map(onp.zeros_like, (q, w, b))
    for start in range(0, len(q), LOGITS):
        part = slice(start, start + LOGITS)
        z = q[part] @ w
        z += bias
        z -= onp.max(z, axis=1, keepdims=True)
        at = onp.arange(len(z)), label[part]
        loss = loss - onp.sum(z[at])
        onp.exp(z, out=z)
        total = z @ ones(z, 1)
        loss = loss + onp.sum(onp.log(total))
        z /= total[:, None]
        z[at] -= 1
        dq[part] = z @ w.T
        dw += q[part].T @ z
        db += ones(z, 0) @ z
    return loss, lambda g: (g * dq, g * dw, g * db, None, None)
