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
from mbref.data.readers.columns import SEPARATOR_NAMES, Layout, parquet_parts, parse, split_fields
from mbref.data.readers.events import CALENDARS, ORDER, RATED, drop, events_of, find_clock
from mbref.data.readers.times import iso_time, number
from mbref.errors import InputError, count, require

WIDEST_TABLE = 10_000  # columns
JSON = re.compile(r"""\[?\s*\{\s*(u?["']|$)|\[$""")  # a line that begins so, Python's spelling too
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
    require(not {"behaviour", "rating"} <= set(columns),
            "--columns gives a behaviour and a rating, of which one says what happened: leave out "
            "the other")
    theirs = [str(column) for name, column in columns.items() if name != "category"]
    twice = next((column for column in theirs if theirs.count(column) > 1), None)
    require(twice is None, f"--columns gives {twice} for two things: give each a column of its own")
    table = Table({name: (str(column),) for name, column in columns.items()},
                  tuple(SEPARATOR_NAMES), "named" if reading.header else "numbers", clock="any")
    log = note_moved_items(read_log(path, table, "csv", reading), path)
    words = f"{text.name_of(path)}: without time= in --columns events stay in the order of the file"
    return log if "time" in columns else log._replace(notes=(*log.notes, words))


def read_log(path, table, format, reading):
    """The Log of a file that is written as `table` says; `format` is its name for messages."""
    found, shown = text.Findings(path, [], {}), {}
    vocabularies = vocabularies_of(format, table, reading.behaviours)
    parts = rows(found, table, format)
    first = next(parts, None)
    if table.clock == "any" and first:
        table = table._replace(clock=find_clock(first))
        if table.clock in CALENDARS:
            text.note(found, CALENDARS[table.clock])
    unit = 10**6 if table.clock in (*CALENDARS, "day") else None
    events = (events_of(part, table, found.broken, shown) for part in chain([first], parts) if part)
    log = build.log(found, events, vocabularies, reading, unit)
    for words, (number_of_rows, line, _) in shown.items():
        words = words.replace("{}", count(number_of_rows, "row"))
        text.note(found, f"{words} (the first is line {line})")
    return log._replace(notes=tuple(found.notes))


def note_moved_items(log, source):
    """The log with a note on items that occur under several categories, where it has any."""
    if log.category is None:
        return log
    of_item = np.zeros(len(log.items), np.int32)
    of_item[log.item] = log.category  # one of its categories
    moved = np.unique(log.item[of_item[log.item] != log.category])
    first = f" (the first is item {log.items[moved[0]]})" if len(moved) else ""
    found = text.Findings(source, [*log.notes], {})
    build.note_several(found, len(moved), "each event keeps its own", first)
    return log._replace(notes=tuple(found.notes))


def vocabularies_of(format, table, behaviours):
    """The vocabularies to choose from: the caller's alone, or the format's.

    Raises InputError if the caller names behaviours and the format has none.
    """
    if behaviours is None:
        without = (RATED, (table.event,), (ORDER,))
        return table.vocabularies if "behaviour" in table.columns else without
    names = tuple(behaviours)
    require(names and not isinstance(behaviours, str) and len(set(names)) == len(names)
            and all(isinstance(name, str) for name in names),
            f"behaviours must be a sequence of different names, not {behaviours!r}")
    require("behaviour" in table.columns,
            f"format {format} has no behaviour names, leave --behaviours out")
    return (names,)


def rows(found, table, format):
    """Yield the parts of a file, see columns.py."""
    if format == "csv" and str(found.path).endswith(".parquet"):
        columns = {ours: names[0] for ours, names in table.columns.items()}
        yield from parquet_parts(found.path, columns)
        return
    layout, names = None, ()
    for first, data in text.chunks(found.path):
        if layout is None:
            line, head, _ = next(text.lines_of(first, data), (first, "", True))
            if head == "":
                continue
            try:
                layout, is_header = layout_of(found, line, head, table, format)
            except InputError as problem:
                raise text.line_error(found.path, line, problem) from None
            if format == "csv":
                text.note(found, f"columns are separated by {SEPARATOR_NAMES[layout.separator]}")
            data, first = data.split(b"\n", line - first)[-1], line
            if is_header:
                names = split_fields(head, layout.separator)
                data, first = data.partition(b"\n")[2], line + 1
        if data:
            part = parse(found, first, data, layout)
            yield drop_header(part, layout, names, found.broken)


def drop_header(part, layout, names, broken):
    """The part without rows that repeat the header, as where files were joined."""
    if len(names) != layout.width:  # none, or words of another kind
        return part
    columns = [(part[ours], names[place]) for ours, place in layout.places.items()]
    if not all(name in (column.names or ()) for column, name in columns):
        return part
    again = np.all([column.values == column.names.index(name) for column, name in columns], axis=0)
    return drop(part, "line", again, "is the header once more, delete the line", broken)


def layout_of(found, line, head, table, format):
    """The first line -> (Layout, is it a header?). Raises InputError, a sentence on that line."""
    require(head is not None, text.NO_TEXT)
    require(not JSON.match(head), "is JSON: reviews of Amazon are read by --format amazon, other "
                                  "JSON is not, write it as a table with an event a row")
    if table.header == "numbers":
        if not re.search(r"\d", head):
            text.note(found, "holds no digit: if it is a header, leave --no-header out and give "
                             "columns by name", line)
        return numbered_columns(head, table), False
    width = len(table.columns)
    separator = next((s for s in table.separators if len(split_fields(head, s)) == width),
                     max(table.separators, key=lambda s: len(split_fields(head, s))))
    fields = split_fields(head, separator)
    parsers = (number, iso_time) if table.clock == "ISO" else (number,)
    is_event = len(fields) < width or not all(
        isnan(parse(field)) for field in fields for parse in parsers)
    if table.header == "named" or table.header == "none" and not is_event:
        return named_columns(head, table, format), True
    if table.header == "any" and fields[-1] in {name for v in table.vocabularies for name in v}:
        text.note(found, "skipped as the header, but it looks like an event", line)
    places = {name: at for at, name in enumerate(table.columns)}
    return Layout(separator, width, places), table.header == "any"


def numbered_columns(head, table):
    """The Layout of columns that are given by their numbers from 1. Raises InputError."""
    counts = {separator: len(split_fields(head, separator)) for separator in SEPARATOR_NAMES}
    places = {ours: int(name) - 1 for ours, (name,) in table.columns.items() if name.isdecimal()}
    enough = [s for s in counts if counts[s] > max(places.values(), default=0)] or list(counts)
    # texts hold spaces, and commas, but no tabs
    separator = min(enough, key=lambda s: (counts[s] == 1, s != "\t", s == " ", -counts[s]))
    width = counts[separator]
    missing = next((ours for ours in table.columns if places.get(ours) not in range(width)), None)
    require(not missing, f"column {missing}={table.columns.get(missing, ('',))[0]}: without a "
                         f"header give a number from 1 to {width} (columns are separated by "
                         f"{SEPARATOR_NAMES[separator]})")
    return Layout(separator, width, places)


def named_columns(head, table, format):
    """The Layout that a header says. Raises InputError if one of the columns is missing."""
    for separator in (*table.separators, *SEPARATOR_NAMES):
        names = split_fields(head, separator)
        require(len(names) <= WIDEST_TABLE, f"has {len(names):,} columns, this is no log")
        if table.typed:
            names = [name.split(":")[0].strip() for name in names]
            require("item_id_list" not in names, "has a list of items in each row, item_id_list: "
                                                 "give a file with an event a row")
        places, missing = find_columns(names, table)
        if not missing:
            break
    else:
        raise InputError(missing_column(head, table, format))
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
    return re.sub(r"[\W_]", "", name.lower()) or name


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
            "give a name that is there by --columns, or mend the header" if format == "csv" else
            "add it or choose another format")
    return f"the header has no column {missing}, {mend}; it has {', '.join(names)[:300]}"
