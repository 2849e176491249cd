"""Rows of delimited text -> columns: by arithmetic on the bytes, or line by line.

Both give the same columns; only the second can say what is wrong with a line.
"""
import csv
import re
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from mbref.data.readers.lines import NO_TEXT, add_broken, cut_line, decode

SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "single spaces",
                   "|": "bars", "::": "double colons"}
FEW = 8  # different texts that are looked for one by one
LONGEST_FIELD = 200  # characters of an id
LONGEST_NUMBER = 18  # digits; more may not fit into 64 bits
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
    fast = parse_bytes(data, layout) if data.endswith(b"\n") else None
    if fast is not None:
        rows = len(next(iter(fast.values())).values)
        return np.arange(first, first + rows, dtype=np.int32), fast
    return parse_lines(path, first, data, layout, broken, notes)


def parse_bytes(data, layout):
    """{name: Column} by arithmetic on bytes, or None if parse_lines could give something else."""
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
    letters = np.frombuffer(b"\n" * LONGEST_NUMBER + data, np.uint8)
    breaks = letters == ord("\n")
    end = np.flatnonzero(breaks | (letters == ord(separator)))[LONGEST_NUMBER - 1:]
    start, end = end[:-1] + 1, end[1:]
    if len(end) != layout.width * (np.count_nonzero(breaks) - LONGEST_NUMBER):
        return None
    start, end = (edge.reshape(-1, layout.width) for edge in (start, end))  # [n, width]
    edges = letters[start[:, 0]], letters[end[:, -1] - 1]
    if separator.isspace() and np.min(edges) <= ord(" ") or not breaks[end[:, -1]].all():
        return None  # blanks around a line, or lines of other widths
    found = {name: _column(letters, start[:, at], end[:, at]) for name, at in layout.places.items()}
    return None if None in found.values() else found


def _is_plain(data):
    """Is this UTF-8 without a byte order mark?"""
    try:
        return data.isascii() or "\ufeff" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _column(letters, start, end):
    """A Column of the fields letters[start:end] of every row; None if one is too long."""
    size = end - start
    if size.max() > LONGEST_FIELD:
        return None
    size = size.astype(np.uint8)
    values = _integers(letters, end, size)
    return _texts(letters, start, size) if values is None else Column(values)


def _integers(letters, end, size):
    """Numbers [n] of fields that end before `end`; None unless each gives back what is written."""
    least, most = int(size.min()), int(size.max())
    if not 0 < least <= most <= LONGEST_NUMBER:
        return None
    values, first = np.zeros(len(end), np.int64), end - LONGEST_NUMBER
    for place in range(most, 0, -1):  # letters before the end of the field
        digit = letters[LONGEST_NUMBER - place:].take(first) - np.uint8(ord("0"))
        if place > least:
            digit *= size >= place
        if digit.max() > 9:
            return None
        values *= 10
        values += digit
    shortest = np.array([0, 0, *10 ** np.arange(1, most)])  # number of so many digits
    return None if (values < shortest[size]).any() else values  # 01 is another text than 1


def _texts(letters, start, size):
    """A Column of fields of any text."""
    width = max(8, int(size.max()))
    fields = np.zeros((len(start), width), np.uint8)  # [n, letters], 0 after their end
    for place in range(int(size.max())):
        letter = letters.take(start + place, mode="clip")
        letter *= place < size
        fields[:, place] = letter
    fields = fields.view(f"S{width}")[:, 0]
    keys = fields.view(np.uint64) if width == 8 else fields  # quicker to compare
    values, names = np.full(len(fields), -1, np.int8), []
    while len(names) < FEW and len(rest := np.flatnonzero(values < 0)):
        values[keys == keys[rest[0]]] = len(names)
        names.append(fields[rest[0]])
    if len(names) == FEW and (values < 0).any():
        return of_texts([name.decode() for name in fields.tolist()])
    column = of_texts([name.decode() for name in names])
    if column.names is not None:
        column = column._replace(values=column.values.astype(np.int8))  # n bytes, not 8 n
    return look_up(column, values)


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
