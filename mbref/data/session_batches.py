"""Sessions as HierSRec reads them: padded on the right, with what is known of every item.

Glossary of shapes: B batch, L clicks, N items, M width of the text vectors.
"""
from typing import NamedTuple

import numpy as np

from mbref.data import sequences
from mbref.data.targets import pad_right


class Batch(NamedTuple):
    """Sessions from their first click on, 0 after their end."""

    item: np.ndarray                   # [B, L]
    category: np.ndarray               # [N+1] of every item, 0 = unknown
    text: np.ndarray | None            # [N+1, M] a fixed vector of every item's text; 0 where there is none
    next: np.ndarray | None = None     # [B, L] the click that follows, 0 = none; for the loss
    oracle: np.ndarray | None = None   # [B] category of the held-out click, for upper bounds only
    known: np.ndarray | None = None    # [N] bool, items with a click in the sessions trained on; None = all have one
    at: np.ndarray | None = None       # [R] masks.positions of `next`, if found beforehand


def examples(events, length):
    """Windows of the sessions, one array of rows; each click but a session's first is predicted once."""
    return [sequences.windows(events, length)]


def training_batch(events, rows, items):
    """Windows `rows` [B, 3] as a Batch with the click that follows each."""
    _, first, stop = rows.T
    longest = int((stop - first).max())
    item, follow = (pad_right(events.item, first + d, stop + d, longest) for d in (0, 1))
    known = np.bincount(events.item, minlength=items + 1)[1:] > 0
    return Batch(item, categories(events, items), events.text, follow, known=None if known.all() else known)


def ranking_batch(events, cases, length, items):
    """The newest `length` clicks of sessions `cases` [B]."""
    first, stop = events.ptr[cases], events.ptr[cases + 1]
    first = np.maximum(first, stop - length)
    item = pad_right(events.item, first, stop, max(int((stop - first).max(initial=1)), 1))
    oracle = None if events.oracle is None else events.oracle[cases]
    return Batch(item, categories(events, items), events.text, oracle=oracle)


def categories(events, items):
    """Of every item, all unknown where the log has none.  -> [N+1]."""
    return np.zeros(items + 1, np.int64) if events.category is None else events.category
