"""HierSRec's table: what follows in a session, ranked among all items and among those of the likely categories alone.

Source: the abstract of arXiv 2309.06533; what it leaves open is ours. A target outside the candidates is a miss that
stays in the denominator, K is chosen on validation sessions, and full and gated figures come from the same scores.
A `scorer` here is (history, cases) -> scores [B, N] and log p of the next category [B, C], or None without that head.

Shapes: S cases, B of them in a batch, N items, C categories with class 0 = unknown.
"""
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.baselines import counting
from mbref.data.leave_one_out import Split
from mbref.data.log import Log
from mbref.errors import require
from mbref.nn import optim
from mbref.tables import rows, session_figures as gated_figures, whole_catalogue as ranked
from mbref.tables.kind import Kind, describe_log, ready_model
from mbref.worlds import sessions as worlds_sessions

SHOWN = 0.04  # of the items that are candidates, the example of the paper's abstract


class SessionProblem(NamedTuple):
    """The same cases for every row."""

    log: Log
    task: runs.Task
    split: Split


def from_log(task):
    """A SessionProblem from a log file. Raises InputError for one that this table cannot be made of."""
    require(task.split != "leave-one-out", "this table splits sessions by date: give --split-by session-rec or srgnn.")
    require(task.candidates == "all", "a session may click an item again: --candidates unseen is not for this table.")
    log, task, split = runs.open_task(task)
    require(log.category is not None, f"{task.data} has no categories, which candidates are chosen by.")
    return SessionProblem(log, task, split)


def applies(model, config, task, log):
    """Can candidates be chosen by this model's own prediction of the next category?  -> bool."""
    if protocol.optional(model, "score_categories") is None:
        return False
    predicts = protocol.optional(model, "predicts_categories")(config)
    return predicts and task.split != "leave-one-out" and log.category is not None


# One row of the table.

def split_of(problem, job):
    """The split that a job trains on: the problem's own, or with random vectors of its seed in place of texts."""
    if job.row != rows.RANDOM_TEXT:
        return problem.split
    return runs.with_text(problem.split, problem.log, "random", job.settings.seed)


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    model, config = ready_model(problem, job)
    return match_width(model, config, replace(config, hier="soft")) if job.row == rows.MATCHED else config


def match_width(model, config, wanted):
    """`config` with a larger width, a multiple of its heads, with about as many parameters as `wanted`."""
    size, wider = parameters(model, wanted), config
    while parameters(model, wider) < size:
        config, wider = wider, replace(wider, width=wider.width + wider.heads)
    return min(wider, config, key=lambda c: abs(parameters(model, c) - size))


def parameters(model, config):
    """How many numbers a model learns."""
    return sum(a.size for _, a in optim.leaves(model.init(np.random.default_rng(0), config), ""))


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ..., ...}).

    K is chosen with the model that did not train on the validation sessions.
    """
    model = runs.find_model(job.model, job.overrides)
    config, split = config_of(problem, job), split_of(problem, job)
    final, search = training.search_and_refit(model, config, job.settings, split, progress=progress)
    facts = {"parameters": parameters(model, config), "config": asdict(config)}
    figures = report_of(split, problem.log, model, config, search.best, final.params)
    return figures, training.describe(final, search) | facts


def report_of(split, log, model, config, searched, final):
    """The figures of a trained model: `final` parameters on the test cases, K by those of the search.  -> as `report`.
    """
    chosen, tested = (scorer(model, forget_ids(model, params, events, split.items), config)
                      for params, events in ((searched, split.train), (final, split.refit)))
    return gated_figures.report(split, log, chosen, tested)


def forget_ids(model, params, events, items):
    """Parameters that know items which `events` do not hold by their category and text alone."""
    known = np.bincount(events.item, minlength=items + 1) > 0  # [N+1]
    return protocol.optional(model, "forget_ids")(params, known)


def plain_rows(problem, at=()):
    """Full figures of chance and of everything that only counts; the log's rule with its own gate."""
    split, index = problem.split, gated_figures.index_of(problem.split, problem.log)
    plain = {"random": lambda history, cases: np.zeros((len(cases), split.items)),
             **counting.plain(split.refit, split.items)}
    scorers = {name: without_head(score) for name, score in plain.items()}
    rule = worlds_sessions.scorer_of(problem.task.data, problem.log)
    scorers |= {rows.RULE: with_sums(rule, index)} if rule else {}
    return {name: gated_figures.report(split, problem.log, score, score) for name, score in scorers.items()}


def scorer(model, params, config):
    """A trained model as a scorer of items and, where it has that head, of categories."""
    if protocol.optional(model, "score_categories") is None:
        return without_head(evaluation.item_scorer(model, params, config))

    def score(history, cases):
        batch = model.ranking_batch(history, cases, config)
        return model.score_categories(params, batch, config)

    return score


def without_head(score):
    """A scorer of items as one that knows nothing of categories."""
    return lambda history, cases: (score(history, cases), None)


def with_sums(score, index):
    """A scorer of probabilities [B, N] of items as one that sums them for every category."""
    def both(history, cases):
        p = score(history, cases)
        with np.errstate(divide="ignore"):  # a category without items has probability 0
            return p, np.log(gated_figures.by_category(p, index))

    return both


def columns(problem, at=()):
    """The columns of a table on the screen: all items, then candidates of about 4%, or what is next in reach."""
    share = min(share for share in gated_figures.reachable(problem.split, problem.log) if share >= SHOWN)
    return ["MRR@20", "Recall@20", *(f"{name} at {share:.0%}" for name in ("MRR@20", "Recall@20", "coverage", "share"))]


def figure_columns(problem, at=()):
    """The columns worth a figure."""
    return columns(problem)[:4]


def describe(problem):
    """Sentences on the log: what the reader noticed, what there is to learn from."""
    return describe_log(problem.log, problem.split)


KIND = Kind(from_log, describe, config_of, train_and_report, plain_rows, ranked.about, columns,
            figure_columns)
