"""HierSRec's table: the next click, ranked among all items and among those of likely categories.

Source: the abstract of arXiv 2309.06533; what it leaves open is ours. session_figures.py says how
the two rankings are judged, what a two-head scorer is and what the shapes' letters mean.
"""
from dataclasses import asdict, replace

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.errors import require
from mbref.nn import optim
from mbref.tables import rows, session_figures, whole_catalogue
from mbref.tables.kind import Kind, plain_scorers, ready_model

SHOWN = 0.04  # of the items are candidates, the example of the paper's abstract


def from_log(task):
    """A Problem without negatives from a log file. Raises InputError for one without this table."""
    require(task.split != "leave-one-out",
            "this table splits sessions by date: give --split-by session-rec or srgnn.")
    require(task.candidates == "all",
            "a session may click an item again: --candidates unseen is not for this table.")
    log, task, split = runs.open_task(task)
    require(log.category is not None,
            f"{task.data} has no categories, which candidates are chosen by.")
    return whole_catalogue.Problem(log, task, split, {})


def applies(model, config, task, log):
    """Can candidates be chosen by this model's own prediction of the next category?  -> bool."""
    if protocol.optional(model, "score_categories") is None:
        return False
    predicts = protocol.optional(model, "predicts_categories")(config)
    return predicts and task.split != "leave-one-out" and log.category is not None


def split_of(problem, job):
    """The split that a job trains on: the problem's, or one with random vectors as its texts."""
    if job.row != rows.RANDOM_TEXT:
        return problem.split
    return runs.with_text(problem.split, problem.log, "random", job.settings.seed)


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    model, config = ready_model(problem, job)
    if job.row == rows.MATCHED:
        return match_width(model, config, replace(config, hier="soft"))
    return config


def match_width(model, config, wanted):
    """`config` with a larger width, a multiple of heads, and about the parameters of `wanted`."""
    size, wider = count_parameters(model, wanted), config
    while count_parameters(model, wider) < size:
        config, wider = wider, replace(wider, width=wider.width + wider.heads)
    return min(wider, config, key=lambda c: abs(count_parameters(model, c) - size))


def count_parameters(model, config):
    """How many numbers a model learns."""
    params = model.init(np.random.default_rng(0), config)
    return sum(a.size for _, a in optim.leaves(params))


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ...}).

    K is chosen with the model that did not train on the validation sessions.
    """
    model = runs.find_model(job.model, job.overrides)
    config, split = config_of(problem, job), split_of(problem, job)
    final, search = training.search_and_refit(model, config, job.settings, split, progress=progress)
    facts = {"parameters": count_parameters(model, config), "config": asdict(config)}
    figures = report_of(split, problem.log, model, config, search.best, final.params)
    return figures, training.describe(final, search) | facts


def report_of(split, log, model, config, searched, final):
    """Figures of the `final` parameters, as session_figures.report; K is by those of the search."""
    choosing, tested = (two_heads(model, forget_ids(model, params, events, split.items), config)
                        for params, events in ((searched, split.train), (final, split.refit)))
    return session_figures.report(split, log, choosing, tested)


def forget_ids(model, params, events, items):
    """Parameters that know items which `events` do not hold by their category and text alone."""
    known = np.bincount(events.item, minlength=items + 1) > 0  # [N+1]
    return protocol.optional(model, "forget_ids")(params, known)


def plain_rows(problem, at=()):
    """Figures of chance and of all that only counts."""
    split = problem.split
    scorers = plain_scorers(split.refit, split.items)
    return {name: session_figures.report(split, problem.log, *[one_head(score)] * 2)
            for name, score in scorers.items()}


def two_heads(model, params, config):
    """A trained model as a two-head scorer."""
    if protocol.optional(model, "score_categories") is None:
        return one_head(evaluation.item_scorer(model, params, config))

    def score(history, cases):
        batch = model.ranking_batch(history, cases, config)
        return model.score_categories(params, batch, config)

    return score


def one_head(score):
    """A scorer of items as a two-head scorer that predicts no categories."""
    return lambda history, cases: (score(history, cases), None)


def columns(problem, at=()):
    """The columns of a table on the screen: all items, then candidates of about 4%, or the next."""
    reachable = session_figures.reachable(problem.split, problem.log)
    share = min(share for share in reachable if share >= SHOWN)
    names = "MRR@20", "Recall@20", "coverage", "share"
    return ["MRR@20", "Recall@20", *(f"{name} at {share:.0%}" for name in names)]


def figure_columns(problem, at=()):
    """The columns worth a figure."""
    return columns(problem)[:4]


KIND = Kind(from_log, whole_catalogue.describe, config_of, train_and_report, plain_rows,
            whole_catalogue.about, columns, figure_columns)
