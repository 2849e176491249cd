"""Faults of HierSRec's encoder and heads.  {component: {fault: function}}."""

import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.components import hiersrec as right
from mbref.nn import attention as att, masks
from mbref.nn.attention import attention
from mbref.nn.layers import dense, layer_norm, lookup, relu, stop_gradient
from mbref.variants import hiersrec
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import SOFTMAX, exponents, share, split_interleaved

# Encoder.

def item_features(order=1, category=lambda table, ids, real: table[ids] * real):
    """Features side by side in another order, or with another rule for categories."""
    def features(params, inputs, tap):
        item = inputs["item"]
        real = (item > 0)[..., None]
        parts = {"id": lambda: lookup(params["E_I"], item),
                 "category": lambda: category(params["E_C"], inputs["category"][item], real),
                 "text": lambda: inputs["texts"][item].astype(params["E_I"].dtype)}
        names = right.config_of(hiersrec.Config, inputs).inputs.split("+")
        return {"features": np.concatenate([parts[name]() for name in names][::order], axis=-1)}
    return features


def see_back(length):
    return np.tri(length, dtype=bool)


def encoder_block(see=see_back, before=layer_norm, after=lambda p, x: x, act=relu,
                  out=lambda a, p: a @ p["o"], start=lambda h, a: h, attend=attention):
    """The block with another mask, norm, activation, projection or residual."""
    def block(p, inputs, tap):
        h, real = inputs["h"], inputs["real"]
        a = before(p["ln1"], h)
        q, k, v = (a @ p[name] for name in "qkv")
        found = attend(q, k, v, see(h.shape[1]) & real[:, None], inputs["heads"])
        h = after(p["ln1"], start(h, a) + out(found, p))
        y = after(p["ln2"], h + dense(p["f2"], act(dense(p["f1"], before(p["ln2"], h)))))
        return {"y": y * real[..., None]}
    return block


def pooled(pool):
    """The encoder whose states are pooled in another way where they are averaged."""
    def encode(params, inputs, tap):
        s = right.encode(params, inputs | {"pool": "last"}, tap)["s"]
        real = (inputs["item"] > 0)[..., None]
        return {"s": (pool(s, real) if inputs.get("pool") == "mean" else s) * real}
    return encode


def later(length, like=None):
    return np.ones((length, length), bool)


def backwards(function):
    def reverse(params, inputs, tap):
        position = params["position"][: inputs["item"].shape[1]][::-1]
        return function(params | {"position": position}, inputs, tap)
    return reverse


ENCODER = {
    "hiersrec.item_features": {
        "features in the other order": item_features(order=-1),
        "padding has the features of the unknown category": item_features(
            category=lambda table, ids, real: table[ids]),
        "unknown category taken for padding": item_features(
            category=lambda table, ids, real: lookup(table, ids)),
        "categories one item off": feed(
            right.item_features, lambda i: {"category": np.roll(i["category"], 1)}),
    },
    "hiersrec.encoder_block": {
        "attends to later clicks": encoder_block(see=later),
        "a click does not attend to itself": encoder_block(
            see=lambda length: np.tri(length, k=-1, dtype=bool)),
        "norm after the residuals instead of before": encoder_block(
            before=lambda p, x: x, after=layer_norm),
        "residual of the normalised input": encoder_block(start=lambda h, a: a),
        "no residual around the attention": encoder_block(start=lambda h, a: 0),
        "heads not projected": encoder_block(out=lambda a, p: a),
        "feed-forward without ReLU": encoder_block(act=lambda x: x),
        "layer norm eps 1e-5 instead of 1e-8": encoder_block(
            before=lambda p, x: layer_norm(p, x, 1e-5)),
        "heads interleaved in the width": plant(
            right.encoder_block, att, split_heads=split_interleaved),
        "mask after the softmax": plant(
            right.encoder_block, att, masked_softmax=SOFTMAX["mask after the softmax"]),
    },
    "hiersrec.encode": {
        "attends to later clicks": plant(right.encode, masks, causal=later),
        "positions from the newest click": backwards(right.encode),
        "mean of the whole session, later clicks too": pooled(
            lambda s, real: (np.sum(s * real, axis=1, keepdims=True)
                             / np.sum(real, axis=1, keepdims=True))),
        "sum so far instead of mean": pooled(lambda s, real: np.cumsum(s, axis=1)),
        "last state instead of the mean": pooled(lambda s, real: s),
        "no causal mask and no positions": plant(
            lambda p, i, tap: right.encode(p | {"position": 0 * p["position"]}, i, tap),
            masks, causal=later),
    },
}


# Category head and item head.

own_features = hiersrec.item_features


def without_gradient(params, batch, item, config):
    return stop_gradient(own_features(params, batch, item, config))


def without_unknown(params, batch, item, config):
    known = np.arange(len(params["E_C"])) > 0
    return own_features(params | {"E_C": params["E_C"] * known[:, None]}, batch, item, config)


def logits(params, inputs):
    return dense(params["category"], inputs["s"])


def expected(params, logp):
    return np.exp(logp)


def normalised(params, logp):
    return layer_norm(params["ln_logits"], logp)


def projection(soft=expected, stop=stop_gradient, pre=normalised, place=lambda oracle: oracle):
    """g with another reading of the probabilities in one of its forms."""
    def g(params, inputs, tap):
        logp, hier = inputs["logp"], inputs["hier"]
        if hier == "oracle":
            return {"g": params["W_p"][place(inputs["oracle"])]}
        if hier == "logits":
            return {"g": pre(params, logp) @ params["W_p"]}
        table = params["E_C" if hier == "tied" else "W_p"]
        return {"g": soft(params, stop(logp) if hier == "stop" else logp) @ table}
    return g


def hardest(params, logp):
    return 1.0 * (logp == np.max(getval(logp), axis=-1, keepdims=True))


def item_logits(columns=lambda z: z, without_bias=False):
    """Logits whose columns are moved, or without the items' biases."""
    def z(params, inputs, tap):
        b = params["b_i"] if "b_i" in params else params["item"]["b"]
        found = right.item_logits(params, inputs, tap)["logits"]
        return {"logits": columns(found - b if without_bias else found)}
    return z


HEADS = {
    "hiersrec.category_logp": {
        "probabilities instead of their logarithms": lambda p, i, tap: {
            "logp": share(exponents(logits(p, i)))},
        "logits instead of log-probabilities": lambda p, i, tap: {"logp": logits(p, i)},
        "log2 instead of the natural logarithm": lambda p, i, tap: {
            "logp": np.log(share(exponents(logits(p, i)))) / np.log(2)},
        "log of a softmax that underflows": lambda p, i, tap: {
            "logp": np.log(share(exponents(logits(p, i))))},
        "softmax over the sessions": lambda p, i, tap: {
            "logp": np.log(share(exponents(logits(p, i), 0), 0))},
    },
    "hiersrec.projection": {
        "log-probabilities projected instead of probabilities": projection(lambda p, logp: logp),
        "the most probable category alone": projection(hardest),
        "softmax applied twice": projection(lambda p, logp: share(exponents(np.exp(logp)))),
        "gradient through the probabilities stopped": projection(
            lambda p, logp: np.exp(stop_gradient(logp))),
        "gradient through the probabilities not stopped": projection(stop=lambda logp: logp),
        "logits without a layer norm": projection(pre=lambda p, logp: logp),
        "classes counted from 1": projection(place=lambda oracle: oracle - 1),
    },
    "hiersrec.item_logits": {
        "item 1 in the column of padding": item_logits(
            lambda z: np.concatenate([z[:, :1], z[:, :-1]], axis=1)),
        "biases left out": item_logits(without_bias=True),
        "scores divided by the root of the width": feed(right.item_logits, lambda i: {
            "q": i["q"] / i["q"].shape[1] ** 0.5}),
        "items' features get no gradient": plant(
            right.item_logits, hiersrec, item_features=without_gradient),
        "unknown category taken for padding": plant(
            right.item_logits, hiersrec, item_features=without_unknown),
    },
}

FAULTS = {**ENCODER, **HEADS}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hiersrec.item_features": [item_features()],
    "hiersrec.encoder_block": [encoder_block()],
    "hiersrec.projection": [projection()],
    "hiersrec.item_logits": [item_logits()],
}
