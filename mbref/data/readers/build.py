"""From the rows of a file to a log: numbers in place of raw ids, in order of user and time."""
from array import array

import numpy as np

from mbref.data.log import Log
from mbref.data.readers.lines import line_error, name_of, no_events


def log(path, events, vocabularies, notes, note_unsorted=False, per_second=1):
    """Log from an iterator of (line, raw user, raw item, behaviour, time, raw category).

    Times are in units of 1 / per_second s: events are sorted by them before the fractions of a
    second go. Without any category, category and categories are None. note_unsorted=True: a note
    says if the events of a user were not in order of time. Raises InputError if there is no event
    or no vocabulary has all the names.
    """
    # raw -> code in order of appearance
    users, items, categories, names = {"": 0}, {"": 0}, {"": 0}, {}
    user, item, behaviour, time, category = (array("q") for _ in range(5))  # 8 bytes an entry
    first_line = {}
    for line, raw_user, raw_item, name, at, raw_category in events:
        user.append(users.setdefault(raw_user, len(users)))
        item.append(items.setdefault(raw_item, len(items)))
        behaviour.append(names.setdefault(name, len(names)))
        category.append(categories.setdefault(raw_category, len(categories)))
        time.append(at)
        first_line.setdefault(name, line)
    if not user:
        raise no_events(path)
    vocabulary = _find_vocabulary(path, first_line, vocabularies)
    users, user = number_codes(users, user)
    items, item = number_codes(items, item)
    categories, category = number_codes(categories, category)
    behaviour = np.array([vocabulary.index(name) + 1 for name in names])[np.array(behaviour)]
    time = np.array(time)
    order = np.lexsort((time, user))  # stable: equal times stay in the order of the file
    if note_unsorted and (np.diff(order)[np.diff(user[order]) == 0] < 0).any():
        notes.append(f"{name_of(path)}: was not in order of time, so each user's events are sorted "
                     "here (equal times stay in the order of the file)")
    columns = [freeze(column[order])
               for column in (user, item, behaviour, time // per_second, category)]
    made = Log(*columns, users, items, categories, vocabulary, tuple(notes))
    return made if len(categories) > 1 else made._replace(category=None, categories=None)


def with_item_categories(log, category, source):
    """The log with its items' categories, {raw item: raw category}; others get 0.

    A note names `source`, the file of the categories, if any item has none.
    """
    raws = ["", *(category.get(raw, "") for raw in log.items[1:].tolist())]
    codes = {"": 0}
    column = [codes.setdefault(raw, len(codes)) for raw in raws]
    categories, of_item = number_codes(codes, column)  # of_item [N + 1]
    notes, unknown = log.notes, int((of_item[1:] == 0).sum())
    if unknown:
        notes += (f"{source}: has no category for {unknown} of {len(log.items) - 1} items, they "
                  "get 0 (unknown)",)
    return log._replace(category=freeze(of_item[log.item]), categories=categories, notes=notes)


def _find_vocabulary(path, first_line, vocabularies):
    """First vocabulary with every name; `first_line` is {name: line}, in the order of the file."""
    for name, line in first_line.items():
        fitting = [names for names in vocabularies if name in names]
        if not fitting:
            allowed = " or ".join(f"({', '.join(names)})" for names in vocabularies)
            raise line_error(path, line,
                             f"behaviour {name!r} is unknown, allowed here are {allowed}")
        vocabularies = fitting
    return vocabularies[0]


def number_codes(codes, column):
    """Codes in order of appearance -> numbers in order of the raw ids.

    codes {raw: code} with "" at 0, column [n] codes -> (raw ids with "" at 0, column [n] numbers)
    """
    raws = order_ids(raw for raw in codes if raw)
    number = np.zeros(len(raws), np.int64)
    for new, raw in enumerate(raws.tolist()):
        number[codes[raw]] = new
    return raws, number[np.array(column, np.int64)]


def order_ids(raws):
    """Different raw ids [N + 1], "" at 0; in order as integers if all are, else as text.

    "01" and "1" stay different ids.
    """
    raws = set(raws)
    try:
        ordered = sorted(raws, key=lambda raw: (int(raw), raw))
    except ValueError:
        ordered = sorted(raws)
    return freeze(np.array(["", *ordered]))


def freeze(column):
    """The same array, read-only from now on."""
    column.setflags(write=False)
    return column
