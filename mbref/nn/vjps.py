"""Hand-derived gradients of the few functions in which training spends its time.

A decorated function f is one step to autograd, with the gradient written here; `f.plain` is the
same text, which autograd differentiates operation by operation. tests/nn/test_vjps.py ties the two
together. The gradients are written in autograd.numpy themselves, so second derivatives follow from
them.

Letters: g is the gradient of the loss by the output of f, and dx that by its input x.
"""
import autograd.numpy as np
from autograd.extend import defvjp_argnums, primitive
from autograd.tracer import getval


def with_gradient(backward):
    """Decorator: autograd differentiates f(*arrays) by `backward` and no longer looks into it.

    backward(g, out, *arrays) returns the gradients of all arrays, in order, None for those that are
    constants. It must not change `g`, `out` or the arrays, which autograd may still need.
    """
    def decorate(f):
        def of_arguments(argnums, out, args, kwargs):
            def gradients(g):
                every = backward(g, out, *args, **kwargs)
                return [every[i] for i in argnums]
            return gradients

        fast = primitive(f)
        fast.plain = f
        defvjp_argnums(fast, of_arguments)
        return fast
    return decorate


def sigmoid(x):
    """1 / (1 + e^-x) without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def row_dot(a, b):
    """Sum of a b over the last axis.  [..., D] twice -> [..., 1]."""
    return np.einsum("...d,...d->...", a, b)[..., None]  # in a third of the time of np.sum(a * b)


def layer_norm_backward(g, out, x, gamma, beta, eps):
    """With s = sqrt(var + eps), n = (x - mean) / s, dn = gamma g and means over the last axis:

    dx = (dn - mean(dn) - n mean(n dn)) / s: x moved along 1 or along n changes only mean or s, not
    n. dgamma = n g and dbeta = g, summed over all rows.
    """
    d, rows = x.shape[-1], tuple(range(x.ndim - 1))
    centred = x - np.sum(x, axis=-1, keepdims=True) / d
    s = np.sqrt(row_dot(centred, centred) / d + eps)  # [..., 1]
    n, dn = centred / s, gamma * g
    dx = (dn - np.sum(dn, axis=-1, keepdims=True) / d - n * (row_dot(n, dn) / d)) / s
    return dx, np.sum(n * g, axis=rows), np.sum(g, axis=rows), None


@with_gradient(layer_norm_backward)
def layer_norm(x, gamma, beta, eps):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis (Ba et al. 2016).  -> as x."""
    d = x.shape[-1]
    centred = x - np.sum(x, axis=-1, keepdims=True) / d
    variance = np.sum(centred**2, axis=-1, keepdims=True) / d  # [..., 1]
    return gamma * centred / np.sqrt(variance + eps) + beta


def masked_softmax_backward(g, weights, scores, allowed):
    """ds = w (g - sum of w g), since dw_i / ds_j = w_i ([i = j] - w_j).

    Where nothing is allowed, w is 0 and so is ds.
    """
    return weights * (g - row_dot(weights, g)), None


@with_gradient(masked_softmax_backward)
def masked_softmax(scores, allowed):
    """Softmax over the last axis among the allowed entries; 0, never NaN, where there are none.

    scores [..., S]; allowed boolean, broadcast to scores.
    """
    scores = scores + (~allowed * scores.dtype.type(-1e9))
    e = np.exp(scores - np.max(getval(scores), axis=-1, keepdims=True)) * allowed
    total = np.sum(e, axis=-1, keepdims=True)  # [..., 1]
    return e / (total + (total == 0))


def cell_again(gates, c):
    """A step of baselines/bilstm.py's `cell`.  -> c', all that its gradient needs."""
    i, j, f, o = np.split(gates, 4, axis=-1)
    i, j, f, o = sigmoid(i), np.tanh(j), sigmoid(f + 1), sigmoid(o)
    new = f * c + i * j
    return new, (i, j, f, o, c, np.tanh(new))


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
    return np.concatenate([di, dj, df, do], axis=-1), dc * f


def scan_backward(g, out, drive, u, keep):
    """Backpropagation through time (Werbos 1990) of baselines/bilstm.py's `scan`.

    `out` are its states h. As gates_t = drive_t + h_(t-1) u: dh_(t-1) = dgates_t u^T, and du = sum
    of h_(t-1)^T dgates_t over the steps; at padding dh and dc pass a step unchanged. Autograd has
    kept only arguments and result, so all steps are taken again.
    """
    h = np.concatenate([np.zeros_like(out[:, :1]), out[:, :-1]], axis=1)  # [2, L, B, D]
    c = dh = dc = np.zeros_like(h[:, 0])  # [2, B, D]
    steps, dgates = [], []
    for t in range(drive.shape[1]):
        new, known = cell_again(drive[:, t] + h[:, t] @ u, c)
        c = keep[:, t] * new + (1 - keep[:, t]) * c
        steps.append(known)
    for t in reversed(range(drive.shape[1])):
        dh = dh + g[:, t]
        by_gates, by_c = cell_backward(keep[:, t] * dh, keep[:, t] * dc, steps[t])
        dh = by_gates @ np.swapaxes(u, 1, 2) + (1 - keep[:, t]) * dh
        dc = by_c + (1 - keep[:, t]) * dc
        dgates.insert(0, by_gates)
    dgates = np.stack(dgates, axis=1)  # [2, L, B, 4D]
    h, flat = (np.reshape(x, (2, -1, x.shape[-1])) for x in (h, dgates))  # all steps in one product
    return dgates, np.swapaxes(h, 1, 2) @ flat, None
