"""Faults that show past a bound which most cases keep: of events, items, categories and numbers.

{component: {fault: function}}.
"""
import autograd.numpy as np

from mbref.check.components import atrank, atrank_groups, dmran, hiersrec, hmar, metrics
from mbref.nn.layers import matmul
from mbref.papers import dmran as paper
from mbref.variants import hiersrec as variant
from tests.golden.fault import feed, plant


def cut(function, name, most):
    """`function` that reads so many columns of a mask, or of ids."""
    return feed(function, lambda i: {name: i[name] * (np.arange(i[name].shape[-1]) < most)})


def allow(function, most):
    return feed(function, lambda i: {"allowed": i["allowed"] & (np.arange(i["allowed"].shape[-1]) < most)})


def bound(function, name, most):
    """`function` whose choice ends at a column."""
    def bounded(params, inputs, tap):
        chosen = function(params, inputs, tap)[name]
        return {name: chosen & (np.arange(chosen.shape[-1]) < most)}
    return bounded


def fold(function, name, most=64):
    """`function` in which ids above `most` start again at 1."""
    return feed(function, lambda i: {name: np.where(i[name] > most, i[name] - most, i[name])})


def turn_square(function, *names):
    """`function` that takes [B, T] for [T, B] where it cannot tell."""
    return feed(function, lambda i: {name: i[name].T for name in names if len(i[name]) == i[name].shape[1]})


def share_actions(function):
    """Every group reads the actions of the first one, where both have some."""
    def shared(params, inputs, tap):
        first, second = params["groups"]
        if not {"action"} <= first.keys() & second.keys():
            return function(params, inputs, tap)
        known = np.minimum(inputs["action_1"], len(first["action"]) - 1)
        groups = [first, second | {"action": first["action"]}]
        return function(params | {"groups": groups}, inputs | {"action_1": known}, tap)
    return shared


def sigmoid_of_exp(x):
    return 1 / (1 + np.exp(-x))


def mask_unknown(low):
    """HierSRec's loss with `low` added to the logits of items that are not known."""
    def sum_of_losses(p, q, labels, known):
        z = matmul(q, p["w"]) + p["b"] + ~known * q.dtype.type(low)
        top = np.max(z, axis=-1, keepdims=True)
        total = np.log(np.sum(np.exp(z - top), axis=-1)) + top[:, 0]
        return np.sum(total - z[np.arange(len(labels)), labels])
    return plant(hiersrec.model, variant, sum_of_losses=sum_of_losses)


FAULTS = {
    "atrank.score": {"candidates beyond 64 start again": fold(atrank.score, "candidate")},
    "atrank": {"no events after event 32": cut(atrank.model, "item", 32)},
    "atrank.groups_score": {"all groups read the first one's actions": share_actions(atrank_groups.groups_score)},
    "dmran.alignment": {"no rows after the eighth": allow(dmran.alignment, 8)},
    "dmran.fusion": {"a sigmoid by e^-x": plant(dmran.fusion, paper, sigmoid=sigmoid_of_exp)},
    "dmran.score": {"candidates beyond 64 start again": fold(dmran.score, "candidate")},
    "hmar": {"a square batch the other way round": turn_square(hmar.model, "item", "behaviour")},
    "hiersrec": {"a square batch the other way round": turn_square(hiersrec.model, "item"),
                 "masks of -50 for unknown items": mask_unknown(-50)},
    "hiersrec.score": {"a square batch the other way round": turn_square(hiersrec.score, "item")},
    "hiersrec.item_features": {"items in 7 bits": feed(hiersrec.item_features, lambda i: {"item": i["item"] & 127})},
    "hiersrec.candidate_items": {"64 items at most": bound(hiersrec.candidate_items, "allowed", 64)},
    "hiersrec.candidates_topk": {"32 categories at most": bound(hiersrec.candidates_topk, "chosen", 32)},
    "hiersrec.candidates_mass": {"32 categories at most": bound(hiersrec.candidates_mass, "chosen", 32)},
    "metrics.recall_many": {"64 candidates at most": allow(metrics.recall_many, 64)},
    "metrics.ndcg_many": {"64 candidates at most": allow(metrics.ndcg_many, 64)},
    "metrics.auc": {"64 candidates at most": allow(metrics.auc, 64)},
}
RIGHT = {"hiersrec": [mask_unknown(-1e9)]}
