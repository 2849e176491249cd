"""python -m mbref reproduce --real DIR: the models on small public logs, beside plain baselines.

Each model's settings and steps are chosen on validation events, with one seed, then it is trained
with every seed. Below a table stands how far each model's NDCG@10 is from that of the best plain
baseline, paired over cases.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from mbref import evaluation, metrics, training
from mbref.tables import commands, mechanisms, reproduce, rows, sweep, whole_catalogue
from mbref.tables.jobs import open_pool, train_all
from mbref.tables.kind import plain_scorers


def run_real(options):
    """`reproduce --real`: a table a log, and results.json."""
    reproduce.refuse(options, ("data", "split", "format", "target", "paper", "quick"),
                     "--real has logs and models of its own")
    reproduce.require_one_of(options.only, mechanisms.OTHERS, "row of these tables")
    tasks = [commands.make_task(options, str(Path(options.real) / log.path), log.format,
                                log.target, "leave-one-out") for log in rows.REAL]
    problems = [whole_catalogue.open_problem(replace(task, candidates=log.candidates))
                for task, log in zip(tasks, rows.REAL, strict=True)]
    folder, found = reproduce.open_folder(options.out or Path("out") / "real"), {}
    with open_pool(options.jobs, options.scheduler) as pool:
        for log, problem in zip(rows.REAL, problems, strict=True):
            found[log.name] = table = compare(options, log, problem, pool, folder)
            print(f"\n{log.name}: {table['about']['seen share']:.0%} of the targets met before")
            print(reproduce.table(table, table["about"]["columns"]))
            print(*table["about"]["intervals"], *log.notes, sep="\n")
    print(f"wrote {reproduce.save(found, folder)}")


def compare(options, log, problem, pool, folder):
    """The table of one log, as reproduce.collect has it."""
    split = problem.split
    plain = {row: rank(problem, score)
             for row, score in plain_scorers(split.refit, split.items).items()}
    best = max(plain, key=lambda row: np.mean(plain[row]))
    models = [row for row in log.models if not options.only or row in options.only]
    trained = [result for row in models for result in train_best(
        options, problem, row, log.settings.get(row, {}), pool, folder)]
    about = whole_catalogue.about(problem) | {
        "columns": whole_catalogue.columns(problem), "seen share": float(split.test.seen.mean()),
        "intervals": [f"{row}: {difference(trained, row, plain[best])} NDCG@10 against {best}, "
                      "95% paired" for row in models]}
    return reproduce.collect(about, whole_catalogue.plain_rows(problem), trained)


def difference(trained, row, plain):
    """How far a row is from a plain baseline, mean over seeds, as text with its interval."""
    cases = [facts["cases"] for job, _, facts in trained if job.row == row]
    gap = metrics.bootstrap_of_seeds(cases, [plain], np.random.default_rng(0))
    return mechanisms.interval(dict(difference=gap.mean, low=gap.low, high=gap.high))


def train_best(options, problem, row, settings, pool, folder):
    """Choose a model's settings on validation with one seed, then train it with all of them."""
    model, fields = mechanisms.OTHERS[row]
    texts = fields | rows.REAL_SETTINGS | settings | commands.overrides_of(options)
    several = [sweep.jobs_of(model, texts, point, 1) for point in sweep.grid_of(rows.REAL_GRID)]
    (best,), searched = sweep.choose(problem, several, pool, folder)
    curve, = (facts["validation"] for job, _, facts in searched if job == best)
    steps, _ = max(curve, key=lambda validation: validation[1])
    best = best._replace(row=row, settings=replace(best.settings, steps=steps))
    jobs = reproduce.of_seeds(best, options.seeds or 3)
    return train_all(train_and_rank, problem, jobs, pool, folder)


def train_and_rank(problem, job):
    """Train on all before the test events.  -> (figures, facts with NDCG@10 of every case)."""
    model, config, split = whole_catalogue.ready_job(problem, job)
    final = training.fit(model, config, job.settings, split.refit, progress=False)
    figures = whole_catalogue.report_of(problem, split, model, final.params, config)
    score = evaluation.item_scorer(model, final.params, config)
    cases = rank(problem._replace(split=split), score)
    return figures, training.describe(final) | {"cases": cases.tolist()}


def rank(problem, score):
    """NDCG@10 of each test case among all candidates.  -> [S]."""
    split = problem.split
    places, = evaluation.count_rivals(score, split.test, split.items, problem.task.candidates)
    return metrics.ndcg(*places, 10)
