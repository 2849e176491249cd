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
        return make_problem(*runs.open_task(task), measure)
    task = replace(task, min_events=1)
    if measure == "AUC":
        task = replace(task, drop_target_history=False)  # every event has its negative
        log, negative, of_users = split_files.read_event_lists(task.data)
        split = split_files.with_negatives(runs.split_of(log, task), log, negative)
        of_users = {name: one[None] for name, one in of_users.items()}
    else:
        log, of_users = split_files.read_training_lists(task.data)
        split = runs.split_of(log, task)
        of_users = {f"{name.replace('neg_', '99 ')} neg.": sets for name, sets in of_users.items()}
    users = split.test.history.user - 1
    negatives = {name: sets[:, users] for name, sets in of_users.items()}
    return Problem(log, task, split, negatives, measure)


def make_problem(log, task, split, measure="ranking"):
    """A Problem with negatives drawn from all items: 99 a case, for AUC also 1."""
    draws = {"1 neg.": (2, 1)} if measure == "AUC" else {}
    negatives = {name: [evaluation.negatives_of_cases(split.test, split.items, seed, count)]
                 for name, (seed, count) in {**draws, "99 uniform neg.": (0, 99)}.items()}
    return Problem(log, task, split, negatives, measure)


def describe(problem):
    """Sentences on the log, and on test events with fewer negatives than the columns say."""
    return describe_log(problem.log, problem.split) + few_negatives(problem)


def few_negatives(problem):
    """A sentence on test events with fewer negatives than the columns say, if there are any."""
    short = [(one == 0).any(axis=-1)
             for sets in problem.negatives.values() for one in sets]  # each [S]
    few = int(np.any(short, axis=0).sum())
    says = f"note: for {few:,} test events fewer negatives could be drawn than the columns say"
    return [says] if few else []


def ready_job(problem, job):
    """-> (model, its Config, the split with the counts that it wants)."""
    model, config = ready_model(problem, job)
    counts = protocol.optional(model, "history_counts")(config)
    if counts == "running" or problem.task.split != "leave-one-out":
        return model, config, problem.split
    return model, config, runs.split_of(problem.log, problem.task, counts)


def train_and_report(problem, job):
    """One row's figures for one seed.  -> ({column: number}, facts of the training)."""
    model, config, split = ready_job(problem, job)
    final, search = training.search_and_refit(
        model, config, job.settings, split, problem.task.candidates, progress=False)
    figures = report_of(problem, split, model, final.params, config)
    return figures, training.describe(final, search)


def report_of(problem, split, model, params, config, each=map):
    """The figures of a trained model on the test events.  -> {column: number}."""
    makers = evaluation.item_scorer, evaluation.candidate_scorer
    scorers = [make(model, params, config) for make in makers]
    return report_scores(problem, split, *scorers, each)


def report_scores(problem, split, score_items, score_candidates, each=map):
    """The figures of two scorers that say the same, by the problem's measure."""
    if problem.measure == "AUC":
        return {f"{column} ({name})": value for name, (one,) in problem.negatives.items()
                for column, value in evaluation.auc(
                    score_candidates, split.test, one, each=each).items()}
    return evaluation.report(score_items, split.test, split.items, problem.task.candidates,
                             problem.negatives, each=each)


def plain_rows(problem, each=map):
    """Figures of chance and of all that only counts.  -> {row: {column: number}}."""
    split = problem.split
    return {row: report_scores(problem, split, score, evaluation.pick_candidates(score), each)
            for row, score in plain_scorers(split.refit, split.items).items()}


def about(problem):
    """What results.json says of the log and its held-out events."""
    test = problem.split.test
    return dict(**asdict(problem.task), cases=len(test.item), seen=int(test.seen.sum()),
                items=problem.split.items)


def columns(problem):
    """The columns on the screen: full ranking and each kind of sampled negatives, or AUCs."""
    kinds = [f" ({name})" for name in problem.negatives]
    names = ["AUC"] if problem.measure == "AUC" else ["HR@10", "NDCG@10"]
    kinds = kinds if problem.measure == "AUC" else ["", *kinds]
    return [name + kind for kind in kinds for name in names]


def figure_columns(problem):
    """The columns worth a figure; of AUCs that with the most negatives."""
    return columns(problem)[-1:] if problem.measure == "AUC" else ["NDCG@10"]


RANKING, AUC = (Kind(partial(open_problem, measure=measure), describe, ready_model,
                     train_and_report, plain_rows, about, columns, figure_columns)
                for measure in ("ranking", "AUC"))
