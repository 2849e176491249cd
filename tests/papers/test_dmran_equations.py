"""What DMRAN's equations imply, by hand arithmetic; and what its Config holds and refuses."""
from dataclasses import replace
from fractions import Fraction
from itertools import product

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad

import mbref
from mbref.by_hand import dmran as by_hand
from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.layers import time_bucket
from mbref.papers import dmran
from mbref.variants import dmran as variants
from tests.golden.dmran import by_hand as variants_by_hand
from tests.papers.dmran_rows import (
    BASE,
    EVERY,
    OTHER,
    forward_by_hand,
    loss_by_hand,
    map_history,
    model_of,
    random_params,
    reading,
    row_by_hand,
    states_of,
    training_batch,
    without_decay,
)


@pytest.mark.parametrize("config", [c for c in EVERY if reading(c)[0] != "item"])
def test_b_s1_has_no_effect(config):
    """Eq. 9-11: b_s1 is added for every j alike, and e^(x+b) / sum e^(x+b) = e^x / sum e^x.

    So its gradient is 0, which the model states. Derived instead of stated, as by hand, it is 0 up
    to rounding: the softmax hands beta_j (g_j - sum beta g) back to each j, and b_s1 gets the sum
    of these over j, 0 in exact arithmetic.
    """
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    config = without_decay(config)
    onp.testing.assert_array_equal(grad(model.loss)(params, batch, config)["b_s1"], np.zeros(4))
    pair = row_by_hand(batch, 3), *batch.features[0][batch.candidate[3]], config
    onp.testing.assert_allclose(grad(loss_by_hand)(params, *pair)["b_s1"], 0, atol=1e-15)
    moved = params | {"b_s1": params["b_s1"] + np.array([3.0, -2.0, 0.5, 10.0])}
    scores = [model.score_all(p, batch, config) for p in (moved, params)]
    onp.testing.assert_allclose(*scores, rtol=0, atol=1e-12)
    broken = params | {"b_s1": np.full(4, np.nan)}
    with mbref.plain():  # the text adds it all the same
        assert np.isnan(model.score_all(broken, batch, config)).all()


def test_what_a_softmax_hands_back_sums_to_zero():
    e = [Fraction(2, 7), Fraction(5), Fraction(1, 3)]
    g = [Fraction(-3), Fraction(1, 9), Fraction(8, 5)]
    beta = [x / sum(e) for x in e]
    mean = sum(b * x for b, x in zip(beta, g, strict=True))
    assert sum(b * (x - mean) for b, x in zip(beta, g, strict=True)) == 0


@pytest.mark.parametrize("config", [
    BASE, OTHER, replace(OTHER, variant="feature"), replace(OTHER, diagonal=False)])
def test_feature_weights_sum_to_one_over_j_for_every_feature(config):
    """Eq. 11: over the rows j, not over the features."""
    taps, batch = {}, training_batch(config)
    states_of(random_params(config), batch, config, taps.__setitem__)
    beta, item = taps["beta"], batch.histories[0].item  # [B, i, j, d]
    is_feature = reading(config)[0] == "feature"
    count = item.shape[1] if is_feature else config.hops
    assert beta.shape == (len(batch.candidate), count, count, 4)
    real = item > 0 if is_feature else np.ones(beta.shape[:2], bool)
    onp.testing.assert_allclose(beta.sum(axis=2)[real], 1, atol=1e-12)
    assert (beta >= 0).all()
    assert np.ptp(beta, axis=3).max() > 1e-3  # each feature has weights of its own
    if config == replace(OTHER, diagonal=False):
        assert not beta[:, np.arange(count), np.arange(count)].any()


def paper_weights(params, M):
    """beta [B, i, j, d] of papers/dmran.py."""
    taps = {}
    dmran.feature_attention(params, M, taps.__setitem__)
    return taps["beta"]


def variant_weights(params, M):
    """beta [B, i, j, d] of variants/dmran.py, all rows allowed."""
    return variants.feature_weights(params, M, np.ones((1, 3, 3), bool))


@pytest.mark.parametrize("weights", [paper_weights, variant_weights])
def test_beta_goes_from_m_j_to_m_i(weights):
    """Eq. 9, 10 (D22): M^_i looks at all rows j through W_s3 and at its own through W_s4."""
    params, M = random_params(BASE), onp.random.default_rng(0).normal(size=(1, 3, 4))
    beta = weights(params, M)
    for i, k in product(range(3), range(4)):
        scores = [by_hand.pair_scores(params, M[0, i], M[0, j])[k] for j in range(3)]
        onp.testing.assert_allclose(beta[0, i, :, k], by_hand.softmax(scores), atol=1e-12)
    no_key = params | {"W_s3": np.zeros((4, 4))}  # then F does not depend on j
    onp.testing.assert_allclose(weights(no_key, M), 1 / 3, atol=1e-12)


def both_redundancies(A):
    """The penalty of one sample, batched and as the double sum, which have to agree."""
    got, want = dmran.redundancy(np.array(A)[None])[0], by_hand.redundancy(np.array(A).tolist())
    assert got == pytest.approx(want, abs=1e-12)
    return got


def test_redundancy_of_one_event_is_90_and_has_no_gradient():
    """n = 1: every hop looks at the one event, so A A^T is all ones: r (r - 1) = 90."""
    config = replace(BASE, hops=10)
    params, H = random_params(config), onp.random.default_rng(0).normal(size=(1, 1, 4))

    def penalty(params, H):
        return np.sum(dmran.redundancy(dmran.item_attention(params, H, np.ones((1, 1), bool))))

    assert penalty(params, H) == 90.0
    assert not any(np.any(a) for _, a in optim.leaves(grad(penalty)(params, H)))
    assert not grad(penalty, 1)(params, H).any()
    assert both_redundancies(np.ones((10, 1))) == 90.0


def test_redundancy_is_zero_for_disjoint_one_hot_rows_alone():
    """A A^T = I with rows >= 0 that sum to 1: one event a hop, a different one for each."""
    one_hot = [[0.0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert both_redundancies(one_hot) == 0.0
    assert both_redundancies([one_hot[0], one_hot[0], one_hot[2]]) == 2.0  # one event twice
    assert both_redundancies([[0.0, 0.5, 0.5, 0], *one_hot[1:]]) == 0.25  # disjoint, not one-hot


def test_redundancy_of_even_attention():
    """r = 10 hops spread over n = 20 events: 10 (1/20 - 1)^2 + 90 (1/20)^2."""
    assert both_redundancies(np.full((10, 20), 1 / 20)) == pytest.approx(9.25, abs=1e-12)


def test_redundancy_of_more_hops_than_events_stays_above_zero():
    """n < r: A A^T has rank <= n, so r - n of its eigenvalues are 0 where those of I are 1."""
    rng = onp.random.default_rng(0)
    for n in (1, 2, 3):
        drawn = rng.dirichlet(np.full(n, 0.3), (50, 4))
        assert all(both_redundancies(A) >= 4 - n - 1e-9 for A in drawn)
        one_hot = [np.eye(n)[list(at)] for at in product(range(n), repeat=4)]
        assert min(both_redundancies(A) for A in one_hot) >= 4 - n
    one_hot = [np.eye(4)[list(at)] for at in product(range(4), repeat=4)]
    assert min(both_redundancies(A) for A in one_hot) == 0  # n = r can


@pytest.mark.parametrize("base", [BASE, OTHER])
def test_one_hop_is_the_single_hop_form(base):
    """Eq. 7, 8 with r = 1 are eq. 3-6."""
    config = replace(base, hops=1)
    params, batch = random_params(config), training_batch(config)
    M, _, A, _ = states_of(params, batch, config)
    for b in range(len(M)):
        u = by_hand.history_code(params, row_by_hand(batch, b))
        want = by_hand.single_hop(params["W_s1"], params["W_s2"][0], u)
        onp.testing.assert_allclose(M[b, 0], want, atol=1e-12)
        e = [sum(params["W_s2"][0, k] * max(params["W_s1"][k] @ u_j, 0) for k in range(4))
             for u_j in u]  # eq. 3, 4
        onp.testing.assert_allclose(A[b, 0, : len(u)], np.exp(e) / np.exp(e).sum(), atol=1e-12)


@pytest.mark.parametrize("base", [BASE, OTHER])
def test_one_row_has_nothing_to_weigh(base):
    """r = 1: M^ = M exactly, and so h_c = h = m for every candidate."""
    config = replace(base, hops=1)
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    states = model.forward(params, batch, config)
    onp.testing.assert_array_equal(states[1], states[0])
    _, h_c, _ = model.logits(params, batch, states, batch.candidate, config)
    onp.testing.assert_allclose(h_c, np.broadcast_to(states[0], h_c.shape), atol=1e-12)


def test_one_row_without_the_diagonal_is_zero():
    """(D5)."""
    config = replace(OTHER, hops=1, diagonal=False)
    assert not variants.forward(random_params(config), training_batch(config), config)[1].any()


@pytest.mark.parametrize("base", [BASE, OTHER])
def test_loss_holds_the_penalty_averaged_over_samples(base):
    """(D14): lambda_3 times the mean over rows; (D13): lambda_1 sums over them.

    So a batch said twice has the same penalty of the first kind, and twice that of the second.
    """
    loss, params, batch = model_of(base).loss, random_params(base), training_batch(base)
    off = replace(base, redundancy=0.0, penalty=0.0)
    hops = [forward_by_hand(params, row_by_hand(batch, b), base)[2] for b in range(8)]
    each = [by_hand.redundancy(A) for A in hops]
    plain = loss(params, batch, off)
    assert len(batch.candidate) == 8 and min(each) < max(each)
    for weight in (1e-4, 1e-2, 1.0):
        got = loss(params, batch, replace(off, redundancy=weight))
        assert got == pytest.approx(plain + weight * sum(each) / 8, abs=1e-12)
    twice = map_history(batch, lambda _, x: np.concatenate([x, x]))._replace(
        candidate=np.concatenate([batch.candidate] * 2), label=np.concatenate([batch.label] * 2))
    for config, factor in ((replace(off, redundancy=1.0), 1), (replace(off, penalty=1.0), 2)):
        alone = loss(params, batch, config) - plain
        assert loss(params, twice, config) - plain == pytest.approx(factor * alone, abs=1e-9)


GAPS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 365, 2047, 2048, 4095, 4096, 10**6]
BUCKETS = {"paper": [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 9, 11, 12, 12, 13, 13],
           "release": [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 8, 11, 11, 12, 12, 12]}


@pytest.mark.parametrize("rule", BUCKETS)
def test_time_buckets_as_in_the_text(rule):
    """[0, 1) [1, 2) [2, 4) [4, 8) ... are 0 1 2 3 ...; the last of the 14 is open (D3)."""
    assert [variants_by_hand.bucket(gap, rule) for gap in GAPS] == BUCKETS[rule]
    assert time_bucket(np.array(GAPS), rule).tolist() == BUCKETS[rule]


def test_sizes_of_the_defaults():
    """d = 128 and r = 10 as printed; items alone or half items, half categories (D2)."""
    rng = onp.random.default_rng(0)
    params = dmran.init(rng, dmran.Config(items=5))
    shapes = {name: a.shape for name, a in optim.leaves(params)}
    squares = dict.fromkeys(("W_s1", "W_s3", "W_s4", "W_s5", "W_f1", "W_f2"), (128, 128))
    vectors = dict.fromkeys(("b_s1", "b_s2", "b_f", "W_0/b"), (128,))
    assert shapes == {"V/0": (6, 128), "T": (14, 128), "W_0/w": (256, 128), "W_s2": (10, 128),
                      **squares, **vectors}
    assert all(not a.any() for name, a in optim.leaves(params) if a.ndim == 1)
    V = dmran.init(rng, dmran.Config(items=5, categories=4))["V"]
    assert [table.shape for table in V] == [(6, 64), (5, 64)]


REFUSALS = [
    *((name, 0, "0: it must be at least 1.") for name in ("items", "length", "hops", "unit")),
    ("categories", -1, "-1: it must be at least 0."),
    ("width", 5, "5: it must be even."),
    *((name, value, f"{value}: it must be at least 0 and a number.")
      for name in ("redundancy", "penalty") for value in (-1.0, float("nan"), float("inf"))),
]


@pytest.mark.parametrize("model, more", [(dmran, {}), (variants, {"heads": 1})])
@pytest.mark.parametrize("name, value, sentence", REFUSALS)
def test_config_refuses(model, more, name, value, sentence):
    with pytest.raises(InputError) as error:
        model.Config(**{"items": 5, **more, name: value})
    assert str(error.value) == f"{name} is {sentence}"
