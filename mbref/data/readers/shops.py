"""Formats of delimited lines, each one Table, and what some have in files beside the log."""
from pathlib import Path

import numpy as np

from mbref.data.readers import build
from mbref.data.readers.columns import split_fields
from mbref.data.readers.events import RATED
from mbref.data.readers.lines import lines, name_of
from mbref.data.readers.table import Table, first_element, pairs, read_log

SHOP = ("buy", "cart", "fav", "pv")
RATED_AND_TIPS = ("pos", "tip", "neutral", "neg")
# RATED first: its names are all in RATED_AND_TIPS too
HMAR_VOCABULARIES = (SHOP, RATED, RATED_AND_TIPS)
USER, ITEM = ("user", "user_id", "uid"), ("item", "item_id", "iid")
TIME = ("time", "timestamp")
CATEGORY_FIELDS = ("class", "genre", "genres", "category", "categories")

TABLES = {
    # Tianchi data set 649, "User Behavior Data from Taobao"; an event keeps its line's category
    "taobao": Table({"user": USER, "item": ITEM, "category": ("category", "category_id"),
                     "behaviour": ("behaviour", "behavior", "behavior_type", "type"),
                     "time": TIME}, (",",), "none", vocabularies=(SHOP,)),
    # the HMAR release (arXiv 2405.09638): in order of time, without times
    "hmar": Table({"user": USER, "item": ITEM, "behaviour": ()}, (" ",), "any",
                  vocabularies=HMAR_VOCABULARIES),
    # RecBole's atomic files; categories are in x.item beside x.inter
    "recbole": Table({"user": ("user_id", "session_id"), "item": ("item_id", "product_id"),
                      "rating": ("rating",), "time": ("timestamp",)}, typed=True,
                     optional=("rating", "time")),
    # GroupLens: u.data of 100K, ratings.dat of 1M and 10M, ratings.csv of the later ones
    "movielens": Table({"user": USER, "item": (*ITEM, "movie_id"), "rating": ("rating",),
                        "time": TIME}, ("\t", "::", ","), "none"),
    # ReChorus (github THUwangcy/ReChorus); categories are in item_meta.csv beside it
    "rechorus": Table({"user": ("user_id",), "item": ("item_id",), "time": ("time",)}),
    # the "user item" lines of SASRec (github kang205/SASRec), in order of time
    "sasrec": Table({"user": USER, "item": ITEM}, (" ", "\t"), "none"),
    # RetailRocket's events.csv
    "retailrocket": Table({"user": ("visitorid",), "item": ("itemid",), "behaviour": ("event",),
                           "time": ("timestamp",)}, (",",),
                          vocabularies=(("transaction", "addtocart", "view"),)),
    # REES46's eCommerce behaviour data, a file a month
    "rees46": Table({"user": ("user_id",), "item": ("product_id",), "behaviour": ("event_type",),
                     "time": ("event_time",), "category": ("category_id",)}, (",",), clock="any",
                    vocabularies=(("purchase", "cart", "remove_from_cart", "view"),)),
    # JDATA 2016: types 1 view, 2 into the cart, 3 out of it, 4 purchase, 5 favourite, 6 click
    "jdata": Table({"user": ("user_id",), "item": ("sku_id",), "behaviour": ("type",),
                    "time": ("time",), "category": ("cate",)}, (",",), clock="any",
                   vocabularies=(("4", "2", "3", "5", "1", "6"),)),
    # session-rec (github rn5l/session-rec), what its preprocessing writes
    "sessionrec": Table({"user": ("SessionId",), "item": ("ItemId",), "time": ("Time",)}),
    # RecSys Challenge 2015: "0" is no category, "S" a special offer of any
    "yoochoose": Table({"user": ("session", "session_id"), "time": TIME, "item": ITEM,
                        "category": ("category",)}, (",",), "none", clock="ISO",
                       unknown=("0", "S")),
}


def read_shop(path, format, reading):
    """The Log of a file in a format of TABLES, with the categories of the file beside it."""
    log = read_log(path, TABLES[format], format, reading)
    if format == "recbole":
        return with_item_file(log, Path(path).with_suffix(".item"))
    if format == "rechorus":
        return with_item_meta(log, Path(path).with_name("item_meta.csv"))
    if format == "yoochoose" and log.category is not None:
        return with_last_category(log, name_of(path))
    return log if log.category is None else log._replace(notes=log.notes + moved_items(path, log))


def note_no_categories(log, source):
    """The log with a note that the file `source` would hold the categories."""
    note = f"{source.name}: there is no such file beside the log, so items have no categories"
    return log._replace(notes=(*log.notes, note))


def with_item_file(log, source):
    """The log with the categories of a RecBole .item file: of its first column in CATEGORY_FIELDS.

    Of several the first whole one counts: of a token_seq the first word, of a printed list its
    first element.
    """
    if not source.exists():
        return log
    notes, (_, head, _) = [], next(lines(source), (0, "", True))
    types = dict(field.split(":")[:2] for field in split_fields(head or "", "\t") if ":" in field)
    field = next((name for name in types if name in CATEGORY_FIELDS), None)
    if field is None and "item_id" in types:
        note = f"{source.name}: not used, it has none of the columns {', '.join(CATEGORY_FIELDS)}"
        return log._replace(notes=(*log.notes, note))
    table = Table({"item": ("item_id", "product_id"), "text": (field or "class",)}, typed=True)
    category = {item: first_element(value, types.get(field, ""))
                for item, value in pairs(source, table, notes)}
    return build.with_item_categories(log, category, source.name, notes)


def with_item_meta(log, source):
    """The log with the categories of ReChorus's item_meta.csv, in its column i_category."""
    if not source.exists():
        return note_no_categories(log, source)
    notes, table = [], Table({"item": ("item_id",), "text": ("i_category",)})
    category = {item: first_element(value) for item, value in pairs(source, table, notes)}
    return build.with_item_categories(log, category, source.name, notes)


def with_last_category(log, source):
    """The log with one category an item: that of its latest row that has one."""
    known = np.flatnonzero(log.category)
    known = known[np.argsort(log.time[known], kind="stable")]
    of_item = np.zeros(len(log.items), np.int64)
    # of several assignments to one place the last stays
    of_item[log.item[known]] = log.category[known]
    several = np.unique(log.item[known][log.category[known] != of_item[log.item[known]]])
    category = dict(zip(log.items.tolist(), log.categories[of_item].tolist(), strict=True))
    notes = note_several(source, len(several), "the last is kept")
    return build.with_item_categories(log, category, source, notes)


def moved_items(path, log):
    """() or the note on items that occur under several categories."""
    of_item = np.zeros(len(log.items), np.int32)
    of_item[log.item] = log.category  # one of its categories
    moved = np.unique(log.item[of_item[log.item] != log.category])
    first = f" (the first is item {log.items[moved[0]]})" if len(moved) else ""
    return note_several(name_of(path), len(moved), "each event keeps its own", first)


def note_several(source, count, what, first=""):
    """() or the note on `count` items with more than one category."""
    have = "item has" if count == 1 else "items have"
    return (f"{source}: {count} {have} more than one category{first}, {what}",) if count else ()
