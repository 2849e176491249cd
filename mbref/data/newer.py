"""Events that came after a log, or of someone who is not in it, in the numbers of that log."""
import numpy as np

from mbref.data.log import Log
from mbref.data.readers.build import freeze
from mbref.data.sequences import item_categories
from mbref.errors import count, require

NEW_USER = "(new)"


def new_user(log, items, behaviours):
    """A Log of one user, called NEW_USER, with these raw items and behaviours, oldest first."""
    require(len(items) == len(behaviours),
            f"{len(items)} items and {len(behaviours)} behaviours: give one behaviour an item.")
    raws, item = np.unique(np.array(items), return_inverse=True)
    time = None if log.time is None else log.time.max() + np.arange(len(items))
    for name in behaviours:
        require(name in log.behaviours, f"behaviour {name!r} is not in the log: "
                                        f"it has {', '.join(log.behaviours)}.")
    behaviour = np.array([log.behaviours.index(name) + 1 for name in behaviours])
    return Log(np.ones(len(items), np.int64), item + 1, behaviour, time, None,
               np.array(["", NEW_USER]), np.append("", raws), None, log.behaviours, ())


def add_events(log, more):
    """The log with the events of another Log, in its own numbers; users may be new.

    Events on items or with behaviours that the log does not have are left out, and so is what it
    has already, where there are times. -> (Log, sentences on what was left out).
    """
    number = _numbers_in(log.items, more.items)  # [items of `more` + 1], 0 = unknown
    names = [("", *one.behaviours) for one in (log, more)]
    item, behaviour = number[more.item], _numbers_in(*names)[more.behaviour]
    known = (item > 0) & (behaviour > 0)
    there = more.users[np.unique(more.user[known])]
    users = np.append(log.users, np.setdiff1d(there, log.users))
    user = _numbers_in(users, more.users)[more.user]
    rows = [np.append(log.user, user[known]), np.append(log.item, item[known]),
            np.append(log.behaviour, behaviour[known])]
    order = np.argsort(rows[0], kind="stable")
    if log.time is not None:
        require(more.time is not None, "the newer events have no times, and those of the log have.")
        rows.append(np.append(log.time, more.time[known]))
        order = np.lexsort((rows[-1], rows[0]))
        _, same = np.unique(np.stack(rows), axis=1, return_inverse=True)
        same = same.ravel()  # NumPy 2.0 keeps the other axis
        again = np.isin(same, same[: len(log.user)])  # the log has it already
        again[: len(log.user)] = False
        order = order[~again[order]]
    user, item, behaviour, *time = (freeze(column[order]) for column in rows)
    category = None if log.category is None else freeze(item_categories(log)[item])
    held = [np.zeros(len(one.user), bool) if one.held is None else one.held for one in (log, more)]
    held = freeze(np.append(held[0], held[1][known])[order])
    log = log._replace(user=user, item=item, behaviour=behaviour, users=freeze(users),
                       time=time[0] if time else None, category=category,
                       held=held if held.any() else None)
    unknown = [f"item {raw}" for raw in more.items[1:][number[1:] == 0][:5]]
    unknown += [f"behaviour {name}" for name in more.behaviours if name not in log.behaviours]
    return log, [] if known.all() else [f"{(~known).sum()} of {len(known)} events are left out: "
                                        f"the run does not know {', '.join(unknown)}"]


def with_test_file(log, more, path):
    """The log with the events of a test file, another Log, which are to be held out.

    Raises InputError if there is none that the log has not yet and on an item that it knows.
    """
    log, left_out = add_events(log, more._replace(held=np.ones(len(more.user), bool)))
    require(log.held is not None, f"{path} has no event that the log has not, on an item that it "
                                  "knows: nothing to test, write its ids as the log does.")
    notes = f"{path}: held out {count(log.held.sum(), 'event')}", *left_out
    return log._replace(notes=(*log.notes, *more.notes, *notes))


def _numbers_in(known, raws):
    """The number of each raw id in another list of ids, 0 for one that it lacks."""
    number = {raw: k for k, raw in enumerate(known)}
    return np.array([number.get(raw, 0) for raw in raws], np.int64)
