"""What the commands do: python -m mbref train | evaluate | recommend | reproduce | parity.

Each takes the parsed options and returns an exit code, None for 0. The commands of the kit are in check/commands.py.
"""
import sys
import time
from pathlib import Path
from shlex import quote

import numpy as np
from tqdm import tqdm

from mbref import protocol, runs
from mbref.data import shipped
from mbref.data.group_events import GroupSplit
from mbref.data.leave_one_out import draw_cases
from mbref.errors import InputError, require
from mbref.released import parity
from mbref.tables import groups as modes, reproduce, sessions as gated, whole_catalogue as ranked

TINY = shipped.tiny_data()
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
    if protocol.validates_by(model) == "AUC":
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
    return split._replace(test=draw_cases(split.test, count, rng),
                          validation=draw_cases(split.validation, count, rng))


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


def run_parity(options):
    """`parity`: the files that were named, or all recorded states that come with mbref."""
    files = options.files or sorted(shipped.oracles().glob("*.npz"))
    require(files, f"{shipped.oracles()} holds no recorded states: {shipped.mend(shipped.oracles())}.")
    return parity.run(files)
