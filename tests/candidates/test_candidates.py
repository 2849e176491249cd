"""mbref.candidates.choose.choose.choose against a slow reference in exact arithmetic, and the relations of HierSRec's candidates.

The reference ranks with fractions, so it has no rounding. The three paths are compared with each other bit for bit.
"""
import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from autograd import grad

from mbref import metrics
from mbref.candidates import blocks as by_blocks, choose as gate, rank as scored
from mbref.errors import InputError
from mbref.nn.losses import log_softmax
from tests.optional import given, settings, st

seeds = st.integers(0, 2**32 - 1)
KINDS = ("random", "repeated rows", "whole numbers", "all the same", "one ulp apart")


def log_probabilities(rng, B, C, levels=None):
    """[B, C]; with `levels` only so many different logits, hence ties."""
    logits = rng.normal(size=(B, C)) if levels is None else rng.integers(levels, size=(B, C)).astype(float)
    return log_softmax(logits)


def problem(seed, kind, dtype):
    """A random case: some categories are empty or of one item, sessions may choose nothing."""
    rng = np.random.default_rng(seed)
    B, C, N, D = rng.integers(0, 7), rng.integers(1, 9), rng.integers(1, 90), rng.integers(1, 140)
    queries, weights = rng.normal(size=(B, D)).astype(dtype), rng.normal(size=(N, D)).astype(dtype)
    if kind == "repeated rows":
        weights = weights[rng.integers(0, max(1, N // 4), size=N)]
    elif kind == "whole numbers":
        queries, weights = rng.integers(-2, 3, (B, D)).astype(dtype), rng.integers(-2, 3, (N, D)).astype(dtype)
    elif kind == "all the same":
        weights = np.repeat(weights[:1], N, axis=0)
    elif kind == "one ulp apart":
        weights = np.nextafter(weights[:1], rng.integers(-2, 3, (N, D)).astype(dtype) * 9)
    category = rng.choice(rng.integers(0, C, size=C), size=N + 1)  # not all of the C occur
    chosen = rng.random((B, C)) < rng.choice([0.3, 0.7, 1.0])
    return queries, weights, gate.index_of(category, C), chosen, rng.integers(1, N + 1, size=B), category


def exact_ranking(query, weights, items):
    """Items sorted by their score without rounding, lower id first among equals, and the scores."""
    q = [Fraction(float(x)) for x in query]
    score = {i: sum(a * Fraction(float(b)) for a, b in zip(q, weights[i - 1], strict=True)) for i in items}
    return sorted(items, key=lambda i: (-score[i], i)), score


def all_paths(queries, weights, index, chosen, target, n):
    """Assert that the three paths agree bit for bit.  -> Places and lists of the definition."""
    layout = by_blocks.lay_out(weights, index)
    places, top = scored.dense(queries, weights, index, chosen, target, n)
    by_session, top_by_session = scored.by_session(queries, weights, index, chosen, target, n)
    for other in (by_session, by_blocks.places_by_blocks(queries, layout, chosen, target)):
        for ours, theirs in zip(places, other, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
    for other in (top_by_session, by_blocks.top_by_blocks(queries, layout, chosen, n)):
        assert other.shape == (len(queries), n)
        np.testing.assert_array_equal(top, other)
    return places, top


@given(seeds, st.integers(1, 9), st.integers(1, 60))
def test_index_holds_each_item_once_under_its_category(seed, C, N):
    category = np.random.default_rng(seed).integers(0, C, size=N + 1)
    index = gate.index_of(category, C)
    assert sorted(index.order) == list(range(1, N + 1))
    for c in range(C):
        assert index.order[index.indptr[c] : index.indptr[c + 1]].tolist() == [
            i for i in range(1, N + 1) if category[i] == c]
    assert gate.sizes_of(index).sum() == N


def test_index_ignores_the_category_of_padding_and_refuses_items_without_one():
    assert gate.index_of(np.array([99, 1, 0]), 2).order.tolist() == [2, 1]
    for category in ([0, 2], [0, -1], [[0, 1]], [0], [0.0, 1.0]):
        with pytest.raises(InputError, match="categor"):
            gate.index_of(np.array(category), 2)


@given(seeds, st.integers(1, 8), st.integers(1, 12), st.sampled_from([None, 1, 2]))
def test_topk_takes_the_most_probable_and_breaks_ties_by_the_lower_id(seed, C, K, levels):
    logp = log_probabilities(np.random.default_rng(seed), 5, C, levels)
    for row, chosen in zip(logp, gate.topk(logp, K), strict=True):
        assert np.flatnonzero(chosen).tolist() == sorted(sorted(range(C), key=lambda c: (-row[c], c))[:K])


@given(seeds, st.floats(0.001, 1), st.sampled_from([None, 1, 2]))
def test_budget_stops_with_the_category_that_reaches_it(seed, rho, levels):
    rng = np.random.default_rng(seed)
    _, _, index, chosen, _, _ = problem(seed, "random", float)
    sizes, N = gate.sizes_of(index), len(index.order)
    logp = log_probabilities(rng, 5, len(sizes), levels)
    for row, chosen in zip(logp, gate.budget(logp, rho, index), strict=True):
        order = sorted(range(len(sizes)), key=lambda c: (-row[c], c))
        count = chosen.sum()
        assert count >= 1 and set(np.flatnonzero(chosen)) == set(order[:count])
        assert sizes[order[:count]].sum() >= rho * N - 1e-6
        assert sizes[order[: count - 1]].sum() < math.ceil(rho * N)


def test_budget_is_not_fooled_by_the_last_bit_of_a_share():
    index = gate.index_of(np.repeat([0, 0, 1], [1, 7, 93]), 2)  # 7 and 93 items; 0.07 * 100 is 7.000000000000001
    assert gate.budget(np.log([[0.6, 0.4]]), 0.07, index).tolist() == [[True, False]]
    assert gate.budget(np.log([[0.6, 0.4]]), 0.08, index).tolist() == [[True, True]]
    assert gate.budget(np.log([[0.6, 0.4]]), 1e-12, index).tolist() == [[True, False]]


@given(seeds, st.floats(0.01, 0.99), st.sampled_from([None, 1, 2]))
def test_mass_stops_with_the_category_that_reaches_it(seed, tau, levels):
    logp = log_probabilities(np.random.default_rng(seed), 5, 7, levels)
    for row, chosen in zip(logp, gate.mass(logp, tau), strict=True):
        order = sorted(range(7), key=lambda c: (-row[c], c))
        count = chosen.sum()
        assert count >= 1 and set(np.flatnonzero(chosen)) == set(order[:count])
        assert math.fsum(np.exp(row[order[:count]])) >= tau - 1e-12
        assert math.fsum(np.exp(row[order[: count - 1]])) < tau + 1e-12


def test_mass_by_hand():
    logp = np.log([[0.125, 0.5, 0.25, 0.125]])
    for tau, chosen in ((0.4, [1]), (0.5, [1]), (0.51, [1, 2]), (0.8, [0, 1, 2]), (1.0, [0, 1, 2, 3])):
        assert np.flatnonzero(gate.mass(logp, tau)).tolist() == chosen


@given(seeds, st.floats(0.01, 1))
def test_k_of_share_is_the_nearest_k(seed, rho):
    _, _, index, _, _, _ = problem(seed, "random", float)
    C = len(index.indptr) - 1
    logp = log_probabilities(np.random.default_rng(seed), 6, C)
    distance = [abs(gate.share(gate.topk(logp, K), index).mean - rho) for K in range(1, C + 1)]
    assert distance[gate.k_of_share(logp, rho, index) - 1] == pytest.approx(min(distance), abs=1e-12)


POLICIES = {"topk": lambda logp: gate.topk(logp, 1), "mass": lambda logp: gate.mass(logp, 0.5),
            "budget": lambda logp: gate.budget(logp, 0.5, gate.index_of(np.array([0, 0, 1]), 2))}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_refuse_nan_and_other_shapes(name):
    choose = POLICIES[name]
    assert choose(np.array([[0.0, -np.inf]])).tolist() == [[True, False]]  # probability 0 is one
    for logp in ([[0.0, np.nan]], [[np.inf, 0.0]], [0.0, 1.0], [[0, 1]]):
        with pytest.raises(InputError, match="logp"):
            choose(np.array(logp))


def test_policies_refuse_senseless_sizes():
    logp, index = np.log([[0.5, 0.5]]), gate.index_of(np.array([0, 0, 1, 2]), 3)
    for call in (lambda: gate.topk(logp, 0), lambda: gate.topk(logp, 1.5), lambda: gate.mass(logp, 0),
                 lambda: gate.mass(logp, 1.1), lambda: gate.mass(logp + 3, 0.5), lambda: gate.budget(logp, 0.5, index),
                 lambda: gate.budget(logp[:, [0, 1, 1]], 0, index), lambda: gate.budget(logp[:, [0, 1, 1]], 2, index)):
        with pytest.raises(InputError):
            call()


def test_share_and_coverage_by_hand():
    index = gate.index_of(np.array([0, 0, 0, 0, 1, 2]), 4)  # sizes 3, 1, 1, 0
    chosen = np.array([[True, False, False, True], [False, True, True, False], [False, False, False, True]])
    assert gate.share(chosen, index) == pytest.approx((1 / 3, 0, 0.6))
    assert gate.items_of(chosen, index).astype(int).tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1], [0] * 5]
    assert gate.coverage(chosen, np.array([0, 0, 3])) == pytest.approx(2 / 3)
    assert math.isnan(gate.coverage(chosen[:0], np.zeros(0, int))) and math.isnan(gate.share(chosen[:0], index).mean)


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
    """Rows a few ulps apart: the products of the blocks give other places and lists than the definition."""
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(40, 128)).astype(np.float32)
    weights = np.nextafter(rng.normal(size=(1, 128)).astype(np.float32), rng.normal(size=(600, 128)).astype(np.float32))
    category, target = rng.integers(0, 30, size=601), rng.integers(1, 601, size=40)
    index, chosen = gate.index_of(category, 30), rng.random((40, 30)) < 0.5
    chosen[np.arange(40), category[target]] = True
    places, top = all_paths(queries, weights, index, chosen, target, 20)
    product, allowed = queries @ weights.T, gate.items_of(chosen, index)
    assert (metrics.greater_and_ties(product, target - 1, allowed)[0] != places.greater).any()
    best = [scored.best(np.flatnonzero(a) + 1, row[a], 20) for a, row in zip(allowed, product, strict=True)]
    assert (np.array(best) != top).any()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_depends_on_its_pair_alone(order, dtype):
    rng = np.random.default_rng(1)
    for D in (1, 2, 7, 8, 9, 64, 127, 128, 129, 1000):
        query, rows = rng.normal(size=D).astype(dtype), np.asarray(rng.normal(size=(300, D)), dtype, order=order)
        whole = scored.pair_scores(query, rows)
        for part in (slice(0, 1), slice(7, 9), slice(3, 290, 7), rng.permutation(300)):
            np.testing.assert_array_equal(scored.pair_scores(query, rows[part]), whole[part])
        np.testing.assert_array_equal([scored.pair_scores(query, row) for row in rows], whole)
        np.testing.assert_allclose(whole, (rows @ query), rtol=0, atol=1e-4)


def test_paths_do_not_mind_the_memory_order_of_the_weights():
    queries, weights, index, chosen, target, _ = problem(5, "one ulp apart", np.float32)
    places, top = all_paths(queries, weights, index, chosen, target, 9)
    other, same = all_paths(queries, np.asfortranarray(weights), index, chosen, target, 9)
    np.testing.assert_array_equal(top, same)
    np.testing.assert_array_equal(places.greater, other.greater)


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_the_size_of_pieces_changes_nothing(piece, monkeypatch):
    monkeypatch.setattr(by_blocks, "PIECE", piece)
    for seed, kind in itertools.product(range(20), KINDS):
        all_paths(*problem(seed, kind, np.float32)[:5], 3)


def test_by_hand_with_an_empty_category_one_of_one_item_and_ties():
    """Items 1..5 score 3, 2, 2, 2, 9; categories {1, 3}, {2, 4}, {5}, {}."""
    index = gate.index_of(np.array([3, 0, 1, 0, 1, 2]), 4)
    queries, weights = np.ones((4, 1)), np.array([[3.0], [2], [2], [2], [9]])
    chosen = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], bool)
    places, top = all_paths(queries, weights, index, chosen, np.array([3, 4, 5, 5]), 4)
    assert top.tolist() == [[1, 2, 3, 4], [2, 4, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]]
    assert places.greater.tolist() == [1, 0, 0, metrics.MISS] and places.ties.tolist() == [2, 1, 0, 0]
    assert places.inside.tolist() == [True, True, True, False]


def test_a_bias_is_one_more_column():
    rng = np.random.default_rng(0)
    queries, weights, bias = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    more = scored.with_bias(queries, weights, bias)
    np.testing.assert_allclose(scored.pair_scores(more[0][:, None], more[1]), queries @ weights.T + bias, atol=1e-12)


def test_no_path_hides_bad_input():
    queries, weights, index = np.ones((2, 3)), np.ones((4, 3)), gate.index_of(np.array([0, 0, 0, 1, 1]), 2)
    chosen, target, layout = np.ones((2, 2), bool), np.array([1, 4]), by_blocks.lay_out(weights, index)
    nan, infinite = queries * np.nan, queries * np.inf

    def attempts(queries, weights, chosen, target, n=1):
        yield lambda: scored.dense(queries, weights, index, chosen, target, n)
        yield lambda: scored.by_session(queries, weights, index, chosen, target, n)

    bad = [(nan, weights, chosen, target), (infinite, weights, chosen, target),
           (queries, weights * np.nan, chosen, target), (queries, weights[:3], chosen, target),
           (queries[:, :2], weights, chosen, target), (queries, weights.astype("f"), chosen, target),
           (queries.astype(int), weights.astype(int), chosen, target), (queries, weights, chosen[:1], target),
           (queries, weights, chosen * 1, target), (queries, weights, chosen, target * 0),
           (queries, weights, chosen, target + 1), (queries, weights, chosen, target[:1]),
           (queries, weights, chosen, target + 0.5), (queries, weights, chosen, target, 0)]
    calls = [call for arguments in bad for call in attempts(*arguments)]
    for q, c, t in ((nan, chosen, target), (infinite, chosen, target), (queries.astype("f"), chosen, target),
                    (queries, chosen[:1], target), (queries, chosen, target * 0), (queries * 1e308, chosen, target)):
        calls.append(lambda q=q, c=c, t=t: by_blocks.places_by_blocks(q, layout, c, t))
        if not (t == 0).any():
            calls.append(lambda q=q, c=c: by_blocks.top_by_blocks(q, layout, c, 1))
    calls += [lambda: by_blocks.lay_out(weights * np.nan, index), lambda: by_blocks.lay_out(weights[:3], index),
              lambda: by_blocks.top_by_blocks(queries, layout, chosen, 0)]
    for call in calls:
        with pytest.raises(InputError):
            call()


def test_the_fast_path_builds_nothing_of_all_sessions_by_all_items():
    rng = np.random.default_rng(0)
    B, N, C = 64, 100_000, 100
    index = gate.index_of(rng.integers(0, C, size=N + 1), C)
    layout = by_blocks.lay_out(rng.normal(size=(N, 4)).astype(np.float32), index)
    queries, chosen = rng.normal(size=(B, 4)).astype(np.float32), gate.topk(log_probabilities(rng, B, C), 4)
    target = rng.integers(1, N + 1, size=B)
    for call in (lambda: by_blocks.places_by_blocks(queries, layout, chosen, target),
                 lambda: by_blocks.top_by_blocks(queries, layout, chosen, 20)):
        tracemalloc.start()
        call()
        assert tracemalloc.get_traced_memory()[1] < B * N / 2  # bytes; the boolean mask alone would take B * N
        tracemalloc.stop()


def full_and_gated(seed, K, kind="random"):
    """Places among all items, Places among those of K categories, coverage."""
    queries, weights, index, chosen, target, category = problem(seed, kind, float)
    layout = by_blocks.lay_out(weights, index)
    logp = log_probabilities(np.random.default_rng(seed), *chosen.shape)
    chosen = gate.topk(logp, K)
    return (by_blocks.places_by_blocks(queries, layout, np.ones_like(chosen), target),
            by_blocks.places_by_blocks(queries, layout, chosen, target), gate.coverage(chosen, category[target]))


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_relation_1_all_categories_are_full_evaluation(seed, kind):
    full, gated, coverage = full_and_gated(seed, 99, kind)
    for ours, theirs in zip(full, gated, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert full.inside.all() and (coverage == 1 or len(full.inside) == 0)


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 8), st.sampled_from(KINDS))
def test_relation_2_fewer_competitors_never_hurt(seed, K, kind):
    full, gated, _ = full_and_gated(seed, K, kind)
    inside = gated.inside
    assert (gated.greater <= full.greater)[inside].all() and (gated.ties <= full.ties)[inside].all()
    assert (gated.greater == metrics.MISS)[~inside].all()


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_relation_3_recall_is_bounded_by_coverage_which_grows_with_k(seed, kind):
    before = 0
    for K in range(1, 9):
        _, gated, coverage = full_and_gated(seed, K, kind)
        if len(gated.inside):
            assert scored.report(*gated, k=3)["Recall@3"] <= coverage + 1e-12
            assert coverage >= before
            before = coverage


def chance_by_orders(full, gated, k):
    """P(r' <= k < r) and P(r <= k < r') by going through every order of the target and its ties in the full ranking.

    The gated ties are the first of the full ones; which of them they are does not matter.
    """
    gained = lost = Fraction(0)
    for b in range(len(full.inside)):
        orders = list(itertools.permutations(range(full.ties[b] + 1)))  # 0 is the target
        for order in orders:
            at = order.index(0)
            r = 1 + full.greater[b] + at
            kept = sum(0 < other <= gated.ties[b] for other in order[:at])
            r_gated = 1 + gated.greater[b] + kept if gated.inside[b] else math.inf
            gained += Fraction(int(r_gated <= k < r), len(orders))
            lost += Fraction(int(r <= k < r_gated), len(orders))
    return gained / len(full.inside), lost / len(full.inside)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(1, 5))
def test_relation_4_two_opposite_errors_make_the_gap(seed, K, k):
    rng = np.random.default_rng(seed)
    scores, category = rng.integers(0, 4, size=(6, 7)).astype(float), rng.integers(0, 4, size=8)
    index, chosen = gate.index_of(category, 4), gate.topk(log_probabilities(rng, 6, 4), K)
    target = rng.integers(1, 8, size=6)
    full, _ = all_paths(np.eye(6), scores.T.copy(), index, np.ones_like(chosen), target, 3)
    gated, _ = all_paths(np.eye(6), scores.T.copy(), index, chosen, target, 3)
    gained, lost = scored.gap(full, gated, k)
    assert (gained, lost) == pytest.approx(tuple(map(float, chance_by_orders(full, gated, k))), abs=1e-12)
    assert gained >= 0 and lost >= 0
    name = f"Recall@{k}"
    assert scored.report(*gated, k)[name] - scored.report(*full, k)[name] == pytest.approx(gained - lost, abs=1e-12)


def test_relation_4_needs_the_same_scores_and_a_full_ranking():
    places = scored.Places(np.array([3]), np.array([0]), np.array([True]))
    for full, gated in ((places, places._replace(greater=np.array([4]))), (places, places._replace(ties=np.array([1]))),
                        (places._replace(inside=np.array([False])), places)):
        with pytest.raises(InputError):
            scored.gap(full, gated)
    none = scored.Places(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))
    assert np.isnan(scored.gap(none, none)).all()


def test_relation_5_random_candidates_with_the_target_put_in_flatter():
    """All sets of m of the N - 1 other items: the mean rank is 1 + m (r - 1) / (N - 1), below r."""
    N, m = 9, 4
    weights = np.random.default_rng(0).permutation(N).astype(float)[:, None]
    for target in range(1, N + 1):
        rank = 1 + int((weights > weights[target - 1]).sum())
        sets = itertools.combinations([i for i in range(N) if i != target - 1], m)
        allowed = np.array([np.isin(np.arange(N), others) for others in sets])
        targets, queries = np.full(len(allowed), target), np.ones((len(allowed), 1))
        places, _ = scored.among(queries, weights, gate.inject_target(allowed, targets), targets, 3)
        assert places.inside.all() and not scored.among(queries, weights, allowed, targets, 3)[0].inside.any()
        assert (1 + places.greater).mean() == pytest.approx(1 + m * (rank - 1) / (N - 1))
        assert (1 + places.greater).mean() <= rank


def test_random_others_are_uniform_and_never_the_target():
    target = np.tile([1, 5, 7], 4000)
    sizes = np.tile([0, 3, 6], 4000)
    drawn = gate.random_others(np.random.default_rng(0), sizes, target, 7)
    assert np.array_equal(drawn.sum(axis=1), sizes) and not drawn[np.arange(12000), target - 1].any()
    assert drawn[2::3, :6].all()  # 6 others, all of them
    np.testing.assert_allclose(drawn[1::3].mean(axis=0), [0.5, 0.5, 0.5, 0.5, 0, 0.5, 0.5], atol=0.03)  # sd .008
    for wrong in ([7], [-1]):
        with pytest.raises(InputError, match="sizes"):
            gate.random_others(np.random.default_rng(0), wrong, np.array([1]), 7)


def test_injecting_changes_the_targets_alone_and_a_copy():
    allowed = np.zeros((2, 4), bool)
    injected = gate.inject_target(allowed, np.array([4, 1]))
    assert np.argwhere(injected).tolist() == [[0, 3], [1, 0]] and not allowed.any()


def test_backfill_by_hand():
    """Items 2, 4, 1, 3 by popularity, 1 and 3 equal."""
    allowed = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    before = allowed.copy()
    filled = gate.backfill(allowed, [1, 5, 1, 2], 3)
    assert filled.astype(int).tolist() == [[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert np.array_equal(allowed, before)
    assert gate.backfill(allowed, [1, 5, 1, 2], 99).all() and np.array_equal(gate.backfill(allowed, [1] * 4, 0), before)


# Items of several categories.

def several(seed):
    """A random problem whose items have one to three categories: {item: set of categories}, Index, the rest."""
    queries, weights, _, chosen, target, _ = problem(seed, "whole numbers", np.float32)
    rng, (N, C) = np.random.default_rng(seed), (len(weights), chosen.shape[1])
    of = {i: set(rng.integers(0, C, rng.integers(1, 4)).tolist()) for i in range(1, N + 1)}
    pairs = [(i, c) for i, held in of.items() for c in held]
    pairs = rng.permutation(pairs + pairs[:2])  # in any order, and some twice
    return of, gate.index_of_pairs(pairs[:, 0], pairs[:, 1], N, C), queries, weights, chosen, target


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_an_item_of_several_categories_is_a_candidate_once(seed):
    of, index, queries, weights, chosen, target = several(seed)
    for c in range(chosen.shape[1]):
        assert index.order[index.indptr[c] : index.indptr[c + 1]].tolist() == [i for i in of if c in of[i]]
    want = [[i for i in of if of[i] & set(np.flatnonzero(row))] for row in chosen]
    assert [(np.flatnonzero(row) + 1).tolist() for row in gate.items_of(chosen, index)] == want
    assert [sorted(gate.candidates_of_session(row, index)) for row in chosen] == want
    if len(chosen):
        assert gate.share(chosen, index).mean == pytest.approx(np.mean([len(items) for items in want]) / len(of))
    places, top = scored.dense(queries, weights, index, chosen, target, 9)
    others, same = scored.by_session(queries, weights, index, chosen, target, 9)
    np.testing.assert_array_equal(top, same)
    for ours, theirs in zip(places, others, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for row, t, inside, items in zip(top, target, places.inside, want, strict=True):
        assert inside == (t in items) and len(set(row[row > 0])) == (row > 0).sum() == min(9, len(items))


def test_by_hand_with_an_item_of_two_categories():
    """Items 1..3 score 3, 2, 1; item 1 is of categories 0 and 1, item 2 of 0, item 3 of 1."""
    index = gate.index_of_pairs([1, 3, 2, 1], [1, 1, 0, 0], 3, 2)
    chosen = np.array([[True, True], [True, False], [False, True]])
    assert gate.items_of(chosen, index).astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert gate.share(chosen, index) == pytest.approx((7 / 9, 2 / 3, 1))
    places, top = scored.by_session(np.ones((3, 1)), np.array([[3.0], [2], [1]]), index, chosen, np.array([3, 3, 3]), 3)
    assert top.tolist() == [[1, 2, 3], [1, 2, 0], [1, 3, 0]]
    assert places.greater.tolist() == [2, metrics.MISS, 1] and places.inside.tolist() == [True, False, True]


def test_one_category_an_item_by_pairs_is_the_same_index():
    category = np.array([9, 2, 0, 2, 1])
    for ours, theirs in zip(gate.index_of_pairs([4, 2, 1, 3], [1, 0, 2, 2], 4, 3), gate.index_of(category, 3),
                            strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_several_categories_cannot_have_is_said():
    index, logp = gate.index_of_pairs([1, 2, 1], [0, 0, 1], 2, 2), np.log([[0.5, 0.5]])
    for call in (lambda: gate.budget(logp, 0.5, index), lambda: gate.k_of_share(logp, 0.5, index),
                 lambda: by_blocks.lay_out(np.ones((2, 1)), index)):
        with pytest.raises(InputError, match="several categories"):
            call()
    for item, category in (([1], [0]), ([1, 2], [0, 3]), ([1, 2], [0, -1]), ([1, 3], [0, 0]), ([0, 1, 2], [0] * 3),
                           ([1.0, 2.0], [0, 0]), ([1, 2, 2], [0, 0])):
        with pytest.raises(InputError, match="categor"):
            gate.index_of_pairs(item, category, 2, 3)


def test_misses_stay_in_the_denominator():
    greater, ties = np.array([0, metrics.MISS, 1, 5]), np.zeros(4, int)
    inside = np.array([True, False, True, True])
    row = scored.report(greater, ties, inside, 3)
    assert row == pytest.approx({"Recall@3": 2 / 4, "MRR@3": (1 + 1 / 2) / 4, "NDCG@3": (1 + 1 / math.log2(3)) / 4,
                                 "coverage": 3 / 4})
    assert scored.report(greater * inside, ties, inside, 3) == row  # outside is a miss, whatever the counts say
    assert scored.report(greater, ties, inside, 1000)["Recall@1000"] == 3 / 4
    assert scored.report(greater, ties, inside, 3, gate.Share(0.2, 0.1, 0.3)) == row | {
        "candidates mean": 0.2, "candidates low": 0.1, "candidates high": 0.3}
    assert all(math.isnan(x) for x in scored.report(greater[:0], ties[:0], inside[:0]).values())


def two_level_by_sums(p_category, z, category):
    """p(c(i)) exp(z_i) / sum of exp(z) over the items of c(i), item by item."""
    return [p_category[category[i + 1]] * math.exp(z[i]) / math.fsum(
        math.exp(z[j]) for j in range(len(z)) if category[j + 1] == category[i + 1]) for i in range(len(z))]


@given(seeds, st.integers(1, 6), st.integers(1, 20))
def test_two_level_softmax_is_a_distribution(seed, C, N):
    rng = np.random.default_rng(seed)
    category, logp, z = rng.integers(0, C, size=N + 1), log_probabilities(rng, 3, C), rng.normal(0, 3, size=(3, N))
    found = scored.two_level_logp(logp, z, category)
    for b in range(3):
        np.testing.assert_allclose(np.exp(found[b]), two_level_by_sums(np.exp(logp[b]), z[b], category), atol=1e-12)
    held = np.isin(np.arange(C), category[1:])
    np.testing.assert_allclose(np.exp(found).sum(axis=1), np.exp(logp[:, held]).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(scored.two_level_logp(logp[0], z[0], category), found[0], atol=1e-12)


def test_two_level_softmax_sums_to_one_even_where_a_category_has_far_lower_logits():
    category, logp = np.array([0, 0, 0, 1, 1]), np.log([[0.25, 0.75]])
    for z in ([[0.0, 0, -5000, -5000]], [[1e4, 1e4, 0, 0]]):
        np.testing.assert_allclose(np.exp(scored.two_level_logp(logp, np.array(z), category)),
                                   [[0.125, 0.125, 0.375, 0.375]], atol=1e-12)
    assert scored.two_level_logp(logp.astype("f"), np.zeros((1, 4), "f"), category).dtype == np.float32


def test_two_level_gradients_against_central_differences():
    rng = np.random.default_rng(0)
    category, logits, z = np.array([9, 0, 2, 2, 0, 4, 2]), rng.normal(size=(2, 5)), rng.normal(size=(2, 6))
    factor = rng.normal(size=(2, 6))

    def value(logits, z):
        return (scored.two_level_logp(log_softmax(logits), z, category) * factor).sum()

    for argument, x in enumerate((logits, z)):
        got = grad(value, argument)(logits, z)
        for at in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[at] = 1e-5
            high, low = ([logits + step, z], [logits - step, z]) if argument == 0 else (
                [logits, z + step], [logits, z - step])
            assert got[at] == pytest.approx((value(*high) - value(*low)) / 2e-5, abs=1e-8)
