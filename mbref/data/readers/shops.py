"""Formats of delimited lines, each one Table, and what some have in files beside the log."""
import re
from pathlib import Path

import numpy as np

from mbref.data.readers import build
from mbref.data.readers.columns import list_texts, split_fields
from mbref.data.readers.events import RATED
from mbref.data.readers.lines import Findings, chunks, lines_of, note, report_broken
from mbref.data.readers.table import Table, note_moved_items, read_log, rows

SHOP = ("buy", "cart", "fav", "pv")
USER, ITEM = ("user", "user_id", "uid"), ("item", "item_id", "iid")
TIME = ("time", "timestamp")
CATEGORY_FIELDS = ("class", "genre", "genres", "category", "categories")

TABLES = {  # where the files come from is in readers/__init__.py
    # an event keeps its line's category
    "taobao": Table({"user": USER, "item": ITEM, "category": ("category", "category_id"),
                     "behaviour": ("behaviour", "behavior", "behavior_type", "type"),
                     "time": TIME}, (",",), "none", vocabularies=(SHOP,)),
    # in order of time; of the vocabularies that have all names of a file the first counts
    "hmar": Table({"user": USER, "item": ITEM, "behaviour": ()}, (" ",), "any",
                  vocabularies=(SHOP, RATED, ("pos", "tip", "neutral", "neg"))),
    "recbole": Table({"user": ("user_id", "session_id"), "item": ("item_id", "product_id"),
                      "rating": ("rating",), "time": ("timestamp",)}, typed=True,
                     optional=("rating", "time")),
    "movielens": Table({"user": USER, "item": (*ITEM, "movie_id"), "rating": ("rating",),
                        "time": TIME}, ("\t", "::", ","), "none", clock="any"),
    "rechorus": Table({"user": ("user_id",), "item": ("item_id",), "time": ("time",)}),
    "sasrec": Table({"user": USER, "item": ITEM}, (" ", "\t"), "none"),  # in order of time
    "retailrocket": Table({"user": ("visitorid",), "item": ("itemid",), "behaviour": ("event",),
                           "time": ("timestamp",)}, (",",),
                          vocabularies=(("transaction", "addtocart", "view"),)),
    "rees46": Table({"user": ("user_id",), "item": ("product_id",), "behaviour": ("event_type",),
                     "time": ("event_time",), "category": ("category_id",)}, (",",), clock="any",
                    vocabularies=(("purchase", "cart", "remove_from_cart", "view"),)),
    # types 1 view, 2 into the cart, 3 out of it, 4 purchase, 5 favourite, 6 click
    "jdata": Table({"user": ("user_id",), "item": ("sku_id",), "behaviour": ("type",),
                    "time": ("time", "action_time"), "category": ("cate",)}, (",",), clock="any",
                   optional=("category",),
                   vocabularies=(("4", "2", "3", "5", "1", "6"),)),
    "sessionrec": Table({"user": ("SessionId",), "item": ("ItemId",), "time": ("Time",)}),
    # "0" is no category, "S" a special offer of any
    "yoochoose": Table({"user": ("session", "session_id"), "time": TIME, "item": ITEM,
                        "category": ("category",)}, (",",), "none", clock="ISO",
                       unknown=("0", "S")),
    # nobody knows who the visitor of a session was: a user id is not read
    "diginetica": Table({"user": ("sessionId",), "item": ("itemId",), "timeframe": ("timeframe",),
                         "time": ("eventdate",), "order": ("ordernumber",)}, (";",),
                        optional=("order",), event="view", clock="day"),
}
CATEGORIES = {  # files of items beside the log
    "diginetica": ("product-categories.csv",
                   Table({"item": ("itemId",), "text": ("categoryId",)}, (";",))),
    "rechorus": ("item_meta.csv", Table({"item": ("item_id",), "text": ("i_category",)})),
}
# its tokens are the hashed words of a product's name, with commas between
PRODUCTS = Table({"item": ("itemId",), "text": ("product.name.tokens",)}, (";",))


def read_shop(path, format, reading):
    """The Log of a file in a format of TABLES, with what the files beside it say of its items."""
    log, path = read_log(path, TABLES[format], format, reading), Path(path)
    if format == "recbole" and path.with_suffix(".item").exists():
        return with_item_file(log, path.with_suffix(".item"))
    if format in CATEGORIES:
        name, table = CATEGORIES[format]
        log = with_categories_of(log, path.with_name(name), table)
    if format == "diginetica":
        return with_tokens(log, path.with_name("products.csv"))
    if format == "yoochoose" and log.category is not None:
        return with_last_category(log, path)
    return note_moved_items(log, path) if "category" in TABLES[format].columns else log


def with_item_file(log, source):
    """The log with the categories of a RecBole .item file: its first column in CATEGORY_FIELDS."""
    _, head, _ = next(lines_of(*next(chunks(source), (1, b""))), (1, "", True))
    types = dict(field.split(":")[:2] for field in split_fields(head or "", "\t") if ":" in field)
    field = next((name for name in types if name in CATEGORY_FIELDS), None)
    if field is None and "item_id" in types:
        note = f"{source.name}: not used, it has none of the columns {', '.join(CATEGORY_FIELDS)}"
        return log._replace(notes=(*log.notes, note))
    table = Table({"item": ("item_id", "product_id"), "text": (field or "class",)}, typed=True)
    return with_categories_of(log, source, table, types.get(field, ""))


def with_categories_of(log, source, table, kind=""):
    """The log with the categories in a file of items, of several elements the first whole one."""
    if not source.exists():
        return build.note_no_categories(log, source)
    found = Findings(source, [], {})
    whole = [(item, first_element(value, kind)) for item, value in pairs(found, table)]
    return build.with_item_categories(log, found, whole)


def pairs(found, table):
    """[(item, text), ...] of a file beside the log, whose Table names the columns item and text."""
    every = []
    for part in rows(found, table, "of " + found.path.name):
        every += zip(list_texts(part["item"]), list_texts(part["text"]), strict=True)
    report_broken(found, len(every))
    return every


def first_element(value, kind):
    """The first whole element of a text that lists several: a printed list or set, a|b, words."""
    quoted = re.match(r"""[\[({]?\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""", value)
    if quoted:
        return quoted[1] if quoted[1] is not None else quoted[2]
    return value.split(" " if kind == "token_seq" else "|")[0]


def with_tokens(log, source):
    """The log with the tokens of Diginetica's products.csv as attributes, if that is there."""
    if not source.exists():
        return log
    found, wanted = Findings(source, [], {}), set(log.items.tolist())
    lists = {item: [token for token in tokens.split(",") if token]
             for item, tokens in pairs(found, PRODUCTS) if item in wanted}
    log = build.with_attributes(log, lists)
    if nameless := int((np.diff(log.attributes.ptr)[1:] == 0).sum()):
        note(found, f"has no tokens for {nameless} of {len(log.items) - 1} items")
    return log._replace(notes=(*log.notes, *found.notes))


def with_last_category(log, source):
    """The log with one category an item: that of its latest row that has one."""
    known = np.flatnonzero(log.category)
    known = known[np.argsort(log.time[known], kind="stable")]
    of_item = np.zeros(len(log.items), np.int64)
    of_item[log.item[known]] = log.category[known]  # of several for one item the last stays
    several = np.unique(log.item[known][log.category[known] != of_item[log.item[known]]])
    found = Findings(source, [], {})
    build.note_several(found, len(several), "the last is kept")
    pairs = zip(log.items.tolist(), log.categories[of_item].tolist(), strict=True)
    return build.with_item_categories(log, found, pairs)
