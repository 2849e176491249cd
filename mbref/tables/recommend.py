"""The best items for users of a log, and which events of the history carry them."""
import csv
import io
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref import evaluation
from mbref.data import sequences
from mbref.data.files import write_whole
from mbref.data.newer import NEW_USER
from mbref.errors import InputError, require


class Reason(NamedTuple):
    """An item of the history, what the user did with it, and how far the score falls without it."""
    item: str
    behaviours: list
    fall: float


class Recommendation(NamedTuple):
    """A raw item id, its logit, and what in the history carried it, most important first."""
    item: str
    score: float
    reasons: list


def recommend(model, params, config, task, log, user, k, reasons=2, text=None):
    """The k best items for a raw user id, from the user's whole log.  -> k Recommendations.

    An item of the newest `length` events is a reason as far as the score falls when all its events
    are taken out of the history. text: [N+1, M] vectors, for a model that was trained with them.
    Raises InputError for an unknown user, or one who has met every item where "unseen" ones count.
    """
    require(isinstance(k, (int, np.integer)) and k >= 1, f"k is {k!r}: give how many items.")
    rows = rows_of(log, user, task)
    require_vector(config, log.user[rows[0]], user)
    window = rows[-config.length :]
    met = np.unique(log.item[window])
    every = score_without(model, params, config, log, rows, [0, *met], text)  # 0 is no item
    scores, falls = every[0], every[0] - every[1:]  # [N], [met, N]
    best = best_items(scores, k, log.item[rows] if task.candidates == "unseen" else ())
    require(len(best), f"user {user!r} has met every item of the log, and this run recommends "
                       "unseen items: train with --candidates all to rank those as well.")
    why = [reasons_for(falls[:, i - 1], met, log, window)[:reasons] for i in best]
    return [Recommendation(str(log.items[i]), float(scores[i - 1]), of_item)
            for i, of_item in zip(best, why, strict=True)]


def best_items(scores, k, left_out=()):
    """The k best of items 1..N but those left out, the lower id first among equals.  [N] -> [k].

    Raises InputError for scores that are not finite.
    """
    require(np.isfinite(scores).all(), "the scores of this run are not finite, so its parameters "
                                       "are damaged: train again.")
    scores = scores.copy()
    scores[np.asarray(left_out, int) - 1] = -np.inf
    k = min(k, int(np.sum(scores > -np.inf)))
    least = np.partition(scores, -k)[-k] if k else np.inf
    near = np.flatnonzero(scores >= least)  # k of them, and what ties with the last
    return near[np.argsort(-scores[near], kind="stable")][:k] + 1


def rows_of(log, user, task):
    """The rows of a raw user id in the log. Raises InputError for an unknown user."""
    number = np.flatnonzero(log.users[1:] == str(user).strip()) + 1  # as readers have it
    rows = np.flatnonzero(np.isin(log.user, number))
    if len(rows) == 0:
        require(user != NEW_USER, "none of the items is in the log of this run: "
                                  "give items as they stand there.")
        known = "give a user id as it stands in the file"
        if task.split != "leave-one-out":
            known = ("this run knows sessions that are long enough, "
                     f"such as {str(log.users[-1])!r}: give one of those")
        raise InputError(f"user {user!r} is not in the log: {known}.")
    return rows


def require_vector(config, number, user):
    """Raise InputError if the model keeps vectors of users and has none of this one."""
    require(number <= vars(config).get("users", number),
            f"user {user!r} is new, and this model has a vector for each user of its log: "
            "train again, or use a model that reads histories, such as hmar.")


def write_all(run, log, k, path, each=map):
    """Write the k best items of every user: user,rank,item,score. Raises InputError.

    each: calls a function for every block of users, as map does.
    """
    require_vector(run.config, len(log.users) - 1, str(log.users[-1]))
    score = evaluation.item_scorer(run.model, run.params, run.config)
    lists = np.split(np.arange(len(log.user)), np.flatnonzero(np.diff(log.user)) + 1)
    size = evaluation.cases_at_once(len(log.items) - 1)
    blocks = [lists[at:at + size] for at in range(0, len(lists), size)]
    events = (read_at(log, block, [rows[-1] for rows in block], run.split.refit.text)
              for block in blocks)
    best = each(partial(best_of_block, score, k, run.task.candidates == "unseen"), events)

    def write(file):
        text = io.TextIOWrapper(file, "utf-8", newline="")
        lines = csv.writer(text)
        lines.writerow(("user", "rank", "item", "score"))
        for block, of_block in zip(blocks, best, strict=True):
            for rows, found in zip(block, of_block, strict=True):
                lines.writerows((log.users[log.user[rows[0]]], rank, log.items[i], f"{score:.6g}")
                                for rank, (i, score) in enumerate(found, start=1))
        text.flush()
        text.detach()

    write_whole(path, write)


def best_of_block(score, k, unseen, events):
    """The k best items of each sequence, of those it does not hold if `unseen`, with scores."""
    found = []
    for case, scores in enumerate(score(events, np.arange(len(events.ptr) - 1))):
        met = events.item[events.ptr[case]:events.ptr[case + 1]]
        best = best_items(scores, k, met if unseen else ())
        found.append([(i, scores[i - 1]) for i in best])
    return found


def read_at(log, lists, last, text):
    """Lists of log rows as Sequences, which are read at the time of the rows `last`."""
    now = None if log.time is None else log.time[last]
    return sequences.of_rows(log, lists)._replace(now=now, text=text)


def reasons_for(falls, met, log, window):
    """Reasons of one recommendation, the largest fall first.  falls [met] of the items `met`."""
    found = []
    for item, fall in zip(met, falls, strict=True):
        if fall > 0:
            kinds = log.behaviour[window[log.item[window] == item]]
            names = [log.behaviours[kind - 1] for kind in kinds]
            found.append(Reason(str(log.items[item]), names, float(fall)))
    return sorted(found, key=lambda reason: -reason.fall)


def score_without(model, params, config, log, rows, removed, text=None):
    """Scores of all items from the events `rows` without each item of `removed`.  -> [R, N]."""
    score, scores = evaluation.item_scorer(model, params, config), []
    for item in removed:
        part = rows[log.item[rows] != item]
        events = read_at(log, [part], rows[-1:], text)
        if len(part) == 0:  # nothing is left: an empty history of the same user
            events = events._replace(ptr=np.zeros(2, int), user=log.user[rows[:1]])
        scores.append(score(events, np.array([0]))[0])
    return np.array(scores)
