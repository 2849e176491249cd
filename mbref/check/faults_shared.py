"""Faults of what several papers share: layers, masks, attention, losses.  {component: {fault: function}}."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref import attention as att
from mbref.check.faults import fed, planted
from mbref.check.functions import shared
from mbref.layers import relu, stop_gradient, time_bucket
from mbref.vjps import masked_softmax, with_gradient


# Layers.

def lookup_backward(g, out, table, ids):
    rows = np.zeros_like(table)
    rows[ids] = g * (ids > 0)[..., None]  # "=" where "+=" is meant
    return rows, None


@with_gradient(lookup_backward)
def last_of_repeated(table, ids):
    return table[ids] * (ids > 0)[..., None]


def normed(root=lambda var, eps: np.sqrt(var + eps), axis=-1, less=0, still=lambda a: a):
    """A layer norm: `less` is taken from the divisor of the variance, `still` is applied to mean and variance."""
    def layer_norm(params, inputs, tap):
        x = inputs["x"]
        size = x.size // np.sum(getval(x), axis=axis).size
        centred = x - still(np.sum(x, axis=axis, keepdims=True) / size)
        variance = still(np.sum(centred**2, axis=axis, keepdims=True) / (size - less))
        return {"y": params["gamma"] * centred / root(variance, inputs["eps"]) + params["beta"]}
    return layer_norm


def bucketed(rule):
    """Buckets by another rule: rule(gap + 1 or gap, in which log2 is taken) where there is a gap."""
    def bucket(params, inputs, tap):
        release = inputs["rule"] == "release"
        steps = rule(np.maximum(inputs["gap"] + release, 1)).astype(int)
        return {"bucket": np.minimum(steps, 12) if release else np.where(inputs["gap"] < 1, 0, np.minimum(steps + 1, 13))}
    return bucket


def open_ended(params, inputs, tap):
    release = inputs["rule"] == "release"
    steps = np.floor(np.log2(np.maximum(inputs["gap"] + release, 1))).astype(int)
    return {"bucket": steps if release else np.where(inputs["gap"] < 1, 0, steps + 1)}


LAYERS = {
    "layers.dense": {
        "bias forgotten": lambda p, i, tap: {"y": i["x"] @ p["w"]},
        "weights stored as [out, in] and not transposed": lambda p, i, tap: {"y": i["x"] @ p["w"].T + p["b"]},
        "ReLU after a linear layer": lambda p, i, tap: {"y": relu(i["x"] @ p["w"] + p["b"])},
    },
    "layers.lookup": {
        "embedding of padding read and trained": lambda p, i, tap: {"y": p["table"][i["ids"]]},
        "ids taken from 0": lambda p, i, tap: {"y": p["table"][i["ids"] - 1] * (i["ids"] > 0)[..., None]},
        "gradients of an item's repeats overwritten": lambda p, i, tap: {"y": last_of_repeated(p["table"], i["ids"])},
    },
    "layers.layer_norm": {
        "layer norm eps outside the square root": normed(lambda var, eps: np.sqrt(var) + eps),
        "layer norm eps 1e-5 instead of 1e-8": normed(lambda var, eps: np.sqrt(var + (1e-5 if eps == 1e-8 else eps))),
        "layer norm eps 1e-12 instead of 1e-8": normed(lambda var, eps: np.sqrt(var + (1e-12 if eps == 1e-8 else eps))),
        "layer norm without eps": normed(lambda var, eps: np.sqrt(var)),
        "layer norm with unbiased variance": normed(less=1),
        "layer norm over the events instead of the features": normed(axis=1),
        "layer norm divided by the variance instead of its root": normed(lambda var, eps: var + eps),
        "layer norm whose mean and variance get no gradient": normed(still=stop_gradient),
        "layer norm without gamma and beta": lambda p, i, tap: normed()(
            {"gamma": np.ones_like(p["gamma"]), "beta": np.zeros_like(p["beta"])}, i, tap),
    },
    "atrank.time_bucket": {
        "time bucket rounded instead of floor": bucketed(lambda gap: np.round(np.log2(gap))),
        "time bucket with ceil instead of floor": bucketed(lambda gap: np.ceil(np.log2(gap))),
        "time bucket with the natural logarithm": bucketed(lambda gap: np.floor(np.log(gap))),
        "time bucket of the other rule": lambda p, i, tap: {
            "bucket": time_bucket(i["gap"], "paper" if i["rule"] == "release" else "release")},
        "last time bucket not open": open_ended,
        "time gaps in seconds taken as days": fed(shared.time_bucket, lambda i: {"gap": i["gap"] * 86400}),
    },
}


# Masks.

MASKS = {
    "masks.causal": {
        "causal mask without the event itself": lambda p, i, tap: {
            "mask": np.tri(i["ids"].shape[1], k=-1, dtype=bool)},
        "causal mask of the future": lambda p, i, tap: {"mask": np.tri(i["ids"].shape[1], dtype=bool).T},
        "causal mask that shows the next event": lambda p, i, tap: {"mask": np.tri(i["ids"].shape[1], k=1, dtype=bool)},
    },
    "masks.behaviour": {
        "behaviours counted from 0": lambda p, i, tap: {"mask": i["behaviour"][..., None] == np.arange(i["count"])},
        "padding taken for the first behaviour": fed(shared.behaviour, lambda i: {
            "behaviour": np.maximum(i["behaviour"], 1)}),
    },
    "masks.same_behaviour": {
        "padding matched with padding": lambda p, i, tap: {
            "mask": i["behaviour"][:, :, None] == i["behaviour"][:, None]},
        "behaviours not compared": lambda p, i, tap: {
            "mask": (i["behaviour"][:, :, None] > 0) & (i["behaviour"][:, None] > 0)},
    },
}


# Attention.

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


def zeroed_scores(scores, allowed):
    return share(exponents(scores * allowed))


def over_queries(scores, allowed):
    e = exponents(np.where(allowed, scores, -1e9), -2) * allowed
    return e / (np.sum(e, axis=-2, keepdims=True) + 1e-30)


def unshifted(scores, allowed):
    e = np.exp(scores) * allowed
    total = np.sum(e, axis=-1, keepdims=True)
    return e / (total + (total == 0))


SOFTMAX = {
    "mask after the softmax": mask_after,
    "-inf on a row where nothing is allowed": minus_infinity,
    "a row where nothing is allowed gets equal weights": equal_where_empty,
    "masked scores set to 0 instead of -inf": zeroed_scores,
    "softmax over the queries": over_queries,
    "softmax without the shift by the largest score": unshifted,
    "mask the wrong way round": lambda scores, allowed: masked_softmax(scores, ~allowed),
    "no gradient through the attention weights": lambda scores, allowed: masked_softmax(stop_gradient(scores), allowed),
}


def rescaled(divisor):
    """Attention whose scores are divided by divisor(D, H) once more, where there is a scale."""
    return fed(shared.attention, lambda i: {
        "q": i["q"] / (divisor(i["q"].shape[-1], i["heads"]) if i["scaled"] else 1)})


def split_flat(x, heads):
    return np.reshape(x, (x.shape[0], heads, x.shape[1], -1))


def split_interleaved(x, heads):
    return np.transpose(np.reshape(x, x.shape[:2] + (-1, heads)), (0, 3, 1, 2))


def merge_flat(x):
    return np.reshape(x, (x.shape[0], x.shape[2], -1))


ATTENTION = {
    "attention.masked_softmax": {name: lambda p, i, tap, f=f: {"weights": f(i["scores"], i["allowed"])}
                                 for name, f in SOFTMAX.items()},
    "attention.attention": {
        "attention scores divided by D/H instead of its root": rescaled(lambda d, heads: (d / heads) ** 0.5),
        "attention scores divided by the root of the whole width": rescaled(lambda d, heads: heads**0.5),
        "attention scores not divided by the root": fed(shared.attention, lambda i: {"scaled": False}),
        "attention scores always divided by the root": fed(shared.attention, lambda i: {"scaled": True}),
        "heads split without a transpose": planted(shared.attention, att, split_heads=split_flat),
        "heads interleaved in the width": planted(shared.attention, att, split_heads=split_interleaved),
        "heads merged without a transpose": planted(shared.attention, att, merge_heads=merge_flat),
        "mask of keys and queries swapped": fed(shared.attention, lambda i: {
            "allowed": np.swapaxes(i["allowed"], 1, 2)}),
        "keys and values swapped": fed(shared.attention, lambda i: {"k": i["v"], "v": i["k"]}),
        **{name: planted(shared.attention, att, masked_softmax=f) for name, f in SOFTMAX.items()},
    },
}


# Losses.

def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def through_probabilities(more):
    """-log(p + more) of a probability that saturates."""
    return lambda p, i, tap: {"loss": -np.log(sigmoid(np.where(i["labels"], 1, -1) * i["logits"]) + more)}


def picked(inputs):
    return inputs["labels"][..., None] == np.arange(inputs["logits"].shape[-1])


def cross_entropy_unshifted(params, inputs, tap):
    z = inputs["logits"]
    return {"loss": np.log(np.sum(np.exp(z), axis=-1)) - np.sum(z * picked(inputs), axis=-1)}


def mean_of_rows(params, inputs, tap):
    values, mask = inputs["values"], inputs["mask"]
    return {"mean": np.sum(np.sum(values * mask, 1) / np.maximum(np.sum(mask, 1), 1)) / len(values)}


LOSSES = {
    "losses.sigmoid_cross_entropy": {
        "labels the wrong way round": fed(shared.sigmoid_cross_entropy, lambda i: {"labels": ~i["labels"]}),
        "sigmoid applied twice": fed(shared.sigmoid_cross_entropy, lambda i: {"logits": sigmoid(i["logits"])}),
        "log of a sigmoid that saturates": through_probabilities(0),
        "log of a sigmoid plus 1e-8": through_probabilities(1e-8),
        "only the positive's term": lambda p, i, tap: {"loss": i["labels"] * np.logaddexp(0, -i["logits"])},
    },
    "losses.cross_entropy": {
        "classes counted from 1": fed(shared.cross_entropy, lambda i: {"labels": i["labels"] - 1}),
        "softmax applied twice": fed(shared.cross_entropy, lambda i: {"logits": share(exponents(i["logits"]))}),
        "softmax of the loss without the shift by the largest logit": cross_entropy_unshifted,
        "softmax of the loss over the events": lambda p, i, tap: {
            "loss": -np.sum(np.log(share(exponents(i["logits"], 1), 1)) * picked(i), axis=-1)},
    },
    "losses.masked_mean": {
        "mean over padding too": lambda p, i, tap: {"mean": np.sum(i["values"] * i["mask"]) / i["mask"].size},
        "padding's values in the sum": lambda p, i, tap: {"mean": np.sum(i["values"]) / max(np.sum(i["mask"]), 1)},
        "0 / 0 where there is nothing": lambda p, i, tap: {"mean": np.sum(i["values"] * i["mask"]) / np.sum(i["mask"])},
        "mean of the rows' means": mean_of_rows,
    },
}

FAULTS = {**LAYERS, **MASKS, **ATTENTION, **LOSSES}
