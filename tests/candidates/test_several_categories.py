"""Items of several categories: they are candidates once, and some policies refuse them."""

import numpy as np
import pytest

from mbref import metrics
from mbref.candidates import blocks
from mbref.candidates import choose, rank
from mbref.errors import InputError
from tests.candidates.problems import by_session, problem, seeds
from tests.optional import given, settings


def several(seed):
    """A random problem whose items have one to three categories.

    -> {item: set of categories}, Index, the rest
    """
    queries, weights, _, chosen, target, _ = problem(seed, "whole numbers", np.float32)
    rng, (N, C) = np.random.default_rng(seed), (len(weights), chosen.shape[1])
    of = {i: set(rng.integers(0, C, rng.integers(1, 4)).tolist()) for i in range(1, N + 1)}
    pairs = [(i, c) for i, held in of.items() for c in held]
    pairs = rng.permutation(pairs + pairs[:2])  # in any order, and some twice
    index = choose.index_of_pairs(pairs[:, 0], pairs[:, 1], N, C)
    return of, index, queries, weights, chosen, target


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_an_item_of_several_categories_is_a_candidate_once(seed):
    of, index, queries, weights, chosen, target = several(seed)
    for c in range(chosen.shape[1]):
        found = index.order[index.indptr[c] : index.indptr[c + 1]]
        assert found.tolist() == [i for i in of if c in of[i]]
    want = [[i for i in of if of[i] & set(np.flatnonzero(row))] for row in chosen]
    assert [(np.flatnonzero(row) + 1).tolist() for row in choose.items_of(chosen, index)] == want
    assert [sorted(blocks.candidates_of_session(row, index)) for row in chosen] == want
    if len(chosen):
        mean = np.mean([len(items) for items in want]) / len(of)
        assert choose.share(chosen, index) == pytest.approx(mean)
    places, top = rank.dense(queries, weights, index, chosen, target, 9)
    others, same = by_session(queries, weights, index, chosen, target, 9)
    np.testing.assert_array_equal(top, same)
    for ours, theirs in zip(places, others, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for row, t, inside, items in zip(top, target, places.inside, want, strict=True):
        assert inside == (t in items)
        assert len(set(row[row > 0])) == (row > 0).sum() == min(9, len(items))


def test_by_hand_with_an_item_of_two_categories():
    """Items 1..3 score 3, 2, 1; item 1 is of categories 0 and 1, item 2 of 0, item 3 of 1."""
    index = choose.index_of_pairs([1, 3, 2, 1], [1, 1, 0, 0], 3, 2)
    chosen = np.array([[True, True], [True, False], [False, True]])
    assert choose.items_of(chosen, index).astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert choose.share(chosen, index) == pytest.approx(7 / 9)
    queries, weights, target = np.ones((3, 1)), np.array([[3.0], [2], [1]]), np.array([3, 3, 3])
    places, top = by_session(queries, weights, index, chosen, target, 3)
    assert top.tolist() == [[1, 2, 3], [1, 2, 0], [1, 3, 0]]
    assert places.greater.tolist() == [2, metrics.MISS, 1]
    assert places.inside.tolist() == [True, False, True]


def test_one_category_an_item_by_pairs_is_the_same_index():
    category = np.array([9, 2, 0, 2, 1])
    pairs = choose.index_of_pairs([4, 2, 1, 3], [1, 0, 2, 2], 4, 3)
    for ours, theirs in zip(pairs, choose.index_of(category, 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_several_categories_cannot_have_is_said():
    index, logp = choose.index_of_pairs([1, 2, 1], [0, 0, 1], 2, 2), np.log([[0.5, 0.5]])
    for call in (lambda: choose.budget(logp, 0.5, index),
                 lambda: choose.k_of_share(logp, 0.5, index),
                 lambda: blocks.lay_out(np.ones((2, 1)), index)):
        with pytest.raises(InputError, match="several categories"):
            call()
    for item, category in (([1], [0]), ([1, 2], [0, 3]), ([1, 2], [0, -1]), ([1, 3], [0, 0]),
                           ([0, 1, 2], [0] * 3), ([1.0, 2.0], [0, 0]), ([1, 2, 2], [0, 0])):
        with pytest.raises(InputError, match="categor"):
            choose.index_of_pairs(item, category, 2, 3)
