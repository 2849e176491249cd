"""From the columns of a file to a log: numbers in place of raw ids, in order of user and time.

A part of events holds the Columns `line`, `user`, `item`, `behaviour` and, where the file has them,
`category` and `time`: numbers in units that all parts share.
"""
from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from mbref.data.log import Attributes, Log
from mbref.data.readers.columns import SCIENTIFIC, Column, of_texts, take, texts_of
from mbref.data.readers.events import MISSING, drop
from mbref.data.readers.lines import name_of, note, report_broken
from mbref.data.readers.times import LATEST, UNITS, in_seconds, suspicions, units_per_second
from mbref.errors import count as words, require

MOST_BEHAVIOURS = 50
REPEATS = ("item", "behaviour", "category")  # what two events of one user and time share, too


class Reading(NamedTuple):
    """How to read a file, where its format leaves a choice."""
    behaviours: tuple | None = None  # names in the order of their numbers
    columns: dict | None = None      # of format csv: {"user": name or number of the column, ...}
    header: bool = True              # of format csv: are there names in the first line?
    sample_users: int = 0            # keep so many users, 0 = all
    keep_repeats: bool = False       # keep a row that repeats another one exactly


def log(found, parts, vocabularies, reading, per_second=None, same=REPEATS):
    """The Log of parts. Raises InputError if there is no event, or too many rows are broken.

    vocabularies: tuples of behaviour names, of which that with the most events counts; () = the
    names of the file in alphabetical order. per_second: units of the times, None = to be found.
    Events are sorted by their whole times before fractions of a second go. same: what makes two
    events of a user at one time repeats.
    """
    held, rows = sample_parts(parts, reading.sample_users, found)
    if not rows:
        report_broken(found, 0)
    out = rows - count_rows(held)
    events = {name: _join([part.pop(name) for part in held]) for name in list(held[0])}
    events, names = _number_behaviours(found, events, vocabularies)
    if "time" in events:
        time = events["time"].values
        if per_second is None and (per_second := units_per_second(time)) != 1:
            note(found, f"times are read as {UNITS[per_second]}")
        most = LATEST * per_second
        problem = f"time {{}} is not in 0..{most} {UNITS[per_second]} since 1970"
        events = drop(events, "time", (time < 0) | (time >= most), problem, found.broken)
    good = len(events["line"].values)
    report_broken(found, good and out + good)
    there = np.unique(events["behaviour"].values)
    absent = [name for k, name in enumerate(reading.behaviours or (), 1) if k not in there]
    if absent:
        note(found, f"no event is {' or '.join(absent)}, which --behaviours names")
    return _number(found, events, names, per_second, reading, same)


def count_rows(parts):
    """How many rows the parts hold together."""
    return sum(len(part["line"].values) for part in parts)


def sample_parts(parts, count, found):
    """(the parts with the events of `count` users alone, 0 = all; the number of all events).

    Those users are kept whose ids have the lowest hashes, the same ones in every run and in
    whatever order the rows come. A user who is not among them now never will be: the file is read
    once. A note says what share was kept.
    """
    held, rows, lowest = [], 0, np.empty(0, np.uint64)
    for part in parts:
        rows += len(part["line"].values)
        if count:
            user = texts_of(part["user"])
            codes = [int.from_bytes(blake2b(raw.encode(), digest_size=8).digest(), "big")
                     for raw in user.names]
            part["hash"] = Column(np.array(codes, np.uint64)[user.values])
            lowest = np.unique(np.append(lowest, part["hash"].values))[:count]
            part = take(part, part["hash"].values <= lowest[-1:])
        held.append(part)
    if count and rows:
        held = [take(part, part["hash"].values <= lowest[-1:]) for part in held]
        kept = count_rows(held)
        note(found, f"kept {words(len(lowest), 'user')} and {kept:,} of {words(rows, 'event')} "
                    f"({kept / rows:.1%})")
    return held, rows


def _join(columns):
    """The columns of all parts as one."""
    if all(column.names is None for column in columns):
        return Column(np.concatenate([column.values for column in columns]))
    codes, values = {}, []
    for column in map(texts_of, columns):
        new = np.array([codes.setdefault(name, len(codes)) for name in column.names], np.int32)
        values.append(new[column.values])
    return Column(np.concatenate(values), list(codes))


def _number_behaviours(found, events, vocabularies):
    """-> (the events with numbers for behaviours, those of no vocabulary left out; the names)."""
    behaviour = texts_of(events["behaviour"])
    there = sorted(behaviour.names)
    if not vocabularies:
        require(len(there) <= MOST_BEHAVIOURS,
                f"{name_of(found.path)}: has {len(there)} different behaviours, such as "
                f"{there[0]!r}: give another column for them, or none")
        vocabularies = (tuple(there),)
        if len(there) > 1:
            note(found, f"behaviours in the order {', '.join(there)}; --behaviours gives another")
    count = dict(zip(behaviour.names, np.bincount(behaviour.values).tolist(), strict=True))
    names = max(vocabularies, key=lambda names: sum(count.get(name, 0) for name in names))
    unknown = [name for name in behaviour.names if name not in names]
    among = (names,) if len(unknown) < len(there) else vocabularies
    allowed = " or ".join(f"({', '.join(names)})" for names in among)
    events = {**events, "behaviour": behaviour}
    for name in unknown:
        bad = events["behaviour"].values == events["behaviour"].names.index(name)
        events = drop(events, "behaviour", bad,
                      f"behaviour {name!r} is unknown, allowed here are {allowed}: name it in "
                      "--behaviours, or delete the line", found.broken)
    number = np.array([names.index(name) + 1 for name in events["behaviour"].names], np.int64)
    return {**events, "behaviour": Column(number[events["behaviour"].values])}, names


def _number(found, events, names, per_second, reading, same):
    """The Log of events that are all good."""
    _note_ids(found, events)
    raws, columns = {}, {}
    for name in ("user", "item", "category"):
        if name in events:
            raws[name], columns[name] = number_ids(events.pop(name))
    columns |= {name: events[name].values for name in ("behaviour", "time") if name in events}
    del events
    order = _order(columns["user"], columns.get("time"))
    if order is not None:
        columns = {name: column[order] for name, column in columns.items()}
    if "time" in columns:
        if not reading.keep_repeats:
            columns = _drop_repeats(found, columns, same)
        seconds = in_seconds(columns["time"], per_second)
        for sentence in suspicions(columns["time"], seconds):
            note(found, sentence)
        columns["time"] = seconds
    if len(raws.get("category", ())) == 1:  # no item has one
        del raws["category"], columns["category"]
    columns = {name: freeze(column) for name, column in columns.items()}
    return Log(columns["user"], columns["item"], columns["behaviour"], columns.get("time"),
               columns.get("category"), raws["user"], raws["item"], raws.get("category"), names,
               tuple(found.notes))


def _order(user, time):
    """Rows in order of user and time, equal ones as in the file; None if they are."""
    rows = len(user)
    time = np.zeros(rows, np.int64) if time is None else time
    same = user[1:] == user[:-1]
    if ((user[1:] > user[:-1]) | same & (time[1:] >= time[:-1])).all():
        return None
    low, span = time.min(), int(time.max() - time.min()) + 1
    bits = rows.bit_length()
    if time.dtype.kind != "i" or int(user.max() + 1) * span >= 1 << 63 - bits:
        return np.lexsort((time, user))
    # user, time and row in one number: sorting numbers is several times as fast as lexsort
    keys = (user * span + (time - low) << bits) + np.arange(rows)
    keys.sort()
    return keys & (1 << bits) - 1


def _drop_repeats(found, columns, same):
    """The columns, sorted by user and time, without events that repeat one of the same time."""
    user, time = columns["user"], columns["time"]
    tie = (user[1:] == user[:-1]) & (time[1:] == time[:-1])
    rows = np.flatnonzero(np.append(tie, False) | np.append(False, tie))
    group = np.cumsum(~np.append(False, tie)[rows])
    same = [name for name in same if name in columns]
    keys = [columns[name][rows] for name in same] + [group]
    order = np.lexsort(keys)  # stable: the first of the file stays
    again = np.all([np.diff(key[order]) == 0 for key in keys], axis=0)
    repeats = rows[order[1:][again]]
    if not len(repeats):
        return columns
    note(found, f"dropped {len(repeats)} of {len(user)} events, each repeats another one in "
                f"{', '.join(('user', *same))} and time")
    return {name: np.delete(column, repeats) for name, column in columns.items()}


def _note_ids(found, events):
    """Note ids that a spreadsheet seems to have rounded, and those in two spellings: 12 and 12.0,
    or the same letters in another form of Unicode, as full-width digits or apart from accents."""
    for name in ("user", "item"):
        names = events[name].names or ()
        raws = [raw for raw in names if SCIENTIFIC.fullmatch(raw)]
        if raws:
            note(found, f"found {words(len(raws), f'{name} id')} in scientific notation, such as "
                        f"{raws[0]}: a spreadsheet may have rounded them")
        other = {raw: normalize("NFKC", raw).removesuffix(".0").lstrip("0") or "0" for raw in names
                 if raw.startswith("0") or raw.endswith(".0") or not raw.isascii()}
        known = set(names) if other else ()
        twice = [raw for raw, plain in other.items() if plain != raw and plain in known]
        if twice:
            both = f"{twice[0]} and {other[twice[0]]}".encode("ascii", "backslashreplace")
            note(found, f"found {words(len(twice), f'{name} id')} in two spellings, such as "
                        f"{both.decode()}: they are read as two {name}s")


def note_no_categories(log, source):
    """The log with a note that the file `source` would hold the categories."""
    words = f"{source.name}: there is no such file beside the log, so items have no categories"
    return log._replace(notes=(*log.notes, words))


def note_several(found, count, what, first=""):
    """Note that `count` items have more than one category."""
    have = "item has" if count == 1 else "items have"
    if count:
        note(found, f"{count} {have} more than one category{first}, {what}")


def with_item_categories(log, found, pairs):
    """The log with its items' categories, pairs [(raw item, raw category), ...] in a file.

    Of several for one item the last counts; an item without one gets 0; notes say of how many.
    """
    wanted, category, changed = set(log.items.tolist()), {}, set()
    for item, raw in pairs:
        if item in wanted and raw not in MISSING:
            changed |= {item} if category.get(item, raw) != raw else set()
            category[item] = raw
    note_several(found, len(changed), "the last is kept")
    raws = (category.get(raw, "") for raw in log.items.tolist())
    categories, of_item = number_ids(of_texts(raws))  # of_item [N + 1]
    if unknown := int((of_item[1:] == 0).sum()):
        note(found, f"has no category for {unknown} of {len(log.items) - 1} items, they get 0 "
                    "(unknown)")
    return log._replace(category=freeze(of_item[log.item]), categories=categories,
                        notes=(*log.notes, *found.notes))


def with_attributes(log, lists):
    """The log with its items' attributes, from {raw item: [raw attribute, ...]}, each one once."""
    of_item = [[], *(dict.fromkeys(lists.get(raw, ())) for raw in log.items[1:].tolist())]
    names, value = number_ids(of_texts(raw for raws in of_item for raw in raws))
    ptr = np.cumsum([0, *map(len, of_item)], dtype=np.int64)
    return log._replace(attributes=Attributes(freeze(ptr), freeze(value), names))


def number_ids(column):
    """A Column of raw ids -> (different raw ids with "" at 0, number [n] of each event's id).

    Numbers count from 1 in numeric order if all ids are integers, else in text order; "" is 0.
    """
    values, names = column
    if names is None and len(values):
        low = values.min()
        if (span := int(values.max()) - int(low)) < 4 * len(values) + 10**6:
            values = values - low
            seen = np.zeros(span + 1, bool)  # a table of all that lies between: no sorting
            seen[values] = True
            raws, number = np.flatnonzero(seen) + low, np.cumsum(seen, dtype=np.int32)[values]
        else:
            raws, number = np.unique(values, return_inverse=True)
            number = number + 1
        names = np.zeros(len(raws) + 1, f"U{max(len(str(raw)) for raw in raws[[0, -1]])}")
        names[1:] = raws
        return freeze(names), number.astype(np.int64)
    values, names = texts_of(column)
    raws = order_ids(name for name in names if name)
    number = {raw: k for k, raw in enumerate(raws.tolist())}
    return raws, np.array([number[name] for name in names], np.int64)[values]


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
