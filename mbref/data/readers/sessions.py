"""Diginetica (CIKM Cup 2016 track 2): views, and two files beside them. The `user` is a session.

The clicks of a session are in order of time to the millisecond, equal times in the order of the
file; Log.time itself is in whole seconds. Nobody knows who the visitor was, so a user id in the
file is not read.
"""
from pathlib import Path

import numpy as np

from mbref.data.readers import build
from mbref.data.readers.amazon import attributes_of
from mbref.data.readers.shops import note_no_categories, note_several
from mbref.data.readers.table import Table, pairs, read_log
from mbref.data.readers.times import LATEST, iso_time, numbers_of

ITEM = ("itemId", "item_id")  # both spellings are in circulation
VIEWS = Table({"user": ("sessionId", "session_id"), "item": ITEM, "timeframe": ("timeframe",),
               "time": ("eventdate",)}, (";",), event="view")
CATEGORIES = Table({"item": ITEM, "text": ("categoryId", "category_id")}, (";",))
PRODUCTS = Table({"item": ITEM, "text": ("product.name.tokens",)}, (";",))


def diginetica(path, reading):
    """`;`-separated lines with header: sessionId, itemId, timeframe, eventdate. "view".

    Time is the day of `eventdate` (UTC) plus `timeframe` milliseconds. Beside the file,
    product-categories.csv (itemId;categoryId) has the categories and products.csv
    (itemId;product.name.tokens), where there is one, has the attributes: the hashed words of the
    name, separated by commas, each counted once an item. Of several lines on one item the last
    counts, and a note says of how many items the category differed.
    """
    log = read_log(path, VIEWS, "diginetica", reading, 1000, _milliseconds)
    return _with_tokens(_with_categories(log, Path(path)), Path(path))


def _milliseconds(columns):
    """Milliseconds since 1970 [n] of a timeframe on a day, nan where there is none."""
    day, offset = numbers_of(columns["time"], iso_time) // 1000, numbers_of(columns["timeframe"])
    good = (day >= 0) & (offset >= 0) & (offset < LATEST)
    return (np.where(good, day + np.floor(np.where(good, offset, 0)), np.nan),
            "eventdate {} is no day since 1970 (YYYY-MM-DD), or its timeframe no milliseconds")


def _with_categories(log, path):
    """The log with the categories of product-categories.csv, if that is beside it."""
    source = path.with_name("product-categories.csv")
    if not source.exists():
        return note_no_categories(log, source)
    notes, wanted, category, changed = [], set(log.items.tolist()), {}, set()
    for item, raw in pairs(source, CATEGORIES, notes):
        if item in wanted and raw:
            changed |= {item} if category.get(item, raw) != raw else set()
            category[item] = raw
    notes += note_several(source.name, len(changed), "the last is kept")
    return build.with_item_categories(log, category, source.name, notes)


def _with_tokens(log, path):
    """The log with the tokens of products.csv as attributes, if that is beside it."""
    source = path.with_name("products.csv")
    if not source.exists():
        return log
    notes, wanted = [], set(log.items.tolist())
    lists = {item: [token for token in tokens.split(",") if token]
             for item, tokens in pairs(source, PRODUCTS, notes) if item in wanted}
    attributes = attributes_of(log, lists)
    nameless = int((np.diff(attributes.ptr)[1:] == 0).sum())
    if nameless:
        notes.append(f"{source.name}: has no tokens for {nameless} of {len(log.items) - 1} items")
    return log._replace(attributes=attributes, notes=(*log.notes, *notes))
