"""Faults of rankings among HierSRec's candidates.  {component: {fault: function}}.

Column i - 1 is item i.
"""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.components import candidates as right
from mbref.metrics import MISS
from mbref.nn.losses import log_softmax
from tests.golden.fault import feed

# Places, and the list of the best.

def candidates(inputs):
    return inputs["chosen"][:, inputs["category"][1:]]


def counted(scores, allowed, column):
    """greater, ties, inside of one target."""
    if not allowed[column]:
        return MISS, 0, False
    others = np.delete(scores, column)[np.delete(allowed, column)]
    return (others > scores[column]).sum(), (others == scores[column]).sum(), True


def listed(scores, allowed, n, last_first=False):
    """The n best items and then 0; of equal ones the lower id first, or the higher."""
    columns = np.flatnonzero(allowed)
    ranked = columns[np.lexsort((-columns if last_first else columns, -scores[columns]))] + 1
    return np.append(ranked, np.zeros(n, int))[:n]


def places(see=candidates, place=counted, top=listed):
    """Another rule for who is a candidate, for a target's place, or for the list."""
    def ranked(params, inputs, tap):
        scores, target = inputs["queries"] @ inputs["weights"].T, inputs["target"]
        allowed = see(inputs)
        found = [place(*row) for row in zip(scores, allowed, target - 1, strict=True)]
        greater, ties, inside = (np.array(column) for column in zip(*found, strict=True))
        tops = [top(s, a, inputs["n"]) for s, a in zip(scores, allowed, strict=True)]
        return {"greater": greater, "ties": ties, "inside": inside, "top": np.array(tops)}
    return ranked


def tied_with_itself(scores, allowed, column):
    greater, ties, inside = counted(scores, allowed, column)
    return greater, ties + inside, inside


def ties_above(scores, allowed, column):
    greater, ties, inside = counted(scores, allowed, column)
    return greater + ties, 0, inside


def first_if_outside(scores, allowed, column):
    return counted(scores, allowed, column) if allowed[column] else (0, 0, False)


def last_if_outside(scores, allowed, column):
    return counted(scores, allowed, column) if allowed[column] else (allowed.sum(), 0, False)


def ranked_anyway(scores, allowed, column):
    with_target = allowed | (np.arange(len(allowed)) == column)
    return *counted(scores, with_target, column)[:2], allowed[column]


def zero_outside(scores, allowed, column):
    """The others keep a place in the ranking, with score 0."""
    everyone = np.ones_like(allowed)
    return counted(scores * allowed, everyone, column) if allowed[column] else (MISS, 0, False)


def filled_up(scores, allowed, n):
    """Candidates first, then all others by score."""
    return np.append(listed(scores, allowed, allowed.sum()), listed(scores, ~allowed, n))[:n]


PLACES = {
    "the target tied with itself": places(place=tied_with_itself),
    "ties counted as better": places(place=ties_above),
    "a target that is no candidate put first": places(place=first_if_outside),
    "a target that is no candidate put behind the last": places(place=last_if_outside),
    "a target that is no candidate ranked among them": places(place=ranked_anyway),
    "the target put among the candidates": places(lambda i: candidates(i) | (
        np.arange(len(i["weights"])) == i["target"][:, None] - 1)),
    "all items ranked": places(lambda i: np.ones_like(candidates(i))),
    "score 0 for items that are no candidates": places(
        place=zero_outside, top=lambda s, a, n: listed(s * a, np.ones_like(a), n)),
    "column i is item i": feed(
        right.places, lambda i: {"target": i["target"] % len(i["weights"]) + 1}),
    "list with the higher id first among equals": places(
        top=lambda s, a, n: listed(s, a, n, last_first=True)),
    "short list filled up with other items": places(top=filled_up),
}


# What candidates gain and lose.

def chance(greater, ties, k):
    """That a random order of ties puts the target among the first k."""
    return np.clip(k - greater, 0, ties + 1) / (ties + 1)


def gap(hit=chance, gained=lambda before, after, inside: np.mean(inside * (after - before)),
        lost=lambda before, inside: np.mean(~inside * before)):
    """Another hit rate, or another mean."""
    def gained_and_lost(params, inputs, tap):
        i = inputs
        before = hit(i["full_greater"], i["full_ties"], i["k"])
        after = hit(i["greater"], i["ties"], i["k"])
        return {"gained": np.asarray(gained(before, after, i["inside"])),
                "lost": np.asarray(lost(before, i["inside"]))}
    return gained_and_lost


def mean_of(values, mask):
    """Over those of the mask alone."""
    return np.sum(values * mask) / max(mask.sum(), 1)


GAP = {
    "every target outside counted as lost": gap(lost=lambda before, inside: np.mean(~inside)),
    "misses taken from what is gained": gap(
        gained=lambda before, after, inside: np.mean(after - before)),
    "means over the targets inside and outside, each alone": gap(
        gained=lambda before, after, inside: mean_of(after - before, inside),
        lost=lambda before, inside: mean_of(before, ~inside)),
    "all hits among the candidates counted as gained": gap(
        gained=lambda before, after, inside: np.mean(inside * after)),
    "ties given the best rank": gap(lambda greater, ties, k: 1.0 * (greater < k)),
    "ties given the worst rank": gap(lambda greater, ties, k: 1.0 * (greater + ties < k)),
    "cut-off one rank early": gap(lambda greater, ties, k: chance(greater, ties, k - 1)),
}


# Two-level softmax.

def within(z, category, total=np.log, shift=True):
    """Log softmax over the items of a category, as a product with the membership of all C."""
    own = category[1:]
    member = 1.0 * (own[:, None] == np.arange(1 + own.max()))  # [N, C]
    peaks = np.array([[row[own == c].max(initial=-1e30) for c in range(member.shape[1])]
                      for row in getval(z)])
    moved = z - peaks[:, own] if shift else z
    return moved - total(np.dot(np.exp(moved), member))[:, own]


def positive(sums):
    """The log of an empty category's sum, which nobody reads, is that of 1."""
    return np.log(np.where(getval(sums) > 0, sums, 1.0))


def of_two_levels(inner=lambda z, category: within(z, category, positive),
                  outer=lambda logp, own: logp[:, own]):
    """Another softmax of the items, or another reading of the categories."""
    def logp(params, inputs, tap):
        category = inputs["category"]
        of_category = outer(inputs["category_logp"], category[1:])
        return {"logp": of_category + inner(inputs["item_logits"], category)}
    return logp


TWO_LEVEL = {
    "softmax over all items instead of within the category": of_two_levels(
        lambda z, category: log_softmax(z)),
    "logits that no softmax normalises": of_two_levels(lambda z, category: z),
    "the category's log probability added twice": of_two_levels(
        outer=lambda logp, own: 2 * logp[:, own]),
    "probability of the category instead of its logarithm": of_two_levels(
        outer=lambda logp, own: np.exp(logp[:, own])),
    "items of unknown category without the category's part": of_two_levels(
        outer=lambda logp, own: logp[:, own] * (own > 0)),
    "categories counted from 1": of_two_levels(outer=lambda logp, own: logp[:, own - 1]),
    "log of an empty category's sum": of_two_levels(within),
    "exp without the largest logit taken off": of_two_levels(
        lambda z, category: within(z, category, positive, shift=False)),
    "probabilities instead of their logarithms": lambda p, i, tap: {
        "logp": np.exp(right.two_level_logp(p, i, tap)["logp"])},
}

FAULTS = {"hiersrec.places": PLACES, "hiersrec.gap": GAP, "hiersrec.two_level_logp": TWO_LEVEL}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hiersrec.places": [places()],
    "hiersrec.gap": [gap()],
    "hiersrec.two_level_logp": [of_two_levels()],
}
