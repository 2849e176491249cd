"""ATRank in all its forms: batched == by hand, central differences, padding, the future."""
from dataclasses import replace
from itertools import product

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
from mbref.variants import atrank as variants
from tests.golden.atrank import by_hand as variants_by_hand
from tests.papers.atrank_forms import (
    BASE,
    CATEGORY,
    FEATURES,
    FORMS,
    HISTORIES,
    RELEASED,
    N,
    events,
    every_form,
    groups_of,
    make_batch,
    random_params,
    thing,
)

DAY = 86400


def sum_by_hand(params, batch, form):
    config = form.config
    pairs = [(b, c) for b, c in onp.ndindex(batch.candidate.shape) if batch.candidate[b, c] > 0]
    return sum(form.by_hand.loss(params, events(config, b),
                                 thing(config, batch.group, batch.candidate[b, c]),
                                 batch.label[b, c], config, len(pairs)) for b, c in pairs)


def real_events(batch):
    """True where there is an event, groups one after the other.  -> [B, S]."""
    return np.concatenate([history.item > 0 for history in batch.histories], axis=1)


def every_leaf(form, params, batch, rng=None):
    """Every array of the loss's gradient, by its name."""
    return optim.leaves(grad(form.model.loss)(params, batch, form.config, rng))

# Batched == by hand.

@every_form
def test_states_and_scores_by_hand_equal_batched(form):
    model, hand, config = form
    params = random_params(form)
    for group in groups_of(config):
        batch = make_batch(config, group)
        states, real = model.forward(params, batch, config)
        assert real.tolist() == real_events(batch).tolist()
        scores = model.score(params, batch, batch.candidate, config)
        for b in range(len(real)):
            want = hand.states(params, events(config, b), config)
            onp.testing.assert_allclose(states[b, real[b]], np.array(want), atol=1e-10)
            for c, number in enumerate(batch.candidate[b]):
                one = hand.score(params, events(config, b), thing(config, group, number), config)[0]
                assert number == 0 or scores[b, c] == pytest.approx(one, abs=1e-10)


@every_form
def test_loss_and_gradients_by_hand_equal_batched(form):
    """All arrays that the form reads have a gradient in one of the draws, else this would say
    nothing."""
    model, _, config = form
    unread = ("k/b",) if getattr(config, "scores", "bilinear") == "bilinear" else ()
    params = random_params(form)
    waiting = {name for name, _ in optim.leaves(params) if not name.endswith(unread)}
    for seed, group in product(range(9), groups_of(config)):
        params, batch = random_params(form, seed), make_batch(config, group)
        want = sum_by_hand(params, batch, form)
        assert model.loss(params, batch, config) == pytest.approx(want, abs=1e-10)
        got = every_leaf(form, params, batch)
        want = optim.leaves(grad(sum_by_hand)(params, batch, form))
        for (name, a), (_, b) in zip(got, want, strict=True):
            onp.testing.assert_allclose(a, b, atol=1e-10, err_msg=name)
            assert not (name.endswith(unread) and b.any())
            waiting -= {name} if np.abs(b).max() > 1e-5 else set()
        if not waiting and group == len(config.groups) - 1:
            return
    raise AssertionError(f"no gradient of {waiting}")


@every_form
def test_gradients_by_central_differences(form):
    """The loss along random directions, and for a few numbers of every array."""
    model, _, config = form
    params, batch = random_params(form), make_batch(config)
    check_grads(lambda p: model.loss(p, batch, config), modes=["rev"])(params)
    got, step = every_leaf(form, params, batch), 1e-5
    largest = max(np.abs(a).max() for _, a in got)
    rng = onp.random.default_rng(2)
    for name, a in got:
        for at in {tuple(rng.integers(a.shape)) for _ in range(4)}:
            def moved(by, name=name, at=at):
                copy = optim.tree_map(np.array, params)
                dict(optim.leaves(copy))[name][at] += by
                return model.loss(copy, batch, config)
            numeric = (moved(step) - moved(-step)) / (2 * step)
            assert a[at] == pytest.approx(numeric, abs=1e-7 * largest), (name, at)


@pytest.mark.parametrize("released", [False, True])
def test_scores_of_one_event_by_arithmetic(released):
    """With one event weights are 1; with zero weights in the nets, layer norm is all that acts.

    Self block: x = LN(LN(x)), the values being relu(0). Vanilla block: u = LN(LN(relu(bias) + h)).
    z = u . h, to which the release adds a bias. h is the embedding as released; as printed it is
    relu(embedding times the layer's rows + bias).
    """
    sizes = {"items": 2, "table_width": 4, "width": 4, "heads": 2}
    model = variants if released else atrank
    config = variants.Config(**sizes, **variants.RELEASED) if released else atrank.Config(**sizes)
    params = optim.tree_map(np.zeros_like, model.init(onp.random.default_rng(0), config))
    for part in ("self", "vanilla"):
        for norm in ("ln", "ln_f"):
            params[part][0][norm]["gamma"][:] = 1
    params["tables"]["item"][2] = [1.0, 2.0, 3.0, 6.0]
    if released:
        params["bias"][0][2] = 10.0
    else:
        params["groups"][0]["w"][:4] = np.diag([1.0, 1.0, 2.0, -1.0])
        params["groups"][0]["b"][:] = [0.0, 0.0, -3.0, 12.0]  # h is [1, 2, 3, 6] again
    params["vanilla"][0]["v"]["b"][:] = [2.0, -1.0, -2.0, 0.0]
    batch = Batch((History(*np.array([[[1]], [[1]], [[3]]])),), (np.arange(3)[:, None],))
    # relu(bias) + h = [3, 2, 3, 6], mean 3.5, variance 9 / 4
    centred = np.array([-0.5, -1.5, -0.5, 2.5])
    want = 10 * released + (centred / 1.5) @ np.array([1, 2, 3, 6])
    got = model.score(params, batch, np.array([[2]]), config)
    assert got[0, 0] == pytest.approx(want, abs=1e-7)


# Time.

@pytest.mark.parametrize("gap, release, paper", [
    (0, 0, 0), (1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 3), (7, 3, 3), (8, 3, 4), (15, 4, 4),
    (16, 4, 5), (31, 5, 5), (365, 8, 9), (4094, 11, 12), (4095, 12, 12), (4096, 12, 13),
    (10**6, 12, 13)])
def test_time_buckets(gap, release, paper):
    assert (variants_by_hand.bucket(gap, "release"), by_hand.bucket(gap)) == (release, paper)
    assert time_bucket(np.array(gap), "release") == release
    assert time_bucket(np.array(gap), "paper") == paper


def test_time_buckets_everywhere():
    gaps = np.arange(9000)
    for rule in ("release", "paper"):
        want = [variants_by_hand.bucket(gap, rule) for gap in gaps]
        assert time_bucket(gaps, rule).tolist() == want


@pytest.mark.parametrize("rule, columns", [("release", 12), ("paper", 14)])
def test_a_time_bucket_is_one_row_of_the_group_layer(rule, columns):
    """An event of unknown object: its bias and the row of its bucket; the release has no row for
    4095 days and more."""
    form = RELEASED.changed(bucket=rule)
    params, gaps = random_params(form), np.array([[0, 1, 5, 100, 4095, 9999]])
    p, none = params["groups"][0], History(0 * gaps, 0 * gaps, gaps)
    assert p["w"].shape == (8 + columns, 8)
    got = variants.behaviour_code(params, form.config, 0, none, FEATURES[0][:, :2])
    rows = np.concatenate([p["w"][8:], np.zeros((1, 8))])
    want = rows[{"release": [0, 1, 2, 6, 12, 12], "paper": [0, 1, 3, 7, 12, 13]}[rule]] + p["b"]
    onp.testing.assert_allclose(got[0], want, atol=1e-14)
    if rule == "paper":
        got = atrank.behaviour_code(params, p, BASE.config.groups[0], none, FEATURES[0][:, :2])
        onp.testing.assert_allclose(got[0], np.maximum(want, 0), atol=1e-14)


# Attention.

@every_form
def test_attention_weights(form):
    """In every space: rows of real events sum to 1 over real events, padding neither attends nor is
    attended."""
    model, _, config = form
    params, batch, taps = random_params(form), make_batch(config, extra=2), {}
    states = model.forward(params, batch, config, tap=taps.__setitem__)
    model.logits(params, batch, states, batch.candidate, config, tap=taps.__setitem__)
    real = real_events(batch)
    own, vanilla = taps["self_weights"], taps["vanilla_weights"]
    (b, s), c = real.shape, batch.candidate.shape[1]
    assert own.shape == (b, config.heads, s, s) and vanilla.shape == (b, config.heads, c, s)
    onp.testing.assert_allclose(own.sum(-1), np.broadcast_to(real[:, None], own.shape[:3]),
                                atol=1e-12)
    onp.testing.assert_allclose(vanilla.sum(-1), 1, atol=1e-12)
    for weights in (own, vanilla):
        padded = np.broadcast_to(~real[:, None, None], weights.shape)
        assert not weights[padded].any() and (weights >= 0).all()
    if config.heads > 1:
        assert np.abs(own[:, 0] - own[:, 1]).max() > 1e-3  # a space of its own each


@every_form
def test_padding_changes_nothing(form):
    """Longer histories of padding, and garbage in the padded slots."""
    model, _, config = form
    params, batch, longer = random_params(form), make_batch(config), make_batch(config, extra=3)
    scores = model.score(params, batch, batch.candidate, config)
    onp.testing.assert_allclose(model.score(params, longer, batch.candidate, config), scores,
                                atol=1e-12)
    assert model.loss(params, longer, config) == pytest.approx(model.loss(params, batch, config),
                                                               abs=1e-12)
    (states, real), (more, real_more) = (model.forward(params, x, config) for x in (batch, longer))
    onp.testing.assert_allclose(more[real_more], states[real], atol=1e-12)  # [n, D]
    dirty = longer._replace(histories=tuple(
        History(h.item, np.where(h.item > 0, h.behaviour, 1), np.where(h.item > 0, h.gap, 77))
        for h in longer.histories))
    for (name, a), (_, b) in zip(*(every_leaf(form, params, x) for x in (longer, dirty)),
                                 strict=True):  # the zeros of padding take part in sums, which round otherwise
        onp.testing.assert_allclose(a, b, rtol=0, atol=1e-15, err_msg=name)
    onp.testing.assert_array_equal(model.score(params, dirty, batch.candidate, config),
                                   model.score(params, longer, batch.candidate, config))


@every_form
def test_order_of_events_does_not_matter_but_gaps_do(form):
    """Attention has no positions: a history is a set of (object, action, gap)."""
    def scores_of(histories, seed):
        batch = make_batch(config, histories=histories)
        return model.score(random_params(form, seed), batch, batch.candidate, config)

    model, _, config = form
    (first, *others), *rows = HISTORIES
    backwards = [[group[::-1] for group in row] for row in HISTORIES]
    onp.testing.assert_allclose(scores_of(backwards, 0), scores_of(HISTORIES, 0), atol=1e-12)
    # events 3 and 4 of the first row have the same gap; 1 and 2 have not, and exchange theirs
    for order, same in [([0, 1, 3, 2, 4], True), ([1, 0, 2, 3, 4], False)]:
        moved = [(*first[n][:2], gap) for n, (_, _, gap) in zip(order, first, strict=True)]
        other = [[moved, *others], *rows]
        difference = max(np.abs(scores_of(other, seed) - scores_of(HISTORIES, seed))[0].max()
                         for seed in range(3))  # in one draw all weight may be on other events
        assert difference < 1e-12 if same else difference > 1e-4


@pytest.mark.parametrize("name", ["printed, three groups", "three groups"])
def test_actions_reach_the_groups_that_have_them(name):
    model, _, config = FORMS[name]
    params, batch = random_params(FORMS[name]), make_batch(config)
    scores = model.score(params, batch, batch.candidate, config)
    for group, reaches in [(0, True), (1, False)]:
        other = batch.histories[group]
        other = other._replace(behaviour=np.where(other.item > 0, 3, 0))
        histories = tuple(other if g == group else batch.histories[g] for g in range(3))
        got = model.score(params, batch._replace(histories=histories), batch.candidate, config)
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


@pytest.mark.parametrize("form", [BASE, RELEASED], ids=["printed", "released"])
def test_no_look_into_the_future(form):
    """Whatever comes after the target, and in other rows, leaves scores and loss the same bit for
    bit."""
    params, rng = random_params(form), onp.random.default_rng(0)
    model, _, config = form
    # targets: event 2 of the first user, the third of the second
    rows = np.array([[2, 5], [2, 6], [6, 6], [6, 2]])

    def outcome(items, times, behaviours=None):
        batch = model.training_batch(a_log(items, times, behaviours), rows, config, rng)
        return (model.score(params, batch, np.array([[1, 7]] * 4), config),
                model.score(params, batch, batch.candidate, config),
                model.loss(params, batch, config))

    before = outcome(ITEMS, TIMES)
    after = outcome([[3, 1, 5, 7], [4, 4, 6, 7, 2]], [[0, 2, 9, 11], [5, 6, 7, 8, 9]],
                    [[1, 1, 1, 2], [1, 1, 1, 2, 2]])
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    target_changed = outcome([[3, 1, 4, 2], [4, 4, 1, 1, 3]], TIMES)
    # scores of given candidates; the loss asks for the target
    assert np.array_equal(before[0], target_changed[0])
    past_changed = outcome([[3, 2, 5, 2], [4, 4, 6, 1, 3]], TIMES)
    assert np.array_equal(before[1][2:], past_changed[1][2:])
    assert np.abs(before[1] - past_changed[1])[:2].min() > 1e-6


@pytest.mark.parametrize("form", [BASE, RELEASED], ids=["printed", "released"])
def test_examples_and_ranking_batch_through_the_protocol(form):
    """Every event but a user's first, both ways of laying them out; ranking from the whole sequence
    as of `now`."""
    log, model = a_log(ITEMS, TIMES), form.model
    for pairs, shape in [(False, (14, 2)), (True, (7, 3))]:
        config = form.changed(pairs=pairs).config
        rows, = model.examples(log, config, onp.random.default_rng(0))
        assert rows.shape == shape
        batch = model.training_batch(log, rows, config, onp.random.default_rng(0))
        assert batch.candidate.shape == batch.label.shape == (len(rows), shape[1] - 1)
        assert np.isfinite(model.loss(random_params(form), batch, config))
    ranking = model.ranking_batch(log, np.array([1, 0]), form.config)
    assert ranking.histories[0].item.tolist() == [[4, 4, 6, 1, 3], [3, 1, 5, 2, 0]]
    assert ranking.histories[0].gap.tolist() == [[44, 43, 42, 29, 9], [18, 16, 9, 9, 0]]
    newest = model.ranking_batch(log, np.array([1, 0]), form.changed(length=2).config)
    assert newest.histories[0].item.tolist() == [[1, 3], [5, 2]]
    hours = model.ranking_batch(log, np.array([0]), form.changed(unit=3600).config)
    assert hours.histories[0].gap.tolist() == [[432, 384, 216, 216]]


@every_form
def test_scores_of_all_objects_and_of_given_ones_agree(form):
    model, _, config = form
    params = random_params(form)
    for group in groups_of(config):
        batch = make_batch(config, group)
        everything = model.score_all(params, batch, config)
        ids = np.broadcast_to(np.arange(1, len(FEATURES[group])), everything.shape)
        onp.testing.assert_allclose(everything, model.score(params, batch, ids, config), atol=1e-12)
        states = model.forward(params, batch, config)

        def score(ids, batch=batch, states=states):
            return model.logits(params, batch, states, ids, config)[0]
        onp.testing.assert_allclose(by_chunks(score, batch, largest=7), everything, atol=1e-12)


@every_form
def test_empty_history(form):
    """Nothing to attend: the candidate meets its own vector; finite scores and gradients."""
    model, hand, config = form
    params, empty = random_params(form), [[[], [], []]] * 3
    batch = make_batch(config, histories=empty)
    scores = model.score_all(params, batch, config)
    for number in range(1, N + 1):
        want = hand.score(params, [], thing(config, 0, number), config)[0]
        assert scores[:, number - 1] == pytest.approx(np.full(3, want), abs=1e-10)
    assert all(np.isfinite(a).all() for _, a in every_leaf(form, params, batch))


# Training.

@every_form
def test_padding_has_no_gradient_and_float32_stays(form):
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(form))
    if form.model is variants:
        form = form.changed(weight_decay=0.0)  # it is of all weights, those of padding too
    trained = form.changed(dropout=0.1)
    batch = make_batch(form.config)
    gradient = grad(form.model.loss)(params, batch, trained.config, onp.random.default_rng(0))
    assert {a.dtype for _, a in optim.leaves(gradient)} == {onp.dtype(np.float32)}
    assert not any(table[0].any()
                   for table in [*gradient["tables"].values(), *gradient.get("bias", [])])
    assert form.model.score_all(params, batch, form.config).dtype == np.float32
    assert form.model.score(params, batch, batch.candidate, form.config).dtype == np.float32


@pytest.mark.parametrize("form", [BASE, RELEASED], ids=["printed", "released"])
def test_a_candidate_that_could_not_be_drawn_adds_nothing(form):
    model, _, config = form.changed(pairs=True)
    params, batch = random_params(form), make_batch(config)
    assert batch.candidate[1, 1] == 0
    two = batch._replace(candidate=np.array([[2, 4], [3, 5], [6, 1]]))
    z, u, x = model.logits(params, two, model.forward(params, two, config), two.candidate, config)
    entropy = np.log1p(np.exp(np.where(two.label, -z, z)))
    real = batch.candidate > 0
    want = entropy[real].mean() + 0.005 * np.sum((u**2 + x**2)[real])
    assert model.loss(params, batch, config) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("form", [BASE, RELEASED], ids=["printed", "released"])
def test_dropout_needs_a_generator_and_follows_it(form):
    model, _, config = form.changed(dropout=0.5)
    params, batch = random_params(form), make_batch(config)
    assert model.loss(params, batch, config) == model.loss(params, batch, form.config)
    one, two, other = (model.loss(params, batch, config, onp.random.default_rng(seed))
                       for seed in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize("form", [BASE, RELEASED], ids=["printed", "released"])
def test_dropout_is_of_the_attention_weights_alone(form):
    """Two blocks of self-attention, two of vanilla attention, and no other draw."""
    shapes = []

    class Recorder:
        def random(self, shape, dtype):
            shapes.append(shape)
            return onp.ones(shape, dtype)  # nothing is dropped, so all weights are doubled

    form = form.changed(dropout=0.5, blocks=2)
    params, batch = random_params(form), make_batch(form.config)
    scaled = form.model.loss(params, batch, form.config, Recorder())
    assert shapes == [(3, 2, 5, 5)] * 2 + [(3, 2, 1, 5)] * 2
    doubled = optim.tree_map(np.array, params)
    # values twice as large are weights twice as large
    for block in doubled["self"] + doubled["vanilla"]:
        block["v"] = optim.tree_map(lambda a: 2 * a, block["v"])
    silent = form.changed(dropout=0.0).config
    assert scaled == pytest.approx(form.model.loss(doubled, batch, silent), abs=1e-12)


def is_zero_at_first(name):
    return name.endswith(("/b", "beta")) or name.startswith("bias")


@pytest.mark.parametrize("released, rows, count", [(False, 142, 781_504), (True, 140, 791_248)])
def test_initial_parameters(released, rows, count):
    """10,000 items and 100 categories, of which the release counts ids from 0; as many as it has,
    and Glorot's limits.

    As printed: two more columns of time, no bias of 10,000 items.
    """
    form = (RELEASED if released else BASE)
    sizes = {"items": 10_000, "categories": 100, "tables": (), "table_width": 64, "width": 128,
             "heads": 8}
    model, _, config = form.changed(**sizes)
    params = dict(optim.leaves(model.init(onp.random.default_rng(0), config)))
    padding = 64 + released + 64
    assert sum(a.size for a in params.values()) - padding == count
    assert params["groups/0/w"].shape == (rows, 128)
    assert np.abs(params["tables/item"]).max() == pytest.approx((6 / 10_065) ** 0.5, rel=1e-3)
    for name, a in params.items():
        if is_zero_at_first(name):
            assert not a.any(), name
        if name.endswith("gamma"):
            assert (a == 1).all()


@pytest.mark.parametrize("name, columns", [("printed, three groups", 14), ("three groups", 12)])
def test_initial_parameters_of_several_groups(name, columns):
    """F_M reads features, action and time bucket."""
    form = FORMS[name]
    groups = form.model.init(onp.random.default_rng(0), form.config)["groups"]
    assert [group["w"].shape for group in groups] == [(n * 3 + columns, 8) for n in (4, 1, 4)]
    actions = [group["action"].shape for group in groups if "action" in group]
    assert actions == [(4 + 1, 3), (1 + 1, 3)]


WRONG = [  # of both Configs
    (dict(items=0, categories=0), "give the number of items"),
    (dict(actions=(1, 2)), "one number of actions a group"),
    (dict(heads=3), "it must be a multiple of heads, 3"),
    (dict(heads=0), "heads is 0: it must be at least 1"),
    (dict(length=0), "length is 0: it must be at least 1"),
    (dict(blocks=0), "blocks is 0: it must be at least 1"),
    (dict(unit=0), "unit is 0: it must be at least 1"),
    (dict(table_width=0), "table_width is 0: it must be at least 1"),
    (dict(width=2), "width is 2: it must be at least 4"),
    (dict(dropout=1.0), "dropout is 1.0: it must be at least 0 and less than 1"),
    *((dict(penalty=value), "penalty is .*: it must be at least 0")
      for value in (-1.0, float("nan"))),
]
WRONG_VARIANTS = [
    (dict(query="raw", width=16), "or query=group"),
    (dict(scores="cosine"), "scores is 'cosine': choose one of dot, bilinear."),
    (dict(bucket="log10"), "bucket is 'log10': choose one of release, paper."),
    (dict(query="half"), "query is 'half': choose one of raw, group."),
    *((dict(weight_decay=value), "weight_decay is .*: it must be at least 0")
      for value in (-1.0, float("nan"))),
    (dict(hidden=-1), "hidden is -1: it must be at least 0"),
]


@pytest.mark.parametrize("model, wrong, message", [
    *((atrank, *case) for case in WRONG), *((variants, *case) for case in WRONG + WRONG_VARIANTS)])
def test_config_refuses(model, wrong, message):
    with pytest.raises(InputError, match=message):
        model.Config(**{**dict(items=5, categories=2, table_width=4, width=8, heads=2), **wrong})


def test_config_of_one_group():
    config = atrank.Config(5, 2)
    assert config.tables == (("item", 5), ("category", 2))
    assert config.groups == (("item", "category"),)
    assert (config.actions, config.width, config.heads) == ((0,), 128, 8)
    assert replace(config, heads=4).width == 128


@pytest.mark.trains
def test_it_learns_a_rule_that_needs_time():
    """Item 1 is followed by item 2 within three days, by item 3 after a month: the items alone do
    not tell which."""
    rng = onp.random.default_rng(0)
    config = atrank.Config(3, table_width=8, width=8, heads=2, pairs=True)
    late = rng.integers(0, 2, 200)
    log = sequences.from_rows(np.repeat(np.arange(1, 201), 2),
                              np.stack([0 * late + 1, 2 + late], 1).ravel(),
                              np.ones(400, int), 1)
    days = np.stack([0 * late, np.where(late, rng.integers(30, 60, 200), rng.integers(1, 4, 200))],
                    axis=1).ravel()
    log = log._replace(time=days * DAY)
    event = np.arange(1, 400, 2)
    rows = np.stack([event, log.item[event], 5 - log.item[event]], axis=1)
    params, rule = atrank.init(rng, config), optim.Adam(0.01)
    batch = targets.training_batch(log, rows, 50, 3, DAY)
    state = optim.start(rule, params)
    for step in range(1, 61):
        params, state = optim.update(rule, params, grad(atrank.loss)(params, batch, config), state,
                                     step)
    asked = sequences.from_rows(np.array([1, 2]), np.array([1, 1]), np.array([1, 1]), 1)._replace(
        time=np.array([0, 0]), now=np.array([2, 45]) * DAY)
    scores = atrank.score_all(params, atrank.ranking_batch(asked, np.array([0, 1]), config), config)
    assert scores[0, 1] > scores[0, 2] + 1 and scores[1, 2] > scores[1, 1] + 1
