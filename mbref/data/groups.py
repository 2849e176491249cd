"""Logs whose objects come in groups (items, queries, coupons), the setting of ATRank's
multi-behaviour experiments.

Two CSV files in one folder, each with a header; columns may come in any order and others are
ignored.

    events.csv     user,group,object,action,time        one event a line, time in seconds since 1970
    objects.csv    group,object,shop,category,brand     one object a line; a feature is empty where
                                                        its group has none or where it is unknown

Both are read as UTF-8; a byte order mark, CRLF line ends and blank lines are accepted. Anything
else that does not fit raises InputError with the file, the line and the mend. One fault is mended
here: a last line that was cut off (too few fields, no line break) is dropped and named in
`GroupLog.notes`.
"""
import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.data.readers.build import freeze, order_ids
from mbref.data.readers.lines import cut_line, line_error
from mbref.data.readers.times import seconds
from mbref.errors import InputError, require

ACTIONS = {"item": ("view", "fav", "cart", "buy"), "query": ("search",), "coupon": ("receive",)}
FEATURES = {"item": ("shop", "category", "brand"), "query": (), "coupon": ("shop", "category")}
EVENT_COLUMNS = ("user", "group", "object", "action", "time")
OBJECT_COLUMNS = ("group", "object", "shop", "category", "brand")


class GroupLog(NamedTuple):
    """One log: n events, U users, G groups of N_g objects with F_g features, A actions.

    Sorted by user, then by time; equal times keep the order of the file. Users, objects and
    features are numbered from 1 by raw id, in numeric order if all are integers, else in text
    order. Objects without an event are kept: objects.csv is the catalogue.
    """

    user: np.ndarray  # [n] 1..U
    group: np.ndarray  # [n] 0..G-1; group g is called groups[g]
    object: np.ndarray  # [n] 1..N_g, numbered within its group
    action: np.ndarray  # [n] 1..A; action a is called actions[a - 1], so that 0 is free for padding
    time: np.ndarray  # [n] seconds since 1970
    users: np.ndarray  # [U + 1] raw ids as text; entry 0 is "" (padding)
    objects: tuple[np.ndarray, ...]  # over groups: [N_g + 1] likewise
    groups: tuple[str, ...]  # G names
    actions: tuple[str, ...]  # A names
    features: tuple[np.ndarray, ...]  # over groups: [N_g + 1, F_g] ids, the object itself first
    feature_names: tuple[tuple[str, ...], ...]  # over groups: F_g names, each one numbering
    sizes: dict[str, int]  # feature name -> how many ids it has, 0 not counted
    notes: tuple[str, ...]  # sentences: what the reader dropped or noticed


def read_groups(path):
    """The GroupLog of events.csv at `path` and objects.csv beside it. Raises InputError."""
    notes = []
    require(not Path(path).is_dir(), f"{path}: is a directory, give the events.csv inside it")
    catalogue = read_catalogue(Path(path).with_name("objects.csv"), notes)
    events = read_events(Path(path), catalogue, notes)
    groups, actions = tuple(ACTIONS), tuple(name for names in ACTIONS.values() for name in names)
    objects = tuple(order_ids(raw for group, raw in catalogue if group == name) for name in groups)
    features, sizes = feature_tables(catalogue, objects)
    users = order_ids(event[0] for event in events)
    number_of_user, *number = map(number_ids, (users, *objects))
    rows = np.array([(number_of_user[user], g := groups.index(group), number[g][raw],
                      1 + actions.index(action), time)
                     for user, group, raw, action, time in events], np.int64)  # [n, 5]
    # stable: equal times stay in the order of the file
    rows = rows[np.lexsort((rows[:, 4], rows[:, 0]))]
    columns = (freeze(column.copy()) for column in rows.T)
    names = tuple((name, *FEATURES[name]) for name in groups)
    return GroupLog(*columns, users, objects, groups, actions, features, names, sizes, tuple(notes))


def number_ids(raws):
    """{raw id: its number} from raw ids in order."""
    return {raw: n for n, raw in enumerate(raws.tolist())}


def read_catalogue(path, notes):
    """objects.csv -> {(group, raw object): {feature: raw id, "" where unknown}}, in order."""
    catalogue, lines = {}, {}
    for line, row in _rows(path, OBJECT_COLUMNS, notes, may_be_empty=OBJECT_COLUMNS[2:]):
        group, key = row["group"], (row["group"], row["object"])
        _require_group(path, line, group)
        for name in OBJECT_COLUMNS[2:]:
            if row[name] and name not in FEATURES[group]:
                raise line_error(path, line, f"group {group} has no {name}, leave that field empty")
        if key in catalogue:
            raise line_error(path, line, f"{group} {key[1]} is already in line {lines[key]}, "
                                         "delete one of the two")
        catalogue[key], lines[key] = {name: row[name] for name in FEATURES[group]}, line
    return catalogue


def read_events(path, catalogue, notes):
    """events.csv -> [(raw user, group, raw object, action, seconds), ...], at least one."""
    events = []
    for line, row in _rows(path, EVENT_COLUMNS, notes):
        user, group, raw, action, time = row.values()
        _require_group(path, line, group)
        if action not in ACTIONS[group]:
            raise line_error(path, line, f"action {action!r} is unknown, the actions of group "
                                         f"{group} are {', '.join(ACTIONS[group])}")
        if (group, raw) not in catalogue:
            raise line_error(path, line, f"{group} {raw} has no line in objects.csv, "
                                         "add it there or delete this line")
        events.append((user, group, raw, action, seconds(path, line, time)))
    require(events, f"{path.name}: holds no events (only a header or a cut line), "
                    "give a file with at least one")
    return events


def feature_tables(catalogue, objects):
    """(tables over groups [N_g + 1, F_g], {feature: number of ids}) as in GroupLog.

    catalogue as from read_catalogue; objects: over groups, raw ids [N_g + 1].
    """
    sizes = {group: len(raws) - 1 for group, raws in zip(ACTIONS, objects, strict=True)}
    number = {}  # feature -> {raw: number}
    for name in OBJECT_COLUMNS[2:]:
        raws = order_ids(features[name] for features in catalogue.values() if features.get(name))
        number[name] = number_ids(raws)
        sizes[name] = len(raws) - 1
    tables = []
    for group, raws in zip(ACTIONS, objects, strict=True):
        rows = [[n, *(number[name][catalogue[group, raw][name]] for name in FEATURES[group])]
                for n, raw in enumerate(raws.tolist()) if n]
        padding = [0] * (1 + len(FEATURES[group]))
        tables.append(freeze(np.array([padding, *rows], np.int64)))
    return tuple(tables), sizes


# From bytes to rows of named fields.

def _rows(path, columns, notes, may_be_empty=()):
    """Yield (line number, {column: text}) of a CSV file with header, blank lines left out."""
    text = _text(path)
    ended = text.endswith(("\n", "\r"))
    reader = _csv_rows(path, text)
    line, header, _ = next(reader, (1, [], True))
    for name in columns:
        if header.count(name) != 1:
            problem = "has no" if name not in header else "has more than one"
            raise line_error(path, line, f"the header {problem} column {name}, "
                                         f"it must name {', '.join(columns)}")
    for line, fields, last in reader:
        row = dict(zip(header, fields, strict=False))
        empty = [name for name in columns if not row.get(name) and name not in may_be_empty]
        if last and not ended:
            found = min(len(fields), len(header) - len(empty))
            notes.append(cut_line(path, line, found, len(header)))
            if found < len(header):
                return
        if len(fields) != len(header):
            raise line_error(path, line, f"{len(fields)} fields where the header has "
                                         f"{len(header)}, mend the line")
        if empty:
            raise line_error(path, line, f"the {empty[0]} is empty, fill it in or delete the line")
        yield line, {name: row[name] for name in columns}


def _csv_rows(path, text):
    """Yield (line number, fields without blanks around them, whether it is the last line)."""
    lines = sum(1 for _ in io.StringIO(text, newline=""))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if fields not in ([], [""]):
                yield reader.line_num, fields, reader.line_num == lines
    except csv.Error as error:
        raise line_error(path, reader.line_num,
                         f"is not CSV ({error}), mend its quotation marks") from None


def _text(path):
    """The file's text without a byte order mark."""
    require(path.exists(), f"{path}: there is no such file, events.csv and objects.csv "
                           "belong in one folder")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), "
                         "check its permissions") from None
    except UnicodeDecodeError:
        text = "\0"
    require("\0" not in text,  # zero bytes are valid UTF-8, but no text file has them
            f"{path.name}: is not UTF-8 text, unpack the file or save it as UTF-8")
    return text


def _require_group(path, line, group):
    if group not in ACTIONS:
        raise line_error(path, line,
                         f"group {group!r} is unknown, choose one of {', '.join(ACTIONS)}")
