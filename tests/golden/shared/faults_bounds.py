"""Faults of many rows, keys, candidates and ids, of masks that are not low enough, and of settings that meet.

{component: {fault: function}}; every kind stands at every component that it can happen to.
"""
import autograd.numpy as np

from mbref.check.components import (
    atrank, atrank_groups, attention, dmran, hiersrec, hmar, hmar_released, layers, losses, masks, metrics)
from mbref.nn import attention as att
from mbref.papers import atrank as atrank_paper, dmran as dmran_paper, hmar as hmar_paper
from mbref.variants import dmran as dmran_variant
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import exponents, share


def within(a, axis, most):
    """1 for the first places along an axis, 0 beyond."""
    return (np.arange(a.shape[axis]) < most).reshape((-1,) + (1,) * (a.ndim - 1 - axis)) * 1


def end_rows(function, most):
    """`function` whose results are 0, or False, beyond a row."""
    def ended(params, inputs, tap):
        return {name: a * within(a, 0, most).astype(a.dtype) for name, a in function(params, inputs, tap).items()}
    return ended


def end_columns(function, most):
    """`function` whose results are 0 beyond a column."""
    def ended(params, inputs, tap):
        return {name: a * within(a, 1, most).astype(a.dtype) for name, a in function(params, inputs, tap).items()}
    return ended


def read_rows(function, name, most):
    """`function` for which ids or masks are 0 beyond a row."""
    return feed(function, lambda i: {name: i[name] * within(i[name], 0, most).astype(i[name].dtype)})


def read_columns(function, name, most):
    """`function` that reads so many keys of the last axis."""
    return feed(function, lambda i: {name: i[name] * (np.arange(i[name].shape[-1]) < most)})


def few_bits(function, name, bits):
    """`function` that keeps so many bits of ids."""
    return feed(function, lambda i: {name: i[name] & 2**bits - 1})


def set_to(low):
    """Scores that are not allowed set to a number that may not be low enough."""
    def softmax(scores, allowed):
        scores = np.where(allowed, scores, scores.dtype.type(low))
        return share(exponents(scores)) * np.any(allowed, axis=-1, keepdims=True)
    return softmax


def shifted_by_all(scores, allowed):
    """The shift is the largest of all scores, of those that are not allowed, too."""
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True)) * allowed
    total = np.sum(e, axis=-1, keepdims=True)
    return e / (total + (total == 0))


SOFTMAX = {"masked scores set to -10000": set_to(-1e4), "shift by the largest of all scores": shifted_by_all}
ATTENTION = {
    "attention.attention": (attention.attention, att), "hmar.behaviour_encoder": (hmar.behaviour_encoder, att),
    "hmar.sequence_encoder": (hmar.sequence_encoder, att), "atrank.user_vectors": (atrank_groups.user_vectors, att),
    "dmran.item_attention": (dmran.item_attention, dmran_paper), "dmran.alignment": (dmran.alignment, dmran_variant),
    "dmran.vanilla": (dmran.vanilla, att), "hiersrec.encoder_block": (hiersrec.encoder_block, att)}
ROWS = {
    "layers.dense": layers.dense, "layers.lookup": layers.lookup,
    "layers.embed": layers.embed,
    "masks.behaviour": masks.behaviour, "masks.same_behaviour": masks.same_behaviour,
    "attention.masked_softmax": attention.masked_softmax, "attention.attention": attention.attention,
    "losses.softplus": losses.softplus,
    "losses.sigmoid_cross_entropy": losses.sigmoid_cross_entropy, "losses.cross_entropy": losses.cross_entropy,
    "hmar.indicator": hmar.indicator,
    "hmar.candidate_counts": hmar.candidate_counts, "hmar.behaviour_encoder": hmar.behaviour_encoder,
    "hmar.sequence_encoder": hmar.sequence_encoder, "hmar.score": hmar.score,
    "atrank.attention_block": atrank.attention_block, "dmran.item_attention": dmran.item_attention,
    "dmran.redundancy": dmran.redundancy, "dmran.alignment": dmran.alignment, "dmran.vanilla": dmran.vanilla,
    "dmran.fusion": dmran.fusion, "hiersrec.encoder_block": hiersrec.encoder_block,
    "hiersrec.item_features": hiersrec.item_features, "hiersrec.category_logp": hiersrec.category_logp,
    "hiersrec.score": hiersrec.score, "hiersrec.candidates_topk": hiersrec.candidates_topk,
    "hiersrec.candidates_mass": hiersrec.candidates_mass, "hiersrec.candidates_budget": hiersrec.candidates_budget,
    "hiersrec.candidate_items": hiersrec.candidate_items, "metrics.greater_and_ties": metrics.greater_and_ties,
    "metrics.recall_many": metrics.recall_many, "metrics.ndcg_many": metrics.ndcg_many, "metrics.auc": metrics.auc,
    "metrics.hit_rate": metrics.hit_rate, "metrics.mrr": metrics.mrr, "metrics.ndcg": metrics.ndcg}
READ_ROWS = {"losses.masked_mean": (losses.masked_mean, "mask"), "masks.positions": (masks.positions, "ids"),
             "hmar": (hmar.model, "next_item"), "hmar.released": (hmar_released.released, "next_item"),
             "atrank": (atrank.model, "item"), "dmran": (dmran.model, "item"), "hiersrec": (hiersrec.model, "next")}
KEYS = {
    "attention.masked_softmax": (attention.masked_softmax, "allowed"), "dmran.vanilla": (dmran.vanilla, "real"),
    "atrank.score": (atrank.score, "item"), "dmran.score": (dmran.score, "item"), "hmar.score": (hmar.score, "item"),
    "hiersrec.score": (hiersrec.score, "item"),
    "masks.positions": (masks.positions, "ids"),
    "masks.behaviour": (masks.behaviour, "behaviour"), "masks.same_behaviour": (masks.same_behaviour, "behaviour"),
    "losses.masked_mean": (losses.masked_mean, "mask")}
CANDIDATES = {"atrank.score": atrank.score, "dmran.score": dmran.score, "hmar.score": hmar.score,
              "hiersrec.score": hiersrec.score, "dmran.fusion": dmran.fusion}
IDS = {"layers.lookup": (layers.lookup, "ids"), "layers.embed": (layers.embed, "ids"),
       "atrank.score": (atrank.score, "candidate"), "dmran.score": (dmran.score, "candidate"),
       "hmar.score": (hmar.score, "candidate"), "hiersrec.score": (hiersrec.score, "candidate"),
       "hiersrec.item_features": (hiersrec.item_features, "category"), "atrank": (atrank.model, "item"),
       "hiersrec.projection": (hiersrec.projection, "oracle")}
COUNTS = {f"counts of {name}": feed(hmar.code, lambda i, change=change: {"counts": change(i["counts"])})
          for name, change in (("8 bits", lambda c: c % 256), ("255 at most", lambda c: np.minimum(c, 255)))}
NINE = {"masks.behaviour": masks.behaviour, "masks.same_behaviour": masks.same_behaviour, "hmar.indicator": hmar.indicator,
        "hmar.candidate_counts": hmar.candidate_counts,
        "hmar.behaviour_encoder": hmar.behaviour_encoder}


# Settings that hold only where another one does not.

def unless(function, name, value, **other):
    """`function` that takes a setting for `value` where the settings `other` are as given."""
    def where(inputs):
        met = all(inputs.get(setting) == wanted for setting, wanted in other.items())
        return {name: value} if met and name in inputs else {}
    return feed(function, where)


TOGETHER = {
    "atrank": {
        "a group's layer has a ReLU with bilinear scores": unless(atrank.model, "group_relu", True, scores="bilinear"),
        "no item bias with bilinear scores": unless(atrank.model, "item_bias", False, scores="bilinear")},
    "hmar": {
        "raw counts where the bypass is": unless(hmar.model, "count_scale", "raw", merge="bypass"),
        "all are ranked where counts are logarithms": unless(hmar.model, "positives", "all", count_scale="log1p")},
    "dmran": {
        "the paper's buckets without fusion": unless(dmran.model, "bucket", "paper", fuse=False),
        "the diagonal is in where a norm follows": unless(dmran.model, "diagonal", True, robust=True),
        "no item bias in the item variant": unless(dmran.model, "item_bias", False, variant="item")},
    "hiersrec": {
        "the last state with a tied output": unless(hiersrec.model, "pool", "last", item_out="tied"),
        "known items alone with logits": unless(hiersrec.model, "softmax", "known", hier="logits"),
        "the category loss weighs 1 with a tied output": unless(hiersrec.model, "category_weight", 1.0, item_out="tied")}}


def mean(values, mask):
    """A mean that is not defined where there is nothing."""
    return np.sum(values * mask) / np.sum(mask).astype(values.dtype)


NOTHING = "no mean where there is nothing"
EMPTY = {"hmar": {NOTHING: plant(hmar.model, hmar_paper, masked_mean=mean)},
         "atrank": {NOTHING: plant(atrank.model, atrank_paper, masked_mean=mean)},
         "dmran": {NOTHING: plant(dmran.model, dmran_paper, masked_mean=mean)}}
FAULTS = {}


def add(component, name, function):
    FAULTS.setdefault(component, {})[name] = function


for component, (function, module) in ATTENTION.items():
    for name, softmax in SOFTMAX.items():
        add(component, name, plant(function, module, masked_softmax=softmax))
for component, function in ROWS.items():
    add(component, "no results after row 32", end_rows(function, 32))
for component, (function, name) in READ_ROWS.items():
    add(component, "no rows after row 32", read_rows(function, name, 32))
for component, (function, name) in KEYS.items():
    add(component, "no keys after key 64", read_columns(function, name, 64))
for component, function in CANDIDATES.items():
    add(component, "no results after candidate 64", end_columns(function, 64))
for component, (function, name) in IDS.items():
    add(component, "ids in 8 bits", few_bits(function, name, 8))
for component, function in NINE.items():
    add(component, "behaviours beyond eight left out", feed(function, lambda i: {
        "behaviour": i["behaviour"] * (i["behaviour"] <= 8)}))
for several in ({"hmar.code": COUNTS}, TOGETHER, EMPTY):
    for component, faults in several.items():
        for name, function in faults.items():
            add(component, name, function)
RIGHT = {component: [plant(function, module, masked_softmax=set_to(-1e30))]
         for component, (function, module) in ATTENTION.items()}
