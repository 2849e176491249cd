"""DMRAN's components: batched == by hand, gradients, padding, the future, every switch, what its equations imply."""
from dataclasses import replace
from fractions import Fraction
from itertools import product

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad, value_and_grad
from autograd.test_util import check_grads

from mbref.by_hand import dmran as by_hand
from mbref.data import sequences, targets
from mbref.errors import InputError
from mbref.nn import optim
from mbref.papers import dmran

N, CATEGORIES, DAY = 7, 3, 86400
BASE = dmran.Config(items=N, width=4, hops=3, heads=2, length=4, redundancy=0.1, penalty=0.01)
VARIANTS = [
    BASE,
    replace(BASE, categories=CATEGORIES),
    replace(BASE, time=False),
    replace(BASE, bucket="release"),
    replace(BASE, hops=1, item_bias=True),
    replace(BASE, diagonal=False),
    replace(BASE, diagonal=False, hops=1),
    replace(BASE, pool="mean", weight_decay=0.1),
    replace(BASE, variant="item"),
    replace(BASE, variant="item", pool="mean"),
    replace(BASE, variant="feature"),
    replace(BASE, variant="feature", fuse=False, time=False),
    replace(BASE, fuse=False),
    replace(BASE, variant="feature", diagonal=False, pool="mean"),
    replace(BASE, robust=True, categories=CATEGORIES),
    replace(BASE, robust=True, diagonal=False, heads=1, item_bias=True),
    replace(BASE, robust=True, variant="item", weight_decay=0.1),
    replace(BASE, robust=True, variant="feature", diagonal=False),
    replace(BASE, robust=True, variant="feature", fuse=False),
]
HISTORIES = [  # (items, days) of one user, oldest first
    ([3, 1, 3, 5, 1, 2], [0, 0, 5, 700, 5000, 5001]),
    ([4, 4, 2], [10, 13, 14]),
    ([6, 1], [2, 2]),
]
CATEGORY = [0, 1, 3, 2, 1, 0, 3, 2]  # of items 1..N; that of item 5 is unknown


def events(config, histories=HISTORIES):
    """A log of these histories, with negatives 7 (and 6 for the second event of everyone)."""
    users = np.concatenate([np.full(len(items), u + 1) for u, (items, _) in enumerate(histories)])
    items, days = (np.concatenate([h[i] for h in histories]) for i in (0, 1))
    log = sequences.from_rows(users, items, np.ones(len(items), int), 1)
    negative = np.concatenate([[7, 6, *[7] * (len(items) - 2)][: len(items)] for items, _ in histories])
    return log._replace(time=days * DAY + 3600, negative=negative, now=np.full(len(histories), 6000 * DAY),
                        category=np.array(CATEGORY) if config.categories else None)


def training_batch(config, histories=HISTORIES):
    """All targets of the log: histories of 1 to 4 events, padded; one positive and one negative each."""
    rows, = dmran.examples(events(config, histories), config, onp.random.default_rng(0))
    return dmran.batch(events(config, histories), rows, config, onp.random.default_rng(0))


def random_params(config, seed=0):
    """Parameters away from their initial zeros and ones, so that no gradient is hidden by them."""
    rng = onp.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), dmran.init(rng, config))


def row_by_hand(batch, b):
    """Row b as by_hand reads it: a list of (ids of the object, gap) without padding."""
    history, features = batch.histories[0], batch.features[0]
    return [(features[history.item[b, t]], history.gap[b, t]) for t in np.flatnonzero(history.item[b])]


def map_history(batch, function):
    """The batch with function(name, array) in place of every array of its history."""
    history = batch.histories[0]
    changed = targets.History(*(function(name, getattr(history, name)) for name in history._fields))
    return batch._replace(histories=(changed,))


def every_item(rows):
    return np.broadcast_to(np.arange(1, N + 1), (rows, N))


@pytest.mark.parametrize("config", VARIANTS)
def test_states_and_scores_by_hand_equal_batched(config):
    params, batch = random_params(config), training_batch(config)
    M, M_hat, A, real = dmran.forward(params, batch, config)
    scores = dmran.score(params, batch, None, config)
    for b in range(len(scores)):
        history = row_by_hand(batch, b)
        states = by_hand.forward(params, history, config)
        for got, want in zip((M, M_hat, A), states, strict=True):
            assert (got is None) == (want is None)
            if want is not None:
                own = got[b][real[b]] if got is not A else got[b, :, : len(history)]
                onp.testing.assert_allclose(own, np.array(want), atol=1e-10)
        want = [by_hand.score(params, history, ids, config) for ids in batch.features[0][1:]]
        onp.testing.assert_allclose(scores[b], want, atol=1e-10)


def assert_same_trees(got, want, atol=1e-10):
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        onp.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("config", VARIANTS)
def test_loss_and_gradients_by_hand_equal_batched(config):
    """Row by row, and of the batch: the mean of its rows, but for lambda_1, whose activations are added up (D13)."""
    params, batch, results = random_params(config), training_batch(config), []
    n = len(batch.candidate)
    summed = replace(config, penalty=config.penalty * n)
    for b in range(n):
        one = map_history(batch, lambda _, x, b=b: x[b : b + 1])._replace(
            candidate=batch.candidate[b : b + 1], label=batch.label[b : b + 1])
        want = value_and_grad(by_hand.loss)(
            params, row_by_hand(batch, b), *batch.features[0][batch.candidate[b]], summed)
        assert_same_trees(list(value_and_grad(dmran.loss)(params, one, summed)), list(want))
        results.append(list(want))
    mean = optim.tree_map(lambda *parts: sum(parts) / n, *results)
    assert_same_trees(list(value_and_grad(dmran.loss)(params, batch, config)), mean)


@pytest.mark.parametrize("config", VARIANTS)
def test_gradients_by_central_differences(config):
    batch = training_batch(config)
    for seed in range(3):  # each compares one random direction in the space of all parameters
        onp.random.seed(seed)  # noqa: NPY002 (autograd draws it from NumPy's global state)
        check_grads(lambda p: dmran.loss(p, batch, config), modes=["rev"], order=1)(random_params(config, seed))


def test_gradients_of_the_components():
    params, rng = random_params(BASE), onp.random.default_rng(1)
    H, M = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3, 4))
    real, allowed = np.array([[True] * 5, [True] * 2 + [False] * 3]), np.ones((2, 3, 3), bool)
    check_grads(lambda p, H: dmran.item_attention(p, H, real), modes=["rev"])(params, H)
    check_grads(lambda p, H: dmran.redundancy(dmran.item_attention(p, H, real)), modes=["rev"])(params, H)
    check_grads(lambda p, M: dmran.feature_weights(p, M, allowed), modes=["rev"])(params, M)
    check_grads(lambda p, M: dmran.feature_attention(p, M, allowed, BASE), modes=["rev"])(params, M)
    check_grads(lambda M, i_c: dmran.vanilla(None, M, i_c, np.ones((2, 3), bool), BASE), modes=["rev"])(M, H)
    check_grads(lambda p, h, h_hat: dmran.fusion(p, h, h_hat), modes=["rev"])(params, M, M[::-1])


@pytest.mark.parametrize("config", [config for config in VARIANTS if config.hops > 1])
def test_every_parameter_but_b_s1_has_a_gradient(config):
    """No weight is drawn that a variant does not use."""
    gradient = grad(dmran.loss)(random_params(config), training_batch(config), replace(config, weight_decay=0.0))
    assert [name for name, a in optim.leaves(gradient) if not a.any()] == ["b_s1"] * (config.variant != "item")


@pytest.mark.parametrize("config", VARIANTS)
def test_padding_changes_nothing(config):
    """Three more padded slots, with garbage in what is not an id: the same scores, loss and gradients."""
    params, batch = random_params(config), training_batch(config)
    more = {"item": 0, "behaviour": 1, "gap": 77}
    longer = map_history(batch, lambda name, x: np.concatenate([x, np.full((len(x), 3), more[name])], axis=1))
    longer = map_history(longer, lambda name, x: np.where(longer.histories[0].item > 0, x, more[name]))
    assert longer.histories[0].gap[-1].tolist() == [0, *[77] * 6]  # a history of one event is among them
    same = dict(rtol=0, atol=1e-12)
    onp.testing.assert_allclose(dmran.score(params, longer, None, config),
                                dmran.score(params, batch, None, config), **same)
    onp.testing.assert_allclose(dmran.loss(params, longer, config), dmran.loss(params, batch, config), **same)
    assert_same_trees(*(grad(dmran.loss)(params, x, config) for x in (longer, batch)), atol=1e-12)


@pytest.mark.parametrize("config", [BASE, replace(BASE, variant="feature"), replace(BASE, variant="item")])
def test_attention_to_padding_is_exactly_zero(config):
    taps, batch = {}, training_batch(config)
    states = dmran.forward(random_params(config), batch, config, tap=taps.__setitem__)
    dmran.logits(random_params(config), batch, states, batch.candidate, config, tap=taps.__setitem__)
    pad = batch.histories[0].item == 0
    if config.variant == "feature":  # padded rows of H reach eq. 10 and 14
        assert not taps["beta"][np.broadcast_to(pad[:, None, :], (*pad.shape, pad.shape[1]))].any()
        assert not taps["vanilla"][np.broadcast_to(pad[:, None, None], taps["vanilla"].shape)].any()
        assert not taps["vanilla_hat"][np.broadcast_to(pad[:, None, None], taps["vanilla_hat"].shape)].any()
    else:
        assert not taps["hops"][np.broadcast_to(pad[:, None], taps["hops"].shape)].any()
        onp.testing.assert_allclose(taps["hops"].sum(axis=2), 1, atol=1e-12)


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("t", range(1, 6))
def test_no_look_into_the_future(config, t):
    """Change the target, all later events of its user and all other users: bit-identical scores of its history."""
    params = random_params(config)
    row = np.array([[t, HISTORIES[0][0][t], 7]])  # the t-th event of the first user

    def scores(histories, row):
        batch = dmran.batch(events(config, histories), row, config, onp.random.default_rng(0))
        return dmran.score(params, batch, every_item(len(row)), config)

    items, days = HISTORIES[0]
    later = [days[t], *[9000] * (5 - t)]  # the day of the target is now: it stays
    changed = [(items[:t] + [6] * (6 - t), days[:t] + later), ([5, 5, 5], [1, 1, 1]), ([2, 2], [0, 999])]
    onp.testing.assert_array_equal(scores(changed, row), scores(HISTORIES, row))
    earlier = [([7] * t + items[t:], days), *HISTORIES[1:]]
    assert np.abs(scores(earlier, row) - scores(HISTORIES, row)).max() > 1e-6


@pytest.mark.parametrize("config", VARIANTS)
def test_rows_of_a_batch_do_not_see_each_other(config):
    """Everything of the other rows changes, candidates too: bit-identical scores."""
    params, batch, keep = random_params(config), training_batch(config), 2
    other = {"item": 5, "behaviour": 1, "gap": 3}

    def change(name, x):
        return np.where(np.arange(len(x))[:, None] == keep, x, other[name])

    candidates = every_item(len(batch.candidate))
    got = dmran.score(params, map_history(batch, change), np.where(
        np.arange(len(candidates))[:, None] == keep, candidates, 4), config)
    want = dmran.score(params, batch, candidates, config)
    onp.testing.assert_array_equal(got[keep], want[keep])
    assert (got[keep + 1] != want[keep + 1]).any()


@pytest.mark.parametrize("config", VARIANTS)
def test_held_out_events_are_no_input(config):
    """Ranking reads the sequence and the moment alone; its batch is that of a training target at the same moment."""
    params, whole = random_params(config), events(config)
    ends = whole.ptr[1:] - 1
    cut = [(items[:-1], days[:-1]) for items, days in HISTORIES]
    history = events(config, cut)._replace(now=whole.time[ends])
    ranking = dmran.batch(history, np.arange(3), config)
    training = dmran.batch(whole, np.stack([ends, *[whole.item[ends]] * 2], axis=1), config, onp.random.default_rng(0))
    assert ranking.candidate is None and ranking.label is None
    for a, b in zip(ranking.histories[0], training.histories[0], strict=True):
        onp.testing.assert_array_equal(a, b)
    onp.testing.assert_array_equal(*(dmran.score(params, batch, None, config) for batch in (ranking, training)))


@pytest.mark.parametrize("config", VARIANTS)
def test_scores_of_all_items_equal_scores_of_given_items(config):
    params, batch = random_params(config), training_batch(config)
    everything = dmran.score(params, batch, None, config)
    assert everything.shape == (len(batch.candidate), N)
    onp.testing.assert_allclose(dmran.score(params, batch, every_item(len(everything)), config), everything,
                                rtol=0, atol=1e-12)
    onp.testing.assert_allclose(dmran.score(params, batch, batch.candidate, config),
                                np.take_along_axis(everything, batch.candidate - 1, axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", VARIANTS)
def test_empty_history(config):
    """Nothing to attend to: M is 0, so without residuals every score is 0 (or the item's bias); all is finite."""
    params, batch = random_params(config), training_batch(config)
    empty = map_history(batch, lambda name, x: np.zeros_like(x))
    scores = dmran.score(params, empty, None, config)
    assert np.isfinite(scores).all() and np.isfinite(dmran.loss(params, empty, config))
    assert all(np.isfinite(a).all() for _, a in optim.leaves(grad(dmran.loss)(params, empty, config)))
    if not config.robust:
        bias = params["b"][1:] if config.item_bias else np.zeros(N)
        onp.testing.assert_array_equal(scores, np.broadcast_to(bias, scores.shape))


@pytest.mark.parametrize("config", VARIANTS)
def test_float32_stays_and_padding_has_no_gradient(config):
    params, batch = optim.tree_map(lambda a: a.astype(np.float32), random_params(config)), training_batch(config)
    assert dmran.score(params, batch, None, config).dtype == dmran.loss(params, batch, config).dtype == np.float32
    gradient = grad(dmran.loss)(params, batch, config)
    assert {a.dtype for _, a in optim.leaves(gradient)} == {onp.dtype(np.float32)}
    gradient = grad(dmran.loss)(params, batch, replace(config, weight_decay=0.0))
    assert not any(table[0].any() for table in gradient["V"])


@pytest.mark.parametrize("config", [BASE, replace(BASE, robust=True, item_bias=True)])
def test_a_negative_that_could_not_be_drawn_counts_for_nothing(config):
    params, batch = random_params(config), training_batch(config)
    candidate = np.array(batch.candidate)
    candidate[1, 1] = 0
    z, h_c, i_c = dmran.logits(params, batch, dmran.forward(params, batch, config), candidate, config)
    terms = np.logaddexp(0, np.where(batch.label, -z, z))
    terms[1, 1] = h_c[1, 1] = i_c[1, 1] = 0
    A = dmran.forward(params, batch, config)[2]
    want = (terms.sum() / (terms.size - 1) + config.penalty / 2 * ((h_c**2).sum() + (i_c**2).sum())
            + config.redundancy * dmran.redundancy(A).mean())
    assert dmran.loss(params, batch._replace(candidate=candidate), config) == pytest.approx(want, abs=1e-12)


# What the equations imply.


@pytest.mark.parametrize("config", [c for c in VARIANTS if c.variant != "item"])
def test_b_s1_has_no_effect(config):
    """Eq. 9-11: b_s1 is added for every j alike, and e^(x+b) / sum e^(x+b) = e^x / sum e^x, so its gradient is 0.

    papers/dmran.py states that 0. Derived instead of stated, as by hand, it is 0 up to rounding: the softmax hands
    beta_j (g_j - sum beta g) back to each j, and b_s1 gets the sum of these over j, 0 in exact arithmetic.
    """
    params, batch = random_params(config), training_batch(config)
    no_decay = replace(config, weight_decay=0.0)
    onp.testing.assert_array_equal(grad(dmran.loss)(params, batch, no_decay)["b_s1"], np.zeros(4))
    pair = row_by_hand(batch, 3), *batch.features[0][batch.candidate[3]], no_decay
    onp.testing.assert_allclose(grad(by_hand.loss)(params, *pair)["b_s1"], 0, atol=1e-15)
    moved = params | {"b_s1": params["b_s1"] + np.array([3.0, -2.0, 0.5, 10.0])}
    onp.testing.assert_allclose(dmran.score(moved, batch, None, config), dmran.score(params, batch, None, config),
                                rtol=0, atol=1e-12)
    broken = params | {"b_s1": np.full(4, np.nan)}
    assert np.isnan(dmran.score(broken, batch, None, config)).all()  # it is added all the same
    e, g = [Fraction(2, 7), Fraction(5), Fraction(1, 3)], [Fraction(-3), Fraction(1, 9), Fraction(8, 5)]
    beta = [x / sum(e) for x in e]
    mean = sum(b * x for b, x in zip(beta, g, strict=True))
    assert sum(b * (x - mean) for b, x in zip(beta, g, strict=True)) == 0


def test_feature_weights_sum_to_one_over_j_for_every_feature():
    """Eq. 11: over the rows j, not over the features."""
    for config in (BASE, replace(BASE, variant="feature"), replace(BASE, diagonal=False)):
        taps, batch = {}, training_batch(config)
        dmran.forward(random_params(config), batch, config, tap=taps.__setitem__)
        beta = taps["beta"]  # [B, i, j, d]
        count = len(batch.histories[0].item[0]) if config.variant == "feature" else config.hops
        assert beta.shape == (len(batch.candidate), count, count, 4)
        real = batch.histories[0].item > 0 if config.variant == "feature" else np.ones(beta.shape[:2], bool)
        onp.testing.assert_allclose(beta.sum(axis=2)[real], 1, atol=1e-12)
        assert (beta >= 0).all() and np.ptp(beta, axis=3).max() > 1e-3  # and each feature has weights of its own
        if not config.diagonal:
            assert not beta[:, np.arange(count), np.arange(count)].any()


def test_beta_goes_from_m_j_to_m_i():
    """Eq. 9, 10 (D22): M^_i looks at all rows j through W_s3 and at its own through W_s4."""
    params, M = random_params(BASE), onp.random.default_rng(0).normal(size=(1, 3, 4))
    beta = dmran.feature_weights(params, M, np.ones((1, 3, 3), bool))
    for i, k in product(range(3), range(4)):
        scores = [by_hand.pair_scores(params, M[0, i], M[0, j])[k] for j in range(3)]
        onp.testing.assert_allclose(beta[0, i, :, k], by_hand.softmax(scores), atol=1e-12)
    no_key = params | {"W_s3": np.zeros((4, 4))}  # then F does not depend on j
    onp.testing.assert_allclose(dmran.feature_weights(no_key, M, np.ones((1, 3, 3), bool)), 1 / 3, atol=1e-12)


def both_redundancies(A):
    """The penalty of one sample, batched and as the double sum, which have to agree."""
    got, want = dmran.redundancy(np.array(A)[None])[0], by_hand.redundancy(np.array(A).tolist())
    assert got == pytest.approx(want, abs=1e-12)
    return got


def test_redundancy_of_one_event_is_90_and_has_no_gradient():
    """n = 1: every hop has to look at the one event, so A A^T is all ones: r (r - 1) = 90, whatever the weights."""
    config = replace(BASE, hops=10)
    params, H = random_params(config), onp.random.default_rng(0).normal(size=(1, 1, 4))

    def penalty(params, H):
        return np.sum(dmran.redundancy(dmran.item_attention(params, H, np.ones((1, 1), bool))))

    assert penalty(params, H) == 90.0
    gradient = grad(penalty)(params, H)
    assert all(not np.any(a) for _, a in optim.leaves(gradient)) and not grad(penalty, 1)(params, H).any()
    assert both_redundancies(np.ones((10, 1))) == 90.0


def test_redundancy_is_zero_for_disjoint_one_hot_rows_alone():
    """A A^T = I with rows >= 0 that sum to 1: one event a hop, a different one for each."""
    assert both_redundancies([[0.0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]) == 0.0
    assert both_redundancies([[0.0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]) == 2.0   # one event twice
    assert both_redundancies([[0.0, 0.5, 0.5, 0], [0, 0, 0, 1], [1, 0, 0, 0]]) == 0.25  # disjoint, not one-hot


def test_redundancy_of_even_attention():
    """r = 10 hops spread over n = 20 events: 10 (1/20 - 1)^2 + 90 (1/20)^2, an offset of the printed loss."""
    assert both_redundancies(np.full((10, 20), 1 / 20)) == pytest.approx(9.25, abs=1e-12)


def test_redundancy_of_more_hops_than_events_stays_above_zero():
    """n < r: A A^T has rank <= n, so r - n of its eigenvalues are 0 where I has 1: at least r - n."""
    rng = onp.random.default_rng(0)
    for n in (1, 2, 3):
        assert all(both_redundancies(A) >= 4 - n - 1e-9 for A in rng.dirichlet(np.full(n, 0.3), (50, 4)))
        one_hot = [np.eye(n)[list(at)] for at in product(range(n), repeat=4)]
        assert min(both_redundancies(A) for A in one_hot) >= 4 - n
    assert min(both_redundancies(np.eye(4)[list(at)]) for at in product(range(4), repeat=4)) == 0  # n = r can


def test_one_hop_is_the_single_hop_form():
    """Eq. 7, 8 with r = 1 are eq. 3-6."""
    config = replace(BASE, hops=1)
    params, batch = random_params(config), training_batch(config)
    M, M_hat, A, _ = dmran.forward(params, batch, config)
    for b in range(len(M)):
        u = by_hand.history_code(params, row_by_hand(batch, b), config)
        want = by_hand.single_hop(params["W_s1"], params["W_s2"][0], u)
        onp.testing.assert_allclose(M[b, 0], want, atol=1e-12)
        e = [sum(params["W_s2"][0, k] * max(params["W_s1"][k] @ u_j, 0) for k in range(4)) for u_j in u]  # eq. 3, 4
        onp.testing.assert_allclose(A[b, 0, : len(u)], np.exp(e) / np.exp(e).sum(), atol=1e-12)


def test_one_row_has_nothing_to_weigh():
    """r = 1: M^ = M exactly, and so h_c = h = m for every candidate; without the diagonal M^ is 0 (D5)."""
    config = replace(BASE, hops=1)
    params, batch = random_params(config), training_batch(config)
    M, M_hat, *rest = dmran.forward(params, batch, config)
    onp.testing.assert_array_equal(M_hat, M)
    _, h_c, _ = dmran.logits(params, batch, (M, M_hat, *rest), batch.candidate, config)
    onp.testing.assert_allclose(h_c, np.broadcast_to(M, h_c.shape), atol=1e-12)
    assert not dmran.forward(params, batch, replace(config, diagonal=False))[1].any()


def test_loss_holds_the_penalty_averaged_over_samples():
    """(D14): lambda_3 times the mean over rows; a batch said twice has the same loss, but for lambda_1 (D13)."""
    params, batch, off = random_params(BASE), training_batch(BASE), replace(BASE, redundancy=0.0, penalty=0.0)
    each = [by_hand.redundancy(by_hand.forward(params, row_by_hand(batch, b), BASE)[2]) for b in range(8)]
    plain = dmran.loss(params, batch, off)
    assert len(batch.candidate) == 8 and min(each) < max(each)
    for weight in (1e-4, 1e-2, 1.0):
        got = dmran.loss(params, batch, replace(off, redundancy=weight))
        assert got == pytest.approx(plain + weight * sum(each) / 8, abs=1e-12)
    twice = map_history(batch, lambda _, x: np.concatenate([x, x]))._replace(
        candidate=np.concatenate([batch.candidate] * 2), label=np.concatenate([batch.label] * 2))
    for config, factor in ((replace(off, redundancy=1.0), 1), (replace(off, penalty=1.0), 2)):
        alone = dmran.loss(params, batch, config) - plain
        assert dmran.loss(params, twice, config) - plain == pytest.approx(factor * alone, abs=1e-9)


def test_without_time_gaps_are_ignored():
    batch = training_batch(BASE)
    moved = map_history(batch, lambda name, x: x // 2 + 20 if name == "gap" else x)
    for config, ignored in ((replace(BASE, time=False), True), (BASE, False)):
        params = random_params(config)
        assert ("T" in params) != ignored
        same = dmran.score(params, batch, None, config) == dmran.score(params, moved, None, config)
        assert same.all() if ignored else not same.all(axis=1).any()


def test_time_buckets_as_in_the_text():
    """[0, 1) [1, 2) [2, 4) [4, 8) ... are 0 1 2 3 ...; the last of the 14 is open (D3)."""
    gaps = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 365, 2047, 2048, 4095, 4096, 10**6]
    paper, release = [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 9, 11, 12, 12, 13, 13], [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 8, 11, 11,
                                                                             12, 12, 12]
    for rule, want in (("paper", paper), ("release", release)):
        assert [by_hand.bucket(gap, rule) for gap in gaps] == want
        assert dmran.time_bucket(np.array(gaps), rule).tolist() == want


def superset():
    """Parameters of every switch at once."""
    return random_params(replace(BASE, robust=True, item_bias=True))


@pytest.mark.parametrize("start, change", [
    ({}, dict(variant="item")), ({}, dict(variant="feature")), ({}, dict(fuse=False)),
    (dict(variant="feature"), dict(fuse=False)),
    ({}, dict(bucket="release")), ({}, dict(diagonal=False)), (dict(variant="feature"), dict(diagonal=False)),
    ({}, dict(pool="mean")), ({}, dict(robust=True)), (dict(robust=True), dict(heads=1)), ({}, dict(item_bias=True)),
    ({}, dict(redundancy=0.2)), ({}, dict(penalty=0.02)), ({}, dict(weight_decay=0.1)),
    ({}, dict(length=2)), ({}, dict(unit=3 * DAY)), ({}, dict(unit=3600)),
])
def test_no_switch_is_dead(start, change):
    """On the same weights and events, each switch changes the loss."""
    params, start = superset(), replace(BASE, **start)
    other = replace(start, **change)
    assert abs(dmran.loss(params, training_batch(start), start)
               - dmran.loss(params, training_batch(other), other)) > 1e-7


@pytest.mark.parametrize("start, change", [
    (dict(variant="item"), dict(diagonal=False)), (dict(variant="feature"), dict(redundancy=9.0)),
    (dict(variant="item"), dict(fuse=False)), ({}, dict(heads=1)), (dict(robust=True), dict(pool="mean")),
])
def test_where_a_switch_has_nothing_to_switch(start, change):
    params, start = superset(), replace(BASE, **start)
    assert dmran.loss(params, training_batch(start), start) == dmran.loss(
        params, training_batch(start), replace(start, **change))


def test_sizes_of_the_defaults():
    """d = 128 and r = 10 as printed; items alone or half items, half categories (D2); 14 time buckets (D3)."""
    rng = onp.random.default_rng(0)
    params = dmran.init(rng, dmran.Config(items=5))
    shapes = {name: a.shape for name, a in optim.leaves(params)}
    square, vector = dict.fromkeys(("W_s1", "W_s3", "W_s4", "W_s5", "W_f1", "W_f2"), (128, 128)), dict.fromkeys(
        ("b_s1", "b_s2", "b_f", "W_0/b"), (128,))
    assert shapes == {"V/0": (6, 128), "T": (14, 128), "W_0/w": (256, 128), "W_s2": (10, 128), **square, **vector}
    assert all(not a.any() for name, a in optim.leaves(params) if a.ndim == 1)
    V = dmran.init(rng, dmran.Config(items=5, categories=4))["V"]
    assert [table.shape for table in V] == [(6, 64), (5, 64)]
    assert dmran.init(rng, dmran.Config(items=5, time=False))["W_0"]["w"].shape == (128, 128)


@pytest.mark.parametrize("wrong, sentence", [
    (dict(variant="none"), "variant is 'none': choose one of full, item, feature."),
    (dict(bucket="day"), "bucket is 'day': choose one of release, paper."),
    (dict(pool="max"), "pool is 'max': choose one of attention, mean."),
    *((dict([(name, 0)]), "items, length, hops, heads and unit must be at least 1, categories at least 0.")
      for name in ("items", "length", "hops", "heads", "unit")),
    (dict(categories=-1), "categories at least 0."),
    *((shape, "width must be even, a multiple of heads, and at least 4.")
      for shape in (dict(width=2, heads=1), dict(width=5, heads=1), dict(width=12, heads=8))),
    *(({name: value}, "redundancy, penalty and weight_decay must be numbers of 0 or more.")
      for name in ("redundancy", "penalty", "weight_decay") for value in (-1.0, float("nan"), float("inf"))),
])
def test_config_refuses(wrong, sentence):
    with pytest.raises(InputError) as error:
        dmran.Config(**{"items": 5, **wrong})
    assert str(error.value).endswith(sentence)


def test_examples_are_one_row_a_target_with_a_negative_the_user_never_meets():
    """(D15), (D16): drawn once, from outside the user's whole list, later events included."""
    log = events(BASE)._replace(negative=None)
    rows, = dmran.examples(log, replace(BASE, items=20), onp.random.default_rng(0))
    assert rows[:, 0].tolist() == [1, 2, 3, 4, 5, 7, 8, 10]
    onp.testing.assert_array_equal(rows[:, 1], log.item[rows[:, 0]])
    for event, _, negative in rows:
        user = np.searchsorted(log.ptr, event, side="right") - 1
        assert 1 <= negative <= 20 and negative not in log.item[log.ptr[user] : log.ptr[user + 1]]
