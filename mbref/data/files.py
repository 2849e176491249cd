"""Files that are there whole or not at all: a run that is stopped leaves no half-written one."""
import json
import os
from contextlib import suppress
from pathlib import Path

from mbref.errors import InputError


def write_whole(path, write):
    """Call write(file), a file open for bytes, and put what it wrote in the place of `path`.

    Raises InputError if that fails; `path` is then as it was before.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): "
                         "free some space or give another folder.") from error
    finally:
        with suppress(OSError):  # gone already if all went well
            part.unlink()


def write_json(path, value):
    """Write `value` as JSON in UTF-8. Raises InputError as write_whole, ValueError for nan."""
    text = json.dumps(value, indent=1, allow_nan=False)
    write_whole(path, lambda file: file.write(text.encode("utf-8")))
