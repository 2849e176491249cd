"""Scaled dot-product attention with boolean masks (Vaswani et al. 2017, eq. 1).

Glossary of shapes: B batch, H heads, L queries, S keys, D width.
"""
import autograd.numpy as np

from mbref.nn.layers import ignore, stop_gradient
from mbref.nn.vjps import masked_softmax


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


def attention(q, k, v, allowed, heads=1, drop=lambda weights: weights, tap=ignore, name="weights",
              scaled=True):
    """softmax(q k^T / sqrt(D/H)) v over the allowed keys.  q [B, L, D]; k, v [B, S, D] -> as q.

    allowed [B, L, S], or None for all. scaled=False leaves out the root. `drop` is applied to the
    weights; `tap` receives them [B, H, L, S] under `name` before that.
    """
    q, k, v = (split_heads(x, heads) for x in (q, k, v))  # [B, H, L, D/H]
    scores = q @ np.swapaxes(k, -1, -2)  # [B, H, L, S]
    scores = scores / q.shape[-1] ** 0.5 if scaled else scores
    weights = softmax(scores) if allowed is None else masked_softmax(scores, allowed[:, None])
    tap(name, weights)
    return merge_heads(drop(weights) @ v)
