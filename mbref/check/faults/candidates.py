"""Faults of HierSRec's candidates.  {component: {fault: function}}."""
from math import ceil

import numpy as np

from mbref.check.faults import fed
from mbref.check.functions import hiersrec as right


def by_probability(logp, last_first=False):
    """Categories by falling probability; of equal ones the lower id first, or the higher."""
    if last_first:
        return logp.shape[1] - 1 - np.argsort(-logp[:, ::-1], axis=1, kind="stable")
    return np.argsort(-logp, axis=1, kind="stable")


def chosen(order, count):
    """The first count[b] of order[b].  -> [B, C] bool."""
    found = np.zeros(order.shape, bool)
    np.put_along_axis(found, order, np.arange(order.shape[1]) < count[:, None], axis=1)
    return {"chosen": found}


def topk(order=by_probability, more=0):
    return lambda p, i, tap: chosen(order(i["logp"]), np.full(len(i["logp"]), i["k"] + more))


def topk_with_ties(params, inputs, tap):
    logp = inputs["logp"]
    return {"chosen": logp >= -np.sort(-logp, axis=1)[:, [min(inputs["k"], logp.shape[1]) - 1]]}


def until(amounts, wanted, order=by_probability, last=1, least=1):
    """Categories until their amounts sum to `wanted`; last=0 leaves out the one that reaches it."""
    def policy(params, inputs, tap):
        ordered = order(inputs["logp"])
        reached = np.cumsum(np.take_along_axis(amounts(inputs), ordered, axis=1), axis=1) < wanted(inputs)
        return chosen(ordered, np.maximum(reached.sum(1) + last, least))
    return policy


def probabilities(inputs):
    return np.exp(inputs["logp"])


def sizes(inputs):
    held = np.bincount(inputs["category"][1:], minlength=inputs["logp"].shape[1])
    return np.broadcast_to(held, inputs["logp"].shape)


def share_of_items(rounded=ceil):
    return lambda i: max(1, rounded(round(i["rho"] * (len(i["category"]) - 1), 6)))


def by_id(logp):
    return np.broadcast_to(np.arange(logp.shape[1]), logp.shape)


def higher_first(logp):
    return by_probability(logp, last_first=True)


FAULTS = {
    "hiersrec.candidates_topk": {
        "ties go to the higher id": topk(higher_first),
        "all categories of a tie taken": topk_with_ties,
        "one category too few": topk(more=-1),
        "the least probable categories": topk(lambda logp: by_probability(-logp)),
    },
    "hiersrec.candidates_mass": {
        "the category that reaches tau left out": until(probabilities, lambda i: i["tau"], last=0),
        "no category where none may be needed": until(probabilities, lambda i: i["tau"], last=0, least=0),
        "ties go to the higher id": until(probabilities, lambda i: i["tau"], higher_first),
        "categories in the order of their ids": until(probabilities, lambda i: i["tau"], by_id),
        "one category too many": until(probabilities, lambda i: i["tau"], last=2),
    },
    "hiersrec.candidates_budget": {
        "share of the items rounded down": until(sizes, share_of_items(int)),
        "the category that reaches the budget left out": until(sizes, share_of_items(), last=0),
        "share of the categories instead of the items": lambda p, i, tap: chosen(
            by_probability(i["logp"]), np.full(len(i["logp"]), ceil(i["rho"] * i["logp"].shape[1]))),
        "ties go to the higher id": until(sizes, share_of_items(), higher_first),
        "padding counted as an item": until(
            lambda i: sizes(i) + (np.arange(i["logp"].shape[1]) == i["category"][0]), share_of_items()),
    },
    "hiersrec.candidate_items": {
        "column i is item i": fed(right.candidate_items, lambda i: {"category": np.roll(i["category"], 1)}),
        "items of the categories that were not chosen": fed(right.candidate_items, lambda i: {"chosen": ~i["chosen"]}),
        "categories counted from 1": fed(right.candidate_items, lambda i: {"chosen": np.roll(i["chosen"], 1, axis=1)}),
    },
}
