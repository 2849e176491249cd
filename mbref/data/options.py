"""Options that say which log, how it is written, what is held out, and what differs in training.

A test compares the names below with the rooms': nothing is imported for them.
"""
import argparse
from functools import partial

from mbref.errors import InputError

MODELS = ("atrank", "atrank_released", "bilstm", "bpr_mf", "cnn", "dmran", "hiersrec", "hmar",
          "hmar_released", "sasrec")  # of runs
PAPERS = ("atrank", "dmran", "hiersrec", "hmar")  # of reproduce
FORMATS = ("amazon", "csv", "diginetica", "hmar", "jdata", "movielens", "recbole", "rechorus",
           "rees46", "retailrocket", "s3rec", "sasrec", "sessionrec", "taobao",
           "yoochoose")  # of data.readers
TEXTS = ("words", "random", "none")  # of runs
SPLITS = ("leave-one-out", "session-rec", "srgnn")  # of runs
DEVICES = ("cpu", "cuda")  # of device
DTYPES = ("float32", "float64")  # of check.compare
MOST_SECONDS = 10**6  # 2^31 milliseconds are more than poll() takes


def refuse(problem):
    """In place of argparse's own lines of usage and exit: one sentence as for every other fault."""
    raise InputError(f"{problem}; --help shows what can be given.")


def add_task(p):
    """Options that say which log, and what is held out of it."""
    p.add_argument("--data", metavar="PATH", help="interaction log")
    p.add_argument("--format", choices=FORMATS, help="of the log")
    p.add_argument("--target", help="behaviour to predict, as the log names it")
    add_reading(p)
    p.add_argument("--candidates", choices=("all", "unseen"), default="all",
                   help="what a full ranking ranks: all items, or those the user has not met "
                        "(default: all)")
    p.add_argument("--split-by", choices=SPLITS, default=SPLITS[0],
                   help="hold out each user's last target events, or the last week of sessions, "
                        "as either script does")
    p.add_argument("--drop-target-history", action="store_true",
                   help="remove earlier events on a held-out item")
    add_sessions(p)


def add_reading(p):
    """Options that say how a log is written; what is not given is left out, as in add_sessions."""
    add = partial(p.add_argument, default=argparse.SUPPRESS)
    add("--columns", metavar="OURS=THEIRS,...",
        help="of format csv: which column is the user, item, time, behaviour, rating, category or "
             "label, such as user=visitorid,item=itemid,time=timestamp,behaviour=event")
    add("--no-header", action="store_true",
        help="of format csv: columns are given by number, from 1")
    add("--behaviours", metavar="NAME,...", help="behaviours of the log, in the order of a model's")
    add("--sample-users", type=positive, metavar="N",
        help="of a large log: N users, always the same ones")
    add("--test", metavar="FILE",
        help="events to hold out, in a file written as the log is, instead of the log's own last")
    add("--keep-repeats", action="store_true", help="keep events that repeat another exactly")


def add_sessions(p):
    """Options of sessions alone. What is not given is left out: runs.Task knows the defaults."""
    add = partial(p.add_argument, default=argparse.SUPPRESS)
    add("--gap", type=positive, metavar="SECONDS",
        help="cut users into sessions wherever more than this passes")
    add("--days", type=positive, help="of sessions to hold out for the test (default: 7)")
    add("--min-support", type=positive, metavar="CLICKS",
        help="leave out items with fewer clicks in the training sessions (default: 5)")
    add("--text", choices=TEXTS,
        help="vectors of the items of sessions, where the log has texts (default: words)")
    add("--cold", type=fraction, metavar="SHARE",
        help="rid the training sessions of this share of the items, such as 0.15")


def add_settings(p):
    """Options that change a model or its training."""
    p.add_argument("--seed", type=int, help="default 0")
    p.add_argument("--steps", type=positive, help="training steps at most")
    p.add_argument("--validation-cases", type=positive, metavar="N",
                   help="rank N of the validation events, drawn once (default: all; in train "
                        "some of many, by the sizes of log and batch)")
    p.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                   help="any field of the model's Config or of training.Settings, such as "
                        "width=32; may be repeated")


def positive(text, least=1):
    """A whole number of at least `least`, for argparse."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text[:80]} is no whole number of at least {least}")
    return int(text)


natural = partial(positive, least=0)


def seconds(text):
    """A length of time that the system can wait, for argparse."""
    if 0 < float(text) <= MOST_SECONDS:
        return float(text)
    raise argparse.ArgumentTypeError(
        f"{float(text):g} is no number of seconds above 0 and at most {MOST_SECONDS:,}")


def fraction(text):
    """A number of at least 0 and less than 1, for argparse."""
    if 0 <= float(text) < 1:
        return float(text)
    raise argparse.ArgumentTypeError(f"{float(text)} is not at least 0 and less than 1")

