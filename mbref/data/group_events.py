"""ATRank's batches from a log of several groups: every group's history before a target of any.

Shapes: n events of the log, M targets, B batch, L longest history of a group, N_g objects of g.
"""
from typing import NamedTuple

import numpy as np

from mbref.data import sequences, targets
from mbref.data.groups import GroupLog


class GroupEvents(NamedTuple):
    """A log, what a model reads of it and what it predicts."""
    log: GroupLog
    rows: np.ndarray           # [M] rows of the log that are targets in training
    read: tuple[int, ...]      # the groups whose history is read, in the model's order
    predict: tuple[int, ...]   # the groups whose events are targets; each is among those read


class GroupSplit(NamedTuple):
    """Rows of the log by their place in their user's life."""
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(log, share=0.15):
    """Each user's last `share` of events tests, as many before validate.  -> GroupSplit."""
    size = np.bincount(log.user)[log.user]  # [n]
    place = np.arange(len(log.user)) - np.searchsorted(log.user, log.user)
    held = np.maximum(1, np.round(share * size))
    test, validation = place >= size - held, place >= size - 2 * held
    return GroupSplit(*map(np.flatnonzero, (~validation, validation & ~test, test)))


def examples(events, items, rng, pairs=False):
    """As targets.examples for each group to predict; a user's first event is a target, too."""
    log, every = events.log, []
    for g in events.predict:
        rows = events.rows[log.group[events.rows] == g]
        known = own_events(log, rows)  # whose objects are no negatives
        negative = targets.draw_negatives_once(known, len(log.objects[g]) - 1, rng)
        every.append(targets.pair(rows, known.item, negative, pairs))
    return every


def own_events(log, rows):
    """Log rows of one group as Sequences, one a user."""
    return sequences.from_rows(log.user[rows], log.object[rows], log.action[rows], len(log.actions))


def training_batch(events, rows, length, items, unit):
    """Rows of `examples` [B, 1+C], all of one group, as a Batch."""
    event, candidate = rows[:, 0], rows[:, 1:]
    label = candidate == events.log.object[event][:, None]
    batch = ranking_batch(events, event, length, items, unit)
    return batch._replace(candidate=candidate, label=label)


def ranking_batch(events, cases, length, items, unit):
    """What each of the events `cases` [B], all of one group, is predicted from."""
    log, group = events.log, int(events.log.group[cases[0]])
    histories = tuple(history(log, g, cases, length, unit) for g in events.read)
    features = tuple(log.features[g] for g in events.read)
    return targets.Batch(histories, features, events.read.index(group))


def history(log, group, cases, length, unit):
    """The newest events of one group before each row of `cases`.  -> targets.History."""
    own = np.flatnonzero(log.group == group)
    first = np.searchsorted(own, np.searchsorted(log.user, log.user[cases]))
    stop = np.searchsorted(own, cases)
    part = sequences.Sequences(
        None, None, log.object[own], log.action[own], None, None, log.time[own])
    return targets.cut(part, np.maximum(first, stop - length), stop, log.time[cases], unit)
