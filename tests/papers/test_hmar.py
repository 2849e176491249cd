"""HMAR's own form: by hand, central differences, padding, the future, odd histories."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from autograd.test_util import check_grads

from mbref import evaluation
from mbref.by_hand import hmar as by_hand
from mbref.data import sequences, windows
from mbref.data.leave_one_out import leave_one_out
from mbref.data.log import Log
from mbref.data.windows import Batch, ItemCounts, Next
from mbref.errors import InputError
from mbref.nn import masks, optim
from mbref.nn.attention import attention
from mbref.papers import hmar

K, N, L = 3, 7, 6
BASE = hmar.Config(items=N, behaviours=K, width=4, length=L, heads=2, dropout=0.0,
                   weights=(0.5, 0.3, 0.2))
CONFIGS = [BASE, replace(BASE, blocks=2, heads=1), replace(BASE, theta=0.7, target=2)]
HISTORIES = [  # (items, behaviours) of one user, oldest first; the last event is only predicted
    ([3, 1, 3, 5, 1, 2, 3], [1, 2, 2, 3, 1, 1, 3]),   # fills the window
    ([4, 4, 2], [1, 3, 2]),                           # padded
    ([6, 1], [2, 1]),                                 # one event to learn from
    ([2, 5, 5, 7, 2], [2, 2, 2, 2, 2]),               # one behaviour only
]


def random_params(config, seed=0):
    """Parameters away from their initial zeros and ones, which would hide gradients."""
    rng = onp.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), hmar.init(rng, config))


def events():
    users = np.concatenate([np.full(len(items), u + 1) for u, (items, _) in enumerate(HISTORIES)])
    columns = (np.concatenate([h[i] for h in HISTORIES]) for i in (0, 1))
    return sequences.from_rows(users, *columns, K)


def training_batch(config, seed=0):
    rows, = hmar.examples(events(), config, None)
    return hmar.training_batch(events(), rows, config, onp.random.default_rng(seed))


def ranking_batch(config):
    return hmar.ranking_batch(events(), np.arange(len(HISTORIES)), config)


def real(row):
    return row[row > 0]


@pytest.mark.parametrize("config", CONFIGS)
def test_states_by_hand_equal_batched(config):
    params, batch = random_params(config), training_batch(config)
    z = hmar.forward(params, batch, config)
    for b in range(len(batch.item)):
        n = len(real(batch.item[b]))
        sequence = real(batch.item[b]), real(batch.behaviour[b]), batch.counts[b, L - n :]
        want = by_hand.forward(params, *sequence, config)
        onp.testing.assert_allclose(z[b, L - n :], np.array(want), atol=1e-10)
        assert not z[b, : L - n].any()


def sequence_of(batch, b):
    """Items, behaviours and counts of one row, and what its events predict, without padding."""
    at, f = np.flatnonzero(batch.item[b]), batch.next
    columns = f.item, f.behaviour, f.counts, f.negative, f.negative_counts
    following = [tuple(column[b, t] for column in columns) for t in at]
    return batch.item[b][at], batch.behaviour[b][at], batch.counts[b][at], following


def loss_by_hand(params, batch, config):
    """The loss of a batch: the mean over the events of all rows, from each row's own mean."""
    rows = [sequence_of(batch, b) for b in range(len(batch.item))]
    total = sum(len(row[0]) * by_hand.loss(params, *row, config) for row in rows)
    return total / sum(len(row[0]) for row in rows)


@pytest.mark.parametrize("config", CONFIGS)
def test_loss_and_gradients_by_hand_equal_batched(config):
    params, batch = random_params(config), training_batch(config)
    want = loss_by_hand(params, batch, config)
    assert hmar.loss(params, batch, config) == pytest.approx(want, abs=1e-10)
    got, want = grad(hmar.loss)(params, batch, config), grad(loss_by_hand)(params, batch, config)
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        onp.testing.assert_allclose(a, b, atol=1e-10, err_msg=name)


def test_loss_without_negatives_by_hand():
    """Where none could be drawn, the positive's term alone is left."""
    params, batch = random_params(BASE), training_batch(BASE)
    batch = batch._replace(next=batch.next._replace(negative=0 * batch.next.negative))
    want = loss_by_hand(params, batch, BASE)
    assert hmar.loss(params, batch, BASE) == pytest.approx(want, abs=1e-10)


def test_loss_of_one_sequence_by_hand():
    params, batch = random_params(BASE), training_batch(BASE)
    for b in range(len(batch.item)):
        columns = (x[b : b + 1] for x in batch[:4])
        one = Batch(*columns, Next(*(x[b : b + 1] for x in batch.next)))
        want = by_hand.loss(params, *sequence_of(batch, b), BASE)
        assert hmar.loss(params, one, BASE) == pytest.approx(want, abs=1e-10)


@pytest.mark.parametrize("config", CONFIGS)
def test_gradient_of_every_parameter_by_central_differences(config):
    params, batch = random_params(config), training_batch(config)
    got, step = grad(hmar.loss)(params, batch, config), 1e-5
    largest = max(np.abs(a).max() for _, a in optim.leaves(got))
    for name, a in optim.leaves(got):
        for at in onp.ndindex(a.shape):
            def moved(by, name=name, at=at):
                copy = optim.tree_map(np.array, params)
                dict(optim.leaves(copy))[name][at] += by
                return hmar.loss(copy, batch, config)
            numeric = (moved(step) - moved(-step)) / (2 * step)
            assert a[at] == pytest.approx(numeric, abs=1e-7 * largest), (name, at)


def test_gradients_of_the_components():
    params, rng = random_params(BASE), onp.random.default_rng(1)
    batch, x = training_batch(BASE), rng.normal(size=(2, L, 4))
    mask = masks.behaviour(batch.behaviour[:2], K)
    causal, keep = np.broadcast_to(masks.causal(L), (2, L, L)), lambda x: x
    block, counts = params["blocks"][0], rng.normal(size=(3, K))

    def of(function, *inputs):
        check_grads(function, modes=["rev"])(*inputs)

    of(lambda p, x: hmar.behaviour_encoder(p, x, mask, causal, 2, keep), block["behaviour"], x)
    of(lambda p, x: hmar.sequence_encoder(p, x, x, causal, 2, keep), block["sequence"], x)
    of(lambda p, v, c: hmar.code(p, v, c), params, rng.normal(size=(3, 4)), counts)
    of(lambda p, c: hmar.input_code(p, np.array([[1, 0, 4]]), c), params, counts[None])
    of(lambda p, q, z: hmar.class_logits(p, q, z), params, x, x[::-1])


def test_indicators_by_hand():
    items, behaviours = HISTORIES[0]
    counts = sequences.running_counts(np.ones(7, int), np.array(items), np.array(behaviours), K)
    onp.testing.assert_array_equal(counts, by_hand.running_indicators(items, behaviours, K))
    onp.testing.assert_array_equal(counts[6], [1, 1, 1])  # item 3: behaviours 1, 2 and, just now, 3


def test_padding_and_window_length_change_nothing():
    """Garbage in padded slots and a shorter batch of the same events give the same states."""
    params, batch, taps = random_params(BASE), training_batch(BASE), {}
    z = hmar.forward(params, batch, BASE)
    tapped = hmar.forward(params, batch, BASE, tap=taps.__setitem__)  # the loop, where z is all K at once
    onp.testing.assert_allclose(tapped, z, atol=1e-14)
    assert not any(taps[name][batch.item == 0].any() for name in ("input", "merged", "states"))
    dirty = batch._replace(counts=np.where((batch.item > 0)[..., None], batch.counts, 99.0))
    onp.testing.assert_array_equal(hmar.forward(params, dirty, BASE), z)
    short = Batch(batch.user[1:2], *(x[1:2, -2:] for x in batch[1:4]))  # the history of two events
    onp.testing.assert_allclose(hmar.forward(params, short, BASE)[0], z[1, -2:], atol=1e-12)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("t", range(1, L))
def test_no_look_into_the_future(config, t):
    """Change all from t on, items, behaviours and counts: the states before t are bit-identical."""
    params, batch = random_params(config), training_batch(config)
    changed = [np.array(x) for x in batch[1:4]]
    changed[0][:, t:], changed[1][:, t:], changed[2][:, t:] = 6, 3, 5.0
    before = hmar.forward(params, batch, config)[:, :t]
    after = hmar.forward(params, Batch(batch.user, *changed), config)
    real_before = (batch.item[:, :t] > 0)[..., None]
    onp.testing.assert_array_equal(after[:, :t] * real_before, before)
    assert np.abs(after - hmar.forward(params, batch, config))[:, -1].max() > 1e-3


def test_held_out_row_changes_no_input():
    """Another held-out item, or further events after it: all that is read stays the same."""
    def inputs(item, later):
        items = np.array([3, 1, 3, 5, item, *later])
        behaviours = np.array([2, 1, 3, 1, 1, *[2] * len(later)])
        split = leave_one_out(make_log(np.ones(len(items), int), items, behaviours), "a")
        return split, hmar.ranking_batch(split.test.history, np.array([0]), BASE)

    split, batch = inputs(2, [])
    for item, later in [(5, []), (2, [4, 2]), (7, [7])]:
        other_split, other = inputs(item, later)
        assert other_split.test.item[0] == item
        for a, b in zip(batch[:4], other[:4], strict=True):
            onp.testing.assert_array_equal(a, b)
        for a, b in zip(batch.history, other.history, strict=True):
            onp.testing.assert_array_equal(a, b)


def make_log(user, item, behaviour):
    ids = [np.arange(count + 1).astype(str) for count in (user.max(), N)]
    return Log(user, item, behaviour, None, None, *ids, None, ("a", "b", "c"), ())


def test_k_masked_attentions_equal_one_of_each_events_own_weights():
    """Every event has one behaviour, so the K attentions are one, with the weights of the event."""
    params, batch = random_params(BASE), training_batch(BASE)
    p, rng = params["blocks"][0]["behaviour"], onp.random.default_rng(3)
    mask, real = masks.behaviour(batch.behaviour, K), batch.item > 0
    x = rng.normal(size=(len(mask), L, 4)) * real[..., None]

    def own(name, x):
        """x_t W_b + b_b with b the behaviour of event t; 0 at padding."""
        every = np.einsum("bld,kde->blke", x, p[name]["w"]) + p[name]["b"]
        return np.sum(every * mask[..., None], axis=2)

    same = masks.causal(L) & masks.same_behaviour(batch.behaviour)
    a = attention(*(own(name, x) for name in "qkv"), same, 2)
    want = a + own("f2", np.maximum(own("f1", a), 0)) + (mask @ p["res"])[..., None] * x
    got = hmar.behaviour_encoder(p, x, mask, masks.causal_real(real), 2, lambda x: x)
    onp.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("config", CONFIGS)
def test_scores_of_all_items_given_items_and_by_hand_agree(config):
    params, batch = random_params(config), ranking_batch(config)
    everything = hmar.score_all(params, batch, config)
    given = np.array([[3, 1, 7], [2, 2, 5], [1, 6, 4], [7, 1, 2]])
    onp.testing.assert_allclose(hmar.score(params, batch, given, config),
                               np.take_along_axis(everything, given - 1, axis=1), atol=1e-12)
    items, behaviours = HISTORIES[1]
    counts = by_hand.running_indicators(items, behaviours, K)
    z = by_hand.forward(params, items, behaviours, counts, config)[-1]
    for item in range(1, N + 1):
        own = by_hand.historical_indicator(items, behaviours, item, len(items), K)
        want = by_hand.score(params, z, item, own)
        assert everything[1, item - 1] == pytest.approx(want, abs=1e-10)


def test_empty_history_gives_no_information():
    """Not even the candidates' codes make a difference: the state is 0."""
    batch = Batch(np.array([1]), *np.zeros((2, 1, L), int), np.zeros((1, L, K)),
                  history=ItemCounts(*np.zeros((2, 0), int), np.zeros((0, K)), np.zeros(K)))
    params = random_params(BASE)
    onp.testing.assert_array_equal(hmar.score_all(params, batch, BASE), np.zeros((1, N)))
    onp.testing.assert_array_equal(hmar.score(params, batch, np.array([[2, 5]]), BASE), [[0, 0]])


def test_a_behaviour_that_never_occurs_keeps_its_parameters():
    params = random_params(BASE)
    batch = training_batch(BASE)
    only = batch._replace(behaviour=np.where(batch.behaviour == 3, 1, batch.behaviour))
    gradient = grad(hmar.loss)(params, only, BASE)["blocks"][0]["behaviour"]
    assert not gradient["q"]["w"][2].any() and not gradient["res"][2].any()
    assert gradient["q"]["w"][0].any() and np.isfinite(hmar.loss(params, only, BASE))


def test_padding_item_has_no_gradient_and_float32_stays():
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(BASE))
    config = replace(BASE, dropout=0.3)
    gradient = grad(hmar.loss)(params, training_batch(config), config, onp.random.default_rng(0))
    assert not gradient["item"][0].any()
    assert {a.dtype for _, a in optim.leaves(gradient)} == {onp.dtype(np.float32)}


def test_dropout_needs_a_generator_and_follows_it():
    config, params, batch = replace(BASE, dropout=0.5), random_params(BASE), training_batch(BASE)
    assert hmar.loss(params, batch, config) == hmar.loss(params, batch, BASE)
    one, two, other = (hmar.loss(params, batch, config, onp.random.default_rng(seed))
                       for seed in (1, 1, 2))
    assert one == two != other


def test_weights_follow_the_target():
    assert hmar.Config(items=1, behaviours=4).weights == pytest.approx((0.7, 0.1, 0.1, 0.1))
    assert hmar.Config(items=1, behaviours=3, target=2).weights == pytest.approx((0.1, 0.8, 0.1))


@pytest.mark.parametrize("wrong", [
    dict(width=5, heads=2), dict(target=4), dict(target=0), dict(weights=(1.0,)), dict(length=0),
    dict(dropout=1.0), dict(dropout=-0.1), dict(theta=float("nan")), dict(theta=-1.0),
    dict(weights=(1.0, float("inf"), 0.0)), dict(heads=0), dict(blocks=0),
])
def test_config_refuses(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        hmar.Config(**{**dict(items=5, behaviours=3), **wrong})


@pytest.mark.trains
def test_it_learns_a_rule_that_needs_behaviours():
    """Item 1 by behaviour 1 is followed by item 2, by behaviour 2 by item 3."""
    rng, config = onp.random.default_rng(0), replace(BASE, width=8, length=3, heads=1, theta=0.0)
    kinds = rng.integers(1, 3, 200)
    user = np.repeat(np.arange(1, 201), 2)
    item = np.stack([np.ones(200, int), kinds + 1], axis=1).ravel()
    behaviour = np.stack([kinds, np.ones(200, int)], axis=1).ravel()
    seqs = sequences.from_rows(user, item, behaviour, K)
    params, cuts = hmar.init(rng, config), windows.windows(seqs, 3)
    rule = optim.Adam(0.02)
    moments = optim.start(rule, params)
    for step in range(1, 101):
        batch = hmar.training_batch(seqs, cuts, config, onp.random.default_rng(step))
        gradient = grad(hmar.loss)(params, batch, config)
        params, moments = optim.update(rule, params, gradient, moments, step)
    first = sequences.from_rows(np.array([1, 2]), np.array([1, 1]), np.array([1, 2]), K)
    scores = evaluation.item_scorer(hmar, params, config)(first, np.array([0, 1]))
    assert scores[0, 1] > scores[0, 2] + 1 and scores[1, 2] > scores[1, 1] + 1
