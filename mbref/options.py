"""What can be given to each command, known without importing anything that a command needs.

So `--help` and a mistyped option answer at once. A test compares the names below with the rooms'.
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
BENCHES = {  # of `bench`: what it calls and what it measures
    "candidates": ("mbref.bench.candidates.run", "HierSRec's candidates: time, memory, four ways"),
    "read": ("mbref.bench.reading.run", "reading a log: time and memory, beside pandas"),
    "device": ("mbref.bench.device.run", "training steps on a GPU, against CPU and PyTorch"),
    "step": ("mbref.bench.step.run", "training steps on the CPU, against PyTorch")}
SIDES, FORMS = ("paper", "released"), ("paper", "variant", "release", "all")
ONLY = "a family (hmar), a component (hmar.code) or a case"
CHECK = "Exit code 0: all pass, or fail as --xfail says; 1: some fail; 2: nothing could be run."
CHECK_FLAGS = {"--forward-only": "ask for no gradients and no training steps",
               "--strict": "fail if what --xfail names passes, or is no case"}
CHECK_FILES = {"--xfail": "cases, components or families that are known to fail, one a line",
               "--json": "write the report here, too", "--junit": "as JUnit XML",
               "--results": "arrays that another program wrote, see export"}
PARITY = """Compute anew what recorded states of the authors' releases hold, compare array by array.
Error: the largest difference relative to the largest absolute value of the array, or to a
thousandth of its group's. Arrays that are left out are listed with the reason and not counted.
Exit code 0: all agree; 1: some do not; 2: a file is no such state, then nothing is printed about
the others either."""


def parser():
    """The commands and their options; `run` names the function of a command, module first."""
    top = argparse.ArgumentParser(
        prog="python -m mbref", description="Multi-behaviour recommender papers, to run.")
    top.set_defaults(run=None)
    commands = top.add_subparsers(metavar="command")
    for add in (add_runs, add_reproduce, add_worlds, add_bench, add_parity, add_cases, add_check,
                add_export):
        add(commands)
    for p in (top, *commands.choices.values()):
        p.error = refuse
    return top


def add_runs(commands):
    """The commands on a run folder."""
    p = commands.add_parser("train", help="train a model on a log into a run folder")
    p.add_argument("model", nargs="?", choices=MODELS, default="hmar")
    p.add_argument("--out", help="folder of the new run")
    p.add_argument("--resume", metavar="RUN", help="go on with this run; needs no other option")
    add_device(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.commands.train", default_of=p.get_default)

    p = commands.add_parser(
        "evaluate", help="table of a run beside the plain baselines, on the test events")
    p.add_argument("folder", metavar="RUN")
    p.add_argument("--cases", type=positive, metavar="N",
                   help="for a large log: N of the test events, drawn once, the same for all rows "
                        "(default: all)")
    add_device(p)
    p.set_defaults(run="mbref.tables.commands.evaluate")

    add_recommend(commands)


def add_recommend(commands):
    """The command that names the best items."""
    p = commands.add_parser("recommend", help="the best items for a user, and why")
    p.add_argument("folder", metavar="RUN")
    who = p.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="user id as it stands in the log")
    who.add_argument("--items", metavar="ID,...",
                     help="for someone who is not in the log: what they met, oldest first")
    who.add_argument("--all-users", metavar="FILE",
                     help="write the best items of every user: lines user,rank,item,score")
    p.add_argument("--behaviours", metavar="NAME,...",
                   help="of --items, one an item (default: the target behaviour)")
    p.add_argument("--data", metavar="NEWER",
                   help="events after those of the run, written as its log is")
    p.add_argument("-k", type=positive, default=10)
    add_device(p)
    p.set_defaults(run="mbref.tables.commands.recommend")


def add_worlds(commands):
    """The command that writes the synthetic logs with a known best answer."""
    p = commands.add_parser("worlds", help="logs with a known best answer: list them, make them")
    p.add_argument("--make", nargs="?", const="", metavar="DIR", help="default: ./tiny_data/worlds")
    p.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    p.add_argument("--signal", help="what decides the next item (default: each world's first)")
    p.add_argument("--users", type=positive, help="(default: as in tiny_data)")
    p.set_defaults(run="mbref.worlds.commands.run_worlds")


def add_bench(commands):
    """The commands that measure what a cheaper way saves."""
    p = commands.add_parser("bench", help="what a cheaper way saves")
    what = p.add_subparsers(required=True, metavar="what")
    sizes = (add_sizes_of_candidates, add_sizes_of_logs, add_sizes_of_models, add_steps)
    for (name, (run, words)), add in zip(BENCHES.items(), sizes, strict=True):
        p = what.add_parser(name, help=words)
        add(p)
        p.set_defaults(run=run)
        p.error = refuse


def add_sizes_of_logs(p):
    """Options of `bench read`."""
    p.add_argument("--rows", type=positive, default=10_000_000, help="default 10,000,000")
    p.add_argument("--file", metavar="FILE", help="read this UserBehavior.csv instead")


def add_sizes_of_candidates(p):
    """Options of `bench candidates`: whole numbers, shares as fractions."""
    p.add_argument("--items", type=int, nargs="+", default=[43_000, 200_000], metavar="N")
    p.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.04, 0.1],
                   metavar="SHARE", help="of the items that are candidates, such as 0.04")
    sizes = {"categories": 1000, "width": 128, "batch": 256, "repeats": 9, "seed": 0}
    for name, default in sizes.items():
        p.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")


def add_sizes_of_models(p):
    """Options of `bench device`."""
    p.add_argument("--model", action="append", choices=MODELS, help="default: all; may be repeated")
    p.add_argument("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")
    sizes = {"items": 10_000, "length": 50, "width": 64, "batch": 128, "repeats": 20}
    for name, default in sizes.items():
        p.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")


def add_steps(p):
    """Options of `bench step`."""
    p.add_argument("--model", action="append", choices=PAPERS, help="default: all; may be repeated")
    p.add_argument("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")
    p.add_argument("--threads", type=positive, nargs="+", default=[1, 2], metavar="N")
    p.add_argument("--repeats", type=positive, default=20, help="default 20")
    p.add_argument("--plain", action="store_true", help="mbref on its plain forms")
    p.add_argument("--grow", action="store_true", help="more items, longer histories, more hops")


def add_parity(commands):
    """The command that recomputes what the releases computed."""
    p = commands.add_parser(
        "parity", description=PARITY,
        help="do we compute what the authors' releases computed? Recorded states say")
    p.add_argument("files", nargs="*", metavar="FILE",
                   help="recorded state of a release (.npz); default: all that come with mbref")
    p.set_defaults(run="mbref.tables.commands.run_parity")


def add_cases(commands):
    """The command on the golden cases themselves."""
    p = commands.add_parser("cases", help="list the golden cases")
    p.add_argument("--only", action="append", metavar="NAME", help=ONLY)
    p.add_argument("--version", action="store_true", help="print the version of the cases alone")
    p.set_defaults(run="mbref.check.commands.list_cases")


def add_check(commands):
    """The command that checks an implementation."""
    p = commands.add_parser("check", epilog=CHECK, help="check an implementation, or mbref itself")
    p.add_argument("file", nargs="?", metavar="IMPL.py", help="functions; the file is run")
    p.add_argument("--only", action="append", metavar="NAME", help=f"{ONLY}; may be repeated")
    p.add_argument("--form", choices=FORMS, help="default: paper; of mbref itself, all")
    p.add_argument("--side", choices=SIDES, help="of the departures; that of both is taken, too")
    p.add_argument("--dtype", action="append", choices=DTYPES, help="default: both; of results one")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="cuda: NumPy runs as CuPy")
    p.add_argument("--timeout", type=float, metavar="S", help="seconds a case, in a child process")
    p.add_argument("--summary", nargs="+", metavar="FILE", help="only make a table of --json files")
    p.add_argument("-x", "--exitfirst", action="store_true", help="stop at the first failure")
    for name, text in CHECK_FLAGS.items():
        p.add_argument(name, action="store_true", help=text)
    for name, text in CHECK_FILES.items():
        p.add_argument(name, metavar="PATH", help=text)
    p.set_defaults(run="mbref.check.commands.check")


def add_export(commands):
    """The command that writes cases for a program in another language."""
    p = commands.add_parser("export", help="write what the cases give, for another program")
    p.add_argument("folder", metavar="DIR")
    p.add_argument("--only", action="append", metavar="NAME")
    p.add_argument("--raw", action="store_true", help="little-endian files in place of .npz")
    p.set_defaults(run="mbref.check.commands.export")


def add_reproduce(commands):
    """The command that makes a paper's table."""
    p = commands.add_parser(
        "reproduce", help="a paper's table: model, ablations, baselines; figures and results.json")
    p.add_argument("--paper", choices=PAPERS, default="hmar")
    p.add_argument("--out", help="folder for results.json and the figures (default: out/PAPER)")
    p.add_argument("--seeds", type=positive, default=3)
    p.add_argument("--only", action="append", default=[], metavar="ROW",
                   help="train this row only; may be repeated")
    p.add_argument("--split", metavar="FILE",
                   help="fixed training lists, targets and negatives, instead of a log")
    p.add_argument("--at", type=positive, nargs="+", default=[], metavar="STEP",
                   help="report after these numbers of steps, without choosing by validation")
    p.add_argument("--jobs", type=positive, default=2, help="trainings at a time (default: 2)")
    p.add_argument("--mechanisms", dest="run", action="store_const", help="all papers', on worlds",
                   const="mbref.tables.mechanism_run.run_mechanisms")
    p.add_argument("--quick", action="store_true", help="with --mechanisms: fewer users and steps")
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.commands.run_reproduce")


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
    """Options that say how a log is written. What is not given is left out, as in add_sessions."""
    add = partial(p.add_argument, default=argparse.SUPPRESS)
    add("--columns", metavar="OURS=THEIRS,...",
        help="of format csv: which column is the user, item, time, behaviour, rating, category or "
             "label, such as user=visitorid,item=itemid,time=timestamp,behaviour=event")
    add("--no-header", action="store_true",
        help="of format csv: columns are given by number, from 1")
    add("--behaviours", metavar="NAME,...", help="behaviours of the log, in the order of a model's")
    add("--sample-users", type=positive, metavar="N",
        help="of a large log: N users, always the same ones")
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


def add_device(p):
    """Where a model computes, which changes nothing else."""
    p.add_argument("--device", choices=DEVICES, default="cpu",
                   help="cuda: on a GPU, with CuPy (default: cpu)")


def add_settings(p):
    """Options that change a model or its training."""
    p.add_argument("--seed", type=int, help="default 0")
    p.add_argument("--steps", type=positive, help="training steps at most")
    p.add_argument("--validation-cases", type=positive, metavar="N",
                   help="rank N of the validation events, drawn once (default: all)")
    p.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                   help="any field of the model's Config or of training.Settings, such as "
                        "width=32; may be repeated")


def positive(text):
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:80]} is no whole number of at least 1")
    return int(text)


def fraction(text):
    """A number of at least 0 and less than 1, for argparse."""
    number = float(text)
    if 0 <= number < 1:
        return number
    raise argparse.ArgumentTypeError(f"{number} is not at least 0 and less than 1")
