"""Some users of a large file, the same ones in every run and in whatever order the rows come."""
from hashlib import blake2b

import numpy as np

from mbref.data.readers.columns import Column, take, texts_of


def sample_parts(parts, count, notes, name):
    """-> (list of parts with the events of `count` users alone, number of all events).

    Those users are kept whose ids have the lowest hashes. A user who is not among them now never
    will be, so that the file is read once and no more is held than twice what is kept.
    count 0: all users. A note says what share of the events was kept.
    """
    held, rows, size, least = [], 0, 0, 1 << 20
    for part in parts:
        if not len(part["line"]):
            continue
        rows += len(part["line"])
        held.append({**part, "hash": _hashes(part["user"])} if count else part)
        size += len(part["line"])
        if count and size > 2 * least:
            held = _keep_lowest(held, count)
            size = sum(len(part["line"]) for part in held)
            least = max(least, size)
    if count and rows:
        held = _keep_lowest(held, count)
        kept = sum(len(part["line"]) for part in held)
        users = len(np.unique(np.concatenate([part.pop("hash") for part in held])))
        notes.append(f"{name}: kept {users:,} users and {kept:,} of {rows:,} events "
                     f"({kept / rows:.1%})")
    return held, rows


def _keep_lowest(parts, count):
    """The parts with the rows of the `count` lowest hashes alone."""
    lowest = np.unique(np.concatenate([part["hash"] for part in parts]))[:count]
    kept = []
    for part in parts:
        rows = np.flatnonzero(part["hash"] <= lowest[-1])
        if len(rows):
            kept.append({name: take(x, rows) if isinstance(x, Column) else x[rows]
                         for name, x in part.items()})
    return kept


def _hashes(users):
    """A number [n] of each event's user id that depends on the text of the id alone."""
    column = texts_of(users)
    codes = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
             for name in column.names]
    return np.array(codes, np.uint64)[column.values]
