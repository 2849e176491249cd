"""Interaction logs from public file formats, and from any table, each one path -> Log.

    csv        any table with named columns: `columns` says which, see read_table
    taobao     UserBehavior.csv of Tianchi data set 649: user,item,category,behaviour,seconds
    hmar       the HMAR release (arXiv 2405.09638): a header line, then "user item behaviour"
    recbole    RecBole atomic files: x.inter with a typed header and x.item for the categories
    movielens  u.data, ratings.dat or ratings.csv of MovieLens: user, item, rating, seconds
    amazon     Amazon reviews as JSON lines, and meta_x.json for the categories
    s3rec      the S3-Rec release: x.txt with "user item item ..." and x_item2attributes.json
    sasrec     the "user item" lines of SASRec (github kang205/SASRec)
    rechorus   ReChorus (github THUwangcy/ReChorus): tab-separated user_id, item_id, time, and
               item_meta.csv for the categories
    diginetica train-item-views.csv or train-purchases.csv of CIKM Cup 2016, a session for a user,
               at milliseconds of a day; product-categories.csv for the categories, products.csv for
               the attributes
    yoochoose  yoochoose-clicks.dat of RecSys Challenge 2015: session,time,item,category
    sessionrec the files of session-rec (github rn5l/session-rec): tab-separated SessionId, ItemId,
               Time
    retailrocket, rees46, jdata   the events of these shops, comma-separated with header

A file is UTF-8 text, plain or gzip; a byte order mark, CRLF line ends and blank lines are accepted,
fields may be in quotes. A row that does not fit is skipped, and Log.notes counts such rows by what
is wrong with them, unless they are more than one and more than one in a thousand: then InputError
names the most common faults and their first lines. A row whose `label` is 0 is no event. An exact
repeat of an event with a time is dropped. An id written NaN, NULL or None is missing. To
add a format see table.py.
"""
import os
from numbers import Integral

from mbref.data.readers.amazon import amazon, s3rec
from mbref.data.readers.build import Reading
from mbref.data.readers.lines import digest_of
from mbref.data.readers.shops import TABLES, read_shop
from mbref.data.readers.table import read_csv
from mbref.errors import require, split_names

__all__ = ["FORMATS", "OF_READING", "digest_of", "read", "read_table", "read_task"]
OF_READING = ("columns", "no_header", "behaviours", "sample_users", "keep_repeats", "test")
OTHERS = {"csv": read_csv, "amazon": amazon, "s3rec": s3rec}
FORMATS = (*OTHERS, *TABLES)


def read(path, format, behaviours=None, **choices):
    """The Log at `path`; `format` is one of FORMATS.

    `behaviours`, a sequence of names, replaces the format's own vocabulary; its order gives the
    index. `choices` are further fields of build.Reading. Users, items and categories are numbered
    from 1 by raw id, in numeric order if all are integers, else in text order: the numbers do not
    depend on the order of the rows. Raises InputError, one sentence with file, line and mend, for
    what does not fit the format.
    """
    require(isinstance(path, (str, os.PathLike)), f"path is {path!r}: give that of a file")
    require(format in [*FORMATS],
            f"format {format!r} is unknown: choose one of {', '.join(FORMATS)}")
    reading = Reading(behaviours, **choices)
    require(isinstance(reading.sample_users, Integral) and reading.sample_users >= 0,
            f"sample_users is {reading.sample_users!r}: give how many, 0 for all")
    for name in ("header", "keep_repeats"):
        value = getattr(reading, name)
        require(isinstance(value, bool), f"{name} is {value!r}: give True or False")
    if format in TABLES:
        return read_shop(path, format, reading)
    return OTHERS[format](path, reading)


def read_task(task, path):
    """The log in a file written as that of a runs.Task, which has columns and behaviours as text.
    """
    require(task.format == "csv" or not (task.columns or task.no_header),
            f"--columns and --no-header are for --format csv: {task.format} knows its columns.")
    pairs = [[*map(str.strip, pair.partition("=")[::2])]
             for pair in split_names(task.columns, "--columns")]
    require(all(theirs for _, theirs in pairs), f"--columns {task.columns}: write OURS=THEIRS, as "
                                                "user=visitorid, with commas between.")
    columns = dict(pairs)
    require(len(columns) == len(pairs), f"--columns {task.columns} names one of ours twice.")
    behaviours = tuple(split_names(task.behaviours, "--behaviours")) or None
    return read(path, task.format, behaviours, columns=columns, header=not task.no_header,
                sample_users=task.sample_users, keep_repeats=task.keep_repeats)


def read_table(path, columns, behaviours=None, **choices):
    """The Log of any table: columns {"user": "visitorid", "item": "itemid", "time": "timestamp"}.

    Ours are user, item, time, behaviour, rating, category and label; without a header
    (header=False) a column is given by its number from 1. behaviours: their names in the order that
    is wanted.
    """
    return read(path, "csv", behaviours, columns=columns, **choices)
