"""Faults of layers and masks that several papers share.  {component: {fault: function}}."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.faults import fed
from mbref.check.functions import shared
from mbref.layers import relu, stop_gradient, time_bucket
from mbref.vjps import with_gradient

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
    """Buckets by another rule in place of floor(log2(gap + 1)), or of floor(log2 gap)."""
    def bucket(params, inputs, tap):
        release = inputs["rule"] == "release"
        steps = rule(np.maximum(inputs["gap"] + release, 1)).astype(int)
        return {"bucket": np.minimum(steps, 12) if release else np.minimum(steps + 1, 13) * (inputs["gap"] >= 1)}
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

FAULTS = {**LAYERS, **MASKS}
