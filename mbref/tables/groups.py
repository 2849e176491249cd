"""ATRank's seven ways to train on several groups of objects: which it reads, which it predicts.

one2one: own group in, own group out; all2one: all in, one out; all2all: all in, all out, one model
for every group. Named as in the release's folder multi/, its baselines left out: att-i2q reads
items and predicts queries.
"""
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref import evaluation, metrics, protocol, runs, training
from mbref.data import group_events
from mbref.data.groups import GroupLog, read_groups
from mbref.data.negatives import negatives_of_users
from mbref.errors import require
from mbref.tables.kind import Kind, plain_scorers


class GroupProblem(NamedTuple):
    """The same cases and negatives for every row.

    The cases of a group: rows of the log [S], candidates [S, 1+m], the right one first, 0 is none.
    """
    path: str
    log: GroupLog
    split: group_events.GroupSplit
    validation: tuple   # cases of each group
    test: tuple


def open_problem(path):
    """A GroupProblem from an events.csv. Raises InputError if a group has no test event."""
    log = read_groups(path)
    split = group_events.split(log)
    groups = range(len(log.groups))
    held = [tuple(draw_cases(log, rows, g, count, seed) for g in groups)
            for rows, count, seed in ((split.validation, 20, 1), (split.test, 99, 2))]
    for g, *cases in zip(groups, *held, strict=True):
        require(all(len(rows) for rows, _ in cases) and np.any(log.group[split.train] == g),
                f"{path} has too few events of group {log.groups[g]} to train on and to test: "
                "give a longer log.")
    return GroupProblem(str(path), log, split, *held)


def draw_cases(log, rows, group, count, seed):
    """Those rows that are of a group, each with `count` objects that its user never meets."""
    own = log.group == group
    rows = rows[own[rows]]
    known = {user: log.object[own & (log.user == user)] for user in np.unique(log.user[rows])}
    negatives = negatives_of_users(np.random.default_rng(seed), len(log.objects[group]) - 1,
                                   [known[user] for user in log.user[rows]], count)
    return rows, np.concatenate([log.object[rows][:, None], negatives], axis=1)


def groups_of(log, row):
    """A row's name, "att-a2i" -> (groups it reads, groups it predicts), as numbers."""
    letters = "".join(name[0] for name in log.groups)
    read, predicted = (tuple(range(len(letters))) if g == "a" else (letters.index(g),)
                       for g in row.removeprefix("att-").split("2"))
    return read, predicted


def make_config(log, read, overrides):
    """The model's Config for the groups that are read; `overrides` {field: text}."""
    names = tuple(log.feature_names[g] for g in read)
    tables = tuple((name, log.sizes[name]) for name in dict.fromkeys(sum(names, ())))
    several = [len(np.unique(log.action[log.group == g])) > 1 for g in read]
    actions = tuple(len(log.actions) * many for many in several)  # one kind says nothing
    kind = runs.find_model("atrank", overrides).Config
    return kind(tables=tables, groups=names, actions=actions,
                **protocol.parse_fields(kind, overrides, fixed=runs.OF_THE_LOG))


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    require(len(job.settings.rates) in (0, len(problem.log.groups)),
            f"rates has {len(job.settings.rates)} numbers: give one for each of the "
            f"{len(problem.log.groups)} groups.")
    return make_config(problem.log, groups_of(problem.log, job.row)[0], job.overrides)


def train_and_report(problem, job):
    """One row's figures for one seed.  -> ({"AUC item": ...}, facts of the training)."""
    log, split = problem.log, problem.split
    read, predict = groups_of(log, job.row)
    model, config = runs.find_model("atrank", job.overrides), config_of(problem, job)
    rates = tuple(job.settings.rates[g] for g in predict) if job.settings.rates else ()
    train = group_events.GroupEvents(log, split.train, read, predict)
    refit = train._replace(rows=np.sort(np.append(split.train, split.validation)))
    validate = validation(model, config, train, [problem.validation[g] for g in predict])
    final, search = training.fit_twice(
        model, config, replace(job.settings, rates=rates), train, refit, validate, progress=False)
    score = score_with(model, final.params, refit, config)
    figures = {f"AUC {log.groups[g]}": auc(score, *problem.test[g]) for g in predict}
    return figures, training.describe(final, search)


def validation(model, config, events, groups):
    """What training maximises: the mean AUC over the cases of groups.  -> function of params."""
    def validate(params):
        score = score_with(model, params, events, config)
        return float(np.mean([auc(score, *cases) for cases in groups]))

    return validate


def score_with(model, params, events, config):
    """A trained model as a scorer: (rows [B], candidates [B, 1+m]) -> [B, 1+m]."""
    return lambda rows, given: model.score(
        params, model.ranking_batch(events, rows, config), given, config)


def auc(score, rows, given, batch_size=64):
    """One ROC AUC over all cases of a group together, as the release has it."""
    scores = np.concatenate([score(rows[part], given[part])
                             for part in evaluation.batches(len(rows), batch_size)])
    positive = np.tile(np.arange(given.shape[1]) == 0, len(rows))
    allowed = given.reshape(1, -1) > 0
    return float(metrics.auc(scores.reshape(1, -1), positive[None], allowed=allowed)[0])


def plain_rows(problem):
    """Figures of chance and of all that only counts, each within its own group."""
    log, found = problem.log, {}
    known = np.sort(np.append(problem.split.train, problem.split.validation))
    for g, name in enumerate(log.groups):
        rows, given = problem.test[g]
        past, cases = own_past(log, g, rows), np.arange(len(rows))
        events = group_events.own_events(log, known[log.group[known] == g])
        for row, score in plain_scorers(events, len(log.objects[g]) - 1).items():
            choose = evaluation.pick_candidates(score)
            found.setdefault(row, {})[f"AUC {name}"] = auc(partial(choose, past), cases, given)
    return found


def own_past(log, group, cases):
    """What each case's user did in one group before that row, as Sequences, one a case."""
    first = np.searchsorted(log.user, log.user[cases])
    lists = [start + np.flatnonzero(log.group[start:case] == group)
             for start, case in zip(first, cases, strict=True)]
    events = group_events.own_events(log, np.concatenate([*lists, np.empty(0, int)]).astype(int))
    return events._replace(ptr=np.append(0, np.cumsum([*map(len, lists)])), user=log.user[cases])


def describe(problem):
    """Sentences on the log: what the reader noticed, what there is to learn from."""
    log, split = problem.log, problem.split
    kinds = ", ".join(f"{len(raw) - 1:,} {name} objects"
                      for name, raw in zip(log.groups, log.objects, strict=True))
    return [*(f"note: {note}" for note in log.notes),
            f"{len(log.user):,} events, {len(log.users) - 1:,} users, {kinds}; held out: "
            f"{len(split.validation):,} validation and {len(split.test):,} test events"]


def about(problem):
    """What results.json says of the log and its held-out events."""
    cases = {name: len(rows)
             for name, (rows, _) in zip(problem.log.groups, problem.test, strict=True)}
    return {"data": problem.path, "cases": cases}


def columns(problem):
    """The columns of a table on the screen, and of its figure."""
    return [f"AUC {name}" for name in problem.log.groups]


KIND = Kind(lambda task: open_problem(task.data), describe, config_of, train_and_report,
            plain_rows, about, columns, columns)
