"""Faults of HMAR.  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.check.components import hmar as right
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import dense, layer_norm, lookup, relu
from mbref.papers import hmar
from tests.golden.fault import feed, plant

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
            "mask": until(i["behaviour"].shape[1]) & all_real(i["behaviour"])},
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

def counts_read(inputs):
    """Counts as the model reads them."""
    counts = np.log1p(inputs["counts"]) if inputs.get("count_scale") == "log1p" else inputs["counts"]
    return counts * inputs.get("indicator", True)


def joined(params, item_code, counts, other_way=False, between=lambda x: x):
    indicator = between(dense(params["indicator"], counts))
    parts = [indicator, item_code] if other_way else [item_code, indicator]
    return dense(params["feature"], np.concatenate(parts, axis=-1))


def input_code(scale=True, place=lambda p, length: p[-length:], scale_place=False, real=lambda item: item > 0):
    """The input code with another scale, other positions, or rows at padding too."""
    def code(params, inputs, tap):
        item, root = inputs["item"], params["item"].shape[1] ** 0.5
        v = lookup(params["item"], item) * (root if scale else 1)
        position = place(params["position"], item.shape[1]) * (root if scale_place else 1)
        return {"code": (joined(params, v, inputs["counts"]) + position) * real(item)[..., None]}
    return code


own_code = hmar.code


def own_input_code(params, item, counts):
    """The right input code, whatever is planted in the place of hmar.code."""
    v = lookup(params["item"], item) * params["item"].shape[1] ** 0.5
    return own_code(params, v, counts) + params["position"][-item.shape[1] :]


def of_candidates(function, candidate_code):
    """`function` while candidates, and they alone, get their codes from candidate_code(params, v, counts)."""
    return plant(function, hmar, code=candidate_code, input_code=own_input_code)


def times_root(params, v, counts):
    """A candidate scaled like an event."""
    return own_code(params, v * params["item"].shape[1] ** 0.5, counts)


CODES = {
    "hmar.code": {
        "indicator before the item": lambda p, i, tap: {"code": joined(p, i["item_code"], counts_read(i), True)},
        "counts not read": feed(right.code, lambda i: {"counts": 0 * i["counts"]}),
        "log of the counts": feed(right.code, lambda i: {"counts": np.log1p(i["counts"])}),
        "counts not logged": feed(right.code, lambda i: {"count_scale": "raw"}),
        "counts read where there is no indicator": feed(right.code, lambda i: {"indicator": True}),
        "counts cut to 1": feed(right.code, lambda i: {"counts": np.minimum(i["counts"], 1)}),
        "ReLU of the indicator": lambda p, i, tap: {"code": joined(p, i["item_code"], counts_read(i), between=relu)},
    },
    "hmar.input_code": {
        "item embedding not times sqrt(D)": input_code(scale=False),
        "positions from the oldest event": input_code(place=lambda p, length: p[:length]),
        "positions from the newest event backwards": input_code(place=lambda p, length: p[-length:][::-1]),
        "positions times sqrt(D) too": input_code(scale_place=True),
        "padding not set to 0": input_code(real=lambda item: item >= 0),
    },
    "hmar.candidate_code": {
        "candidates times sqrt(D)": of_candidates(right.candidate_code, times_root),
        "candidate 0 has an embedding": plant(right.candidate_code, right, lookup=lambda table, ids: table[ids]),
        "candidate's counts not read": feed(right.candidate_code, lambda i: {"counts": 0 * i["counts"]}),
    },
}


# Encoders.

def masked_copies(x, mask):
    """M_b * x of every behaviour b, side by side.  x [B, T, D], mask [B, T, K] -> [B, T, K*D]."""
    return np.reshape(mask[..., None] * np.expand_dims(x, 2), x.shape[:2] + (-1,))


def dense_by_behaviour(p, copies, mask):
    """x_t W_b + b_b with b the behaviour of event t; 0 at padding.  copies [B, T, K*D] -> [B, T, D].

    The masked copies side by side, times the K weights one above the other, is the sum of all (M_b x) W_b.
    """
    w = np.reshape(p["w"], (copies.shape[-1], -1))  # [K*D, D]
    return copies @ w + mask @ p["b"]


def first_layer(p, copies, mask):
    """One dense layer for all behaviours: the first one's weights and bias, at padding too."""
    return np.sum(np.reshape(copies, mask.shape + (-1,)), axis=2) @ p["w"][0] + p["b"][0]


def biased_padding(p, copies, mask):
    """Each behaviour's layer, but padding gets the first one's bias."""
    return dense_by_behaviour(p, copies, mask) + ~mask.any(-1)[..., None] * p["b"][0]


def behaviour_encoder(layer=dense_by_behaviour, same=masks.same_behaviour, around=0, inner=1, act=relu,
                      through=lambda p: p["res"]):
    """The behaviour encoder with other layers, masks or residuals; around, inner: how much of a residual there is.

    As every event has one behaviour, the K attentions are written as one, with the weights of each event's behaviour.
    """
    def encoder(p, inputs, tap):
        x, behaviour = inputs["x"], inputs["behaviour"]
        mask, allowed = masks.behaviour(behaviour, len(p["res"])), masks.causal(x.shape[1]) & same(behaviour)
        q, k, v = (layer(p[name], masked_copies(x, mask), mask) for name in "qkv")
        a = attention(q, k, v, allowed, inputs["heads"]) + around * x
        hidden = act(layer(p["f1"], masked_copies(a, mask), mask))
        y = inner * a + layer(p["f2"], masked_copies(hidden, mask), mask)
        return {"y": y + (mask @ through(p))[..., None] * x}
    return encoder


def all_real(ids):
    return (ids > 0)[:, :, None] & (ids > 0)[:, None]


def sequence_encoder(join=lambda a, s, residual: a + residual, norm=layer_norm, inner=lambda y, raw: y, act=relu,
                     see=until):
    """The sequence encoder with another residual, norm, activation or mask."""
    def encoder(p, inputs, tap):
        s, real = inputs["s"], inputs["real"]
        q, k, v = (dense(p[name], s) for name in "qkv")
        a = attention(q, k, v, see(s.shape[1]) & all_real(real), inputs["heads"])
        raw = join(a, s, inputs["residual"])
        y = norm(p["ln"], raw)
        return {"z": (inner(y, raw) + dense(p["f2"], act(dense(p["f1"], y)))) * real[..., None]}
    return encoder


ENCODERS = {
    "hmar.behaviour_encoder": {
        "all behaviours share the first one's weights": behaviour_encoder(first_layer),
        "biases at padding": behaviour_encoder(biased_padding),
        "attends to events of other behaviours": behaviour_encoder(same=all_real),
        "a residual around the attention": behaviour_encoder(around=1),
        "feed-forward without its residual": behaviour_encoder(inner=0),
        "feed-forward without ReLU": behaviour_encoder(act=lambda x: x),
        "input not scaled by behaviour at the end": behaviour_encoder(through=lambda p: 1 + 0 * p["res"]),
        "input left out at the end": behaviour_encoder(through=lambda p: 0 * p["res"]),
    },
    "hmar.sequence_encoder": {
        "residual of the behaviour encoder's output": sequence_encoder(lambda a, s, residual: a + s),
        "no residual around the attention": sequence_encoder(lambda a, s, residual: a),
        "feed-forward's residual from before the norm": sequence_encoder(inner=lambda y, raw: raw),
        "feed-forward without its residual": sequence_encoder(inner=lambda y, raw: 0),
        "feed-forward without ReLU": sequence_encoder(act=lambda x: x),
        "layer norm eps 1e-5 instead of 1e-8": sequence_encoder(norm=lambda p, x: layer_norm(p, x, 1e-5)),
        "attends to later events": sequence_encoder(see=whole),
        "an event does not attend to itself": sequence_encoder(see=before),
    },
}

FAULTS = {**COUNTS, **CODES, **ENCODERS}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hmar.indicator": [counted(until)],
    "hmar.candidate_counts": [counted(until, "candidate")],
    "hmar.code": [lambda p, i, tap: {"code": joined(p, i["item_code"], counts_read(i))}],
    "hmar.input_code": [input_code()],
    "hmar.behaviour_encoder": [behaviour_encoder()],
    "hmar.sequence_encoder": [sequence_encoder()],
}
