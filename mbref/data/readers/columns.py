"""Rows of delimited text -> columns: by NumPy's parser, or line by line where that cannot.

Both give the same; only the second can say what is wrong with a line. Parquet files come last.
A part is what some rows hold: {name: Column}, among them `line`, where in the file they stand.
"""
import csv
import re
import warnings
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from mbref.data.readers.lines import NO_TEXT, add_broken, lines_of, name_of, note_cut, opened
from mbref.errors import InputError, require

SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "single spaces",
                   "|": "bars", "::": "double colons"}
FEW = 8  # different texts that are looked for one by one
EDGE = re.compile(r"^\s|[^\S\n]$", re.MULTILINE)  # a blank line, or blanks around a line
PARQUET_ROWS = 1 << 17  # that are read at a time
WIDE_BLANK = re.compile(r"[^\S\x00-\x7f]")  # a blank that is no ASCII
LONGEST_FIELD = 200  # characters of an id
SHORT, LONG = 16, 64  # letters of texts that NumPy's parser reads; longer ones are read by line
# of 64 bits, written in the only way that gives it back
INTEGER = re.compile(r"0|-?(?:[1-9][0-9]{0,17}|[1-8][0-9]{18})")
SCIENTIFIC = re.compile(r"\d([.,]\d+)?[eE]\+\d+")  # as a spreadsheet writes long numbers
TOO_LARGE = 9 * 10**18  # for INTEGER


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
    """A Column of texts, without blanks around them; integers become numbers."""
    codes = {}
    values = np.array([codes.setdefault(text.strip(), len(codes)) for text in texts], np.int64)
    if all(map(INTEGER.fullmatch, codes)):
        return Column(np.array(list(map(int, codes)), np.int64)[values])
    return Column(values.astype(np.min_scalar_type(len(codes))), list(codes))


def texts_of(column):
    """A Column -> one whose values are codes of texts in every case."""
    if column.names is not None:
        return column
    names, values = np.unique(column.values, return_inverse=True)
    return Column(values, [str(name) for name in names.tolist()])


def list_texts(column):
    """The text of every row."""
    column = texts_of(column)
    return [column.names[k] for k in column.values.tolist()]


def map_texts(column, change):
    """The column with change(text) in place of each text."""
    column = texts_of(column)
    new = of_texts(map(change, column.names))
    return new._replace(values=new.values[column.values])


def take(part, keep):
    """The rows `keep` of a part; texts that occur no more are forgotten."""
    kept = {}
    for name, (values, names) in part.items():
        values = values[keep]
        if names is not None:
            used, values = np.unique(values, return_inverse=True)
            names = [names[k] for k in used.tolist()]
        kept[name] = Column(values, names)
    return kept


def parse(found, first, data, layout):
    """Bytes of lines from number `first` on -> a part; what cannot be read goes to `found`."""
    part = load_table(data, layout) if data.endswith(b"\n") else None
    if part is None:
        return parse_lines(found, first, data, layout)
    rows = len(next(iter(part.values())).values)
    return {"line": Column(np.arange(first, first + rows, dtype=np.int32)), **part}


def load_table(data, layout):
    """{name: Column} by NumPy's parser, or None if parse_lines could give something else."""
    try:
        text, separator = data.decode(), layout.separator
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if separator == "::" and "\t" not in text:
        text, data, separator = text.replace("::", "\t"), data.replace(b"::", b"\t"), "\t"
    if len(separator) > 1 or "\0" in text or "\ufeff" in text:
        return None
    if separator.isspace() and EDGE.search(text):
        return None
    lines = text.split("\n")[:-1]
    first = dict(enumerate(split_fields(lines[0], separator)))
    letter = "S" if text.isascii() else "U"  # of one byte or of four
    kinds = {name: "i8" if INTEGER.fullmatch(first.get(at, "")) else f"{letter}{SHORT}"
             for name, at in layout.places.items()}
    texts = dict.fromkeys(kinds, f"{letter}{LONG}")
    odd = has_odd_numbers(data, separator) or not text.isascii() and WIDE_BLANK.search(text)
    for types in (texts,) if odd else (kinds, texts):
        dtype = [(f"{at}", "U1") for at in range(layout.width)]
        for name, at in layout.places.items():
            dtype[at] = (f"{at}", types[name])
        table = _load(lines, dtype, separator)
        places = {} if table is None else layout.places
        columns = {name: table[f"{at}"] for name, at in places.items()}
        if columns and not any(map(_may_be_cut, columns.values())):
            return {name: _column(values) for name, values in columns.items()}
    return None


def has_odd_numbers(data, separator):
    """May a field begin like 01, +1, -1, "1 or with a blank: not as a plain number does?"""
    letters = np.frombuffer(b"\n" + data, np.uint8)
    edge = (letters == ord("\n")) | (letters == ord(separator))
    at = 1 + np.flatnonzero(edge[:-2] & (letters[1:-1] < ord("1")))  # there fields begin
    zero = letters[at] == ord("0")
    return bool(np.any(np.where(zero, letters[at + 1] >= ord("0"), ~edge[at])))


def _load(lines, dtype, separator):
    """A table [n] of one row a line; None if a line does not fit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.loadtxt(lines, dtype, delimiter=separator, comments=None, quotechar='"',
                               ndmin=1)
    except (ValueError, Warning):
        return None
    return table if len(table) == len(lines) else None


def _may_be_cut(values):
    """Is an integer too large, or has a text all the letters there are for it?"""
    if values.dtype.kind == "i":
        return values.max() >= TOO_LARGE  # none is below 0, see has_odd_numbers
    letters = values.itemsize // (1 if values.dtype.kind == "S" else 4)
    return np.strings.str_len(values).max() == letters


def _column(values):
    """A Column of integers, or of texts, of which a few different ones are found fast."""
    if values.dtype.kind == "i":
        return Column(values.astype(np.int32 if values.max() < 1 << 31 else np.int64))
    values = values.copy()
    codes, names = np.full(len(values), -1, np.int8), []
    while len(names) < FEW and codes.min() < 0:
        names.append(values[codes.argmin()])
        codes[values == names[-1]] = len(names) - 1
    if codes.min() < 0:
        return of_texts(values.astype("U").tolist())
    column = of_texts(np.array(names).astype("U").tolist())
    return column._replace(values=column.values[codes])


def split_fields(text, separator):
    """The fields of one line, without quotes and the blanks around them."""
    if separator == "::":
        text, separator = text.replace("::", "\t"), "\t"
    fields = text.split(separator)
    if '"' in text:
        with suppress(csv.Error):  # too long a field, or a break in it: no quotes are meant
            fields = next(csv.reader([text], delimiter=separator))
    return [field.strip() for field in fields]


def parse_lines(found, first, data, layout):
    """The same as parse, line by line."""
    at, rows = [], []
    for line, text, ended in lines_of(first, data):
        fields = split_fields(text or "", layout.separator)
        width = len(fields) - (not fields[-1] and not ended)  # "a,b," is cut after its second
        if text is not None and not ended:
            note_cut(found, line, width, layout.width)
            if width < layout.width:
                continue
        problem = NO_TEXT if text is None else _problem(text, fields, width, layout)
        if problem:
            add_broken(found.broken, problem, line)
        else:
            at.append(line)
            rows.append([fields[place] for place in layout.places.values()])
    columns = zip(*rows, strict=True) if rows else [[] for _ in layout.places]
    return {"line": Column(np.array(at, np.int64)),
            **{name: of_texts(texts) for name, texts in zip(layout.places, columns, strict=True)}}


def _problem(text, fields, width, layout):
    """What is wrong with a line of so many fields, or None."""
    if width == layout.width:
        too_long = any(len(fields[place]) > LONGEST_FIELD for place in layout.places.values())
        return f"a field has more than {LONGEST_FIELD} characters" if too_long else None
    other = next((name for separator, name in SEPARATOR_NAMES.items() if separator !=
                  layout.separator and len(split_fields(text, separator)) == layout.width), None)
    mend = "mend the line or choose another format"
    if other:
        mend = f"but separated by {other}: replace them, or choose another format"
    elif text.count('"') % 2:
        mend = 'its quotes " do not come in pairs: mend the line'
    return (f"{width} {'field' if width == 1 else 'fields'} where {layout.width} separated by "
            f"{SEPARATOR_NAMES[layout.separator]} are expected, {mend}")


def parquet_parts(path, columns):
    """Yield parts with the columns {ours: theirs} of a Parquet file; `line` is the row from 1.

    A column called label, which says what is an event, is read, too, as from a file of lines.
    Raises InputError without pyarrow, for a damaged file, or for a column that is not there.
    """
    name = name_of(path)
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InputError(f"{name}: is a Parquet file, install pyarrow to read it") from None
    with opened(path):  # says what is wrong with a path
        pass
    first = 1
    try:
        file = ParquetFile(path)
        there = file.schema_arrow.names
        label = next((name for name in there if name.lower() == "label"), None)
        if label and label not in columns.values():
            columns = {"label": label} | columns
        _require_flat(name, file.schema_arrow, columns.values())
        for batch in file.iter_batches(PARQUET_ROWS, columns=list(dict.fromkeys(columns.values()))):
            yield {"line": Column(np.arange(first, first + len(batch))),
                   **{ours: of_arrow(batch.column(theirs)) for ours, theirs in columns.items()}}
            first += len(batch)
    except (ArrowException, OSError) as error:
        words = str(error).partition("\n")[0][:200]
        raise InputError(f"{name}: is no Parquet file that can be read ({words})") from None


def _require_flat(name, schema, columns):
    """Raise InputError unless a Parquet file has each of these columns once, of one value a row."""
    from pyarrow.types import is_nested
    for theirs in columns:
        require(theirs in schema.names,
                f"{name}: has no column {theirs}, it has {', '.join(schema.names)[:300]}")
        require(schema.names.count(theirs) == 1,
                f"{name}: has more than one column {theirs}, rename one")
        require(not is_nested(schema.types[schema.names.index(theirs)]),
                f"{name}: column {theirs} holds lists, give a file with an event a row")


def of_arrow(column):
    """A Column of an Arrow array; times become microseconds since 1970, missing values "".

    Numbers with a fraction become texts, as they would stand in a file of lines.
    """
    import pyarrow.types as types
    if types.is_timestamp(column.type) or types.is_date(column.type):
        column = column.cast("timestamp[us]").cast("int64")
    if types.is_binary(column.type) or types.is_large_binary(column.type):
        column = column.cast("string")
    if (types.is_integer(column.type) and not types.is_uint64(column.type)
            and not column.null_count):
        return Column(column.to_numpy().astype(np.int64))
    return of_texts("" if value is None else str(value) for value in column.to_pylist())
