"""What can be given to each command, known without importing anything that a command needs.

So `--help` and a mistyped option answer at once. A test compares the names below with the rooms'.
"""
import argparse

from mbref.data import options as shared
from mbref.data.options import MODELS, PAPERS, add_settings, add_task, natural, positive, seconds

ONLY = "a family (hmar), a component (hmar.code) or a case"
CHECK = "Exit code 0: all pass, or fail as --xfail says; 1: some fail; 2: nothing could be run."
CHECK_FLAGS = {"--forward-only": "ask for no gradients and no training steps",
               "--strict": "fail if what --xfail names passes, or is no case"}
CHECK_FILES = {"--xfail": "cases, components or families that are known to fail, one a line",
               "--json": "write the report here, too", "--junit": "as JUnit XML",
               "--results": "arrays that another program wrote, see export"}
REPRODUCE = """Without --data: train all papers' models on worlds with a known best answer and write
one report. With --data: a paper's table, its model, ablations and baselines, on that log."""
PARITY = """Compute anew what recorded states of the authors' releases hold, compare array by array.
Error: the largest difference relative to the largest absolute value of the array, or to a
thousandth of its group's. Arrays that are left out are listed with the reason and not counted.
Exit code 0: all agree; 1: some do not; 2: a file is no such state, then nothing is printed about
the others either."""
EXERCISES = """Write the students' copies of notebooks/exercises: without solutions, hidden
tests and outputs. A file that a student has changed is never written over."""

BENCHES = {  # of `bench`: what it calls, what it measures, its numbers and their defaults
    "candidates": ("tests.benchmarks.candidates.run", "HierSRec's candidates, four ways",
                   dict(categories=1000, width=128, batch=256, repeats=9)),
    "read": ("tests.benchmarks.reading.run", "reading a log: time and memory, beside pandas",
             dict(rows=10_000_000)),
    "device": ("tests.benchmarks.device.run", "training steps on a GPU, against CPU and PyTorch",
               dict(items=10_000, length=50, width=64, batch=128, repeats=20)),
    "step": ("tests.benchmarks.step.run", "training steps on the CPU, against PyTorch",
             dict(repeats=20))}


def parser():
    """The commands and their options; `run` names the function of a command, module first."""
    top = argparse.ArgumentParser(
        prog="python -m mbref", description="Multi-behaviour recommender papers, to run.")
    top.set_defaults(run=None)
    commands = top.add_subparsers(metavar="command")
    for add in (add_runs, add_recommend, add_reproduce, add_sweep_and_worlds, add_bench,
                add_parity_and_cases, add_check, add_course):
        add(commands)
    for p in (top, *commands.choices.values()):
        p.error = shared.refuse
    return top


def add_runs(commands):
    """The commands on a run folder."""
    p = commands.add_parser("train", help="train a model on a log into a run folder")
    p.add_argument("model", nargs="?", choices=MODELS, default="hmar")
    p.add_argument("--out", help="folder of the new run")
    p.add_argument("--resume", metavar="RUN", help="go on with this run; needs no other option")
    p.add_argument("--threads", type=positive, metavar="N",
                   help="cut every batch into N shards, each on a thread of its own (default: 1; "
                        "each N has its own draws, and so its own numbers)")
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


def add_reproduce(commands):
    """The command that makes a paper's table."""
    p = commands.add_parser("reproduce", description=REPRODUCE,
                            help="do the papers' mechanisms work? Or a paper's table on a log")
    p.add_argument("--paper", choices=PAPERS, help="(default: all; of a log: hmar)")
    p.add_argument("--out", help="folder of the results (default: out/report; of a log: out/PAPER)")
    p.add_argument("--seeds", type=positive, help="(default: 3; with --quick: 1)")
    p.add_argument("--only", action="append", default=[], metavar="NAME",
                   help="this mechanism, or of a log this row, only; may be repeated")
    p.add_argument("--quick", action="store_true", help="without a log: fewer users and steps")
    p.add_argument("--real", metavar="DIR", help="the models on the public logs in this folder")
    p.add_argument("--split", metavar="FILE",
                   help="fixed training lists, targets and negatives, instead of a log")
    add_pool(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.commands.run_reproduce")


def add_pool(p):
    """Where trainings run."""
    p.add_argument("--jobs", type=positive, default=2, help="trainings at a time (default: 2)")
    p.add_argument("--scheduler", metavar="ADDRESS",
                   help="of a Dask cluster that does the trainings, such as tcp://10.0.0.1:8786")


def add_sweep_and_worlds(commands):
    """The commands that compare settings, and that write logs with a known best answer."""
    p = commands.add_parser("sweep", help="settings of a model compared on validation events")
    p.add_argument("model", choices=MODELS)
    p.add_argument("--grid", action="append", default=[], metavar="NAME=VALUE,...",
                   help="what to try of one setting, as --set has it; may be repeated")
    p.add_argument("--out", help="folder for results.json (default: out/sweep)")
    p.add_argument("--seeds", type=positive, default=3)
    add_pool(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.sweep.run_sweep")

    p = commands.add_parser("worlds", help="logs with a known best answer: list them, make them")
    p.add_argument("--make", nargs="?", const="", metavar="DIR", help="default: ./tiny_data/worlds")
    p.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    p.add_argument("--signal", help="what decides the next item (default: each world's first)")
    p.add_argument("--users", type=positive, help="(default: as in tiny_data)")
    p.set_defaults(run="mbref.worlds.commands.run_worlds")


def add_parity_and_cases(commands):
    """The commands on what comes with mbref: recorded states of the releases, golden cases."""
    p = commands.add_parser(
        "parity", description=PARITY,
        help="do we compute what the authors' releases computed? Recorded states say")
    p.add_argument("files", nargs="*", metavar="FILE",
                   help="recorded state of a release (.npz); default: all that come with mbref")
    p.set_defaults(run="mbref.tables.commands.run_parity")

    p = commands.add_parser("cases", help="list the golden cases")
    p.add_argument("--only", action="append", metavar="NAME", help=ONLY)
    p.add_argument("--version", action="store_true", help="print the version of the cases alone")
    p.set_defaults(run="mbref.check.commands.list_cases")

    p = commands.add_parser("export", help="write what the cases give, for another program")
    p.add_argument("folder", metavar="DIR")
    p.add_argument("--only", action="append", metavar="NAME")
    p.add_argument("--raw", action="store_true", help="little-endian files in place of .npz")
    add_fresh(p)
    p.set_defaults(run="mbref.check.commands.export")


def add_check(commands):
    """The command that checks an implementation."""
    p = commands.add_parser("check", epilog=CHECK, help="check an implementation, or mbref itself")
    p.add_argument("file", nargs="?", metavar="IMPL.py", help="functions; the file is run")
    p.add_argument("--only", action="append", metavar="NAME", help=f"{ONLY}; may be repeated")
    p.add_argument("--form", choices=("paper", "variant", "release", "all"),
                   help="default: paper; of mbref itself, all")
    p.add_argument("--side", choices=("paper", "released"),
                   help="of the departures; that of both is taken, too")
    p.add_argument("--dtype", action="append", choices=shared.DTYPES,
                   help="default: both; of results one")
    add_device(p)
    p.add_argument("--timeout", type=seconds, metavar="S",
                   help="seconds a case, in a child process")
    p.add_argument("--summary", nargs="+", metavar="FILE", help="only make a table of --json files")
    add_fresh(p)
    p.add_argument("-x", "--exitfirst", action="store_true", help="stop at the first failure")
    for name, text in CHECK_FLAGS.items():
        p.add_argument(name, action="store_true", help=text)
    for name, text in CHECK_FILES.items():
        p.add_argument(name, metavar="PATH", help=text)
    p.set_defaults(run="mbref.check.commands.check")


def add_bench(commands):
    """The commands that measure what a cheaper way saves."""
    p = commands.add_parser("bench", help="what a cheaper way saves")
    what = p.add_subparsers(required=True, metavar="what")
    for name, (run, words, numbers) in BENCHES.items():
        p = what.add_parser(name, help=words)
        for option, default in numbers.items():
            p.add_argument(f"--{option}", type=positive, default=default, help=f"default {default}")
        add_others(p, name)
        p.set_defaults(run=run)
        p.error = shared.refuse


def add_others(p, name):
    """The options of a bench that are no single numbers."""
    if name == "candidates":
        p.add_argument("--items", type=positive, nargs="+", default=[43_000, 200_000], metavar="N")
        p.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.04, 0.1],
                       metavar="SHARE", help="of the items that are candidates, such as 0.04")
    elif name == "read":
        p.add_argument("--file", metavar="FILE", help="read this UserBehavior.csv instead")
    else:
        p.add_argument("--model", action="append", choices=MODELS if name == "device" else PAPERS,
                       help="default: all; may be repeated")
        p.add_argument("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")
    if name == "step":
        p.add_argument("--threads", type=positive, nargs="+", default=[1, 2], metavar="N")
        p.add_argument("--plain", action="store_true", help="mbref on its plain forms")
        p.add_argument("--grow", action="store_true", help="more items, events and hops, in turn")


def add_course(commands):
    """The commands of a teacher, on the notebooks of a clone."""
    p = commands.add_parser("exercises", description=EXERCISES,
                            help="write the students' copies of the exercises")
    p.add_argument("--student", metavar="DIR", required=True, help="folder of the copies")
    p.add_argument("--only", action="append", default=[], metavar="NAME",
                   help="of this set, such as hmar; may be repeated")
    p.set_defaults(run="notebooks.course.commands.run_exercises")

    p = commands.add_parser("site", help="the notebooks as linked pages that need no network")
    p.add_argument("--out", default="out/site", metavar="DIR",
                   help="folder of the pages (default: out/site)")
    p.set_defaults(run="notebooks.course.site.run_site")


def add_fresh(p):
    """Cases that no file holds."""
    p.add_argument("--fresh", type=natural, metavar="SEED",
                   help="other cases, drawn from this seed")
    p.add_argument("--count", type=positive, default=1, help="fresh cases a component (default 1)")


def add_device(p):
    """Where a model computes, which changes nothing else."""
    p.add_argument("--device", choices=shared.DEVICES, default="cpu",
                   help="cuda: on a GPU, with CuPy (default: cpu)")
