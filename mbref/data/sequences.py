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


OF_EVENTS = ("item", "behaviour", "counts", "before", "time", "negative")  # with a row an event
OF_SEQUENCES = ("user", "now", "oracle")  # a sequence


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
    """Historical indicator (HMAR, step 2): counts of (user, item) by behaviour so far.  -> [n, K].

    Includes the event itself, sees nothing after it. [n] each, in time order per user.
    """
    order = np.lexsort((item, user))  # stable: groups of one (user, item), in time order
    total = np.cumsum(one_hot(behaviour[order], behaviours), axis=0, dtype=np.float64)  # [n, K]
    same = (np.diff(user[order]) == 0) & (np.diff(item[order]) == 0)
    start = np.maximum.accumulate(np.append(0, np.where(same, 0, np.arange(1, len(item)))))
    total = np.concatenate([np.zeros((1, behaviours)), total])  # [n + 1, K]
    counts = np.empty((len(item), behaviours), np.float32)
    counts[order] = total[1:] - total[start[: len(item)]]
    return counts


def whole_log_counts(user, item, behaviour, behaviours):
    """The release's indicator: counts of (user, item) over all events.  -> [n, K]."""
    pairs, group = np.unique(np.stack([user, item]), axis=1, return_inverse=True)
    totals = np.zeros((pairs.shape[1], behaviours), np.float32)
    np.add.at(totals, group.ravel(), one_hot(behaviour, behaviours))
    return totals[group.ravel()]


def of_rows(log, lists, whole=None):
    """One sequence for each array of log rows in `lists`, those without rows left out."""
    rows = np.concatenate([*lists, []]).astype(int)
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
    """The sequences s [B] alone.  -> (Sequences, shift [B]): row r of s[b] is now r + shift[b]."""
    start = sequences.ptr[s]
    made = cut(sequences, s, start, sequences.ptr[s + 1] - start)
    return made, made.ptr[:-1] - start


def cut(sequences, s, start, size):
    """Of each sequence s[b] the size[b] rows from start[b] on.  all [B] -> Sequences."""
    which = {**dict.fromkeys(OF_EVENTS, ranges(start, size)), **dict.fromkeys(OF_SEQUENCES, s)}
    fields = {name: x[rows] for name, rows in which.items()
              if (x := getattr(sequences, name)) is not None}
    return sequences._replace(ptr=np.append(0, np.cumsum(size)), **fields)


def ranges(start, size):
    """start[0], start[0] + 1, ... (size[0] of them), start[1], ...  -> [sum of size]."""
    return np.arange(size.sum()) + np.repeat(start - np.cumsum(size) + size, size)


def pick_rows(values, row, real):
    """values[row] where `real`, else 0.  values [n, ...]; row, real [B, L] -> [B, L, ...]."""
    found = np.zeros(row.shape + values.shape[1:], values.dtype)
    found[real] = values[row[real]]
    return found


def owner(sequences):
    """Which sequence each event belongs to.  -> [n]."""
    return np.repeat(np.arange(len(sequences.user)), np.diff(sequences.ptr))


def counts_before(sequences, row, item):
    """How often the user of event `row` had met `item` before it.  [...] -> [..., K]."""
    of, n = owner(sequences), len(sequences.item)
    items = max(sequences.item.max(initial=0), item.max(initial=0)) + 1
    order = np.lexsort((np.arange(n), sequences.item, of))
    keys = (of[order] * items + sequences.item[order]) * n + order  # sorted: sequence, item, time
    at = np.searchsorted(keys, (of[row] * items + item) * n + row) - 1
    latest = order[np.maximum(at, 0)]  # [...] earlier event with this item; its count is running
    found = (at >= 0) & (sequences.item[latest] == item) & (of[latest] == of[row])
    return np.where(found[..., None], sequences.counts[latest], 0)


def draw_negatives(rng, sequences, s, positive, items):
    """One uniform item, not met by the user of sequence s[b], a positive [B, L].  -> [B, L].

    A user who has met more than half of the catalogue gets any item but the positive, so that few
    items are not drawn over and over. Padding gets 0, and so does everything if there is one item.
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
