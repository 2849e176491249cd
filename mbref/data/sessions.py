"""From a log of sessions to training, validation and test sessions, split by date.

A session is the `user` of a log; every click of one session stays in one part. The rules are those
of two public scripts, datasets/preprocess.py of SR-GNN (github CRIPAC-DIG/SR-GNN) and
preprocessing/session_based/preprocess_diginetica.py of session-rec (github rn5l/session-rec).
Shapes: n events, N items, U sessions.
"""
from typing import NamedTuple

import numpy as np

from mbref.data.leave_one_out import Split, prefixes
from mbref.data.log import Attributes, Log, require_names
from mbref.data.readers.build import freeze
from mbref.data.sequences import Sequences, of_rows, ranges
from mbref.errors import require

RULES = ("session-rec", "srgnn")
# where the clicks of an item are counted
SUPPORTS = {"train": "the training part", "all": "all parts"}
DAY = 86400  # seconds
NOWHERE, TRAIN, VALIDATION, TEST = range(4)


class SessionSplit(NamedTuple):
    """Train on `train`, choose on `validation`, report on `test`; all in the numbers of `log`."""
    train: Sequences          # every item of the log occurs here
    validation: Sequences     # later sessions
    test: Sequences           # the latest ones
    log: Log                  # the clicks of all parts; items, sessions and categories count from 1
    notes: tuple[str, ...]    # what was left after each step


def session_split(log, rule="session-rec", support="train", min_support=5, days=7):
    """Split sessions by date, after one pass of a filter.  -> SessionSplit.

    1. Sessions of one click go. 2. Items with fewer than `min_support` clicks go, and sessions that
    are then shorter than two; clicks are counted in the training part (support="train"), or in all
    parts before there are any ("all", as both scripts do). 3. Items that training does not know go
    from the other parts, and sessions that are then shorter than two.

    rule="session-rec": a session is in test if its last click is later than `days` before the last
    click of all. rule="srgnn": days of UTC decide; test is strictly later than `days` before the
    last day, training strictly earlier, and the sessions of the day between are in no part. The day
    of a session is that of its first click (the script takes that of the session's last line in the
    file). By either rule, validation is the last `days` of what is not test, cut as session-rec
    cuts; no day is lost there. If the log has events of a test file, their sessions are the test.

    Raises InputError for an unknown choice, a log without times or names, an empty part.
    """
    require_names(log)
    require(rule in RULES, f"unknown rule {rule!r}: choose one of {', '.join(RULES)}.")
    require(support in SUPPORTS,
            f"unknown support {support!r}: choose one of {', '.join(SUPPORTS)}.")
    require(min_support >= 1 and days >= 1,
            f"min_support {min_support} and days {days} must be 1 or more.")
    require(log.time is not None, "this log has no times, so its sessions cannot be split by date: "
                                  "give a column of times, or leave --split-by out.")
    steps = [("as read", np.arange(len(log.user)))]
    steps.append(("without sessions of one click", rows := _long(log, steps[0][1])))
    part = np.full(len(log.users), TRAIN)  # [U+1]
    if support == "train":  # Deviation HierSRec D18: counted here alone
        part = _parts(log, rows, rule, days)
    rows = _keep_frequent(log, rows, part, min_support)
    if support == "all":
        part = _parts(log, rows, rule, days)
    steps.append((f"without items of fewer than {min_support} clicks in {SUPPORTS[support]}", rows))
    if rule == "srgnn":
        rows = rows[part[log.user[rows]] != NOWHERE]
        steps.append(("without the sessions of the split day", rows))
    steps.append(("without items unknown to training", rows := _keep_frequent(log, rows, part, 1)))
    return _in_parts(keep_rows(log, rows), part[log.user[rows]],
                     tuple(_note(log, *step) for step in steps))


def _long(log, rows):
    """Those of the rows whose session has at least two of them."""
    return rows[np.bincount(log.user[rows])[log.user[rows]] >= 2]


def _keep_frequent(log, rows, part, least):
    """Those of the rows whose item has that many clicks in training, in sessions of two or more."""
    training = rows[part[log.user[rows]] == TRAIN]
    clicks = np.bincount(log.item[training], minlength=len(log.items))  # [N+1]
    return _long(log, rows[clicks[log.item[rows]] >= least])


def _parts(log, rows, rule, days):
    """The part of each session by the date of its rows.  -> [U+1]; none is NOWHERE."""
    require(len(rows), "no session has two clicks on items that are kept: lower --min-support or "
                       "give more data.")
    starts = np.flatnonzero(np.diff(log.user[rows], prepend=0))
    by_day = rule == "srgnn" and log.held is None
    if by_day:
        at = log.time[rows[starts]] // DAY * DAY
    else:
        at = log.time[rows[np.append(starts[1:], len(rows)) - 1]]
    split = at.max() - days * DAY
    is_test = at > split if log.held is None else np.logical_or.reduceat(log.held[rows], starts)
    part = np.where(is_test, TEST, TRAIN)
    if by_day:
        part[at == split] = NOWHERE
    later = (part == TRAIN) & (at > at[part == TRAIN].max(initial=0) - days * DAY)
    of_session = np.full(len(log.users), NOWHERE)
    of_session[log.user[rows[starts]]] = np.where(later, VALIDATION, part)
    return of_session


def _in_parts(log, part, notes):
    """SessionSplit of a log whose rows lie in `part` [n]. Raises InputError if one is empty."""
    rows = [np.flatnonzero(part == k) for k in (TRAIN, VALIDATION, TEST)]
    for name, own in zip(("training", "validation", "test"), rows, strict=True):
        require(len(own), f"no session is left for {name}: change --days, lower --min-support or "
                          "give more data.")
    return SessionSplit(*(of_rows(log, [own]) for own in rows), log, notes)


def _note(log, step, rows):
    """A sentence on what is left after a step."""
    sessions, items = (len(np.unique(column[rows])) for column in (log.user, log.item))
    return f"{step}: {sessions:,} sessions, {items:,} items, {len(rows):,} clicks"


# A log of fewer events.

def keep_rows(log, rows):
    """The log of these rows; users, items and categories are numbered anew from 1.

    Attributes keep their numbers and names. rows [m], ascending. -> Log.
    """
    user, users, _ = _renumber(log.user[rows], log.users)
    item, items, kept = _renumber(log.item[rows], log.items)
    columns = {name: freeze(column[rows]) for name in ("behaviour", "time", "held")
               if (column := getattr(log, name)) is not None}
    made = log._replace(user=user, users=users, item=item, items=items, **columns)
    if log.attributes is not None:
        ptr, value, names = log.attributes
        size = np.diff(ptr)[kept]
        made = made._replace(attributes=Attributes(
            freeze(np.append(0, np.cumsum(np.append(0, size)))),
            freeze(value[ranges(ptr[kept], size)]), names))
    if log.category is not None:
        category, categories, _ = _renumber(log.category[rows], log.categories)
        made = made._replace(category=category, categories=categories)
    return made


def _renumber(column, names):
    """Numbers of `names` -> (numbers from 1 of those that occur, names, old numbers)."""
    kept = np.unique(column[column > 0])
    number = np.zeros(len(names), np.int64)
    number[kept] = np.arange(1, len(kept) + 1)
    return freeze(number[column]), freeze(names[np.append(0, kept)]), kept


def cut_sessions(log, gap=1800):
    """The log with sessions for users, cut wherever more than `gap` seconds pass.

    The sessions of user "7" are called "7/1", "7/2", ... Raises InputError for a log without times.
    """
    require(log.time is not None,
            "this log has no times, so its events cannot be cut into sessions: give a column of "
            "times, or leave --gap out.")
    new = (np.diff(log.user) != 0) | (np.diff(log.time) > gap)
    first = np.append(True, new)  # [n]
    user = log.user[first]  # [S]
    number = np.arange(len(user)) - np.searchsorted(user, user) + 1  # [S] from 1 for each user
    raws = log.users[user].tolist()
    names = ["", *(f"{raw}/{k}" for raw, k in zip(raws, number.tolist(), strict=True))]
    note = f"cut into {len(user):,} sessions where more than {gap} seconds pass"
    return log._replace(user=freeze(np.cumsum(first)), users=freeze(np.array(names)),
                        notes=(*log.notes, note))


# Cases.

def as_split(parts, cold=None):
    """A SessionSplit as a Split, with a case for every prefix of a held-out session.

    cold [N+1] bool, as `cold` gives it: these items are kept out of refit, too.
    """
    log, known = parts.log, np.union1d(parts.train.user, parts.validation.user)
    rows = np.flatnonzero(np.isin(log.user, known))
    rows = rows if cold is None else _long(log, rows[~cold[log.item[rows]]])
    validation, test = map(prefixes, (parts.validation, parts.test))
    return Split(parts.train, validation, test, of_rows(log, [rows]), len(log.items) - 1,
                 len(log.users) - 1, len(log.behaviours))


def cold(split, share, rng):
    """Hold `share` of the items out of training, then sessions shorter than two.

    The items stay in the catalogue, and in validation and test. An item whose last sessions were
    dropped with them is as unknown to the model, so it counts as cold, too.
    -> (SessionSplit, cold [N+1] bool: no click in the new training part).
    Raises InputError for a share that is not between 0 and 1, or if no session is left.
    """
    require(0 < share < 1, f"the share of cold items is {share}: give one between 0 and 1.")
    log, items = split.log, len(split.log.items) - 1
    out = np.zeros(items + 1, bool)
    out[rng.choice(np.arange(1, items + 1), round(share * items), replace=False)] = True
    rows = _long(log, np.flatnonzero(np.isin(log.user, split.train.user) & ~out[log.item]))
    require(len(rows), f"no session is left without {share} of the items: choose a smaller share.")
    left = of_rows(log, [rows])
    unknown = np.bincount(left.item, minlength=items + 1) == 0
    unknown[0] = False
    return split._replace(train=left), unknown
