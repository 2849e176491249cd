"""Losses that several papers share, written on logits so that nothing saturates."""
import autograd.numpy as np

from mbref.errors import require
from mbref.nn import in_parts
from mbref.nn.layers import stop_gradient
from mbref.nn.shards import whole


def softplus(x):
    """log(1 + e^x) without overflow."""
    return np.logaddexp(0, x)


def sigmoid_cross_entropy(logits, labels):
    """-log sigmoid(z) where the label is True, -log(1 - sigmoid(z)) elsewhere.  [...] -> [...]."""
    return softplus(np.where(labels, -1, 1).astype(logits.dtype) * logits)


def log_softmax(logits):
    """Over the last axis.  [..., C] -> [..., C]."""
    shifted = logits - np.max(stop_gradient(logits), axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def cross_entropy(logits, labels):
    """-log softmax(logits)[label].  logits [..., C]; labels [...] in 0..C-1 -> [...]."""
    picked = labels[..., None] == np.arange(logits.shape[-1], like=labels)  # [..., C]
    return -np.sum(log_softmax(logits) * picked, axis=-1)


def sum_of_losses(p, q, labels, known):
    """Sum of the cross entropies of `dense(p, q)` among the `known` [N] of N classes.  -> scalar.

    q [R, D], labels [R]. A class that is not known must not be a label.
    """
    return in_parts.sum_of_losses(q, p["w"], p["b"], labels, known)


def masked_mean(values, mask):
    """Mean of values [...] where mask is True; 0 if it is True nowhere."""
    count = np.maximum(whole(np.sum(mask)), 1).astype(values.dtype)  # an integer would make float64
    return np.sum(values * mask) / count


def target_weights(behaviours, target):
    """w_b of K behaviours: .1 each, the target what is left of 1.  -> tuple of K numbers.

    Raises InputError where nothing is left.
    """
    require(behaviours <= 10, f"{behaviours} behaviours, .1 of the loss for each but the target, "
                              "leave nothing for it: give all weights by --set weights=0.1,0.1,...")
    weights = [0.1] * (behaviours - 1)
    weights.insert(target - 1, 1 - sum(weights))
    return tuple(weights)


def weight_of(label, weights, dtype):
    """The weight of every label 0..K-1, one of `weights`.  label [...] -> [...]."""
    return sum(dtype.type(w) * (label == b) for b, w in enumerate(weights))
