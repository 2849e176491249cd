"""Faults of HierSRec's candidates.  {component: {fault: function}}."""
from math import ceil

import numpy as np

from mbref.check.components import candidates as more, hiersrec as right
from tests.golden.fault import feed


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
        sums = np.cumsum(np.take_along_axis(amounts(inputs), ordered, axis=1), axis=1)
        reached = sums < wanted(inputs)
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


def shares(inputs, order=by_probability):
    """Mean share of the items that the first K of `order` hold, K = 1..C.  [C]."""
    held = np.take_along_axis(sizes(inputs), order(inputs["logp"]), axis=1)
    return np.cumsum(held.mean(axis=0)) / (len(inputs["category"]) - 1)


def closest(share, rho):
    return np.argmin(np.abs(share - rho)) + 1


def k_of_share(of=shares, pick=closest):
    """K by other shares of K = 1..C, or by another pick(shares, rho) of them."""
    return lambda p, i, tap: {"k": np.array([pick(of(i), rho) for rho in i["rho"]])}


def last_of_the_closest(share, rho):
    return len(share) - np.argmin(np.abs(share - rho)[::-1])


def first_that_reaches(share, rho):
    return np.argmax(share >= rho) + 1


def last_within(share, rho):
    return max((share <= rho).sum(), 1)


def mean_of_sessions(params, inputs, tap):
    """K of each session, and then their mean."""
    of_sessions = [shares({**inputs, "logp": logp[None]}) for logp in inputs["logp"]]
    ks = [[closest(share, rho) for share in of_sessions] for rho in inputs["rho"]]
    return {"k": np.round(np.mean(ks, axis=1)).astype(int)}


def injected(change):
    """change(allowed, column of the target [B, N] bool) in place of the two together."""
    def inject(params, inputs, tap):
        own = np.arange(inputs["allowed"].shape[1]) == inputs["target"][:, None] - 1
        return {"injected": change(inputs["allowed"], own)}
    return inject


def instead_of_another(allowed, own):
    """As many candidates as before: the first one makes room."""
    out = (np.cumsum(allowed, axis=1) == 1) & allowed & ~(allowed & own).any(axis=1)[:, None]
    return allowed & ~out | own


def room_left(inputs):
    return np.maximum(inputs["n"] - inputs["allowed"].sum(axis=1), 0)


def filled(room=room_left, order=by_probability, skip=True):
    """The first room(inputs) [B] items of another order, of no candidates or of all items.

    skip: leave out what is a candidate.
    """
    def fill(params, inputs, tap):
        popular = order(inputs["popularity"][None])[0]
        allowed = inputs["allowed"][:, popular]
        free = ~allowed if skip else np.ones_like(allowed)
        found = inputs["allowed"].copy()
        found[:, popular] |= free & (np.cumsum(free, axis=1) <= room(inputs)[:, None])
        return {"filled": found}
    return fill


def cut(params, inputs, tap):
    """Also those of more than n items end at n."""
    found = more.backfill(params, inputs, tap)["filled"]
    return {"filled": found & (np.cumsum(found, axis=1) <= inputs["n"])}


FAULTS = {
    "hiersrec.candidates_share": {
        "the first K that reaches the share": k_of_share(pick=first_that_reaches),
        "the last K within the share": k_of_share(pick=last_within),
        "the larger of two as close": k_of_share(pick=last_of_the_closest),
        "K counted from 0": k_of_share(pick=lambda share, rho: closest(share, rho) - 1),
        "share of the categories instead of the items": k_of_share(
            lambda i: np.arange(1, i["logp"].shape[1] + 1) / i["logp"].shape[1]),
        "categories in the order of their ids": k_of_share(lambda i: shares(i, by_id)),
        "ties go to the higher id": k_of_share(lambda i: shares(i, higher_first)),
        "K of each session averaged": mean_of_sessions,
    },
    "hiersrec.candidates_topk": {
        "ties go to the higher id": topk(higher_first),
        "all categories of a tie taken": topk_with_ties,
        "one category too few": topk(more=-1),
        "the least probable categories": topk(lambda logp: by_probability(-logp)),
    },
    "hiersrec.candidates_mass": {
        "the category that reaches tau left out": until(probabilities, lambda i: i["tau"], last=0),
        "no category where none may be needed": until(
            probabilities, lambda i: i["tau"], last=0, least=0),
        "ties go to the higher id": until(probabilities, lambda i: i["tau"], higher_first),
        "categories in the order of their ids": until(probabilities, lambda i: i["tau"], by_id),
        "one category too many": until(probabilities, lambda i: i["tau"], last=2),
    },
    "hiersrec.candidates_budget": {
        "share of the items rounded down": until(sizes, share_of_items(int)),
        "the category that reaches the budget left out": until(sizes, share_of_items(), last=0),
        "share of the categories instead of the items": lambda p, i, tap: chosen(
            by_probability(i["logp"]),
            np.full(len(i["logp"]), ceil(i["rho"] * i["logp"].shape[1]))),
        "ties go to the higher id": until(sizes, share_of_items(), higher_first),
        "padding counted as an item": until(
            lambda i: sizes(i) + (np.arange(i["logp"].shape[1]) == i["category"][0]),
            share_of_items()),
    },
    "hiersrec.candidate_items": {
        "column i is item i": feed(
            right.candidate_items, lambda i: {"category": np.roll(i["category"], 1)}),
        "items of the categories that were not chosen": feed(
            right.candidate_items, lambda i: {"chosen": ~i["chosen"]}),
        "categories counted from 1": feed(
            right.candidate_items, lambda i: {"chosen": np.roll(i["chosen"], 1, axis=1)}),
    },
    "hiersrec.inject_target": {
        "column i is item i": feed(
            more.inject_target, lambda i: {"target": i["target"] % i["allowed"].shape[1] + 1}),
        "the targets of all sessions put into each": injected(
            lambda allowed, own: allowed | own.any(axis=0)),
        "the target alone": injected(lambda allowed, own: own),
        "the target in the place of another candidate": injected(instead_of_another),
    },
    "hiersrec.backfill": {
        "n items added to each session": filled(lambda i: np.full(len(i["allowed"]), i["n"])),
        "popular candidates counted as added": filled(skip=False),
        "the least popular items": filled(order=lambda popularity: by_probability(-popularity)),
        "higher id first among equally popular": filled(order=higher_first),
        "longer lists cut to n": cut,
        "items in the order of their ids": filled(order=by_id),
    },
}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hiersrec.candidates_topk": [topk()],
    "hiersrec.candidates_mass": [until(probabilities, lambda i: i["tau"])],
    "hiersrec.candidates_budget": [until(sizes, share_of_items())],
    "hiersrec.candidates_share": [k_of_share()],
    "hiersrec.inject_target": [injected(lambda allowed, own: allowed | own)],
    "hiersrec.backfill": [filled()],
}
