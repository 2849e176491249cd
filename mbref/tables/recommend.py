"""The best items for one user of a log, and which events of the history carry them."""
from typing import NamedTuple

import numpy as np

from mbref import evaluation
from mbref.data import sequences
from mbref.errors import InputError


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

    Items the user has met are left out if the task ranks "unseen" candidates. An item of the newest
    `length` events is a reason as far as the score falls when all its events are taken out of the
    history. text: [N+1, M] vectors of the items' texts, for a model that was trained with them.
    Raises InputError for an unknown user.
    """
    rows = rows_of(log, user, task)
    window = rows[-config.length :]
    met = np.unique(log.item[window])
    every = score_without(model, params, config, log, rows, [None, *met], text)
    scores, falls = every[0], every[0] - every[1:]  # [N], [met, N]
    best = best_items(scores, k, log.item[rows] if task.candidates == "unseen" else ())
    why = [reasons_for(falls[:, i - 1], met, log, window)[:reasons] for i in best[:k]]
    return [Recommendation(str(log.items[i]), float(scores[i - 1]), of_item)
            for i, of_item in zip(best[:k], why, strict=True)]


def best_items(scores, k, left_out=()):
    """The k best of items 1..N but those left out, the lower id first among equals.  [N] -> [k]."""
    scores = scores.copy()
    scores[np.asarray(left_out, int) - 1] = -np.inf
    k = min(k, int(np.sum(scores > -np.inf)))
    least = np.partition(scores, -k)[-k] if k else np.inf
    near = np.flatnonzero(scores >= least)  # k of them, and what ties with the last
    return near[np.argsort(-scores[near], kind="stable")][:k] + 1


def rows_of(log, user, task):
    """The rows of a raw user id in the log. Raises InputError for an unknown user."""
    found = np.flatnonzero(log.users[1:] == str(user)) + 1
    if len(found) == 0:
        known = "give a user id as it stands in the file"
        if task.split != "leave-one-out":
            known = ("this run knows sessions that are long enough, "
                     f"such as {str(log.users[-1])!r}: give one of those")
        raise InputError(f"user {user!r} is not in the log: {known}.")
    return np.flatnonzero(log.user == found[0])


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
    """Scores of all items from the events `rows`, once for each item of `removed` without it.

    -> [R, N].
    """
    keep = [rows[log.item[rows] != item] if item is not None else rows for item in removed]
    score, scores = evaluation.item_scorer(model, params, config), []
    for part in keep:
        events = sequences.of_rows(log, [part])
        events = events._replace(now=None if log.time is None else log.time[rows[-1:]], text=text)
        if len(part) == 0:  # nothing is left: an empty history of the same user
            events = events._replace(ptr=np.zeros(2, int), user=log.user[rows[:1]])
        scores.append(score(events, np.array([0]))[0])
    return np.array(scores)
