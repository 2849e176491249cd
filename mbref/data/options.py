"""Options that say which log, how it is written, what is held out, and what differs in training.

A test compares the names below with the rooms': nothing is imported for them.
"""
import argparse
from functools import partial

from mbref.errors import MOST, InputError

MODELS = ("atrank", "atrank_released", "bilstm", "bpr_mf", "cnn", "dmran", "hiersrec", "hmar",
          "hmar_released", "sasrec")  # of runs
PAPERS = ("atrank", "dmran", "hiersrec", "hmar")  # of reproduce
FORMATS = ("amazon", "csv", "diginetica", "hmar", "jdata", "movielens", "recbole", "rechorus",
           "rees46", "retailrocket", "s3rec", "sasrec", "sessionrec", "taobao",
           "yoochoose")  # of data.readers
TEXTS = ("words", "random", "none")  # of runs
SPLITS = ("leave-one-out", "session-rec", "srgnn")  # of runs
DEVICES = ("cpu", "cuda")  # of device
DTYPES, REDUCED = ("float32", "float64"), ("bfloat16", "tf32")  # of check.compare
MOST_SECONDS = 10**6  # 2^31 milliseconds are more than poll() takes


def refuse(problem):
    """In place of argparse's own lines of usage and exit: one sentence as for every other fault."""
    raise InputError(f"{problem}; --help shows what can be given.")


def option(*names, **kind):
    """What argparse's add_argument takes.  -> (names, the rest)."""
    return names, kind


def positive(text, least=1, most=MOST):
    """A whole number from `least` to `most`, for argparse."""
    if not text.isdecimal() or int(text) < least or most and int(text) > most:
        at_most = "" if most is None else f" and at most {most:,}"
        raise argparse.ArgumentTypeError(
            f"{text[:80]} is no whole number of at least {least}{at_most}")
    return int(text)


natural = partial(positive, least=0, most=None)


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


flag = partial(option, action="store_true")
count = partial(option, type=positive)
several = partial(option, action="append", default=[])
# what is not given is left out: runs.Task knows the defaults
maybe = partial(option, default=argparse.SUPPRESS)

TASK = (  # which log, and what is held out of it
    option("--data", metavar="PATH", help="interaction log"),
    option("--format", choices=FORMATS, help="of the log"),
    option("--target", help="behaviour to predict, as the log names it"),
    # how the log is written
    maybe("--columns", metavar="OURS=THEIRS,...",
          help="of format csv: which column is the user, item, time, behaviour, rating, category "
               "or label, such as user=visitorid,item=itemid,time=timestamp,behaviour=event"),
    maybe("--no-header", action="store_true",
          help="of format csv: columns are given by number, from 1"),
    maybe("--behaviours", metavar="NAME,...",
          help="behaviours of the log, in the order of a model's"),
    maybe("--sample-users", type=positive, metavar="N",
          help="of a large log: N users, always the same ones"),
    maybe("--test", metavar="FILE", help="events to hold out, in a file written as the log is, "
                                         "instead of the log's own last"),
    maybe("--keep-repeats", action="store_true", help="keep events that repeat another exactly"),
    option("--candidates", choices=("all", "unseen"), default="all",
           help="what a full ranking ranks: all items, or those the user has not met, so that a "
                "held-out item that was met before is a miss (default: all)"),
    option("--split-by", choices=SPLITS, default=SPLITS[0],
           help="hold out each user's last target events, or the last week of sessions, as either "
                "script does"),
    flag("--drop-target-history", help="remove earlier events on a held-out item"),
    # of sessions alone
    maybe("--gap", type=positive, metavar="SECONDS",
          help="cut users into sessions wherever more than this passes"),
    maybe("--days", type=positive, help="of sessions to hold out for the test (default: 7)"),
    maybe("--min-support", type=positive, metavar="CLICKS",
          help="leave out items with fewer clicks in the training sessions (default: 5)"),
    maybe("--text", choices=TEXTS,
          help="vectors of the items of sessions, where the log has texts (default: words)"),
    maybe("--cold", type=fraction, metavar="SHARE",
          help="rid the training sessions of this share of the items, such as 0.15"))
SETTINGS = (  # what changes a model or its training
    option("--seed", type=int, help="default 0"),
    count("--steps", help="training steps at most"),
    count("--validation-cases", metavar="N",
          help="rank N of the validation events, drawn once (default: all; in train some of many, "
               "by the sizes of log and batch)"),
    several("--set", metavar="NAME=VALUE", help="any field of the model's Config or of "
                                                "training.Settings, such as width=32; may be "
                                                "repeated"))
