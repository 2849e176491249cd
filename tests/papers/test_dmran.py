"""DMRAN in the paper's form and in other readings: by hand, gradients, padding, the future."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad, value_and_grad
from autograd.test_util import check_grads

from mbref.nn import optim
from mbref.papers import dmran
from mbref.variants import dmran as variants
from tests.papers.dmran_rows import (
    BASE,
    EVERY,
    HISTORIES,
    OTHER,
    N,
    assert_same_trees,
    every_item,
    forward_by_hand,
    loss_by_hand,
    make_events,
    map_history,
    model_of,
    random_params,
    reading,
    row_by_hand,
    score_by_hand,
    states_of,
    training_batch,
    without_decay,
)

of_every_reading = pytest.mark.parametrize("config", EVERY)


@of_every_reading
def test_states_and_scores_by_hand_equal_batched(config):
    params, batch = random_params(config), training_batch(config)
    M, M_hat, A, real = states_of(params, batch, config)
    scores = model_of(config).score_all(params, batch, config)
    for b in range(len(scores)):
        history = row_by_hand(batch, b)
        states = forward_by_hand(params, history, config)
        for got, want in zip((M, M_hat, A), states, strict=True):
            if want is None:  # M^ without a feature level, A without an item level: the identity
                assert M_hat is None if got is not A else (got == np.eye(M.shape[1])).all()
            else:
                own = got[b][real[b]] if got is not A else got[b, :, : len(history)]
                onp.testing.assert_allclose(own, np.array(want), atol=1e-10)
        want = [score_by_hand(params, history, ids, config) for ids in batch.features[0][1:]]
        onp.testing.assert_allclose(scores[b], want, atol=1e-10)


@of_every_reading
def test_loss_and_gradients_by_hand_equal_batched(config):
    """Row by row; of a batch, the mean of its rows, but for lambda_1, which is a sum (D13)."""
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    n, results = len(batch.candidate), []
    summed = replace(config, penalty=config.penalty * n)
    for b in range(n):
        one = map_history(batch, lambda _, x, b=b: x[b : b + 1])._replace(
            candidate=batch.candidate[b : b + 1], label=batch.label[b : b + 1])
        pair = batch.features[0][batch.candidate[b]]
        want = value_and_grad(loss_by_hand)(params, row_by_hand(batch, b), *pair, summed)
        assert_same_trees(list(value_and_grad(model.loss)(params, one, summed)), list(want))
        results.append(list(want))
    mean = optim.tree_map(lambda *parts: sum(parts) / n, *results)
    assert_same_trees(list(value_and_grad(model.loss)(params, batch, config)), mean)


@of_every_reading
def test_gradients_by_central_differences(config):
    model, batch = model_of(config), training_batch(config)
    for seed in range(3):  # each compares one random direction in the space of all parameters
        onp.random.seed(seed)  # noqa: NPY002 (autograd draws it from NumPy's global state)
        loss = lambda p: model.loss(p, batch, config)
        check_grads(loss, modes=["rev"], order=1)(random_params(config, seed))


def test_gradients_of_the_components():
    params, rng = random_params(BASE), onp.random.default_rng(1)
    H, M = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3, 4))
    real = np.array([[True] * 5, [True] * 2 + [False] * 3])
    attend = lambda p, H: dmran.item_attention(p, H, real)
    check_grads(attend, modes=["rev"])(params, H)
    check_grads(lambda p, H: dmran.redundancy(attend(p, H)), modes=["rev"])(params, H)
    check_grads(dmran.feature_attention, modes=["rev"])(params, M)
    check_grads(dmran.vanilla, modes=["rev"])(M, H)
    check_grads(dmran.fusion, modes=["rev"])(params, M, M[::-1])


def test_gradients_of_the_components_with_a_mask():
    params, rng = random_params(OTHER), onp.random.default_rng(1)
    M, i_c = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    real = np.array([[True] * 3, [True] * 2 + [False]])
    allowed = real[:, None] & real[:, :, None]
    weigh = lambda p, M: variants.feature_weights(p, M, allowed)
    attend = lambda p, M: variants.feature_attention(p, M, allowed, OTHER)
    pool = lambda M, i_c: variants.vanilla(None, M, i_c, real, OTHER)
    for function, *given in ((weigh, params, M), (attend, params, M), (pool, M, i_c)):
        check_grads(function, modes=["rev"])(*given)


@pytest.mark.parametrize("config", [config for config in EVERY if config.hops > 1])
def test_every_parameter_but_b_s1_has_a_gradient(config):
    """No weight is drawn that a reading does not use."""
    loss = model_of(config).loss
    gradient = grad(loss)(random_params(config), training_batch(config), without_decay(config))
    unused = [name for name, a in optim.leaves(gradient) if not a.any()]
    assert unused == ["b_s1"] * (reading(config)[0] != "item")


@of_every_reading
def test_padding_changes_nothing(config):
    """Three more padded slots, with garbage in what is not an id: the same scores and gradients."""
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    more = {"item": 0, "behaviour": 1, "gap": 77}

    def lengthen(name, x):
        return np.concatenate([x, np.full((len(x), 3), more[name])], axis=1)

    longer = map_history(batch, lengthen)
    real = longer.histories[0].item > 0
    longer = map_history(longer, lambda name, x: np.where(real, x, more[name]))
    assert longer.histories[0].gap[-1].tolist() == [0, *[77] * 6]  # a history of one event
    same = dict(rtol=0, atol=1e-12)
    for what in (model.score_all, model.loss):
        got, want = (what(params, one, config) for one in (longer, batch))
        onp.testing.assert_allclose(got, want, **same)
    gradients = [grad(model.loss)(params, one, config) for one in (longer, batch)]
    assert_same_trees(*gradients, atol=1e-12)


@pytest.mark.parametrize("config", [
    BASE, OTHER, replace(OTHER, variant="feature"), replace(OTHER, variant="item")])
def test_attention_to_padding_is_exactly_zero(config):
    taps, batch, params = {}, training_batch(config), random_params(config)
    states = states_of(params, batch, config, taps.__setitem__)
    model_of(config).logits(params, batch, states[: len(states) - (config == BASE)],
                            batch.candidate, config, taps.__setitem__)
    pad = batch.histories[0].item == 0
    if reading(config)[0] == "feature":  # padded rows of H reach eq. 10 and 14
        assert not taps["beta"][np.broadcast_to(pad[:, None, :], (*pad.shape, pad.shape[1]))].any()
        for name in ("vanilla", "vanilla_hat"):
            weights = taps[name]
            assert not weights[np.broadcast_to(pad[:, None, None], weights.shape)].any()
    else:
        A = states[2]
        assert not A[np.broadcast_to(pad[:, None], A.shape)].any()
        onp.testing.assert_allclose(A.sum(axis=2), 1, atol=1e-12)


@of_every_reading
@pytest.mark.parametrize("t", range(1, 6))
def test_no_look_into_the_future(config, t):
    """Change the target, what follows it and all other users: bit-identical scores."""
    model, params = model_of(config), random_params(config)
    row = np.array([[t, HISTORIES[0][0][t], 7]])  # the t-th event of the first user

    def scores(histories, row):
        events, rng = make_events(config, histories), onp.random.default_rng(0)
        batch = model.training_batch(events, row, config, rng)
        return model.score(params, batch, every_item(len(row)), config)

    items, days = HISTORIES[0]
    later = [days[t], *[9000] * (5 - t)]  # the day of the target is now: it stays
    changed = [(items[:t] + [6] * (6 - t), days[:t] + later), ([5, 5, 5], [1, 1, 1]),
               ([2, 2], [0, 999])]
    onp.testing.assert_array_equal(scores(changed, row), scores(HISTORIES, row))
    earlier = [([7] * t + items[t:], days), *HISTORIES[1:]]
    assert np.abs(scores(earlier, row) - scores(HISTORIES, row)).max() > 1e-6


@of_every_reading
def test_rows_of_a_batch_do_not_see_each_other(config):
    """Everything of the other rows changes, candidates too: bit-identical scores."""
    params, batch, keep = random_params(config), training_batch(config), 2
    score, other = model_of(config).score, {"item": 5, "behaviour": 1, "gap": 3}
    stays = np.arange(len(batch.candidate))[:, None] == keep
    changed = map_history(batch, lambda name, x: np.where(stays, x, other[name]))
    candidates = every_item(len(batch.candidate))
    got = score(params, changed, np.where(stays, candidates, 4), config)
    want = score(params, batch, candidates, config)
    onp.testing.assert_array_equal(got[keep], want[keep])
    assert (got[keep + 1] != want[keep + 1]).any()


@of_every_reading
def test_held_out_events_are_no_input(config):
    """A ranking batch is that of a training target at the same moment, whose event it lacks."""
    model, params, whole = model_of(config), random_params(config), make_events(config)
    ends = whole.ptr[1:] - 1
    cut = [(items[:-1], days[:-1]) for items, days in HISTORIES]
    history = make_events(config, cut)._replace(now=whole.time[ends])
    ranking = model.ranking_batch(history, np.arange(3), config)
    rows = np.stack([ends, *[whole.item[ends]] * 2], axis=1)
    training = model.training_batch(whole, rows, config, onp.random.default_rng(0))
    assert ranking.candidate is None and ranking.label is None
    for a, b in zip(ranking.histories[0], training.histories[0], strict=True):
        onp.testing.assert_array_equal(a, b)
    scores = [model.score_all(params, batch, config) for batch in (ranking, training)]
    onp.testing.assert_array_equal(*scores)


@of_every_reading
def test_scores_of_all_items_equal_scores_of_given_items(config):
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    everything, same = model.score_all(params, batch, config), dict(rtol=0, atol=1e-12)
    assert everything.shape == (len(batch.candidate), N)
    given = model.score(params, batch, every_item(len(everything)), config)
    onp.testing.assert_allclose(given, everything, **same)
    onp.testing.assert_allclose(model.score(params, batch, batch.candidate, config),
                                np.take_along_axis(everything, batch.candidate - 1, axis=1), **same)


@of_every_reading
def test_empty_history(config):
    """M is 0, so without residuals every score is 0, or the item's bias; all is finite."""
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    empty = map_history(batch, lambda name, x: np.zeros_like(x))
    scores = model.score_all(params, empty, config)
    assert np.isfinite(scores).all() and np.isfinite(model.loss(params, empty, config))
    gradient = grad(model.loss)(params, empty, config)
    assert all(np.isfinite(a).all() for _, a in optim.leaves(gradient))
    if not reading(config)[1]:
        bias = params.get("b", np.zeros(N + 1))[1:]
        onp.testing.assert_array_equal(scores, np.broadcast_to(bias, scores.shape))


@of_every_reading
def test_float32_stays_and_padding_has_no_gradient(config):
    model, batch = model_of(config), training_batch(config)
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(config))
    for what in (model.score_all, model.loss):
        assert what(params, batch, config).dtype == np.float32
    gradient = grad(model.loss)(params, batch, config)
    assert {a.dtype for _, a in optim.leaves(gradient)} == {onp.dtype(np.float32)}
    gradient = grad(model.loss)(params, batch, without_decay(config))
    assert not any(table[0].any() for table in gradient["V"])


@pytest.mark.parametrize("config", [BASE, OTHER, replace(OTHER, robust=True, item_bias=True)])
def test_a_negative_that_could_not_be_drawn_counts_for_nothing(config):
    model, params, batch = model_of(config), random_params(config), training_batch(config)
    candidate = np.array(batch.candidate)
    candidate[1, 1] = 0
    states = model.forward(params, batch, config)
    z, h_c, i_c = model.logits(params, batch, states, candidate, config)
    terms = np.logaddexp(0, np.where(batch.label, -z, z))
    terms[1, 1] = h_c[1, 1] = i_c[1, 1] = 0
    want = (terms.sum() / (terms.size - 1) + config.penalty / 2 * ((h_c**2).sum() + (i_c**2).sum())
            + config.redundancy * model.redundancy(states[2]).mean())
    got = model.loss(params, batch._replace(candidate=candidate), config)
    assert got == pytest.approx(want, abs=1e-12)


def test_examples_are_one_row_a_target_with_a_negative_the_user_never_meets():
    """(D15), (D16): drawn once, from outside the user's whole list, later events included."""
    log = make_events(BASE)._replace(negative=None)
    rows, = dmran.examples(log, replace(BASE, items=20), onp.random.default_rng(0))
    assert rows[:, 0].tolist() == [1, 2, 3, 4, 5, 7, 8, 10]
    onp.testing.assert_array_equal(rows[:, 1], log.item[rows[:, 0]])
    for event, _, negative in rows:
        user = np.searchsorted(log.ptr, event, side="right") - 1
        assert 1 <= negative <= 20 and negative not in log.item[log.ptr[user] : log.ptr[user + 1]]
