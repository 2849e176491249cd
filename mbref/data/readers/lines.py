"""From a file to whole lines of bytes, and the sentences that name a file and its line."""
import gzip
import hashlib
import stat
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.errors import InputError, printable, require

GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 20  # bytes that are read at a time
LONGEST = 1 << 22  # bytes of a line; more are no line of a log
FOREIGN = {  # how files begin that are no text -> what they are, what to do
    b"PK\x03\x04": "a zip archive or an Excel sheet: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel sheet: save it as CSV", b"BZh91AY&SY": "bzip2: unpack it",
    b"\xfd7zXZ\0": "xz: unpack it", b"(\xb5/\xfd": "zstd: unpack it",
    b"7z\xbc\xaf": "7z: unpack it", b"Rar!\x1a": "rar: unpack it",
    b"SQLite format 3\0": "a database: export the table as CSV",
    b"PAR1\x15": "Parquet: give it a name that ends in .parquet and read it by --format csv",
    b"\xff\xfe": "UTF-16: save it as UTF-8", b"\xfe\xff": "UTF-16: save it as UTF-8"}
FIRST_BROKEN, BROKEN_SHARE = 1, 0.001  # so many rows of a file may be broken, the larger number


def name_of(path):
    """File name for messages."""
    return Path(path).name


def line_error(path, line, problem):
    """InputError that names the file and the line."""
    return InputError(f"{name_of(path)} line {line}: {problem}")


@contextmanager
def opened(path):
    """The file, open for bytes, unpacked if it is gzip. Raises InputError if it cannot be read."""
    try:
        mode = Path(path).stat().st_mode
        require(not stat.S_ISDIR(mode), f"{path}: is a directory, give the file inside it")
        require(stat.S_ISREG(mode), f"{path}: is a pipe or a device, and a log is read more than "
                                    "once: write it to a file first")
        with open(path, "rb") as file:
            packed = file.peek().startswith(GZIP_MAGIC)
            yield gzip.GzipFile(fileobj=file) if packed else file
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file, check the path") from None
    except EOFError:
        raise InputError(f"{name_of(path)}: the gzip file ends too early, "
                         "download it again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise InputError(f"{name_of(path)}: the gzip file is damaged, download it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), "
                         "check its permissions") from None


def chunks(path):
    """Yield (number of its first line, bytes of whole lines); the last line may lack its break.

    Raises InputError as `opened`, or for a line that is longer than LONGEST.
    """
    line, rest, alone = 1, b"", None
    np.empty(8 * CHUNK, np.uint8)  # freed at once: malloc now keeps what each chunk frees
    with opened(path) as file:
        while data := file.read(CHUNK):
            if alone is None:  # CR ends a line where no LF does
                alone = b"\r" in data and b"\n" not in data
                require_text(path, data)
            data = data.replace(b"\r", b"\n") if alone else data
            end = data.rfind(b"\n") + 1
            if end:
                whole = rest + data[:end]
                yield line, whole
                breaks = np.frombuffer(whole, np.uint8) == ord("\n")  # quicker than bytes.count
                line, rest = line + np.count_nonzero(breaks), b""
            rest += data[end:]
            if len(rest) > LONGEST:
                raise line_error(path, line, f"is longer than {LONGEST:,} bytes, this is no log "
                                             "with an event a line")
    if rest:
        yield line, rest


def require_text(path, data):
    """Raise InputError if the first bytes of a file say that it is something else."""
    kind = next((kind for start, kind in FOREIGN.items() if data.startswith(start)), None)
    kind = "a tar archive: unpack it" if data[257:262] == b"ustar" else kind
    if (data[0:8:2] == bytes(4)) != (data[1:8:2] == bytes(4)):  # half of each letter is 0
        kind = FOREIGN[b"\xff\xfe"]
    if kind:
        raise line_error(path, 1, f"is not UTF-8 text but {kind}")


def digest_of(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def decode(raw):
    """Bytes of one line -> text without blanks around it; None if it is not UTF-8."""
    try:
        text = raw.decode("utf-8").lstrip("\ufeff").strip(" \r\n")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text  # zero bytes are valid UTF-8, but no text file has them


NO_TEXT = ("is not UTF-8 text, unpack the file or save it as UTF-8, as iconv -f CODE -t UTF-8 does "
           "(CODE is often WINDOWS-1252 or GB18030)")


def lines_of(first, data):
    """Yield (line number, text or None for what is no text, had it a break); no blank lines."""
    raws = data.split(b"\n")
    for line, raw in enumerate(raws, start=first):
        text = decode(raw) if raw.strip() else ""
        if text != "":
            yield line, text, line < first + len(raws) - 1


class Findings(NamedTuple):
    """What is found out about a file while it is read."""
    path: Path
    notes: list   # sentences
    broken: dict  # {kind: [count, line of the first, what is wrong with it]}, of rows


def note(found, words, line=None):
    """Add a note on a file, or on one of its lines."""
    where = name_of(found.path) if line is None else f"{name_of(found.path)} line {line}"
    found.notes.append(printable(f"{where}: {words}"))


def note_cut(found, line, fields, width):
    """Note a last line without a line break."""
    words = "kept, but it has no line break, so its last field may be cut"
    if fields < width:
        words = f"dropped, {fields} of {width} fields and no line break (a truncated file)"
    note(found, words, line)


def add_broken(broken, kind, line, count=1, problem=None):
    """Count `count` broken rows of a kind, of which the first is on `line`."""
    broken.setdefault(kind, [0, line, problem or kind])[0] += count


def report_broken(found, good):
    """Note each kind of broken row. Raises InputError without a good row, or for too many others.
    """
    kinds = sorted(found.broken.values(), key=lambda kind: (-kind[0], kind[1]))
    bad, name = sum(count for count, _, _ in kinds), name_of(found.path)
    require(good or bad, ". ".join([f"{name}: holds no events (it is empty, or has only a header "
                                    "or a cut line), give a file with at least one", *found.notes]))
    if bad and (not good or bad > max(FIRST_BROKEN, BROKEN_SHARE * (good + bad))):
        reasons = "; ".join(f"line {line}: {problem}" + (f" ({count} such rows)" * (count > 1))
                            for count, line, problem in kinds[:3])
        raise InputError(f"{name} {reasons}. Of {good + bad:,} rows {bad:,} are broken, and at "
                         "most one in a thousand is skipped")
    for count, line, problem in kinds:
        note(found, f"skipped {count} of {good + bad} rows as broken (the first is line {line}: "
                    f"{problem})")
