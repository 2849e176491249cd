"""Figures of sessions ranked among all items and among those of the likely categories alone, from the same scores.

A target outside the candidates is a miss that stays in the denominator; K is chosen on validation sessions. A `scorer`
here is (history, cases) -> scores [B, N] and log p of the next category [B, C], or None without that head.

Shapes: S cases, B of them in a batch, N items, C categories with class 0 = unknown.
"""
from functools import partial

import numpy as np

from mbref import metrics
from mbref.candidates import choose as gate, rank as scored
from mbref.errors import require
from mbref.evaluation import batches

CUT = 20
SHARES = (0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0)  # wanted of the items, as a mean over sessions, where reachable
LENGTHS = {"1 click": (1, 1), "2 clicks": (2, 2), "3-5 clicks": (3, 5), "6+ clicks": (6, np.inf)}  # so far


def index_of(split, log):
    """The candidates' Index of the log's items, with class 0 for items without a category."""
    return gate.index_of(split.train.category, len(log.categories))


def reachable(split, log, shares=SHARES):
    """Those of the shares that whole categories can make: not below that of the validation targets' own, on average.

    So a column "at 4%" is 4% to within half a category, and a log of few large categories has no such column.
    """
    sizes = gate.sizes_of(index_of(split, log))
    least = sizes[split.train.category[split.validation.item]].mean() / split.items
    return tuple(share for share in shares if share >= min(least, 1))


def report(split, log, chosen, tested, shares=SHARES, k=CUT):
    """Every figure of a table row, of the test cases.  -> {column: number}.

    "MRR@20" is of the full ranking; "MRR@20 at 4%" among the candidates of K categories, K being the one whose mean
    share on the validation sessions is closest to 4% by the scorer `chosen`; "MRR@20 at 4%, 1 click" of those cases.
    Only `reachable` shares have columns.
    "share", "lowest share" and "highest share" are what the test sessions then rank; "gained" and "lost" are the two
    terms of what the gate changes in Recall. Shares and groups without cases have no columns.
    """
    index, groups = index_of(split, log), groups_of(split)
    ks = wanted_ks(chosen, split.validation, index, reachable(split, log, shares))
    policies = {f" at {share:.0%}": partial(gate.topk, K=K) for share, K in ks.items()}
    full, among = ranked(tested, split.test, index, policies)
    row = {name: value for name, value in figures(full, groups, k).items() if not name.startswith("coverage")}
    for (kind, (places, amounts)), K in zip(among.items(), ks.values(), strict=True):
        gap = scored.gap(full, places, k)
        row |= figures(places, groups, k, kind)
        row |= {f"share{kind}": float(np.mean(amounts)), f"lowest share{kind}": float(np.min(amounts)),
                f"highest share{kind}": float(np.max(amounts)), f"K{kind}": K,
                f"gained{kind}": gap.gained, f"lost{kind}": gap.lost}
    return row | {f"cases{group}": int(which.sum()) for group, which in groups.items()}


def figures(places, groups, k=CUT, kind=""):
    """Recall, MRR, NDCG at k and coverage for each group of cases.  -> {"MRR@20 at 4%, 1 click": ...}."""
    return {f"{name}{kind}{group}": value for group, which in groups.items()
            for name, value in scored.report(*(x[which] for x in places), k=k).items()}


def groups_of(split):
    """The test cases by how many clicks the session has so far, and by whether the target was ever trained on.

    -> {suffix of a column: [S] bool}, those with cases; warm and cold only where some item is cold.
    """
    size, target = np.diff(split.test.history.ptr), split.test.item
    groups = {"": np.ones(len(size), bool)}
    groups |= {f", {name}": (size >= low) & (size <= high) for name, (low, high) in LENGTHS.items()}
    cold = np.bincount(split.refit.item, minlength=split.items + 1)[target] == 0
    groups |= {", warm": ~cold, ", cold": cold} if cold.any() else {}
    return {name: which for name, which in groups.items() if which.any()}


def wanted_ks(score, held, index, shares=SHARES, batch_size=64):
    """For every wanted share, the K of topk whose mean share is closest to it; none without a category head.

    -> {share: K}.
    """
    logp = [score(held.history, cases)[1] for cases in batches(len(held.item), batch_size)]
    if not logp or logp[0] is None:
        return {}
    return {share: gate.k_of_share(np.concatenate(logp), share, index) for share in shares}


def ranked(score, held, index, policies, batch_size=64):
    """Places of the held-out items among all items and among each policy's candidates, from the same scores.

    policies: {name: function of log p [B, C] -> chosen [B, C]}.
    -> (Places, {name: (Places, shares of the items that the sessions rank [S])}).
    Raises InputError for scores that are not finite.
    """
    everything, parts = np.ones(len(index.indptr) - 1, bool), {name: [] for name in (None, *policies)}
    home = np.empty(len(index.order) + 1, np.int64)
    home[index.order] = np.repeat(np.arange(len(everything)), gate.sizes_of(index))
    for cases in batches(len(held.item), batch_size):
        scores, logp = score(held.history, cases)
        own, counts = home[held.item[cases]], rivals(scores, held.item[cases], index)
        for name, policy in {None: None, **policies}.items():
            chosen = policy(logp) if policy else np.tile(everything, (len(cases), 1))
            parts[name].append((*placed(*counts, chosen, own), chosen @ gate.sizes_of(index) / len(index.order)))
    found = {name: list(map(np.concatenate, zip(*part, strict=True))) for name, part in parts.items()}
    full, *among = ((scored.Places(*columns[:3]), columns[3]) for columns in found.values())
    return full[0], dict(zip(policies, among, strict=True))


def rivals(scores, target, index):
    """How many items of each category score more than the target, and the same, itself included.  -> 2 [B, C].

    One look at the scores [B, N] thus serves every policy. Raises InputError for scores that are not finite.
    """
    require(np.isfinite(scores).all(), "scores must be finite; mend the model.")
    own = scores[np.arange(len(scores)), target - 1][:, None]
    return by_category(scores > own, index), by_category(scores == own, index)


def placed(greater, ties, chosen, home):
    """Places of the targets, of category `home` [B], among the chosen categories.  greater, ties, chosen [B, C]."""
    inside = gate.holds(chosen, home)
    return scored.Places(np.where(inside, (greater * chosen).sum(axis=1), metrics.MISS),
                       np.where(inside, (ties * chosen).sum(axis=1) - 1, 0), inside)


def by_category(values, index):
    """Sums of columns [B, N] over the items of each category.  -> [B, C]."""
    sums = np.zeros((len(values), values.shape[1] + 1), np.int64 if values.dtype == bool else values.dtype)
    np.cumsum(values[:, index.order - 1], axis=1, out=sums[:, 1:])
    return np.diff(sums[:, index.indptr], axis=1)
