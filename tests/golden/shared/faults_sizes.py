"""Faults that only show with many events, items or classes, or in settings.  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.candidates import choose
from mbref.check.casefile import manifest
from mbref.check.components import (
    atrank, atrank_groups, attention, dmran, hiersrec, hmar, layers, losses, masks, metrics)
from mbref.nn import layers as nn_layers
from tests.golden.fault import feed, plant


def hashed(function, *names):
    """`function` whose items share a place with every 64th."""
    return feed(function, lambda i: {name: np.where(i[name] > 0, i[name] % 64 + 1, 0) for name in names})


def in_a_byte(function, *names):
    return feed(function, lambda i: {name: i[name] & 255 for name in names})


def within(function, name, tile):
    """`function` whose masks end at the edge of a tile."""
    def cut(params, inputs, tap):
        mask = function(params, inputs, tap)[name]
        return {name: mask & (np.arange(mask.shape[-1]) < tile)}
    return cut


def kinds(function, most):
    """`function` that knows so many behaviours."""
    return feed(function, lambda i: {"behaviour": i["behaviour"] * (i["behaviour"] <= most)})


def first_events(function, name, most):
    """`function` that knows so many events."""
    return feed(function, lambda i: {name: i[name] * (np.arange(i[name].shape[1]) < most)})


TILES = {
    "masks.causal": {f"no keys after event {n}": within(masks.causal, "mask", n) for n in (8, 32)},
    "hmar.behaviour_mask": {f"no keys after event {n}": within(hmar.behaviour_mask, "mask", n) for n in (8, 32)},
    "masks.padding": {f"no events after event {n}": within(masks.padding, "mask", n) for n in (8, 16)},
    "masks.behaviour": {"behaviours beyond four left out": kinds(masks.behaviour, 4)},
    "masks.same_behaviour": {"behaviours beyond four left out": kinds(masks.same_behaviour, 4)},
    "attention.attention": {f"no keys after event {n}": feed(attention.attention, lambda i, n=n: {
        "allowed": i["allowed"] & (np.arange(i["allowed"].shape[-1]) < n)}) for n in (8, 16)},
    "hmar.indicator": {
        "items that share a hash share counts": hashed(hmar.indicator, "item"),
        "behaviours beyond four left out": kinds(hmar.indicator, 4)},
    "hmar.candidate_counts": {
        "items that share a hash share counts": hashed(hmar.candidate_counts, "item", "candidate")},
    "layers.lookup": {"rows read by one byte": in_a_byte(layers.lookup, "ids")},
    "losses.log_softmax": {"64 classes at most": lambda p, i, tap: {
        "logp": i["logits"] - np.log(np.sum(np.exp(i["logits"][..., :64]), axis=-1, keepdims=True))}},
    "losses.cross_entropy": {"64 classes at most": feed(losses.cross_entropy, lambda i: {
        "labels": np.minimum(i["labels"], 63)})},
    "hmar": {"behaviours beyond four weigh nothing": feed(hmar.model, lambda i: {
        "next_behaviour": np.minimum(i["next_behaviour"], 4)})},
    "atrank": {"no events after the eighth": first_events(atrank.model, "item", 8)},
    "dmran": {"no events after the eighth": first_events(dmran.model, "item", 8)},
    "hiersrec": {"no clicks predicted after the eighth": first_events(hiersrec.model, "next", 8)},
}


# The share of the items.

def budget(wanted):
    """The policy that asks for another number of items, from rho and N."""
    def chosen(params, inputs, tap):
        items = len(inputs["category"]) - 1
        exactly = max(1, int(wanted(inputs["rho"], items))) / items
        index = choose.index_of(inputs["category"], inputs["logp"].shape[1])
        return {"chosen": choose.budget(inputs["logp"], min(exactly, 1.0), index)}
    return chosen


BUDGET = {
    "hiersrec.candidates_budget": {
        "rho N rounded up before it is rounded": budget(lambda rho, n: np.ceil(rho * n)),
        "rho N rounded down": budget(lambda rho, n: np.floor(round(rho * n, 6))),
        "rho N rounded to the nearest": budget(lambda rho, n: np.round(rho * n)),
        "rho N cut off before it is rounded": budget(lambda rho, n: int(rho * n)),
    },
}


# Users that have no value.

def filled(function, value):
    """A number in the place of NaN."""
    return lambda p, i, tap: {name: np.where(np.isnan(a), value, a) for name, a in function(p, i, tap).items()}


UNDEFINED = {
    "metrics.recall_many": {"0 for users without positives": filled(metrics.recall_many, 0.0)},
    "metrics.ndcg_many": {"0 for users without positives": filled(metrics.ndcg_many, 0.0),
                          "1 for users without positives": filled(metrics.ndcg_many, 1.0)},
    "metrics.auc": {"1/2 for users without pairs": filled(metrics.auc, 0.5),
                    "0 for users without pairs": filled(metrics.auc, 0.0)},
    "metrics.macro_auc": {"0 where nobody has a value": filled(metrics.macro_auc, 0.0)},
    "metrics.mean_and_spread": {"spread 0 of one value": filled(metrics.mean_and_spread, 0.0)},
}


# Settings.

IGNORED = {"hmar": (hmar.model, "theta weights target indicator candidate_counts positives"),
           "atrank": (atrank.model, "penalty weight_decay scores group_relu query"),
           "dmran": (dmran.model, "redundancy penalty weight_decay bucket diagonal pool"),
           "hiersrec": (hiersrec.model, "category_weight pool softmax")}


def ignore_setting(family, function, name):
    """The model at the default of a setting, whatever is asked for."""
    default = manifest()["defaults"][family][name]
    return feed(function, lambda i: {name: default})


# Ids from 1 in a table without a row for padding.

def last_row(table, ids):
    """The rows of ids less 1: that of padding is the last."""
    return table[1:][ids - 1]


WRAPPED = {
    "layers.lookup": lambda p, i, tap: {"y": last_row(p["table"], i["ids"])},
    "layers.embed": plant(layers.embed, nn_layers, lookup=last_row),
    "hmar.candidate_code": plant(hmar.candidate_code, hmar, lookup=last_row),
    "atrank.behaviour_code": plant(atrank.behaviour_code, nn_layers, lookup=last_row),
    "atrank.group_code": plant(atrank_groups.group_code, nn_layers, lookup=last_row),
}


FAULTS = {**TILES, **BUDGET, **UNDEFINED}
for component, function in WRAPPED.items():
    FAULTS[component] = FAULTS.get(component, {}) | {"padding reads the last row": function}
for family, (function, names) in IGNORED.items():
    FAULTS[family] = FAULTS[family] | {
        f"{name} not read": ignore_setting(family, function, name) for name in names.split()}
RIGHT = {"hiersrec.candidates_budget": [budget(lambda rho, n: np.ceil(round(rho * n, 6)))]}
