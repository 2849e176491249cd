"""One training on a world with a known best answer: from the world's files to figures per case.

A case is a next target item after a past that was held out of training. Its figure is the mean of
the world's measure over all next items, each as often as it comes (worlds.known.expected), so that
no chance of a drawn target blurs it, and the same of the true distribution is the ceiling. The
number of steps is chosen on validation cases, by the items that came, as on any log.
"""
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from mbref import evaluation, protocol, runs, training
from mbref.data import group_events
from mbref.data.groups import read_groups
from mbref.errors import require
from mbref.tables import groups, sessions
from mbref.tables.kind import plain_scorers
from mbref.worlds import aisles, commands, dims, known

ITEM, SHARE_COLD = 0, 0.2
MEASURE = {"last": "NDCG@10", "counts": "NDCG@10", "kinds": "AUC", "hints": "AUC", "stamp": "AUC",
           "hops": "AUC", "dims": "AUC", "aisles": "MRR@20"}
MATCHED = "matched"  # a width, as of sessions.match_width
PLAIN = "plain baselines"  # in the place of a model


class Cell(NamedTuple):
    """One training."""

    world: str
    signal: str
    model: str
    fields: tuple          # pairs (field, text): what differs from the model's own settings
    seed: int = 0
    cold: bool = False     # rank items that training never saw, among themselves
    read: str = "a2i"      # of a log of groups: as tables.groups.groups_of
    users: int | None = None  # None: all of the world's


class Ground(NamedTuple):
    """What all trainings on one world share: S test cases, N items."""

    log: object
    task: object           # runs.Task, None for a log of groups
    split: object          # leave_one_out.Split or group_events.GroupSplit
    cases: np.ndarray      # [S] numbers of the cases; in a log of groups rows
    user: np.ndarray       # [S] whose case it is: users or sessions, the unit of resampling
    p: np.ndarray          # [S, N] the true distribution
    allowed: np.ndarray    # [S, N] the candidates
    best: np.ndarray       # [S, N] what can be known: p, of cold items without their popularity
    blind: np.ndarray | None = None  # [S, N] the best that the ablation can know, where we know it


@cache
def open_ground(name, signal, cold=False, users=None):
    """Write a world's files, read them as any log, split them.  -> Ground."""
    world = commands.WORLDS[name]
    with TemporaryDirectory() as folder:
        paths = commands.write(Path(folder), known.make(world, signal, users))
        if world.FORMAT == "groups":
            return open_groups(world, signal, read_groups(paths[0]))
        split_by = "session-rec" if name == "aisles" else "leave-one-out"
        task = runs.Task(str(paths[0]), world.FORMAT, world.TARGET, split=split_by, days=3,
                         min_support=1, cold=SHARE_COLD if cold else 0.0)
        return open_plain(world, signal, *runs.open_task(task))


def open_groups(world, signal, log):
    """A Ground of a log of groups; the cases are the test rows of items."""
    split = group_events.split(log)
    cases = split.test[log.group[split.test] == ITEM]
    p = known.best_of(world, signal, known.pasts_of_rows(log, cases))
    return Ground(log, None, split, cases, log.user[cases], p, np.ones(p.shape, bool), p)


def open_plain(world, signal, log, task, split):
    """A Ground of items alone; candidates are all, those the user does not have, or cold ones."""
    history = split.test.history
    cases = np.arange(len(split.test.item))
    pasts = known.pasts_of(history, cases)
    p = known.best_of(world, signal, pasts)
    require(p.shape[1] == split.items, f"some item of {world.__name__} never occurs: more users.")
    allowed, best = np.ones(p.shape, bool), p
    if world.FORMAT in ("rechorus", "taobao"):  # nothing is bought twice
        allowed = evaluation.unseen(history, cases, split.items) & (p.max(axis=0) > 0)
    if task.cold:
        allowed &= ~knows(split.train, split.items)[1:]
        best = np.array([aisles.chances(past, signal, aisles.EVEN)[1:] for past in pasts])
    blind = np.array([dims.blind(past, signal)[1:] for past in pasts]) if world is dims else None
    return Ground(log, task, split, cases, history.user, p, allowed, best, blind)


def knows(events, items):
    """Which items these events hold.  -> [N + 1]."""
    return np.bincount(events.item, minlength=items + 1) > 0


# Training.

def train(cell):
    """Train a cell and score its test cases.

    -> {"users": figures [U]; means of the "ceiling", of "chance" and of the "bound" for what the
    ablation can know, or None; "steps"; "validation": curve; "coverage" as of `cover`, or None, and
    its beginning, "gate"}; of cells of PLAIN what count_plainly says
    """
    ground = open_ground(cell.world, cell.signal, cell.cold, cell.users)
    if cell.model in (PLAIN,):  # no model that could be asked
        return count_plainly(ground, MEASURE[cell.world])
    fields = {"validate": MEASURE[cell.world], "patience": "0", "seed": str(cell.seed),
              **dict(cell.fields)}
    matched = fields.get("width") == MATCHED and fields.pop("width")
    overrides, settings = runs.parse_settings(cell.model, fields)
    model = runs.find_model(cell.model, overrides)
    fit = fit_groups if ground.task is None else partial(fit_plain, matched=bool(matched))
    state, scores, coverage = fit(ground, cell, model, overrides, settings)
    figures, ceiling, chance, bound = (
        None if guess is None else mean_by_user(ground, known.expected(
            guess, ground.p, MEASURE[cell.world], ground.allowed))
        for guess in (scores, ground.best, 0 * scores, ground.blind))
    return {"users": figures.tolist(), "ceiling": ceiling.mean(), "chance": chance.mean(),
            "bound": None if bound is None else bound.mean(),
            "steps": training.best_step(state), "coverage": coverage,
            "gate": coverage and {name: curve[0] for name, curve in coverage.items()},
            "validation": [(step, metric) for step, _, metric in state.validations]}


def mean_by_user(ground, values):
    """Figures per case as figures per user, who are drawn anew in an interval.  [S] -> [U]."""
    _, place, cases = np.unique(ground.user, return_inverse=True, return_counts=True)
    return np.bincount(place, values) / cases


def fit_plain(ground, cell, model, overrides, settings, matched=False):
    """Train on a log of items.  -> (State, scores [S, N], coverage)."""
    split = ground.split
    config = runs.make_config(model, split, ground.log, ground.task, overrides)
    if matched:
        config = sessions.match_width(model, config, replace(config, hier="soft"))
    ready = partial(protocol.optional(model, "forget_ids"), known=knows(split.train, split.items))
    measure = evaluation.validation(model, config, split, measure=settings.validate)
    state = training.fit(model, config, settings, split.train,
                         lambda params: measure(ready(params)), progress=False)
    score = evaluation.item_scorer(model, ready(state.best), config)
    coverage = None
    if protocol.optional(model, "score_categories") and protocol.optional(
            model, "predicts_categories")(config):
        coverage = cover(ground, model, ready(state.best), config)
    return state, score_cases(partial(score, split.test.history), ground.cases), coverage


def cover(ground, model, params, config):
    """How often the next item is of the K likeliest categories, for K = 1..C.

    -> {"model": [C], "rule": [C], "chance": [C]}
    """
    history, category = ground.split.test.history, ground.split.train.category[1:]  # [N]
    logp = score_cases(lambda cases: model.score_categories(
        params, model.ranking_batch(history, cases, config), config)[1], ground.cases)
    p = ground.p @ (category[:, None] == np.arange(1, logp.shape[1]))  # [S, C]
    orders = {"model": np.argsort(-logp[:, 1:], axis=1), "rule": np.argsort(-p, axis=1)}
    curves = {name: np.cumsum(np.take_along_axis(p, order, axis=1), axis=1).mean(axis=0)
              for name, order in orders.items()}
    curves["chance"] = np.cumsum(np.full(p.shape[1], p.mean()))
    return {name: curve.tolist() for name, curve in curves.items()}


def count_plainly(ground, measure):
    """Figures of all that only counts, of chance and of the ceiling.  -> {row: mean over users}."""
    split, items = ground.split, ground.p.shape[1]
    if ground.task is None:
        log = ground.log
        history = groups.own_past(log, ITEM, ground.cases)
        events = group_events.own_events(log, split.train[log.group[split.train] == ITEM])
    else:
        history, events = split.test.history, split.train
    cases = np.arange(len(ground.cases))
    scores = {"ceiling": ground.best} | {
        name: score(history, cases) for name, score in plain_scorers(events, items).items()}
    return {name: float(mean_by_user(ground, known.expected(
        one, ground.p, measure, ground.allowed)).mean()) for name, one in scores.items()}


def fit_groups(ground, cell, model, overrides, settings):
    """Train on a log of groups, of which `read` are read, to predict items."""
    log, split = ground.log, ground.split
    read, predict = groups.groups_of(log, f"att-{cell.read}")
    config = groups.make_config(log, read, overrides)
    events = group_events.GroupEvents(log, split.train, read, predict)
    rows = split.validation[log.group[split.validation] == ITEM]
    given = groups.candidates(log, rows, ITEM, count=20, seed=1)

    def validate(params):
        scorer = groups.score_with(model, params, events, config)
        return groups.auc(scorer, log, rows, (given,), ITEM)

    def score_all(rows):
        return model.score_all(state.best, model.ranking_batch(events, rows, config), config)

    state = training.fit(model, config, settings, events, validate, progress=False)
    return state, score_cases(score_all, ground.cases), None


def score_cases(score, cases, size=64):
    """Scores of all items, `size` cases at a time.  -> [S, N]."""
    return np.concatenate([score(cases[part]) for part in evaluation.batches(len(cases), size)])
