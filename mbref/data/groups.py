"""Logs whose objects come in groups (items, queries, coupons), the setting of ATRank's
multi-behaviour experiments.

Two CSV files in one folder, each with a header; columns may come in any order and others are
ignored.

    events.csv     user,group,object,action,time        one event a line, time in seconds since 1970
    objects.csv    group,object,shop,category,brand     one object a line; a feature is empty where
                                                        its group has none or where it is unknown

Both are read as any table of readers/, but a line that does not fit raises InputError.
"""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.data.readers.build import freeze, order_ids
from mbref.data.readers.columns import list_texts
from mbref.data.readers.events import drop_empty
from mbref.data.readers.lines import Findings, line_error
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
    require(Path(path).exists(), f"{path}: there is no such file, check the path")
    catalogue = read_catalogue(Path(path).with_name("objects.csv"), notes)
    events = read_events(Path(path), catalogue, notes)
    groups, actions = tuple(ACTIONS), tuple(name for names in ACTIONS.values() for name in names)
    ids, number = number_objects(catalogue)
    users = order_ids(event[0] for event in events)
    number |= {("user", raw): n for n, raw in enumerate(users.tolist())}
    table = np.array([(number["user", user], groups.index(group), number[group, raw],
                       1 + actions.index(action), time)
                      for user, group, raw, action, time in events], np.int64)  # [n, 5]
    # stable: equal times stay in the order of the file
    table = table[np.lexsort((table[:, 4], table[:, 0]))]
    features = tuple(feature_table(catalogue, group, ids[group], number) for group in groups)
    return GroupLog(*(freeze(column.copy()) for column in table.T), users,
                    tuple(ids[group] for group in groups), groups, actions, features,
                    tuple((group, *FEATURES[group]) for group in groups),
                    {name: len(raws) - 1 for name, raws in ids.items()}, tuple(notes))


def read_catalogue(path, notes):
    """objects.csv -> {(group, raw object): {feature: raw id, "" where unknown}}, in order."""
    catalogue, lines = {}, {}
    for line, group, raw, *features in _rows(path, OBJECT_COLUMNS, OBJECT_COLUMNS[:2], notes):
        features = dict(zip(OBJECT_COLUMNS[2:], features, strict=True))
        for name, value in features.items():
            if value and name not in FEATURES[group]:
                raise line_error(path, line, f"group {group} has no {name}, leave that field empty")
        if (group, raw) in lines:
            raise line_error(path, line, f"{group} {raw} is already in line {lines[group, raw]}, "
                                         "delete one of the two")
        catalogue[group, raw] = {name: features[name] for name in FEATURES[group]}
        lines[group, raw] = line
    return catalogue


def read_events(path, catalogue, notes):
    """events.csv -> [(raw user, group, raw object, action, seconds), ...], at least one."""
    events = []
    for line, user, group, raw, action, time in _rows(path, EVENT_COLUMNS, EVENT_COLUMNS, notes):
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


def number_objects(catalogue):
    """({kind: its raw ids}, {(kind, raw id): number}); a kind is a group or a feature."""
    found = {kind: set() for kind in (*ACTIONS, *OBJECT_COLUMNS[2:])}
    for (group, raw), features in catalogue.items():
        for kind, value in {group: raw, **features}.items():
            found[kind].add(value)
    ids = {kind: order_ids(raws - {""}) for kind, raws in found.items()}
    return ids, {(kind, raw): n for kind in ids for n, raw in enumerate(ids[kind].tolist())}


def feature_table(catalogue, group, raws, number):
    """The features of a group's objects, the object itself first.  -> [N_g + 1, F_g]."""
    rows = [[n, *(number[kind, value] for kind, value in catalogue[group, raw].items())]
            for n, raw in enumerate(raws.tolist()) if n]
    return freeze(np.array([[0] * (1 + len(FEATURES[group])), *rows], np.int64))


def _rows(path, columns, full, notes):
    """Yield (line number, text of each column) of a file. Raises InputError for any broken line.

    full: the columns that may not be empty.
    """
    found = Findings(path, notes, {})
    table = Table({name: (name,) for name in columns}, (",",))
    for part in rows(found, table, "of groups"):
        part = drop_empty(part, full, found.broken)
        if found.broken:
            _, line, problem = min(found.broken.values(), key=lambda kind: kind[1])
            raise line_error(path, line, problem)
        texts = (list_texts(part[name]) for name in columns)
        for line, *row in zip(part["line"].values.tolist(), *texts, strict=True):
            group = row[columns.index("group")]
            if group not in ACTIONS:
                raise line_error(path, line, f"group {group!r} is unknown, choose one of "
                                             f"{', '.join(ACTIONS)}")
            yield line, *row
