"""One reader for every file of delimited lines; a format is a Table, which says where things stand.

To add a format:
1. In shops.py give TABLES its name and its Table: {ours: spellings in a header} for user, item and
   what else there is of behaviour, rating, time, category and label; the separators it may have.
2. A file without header: header="none", and the columns in the order of the file.
3. Behaviours: vocabularies=(("buy", "cart", "view"),), which is their order.
4. Times that are no numbers: clock="ISO". Seconds, ms, us and ns are told apart by themselves.
5. Categories in a file beside the log: read it by `pairs` in read_shop, as with_categories_of does.
6. Add the name to FORMATS of data/options.py, a line to readers/__init__.py, a good file to
   CHOICES or GOOD of tests/data/test_readers.py: damaged copies of it are then tried, too.
"""
import re
from itertools import chain
from math import isnan
from typing import NamedTuple

import numpy as np

from mbref.data.readers import build, lines as text
from mbref.data.readers.columns import (
    SEPARATOR_NAMES,
    Column,
    Layout,
    list_texts,
    of_texts,
    parse,
    split_fields,
)
from mbref.data.readers.events import RATED, events_of
from mbref.data.readers.times import iso_time, number
from mbref.errors import InputError, require

WIDEST_TABLE = 10_000  # columns
PARQUET_ROWS = 1 << 17  # that are read at a time
OURS = ("user", "item", "time", "behaviour", "rating", "category", "label")


class Table(NamedTuple):
    """How a format writes a log."""

    columns: dict  # ours (user, item, behaviour, rating, time, category) -> spellings in a header
    separators: tuple = ("\t",)      # that may stand between fields
    header: str = "named"  # "named"; "any" words; "none" or, if it is there, named; "numbers" given
    optional: tuple = ()             # columns that a file may lack
    vocabularies: tuple = ()         # of behaviour names; () = those of the file
    event: str = "click"             # what all events are called without behaviour and rating
    clock: str = "number"            # how times are written, of events.CLOCKS
    unknown: tuple = ()              # categories that say nothing
    typed: bool = False              # names in the header end in ":type"


def read_csv(path, reading):
    """The Log of any table, with the columns of `reading`, see readers.read_table."""
    columns = reading.columns or {}
    require({"user", "item"} <= set(columns) <= set(OURS),
            "--columns must name user and item, user=visitorid,item=itemid for instance, and may "
            f"name {', '.join(OURS[2:])}: it names {', '.join(columns) or 'nothing'}")
    table = Table({name: (str(column),) for name, column in columns.items()},
                  tuple(SEPARATOR_NAMES), "named" if reading.header else "numbers", clock="any")
    return read_log(path, table, "csv", reading)


def read_log(path, table, format, reading):
    """The Log of a file that is written as `table` says; `format` is its name for messages."""
    broken, shown, notes = {}, {}, []
    vocabularies = vocabularies_of(format, table, reading.behaviours)
    parts = rows(path, table, format, broken, notes)
    first = next(parts, None)
    times = list_texts(first["time"]) if first and "time" in first else []
    if table.clock == "any" and times and not isnan(iso_time(times[0])):
        table = table._replace(clock="ISO")
        notes.append(f"{text.name_of(path)}: times are ISO 8601, of UTC unless they name a zone")
    unit = 10**6 if table.clock in ("ISO", "day") else None
    events = (events_of(part, table, broken, shown) for part in chain([first], parts) if part)
    log = build.log(path, events, vocabularies, notes, broken, reading, unit)
    return log._replace(notes=log.notes + tuple(
        f"{text.name_of(path)}: {count} rows are no events, their label is 0 (the first is line "
        f"{line})" for count, line, _ in shown.values()))


def vocabularies_of(format, table, behaviours):
    """The vocabularies to choose from: the caller's alone, or the format's.

    Raises InputError if the caller names behaviours and the format has none.
    """
    if behaviours is None:
        return table.vocabularies if "behaviour" in table.columns else (RATED, (table.event,))
    names = tuple(behaviours)
    require(names and not isinstance(behaviours, str) and len(set(names)) == len(names),
            f"behaviours must be a sequence of different names, not {behaviours!r}")
    require("behaviour" in table.columns,
            f"format {format} has no behaviour names, leave --behaviours out")
    return (names,)


def rows(path, table, format, broken, notes):
    """Yield the parts of a file, see columns.py."""
    if format == "csv" and str(path).endswith(".parquet"):
        yield from parquet_parts(path, {ours: names[0] for ours, names in table.columns.items()})
        return
    layout = None
    for first, data in text.chunks(path):
        if layout is None:
            line, head, _ = next(text.lines_of(first, data), (first, "", True))
            if head == "":
                continue
            try:
                layout, is_header, words = layout_of(head, table, format)
            except InputError as problem:
                raise text.line_error(path, line, problem) from None
            if words:
                notes.append(f"{text.name_of(path)}{words.format(line)}")
            data, first = data.split(b"\n", line - first)[-1], line
            if is_header:
                data, first = data.partition(b"\n")[2], line + 1
        if data:
            yield parse(path, first, data, layout, broken, notes)


def layout_of(head, table, format):
    """The first line -> (Layout, is this line a header?, a note on line {} or "").

    Raises InputError, a sentence on the line, if the columns are not found.
    """
    require(head is not None, text.NO_TEXT)
    require(not head.startswith('{"'), "is JSON: reviews of Amazon are read by --format amazon, "
                                       "other JSON is not")
    if format == "csv":
        layout = (named_columns if table.header == "named" else numbered_columns)(head, table)
        name = SEPARATOR_NAMES[layout.separator]
        return layout, table.header == "named", f": columns are separated by {name}"
    width = len(table.columns)
    separator = next((s for s in table.separators if len(split_fields(head, s)) == width),
                     table.separators[0])
    fields = split_fields(head, separator)
    parsers = (number, iso_time) if table.clock == "ISO" else (number,)
    is_event = len(fields) < width or not all(
        isnan(parse(field)) for field in fields for parse in parsers)
    if table.header == "named" or table.header == "none" and not is_event:
        return named_columns(head, table, format), True, ""
    looks = table.header == "any" and fields[-1] in {n for v in table.vocabularies for n in v}
    places = {name: at for at, name in enumerate(table.columns)}
    return Layout(separator, width, places), table.header == "any", (
        " line {}: skipped as the header, but it looks like an event" if looks else "")


def numbered_columns(head, table):
    """The Layout of columns that are given by their numbers from 1. Raises InputError."""
    separator = max(SEPARATOR_NAMES, key=lambda separator: len(split_fields(head, separator)))
    width = len(split_fields(head, separator))
    places, missing = find_columns([str(n + 1) for n in range(width)], table)
    require(not missing, f"column {missing}={table.columns.get(missing, ('',))[0]}: without a "
                         f"header give a number from 1 to {width} (columns are separated by "
                         f"{SEPARATOR_NAMES[separator]})")
    return Layout(separator, width, places)


def named_columns(head, table, format="csv"):
    """The Layout that a header says. Raises InputError if one of the columns is missing."""
    for separator in (*table.separators, *SEPARATOR_NAMES):
        names = split_fields(head, separator)
        require(len(names) <= WIDEST_TABLE, f"has {len(names):,} columns, this is no log")
        if table.typed:
            names = [name.split(":")[0].strip() for name in names]
        places, missing = find_columns(names, table)
        if not missing:
            break
    require(not missing, missing and missing_column(head, table, format))
    require(separator in table.separators,
            f"its columns are separated by {SEPARATOR_NAMES[separator]}, and format {format} "
            f"expects {SEPARATOR_NAMES[table.separators[0]]}: replace them, or use --format csv")
    for at in places.values():
        require(names.count(names[at]) == 1,
                f"the header has more than one column {names[at]}, rename one")
    return Layout(separator, len(names), places)


def find_columns(names, table):
    """{ours: position} among the names of a header, and the first of ours that is missing."""
    known = {plain(name): at for at, name in reversed(list(enumerate(names)))}
    known |= {name: at for at, name in enumerate(names)}
    places, missing = {}, None
    for ours, spellings in table.columns.items():
        found = [known[s] for spelling in spellings for s in (spelling, plain(spelling))
                 if s in known]
        if found:
            places[ours] = found[0]
        elif ours not in table.optional:
            missing = missing or ours
    if "label" in known and known["label"] not in places.values():
        places.setdefault("label", known["label"])
    return places, missing


def plain(name):
    """A column's name without what spellings differ in: "User_ID" -> "userid"."""
    return re.sub("[^a-z0-9]", "", name.lower())


def missing_column(head, table, format):
    """What to say of a header that lacks a column, under every separator."""
    best = max(table.separators, key=lambda separator: len(split_fields(head, separator)))
    names = split_fields(head, best)[:12]
    if table.header == "none":
        return (f"looks like a header, and has no columns that format {format} knows: delete the "
                "line, or use --format csv")
    if table.typed and not all(":" in name for name in names):
        return ("is not a RecBole header (user_id:token, item_id:token, ... with tabs between), "
                "add one or choose another format")
    names = [name.split(":")[0].strip() for name in names] if table.typed else names
    missing = table.columns[find_columns(names, table)[1]][0]
    mend = ("give --no-header if columns are meant by number" if missing.isdecimal() else
            "add it or choose another format")
    return f"the header has no column {missing}, {mend}; it has {', '.join(names)[:300]}"


def pairs(path, table, notes):
    """[(item, text), ...] of a file beside the log, whose Table names the columns item and text."""
    broken, found = {}, []
    for part in rows(path, table, "of " + path.name, broken, notes):
        found += zip(list_texts(part["item"]), list_texts(part["text"]), strict=True)
    text.report_broken(path, broken, len(found), notes)
    return found


# Parquet files.

def parquet_parts(path, columns):
    """Yield parts with the columns {ours: theirs}; `line` is the row from 1.

    Raises InputError without pyarrow, for a damaged file, or for a column that is not there.
    """
    name = text.name_of(path)
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InputError(f"{name}: is a Parquet file, install pyarrow to read it") from None
    with text.opened(path):  # says what is wrong with a path
        pass
    first = 1
    try:
        file = ParquetFile(path)
        there = file.schema_arrow.names
        for theirs in columns.values():
            require(theirs in there,
                    f"{name}: has no column {theirs}, it has {', '.join(there)[:300]}")
        for batch in file.iter_batches(PARQUET_ROWS, columns=list(dict.fromkeys(columns.values()))):
            yield {"line": Column(np.arange(first, first + len(batch))),
                   **{ours: of_arrow(batch.column(theirs)) for ours, theirs in columns.items()}}
            first += len(batch)
    except (ArrowException, OSError) as error:
        words = str(error).partition("\n")[0][:200]
        raise InputError(f"{name}: is no Parquet file that can be read ({words})") from None


def of_arrow(column):
    """A Column of an Arrow array; times become microseconds since 1970, missing values "".

    Numbers with a fraction become texts, as they would stand in a file of lines.
    """
    import pyarrow.types as types
    if types.is_timestamp(column.type) or types.is_date(column.type):
        column = column.cast("timestamp[us]").cast("int64")
    if types.is_integer(column.type) and not column.null_count:
        return Column(column.to_numpy(zero_copy_only=False).astype(np.int64))
    return of_texts("" if value is None else str(value) for value in column.to_pylist())
