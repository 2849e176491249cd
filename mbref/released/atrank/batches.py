"""What ATRank's release reads: ids from 0, lengths in place of masks, time as buckets.

Made from mbref's own batches. Glossary of shapes: B batch, L history length of a group, C
candidates, N objects of a group, F features.
"""
from typing import NamedTuple

import numpy as np

from mbref.errors import require
from mbref.nn.layers import time_bucket


class History(NamedTuple):
    """Events of one group before the target, oldest first."""

    item: np.ndarray    # [B, L] 0..N-1; 0 after the end
    action: np.ndarray  # [B, L] 0..K-1
    time: np.ndarray    # [B, L] bucket of the time between the event and the target
    length: np.ndarray  # [B] number of events


class Batch(NamedTuple):
    """One row a target, as data/targets.py's, but as the release counts."""

    histories: tuple[History, ...]        # one a group
    features: tuple[np.ndarray, ...]      # one a group: [N, F] each object: itself, category, ...
    user: np.ndarray                      # [B] 0..U-1; mf alone reads it
    group: int = 0                        # of the candidates
    candidate: np.ndarray | None = None   # [B, C] for the loss; mf: the target, then its negative
    label: np.ndarray | None = None       # [B, C] True for the target itself


def from_ours(batch, user):
    """A Batch of data/targets.py, whose ids start at 1, and users [B] from 0, as the release's.

    Objects count from 0; their features keep their ids, 0 for an unknown one, and so have tables of
    a row more. Raises InputError where no negative could be drawn, for which the release has no
    form.
    """
    require(batch.candidate is None or batch.candidate.all(),
            "a user has met every item: no negative can be drawn.")

    def history(h):
        time = time_bucket(h.gap, "release")  # Deviation D5: its rule
        item, action = np.maximum(h.item - 1, 0), np.maximum(h.behaviour - 1, 0)
        return History(item, action, time, np.sum(h.item > 0, axis=1))

    # the object itself comes first among its features
    features = tuple(x[1:] - (np.arange(x.shape[1]) == 0) for x in batch.features)
    candidate = None if batch.candidate is None else batch.candidate - 1
    histories = tuple(map(history, batch.histories))
    return Batch(histories, features, user, batch.group, candidate, batch.label)
