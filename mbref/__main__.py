"""Command line: python -m mbref train | evaluate | recommend | reproduce | bench | parity.

Exit code 2 means: mend the input.
"""
import argparse
import os
import sys
import time
from pathlib import Path
from shlex import quote

import numpy as np
from tqdm import tqdm

from mbref import runs
from mbref.bench import candidates as bench, device as bench_device
from mbref.check import commands as check_commands
from mbref.data import sequences
from mbref.data.group_events import GroupSplit
from mbref.data.readers.shops import FORMATS
from mbref.device.device import NAMES as DEVICES
from mbref.errors import InputError
from mbref.released import parity
from mbref.tables import groups as modes, reproduce, sessions as gated, whole_catalogue as ranked

TINY = Path(__file__).parent.parent / "tiny_data"
TINY_TASKS = {  # paper: its small log, format and target
    "atrank": ("groups/events.csv", "groups", "any"),
    "dmran": ("amazon/reviews_Tiny_5.json", "amazon", "any"),
    "hiersrec": ("diginetica/train-item-views.csv", "diginetica", "view"),
    "hmar": ("taobao/UserBehavior.csv", "taobao", "buy"),
}
SMALL = {  # what the tiny logs need: few steps of small models
    # the rule of this log looks minutes back, at the newest event of a group
    "atrank": {"width": "32", "table_width": "16", "length": "4", "unit": "60", "pairs": "true", "optimiser": "adam",
               "rate": "0.003", "steps": "800", "evaluate_every": "50"},
    "dmran": {"width": "32", "table_width": "16", "pairs": "true", "batch_size": "32", "steps": "1500",
              "evaluate_every": "100", "patience": "4"},
    "hiersrec": {"width": "48", "item_width": "32", "category_width": "16", "projection_width": "16", "dropout": "0.3",
                 "rate": "0.003", "batch_size": "64", "steps": "400", "evaluate_every": "25", "patience": "4"},
    # since carts and buys are the rule of this log: buys as positives
    "hmar": {"width": "32", "length": "30", "dropout": "0.2", "positives": "target", "rate": "0.003",
             "batch_size": "32", "steps": "300", "patience": "3"},
}


def main(arguments=None):
    """Run one command.  -> exit code."""
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that knows no ± gets an escape and not a stack trace
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        if "" in arguments:
            raise InputError(f"argument {arguments.index('') + 1} is empty: is a shell variable not set?")
        options = parser().parse_args(arguments)
        code = options.run(options) or 0
        sys.stdout.flush()  # so that a closed pipe shows here
        return code
    except InputError as error:
        print(f"mbref: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"mbref: not enough memory ({error}): choose smaller sizes.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmbref: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser():
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m mbref", description="Multi-behaviour recommender papers, to run.")
    commands = top.add_subparsers(required=True, metavar="command")

    add_runs(commands)
    add_reproduce(commands)
    add_bench(commands)

    p = commands.add_parser("parity", help="do we compute what the authors' releases computed? Recorded states say",
                            description=parity.HELP)
    p.add_argument("files", nargs="+", metavar="FILE", help="recorded state of a release (.npz)")
    p.set_defaults(run=lambda options: parity.run(options.files))
    check_commands.add(commands)
    for p in (top, *commands.choices.values()):
        p.error = refuse
    return top


def add_runs(commands):
    """The commands on a run folder."""
    p = commands.add_parser("train", help="train a model on a log into a run folder")
    p.add_argument("model", nargs="?", choices=sorted(runs.MODELS), default="hmar")
    p.add_argument("--out", help="folder of the new run")
    p.add_argument("--resume", metavar="RUN", help="go on with this run; needs no other option")
    add_device(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run=train, default_of=p.get_default)

    p = commands.add_parser("evaluate", help="table of a run beside the plain baselines, on the test events")
    p.add_argument("folder", metavar="RUN")
    p.add_argument("--cases", type=positive, metavar="N",
                   help="for a large log: N of the test events, drawn once, the same for all rows (default: all)")
    add_device(p)
    p.set_defaults(run=evaluate)

    p = commands.add_parser("recommend", help="the best items for one user of the log, and why")
    p.add_argument("folder", metavar="RUN")
    p.add_argument("--user", required=True, help="user id as it stands in the log")
    p.add_argument("-k", type=positive, default=10)
    add_device(p)
    p.set_defaults(run=recommend)


def add_bench(commands):
    """The command that measures what a cheaper way saves."""
    what = commands.add_parser("bench", help="what a cheaper way saves").add_subparsers(required=True, metavar="what")
    p = what.add_parser("candidates", help="HierSRec's candidates: time and memory of the 20 best items, by four ways")
    bench.add_options(p)
    p.set_defaults(run=bench.run)
    p.error = refuse
    p = what.add_parser("device", help="training steps on a GPU, against the CPU and against PyTorch; needs a GPU")
    bench_device.add_options(p)
    p.set_defaults(run=bench_device.run)
    p.error = refuse


def add_reproduce(commands):
    """The command that makes a paper's table."""
    p = commands.add_parser("reproduce", help="a paper's table: model, ablations, baselines; figures and results.json")
    p.add_argument("--paper", choices=sorted(reproduce.PAPERS), default="hmar")
    p.add_argument("--out", help="folder for results.json and the figures (default: out/PAPER)")
    p.add_argument("--seeds", type=positive, default=3)
    p.add_argument("--only", action="append", default=[], metavar="ROW", help="train this row only; may be repeated")
    p.add_argument("--split", metavar="FILE", help="fixed training lists, targets and negatives, instead of a log")
    p.add_argument("--at", type=positive, nargs="+", default=[], metavar="STEP",
                   help="report after these numbers of steps, without choosing by validation")
    p.add_argument("--jobs", type=positive, default=2, help="trainings at a time (default: 2)")
    add_task(p)
    add_settings(p)
    p.set_defaults(run=run_reproduce)


def refuse(problem):
    """In place of argparse's own lines of usage and exit: one sentence as for every other fault."""
    raise InputError(f"{problem}; --help shows what can be given.")


def add_task(p):
    """Options that say which log, and what is held out of it."""
    p.add_argument("--data", metavar="PATH", help="interaction log")
    p.add_argument("--format", choices=sorted(FORMATS), help="of the log")
    p.add_argument("--target", help="behaviour to predict, as the log names it")
    p.add_argument("--candidates", choices=("all", "unseen"), default="all",
                   help="what a full ranking ranks: all items, or those the user has not met (default: all)")
    p.add_argument("--split-by", choices=("leave-one-out", "session-rec", "srgnn"), default="leave-one-out",
                   help="hold out each user's last target events, or the last week of sessions, as either script does")
    p.add_argument("--gap", type=positive, default=0, metavar="SECONDS",
                   help="cut users into sessions wherever more than this passes")
    p.add_argument("--days", type=positive, default=7, help="of sessions to hold out for the test (default: 7)")
    p.add_argument("--min-support", type=positive, default=5, metavar="CLICKS",
                   help="leave out items with fewer clicks in the training sessions (default: 5)")
    p.add_argument("--text", choices=runs.TEXTS, default="words",
                   help="vectors of the items of sessions, where the log has texts (default: words)")
    p.add_argument("--cold", type=fraction, default=0.0, metavar="SHARE",
                   help="rid the training sessions of this share of the items, such as 0.15")
    p.add_argument("--drop-target-history", action="store_true", help="remove earlier events on a held-out item")


def add_device(p):
    """Where a model computes, which changes nothing else."""
    p.add_argument("--device", choices=DEVICES, default="cpu", help="cuda: on a GPU, with CuPy (default: cpu)")


def add_settings(p):
    """Options that change a model or its training."""
    p.add_argument("--seed", type=int, help="default 0")
    p.add_argument("--steps", type=positive, help="training steps at most")
    p.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                   help="any field of the model's Config or of training.Settings, such as width=32; may be repeated")


def positive(text):
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of at least 1")
    return int(text)


def fraction(text):
    """A number of at least 0 and less than 1, for argparse."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 0 and less than 1")
    return number


def task_of(options):
    """The Task of the options. Raises InputError for a missing one."""
    for name in ("data", "format", "target"):
        if getattr(options, name) is None:
            raise InputError(f"--{name} is missing: say which log, its format and the behaviour to predict.")
    return tasked(options, options.data, options.format, options.target, options.split_by)


def tasked(options, data, format, target, split):
    """The Task of this log with all other options. Raises InputError for one that the split has no use for."""
    of_sessions = {"gap": 0, "days": 7, "min_support": 5, "text": "words", "cold": 0.0}
    given = [name for name, default in of_sessions.items() if getattr(options, name) != default]
    if given and split == "leave-one-out":
        name = given[0].replace("_", "-")
        raise InputError(f"--{name} is for sessions: give --split-by session-rec or srgnn with it.")
    return runs.Task(data, format, target, options.drop_target_history, options.candidates, split=split,
                     gap=options.gap, days=options.days, min_support=options.min_support, text=options.text,
                     cold=options.cold)


def overrides_of(options):
    """--set, --seed and --steps.  -> {field: text}."""
    texts = {}
    for pair in options.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair}: write NAME=VALUE, such as --set width=32.")
        texts[name] = value
    given = {name: getattr(options, name) for name in ("seed", "steps")}
    return texts | {name: str(value) for name, value in given.items() if value is not None}


def describe(log, split):
    """Print what the reader noticed and what there is to learn from."""
    for note in log.notes:
        print(f"note: {note}")
    if isinstance(split, GroupSplit):
        kinds = ", ".join(f"{len(raw) - 1:,} {name} objects" for name, raw in zip(log.groups, log.objects, strict=True))
        print(f"{len(log.user):,} events, {len(log.users) - 1:,} users, {kinds}; held out: "
              f"{len(split.validation):,} validation and {len(split.test):,} test events")
        return
    print(f"{len(log.user):,} events, {split.users:,} users, {split.items:,} items, "
          f"behaviours {', '.join(log.behaviours)}; held out: {len(split.validation.item):,} validation and "
          f"{len(split.test.item):,} test events ({split.test.seen.mean():.0%} of the test items met before)")


def train(options):
    """`train`: start a run or go on with one."""
    folder = options.resume or options.out
    if folder is None:
        raise InputError("--out is missing: name the folder for the new run, or an old one by --resume.")
    try:
        if options.resume:
            alone(options, "model", "device")
            runs.resume(folder, describe, device=options.device)
        else:
            overrides, settings = runs.typed_settings(options.model, overrides_of(options))
            runs.train(options.model, folder, task_of(options), overrides, settings, describe,
                       device=options.device)
    except KeyboardInterrupt:
        if not (Path(folder) / "run.json").exists():
            raise
        print(f"\nmbref: stopped; what was trained is saved. Go on with: "
              f"python -m mbref train --resume {quote(str(folder))}", file=sys.stderr)
        return 130
    print(f"done: python -m mbref evaluate {quote(str(folder))}")


def alone(options, *more):
    """Raises InputError if --resume came with an option that the run has decided already; `more` may be given."""
    for name, value in vars(options).items():
        if name not in ("resume", "run", "default_of", *more) and value != options.default_of(name):
            raise InputError(f"--resume goes on with a run as it was begun: leave --{name.replace('_', '-')} out.")


def evaluate(options):
    """`evaluate`: one table, the run last; for models that are trained for AUC also that.

    For HierSRec on sessions a second one: all items beside the items of likely categories.
    """
    model, params, config, task, log, split = runs.finished(options.folder, options.device)
    describe(log, split)
    split = fewer_cases(split, options.cases) if options.cases else split
    ranking = ranked.Problem(log, task, split, ranked.uniform_negatives(split))
    problems = [ranking]
    if getattr(model, "SETTINGS", {}).get("validate") == "AUC":
        problems.append(ranked.Problem(log, task, split, ranked.uniform_negatives(split, "AUC"), "AUC"))
    for note in {ranked.few_negatives(problem) for problem in problems} - {""}:
        print(f"note: {note}")
    rows = {}
    for problem in problems:
        found = {**ranked.plain_rows(problem),
                 "this run": ranked.report_of(problem, split, model, params, config, progress=True)}
        for name, figures in found.items():
            rows.setdefault(name, {}).update(figures)
    print(one_run(rows, [*(column for problem in problems for column in ranked.columns(problem)), "ties"]))
    if gated.applies(model, config, task, log):
        problem = gated.SessionProblem(log, task, split)
        found = gated.report_of(split, log, model, config, runs.searched(options.folder), params)
        print("\n" + one_run({**gated.plain_rows(problem), "this run": found}, gated.columns(problem)))


def fewer_cases(split, count):
    """The split with `count` of its validation and its test events, always the same ones; says so."""
    print(f"ranked: {min(count, len(split.test.item)):,} of the {len(split.test.item):,} test events, drawn once")
    rng = np.random.default_rng(0)
    return split._replace(test=sequences.drawn(split.test, count, rng),
                          validation=sequences.drawn(split.validation, count, rng))


def one_run(rows, columns):
    """The table of rows {name: figures} without spread."""
    return reproduce.table({"rows": {name: {"mean": figures, "seeds": [figures]} for name, figures in rows.items()}},
                           columns)


def recommend(options):
    """`recommend`: one line an item, raw ids."""
    model, params, config, task, log, split = runs.finished(options.folder, options.device)
    for rank, (item, score, reasons) in enumerate(
        runs.recommend(model, params, config, task, log, options.user, options.k, text=split.refit.text), start=1
    ):
        because = "; ".join(f"{raw} ({' '.join(names)}) {fall:.2f}" for raw, names, fall in reasons)
        print(f"{rank:3}  {item:>12}  {score:8.3f}  " + (f"because of {because}" if because else ""))
    print("score: the model's logit. because of: history items, their events, and the fall of the score without them.")


def run_reproduce(options):
    """`reproduce`: train all rows, then print the table and write the figures."""
    started, at = time.time(), tuple(sorted(options.at))
    if at and options.steps:
        raise InputError("--at says after how many steps to report: leave --steps out.")
    paper, problem = reproduce.PAPERS[options.paper], problem_of(options)
    kind = reproduce.kind_of(problem)
    tiny = options.data is None and options.split is None
    texts = {**(SMALL[options.paper] if tiny else {}), **overrides_of(options)}
    jobs = reproduce.jobs_of(options.paper, options.seeds, texts, options.only, at)
    for job in jobs:  # a wrong value shows before the first training, not in the middle
        kind.config_of(problem, job)
    folder = reproduce.open_folder(options.out or Path("out") / options.paper)
    describe(problem.log, problem.split)
    if isinstance(problem, ranked.Problem) and (note := ranked.few_negatives(problem)):
        print(f"note: {note}")
    results = []
    with tqdm(total=len(jobs), unit="run") as bar:
        def report(*result):
            results.append(result)
            bar.update()
        reproduce.run_jobs(problem, jobs, options.jobs, report)
    collected = reproduce.collect(problem, kind.plain_rows(problem, at), results, paper.published)
    written = [reproduce.save(collected, folder),  # before anything is printed: the reader may be gone
               *reproduce.figures(collected, folder, kind.figure_columns(problem, at))]
    print(reproduce.table(collected, kind.columns(problem, at)))
    print(f"{time.time() - started:.0f} s; wrote {', '.join(map(str, written))}")


def problem_of(options):
    """What `reproduce` works on: a split file, the paper's tiny log, or the log of the options."""
    paper, measure = options.paper, reproduce.PAPERS[options.paper].measure
    if not measure and (options.at or options.split):
        raise InputError(f"the table of {paper} takes neither --at nor --split: those of dmran and hmar do.")
    if paper == "atrank":
        if options.format or options.target:
            raise InputError("the table of atrank reads a log of groups: give --data FOLDER/events.csv, beside it "
                             "objects.csv, and neither --format nor --target.")
        return modes.open_problem(options.data or TINY / TINY_TASKS[paper][0])
    if options.split:
        return (ranked.from_fixed_targets(options.split) if measure == "AUC"
                else ranked.from_split_file(options.split, options.drop_target_history, options.candidates))
    if options.data is None:
        if options.format or options.target:
            raise InputError("--format and --target are of a log: give --data, too.")
        path, format, target = TINY_TASKS[paper]
        split = options.split_by
        if paper == "hiersrec" and split == "leave-one-out":  # the option's default, not for sessions
            split = "session-rec"
        task = tasked(options, str(TINY / path), format, target, split)
    else:
        task = task_of(options)
    return ranked.from_log(task, measure) if measure else gated.from_log(task)


if __name__ == "__main__":
    sys.exit(main())
