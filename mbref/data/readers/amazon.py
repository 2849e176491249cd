"""Amazon reviews (McAuley, UCSD) as they are and as the S3-Rec release passes them on.

A review is a positive event, called "review"; so K = 1, as ATRank and S3-Rec have it.
"""
import ast
import json
import re
from itertools import islice
from pathlib import Path

import numpy as np

from mbref.data.readers import build, lines as text
from mbref.data.readers.columns import LONGEST_FIELD, Column, of_texts
from mbref.data.readers.events import MISSING, RATED, rating_to_behaviour
from mbref.data.readers.times import LATEST, iso_time, number
from mbref.errors import InputError, count, require

USER, ITEM, RATING = ("reviewerID", "user_id"), ("parent_asin", "asin"), ("overall", "rating")
META_ENDINGS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")  # of meta_X beside reviews_X.json
DAY = re.compile(r"(\d\d?)\s+(\d\d?),\s*(\d{4})", re.ASCII)  # 09 13, 2009
ARRAY = "is the start of a JSON array: write an object a line, as jq -c '.[]' does"
LONGEST_LITERAL = 1 << 16  # letters of a line in Python's spelling; longer ones take minutes


def amazon(path, reading):
    """Reviews as JSON lines, plain or gzip, spelt as in 2014, 2018 or 2023: "review".

    Read are reviewerID, asin and unixReviewTime, or reviewTime ("09 13, 2009") where that is
    missing; of 2023 user_id, parent_asin and timestamp (milliseconds). behaviours=RATED (in any
    order) asks for the stars, overall or rating, as behaviours by rating_to_behaviour. A review
    equal to an earlier one in user, item and time is dropped. Source:
    https://cseweb.ucsd.edu/~jmcauley/datasets.html (reviews_Books_5.json.gz, Books_5.json.gz).
    """
    names, found = reading.behaviours, text.Findings(path, [], {})
    require(names is None or sorted(names) == sorted(RATED), f"behaviours {names!r} do not fit "
            f"format amazon: leave them out or give {', '.join(RATED)}.")
    parts = _parts(_records(found, _review if names is None else _review_by_stars))
    log = build.log(found, parts, (tuple(names or ("review",)),), reading, 1000, ("item",))
    stem = re.sub(r"^reviews_|(_5)?(\.jsonl?)?(\.gz)?$", "", Path(path).name)
    choices = [Path(path).with_name(f"meta_{stem}{ending}") for ending in META_ENDINGS]
    metadata = next((choice for choice in choices if choice.exists()), choices[0])
    if not metadata.exists():
        return build.note_no_categories(log, metadata)
    found, wanted, good, category = text.Findings(metadata, [], {}), set(log.items.tolist()), 0, {}
    for _, (item, last) in _records(found, _item_category):
        good += 1
        if item in wanted:
            category[item] = last
    if good or found.broken:
        text.report_broken(found, good)
    return build.with_item_categories(log, found, category.items())


def s3rec(path, reading):
    """`user item item ...`, one user a line, in order of time, without times: "review".

    Attributes come from x_item2attributes.json beside x.txt, `{item: [brand, category, finer
    category, ...]}`; an attribute that a list repeats counts once. The category of an item is the
    last of its list, the most specific one. Source: the S3-Rec release (arXiv 2008.07873); items
    are integers there, so anything else is refused with InputError.
    """
    require(reading.behaviours is None,
            "format s3rec has no behaviour names, leave --behaviours out")
    found = text.Findings(path, [], {})
    log = build.log(found, _parts(_sequence_events(found)), (("review",),), reading)
    source = Path(path).with_name(Path(path).stem + "_item2attributes.json")
    if not source.exists():
        return build.note_no_categories(log, source)
    lists = _attribute_lists(source)
    last = ((item, ids[-1]) for item, ids in lists.items() if ids)
    log = build.with_attributes(log, lists)
    return build.with_item_categories(log, text.Findings(source, [], {}), last)


def _parts(events, size=1 << 16):
    """Parts for build.log from events (line, (raw user, raw item, behaviour[, time]))."""
    while batch := list(islice(events, size)):
        lines, fields = zip(*batch, strict=True)
        user, item, behaviour, *time = zip(*fields, strict=True)
        part = {"line": Column(np.array(lines)), "user": of_texts(user), "item": of_texts(item),
                "behaviour": of_texts(behaviour)}
        yield part | ({"time": Column(np.array(time[0]))} if time else {})


# Raw reviews: JSON lines.

def _records(found, convert):
    """Yield (line, convert(record)) of the lines that hold a record {field: value}.

    `convert` raises ValueError with the reason for a record it cannot use. Such lines, and those
    that are no record, are counted as broken.
    """
    for first, data in text.chunks(found.path):
        lines = list(text.lines_of(first, data))
        if first == 1 and lines and (lines[0][1] or "").startswith("["):
            raise text.line_error(found.path, lines[0][0], ARRAY)
        try:  # all at once: 58 MB/s where json.loads a line does 26
            records = json.loads(f"[{','.join(content for _, content, _ in lines)}]")
        except (TypeError, ValueError, RecursionError):
            records = []
        at_once = len(records) == len(lines) and all(type(record) is dict for record in records)
        for at, (line, content, ended) in enumerate(lines):
            try:
                yield line, convert(records[at] if at_once else _record(content))
            except ValueError as reason:
                if ended or (content or "").endswith("}"):
                    text.add_broken(found.broken, str(reason), line)
                else:
                    text.note(found, "dropped, it is incomplete and has no line break (a "
                                     "truncated file)", line)


def _record(content):
    """The record that a line holds; 2014's metadata are Python. Raises ValueError."""
    python = (ast.literal_eval,) if len(content or "") < LONGEST_LITERAL else ()
    for parse in (json.loads, *python):
        try:
            record = parse(content)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(record, dict):
            return record
    mend = "; ratings alone are read by --format csv --no-header --columns "
    mend += "user=1,item=2,rating=3,time=4"
    raise ValueError("it is not a JSON object" + mend * ((content or "").count(",") == 3))


def _review(record):
    """(raw user, raw item, "review", milliseconds) of a review. Raises ValueError."""
    return _raw_id(record, USER), _raw_id(record, ITEM), "review", _milliseconds(record)


def _review_by_stars(record):
    """The same with its stars as the behaviour."""
    stars = next((number(str(record[name])) for name in RATING if name in record), np.nan)
    if not 0 <= stars <= 5:
        raise ValueError(f"it has no {' or '.join(RATING)} in 0..5")
    user, item, _, time = _review(record)
    return user, item, rating_to_behaviour(stars), time


def _raw_id(record, names):
    """The first of these fields that holds text or an integer. Raises ValueError."""
    for name in names:
        value = record.get(name)
        # not True, which is an int, too
        raw = str(value).strip() if type(value) in (str, int) else ""
        # NumPy's text arrays end at a zero
        if raw not in MISSING and "\0" not in raw and len(raw) <= LONGEST_FIELD:
            return raw
    raise ValueError(f"it has no {' or '.join(names)}")


def _milliseconds(record):
    """Milliseconds since 1970 of a review, from its first field with a time. Raises ValueError."""
    value = np.nan
    if record.get("unixReviewTime") is not None:
        value = number(str(record["unixReviewTime"])) * 1000
    elif record.get("timestamp") is not None:
        value = number(str(record["timestamp"]))
    elif found := DAY.fullmatch(str(record.get("reviewTime"))):
        month, day, year = found.groups()
        value = iso_time(f"{year}-{month:0>2}-{day:0>2}") // 1000
    if not 0 <= value < LATEST * 1000:  # false for nan, too
        raise ValueError("it has no valid unixReviewTime, timestamp or reviewTime")
    return int(value)


def _item_category(record):
    """(raw item, raw category or "") of one metadata record. Raises ValueError.

    The category is the last, most specific, name of the last list: ATRank's release takes
    `categories[-1][-1]` (2014). `category` (2018) and `categories` of 2023 are one list of names.
    """
    last = record.get("category") or record.get("categories")
    while isinstance(last, list):
        last = last[-1] if last else ""
    return _raw_id(record, ITEM), last.strip() if isinstance(last, str) else ""


# S3-Rec.

def _sequence_events(found):
    """Yield (line, (raw user, raw item, "review")) of S3-Rec's lines."""
    seen, again = set(), 0
    for first, data in text.chunks(found.path):
        for line, content, ended in text.lines_of(first, data):
            user, *items = (content or "").split(" ")
            if not ended:
                text.note_cut(found, line, 1 + len(items), 2)
            problem = _sequence_problem(content, user, items)
            if problem and ended:
                text.add_broken(found.broken, problem, line)
            if not problem:
                yield from ((line, (user, item, "review")) for item in items)
                again += user in seen
                seen.add(user)
    if again:
        text.note(found, f"joined {count(again, 'line')} to an earlier line of the same user")


def _sequence_problem(content, user, items):
    """What is wrong with a line of a user and items, or None."""
    if content is None:
        return text.NO_TEXT
    if not items:
        return ("1 field where a user and at least one item separated by single spaces are "
                "expected, mend the line or choose another format")
    for item in items:
        if not (item.isdecimal() and len(item) <= LONGEST_FIELD >= len(user)):
            return (f"item {item[:40]!r} is not a whole number, write the items of a user "
                    "separated by single spaces or choose another format")
    return None


def _attribute_lists(path):
    """{raw item: [raw attribute, ...]} from S3-Rec's JSON. Raises InputError for any other shape.
    """
    try:
        with text.opened(path) as file:
            lists = json.loads(file.read())
        if not isinstance(lists, dict):
            raise ValueError("it is no object")
        for item, ids in lists.items():
            if not isinstance(ids, list) or not all(type(id) in (int, str) and id != ""
                                                    for id in ids):
                raise ValueError(f"item {item!r} has no such list")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: is no JSON object of items and their lists of attribute "
                         f"ids ({error}), mend the file or move it away") from None
    return {item: list(map(str, ids)) for item, ids in lists.items()}
