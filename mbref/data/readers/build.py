"""From the columns of a file to a log: numbers in place of raw ids, in order of user and time.

A part is a dict of what some rows hold: `line` [n]; `user`, `item`, `behaviour` and, where the file
has them, `category`, each a Column; `time` [n], numbers in units that all parts share.
"""
import re
from typing import NamedTuple

import numpy as np

from mbref.data.log import Log
from mbref.data.readers.columns import Column, of_texts, take, texts_of
from mbref.data.readers.lines import add_broken, name_of, no_events, report_broken
from mbref.data.readers.sample import sample_parts
from mbref.data.readers.times import LATEST, UNITS, in_seconds, suspicions, units_per_second
from mbref.errors import InputError

SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+\d+")
MOST_BEHAVIOURS = 50
REPEATS = ("item", "behaviour", "category")  # what two events of one user and time share, too


class Reading(NamedTuple):
    """How to read a file, where its format leaves a choice."""

    behaviours: tuple | None = None  # names in the order of their numbers
    columns: dict | None = None      # of format csv: {"user": name or number of the column, ...}
    header: bool = True              # of format csv: are there names in the first line?
    sample_users: int = 0            # keep so many users, 0 = all
    keep_repeats: bool = False       # keep a row that repeats another one exactly


def log(path, parts, vocabularies, notes, broken, reading, per_second=None, same=REPEATS):
    """The Log of parts. Raises InputError if there is no event, or too many rows are broken.

    vocabularies: tuples of behaviour names, of which that with the most events counts; () = the
    names of the file in alphabetical order. per_second: units of the times, None = to be found.
    Events are sorted by their whole times before fractions of a second go. same: what makes two
    events of a user at one time repeats.
    """
    held, rows = sample_parts(parts, reading.sample_users, notes, name_of(path))
    if not rows:
        report_broken(path, broken, 0, notes)
        raise no_events(path, notes)
    events = {name: _join([part.pop(name) for part in held]) for name in list(held[0])}
    names, code = _vocabulary(path, events, vocabularies, broken, notes)
    time, good = events.get("time"), code > 0
    if time is not None:
        if per_second is None and (per_second := units_per_second(time)) > 1:
            notes.append(f"{name_of(path)}: times are read as {UNITS[per_second]}")
        good &= _in_range(events, per_second, broken)
    report_broken(path, broken, rows - int((~good).sum()), notes)
    if not good.all():
        code = code[good]
        events = {name: take(column, good) if isinstance(column, Column) else column[good]
                  for name, column in events.items()}
        time = events.get("time")
    return _number(path, events, code, names, time, per_second, notes, reading, same)


def _join(columns):
    """The columns of all parts as one."""
    if not isinstance(columns[0], Column):
        return np.concatenate(columns)
    if all(column.names is None for column in columns):
        return Column(np.concatenate([column.values for column in columns]))
    codes, values = {}, []
    for column in map(texts_of, columns):
        new = np.array([codes.setdefault(name, len(codes)) for name in column.names], np.int32)
        values.append(new[column.values])
    return Column(np.concatenate(values), list(codes))


def _vocabulary(path, events, vocabularies, broken, notes):
    """-> (names, code [n] from 1 of each event's behaviour, 0 for one that is in no vocabulary)."""
    behaviour = texts_of(events.pop("behaviour"))
    found = behaviour.names
    if not vocabularies:
        if len(found) > MOST_BEHAVIOURS:
            raise InputError(f"{name_of(path)}: has {len(found)} different behaviours, such as "
                             f"{found[0]!r}: give another column for them, or none")
        vocabularies = (tuple(sorted(found)),)
        if len(found) > 1:
            notes.append(f"{name_of(path)}: behaviours in the order {', '.join(sorted(found))}; "
                         "--behaviours gives another")
    counts = np.bincount(behaviour.values, minlength=len(found))
    names = max(vocabularies, key=lambda names: sum(
        counts[k] for k, name in enumerate(found) if name in names))  # the first of equal ones
    code = np.array([names.index(name) + 1 if name in names else 0 for name in found])
    allowed = " or ".join(f"({', '.join(v)})" for v in vocabularies if v == names or not code.any())
    for k in np.flatnonzero(code == 0):
        first = events["line"][behaviour.values == k][0]
        problem = f"behaviour {found[k]!r} is unknown, allowed here are {allowed}"
        add_broken(broken, ("behaviour", found[k]), int(first), problem, int(counts[k]))
    return names, code[behaviour.values]


def _in_range(events, per_second, broken):
    """Which times [n] lie between 1970 and LATEST; the others go to `broken`."""
    time, most = events["time"], LATEST * per_second
    good = (time >= 0) & (time < most)
    if not good.all():
        first = int(np.argmin(good))
        problem = f"time {time[first]:.16g} is not in 0..{most} {UNITS[per_second]} since 1970"
        add_broken(broken, "time", int(events["line"][first]), problem, int((~good).sum()))
    return good


def _number(path, events, code, names, time, per_second, notes, reading, same):
    """The Log of events that are all good."""
    _note_scientific(path, events, notes)
    users, user = number_ids(events.pop("user"))
    items, item = number_ids(events.pop("item"))
    categories, category = number_ids(events["category"]) if "category" in events else (None, None)
    del events
    columns = dict(user=user, item=item, behaviour=code, category=category, time=time)
    order = _order(user, time)
    if order is not None:
        columns = {name: None if x is None else x[order] for name, x in columns.items()}
    if time is not None and not reading.keep_repeats:
        columns = _drop_repeats(path, columns, same, notes)
    if time is not None:
        notes += [f"{name_of(path)}: {words}" for words in suspicions(columns["time"], per_second)]
        columns["time"] = in_seconds(columns["time"], per_second)
    columns = {name: None if x is None else freeze(x) for name, x in columns.items()}
    no_category = categories is None or len(categories) == 1
    return Log(columns["user"], columns["item"], columns["behaviour"], columns["time"],
               None if no_category else columns["category"], users, items,
               None if no_category else categories, names, tuple(notes))


def _order(user, time):
    """Rows in order of user and time, equal ones as in the file; None if they are."""
    step, rows = np.diff(user), len(user)
    time = np.zeros(rows, np.int64) if time is None else time
    if ((step > 0) | (step == 0) & (np.diff(time) >= 0)).all():
        return None
    low, span = time.min(), int(time.max() - time.min()) + 1
    bits = rows.bit_length()
    if time.dtype.kind != "i" or int(user.max() + 1) * span >= 1 << 63 - bits:
        return np.lexsort((time, user))
    # user, time and row in one number: sorting numbers is several times as fast as lexsort
    keys = (user * span + (time - low) << bits) + np.arange(rows)
    keys.sort()
    return keys & (1 << bits) - 1


def _drop_repeats(path, columns, same, notes):
    """The columns, sorted by user and time, without events that repeat one of the same time."""
    user, time = columns["user"], columns["time"]
    tie = (np.diff(user) == 0) & (np.diff(time) == 0)
    rows = np.flatnonzero(np.append(tie, False) | np.append(False, tie))
    if not len(rows):
        return columns
    group = np.cumsum(~np.append(False, tie))[rows]
    keys = [columns[name][rows] for name in same if columns[name] is not None] + [group]
    order = np.lexsort(keys)  # stable: the first of the file stays
    again = np.all([np.diff(key[order]) == 0 for key in keys], axis=0)
    repeats = rows[order[1:][again]]
    if not len(repeats):
        return columns
    shared = ", ".join(("user", *(name for name in same if columns[name] is not None)))
    notes.append(f"{name_of(path)}: dropped {len(repeats)} of {len(user)} events, each repeats "
                 f"another one in {shared} and time")
    return {name: None if x is None else np.delete(x, repeats) for name, x in columns.items()}


def _note_scientific(path, events, notes):
    """Note ids that a spreadsheet seems to have rounded."""
    for name in ("user", "item"):
        found = [raw for raw in events[name].names or () if SCIENTIFIC.fullmatch(raw)]
        if found:
            notes.append(f"{name_of(path)}: {len(found)} {name} ids look like numbers in "
                         f"scientific notation, such as {found[0]}: a spreadsheet may have rounded "
                         "them")


def with_item_categories(log, category, source, notes=()):
    """The log with its items' categories, {raw item: raw category}; others get 0.

    notes: on `source`, the file of the categories, of which another note says if any item has none.
    """
    raws = ["", *(category.get(raw, "") for raw in log.items[1:].tolist())]
    categories, of_item = number_ids(of_texts(raws))  # of_item [N + 1]
    notes, unknown = (*log.notes, *notes), int((of_item[1:] == 0).sum())
    if unknown:
        notes += (f"{source}: has no category for {unknown} of {len(log.items) - 1} items, they "
                  "get 0 (unknown)",)
    return log._replace(category=freeze(of_item[log.item]), categories=categories, notes=notes)


def number_ids(column):
    """A Column of raw ids -> (different raw ids with "" at 0, number [n] of each event's id).

    Numbers count from 1 in numeric order if all ids are integers, else in text order; "" is 0.
    """
    if column.names is None:
        integers, numbers = _number_integers(column.values)
        width = max(len(str(integers[0])), len(str(integers[-1])))
        raws = np.zeros(len(integers) + 1, f"U{width}")
        raws[1:] = integers
        return freeze(raws), numbers
    raws = order_ids(name for name in column.names if name)
    number = {raw: k for k, raw in enumerate(raws.tolist())}
    return raws, np.array([number[name] for name in column.names], np.int64)[column.values]


def _number_integers(values):
    """-> (different integers in order, number from 1 of each value [n])."""
    low, span = values.min(), values.max() - values.min()
    if not 0 <= span < 4 * len(values) + 10**6:  # a table of all that lies between is too large
        raws, numbers = np.unique(values, return_inverse=True)
        return raws, numbers + 1
    place = values - low
    seen = np.zeros(span + 1, bool)
    seen[place] = True
    return np.flatnonzero(seen) + low, np.cumsum(seen, dtype=np.int32).take(place).astype(np.int64)


def order_ids(raws):
    """Different raw ids [N + 1], "" at 0; in order as integers if all are, else as text.

    "01" and "1" stay different ids.
    """
    raws = set(raws)
    try:
        ordered = sorted(raws, key=lambda raw: (int(raw), raw))
    except ValueError:
        ordered = sorted(raws)
    return freeze(np.array(["", *ordered]))


def freeze(column):
    """The same array, read-only from now on."""
    column.setflags(write=False)
    return column
