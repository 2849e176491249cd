"""A paper's table: the model, its ablations and the plain baselines on the same held-out events, several seeds."""
import json
import os
import signal
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mbref import evaluation, metrics, plots, runs, training
from mbref.baselines import counting
from mbref.data import sequences, worlds
from mbref.data.readers import Log
from mbref.errors import InputError

HMAR_ROWS = {  # row of the table: (model, fields of its Config or of training.Settings that differ from the defaults)
    "BPR-MF": ("bpr_mf", {"rate": "0.01"}),
    "HMAR": ("hmar", {}),
    "without behaviour encoder": ("hmar", {"merge": "bypass"}),
    "without indicators": ("hmar", {"indicator": "false"}),
    "without multi-task loss": ("hmar", {"theta": "0"}),
    "theta 0.2": ("hmar", {"theta": "0.2"}),
    "theta 0.5": ("hmar", {"theta": "0.5"}),
    "theta 1": ("hmar", {"theta": "1"}),
}
THETAS = {0: "without multi-task loss", 0.1: "HMAR", 0.2: "theta 0.2", 0.5: "theta 0.5", 1: "theta 1"}
PAPERS = {"hmar": HMAR_ROWS}


class Problem(NamedTuple):
    """The same cases and negatives for every row."""

    log: Log
    task: runs.Task
    split: sequences.Split
    negatives: dict     # {name: sets of [S, m]}


class Job(NamedTuple):
    """One training: a row of the table and a seed."""

    row: str
    model: str
    overrides: dict
    settings: training.Settings


def from_log(task):
    """A Problem from a log file."""
    log, task = runs.open_task(task)
    split = runs.split_of(log, task)
    return Problem(log, task, split, uniform_negatives(split))


def uniform_negatives(split):
    """One set of 99 fixed negatives a test event, the same for every model and seed."""
    return {"99 uniform neg.": [evaluation.fixed_negatives(split.test, split.items, seed=0)]}


def from_split_file(path, drop_target_history=False, candidates="all"):
    """A Problem from a file of fixed training lists, targets and negatives (`sequences.fixed_log`)."""
    log, negatives = sequences.fixed_log(path)
    task = runs.Task(str(path), "split", "buy", drop_target_history, candidates, min_events=1)
    split = runs.split_of(log, task)
    users = split.test.history.user - 1
    named = {name.replace("neg_", "99 ") + " neg.": sets[:, users] for name, sets in negatives.items()}
    return Problem(log, task, split, named)


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ...})."""
    model = runs.MODELS[job.model]
    config = runs.make_config(model, problem.split, problem.log, problem.task, job.overrides)
    split = runs.split_of(problem.log, problem.task, getattr(config, "counts", "running"))
    final, search = training.search_and_refit(
        model, config, job.settings, split, problem.task.candidates, progress=progress)
    score = evaluation.scorer(model, final.params, config)
    curve = [(step, metric) for step, _, metric in search.history]
    return (evaluation.report(score, split.test, split.items, problem.task.candidates, problem.negatives),
            {"steps": final.step, "validation": curve})


def plain_rows(problem):
    """Figures of chance and of everything that only counts.  -> {row: {column: number}}."""
    split, task, negatives = problem.split, problem.task, problem.negatives
    scorers = {"random": lambda history, cases: np.zeros((len(cases), split.items)),  # all tied: exactly chance
               **counting.plain(split.refit, split.items)}
    rule = worlds.scorer_of(task.data, problem.log)
    scorers |= {"the rule behind the log": rule} if rule else {}
    return {name: evaluation.report(score, split.test, split.items, task.candidates, negatives)
            for name, score in scorers.items()}


def jobs_of(paper, seeds, texts, only=()):
    """Every (row, seed) to train. `texts` {field: text} change every row that has the field; a row's own go first.

    Raises InputError for a row or a field that nothing has.
    """
    rows = PAPERS[paper]
    for name in only:
        if name not in rows:
            raise InputError(f"--only {name!r} is no row of this table: choose from {', '.join(rows)}.")
    known = {name for model, _ in rows.values() for name in runs.field_names(model)}
    for name in texts:
        if name not in known:
            raise InputError(f"--set {name}: no model of this table has it; choose from {', '.join(sorted(known))}.")
    jobs = []
    for row in only or rows:
        model, changes = rows[row]
        own = {name: text for name, text in texts.items() if name in runs.field_names(model)}
        overrides, settings = runs.typed_settings({**own, **changes})
        jobs += [Job(row, model, overrides, replace(settings, seed=settings.seed + i)) for i in range(seeds)]
    return jobs


def run_jobs(problem, jobs, processes, report):
    """Train all jobs, `processes` at a time, and call report(job, figures, about) as each is done."""
    if processes == 1:
        for job in jobs:
            report(job, *train_and_report(problem, job))
        return
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # for the workers: one thread each is fastest
    with get_context("spawn").Pool(processes, start_worker) as pool:  # leaving the block ends the workers
        for job, result in zip(jobs, pool.imap(partial(train_and_report, problem), jobs), strict=True):
            report(job, *result)


def start_worker():
    """In each worker: leave Ctrl-C to the parent, and give progress bars a lock that dies with the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(RLock())


def collect(problem, plain, results):
    """Everything as one dict for results.json; results: list of (Job, figures, about)."""
    rows = {name: {"seeds": [figures], "mean": figures, "sd": dict.fromkeys(figures, 0.0)}
            for name, figures in plain.items()}
    for row in dict.fromkeys(job.row for job, _, _ in results):
        runs_of_row = [(job, figures, about) for job, figures, about in results if job.row == row]
        each = {column: metrics.mean_and_spread([figures[column] for _, figures, _ in runs_of_row])
                for column in runs_of_row[0][1]}
        rows[row] = {
            "model": runs_of_row[0][0].model, "overrides": runs_of_row[0][0].overrides,
            "settings": asdict(runs_of_row[0][0].settings), "seeds": [figures for _, figures, _ in runs_of_row],
            "training": [about for _, _, about in runs_of_row],
            "mean": {c: m.mean for c, m in each.items()}, "sd": {c: m.sd for c, m in each.items()},
        }
    test = problem.split.test
    about = dict(**asdict(problem.task), cases=len(test.item), seen=int(test.seen.sum()), items=problem.split.items)
    return {"about": about, "rows": rows}


def columns(negatives):
    """The columns of a table on the screen: full ranking, then each kind of sampled negatives."""
    return [metric + kind for kind in ("", *(f" ({name})" for name in negatives)) for metric in ("HR@10", "NDCG@10")]


def table(results, columns):
    """The rows as text, mean and, where there are several seeds, spread."""
    def cell(row, column):
        spread = f" ± {row['sd'][column]:.3f}" if len(row["seeds"]) > 1 else " " * 8
        return f"{row['mean'][column]:.3f}{spread}"

    lines = [f"{'':28}" + "".join(f"{column:>26}" for column in columns)]
    for name, row in results["rows"].items():
        lines.append(f"{name:28}" + "".join(f"{cell(row, column):>26}" for column in columns))
    return "\n".join(lines)


def save(results, folder):
    """Write results.json whole or not at all."""
    path = Path(folder) / "results.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1))
    os.replace(part, path)
    return path


def figures(results, folder):
    """The PNG figures of a table.  -> paths."""
    folder = Path(folder)
    paths = [plots.rows(results, folder / "table.png")]
    if sum(name in results["rows"] for name in THETAS.values()) > 1:
        paths.append(plots.sweep(results, folder / "theta.png", THETAS, "theta, weight of the class loss"))
    trained = [name for name, row in results["rows"].items() if "model" in row and not name.startswith("theta")]
    return [*paths, plots.learning(results, folder / "learning.png", trained)] if trained else paths
