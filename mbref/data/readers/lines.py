"""What all readers share: from a text file to lines, from lines to rows of fields, from rows to a
log."""

import gzip
import zlib
from math import isfinite
from pathlib import Path

from mbref.errors import InputError

RATED = ("pos", "neutral", "neg")
# format: separator and fields of one line; here, so that a wrongly chosen format can be recognized
LAYOUTS = {
    "taobao": (",", ("user", "item", "category", "behaviour", "time")),
    "hmar": (" ", ("user", "item", "behaviour")),
    "movielens": ("\t", ("user", "item", "rating", "time")),
    "yoochoose": (",", ("session", "time", "item", "category")),
}
SEPARATOR_NAMES = {",": "commas", " ": "single spaces", "\t": "tabs", ";": "semicolons"}
LATEST = 10**11  # seconds, the year 5138: a larger "time" is in milliseconds or not a time
GZIP_MAGIC = b"\x1f\x8b"


def rating_to_behaviour(rating):
    """Name in RATED of a rating on a five-star scale: pos from 4, neg up to 2, neutral between.

    The thresholds are the usual ones of the KHGT and MB-GMN family; the HMAR release converts no
    ratings.
    """
    if rating >= 4:
        return "pos"
    return "neg" if rating <= 2 else "neutral"


# From bytes to lines.

def name_of(path):
    """File name for messages."""
    return Path(path).name


def line_error(path, line, problem):
    """InputError that names the file and the line."""
    return InputError(f"{name_of(path)} line {line}: {problem}")


def raw_lines(path, unpack=False):
    """Yield (line number from 1, bytes of the line), through gzip with unpack=True.

    Raises InputError for a file that cannot be read or unpacked to its end.
    """
    try:
        with open(path, "rb") as file:
            packed = unpack and file.peek(2).startswith(GZIP_MAGIC)
            yield from enumerate(gzip.GzipFile(fileobj=file) if packed else file, start=1)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file, check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory, give the file inside it") from None
    except EOFError:
        raise InputError(f"{name_of(path)}: the gzip file ends too early, "
                         "download it again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise InputError(f"{name_of(path)}: the gzip file is damaged, download it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), "
                         "check its permissions") from None


def lines(path):
    """Yield (line number, text, whether it had a line break); blank lines are left out."""
    for line, raw in raw_lines(path):
        text = decode(path, line, raw).rstrip("\r\n").strip(" ")
        if text:
            yield line, text, raw.endswith(b"\n")


def decode(path, line, raw):
    """Bytes of one line -> text. Raises InputError if it is not UTF-8."""
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # zero bytes are valid UTF-8, but no text file has them
        raise line_error(path, line, "is not UTF-8 text, unpack the file or save it as UTF-8")
    return text


# From lines to rows of named fields.

def layout(format):
    """(separator, width, {field: position}) of a format with fixed columns."""
    separator, fields = LAYOUTS[format]
    return separator, len(fields), {field: position for position, field in enumerate(fields)}


def header(path, lines, separator="\t"):
    """(line number, fields) of the first line. Raises InputError if there is none."""
    line, text, _ = next(lines, (0, "", True))
    if line == 0:
        raise no_events(path)
    return line, [field.strip() for field in text.split(separator)]


def positions(path, line, names, needed):
    """{column name: position} of a header. Raises InputError unless it has all the needed columns.
    """
    for name in needed:
        if name not in names:
            raise line_error(path, line,
                             f"the header has no column {name}, add it or choose another format")
    return {name: position for position, name in enumerate(names)}


def rows(path, lines, separator, width, columns, notes, may_be_empty=()):
    """Yield (line number, the fields at `columns` {name: position}) of lines with `width` fields.

    Only a line without a line break, hence the last, may be short: it is dropped and `notes` says
    so.
    """
    for line, text, ended in lines:
        fields = [field.strip() for field in text.split(separator)]
        found = len(fields) - (not fields[-1] and not ended)  # "a,b," is cut after its second
        if not ended:
            notes.append(cut_line(path, line, found, width))
            if found < width:
                continue
        if found != width:
            raise line_error(path, line, _width_problem(text, found, width, separator))
        values = [fields[position] for position in columns.values()]
        for name, value in zip(columns, values, strict=True):
            if not value and name not in may_be_empty:
                raise line_error(path, line, f"the {name} is empty, fill it in or delete the line")
        yield line, values


def cut_line(path, line, found, width):
    """The note on a last line without a line break."""
    if found < width:
        what = f"dropped, {found} of {width} fields and no line break (a truncated file)"
    else:
        what = "kept, but it has no line break, so its last field may be cut"
    return f"{name_of(path)} line {line}: {what}"


def _width_problem(text, found, width, separator):
    """What to say of a line with the wrong number of fields; names the format it resembles, if any.
    """
    problem = f"{found} {'field' if found == 1 else 'fields'} where {width} separated by " \
              f"{SEPARATOR_NAMES[separator]} are expected"
    for format, (other, fields) in LAYOUTS.items():
        if other != separator and len(text.split(other)) == len(fields):
            return f"{problem}, it looks like format {format}"
    return f"{problem}, mend the line or choose another format"


def refuse_header(path, format, rows):
    """Pass the rows on. Raises InputError for a first row in which nothing is a number."""
    for index, (line, values) in enumerate(rows):
        if index == 0 and all(value[0] in "\"'" for value in values):
            raise line_error(path, line, "its fields are in quotes, save the file without them")
        if index == 0 and not any(isfinite(number(value)) for value in values):
            raise line_error(path, line, f"looks like a header and format {format} has none, "
                                         "delete the line or choose another format")
        yield line, values


# Fields of one row.

def number(text):
    """Float value of a field; nan for what is not a number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def seconds(path, line, text, per_second=1):
    """A time since 1970 in units of 1 / per_second s. Raises InputError for no such time."""
    value = number(text)
    if not isfinite(value):
        raise line_error(path, line,
                         f"time {text!r} is not a finite number, write seconds since 1970")
    if not 0 <= value < LATEST:
        raise line_error(path, line, f"time {text} is not in 0..{LATEST}, "
                                     "write seconds since 1970, not milliseconds")
    return int(value * per_second)


def stars(path, line, text):
    """A rating from 0 to 5. Raises InputError for anything else."""
    value = number(text)
    if not isfinite(value):
        raise line_error(path, line,
                         f"rating {text!r} is not a finite number, write one from 0 to 5")
    if not 0 <= value <= 5:
        raise line_error(path, line,
                         f"rating {text} is not in 0..5, rescale the ratings to five stars")
    return value


def vocabularies(behaviours, default):
    """The vocabularies to choose from: the caller's alone, or the format's."""
    if behaviours is None:
        return default
    names = tuple(behaviours)
    if isinstance(behaviours, str) or not names or len(set(names)) < len(names):
        raise InputError(f"behaviours must be a sequence of different names, not {behaviours!r}")
    return (names,)


def refuse_names(format, behaviours):
    """Raise InputError if the caller names behaviours that the format does not have."""
    if behaviours is not None:
        raise InputError(f"format {format} has no behaviour names, leave the argument behaviours "
                         "out")


def no_events(path):
    """InputError for a file without events."""
    return InputError(f"{name_of(path)}: holds no events (it is empty, or has only a header or a "
                      "cut line), give a file with at least one")
