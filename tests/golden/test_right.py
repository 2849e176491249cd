"""Right implementations in other forms pass, in both types: other orders of sums and products, masks that are finite,
attention in pieces, losses by other identities."""
import autograd.numpy as np
import pytest

from mbref.check import casefile, compare, run
from mbref.check.components import atrank, attention, dmran, hiersrec, hmar
from mbref.nn import attention as att
from mbref.nn.layers import relu
from mbref.papers import dmran as dmran_paper, hiersrec as hiersrec_paper, hmar as hmar_paper
from mbref.variants import atrank as atrank_variant, dmran as dmran_variant
from tests.golden import kill_matrix as matrix
from tests.golden.fault import Fault, plant


def by_logsumexp(scores, allowed):
    """exp of a log-softmax, the largest score taken off first, masked by a finite number."""
    s = np.where(allowed, scores, np.asarray(-1e30, scores.dtype))
    top = np.max(s, axis=-1, keepdims=True)
    return np.exp(s - top - np.log(np.sum(np.exp(s - top), axis=-1, keepdims=True))) * np.any(
        allowed, axis=-1, keepdims=True)


def in_pieces(scores, allowed, size=3):
    """Keys three by three; what came before is scaled to each new largest score."""
    least = np.asarray(-1e30, scores.dtype)
    s = np.where(allowed, scores, least)
    top, total, parts = least * np.ones_like(s[..., :1]), 0 * s[..., :1], []
    for start in range(0, s.shape[-1], size):
        piece = s[..., start:start + size]
        new = np.maximum(top, np.max(piece, axis=-1, keepdims=True))
        parts = [part * np.exp(top - new) for part in parts] + [np.exp(piece - new)]
        total, top = total * np.exp(top - new) + np.sum(parts[-1], axis=-1, keepdims=True), new
    weights = np.concatenate(parts, axis=-1) * allowed
    return weights / np.where(np.any(allowed, axis=-1, keepdims=True), total, 1)


def by_einsum(p, x):
    return np.einsum("...i,ij->...j", x, p["w"]) + p["b"]


def by_rsqrt(p, x, eps=1e-8):
    """The mean by a product with ones over D, the square root of what is inverted."""
    ones = np.ones((x.shape[-1], 1), x.dtype) / np.asarray(x.shape[-1], x.dtype)
    centred = x - x @ ones
    return centred * (centred**2 @ ones + np.asarray(eps, x.dtype)) ** -0.5 * p["gamma"] + p["beta"]


def by_logaddexp(x):
    return np.logaddexp(np.asarray(0, x.dtype), x)


def entropy(logits, labels):
    """max(z, 0) - z y + log(1 + exp(-|z|)), as TensorFlow has it."""
    return relu(logits) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def by_trace(A):
    """||A A^T||^2 - 2 tr A A^T + r."""
    gram = A @ np.swapaxes(A, 1, 2)
    return np.sum(gram**2, axis=(1, 2)) - 2 * np.sum(A**2, axis=(1, 2)) + A.shape[1]


def lerp(params, inputs, tap):
    h, h_hat = inputs["h"], inputs["h_hat"]
    G = 0.5 * (1 + np.tanh(0.5 * (h @ params["W_f1"] + h_hat @ params["W_f2"] + params["b_f"])))
    return {"h_c": h_hat + G * (h - h_hat)}


def scaled_queries(params, inputs, tap):
    root = np.asarray((inputs["q"].shape[-1] / inputs["heads"]) ** (0.5 * inputs["scaled"]), inputs["q"].dtype)
    return attention.attention(params, inputs | {"q": inputs["q"] / root, "scaled": False}, tap)


WITH_ATTENTION = {"attention.attention": (attention.attention, att), "hmar": (hmar.model, att),
                  "atrank": (atrank.model, att), "dmran": (dmran.model, dmran_paper),
                  "dmran.vanilla": (dmran.vanilla, att), "hiersrec.encode": (hiersrec.encode, att)}
WITH_NORM = {"hmar.sequence_encoder": (hmar.sequence_encoder, hmar_paper),
             "atrank": (atrank.model, atrank_variant), "dmran": (dmran.model, dmran_variant),
             "hiersrec": (hiersrec.model, hiersrec_paper)}
VARIANTS = {
    **{f"{component}: softmax by {form.__name__}": (component, plant(*where, masked_softmax=form))
       for component, where in WITH_ATTENTION.items() for form in (by_logsumexp, in_pieces)},
    **{f"{component}: norm by rsqrt": (component, plant(*where, layer_norm=by_rsqrt))
       for component, where in WITH_NORM.items()},
    "layer norm by rsqrt": ("layers.layer_norm", lambda p, i, tap: {"y": by_rsqrt(p, i["x"], i["eps"])}),
    "dense by einsum": ("hmar.sequence_encoder", plant(hmar.sequence_encoder, hmar_paper, dense=by_einsum)),
    "softplus by logaddexp": ("hmar", plant(hmar.model, hmar_paper, softplus=by_logaddexp)),
    "entropy as TensorFlow has it": ("losses.sigmoid_cross_entropy", lambda p, i, tap: {
        "loss": entropy(i["logits"], i["labels"])}),
    "redundancy by the trace": ("dmran.redundancy", lambda p, i, tap: {"penalty": by_trace(i["A"])}),
    "fusion as one step from h^ to h, its gate by tanh": ("dmran.fusion", lerp),
    "queries scaled in place of scores": ("attention.attention", scaled_queries),
    "log softmax by the log of a sum": ("losses.log_softmax", lambda p, i, tap: {
        "logp": i["logits"] - lse(i["logits"])}),
}


def lse(z):
    top = np.max(z, axis=-1, keepdims=True)
    return top + np.log(np.sum(np.exp(z - top), axis=-1, keepdims=True))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", compare.TOLERANCE)
def test_it_passes(name, dtype):
    component, function = VARIANTS[name]
    for case in casefile.cases(f"{component}/"):
        if run.is_for(case, dtype):
            result = matrix.run_fault(Fault(name, component, function), case, dtype)
            assert not result.failures, (case.id, result.note, result.worst)
