"""What can be given to each command, known without importing anything that a command needs.

So `--help` and a mistyped option answer at once. A test compares the names below with the rooms'.
"""
import argparse
from functools import partial

from mbref import __version__
from mbref.data import options as shared
from mbref.data.options import MODELS, PAPERS, SETTINGS, TASK, count, flag, option, several

ONLY = "a family (hmar), a component (hmar.code) or a case"
CHECK = "Exit code 0: all pass, or fail as --xfail says; 1: some fail; 2: nothing could be run."
REPRODUCE = """Without --data: train all papers' models on worlds with a known best answer and write
one report. With --data: a paper's table, its model, ablations and baselines, on that log."""
PARITY = """Compute anew what recorded states of the authors' releases hold, compare array by array.
Error: the largest difference relative to the largest absolute value of the array, or to a
thousandth of its group's. Arrays that are left out are listed with the reason and not counted.
Exit code 0: all agree; 1: some do not; 2: a file is no such state, then nothing is printed about
the others either."""
EXERCISES = """Write the students' copies of notebooks/exercises: without solutions, hidden
tests and outputs. A file that a student has changed is never written over."""


def scheduler(task):
    """Where a cluster can be reached."""
    return option("--scheduler", metavar="ADDRESS",
                  help=f"of a Dask cluster that {task}, such as tcp://10.0.0.1:8786")


DEVICE = (option("--device", choices=shared.DEVICES, default="cpu",
                 help="cuda: on a GPU, with CuPy (default: cpu)"),)
POOL = (  # where trainings run
    count("--jobs", default=2, help="trainings at a time (default: 2)"),
    scheduler("does the trainings"))
FRESH = (  # cases that no file holds
    option("--fresh", type=shared.natural, metavar="SEED",
           help="other cases, drawn from this seed"),
    option("--count", type=partial(shared.positive, least=0), metavar="N",
           help="fresh cases a component (default: 1 with --fresh; else 7 after those of a file)"))
FORMS = (
    option("--form", choices=("paper", "variant", "release", "all"),
           help="default: paper; of mbref itself and of fresh cases to export, all"),
    option("--side", choices=("paper", "released"),
           help="of the departures; that of both is taken, too"))
TORCH = option("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")

# {command: (the function that runs it, what --help says of it, its options)}
COMMANDS = {
    "train": ("mbref.tables.commands.train", dict(
        help="train a model on a log into a run folder"), (
        option("model", nargs="?", choices=MODELS, help="(default: hmar)"),
        option("--out", help="folder of the new run"),
        option("--resume", metavar="RUN", help="go on with this run; needs no other option"),
        count("--threads", metavar="N",
              help="cut every batch into N shards, each on a thread of its own (default: 1; each N "
                   "has its own draws, and so its own numbers)"),
        *DEVICE, *TASK, *SETTINGS)),
    "evaluate": ("mbref.tables.commands.evaluate", dict(
        help="table of a run beside the plain baselines, on the test events"), (
        option("folder", metavar="RUN"),
        count("--cases", metavar="N", help="for a large log: N of the test events, drawn once, the "
                                           "same for all rows (default: all)"),
        *DEVICE, scheduler("ranks the test events"))),
    "recommend": ("mbref.tables.commands.recommend", dict(
        help="the best items for a user, and why"), (
        option("folder", metavar="RUN"),
        [option("--user", help="user id as it stands in the log"),
         option("--items", metavar="ID,...",
                help="for someone who is not in the log: what they met, oldest first"),
         option("--all-users", metavar="FILE",
                help="write the best items of every user: lines user,rank,item,score")],
        option("--behaviours", metavar="NAME,...",
               help="of --items, one an item (default: the target behaviour)"),
        option("--data", metavar="NEWER",
               help="events after those of the run, written as its log is"),
        count("-k", default=10), *DEVICE, scheduler("finds the items of --all-users"))),
    "reproduce": ("mbref.tables.commands.run_reproduce", dict(
        help="do the papers' mechanisms work? Or a paper's table on a log",
        description=REPRODUCE), (
        option("--paper", choices=PAPERS, help="(default: all; of a log: hmar)"),
        option("--out", help="folder of the results (default: out/report; of a log: out/PAPER)"),
        count("--seeds", help="(default: 3; with --quick: 1)"),
        several("--only", metavar="NAME",
                help="this mechanism, or of a log this row, only; may be repeated"),
        flag("--quick", help="without a log: fewer users and steps"),
        option("--real", metavar="DIR", help="the models on the public logs in this folder"),
        option("--split", metavar="FILE",
               help="fixed training lists, targets and negatives, instead of a log"),
        *POOL, *TASK, *SETTINGS)),
    "sweep": ("mbref.tables.sweep.run_sweep", dict(
        help="settings of a model compared on validation events"), (
        option("model", choices=MODELS),
        several("--grid", metavar="NAME=VALUE,...",
                help="what to try of one setting, as --set has it; may be repeated"),
        option("--out", help="folder for results.json (default: out/sweep_MODEL)"),
        count("--seeds", default=3), *POOL, *TASK, *SETTINGS)),
    "worlds": ("mbref.worlds.commands.run_worlds", dict(
        help="logs with a known best answer: list them, make them"), (
        option("--make", nargs="?", const="", metavar="DIR", help="default: ./tiny_data/worlds"),
        several("--only", metavar="NAME", help="may be repeated"),
        option("--signal", help="what decides the next item (default: each world's first)"),
        count("--users", help="(default: as in tiny_data)"))),
    "parity": ("mbref.check.parity.run", dict(
        help="do we compute what the authors' releases computed? Recorded states say",
        description=PARITY), (
        option("files", nargs="*", metavar="FILE",
               help="recorded state of a release (.npz); default: all that come with mbref"),)),
    "cases": ("mbref.check.commands.list_cases", dict(help="list the golden cases"), (
        option("--only", action="append", metavar="NAME", help=ONLY),
        flag("--version", help="print the version of the cases alone"))),
    "export": ("mbref.check.commands.export", dict(
        help="write what the cases give, for another program"), (
        option("folder", metavar="DIR"),
        option("--only", action="append", metavar="NAME"), *FORMS,
        flag("--raw", help="little-endian files in place of .npz"), *FRESH)),
    "check": ("mbref.check.commands.check", dict(
        help="check an implementation, or mbref itself", epilog=CHECK), (
        option("file", nargs="?", metavar="IMPL.py", help="functions; the file is run"),
        option("--only", action="append", metavar="NAME", help=f"{ONLY}; may be repeated"),
        *FORMS,
        option("--dtype", action="append", choices=(*shared.DTYPES, *shared.REDUCED),
               help="default: float64 and float32; of results one"),
        *DEVICE,
        option("--timeout", type=shared.seconds, metavar="S",
               help="seconds a case, in a child process"),
        option("--summary", nargs="+", metavar="FILE", help="only make a table of --json files"),
        *FRESH,
        flag("-x", "--exitfirst", help="stop at the first failure"),
        flag("--forward-only", help="ask for no gradients and no training steps"),
        flag("--strict", help="fail if what --xfail names passes, or is no case"),
        option("--xfail", metavar="PATH",
               help="cases, components or families that are known to fail, one a line"),
        option("--json", metavar="PATH", help="write the report here, too"),
        option("--junit", metavar="PATH", help="as JUnit XML"),
        option("--results", metavar="PATH",
               help="arrays that another program wrote, see export"))),
    "exercises": ("notebooks.course.commands.run_exercises", dict(
        help="write the students' copies of the exercises", description=EXERCISES), (
        option("--student", metavar="DIR", required=True, help="folder of the copies"),
        several("--only", metavar="NAME", help="of this set, such as hmar; may be repeated"))),
    "site": ("notebooks.course.site.run_site", dict(
        help="the notebooks as linked pages that need no network"), (
        option("--out", default="out/site", metavar="DIR",
               help="folder of the pages (default: out/site)"),)),
}
BENCHES = {  # of `bench`, what a cheaper way saves
    "read": ("mbref.bench.reading.run", dict(
        help="reading a log: time and memory, beside pandas"), (
        count("--rows", default=10_000_000, help="default 10000000"),
        option("--file", metavar="FILE", help="read this UserBehavior.csv instead"))),
    "step": ("mbref.bench.step.run", dict(help="training steps on the CPU, against PyTorch"), (
        count("--repeats", default=20, help="default 20"),
        option("--model", action="append", choices=PAPERS, help="default: all; may be repeated"),
        TORCH,
        count("--threads", nargs="+", default=[1, 2], metavar="N"),
        flag("--plain", help="mbref on its plain forms"),
        flag("--grow", help="more items, events and hops, in turn"))),
}


def parser():
    """The commands and their options; `run` names the function of a command, module first."""
    top = argparse.ArgumentParser(
        prog="python -m mbref", description="Multi-behaviour recommender papers, to run.")
    top.set_defaults(run=None)
    top.add_argument("--version", action="version", version=f"mbref {__version__}")
    speak(top)
    commands = top.add_subparsers(metavar="command")
    add_commands(commands, COMMANDS)
    bench = commands.add_parser("bench", help="what a cheaper way saves")
    speak(bench)
    add_commands(bench.add_subparsers(required=True, metavar="what"), BENCHES)
    return top


def add_commands(commands, table):
    """Add the commands of a table like COMMANDS; of options in a list exactly one must be given."""
    for name, (run, about, options) in table.items():
        p = commands.add_parser(name, allow_abbrev=False, **about)
        p.set_defaults(run=run, default_of=p.get_default)
        speak(p)
        for one in options:
            group = p.add_mutually_exclusive_group(required=True) if isinstance(one, list) else p
            for names, kind in one if isinstance(one, list) else [one]:
                group.add_argument(*names, **kind)


def speak(p):
    """Let a parser refuse and help in our way."""
    p.error, p.print_help = shared.refuse, partial(print_help, p)


def print_help(p, file=None):
    """Print a parser's help. Raises OSError if that fails, of which argparse says nothing."""
    print(p.format_help(), end="", file=file, flush=True)
