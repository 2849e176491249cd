"""Scaled dot-product attention with boolean masks (Vaswani et al. 2017, eq. 1).

Glossary of shapes: B batch, H heads, L queries, S keys, D width.
"""
from functools import wraps

import autograd.numpy as np
import numpy as onp
from autograd.tracer import isbox

from mbref.nn import masks
from mbref.nn.in_parts import dense_by_kind, parts_of
from mbref.nn.layers import ignore, stop_gradient, unchanged
from mbref.nn.vjps import is_plain, masked_softmax, ones, row_dot, with_gradient


def softmax(scores):
    """Over the last axis.  [..., S] -> [..., S]."""
    return masked_softmax(scores, np.ones_like(stop_gradient(scores), dtype=bool, shape=1))


def split_heads(x, heads):
    """[B, L, D] -> [B, H, L, D/H]: head h is the h-th slice of the width."""
    b, length, d = x.shape
    return np.transpose(np.reshape(x, (b, length, heads, d // heads)), (0, 2, 1, 3))


def merge_heads(x):
    """[B, H, L, D/H] -> [B, L, D]: the inverse of split_heads."""
    b, heads, length, d = x.shape
    return np.reshape(np.transpose(x, (0, 2, 1, 3)), (b, length, heads * d))


def attention(q, k, v, allowed, heads=1, drop=unchanged, tap=ignore, name="weights", scaled=True):
    """softmax(q k^T / sqrt(D/H)) v over the allowed keys.  q [B, L, D]; k, v [B, S, D] -> as q.

    allowed [B, L, S], or None for all, then without `drop`, which is applied to the weights: it
    multiplies them by numbers of its own. scaled=False leaves out the root. `tap` receives the
    weights [B, H, L, S] under `name` before that.
    """
    root = (q.shape[-1] / heads) ** 0.5 if scaled else 1.0
    keep = None
    if drop is not unchanged:
        keep = drop(np.ones_like(stop_gradient(q), shape=(*q.shape[:1], heads, *allowed.shape[1:])))
    if tap is not ignore:
        return attention_plain(q, k, v, allowed, heads, root, keep, tap, name)
    return attention_in_parts(q, k, v, allowed, heads, root, keep)


def attention_plain(q, k, v, allowed, heads, root, keep, tap=ignore, name="weights"):
    """The text of `attention`; keep: by what dropout multiplies the weights, or None."""
    q, k, v = (split_heads(x, heads) for x in (q, k, v))  # [B, H, L, D/H]
    scores = q @ np.swapaxes(k, -1, -2) / root  # [B, H, L, S]
    weights = softmax(scores) if allowed is None else masked_softmax(scores, allowed[:, None])
    tap(name, weights)
    return merge_heads((weights if keep is None else weights * keep) @ v)


def softmax_in_place(x, allowed):
    """Turn scores x [..., S] into their softmax among the allowed ones, 0 where there are none."""
    if allowed is not None:
        x += ~allowed * x.dtype.type(-1e9)
    x -= onp.max(x, axis=-1, keepdims=True)
    onp.exp(x, out=x)
    total = (x @ ones(x, -1))[..., None]
    if allowed is not None:
        onp.copyto(total, onp.inf, where=~onp.any(allowed, axis=-1, keepdims=True))
    x /= total  # in one rounding: a sum of weights that is not 1 shows in ds of values far from 0


@with_gradient(attention_plain)
def attention_in_parts(q, k, v, allowed, heads, root, keep):
    """`attention`, a few rows of the batch at a time, whose weights stay in a core's cache.

    With the weights w, a = keep w and out = a v: dv = a^T g, da = g v^T; ds is w (keep da - sum of
    keep w da), which is g . out, too, but near a weight of 1 that is rounded otherwise than da.
    dq = ds k and dk = ds^T q, over root. (v weighed by e^scores and then divided by their sum would
    save a pass, for one rounding more in out.)
    """
    q, k, v = (onp.ascontiguousarray(split_heads(x, heads)) for x in (q, k, v))  # [B, H, L, D/H]
    q = q / q.dtype.type(root)
    turned_k = onp.ascontiguousarray(k.mT)  # twice as fast in stacked products
    w, out = onp.empty(q.shape[:3] + k.shape[2:3], q.dtype), onp.empty_like(q)  # [B, H, L, S]
    parts = parts_of(len(w), w[:1].size)
    for part in parts:
        onp.matmul(q[part], turned_k[part], out=w[part])
        softmax_in_place(w[part], None if allowed is None else allowed[part, None])
        onp.matmul(w[part] if keep is None else w[part] * keep[part], v[part], out=out[part])

    def backward(g):
        g = onp.ascontiguousarray(split_heads(g, heads))
        dq, dk, dv = map(onp.empty_like, (q, k, v))
        turned_v = onp.ascontiguousarray(v.mT)
        for part in parts:
            a, ds = w[part], g[part] @ turned_v[part]
            if keep is not None:
                a = a * keep[part]
                ds *= keep[part]
            onp.matmul(a.mT, g[part], out=dv[part])
            ds -= row_dot(w[part], ds)
            ds *= w[part]
            onp.matmul(ds, k[part], out=dq[part])
            onp.matmul(ds.mT, q[part], out=dk[part])
        dq /= q.dtype.type(root)
        return *(merge_heads(x) for x in (dq, dk, dv)), None, None, None, None

    return merge_heads(out), backward


def in_one_pass(loop):
    """Decorator of papers/hmar.py's loop over K attentions, its plain form: the same in one.

    Queries, keys and values are made with the weights of each event's own behaviour, and events of
    one behaviour attend to each other. Dropout draws the same numbers as in the loop.
    """
    @wraps(loop)
    def once(p, x, mask, causal, heads, drop, tap=ignore):
        if tap is not ignore or is_plain(x):
            return loop(p, x, mask, causal, heads, drop, tap)
        layer = dense_by_kind if isbox(x) else dense_by_kind.plain
        kind = np.argmax(mask, axis=-1) - ~np.any(mask, axis=-1)  # [B, L]
        of = {name: (p[name]["w"], p[name]["b"], kind) for name in ("q", "k", "v", "f1", "f2")}
        keep, keep_hidden, keep_out = draw_keeps(drop, x, mask, heads, of["f1"][0].shape[-1])
        allowed = causal & masks.same_behaviour(kind + 1)  # [B, L, L]
        root = (x.shape[-1] / heads) ** 0.5
        a = attention_in_parts(*(layer(x, *of[n]) for n in "qkv"), allowed, heads, root, keep)
        hidden = layer(a, *of["f1"])
        y = a + layer(hidden * (hidden > 0) * keep_hidden, *of["f2"]) * keep_out
        return y + np.expand_dims(mask @ p["res"], -1) * x

    once.plain = loop
    return once


def draw_keeps(drop, x, mask, heads, hidden):
    """Dropout's factors of weights, hidden layer and output, drawn behaviour by behaviour."""
    if drop is unchanged:
        return None, 1, 1
    shape, x = x.shape, stop_gradient(x)
    shapes = (shape[0], heads, shape[1], shape[1]), (*shape[:2], hidden), shape
    total = [0, 0, 0]
    for b in range(mask.shape[-1]):
        M = mask[..., b]  # [B, L]
        own = M[:, None, :, None], M[..., None], M[..., None]
        total = [keep + wide * drop(onp.ones_like(x, shape=size))
                 for keep, wide, size in zip(total, own, shapes, strict=True)]
    return total
