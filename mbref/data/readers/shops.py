"""Readers of shops and of ratings: Taobao, HMAR's release, RecBole, MovieLens 100K."""

from pathlib import Path

import numpy as np

from mbref.data.log import Log as Log
from mbref.data.readers import build, lines as text
from mbref.data.readers.lines import RATED, rating_to_behaviour

SHOP = ("buy", "cart", "fav", "pv")
RATED_AND_TIPS = ("pos", "tip", "neutral", "neg")
# RATED first: its names are all in RATED_AND_TIPS too
HMAR_VOCABULARIES = (SHOP, RATED, RATED_AND_TIPS)

RECBOLE_FIELDS = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}
CATEGORY_FIELDS = ("class", "genre", "genres", "category", "categories")


def taobao(path, behaviours=None):
    """CSV without header: user,item,category,behaviour,unix seconds. Vocabulary SHOP.

    Source: Tianchi data set 649, "User Behavior Data from Taobao". An event keeps its own line's
    category.
    """
    notes = []
    rows = text.refuse_header(path, "taobao",
                           text.rows(path, text.lines(path), *text.layout("taobao"), notes))
    events = ((line, user, item, behaviour, text.seconds(path, line, time), category)
              for line, (user, item, category, behaviour, time) in rows)
    log = build.log(path, events, text.vocabularies(behaviours, (SHOP,)), notes)
    return log._replace(notes=log.notes + _note_moved_items(path, log))


def hmar(path, behaviours=None):
    """A header line, then `user item behaviour`, in order of time, without times.

    Source: the HMAR release (arXiv 2405.09638). Without `behaviours`, the vocabulary is the first
    of HMAR_VOCABULARIES that contains every name in the file.
    """
    notes, lines = [], text.lines(path)
    vocabularies = text.vocabularies(behaviours, HMAR_VOCABULARIES)
    line, header, _ = next(lines, (0, "", True))
    if header.split(" ")[-1] in {name for names in vocabularies for name in names}:
        notes.append(f"{text.name_of(path)} line {line}: skipped as the header, but it looks like "
                     "an event")
    rows = text.rows(path, lines, *text.layout("hmar"), notes)
    events = ((line, user, item, behaviour, 0, "") for line, (user, item, behaviour) in rows)
    return build.log(path, events, vocabularies, notes)._replace(time=None)


def recbole(path, behaviours=None):
    """RecBole's tab-separated `.inter`, whose header types its columns (`user_id:token`).

    Reads user_id, item_id and, where present, rating (see rating_to_behaviour) and timestamp
    (without fractions of a second); other columns are ignored. Without ratings every event is a
    "click", so K = 1. Categories come from the `.item` file of the same stem, if there is one: the
    first word of its first column named in CATEGORY_FIELDS, so of several genres the first. Items
    that are not in it have category 0.
    """
    text.refuse_names("recbole", behaviours)
    notes, lines = [], text.lines(path)
    width, header = _read_header(path, lines, needed=("user_id", "item_id"))
    columns = {ours: header[theirs] for ours, theirs in RECBOLE_FIELDS.items() if theirs in header}
    items = Path(path).with_suffix(".item")
    category = _item_categories(items, notes)
    events = (_rating_event(path, line, dict(zip(columns, values, strict=True)))
              for line, values in text.rows(path, lines, "\t", width, columns, notes))
    log = build.log(path, events, (RATED if "rating" in columns else ("click",),), notes)
    if category is not None:
        log = build.with_item_categories(log, category, items.name)
    return log if "time" in columns else log._replace(time=None)


def movielens(path, behaviours=None):
    """MovieLens 100K `u.data`: user, item, rating, unix seconds, tab-separated, no header.

    Ratings become behaviours by rating_to_behaviour.
    """
    text.refuse_names("movielens", behaviours)
    notes, (separator, width, columns) = [], text.layout("movielens")
    rows = text.rows(path, text.lines(path), separator, width, columns, notes)
    events = (_rating_event(path, line, dict(zip(columns, values, strict=True)))
              for line, values in text.refuse_header(path, "movielens", rows))
    return build.log(path, events, (RATED,), notes)


def _read_header(path, lines, needed):
    """(number of columns, {column name: position}) from RecBole's header of `name:type` fields."""
    line, fields = text.header(path, lines)
    if not all(":" in field for field in fields):
        raise text.line_error(path, line, "is not a RecBole header (user_id:token, item_id:token, "
                                          "... with tabs "
                                          "between), add one or choose another format")
    names = [field.split(":")[0].strip() for field in fields]
    return len(fields), text.positions(path, line, names, needed)


def _rating_event(path, line, row):
    """One event for text.log from {field: text}; rating and time may be absent."""
    behaviour = rating_to_behaviour(text.stars(path, line,
                                               row["rating"])) if "rating" in row else "click"
    seconds = text.seconds(path, line, row["time"]) if "time" in row else 0
    return line, row["user"], row["item"], behaviour, seconds, ""


def _item_categories(path, notes):
    """{raw item: first word of its category} of a RecBole `.item` file, or None."""
    if not path.exists():
        return None
    lines = text.lines(path)
    width, header = _read_header(path, lines, needed=("item_id",))
    field = next((name for name in header if name in CATEGORY_FIELDS), None)
    if field is None:
        notes.append(f"{path.name}: not used, it has none of the columns "
                     f"{', '.join(CATEGORY_FIELDS)}")
        return None
    columns = {"item": header["item_id"], "category": header[field]}
    rows = text.rows(path, lines, "\t", width, columns, notes, may_be_empty=("category",))
    return {item: category.split(" ")[0] for _, (item, category) in rows}


def _note_moved_items(path, log):
    """() or the note on items that occur under several categories."""
    pairs = np.unique(np.stack([log.item, log.category]), axis=1)  # [2, different pairs]
    moved = np.flatnonzero(np.bincount(pairs[0]) > 1)
    if not len(moved):
        return ()
    have = "item has" if len(moved) == 1 else "items have"
    return (f"{text.name_of(path)}: {len(moved)} {have} more than one category (the first is item "
            f"{log.items[moved[0]]}), each event keeps its own",)
