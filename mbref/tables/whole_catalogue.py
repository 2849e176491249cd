"""Tables of models that rank held-out events: over the whole catalogue, or by AUC against sampled negatives.

One of three kinds of table; `modes` (groups of objects) and `gated` (sessions and candidates) are the others. A kind is
a module: `config_of`, `train_and_report`, `plain_rows`, `about`, `columns` and `figure_columns` of its own problem.
"""
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.baselines import counting
from mbref.data import split_files
from mbref.data.leave_one_out import Split
from mbref.data.log import Log
from mbref.worlds import amazon as worlds_amazon, shop as worlds


class Problem(NamedTuple):
    """The same cases and negatives for every row."""

    log: Log
    task: runs.Task
    split: Split
    negatives: dict           # {name: sets of [S, m]}
    measure: str = "ranking"  # the full catalogue and sampled negatives; or "AUC": against sampled negatives


def from_log(task, measure="ranking"):
    """A Problem from a log file."""
    log, task, split = runs.open_task(task)
    return Problem(log, task, split, uniform_negatives(split, measure), measure)


def uniform_negatives(split, measure="ranking"):
    """One set of 99 fixed negatives a test event, the same for every model and seed; for AUC also one of 1."""
    one = {"1 neg.": [evaluation.fixed_negatives(split.test, split.items, seed=2, count=1)]} if measure == "AUC" else {}
    return {**one, "99 uniform neg.": [evaluation.fixed_negatives(split.test, split.items, seed=0)]}


def from_split_file(path, drop_target_history=False, candidates="all"):
    """A Problem from a file of fixed training lists, targets and negatives (`sequences.fixed_log`)."""
    log, negatives = split_files.read_training_lists(path)
    task = runs.Task(str(path), "split", "buy", drop_target_history, candidates, min_events=1)
    split = runs.split_of(log, task)
    users = split.test.history.user - 1
    named = {name.replace("neg_", "99 ") + " neg.": sets[:, users] for name, sets in negatives.items()}
    return Problem(log, task, split, named)


def from_fixed_targets(path):
    """A Problem from a file of whole event lists with one fixed negative an event (`targets.fixed_log`)."""
    log, negative, of_users = split_files.read_event_lists(path)
    task = runs.Task(str(path), "split", "any", min_events=1)
    split = split_files.with_negatives(runs.split_of(log, task), log, negative)
    users = split.test.history.user - 1
    return Problem(log, task, split, {name: [rows[users]] for name, rows in of_users.items()}, "AUC")


def few_negatives(problem):
    """A sentence on test events for which fewer negatives could be drawn than the columns say; "" if there is none."""
    short = [(one == 0).any(axis=-1) for sets in problem.negatives.values() for one in sets]  # each [S]
    few = int(np.any(short, axis=0).sum())
    return f"for {few:,} test events fewer negatives could be drawn than the columns say" if few else ""


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    model = runs.find_model(job.model, job.overrides)
    return runs.make_config(model, problem.split, problem.log, problem.task, job.overrides)


def ready(problem, job):
    """-> (model, its config, the split with the counts it wants)."""
    model, config = runs.find_model(job.model, job.overrides), config_of(problem, job)
    counts = protocol.optional(model, "history_counts")(config)
    if counts == "running" or problem.task.split != "leave-one-out":
        return model, config, problem.split
    return model, config, runs.split_of(problem.log, problem.task, counts)


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ...})."""
    if job.at:
        return report_at(problem, job, progress)
    model, config, split = ready(problem, job)
    final, search = training.search_and_refit(
        model, config, job.settings, split, problem.task.candidates, progress=progress)
    curve = [(step, metric) for step, _, metric in search.history]
    return report_of(problem, split, model, final.params, config), {"steps": final.step, "validation": curve}


def report_at(problem, job, progress=False):
    """As train_and_report, after each number of steps in `job.at`: all before the test events is trained on, and
    nothing is chosen."""
    (model, config, split), state, figures = ready(problem, job), None, {}
    for step in job.at:
        state = training.fit(model, config, replace(job.settings, steps=step), split.refit, state=state,
                             progress=progress)
        found = report_of(problem, split, model, state.params, config)
        figures |= {f"{column} at {step}": value for column, value in found.items()}
    return figures, {"steps": state.step, "validation": []}


def report_of(problem, split, model, params, config, progress=False):
    """The figures of a trained model on the test events.  -> {column: number}."""
    if problem.measure == "AUC":
        return auc_of(problem, evaluation.candidate_scorer(model, params, config), progress)
    return evaluation.report(evaluation.item_scorer(model, params, config), split.test, split.items,
                             problem.task.candidates, problem.negatives, progress=progress)


def auc_of(problem, score, progress=False):
    """AUC of a scorer of given candidates, for each kind of negatives.  -> {"AUC (1 neg.)": ...}."""
    return {f"{column} ({name})": value for name, (negatives,) in problem.negatives.items()
            for column, value in evaluation.auc(score, problem.split.test, negatives, progress=progress).items()}


def plain_rows(problem, at=()):
    """Figures of chance and of everything that only counts.  -> {row: {column: number}}."""
    split, task, negatives = problem.split, problem.task, problem.negatives
    scorers = {"random": lambda history, cases: np.zeros((len(cases), split.items)),  # all tied: exactly chance
               **counting.plain(split.refit, split.items)}
    rule = worlds.scorer_of(task.data, problem.log) or worlds_amazon.scorer_of(task.data, problem.log)
    scorers |= {"the rule behind the log": rule} if rule else {}
    def figures(score):
        if problem.measure == "AUC":
            return auc_of(problem, evaluation.pick_candidates(score))
        return evaluation.report(score, split.test, split.items, task.candidates, negatives)

    return {name: {column + step: value for column, value in figures(score).items() for step in steps_of(at)}
            for name, score in scorers.items()}


def steps_of(at):
    """What the columns of each number of steps end in."""
    return [f" at {step}" for step in at] or [""]


def about(problem):
    """What results.json says of the log and its held-out events."""
    test = problem.split.test
    return dict(**asdict(problem.task), cases=len(test.item), seen=int(test.seen.sum()), items=problem.split.items)


def columns(problem, at=()):
    """The columns of a table on the screen: full ranking and each kind of sampled negatives, or AUCs."""
    if problem.measure == "AUC":
        return [f"AUC ({name}){step}" for name in problem.negatives for step in steps_of(at)]
    kinds = ("", *(f" ({name})" for name in problem.negatives))
    return [metric + kind + step for kind in kinds for metric in ("HR@10", "NDCG@10") for step in steps_of(at)]


def figure_columns(problem, at=()):
    """The columns worth a figure: with the most negatives, at the last number of steps."""
    return [columns(problem, at)[-1]] if problem.measure == "AUC" else ["NDCG@10" + steps_of(at)[-1]]
