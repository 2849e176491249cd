"""ATRank's components: batched == by hand, gradients by central differences, padding, the future, odd histories."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from autograd.test_util import check_grads

from mbref.by_hand import atrank as by_hand
from mbref.data import sequences, targets
from mbref.data.targets import Batch, History
from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.layers import by_chunks, time_bucket
from mbref.papers import atrank

N, DAY = 7, 86400
CATEGORY = np.array([0, 1, 2, 2, 3, 1, 3, 0])  # of the items; that of item 7 is unknown
BASE = atrank.Config(N, 3, table_width=4, heads=2, penalty=0.01)
MALL = atrank.Config(  # items, queries and coupons; shops and categories are shared
    tables=(("item", N), ("shop", 2), ("category", 3), ("query", 3), ("coupon", 2)),
    groups=(("item", "category", "shop"), ("query",), ("coupon", "category", "shop")), actions=(4, 0, 1),
    table_width=3, width=8, heads=2, penalty=0.01, query="group")
VARIANTS = {
    "released": BASE,
    "bilinear": replace(BASE, scores="bilinear"),
    "paper's buckets": replace(BASE, bucket="paper"),
    "target through its group": replace(BASE, query="group", width=12, heads=3),
    "two blocks": replace(BASE, blocks=2, heads=1),
    "as printed": replace(BASE, scores="bilinear", bucket="paper", query="group", item_bias=False, blocks=2),
    "no bias, no penalty": replace(BASE, item_bias=False, penalty=0.0),
    "ReLU in the group layer, wider nets, weight decay": replace(BASE, group_relu=True, hidden=5, weight_decay=0.1),
    "ReLU for the target too": replace(BASE, query="group", width=12, heads=3, group_relu=True),
    "no categories": atrank.Config(N, table_width=4, heads=1, penalty=0.01),
    "pairs": replace(BASE, pairs=True),
    "three groups": MALL,
    "three groups, bilinear, pairs": replace(MALL, scores="bilinear", bucket="paper", pairs=True),
}
FEATURES = (  # over groups: what each object is: itself, its category, its shop
    np.stack([np.arange(N + 1), CATEGORY, np.array([0, 1, 2, 1, 2, 2, 1, 1])], axis=1),
    np.arange(4)[:, None],
    np.array([[0, 0, 0], [1, 2, 1], [2, 0, 2]]),
)
HISTORIES = [  # over rows, then groups: (object, action, gap), oldest first
    [[(3, 1, 400), (1, 2, 31), (3, 4, 8), (5, 1, 8), (7, 1, 1)], [(2, 1, 40), (2, 1, 3)], [(1, 1, 16)]],
    [[(4, 3, 2), (4, 1, 0)], [], [(2, 1, 5000), (1, 1, 15), (2, 1, 2)]],
    [[(6, 1, 4)], [(3, 1, 7)], []],
]
CANDIDATES = {  # group to predict -> [B, C] positive first; 0 = no negative could be drawn
    0: np.array([[2, 4], [3, 0], [6, 1]]), 1: np.array([[1, 3], [2, 1], [3, 0]]), 2: np.array([[1, 2], [2, 1], [2, 0]])}
every_variant = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)


def random_params(config):
    """Parameters away from their initial zeros and ones; with this seed no ReLU is shut for all events."""
    rng = onp.random.default_rng(41)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), atrank.init(rng, config))


def make_batch(config, group=0, histories=None, extra=0):
    """A Batch written out by hand; `extra`: padding beyond the longest history."""
    histories = HISTORIES if histories is None else histories

    def history(g):
        length = extra + max(1, *(len(row[g]) for row in histories))
        padded = np.array([row[g] + [(0, 0, 0)] * (length - len(row[g])) for row in histories])  # [B, L, 3]
        return History(*np.moveaxis(padded, 2, 0))

    groups = range(len(config.groups))
    features = tuple(FEATURES[g][:, : len(config.groups[g])] for g in groups)
    candidate, label = CANDIDATES[group], np.array([[True, False]] * 3)
    if not config.pairs:  # positives and negatives are rows of their own, with other histories
        label = np.array([[True], [False], [True]])
        candidate = np.where(label, candidate[:, :1], candidate[:, 1:])
    return Batch(tuple(map(history, groups)), features, group, candidate, label)


def thing(config, group, number):
    return group, FEATURES[group][number, : len(config.groups[group])]


def events(config, row):
    """One row of HISTORIES as by_hand reads it."""
    return [(thing(config, g, number), action, gap)
            for g in range(len(config.groups)) for number, action, gap in HISTORIES[row][g]]


def sum_by_hand(params, batch, config):
    pairs = [(b, c) for b, c in onp.ndindex(batch.candidate.shape) if batch.candidate[b, c] > 0]
    return sum(by_hand.loss(params, events(config, b), thing(config, batch.group, batch.candidate[b, c]),
                            batch.label[b, c], config, len(pairs)) for b, c in pairs)


def groups_of(config):
    return range(len(config.groups))


# Batched == by hand.

@every_variant
def test_states_and_scores_by_hand_equal_batched(config):
    params = random_params(config)
    for group in groups_of(config):
        batch = make_batch(config, group)
        states = atrank.forward(params, batch, config)
        scores = atrank.score(params, batch, batch.candidate, config)
        for b, real in enumerate(atrank.real_events(batch)):
            want = by_hand.states(params, events(config, b), config)
            onp.testing.assert_allclose(states[b, real], np.array(want), atol=1e-10)
            for c, number in enumerate(batch.candidate[b]):
                one = by_hand.score(params, events(config, b), thing(config, group, number), config)[0]
                assert number == 0 or scores[b, c] == pytest.approx(one, abs=1e-10)


@every_variant
def test_loss_and_gradients_by_hand_equal_batched(config):
    params = random_params(config)
    for group in groups_of(config):
        batch = make_batch(config, group)
        assert atrank.loss(params, batch, config) == pytest.approx(sum_by_hand(params, batch, config), abs=1e-10)
        got, want = grad(atrank.loss)(params, batch, config), grad(sum_by_hand)(params, batch, config)
        for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
            onp.testing.assert_allclose(a, b, atol=1e-10, err_msg=name)
            unused = name.startswith("bias") or config.scores == "bilinear" and name.endswith("k/b")
            assert unused or np.abs(b).max() > 1e-5, name  # else the comparison would say nothing


@every_variant
def test_gradients_by_central_differences(config):
    """The loss along random directions, and for a few numbers of every array."""
    params, batch = random_params(config), make_batch(config)
    check_grads(lambda p: atrank.loss(p, batch, config), modes=["rev"])(params)
    got, step = grad(atrank.loss)(params, batch, config), 1e-5
    largest = max(np.abs(a).max() for _, a in optim.leaves(got))
    rng = onp.random.default_rng(2)
    for name, a in optim.leaves(got):
        for at in {tuple(rng.integers(a.shape)) for _ in range(4)}:
            def moved(by, name=name, at=at):
                copy = optim.tree_map(np.array, params)
                dict(optim.leaves(copy))[name][at] += by
                return atrank.loss(copy, batch, config)
            numeric = (moved(step) - moved(-step)) / (2 * step)
            assert a[at] == pytest.approx(numeric, abs=1e-7 * largest), (name, at)


def test_scores_of_one_event_by_arithmetic():
    """One event is all that can be attended, so weights are 1 and, with zero weights in the nets, LN is all that acts.

    Self block: x = LN(LN(x)), the values being relu(0). Vanilla block: u = LN(LN(relu(bias) + h)). z = bias + u . h.
    """
    config = atrank.Config(2, table_width=4, heads=2)
    params = optim.tree_map(np.zeros_like, atrank.init(onp.random.default_rng(0), config))
    for part in ("self", "vanilla"):
        for norm in ("ln", "ln_f"):
            params[part][0][norm]["gamma"][:] = 1
    params["tables"]["item"][2] = [1.0, 2.0, 3.0, 6.0]
    params["bias"][0][2] = 10.0
    params["vanilla"][0]["v"]["b"][:] = [2.0, -1.0, -2.0, 0.0]
    batch = Batch((History(*np.array([[[1]], [[1]], [[3]]])),), (np.arange(3)[:, None],))
    centred = np.array([-0.5, -1.5, -0.5, 2.5])  # relu(bias) + h = [3, 2, 3, 6], mean 3.5, variance 9 / 4
    want = 10 + (centred / 1.5) @ np.array([1, 2, 3, 6])
    assert atrank.score(params, batch, np.array([[2]]), config)[0, 0] == pytest.approx(want, abs=1e-7)


# Time.

@pytest.mark.parametrize("gap, release, paper", [
    (0, 0, 0), (1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 3), (7, 3, 3), (8, 3, 4), (15, 4, 4), (16, 4, 5), (31, 5, 5),
    (365, 8, 9), (4094, 11, 12), (4095, 12, 12), (4096, 12, 13), (10**6, 12, 13)])
def test_time_buckets(gap, release, paper):
    assert (by_hand.bucket(gap, "release"), by_hand.bucket(gap, "paper")) == (release, paper)
    assert (time_bucket(np.array(gap), "release"), time_bucket(np.array(gap), "paper")) == (release, paper)


def test_time_buckets_everywhere():
    gaps = np.arange(9000)
    for rule in ("release", "paper"):
        assert time_bucket(gaps, rule).tolist() == [by_hand.bucket(gap, rule) for gap in gaps]


@pytest.mark.parametrize("rule, columns", [("release", 12), ("paper", 14)])
def test_a_time_bucket_is_one_row_of_the_group_layer(rule, columns):
    """An event of unknown object: its bias and the row of its bucket; the release has no row for 4095 days and more."""
    config = replace(BASE, bucket=rule)
    params, gaps = random_params(config), np.array([[0, 1, 5, 100, 4095, 9999]])
    p = params["groups"][0]
    assert p["w"].shape == (8 + columns, 8)
    got = atrank.behaviour_code(params, config, 0, History(0 * gaps, 0 * gaps, gaps), FEATURES[0][:, :2])
    rows = np.concatenate([p["w"][8:], np.zeros((1, 8))])
    want = rows[{"release": [0, 1, 2, 6, 12, 12], "paper": [0, 1, 3, 7, 12, 13]}[rule]] + p["b"]
    onp.testing.assert_allclose(got[0], want, atol=1e-14)


# Attention.

@every_variant
def test_attention_weights(config):
    """In every space: rows of real events sum to 1 over real events, padding neither attends nor is attended."""
    params, batch, taps = random_params(config), make_batch(config, extra=2), {}
    states = atrank.forward(params, batch, config, tap=taps.__setitem__)
    atrank.logits(params, batch, states, batch.candidate, config, tap=taps.__setitem__)
    real = np.concatenate([history.item for history in batch.histories], axis=1) > 0  # [B, S]
    own, vanilla = taps["self_weights"], taps["vanilla_weights"]
    (b, s), c = real.shape, batch.candidate.shape[1]
    assert own.shape == (b, config.heads, s, s) and vanilla.shape == (b, config.heads, c, s)
    onp.testing.assert_allclose(own.sum(-1), np.broadcast_to(real[:, None], own.shape[:3]), atol=1e-12)
    onp.testing.assert_allclose(vanilla.sum(-1), 1, atol=1e-12)
    for weights in (own, vanilla):
        assert not weights[np.broadcast_to(~real[:, None, None], weights.shape)].any() and (weights >= 0).all()
    if config.heads > 1:
        assert np.abs(own[:, 0] - own[:, 1]).max() > 1e-3  # a space of its own each


@every_variant
def test_padding_changes_nothing(config):
    """Longer histories of padding, and garbage in the padded slots."""
    params, batch, longer = random_params(config), make_batch(config), make_batch(config, extra=3)
    scores = atrank.score(params, batch, batch.candidate, config)
    onp.testing.assert_allclose(atrank.score(params, longer, batch.candidate, config), scores, atol=1e-12)
    assert atrank.loss(params, longer, config) == pytest.approx(atrank.loss(params, batch, config), abs=1e-12)
    states = atrank.forward(params, batch, config)[atrank.real_events(batch)]  # [n, D]
    more = atrank.forward(params, longer, config)[atrank.real_events(longer)]
    onp.testing.assert_allclose(more, states, atol=1e-12)
    dirty = longer._replace(histories=tuple(
        History(h.item, np.where(h.item > 0, h.behaviour, 1), np.where(h.item > 0, h.gap, 77))
        for h in longer.histories))
    clean, soiled = (grad(atrank.loss)(params, x, config) for x in (longer, dirty))
    for (name, a), (_, b) in zip(optim.leaves(clean), optim.leaves(soiled), strict=True):
        onp.testing.assert_array_equal(a, b, err_msg=name)
    onp.testing.assert_array_equal(atrank.score(params, dirty, batch.candidate, config),
                                   atrank.score(params, longer, batch.candidate, config))


@every_variant
def test_order_of_events_does_not_matter_but_gaps_do(config):
    """Attention has no positions: a history is a set of (object, action, gap)."""
    params, batch = random_params(config), make_batch(config)
    scores = atrank.score(params, batch, batch.candidate, config)
    backwards = [[group[::-1] for group in row] for row in HISTORIES]
    got = atrank.score(params, make_batch(config, histories=backwards), batch.candidate, config)
    onp.testing.assert_allclose(got, scores, atol=1e-12)
    # events 3 and 4 of the first row have the same gap; with events 1 and 2 exchanged, their gaps are exchanged too
    (first, *others), *rows = HISTORIES
    for swapped, same in [([0, 1, 3, 2, 4], True), ([1, 0, 2, 3, 4], False)]:
        moved = [(*first[n][:2], gap) for n, (_, _, gap) in zip(swapped, first, strict=True)]
        other = make_batch(config, histories=[[moved, *others], *rows])
        difference = np.abs(atrank.score(params, other, batch.candidate, config) - scores)[0].max()
        assert difference < 1e-12 if same else difference > 1e-4


def test_actions_reach_the_groups_that_have_them():
    params, batch = random_params(MALL), make_batch(MALL)
    scores = atrank.score(params, batch, batch.candidate, MALL)
    for group, reaches in [(0, True), (1, False)]:
        other = batch.histories[group]
        other = other._replace(behaviour=np.where(other.item > 0, 3, 0))
        histories = tuple(other if g == group else batch.histories[g] for g in range(3))
        got = atrank.score(params, batch._replace(histories=histories), batch.candidate, MALL)
        assert (np.abs(got - scores).max() > 1e-4) == reaches


# From events to scores.

def a_log(items, times, behaviours=None):
    """One user's items a row of `items`; their times in days."""
    user = np.repeat(np.arange(1, len(items) + 1), [len(row) for row in items])
    flat = np.concatenate(items)
    behaviour = np.ones_like(flat) if behaviours is None else np.concatenate(behaviours)
    time = np.concatenate(times) * DAY
    return sequences.from_rows(user, flat, behaviour, 2)._replace(
        time=time, category=CATEGORY, now=np.array([row[-1] + 9 for row in times]) * DAY)


ITEMS, TIMES = [[3, 1, 5, 2], [4, 4, 6, 1, 3]], [[0, 2, 9, 9], [5, 6, 7, 20, 40]]


def test_no_look_into_the_future():
    """Whatever comes after the target, and in other rows, leaves scores and loss the same bit for bit."""
    params, rng = random_params(BASE), onp.random.default_rng(0)
    rows = np.array([[2, 5], [2, 6], [6, 6], [6, 2]])  # targets: event 2 of the first user, the third of the second

    def outcome(items, times, behaviours=None):
        batch = atrank.batch(a_log(items, times, behaviours), rows, BASE, rng)
        return (atrank.score(params, batch, np.array([[1, 7]] * 4), BASE),
                atrank.score(params, batch, batch.candidate, BASE), atrank.loss(params, batch, BASE))

    before = outcome(ITEMS, TIMES)
    after = outcome([[3, 1, 5, 7], [4, 4, 6, 7, 2]], [[0, 2, 9, 11], [5, 6, 7, 8, 9]],
                    [[1, 1, 1, 2], [1, 1, 1, 2, 2]])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    target_changed = outcome([[3, 1, 4, 2], [4, 4, 1, 1, 3]], TIMES)
    assert np.array_equal(before[0], target_changed[0])  # scores of given candidates; the loss asks for the target
    past_changed = outcome([[3, 2, 5, 2], [4, 4, 6, 1, 3]], TIMES)
    assert np.array_equal(before[1][2:], past_changed[1][2:]) and np.abs(before[1] - past_changed[1])[:2].min() > 1e-6


def test_examples_and_ranking_batch_through_the_protocol():
    """Every event but a user's first, both ways of laying them out; ranking from the whole sequence as of `now`."""
    log = a_log(ITEMS, TIMES)
    for pairs, shape in [(False, (14, 2)), (True, (7, 3))]:
        config = replace(BASE, pairs=pairs)
        rows, = atrank.examples(log, config, onp.random.default_rng(0))
        assert rows.shape == shape
        batch = atrank.batch(log, rows, config, onp.random.default_rng(0))
        assert batch.candidate.shape == batch.label.shape == (len(rows), shape[1] - 1)
        assert np.isfinite(atrank.loss(random_params(config), batch, config))
    ranking = atrank.batch(log, np.array([1, 0]), BASE)
    assert ranking.histories[0].item.tolist() == [[4, 4, 6, 1, 3], [3, 1, 5, 2, 0]]
    assert ranking.histories[0].gap.tolist() == [[44, 43, 42, 29, 9], [18, 16, 9, 9, 0]]
    newest = atrank.batch(log, np.array([1, 0]), replace(BASE, length=2))
    assert newest.histories[0].item.tolist() == [[1, 3], [5, 2]]
    hours = atrank.batch(log, np.array([0]), replace(BASE, unit=3600))
    assert hours.histories[0].gap.tolist() == [[432, 384, 216, 216]]


@every_variant
def test_scores_of_all_objects_and_of_given_ones_agree(config):
    params = random_params(config)
    for group in groups_of(config):
        batch = make_batch(config, group)
        everything = atrank.score(params, batch, None, config)
        ids = np.broadcast_to(np.arange(1, len(FEATURES[group])), everything.shape)
        onp.testing.assert_allclose(everything, atrank.score(params, batch, ids, config), atol=1e-12)
        states = atrank.forward(params, batch, config)

        def score(ids, batch=batch, states=states):
            return atrank.logits(params, batch, states, ids, config)[0]
        onp.testing.assert_allclose(by_chunks(score, ids.shape[1], 3, largest=7), everything, atol=1e-12)


@every_variant
def test_empty_history(config):
    """Nothing to attend: the candidate meets its own vector; finite scores and gradients."""
    params, empty = random_params(config), [[[], [], []]] * 3
    batch = make_batch(config, histories=empty)
    scores = atrank.score(params, batch, None, config)
    for number in range(1, N + 1):
        want = by_hand.score(params, [], thing(config, 0, number), config)[0]
        assert scores[:, number - 1] == pytest.approx(np.full(3, want), abs=1e-10)
    assert all(np.isfinite(a).all() for _, a in optim.leaves(grad(atrank.loss)(params, batch, config)))


# Training.

@every_variant
def test_padding_has_no_gradient_and_float32_stays(config):
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(config))
    trained = replace(config, dropout=0.1, weight_decay=0.0)  # which is of all weights, those of padding too
    gradient = grad(atrank.loss)(params, make_batch(config), trained, onp.random.default_rng(0))
    assert {a.dtype for _, a in optim.leaves(gradient)} == {onp.dtype(np.float32)}
    assert not any(table[0].any() for table in [*gradient["tables"].values(), *gradient["bias"]])
    assert atrank.score(params, make_batch(config), None, config).dtype == np.float32


def test_a_candidate_that_could_not_be_drawn_adds_nothing():
    config = replace(BASE, pairs=True)
    params, batch = random_params(config), make_batch(config)
    assert batch.candidate[1, 1] == 0
    two = batch._replace(candidate=np.array([[2, 4], [3, 5], [6, 1]]))
    z, u, x = atrank.logits(params, two, atrank.forward(params, two, config), two.candidate, config)
    entropy = np.log1p(np.exp(np.where(two.label, -z, z)))
    real = batch.candidate > 0
    want = entropy[real].mean() + 0.005 * np.sum((u**2 + x**2)[real])
    assert atrank.loss(params, batch, config) == pytest.approx(want, abs=1e-12)


def test_dropout_needs_a_generator_and_follows_it():
    config, params, batch = replace(BASE, dropout=0.5), random_params(BASE), make_batch(BASE)
    assert atrank.loss(params, batch, config) == atrank.loss(params, batch, BASE)
    one, two, other = (atrank.loss(params, batch, config, onp.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == two != other


def test_dropout_is_of_the_attention_weights_alone():
    """Two blocks of self-attention, two of vanilla attention, and no other draw."""
    class Recorder:
        shapes = []

        def random(self, shape, dtype):
            self.shapes.append(shape)
            return onp.ones(shape, dtype)  # nothing is dropped, so all weights are doubled

    config = replace(BASE, dropout=0.5, blocks=2)
    params, batch = random_params(config), make_batch(config)
    scaled = atrank.loss(params, batch, config, Recorder())
    assert Recorder.shapes == [(3, 2, 5, 5)] * 2 + [(3, 2, 1, 5)] * 2
    doubled = optim.tree_map(np.array, params)
    for block in doubled["self"] + doubled["vanilla"]:  # values twice as large are weights twice as large
        block["v"] = optim.tree_map(lambda a: 2 * a, block["v"])
    assert scaled == pytest.approx(atrank.loss(doubled, batch, replace(config, dropout=0.0)), abs=1e-12)


def test_initial_parameters():
    """As many as released, and Glorot's limits: 10,000 items and 100 categories, ids from 0 there."""
    config = atrank.Config(10_000, 100)
    params = dict(optim.leaves(atrank.init(onp.random.default_rng(0), config)))
    padding = 64 + 1 + 64
    assert sum(a.size for a in params.values()) - padding == 791_248
    assert params["groups/0/w"].shape == (140, 128)
    assert np.abs(params["tables/item"]).max() == pytest.approx((6 / 10_065) ** 0.5, rel=1e-3)
    for name, a in params.items():
        if name.endswith("/b") or name.startswith("bias") or name.endswith("beta"):
            assert not a.any(), name
        if name.endswith("gamma"):
            assert (a == 1).all()
    groups = atrank.init(onp.random.default_rng(0), MALL)["groups"]  # F_M reads features, action and time bucket
    assert [group["w"].shape for group in groups] == [(4 * 3 + 12, 8), (1 * 3 + 12, 8), (4 * 3 + 12, 8)]
    assert [group["action"].shape for group in groups if "action" in group] == [(4 + 1, 3), (1 + 1, 3)]


@pytest.mark.parametrize("wrong, message", [
    (dict(items=0, categories=0), "give the number of items"),
    (dict(actions=(1, 2)), "one number of actions a group"),
    (dict(heads=3), "width a multiple of heads"),
    (dict(heads=0), "must be at least 1"),
    (dict(length=0), "must be at least 1"),
    (dict(blocks=0), "must be at least 1"),
    (dict(unit=0), "must be at least 1"),
    (dict(table_width=1, heads=1), "at least 4"),
    (dict(width=16), "or query=group"),
    (dict(scores="cosine"), "scores is 'cosine': choose one of dot, bilinear."),
    (dict(bucket="log10"), "bucket is 'log10': choose one of release, paper."),
    (dict(query="half"), "query is 'half': choose one of raw, group."),
    (dict(dropout=1.0), "dropout must be at least 0 and less than 1"),
    *((dict([(name, value)]), "penalty and weight_decay numbers of 0 or more")
      for name in ("penalty", "weight_decay") for value in (-1.0, float("nan"))),
    (dict(hidden=-1), "hidden must be at least 0"),
])
def test_config_refuses(wrong, message):
    with pytest.raises(InputError, match=message):
        atrank.Config(**{**dict(items=5, categories=2, table_width=4, heads=2), **wrong})


def test_config_of_one_group():
    config = atrank.Config(5, 2)
    assert config.tables == (("item", 5), ("category", 2)) and config.groups == (("item", "category"),)
    assert (config.actions, config.width, config.heads) == ((0,), 128, 8)
    assert replace(config, heads=4).width == 128


@pytest.mark.trains
def test_it_learns_a_rule_that_needs_time():
    """Item 1 is followed by item 2 within three days, by item 3 after a month: the items alone do not tell which."""
    rng, config = onp.random.default_rng(0), atrank.Config(3, table_width=8, heads=2, pairs=True)
    late = rng.integers(0, 2, 200)
    log = sequences.from_rows(np.repeat(np.arange(1, 201), 2), np.stack([0 * late + 1, 2 + late], 1).ravel(),
                              np.ones(400, int), 1)
    days = np.stack([0 * late, np.where(late, rng.integers(30, 60, 200), rng.integers(1, 4, 200))], axis=1).ravel()
    log = log._replace(time=days * DAY)
    event = np.arange(1, 400, 2)
    rows = np.stack([event, log.item[event], 5 - log.item[event]], axis=1)
    params, rule = atrank.init(rng, config), optim.Adam(0.01)
    batch, state = targets.training_batch(log, rows, 50, 3, DAY), optim.start(rule, atrank.init(rng, config))
    for step in range(1, 61):
        params, state = optim.update(rule, params, grad(atrank.loss)(params, batch, config), state, step)
    asked = sequences.from_rows(np.array([1, 2]), np.array([1, 1]), np.array([1, 1]), 1)._replace(
        time=np.array([0, 0]), now=np.array([2, 45]) * DAY)
    scores = atrank.score(params, atrank.batch(asked, np.array([0, 1]), config), None, config)
    assert scores[0, 1] > scores[0, 2] + 1 and scores[1, 2] > scores[1, 1] + 1
