"""What HMAR's release does to the data: its partition, its training sample, its evaluation.

"Deviation Dn" marks departures as in model.py. S users, B batch, L window length, K behaviour
types, C candidates.
"""
from typing import NamedTuple

import numpy as np

from mbref import metrics
from mbref.data import sequences, windows
from mbref.data.leave_one_out import hold_out
from mbref.data.sequences import Sequences
from mbref.errors import require


class Partition(NamedTuple):
    """Training rows of every user, and one held-out row, which is validation and test at once."""
    train: Sequences           # one sequence a user, perhaps without rows
    target: np.ndarray         # [S] the held-out item, 0 = this user only trains
    target_counts: np.ndarray  # [S, K] of it, whole log  # Deviation D16: validation is the test


class Next(NamedTuple):
    """What the loss compares at every position; `label` and `counts` may be another row's."""
    item: np.ndarray      # [B, L] 0 = nothing to predict here
    weight: np.ndarray    # [B, L] of the positive in the loss, by the behaviour of `item`
    label: np.ndarray     # [B, L] the behaviour to predict, 0..K-1
    counts: np.ndarray    # [B, L, K]
    negative: np.ndarray  # [B, L]


class Batch(NamedTuple):
    """Histories padded on the left with 0: the newest event is always at L - 1."""
    item: np.ndarray       # [B, L]
    behaviour: np.ndarray  # [B, L]
    counts: np.ndarray     # [B, L, K]
    next: Next | None = None                  # for the loss
    target_counts: np.ndarray | None = None   # [B, K] for ranking


def partition(log, target, drop_target_history=False, counts="whole-log", without_target="error"):
    """Hold out each user's last row of behaviour `target`; train on what is before, drop the rest.

    Users with fewer than 3 rows only train. drop_target_history: earlier rows on the held-out item
    go, too, as in the Tianchi file. counts: over the "whole-log", held-out and later rows included,
    as released; over the "training" rows; or "running" up to each of them. without_target: a user
    with rows enough but none of `target` is an "error", as released, or only to "train" on.
    Raises InputError for such a user, an unknown behaviour or an unknown choice.
    """
    require(target in log.behaviours,
            f"unknown target behaviour {target!r}: choose {', '.join(log.behaviours)}.")
    require(without_target in ("error", "train"),
            f"without_target is {without_target!r}: choose error or train.")
    is_target = log.behaviour == log.behaviours.index(target) + 1
    users, starts = np.unique(log.user, return_index=True)
    lists, held = [], np.full(len(users), -1)
    for s, rows in enumerate(np.split(np.arange(len(log.user)), starts[1:])):
        if len(rows) >= 3:
            # Deviation D15: earlier rows on the held-out item
            rows, row = hold_out(rows, log.item, is_target, drop_target_history)
            # Deviation D25: no target row is an error
            require(row is not None or without_target == "train", f"user {log.users[users[s]]} has "
                    f'no {target!r} row: give without_target="train".')
            held[s] = -1 if row is None else row
        lists.append(rows)
    is_held, K = held >= 0, len(log.behaviours)
    whole = sequences.whole_log_counts(log.user, log.item, log.behaviour, K)  # [rows, K]
    return Partition(train_lists(log, users, lists, whole, counts), log.item[held] * is_held,
                     whole[held] * is_held[:, None])


def train_lists(log, users, lists, whole, counts):
    """One sequence a user of the rows in `lists`, with the counts that `partition` is to give."""
    require(counts in ("whole-log", "training", "running"),
            f"unknown counts {counts!r}: whole-log, training, running.")
    rows, ptr = np.concatenate(lists), np.append(0, np.cumsum([len(part) for part in lists]))
    columns, K = (log.user[rows], log.item[rows], log.behaviour[rows]), len(log.behaviours)
    after = before = whole[rows]  # Deviation D8: later events count, too
    if counts == "training":
        after = before = sequences.whole_log_counts(*columns, K)
    elif counts == "running":
        after = sequences.running_counts(*columns, K)
        before = after - sequences.one_hot(columns[2], K)
    return Sequences(ptr, users, *columns[1:], after, before)


def users_to_train(train):
    """Users with a training row to read and one to predict.  -> places of sequences."""
    return np.flatnonzero(np.diff(train.ptr) >= 2)  # Deviation D26: nobody else is drawn


def users_to_test(events):
    """Users with a held-out row and a training row before it.  -> their places in the Partition."""
    return np.flatnonzero((events.target > 0) & (np.diff(events.train.ptr) >= 1))


def training_batch(events, rows, config, rng):
    """The sample of as many users as there are `rows`, drawn uniformly, some twice.  -> Batch."""
    users = users_to_train(events.train)
    require(len(users), "nothing to train on: no user has two rows before the held-out one.")
    return sample(events.train, rng.choice(users, len(rows)), config, rng)


def sample(train, users, config, rng):
    """The newest window of each user, what follows, and uniform negatives.  -> Batch."""
    batch, length, stop = newest(train, users, config, 1), config.length, train.ptr[users + 1]
    first = np.maximum(train.ptr[users], stop - 1 - length) + 1
    follow, kind, counts = (windows.pad_left(x, first, stop, length)
                            for x in (train.item, train.behaviour, train.before))
    weight = np.append(0, list_weights(config))[kind]  # Deviation D20: of positives alone
    label = np.maximum(kind, 1) - 1
    if config.reverse_context:  # Deviation D9: against the order of time
        counts, label = (reverse(x, batch.item > 0) for x in (counts, label))
    negative = draw_negatives(train, users, config.items, rng, length) * (follow > 0)
    return batch._replace(next=Next(follow, weight, label, counts, negative))


def list_weights(config):
    """w_b of the behaviours 1..K: the target has the first of the file's weights."""
    first, *weights = config.file.weights
    weights.insert(config.target - 1, first)
    return weights


def reverse(values, real):
    """The real part of each row, on the right, back to front.  [B, L, ...], real [B, L] -> same."""
    length = real.shape[1]
    mirror = 2 * length - 1 - real.sum(1, keepdims=True) - np.arange(length)  # [B, L]
    slot = np.where(real, mirror, np.arange(length))
    return values[np.arange(len(values))[:, None], slot]


def ranking_batch(events, users, config):
    """The newest rows of the users' whole training lists, reversed as in training.  -> Batch."""
    batch = newest(events.train, users, config)
    return batch._replace(target_counts=events.target_counts[users])


def newest(train, users, config, skip=0):
    """The newest rows of these sequences but the last `skip`, indicators reversed.  -> Batch."""
    length, stop = config.length, train.ptr[users + 1] - skip
    first = np.maximum(train.ptr[users], stop - length)
    item, behaviour, seen = (windows.pad_left(x, first, stop, length)
                             for x in (train.item, train.behaviour, train.counts))
    if config.reverse_context:  # Deviation D9: against the order of time
        seen = reverse(seen, item > 0)
    return Batch(item, behaviour, seen)


def draw_negatives(train, users, items, rng, count):
    """Uniform items that the users have no training row on, perhaps twice, perhaps held out.

    -> [B, count]. Raises InputError if a user has met all items.
    """
    met = np.zeros((len(users), items + 1), bool)
    for known, user in zip(met, users, strict=True):
        known[train.item[train.ptr[user] : train.ptr[user + 1]]] = True
    require(not met[:, 1:].all(1).any(),  # the release would search for ever
            "a user has training rows on every item: leave that user out.")
    negative = np.zeros((len(users), count), int)
    again = np.ones((len(users), count), bool)
    while again.any():
        negative[again] = rng.integers(1, items + 1, again.sum())
        again = np.take_along_axis(met, negative, axis=1)
    return negative


def candidates(events, users, items, rng, count=99):
    """The held-out item first, then `count` negatives, drawn anew.  -> [B, 1 + count]."""
    negatives = draw_negatives(events.train, users, items, rng, count)  # Deviation D17: some twice
    return np.append(events.target[users, None], negatives, axis=1)


def hits(scores, ties="release", k=10):
    """HR@k and NDCG@k of the first column of scores [B, C].  -> two arrays [B].

    ties: as in metrics.hit_rate, or "release": as they fall out of an unstable sort.
    """
    if ties != "release":
        places = metrics.greater_and_ties(scores, np.zeros(len(scores), int))
        return metrics.hit_rate(*places, k, ties), metrics.ndcg(*places, k, ties)
    rank = np.argsort(np.argsort(-scores, axis=1), axis=1)[:, 0]  # Deviation D18: ties as they fall
    return (rank < k).astype(float), np.where(rank < k, 1 / np.log2(rank + 2), 0)
