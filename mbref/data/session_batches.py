"""Sessions as HierSRec reads them: padded on the right, with what is known of every item.

Glossary of shapes: B batch, L clicks, N items, M width of the text vectors.
"""
from typing import NamedTuple

import numpy as np

from mbref.data.targets import pad_right
from mbref.data.windows import examples as examples
from mbref.errors import require


class Batch(NamedTuple):
    """Sessions from their first click on, 0 after their end."""
    item: np.ndarray                   # [B, L]
    category: np.ndarray               # [N+1] of every item, 0 = unknown
    text: np.ndarray                   # [N+1, M] a fixed vector of every item's text, M may be 0
    next: np.ndarray | None = None     # [B, L] the click that follows, 0 = none; for the loss
    oracle: np.ndarray | None = None   # [B] category of the held-out click, for upper bounds only
    known: np.ndarray | None = None    # [N] bool, items with a click in the sessions trained on
    at: np.ndarray | None = None       # [R] places in `next`, flat, where a click follows


def training_batch(events, rows, config, rng):
    """Windows `rows` [B, 3] as a Batch with the click that follows each; nothing is drawn."""
    _, first, stop = rows.T
    longest = int((stop - first).max())
    item, follow = (pad_right(events.item, first + d, stop + d, longest) for d in (0, 1))
    known = np.bincount(events.item, minlength=config.items + 1)[1:] > 0
    return Batch(item, *categories_and_texts(events, config), follow, known=known,
                 at=np.flatnonzero(follow))


def ranking_batch(events, cases, config):
    """The newest clicks of the sessions `cases` [B]."""
    first, stop = events.ptr[cases], events.ptr[cases + 1]
    first = np.maximum(first, stop - config.length)
    item = pad_right(events.item, first, stop, max(int((stop - first).max(initial=1)), 1))
    oracle = None if events.oracle is None else events.oracle[cases]
    return Batch(item, *categories_and_texts(events, config), oracle=oracle)


def categories_and_texts(events, config):
    """(category [N+1], text [N+1, M]) of every item; unknown, or of width 0, where there are none.

    Raises InputError if the width of the text vectors is not that of the config.
    """
    category = np.zeros(config.items + 1, np.int64) if events.category is None else events.category
    text = np.zeros((config.items + 1, 0)) if events.text is None else events.text
    require(text.shape[1] == config.text,
            f"text is {config.text}, but the log's text vectors have width {text.shape[1]}: "
            "set text to that, 0 for none.")
    return category, text
