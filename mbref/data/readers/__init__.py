"""Interaction logs from ten public file formats, each one function path -> Log.

    taobao     UserBehavior.csv of Tianchi data set 649: user,item,category,behaviour,seconds
    hmar       the text files of the HMAR release: a header line, then "user item behaviour"
    recbole    RecBole atomic files: x.inter with a typed header and x.item for the categories
    movielens  u.data of MovieLens 100K (GroupLens): user, item, rating, seconds, separated by tabs
    amazon     Amazon reviews as JSON lines, plain or .gz, and meta_x.json for the categories
    s3rec      the S3-Rec release: x.txt with "user item item ..." and x_item2attributes.json
    rechorus   ReChorus: tab-separated user_id, item_id, time and item_meta.csv for the categories
    diginetica train-item-views.csv of CIKM Cup 2016, product-categories.csv and products.csv
    yoochoose  yoochoose-clicks.dat of RecSys Challenge 2015: session,time,item,category
    sessionrec the files of session-rec: tab-separated SessionId, ItemId, Time

A file is read as UTF-8 text; a byte order mark, CRLF line ends and blank lines are accepted.
Anything else that does not fit raises InputError with the file, the line and the mend. One fault is
mended here, because public copies have it: a last line that was cut off (too few fields, no line
break) is dropped and named in Log.notes. Only amazon also skips, and counts, a few broken lines
within the file. In the last three the user of the log is a session. They are in sessions.py, the
three before them in amazon.py, what all share is in lines.py.
"""
from mbref.data.readers.amazon import amazon, rechorus, s3rec
from mbref.data.readers.sessions import diginetica, sessionrec, yoochoose
from mbref.data.readers.shops import hmar, movielens, recbole, taobao
from mbref.errors import InputError

FORMATS = {"taobao": taobao, "hmar": hmar, "recbole": recbole, "movielens": movielens,
           "amazon": amazon, "s3rec": s3rec, "rechorus": rechorus,
           "diginetica": diginetica, "yoochoose": yoochoose, "sessionrec": sessionrec}


def read(path, format, behaviours=None):
    """Read the log at `path`; `format` is a key of FORMATS.

    `behaviours`, a sequence of names, replaces the format's own vocabulary; its order gives the
    index. Only taobao and hmar files carry names; amazon takes those of RATED. Users, items and
    categories are numbered from 1 by raw id, in numeric order if all are integers, else in text
    order: the numbers do not depend on the order of the rows. Returns a Log. Raises InputError, one
    sentence with file, line and mend, for what does not fit the format.
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r} is unknown: choose one of {', '.join(FORMATS)}")
    return FORMATS[format](path, behaviours)
