"""Rows of delimited text -> columns: by NumPy's parser, or line by line where that cannot.

Both give the same columns; only the second can say what is wrong with a line.
"""
import csv
import re
import warnings
from typing import NamedTuple

import numpy as np

from mbref.data.readers.lines import NO_TEXT, add_broken, cut_line, decode

SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "single spaces",
                   "|": "bars", "::": "double colons"}
WIDEST = 40  # characters of a text field that NumPy's parser reads; longer ones are read by line
FEW = 8  # different texts that are looked for one by one
LONGEST_FIELD = 200  # characters of an id
# of 64 bits, written in the only way that gives it back
INTEGER = re.compile(r"0|-?(?:[1-9][0-9]{0,17}|[1-8][0-9]{18})")


class Column(NamedTuple):
    """One field of many rows: numbers, or codes of the texts in `names`."""

    values: np.ndarray  # [n]
    names: list | None = None  # different texts


class Layout(NamedTuple):
    """How a line is cut: `width` fields, of which {name: position} are read."""

    separator: str
    width: int
    places: dict
    text: tuple = ()  # names of columns that are text whatever they look like


def of_texts(texts):
    """A Column of a list of texts, without blanks around them; integers become numbers."""
    codes = {}
    values = np.array([codes.setdefault(text, len(codes)) for text in texts], np.int64)
    names = [name.strip() for name in codes]
    if all(map(INTEGER.fullmatch, names)):
        return Column(np.array(list(map(int, names)), np.int64)[values])
    again = {}  # blanks may have been the only difference
    return Column(np.array([again.setdefault(n, len(again)) for n in names])[values], list(again))


def texts_of(column):
    """A Column -> one whose values are codes of texts in every case."""
    if column.names is not None:
        return column
    names, values = np.unique(column.values, return_inverse=True)
    return Column(values, [str(name) for name in names.tolist()])


def take(column, keep):
    """The rows `keep` of a column; texts that occur no more are forgotten."""
    values = column.values[keep]
    if column.names is None:
        return Column(values)
    used, values = np.unique(values, return_inverse=True)
    return Column(values, [column.names[k] for k in used.tolist()])


def parse(path, first, data, layout, broken, notes):
    """Bytes of lines from number `first` on -> (line number [n], {name: Column}).

    What cannot be read goes to `broken` and `notes`, see lines.py.
    """
    fast = _parse_fast(data, layout) if data.endswith(b"\n") else None
    if fast is not None:
        return np.arange(first, first + len(next(iter(fast.values())).values)), fast
    return _parse_lines(path, first, data, layout, broken, notes)


def _parse_fast(data, layout):
    """{name: Column} by np.loadtxt, or None if that could differ from what _parse_lines gives."""
    separator = "\t" if layout.separator == "::" else layout.separator
    try:
        text = data.decode("utf-8").replace(layout.separator, separator)
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")[:-1]
    kinds = _kinds(lines[0], separator, layout)
    needed = len(lines) * layout.width
    if kinds is None or "\0" in text or _has_odd_numbers(data, text, separator, needed):
        return None
    for types in (kinds, dict.fromkeys(kinds, f"U{WIDEST}")):  # as the first line has them
        dtype = [(f"{at}", "U1") for at in range(layout.width)]
        for name, at in layout.places.items():
            dtype[at] = (f"{at}", types[name])
        table = _load(lines, np.dtype(dtype), separator, '"' if '"' in text else None)
        if table is not None:
            found = {name: _column(table[f"{at}"]) for name, at in layout.places.items()}
            return None if None in found.values() else found
    return None


def _kinds(line, separator, layout):
    """{name: type of its fields} as the first line has them; None for another width."""
    fields = [field.strip() for field in line.split(separator)]
    if len(fields) != layout.width:
        return None
    texts = {name: f"U{WIDEST}" if len(fields[at]) > 10 else "S16"
             for name, at in layout.places.items()}
    return {name: "i8" if name not in layout.text and INTEGER.fullmatch(fields[layout.places[name]])
            else text for name, text in texts.items()}


def _has_odd_numbers(data, text, separator, separators):
    """May an integer be written so that its number does not give it back, such as 01 or +1?

    separators: how many separators and line breaks the lines need.
    """
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((letters < ord("0")) | (letters == ord(separator)))
    zero = letters[np.append(0, ends[:-1] + 1)] == ord("0")  # at the start of a field
    if len(ends) == separators and not zero.any():  # so there is no sign, blank or quote, either
        return False
    odd = rf'(^|[{re.escape(separator)}\n])[ \t"]*(\+|-0|0[0-9])'
    return re.search(odd, text) is not None


def _load(lines, dtype, separator, quote):
    """A structured array of the lines, one row a line; None if they do not fit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.loadtxt(lines, dtype, delimiter=separator, comments=None, quotechar=quote,
                               ndmin=1)
    except (ValueError, UserWarning, DeprecationWarning):
        return None
    return table if len(table) == len(lines) else None  # it leaves out blank lines


def _column(field):
    """A Column of one field of a structured array; None if a text may have been cut."""
    field = field.copy()
    if field.dtype.kind == "i":
        return Column(field)
    letters = field.view("u1" if field.dtype.kind == "S" else "u4").reshape(len(field), -1)
    if letters[:, -1].any():
        return None
    values, names = np.full(len(field), -1, np.int8), []
    while len(names) < FEW and len(rest := np.flatnonzero(values < 0)):
        names.append(field[rest[0]])
        values[field == names[-1]] = len(names) - 1
    texts = field.tolist() if len(rest) else names
    texts = [text.decode("latin1") if isinstance(text, bytes) else str(text) for text in texts]
    return of_texts(texts) if len(rest) else look_up(of_texts(texts), values)


def look_up(column, values):
    """The column whose rows are those of `column` at `values`."""
    return Column(column.values[values], column.names)


def split_fields(text, separator):
    """The fields of one line, without quotes and the blanks around them."""
    if separator == "::":
        text, separator = text.replace("::", "\t"), "\t"
    fields = next(csv.reader([text], delimiter=separator)) if '"' in text else text.split(separator)
    return [field.strip() for field in fields]


def _parse_lines(path, first, data, layout, broken, notes):
    """The same as parse, line by line."""
    at, rows = [], []
    lines = data.split(b"\n")
    for line, raw in enumerate(lines, start=first):
        if not raw.strip():
            continue
        ended = line < first + len(lines) - 1
        fields = _fields_of(path, line, raw, ended, layout, broken, notes)
        if fields is not None:
            at.append(line)
            rows.append([fields[place] for place in layout.places.values()])
    columns = zip(*rows, strict=True) if rows else [[] for _ in layout.places]
    return np.array(at, np.int64), {name: of_texts(list(texts)) for name, texts in
                                    zip(layout.places, columns, strict=True)}


def _fields_of(path, line, raw, ended, layout, broken, notes):
    """The fields of one line; None for a blank, a cut or a broken one."""
    text = decode(raw)
    if not text:
        if text is None:
            add_broken(broken, NO_TEXT, line)
        return None
    fields = split_fields(text, layout.separator)
    found = len(fields) - (not fields[-1] and not ended)  # "a,b," is cut after its second
    if not ended:
        notes.append(cut_line(path, line, found, layout.width))
        if found < layout.width:
            return None
    if found != layout.width:
        kind = f"{found} {'field' if found == 1 else 'fields'} where {layout.width} separated by " \
               f"{SEPARATOR_NAMES[layout.separator]} are expected"
        add_broken(broken, kind, line, kind + _resemblance(text, layout))
        return None
    if max(len(fields[place]) for place in layout.places.values()) > LONGEST_FIELD:
        add_broken(broken, f"a field has more than {LONGEST_FIELD} characters", line)
        return None
    return fields


def _resemblance(text, layout):
    """What else a line of the wrong width looks like."""
    for separator, name in SEPARATOR_NAMES.items():
        if separator != layout.separator and len(split_fields(text, separator)) == layout.width:
            return f", but separated by {name}: replace them, or choose another format"
    return ", mend the line or choose another format"
