"""One training on a world with a known best answer: from the world's files to figures per case.

A case is a next target item after a past that was held out of training. Its figure is the mean of
the world's measure over all next items, each as often as it comes (worlds.known.expected), and the
same of the true distribution is the ceiling. The number of steps is chosen on validation cases, by
the items that came, as on any log.
"""
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from mbref import evaluation, runs, training
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
PLAIN = ""  # in the place of a model: what only counts


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
    items: tuple           # Sequences of items alone: the past of each case, and what trains
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
    train, cases = (rows[log.group[rows] == ITEM] for rows in (split.train, split.test))
    items = groups.own_past(log, ITEM, cases), group_events.own_events(log, train)
    p = known.best_of(world, signal, known.pasts_of_rows(log, cases))
    return Ground(log, None, split, cases, log.user[cases], items, p, np.ones(p.shape, bool), p)


def open_plain(world, signal, log, task, split):
    """A Ground of items alone; candidates are all, those the user does not have, or cold ones."""
    history, cases = split.test.history, np.arange(len(split.test.item))
    pasts = known.pasts_of(history, cases)
    p = known.best_of(world, signal, pasts)
    require(p.shape[1] == split.items, f"some item of {world.__name__} never occurs: more users.")
    allowed, best = np.ones(p.shape, bool), p
    if world.FORMAT in ("rechorus", "taobao"):  # nothing is bought twice
        allowed = evaluation.unseen(history, cases, split.items) & (p.max(axis=0) > 0)
    if task.cold:
        allowed &= np.bincount(split.train.item, minlength=split.items + 1)[1:] == 0
        best = np.array([aisles.chances(past, signal, aisles.EVEN)[1:] for past in pasts])
    blind = np.array([dims.blind(past, signal)[1:] for past in pasts]) if world is dims else None
    return Ground(log, task, split, cases, history.user, (history, split.train), p, allowed, best,
                  blind)


# Training.

def train(cell):
    """Train a cell and score its test cases.

    -> {"users": figures [U]; means of the "ceiling", of "chance" and of the "bound" for what the
    ablation can know, or None; "steps"; "validation": curve; "coverage" as of `cover`, or None, and
    its beginning, "gate"}; of cells of PLAIN what count_plainly says
    """
    ground = open_ground(cell.world, cell.signal, cell.cold, cell.users)
    measure = MEASURE[cell.world]
    if not cell.model:  # PLAIN
        return count_plainly(ground, measure)
    fields = {"validate": measure, "seed": str(cell.seed), **dict(cell.fields)}
    overrides, settings = runs.parse_settings(cell.model, fields)
    model = runs.find_model(cell.model, overrides)
    fit = fit_groups if ground.task is None else fit_plain
    state, scores, coverage = fit(ground, cell, model, overrides, settings)
    return {"users": by_user(ground, measure, scores).tolist(),
            **find_ends(cell.world, cell.signal, cell.cold, cell.users),
            "gate": coverage and {name: curve[0] for name, curve in coverage.items()},
            "coverage": coverage, "steps": training.best_step(state),
            "validation": training.describe(state, state)["validation"]}


@cache
def find_ends(name, signal, cold, users):
    """What needs no training: the means of the "ceiling", of "chance" and of the "bound"."""
    ground = open_ground(name, signal, cold, users)
    means = (by_user(ground, MEASURE[name], one)
             for one in (ground.best, 0 * ground.best, ground.blind))
    return {end: None if one is None else one.mean()
            for end, one in zip(("ceiling", "chance", "bound"), means, strict=True)}


def by_user(ground, measure, scores):
    """The measure of scores [S, N] for each user.  -> [U], None without scores."""
    if scores is None:
        return None
    return mean_by_user(ground, known.expected(scores, ground.p, measure, ground.allowed))


def mean_by_user(ground, values):
    """Figures per case as figures per user, who are drawn anew in an interval.  [S] -> [U]."""
    _, place, cases = np.unique(ground.user, return_inverse=True, return_counts=True)
    return np.bincount(place, values) / cases


def count_plainly(ground, measure):
    """Figures of all that only counts, of chance and of the ceiling.  -> {row: mean over users}."""
    (history, events), cases = ground.items, np.arange(len(ground.cases))
    scorers = plain_scorers(events, ground.p.shape[1])
    scores = {"ceiling": ground.best} | {
        name: score(history, cases) for name, score in scorers.items()}
    return {name: float(by_user(ground, measure, one).mean()) for name, one in scores.items()}


def fit_plain(ground, cell, model, overrides, settings):
    """Train on a log of items.  -> (State, scores [S, N], coverage)."""
    split, matched = ground.split, overrides.get("width") == MATCHED
    overrides = {name: text for name, text in overrides.items() if text != MATCHED}
    config = runs.make_config(model, split, ground.log, ground.task, overrides)
    config = sessions.match_width(model, config) if matched else config

    def ready(params):
        return sessions.forget_ids(model, params, split.train, split.items)

    measure = evaluation.validation(model, config, split, measure=settings.validate)
    state = training.fit(model, config, settings, split.train,
                         lambda params: measure(ready(params)), progress=False)
    score = evaluation.item_scorer(model, ready(state.best), config)
    coverage = None
    if sessions.predicts_categories(model, config):
        coverage = cover(ground, sessions.two_heads(model, ready(state.best), config))
    return state, score_cases(partial(score, split.test.history), ground.cases), coverage


def cover(ground, score):
    """How often the next item is of the K likeliest categories, for K = 1..C.

    score: of two heads, as in sessions.py. -> {"model": [C], "rule": [C], "chance": [C]}
    """
    history, category = ground.split.test.history, ground.split.train.category[1:]  # [N]
    logp = score_cases(lambda cases: score(history, cases)[1], ground.cases)
    p = ground.p @ (category[:, None] == np.arange(1, logp.shape[1]))  # [S, C]
    orders = {"model": np.argsort(-logp[:, 1:], axis=1), "rule": np.argsort(-p, axis=1)}
    curves = {name: np.cumsum(np.take_along_axis(p, order, axis=1), axis=1).mean(axis=0)
              for name, order in orders.items()}
    curves["chance"] = np.cumsum(np.full(p.shape[1], p.mean()))
    return {name: curve.tolist() for name, curve in curves.items()}


def fit_groups(ground, cell, model, overrides, settings):
    """Train on a log of groups, of which `read` are read, to predict items.  As fit_plain."""
    log, split = ground.log, ground.split
    read, predict = groups.groups_of(log, f"att-{cell.read}")
    config = groups.make_config(log, read, overrides)
    events = group_events.GroupEvents(log, split.train, read, predict)
    cases = groups.draw_cases(log, split.validation, ITEM, count=20, seed=1)
    validate = groups.validation(model, config, events, [cases])
    state = training.fit(model, config, settings, events, validate, progress=False)

    def score_all(rows):
        return model.score_all(state.best, model.ranking_batch(events, rows, config), config)

    return state, score_cases(score_all, ground.cases), None


def score_cases(score, cases, size=64):
    """Scores of all items, `size` cases at a time.  -> [S, N]."""
    return np.concatenate([score(cases[part]) for part in evaluation.batches(len(cases), size)])
