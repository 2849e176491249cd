"""Files that are there whole or not at all: a run that is stopped leaves no half-written one."""
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from operator import methodcaller
from pathlib import Path

from mbref.errors import InputError, require

MARK = ".mbref.part"  # ends the name of a file that is being written, behind the process's number


def write_whole(path, write, new=False):
    """Call write(file), a file open for bytes, and put what it wrote in the place of `path`.

    A `new` path must not be there yet: of two processes that write it at once one fails. Of a link
    the file that it leads to is written. Raises InputError if that or the writing fails, or for a
    device or pipe, which a file would take the place of; `path` is then as it was before.
    """
    with write_part(path, write, new):
        pass


@contextmanager
def write_part(path, write, new=False):
    """As write_whole, but the file takes its place where the block ends, if nothing fails in it."""
    path = Path(os.path.realpath(path))
    part = path.parent / f"{path.name}.{os.getpid()}{MARK}"  # no other process writes this one
    try:
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        require(not path.exists() or path.is_file(),
                f"{path} is no file but {kind}: give the name of a file.")
        for old in path.parent.glob(f"*.*{MARK}"):  # what processes that were killed have left
            number = old.name.removesuffix(MARK).rpartition(".")[2]
            if number.isdecimal() and not is_running(int(number)):
                old.unlink(missing_ok=True)  # another process may have done it
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield
        put_new(part, path) if new else os.replace(part, path)
    except FileExistsError as error:
        raise InputError(f"{path} is there already: give another folder.") from error
    except OSError as error:
        mend = "free some space" if path.parent.is_dir() else f"make the folder {path.parent}"
        raise InputError(f"cannot write {path} ({error.strerror}): "
                         f"{mend} or give another folder.") from error
    finally:
        with suppress(OSError):  # gone already if all went well
            part.unlink()


def write_folder(folder, contents, over=False):
    """Write {name: bytes} into a folder, which is made: all or, if one fails, none.  -> paths.

    Once all are written they take their places one after the other: if that is stopped or fails,
    the first of them have, and whoever begins again finishes it. Raises InputError as write_whole,
    and for a file of other content that is there already, unless it may be written `over`.
    """
    make_folder(folder)
    paths = {Path(folder) / name: content for name, content in contents.items()}
    with alone_in(folder), ExitStack() as parts:
        others = [str(path) for path in paths if not over and is_other(path, paths[path])]
        require(not others, f"{', '.join(others[:3])}: there already with other content, so "
                            "perhaps somebody's work; nothing was written: give another folder.")
        for path, content in paths.items():
            make_folder(path.parent)
            parts.enter_context(write_part(path, methodcaller("write", content)))
    return [*paths]


def is_other(path, content):
    """Is there something of this name, but not this content?"""
    try:
        return path.read_bytes() != content
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a folder, or a file that may not be read
        return True


def require_apart(path, others):
    """Raise InputError if a file to write is one of the others, which are read or written, too."""
    places = [os.path.realpath(other) for other in others if other]
    require(not path or os.path.realpath(path) not in places,
            f"{path} is read, or written with something else: give another name.")


def make_folder(folder):
    """Make a folder and those that it lies in. Raises InputError if that fails."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}): "
                         "give another folder.") from error


@contextmanager
def alone_in(folder):
    """One process at a time has such a block on a folder, others wait: no two sets of files mix.

    Where the system has no such locks, as Windows, the block runs without.
    """
    number = None
    with suppress(ImportError, OSError):
        import fcntl

        number = os.open(folder, os.O_RDONLY)
        fcntl.flock(number, fcntl.LOCK_EX)  # a process that ends gives it back
    try:
        yield
    finally:
        if number is not None:
            os.close(number)


def put_new(part, path):
    """Give `part` the name `path`. Raises FileExistsError if there is such a file."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name comes first
        open(path, "xb").close()
        os.replace(part, path)


def is_running(number):
    """Is there a process of this number, or no way to know?"""
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def read_json(path):
    """What a JSON file in UTF-8 holds. Raises OSError, or ValueError for one that holds none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_json(path, value, new=False):
    """Write `value` as JSON in UTF-8. Raises InputError as write_whole, ValueError for nan."""
    write_whole(path, methodcaller("write", pack_json(value)), new)


def pack_json(value):
    """The bytes of a JSON file. Raises ValueError for nan."""
    return json.dumps(value, indent=1, allow_nan=False).encode("utf-8")
