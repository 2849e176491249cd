"""Held-out events ranked by any scorer: over the whole catalogue, or among fixed sampled negatives.

A scorer is a function (history, cases) -> scores [B, N] of all items 1..N for those cases. Every table's numbers come
from here, for trained models and plain baselines alike, on the same cases and the same negatives.
"""
from typing import NamedTuple

import numpy as np

from mbref import metrics


class Places(NamedTuple):
    """Where each held-out item stands: `greater` candidates score more, `ties` others the same.  all [S]."""

    greater: np.ndarray
    ties: np.ndarray


def scorer(model, params, config):
    """A trained model as a scorer, through the protocol."""
    return lambda history, cases: model.score(params, model.batch(history, cases, config), None, config)


def full_ranking(score, held, items, candidates="all", batch_size=64):
    """Places among all items, or with candidates="unseen" among those that are not in the case's history.

    A held-out item that is itself in the history counts as a miss under "unseen".
    """
    def places(cases, scores):
        allowed = None
        if candidates == "unseen":
            allowed = ~np.array([np.isin(np.arange(1, items + 1), history_items(held.history, c)) for c in cases])
        return metrics.greater_and_ties(scores, held.item[cases] - 1, allowed)

    return _in_batches(places, score, held, batch_size)


def sampled_ranking(score, held, negatives, batch_size=64):
    """Places among the held-out item and its own row of `negatives` [S, m]; 0 in a row is no candidate."""
    def places(cases, scores):
        items = np.concatenate([held.item[cases][:, None], negatives[cases]], axis=1)  # [B, 1+m]
        chosen = np.take_along_axis(scores, np.maximum(items - 1, 0), axis=1)
        return metrics.greater_and_ties(chosen, np.zeros(len(cases), int), items > 0)

    return _in_batches(places, score, held, batch_size)


def _in_batches(places, score, held, batch_size):
    parts = []
    for start in range(0, len(held.item), batch_size):
        cases = np.arange(start, min(start + batch_size, len(held.item)))
        parts.append(places(cases, score(held.history, cases)))
    return Places(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else Places(*np.zeros((2, 0)))


def history_items(history, case):
    """Item ids in the history of one case, oldest first."""
    return history.item[history.ptr[case] : history.ptr[case + 1]]


def fixed_negatives(held, items, seed, count=99):
    """`count` distinct uniform negatives a case, none in its history, never the target; the same for every model."""
    rng = np.random.default_rng(seed)
    seen = [[*history_items(held.history, c), held.item[c]] for c in range(len(held.item))]
    return metrics.negatives_of_users(rng, items, seen, count)


def summary(places, k=10, which=slice(None)):
    """Mean HR, NDCG and MRR at k over the cases `which`, expected over ties; nan without cases."""
    g, e = places.greater[which], places.ties[which]
    named = {"HR": metrics.hit_rate, "NDCG": metrics.ndcg, "MRR": metrics.mrr}
    return {name: float(np.mean(metric(g, e, k))) if len(g) else float("nan") for name, metric in named.items()}


def random_summary(candidates, k=10):
    """What a scorer without information gets among `candidates` equally likely places."""
    return summary(Places(np.zeros(1, int), np.full(1, candidates - 1)), k)
