"""From an interaction log to what models read: splits, windows, running counts, negatives, padded batches.

Glossary of shapes: n events, S sequences, B batch, L window length, K behaviour types, N items.
Rows of a ragged list `x` belonging to sequence s are x[ptr[s]:ptr[s + 1]], oldest first.
"""
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from mbref.data.readers.shops import Log
from mbref.errors import InputError
from mbref.nn import masks

NO_NPZ = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RuntimeError,  # what reading a damaged
          zipfile.BadZipFile, zlib.error)                                                    # or foreign .npz raises


class Sequences(NamedTuple):
    """Ragged event lists, one a sequence."""

    ptr: np.ndarray        # [S+1] where each sequence starts
    user: np.ndarray       # [S] 1..U
    item: np.ndarray       # [n] 1..N
    behaviour: np.ndarray  # [n] 1..K
    counts: np.ndarray     # [n, K] how often the user met this item, by behaviour, up to and including this event
    before: np.ndarray     # [n, K] the same, strictly before this event
    time: np.ndarray | None = None      # [n] seconds since 1970, where the log has times
    negative: np.ndarray | None = None  # [n] an item fixed once as this event's negative, where the caller gives them
    now: np.ndarray | None = None       # [S] seconds at which the next event of a held-out history is asked for
    category: np.ndarray | None = None  # [N+1] of every item, 0 = unknown, where the log has categories
    text: np.ndarray | None = None      # [N+1, M] a fixed vector of every item's text, where the caller gives them
    oracle: np.ndarray | None = None    # [S] category of a held-out event, for upper bounds only


OF_EVENTS = ("item", "behaviour", "counts", "before", "time", "negative")  # the fields with one row an event


class Held(NamedTuple):
    """Held-out events, one a row: the history that a model may see, and the item it has to find."""

    history: Sequences     # sequence i is what came before the held-out event i
    item: np.ndarray       # [S] the held-out item
    seen: np.ndarray       # [S] True where the item already occurs in that history


class Split(NamedTuple):
    """Leave-one-out: train on `train`, choose on `validation`, report on `test`."""

    train: Sequences       # every user's events before the validation event
    validation: Held       # the last target event but one
    test: Held             # the last target event
    refit: Sequences       # every user's events before the test event, for training again once all is chosen
    items: int             # N
    users: int             # U
    behaviours: int        # K


class Next(NamedTuple):
    """What the loss compares at every position: the event that came next, and an item that did not."""

    item: np.ndarray             # [B, L] 0 = nothing to predict here
    behaviour: np.ndarray        # [B, L]
    counts: np.ndarray           # [B, L, K] of `item`, strictly before it came
    negative: np.ndarray         # [B, L] 0 = none could be drawn
    negative_counts: np.ndarray  # [B, L, K] of `negative`, at the same moment
    ranked: np.ndarray           # [B, L] True where the ranking loss compares the two


class Batch(NamedTuple):
    """Histories padded on the left with 0 to one length: the newest event is always at L - 1."""

    user: np.ndarray       # [B]
    item: np.ndarray       # [B, L]
    behaviour: np.ndarray  # [B, L]
    counts: np.ndarray     # [B, L, K] historical indicator of each event
    next: Next | None = None             # for the loss
    history: np.ndarray | None = None    # [B, N+1, K] counts of every item over the whole history, for ranking
    at: np.ndarray | None = None         # [R] places in `next.item`, flat, where an event follows


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
    """Historical behaviour indicator of each event (HMAR, step 2): counts of (user, item) by behaviour so far.

    Includes the event itself, sees nothing after it. user, item, behaviour [n] in time order per user -> [n, K].
    """
    order = np.lexsort((np.arange(len(item)), item, user))  # groups of one (user, item), in time order
    total = np.cumsum(one_hot(behaviour[order], behaviours), axis=0, dtype=np.float64)  # [n, K]
    pair = np.stack([user, item], axis=1)[order]  # [n, 2]
    first = np.append(True, np.any(pair[1:] != pair[:-1], axis=1))[: len(item)]
    start = np.maximum.accumulate(np.where(first, np.arange(len(item)), 0))
    earlier_groups = np.where((start > 0)[:, None], total[start - 1], 0)  # [n, K]
    counts = np.empty((len(item), behaviours), np.float32)
    counts[order] = total - earlier_groups
    return counts


def whole_log_counts(user, item, behaviour, behaviours):
    """The release's indicator: counts of (user, item) over everything given, the future included.  -> [n, K]."""
    _, group = np.unique(np.stack([user, item], axis=1), axis=0, return_inverse=True)
    totals = np.zeros((group.max(initial=-1) + 1, behaviours), np.float32)
    np.add.at(totals, group.ravel(), one_hot(behaviour, behaviours))
    return totals[group.ravel()]


def leave_one_out(log, target, drop_target_history=False, counts="running", min_events=3):
    """Hold out each user's last event of behaviour `target` (test) and the one before it (validation).

    `target` is a behaviour's name, or "any" for every event. Training sequences end before the validation event; the
    test history ends before the test event and so contains the validation event. Users with fewer than `min_events`
    events or without a target event only train. drop_target_history=True removes earlier events on a held-out item
    from the lists that must not show it (HMAR's Tianchi form). counts="whole-log" gives every event the counts of the
    entire log, held-out events included: the release's leak, kept to measure it. Raises InputError for an unknown
    behaviour or switch.
    """
    if target not in (*log.behaviours, "any"):
        raise InputError(f"unknown target behaviour {target!r}: this log has {', '.join(log.behaviours)}, any.")
    if counts not in ("running", "window", "whole-log"):
        raise InputError(f"unknown counts {counts!r}: choose running, window or whole-log.")
    is_target = np.array([target in (name, "any") for name in ("", *log.behaviours)])[log.behaviour]
    is_target &= np.bincount(log.user)[log.user] >= min_events
    train, refit, validation, test = [], [], [], []
    for rows in np.split(np.arange(len(log.user)), np.flatnonzero(np.diff(log.user)) + 1):
        before_test, test_row = hold_out(rows, log.item, is_target, drop_target_history)
        # Deviation HMAR D16: validation is the last target event but one
        before_validation, validation_row = hold_out(before_test, log.item, is_target, drop_target_history)
        test.append((before_test, test_row))
        validation.append((before_validation, validation_row))
        refit.append(before_test)
        train.append(before_validation)
    K = len(log.behaviours)
    whole = whole_log_counts(log.user, log.item, log.behaviour, K) if counts == "whole-log" else None
    return Split(
        of_rows(log, train, whole), _held(log, validation, whole), _held(log, test, whole),
        of_rows(log, refit, whole), len(log.items) - 1, len(log.users) - 1, K,
    )


def hold_out(rows, item, is_target, drop_target_history):
    """Cut one user's rows at the last target event: (rows before it, its row), or (rows, None) without one."""
    targets = rows[is_target[rows]]
    if len(targets) == 0:  # Deviation HMAR D25: this user only trains
        return rows, None
    before = rows[rows < targets[-1]]
    # Deviation HMAR D15: earlier rows of the item stay
    return before[item[before] != item[targets[-1]]] if drop_target_history else before, targets[-1]


def of_rows(log, lists, whole=None):
    """One sequence for each array of log rows in `lists`, those without rows left out."""
    lists = [rows for rows in lists if len(rows)]
    rows = np.concatenate([*lists, np.empty(0, int)]).astype(int)
    sequences = from_rows(log.user[rows], log.item[rows], log.behaviour[rows], len(log.behaviours))._replace(
        time=None if log.time is None else log.time[rows], category=item_categories(log))
    return sequences if whole is None else sequences._replace(counts=whole[rows], before=whole[rows])


def item_categories(log):
    """The category of every item, that of its last row in the log if it has several.  -> [N+1] or None."""
    if log.category is None:
        return None
    category = np.zeros(len(log.items), np.int64)
    category[log.item] = log.category
    return category


def _held(log, cases, whole):
    """Held-out events from (history rows, held-out row) pairs; an empty history gives nothing to rank from."""
    cases = [(history, row) for history, row in cases if row is not None and len(history)]
    held = np.array([row for _, row in cases], int)
    seen = np.array([np.any(log.item[history] == log.item[row]) for history, row in cases], bool)
    history = of_rows(log, [history for history, _ in cases], whole)
    return Held(history._replace(now=None if log.time is None else log.time[held]), log.item[held], seen)


def windows(sequences, length, newest_only=False):
    """Cut every sequence, from its newest event backwards, into windows of at most `length` steps.

    A step is an event and the one after it, so each event but the first is predicted exactly once.
    -> [W, 3] columns: sequence, first input row, last input row + 1. newest_only=True keeps each sequence's newest
    window alone, as the HMAR release does.
    """
    cuts = []
    for s, (start, end) in enumerate(zip(sequences.ptr[:-1], sequences.ptr[1:] - 1, strict=True)):
        stops = range(end, start, -length)
        cuts += [(s, max(stop - length, start), stop) for stop in (stops[:1] if newest_only else stops)]
    return np.array(cuts, int).reshape(-1, 3)


def pad_left(values, first, stop, length):
    """Rows first[b]:stop[b] of `values`, the newest at the right, 0 before.  values [n, ...] -> [B, L, ...]."""
    if len(values) == 0:
        return np.zeros((len(stop), length) + values.shape[1:], values.dtype)
    row = stop[:, None] - np.arange(length, 0, -1)  # [B, L]
    real = row >= first[:, None]
    return np.where(real.reshape(real.shape + (1,) * (values.ndim - 1)), values[np.where(real, row, 0)], 0)


def training_batch(sequences, cuts, length, items, rng, counts="running"):
    """Windows `cuts` [B, 3] of the sequences as a Batch with its Next; one uniform negative a position."""
    s, first, stop = cuts.T
    sequences, shift = take(sequences, s)
    s, first, stop = np.arange(len(s)), first + shift, stop + shift
    batch = _inputs(sequences, s, first, stop, length, counts)
    item, behaviour = (pad_left(x, first + 1, stop + 1, length) for x in (sequences.item, sequences.behaviour))
    negative = draw_negatives(rng, sequences, s, item, items)
    if counts == "window":
        item_counts, negative_counts = (window_counts(x, batch.item, batch.behaviour, sequences.counts.shape[1])
                                        for x in (item, negative))
    else:
        row = np.where(item > 0, stop[:, None] + 1 - np.arange(length, 0, -1), 0)  # [B, L]
        item_counts = pad_left(sequences.before, first + 1, stop + 1, length)
        negative_counts = counts_before(sequences, row, negative)
    follow = Next(item, behaviour, item_counts, negative, negative_counts, item > 0)
    return batch._replace(next=follow, at=np.flatnonzero(item))


def take(sequences, s):
    """The sequences s [B] alone, in that order (so that a batch looks things up in B sequences, not in the whole log).

    -> (Sequences, shift [B]): a row r of sequence s[b] is row r + shift[b] of the result.
    """
    start, size = sequences.ptr[s], sequences.ptr[s + 1] - sequences.ptr[s]
    ptr = np.append(0, np.cumsum(size))
    rows = np.arange(ptr[-1]) + np.repeat(start - ptr[:-1], size)
    events = {name: x[rows] for name in OF_EVENTS if (x := getattr(sequences, name)) is not None}
    return sequences._replace(ptr=ptr, user=sequences.user[s], **events), ptr[:-1] - start


def drawn(held, count, rng):
    """`count` of the held-out events, in their order, for a log that has too many to rank them all; or all of them."""
    which = np.sort(rng.choice(len(held.item), min(count, len(held.item)), replace=False))
    of_cases = {name: x[which] for name in ("now", "oracle") if (x := getattr(held.history, name)) is not None}
    return Held(take(held.history, which)[0]._replace(**of_cases), held.item[which], held.seen[which])


def owner(sequences):
    """Which sequence each event belongs to.  -> [n]."""
    return np.repeat(np.arange(len(sequences.user)), np.diff(sequences.ptr))


def ranking_batch(held_history, cases, length, items, counts="running"):
    """The newest `length` events of sequences `cases` [B], and the counts of every item for candidates."""
    first, stop = held_history.ptr[cases], held_history.ptr[cases + 1]
    newest = np.maximum(first, stop - length)
    batch = _inputs(held_history, cases, newest, stop, length, counts)
    history = np.zeros((len(cases), items + 1, held_history.counts.shape[1]), np.float32)  # [B, N+1, K]
    for b, rows in enumerate(map(slice, newest if counts == "window" else first, stop)):
        np.add.at(history[b], (held_history.item[rows], held_history.behaviour[rows] - 1), 1)
    return batch._replace(history=history)


def _inputs(sequences, s, first, stop, length, counts):
    item, behaviour, before = (
        pad_left(x, first, stop, length) for x in (sequences.item, sequences.behaviour, sequences.counts)
    )
    if counts == "window":
        before = window_counts(item, item, behaviour, sequences.counts.shape[1])
    return Batch(sequences.user[s], item, behaviour, before)


def window_counts(candidates, item, behaviour, behaviours):
    """Counts, at every position t, of candidates[:, t] among the events of the window up to and including t.

    candidates, item, behaviour [B, L] -> [B, L, K].
    """
    length = item.shape[1]
    met = (candidates[:, :, None] == item[:, None, :]) & (item > 0)[:, None, :] & masks.causal(length, item)
    return met.astype(np.float32) @ masks.behaviour(behaviour, behaviours).astype(np.float32)


def counts_before(sequences, row, item):
    """How often the user of event `row` had met `item` before it, by behaviour.  row, item [...] -> [..., K].

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
    """One uniform item for each positive [B, L] that the user of sequence s[b] has not met in `sequences`.

    A user who has met more than half of the catalogue gets any item but the positive, so that few items are not drawn
    over and over. Padding gets 0, and so does everything if there is one item only. -> [B, L].
    """
    if items < 2:
        return np.zeros_like(positive)
    met = np.unique(owner(sequences) * (items + 1) + sequences.item)  # sorted keys of (sequence, item)
    selective = np.bincount(met // (items + 1), minlength=len(sequences.user))[s] <= items / 2  # [B]
    negative = np.zeros_like(positive)
    again = positive > 0
    while again.any():
        negative[again] = rng.integers(1, items + 1, again.sum())
        key = s[:, None] * (items + 1) + negative
        known = met[np.minimum(np.searchsorted(met, key), len(met) - 1)] == key
        again = (positive > 0) & ((negative == positive) | (known & selective[:, None]))
    return negative


def fixed_log(path):
    """A split file of training lists (`tr_item tr_beh ptr`) and targets, as a Log whose last buy is the target.

    Behaviours 0..3 are buy, cart, fav, pv. `leave_one_out` on it holds out exactly the file's targets and cuts its
    validation from the training lists. -> (Log, {"neg_clean": [sets, users, 99], "neg_release": the same}), the
    clean ones mended by `clean_negatives`. Raises InputError if the file is no such split.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            file = {name: z[name] for name in z.files}
        users = np.arange(1, len(file["ptr"]))
        user = np.concatenate([np.repeat(users, np.diff(file["ptr"])), users])  # the targets go last
        item, behaviour = np.append(file["tr_item"], file["target"]), np.append(file["tr_beh"] + 1, np.ones_like(users))
        ids = [np.arange(file[name] + 1).astype(str) for name in ("usernum", "itemnum")]
        negatives = {name: file[name] for name in ("neg_clean", "neg_release")}
        if not len(user) == len(item) == len(behaviour):
            raise ValueError("its columns have different lengths")
        negatives["neg_clean"], notes = clean_negatives(negatives["neg_clean"], user, item, len(ids[1]))
    except NO_NPZ as error:
        raise InputError(f"{path} is no split file ({error}): give .npz with tr_item, tr_beh, ptr, target.") from error
    order = np.argsort(user, kind="stable")
    shop = ("buy", "cart", "fav", "pv")
    return Log(user[order], item[order], behaviour[order], None, None, *ids, None, shop, notes), negatives


def clean_negatives(negatives, user, item, size):
    """Negatives [sets, users, m] that hold no item of their own user; such an item becomes 0, no candidate.

    Some files hold the rows one user late, row u + 1 for user u; they are moved back if that meets fewer own items.
    user, item [n] of all events, ids below `size`. -> (negatives, notes on what was mended).
    """
    own = np.zeros((negatives.shape[1], size), bool)
    own[user - 1, item] = True

    def met(rows):
        return np.take_along_axis(own[None], rows, axis=2)

    moved, notes = np.roll(negatives, -1, axis=1), ()
    if met(moved).sum() < met(negatives).sum():
        negatives, notes = moved, ("neg_clean holds each user's negatives one row late: moved back",)
    return np.where(met(negatives), 0, negatives), notes
