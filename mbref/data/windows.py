"""Windows, padded on the left, for models that read a history once for all its positions.

A model takes examples, training_batch and ranking_batch as its own; its config says items and
length. Shapes: n events, S sequences, B batch, L window length, K behaviour types, N items.
"""
from typing import NamedTuple

import numpy as np

from mbref.data.sequences import counts_before, draw_negatives, pick_rows, ranges, take
from mbref.nn import masks


class Next(NamedTuple):
    """What the loss compares at a position: the event that came next, and an item that did not."""
    item: np.ndarray             # [B, L] 0 = nothing to predict here
    behaviour: np.ndarray        # [B, L]
    counts: np.ndarray           # [B, L, K] of `item`, strictly before it came
    negative: np.ndarray         # [B, L] 0 = none could be drawn
    negative_counts: np.ndarray  # [B, L, K] of `negative`, at the same moment
    ranked: np.ndarray           # [B, L] True where the ranking loss compares the two


class ItemCounts(NamedTuple):
    """How often each user of a batch met each item: the M pairs that met, by row and item."""
    row: np.ndarray     # [M] in the batch
    item: np.ndarray    # [M]
    counts: np.ndarray  # [M, K]
    others: np.ndarray  # [K] of every pair that is not listed


class Batch(NamedTuple):
    """Histories padded on the left with 0 to one length: the newest event is always at L - 1."""
    user: np.ndarray       # [B]
    item: np.ndarray       # [B, L]
    behaviour: np.ndarray  # [B, L]
    counts: np.ndarray     # [B, L, K] historical indicator of each event
    next: Next | None = None             # for the loss
    history: ItemCounts | None = None    # for ranking
    at: np.ndarray | None = None         # [R] places in `next.item`, flat, where an event follows


def windows(sequences, length, newest_only=False):
    """Cut every sequence, from its newest event backwards, into windows of at most `length` steps.

    A step is an event and the one after it, so each event but the first is predicted exactly once.
    -> [W, 3] columns: sequence, first input row, last input row + 1. newest_only=True keeps each
    sequence's newest window alone, as the HMAR release does.
    """
    cuts = []
    for s, (start, end) in enumerate(zip(sequences.ptr[:-1], sequences.ptr[1:] - 1, strict=True)):
        stops = range(end, start, -length)[:1 if newest_only else None]
        cuts += [(s, max(stop - length, start), stop) for stop in stops]
    return np.array(cuts, int).reshape(-1, 3)


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: all windows [W, 3]."""
    return [windows(events, config.length)]


def pad_left(values, first, stop, length):
    """Rows first[b]:stop[b] of `values`, 0 before them.  [n, ...] -> [B, L, ...]."""
    row = stop[:, None] - np.arange(length, 0, -1)  # [B, L]
    return pick_rows(values, row, row >= first[:, None])


def training_batch(events, rows, config, rng, counts="running"):
    """Windows `rows` [B, 3], each event with its counts so far, the next and a drawn negative."""
    s, first, stop = rows.T
    kept, s = np.unique(s, return_inverse=True)  # a sequence with several of the windows once
    sequences, shift = take(events, kept)
    first, stop, length = first + shift[s], stop + shift[s], config.length
    batch = _inputs(sequences, s, first, stop, length, counts)
    item, behaviour = (pad_left(x, first + 1, stop + 1, length)
                       for x in (sequences.item, sequences.behaviour))
    negative = draw_negatives(rng, sequences, s, item, config.items)
    if counts == "window":
        K = sequences.counts.shape[1]
        item_counts, negative_counts = (window_counts(x, batch.item, batch.behaviour, K)
                                        for x in (item, negative))
    else:
        row = np.where(item > 0, stop[:, None] + 1 - np.arange(length, 0, -1), 0)  # [B, L]
        item_counts = pad_left(sequences.before, first + 1, stop + 1, length)
        negative_counts = counts_before(sequences, row, negative)
    follow = Next(item, behaviour, item_counts, negative, negative_counts, item > 0)
    return batch._replace(next=follow, at=np.flatnonzero(item))


def ranking_batch(events, cases, config, counts="running"):
    """The newest events of the sequences `cases` [B], and how often each user met every item."""
    first, stop = events.ptr[cases], events.ptr[cases + 1]
    newest = np.maximum(first, stop - config.length)
    batch = _inputs(events, cases, newest, stop, config.length, counts)
    first = newest if counts == "window" else first
    at, row = ranges(first, stop - first), np.repeat(np.arange(len(cases)), stop - first)
    pairs, pair = np.unique(row * (config.items + 1) + events.item[at], return_inverse=True)
    met = np.zeros((len(pairs), events.counts.shape[1]), np.float32)  # [M, K]
    np.add.at(met, (pair, events.behaviour[at] - 1), 1)
    none = np.zeros(met.shape[1], np.float32)
    return batch._replace(history=ItemCounts(*np.divmod(pairs, config.items + 1), met, none))


def _inputs(sequences, s, first, stop, length, counts):
    item, behaviour, before = (
        pad_left(x, first, stop, length)
        for x in (sequences.item, sequences.behaviour, sequences.counts))
    if counts == "window":
        before = window_counts(item, item, behaviour, sequences.counts.shape[1])
    return Batch(sequences.user[s], item, behaviour, before)


def window_counts(candidates, item, behaviour, behaviours):
    """Counts of candidates[:, t] in the window up to and including t.  [B, L] each -> [B, L, K]."""
    length = item.shape[1]
    met = (candidates[:, :, None] == item[:, None, :]) & masks.causal(length, item)  # [B, L, L]
    return met.astype(np.float32) @ masks.behaviour(behaviour, behaviours).astype(np.float32)
