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

from mbref.data.readers import build, lines as text
from mbref.data.readers.columns import SEPARATOR_NAMES, Layout, list_texts, parse, split_fields
from mbref.data.readers.events import RATED, events_of
from mbref.data.readers.lines import line_error
from mbref.data.readers.parquet import parquet_parts
from mbref.data.readers.times import iso_time, number
from mbref.errors import InputError

WIDEST_TABLE = 10_000  # columns
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
    if not {"user", "item"} <= set(columns) <= set(OURS):
        raise InputError("--columns must name user and item, user=visitorid,item=itemid for "
                         f"instance, and may name {', '.join(OURS[2:])}: it names "
                         f"{', '.join(columns) or 'nothing'}")
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
    if isinstance(behaviours, str) or not names or len(set(names)) < len(names):
        raise InputError(f"behaviours must be a sequence of different names, not {behaviours!r}")
    if "behaviour" not in table.columns:
        raise InputError(f"format {format} has no behaviour names, leave --behaviours out")
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
            if head is None:
                raise line_error(path, line, text.NO_TEXT)
            if not head:
                continue
            data, first = data.split(b"\n", line - first)[-1], line
            layout, is_header = layout_of(path, line, head, table, format, notes)
            if format == "csv":
                notes.append(f"{text.name_of(path)}: columns are separated by "
                             f"{SEPARATOR_NAMES[layout.separator]}")
            if is_header:
                data, first = data.partition(b"\n")[2], line + 1
        if data:
            yield parse(path, first, data, layout, broken, notes)


def layout_of(path, line, head, table, format, notes):
    """-> (Layout, is this line a header?). Raises InputError if the columns are not found."""
    if head.startswith('{"'):
        raise line_error(path, line, "is JSON: reviews of Amazon are read by --format amazon, "
                                     "other JSON is not")
    if table.header == "numbers":
        return numbered_columns(path, line, head, table), False
    width = len(table.columns)
    separator = next((s for s in table.separators if len(split_fields(head, s)) == width),
                     table.separators[0])
    fields = split_fields(head, separator)
    parsers = (number, iso_time) if table.clock == "ISO" else (number,)
    is_event = len(fields) < width or not all(
        isnan(parse(field)) for field in fields for parse in parsers)
    if table.header == "named" or table.header == "none" and not is_event:
        return named_columns(path, line, head, table, format), True
    if table.header == "any" and fields[-1] in {name for v in table.vocabularies for name in v}:
        notes.append(f"{text.name_of(path)} line {line}: skipped as the header, but it looks "
                     "like an event")
    places = {name: at for at, name in enumerate(table.columns)}
    return Layout(separator, width, places), table.header == "any"


def numbered_columns(path, line, head, table):
    """The Layout of columns that are given by their numbers from 1. Raises InputError."""
    separator = max(SEPARATOR_NAMES, key=lambda separator: len(split_fields(head, separator)))
    width = len(split_fields(head, separator))
    for name, (at,) in table.columns.items():
        if not (at.isdecimal() and 1 <= int(at) <= width):
            raise line_error(path, line, f"column {name}={at}: without a header give a number from "
                                         f"1 to {width} (columns are separated by "
                                         f"{SEPARATOR_NAMES[separator]})")
    return Layout(separator, width, {name: int(at) - 1 for name, (at,) in table.columns.items()})


def named_columns(path, line, head, table, format):
    """The Layout that a header says. Raises InputError if one of the columns is missing."""
    for separator in (*table.separators, *SEPARATOR_NAMES):
        names = split_fields(head, separator)
        if len(names) > WIDEST_TABLE:
            raise line_error(path, line, f"has {len(names):,} columns, this is no log")
        if table.typed:
            names = [name.split(":")[0].strip() for name in names]
        places, missing = find_columns(names, table)
        if not missing:
            break
    else:
        raise line_error(path, line, missing_column(head, table, format))
    if separator not in table.separators:
        raise line_error(path, line, f"its columns are separated by {SEPARATOR_NAMES[separator]}, "
                                     f"and format {format} expects "
                                     f"{SEPARATOR_NAMES[table.separators[0]]}: replace them, or "
                                     "use --format csv")
    for at in places.values():
        if names.count(names[at]) > 1:
            raise line_error(path, line, f"the header has more than one column {names[at]}, "
                                         "rename one")
    return Layout(separator, len(names), places)


def find_columns(names, table):
    """{ours: position} among the names of a header, and the first of ours that is missing."""
    known = {plain(name): at for at, name in reversed(list(enumerate(names)))}
    known |= {name: at for at, name in enumerate(names)}
    places, missing = {}, None
    wanted = table.columns if "label" in table.columns else {**table.columns, "label": ("label",)}
    for ours, spellings in wanted.items():
        found = [known[s] for spelling in spellings for s in (spelling, plain(spelling))
                 if s in known]
        if found and not (ours == "label" and found[0] in places.values()):
            places[ours] = found[0]
        elif ours not in (*table.optional, "label") and missing is None:
            missing = ours
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
    if not found:
        raise text.no_events(path)
    return found
