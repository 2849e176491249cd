"""python -m mbref sweep: settings of a model, compared on validation events alone.

Every combination of the grid is trained with every seed on what precedes the validation events; of
the one with the highest mean the test events are shown, once, and of no other.
"""
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.errors import require
from mbref.tables import commands, reproduce, whole_catalogue
from mbref.tables.jobs import Job, open_pool, train_all


def run_sweep(options):
    """`sweep`: print the table and write results.json."""
    points = grid_of(options.grid)
    validates_by = protocol.validates_by(runs.MODELS[options.model])
    kind = reproduce.KINDS["AUC" if validates_by == "AUC" else "ranking"]
    texts = commands.overrides_of(options)
    both = ", ".join(name for name in points[0] if name in texts)
    require(not both, f"--grid tries several values of {both}: leave out the one given, too.")
    several = [jobs_of(options.model, texts, point, options.seeds) for point in points]
    problem = kind.open(commands.task_of(options))
    require(len(problem.split.validation.item), "there are no validation events to choose by: "
                                                "give a longer log.")
    require_different(several, partial(kind.try_config, problem))
    folder = reproduce.open_folder(options.out or Path("out") / f"sweep_{options.model}")
    print(*kind.describe(problem), sep="\n")
    with open_pool(options.jobs, options.scheduler) as pool:
        best, searched = choose(problem, several, pool, folder)
        tested = train_all(kind.train_and_report, problem, best, pool, folder)
    row = best[0].row
    found = reproduce.collect(kind.about(problem), kind.plain_rows(problem), searched)
    found["rows"][row]["test"] = reproduce.collect_row(tested)
    chosen = found["rows"] | {"chosen": found["rows"][row]["test"]}
    path = reproduce.save(found | {"chosen": row}, folder)
    print(reproduce.table({"rows": chosen}, [validation_column(best[0]), *kind.columns(problem)]))
    print(f"chosen on validation: {row}; wrote {path}")


def grid_of(texts):
    """--grid NAME=VALUE,...  -> every combination, {name: text} each. Raises InputError."""
    require(texts, "--grid is missing: say what to try, such as --grid rate=1e-3,3e-3.")
    values = {}
    for text in texts:
        name, _, several = text.partition("=")
        require(all(several.split(",")),
                f"--grid {text[:80]}: write NAME=VALUE,VALUE, such as --grid rate=1e-3,3e-3.")
        require(name not in values, f"--grid {name} is given twice: put all its values into one.")
        values[name] = several.split(",")
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


def require_different(several, config_of):
    """Raise InputError for a combination that another one equals, or a value that cannot be."""
    found = []
    for job, *_ in several:
        new = config_of(job), job.settings
        same = [row for row, old in found if old == new]
        require(not same, f"--grid: {' and '.join([*same, job.row])} are the same training: "
                          "give every value once.")
        found.append((job.row, new))


def jobs_of(model, texts, point, seeds):
    """One combination of the grid over `texts`: a Job a seed. Raises InputError."""
    overrides, settings = runs.parse_settings(model, texts | point)
    row = ", ".join(f"{name}={text}" for name, text in point.items())
    return reproduce.of_seeds(Job(row, model, overrides, settings), seeds)


def validation_column(job):
    """What the best validation of a training is called in a table."""
    return f"{job.settings.validate}, validation"


def validate(problem, job):
    """Train on what precedes the validation events.  -> ({column: the best}, facts).

    The best of a training that diverges is nan, and "diverged" of its facts says why.
    """
    model, config, split = whole_catalogue.ready_job(problem, job)
    measure = evaluation.validation(model, config, split, problem.task.candidates,
                                    job.settings.validate, job.settings.validation_cases)
    try:
        state = training.fit(model, config, job.settings, split.train,
                             measure, progress=False)
    except training.Diverged as error:
        return {validation_column(job): np.nan}, {"diverged": str(error), "validation": []}
    best = max(metric for _, _, metric in state.validations)
    return {validation_column(job): best}, training.describe(state, state)


def choose(problem, several, pool, folder):
    """-> (of lists of jobs over seeds the best on validation, all (Job, figures, facts))."""
    every = [job._replace(row=f"search: {job.row}") for jobs in several for job in jobs]
    found = train_all(validate, problem, every, pool, folder)
    figures = [figure for _, row, _ in found for figure in row.values()]
    means = np.reshape(figures, (len(several), -1)).mean(axis=1)  # nan if one seed diverges
    reasons = [facts["diverged"] for *_, facts in found if "diverged" in facts]
    require(not np.isnan(means).all(),
            f"no combination of --grid is left, each diverges: {'; '.join(reasons[:1])}")
    best = np.nanargmax(means)
    return several[best], [(job._replace(row=job.row.removeprefix("search: ")), *result)
                           for job, *result in found]
