"""Faults of DMRAN and HierSRec as a porter makes them: parameters of one shape that change places,
gradients that stop halfway, sums over other entries.  {component: {fault: function}}.
"""
import autograd.numpy as np

from mbref.check.components import dmran, hiersrec
from mbref.nn import attention as att
from mbref.nn.layers import stop_gradient
from mbref.papers import dmran as dmran_paper, hiersrec as hiersrec_paper
from mbref.variants import dmran as dmran_variant, hiersrec as hiersrec_variant
from tests.golden.fault import (
    alter,
    by_one,
    feed,
    freeze,
    give,
    plant,
    swap,
    transpose,
    without_bias,
)
from tests.golden.shared.faults_large import in_norm


# DMRAN.

def late_bucket(gap, rule, own=dmran_variant.time_bucket):
    return np.minimum(own(gap, rule) + 1, 13)


def apart(A):
    """What hops share, without how far each is from a single event."""
    shared = A @ np.swapaxes(A, 1, 2)
    return np.sum((shared * (1 - np.eye(A.shape[1]))) ** 2, axis=(1, 2))


def over_width(q, k, v, allowed, own=att.attention, **named):
    return own(q / q.shape[-1] ** 0.5, k, v, allowed, **named)


DMRAN = {
    "dmran.item_attention": {"W_s1 not transposed": give(
        dmran.item_attention, alter("W_s1", transpose))},
    "dmran.alignment": {
        **{f"{name} not transposed": give(dmran.alignment, alter(name, transpose))
           for name in ("W_s3", "W_s4", "W_s5")},
        "biases swapped": give(dmran.alignment, swap("b_s1", "b_s2"))},
    "dmran.feature_attention": {"rows get no gradient": feed(
        dmran.feature_attention, lambda i: {"M": stop_gradient(i["M"])}),
        "weights get no gradient": give(dmran.feature_attention, freeze)},
    "dmran.redundancy": {"diagonal left out": lambda p, i, tap: {"penalty": apart(i["A"])}},
    "dmran.vanilla": {"scores over the width": plant(
        dmran.vanilla, dmran_variant, attention=over_width)},
    "dmran.fusion": {
        "W_f1 and W_f2 swapped": give(dmran.fusion, swap("W_f1", "W_f2")),
        "W_f1 transposed": give(dmran.fusion, alter("W_f1", transpose)),
        "gate gets no gradient": give(dmran.fusion, freeze)},
    "dmran.history_code": {"buckets one late": plant(
        dmran.history_code, dmran_variant, time_bucket=late_bucket)},
    "dmran.score": {"W_f1 and W_f2 swapped": give(dmran.score, swap("W_f1", "W_f2")),
                    "W_s1 not transposed": give(dmran.score, alter("W_s1", transpose))},
    "dmran": {
        "W_f1 and W_f2 swapped": give(dmran.model, swap("W_f1", "W_f2")),
        "W_s4 and W_s3 swapped": give(dmran.model, swap("W_s3", "W_s4")),
        "W_s5 not transposed": give(dmran.model, alter("W_s5", transpose)),
        "buckets one late": plant(dmran.model, dmran_variant, time_bucket=late_bucket),
        "redundancy without gradient": plant(dmran.model, dmran_paper, redundancy=(
            lambda A: stop_gradient(dmran_variant.redundancy(A)))),
        "redundancy without the diagonal": plant(dmran.model, dmran_paper, redundancy=apart),
    },
}


# HierSRec.

def clicked(function):
    """Means over the sessions in place of the clicks that something follows."""
    def loss(params, inputs, tap):
        share = (inputs["next"] > 0).sum() / len(inputs["next"])
        return {name: a * share for name, a in function(params, inputs, tap).items()}
    return loss


def one_before(states, item):
    """The state of the click before the last."""
    last = np.maximum((item > 0).sum(1) - 2, 0)
    return states[np.arange(len(states)), last]


def of_encoder(params):
    return params["blocks"]


HIERSREC = {
    "hiersrec.encoder_block": {
        "norms swapped": give(hiersrec.encoder_block, swap("ln1", "ln2")),
        "queries and keys swapped": give(hiersrec.encoder_block, swap("q", "k")),
        "output matrix transposed": give(hiersrec.encoder_block, alter("o", transpose)),
        "value matrix transposed": give(hiersrec.encoder_block, alter("v", transpose)),
        "last layer without its bias": give(hiersrec.encoder_block, alter("f2", without_bias)),
    },
    "hiersrec.encode": {
        "norms swapped": give(hiersrec.encode, swap("ln1", "ln2", of_encoder)),
        "last norm left out": in_norm(hiersrec.encode, hiersrec_paper, lambda p: [p["ln"]],
                                      lambda p, x, eps=1e-8: x),
        "positions counted from 1": give(hiersrec.encode, alter("position", by_one)),
    },
    "hiersrec.category_logp": {"layer without its bias": give(
        hiersrec.category_logp, alter("category", without_bias))},
    "hiersrec.score": {
        "state of the click before the last": plant(
            hiersrec.score, hiersrec_variant, newest=one_before),
        "norms swapped": give(hiersrec.score, swap("ln1", "ln2", of_encoder)),
        "layer without its bias": give(hiersrec.score, lambda p: p | (
            {"item": without_bias(p["item"])} if "item" in p else {"b_i": 0 * p["b_i"]})),
    },
    "hiersrec": {
        "norms swapped": give(hiersrec.model, swap("ln1", "ln2", of_encoder)),
        "output matrix transposed": give(
            hiersrec.model, alter("o", transpose, of_encoder)),
        "positions counted from 1": give(hiersrec.model, alter("position", by_one)),
        "positions get no gradient": give(hiersrec.model, alter("position", stop_gradient)),
        "means over the sessions": clicked(hiersrec.model),
        "known items one off": feed(hiersrec.model, lambda i: {
            "known": np.roll(i["known"], 1)} if "known" in i else {}),
        "the category head trains no state": plant(
            hiersrec.model, hiersrec_variant, category_logp=(
                lambda params, s, own=hiersrec_variant.category_logp: own(
                    params, stop_gradient(s)))),
        "items' categories one off": feed(hiersrec.model, lambda i: {
            "category": np.maximum(i["category"] - 1, 0)}),
    },
}


FAULTS = {**DMRAN, **HIERSREC}

# The text around the faults, without any: it must be right.
RIGHT = {"dmran": [give(dmran.model, swap("W_f1", "W_f1"))],
         "hiersrec": [give(hiersrec.model, alter("o", lambda o: o, of_encoder))]}
