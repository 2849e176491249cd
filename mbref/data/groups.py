"""Logs whose objects come in groups (items, queries, coupons), the setting of ATRank's
multi-behaviour experiments.

Two CSV files in one folder, each with a header; columns may come in any order and others are
ignored.

    events.csv     user,group,object,action,time        one event a line, time in seconds since 1970
    objects.csv    group,object,shop,category,brand     one object a line; a feature is empty where
                                                        its group has none or where it is unknown

Both are read as any table of readers/, but for one thing: a line that does not fit is not skipped,
it raises InputError.
"""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.data.readers.build import freeze, order_ids
from mbref.data.readers.columns import texts_of
from mbref.data.readers.events import drop_empty
from mbref.data.readers.lines import line_error
from mbref.data.readers.table import Table, rows
from mbref.data.readers.times import LATEST, number
from mbref.errors import require

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
    table = np.array([(number_of_user[user], g := groups.index(group), number[g][raw],
                       1 + actions.index(action), time)
                      for user, group, raw, action, time in events], np.int64)  # [n, 5]
    # stable: equal times stay in the order of the file
    table = table[np.lexsort((table[:, 4], table[:, 0]))]
    columns = (freeze(column.copy()) for column in table.T)
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
            words = f"{group} {raw} has no line in objects.csv, add it there or delete this line"
            raise line_error(path, line, ". ".join([words, *notes]))  # it may be one that was cut
        seconds = number(time)
        if not 0 <= seconds < LATEST:  # false for nan, too
            raise line_error(path, line, f"time {time!r} is not in 0..{LATEST}, write seconds "
                                         "since 1970, not milliseconds")
        events.append((user, group, raw, action, int(seconds)))
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


def _rows(path, columns, notes, may_be_empty=()):
    """Yield (line number, {column: text}) of a file. Raises InputError for any broken line."""
    table, broken = Table({name: (name,) for name in columns}, (",",)), {}
    for line, fields in rows(path, table, "of groups", broken, notes):
        for name in columns:
            if name not in may_be_empty:
                line, fields = drop_empty(line, fields, name, broken)
        if broken:
            _, first, problem = min(broken.values(), key=lambda kind: kind[1])
            raise line_error(path, first, problem)
        columns_of_text = [texts_of(fields[name]) for name in columns]
        texts = [[column.names[k] for k in column.values] for column in columns_of_text]
        for at, *row in zip(line.tolist(), *texts, strict=True):
            yield at, dict(zip(columns, row, strict=True))


def _require_group(path, line, group):
    if group not in ACTIONS:
        raise line_error(path, line,
                         f"group {group!r} is unknown, choose one of {', '.join(ACTIONS)}")
