"""A paper's table: the model, its ablations and the plain baselines on the same held-out events, several seeds."""
import json
import os
import signal
from dataclasses import asdict, replace
from functools import partial
from math import isfinite
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile
from threading import RLock
from typing import NamedTuple

from tqdm import tqdm

from mbref import metrics, runs, training
from mbref.errors import InputError
from mbref.tables import (
    groups as modes,
    plots,
    published,
    session_figures as gated_figures,
    sessions as gated,
    whole_catalogue as ranked,
)

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
AUC = {"validate": "AUC"}
DMRAN_ROWS = {
    "BPR-MF": ("bpr_mf", {**AUC, "rate": "0.01"}),
    "SASRec": ("sasrec", AUC),
    "Bi-LSTM": ("bilstm", {}),
    "Bi-LSTM+Attention": ("bilstm", {"attention": "true"}),
    "CNN+Pooling": ("cnn", {}),
    "ATRank": ("atrank", {}),
    "ATRank, released": ("atrank_released", {}),
    "DMRAN_No_Time": ("dmran", {"time": "false"}),
    "DMRAN_Item": ("dmran", {"variant": "item"}),
    "DMRAN_Feature": ("dmran", {"variant": "feature"}),
    "DMRAN": ("dmran", {}),
    "DMRAN, robust": ("dmran", {"robust": "true"}),
    **{f"r = {r}": ("dmran", {"hops": str(r)}) for r in (2, 5, 8, 15, 20)},
    **{f"lambda_3 = {x}": ("dmran", {"redundancy": x}) for x in ("0", "0.01", "1")},
}
HOPS = {r: "DMRAN" if r == 10 else f"r = {r}" for r in (2, 5, 8, 10, 15, 20)}
REDUNDANCIES = {0: "lambda_3 = 0", 1e-4: "DMRAN", 1e-2: "lambda_3 = 0.01", 1: "lambda_3 = 1"}


SWEEPS = (  # file name, field of the Config, {value: row}, label
    ("theta", "theta", THETAS, "theta, weight of the class loss"),
    ("hops", "hops", HOPS, "r, number of hops"),
    ("redundancy", "redundancy", REDUNDANCIES, "lambda_3, weight of the redundancy penalty"),
    ("lambda", "category_weight", gated.LAMBDAS, "lambda, weight of the category loss"),
)


class Paper(NamedTuple):
    """What `reproduce` trains for a paper, and what the paper says."""

    rows: dict
    measure: str = ""      # of ranked.Problem
    published: dict = {}   # {row: {column: number}}


PAPERS = {
    "atrank": Paper(modes.ROWS),
    "hiersrec": Paper(gated.ROWS),
    "hmar": Paper(HMAR_ROWS, "ranking"),
    "dmran": Paper(DMRAN_ROWS, "AUC", {
        **{row: {"paper: Electronics": e, "paper: Clothing": c} for row, (e, c) in published.DMRAN_TABLE_2.items()},
        **{HOPS[r]: {"paper: Electronics": auc} for r, auc in published.DMRAN_HOPS.items() if r != 10},
    }),
}
KINDS = {ranked.Problem: ranked, modes.GroupProblem: modes, gated.SessionProblem: gated}  # a module a kind of table


class Job(NamedTuple):
    """One training: a row of the table and a seed."""

    row: str
    model: str
    overrides: dict
    settings: training.Settings
    at: tuple[int, ...] = ()    # report after these numbers of steps, without validation


def kind_of(problem):
    """The module that knows how to train and report on this kind of problem."""
    return KINDS[type(problem)]


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ...})."""
    return kind_of(problem).train_and_report(problem, job, progress)


def jobs_of(paper, seeds, texts, only=(), at=()):
    """Every (row, seed) to train. `texts` {field: text} change every row that has the field; a row's own go first.

    Raises InputError for a row or a field that nothing has.
    """
    rows = PAPERS[paper].rows
    for name in only:
        if name not in rows:
            raise InputError(f"--only {name!r} is no row of this table: choose from {', '.join(rows)}.")
    known = {name for model, _ in rows.values() for name in runs.field_names(model)}
    for name in texts:
        if name not in known:
            raise InputError(f"--set {name}: no model of this table has it; choose from {', '.join(sorted(known))}.")
    jobs = []
    for row in dict.fromkeys(only) or rows:
        model, changes = rows[row]
        own = {name: text for name, text in texts.items() if name in runs.field_names(model)}
        overrides, settings = runs.typed_settings(model, {**own, **changes})
        settings = replace(settings, steps=at[-1]) if at else settings
        jobs += [Job(row, model, overrides, replace(settings, seed=settings.seed + i), at) for i in range(seeds)]
    return jobs


def run_jobs(problem, jobs, processes, report):
    """Train all jobs, `processes` at a time, and call report(job, figures, about) as each is done."""
    if processes == 1:
        for job in jobs:
            report(job, *train_and_report(problem, job))
        return
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # for the workers: one thread each is fastest
    with get_context("spawn").Pool(min(processes, len(jobs)), start_worker) as pool:  # leaving it ends the workers
        for job, result in zip(jobs, pool.imap(partial(train_and_report, problem), jobs), strict=True):
            report(job, *result)


def start_worker():
    """In each worker: leave Ctrl-C to the parent, and give progress bars a lock that dies with the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(RLock())


def collect(problem, plain, results, published=()):
    """Everything as one dict for results.json.

    plain {row: figures}; results: list of (Job, figures, about); published {row: {column: number}} of the paper.
    """
    published = dict(published)
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
        rows[row] |= {"published": published[row]} if row in published else {}
    return {"about": kind_of(problem).about(problem), "rows": rows}


def table(results, columns):
    """The rows as text, mean and, where there are several seeds, spread; last what the paper printed, if anything."""
    def cell(row, column):
        if column not in row["mean"]:
            number = row.get("published", {}).get(column)
            return f"{number:.4f}" if number is not None else ""
        spread = f" ± {row['sd'][column]:.3f}" if len(row["seeds"]) > 1 else " " * 8
        return f"{row['mean'][column]:.3f}{spread}"

    printed = dict.fromkeys(column for row in results["rows"].values() for column in row.get("published", {}))
    columns = [*columns, *printed]
    lines = [f"{'':28}" + "".join(f"{column:>26}" for column in columns)]
    for name, row in results["rows"].items():
        lines.append(f"{name:28}" + "".join(f"{cell(row, column):>26}" for column in columns).rstrip())
    lines += ["paper: AUC as the paper printed it, on Amazon data: other data than this."] if printed else []
    return "\n".join(lines)


def open_folder(folder):
    """The folder for results, made and tried out, for it would be late to fail after all trainings.  -> Path.

    Raises InputError if nothing can be written there.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder} ({error.strerror}): give another --out.") from error


def save(results, folder):
    """Write results.json whole or not at all; what has no value is null. Raises InputError if it cannot be written."""
    from mbref import plots  # as in `figures`

    path = Path(folder) / "results.json"
    plots.written(path, lambda part: part.write_text(json.dumps(defined(results), indent=1, allow_nan=False)))
    return path


def defined(value):
    """The same with None for nan, which JSON does not know."""
    if isinstance(value, dict):
        return {name: defined(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [defined(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def figures(results, folder, columns):
    """PNG figures: `columns` of every row, sweeps of the first column, and validation while training.  -> paths."""

    folder, rows = Path(folder), results["rows"]
    paths = [plots.rows(results, folder / "table.png", columns)]
    for name, field, standard, label in SWEEPS:
        values = {float(rows[row]["overrides"].get(field, value)): row  # --set may have changed that of the model's row
                  for value, row in standard.items() if row in rows}
        if len(values) > 1:
            paths.append(plots.sweep(results, folder / f"{name}.png", dict(sorted(values.items())), label, columns[0]))
    # other tables have a row of this name, too, without such figures
    gate = [name for name in gated.CURVES if name in rows and "coverage at 100%" in rows[name]["mean"]]
    if gate:
        paths.append(plots.shares(results, folder / "shares.png", gate, gated_figures.SHARES))
    swept = {row for *_, values, _ in SWEEPS for row in values.values()} - {"HMAR", "DMRAN", "HierSRec"}
    trained = [name for name, row in rows.items() if name not in swept and row.get("training")
               and row["training"][0]["validation"]]
    return [*paths, plots.learning(results, folder / "learning.png", trained)] if trained else paths
