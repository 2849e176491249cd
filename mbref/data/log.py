"""What every reader makes of a file: an interaction log, and the attributes of its items."""
from typing import NamedTuple

import numpy as np

from mbref.errors import require


class Attributes(NamedTuple):
    """Attributes of items: those of item i are value[ptr[i]:ptr[i + 1]].

    N items, A attributes, nnz pairs of both; read-only.
    """
    ptr: np.ndarray  # [N + 2] starts at 0; item 0, the padding, has none
    value: np.ndarray  # [nnz] 1..A
    names: np.ndarray  # [A + 1] raw ids as text; entry 0 is "" (padding)


class Log(NamedTuple):
    """One read-only interaction log: n events, U users, N items, C categories.

    Sorted by user, then by time; equal times, and formats without times, keep the order of the
    file.
    """
    user: np.ndarray  # [n] 1..U
    item: np.ndarray  # [n] 1..N
    behaviour: np.ndarray  # [n] 1..K; behaviour k is called behaviours[k - 1]
    time: np.ndarray | None  # [n] seconds since 1970; None where the file has none
    category: np.ndarray | None  # [n] 1..C of the event's item, 0 = unknown
    users: np.ndarray  # [U + 1] raw ids as text; entry 0 is "" (padding)
    items: np.ndarray  # [N + 1] likewise
    categories: np.ndarray | None  # [C + 1] likewise
    behaviours: tuple[str, ...]  # K names
    notes: tuple[str, ...]  # sentences: what the reader dropped or noticed
    attributes: Attributes | None = None  # of the N items; None where the file has none
    held: np.ndarray | None = None  # [n] True for the events of a test file, None without one


def require_names(log):
    """Raise InputError for a log, made by hand, in which a number has no name."""
    for field, least, names in (("user", 1, log.users), ("item", 1, log.items),
                                ("behaviour", 1, ("", *log.behaviours)),
                                ("category", 0, log.categories)):
        column, most = getattr(log, field), -1 if names is None else len(names) - 1
        require(column is None or np.all((column >= least) & (column <= most)),
                f"{field} of the log must be numbers of {least} to {most}, which have names.")
