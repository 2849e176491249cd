"""From the columns of a table to events: no empty ids, ratings as behaviours, times as numbers."""
from math import isnan

import numpy as np

from mbref.data.readers.columns import SCIENTIFIC, Column, list_texts, map_texts, take
from mbref.data.readers.lines import add_broken
from mbref.data.readers.times import LATEST, digit_time, iso_time, number, numbers_of, word_time

MISSING = {"", "nan", "NaN", "NULL", "null", "None", "<NA>", "\\N"}  # in place of an id
BOOLEAN = {"true": "1", "false": "0"}
RATED = ("pos", "neutral", "neg")
ORDER = "purchase"  # what an event with the number of an order is
NO_NUMBER = "time {} is not a finite number, write seconds since 1970"
# how times are written -> what reads one, what to say of those that it cannot read
CLOCKS = {"number": (number, NO_NUMBER),
          "any": (number, NO_NUMBER + ", or all times as 2014-04-07T10:51:09Z"),
          "ISO": (iso_time, "time {} is no time since 1970, write it as 2014-04-07T10:51:09.277Z"),
          "words": (word_time, "time {} is no time since 1970, write it as Tue Apr 03 18:00:09 "
                               "+0000 2012"),
          "digits": (digit_time, "time {} is no time, write all as 20140407 or 20140407105109"),
          "day": (iso_time, "eventdate {} is no day since 1970 (YYYY-MM-DD), or its timeframe no "
                            "milliseconds")}
CALENDARS = {"ISO": "times are ISO 8601, of UTC unless they name a zone",
             "words": "times are written as Tue Apr 03 18:00:09 +0000 2012",
             "digits": "times are read as days, such as 20140407, or 20140407105109, of UTC"}
FIRST = 100  # times that decide how the others are written
# what a note says of so many rows
NO_EVENT = "left out {} with label 0 or less, no events"
ZERO = "found {} with rating 0, read as neg: leave them out if 0 stands for no rating"
ROUNDED = "found {} with a time in scientific notation: a spreadsheet may have rounded it"


def rating_to_behaviour(rating):
    """Name in RATED of a rating on a five-star scale: pos from 4, neg up to 2, neutral between.

    The thresholds are the usual ones of the KHGT and MB-GMN family; the HMAR release converts no
    ratings.
    """
    if rating >= 4:
        return "pos"
    return "neg" if rating <= 2 else "neutral"


def find_clock(part):
    """Which of CALENDARS reads more than half of the first times of a part, else "any"."""
    times = list_texts(part["time"])[:FIRST] if "time" in part else []

    def count_read(clock):
        return sum(not isnan(CLOCKS[clock][0](time)) for time in times)

    return next((clock for clock in CALENDARS if 2 * count_read(clock) > len(times)), "any")


def events_of(part, table, broken, shown):
    """A part for build.log; rows that are broken go to `broken`, what else to tell to `shown`."""
    part = drop_empty(part, ("user", "item", "behaviour", "rating", "time"), broken)
    if "label" in part:
        part["label"] = map_texts(part["label"], lambda text: BOOLEAN.get(text.lower(), text))
        part = drop(part, "label", np.isnan(numbers_of(part["label"])), "label {} is not a number, "
                    "rename the column if it does not say which rows are events", broken)
        part = drop(part, "label", numbers_of(part["label"]) <= 0, NO_EVENT, shown)  # not taken
    if "time" in part:
        _find_scientific(part, shown)
        part = _with_times(part, table.clock, broken)
    if "behaviour" not in part:
        part = _with_ratings(part, ORDER if "order" in part else table.event, broken,
                             shown)
    unknown, category = MISSING.union(table.unknown), part.get("category", Column(None))
    if unknown.intersection(category.names or ()) or table.unknown and "category" in part:
        part["category"] = map_texts(category, lambda name: "" if name in unknown else name)
    kept = ("line", "user", "item", "behaviour", "time", "category")
    return {name: part[name] for name in kept if name in part}


def drop_empty(part, names, broken):
    """The part without the rows in which one of these columns is empty, or an id is missing."""
    for name in names:
        missing = MISSING if name in ("user", "item") else {""}
        for word in sorted(missing.intersection(part.get(name, Column(None)).names or ())):
            bad = part[name].values == part[name].names.index(word)
            part = drop(part, name, bad, f"the {name} is {word or 'empty'}, fill it in or delete "
                                         "the line", broken)
    return part


def drop(part, name, bad, problem, broken):
    """The part without the rows that are `bad` [n] in a column; `broken` counts them.

    {} in the problem stands for what the first of them has there.
    """
    if not bad.any():
        return part
    row, column = int(np.argmax(bad)), part[name]
    value = column.values[row]
    first = f"{value:.16g}" if column.names is None else repr(column.names[value])
    add_broken(broken, problem, int(part["line"].values[row]), int(bad.sum()),
               problem.replace("{}", first))
    return take(part, ~bad)


def _find_scientific(part, shown):
    """Count the times of a part that are written as 9.78E+08."""
    codes = [k for k, text in enumerate(part["time"].names or ()) if SCIENTIFIC.fullmatch(text)]
    rows = np.flatnonzero(np.isin(part["time"].values, codes)) if codes else ()
    if len(rows):
        add_broken(shown, ROUNDED, int(part["line"].values[rows[0]]), len(rows))


def _with_times(part, clock, broken):
    """The part with numbers for times, without the rows that have none."""
    parse, problem = CLOCKS[clock]
    value = numbers_of(part["time"], parse)
    if clock == "day":  # and milliseconds since it began
        offset = numbers_of(part["timeframe"])
        good = (value >= 0) & (offset >= 0) & (offset < LATEST)
        value = np.where(good, value + 1000 * np.floor(offset), np.nan)
    part = drop({**part, "number": Column(value)}, "time", ~np.isfinite(value), problem, broken)
    value = part["number"].values
    whole = value.dtype.kind == "f" and (value == np.floor(value)).all()
    if whole and (np.abs(value) < 2**53).all():
        value = value.astype(np.int64)
    return {**part, "time": Column(value)}


def _with_ratings(part, event, broken, shown):
    """The part with the behaviours that its ratings say, or `event` where it has none."""
    if "rating" not in part:
        return {**part, "behaviour": Column(np.zeros(len(part["line"].values), np.int8), [event])}
    value = numbers_of(part["rating"])
    zeros = part["line"].values[value == 0]
    if len(zeros):
        add_broken(shown, ZERO, int(zeros[0]), len(zeros))
    part = drop(part, "rating", ~((value >= 0) & (value <= 5)),
                "rating {} is not in 0..5, rescale the ratings to five stars (and write 4.5 for "
                "4,5)", broken)
    behaviour = map_texts(part["rating"], lambda text: rating_to_behaviour(number(text)))
    return {**part, "behaviour": behaviour}
