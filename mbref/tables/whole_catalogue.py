"""Tables of models that rank held-out events: over the whole catalogue, or by AUC.

AUC is against sampled negatives. Both kinds of table share their problem: a plain log, and the same
cases and negatives for every row.
"""
from dataclasses import asdict, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.data import split_files
from mbref.data.leave_one_out import Split
from mbref.data.log import Log
from mbref.tables.kind import Kind, describe_log, plain_scorers, ready_model


class Problem(NamedTuple):
    """The same cases and negatives for every row."""

    log: Log
    task: runs.Task
    split: Split
    negatives: dict           # {name: sets of [S, m]}
    measure: str = "ranking"  # the full catalogue and sampled negatives; or "AUC": these alone


def open_problem(task, measure="ranking"):
    """A Problem from a log file, or from a split file where the task's format is "split"."""
    if task.format != "split":
        return from_log(task, measure)
    if measure == "AUC":
        return from_event_lists(task.data)
    return from_training_lists(task.data, task.drop_target_history, task.candidates)


def from_log(task, measure="ranking"):
    """A Problem from a log file."""
    return make_problem(*runs.open_task(task), measure)


def make_problem(log, task, split, measure="ranking"):
    """A Problem with negatives drawn from all items."""
    return Problem(log, task, split, uniform_negatives(split, measure), measure)


def uniform_negatives(split, measure="ranking"):
    """A set of 99 negatives a test event, the same for every model and seed; for AUC also one of 1.

    -> {name: sets of [S, m]}.
    """
    def draw(seed, count):
        return [evaluation.negatives_of_cases(split.test, split.items, seed, count)]

    one = {"1 neg.": draw(2, 1)} if measure == "AUC" else {}
    return {**one, "99 uniform neg.": draw(0, 99)}


def from_training_lists(path, drop_target_history=False, candidates="all"):
    """A Problem from a file of fixed training lists, targets and negatives."""
    log, negatives = split_files.read_training_lists(path)
    task = runs.Task(str(path), "split", "buy", drop_target_history, candidates, min_events=1)
    split = runs.split_of(log, task)
    users = split.test.history.user - 1
    of_cases = {name.replace("neg_", "99 ") + " neg.": sets[:, users]
                for name, sets in negatives.items()}
    return Problem(log, task, split, of_cases)


def from_event_lists(path):
    """A Problem from a file of whole event lists with one fixed negative an event."""
    log, negative, of_users = split_files.read_event_lists(path)
    task = runs.Task(str(path), "split", "any", min_events=1)
    split = split_files.with_negatives(runs.split_of(log, task), log, negative)
    users = split.test.history.user - 1
    of_cases = {name: [every[users]] for name, every in of_users.items()}
    return Problem(log, task, split, of_cases, "AUC")


def describe(problem):
    """Sentences on the log, and on test events with fewer negatives than the columns say."""
    few = few_negatives(problem)
    return [*describe_log(problem.log, problem.split), *([f"note: {few}"] if few else [])]


def few_negatives(problem):
    """A sentence on test events with fewer negatives than the columns say, "" if there are none."""
    short = [(one == 0).any(axis=-1)
             for sets in problem.negatives.values() for one in sets]  # each [S]
    few = int(np.any(short, axis=0).sum())
    if few == 0:
        return ""
    return f"for {few:,} test events fewer negatives could be drawn than the columns say"


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    return ready_model(problem, job)[1]


def ready_job(problem, job):
    """-> (model, its Config, the split with the counts that it wants)."""
    model, config = ready_model(problem, job)
    counts = protocol.optional(model, "history_counts")(config)
    if counts == "running" or problem.task.split != "leave-one-out":
        return model, config, problem.split
    return model, config, runs.split_of(problem.log, problem.task, counts)


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ...})."""
    if job.at:
        return report_at(problem, job, progress)
    model, config, split = ready_job(problem, job)
    final, search = training.search_and_refit(
        model, config, job.settings, split, problem.task.candidates, progress=progress)
    figures = report_of(problem, split, model, final.params, config)
    return figures, training.describe(final, search)


def report_at(problem, job, progress=False):
    """As train_and_report, after each number of steps in `job.at`.

    All before the test events is trained on, and nothing is chosen.
    """
    (model, config, split), state, figures = ready_job(problem, job), None, {}
    for step in job.at:
        settings = replace(job.settings, steps=step)
        state = training.fit(model, config, settings, split.refit, state=state, progress=progress)
        found = report_of(problem, split, model, state.params, config)
        figures |= {f"{column} at {step}": value for column, value in found.items()}
    return figures, training.describe(state)


def report_of(problem, split, model, params, config, progress=False):
    """The figures of a trained model on the test events.  -> {column: number}."""
    makers = evaluation.item_scorer, evaluation.candidate_scorer
    return report_scores(problem, split, *(make(model, params, config) for make in makers),
                         progress)


def report_scores(problem, split, score_items, score_candidates, progress=False):
    """The figures of two scorers that say the same, by the problem's measure."""
    if problem.measure == "AUC":
        return report_auc(problem, score_candidates, progress)
    return evaluation.report(score_items, split.test, split.items, problem.task.candidates,
                             problem.negatives, progress=progress)


def report_auc(problem, score, progress=False):
    """AUC of a scorer of given candidates by each set of negatives.  -> {"AUC (1 neg.)": ...}."""
    test = problem.split.test
    return {f"{column} ({name})": value for name, (negatives,) in problem.negatives.items()
            for column, value in evaluation.auc(score, test, negatives, progress=progress).items()}


def plain_rows(problem, at=()):
    """Figures of chance and of all that only counts, the same at every step.

    -> {row: {column: number}}.
    """
    split, found = problem.split, {}
    for row, score in plain_scorers(split.refit, split.items).items():
        figures = report_scores(problem, split, score, evaluation.pick_candidates(score))
        found[row] = {column + step: value for column, value in figures.items()
                      for step in steps_of(at)}
    return found


def steps_of(at):
    """What the columns of each number of steps end in."""
    return [f" at {step}" for step in at] or [""]


def about(problem):
    """What results.json says of the log and its held-out events."""
    test = problem.split.test
    return dict(**asdict(problem.task), cases=len(test.item), seen=int(test.seen.sum()),
                items=problem.split.items)


def columns(problem, at=()):
    """The columns on the screen: full ranking and each kind of sampled negatives, or AUCs."""
    if problem.measure == "AUC":
        return [f"AUC ({name}){step}" for name in problem.negatives for step in steps_of(at)]
    kinds = ("", *(f" ({name})" for name in problem.negatives))
    return [metric + kind + step
            for kind in kinds for metric in ("HR@10", "NDCG@10") for step in steps_of(at)]


def figure_columns(problem, at=()):
    """The columns worth a figure: with the most negatives, at the last number of steps."""
    if problem.measure == "AUC":
        return [columns(problem, at)[-1]]
    return ["NDCG@10" + steps_of(at)[-1]]


RANKING, AUC = (Kind(partial(open_problem, measure=measure), describe, config_of, train_and_report,
                     plain_rows, about, columns, figure_columns) for measure in ("ranking", "AUC"))
