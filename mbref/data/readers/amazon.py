"""Three public forms of the Amazon reviews (McAuley, UCSD), each one function `path -> Log`.

The raw reviews, and the two cleaned forms in which papers pass them on. A review is a positive
event, called "review" or, in ReChorus, "click"; so K = 1, as ATRank, S3-Rec and ReChorus have it.
"""

import ast
import json
import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from mbref.data.log import Attributes
from mbref.data.readers import build, lines as text
from mbref.data.readers.lines import RATED, rating_to_behaviour
from mbref.errors import InputError, require

USER, ITEM, RATING = ("reviewerID", "user_id"), ("parent_asin", "asin"), ("overall", "rating")
META_ENDINGS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
# a file with more broken lines than both is not the right file
BROKEN_LINES, BROKEN_SHARE = 10, 0.05
REVIEW_MEND = "give the JSON lines of the reviews or choose another format"
META_MEND = "download this metadata file again or move it away"


def amazon(path, behaviours=None):
    """Reviews as JSON lines, plain or gzip, spelt as in 2014, 2018 or 2023: "review".

    Read are reviewerID, asin and unixReviewTime, or reviewTime ("09 13, 2009") where that is
    missing; of 2023 user_id, parent_asin and timestamp (milliseconds). behaviours=RATED (in any
    order) asks for the stars, overall or rating, as behaviours by rating_to_behaviour. Categories:
    see _item_category.

    Broken lines are skipped and a note says how many. A review equal to an earlier one in user,
    item and time is dropped. Raises InputError if more lines are broken than BROKEN_LINES and
    BROKEN_SHARE of all, or no line is good, or the gzip file is cut. Source:
    https://cseweb.ucsd.edu/~jmcauley/datasets.html (files reviews_Books_5.json.gz,
    Books_5.json.gz).
    """
    notes, names = [], ("review",) if behaviours is None else tuple(behaviours)
    require(behaviours is None or sorted(names) == sorted(RATED),
            f"behaviours {behaviours!r} do not fit format amazon: leave them out or give "
            f"{', '.join(RATED)}.")
    reviews = _records(path, lambda record: _review(record, behaviours is not None), REVIEW_MEND,
                       notes)
    events = ((line, *review, "") for line, review in reviews)
    log = _drop_repeats(path, build.log(path, events, (names,), notes, note_unsorted=True))
    metadata = _metadata(Path(path))
    if not metadata.exists():
        return _note_no_categories(log, metadata)
    wanted, notes = set(log.items.tolist()), []
    records = _records(metadata, _item_category, META_MEND, notes)
    category = {item: last for _, (item, last) in records if item in wanted}
    return build.with_item_categories(log._replace(notes=(*log.notes, *notes)), category,
                                     metadata.name)


def s3rec(path, behaviours=None):
    """`user item item ...`, one user a line, in order of time, without times: "review".

    Attributes come from x_item2attributes.json beside x.txt, `{item: [brand, category, finer
    category, ...]}`; an attribute that a list repeats counts once. The category of an item is the
    last of its list, the most specific one. Source: the S3-Rec release (arXiv 2008.07873); items
    are integers there, so anything else is refused with InputError.
    """
    text.refuse_names("s3rec", behaviours)
    notes = []
    log = build.log(path, _sequence_events(path, notes), (("review",),), notes)._replace(time=None)
    source = Path(path).with_name(Path(path).stem + "_item2attributes.json")
    if not source.exists():
        return _note_no_categories(log, source)
    lists = _attribute_lists(source)
    last = {item: ids[-1] for item, ids in lists.items() if ids}
    log = log._replace(attributes=_attributes(log, lists))
    return build.with_item_categories(log, last, source.name)


def rechorus(path, behaviours=None):
    """Tab-separated lines with the header user_id, item_id, time (unix seconds). Behaviour "click".

    Other columns are ignored. Categories come from the column i_category of item_meta.csv beside
    it, which is tab-separated too. Source: ReChorus (github THUwangcy/ReChorus),
    data/Grocery_and_Gourmet_Food.
    """
    text.refuse_names("rechorus", behaviours)
    notes, lines = [], text.lines(path)
    width, columns = _columns(path, lines, ("user_id", "item_id", "time"))
    events = ((line, user, item, "click", text.seconds(path, line, time), "")
              for line, (user, item, time) in text.rows(path, lines, "\t", width, columns, notes))
    log = build.log(path, events, (("click",),), notes)
    source = Path(path).with_name("item_meta.csv")
    if not source.exists():
        return _note_no_categories(log, source)
    notes, lines = [], text.lines(source)
    width, columns = _columns(source, lines, ("item_id", "i_category"))
    rows = text.rows(source, lines, "\t", width, columns, notes, may_be_empty=("i_category",))
    category = {item: category for _, (item, category) in rows}
    return build.with_item_categories(log._replace(notes=(*log.notes, *notes)), category,
                                     source.name)


def _note_no_categories(log, source):
    """The log with a note that the file `source` would hold the categories."""
    note = f"{source.name}: there is no such file beside the log, so items have no categories"
    return log._replace(notes=(*log.notes, note))


# Raw reviews: JSON lines.

def _records(path, convert, mend, notes):
    """Yield (line, convert(record)) of the lines that hold a record {field: value}.

    `convert` raises ValueError with the reason for a record it cannot use. Such lines, and those
    that are no record, are skipped; `notes` says how many. Raises InputError, ending in `mend`, if
    they are too many.
    """
    good, broken, first = 0, 0, ""
    for line, raw in text.raw_lines(path, unpack=True):
        if not raw.strip():
            continue
        try:
            values = convert(_record(raw))
        except ValueError as reason:
            if not raw.endswith((b"\n", b"}")):
                notes.append(f"{text.name_of(path)} line {line}: dropped, it is incomplete and has "
                             "no line break (a truncated file)")
                continue
            broken, first = broken + 1, first or f"the first is line {line}: {reason}"
        else:
            good += 1
            yield line, values
    if broken and (not good or broken > max(BROKEN_LINES, BROKEN_SHARE * (good + broken))):
        raise InputError(f"{text.name_of(path)}: {broken} of {good + broken} lines are broken "
                         f"({first}), {mend}")
    if broken:
        notes.append(f"{text.name_of(path)}: skipped {broken} of {good + broken} lines as broken "
                     f"({first})")


def _record(raw):
    """Bytes of a line -> its record; 2014's metadata are Python. Raises ValueError."""
    for parsed in (json.loads, ast.literal_eval):
        try:
            record = parsed(raw.decode("utf-8-sig").strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(record, dict):
            return record
    raise ValueError("it is not a JSON object")


def _review(record, by_stars):
    """(raw user, raw item, behaviour, seconds) of a review. Raises ValueError."""
    behaviour = rating_to_behaviour(_stars(record)) if by_stars else "review"
    return _raw_id(record, USER), _raw_id(record, ITEM), behaviour, _review_seconds(record)


def _raw_id(record, names):
    """The first of these fields that holds text or an integer. Raises ValueError."""
    for name in names:
        value = record.get(name)
        # not True, which is an int, too
        raw = str(value).strip() if type(value) in (str, int) else ""
        if raw and "\0" not in raw:  # NumPy's text arrays end at a zero
            return raw
    raise ValueError(f"it has no {' or '.join(names)}")


def _stars(record):
    """Rating in 0..5 of a review. Raises ValueError."""
    value = next((text.number(str(record[name])) for name in RATING if name in record),
                 float("nan"))
    if not 0 <= value <= 5:
        raise ValueError(f"it has no {' or '.join(RATING)} in 0..5")
    return value


def _review_seconds(record):
    """Whole seconds since 1970 of a review, from its first field that has them. Raises ValueError.
    """
    if record.get("unixReviewTime") is not None:
        value = text.number(str(record["unixReviewTime"]))
    elif record.get("timestamp") is not None:
        value = text.number(str(record["timestamp"])) / 1000
    else:
        value = _day_seconds(str(record.get("reviewTime")))
    if not 0 <= value < text.LATEST:  # false for nan, too
        raise ValueError("it has no valid unixReviewTime, timestamp or reviewTime")
    return int(value)


def _day_seconds(day):
    """Seconds at the start of a day "09 13, 2009" in UTC; nan if it is none."""
    try:
        return datetime.strptime(day, "%m %d, %Y").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return float("nan")


def _drop_repeats(path, log):
    """The log without reviews that repeat user, item and time; a note counts them."""
    # stable: the earlier of two equal reviews comes first
    order = np.lexsort((log.item, log.time, log.user))
    keys = np.stack([log.user, log.time, log.item])[:, order]
    repeats = order[1:][(keys[:, 1:] == keys[:, :-1]).all(axis=0)]
    if not len(repeats):
        return log
    columns = (build.freeze(np.delete(column, repeats)) for column in log[:4])
    note = (f"{text.name_of(path)}: dropped {len(repeats)} of {len(log.user)} reviews, each "
            "repeats "
            "another one in user, item and time")
    return log._replace(**dict(zip(log._fields, columns, strict=False)), notes=(*log.notes, note))


def _metadata(path):
    """Path of meta_X beside X.json, X_5.json or reviews_X.json; it may not exist."""
    stem = re.sub(r"^reviews_|(_5)?(\.jsonl?)?(\.gz)?$", "", path.name)
    choices = [path.with_name(f"meta_{stem}{ending}") for ending in META_ENDINGS]
    return next((choice for choice in choices if choice.exists()), choices[0])


def _item_category(record):
    """(raw item, raw category or "") of one metadata record. Raises ValueError.

    The category is the last, most specific, name of the last list: ATRank's release takes
    `categories[-1][-1]` (2014). `category` (2018) and `categories` of 2023 are one list of names.
    """
    last = record.get("category") or record.get("categories")
    while isinstance(last, list):
        last = last[-1] if last else ""
    return _raw_id(record, ITEM), last.strip() if isinstance(last, str) else ""


# S3-Rec and ReChorus.

def _sequence_events(path, notes):
    """Yield events of S3-Rec's lines. Raises InputError for what is no integer."""
    seen, again = set(), 0
    for line, content, ended in text.lines(path):
        user, *items = content.split(" ")
        if not ended:
            notes.append(text.cut_line(path, line, 1 + len(items), 2))
        elif not items:
            raise text.line_error(path, line,
                                  "1 field where a user and at least one item separated "
                                              "by single spaces are expected, mend the line or "
                                              "choose another format")
        for item in items:
            if not item.isdecimal():
                raise text.line_error(path, line, f"item {item!r} is not a whole number, write the "
                                                  "items of a user "
                                                  "separated by single spaces or choose another "
                                                  "format")
            yield line, user, item, "review", 0, ""
        again += user in seen
        seen.add(user)
    if again:
        notes.append(f"{text.name_of(path)}: joined {again} lines to an earlier line of the same "
                     "user")


def _attribute_lists(path):
    """{raw item: [raw attribute, ...]} from S3-Rec's JSON. Raises InputError for any other shape.
    """
    content = "".join(text.decode(path, line, raw) for line, raw in text.raw_lines(path))
    try:
        lists = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: is not JSON ({error}), "
                         "mend the file or move it away") from None
    if not isinstance(lists, dict):
        raise InputError(f"{path.name}: is not a JSON object of item and attributes, mend it or "
                         "move it away")
    for item, ids in lists.items():
        if not isinstance(ids, list) or not all(isinstance(id, (int, str)) and str(id)
                                                for id in ids):
            raise InputError(f"{path.name}: item {item!r} has no list of attribute ids, mend it or "
                             "move the file away")
    return {item: [str(id) for id in ids] for item, ids in lists.items()}


def _attributes(log, lists):
    """Attributes of the log's items from {raw item: [raw attribute, ...]}."""
    # each one once
    of_item = [[], *(dict.fromkeys(lists.get(raw, ())) for raw in log.items[1:].tolist())]
    codes = {"": 0}
    column = [codes.setdefault(raw, len(codes)) for raws in of_item for raw in raws]
    names, value = build.number_codes(codes, column)
    ptr = np.cumsum([0, *map(len, of_item)], dtype=np.int64)
    return Attributes(build.freeze(ptr), build.freeze(value), names)


def _columns(path, lines, needed):
    """(number of columns, {column name: position} of the needed ones) from a header without types.
    """
    line, names = text.header(path, lines)
    header = text.positions(path, line, names, needed)
    return len(names), {name: header[name] for name in needed}
