"""What candidates do to a ranking: relations 1 to 5, misses, the two-level softmax."""
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from autograd import grad

from mbref import metrics
from mbref.candidates import choose, rank
from mbref.errors import InputError
from mbref.nn.losses import log_softmax
from tests.candidates.problems import (
    KINDS,
    all_paths,
    log_probabilities,
    problem,
    seeds,
)
from tests.optional import given, settings, st


def full_and_narrow(seed, K, kind="random"):
    """Places among all items, Places among those of K categories, coverage."""
    queries, weights, index, chosen, target, category = problem(seed, kind, float)
    logp = log_probabilities(np.random.default_rng(seed), *chosen.shape)
    chosen = choose.topk(logp, K)
    return (rank.dense(queries, weights, index, np.ones_like(chosen), target, 1)[0],
            rank.dense(queries, weights, index, chosen, target, 1)[0],
            np.mean(chosen[np.arange(len(target)), category[target]]) if len(target) else 1)


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_relation_1_all_categories_are_full_evaluation(seed, kind):
    full, narrow, coverage = full_and_narrow(seed, 99, kind)
    for ours, theirs in zip(full, narrow, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert full.inside.all() and (coverage == 1 or len(full.inside) == 0)


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 8), st.sampled_from(KINDS))
def test_relation_2_fewer_competitors_never_hurt(seed, K, kind):
    full, narrow, _ = full_and_narrow(seed, K, kind)
    inside = narrow.inside
    assert (narrow.greater <= full.greater)[inside].all()
    assert (narrow.ties <= full.ties)[inside].all()
    assert (narrow.greater == metrics.MISS)[~inside].all()


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_relation_3_recall_is_bounded_by_coverage_which_grows_with_k(seed, kind):
    before = 0
    for K in range(1, 9):
        _, narrow, coverage = full_and_narrow(seed, K, kind)
        if len(narrow.inside):
            assert rank.report(*narrow, k=3)["Recall@3"] <= coverage + 1e-12
            assert coverage >= before
            before = coverage


def chance_by_orders(full, narrow, k):
    """P(r' <= k < r) and P(r <= k < r') over every order of the target and its ties among all.

    The narrow ties are the first of the full ones; which of them they are does not matter.
    """
    gained = lost = Fraction(0)
    for b in range(len(full.inside)):
        orders = list(itertools.permutations(range(full.ties[b] + 1)))  # 0 is the target
        for order in orders:
            at = order.index(0)
            r = 1 + full.greater[b] + at
            kept = sum(0 < other <= narrow.ties[b] for other in order[:at])
            r_narrow = 1 + narrow.greater[b] + kept if narrow.inside[b] else math.inf
            gained += Fraction(int(r_narrow <= k < r), len(orders))
            lost += Fraction(int(r <= k < r_narrow), len(orders))
    return gained / len(full.inside), lost / len(full.inside)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(1, 5))
def test_relation_4_two_opposite_errors_make_the_gap(seed, K, k):
    rng = np.random.default_rng(seed)
    scores, category = rng.integers(0, 4, size=(6, 7)).astype(float), rng.integers(0, 4, size=8)
    index, chosen = choose.index_of(category, 4), choose.topk(log_probabilities(rng, 6, 4), K)
    target = rng.integers(1, 8, size=6)
    full, _ = all_paths(np.eye(6), scores.T.copy(), index, np.ones_like(chosen), target, 3)
    narrow, _ = all_paths(np.eye(6), scores.T.copy(), index, chosen, target, 3)
    gained, lost = rank.gap(full, narrow, k)
    want = tuple(map(float, chance_by_orders(full, narrow, k)))
    assert (gained, lost) == pytest.approx(want, abs=1e-12)
    assert gained >= 0 and lost >= 0
    name = f"Recall@{k}"
    change = rank.report(*narrow, k)[name] - rank.report(*full, k)[name]
    assert change == pytest.approx(gained - lost, abs=1e-12)


def test_relation_4_needs_the_same_scores_and_a_full_ranking():
    places = rank.Standing(np.array([3]), np.array([0]), np.array([True]))
    for full, narrow, words in ((places, places._replace(greater=np.array([4])), "ranks worse"),
                                (places, places._replace(ties=np.array([1])), "ranks worse"),
                                (places._replace(inside=np.array([False])), places, "all items")):
        with pytest.raises(InputError, match=words):
            rank.gap(full, narrow)
    none = rank.Standing(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))
    assert np.isnan(rank.gap(none, none)).all()


def test_relation_5_random_candidates_with_the_target_put_in_flatter():
    """All sets of m of the N - 1 other items: the mean rank is 1 + m (r - 1) / (N - 1), below r."""
    N, m = 9, 4
    weights = np.random.default_rng(0).permutation(N).astype(float)[:, None]
    for target in range(1, N + 1):
        place = 1 + int((weights > weights[target - 1]).sum())
        sets = itertools.combinations([i for i in range(N) if i != target - 1], m)
        allowed = np.array([np.isin(np.arange(N), others) for others in sets])
        targets, queries = np.full(len(allowed), target), np.ones((len(allowed), 1))
        places, _ = rank.among(queries, weights, choose.inject_target(allowed, targets), targets, 3)
        without, _ = rank.among(queries, weights, allowed, targets, 3)
        assert places.inside.all() and not without.inside.any()
        assert (1 + places.greater).mean() == pytest.approx(1 + m * (place - 1) / (N - 1))
        assert (1 + places.greater).mean() <= place


def test_misses_stay_in_the_denominator():
    greater, ties = np.array([0, metrics.MISS, 1, 5]), np.zeros(4, int)
    inside = np.array([True, False, True, True])
    row = rank.report(greater, ties, inside, 3)
    assert row == pytest.approx({"Recall@3": 2 / 4, "MRR@3": (1 + 1 / 2) / 4,
                                 "NDCG@3": (1 + 1 / math.log2(3)) / 4, "coverage": 3 / 4})
    assert rank.report(greater * inside, ties, inside, 3) == row  # whatever the counts say
    assert rank.report(greater, ties, inside, 1000)["Recall@1000"] == 3 / 4
    assert all(math.isnan(x) for x in rank.report(greater[:0], ties[:0], inside[:0]).values())


def two_level_by_sums(p_category, z, category):
    """p(c(i)) exp(z_i) / sum of exp(z) over the items of c(i), item by item."""
    def one(i):
        same = [math.exp(z[j]) for j in range(len(z)) if category[j + 1] == category[i + 1]]
        return p_category[category[i + 1]] * math.exp(z[i]) / math.fsum(same)

    return [one(i) for i in range(len(z))]


@given(seeds, st.integers(1, 6), st.integers(1, 20))
def test_two_level_softmax_is_a_distribution(seed, C, N):
    rng = np.random.default_rng(seed)
    category, logp = rng.integers(0, C, size=N + 1), log_probabilities(rng, 3, C)
    z = rng.normal(0, 3, size=(3, N))
    found = rank.two_level_logp(logp, z, category)
    for b in range(3):
        want = two_level_by_sums(np.exp(logp[b]), z[b], category)
        np.testing.assert_allclose(np.exp(found[b]), want, atol=1e-12)
    held = np.isin(np.arange(C), category[1:])
    total = np.exp(logp[:, held]).sum(axis=1)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), total, atol=1e-12)
    np.testing.assert_allclose(rank.two_level_logp(logp[0], z[0], category), found[0], atol=1e-12)


def test_two_level_softmax_sums_to_one_even_where_a_category_has_far_lower_logits():
    category, logp = np.array([0, 0, 0, 1, 1]), np.log([[0.25, 0.75]])
    for z in ([[0.0, 0, -5000, -5000]], [[1e4, 1e4, 0, 0]]):
        np.testing.assert_allclose(np.exp(rank.two_level_logp(logp, np.array(z), category)),
                                   [[0.125, 0.125, 0.375, 0.375]], atol=1e-12)
    found = rank.two_level_logp(logp.astype("f"), np.zeros((1, 4), "f"), category)
    assert found.dtype == np.float32


def test_two_level_gradients_against_central_differences():
    rng = np.random.default_rng(0)
    category = np.array([9, 0, 2, 2, 0, 4, 2])
    logits, z = rng.normal(size=(2, 5)), rng.normal(size=(2, 6))
    factor = rng.normal(size=(2, 6))

    def value(logits, z):
        return (rank.two_level_logp(log_softmax(logits), z, category) * factor).sum()

    for argument, x in enumerate((logits, z)):
        got = grad(value, argument)(logits, z)
        for at in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[at] = 1e-5
            high, low = ([logits + step, z], [logits - step, z]) if argument == 0 else (
                [logits, z + step], [logits, z - step])
            assert got[at] == pytest.approx((value(*high) - value(*low)) / 2e-5, abs=1e-8)
