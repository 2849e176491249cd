"""Faults of other porters: masks that are not low enough, blocks in the other order, residuals and
biases at another place, the next event's time, penalties of the wrong sign.

{component: {fault: function}}.
"""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.components import (
    atrank,
    atrank_groups,
    dmran,
    hiersrec,
    hmar,
)
from mbref.nn import attention as att
from mbref.nn.attention import masked_softmax
from mbref.nn.layers import dense, dense_relu, layer_norm, matmul, stop_gradient
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy, whole
from mbref.papers import atrank as atrank_paper, dmran as dmran_paper, hiersrec as hiersrec_paper
from mbref.variants import atrank as atrank_variant, dmran as dmran_variant
from tests.golden.fault import feed, give, plant
from tests.golden.shared.faults_attention import exponents, share


# Attention.

def fill(scores, allowed):
    """Masked scores are -1e4, as in half precision."""
    filled = np.where(allowed, scores, np.asarray(-1e4, scores.dtype))
    return share(exponents(filled)) * np.any(allowed, axis=-1, keepdims=True)


FILL = "masked scores set to -1e4"
LOW = {"attention.masked_softmax": {FILL: lambda p, i, tap: {
           "weights": fill(i["scores"], i["allowed"])}}}


# Blocks.

def reverse(*parts):
    """A change of parameters: lists of blocks from the last to the first."""
    return lambda params: params | {name: params[name][::-1] for name in parts if name in params}


BOTH = {"blocks in the other order": reverse("blocks"),
        "blocks of self-attention in the other order": reverse("self"),
        "blocks of attention to the history in the other order": reverse("vanilla")}
STACKED = {"hmar.score": hmar.score, "hmar": hmar.model, "hiersrec.encode": hiersrec.encode,
           "hiersrec.score": hiersrec.score, "hiersrec": hiersrec.model}
OF_TWO = {"atrank.score": atrank.score, "atrank": atrank.model,
          "atrank.groups_score": atrank_groups.groups_score}
ORDER = {name: {fault: give(function, BOTH[fault]) for fault in list(BOTH)[:1]}
         for name, function in STACKED.items()} | {
    name: {fault: give(function, BOTH[fault]) for fault in list(BOTH)[1:]}
    for name, function in OF_TWO.items()}


def dot_block(relu_last=False, second=lambda y, query: y):
    """ATRank's released block with something else in its feed-forward."""
    def block(p, query, memory, allowed, heads, drop, tap, name):
        q, k, v = dense_relu(p["q"], query), *(dense_relu(p[part], memory) for part in "kv")
        y = layer_norm(p["ln"], att.attention(q, k, v, allowed, heads, drop, tap, name) + query)
        last = dense_relu if relu_last else dense
        return layer_norm(p["ln_f"], last(p["f2"], dense_relu(p["f1"], y)) + second(y, query))
    return block


def encoder_block(values=lambda a, h: a, norm=lambda h, before: h):
    """HierSRec's block, whose values or whose feed-forward read something else."""
    def block(p, h, allowed, heads, drop, tap):
        a = layer_norm(p["ln1"], h)
        q, k, v = matmul(a, p["q"]), matmul(a, p["k"]), matmul(values(a, h), p["v"])
        found = h + matmul(att.attention(q, k, v, allowed, heads, drop, tap), p["o"])
        return found + dense(p["f2"], dense_relu(p["f1"], layer_norm(p["ln2"], norm(found, h))))
    return block


def of_blocks(function, **changes):
    return plant(function, atrank_variant, dot_block=dot_block(**changes))


BLOCKS = {
    name: {"ReLU after the last layer": of_blocks(function, relu_last=True),
           "second residual of the query": of_blocks(function, second=lambda y, query: query),
           "second residual gets no gradient": of_blocks(
               function, second=lambda y, query: stop_gradient(y))}
    for name, function in (("atrank.attention_block", atrank.attention_block),
                           ("atrank", atrank.model))}
HIERSREC = {
    name: {"values of what is not normalised": plant(
               function, module, encoder_block=encoder_block(values=lambda a, h: h)),
           "feed-forward beside the attention": plant(
               function, module, encoder_block=encoder_block(norm=lambda h, before: before))}
    for name, function, module in (
        ("hiersrec.encoder_block", hiersrec.encoder_block, hiersrec.hiersrec),
        ("hiersrec.encode", hiersrec.encode, hiersrec_paper),
        ("hiersrec", hiersrec.model, hiersrec_paper))}


# Events, norms, sums.

def next_gap(inputs):
    gap = inputs["gap"]
    return {"gap": np.concatenate([gap[:, 1:], 0 * gap[:, :1]], axis=1)}


def outside_tanh(params, M, allowed):
    """b_s2 is added to the tanh, not to what it reads."""
    row_i, row_j = (M @ params[name].T for name in ("W_s4", "W_s3"))
    F = (np.tanh(row_i[:, :, None] + row_j[:, None]) + params["b_s2"]) @ params["W_s5"].T
    beta = masked_softmax(np.swapaxes(F, 2, 3), allowed[:, :, None])
    return np.swapaxes(beta, 2, 3) + 0 * stop_gradient(params["b_s1"])


def root_mean_square(p, x, eps):
    return p["gamma"] * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) + p["beta"]


def count_of_others(values, mask):
    """How many values are not 0, where padding is taken for what is 0."""
    return np.sum(values * mask) / np.maximum(np.sum((getval(values) != 0) & mask), 1)


def add_to_norm(params, inputs, tap):
    """The norm and 1e-6, as PyTorch's function has it."""
    w, b = inputs["w"], inputs["b"]
    factor = inputs["limit"] / (np.sqrt(np.sum(w * w) + np.sum(b * b)) + 1e-6)
    return {name: a * np.minimum(1, factor).astype(a.dtype) for name, a in (("w", w), ("b", b))}


def atrank_loss(sign):
    """ATRank's loss, whose penalty has a sign."""
    def loss(params, batch, config, rng, forward, logits):
        states = forward(params, batch, config)
        z, u, h = logits(params, batch, states, batch.candidate, config)
        real = batch.candidate > 0
        size = np.sum((u**2 + h**2) * real[..., None])
        fit = masked_mean(sigmoid_cross_entropy(z, batch.label), real)
        return fit + sign * config.penalty / 2 * size
    return loss


def dmran_loss(sign):
    """DMRAN's loss, whose redundancy has a sign."""
    def loss(params, batch, config, rng, forward, logits, own=dmran_paper.loss):
        overlap = np.sum(dmran_paper.redundancy(forward(params, batch, config)[2]))
        more = (sign - 1) * config.redundancy * overlap / whole(len(batch.label))
        return own(params, batch, config, rng, forward, logits) + more
    return loss


SIGN = {"atrank": {"penalty of the wrong sign": plant(
            atrank.model, atrank_paper, loss=atrank_loss(-1))},
        "dmran": {"redundancy of the wrong sign": plant(
            dmran.model, dmran_paper, loss=dmran_loss(-1))}}
GAPS = {name: {"the next event's time": feed(function, next_gap)} for name, function in (
    ("atrank.behaviour_code", atrank.behaviour_code), ("atrank", atrank.model),
    ("dmran.history_code", dmran.history_code), ("dmran", dmran.model))}
REST = {
    "dmran.alignment": {"b_s2 outside the tanh": plant(
        lambda p, i, tap: {"beta": dmran_variant.feature_weights(p, i["M"], i["allowed"])},
        dmran_variant, feature_weights=outside_tanh)},
    "layers.layer_norm": {"mean not taken away": lambda p, i, tap: {
        "y": root_mean_square(p, i["x"], i["eps"])}},
    "losses.masked_mean": {"divided by how many values are not 0": lambda p, i, tap: {
        "mean": count_of_others(i["values"], i["mask"])}},
    "optim.clip_by_global_norm": {"1e-6 added to the norm": add_to_norm},
    "hiersrec.candidate_items": {"the last item left out": lambda p, i, tap: {
        "allowed": hiersrec.candidate_items(p, i, tap)["allowed"] & (
            np.arange(1, len(i["category"])) < len(i["category"]) - 1)}},
}

FAULTS = {}
for faults in (LOW, ORDER, BLOCKS, HIERSREC, SIGN, GAPS, REST):
    for component, of_component in faults.items():
        FAULTS[component] = FAULTS.get(component, {}) | of_component

# The text around the faults, without any: it must be right.
RIGHT = {"atrank": [of_blocks(atrank.model), plant(
             atrank.model, atrank_paper, loss=atrank_loss(1))],
         "dmran": [plant(dmran.model, dmran_paper, loss=dmran_loss(1))],
         "hiersrec": [plant(hiersrec.model, hiersrec_paper, encoder_block=encoder_block())]}
