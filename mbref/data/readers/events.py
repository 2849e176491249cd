"""From the columns of a table to events: no empty ids, ratings as behaviours, times as numbers."""
import numpy as np

from mbref.data.readers.columns import Column, look_up, of_texts, take, texts_of
from mbref.data.readers.lines import add_broken
from mbref.data.readers.times import iso_time, numbers_of

BOOLEAN = {"true": "1", "false": "0"}
RATED = ("pos", "neutral", "neg")


def rating_to_behaviour(rating):
    """Name in RATED of a rating on a five-star scale: pos from 4, neg up to 2, neutral between.

    The thresholds are the usual ones of the KHGT and MB-GMN family; the HMAR release converts no
    ratings.
    """
    if rating >= 4:
        return "pos"
    return "neg" if rating <= 2 else "neutral"


def clock_of(columns, table):
    """How the times of a file are written: "number" or "ISO"."""
    if table.clock != "any" or "time" not in columns:
        return table.clock
    names = texts_of(Column(columns["time"].values[:1], columns["time"].names)).names
    return "ISO" if names and iso_time(names[0]) == iso_time(names[0]) else "number"


def events_of(line, columns, table, times, broken, shown):
    """One part for build.log; rows that are no events go to `broken` or, by label, to `shown`."""
    columns = dict(columns)
    for name in ("user", "item", "behaviour", "rating", "time"):
        line, columns = drop_empty(line, columns, name, broken)
    if "label" in columns:
        line, columns = drop_label(line, columns, broken, shown)
    if "time" in columns or callable(times):
        line, columns = with_times(line, columns, table, times, broken)
    if "behaviour" not in columns and "rating" in columns:
        line, columns = with_ratings(line, columns, broken)
    if "behaviour" not in columns:
        columns["behaviour"] = Column(np.zeros(len(line), np.int64), [table.event])
    if table.unknown and "category" in columns:
        category = texts_of(columns["category"])
        known = of_texts(["" if name in table.unknown else name for name in category.names])
        columns["category"] = look_up(known, category.values)
    kept = ("user", "item", "behaviour", "time", "category")
    return {"line": line, **{name: columns[name] for name in kept if name in columns}}


def drop_empty(line, columns, name, broken):
    """Without the rows in which a column is empty."""
    column = columns.get(name)
    if column is None or column.names is None or "" not in column.names:
        return line, columns
    bad = column.values == column.names.index("")
    return drop(line, columns, name, bad, f"the {name} is empty, fill it in or delete the line",
                broken)


def drop(line, columns, name, bad, problem, broken):
    """Without the rows that are bad in a column; `problem` may hold a place for the first's text.

    They are counted in `broken`, a kind for each problem.
    """
    if not bad.any():
        return line, columns
    column = columns.get(name, line)
    row = np.flatnonzero(bad)[:1]
    first = texts_of(take(column, row)).names[0] if isinstance(column, Column) else ""
    add_broken(broken, problem, int(line[row[0]]), problem.format(repr(first)), int(bad.sum()))
    return line[~bad], {name: take(x, ~bad) if isinstance(x, Column) else x[~bad]
                        for name, x in columns.items()}


def drop_label(line, columns, broken, shown):
    """Without the rows whose label is 0: shown, and not taken."""
    label = texts_of(columns["label"])
    label = label._replace(names=[BOOLEAN.get(name.lower(), name) for name in label.names])
    columns["label"] = label
    value = numbers_of(label)
    line, columns = drop(line, columns, "label", np.isnan(value),
                         "label {} is not a number", broken)
    return drop(line, columns, "label", numbers_of(columns["label"]) <= 0, "0", shown)


def with_times(line, columns, table, times, broken):
    """The columns with numbers for times, without the rows that have none."""
    if callable(times):
        value, problem = times(columns)
    elif times == "ISO":
        value = numbers_of(columns["time"], iso_time)
        problem = "time {} is no time since 1970, write it as 2014-04-07T10:51:09.277Z"
    else:
        value = numbers_of(columns["time"])
        problem = "time {} is not a finite number, write seconds since 1970" + (
            ", or all times as 2014-04-07T10:51:09Z" if table.clock == "any" else "")
    columns = {**columns, "number": value}
    line, columns = drop(line, columns, "time", ~np.isfinite(value), problem, broken)
    value = columns.pop("number")
    whole = value.dtype.kind == "f" and (value == np.floor(value)).all()
    columns["time"] = value.astype(np.int64) if whole and (np.abs(value) < 2**53).all() else value
    return line, columns


def with_ratings(line, columns, broken):
    """The columns with the behaviours that their ratings say."""
    value = numbers_of(columns["rating"])
    line, columns = drop(line, columns, "rating", ~((value >= 0) & (value <= 5)),
                         "rating {} is not in 0..5, rescale the ratings to five stars", broken)
    value = numbers_of(columns["rating"])
    columns["behaviour"] = Column(np.where(value >= 4, 0, np.where(value <= 2, 2, 1)), list(RATED))
    return line, columns
