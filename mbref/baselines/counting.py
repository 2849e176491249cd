"""Baselines that count and do not learn: popularity, co-occurrence, repeats. Every table has them.

Each maker takes the training sequences and gives a scorer: f(history, cases) -> scores [S, N] of
the S cases, which are sequences of `history`, as evaluation.py asks for.
"""
import numpy as np

from mbref.data.sequences import owner


def newest(history, case, last=None):
    """Item ids of one history, oldest first: of its `last` newest events, or of all."""
    items = history.item[history.ptr[case] : history.ptr[case + 1]]
    return items if last is None else items[-last:]


def case_by_case(score, items):
    """A scorer from score(history, case) -> [N + 1]."""
    return lambda history, cases: np.reshape(
        [score(history, case)[1:] for case in cases], (len(cases), items)).astype(float)


def popularity(events, items):
    """Score of an item: its events in training."""
    count = np.bincount(events.item, minlength=items + 1)
    return case_by_case(lambda history, case: count, items)


def popularity_users(events, items):
    """Score of an item: the users who met it in training, each once."""
    pairs = np.unique(np.stack([owner(events), events.item], axis=1), axis=0)  # [P, 2]
    count = np.bincount(pairs[:, 1], minlength=items + 1)
    return case_by_case(lambda history, case: count, items)


def repeats(events, items):
    """Score of an item: how often the user has met it, by any behaviour. Needs no training."""
    return case_by_case(
        lambda history, case: np.bincount(newest(history, case), minlength=items + 1), items)


def count_pairs(events, items, reach):
    """How often two items came within `reach` events of one another, in any sequence and order.

    An item beside itself counts, too. -> the pairs as sorted keys a (N + 1) + b, their counts
    """
    of, size, keys = owner(events), items + 1, [np.empty(0, np.int64)]
    for distance in range(1, reach + 1):
        together = of[distance:] == of[:-distance]
        a, b = events.item[:-distance][together], events.item[distance:][together]
        keys += [a * size + b, b * size + a]
    return np.unique(np.concatenate(keys), return_counts=True)


def co_occurrence(events, items, last, reach=5):
    """Score of an item: how often it came near the user's `last` newest ones, see count_pairs."""
    size = items + 1
    keys, count = count_pairs(events, items, reach)
    start = np.searchsorted(keys, np.arange(size + 1) * size)  # pairs of i: start[i]:start[i + 1]

    def score(history, case):
        scores = np.zeros(size)
        for i in newest(history, case, last):
            pairs = slice(start[i], start[i + 1])
            scores[keys[pairs] % size] += count[pairs]
        return scores

    return case_by_case(score, items)


def category_recency(events, items):
    """Score of an item: one over how many events ago its category was met. Needs no training."""
    category = events.category

    def score(history, case):
        age = np.full(category.max(initial=0) + 1, np.inf)
        past = category[newest(history, case)]
        age[past] = np.arange(len(past), 0, -1)  # of equal indices the last, the newest, stays
        age[0] = np.inf  # unknown is no category
        return 1 / age[category]

    return case_by_case(score, items)


def co_occurrence_then_popularity(events, items, last):
    """co_occurrence, and popularity among the items that tie in it."""
    together = co_occurrence(events, items, last)
    count = np.bincount(events.item, minlength=items + 1)[1:]  # [N]
    return lambda history, cases: together(history, cases) * (1 + count.max()) + count


def plain(events, items):
    """Every counting baseline under the name it has in the tables.  -> {name: scorer}."""
    scorers = {"popularity, events": popularity(events, items),
               "popularity, users": popularity_users(events, items),
               "co-occurrence, last item": co_occurrence(events, items, 1),
               "co-occurrence, last 10": co_occurrence(events, items, 10),
               "co-occurrence, popularity": co_occurrence_then_popularity(events, items, 10),
               "seen before": repeats(events, items)}
    if events.category is not None:
        scorers["category recency"] = category_recency(events, items)
    return scorers
