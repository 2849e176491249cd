"""Event lists, one a user or session, with running counts; and negatives drawn for them.

Glossary of shapes: n events, S sequences, B batch, L window length, K behaviour types, N items.
Rows of a ragged list `x` belonging to sequence s are x[ptr[s]:ptr[s + 1]], oldest first.
"""
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

# what reading a damaged or foreign .npz raises
NO_NPZ = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RuntimeError,
          zipfile.BadZipFile, zlib.error)


class Sequences(NamedTuple):
    """Ragged event lists, one a sequence."""

    ptr: np.ndarray        # [S+1] where each sequence starts
    user: np.ndarray       # [S] 1..U
    item: np.ndarray       # [n] 1..N
    behaviour: np.ndarray  # [n] 1..K
    counts: np.ndarray     # [n, K] how often the user has met this item, this event included
    before: np.ndarray     # [n, K] the same, strictly before this event
    time: np.ndarray | None = None      # [n] seconds since 1970, where the log has times
    negative: np.ndarray | None = None  # [n] an item fixed as this event's negative, where given
    now: np.ndarray | None = None       # [S] seconds at which a held-out history's next event comes
    category: np.ndarray | None = None  # [N+1] of every item, 0 = unknown, where the log has some
    text: np.ndarray | None = None      # [N+1, M] a fixed vector of every item's text, where given
    oracle: np.ndarray | None = None    # [S] category of a held-out event, for upper bounds only


# the fields with one row an event
OF_EVENTS = ("item", "behaviour", "counts", "before", "time", "negative")


def from_rows(user, item, behaviour, behaviours):
    """Sequences of events sorted by user, one sequence a user, with their running counts.

    user, item, behaviour [n]; behaviours = K. A user without events has no sequence.
    """
    users, starts = np.unique(user, return_index=True)
    ptr = np.append(starts, len(user))
    counts = running_counts(user, item, behaviour, behaviours)
    return Sequences(ptr, users, item, behaviour, counts, counts - one_hot(behaviour, behaviours))


def one_hot(behaviour, behaviours):
    """[n] in 1..K -> [n, K] float32."""
    return (behaviour[:, None] == np.arange(1, behaviours + 1)).astype(np.float32)


def running_counts(user, item, behaviour, behaviours):
    """Historical indicator (HMAR, step 2): counts of (user, item) by behaviour so far.

    Includes the event itself, sees nothing after it. user, item, behaviour [n] in time order per
    user -> [n, K].
    """
    # groups of one (user, item), in time order
    order = np.lexsort((np.arange(len(item)), item, user))
    total = np.cumsum(one_hot(behaviour[order], behaviours), axis=0, dtype=np.float64)  # [n, K]
    pair = np.stack([user, item], axis=1)[order]  # [n, 2]
    first = np.append(True, np.any(pair[1:] != pair[:-1], axis=1))[: len(item)]
    start = np.maximum.accumulate(np.where(first, np.arange(len(item)), 0))
    earlier_groups = np.where((start > 0)[:, None], total[start - 1], 0)  # [n, K]
    counts = np.empty((len(item), behaviours), np.float32)
    counts[order] = total - earlier_groups
    return counts


def whole_log_counts(user, item, behaviour, behaviours):
    """The release's indicator: counts of (user, item) over all events.  -> [n, K]."""
    _, group = np.unique(np.stack([user, item], axis=1), axis=0, return_inverse=True)
    totals = np.zeros((group.max(initial=-1) + 1, behaviours), np.float32)
    np.add.at(totals, group.ravel(), one_hot(behaviour, behaviours))
    return totals[group.ravel()]


def of_rows(log, lists, whole=None):
    """One sequence for each array of log rows in `lists`, those without rows left out."""
    lists = [rows for rows in lists if len(rows)]
    rows = np.concatenate([*lists, np.empty(0, int)]).astype(int)
    made = from_rows(log.user[rows], log.item[rows], log.behaviour[rows], len(log.behaviours))
    time = None if log.time is None else log.time[rows]
    made = made._replace(time=time, category=item_categories(log))
    return made if whole is None else made._replace(counts=whole[rows], before=whole[rows])


def item_categories(log):
    """The category of every item, that of its last row.  -> [N+1] or None."""
    if log.category is None:
        return None
    category = np.zeros(len(log.items), np.int64)
    category[log.item] = log.category
    return category


def take(sequences, s):
    """The sequences s [B] alone, in that order, for fast look-ups.

    -> (Sequences, shift [B]): a row r of sequence s[b] is row r + shift[b] of the result.
    """
    start, size = sequences.ptr[s], np.diff(sequences.ptr)[s]
    made = cut(sequences, s, start, size)
    return made, made.ptr[:-1] - start


def cut(sequences, s, start, size):
    """Of each sequence s[b] the size[b] rows from start[b] on.  all [B] -> Sequences."""
    rows = ranges(start, size)
    events = {name: x[rows] for name in OF_EVENTS if (x := getattr(sequences, name)) is not None}
    ptr = np.append(0, np.cumsum(size))
    return sequences._replace(ptr=ptr, user=sequences.user[s], **events)


def ranges(start, size):
    """start[0], start[0] + 1, ... (size[0] of them), start[1], ...  -> [sum of size]."""
    return np.arange(size.sum()) + np.repeat(start - np.cumsum(size) + size, size)


def pick_rows(values, row, real):
    """values[row] where `real`, else 0.  values [n, ...]; row, real [B, L] -> [B, L, ...]."""
    if len(values) == 0:
        return np.zeros(row.shape + values.shape[1:], values.dtype)
    found = values[np.where(real, row, 0)]
    found[~real] = 0
    return found


def owner(sequences):
    """Which sequence each event belongs to.  -> [n]."""
    return np.repeat(np.arange(len(sequences.user)), np.diff(sequences.ptr))


def counts_before(sequences, row, item):
    """How often the user of event `row` had met `item` before it.  [...] -> [..., K].

    Looks up the latest earlier event with this item and reads its running count.
    """
    of, n = owner(sequences), len(sequences.item)
    items = max(sequences.item.max(initial=0), item.max(initial=0)) + 1
    order = np.lexsort((np.arange(n), sequences.item, of))
    keys = (of[order] * items + sequences.item[order]) * n + order  # sorted: sequence, item, time
    at = np.searchsorted(keys, (of[row] * items + item) * n + row) - 1
    latest = order[np.maximum(at, 0)]  # [...]
    found = (at >= 0) & (sequences.item[latest] == item) & (of[latest] == of[row])
    return np.where(found[..., None], sequences.counts[latest], 0)


def draw_negatives(rng, sequences, s, positive, items):
    """One uniform item, not met by the user of sequence s[b], a positive [B, L].

    A user who has met more than half of the catalogue gets any item but the positive, so that few
    items are not drawn over and over. Padding gets 0, and so does everything if there is one item
    only. -> [B, L].
    """
    if items < 2:
        return np.zeros_like(positive)
    met = np.unique(owner(sequences) * (items + 1) + sequences.item)  # keys of (sequence, item)
    many = np.bincount(met // (items + 1), minlength=len(sequences.user))  # [S]
    selective = many[s] <= items / 2  # [B]
    negative = np.zeros_like(positive)
    again = positive > 0
    while again.any():
        negative[again] = rng.integers(1, items + 1, again.sum())
        key = s[:, None] * (items + 1) + negative
        known = met[np.minimum(np.searchsorted(met, key), len(met) - 1)] == key
        again = (positive > 0) & ((negative == positive) | (known & selective[:, None]))
    return negative
