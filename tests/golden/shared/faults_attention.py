"""Faults of attention and losses that several papers share.  {component: {fault: function}}."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.components import attention as right, losses
from mbref.nn import attention as att
from mbref.nn.layers import relu, stop_gradient
from mbref.nn.vjps import masked_softmax
from tests.golden.fault import feed, plant


def exponents(scores, axis=-1):
    return np.exp(scores - np.max(getval(scores), axis=axis, keepdims=True))


def share(e, axis=-1):
    return e / np.sum(e, axis=axis, keepdims=True)


def mask_after(scores, allowed):
    return share(exponents(scores)) * allowed


def minus_infinity(scores, allowed):
    return share(exponents(np.where(allowed, scores, -np.inf)))


def equal_where_empty(scores, allowed):
    return share(exponents(np.where(allowed, scores, -1e9)))


def zero_scores(scores, allowed):
    return share(exponents(scores * allowed))


def over_queries(scores, allowed):
    e = exponents(np.where(allowed, scores, -1e9), -2) * allowed
    return e / (np.sum(e, axis=-2, keepdims=True) + 1e-30)


def no_shift(scores, allowed):
    e = np.exp(scores) * allowed
    total = np.sum(e, axis=-1, keepdims=True)
    return e / (total + (total == 0))


SOFTMAX = {
    "mask after the softmax": mask_after,
    "-inf on a row where nothing is allowed": minus_infinity,
    "a row where nothing is allowed gets equal weights": equal_where_empty,
    "masked scores set to 0 instead of -inf": zero_scores,
    "softmax over the queries": over_queries,
    "softmax without the shift by the largest score": no_shift,
    "mask the wrong way round": lambda scores, allowed: masked_softmax(scores, ~allowed),
    "no gradient through the attention weights": lambda scores, allowed: masked_softmax(
        stop_gradient(scores), allowed),
}


def rescale(divisor):
    """Attention whose scores are divided by divisor(D, H) once more, where there is a scale."""
    return feed(right.attention, lambda i: {
        "q": i["q"] / (divisor(i["q"].shape[-1], i["heads"]) if i["scaled"] else 1)})


def split_flat(x, heads):
    return np.reshape(x, (x.shape[0], heads, x.shape[1], -1))


def split_interleaved(x, heads):
    return np.transpose(np.reshape(x, x.shape[:2] + (-1, heads)), (0, 3, 1, 2))


def merge_flat(x):
    return np.reshape(x, (x.shape[0], x.shape[2], -1))


ATTENTION = {
    "attention.masked_softmax": {name: lambda p, i, tap, f=f: {
        "weights": f(i["scores"], i["allowed"])} for name, f in SOFTMAX.items()},
    "attention.attention": {
        "attention scores divided by D/H instead of its root": rescale(
            lambda d, heads: (d / heads) ** 0.5),
        "attention scores divided by the root of the whole width": rescale(
            lambda d, heads: heads**0.5),
        "attention scores not divided by the root": feed(
            right.attention, lambda i: {"scaled": False}),
        "attention scores always divided by the root": feed(
            right.attention, lambda i: {"scaled": True}),
        "heads split without a transpose": plant(right.attention, att, split_heads=split_flat),
        "heads interleaved in the width": plant(
            right.attention, att, split_heads=split_interleaved),
        "heads merged without a transpose": plant(right.attention, att, merge_heads=merge_flat),
        "mask of keys and queries swapped": feed(right.attention, lambda i: {
            "allowed": np.swapaxes(i["allowed"], 1, 2)}),
        "keys and values swapped": feed(right.attention, lambda i: {"k": i["v"], "v": i["k"]}),
        **{name: plant(right.attention, att, masked_softmax=f)
           for name, f in SOFTMAX.items() if f is not no_shift},
    },
}


# Losses.

def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def through_probabilities(more):
    """-log(p + more) of a probability that saturates."""
    return lambda p, i, tap: {
        "loss": -np.log(sigmoid(np.where(i["labels"], 1, -1) * i["logits"]) + more)}


def one_hot(inputs):
    return inputs["labels"][..., None] == np.arange(inputs["logits"].shape[-1])


def cross_entropy_without_shift(params, inputs, tap):
    z = inputs["logits"]
    return {"loss": np.log(np.sum(np.exp(z), axis=-1)) - np.sum(z * one_hot(inputs), axis=-1)}


def log_softmax(z, axis=-1, still=lambda a: a):
    shifted = z - np.max(getval(z), axis=axis, keepdims=True)
    return {"logp": shifted - still(np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))}


def mean_of_rows(params, inputs, tap):
    values, mask = inputs["values"], inputs["mask"]
    return {"mean": np.sum(np.sum(values * mask, 1) / np.maximum(np.sum(mask, 1), 1)) / len(values)}


LOSSES = {
    "losses.softplus": {
        "softplus that overflows": lambda p, i, tap: {"y": np.log(1 + np.exp(i["x"]))},
        "softplus with the exponent capped": lambda p, i, tap: {
            "y": np.log1p(np.exp(np.minimum(i["x"], 80)))},
        "softplus without log1p": lambda p, i, tap: {
            "y": relu(i["x"]) + np.log(1 + np.exp(-np.abs(i["x"])))},
        "softplus of the negative": feed(losses.softplus, lambda i: {"x": -i["x"]}),
        "ReLU instead of softplus": lambda p, i, tap: {"y": relu(i["x"])},
        "softplus to the base 2": lambda p, i, tap: {"y": np.logaddexp(0, i["x"]) / np.log(2)},
    },
    "losses.log_softmax": {
        "log of a softmax that underflows": lambda p, i, tap: {
            "logp": np.log(share(exponents(i["logits"])))},
        "log of a softmax plus 1e-8": lambda p, i, tap: {
            "logp": np.log(share(exponents(i["logits"])) + 1e-8)},
        "log softmax without the shift by the largest logit": lambda p, i, tap: {
            "logp": i["logits"] - np.log(np.sum(np.exp(i["logits"]), axis=-1, keepdims=True))},
        "log softmax over the events": lambda p, i, tap: log_softmax(i["logits"], axis=1),
        "softmax without the log": lambda p, i, tap: {"logp": share(exponents(i["logits"]))},
        "largest logit taken off and the sum forgotten": lambda p, i, tap: {
            "logp": i["logits"] - np.max(getval(i["logits"]), axis=-1, keepdims=True)},
        "no gradient through the sum of exponents": lambda p, i, tap: log_softmax(
            i["logits"], still=stop_gradient),
    },
    "losses.sigmoid_cross_entropy": {
        "labels the wrong way round": feed(
            losses.sigmoid_cross_entropy, lambda i: {"labels": ~i["labels"]}),
        "sigmoid applied twice": feed(losses.sigmoid_cross_entropy,
                                      lambda i: {"logits": sigmoid(i["logits"])}),
        "log of a sigmoid that saturates": through_probabilities(0),
        "log of a sigmoid plus 1e-8": through_probabilities(1e-8),
        "only the positive's term": lambda p, i, tap: {
            "loss": i["labels"] * np.logaddexp(0, -i["logits"])},
    },
    "losses.cross_entropy": {
        "classes counted from 1": feed(losses.cross_entropy, lambda i: {"labels": i["labels"] - 1}),
        "softmax applied twice": feed(losses.cross_entropy,
                                      lambda i: {"logits": share(exponents(i["logits"]))}),
        "softmax of the loss without the shift by the largest logit": cross_entropy_without_shift,
        "softmax of the loss over the events": lambda p, i, tap: {
            "loss": -np.sum(np.log(share(exponents(i["logits"], 1), 1)) * one_hot(i), axis=-1)},
    },
    "losses.masked_mean": {
        "mean over padding too": lambda p, i, tap: {
            "mean": np.sum(i["values"] * i["mask"]) / i["mask"].size},
        "padding's values in the sum": lambda p, i, tap: {
            "mean": np.sum(i["values"]) / max(np.sum(i["mask"]), 1)},
        "0 / 0 where there is nothing": lambda p, i, tap: {
            "mean": np.sum(i["values"] * i["mask"]) / np.sum(i["mask"])},
        "mean of the rows' means": mean_of_rows,
    },
}

FAULTS = {**ATTENTION, **LOSSES}

# The text around the faults, without any: it must be right.
RIGHT = {
    "attention.attention": [rescale(lambda d, heads: 1)],
    "losses.log_softmax": [lambda p, i, tap: log_softmax(i["logits"])],
}
