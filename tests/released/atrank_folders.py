"""Each folder of ATRank's release as a model, on logs of one group or of several; users count from 0."""
import numpy as np

from mbref.data import group_events
from mbref.data.target_batches import maker
from mbref.released.atrank.trainable import from_ours
from mbref.released.atrank.model import Config, forward, init, loss, score, score_all  # noqa: F401

DAY = 86400
ALL = 10**9  # events of a history: the release reads all


def count_items(config):
    """N: objects of the first group."""
    return next(rows for name, rows, _ in config.tables if name == config.groups[0][0])


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task; mf takes a target with its negative."""
    return maker(events).examples(events, count_items(config), rng, config.net == "mf")


def training_batch(events, rows, config, rng=None):
    """Training targets `rows` as a Batch; gaps in whole days."""
    made = maker(events).training_batch(events, rows, ALL, count_items(config), DAY)
    if isinstance(events, group_events.GroupEvents):
        return from_ours(made, events.log.user[rows[:, 0]] - 1)
    sequence = np.searchsorted(events.ptr, rows[:, 0], side="right") - 1  # [B]
    return from_ours(made, events.user[sequence] - 1)


def ranking_batch(events, cases, config):
    """Sequences `cases` to rank from, or events of groups of objects, as a Batch."""
    made = maker(events).ranking_batch(events, cases, ALL, count_items(config), DAY)
    users = events.log.user if isinstance(events, group_events.GroupEvents) else events.user
    return from_ours(made, users[cases] - 1)
