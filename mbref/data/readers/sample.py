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
    held, rows, least = [], 0, 1 << 20
    for part in parts:
        rows += len(part["line"].values)
        held.append({**part, "hash": _hashes(part["user"])} if count else part)
        if count and count_rows(held) > 2 * least:
            held, _ = _keep_lowest(held, count)
            least = max(least, count_rows(held))
    if count and rows:
        held, users = _keep_lowest(held, count)
        kept = count_rows(held)
        notes.append(f"{name}: kept {users:,} users and {kept:,} of {rows:,} events "
                     f"({kept / rows:.1%})")
    return held, rows


def count_rows(parts):
    """How many rows the parts hold together."""
    return sum(len(part["line"].values) for part in parts)


def _keep_lowest(parts, count):
    """(the parts with the rows of the `count` lowest hashes alone, how many of these there are)."""
    lowest = np.unique(np.concatenate([part["hash"].values for part in parts]))[:count]
    return [take(part, part["hash"].values <= lowest[-1]) for part in parts], len(lowest)


def _hashes(users):
    """A Column of a number for each event's user id that depends on the text of the id alone."""
    users = texts_of(users)
    codes = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
             for name in users.names]
    return Column(np.array(codes, np.uint64)[users.values])
