"""What train, evaluate, recommend and reproduce do: options -> exit code, None for 0."""
import sys
import time
from dataclasses import replace
from pathlib import Path
from shlex import quote

import numpy as np

from mbref import protocol, runs
from mbref.data import newer
from mbref.data.files import require_apart
from mbref.data.leave_one_out import draw_cases
from mbref.data.readers import OF_READING
from mbref.errors import require, split_names
from mbref.tables import recommend as recommending, reproduce, rows, sessions
from mbref.tables import whole_catalogue, world_report
from mbref.tables.jobs import open_map, open_pool, train_all
from mbref.tables.kind import describe_log

GROUPS_ONLY = ("the table of atrank reads a log of groups: give --data FOLDER/events.csv, beside "
               "it objects.csv, as in tiny_data/groups, and neither --format nor --target.")


def task_of(options):
    """The Task of the options. Raises InputError for a missing one."""
    for name in ("data", "format", "target"):
        require(vars(options)[name] is not None,
                f"--{name} is missing: say which log, its format and the behaviour to predict.")
    return make_task(options, options.data, options.format, options.target, options.split_by)


def make_task(options, data, format, target, split):
    """The Task of this log. Raises InputError for an option that the split has no use for."""
    given = {name: value for name, value in vars(options).items()
             if name in (*runs.OF_SESSIONS, *OF_READING)}
    for name in given:
        require(split != "leave-one-out" or name not in runs.OF_SESSIONS,
                f"--{name.replace('_', '-')} is for sessions: "
                "give --split-by session-rec or srgnn with it.")
    if "test" in given and split != "leave-one-out":  # the file's authors have chosen the items
        given.setdefault("min_support", 1)
    return runs.Task(data, format, target, options.drop_target_history, options.candidates,
                     split=split, **given)


def overrides_of(options):
    """--set, --seed, --steps, --threads, --validation-cases, where given.  -> {field: text}."""
    for pair in options.set:
        require("=" in pair, f"--set {pair[:80]}: write NAME=VALUE, such as --set width=32.")
    texts = dict(pair.split("=", 1) for pair in options.set)
    given = {name: vars(options).get(name)
             for name in ("seed", "steps", "threads", "validation_cases")}
    given = {name: str(value) for name, value in given.items() if value is not None}
    twice = next((name for name in given if name in texts), None)
    require(twice is None, f"{twice} is given by --set, too: say once what it shall be.")
    return texts | given


def describe(log, split):
    """Print what the reader noticed and what there is to learn from."""
    print(*describe_log(log, split), sep="\n")


def shell_word(path):
    """A path as one word of a shell's command, which no program takes for an option."""
    return quote(f"./{path}" if str(path).startswith("-") else str(path))


def train(options):
    """`train`: start a run or go on with one."""
    folder = options.resume or options.out
    require(folder is not None,
            "--out is missing: name the folder for the new run, or an old one by --resume.")
    try:
        if options.resume:
            require(not options.model, "--resume goes on with a run of its own model: "
                                       f"leave {options.model} out.")
            for name, value in vars(options).items():
                require(name in ("resume", "run", "default_of", "device")
                        or value == options.default_of(name), "--resume goes on with a run as it "
                        f"was begun: leave --{name.replace('_', '-')} out.")
            runs.resume(folder, describe, device=options.device)
        else:
            model = options.model or "hmar"
            overrides, settings = runs.parse_settings(model, overrides_of(options))
            runs.train(model, folder, task_of(options), overrides, settings, describe,
                       device=options.device)
    except KeyboardInterrupt:
        if not (Path(folder) / "run.json").exists():
            raise
        print(f"\nmbref: stopped; what was trained is saved. Go on with: "
              f"python -m mbref train --resume {shell_word(folder)}", file=sys.stderr)
        return 130
    print(f"done: python -m mbref evaluate {shell_word(folder)}")


def evaluate(options):
    """`evaluate`: one table, the run last; for models that are trained for AUC also that.

    For HierSRec on sessions a second one: all items beside the items of likely categories.
    """
    run = runs.open_run(options.folder, options.device)
    model, params, config, task, log, split = run
    describe(log, split)
    if options.cases:
        split = fewer_cases(split, options.cases)
    measures = ["ranking", *(["AUC"] if protocol.validates_by(model) == "AUC" else [])]
    problems = [whole_catalogue.make_problem(log, task, split, one) for one in measures]
    with open_map(options.scheduler) as each:
        found, columns = {}, []
        for problem in problems:
            of_run = whole_catalogue.report_of(problem, split, model, params, config, each)
            several = whole_catalogue.plain_rows(problem, each) | {"this run": of_run}
            for name, figures in several.items():
                found.setdefault(name, {}).update(figures)
            columns += whole_catalogue.columns(problem)
        notes = whole_catalogue.few_negatives(problems[-1])  # which have those of the first, too
        print("\n".join([*notes, one_run(found, [*columns, "ties"])]))
        if sessions.applies(model, config, task, log):
            problem, search = problems[0], runs.load_search(options.folder)
            found = sessions.plain_rows(problem, each) | {"this run": sessions.report_of(
                split, log, model, config, search, params, each)}
            print("\n" + one_run(found, sessions.columns(problem)))


def fewer_cases(split, count):
    """The split with `count` of its validation and test events, always the same; says so."""
    size = len(split.test.item)
    print(f"ranked: {min(count, size):,} of the {size:,} test events, drawn once")
    rng = np.random.default_rng(0)
    return split._replace(test=draw_cases(split.test, count, rng),
                          validation=draw_cases(split.validation, count, rng))


def one_run(found, columns):
    """The table of rows {name: figures} without spread."""
    return reproduce.table(reproduce.collect({}, found, []), columns)


def recommend(options):
    """`recommend`: one line an item, raw ids."""
    run = runs.open_run(options.folder, options.device)
    own = [Path(options.folder) / name for name in ("run.json", "search.npz", "final.npz")]
    require_apart(options.all_users, [run.task.data, run.task.test, options.data, *own])
    log, user = log_to_recommend_from(run, options)
    if options.all_users:
        with open_map(options.scheduler) as each:
            recommending.write_all(run, log, options.k, options.all_users, each)
        print(f"wrote {options.all_users}: the best items of {len(log.users) - 1} users")
        return
    require(not options.scheduler, "--scheduler splits users: give --all-users with it.")
    found = recommending.recommend(run.model, run.params, run.config, run.task, log, user,
                                   options.k, text=run.split.refit.text)
    for rank, (item, score, reasons) in enumerate(found, start=1):
        because = "; ".join(f"{raw} ({' '.join(names)}) {fall:.2f}" for raw, names, fall in reasons)
        print(f"{rank:3}  {item:>12}  {score:8.3f}  {'because of ' * bool(because)}{because}")
    print("score: the model's logit. because of: history items, their events, "
          "and the fall of the score without them.")


def log_to_recommend_from(run, options):
    """-> (the log of the run with newer or given events, raw user id); says what is left out."""
    require(options.items is not None or options.behaviours is None,
            "--behaviours are those of --items: give these, too.")
    require(options.items is None or not options.data,
            "--items are all that is known of someone new: leave --data out.")
    log, user, notes = run.log, options.user, []
    if options.data:
        require(not run.task.gap, "this run has cut its users into sessions: "
                                  "give the newer events by --items.")
        newer_log = runs.read_task(replace(run.task, sample_users=0), options.data)
        log, notes = newer.add_events(log, newer_log)
        notes = [*newer_log.notes, *notes]
        if user is not None and user not in newer_log.users:
            notes.append(f"{Path(options.data).name} has no event of user {user}")
    if options.items is not None:
        items, user = split_names(options.items, "--items"), newer.NEW_USER
        usual = log.behaviours[0] if run.task.target == "any" else run.task.target
        names = split_names(options.behaviours or "", "--behaviours") or [usual] * len(items)
        log, more = newer.add_events(log, newer.new_user(log, items, names))
        notes = [*notes, *more]
    for note in notes:
        print(f"note: {note}")
    return log, user


def run_reproduce(options):
    """`reproduce`: the report on worlds, or of a log train all rows, print the table, draw it."""
    if options.real:
        from mbref.tables.real import run_real  # which takes options by the functions above

        return run_real(options)
    if options.data is None and options.split is None:
        return world_report.run_worlds(options)
    started = time.time()
    reproduce.refuse(options, ("quick",), "a table on a log has no quick form")
    name = options.paper or "hmar"
    paper = rows.PAPERS[name]
    kind = reproduce.KINDS[paper.kind]
    problem = kind.open(log_of(options, name, paper))
    jobs = reproduce.jobs_of(name, options.seeds or 3, overrides_of(options), options.only)
    for job in jobs:  # a wrong value shows before the first training, not in the middle
        kind.try_config(problem, job)
    folder = reproduce.open_folder(options.out or Path("out") / name)
    print(*kind.describe(problem), sep="\n")
    with open_pool(options.jobs, options.scheduler) as pool:
        results = train_all(kind.train_and_report, problem, jobs, pool, folder)
    found = reproduce.collect(kind.about(problem), kind.plain_rows(problem), results,
                              paper.published)
    try:  # before anything is printed: the reader may be gone
        paths = reproduce.write_all(paper, found, folder, kind.figure_columns(problem))
    finally:  # and it is printed even where the disk is full
        print(reproduce.table(found, kind.columns(problem)))
    print(f"{time.time() - started:.0f} s; wrote {', '.join(map(str, paths))}")


def log_of(options, name, paper):
    """The Task of `reproduce`: a split file, or the log of the options."""
    require(paper.kind in ("ranking", "AUC") or not options.split,
            f"the table of {name} takes no --split: those of dmran and hmar do.")
    if options.split:
        target = "any" if paper.kind == "AUC" else "buy"
        return make_task(options, options.split, "split", target, "leave-one-out")
    if paper.kind == "groups":  # a format of its own, and every event a target
        data = Path(options.data)
        alone = data.is_file() and not data.with_name("objects.csv").exists()
        require(not (options.format or options.target or alone), GROUPS_ONLY)
        return make_task(options, options.data, "groups", "any", options.split_by)
    return task_of(options)
