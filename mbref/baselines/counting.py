"""Baselines that count and do not learn: popularity, co-occurrence, "seen before". They stand in every table.

Each maker takes the training sequences and returns a scorer (history, cases) -> [S, N] as in evaluation.py.
"""
import numpy as np

from mbref.data.sequences import owner


def newest(history, case, last=None):
    """Item ids of the `last` newest events of one history, oldest first; of all events without `last`."""
    items = history.item[history.ptr[case] : history.ptr[case + 1]]
    return items if last is None else items[-last:]


def popularity(events, items):
    """Score of an item: its events in training."""
    count = np.bincount(events.item, minlength=items + 1)[1:].astype(float)  # [N]
    return lambda history, cases: np.tile(count, (len(cases), 1))


def popularity_users(events, items):
    """Score of an item: the users who met it in training, each once."""
    pairs = np.unique(np.stack([owner(events), events.item], axis=1), axis=0)  # [P, 2]
    count = np.bincount(pairs[:, 1], minlength=items + 1)[1:].astype(float)  # [N]
    return lambda history, cases: np.tile(count, (len(cases), 1))


def seen_before(events, items):
    """Score of an item: how often the user has met it, by any behaviour. Needs no training."""
    return lambda history, cases: np.array(
        [np.bincount(newest(history, c), minlength=items + 1)[1:] for c in cases], float).reshape(-1, items)


def co_occurrence(events, items, last, reach=5):
    """Score of an item: how often it came within `reach` events of the user's `last` newest ones, in any sequence.

    Both directions count, and so does an item beside itself.
    """
    of = owner(events)  # [n]
    size, keys = items + 1, [np.empty(0, np.int64)]
    for d in range(1, reach + 1):
        together = of[d:] == of[:-d]
        a, b = events.item[:-d][together], events.item[d:][together]
        keys += [a * size + b, b * size + a]
    keys, count = np.unique(np.concatenate(keys), return_counts=True)  # sorted pairs and how often
    start = np.searchsorted(keys, np.arange(size + 1) * size)  # the pairs of item i are start[i]:start[i + 1]

    def score(history, cases):
        scores = np.zeros((len(cases), size))
        for row, case in zip(scores, cases, strict=True):
            for i in newest(history, case, last):
                pairs = slice(start[i], start[i + 1])
                row[keys[pairs] % size] += count[pairs]
        return scores[:, 1:]

    return score


def category_recency(events, items):
    """Score of an item: one over how many events ago the user last met its category. Needs no training."""
    category = events.category

    def score(history, cases):
        scores = np.zeros((len(cases), items))
        for row, case in zip(scores, cases, strict=True):
            age = np.full(category.max(initial=0) + 1, np.inf)
            past = category[newest(history, case)]
            age[past] = np.arange(len(past), 0, -1)  # of equal indices the last assignment, the newest event, stays
            age[0] = np.inf  # unknown is no category
            row[:] = 1 / age[category[1:]]
        return scores

    return score


def co_occurrence_then_popularity(events, items, last):
    """co_occurrence, and popularity among the items that tie in it."""
    together, popular = co_occurrence(events, items, last), popularity(events, items)

    def score(history, cases):
        tie_break = popular(history, cases)
        return together(history, cases) * (1 + tie_break.max(initial=0)) + tie_break

    return score


def plain(events, items):
    """Every counting baseline under the name it has in the tables.  -> {name: scorer}."""
    by_category = {} if events.category is None else {"category recency": category_recency(events, items)}
    return {
        "popularity, events": popularity(events, items),
        "popularity, users": popularity_users(events, items),
        "co-occurrence, last item": co_occurrence(events, items, 1),
        "co-occurrence, last 10": co_occurrence(events, items, 10),
        "co-occurrence, popularity": co_occurrence_then_popularity(events, items, 10),
        "seen before": seen_before(events, items),
        **by_category,
    }
