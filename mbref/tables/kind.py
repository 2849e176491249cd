"""What a kind of table is: the functions by which `reproduce` asks for all that differs.

A problem is what all rows of a table share: the log, its held-out events and their negatives. A job
is one training, a jobs.Job.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mbref import runs
from mbref.baselines import counting


class Kind(NamedTuple):
    """The functions of one kind of table; each file of a kind ends in its own."""
    open: Callable              # (runs.Task) -> problem; raises InputError for an unfit log
    describe: Callable          # (problem) -> sentences on the log, to print before training
    try_config: Callable        # (problem, job); raises InputError for a value of --set
    train_and_report: Callable  # (problem, job) -> ({column: number}, facts of the training)
    plain_rows: Callable        # (problem) -> {row: {column: number}} of all that only counts
    about: Callable             # (problem) -> what results.json says of the log
    columns: Callable           # (problem) -> columns of the table on the screen
    figure_columns: Callable    # (problem) -> columns worth a figure; of a sweep the first


def describe_log(log, split):
    """What the reader noticed, and what there is to learn from.  -> sentences."""
    return [*(f"note: {note}" for note in log.notes),
            f"{len(log.user):,} events, {split.users:,} users, {split.items:,} items, "
            f"behaviours {', '.join(log.behaviours)}; held out: {len(split.validation.item):,} "
            f"validation and {len(split.test.item):,} test events "
            f"({split.test.seen.mean():.0%} of the test items met before)"]


def plain_scorers(events, items):
    """Scorers of all items: chance, and all that only counts in the events.  -> {row: scorer}."""
    return {"random": lambda history, cases: np.zeros((len(cases), items)),  # all tied
            **counting.plain(events, items)}


def ready_model(problem, job):
    """-> (model, its Config) of a job on one plain log. Raises InputError for a bad value."""
    model = runs.find_model(job.model, job.overrides)
    return model, runs.make_config(model, problem.split, problem.log, problem.task, job.overrides)
