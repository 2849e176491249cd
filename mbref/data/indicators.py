"""Counts of items where candidates are scored, and other readings of HMAR's batches.

B batch, C candidates, L window length, K behaviour types, N items, M pairs of a user and an item
that met. The readings take and return a windows.Batch; papers/hmar.py reads it as it comes.
"""
import autograd.numpy as np  # in checks, counts are differentiated, too
from autograd.tracer import getval

from mbref.data.windows import ItemCounts
from mbref.errors import MOST


def own_counts(history, candidates):
    """Each user's own counts of candidates [B, C].  history: ItemCounts -> [B, C, K]."""
    pairs = history.row * (MOST + 1) + history.item  # [M], increasing
    asked = np.arange(len(candidates), like=candidates)[:, None] * (MOST + 1) + candidates  # [B, C]
    at = np.searchsorted(pairs, asked)
    pairs = np.concatenate([pairs, np.zeros_like(pairs, shape=1)])  # whose counts are none
    at = np.where(pairs[at] == asked, at, len(pairs) - 1)
    return np.concatenate([history.counts, history.others[None]])[at]


def add_counts(scores, history, weights):
    """Add to scores [B, N], made with the counts `others` for all, what the listed pairs change.

    weights [B, K]: what one count of each behaviour adds. Writes into `scores` and returns it.
    """
    more = np.sum((history.counts - history.others) * weights[history.row], axis=1)  # [M]
    scores[history.row, history.item - 1] += more
    return scores


def map_counts(batch, change):
    """The batch with change(counts) in place of all counts, of events and of candidates."""
    made = {"counts": change(batch.counts)}
    for part, names in (("next", ("counts", "negative_counts")), ("history", ("counts", "others"))):
        if (held := getattr(batch, part)) is not None:
            made[part] = held._replace(**{name: change(getattr(held, name)) for name in names})
    return batch._replace(**made)


def hide(batch):
    """No counts anywhere."""
    return map_counts(batch, np.zeros_like)


def compress(batch):
    """log(1 + count) in place of the count."""
    return map_counts(batch, np.log1p)


def share(batch, target):
    """Candidates without counts of their own: a negative has those of the positive, as released.

    When ranking, every item counts one event of behaviour `target`.
    """
    if batch.next is not None:
        batch = batch._replace(next=batch.next._replace(negative_counts=batch.next.counts))
    if batch.history is not None:
        none = [part[:0] for part in batch.history[:3]]
        others = getval(batch.history.others)
        kind = np.arange(1, len(others) + 1, like=others) == target  # [K]
        batch = batch._replace(history=ItemCounts(*none, kind.astype(others.dtype)))
    return batch


def choose_positives(batch, kind, target):
    """L_rank compares "all" next events, those on "new" items, or those of behaviour "target"."""
    follow = batch.next
    chosen = {"all": True, "new": ~follow.counts.any(axis=-1),
              "target": follow.behaviour == target}[kind]  # [B, L]
    return batch._replace(next=follow._replace(ranked=chosen & (follow.item > 0)))
