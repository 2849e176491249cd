"""Faults of layers and masks that several papers share.  {component: {fault: function}}."""
import autograd.numpy as np
from autograd.extend import defvjp, primitive
from autograd.tracer import getval

from mbref.check.components import atrank, layers as right, masks
from mbref.nn import layers
from mbref.nn.layers import relu, stop_gradient, time_bucket
from tests.golden.fault import feed, plant

# Layers.

last_of_repeated = primitive(layers.lookup.plain)


def overwrite(out, table, ids):
    def backward(g):
        rows = np.zeros_like(table)
        rows[ids] = g * (ids > 0)[..., None]  # "=" where "+=" is meant
        return rows
    return backward


defvjp(last_of_repeated, overwrite, None)


def read(tables, ids):
    """The features' embeddings, a list of [B, T, D_f]."""
    return [layers.lookup(table, ids[..., f]) for f, table in enumerate(tables)]


def embed(join=lambda parts: np.concatenate(parts, axis=-1), change=lambda part, ids: part):
    """Embeddings joined in another way, or each of them changed before that, given all ids of the
    object."""
    return lambda p, i, tap: {
        "y": join([change(part, i["ids"]) for part in read(p["tables"], i["ids"])])}


def interleave(parts):
    """Features alternate, entry by entry; only for widths that are the same."""
    return np.reshape(np.stack(parts, axis=-1), parts[0].shape[:-1] + (-1,))


def dropout(keep=lambda draws, rate: draws >= rate, scale=lambda rate: 1 / (1 - rate),
            otherwise=lambda x, rate: x):
    """Dropout that keeps other entries, scales them by another factor, or does something in
    evaluation."""
    def dropout(params, inputs, tap):
        x, rate = inputs["x"], inputs["rate"]
        return {"y": x * keep(inputs["draws"], rate) * scale(rate)
                if inputs["training"] else otherwise(x, rate)}
    return dropout


def layer_norm(root=lambda var, eps: np.sqrt(var + eps), axis=-1, less=0, still=lambda a: a):
    """A layer norm: `less` is taken from the divisor of the variance, `still` is applied to mean
    and variance."""
    def layer_norm(params, inputs, tap):
        x = inputs["x"]
        size = x.size // np.sum(getval(x), axis=axis).size
        centred = x - still(np.sum(x, axis=axis, keepdims=True) / size)
        variance = still(np.sum(centred**2, axis=axis, keepdims=True) / (size - less))
        return {"y": params["gamma"] * centred / root(variance, inputs["eps"]) + params["beta"]}
    return layer_norm


def bucket_by(rule):
    """Buckets by another rule in place of floor(log2(gap + 1)), or of floor(log2 gap)."""
    def bucket(params, inputs, tap):
        release = inputs["rule"] == "release"
        steps = rule(np.maximum(inputs["gap"] + release, 1)).astype(int)
        return {"bucket": np.minimum(steps, 12)
                if release else np.minimum(steps + 1, 13) * (inputs["gap"] >= 1)}
    return bucket


def open_ended(params, inputs, tap):
    release = inputs["rule"] == "release"
    steps = np.floor(np.log2(np.maximum(inputs["gap"] + release, 1))).astype(int)
    return {"bucket": steps if release else np.where(inputs["gap"] < 1, 0, steps + 1)}


LAYERS = {
    "layers.dense": {
        "bias forgotten": lambda p, i, tap: {"y": i["x"] @ p["w"]},
        "weights stored as [out, in] and not transposed": lambda p, i, tap: {
            "y": i["x"] @ p["w"].T + p["b"]},
        "ReLU after a linear layer": lambda p, i, tap: {"y": relu(i["x"] @ p["w"] + p["b"])},
    },
    "layers.lookup": {
        "embedding of padding read and trained": lambda p, i, tap: {"y": p["table"][i["ids"]]},
        "ids taken from 0": lambda p, i, tap: {
            "y": p["table"][i["ids"] - 1] * (i["ids"] > 0)[..., None]},
        "gradients of an item's repeats overwritten": lambda p, i, tap: {
            "y": last_of_repeated(p["table"], i["ids"])},
    },
    "layers.embed": {
        "features side by side in the reverse order": embed(
            lambda parts: np.concatenate(parts[::-1], axis=-1)),
        "features interleaved in the width": embed(interleave),
        "the first feature's id read for all of them": feed(right.embed, lambda i: {
            "ids": np.repeat(i["ids"][..., :1], i["ids"].shape[-1], axis=-1)}),
        "an unknown feature takes the others with it": embed(
            change=lambda part, ids: part * np.all(ids > 0, axis=-1, keepdims=True)),
        "embedding times the root of its width": embed(
            change=lambda part, ids: part * part.shape[-1] ** 0.5),
        "embedding of padding read and trained": plant(
            right.embed, layers, lookup=lambda table, ids: table[ids]),
        "gradients of an item's repeats overwritten": plant(
            right.embed, layers, lookup=last_of_repeated),
    },
    "layers.relu": {
        "leaky ReLU": lambda p, i, tap: {"y": i["x"] * np.where(i["x"] > 0, 1, 0.01)},
        "ReLU cut off at 6": lambda p, i, tap: {"y": relu(i["x"]) - relu(i["x"] - 6)},
        "ELU instead of ReLU": lambda p, i, tap: {
            "y": np.where(i["x"] > 0, i["x"], np.exp(-np.abs(i["x"])) - 1)},
        "absolute value instead of ReLU": lambda p, i, tap: {"y": np.abs(i["x"])},
        "ReLU with gradient 1 at exactly 0": lambda p, i, tap: {"y": i["x"] * (i["x"] >= 0)},
        "ReLU with gradient 1/2 at exactly 0": lambda p, i, tap: {"y": np.maximum(i["x"], 0)},
        "ReLU that lets all gradients through": lambda p, i, tap: {
            "y": i["x"] + stop_gradient(relu(-i["x"]))},
    },
    "layers.dropout": {
        "dropout that does not rescale": dropout(scale=lambda rate: 1),
        "dropout divided by the rate": dropout(scale=lambda rate: 1 / rate),
        "dropout times what is kept instead of divided by it": dropout(scale=lambda rate: 1 - rate),
        "dropout keeps what it should drop": dropout(lambda draws, rate: draws < rate),
        "dropout keeps with the probability to drop": dropout(
            lambda draws, rate: draws >= 1 - rate),
        "dropout also drops a draw of exactly the rate": dropout(lambda draws, rate: draws > rate),
        "dropout of whole vectors": dropout(lambda draws, rate: draws[..., :1] >= rate),
        "dropout in evaluation": feed(right.dropout, lambda i: {"training": True}),
        "dropout scales in evaluation": dropout(otherwise=lambda x, rate: x * (1 - rate)),
        "dropout scales in evaluation instead of training": dropout(
            scale=lambda rate: 1, otherwise=lambda x, rate: x * (1 - rate)),
        "no gradient dropped": lambda p, i, tap: {
            "y": i["x"] + stop_gradient(right.dropout(p, i, tap)["y"] - i["x"])},
    },
    "layers.layer_norm": {
        "layer norm eps outside the square root": layer_norm(lambda var, eps: np.sqrt(var) + eps),
        "layer norm eps 1e-5 instead of 1e-8": layer_norm(
            lambda var, eps: np.sqrt(var + (1e-5 if eps == 1e-8 else eps))),
        "layer norm eps 1e-12 instead of 1e-8": layer_norm(
            lambda var, eps: np.sqrt(var + (1e-12 if eps == 1e-8 else eps))),
        "layer norm without eps": layer_norm(lambda var, eps: np.sqrt(var)),
        "layer norm with unbiased variance": layer_norm(less=1),
        "layer norm over the events instead of the features": layer_norm(axis=1),
        "layer norm divided by the variance instead of its root": layer_norm(
            lambda var, eps: var + eps),
        "layer norm whose mean and variance get no gradient": layer_norm(still=stop_gradient),
        "layer norm without gamma and beta": lambda p, i, tap: layer_norm()(
            {"gamma": np.ones_like(p["gamma"]), "beta": np.zeros_like(p["beta"])}, i, tap),
    },
    "atrank.time_bucket": {
        "time bucket rounded instead of floor": bucket_by(lambda gap: np.round(np.log2(gap))),
        "time bucket with ceil instead of floor": bucket_by(lambda gap: np.ceil(np.log2(gap))),
        "time bucket with the natural logarithm": bucket_by(lambda gap: np.floor(np.log(gap))),
        "time bucket of the other rule": lambda p, i, tap: {
            "bucket": time_bucket(i["gap"], "paper" if i["rule"] == "release" else "release")},
        "last time bucket not open": open_ended,
        "time gaps in seconds taken as days": feed(
            atrank.time_bucket, lambda i: {"gap": i["gap"] * 86400}),
    },
}


# Masks.

MASKS = {
    "masks.padding": {
        "True where there is padding": lambda p, i, tap: {"mask": i["ids"] == 0},
        "item 1 taken for padding": lambda p, i, tap: {"mask": i["ids"] > 1},
        "padding expected to be -1": lambda p, i, tap: {"mask": i["ids"] >= 0},
        "padding expected on the right": lambda p, i, tap: {
            "mask": np.arange(i["ids"].shape[1]) < np.sum(i["ids"] > 0, axis=1, keepdims=True)},
        "an empty history opened to be attended": lambda p, i, tap: {
            "mask": (i["ids"] > 0) | np.all(i["ids"] == 0, axis=1, keepdims=True)},
    },
    "masks.diagonal": {
        "diagonal False and all else True": lambda p, i, tap: {
            "mask": ~np.eye(i["ids"].shape[1], dtype=bool)},
        "diagonal one event late": lambda p, i, tap: {
            "mask": np.eye(i["ids"].shape[1], k=-1, dtype=bool)},
        "diagonal one event early": lambda p, i, tap: {
            "mask": np.eye(i["ids"].shape[1], k=1, dtype=bool)},
        "diagonal from the last event to the first": lambda p, i, tap: {
            "mask": np.eye(i["ids"].shape[1], dtype=bool)[::-1]},
        "everything up to the diagonal": lambda p, i, tap: {
            "mask": np.tri(i["ids"].shape[1], dtype=bool)},
    },
    "masks.positions": {
        "places counted column by column": lambda p, i, tap: {
            "positions": np.flatnonzero(i["ids"].T)},
        "places of padding": lambda p, i, tap: {"positions": np.flatnonzero(i["ids"] == 0)},
        "places counted from 1": lambda p, i, tap: {"positions": np.flatnonzero(i["ids"]) + 1},
        "places counted anew in each row": lambda p, i, tap: {"positions": np.nonzero(i["ids"])[1]},
        "padding given place 0 instead of left out": lambda p, i, tap: {
            "positions": np.arange(i["ids"].size) * (i["ids"].flatten() > 0)},
    },
    "masks.causal": {
        "causal mask without the event itself": lambda p, i, tap: {
            "mask": np.tri(i["ids"].shape[1], k=-1, dtype=bool)},
        "causal mask of the future": lambda p, i, tap: {
            "mask": np.tri(i["ids"].shape[1], dtype=bool).T},
        "causal mask that shows the next event": lambda p, i, tap: {
            "mask": np.tri(i["ids"].shape[1], k=1, dtype=bool)},
    },
    "masks.behaviour": {
        "behaviours counted from 0": lambda p, i, tap: {
            "mask": i["behaviour"][..., None] == np.arange(i["count"])},
        "padding taken for the first behaviour": feed(masks.behaviour, lambda i: {
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

# The text around the faults, without any: it must be right.
RIGHT = {
    "layers.embed": [embed()],
    "layers.dropout": [dropout()],
    "layers.layer_norm": [layer_norm()],
    "atrank.time_bucket": [bucket_by(lambda gap: np.floor(np.log2(gap)))],
}
