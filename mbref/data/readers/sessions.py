"""Three public forms of session logs, each one function `path -> Log`. The `user` of such a log is
a session.

The clicks of a session are in order of time to the millisecond, equal times in the order of the
file; Log.time itself is in whole seconds. Nobody knows who the visitor was, so a user id in the
file is not read.
"""

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import numpy as np

from mbref.data.readers import build, lines as text
from mbref.data.readers.amazon import _attributes, _note_no_categories

ITEM = ("itemId", "item_id")  # both spellings are in circulation
VIEWS = {"session": ("sessionId", "session_id"), "item": ITEM, "timeframe": ("timeframe",),
         "eventdate": ("eventdate",)}
CATEGORIES = {"item": ITEM, "category": ("categoryId", "category_id")}
PRODUCTS = {"item": ITEM, "tokens": ("product.name.tokens",)}
CLICKS = {"session": ("SessionId",), "item": ("ItemId",), "time": ("Time",)}
NO_CATEGORY = ("0", "S")  # of yoochoose: missing, and a "special offer" of any kind
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def diginetica(path, behaviours=None):
    """`;`-separated lines with header: sessionId, itemId, timeframe, eventdate. "view".

    The spellings session_id and item_id are accepted, other columns ignored. Time is the day of
    `eventdate` (UTC) plus `timeframe` milliseconds. Beside the file, product-categories.csv
    (itemId;categoryId) has the categories and products.csv (itemId;product.name.tokens), where
    there is one, has the attributes: the hashed words of the name, separated by commas, each
    counted once an item. Of several lines on one item the last counts, and a note says of how many
    items the category differed. Source: CIKM Cup 2016 track 2 (DIGINETICA).
    """
    text.refuse_names("diginetica", behaviours)
    notes = []
    events = ((line, session, item, "view", _milliseconds(path, line, timeframe, eventdate), "")
              for line, (session, item, timeframe, eventdate) in _table(path, ";", VIEWS, notes))
    log = build.log(path, events, (("view",),), notes, per_second=1000)
    return _with_tokens(_with_categories(log, Path(path)), Path(path))


def yoochoose(path, behaviours=None):
    """CSV without header: session,2014-04-07T10:51:09.277Z,item,category. "click".

    The category of a line is where the item was clicked: "0" missing, "S" a special offer, 1 to 12
    a category, any other number a brand. Here an item has one category, the last known one in time;
    "0" and "S" count as unknown. A note says how many items were clicked under several. Source:
    RecSys Challenge 2015, yoochoose-clicks.dat.
    """
    text.refuse_names("yoochoose", behaviours)
    notes = []
    rows = text.refuse_header(path, "yoochoose",
                           text.rows(path, text.lines(path), *text.layout("yoochoose"), notes))
    events = ((line, session, item, "click", _stamp(path, line, time), "" if category in NO_CATEGORY
               else category)
              for line, (session, time, item, category) in rows)
    log = build.log(path, events, (("click",),), notes, per_second=1000)
    return log if log.category is None else _with_last_category(log, text.name_of(path))


def sessionrec(path, behaviours=None):
    """Tab-separated lines with header: SessionId, ItemId, Time in seconds. "click".

    Other columns are ignored; there are no categories. Source: what the preprocessing of
    session-rec (github rn5l/session-rec) writes.
    """
    text.refuse_names("sessionrec", behaviours)
    notes = []
    events = ((line, session, item, "click", text.seconds(path, line, time, per_second=1000), "")
              for line, (session, item, time) in _table(path, "\t", CLICKS, notes))
    return build.log(path, events, (("click",),), notes, per_second=1000)


def _table(path, separator, columns, notes, may_be_empty=()):
    """Yield (line, values of `columns`, {name: its spellings}) of a file with a header."""
    lines = text.lines(path)
    line, names = text.header(path, lines, separator)
    spelled = {name: next((s for s in spellings if s in names), spellings[0])
               for name, spellings in columns.items()}
    place = text.positions(path, line, names, spelled.values())
    places = {name: place[spelling] for name, spelling in spelled.items()}
    yield from text.rows(path, lines, separator, len(names), places, notes, may_be_empty)


# Times.

def _milliseconds(path, line, timeframe, eventdate):
    """Milliseconds since 1970 of a timeframe on a day. Raises InputError."""
    day, offset = _day(eventdate), text.number(timeframe)
    if day is None or day < 0:
        raise text.line_error(path, line, f"eventdate {eventdate!r} is no day since 1970, write it "
                                          "as YYYY-MM-DD")
    if not 0 <= offset < text.LATEST:  # false for nan, too
        raise text.line_error(path, line,
                              f"timeframe {timeframe!r} is not a number in 0..{text.LATEST}, write "
                                          "milliseconds")
    return day + int(offset)


@lru_cache(maxsize=1000)  # a file has many lines a day
def _day(eventdate):
    """Milliseconds since 1970 at the start of a day "2016-05-09" in UTC; None for what is no day.
    """
    try:
        return _since_1970(datetime.strptime(eventdate, "%Y-%m-%d").replace(tzinfo=timezone.utc))
    except ValueError:
        return None


def _stamp(path, line, time):
    """Milliseconds since 1970 of an ISO time with its zone. Raises InputError for anything else."""
    try:
        # Python 3.10 does not know the Z
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment < EPOCH:
        raise text.line_error(path, line, f"time {time!r} is no time since 1970, write it as "
                                          "2014-04-07T10:51:09.277Z")
    return _since_1970(moment)


def _since_1970(moment):
    """Whole milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


# Categories and words.

def _with_categories(log, path):
    """The log with the categories of product-categories.csv, if that is beside it."""
    source = path.with_name("product-categories.csv")
    if not source.exists():
        return _note_no_categories(log, source)
    notes, wanted, category, changed = [], set(log.items.tolist()), {}, set()
    for _, (item, raw) in _table(source, ";", CATEGORIES, notes, may_be_empty=("category",)):
        if item in wanted and raw:
            changed |= {item} if category.get(item, raw) != raw else set()
            category[item] = raw
    log = log._replace(notes=(*log.notes, *notes, *_several(source.name, len(changed))))
    return build.with_item_categories(log, category, source.name)


def _with_tokens(log, path):
    """The log with the tokens of products.csv as attributes, if that is beside it."""
    source = path.with_name("products.csv")
    if not source.exists():
        return log
    notes, wanted = [], set(log.items.tolist())
    lists = {item: [token for token in tokens.split(",") if token]
             for _, (item, tokens) in _table(source, ";", PRODUCTS, notes, may_be_empty=("tokens",))
             if item in wanted}
    attributes = _attributes(log, lists)
    nameless = int((np.diff(attributes.ptr)[1:] == 0).sum())
    if nameless:
        notes.append(f"{source.name}: has no tokens for {nameless} of {len(log.items) - 1} items")
    return log._replace(attributes=attributes, notes=(*log.notes, *notes))


def _with_last_category(log, source):
    """The log with one category an item: that of its latest row that has one."""
    known = np.flatnonzero(log.category)
    known = known[np.argsort(log.time[known], kind="stable")]
    of_item = np.zeros(len(log.items), np.int64)
    # of several assignments to one place the last stays
    of_item[log.item[known]] = log.category[known]
    several = np.unique(log.item[known][log.category[known] != of_item[log.item[known]]])
    category = dict(zip(log.items.tolist(), log.categories[of_item].tolist(), strict=True))
    return build.with_item_categories(log._replace(notes=log.notes
                                                   + _several(source, len(several))),
                                     category, source)


def _several(source, count):
    """() or the note on `count` items with more than one category."""
    have = "item has" if count == 1 else "items have"
    return (f"{source}: {count} {have} more than one category, the last is kept",) if count else ()
