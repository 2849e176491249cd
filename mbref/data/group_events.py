"""From a log of several groups of objects to ATRank's batches: every group's history before a
target of any group.

Glossary of shapes: n events of the log, M targets, B batch, L longest history of a group, N_g
objects of group g.
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
    """As targets.examples, one array of rows for each group to predict.

    A user's very first event is a target too: what precedes it may be empty in one group and not in
    another anyway.
    """
    of_group = events.log.group[events.rows]
    return [_examples(events.log, events.rows[of_group == g], g, rng, pairs)
            for g in events.predict]


def _examples(log, rows, group, rng, pairs):
    """Targets `rows` of one group with a negative each, not among the user's objects in those rows.
    """
    positive, size = log.object[rows], len(log.objects[group]) - 1
    known = sequences.from_rows(log.user[rows], positive, log.action[rows], len(log.actions))
    owner = sequences.owner(known)
    negative = sequences.draw_negatives(rng, known, owner, positive[:, None], size)[:, 0]
    three = np.stack([rows, positive, negative], axis=1)  # [M, 3]
    return three if pairs else np.concatenate([three[:, :2], three[:, ::2]])


def training_batch(events, rows, length, items, unit=1):
    """Rows of `examples` [B, 1+C], all of one group, as a Batch."""
    event, candidate = rows[:, 0], rows[:, 1:]
    label = candidate == events.log.object[event][:, None]
    batch = ranking_batch(events, event, length, items, unit)
    return batch._replace(candidate=candidate, label=label)


def ranking_batch(events, cases, length, items, unit=1):
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
