"""Figures of sessions ranked among all items and among those of the likely categories alone.

Both come from the same scores. A target outside the candidates is a miss that stays in the
denominator; the number K of categories is chosen on validation sessions.

A two-head scorer is a function (history, cases) -> scores of all items [B, N], and log p of the
next category [B, C] or None, where nothing predicts that.

Shapes: S cases, B of them in a batch, N items, C categories with class 0 = unknown.
"""
from functools import partial

import numpy as np

from mbref import metrics
from mbref.candidates import choose, rank
from mbref.errors import require
from mbref.evaluation import batches

CUT = 20
SHARES = (0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0)  # wanted of the items, as a mean over sessions
LENGTHS = {"1 click": (1, 1), "2 clicks": (2, 2), "3-5 clicks": (3, 5), "6+ clicks": (6, np.inf)}


def index_of(split, log):
    """The candidates' Index of the log's items, with class 0 for items without a category."""
    return choose.index_of(split.train.category, len(log.categories))


def reachable(split, log):
    """Those of SHARES that whole categories can make.

    These are not below the mean share of the validation targets' own categories. So a column
    "at 4%" is 4% to within half a category, and a log of few large categories has no such column.
    """
    sizes = choose.sizes_of(index_of(split, log))
    least = sizes[split.train.category[split.validation.item]].mean() / split.items
    return tuple(share for share in SHARES if share >= min(least, 1))


def report(split, log, choosing, tested):
    """Every figure of a table row, of the test cases.  -> {column: number}.

    choosing, tested: two-head scorers. "MRR@20" is of the full ranking; "MRR@20 at 4%" among the
    items of K categories, K being the one whose mean share on the validation sessions is closest to
    4% by the scorer `choosing`; "MRR@20 at 4%, 1 click" of those cases. "share", "lowest share" and
    "highest share" are what the test sessions then rank; "gained" and "lost" are the two terms of
    what the choice changes in Recall. Shares out of reach and groups without cases have no columns.
    """
    index, groups = index_of(split, log), group_cases(split)
    ks = choose_ks(choosing, split.validation, index, reachable(split, log))
    policies = {f" at {share:.0%}": partial(choose.topk, K=K) for share, K in ks.items()}
    full, among = rank_targets(tested, split.test, index, policies)
    row = {name: value for name, value in figures(full, groups).items()
           if not name.startswith("coverage")}
    for (kind, (places, amounts)), K in zip(among.items(), ks.values(), strict=True):
        gap = rank.gap(full, places, CUT)
        row |= figures(places, groups, kind=kind)
        row |= {f"share{kind}": float(np.mean(amounts)),
                f"lowest share{kind}": float(np.min(amounts)),
                f"highest share{kind}": float(np.max(amounts)),
                f"K{kind}": K, f"gained{kind}": gap.gained, f"lost{kind}": gap.lost}
    return row | {f"cases{group}": int(which.sum()) for group, which in groups.items()}


def figures(places, groups, k=CUT, kind=""):
    """Recall, MRR, NDCG and coverage of each group of cases.  -> {"MRR@20 at 4%, 1 click": ...}."""
    return {f"{name}{kind}{group}": value for group, which in groups.items()
            for name, value in rank.report(*(x[which] for x in places), k=k).items()}


def group_cases(split):
    """The test cases by the clicks that the session has so far, and by whether the target is cold.

    A cold item has no click in what the final model trains on.
    -> {suffix of a column: [S] bool}, groups with cases; warm and cold only if some item is cold
    """
    size, target = np.diff(split.test.history.ptr), split.test.item
    groups = {"": np.ones(len(size), bool)}
    groups |= {f", {name}": (size >= low) & (size <= high) for name, (low, high) in LENGTHS.items()}
    cold = np.bincount(split.refit.item, minlength=split.items + 1)[target] == 0
    groups |= {", warm": ~cold, ", cold": cold} if cold.any() else {}
    return {name: which for name, which in groups.items() if which.any()}


def choose_ks(score, held, index, shares=SHARES, batch_size=64):
    """For every wanted share, the K of topk whose mean share is closest to it.

    -> {share: K}, empty if the two-head scorer predicts no categories
    """
    logp = [score(held.history, cases)[1] for cases in batches(len(held.item), batch_size)]
    if not logp or logp[0] is None:
        return {}
    return {share: choose.k_of_share(np.concatenate(logp), share, index) for share in shares}


def rank_targets(score, held, index, policies, batch_size=64):
    """Standings of the held-out items among all items and among the candidates of each policy.

    score: a two-head scorer. policies: {name: function of log p [B, C] -> chosen [B, C]}.
    -> (Standing, {name: (Standing, shares of the items that the sessions rank [S])})
    Raises InputError for scores that are not finite.
    """
    home, parts = home_of(index), {name: [] for name in (None, *policies)}
    for cases in batches(len(held.item), batch_size):
        target = held.item[cases]
        scores, logp = score(held.history, cases)
        counts = count_rivals(scores, target, index)
        everything = np.ones(counts[0].shape, bool)
        choices = {None: everything} | {name: policy(logp) for name, policy in policies.items()}
        for name, chosen in choices.items():
            places = place_targets(*counts, chosen, home[target])
            share = chosen @ choose.sizes_of(index) / len(index.order)
            parts[name].append((*places, share))
    columns = {name: list(map(np.concatenate, zip(*part, strict=True)))
               for name, part in parts.items()}
    among = {name: (rank.Standing(*columns[name][:3]), columns[name][3]) for name in parts}
    return among.pop(None)[0], among


def home_of(index):
    """The category of every item; entry 0 is not used.  -> [N + 1]."""
    home, sizes = np.empty(len(index.order) + 1, np.int64), choose.sizes_of(index)
    home[index.order] = np.repeat(np.arange(len(sizes)), sizes)
    return home


def count_rivals(scores, target, index):
    """How many items of each category score more than the target, and the same, itself included.

    One look at the scores [B, N] thus serves every policy. -> 2 [B, C]
    Raises InputError for scores that are not finite.
    """
    require(np.isfinite(scores).all(), "scores must be finite; mend the model.")
    own = scores[np.arange(len(scores)), target - 1][:, None]
    return sum_by_category(scores > own, index), sum_by_category(scores == own, index)


def place_targets(greater, ties, chosen, home):
    """Standing of the targets, of category `home` [B], among the items of the chosen categories.

    greater, ties [B, C] of count_rivals, chosen [B, C].
    """
    inside = choose.holds(chosen, home)
    greater = np.where(inside, (greater * chosen).sum(axis=1), metrics.MISS)
    return rank.Standing(greater, np.where(inside, (ties * chosen).sum(axis=1) - 1, 0), inside)


def sum_by_category(values, index):
    """Sums of columns [B, N] over the items of each category.  -> [B, C]."""
    kind = np.int64 if values.dtype == bool else values.dtype
    sums = np.zeros((len(values), values.shape[1] + 1), kind)
    np.cumsum(values[:, index.order - 1], axis=1, out=sums[:, 1:])
    return np.diff(sums[:, index.indptr], axis=1)
