"""What rankers of one target read: its history with time gaps, and the candidates to score.

ATRank, DMRAN and their baselines use the gap between every event and the target, so each target has
a row of its own. Shapes: M targets, B batch, L longest history of it, C candidates, N items, F
features.
"""
from typing import NamedTuple

import numpy as np

from mbref.data import sequences


class History(NamedTuple):
    """What came before the target in one group of objects, oldest first; shorter ones end in 0."""
    item: np.ndarray       # [B, L]
    behaviour: np.ndarray  # [B, L] 1..K
    gap: np.ndarray        # [B, L] whole days (or other units) between the event and the target


class Batch(NamedTuple):
    """One row a target. Of a plain log, the items are the only group."""
    histories: tuple[History, ...]        # one a group
    features: tuple[np.ndarray, ...]      # one a group: [N+1, F] ids of each object: itself, ...
    group: int = 0                        # of the candidates
    candidate: np.ndarray | None = None   # [B, C] for the loss; 0 = none could be drawn
    label: np.ndarray | None = None       # [B, C] True for the target itself


def examples(events, items, rng, pairs=False):
    """Every event but a sequence's first is a target, with one negative drawn once.

    The negative is `events.negative` where given, else uniform over the items that the sequence
    does not hold. -> one array of rows: [2M, 2] (event, candidate), positive and negative apart as
    in ATRank's release; with pairs=True [M, 3] (event, positive, negative).
    """
    first = events.ptr[sequences.owner(events)]
    event = np.flatnonzero(np.arange(len(first)) > first)  # [M]
    negative = events.negative
    if negative is None:  # Deviation DMRAN D16: none of the user's items, drawn once
        negative = draw_negatives_once(events, items, rng)
    return [pair(event, events.item[event], negative[event], pairs)]


def draw_negatives_once(events, items, rng):
    """A negative of every event, none of its sequence's items.  -> [n]."""
    owner = sequences.owner(events)
    return sequences.draw_negatives(rng, events, owner, events.item[:, None], items)[:, 0]


def pair(event, positive, negative, pairs):
    """Rows of `examples` from three columns [M]; apart, first come all (event, positive)."""
    if pairs:
        return np.stack([event, positive, negative], axis=1)  # [M, 3]
    candidate = np.append(positive, negative)  # [2M]
    return np.stack([np.append(event, event), candidate], axis=1)  # [2M, 2]


def training_batch(events, rows, length, items, unit):
    """Rows of `examples` [B, 1+C] as a Batch; each history is cut to its newest `length` events."""
    event, candidate = rows[:, 0], rows[:, 1:]
    start = events.ptr[np.searchsorted(events.ptr, event, side="right") - 1]
    now = None if events.time is None else events.time[event]
    history = cut(events, np.maximum(start, event - length), event, now, unit)
    label = candidate == events.item[event][:, None]
    return Batch((history,), (item_features(events, items),), 0, candidate, label)


def ranking_batch(events, cases, length, items, unit):
    """The sequences `cases` [B], each seen from the moment at which its held-out event comes."""
    start, stop = events.ptr[cases], events.ptr[cases + 1]
    now = None if events.time is None else events.now[cases]
    history = cut(events, np.maximum(start, stop - length), stop, now, unit)
    return Batch((history,), (item_features(events, items),))


def cut(events, first, stop, now, unit):
    """Rows first[b]:stop[b] as a History as long as the longest of them, and at least 1.

    now [B] seconds, or None without times: then every gap is 0. A gap counts whole units as the
    release counts days: by the calendar, not by the clock.
    """
    longest = max(int((stop - first).max(initial=1)), 1)
    item, behaviour = (pad_right(x, first, stop, longest) for x in (events.item, events.behaviour))
    if now is None:
        return History(item, behaviour, np.zeros_like(item))
    gap = now[:, None] // unit - pad_right(events.time, first, stop, longest) // unit  # [B, L]
    return History(item, behaviour, gap * (item > 0))


def pad_right(values, first, stop, length):
    """Rows first[b]:stop[b] of `values`, the oldest at the left, 0 after.  values [n] -> [B, L]."""
    row = first[:, None] + np.arange(length)  # [B, L]
    return sequences.pick_rows(values, row, row < stop[:, None])


def item_features(events, items):
    """The item itself and, where known, its category.  -> [N+1, 1 or 2]."""
    columns = [np.arange(items + 1)] + ([] if events.category is None else [events.category])
    return np.stack(columns, axis=1)
