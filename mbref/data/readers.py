"""Interaction logs from four public file formats, each one function `path -> Log`.

    taobao     UserBehavior.csv of Alibaba Tianchi data set 649 (ATRank): user,item,category,behaviour,seconds
    hmar       the text files of the HMAR release: a header line, then "user item behaviour" in order of time
    recbole    RecBole atomic files: x.inter with a typed header and, beside it, x.item for the categories
    movielens  u.data of MovieLens 100K (GroupLens): user, item, rating, seconds, separated by tabs

A file is read as UTF-8 text; a byte order mark, CRLF line ends and blank lines are accepted. Anything else
that does not fit raises InputError with the file, the line and the mend. One fault is mended here, because
public copies have it: a last line that was cut off (too few fields, no line break) is dropped and named in
`Log.notes`.
"""

from array import array
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.errors import InputError

SHOP = ("buy", "cart", "fav", "pv")
RATED = ("pos", "neutral", "neg")
RATED_AND_TIPS = ("pos", "tip", "neutral", "neg")
HMAR_VOCABULARIES = (SHOP, RATED, RATED_AND_TIPS)  # RATED first: its names are all in RATED_AND_TIPS too

LAYOUTS = {  # format: separator and fields of one line, for the formats whose columns are fixed
    "taobao": (",", ("user", "item", "category", "behaviour", "time")),
    "hmar": (" ", ("user", "item", "behaviour")),
    "movielens": ("\t", ("user", "item", "rating", "time")),
}
RECBOLE_FIELDS = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}
CATEGORY_FIELDS = ("class", "genre", "genres", "category", "categories")
SEPARATOR_NAMES = {",": "commas", " ": "single spaces", "\t": "tabs"}
LATEST = 10**11  # seconds, the year 5138: a larger "time" is in milliseconds or not a time


class Log(NamedTuple):
    """One immutable interaction log of NumPy columns: n events, U users, N items, C categories, read-only.

    Sorted by user, then by time; equal times, and formats without times, keep the order of the file.
    """

    user: np.ndarray  # [n] 1..U
    item: np.ndarray  # [n] 1..N
    behaviour: np.ndarray  # [n] 1..K; behaviour k is called behaviours[k - 1]
    time: np.ndarray | None  # [n] seconds since 1970; None where the file has none
    category: np.ndarray | None  # [n] 1..C of the event's item, 0 = unknown; None where the file has none
    users: np.ndarray  # [U + 1] raw ids as text; entry 0 is "" (padding)
    items: np.ndarray  # [N + 1] likewise
    categories: np.ndarray | None  # [C + 1] likewise
    behaviours: tuple[str, ...]  # K names
    notes: tuple[str, ...]  # sentences: what the reader dropped or noticed


def read(path, format, behaviours=None):
    """Read the log at `path`; `format` is a key of FORMATS.

    `behaviours`, a sequence of names, replaces the format's own vocabulary; its order gives the index. Only
    taobao and hmar files carry names. Users, items and categories are numbered from 1 by raw id, in
    numeric order if all are integers, else in text order: the numbers do not depend on the order of the rows.
    Returns a Log. Raises InputError, one sentence with file, line and mend, for what does not fit the format.
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r} is unknown: choose one of {', '.join(FORMATS)}")
    return FORMATS[format](path, behaviours)


def taobao(path, behaviours=None):
    """CSV without header: user,item,category,behaviour,unix seconds, one event a line. Vocabulary SHOP.

    Source: Tianchi data set 649, "User Behavior Data from Taobao". An event keeps its own line's category.
    """
    notes = []
    rows = _headerless(path, "taobao", _rows(path, _lines(path), *_layout("taobao"), notes))
    events = ((line, user, item, behaviour, _seconds(path, line, time), category)
              for line, (user, item, category, behaviour, time) in rows)
    log = _log(path, events, _vocabularies(behaviours, (SHOP,)), notes)
    return log._replace(notes=log.notes + _moved_items(path, log))


def hmar(path, behaviours=None):
    """Text: a header line, then `user item behaviour`, separated by a space, in order of time. No times.

    Source: the HMAR release (arXiv 2405.09638). Without `behaviours`, the vocabulary is the first of
    HMAR_VOCABULARIES that contains every name in the file.
    """
    notes, lines = [], _lines(path)
    vocabularies = _vocabularies(behaviours, HMAR_VOCABULARIES)
    line, header, _ = next(lines, (0, "", True))
    if header.split(" ")[-1] in {name for names in vocabularies for name in names}:
        notes.append(f"{_name(path)} line {line}: skipped as the header, but it looks like an event")
    rows = _rows(path, lines, *_layout("hmar"), notes)
    events = ((line, user, item, behaviour, 0, "") for line, (user, item, behaviour) in rows)
    return _log(path, events, vocabularies, notes)._replace(time=None, category=None, categories=None)


def recbole(path, behaviours=None):
    """RecBole atomic files: tab-separated `.inter`, whose header types its columns (`user_id:token`).

    Reads user_id, item_id and, where present, rating (see rating_to_behaviour) and timestamp (without
    fractions of a second); other columns are ignored. Without ratings every event is a "click", so K = 1.
    Categories come from the `.item` file of the same stem, if there is one: the first word of its first
    column named in CATEGORY_FIELDS, so of several genres the first. Items that are not in it have category 0.
    """
    _refuse_names("recbole", behaviours)
    notes, lines = [], _lines(path)
    width, header = _typed_header(path, lines, needed=("user_id", "item_id"))
    columns = {ours: header[theirs] for ours, theirs in RECBOLE_FIELDS.items() if theirs in header}
    category = _item_categories(Path(path).with_suffix(".item"), notes)
    events = (_rated_event(path, line, dict(zip(columns, values, strict=True)), category or {})
              for line, values in _rows(path, lines, "\t", width, columns, notes))
    log = _log(path, events, (RATED if "rating" in columns else ("click",),), notes)
    if category is None:
        log = log._replace(category=None, categories=None)
    return log if "time" in columns else log._replace(time=None)


def movielens(path, behaviours=None):
    """MovieLens 100K `u.data`: user, item, rating, unix seconds, tab-separated, no header.

    Ratings become behaviours by rating_to_behaviour.
    """
    _refuse_names("movielens", behaviours)
    notes = []
    rows = _headerless(path, "movielens", _rows(path, _lines(path), *_layout("movielens"), notes))
    fields = LAYOUTS["movielens"][1]
    events = (_rated_event(path, line, dict(zip(fields, values, strict=True)), {}) for line, values in rows)
    return _log(path, events, (RATED,), notes)._replace(category=None, categories=None)


FORMATS = {"taobao": taobao, "hmar": hmar, "recbole": recbole, "movielens": movielens}


def rating_to_behaviour(rating):
    """Name in RATED of a rating on a five-star scale: pos from 4, neg up to 2, neutral between.

    The thresholds are the usual ones of the KHGT and MB-GMN family; the HMAR release converts no ratings.
    """
    if rating >= 4:
        return "pos"
    return "neg" if rating <= 2 else "neutral"


# From bytes to lines, from lines to rows of named fields.

def _name(path):
    return Path(path).name


def _line_error(path, line, problem):
    return InputError(f"{_name(path)} line {line}: {problem}")


def _lines(path):
    """Yield (line number from 1, text without its line break, whether it had one), blank lines left out."""
    try:
        with open(path, "rb") as file:
            for line, raw in enumerate(file, start=1):
                text = _decoded(path, line, raw).rstrip("\r\n").strip(" ")
                if text:
                    yield line, text, raw.endswith(b"\n")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file, check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory, give the file inside it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), check its permissions") from None


def _decoded(path, line, raw):
    """Bytes of one line -> text, without the byte order mark of line 1."""
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # zero bytes are valid UTF-8, but no text file has them
        raise _line_error(path, line, "is not UTF-8 text, unpack the file or save it as UTF-8")
    return text


def _layout(format):
    """(separator, width, {field: position}) of a format with fixed columns."""
    separator, fields = LAYOUTS[format]
    return separator, len(fields), {field: position for position, field in enumerate(fields)}


def _rows(path, lines, separator, width, columns, notes, may_be_empty=()):
    """Yield (line number, the fields at `columns` {name: position}) of lines with `width` fields.

    Only a line without a line break, hence the last, may be short: it is dropped and `notes` says so.
    """
    for line, text, ended in lines:
        fields = [field.strip() for field in text.split(separator)]
        found = len(fields) if fields[-1] or ended else len(fields) - 1  # "a,b," is cut after its second
        if not ended:
            notes.append(_cut_line(path, line, found, width))
            if found < width:
                continue
        if found != width:
            raise _line_error(path, line, _width_problem(text, found, width, separator))
        values = [fields[position] for position in columns.values()]
        for name, value in zip(columns, values, strict=True):
            if not value and name not in may_be_empty:
                raise _line_error(path, line, f"the {name} is empty, fill it in or delete the line")
        yield line, values


def _cut_line(path, line, found, width):
    """The note on a last line without a line break."""
    if found < width:
        what = f"dropped, {found} of {width} fields and no line break (a truncated file)"
    else:
        what = "kept, but it has no line break, so its last field may be cut"
    return f"{_name(path)} line {line}: {what}"


def _width_problem(text, found, width, separator):
    """What to say of a line with the wrong number of fields; names the format it resembles, if any."""
    problem = f"{found} {'field' if found == 1 else 'fields'} where {width} separated by " \
              f"{SEPARATOR_NAMES[separator]} are expected"
    for format, (other, fields) in LAYOUTS.items():
        if other != separator and len(text.split(other)) == len(fields):
            return f"{problem}, it looks like format {format}"
    return f"{problem}, mend the line or choose another format"


def _headerless(path, format, rows):
    """Pass the rows on; refuse a first row in which nothing is a number."""
    for index, (line, values) in enumerate(rows):
        if index == 0 and not any(map(_is_number, values)):
            raise _line_error(path, line, f"looks like a header and format {format} has none, "
                                          "delete the line or choose another format")
        yield line, values


# Fields of one row.

def _number(text):
    """Float value of a field; nan for what is not a number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _is_number(text):
    return isfinite(_number(text))


def _seconds(path, line, text):
    """Whole seconds since 1970."""
    value = _number(text)
    if not isfinite(value):
        raise _line_error(path, line, f"time {text!r} is not a finite number, write seconds since 1970")
    if not 0 <= value < LATEST:
        raise _line_error(path, line, f"time {text} is not in 0..{LATEST}, write seconds since 1970, "
                                      "not milliseconds")
    return int(value)


def _stars(path, line, text):
    """A rating from 0 to 5."""
    value = _number(text)
    if not isfinite(value):
        raise _line_error(path, line, f"rating {text!r} is not a finite number, write one from 0 to 5")
    if not 0 <= value <= 5:
        raise _line_error(path, line, f"rating {text} is not in 0..5, rescale the ratings to five stars")
    return value


def _typed_header(path, lines, needed):
    """(number of columns, {column name: position}) from RecBole's header of `name:type` fields."""
    line, text, _ = next(lines, (0, "", True))
    if line == 0:
        raise _no_events(path)
    fields = text.split("\t")
    if not all(":" in field for field in fields):
        raise _line_error(path, line, "is not a RecBole header (user_id:token, item_id:token, ... with tabs "
                                      "between), add one or choose another format")
    header = {field.split(":")[0].strip(): position for position, field in enumerate(fields)}
    for name in needed:
        if name not in header:
            raise _line_error(path, line, f"the header has no column {name}, add it")
    return len(fields), header


def _rated_event(path, line, row, category):
    """One event for _log from {field: text} and {raw item: raw category}; rating and time may be absent."""
    behaviour = rating_to_behaviour(_stars(path, line, row["rating"])) if "rating" in row else "click"
    seconds = _seconds(path, line, row["time"]) if "time" in row else 0
    return line, row["user"], row["item"], behaviour, seconds, category.get(row["item"], "")


def _item_categories(path, notes):
    """{raw item: first word of its category} from a RecBole `.item` file; None without the file or column."""
    if not path.exists():
        return None
    lines = _lines(path)
    width, header = _typed_header(path, lines, needed=("item_id",))
    field = next((name for name in header if name in CATEGORY_FIELDS), None)
    if field is None:
        notes.append(f"{path.name}: not used, it has none of the columns {', '.join(CATEGORY_FIELDS)}")
        return None
    columns = {"item": header["item_id"], "category": header[field]}
    rows = _rows(path, lines, "\t", width, columns, notes, may_be_empty=("category",))
    return {item: category.split(" ")[0] for _, (item, category) in rows}


# From rows to a log.

def _vocabularies(behaviours, default):
    """The vocabularies to choose from: the caller's alone, or the format's."""
    if behaviours is None:
        return default
    names = tuple(behaviours)
    if isinstance(behaviours, str) or not names or len(set(names)) < len(names):
        raise InputError(f"behaviours must be a sequence of different names, not {behaviours!r}")
    return (names,)


def _refuse_names(format, behaviours):
    if behaviours is not None:
        raise InputError(f"format {format} has no behaviour names, leave the argument behaviours out")


def _no_events(path):
    return InputError(f"{_name(path)}: holds no events (it is empty, or has only a header or a cut line), "
                      "give a file with at least one")


def _log(path, events, vocabularies, notes):
    """Log from an iterator of (line, user, item, behaviour name, seconds, category); ids raw, "" = unknown.

    Raises InputError if there is no event or no vocabulary has all the names.
    """
    users, items, categories, names = {"": 0}, {"": 0}, {"": 0}, {}  # raw -> code in order of appearance
    user, item, behaviour, time, category = (array("q") for _ in range(5))  # 8 bytes an entry
    first_line = {}
    for line, raw_user, raw_item, name, seconds, raw_category in events:
        user.append(users.setdefault(raw_user, len(users)))
        item.append(items.setdefault(raw_item, len(items)))
        behaviour.append(names.setdefault(name, len(names)))
        category.append(categories.setdefault(raw_category, len(categories)))
        time.append(seconds)
        first_line.setdefault(name, line)
    if not user:
        raise _no_events(path)
    vocabulary = _fitting(path, first_line, vocabularies)
    users, user = _renumbered(users, user)
    items, item = _renumbered(items, item)
    categories, category = _renumbered(categories, category)
    behaviour = np.array([vocabulary.index(name) + 1 for name in names])[np.array(behaviour)]
    time = np.array(time)
    order = np.lexsort((time, user))  # stable: equal times stay in the order of the file
    columns = (_frozen(column[order]) for column in (user, item, behaviour, time, category))
    return Log(*columns, users, items, categories, vocabulary, tuple(notes))


def _fitting(path, first_line, vocabularies):
    """First vocabulary with every name; `first_line` is {name: line}, in the order of the file."""
    for name, line in first_line.items():
        fitting = [names for names in vocabularies if name in names]
        if not fitting:
            allowed = " or ".join(f"({', '.join(names)})" for names in vocabularies)
            raise _line_error(path, line, f"behaviour {name!r} is unknown, allowed here are {allowed}")
        vocabularies = fitting
    return vocabularies[0]


def _renumbered(codes, column):
    """Codes in order of appearance -> numbers in order of the raw ids.

    codes {raw: code} with "" at 0, column [n] codes -> (raw ids with "" at 0, column [n] numbers)
    """
    raws = ["", *_in_order([raw for raw in codes if raw])]
    number = np.zeros(len(raws), np.int64)
    for new, raw in enumerate(raws):
        number[codes[raw]] = new
    return _frozen(np.array(raws)), number[np.array(column)]


def _in_order(raws):
    """Sorted as integers if all are, else as text; "01" and "1" stay different ids."""
    try:
        return sorted(raws, key=lambda raw: (int(raw), raw))
    except ValueError:
        return sorted(raws)


def _frozen(column):
    column.setflags(write=False)
    return column


def _moved_items(path, log):
    """() or the note on items that occur under several categories."""
    pairs = np.unique(np.stack([log.item, log.category]), axis=1)  # [2, different pairs]
    moved = np.flatnonzero(np.bincount(pairs[0]) > 1)
    if not len(moved):
        return ()
    have = "item has" if len(moved) == 1 else "items have"
    return (f"{_name(path)}: {len(moved)} {have} more than one category (the first is item "
            f"{log.items[moved[0]]}), each event keeps its own",)
