"""HierSRec's test time, second half: candidates alone are scored; what that does to ranks.

What a miss costs is ours: the paper's abstract (arXiv 2309.06533) does not say. An item outside the
chosen categories is absent, neither last nor of score 0: as a target it is a miss that stays in the
denominator. `dense` is the definition; blocks.py has the same lists faster.

A matrix product rounds the same score differently in products of different shape, so ties would
come and go. `pair_scores` alone says what a score is: its rounding depends on the query and the row
and on nothing else. So places and lists of both are EXACTLY the same, in float32 and float64; those
from a model's own product agree up to its rounding.

Shapes as in choose.py; D width of a query, m candidates of a session, n length of a list.
"""
from collections import namedtuple
from typing import NamedTuple

import autograd.numpy as anp
import numpy as np

from mbref import metrics
from mbref.candidates import choose
from mbref.errors import require
from mbref.nn.layers import stop_gradient


class Standing(NamedTuple):
    """Where each target stands among its session's candidates."""
    greater: np.ndarray  # [B] how many score more; metrics.MISS where the target is none of them
    ties: np.ndarray  # [B] how many others score the same
    inside: np.ndarray  # [B] bool: the target is a candidate


Gap = namedtuple("Gap", "gained lost")  # see `gap`


def pair_scores(queries, rows):
    """The score of each query with its row, whatever the other pairs are.  2 [..., D] -> [...]."""
    # order C: NumPy then sums each row's D products by itself, in one fixed order
    return np.multiply(queries, rows, order="C").sum(axis=-1)


def dense(queries, weights, index, chosen, target, n):
    """All scores, then a mask: the definition.

    queries [B, D]; weights [N, D], row i - 1 of item i, floats of the same type (a bias is one more
    column, 1 in the queries); chosen [B, C]; target [B] items. -> Standing, and the n best items
    [B, n] as in `best`. Raises InputError for NaN or infinity, other shapes or types, or a target
    that is no item.
    """
    check_choice(chosen, queries, index)
    return among(queries, weights, choose.items_of(chosen, index), target, n)


def among(queries, weights, allowed, target, n):
    """As `dense`, of any set of candidates `allowed` [B, N], such as `inject_target` gives."""
    given, target = np.asarray(target), np.asarray(target).astype(np.int64)
    require(target.shape == queries.shape[:1] and (target == given).all()
            and ((target >= 1) & (target <= allowed.shape[1])).all(),
            f"target must be [{len(queries)}] items in 1..{allowed.shape[1]}.")
    check_weights(weights, allowed.shape[1])
    check_queries(queries, weights, n)
    scores = np.array([pair_scores(query, weights) for query in queries])  # [B, N]
    greater, ties = metrics.greater_and_ties(scores.reshape(allowed.shape), target - 1, allowed)
    top = [best(np.flatnonzero(mask) + 1, row[mask], n)
           for row, mask in zip(scores, allowed, strict=True)]
    inside = allowed[np.arange(len(target)), target - 1]
    return Standing(greater, ties, inside), np.array(top, np.int64).reshape(-1, n)


def best(items, scores, n):
    """The n best items, lower id first among equals, then 0.  items, scores [m] -> [n]."""
    first = items[np.lexsort((items, -scores))[:n]]
    return np.concatenate([first, np.zeros(n - len(first), np.int64)])


def report(greater, ties, inside, k=20):
    """Means over all cases, expected over ties, a target outside earning 0; and the coverage.

    greater, ties, inside [B] as in Standing. -> {name: number}, nan without cases
    """
    g = np.where(inside, greater, metrics.MISS)  # Deviation HierSRec D13: a miss counts as a case
    e = np.where(inside, ties, 0)
    values = {f"Recall@{k}": metrics.hit_rate(g, e, k), f"MRR@{k}": metrics.mrr(g, e, k),
              f"NDCG@{k}": metrics.ndcg(g, e, k), "coverage": np.asarray(inside, float)}
    return {name: float(metrics.mean_and_spread(value).mean) for name, value in values.items()}


def gap(full, among, k=20):
    """Why Recall@k among candidates differs from Recall@k among all items.  two Standings -> Gap.

    The first is larger by gained - lost. gained = P(r' <= k < r): inside, and k reached only
    because better items are gone. lost = P(r <= k < r'): outside. Both chances are exact under one
    random order of ties for both rankings. Raises InputError if a target inside ranks worse among
    fewer items, as only scores of two sources or a `full` that is not full can make it.
    """
    require(np.all(full.inside), "full must rank all items: choose all categories.")
    worse = (among.greater > full.greater) | (among.greater + among.ties > full.greater + full.ties)
    require(not (worse & among.inside).any(),
            "a target ranks worse among fewer items: take both from the same scores.")
    before = metrics.hit_rate(full.greater, full.ties, k)  # [B]
    after = np.where(among.inside, metrics.hit_rate(among.greater, among.ties, k), 0)
    terms = np.where(among.inside, after - before, 0), np.where(among.inside, 0, before)
    return Gap(*(float(metrics.mean_and_spread(term).mean) for term in terms))


def two_level_logp(logp_category, item_logits, category):
    """log p(i) = log p(c(i)) + z_i - logsumexp of z over the items of c(i); differentiable.

    Class-factored softmax (Goodman 2001): sums to 1, less the probability of categories without
    items. logp_category [..., C], item_logits [..., N], category [N + 1] -> [..., N]
    """
    own, z = np.asarray(category)[1:], stop_gradient(item_logits)  # [N], [..., N]
    present, group = np.unique(own, return_inverse=True)  # group [N]; empty ones have log -inf
    member = (group[:, None] == np.arange(len(present))).astype(z.dtype)  # [N, C']
    peak = np.full(z.shape[:-1] + present.shape, -np.inf, z.dtype)  # [..., C']
    np.maximum.at(peak, (..., group), z)
    shifted = item_logits - peak[..., group]  # [..., N], at most 0, and 0 once a category
    total = anp.log(anp.dot(anp.exp(shifted), member))  # [..., C']
    return logp_category[..., own] + shifted - total[..., group]


def check_weights(weights, items):
    """Raise InputError unless weights are finite floats [N, D]."""
    floats = weights.dtype in (np.float32, np.float64) and weights.ndim == 2
    require(floats and len(weights) == items,
            f"weights must be floats [{items}, D], not {weights.dtype} {weights.shape}.")
    require(np.isfinite(weights).all(), "weights hold NaN or an infinity; mend the model.")


def check_queries(queries, rows, n=1):
    """Raise InputError unless queries [B, D] are finite and fit the rows, and n is at least 1."""
    width = rows.shape[1]
    require(queries.ndim == 2 and queries.shape[1] == width and queries.dtype == rows.dtype,
            f"queries must be [B, {width}] {rows.dtype} as the weights, "
            f"not {queries.dtype} {queries.shape}.")
    require(np.isfinite(queries).all(), "queries hold NaN or an infinity; mend the model.")
    require(n >= 1, f"n must be at least 1, not {n}.")


def check_choice(chosen, queries, index):
    """Raise InputError unless chosen is bool [B, C]."""
    shape = len(queries), len(index.indptr) - 1
    require(chosen.dtype == bool and chosen.shape == shape,
            f"chosen must be bool {shape}, not {chosen.dtype} {chosen.shape}.")
