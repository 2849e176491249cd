"""What ATRank's release reads: ids from 0, lengths in place of masks, time as buckets; made from mbref's own batches.

Glossary of shapes: B batch, L history length of a group, C candidates, N objects of a group, F features.
"""
from typing import NamedTuple

import numpy as np

from mbref.data import group_events, targets
from mbref.errors import require
from mbref.nn.layers import time_bucket

ALL = 10**9  # events of a history: the release reads all


class History(NamedTuple):
    """Events of one group before the target, oldest first."""

    item: np.ndarray    # [B, L] 0..N-1; 0 after the end
    action: np.ndarray  # [B, L] 0..K-1
    time: np.ndarray    # [B, L] bucket of the time between the event and the target
    length: np.ndarray  # [B] number of events


class Batch(NamedTuple):
    """One row a target, as data/targets.py's, but as the release counts."""

    histories: tuple[History, ...]        # one a group
    features: tuple[np.ndarray, ...]      # one a group: [N, F] the ids of each object: itself, category, ...
    user: np.ndarray                      # [B] 0..U-1; mf alone reads it
    group: int = 0                        # of the candidates
    candidate: np.ndarray | None = None   # [B, C] for the loss; mf: the target, then its negative
    label: np.ndarray | None = None       # [B, C] True for the target itself


def examples(events, items, rng, pairs):
    """Rows to draw training batches from, one array a task: targets and negatives apart, or with pairs=True in a row.

    Every event but a user's first is a target; bpr/ learns from that one too.
    """
    source = group_events if isinstance(events, group_events.GroupEvents) else targets
    return source.examples(events, items, rng, pairs)


def batch(events, rows, items, unit, training):
    """Training targets `rows`, or else sequences `rows` to rank from, as a Batch; gaps in whole `unit` seconds."""
    source = group_events if isinstance(events, group_events.GroupEvents) else targets
    made = (source.training_batch if training else source.ranking_batch)(events, rows, ALL, items, unit)
    return from_ours(made, users(events, rows[:, 0] if training else rows, training) - 1)


def users(events, rows, training):
    """Ids 1.. of the users whose events (groups of objects, or training) or sequences are `rows`.  -> [B]."""
    if isinstance(events, group_events.GroupEvents):
        return events.log.user[rows]
    return events.user[np.searchsorted(events.ptr, rows, side="right") - 1 if training else rows]


def from_ours(batch, user):
    """A Batch of data/targets.py, with ids from 1 and 0 for padding, and users [B] from 0 as the release's.

    Objects count from 0; their features keep their ids, 0 for an unknown one, and so have tables of a row more.
    Raises InputError where no negative could be drawn, for which the release has no form.
    """
    require(batch.candidate is None or batch.candidate.all(), "a user has met every item: no negative can be drawn.")

    def history(h):
        return History(np.maximum(h.item - 1, 0), np.maximum(h.behaviour - 1, 0),
                       time_bucket(h.gap, "release"), np.sum(h.item > 0, axis=1))  # Deviation D5: its rule

    features = tuple(x[1:] - (np.arange(x.shape[1]) == 0) for x in batch.features)  # the object itself comes first
    candidate = None if batch.candidate is None else batch.candidate - 1
    return Batch(tuple(map(history, batch.histories)), features, user, batch.group, candidate, batch.label)
