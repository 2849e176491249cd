"""Places and lists of the three paths: the exact ranking, and each other bit for bit.

The reference ranks with fractions, so it has no rounding.
"""
import itertools
import tracemalloc
from functools import partial

import numpy as np
import pytest

from mbref import metrics
from mbref.candidates import blocks
from mbref.candidates import choose, rank
from mbref.errors import InputError
from tests.candidates.problems import (
    KINDS,
    all_paths,
    exact_ranking,
    log_probabilities,
    problem,
    seeds,
)
from tests.optional import given, settings, st


@pytest.mark.parametrize("kind", ["random", "repeated rows", "whole numbers", "all the same"])
@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(1, 25))
def test_all_paths_are_the_exact_ranking(kind, seed, n):
    queries, weights, index, chosen, target, category = problem(seed, kind, float)
    queries, weights = queries[:, :9], weights[:, :9]
    places, top = all_paths(queries, weights, index, chosen, target, n)
    for b, query in enumerate(queries):
        items = [i for i in range(1, len(weights) + 1) if chosen[b, category[i]]]
        ranking, score = exact_ranking(query, weights, items)
        assert top[b].tolist() == (ranking + [0] * n)[:n]
        assert places.inside[b] == (target[b] in items)
        if places.inside[b]:
            own = score.pop(target[b])
            assert places.greater[b] == sum(s > own for s in score.values())
            assert places.ties[b] == sum(s == own for s in score.values())
        else:
            assert (places.greater[b], places.ties[b]) == (metrics.MISS, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 25))
def test_all_paths_agree_bit_for_bit(dtype, kind, seed, n):
    all_paths(*problem(seed, kind, dtype)[:5], n)


def test_all_paths_agree_where_matrix_products_do_not():
    """Rows a few ulps apart: products give other places and lists than the definition."""
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(40, 128)).astype(np.float32)
    one, towards = (rng.normal(size=(n, 128)).astype(np.float32) for n in (1, 600))
    weights = np.nextafter(one, towards)
    category, target = rng.integers(0, 30, size=601), rng.integers(1, 601, size=40)
    index, chosen = choose.index_of(category, 30), rng.random((40, 30)) < 0.5
    chosen[np.arange(40), category[target]] = True
    places, top = all_paths(queries, weights, index, chosen, target, 20)
    product, allowed = queries @ weights.T, choose.items_of(chosen, index)
    assert (metrics.greater_and_ties(product, target - 1, allowed)[0] != places.greater).any()
    best = [rank.best(np.flatnonzero(a) + 1, row[a], 20)
            for a, row in zip(allowed, product, strict=True)]
    assert (np.array(best) != top).any()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_depends_on_its_pair_alone(order, dtype):
    rng = np.random.default_rng(1)
    for D in (1, 2, 7, 8, 9, 64, 127, 128, 129, 1000):
        query = rng.normal(size=D).astype(dtype)
        rows = np.asarray(rng.normal(size=(300, D)), dtype, order=order)
        whole = rank.pair_scores(query, rows)
        for part in (slice(0, 1), slice(7, 9), slice(3, 290, 7), rng.permutation(300)):
            np.testing.assert_array_equal(rank.pair_scores(query, rows[part]), whole[part])
        np.testing.assert_array_equal([rank.pair_scores(query, row) for row in rows], whole)
        np.testing.assert_allclose(whole, rows @ query, rtol=0, atol=np.finfo(dtype).eps * 4 * D)


def test_paths_do_not_mind_the_memory_order_of_the_weights():
    queries, weights, index, chosen, target, _ = problem(5, "one ulp apart", np.float32)
    places, top = all_paths(queries, weights, index, chosen, target, 9)
    other, same = all_paths(queries, np.asfortranarray(weights), index, chosen, target, 9)
    np.testing.assert_array_equal(top, same)
    np.testing.assert_array_equal(places.greater, other.greater)


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_the_size_of_pieces_changes_nothing(piece, monkeypatch):
    monkeypatch.setattr(blocks, "PIECE", piece)
    for seed, kind in itertools.product(range(20), KINDS):
        all_paths(*problem(seed, kind, np.float32)[:5], 3)


def test_by_hand_with_an_empty_category_one_of_one_item_and_ties():
    """Items 1..5 score 3, 2, 2, 2, 9; categories {1, 3}, {2, 4}, {5}, {}."""
    index = choose.index_of(np.array([3, 0, 1, 0, 1, 2]), 4)
    queries, weights = np.ones((4, 1)), np.array([[3.0], [2], [2], [2], [9]])
    chosen = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], bool)
    places, top = all_paths(queries, weights, index, chosen, np.array([3, 4, 5, 5]), 4)
    assert top.tolist() == [[1, 2, 3, 4], [2, 4, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]]
    assert places.greater.tolist() == [1, 0, 0, metrics.MISS]
    assert places.ties.tolist() == [2, 1, 0, 0]
    assert places.inside.tolist() == [True, True, True, False]


def test_no_path_hides_bad_input():
    queries, weights = np.ones((2, 3)), np.ones((4, 3))
    index = choose.index_of(np.array([0, 0, 0, 1, 1]), 2)
    chosen, target, layout = np.ones((2, 2), bool), np.array([1, 4]), blocks.lay_out(weights, index)
    nan, infinite = queries * np.nan, queries * np.inf

    def dense(queries, weights, chosen, target, n=1):
        return rank.dense(queries, weights, index, chosen, target, n)

    bad = [(nan, weights, chosen, target), (infinite, weights, chosen, target),
           (queries, weights * np.nan, chosen, target), (queries, weights[:3], chosen, target),
           (queries[:, :2], weights, chosen, target),
           (queries, weights.astype("f"), chosen, target),
           (queries.astype(int), weights.astype(int), chosen, target),
           (queries, weights, chosen[:1], target),
           (queries, weights, chosen * 1, target), (queries, weights, chosen, target * 0),
           (queries, weights, chosen, target + 1), (queries, weights, chosen, target[:1]),
           (queries, weights, chosen, target + 0.5), (queries, weights, chosen, target, 0)]
    calls = [partial(dense, *arguments) for arguments in bad]
    for q, c in ((nan, chosen), (infinite, chosen), (queries.astype("f"), chosen),
                 (queries, chosen[:1]), (queries * 1e308, chosen)):
        calls.append(lambda q=q, c=c: blocks.top_by_blocks(q, layout, c, 1))
    calls += [lambda: blocks.lay_out(weights * np.nan, index),
              lambda: blocks.lay_out(weights[:3], index),
              lambda: blocks.top_by_blocks(queries, layout, chosen, 0)]
    for call in calls:
        with pytest.raises(InputError, match="^(queries|weights|chosen|target|n) (must|hold|and rows) "):
            call()


def test_the_fast_path_builds_nothing_of_all_sessions_by_all_items():
    rng = np.random.default_rng(0)
    B, N, C = 64, 100_000, 100
    index = choose.index_of(rng.integers(0, C, size=N + 1), C)
    layout = blocks.lay_out(rng.normal(size=(N, 4)).astype(np.float32), index)
    queries = rng.normal(size=(B, 4)).astype(np.float32)
    chosen = choose.topk(log_probabilities(rng, B, C), 4)
    tracemalloc.start()
    blocks.top_by_blocks(queries, layout, chosen, 20)
    assert tracemalloc.get_traced_memory()[1] < B * N / 2  # bytes; a mask would take B * N
    tracemalloc.stop()
