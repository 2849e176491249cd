"""Baselines that count and do not learn: popularity, co-occurrence, "seen before". They stand in every table.

Each maker takes the training sequences and returns a scorer (history, cases) -> [B, N] as in evaluation.py.
"""
import numpy as np

from mbref.evaluation import history_items


def popularity(events, items):
    """Score of an item: its events in training."""
    count = np.bincount(events.item, minlength=items + 1)[1:].astype(float)  # [N]
    return lambda history, cases: np.tile(count, (len(cases), 1))


def seen_before(events, items):
    """Score of an item: how often the user has met it, by any behaviour."""
    return lambda history, cases: np.array(
        [np.bincount(history_items(history, c), minlength=items + 1)[1:] for c in cases], float).reshape(-1, items)


def co_occurrence(events, items, last):
    """Score of an item: summed over the user's `last` newest events, the training users who met both items.

    An item does not co-occur with itself.
    """
    who = np.repeat(np.arange(len(events.user)), np.diff(events.ptr))
    pairs = np.unique(np.stack([who, events.item], axis=1), axis=0)  # [P, 2] each user's distinct items
    users_items = np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1)
    by_item = pairs[np.argsort(pairs[:, 1], kind="stable")]
    item_users = np.split(np.searchsorted(np.unique(pairs[:, 0]), by_item[:, 0]),
                          np.searchsorted(by_item[:, 1], np.arange(1, items + 1)))  # [N+1] arrays

    def together(item):
        lists = [users_items[u] for u in item_users[item]]
        count = np.bincount(np.concatenate([*lists, np.empty(0, int)]).astype(int), minlength=items + 1)
        count[item] = 0
        return count

    def score(history, cases):
        return np.array([sum(together(i) for i in history_items(history, c)[-last:])[1:] for c in cases], float)

    return score
