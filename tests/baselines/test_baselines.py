"""Every baseline: central differences, padding, the future, other rows, empty histories, types."""
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from autograd import grad
from autograd.test_util import check_grads

from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import targets
from mbref.data.targets import History
from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.lookup import value_and_grad
from tests.baselines.baseline_batches import (
    CNN,
    DAY,
    EVERY,
    LSTM,
    OF_ONE_TARGET,
    SASREC,
    N,
    make_events,
    random_params,
    ranking_batch,
    training_batch,
    worst_error,
)


@pytest.mark.parametrize("model, config", EVERY)
def test_gradients_against_central_differences(model, config):
    params, batch = random_params(model, config), training_batch(model, config)
    check_grads(lambda p: model.loss(p, batch, config), modes=["rev"], order=1)(params)


def lengthen(batch, extra):
    """The same histories with more padding on the right."""
    history = History(*(np.pad(x, ((0, 0), (0, extra))) for x in batch.histories[0]))
    return batch._replace(histories=(history,))


@pytest.mark.parametrize("model, config, extra", [
    *((model, config, 7) for model, config in OF_ONE_TARGET),
    (cnn, CNN, 494),  # the release pads to 500
])
def test_more_padding_changes_nothing(model, config, extra):
    params, batch = random_params(model, config), training_batch(model, config)
    more = lengthen(batch, extra)
    got, want = (model.score_all(params, one, config) for one in (more, batch))
    assert worst_error(got, want) < 1e-12
    got, want = (grad(model.loss)(params, b, config) for b in (more, batch))
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("model, config", EVERY)
def test_scores_of_all_items_equal_those_of_given_ones(model, config):
    params, batch = random_params(model, config), ranking_batch(model, config)
    every = np.broadcast_to(np.arange(1, N + 1), (4, N))
    want = model.score(params, batch, every, config)
    np.testing.assert_allclose(model.score_all(params, batch, config), want, atol=1e-12)
    shuffled = model.score(params, batch, every[:, ::-1][:, 3:5], config)
    np.testing.assert_allclose(shuffled, want[:, ::-1][:, 3:5], atol=1e-12)


@pytest.mark.parametrize("model, config", EVERY)
def test_a_row_does_not_see_the_others(model, config):
    params, log = random_params(model, config), make_events(config)
    together = model.score_all(params, ranking_batch(model, config), config)
    for row in range(4):
        batch = model.ranking_batch(log, np.array([row]), config)
        alone = model.score_all(params, batch, config)
        np.testing.assert_allclose(alone[0], together[row], atol=1e-12)


@pytest.mark.parametrize("model, config", OF_ONE_TARGET)
def test_a_target_does_not_see_itself_or_what_follows(model, config):
    """Scores at the third event stay when it and what follows it become other items."""
    params, log = random_params(model, config), make_events(config)
    item = log.item.copy()
    item[2:8] = [7, 6, 9, 9, 7, 6]
    row = np.array([[2, 5]])  # event, candidate
    both = [targets.training_batch(one, row, config.length, N, DAY)
            for one in (log, log._replace(item=item))]
    np.testing.assert_array_equal(*(model.score_all(params, batch, config) for batch in both))


@pytest.mark.parametrize("model, config", EVERY)
def test_an_empty_history_gives_finite_scores(model, config):
    log = make_events(config)._replace(ptr=np.array([0, 8, 8, 18]), user=np.arange(1, 4))
    batch = model.ranking_batch(log, np.arange(3), config)
    alone = model.ranking_batch(log, np.array([1]), config)
    params = random_params(model, config)
    scores = model.score_all(params, batch, config)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(model.score_all(params, alone, config)[0], scores[1], atol=1e-12)


@pytest.mark.parametrize("model, config", EVERY)
def test_float32_stays_float32(model, config):
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(model, config))
    batch, rng = training_batch(model, config), np.random.default_rng(0)
    for name, a in optim.leaves(grad(model.loss)(params, batch, config, rng)):
        assert a.dtype == np.float32, name
    assert model.score_all(params, ranking_batch(model, config), config).dtype == np.float32


@pytest.mark.parametrize("model, config", [pair for pair in EVERY if pair[0] is sasrec])
def test_sasrec_positions_do_not_see_the_future_and_padding_changes_nothing(model, config):
    params, batch = random_params(model, config), training_batch(model, config)
    z = model.forward(params, batch, config)
    item = batch.item.copy()
    item[:, 4:] = item[:, 4:] % N + 1  # other items at the two newest positions
    other = model.forward(params, batch._replace(item=item), config)
    np.testing.assert_array_equal(other[:, :4], z[:, :4])
    row = np.flatnonzero((batch.item > 0).sum(axis=1) == 2)[:1]  # two events: cut all padding off
    short = model.forward(params, batch._replace(item=batch.item[row, 4:]), config)
    np.testing.assert_allclose(short, z[row, 4:], atol=1e-12)


def test_sasrec_softmax_by_hand():
    """Mean over the events that have a next one of -log(e^s / sum of e^s over items 1..N)."""
    params, batch = random_params(sasrec, SASREC), training_batch(sasrec, SASREC)
    z, table, want = sasrec.forward(params, batch, SASREC), params["item"], []
    for b, t in zip(*np.nonzero(batch.next.item), strict=True):
        e = [np.exp(table[i] @ z[b, t]) for i in range(1, N + 1)]
        want.append(-np.log(e[batch.next.item[b, t] - 1] / sum(e)))
    assert sasrec.loss(params, batch, SASREC) == pytest.approx(np.mean(want), abs=1e-12)


@pytest.mark.trains
def test_sasrec_learns_a_cycle():
    """Items follow one another in a circle: after training the next one ranks first everywhere."""
    log = make_events(SASREC, [[(start + step) % N + 1 for step in range(7)] for start in range(N)])
    config, rule = replace(SASREC, width=8, heads=1, dropout=0.1), optim.Adam(1e-2)
    for kind in ("softmax", "bce"):
        config = replace(config, loss=kind)
        params, rng = sasrec.init(np.random.default_rng(0), config), np.random.default_rng(1)
        moments = optim.start(rule, params)
        for step in range(1, 81):
            rows, = sasrec.examples(log, config, rng)
            batch = sasrec.training_batch(log, rows, config, rng)
            gradient = grad(sasrec.loss)(params, batch, config, rng)
            params, moments = optim.update(rule, params, gradient, moments, step)
        scores = sasrec.score_all(params, ranking_batch(sasrec, config, log), config)
        np.testing.assert_array_equal(scores.argmax(axis=1) + 1, log.item[log.ptr[1:] - 1] % N + 1)


@pytest.mark.parametrize("model, config", OF_ONE_TARGET)
def test_pairs_have_a_target_and_its_negative_in_one_row(model, config):
    shapes = [training_batch(model, replace(config, pairs=pairs)).candidate.shape
              for pairs in (False, True)]
    assert shapes == [(28, 1), (14, 2)]  # 14 of 18 events are targets


def test_cnn_reads_time_and_the_lstm_does_not():
    for model, config, reads in ((cnn, CNN, True), (bilstm, LSTM, False)):
        params, log = random_params(model, config), make_events(config)
        later = log._replace(now=log.now + 300 * DAY)
        a, b = (model.score_all(params, ranking_batch(model, config, one), config)
                for one in (log, later))
        assert (a != b).any() == reads


def test_cnn_buckets_of_time():
    """Gaps 1 and 2, 3 to 6, and all from 4095 days on are the same to it."""
    params, batch = random_params(cnn, CNN), ranking_batch(cnn, CNN)

    def code(gap):
        history = batch.histories[0]
        changed = history._replace(gap=np.full_like(history.gap, gap))
        return cnn.forward(params, batch._replace(histories=(changed,)), CNN)

    def same(first, second):
        return (code(first) == code(second)).all()

    assert same(1, 2) and same(3, 6) and same(4095, 10**6)
    assert not same(0, 1) and not same(2, 3) and not same(6, 7) and not same(4094, 4095)


def test_truncated_normal_filters():
    w = cnn.truncated_normal(np.random.default_rng(0), 400, 100)
    assert abs(w).max() <= 2 and abs(w).max() > 1.99
    assert abs(w.std() - 0.8796) < 0.005  # sd of a normal cut at 2 sd
    params = cnn.init(np.random.default_rng(0), cnn.Config(items=N))
    assert all((p["b"] == 0.1).all() and abs(p["w"]).max() <= 0.2 for p in params["filters"])


@pytest.mark.parametrize("model, config", [(cnn, CNN), (sasrec, SASREC)])
def test_dropout_is_drawn_in_training_alone(model, config):
    dropped = replace(config, dropout=0.5)
    params, batch = random_params(model, config), training_batch(model, config)
    silent = model.loss(params, batch, dropped)
    assert silent == model.loss(params, batch, config)
    assert silent != model.loss(params, batch, dropped, np.random.default_rng(0))


@pytest.mark.parametrize("model, field, value", [
    (cnn, "width", 5), (cnn, "sizes", 0), (cnn, "dropout", 1.0), (cnn, "penalty", -1.0),
    (cnn, "unit", 0), (bilstm, "width", 3), (bilstm, "length", 0), (bilstm, "items", 0),
    (bilstm, "penalty", float("nan")), (sasrec, "loss", "bpr"), (sasrec, "heads", 3),
    (sasrec, "blocks", 0), (sasrec, "dropout", -0.1), (bpr_mf, "penalty", float("nan")),
    (bpr_mf, "width", 0), (bpr_mf, "users", 0),
])
def test_bad_configs_are_refused(model, field, value):
    sizes = {"items": N, "users": 3} if model is bpr_mf else {"items": N}
    with pytest.raises(InputError, match=field):
        model.Config(**sizes | {field: value})


def test_sasrec_never_holds_the_scores_of_all_positions():
    config = replace(SASREC, items=20_000, length=30)
    batch = training_batch(sasrec, config, make_events(config, [range(1, 32)] * 30))
    params = random_params(sasrec, config)
    tracemalloc.start()
    value_and_grad(sasrec.loss)(params, batch, config)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * batch.at.size * config.items / 2  # bytes; all scores would take twice that
