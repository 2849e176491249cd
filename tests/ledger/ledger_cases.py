"""What the cases of the ledger share; the cases themselves are in ledger_cases_<paper>.py.

A case gives two numbers or arrays, mbref's default and the other side of its row. Where the row
has a switch the case takes `change`: the fields {name: value} that the switch sets, or the function
that it names.
"""
from zlib import crc32

import numpy as np

from mbref.data.log import Log
from mbref.nn import optim


def draw_as(tree):
    """New parameters of the same shapes; an array's name and shape alone decide its numbers."""
    normal = iter([np.random.default_rng(crc32(name.encode())).normal(0, 0.5, array.shape)
                   for name, array in optim.leaves(tree)])
    return optim.tree_map(lambda array: next(normal), tree)


def log_of(events, behaviours=("view",), **more):
    """A Log of (user, item, behaviour 1.., day) in order, all ids numbers; `more`: other fields."""
    user, item, behaviour, day = np.array(events, np.int64).T
    names = [np.array(["", *map(str, range(1, ids.max() + 1))]) for ids in (user, item)]
    log = Log(user, item, behaviour, day * 86400, None, *names, None, behaviours, ())
    return log._replace(**more)
