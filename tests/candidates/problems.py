"""Random problems of HierSRec's candidates, and their exact ranking."""
from fractions import Fraction

import numpy as np

from mbref import metrics
from mbref.candidates import blocks
from mbref.candidates import choose, rank
from mbref.nn.losses import log_softmax
from tests.optional import st

seeds = st.integers(0, 2**32 - 1)
KINDS = ("random", "repeated rows", "whole numbers", "all the same", "one ulp apart")


def log_probabilities(rng, B, C, levels=None):
    """[B, C]; with `levels` only so many different logits, hence ties."""
    if levels is None:
        return log_softmax(rng.normal(size=(B, C)))
    return log_softmax(rng.integers(levels, size=(B, C)).astype(float))


def problem(seed, kind, dtype):
    """A random case: some categories are empty or of one item, sessions may choose nothing."""
    rng = np.random.default_rng(seed)
    B, C, N, D = rng.integers(0, 7), rng.integers(1, 9), rng.integers(1, 90), rng.integers(1, 140)
    queries, weights = rng.normal(size=(B, D)).astype(dtype), rng.normal(size=(N, D)).astype(dtype)
    if kind == "repeated rows":
        weights = weights[rng.integers(0, max(1, N // 4), size=N)]
    elif kind == "whole numbers":
        queries, weights = (rng.integers(-2, 3, (n, D)).astype(dtype) for n in (B, N))
    elif kind == "all the same":
        weights = np.repeat(weights[:1], N, axis=0)
    elif kind == "one ulp apart":
        weights = np.nextafter(weights[:1], rng.integers(-2, 3, (N, D)).astype(dtype) * 9)
    category = rng.choice(rng.integers(0, C, size=C), size=N + 1)  # not all of the C occur
    chosen = rng.random((B, C)) < rng.choice([0.3, 0.7, 1.0])
    index, target = choose.index_of(category, C), rng.integers(1, N + 1, size=B)
    return queries, weights, index, chosen, target, category


def exact_ranking(query, weights, items):
    """Items sorted by their score without rounding, lower id first among equals, and the scores."""
    q = [Fraction(float(x)) for x in query]
    score = {i: sum(a * Fraction(float(b)) for a, b in zip(q, weights[i - 1], strict=True))
             for i in items}
    return sorted(items, key=lambda i: (-score[i], i)), score


def by_session(queries, weights, index, chosen, target, n):
    """As rank.dense, session by session: gather the chosen items, score them, rank."""
    places, top = [], []
    for b, query in enumerate(queries):
        items = blocks.candidates_of_session(chosen[b], index)  # [m]
        scores = rank.pair_scores(query, weights[items - 1])  # [m]
        places.append(place_of_session(items, scores, target[b]))
        top.append(rank.best(items, scores, n))
    greater, ties, inside = np.array(places, np.int64).reshape(-1, 3).T
    return rank.Standing(greater, ties, inside > 0), np.array(top, np.int64).reshape(-1, n)


def place_of_session(items, scores, target):
    """greater, ties, inside of the target among one session's candidates.  items, scores [m]."""
    own = scores[items == target]  # [1], or [0] for a target outside
    if len(own) == 0:
        return metrics.MISS, 0, False
    return (scores > own).sum(), (scores == own).sum() - 1, True


def all_paths(queries, weights, index, chosen, target, n):
    """Assert that the three paths agree bit for bit.  -> Places and lists of the definition."""
    layout = blocks.lay_out(weights, index)
    places, top = rank.dense(queries, weights, index, chosen, target, n)
    of_sessions, top_by_session = by_session(queries, weights, index, chosen, target, n)
    for ours, theirs in zip(places, of_sessions, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for other in (top_by_session, blocks.top_by_blocks(queries, layout, chosen, n)):
        assert other.shape == (len(queries), n)
        np.testing.assert_array_equal(top, other)
    return places, top
