"""Hold out each user's last events: what to train on, to choose on and to test on.

Shapes: n events, S sequences, N items.
"""
from typing import NamedTuple

import numpy as np

from mbref.data.log import require_names
from mbref.data.sequences import Sequences, cut, of_rows, owner, take, whole_log_counts
from mbref.errors import require


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
    refit: Sequences       # every user's events before the test event, to train on at last
    items: int             # N
    users: int             # U
    behaviours: int        # K


def leave_one_out(log, target, drop_target_history=False, counts="running", min_events=3):
    """Hold out each user's last target event (test) and the one before it (validation).

    `target` is a behaviour's name, or "any" for every event. The test history contains the
    validation event. Users with fewer than `min_events` events or without a target event only
    train. drop_target_history=True removes earlier events on a held-out item from the lists that
    must not show it (HMAR's Tianchi form). counts="whole-log" gives every event the counts of the
    entire log, held-out events included: the release's leak, kept to measure it.

    If the log has events of a test file, those on the target are the test, each seen from what its
    user did before it, and all other events are there to train on. Raises InputError for an unknown
    behaviour or switch, or a log with numbers that have no names.
    """
    require_names(log)
    require(target in (*log.behaviours, "any"), f"unknown target behaviour {target!r}: "
                                                f"this log has {', '.join(log.behaviours)}, any.")
    require(target != "any" or "any" not in log.behaviours,
            "target any means every event, and this log has a behaviour of that name: rename it.")
    require(counts in ("running", "window", "whole-log"),
            f"unknown counts {counts!r}: choose running, window or whole-log.")
    is_target = np.array([target in (name, "any") for name in ("", *log.behaviours)])[log.behaviour]
    given = None if log.held is None else log.held & is_target
    own = np.arange(len(log.user)) if given is None else np.flatnonzero(~log.held)
    is_target &= np.bincount(log.user[own], minlength=len(log.users))[log.user] >= min_events
    test, validation = [], []
    for rows in np.split(own, np.flatnonzero(np.diff(log.user[own])) + 1):
        row = None
        if given is None:
            rows, row = hold_out(rows, log.item, is_target, drop_target_history)
        test.append((rows, row))
        # Deviation HMAR D16: validation is the last target event but one
        validation.append(hold_out(rows, log.item, is_target, drop_target_history))
    train, refit = ([rows for rows, _ in held] for held in (validation, test))
    K, whole = len(log.behaviours), None
    if counts == "whole-log":
        whole = whole_log_counts(log.user, log.item, log.behaviour, K)
    tested = _hold(log, test, whole)
    if given is not None:
        tested = prefixes(of_rows(log, [np.arange(len(log.user))], whole), given)
    return Split(of_rows(log, train, whole), _hold(log, validation, whole), tested,
                 of_rows(log, refit, whole), len(log.items) - 1, len(log.users) - 1, K)


def hold_out(rows, item, is_target, drop_target_history):
    """Cut a user's rows at the last target event: (rows before it, its row or None)."""
    targets = rows[is_target[rows]]
    if len(targets) == 0:  # Deviation HMAR D25: this user only trains
        return rows, None
    before = rows[rows < targets[-1]]
    if drop_target_history:  # Deviation HMAR D15: else earlier rows of the item stay
        before = before[item[before] != item[targets[-1]]]
    return before, targets[-1]


def _hold(log, cases, whole):
    """Held-out events from (history rows, held-out row) pairs; without history there is none."""
    cases = [(history, row) for history, row in cases if row is not None and len(history)]
    held = np.array([row for _, row in cases], int)
    seen = np.array([log.item[row] in log.item[history] for history, row in cases], bool)
    history = of_rows(log, [history for history, _ in cases], whole)
    if log.time is not None:
        history = history._replace(now=log.time[held])
    return Held(history, log.item[held], seen)


def prefixes(sequences, wanted=True):
    """One case for every `wanted` [n] event but a sequence's first: the events before it, and it.

    -> Held, with `now` and `oracle` the time and category of the event to find, where known.
    """
    of = owner(sequences)
    place = np.arange(len(sequences.item)) - sequences.ptr[of]  # [n] from 0 in its sequence
    held = np.flatnonzero((place > 0) & wanted)  # Deviation HierSRec D15: every prefix
    history = cut(sequences, of[held], sequences.ptr[of[held]], place[held])
    if sequences.time is not None:
        history = history._replace(now=sequences.time[held])
    if sequences.category is not None:
        history = history._replace(oracle=sequences.category[sequences.item[held]])
    return Held(history, sequences.item[held], sequences.before[held].sum(axis=1) > 0)


def draw_cases(held, count, rng):
    """`count` of the held-out events, in their order, or all if there are not as many."""
    which = np.sort(rng.choice(len(held.item), min(count, len(held.item)), replace=False))
    history, _ = take(held.history, which)
    return Held(history, held.item[which], held.seen[which])
