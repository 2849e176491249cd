"""Rows of delimited text -> columns: by NumPy's parser, or line by line where that cannot.

Both give the same columns; only the second can say what is wrong with a line.
"""
import csv
import re
import warnings
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from mbref.data.readers.lines import NO_TEXT, add_broken, cut_line, decode

SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "single spaces",
                   "|": "bars", "::": "double colons"}
FEW = 8  # different texts that are looked for one by one
EDGE = re.compile(rb"^[\x00-\x20]|[\x00-\x09\x0b-\x20]\n|\n[\x00-\x09\x0b-\x20]")
LONGEST_FIELD = 200  # characters of an id
SHORT, LONG = "S16", "S64"  # texts that NumPy's parser reads; longer ones are read by line
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
    fast = load_table(data, layout) if data.endswith(b"\n") else None
    if fast is not None:
        rows = len(next(iter(fast.values())).values)
        return np.arange(first, first + rows, dtype=np.int32), fast
    return parse_lines(path, first, data, layout, broken, notes)


def load_table(data, layout):
    """{name: Column} by NumPy's parser, or None if parse_lines could give something else."""
    separator = layout.separator.encode()
    if separator == b"::" and b"\t" not in data:
        data, separator = data.replace(b"::", b"\t"), b"\t"
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b'"' in data:  # a whole field in quotes is the same without them
        edge = b"[^%b\n" % re.escape(separator)
        data = re.sub(rb'(?<!%b])"(%b"]*)"(?!%b])' % (edge, edge, edge), rb"\1", data)
    if len(separator) > 1 or b'"' in data or b"\0" in data or not _is_plain(data):
        return None
    if separator.isspace() and EDGE.search(data):
        return None  # blanks around a line
    lines = data.decode("latin1").split("\n")[:-1]  # a letter a byte
    first = dict(enumerate(lines[0].split(separator.decode())))
    kinds = {name: "i8" if INTEGER.fullmatch(first.get(at, "")) else SHORT
             for name, at in layout.places.items()}
    texts = dict.fromkeys(kinds, LONG)
    for types in (texts,) if has_odd_numbers(data, separator) else (kinds, texts):
        dtype = [(f"{at}", "S1") for at in range(layout.width)]
        for name, at in layout.places.items():
            dtype[at] = (name, types[name])
        columns = _load(lines, dtype, separator.decode())
        if columns is not None:
            return {name: _column(columns[name]) for name in types}
    return None


def _is_plain(data):
    """Is this UTF-8 without a byte order mark?"""
    try:
        return data.isascii() or "\ufeff" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def has_odd_numbers(data, separator):
    """Does a field begin like 01, +1, -0 or with a blank, whose number is written otherwise?"""
    letters = np.frombuffer(b"\n" + data, np.uint8)
    edge = (letters == ord("\n")) | (letters == ord(separator))
    at = 1 + np.flatnonzero(edge[:-1] & (letters[1:] <= ord("0")))  # fields that begin so low
    first, second = letters[at], letters[np.minimum(at + 1, len(letters) - 1)]
    digit = (second >= ord("0")) & (second <= ord("9"))
    odd = (first == ord("0")) & digit | (first == ord("-")) & (second == ord("0"))
    return bool((odd | (first == ord("+")) | (first <= ord(" ")) & ~edge[at]).any())


def _load(lines, dtype, separator):
    """{name: array} of one row a line; None if a line does not fit, or a field may be cut."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.loadtxt(lines, dtype, delimiter=separator, comments=None, ndmin=1)
    except (ValueError, Warning):
        return None
    columns = {name: table[name].copy() for name, kind in dtype if kind != "S1"}
    whole = len(table) == len(lines) and not any(map(_may_be_cut, columns.values()))
    return columns if whole else None


def _may_be_cut(values):
    """Does an integer need more than 18 digits, or a text all the letters there are for it?"""
    if values.dtype.kind == "i":
        return np.abs(values).max() >= 10**18
    return values.view("u1").reshape(len(values), -1)[:, -1].any()


def _column(values):
    """A Column of integers, or of texts as bytes."""
    if values.dtype.kind == "i":
        return Column(values)
    codes, names = np.full(len(values), -1, np.int8), []
    while len(names) < FEW and len(rest := np.flatnonzero(codes < 0)):
        names.append(values[rest[0]])
        codes[values == names[-1]] = len(names) - 1
    if (codes < 0).any():
        return of_texts([text.decode() for text in values.tolist()])
    column = of_texts([name.decode() for name in names])
    if column.names is not None:
        column = column._replace(values=column.values.astype(np.int8))  # n bytes, not 8 n
    return look_up(column, codes)


def look_up(column, values):
    """The column whose rows are those of `column` at `values`."""
    return Column(column.values[values], column.names)


def split_fields(text, separator):
    """The fields of one line, without quotes and the blanks around them."""
    if separator == "::":
        text, separator = text.replace("::", "\t"), "\t"
    fields = text.split(separator)
    if '"' in text:
        with suppress(csv.Error):  # too long a field, or a break in it: no quotes are meant
            fields = next(csv.reader([text], delimiter=separator))
    return [field.strip() for field in fields]


def parse_lines(path, first, data, layout, broken, notes):
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
