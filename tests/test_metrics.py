"""mbref.metrics against hand arithmetic, enumerated tie-breaks, scipy and scikit-learn.

`test_01` to `test_18` are the acceptance tests of the metrics; averages and the checks of arguments follow.
"""
import itertools
import math
import warnings

import numpy as np
import pytest

from mbref import metrics
from mbref.data import negatives as sampling
from mbref.errors import MOST, InputError
from mbref.metrics import (
    MISS,
    auc,
    greater_and_ties,
    hit_rate,
    mrr,
    ndcg,
    ndcg_many,
    recall_many,
)
from tests.optional import library

optimize, stats, sk = library("scipy.optimize"), library("scipy.stats"), library("sklearn.metrics")
POLICIES = ("pessimistic", "expected", "optimistic")
METRICS = (hit_rate, mrr, ndcg)
GAIN_OF_RANK = {hit_rate: lambda r: 1.0, mrr: lambda r: 1 / r, ndcg: lambda r: 1 / math.log2(r + 1)}


def close(actual, expected, atol=1e-12):
    """Assert equality up to an absolute error that only rounding explains."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def tied_scores(rng, B, C, levels=4):
    """[B, C] scores with few distinct values, hence many ties."""
    return rng.integers(levels, size=(B, C)) / levels


def distinct_scores(rng, B, C):
    """[B, C] scores without ties in a row."""
    return rng.permuted(np.tile(np.arange(C) * 0.37 - 1.0, (B, 1)), axis=1)


def auc_by_pairs(scores, positive, ties="half", allowed=None):
    """The numbers of `auc`, [B], pair by pair as DMRAN eq. 23 is written."""
    allowed = np.ones(np.shape(scores), bool) if allowed is None else allowed
    values = np.full(len(scores), np.nan)
    for b, row in enumerate(np.asarray(scores)):
        pairs = [(i, j) for i in row[positive[b] & allowed[b]] for j in row[~positive[b] & allowed[b]]]
        if pairs:
            worth_of_tie = 0.5 if ties == "half" else 0.0
            values[b] = sum((i > j) + worth_of_tie * (i == j) for i, j in pairs) / len(pairs)
    return values


def value_of_order(metric, order, target, k):
    """The metric, by hand, of one list of columns, best first."""
    rank = list(order).index(target) + 1
    return GAIN_OF_RANK[metric](rank) if rank <= k else 0.0


def tie_broken_orders(scores):
    """The lists of columns that sorting by score gives, one for each of the n! orders that break ties."""
    for tie_break in itertools.permutations(range(len(scores))):
        yield sorted(range(len(scores)), key=lambda j: (-scores[j], tie_break[j]))


@pytest.mark.parametrize("g, hr, rr, gain", [
    (0, 1, 1, 1), (1, 1, 1 / 2, 0.6309297535714575), (2, 1, 1 / 3, 1 / 2), (9, 1, 1 / 10, 0.2890648263178879),
    (10, 0, 0, 0)])
def test_01_hand_examples_at_cut_off_10(g, hr, rr, gain):
    for ties in POLICIES:
        for metric, value in zip(METRICS, (hr, rr, gain), strict=True):
            close(metric([g], [0], 10, ties), [value])


def test_01_counts_by_hand():
    scores = [[0.5, 0.9, 0.5, 0.1, 0.5], [3.0, 2.0, 1.0, 0.0, -1.0]]
    g, e = greater_and_ties(scores, [2, 4])
    assert g.tolist() == [1, 4] and e.tolist() == [2, 0]
    # ranks 2, 3 or 4 for the first case: at k = 3 two of the three orders hit
    close(hit_rate(g, e, 3), [2 / 3, 0])
    close(mrr(g, e, 3), [(1 / 2 + 1 / 3) / 3, 0])
    close(ndcg(g, e, 3), [(1 / math.log2(3) + 1 / 2) / 3, 0])
    assert hit_rate(g, e, 3, "pessimistic").tolist() == [0, 0]
    assert hit_rate(g, e, 3, "optimistic").tolist() == [1, 0]


@pytest.mark.parametrize("column", [0, 50, 100])
def test_02_constant_scorer_earns_chance_and_never_looks_perfect(column):
    g, e = greater_and_ties(np.zeros((1, 101)), [column])
    assert (g[0], e[0]) == (0, 100)
    harmonic = sum(1 / r for r in range(1, 11)) / 101
    discount = sum(1 / math.log2(r + 1) for r in range(1, 11)) / 101
    for metric, chance in zip(METRICS, (10 / 101, harmonic, discount), strict=True):
        close(metric(g, e, 10), chance)
        assert metric(g, e, 10, "pessimistic") == 0
        assert metric(g, e, 10, "optimistic") == 1
        assert metric(g, e, 10) == metric(g, e, 10, ties="expected")  # the default


def test_02_constant_scorer_auc():
    positive = np.array([[True, False, False], [False, True, True]])
    for one_auc in (auc, auc_by_pairs):
        assert one_auc(np.zeros((2, 3)), positive).tolist() == [0.5, 0.5]
        assert one_auc(np.zeros((2, 3)), positive, ties="strict").tolist() == [0, 0]


def test_03_joint_permutation_of_candidates_changes_nothing():
    rng = np.random.default_rng(3)
    scores, target = tied_scores(rng, 30, 12), rng.integers(12, size=30)
    positive, allowed = rng.random((30, 12)) < 0.3, rng.random((30, 12)) < 0.8
    g, e = greater_and_ties(scores, target, allowed)
    assert (e > 0).any()
    for _ in range(5):
        order = rng.permutation(12)
        moved = scores[:, order], np.argsort(order)[target], allowed[:, order]
        g_moved, e_moved = greater_and_ties(*moved)
        assert (g_moved == g).all() and (e_moved == e).all()
        for many in (recall_many, ndcg_many):
            close(many(scores[:, order], positive[:, order], 4, allowed[:, order]),
                  many(scores, positive, 4, allowed))
        for ties in ("half", "strict"):
            close(auc(scores[:, order], positive[:, order], ties, allowed[:, order]),
                  auc(scores, positive, ties, allowed))


@pytest.mark.parametrize("increasing", [np.exp, np.arctan, lambda s: 3 * s - 7, lambda s: s**3])
def test_04_strictly_increasing_transform_changes_nothing(increasing):
    rng = np.random.default_rng(4)
    scores, target, positive = tied_scores(rng, 30, 12), rng.integers(12, size=30), rng.random((30, 12)) < 0.3
    scores = scores - 0.5
    for before, after in zip(greater_and_ties(scores, target),
                             greater_and_ties(increasing(scores), target), strict=True):
        assert (before == after).all()
    np.testing.assert_array_equal(auc(increasing(scores), positive), auc(scores, positive))
    np.testing.assert_array_equal(ndcg_many(increasing(scores), positive, 5), ndcg_many(scores, positive, 5))
    assert (np.nan_to_num(auc(-scores, positive)) != np.nan_to_num(auc(scores, positive))).any()


@pytest.mark.parametrize("ties", POLICIES)
def test_05_identities_between_the_metrics(ties):
    rng = np.random.default_rng(5)
    g, e = greater_and_ties(tied_scores(rng, 200, 15, levels=8), rng.integers(15, size=200))
    assert (hit_rate(g, e, 1, ties) == mrr(g, e, 1, ties)).all()
    assert (hit_rate(g, e, 1, ties) == ndcg(g, e, 1, ties)).all()
    for k in range(1, 18):
        hr, rr, gain = (metric(g, e, k, ties) for metric in METRICS)
        assert (rr <= gain + 1e-15).all() and (gain <= hr + 1e-15).all()
        assert k == 1 or ((rr < gain).any() and (gain < hr).any())
        for metric in METRICS:
            assert (metric(g, e, k + 1, ties) >= metric(g, e, k, ties) - 1e-15).all()
    assert (hit_rate(g, e, 15, ties) == 1).all()


def test_05_untruncated_mrr_is_the_mean_reciprocal_rank():
    g = np.arange(20)
    close(mrr(g, np.zeros(20, int), 20).mean(), sum(1 / r for r in range(1, 21)) / 20)


def test_06_expected_lies_between_pessimistic_and_optimistic():
    rng = np.random.default_rng(6)
    g, e = greater_and_ties(tied_scores(rng, 300, 20), rng.integers(20, size=300))
    for metric in METRICS:
        low, middle, high = (metric(g, e, 5, ties) for ties in POLICIES)
        assert (low <= middle + 1e-15).all() and (middle <= high + 1e-15).all()
        assert (low < middle).any() and (middle < high).any()


@pytest.mark.parametrize("n, draws", [(2, 4), (4, 12), (5, 12), (7, 2)])
def test_06_expected_is_the_mean_over_all_tie_breaks(n, draws):
    rng = np.random.default_rng(n)
    for _ in range(draws):
        scores, target, k = rng.integers(3, size=n), int(rng.integers(n)), int(rng.integers(1, n + 1))
        g, e = greater_and_ties(scores[None], [target])
        orders = list(tie_broken_orders(scores))
        for metric in METRICS:
            values = [value_of_order(metric, order, target, k) for order in orders]
            close(metric(g, e, k), np.mean(values))
            close(metric(g, e, k, "pessimistic"), min(values))
            close(metric(g, e, k, "optimistic"), max(values))


def test_06_several_positives_mean_over_all_tie_breaks():
    rng = np.random.default_rng(60)
    for _ in range(12):
        scores, k = rng.integers(3, size=5), int(rng.integers(1, 6))
        positive = np.arange(5) < rng.integers(1, 5)
        wanted = set(np.flatnonzero(positive))
        hits = [sum(j in wanted for j in order[:k]) for order in tie_broken_orders(scores)]
        gains = [sum(1 / math.log2(r + 2) for r in range(k) if order[r] in wanted)
                 for order in tie_broken_orders(scores)]
        ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted))))
        close(recall_many(scores[None], positive[None], k), np.mean(hits) / len(wanted))
        close(ndcg_many(scores[None], positive[None], k), np.mean(gains) / ideal)


def test_07_auc_by_hand():
    scores, positive = [[0.9, 0.5, 0.5, 0.1]], np.array([[False, True, False, False]])
    for one_auc in (auc, auc_by_pairs):
        close(one_auc(scores, positive), [1.5 / 3])  # below, tied, above
        close(one_auc(scores, positive, ties="strict"), [1 / 3])


@pytest.mark.parametrize("make_scores", [tied_scores, distinct_scores])
def test_07_auc_against_pairs_scipy_and_sklearn(make_scores):
    rng = np.random.default_rng(7)
    scores, positive = make_scores(rng, 60, 14), rng.random((60, 14)) < 0.4
    positive[:, 0], positive[:, 1] = True, False
    values = auc(scores, positive)
    close(values, auc_by_pairs(scores, positive))
    close(auc(scores, positive, "strict"), auc_by_pairs(scores, positive, "strict"))
    for s, is_positive, value in zip(scores, positive, values, strict=True):
        P, Q = is_positive.sum(), (~is_positive).sum()
        rank_sum = stats.rankdata(s)[is_positive].sum()
        close(value, (rank_sum - P * (P + 1) / 2) / (P * Q))
        close(value, stats.mannwhitneyu(s[is_positive], s[~is_positive])[0] / (P * Q))
        close(value, sk.roc_auc_score(is_positive, s))


def test_07_strict_and_half_differ_by_half_the_tied_pairs():
    rng = np.random.default_rng(70)
    scores, positive = tied_scores(rng, 20, 10), np.arange(10) < np.full((20, 1), 3)
    tied = (scores[:, :3, None] == scores[:, None, 3:]).mean(axis=(1, 2))
    assert (tied > 0).any()
    close(auc(scores, positive) - auc(scores, positive, "strict"), tied / 2)
    alone = distinct_scores(rng, 20, 10)
    np.testing.assert_array_equal(auc(alone, positive), auc(alone, positive, "strict"))


def test_07_single_class_users_are_skipped_and_counted():
    scores = np.array([[1.0, 2.0, 3.0]] * 4)
    positive = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0], [1, 1, 1]], dtype=bool)
    for one_auc in (auc, auc_by_pairs):
        values = one_auc(scores, positive)
        np.testing.assert_array_equal(values, [1, 0.5, np.nan, np.nan])
        assert metrics.macro_auc(values) == (0.75, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nobody = metrics.macro_auc(auc(scores[2:], positive[2:]))
    assert math.isnan(nobody.mean) and nobody.skipped == 2


def test_07_macro_auc_gives_every_user_weight_one():
    scores = np.array([[5.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    positive = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)  # AUC 1 of 3 pairs, 0 of 3 pairs
    assert metrics.macro_auc(auc(scores, positive)) == (0.5, 0)  # weighted by positives: .75


@pytest.mark.parametrize("ties", [">=", "greater_equal", "optimistic", "expected", None])
def test_07_no_other_tie_rule_for_auc(ties):
    with pytest.raises(InputError, match="half, strict"):
        auc(np.zeros((1, 2)), np.array([[True, False]]), ties=ties)


def test_08_auc_of_one_positive_is_linear_in_its_mean_rank():
    rng = np.random.default_rng(8)
    scores, target = tied_scores(rng, 40, 21), rng.integers(21, size=40)
    g, e = greater_and_ties(scores, target)
    mean_rank = np.array([stats.rankdata(-s)[t] for s, t in zip(scores, target, strict=True)])
    np.testing.assert_array_equal(1 + g + e / 2, mean_rank)
    close(auc(scores, np.arange(21) == target[:, None]), 1 - (mean_rank - 1) / 20)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 2])
def test_09_scores_that_are_not_finite_raise(bad, column):
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    scores[1, column] = bad
    positive = np.array([[True, False, False]] * 2)
    calls = [lambda: greater_and_ties(scores, [0, 0]), lambda: greater_and_ties(scores, [0, 0], ~positive),
             lambda: auc(scores, positive), lambda: recall_many(scores, positive, 1),
             lambda: ndcg_many(scores, positive, 1)]
    for call in calls:
        with pytest.raises(InputError, match="scores must be finite"):
            call()


def test_10_masked_target_is_a_miss_that_stays_in_the_denominator():
    scores = [[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]]
    allowed = np.array([[True, True, True], [False, True, True], [False, False, False]])
    g, e = greater_and_ties(scores, [0, 0, 0], allowed)
    assert g.tolist() == [0, MISS, MISS] and e.tolist() == [0, 0, 0]
    for metric, ties in itertools.product(METRICS, POLICIES):
        for k in (1, 3, 50, 10**6):  # far past the number of candidates
            assert metric(g, e, k, ties).tolist() == [1, 0, 0]
            assert metric(g, e, k, ties).mean() == 1 / 3


def test_10_masked_candidates_do_not_count():
    scores, allowed = [[0.9, 0.5, 0.5, 0.5, 0.1]], np.array([[False, True, True, False, True]])
    g, e = greater_and_ties(scores, [1], allowed)
    assert g.tolist() == [0] and e.tolist() == [1]
    positive = np.array([[False, True, False, False, False]])
    for one_auc in (auc, auc_by_pairs):
        assert one_auc(scores, positive, allowed=allowed).tolist() == [0.75]  # one tie, one win
        assert one_auc(scores, positive, "strict", allowed).tolist() == [0.5]
    close(recall_many(scores, positive, 1, allowed), [0.5])
    close(ndcg_many(scores, positive, 2, allowed), [(1 + 1 / math.log2(3)) / 2])


def test_10_masked_positives_stay_in_the_denominator():
    scores, positive = [[0.9, 0.8, 0.1]] * 2, np.array([[True, True, False]] * 2)
    allowed = np.array([[False, True, True], [False, False, False]])
    close(recall_many(scores, positive, 9, allowed), [1 / 2, 0])
    close(ndcg_many(scores, positive, 9, allowed), [1 / (1 + 1 / math.log2(3)), 0])
    for one_auc in (auc, auc_by_pairs):
        np.testing.assert_array_equal(one_auc(scores, positive, allowed=allowed), [1, np.nan])


def test_11_cut_off_beyond_the_candidates_is_legal():
    g, e = greater_and_ties([[0.3, 0.2, 0.2]], [1])  # rank 2 or 3
    assert hit_rate(g, e, 100) == 1
    close(mrr(g, e, 100), [(1 / 2 + 1 / 3) / 2])
    close(ndcg(g, e, 100), [(1 / math.log2(3) + 1 / 2) / 2])
    positive = np.array([[True, False, True]])
    assert recall_many([[0.3, 0.2, 0.1]], positive, 100) == 1
    close(ndcg_many([[0.3, 0.2, 0.1]], positive, 100), [1.5 / (1 + 1 / math.log2(3))])


def test_12_empty_input_gives_nan_means_or_raises():
    nothing, none = np.zeros((0, 5)), np.zeros((0, 5), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g, e = greater_and_ties(nothing, [])
        assert g.shape == e.shape == (0,)
        for metric in METRICS:
            assert np.isnan(metrics.mean_and_spread(metric(g, e, 10))).all()
        for values in (recall_many(nothing, none, 3), ndcg_many(nothing, none, 3), auc(nothing, none)):
            assert values.shape == (0,)
        empty = metrics.macro_auc(auc(nothing, none))
    assert math.isnan(empty.mean) and empty.skipped == 0
    with pytest.raises(InputError, match="B >= 1"):
        metrics.paired_bootstrap([], [], np.random.default_rng(0))


def test_13_negatives_of_user_are_distinct_unseen_and_in_range():
    rng = np.random.default_rng(13)
    for _ in range(200):
        seen = rng.choice(np.arange(1, 31), size=8, replace=False)
        negatives = sampling.negatives_of_user(rng, 30, seen, 20)
        assert negatives.shape == (20,) and len(set(negatives)) == 20
        assert not set(negatives) & set(seen)
        assert negatives.min() >= 1 and negatives.max() <= 30


def test_13_every_free_id_is_drawn_equally_often():
    rng, draws = np.random.default_rng(130), 4000
    drawn = np.concatenate([sampling.negatives_of_user(rng, 12, {1, 7}, 3) for _ in range(draws)])
    counts = np.bincount(drawn, minlength=13)
    assert counts[[0, 1, 7]].tolist() == [0, 0, 0]
    share, free = 3 / 10, [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert (abs(counts[free] - draws * share) < 4 * math.sqrt(draws * share * (1 - share))).all()


def test_13_too_few_free_ids_use_all_and_pad_with_zero():
    rng = np.random.default_rng(131)
    negatives = sampling.negatives_of_user(rng, 6, [0, 1, 2, 3], 5)
    assert sorted(negatives[:3]) == [4, 5, 6] and negatives[3:].tolist() == [0, 0]
    assert sorted(sampling.negatives_of_user(rng, 6, [1, 2, 3], 3)) == [4, 5, 6]
    assert sampling.negatives_of_user(rng, 3, [1, 2, 3], 2).tolist() == [0, 0]
    assert sampling.negatives_of_user(rng, 3, [], 0).shape == (0,)
    assert sampling.negatives_of_user(rng, 0, [0], 2).tolist() == [0, 0]
    assert sorted(sampling.negatives_of_user(rng, 3, (), 3)) == [1, 2, 3]


def test_13_negatives_are_reproducible_per_seed():
    seen = [[1, 2], [3], [], [50]]
    first, again, other = (
        sampling.negatives_of_users(np.random.default_rng(seed), 50, seen, 9) for seed in (5, 5, 6))
    assert first.shape == (4, 9) and first.dtype.kind == "i"
    assert (first == again).all() and (first != other).any()
    assert sampling.negatives_of_users(np.random.default_rng(5), 50, [], 9).shape == (0, 9)


@pytest.mark.parametrize("seen, m", [([51], 3), ([-1], 3), ([1], -1)])
def test_13_impossible_requests_raise(seen, m):
    with pytest.raises(InputError, match=r"0\.\.50"):
        sampling.negatives_of_user(np.random.default_rng(0), 50, seen, m)


@pytest.mark.parametrize("items,seen,m", [(1, [1], 2), (9, [], 4), (9, [9, 1, 0, 1], 7), (9, [2, 3, 4], 9),
                                          (60_000, range(7, 900, 2), 99), (60_000, [60_000, 1], 20_000)])
def test_negatives_are_numpys_choice_among_the_free(items, seen, m):
    free = np.setdiff1d(np.arange(1, items + 1), list(seen))
    drawn = np.random.default_rng(3).choice(free, size=min(m, len(free)), replace=False)
    negatives = sampling.negatives_of_user(np.random.default_rng(3), items, seen, m)
    assert negatives.tolist() == drawn.tolist() + [0] * (m - len(drawn))


@pytest.mark.parametrize("r", [1, 7, 40])
def test_14_mean_sampled_rank_by_monte_carlo(r):
    n, m, draws = 40, 9, 3000
    rng = np.random.default_rng(r)
    scores = -np.arange(n + 1.0)  # id i has rank i; id 0 is padding
    negatives = sampling.negatives_of_users(rng, n, [[r]] * draws, m)
    candidates = np.concatenate([np.full((draws, 1), r), negatives], axis=1)  # [draws, m + 1]
    g, e = greater_and_ties(scores[candidates], np.zeros(draws, int), candidates != 0)
    assert (e == 0).all()
    error = 4 * (1 + g).std(ddof=1) / math.sqrt(draws)
    assert abs((1 + g).mean() - sampling.expected_sampled_rank(r, n, m)) <= error
    assert error < 0.15  # 4 standard errors say something


def test_14_mean_sampled_rank_and_plug_in_against_scipy():
    n, m, r = 30, 6, np.arange(1, 31)
    with_replacement = 1 + stats.binom(m, (r - 1) / (n - 1)).mean()
    above = np.arange(m + 1)
    without = 1 + np.array([stats.hypergeom.pmf(above, n - 1, beating, m) @ above for beating in r - 1])
    close(sampling.expected_sampled_rank(r, n, m), with_replacement)
    close(sampling.expected_sampled_rank(r, n, m), without)
    sampled = np.arange(1, m + 2)
    chance = stats.binom.pmf(sampled - 1, m, ((r - 1) / (n - 1))[:, None])
    close(chance @ sampling.rank_plug_in(sampled, n, m), r, atol=1e-11)


@pytest.mark.parametrize("n, m", [(1, 5), (5, 0)])
def test_14_sizes_without_a_sampled_rank_raise(n, m):
    for relation in (sampling.expected_sampled_rank, sampling.rank_plug_in):
        with pytest.raises(InputError, match="at least 2 items"):
            relation(1, n, m)


def test_14_one_negative_of_two_items_is_the_other():
    for relation in (sampling.expected_sampled_rank, sampling.rank_plug_in):
        close(relation([1, 2], 2, 1), [1, 2])
    close(sampling.bias_variance_estimator([0.7, 0.2], 1, 1.0), [0.7, 0.2])


@pytest.mark.parametrize("uniform", [True, False])
def test_15_bias_variance_with_gamma_one_is_the_conditional_mean(uniform):
    n, m = 50, 8
    metric = np.where(np.arange(n) < 10, 1 / np.log2(np.arange(n) + 2), 0)
    prior = None if uniform else 1 / np.arange(1, n + 1)
    joint = stats.binom.pmf(np.arange(m + 1), m, np.arange(n)[:, None] / (n - 1))
    joint *= (np.ones(n) if uniform else prior)[:, None]
    conditional_mean = (metric[:, None] * joint).sum(axis=0) / joint.sum(axis=0)
    close(sampling.bias_variance_estimator(metric, m, 1.0, prior), conditional_mean)


def test_15_bias_variance_minimises_its_objective():
    n, m, gamma = 12, 3, 0.2
    metric, prior = 1.0 * (np.arange(n) < 4), np.linspace(2, 1, n)
    chance = stats.binom.pmf(np.arange(m + 1), m, np.arange(n)[:, None] / (n - 1))

    def objective(x):
        mean = chance @ x
        variance = chance @ x**2 - mean**2
        return prior @ ((mean - metric) ** 2 + gamma * variance)

    found = optimize.minimize(objective, np.zeros(m + 1), tol=1e-12).x
    close(sampling.bias_variance_estimator(metric, m, gamma, prior), found, atol=1e-5)


def test_15_small_gamma_brings_sampled_ndcg_near_the_exact_one():
    n, m = 1000, 99
    metric = np.where(np.arange(n) < 10, 1 / np.log2(np.arange(n) + 2), 0)
    chance = stats.binom.pmf(np.arange(m + 1), m, ((np.array([5, 100, 900]) - 1) / (n - 1))[:, None])
    at_5, at_100, at_900 = chance @ sampling.bias_variance_estimator(metric, m, 0.01)
    assert abs(at_100) < 0.005  # exact 0, uncorrected .150
    assert abs((at_5 + at_900) / 2 - 0.5 / math.log2(6)) < 0.02  # exact .193, uncorrected .435


@pytest.mark.parametrize("gamma, prior, message", [
    (0, None, "gamma"), (1.5, None, "gamma"), (0.1, [1, 0, 0, 0], "impossible"), (0.1, [0] * 4, "prior must"),
    (0.1, [1, 1, 1], "prior must"), (0.1, [1, -1, 1, 1], "prior must"),
    (0.1, [1, np.nan, 1, 1], "prior must"), (0.1, [1, np.inf, 1, 1], "prior must")])
def test_15_bias_variance_refuses_what_it_cannot_solve(gamma, prior, message):
    with pytest.raises(InputError, match=message):
        sampling.bias_variance_estimator(np.ones(4), 2, gamma, prior)


def test_16_single_target_metrics_against_scipy_and_sklearn():
    rng = np.random.default_rng(16)
    scores, target = distinct_scores(rng, 40, 101), rng.integers(101, size=40)
    scores[np.arange(10), target[:10]] += 20  # some hits at rank 1
    g, e = greater_and_ties(scores, target)
    relevant = np.arange(101) == target[:, None]
    rank = np.array([stats.rankdata(-s)[t] for s, t in zip(scores, target, strict=True)])
    assert (1 + g == rank).all() and (e == 0).all()
    for k in (1, 10, 100):
        assert hit_rate(g, e, k).mean() == pytest.approx(
            sk.top_k_accuracy_score(target, scores, k=k, labels=range(101)), abs=1e-12)
        assert ndcg(g, e, k).mean() == pytest.approx(sk.ndcg_score(relevant, scores, k=k), abs=1e-12)
        close(mrr(g, e, k), np.where(rank <= k, 1 / rank, 0))
    assert mrr(g, e, 101).mean() == pytest.approx(
        sk.label_ranking_average_precision_score(relevant, scores), abs=1e-12)


def test_16_rank_policies_under_ties_against_scipy_and_sklearn():
    rng = np.random.default_rng(161)
    scores, target = tied_scores(rng, 40, 30, levels=9), rng.integers(30, size=40)
    g, e = greater_and_ties(scores, target)
    for b in range(40):
        assert 1 + g[b] == stats.rankdata(-scores[b], method="min")[target[b]]
        assert 1 + g[b] + e[b] == stats.rankdata(-scores[b], method="max")[target[b]]
    relevant = np.arange(30) == target[:, None]
    # sklearn's NDCG is the expectation over ties, its average precision takes the worst rank
    assert ndcg(g, e, 10).mean() == pytest.approx(sk.ndcg_score(relevant, scores, k=10), abs=1e-12)
    assert mrr(g, e, 30, "pessimistic").mean() == pytest.approx(
        sk.label_ranking_average_precision_score(relevant, scores), abs=1e-12)


@pytest.mark.parametrize("make_scores", [tied_scores, distinct_scores])
@pytest.mark.parametrize("k", [1, 4, 12])
def test_16_several_positives_against_sklearn(make_scores, k):
    rng = np.random.default_rng(162)
    scores, positive = make_scores(rng, 30, 12), rng.random((30, 12)) < 0.4
    positive[:, 0] = True
    for s, wanted, value in zip(scores, positive, ndcg_many(scores, positive, k), strict=True):
        assert value == pytest.approx(sk.ndcg_score([wanted], [s], k=k), abs=1e-12)


def test_16_recall_of_several_positives_by_sorting():
    rng = np.random.default_rng(163)
    scores, positive = distinct_scores(rng, 30, 12), rng.random((30, 12)) < 0.4
    positive[0] = False
    values = recall_many(scores, positive, 4)
    assert math.isnan(values[0]) and math.isnan(ndcg_many(scores, positive, 4)[0])
    for s, wanted, value in zip(scores[1:], positive[1:], values[1:], strict=True):
        hits = len(set(np.argsort(-s)[:4]) & set(np.flatnonzero(wanted)))
        assert value == pytest.approx(hits / wanted.sum(), abs=1e-12)
    full = np.ones((1, 12), dtype=bool)
    assert recall_many(scores[:1], full, 4) == pytest.approx(4 / 12)  # |R_u|, not min(k, |R_u|)
    assert ndcg_many(scores[:1], full, 4) == pytest.approx(1)


def test_17_a_batch_gives_what_its_rows_give():
    rng = np.random.default_rng(17)
    scores, target = tied_scores(rng, 25, 9), rng.integers(9, size=25)
    positive, allowed = rng.random((25, 9)) < 0.4, rng.random((25, 9)) < 0.7
    g, e = greater_and_ties(scores, target, allowed)
    whole = [m(g, e, 3, t) for m in METRICS for t in POLICIES]
    whole += [auc(scores, positive, t, allowed) for t in ("half", "strict")]
    whole += [recall_many(scores, positive, 3, allowed), ndcg_many(scores, positive, 3, allowed)]
    for b in range(25):
        s, p, a = scores[b:b + 1], positive[b:b + 1], allowed[b:b + 1]
        row = [m(*greater_and_ties(s, target[b:b + 1], a), 3, t) for m in METRICS for t in POLICIES]
        row += [auc(s, p, t, a) for t in ("half", "strict")]
        row += [recall_many(s, p, 3, a), ndcg_many(s, p, 3, a)]
        np.testing.assert_array_equal(np.array(whole)[:, b], np.array(row)[:, 0])


def test_17_batch_of_negatives_is_the_loop_over_users():
    seen = [[1, 2, 3], [4], range(1, 19)]
    rng = np.random.default_rng(170)
    loop = [sampling.negatives_of_user(rng, 20, s, 6) for s in seen]
    assert (sampling.negatives_of_users(np.random.default_rng(170), 20, seen, 6) == np.array(loop)).all()


def test_18_scores_tie_in_the_precision_they_are_given_in():
    """1 + 1e-9 is 1 in float32, so the target's tie there is real; in float64 it ranks second."""
    near = np.array([[1.0, 1.0 + 1e-9, 0.5]])
    assert [c.tolist() for c in greater_and_ties(near, [0])] == [[1], [0]]
    assert [c.tolist() for c in greater_and_ties(near.astype(np.float32), [0])] == [[0], [1]]


def test_18_a_saturated_float32_sigmoid_ties_where_its_logits_do_not():
    logits = np.array([[17.0, 18.0, 19.0]], dtype=np.float32)
    assert [c.tolist() for c in greater_and_ties(logits, [0])] == [[2], [0]]
    probabilities = 1 / (1 + np.exp(-logits))
    assert probabilities.dtype == np.float32
    assert [c.tolist() for c in greater_and_ties(probabilities, [0])] == [[0], [2]]


def test_mean_and_sample_sd_over_seeds_by_hand():
    assert metrics.mean_and_spread([1.0, 2.0, 4.0, 5.0]) == (3.0, pytest.approx(math.sqrt(10 / 3)))
    one = metrics.mean_and_spread([0.25])
    assert one.mean == 0.25 and math.isnan(one.sd)
    assert np.isnan(metrics.mean_and_spread([1.0, np.nan])).all()
    close(metrics.mean_and_spread([1.0, 4.0]), [2.5, math.sqrt(4.5)])


def test_paired_bootstrap_quantiles_are_those_of_the_binomial():
    gap = np.arange(17) < 7  # a resample's sum is Binomial(17, 7 / 17)
    noise = np.random.default_rng(1).normal(size=17) * 100  # shared by both models: must cancel
    found = metrics.paired_bootstrap(noise + gap, noise, np.random.default_rng(2), n=20000)
    low, high = stats.binom.ppf([0.025, 0.975], 17, 7 / 17)
    # Both quantiles are clear of the next value by more than the noise of 20000 resamples.
    noise_of_cdf = 4 * math.sqrt(0.025 * 0.975 / 20000)
    for quantile, level in ((low, 0.025), (high, 0.975)):
        assert stats.binom.cdf(quantile - 1, 17, 7 / 17) < level - noise_of_cdf
        assert stats.binom.cdf(quantile, 17, 7 / 17) > level + noise_of_cdf
    close(found, [7 / 17, low / 17, high / 17])


def test_paired_bootstrap_ends_where_a_fortieth_is_left():
    """Of 41 sorted means, the second and the last but one."""
    gap, rng = np.array([0.5, 1.0, 4.0, 9.0, 20.0]), np.random.default_rng(8)
    means = sorted(np.mean(gap[rng.integers(5, size=5)]) for _ in range(41))
    close(metrics.paired_bootstrap(gap, 0 * gap, np.random.default_rng(8), 41), [6.9, means[1], means[-2]])
    assert len({*means[:3], *means[-3:]}) == 6


def test_paired_bootstrap_sign_default_and_reproducibility():
    a, b = np.array([3.0, 1.0, 2.0, 5.0]), np.array([1.0, 1.0, 1.0, 1.0])
    first, again = (metrics.paired_bootstrap(a, b, np.random.default_rng(4)) for _ in range(2))
    assert first == again and first.mean == 1.75 and 0 <= first.low < 1.75 < first.high <= 4
    once = metrics.paired_bootstrap([3.0], [1.0], np.random.default_rng(4), 1)
    assert once == (2.0, 2.0, 2.0)  # of one case and one resample
    same = metrics.paired_bootstrap(a + 2, a, np.random.default_rng(4))
    assert same == (2.0, 2.0, 2.0)


def test_a_prior_of_tiny_weights_is_that_of_ones():
    """Weights are relative; products with 1e-320 would be 0."""
    tiny, ones = (sampling.bias_variance_estimator([1.0, 0.5, 0.2, 0.1], 30, 0.5, [size] * 4) for size in (1e-320, 1.0))
    close(tiny, ones)


def test_bootstrap_of_seeds_quantiles_are_those_of_all_resamples():
    """All that can be drawn of three cases, three seeds and two seeds, each equally likely: 27 x 27 x 4."""
    a = np.array([[0.0, 3.0, 9.0], [1.0, 3.0, 10.0], [4.0, 7.0, 12.0]])
    b = np.array([[0.5, 2.0, 0.0], [0.5, 2.0, 30.0]])
    three, two = (list(itertools.product(range(count), repeat=count)) for count in (3, 2))
    mean = lambda x, seeds, cases: np.mean([[x[s][c] for c in cases] for s in seeds])
    every = np.sort([mean(a, ours, cases) - mean(b, theirs, cases)
                     for cases in three for ours in three for theirs in two])
    found = metrics.bootstrap_of_seeds(a, b, np.random.default_rng(2), n=20000)
    assert found.mean == pytest.approx(a.mean() - b.mean())
    noise_of_cdf = 4 * math.sqrt(0.025 * 0.975 / 20000)
    for end, level in ((found.low, 0.025), (found.high, 0.975)):
        low, high = np.quantile(every, [level - noise_of_cdf, level + noise_of_cdf])
        assert low <= end + 1e-12 and end <= high + 1e-12


def test_bootstrap_of_seeds_of_one_seed_is_over_cases_and_of_one_case_over_seeds():
    """A tenth of the cases gain 1: of 400 their share varies by sqrt(.1 x .9 / 400) = .015. Of two seeds: the ends."""
    base = np.random.default_rng(1).normal(size=400)
    gain = np.arange(400) < 40
    _, low, high = metrics.bootstrap_of_seeds([base + gain], [base], np.random.default_rng(2))
    assert 0.1 - low == pytest.approx(1.96 * 0.015, rel=0.15) and high - 0.1 == pytest.approx(1.96 * 0.015, rel=0.15)
    assert metrics.bootstrap_of_seeds([[1.0], [3.0]], [[0.0]], np.random.default_rng(2)) == (2.0, 1.0, 3.0)
    assert metrics.bootstrap_of_seeds([[0.0]], [[1.0], [3.0]], np.random.default_rng(2)) == (-2.0, -3.0, -1.0)


@pytest.mark.parametrize("a, b, n", [([[1.0]], [[1.0, 2.0]], 10), ([1.0], [1.0], 10), ([[np.nan]], [[1.0]], 10),
                                     ([[1.0]], [[np.inf]], 10), ([[]], [[]], 10), (np.zeros((0, 1)), [[1.0]], 10),
                                     ([[1.0]], np.zeros((0, 1)), 10),
                                     ([[1.0]], [[1.0]], 0)])
def test_bootstrap_of_seeds_refuses_what_is_no_pair_of_finite_tables(a, b, n):
    with pytest.raises(InputError, match="^(a|a and b|n) must be"):
        metrics.bootstrap_of_seeds(a, b, np.random.default_rng(0), n)
    with pytest.raises(InputError, match="Generator"):
        metrics.bootstrap_of_seeds([[1.0]], [[1.0]], np.random.RandomState(0))


@pytest.mark.parametrize("a, b, n", [([1.0], [1.0, 2.0], 10), ([[1.0]], [[1.0]], 10),
                                     ([1.0, np.nan], [1.0, 1.0], 10)])
def test_paired_bootstrap_refuses_unpaired_or_undefined_cases(a, b, n):
    with pytest.raises(InputError, match="a and b must"):
        metrics.paired_bootstrap(a, b, np.random.default_rng(0), n)


@pytest.mark.parametrize("metric", METRICS)
def test_unknown_policy_and_cut_off_raise(metric):
    for ties in ("mean", None, ["expected"]):
        with pytest.raises(InputError, match="expected, pessimistic, optimistic"):
            metric([0], [0], 10, ties)
    for k in (0, -1, 2.5, float("inf"), float("nan"), "3", None, 10**12, np.array([1, 2])):
        with pytest.raises(InputError, match="k must be a whole number"):
            metric([0], [0], k)


@pytest.mark.parametrize("target", [[3, 0], [-1, 0], [0], [[0, 0]], [0.5, 0], [np.nan, 0], [1e300, 0]])
def test_target_that_is_no_column_raises(target):
    with pytest.raises(InputError, match=r"target must be \[2\] columns in 0..2"):
        greater_and_ties(np.zeros((2, 3)), target)


def test_wrong_shapes_and_masks_that_are_not_bool_raise():
    scores, wanted = np.zeros((2, 3)), np.zeros((2, 3), dtype=bool)
    with pytest.raises(InputError, match="scores must be"):
        greater_and_ties(np.zeros(3), [0])
    for mask in (wanted.astype(int), wanted[:1], wanted[0]):
        for call in (lambda m: greater_and_ties(scores, [0, 0], m), lambda m: auc(scores, wanted, "half", m)):
            with pytest.raises(InputError, match="allowed must be bool"):
                call(mask)
        for call in (lambda m: auc(scores, m), lambda m: recall_many(scores, m, 1),
                     lambda m: ndcg_many(scores, m, 1)):
            with pytest.raises(InputError, match="positive must be bool"):
                call(mask)


@pytest.mark.parametrize("values", [[[1, 2], [1]], [["a", "b"]], [[1j, 2]], np.array([[1, 2]], object), None])
def test_what_is_no_number_is_told(values):
    with pytest.raises(InputError, match="^scores must be"):
        greater_and_ties(values, [0])
    with pytest.raises(InputError, match="^target must be"):
        greater_and_ties([[1, 2]], values)
    for mean in (metrics.mean_and_spread, metrics.macro_auc):
        with pytest.raises(InputError, match="^values must be"):
            mean(values)
    with pytest.raises(InputError, match="^g must be"):
        hit_rate(values, [0], 1)


@pytest.mark.parametrize("values", [0.5, [[0.5, np.nan], [1, 1]]])
def test_a_mean_is_over_one_axis(values):
    for mean in (metrics.mean_and_spread, metrics.macro_auc):
        with pytest.raises(InputError, match="values must be real numbers on 1 axes"):
            mean(values)


@pytest.mark.parametrize("g, e, sentence", [
    ([-3], [0], "g must be whole numbers"), ([3], [-2], "e must be whole numbers"), ([0.5], [0], "g must be whole numbers"),
    ([np.nan], [0], "g must be whole numbers"), (np.array([2**63], np.uint64), [0], "g must be whole numbers"),
    ([1, 2], [0, 0, 0], "g and e must have the same shape"), ([1, 2], 0, "g and e must have the same shape")])
def test_places_that_are_none(g, e, sentence):
    for metric in METRICS:
        with pytest.raises(InputError, match=sentence):
            metric(g, e, 5)


@pytest.mark.parametrize("kind", ["u1", "i1", ">i2", "i4", "u8", "f4", "f8"])
def test_places_of_any_kind_of_number(kind):
    """The largest of a small kind has no successor in it: a miss, not the first place."""
    most = np.iinfo(kind).max if kind[-2:] in ("u1", "i1", "i2", "i4") else 500
    g, e = np.array([0, 3, most]).astype(kind), np.array([0, 1, 1]).astype(kind)
    g.setflags(write=False)
    for metric in METRICS:
        assert metric(g, e, 4).tolist() == metric(g.tolist(), e.tolist(), 4).tolist()
        assert metric(g, e, 4)[[0, 2]].tolist() == [1, 0] and metric([], [], 4).shape == (0,)
        close(metric(g, e, 4)[1], (GAIN_OF_RANK[metric](4) + 0) / 2)


def test_the_largest_cut_off():
    assert hit_rate([5], [0], MOST).tolist() == [1]
    with pytest.raises(InputError, match="^k must be a whole number"):
        hit_rate([5], [0], MOST + 1)


def test_a_whole_cut_off_may_be_a_float():
    scores, positive = [[3, 2, 1]], [[True, False, True]]
    for metric in (ndcg_many, recall_many):
        assert metric(scores, positive, 2.0) == metric(scores, positive, 2)
