"""Faults of HMAR.  {component: {fault: function}}."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref import masks
from mbref.attention import attention
from mbref.check.faults import fed, planted
from mbref.check.faults_shared import mask_after, minus_infinity
from mbref.check.functions import hmar as right
from mbref.data.sequences import window_counts
from mbref.layers import dense, layer_norm, lookup, relu, stop_gradient
from mbref.losses import softplus
from mbref.papers import hmar


# Counts.

def counted(allowed, candidate="item"):
    """Counts of the events of `allowed` [T, T], rows being the events at which they are asked for."""
    def counts(params, inputs, tap):
        item, which = inputs["item"], inputs[candidate]
        met = (which[:, :, None] == item[:, None]) & (item > 0)[:, None] & allowed(item.shape[1])
        return {"counts": met.astype(float) @ masks.behaviour(inputs["behaviour"], inputs["count"]).astype(float)}
    return counts


def whole(length):
    return np.ones((length, length), bool)


def before(length):
    return np.tri(length, k=-1, dtype=bool)


def until(length):
    return np.tri(length, dtype=bool)


def by_any_behaviour(function):
    """The sum over the behaviours in all places."""
    def counts(params, inputs, tap):
        counts = function(params, inputs, tap)["counts"]
        return {"counts": counts.sum(-1, keepdims=True) + 0 * counts}
    return counts


def of_all_items(params, inputs, tap):
    real = inputs["behaviour"] > 0
    kinds = masks.behaviour(inputs["behaviour"], inputs["count"])
    return {"counts": np.cumsum(kinds, axis=1) * real[..., None].astype(float)}


COUNTS = {
    "hmar.behaviour_mask": {
        "attends to later events": lambda p, i, tap: {"mask": masks.same_behaviour(i["behaviour"])},
        "padding attends to padding": lambda p, i, tap: {
            "mask": (i["behaviour"][:, :, None] == i["behaviour"][:, None]) & until(i["behaviour"].shape[1])},
        "an event does not attend to itself": lambda p, i, tap: {
            "mask": masks.same_behaviour(i["behaviour"]) & before(i["behaviour"].shape[1])},
        "attends to events of other behaviours": lambda p, i, tap: {
            "mask": until(i["behaviour"].shape[1]) & (i["behaviour"] > 0)[:, :, None] & (i["behaviour"] > 0)[:, None]},
    },
    "hmar.indicator": {
        "counts the future": counted(whole),
        "does not count the event itself": counted(before),
        "counts of all behaviours together": by_any_behaviour(right.indicator),
        "counts of all items together": of_all_items,
        "says whether, not how often": lambda p, i, tap: {
            "counts": np.minimum(right.indicator(p, i, tap)["counts"], 1)},
    },
    "hmar.candidate_counts": {
        "counts the future": counted(whole, "candidate"),
        "does not count the last event": counted(before, "candidate"),
        "counts the event's item instead of the candidate": counted(until),
        "counts of all behaviours together": by_any_behaviour(right.candidate_counts),
    },
}


# Codes.

def joined(params, item_code, counts, other_way=False, between=lambda x: x):
    indicator = between(dense(params["indicator"], counts))
    parts = [indicator, item_code] if other_way else [item_code, indicator]
    return dense(params["feature"], np.concatenate(parts, axis=-1))


def input_code(scale=True, place=lambda p, length: p[-length:], scale_place=False):
    """The input code with another scale or other positions."""
    def code(params, inputs, tap):
        item, root = inputs["item"], params["item"].shape[1] ** 0.5
        v = lookup(params["item"], item) * (root if scale else 1)
        g = joined(params, v, inputs["counts"]) + place(params["position"], item.shape[1]) * (root if scale_place else 1)
        return {"code": g * (item > 0)[..., None]}
    return code


def candidate_code(params, item, counts, config):
    """A candidate scaled like an event."""
    return hmar.code(params, lookup(params["item"], item) * params["item"].shape[1] ** 0.5, counts, config)


CODES = {
    "hmar.code": {
        "indicator before the item": lambda p, i, tap: {"code": joined(p, i["item_code"], i["counts"], True)},
        "counts not read": fed(right.code, lambda i: {"counts": 0 * i["counts"]}),
        "log of the counts": fed(right.code, lambda i: {"counts": np.log1p(i["counts"])}),
        "counts cut to 1": fed(right.code, lambda i: {"counts": np.minimum(i["counts"], 1)}),
        "ReLU of the indicator": lambda p, i, tap: {"code": joined(p, i["item_code"], i["counts"], between=relu)},
    },
    "hmar.input_code": {
        "item embedding not times sqrt(D)": input_code(scale=False),
        "positions from the oldest event": input_code(place=lambda p, length: p[:length]),
        "positions from the newest event backwards": input_code(place=lambda p, length: p[-length:][::-1]),
        "positions times sqrt(D) too": input_code(scale_place=True),
        "positions at padding": lambda p, i, tap: {
            "code": right.input_code(p, i, tap)["code"] + p["position"][-i["item"].shape[1]:] * (i["item"] == 0)[..., None]},
    },
    "hmar.candidate_code": {
        "candidates times sqrt(D)": planted(right.candidate_code, hmar, candidate_code=candidate_code),
        "candidate 0 has an embedding": planted(right.candidate_code, hmar, lookup=lambda table, ids: table[ids]),
        "candidate's counts not read": fed(right.candidate_code, lambda i: {"counts": 0 * i["counts"]}),
    },
}


# Encoders.

def mean_weights(p, copies, mask):
    """One dense layer for all behaviours."""
    x = np.sum(np.reshape(copies, mask.shape + (-1,)), axis=2)
    return x @ (np.sum(p["w"], 0) / len(p["w"])) + np.sum(p["b"], 0) / len(p["b"])


def first_weights(p, copies, mask):
    """The first behaviour's layer for all."""
    return np.sum(np.reshape(copies, mask.shape + (-1,)), axis=2) @ p["w"][0] + p["b"][0]


def biased_padding(p, copies, mask):
    """Bias of the first behaviour at padding, which has none."""
    return hmar_dense(p, copies, mask) + (~mask.any(-1))[..., None] * p["b"][0]


hmar_dense = hmar.dense_by_behaviour


def all_behaviours(params, inputs, tap):
    real = inputs["behaviour"] > 0
    allowed = masks.causal(real.shape[1]) & real[:, None] & real[:, :, None]
    mask = masks.behaviour(inputs["behaviour"], len(params["res"]))
    return {"y": hmar.behaviour_encoder(params, inputs["x"], mask, allowed, inputs["heads"], lambda a: a)}


def kept(name):
    """An attention that adds its own input: the residual that is not there."""
    def residual(q, k, v, *more, **named):
        return attention(q, k, v, *more, **named) + q
    return {name: residual}


def sequence_encoder(join=lambda a, s, residual: a + residual, norm=layer_norm, inner=lambda y, raw: y, act=relu):
    """The sequence encoder with another residual, norm or activation."""
    def encoder(params, inputs, tap):
        s, real, p = inputs["s"], inputs["real"], params
        allowed = masks.causal(real.shape[1]) & real[:, None] & real[:, :, None]
        raw = join(attention(*(dense(p[name], s) for name in "qkv"), allowed, inputs["heads"]), s, inputs["residual"])
        y = norm(p["ln"], raw)
        return {"z": (inner(y, raw) + dense(p["f2"], act(dense(p["f1"], y)))) * real[..., None]}
    return encoder


def eps5(p, x, eps=1e-5):
    return layer_norm(p, x, 1e-5)


ENCODERS = {
    "hmar.behaviour_encoder": {
        "all behaviours share the first one's weights": planted(
            right.behaviour_encoder, hmar, dense_by_behaviour=first_weights),
        "attends to events of other behaviours": all_behaviours,
        "a residual around the attention": planted(right.behaviour_encoder, hmar, **kept("attention")),
        "biases at padding": planted(right.behaviour_encoder, hmar, dense_by_behaviour=biased_padding),
        "no scale for the input at the end": lambda p, i, tap: right.behaviour_encoder(
            p | {"res": 1 + 0 * p["res"]}, i, tap),
        "input left out at the end": lambda p, i, tap: right.behaviour_encoder(p | {"res": 0 * p["res"]}, i, tap),
        "feed-forward without ReLU": planted(right.behaviour_encoder, hmar, relu=lambda x: x),
        "feed-forward without its residual": planted(right.behaviour_encoder, hmar, relu=relu),
    },
    "hmar.sequence_encoder": {
        "residual of the behaviour encoder's output": sequence_encoder(lambda a, s, residual: a + s),
        "no residual around the attention": sequence_encoder(lambda a, s, residual: a),
        "feed-forward's residual from before the norm": sequence_encoder(inner=lambda y, raw: raw),
        "feed-forward without its residual": sequence_encoder(inner=lambda y, raw: 0),
        "feed-forward without ReLU": sequence_encoder(act=lambda x: x),
        "layer norm eps 1e-5 instead of 1e-8": sequence_encoder(norm=eps5),
        "attends to later events": lambda p, i, tap: right.sequence_encoder(p, i, tap) if False else planted(
            right.sequence_encoder, masks, causal=lambda length, like=None: whole(length))(p, i, tap),
    },
}
