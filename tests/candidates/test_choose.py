"""Which categories a policy chooses, and which items these hold, by hand and a slow reference."""
import math

import numpy as np
import pytest

from mbref.candidates import choose
from mbref.errors import InputError
from tests.candidates.problems import (
    log_probabilities,
    problem,
    seeds,
)
from tests.optional import given, st


@given(seeds, st.integers(1, 9), st.integers(1, 60))
def test_index_holds_each_item_once_under_its_category(seed, C, N):
    category = np.random.default_rng(seed).integers(0, C, size=N + 1)
    index = choose.index_of(category, C)
    assert sorted(index.order) == list(range(1, N + 1))
    for c in range(C):
        assert index.order[index.indptr[c] : index.indptr[c + 1]].tolist() == [
            i for i in range(1, N + 1) if category[i] == c]
    assert choose.sizes_of(index).sum() == N


def test_index_ignores_the_category_of_padding_and_refuses_items_without_one():
    assert choose.index_of(np.array([99, 1, 0]), 2).order.tolist() == [2, 1]
    for category in ([0, 2], [0, -1], [[0, 1]], [0], [0.0, 1.0]):
        with pytest.raises(InputError, match="categor"):
            choose.index_of(np.array(category), 2)


@given(seeds, st.integers(1, 8), st.integers(1, 12), st.sampled_from([None, 1, 2]))
def test_topk_takes_the_most_probable_and_breaks_ties_by_the_lower_id(seed, C, K, levels):
    logp = log_probabilities(np.random.default_rng(seed), 5, C, levels)
    for row, chosen in zip(logp, choose.topk(logp, K), strict=True):
        order = sorted(range(C), key=lambda c: (-row[c], c))
        assert np.flatnonzero(chosen).tolist() == sorted(order[:K])


@given(seeds, st.floats(0.001, 1), st.sampled_from([None, 1, 2]))
def test_budget_stops_with_the_category_that_reaches_it(seed, rho, levels):
    rng = np.random.default_rng(seed)
    _, _, index, chosen, _, _ = problem(seed, "random", float)
    sizes, N = choose.sizes_of(index), len(index.order)
    logp = log_probabilities(rng, 5, len(sizes), levels)
    for row, chosen in zip(logp, choose.budget(logp, rho, index), strict=True):
        order = sorted(range(len(sizes)), key=lambda c: (-row[c], c))
        count = chosen.sum()
        assert count >= 1 and set(np.flatnonzero(chosen)) == set(order[:count])
        assert sizes[order[:count]].sum() >= rho * N - 1e-6
        assert sizes[order[: count - 1]].sum() < math.ceil(rho * N)


def test_budget_is_not_fooled_by_the_last_bit_of_a_share():
    index = choose.index_of(np.repeat([0, 0, 1], [1, 7, 93]), 2)  # 0.07 * 100 is 7.000000000000001
    assert choose.budget(np.log([[0.6, 0.4]]), 0.07, index).tolist() == [[True, False]]
    assert choose.budget(np.log([[0.6, 0.4]]), 0.08, index).tolist() == [[True, True]]
    assert choose.budget(np.log([[0.6, 0.4]]), 1e-12, index).tolist() == [[True, False]]


@given(seeds, st.floats(0.01, 0.99), st.sampled_from([None, 1, 2]))
def test_mass_stops_with_the_category_that_reaches_it(seed, tau, levels):
    logp = log_probabilities(np.random.default_rng(seed), 5, 7, levels)
    for row, chosen in zip(logp, choose.mass(logp, tau), strict=True):
        order = sorted(range(7), key=lambda c: (-row[c], c))
        count = chosen.sum()
        assert count >= 1 and set(np.flatnonzero(chosen)) == set(order[:count])
        assert math.fsum(np.exp(row[order[:count]])) >= tau - 1e-12
        assert math.fsum(np.exp(row[order[: count - 1]])) < tau + 1e-12


def test_mass_by_hand():
    logp = np.log([[0.125, 0.5, 0.25, 0.125]])
    for tau, chosen in ((0.4, [1]), (0.5, [1]), (0.51, [1, 2]), (0.8, [0, 1, 2]),
                        (1.0, [0, 1, 2, 3])):
        assert np.flatnonzero(choose.mass(logp, tau)).tolist() == chosen


@pytest.mark.parametrize("share", [0.001, 0.1, 0.4, 0.9, 1.0])
@pytest.mark.parametrize("levels", [None, 3])
def test_budget_and_mass_of_many_categories(share, levels):
    """Of 300, whose first 64 are enough for some sessions, and tie with others where there are three levels."""
    rng, C = np.random.default_rng(0), 300
    category = np.append(np.arange(C), rng.integers(0, C, 2000))
    index, logp = choose.index_of(np.append(0, category), C), log_probabilities(rng, 40, C, levels)
    sizes, p = choose.sizes_of(index), np.exp(logp)
    by_size, by_mass = choose.budget(logp, share, index), choose.mass(logp, share)
    for b, row in enumerate(logp):
        order = sorted(range(C), key=lambda c, row=row: (-row[c], c))
        for chosen, amounts, wanted in ((by_size, sizes, share * 2300), (by_mass, p[b], share)):
            before = np.cumsum(np.append(0, amounts[order]))[:-1]
            assert np.flatnonzero(chosen[b]).tolist() == sorted(c for c, sum_before in zip(order, before, strict=True)
                                                               if sum_before < wanted)


@given(seeds, st.floats(0.01, 1))
def test_k_of_share_is_the_nearest_k(seed, rho):
    _, _, index, _, _, _ = problem(seed, "random", float)
    C = len(index.indptr) - 1
    logp = log_probabilities(np.random.default_rng(seed), 6, C)
    distance = [abs(choose.share(choose.topk(logp, K), index) - rho) for K in range(1, C + 1)]
    found = choose.k_of_share(logp, rho, index)
    assert distance[found - 1] == pytest.approx(min(distance), abs=1e-12)


TWO = choose.index_of(np.array([0, 0, 1]), 2)
POLICIES = {"topk": lambda logp: choose.topk(logp, 1), "mass": lambda logp: choose.mass(logp, 0.5),
            "budget": lambda logp: choose.budget(logp, 0.5, TWO)}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_refuse_nan_and_other_shapes(name):
    choose = POLICIES[name]
    assert choose(np.array([[0.0, -np.inf]])).tolist() == [[True, False]]  # probability 0 is one
    for logp in ([[0.0, np.nan]], [[np.inf, 0.0]], [0.0, 1.0], [[0, 1]]):
        with pytest.raises(InputError, match="logp"):
            choose(np.array(logp))


def test_policies_refuse_senseless_sizes():
    logp, index = np.log([[0.5, 0.5]]), choose.index_of(np.array([0, 0, 1, 2]), 3)
    three = logp[:, [0, 1, 1]]
    for words, call in (("^K must", lambda: choose.topk(logp, 0)), ("^K must", lambda: choose.topk(logp, 1.5)),
                        ("^tau must", lambda: choose.mass(logp, 0)), ("^tau must", lambda: choose.mass(logp, 1.1)),
                        ("^logp must", lambda: choose.mass(logp + 3, 0.5)),
                        ("differ in their", lambda: choose.budget(logp, 0.5, index)),
                        ("^rho must", lambda: choose.budget(three, 0, index)),
                        ("^rho must", lambda: choose.budget(three, 2, index))):
        with pytest.raises(InputError, match=words):
            call()


def test_share_by_hand():
    index = choose.index_of(np.array([0, 0, 0, 0, 1, 2]), 4)  # sizes 3, 1, 1, 0
    chosen = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]], bool)
    assert choose.share(chosen, index) == pytest.approx(1 / 3)
    allowed = choose.items_of(chosen, index).astype(int)
    assert allowed.tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1], [0] * 5]
    assert math.isnan(choose.share(chosen[:0], index))


def test_others_are_drawn_uniform_and_never_the_target():
    target = np.tile([1, 5, 7], 4000)
    sizes = np.tile([0, 3, 6], 4000)
    drawn = choose.draw_others(np.random.default_rng(0), sizes, target, 7)
    assert np.array_equal(drawn.sum(axis=1), sizes)
    assert not drawn[np.arange(12000), target - 1].any()
    assert drawn[2::3, :6].all()  # 6 others, all of them
    half = [0.5, 0.5, 0.5, 0.5, 0, 0.5, 0.5]  # with a standard deviation of .008
    np.testing.assert_allclose(drawn[1::3].mean(axis=0), half, atol=0.03)
    for wrong in ([7], [-1]):
        with pytest.raises(InputError, match="sizes"):
            choose.draw_others(np.random.default_rng(0), wrong, np.array([1]), 7)


def test_injecting_changes_the_targets_alone_and_a_copy():
    allowed = np.zeros((2, 4), bool)
    injected = choose.inject_target(allowed, np.array([4, 1]))
    assert np.argwhere(injected).tolist() == [[0, 3], [1, 0]] and not allowed.any()


def test_backfill_by_hand():
    """Items 2, 4, 1, 3 by popularity, 1 and 3 equal."""
    allowed = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    before = allowed.copy()
    filled = choose.backfill(allowed, [1, 5, 1, 2], 3)
    assert filled.astype(int).tolist() == [[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert np.array_equal(allowed, before)
    assert choose.backfill(allowed, [1, 5, 1, 2], 99).all()
    assert np.array_equal(choose.backfill(allowed, [1] * 4, 0), before)


# Items of several categories.
