"""Faults of DMRAN's match of history and candidate, and of the whole model.

{component: {fault: function}}.
"""
import autograd.numpy as np
from autograd.misc import flatten

from mbref.check.components import dmran as right
from mbref.nn import attention as att, masks
from mbref.nn.attention import masked_softmax
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy
from mbref.papers import dmran as papers_dmran
from mbref.variants import dmran
from tests.golden.dmran.faults import in_seconds, over_hops
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import SOFTMAX

own_fusion = dmran.fusion


def vanilla(scaled=True, softmax=masked_softmax):
    """The candidate's attention without the root, or with another softmax."""
    def attention(q, k, v, allowed, **named):
        return att.attention(q, k, v, allowed, scaled=scaled)
    return plant(plant(right.vanilla, dmran, attention=attention), att, masked_softmax=softmax)


def sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5


def keep_h(G, h, h_hat):
    return G * h + (1 - G) * h_hat


def fusion(gate=sigmoid, weights=("W_f1", "W_f2"), bias=1, mix=keep_h):
    """The gate with another squashing, weights or mixture."""
    def fused(params, inputs, tap):
        h, h_hat = inputs["h"], inputs["h_hat"]
        G = gate(h @ params[weights[0]] + h_hat @ params[weights[1]] + bias * params["b_f"])
        return {"h_c": mix(G, h, h_hat)}
    return fused


def squares(h, i_c, real):
    return np.sum((h**2 + i_c**2) * real)


def mean_overlap(A):
    return np.sum(dmran.redundancy(A)) / len(A)


def model(size=squares, overlap=mean_overlap, labels=lambda label: label):
    """The loss with other penalties or labels."""
    def loss(params, inputs, tap):
        config, batch = right.config_of(dmran.Config, inputs), right.batch_of(inputs)
        states = dmran.forward(params, batch, config)
        z, h_c, i_c = dmran.logits(params, batch, states, batch.candidate, config)
        real = batch.candidate > 0
        total = masked_mean(sigmoid_cross_entropy(z, labels(batch.label)), real)
        penalty = config.penalty * size(h_c, i_c, real[..., None])
        decay = config.weight_decay * np.sum(flatten(params)[0] ** 2)
        hops = overlap(states[2]) if config.variant != "feature" else 0.0
        return {"loss": total + 0.5 * (penalty + decay) + config.redundancy * hops}
    return loss


def swap_gates(params, h, h_hat):
    return own_fusion(params, h_hat, h)


def fuse_all(params, inputs, tap):
    """The fusion with a gate of 1/2 where there is none."""
    square, vector = 0 * params["W_s3"], 0 * params["b_s1"]
    params = {"W_f1": square, "W_f2": square, "b_f": vector} | params
    return right.model(params, inputs | {"fuse": True}, tap)


def swap_blocks(params, inputs, tap):
    if "van" in params:
        params = params | {"van": params["van_hat"], "van_hat": params["van"]}
    return right.model(params, inputs, tap)


def overlap_of_means(A):
    return dmran.redundancy(np.sum(A, axis=0, keepdims=True) / len(A))[0]


def overlap_unsquared(A):
    return np.sum(dmran.redundancy(A) ** 0.5) / len(A)


def of_both(function):
    """Faults that the score and the loss share."""
    return {
        "padding attended": plant(function, masks, padding=lambda ids: ids >= 0),
        "hops read the events without time": feed(function, lambda i: {"gap": 0 * i["gap"]}),
        "time gaps in seconds taken as days": feed(function, in_seconds),
        "feature level left out": plant(function, dmran, feature_attention=lambda p, M, *more: M),
        "gates swapped": plant(function, dmran, fusion=swap_gates),
        "no fusion": feed(function, lambda i: {"fuse": False}),
        "mean of the hops instead of the candidate's attention": feed(
            function, lambda i: {"pool": "mean"}),
        "item level normalised over the hops": plant(
            function, papers_dmran, masked_softmax=over_hops),
    }


FAULTS = {
    "dmran.vanilla": {
        "attention scores not divided by the root": vanilla(scaled=False),
        "the candidate is not read": feed(right.vanilla, lambda i: {"pool": "mean"}),
        "plain form for the robust one": feed(right.vanilla, lambda i: {"robust": False}),
        "mask not read": feed(right.vanilla, lambda i: {"real": np.ones_like(i["real"])}),
        **{name: vanilla(softmax=SOFTMAX[name]) for name in (
            "mask after the softmax", "-inf on a row where nothing is allowed")},
    },
    "dmran.fusion": {
        "gates swapped": fusion(mix=lambda G, h, h_hat: (1 - G) * h + G * h_hat),
        "gate is not squashed": fusion(gate=lambda x: x),
        "gate is a tanh": fusion(gate=np.tanh),
        "one matrix for both inputs of the gate": fusion(weights=("W_f1", "W_f1")),
        "bias of the gate left out": fusion(bias=0),
        "one number for all features": fusion(
            gate=lambda x: sigmoid(np.sum(x, axis=-1, keepdims=True))),
    },
    "dmran.score": of_both(right.score) | {
        "item bias left out": feed(right.score, lambda i: {"item_bias": False}),
        "a row looks at itself": feed(right.score, lambda i: {"diagonal": True}),
    },
    "dmran": of_both(right.model) | {
        "blocks of M and M^ swapped": swap_blocks,
        "plain form for the robust one": feed(right.model, lambda i: {"robust": False}),
        "fusion where there is none": fuse_all,
        "weight decay left out": feed(right.model, lambda i: {"weight_decay": 0.0}),
        "labels the wrong way round": model(labels=lambda label: ~label),
        "redundancy summed over the batch": model(overlap=lambda A: np.sum(dmran.redundancy(A))),
        "redundancy of the mean of the batch": model(overlap=overlap_of_means),
        "redundancy not squared": model(overlap=overlap_unsquared),
        "redundancy left out": feed(right.model, lambda i: {"redundancy": 0.0}),
        "penalty averaged instead of summed": model(lambda *a: squares(*a) / a[2].size),
        "penalty not halved": feed(right.model, lambda i: {"penalty": 2 * i["penalty"]}),
        "penalty of the user vector alone": model(lambda h, i_c, real: np.sum(h**2 * real)),
    },
}

# The text around the faults, without any: it must be right.
RIGHT = {
    "dmran.vanilla": [vanilla()],
    "dmran.fusion": [fusion()],
    "dmran": [model()],
}
