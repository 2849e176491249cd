"""Held-out events ranked by any scorer: over the whole catalogue, and among sampled negatives.

A scorer is a function (history, cases) -> scores [B, N] of all items 1..N for those cases; a scorer
of candidates takes these too, (history, cases, candidates [B, C]) -> [B, C]. Models and plain
baselines alike are such scorers, ranked on the same cases and negatives. `each` is how a function
is called for batches of cases, as map does: tables/jobs.py has one that sends them elsewhere.
"""
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref import metrics
from mbref.baselines.counting import newest
from mbref.data.leave_one_out import draw_cases
from mbref.data.negatives import negatives_of_users
from mbref.errors import require
from mbref.nn.device import device_of, to_device

SCORES = 4_000_000  # of a batch; what a model holds beside them is some times as much
TIES = {"AUC": 0.5, "AUC strict": 0}  # what a tied pair counts in each
METRICS = {"HR": metrics.hit_rate, "NDCG": metrics.ndcg, "MRR": metrics.mrr}


class Rivals(NamedTuple):
    """Of each held-out item how many candidates score more, and how many others the same.  [S]."""
    greater: np.ndarray
    ties: np.ndarray


def item_scorer(model, params, config):
    """A trained model as a scorer of all items; it computes where its parameters are."""
    def score(history, cases):
        batch = to_device(model.ranking_batch(history, cases, config), device_of(params))
        return to_device(model.score_all(params, batch, config), "cpu")

    return score


def candidate_scorer(model, params, config):
    """A trained model as a scorer of candidates: (history, cases, candidates [B, C]) -> [B, C]."""
    def score(history, cases, candidates):
        batch = model.ranking_batch(history, cases, config)
        batch, candidates = to_device((batch, candidates), device_of(params))
        return to_device(model.score(params, batch, candidates, config), "cpu")

    return score


def pick_candidates(score):
    """A scorer of all items as a scorer of candidates."""
    return lambda history, cases, candidates: take(score(history, cases), candidates)


def take(scores, candidates):
    """Scores [B, N] of the candidates [B, C] alone; padding, 0, scores as item 1.  -> [B, C]."""
    return np.take_along_axis(scores, np.maximum(candidates - 1, 0), axis=1)


def target_first(held, cases, negatives):
    """The held-out item of each case, then its `negatives` [S, m].  -> [B, 1+m]."""
    return np.concatenate([held.item[cases][:, None], negatives[cases]], axis=1)


def batches(count, size):
    """The numbers of `count` cases, `size` at a time."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def auc(score, held, negatives, batch_size=64, each=map):
    """Mean over cases of the share of `negatives` [S, m] that score less than the held-out item.

    score: of candidates. Eq. 23 of DMRAN, with as many negatives as there are; 0 is none.
    -> {"AUC": ties count half, "AUC strict": ties count 0, as in ATRank's release}.
    """
    parts = each(partial(auc_of_cases, score, held, negatives),
                 batches(len(held.item), batch_size))
    return {name: float(metrics.macro_auc(np.concatenate(values)).mean)
            for name, values in zip(TIES, zip(*parts, strict=True), strict=True)}


def auc_of_cases(score, held, negatives, cases):
    """The AUC of each case, for each of TIES.  -> [2, B]."""
    candidates = target_first(held, cases, negatives)  # [B, 1+m]
    scores = score(held.history, cases, candidates)  # Deviation DMRAN D20: in the place of p
    above, tied = metrics.greater_and_ties(scores, np.zeros(len(cases), int), candidates > 0)
    rivals = np.sum(candidates[:, 1:] > 0, axis=1)  # [B]
    below = rivals - above - tied
    return [np.where(rivals > 0, (below + share * tied) / np.maximum(rivals, 1), np.nan)
            for share in TIES.values()]


def validation(model, config, split, candidates="all", measure="NDCG@10", count=0):
    """What training maximises on the validation events: AUC, or NDCG@10 or MRR@20 by full ranking.

    count: so many of the events, the same for all models; 0 for all. -> function of params.
    """
    held = split.validation
    if count:
        held = draw_cases(held, count, np.random.default_rng(0))
    if measure == "AUC":
        negatives = negatives_of_cases(held, split.items, seed=1, count=20)  # not those of the test
        return lambda params: auc(candidate_scorer(model, params, config), held, negatives)["AUC"]

    def by_rank(params):
        full, = count_rivals(item_scorer(model, params, config), held, split.items, candidates)
        return summary(full, k=int(measure.split("@")[1]))[measure]

    return by_rank


def cases_at_once(items):
    """Cases in a batch: 64, or fewer where a catalogue has over 62,500 items."""
    return max(1, min(64, SCORES // items))


def count_rivals(score, held, items, candidates="all", negatives=(), batch_size=None, each=map):
    """Rivals in the full ranking, then among each set of `negatives` [S, m]; 0 is no candidate.

    candidates="unseen": the full ranking leaves out what is in the case's history; a held-out item
    that is there itself counts as a miss. -> list of 1 + len(negatives) Rivals. Raises InputError
    for other `candidates`.
    """
    require(candidates in ("all", "unseen"), f"candidates is {candidates!r}: give all or unseen.")
    parts = each(partial(rivals_of_cases, score, held, items, candidates, negatives),
                 batches(len(held.item), batch_size or cases_at_once(items)))
    return [Rivals(*np.concatenate(p, axis=1)) for p in zip(*parts, strict=True)]


def rivals_of_cases(score, held, items, candidates, negatives, cases):
    """What count_rivals says of the cases [B].  -> 1 + len(negatives) pairs of [B]."""
    scores, first = score(held.history, cases), np.zeros(len(cases), int)
    # Deviation HierSRec D16: items of the history stay candidates unless asked otherwise
    allowed = unseen(held.history, cases, items) if candidates == "unseen" else None
    found = [metrics.greater_and_ties(scores, held.item[cases] - 1, allowed)]
    for one in negatives:
        chosen = target_first(held, cases, one)  # [B, 1+m]
        found.append(metrics.greater_and_ties(take(scores, chosen), first, chosen > 0))
    return found


def unseen(history, cases, items):
    """True where the case's history does not contain the item.  -> [B, N]."""
    allowed = np.ones((len(cases), items + 1), bool)
    for row, case in zip(allowed, cases, strict=True):
        row[newest(history, case)] = False
    return allowed[:, 1:]


def negatives_of_cases(held, items, seed, count=99):
    """`count` uniform negatives a case that are neither met before nor its target.  [S, count]."""
    seen = [[*newest(held.history, c), held.item[c]] for c in range(len(held.item))]
    return negatives_of_users(np.random.default_rng(seed), items, seen, count)


def summary(found, which=slice(None), k=10):
    """Mean HR, NDCG and MRR at k over the cases `which`, nan without any.  -> {"HR@10": ...}."""
    g, e = found.greater[which], found.ties[which]
    return {f"{name}@{k}": float(metrics.mean_and_spread(metric(g, e, k)).mean)
            for name, metric in METRICS.items()}


def report(score, held, items, candidates="all", negatives=None, k=10, each=map):
    """Every figure of a table row.  -> {column: number}.

    Full ranking first; then, for each name in `negatives` {name: sets of [S, m]}, the mean over its
    sets. Everything also for targets that the history holds (seen) and does not (new) apart; `ties`
    is the share of cases whose target ties with another item in the full ranking.
    """
    negatives = negatives or {}
    every = [one for sets in negatives.values() for one in sets]
    full, *among = count_rivals(score, held, items, candidates, every, each=each)
    kinds, row = {"": [full]}, {}
    for name, sets in negatives.items():
        kinds[f" ({name})"], among = among[: len(sets)], among[len(sets) :]
    for kind, found in kinds.items():
        for group, which in {"": slice(None), " seen": held.seen, " new": ~held.seen}.items():
            of_sets = [summary(one, which, k) for one in found]
            row |= {f"{name}{group}{kind}": float(np.mean([one[name] for one in of_sets]))
                    for name in of_sets[0]}
    return row | {"ties": float(np.mean(full.ties > 0))}
