"""HierSRec's components: batched == by hand, gradients, prefixes, padding, the future, every switch, cold items."""
from dataclasses import replace
from itertools import product

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad, value_and_grad
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads

from mbref.by_hand import hiersrec as by_hand
from mbref.candidates import rank as candidates_scored
from mbref.data import sequences, session_batches
from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.losses import log_softmax
from mbref.papers import hiersrec

N, CATEGORIES, TEXT = 7, 3, 2
BASE = hiersrec.Config(items=N, categories=CATEGORIES, text=TEXT, width=4, item_width=3, category_width=2,
                       projection_width=3, length=4)
HIER = ("soft", "logits", "tied", "stop", "oracle", "none")
VARIANTS = {
    **{f"{hier}, {out}": replace(BASE, hier=hier, item_out=out) for hier, out in product(HIER, ("fc", "tied"))},
    "mean": replace(BASE, pool="mean"),
    "mean, tied": replace(BASE, pool="mean", hier="tied", item_out="tied"),
    "one task": replace(BASE, tasks="item"),
    "one task, tied": replace(BASE, tasks="item", item_out="tied", pool="mean"),
    "id": replace(BASE, inputs="id"),
    "category": replace(BASE, inputs="category", item_out="tied"),
    "text": replace(BASE, inputs="text"),
    "id+category": replace(BASE, text=0),
    "category+text": replace(BASE, inputs="category+text", item_out="tied"),
    "text+id": replace(BASE, inputs="text+id", item_out="tied"),
    "id, E_C for g alone": replace(BASE, inputs="id", hier="tied"),
    "two blocks, one head": replace(BASE, blocks=2, heads=1, category_weight=0.3),
    "four heads": replace(BASE, heads=4, hier="logits"),
}
SESSIONS = [[3, 1, 3, 5, 1, 2], [4, 4, 2], [6, 1], [5, 7, 5, 5, 3]]  # oldest first
CATEGORY = np.array([0, 1, 3, 2, 1, 0, 3, 2])  # of items 1..N; that of item 5 is unknown, a class like any other
LABELS = np.array([2, 0, 1, 3])                # category of each session's held-out click


def variants(*leave_out):
    """Parametrize over all variants but those with such a value of hier."""
    chosen = {name: config for name, config in VARIANTS.items() if config.hier not in leave_out}
    return pytest.mark.parametrize("config", chosen.values(), ids=chosen)


def texts(seed=3):
    """One fixed vector an item, zeros for padding."""
    return onp.random.default_rng(seed).normal(size=(N + 1, TEXT)) * (np.arange(N + 1) > 0)[:, None]


def events(sessions=SESSIONS, **changed):
    """A log of these sessions; one may be empty."""
    size, items = [len(s) for s in sessions], np.array([i for s in sessions for i in s], int)
    log = sequences.from_rows(np.zeros(len(items), int), items, np.ones(len(items), int), 1)
    log = log._replace(ptr=np.append(0, np.cumsum(size)), user=np.arange(1, len(size) + 1), category=CATEGORY,
                       text=texts(), oracle=LABELS[: len(size)])
    return log._replace(**changed)


def training_batch(config, log=None):
    log = log or events()
    rows, = hiersrec.examples(log, config, None)
    return hiersrec.batch(log, rows, config, onp.random.default_rng(0))


def ranking_batch(config, log=None):
    log = log or events()
    return hiersrec.batch(log, np.arange(len(log.user)), config)


def random_params(config, seed=0):
    """Parameters away from their initial zeros and ones, so that no gradient is hidden by them."""
    rng = onp.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), hiersrec.init(rng, config))


def row_by_hand(batch, b):
    """Row b as by_hand reads it: its clicks, and with a `next` also the last one's, without padding."""
    clicks = [int(i) for i in batch.item[b] if i]
    return clicks if batch.next is None else [*clicks, int(batch.next[b, len(clicks) - 1])]


ABOUT = CATEGORY, texts()


def assert_same_trees(got, want, atol=1e-10):
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        onp.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)


def every_item(rows):
    return np.broadcast_to(np.arange(1, N + 1), (rows, N))


def leaves_with_gradient(function, params):
    return {name for name, a in optim.leaves(grad(function)(params)) if a.any()}


@variants()
def test_encodings_and_scores_by_hand_equal_batched(config):
    params, batch = random_params(config), ranking_batch(config)
    s, scores = hiersrec.forward(params, batch, config), hiersrec.score(params, batch, None, config)
    assert scores.shape == (len(SESSIONS), N)  # padding has no column
    for b, session in enumerate(SESSIONS):
        clicks = row_by_hand(batch, b)
        assert clicks == session[-4:]
        want = by_hand.encode(params, clicks, ABOUT, config)
        onp.testing.assert_allclose(s[b, : len(clicks)], np.array(want), rtol=0, atol=1e-10)
        z = by_hand.category_logits(params, want[-1]) if config.tasks == "both" else None
        items, categories = by_hand.predict(params, want[-1], ABOUT, config, LABELS[b], z)
        onp.testing.assert_allclose(scores[b], items, rtol=0, atol=1e-10)
        if config.tasks == "both":
            logp = hiersrec.category_logp(params, s[b, len(clicks) - 1][None])
            onp.testing.assert_allclose(logp[0], np.log(by_hand.softmax(list(categories))), rtol=0, atol=1e-10)


@variants()
def test_loss_and_gradients_by_hand_equal_batched(config):
    """Row by row, and of the batch: the sum over all sessions by the number of clicks with a next one."""
    params, batch, results = random_params(config), training_batch(config), []
    for b in range(len(batch.item)):
        one = batch._replace(item=batch.item[b : b + 1], next=batch.next[b : b + 1])
        session, fixed = row_by_hand(batch, b), params if config.hier == "stop" else None
        want = list(value_and_grad(by_hand.loss)(params, session, ABOUT, config, fixed))
        n = len(session) - 1
        got = list(value_and_grad(hiersrec.loss)(params, one, config))
        assert_same_trees(got, optim.tree_map(lambda a, n=n: a / n, want))
        parts = by_hand.losses(params, session, ABOUT, config, fixed)
        onp.testing.assert_allclose(hiersrec.losses(params, one, config), np.array(parts) / n, rtol=0, atol=1e-10)
        results.append(want)
    count = sum(len(s) - 1 for s in SESSIONS)
    mean = optim.tree_map(lambda *parts: sum(parts) / count, *results)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, config)), mean)


@variants("stop")
def test_gradients_of_every_group_by_central_differences(config):
    """Without "stop": its gradient leaves out a path on purpose, along which the loss does change (next test)."""
    params, batch = random_params(config), training_batch(config)
    onp.random.seed(0)  # noqa: NPY002 (autograd draws the direction from NumPy's global state)
    for name, part in params.items():
        check_grads(lambda part, name=name: hiersrec.loss({**params, name: part}, batch, config), modes=["rev"],
                    order=1)(part)


def test_gradient_of_stop_by_central_differences():
    """What "stop" holds fixed has to be held fixed for the differences too: g then reads constant parameters."""
    config = VARIANTS["stop, fc"]
    params = random_params(config)
    onp.random.seed(0)  # noqa: NPY002
    check_grads(lambda p: by_hand.loss(p, SESSIONS[3], ABOUT, config, params), modes=["rev"], order=1)(params)
    with pytest.raises(AssertionError):
        batch = training_batch(config)
        check_grads(lambda p: hiersrec.loss(p, batch, config), modes=["rev"], order=1)(params)


def test_gradients_of_the_components():
    params, rng = random_params(BASE), onp.random.default_rng(1)
    h, s, allowed = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 4)), np.tri(3, dtype=bool)[None]
    block = params["blocks"][0]
    check_grads(lambda p, h: hiersrec.encoder_block(p, h, allowed, 2, lambda x: x), modes=["rev"])(block, h)
    for config in (replace(BASE, hier=hier) for hier in ("soft", "logits", "tied", "oracle")):
        params = random_params(config)
        check_grads(lambda p, s, config=config: hiersrec.joined(p, s, config, LABELS[:3])[0], modes=["rev"])(params, s)


@variants()
def test_every_parameter_that_is_drawn_has_a_gradient(config):
    params, batch = random_params(config), training_batch(config)
    found = leaves_with_gradient(lambda p: hiersrec.loss(p, batch, config), params)
    assert found == {name for name, _ in optim.leaves(params)}


# Padding, prefixes, the future.


@variants()
def test_padding_changes_nothing(config):
    """Three more padded slots: the same scores, loss and gradients; no gradient for padding's own row."""
    config = replace(config, length=8)
    params = random_params(config)
    more = lambda x: None if x is None else np.concatenate([x, np.zeros((len(x), 3), int)], axis=1)
    batch = ranking_batch(config, events([s[-5:] for s in SESSIONS]))
    onp.testing.assert_allclose(hiersrec.score(params, batch._replace(item=more(batch.item)), None, config),
                                hiersrec.score(params, batch, None, config), rtol=0, atol=1e-12)
    batch = training_batch(config, events([s[-5:] for s in SESSIONS]))
    longer = batch._replace(item=more(batch.item), next=more(batch.next))
    got, want = (list(value_and_grad(hiersrec.loss)(params, x, config)) for x in (longer, batch))
    assert_same_trees(got, want, atol=1e-12)
    assert "E_I" not in params or not got[1]["E_I"][0].any()


def test_attention_to_padding_and_to_later_clicks_is_exactly_zero():
    taps, batch = {}, training_batch(BASE)
    hiersrec.forward(random_params(BASE), batch, BASE, tap=taps.__setitem__)
    weights, pad = taps["weights"], batch.item == 0  # [B, H, L, L]
    assert pad.any() and not weights[np.broadcast_to(pad[:, None, None], weights.shape)].any()
    assert not weights[..., ~np.tri(weights.shape[-1], dtype=bool)].any()
    onp.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-12)
    assert taps["states"].shape == (*batch.item.shape, BASE.width)


@variants()
def test_all_prefixes_are_encoded_in_one_pass(config):
    """encode(the first p clicks) after click p == encode(session) after click p; batches of prefixes are padded."""
    config = replace(config, length=6)
    params, whole = random_params(config), ranking_batch(config)
    s = hiersrec.forward(params, whole, config)
    prefixes = [(b, p) for b, session in enumerate(SESSIONS) for p in range(1, len(session) + 1)]
    labels = LABELS[[b for b, _ in prefixes]]
    batch = ranking_batch(config, events([SESSIONS[b][:p] for b, p in prefixes], oracle=labels))
    assert batch.item.shape == (16, 6)
    want = np.array([s[b, p - 1] for b, p in prefixes])
    onp.testing.assert_allclose(hiersrec.newest(params, batch, config), want, rtol=0, atol=1e-12)
    q, _ = hiersrec.joined(params, want, config, batch.oracle)
    onp.testing.assert_allclose(hiersrec.score(params, batch, None, config),
                                hiersrec.item_logits(params, whole, q, config), rtol=0, atol=1e-12)


def test_left_padding_would_break_that():
    """A click's position would depend on how many follow: the reason for padding on the right."""
    batch = ranking_batch(BASE, events([[3, 1]]))
    left = batch._replace(item=np.array([[0, 0, 3, 1]]))
    s, moved = (hiersrec.forward(random_params(BASE), x, BASE)[0] for x in (batch, left))
    assert np.abs(moved[2:] - s).max() > 0.01


@variants()
@pytest.mark.parametrize("p", range(3))
def test_no_look_into_the_future(config, p):
    """Change all later clicks of a session, and all other sessions: bit-identical logits after click p."""
    params, batch = random_params(config), training_batch(config, events([[3, 1, 3, 5, 2], [4, 4, 2, 6, 1]]))

    def logits(batch):
        s = hiersrec.forward(params, batch, config)[0]  # [L, D]
        return hiersrec.item_logits(params, batch, hiersrec.joined(params, s, config, np.ones(4, int))[0], config)

    item = np.array(batch.item)
    item[0, p + 1 :], item[1] = 6, 5
    changed = batch._replace(item=item)
    onp.testing.assert_array_equal(logits(changed)[: p + 1], logits(batch)[: p + 1])
    assert (logits(changed)[p + 1 :] != logits(batch)[p + 1 :]).any(axis=1).all()
    item = np.array(batch.item)
    item[0, p] = 6
    assert (logits(batch._replace(item=item))[p] != logits(batch)[p]).any()  # and it does look at click p


@variants()
def test_a_session_without_clicks_has_finite_scores(config):
    params, batch = random_params(config), ranking_batch(config, events([[], [3, 1], []]))
    scores = hiersrec.score(params, batch, None, config)
    assert batch.item.tolist() == [[0, 0], [3, 1], [0, 0]] and np.isfinite(scores).all()
    alone = hiersrec.score(params, ranking_batch(config, events([[]])), None, config)  # not even one column
    onp.testing.assert_allclose(alone[0], scores[0], rtol=0, atol=1e-12)


@variants()
def test_scores_of_all_items_equal_scores_of_given_items(config):
    params, batch = random_params(config), ranking_batch(config)
    everything = hiersrec.score(params, batch, None, config)
    onp.testing.assert_allclose(hiersrec.score(params, batch, every_item(4), config), everything, rtol=0, atol=1e-12)
    some = np.array([[3, 1], [7, 7], [2, 6], [1, 5]])
    onp.testing.assert_allclose(hiersrec.score(params, batch, some, config),
                                np.take_along_axis(everything, some - 1, axis=1), rtol=0, atol=1e-12)
    no_candidate = hiersrec.score(params, batch, 0 * some, config)  # as if it were item 1; evaluation leaves it out
    onp.testing.assert_array_equal(no_candidate, hiersrec.score(params, batch, 0 * some + 1, config))


@variants()
def test_float32_stays_on_the_way_forward_and_back(config, monkeypatch):
    """Also between the steps, where a float64 would cost time and show in no result."""
    seen = []

    def watch(name):
        plain = getattr(hiersrec, name)
        probe = primitive(lambda x: x)
        defvjp(probe, lambda ans, x: lambda g: (seen.append((name, g.dtype)), g)[1])
        monkeypatch.setattr(hiersrec, name, lambda *args, **more: probe(plain(*args, **more)))

    for name in ("forward", "item_logits", "category_logp", "projection"):
        watch(name)
    params, batch = optim.tree_map(lambda a: a.astype(np.float32), random_params(config)), training_batch(config)
    rng = onp.random.default_rng(0)
    value, gradient = value_and_grad(hiersrec.loss)(params, batch, replace(config, dropout=0.1), rng)
    assert {a.dtype for _, a in optim.leaves(gradient)} == {kind for _, kind in seen} == {onp.dtype(np.float32)}
    hierarchy = {"projection"} if config.hier != "none" else set()
    heads = {"category_logp"} if config.tasks == "both" else set()
    assert {name for name, _ in seen} == {"forward", "item_logits"} | heads | hierarchy
    monkeypatch.undo()
    assert value.dtype == hiersrec.score(params, ranking_batch(config), None, config).dtype == np.float32
    assert hiersrec.score(params, ranking_batch(config), every_item(4), config).dtype == np.float32


def test_dropout_of_input_weights_and_feed_forward(monkeypatch):
    """Three times a block and once before them; never when ranking, and not at rate 0."""
    config = replace(BASE, dropout=0.5, blocks=2)
    params, batch, shapes = random_params(config), training_batch(config), []
    first, same, other = (hiersrec.loss(params, batch, config, onp.random.default_rng(i)) for i in (0, 0, 1))
    plain = hiersrec.loss(params, batch, config)
    assert first == same != other and plain != first
    off = replace(config, dropout=0.0)
    assert plain == hiersrec.loss(params, batch, off) == hiersrec.loss(params, batch, off, onp.random.default_rng(0))
    monkeypatch.setattr(hiersrec, "dropout", lambda rate, rng: lambda x: (shapes.append((rate, x.shape)), x)[1])
    hiersrec.forward(params, batch, config, rng=onp.random.default_rng(0))
    b, length = batch.item.shape
    wide, square = (0.5, (b, length, 4)), (0.5, (b, 2, length, length))
    assert shapes == [wide, square, wide, square, wide]


# What flows through the hierarchy.


def item_loss(params, batch, config):
    return hiersrec.losses(params, batch, config)[0]


def category_loss(params, batch, config):
    return hiersrec.losses(params, batch, config)[1]


HEAD = {"category/w", "category/b"}


@pytest.mark.parametrize("hier, reached", [
    ("soft", True), ("logits", True), ("tied", True), ("stop", False), ("oracle", False), ("none", False)])
def test_whether_the_item_loss_trains_the_category_head(hier, reached):
    """Exactly 0 where it does not; the category loss trains the head everywhere."""
    config = replace(BASE, hier=hier)
    params, batch = random_params(config), training_batch(config)
    of_items = leaves_with_gradient(lambda p: item_loss(p, batch, config), params)
    assert of_items & HEAD == (HEAD if reached else set())
    assert HEAD <= leaves_with_gradient(lambda p: category_loss(p, batch, config), params)
    alone = replace(config, category_weight=0.0)  # the hierarchy without supervision
    assert leaves_with_gradient(lambda p: hiersrec.loss(p, batch, alone), params) & HEAD == of_items & HEAD


def test_stop_has_the_values_of_soft():
    batch, params = training_batch(BASE), random_params(BASE)
    stop = replace(BASE, hier="stop")
    assert hiersrec.losses(params, batch, stop) == hiersrec.losses(params, batch, BASE)
    got, want = (grad(hiersrec.loss)(params, batch, config) for config in (stop, BASE))
    assert (got["category"]["w"] != want["category"]["w"]).any()
    onp.testing.assert_array_equal(got["W_p"], want["W_p"])  # p_C itself is the same


@pytest.mark.parametrize("item_out", ["fc", "tied"])
def test_no_hierarchy_without_category_loss_is_the_single_task_model(item_out):
    both = replace(BASE, hier="none", category_weight=0.0, item_out=item_out)
    one, params, batch = replace(both, tasks="item"), random_params(both), training_batch(both)
    shared = {name: part for name, part in params.items() if name != "category"}
    got, want = grad(hiersrec.loss)(params, batch, both), grad(hiersrec.loss)(shared, batch, one)
    assert not any(a.any() for _, a in optim.leaves(got.pop("category")))
    assert_same_trees(got, want, atol=0)
    assert hiersrec.loss(params, batch, both) == hiersrec.loss(shared, batch, one)
    assert hiersrec.losses(shared, batch, one)[1] == 0
    assert {name for name, _ in optim.leaves(hiersrec.init(onp.random.default_rng(0), one))} == {
        name for name, _ in optim.leaves(shared)}


def test_category_weight_weighs_the_category_loss_alone():
    params, batch = random_params(BASE), training_batch(BASE)
    item, category = hiersrec.losses(params, batch, BASE)
    for weight in (0.0, 0.1, 3.0):
        assert hiersrec.loss(params, batch, replace(BASE, category_weight=weight)) == pytest.approx(
            item + weight * category, abs=1e-12)


def test_oracle_needs_true_categories_and_reads_nothing_else():
    config = replace(BASE, hier="oracle")
    params, batch = random_params(config), ranking_batch(config)
    with pytest.raises(InputError, match="hier=oracle needs the true next categories"):
        hiersrec.score(params, batch._replace(oracle=None), None, config)
    other = hiersrec.score(params, batch._replace(oracle=np.array([2, 0, 3, 3])), None, config)
    assert (other != hiersrec.score(params, batch, None, config)).any(axis=1).tolist() == [False, False, True, False]
    for hier in set(HIER) - {"oracle"}:  # and nobody else reads the true category
        config = replace(BASE, hier=hier)
        params = random_params(config)
        onp.testing.assert_array_equal(*(hiersrec.score(params, x, None, config) for x in (
            batch, batch._replace(oracle=None))))


def test_projection_of_a_certain_prediction_is_one_row_of_the_table():
    """A spike at class c: soft and stop give row c of W_p, as the oracle does, and tied row c of E_C."""
    for c in range(CATEGORIES + 1):
        logp = np.where(np.arange(CATEGORIES + 1) == c, 0.0, -np.inf)[None]
        for hier, name in (("soft", "W_p"), ("stop", "W_p"), ("oracle", "W_p"), ("tied", "E_C")):
            config = replace(BASE, hier=hier)
            params = random_params(config)
            onp.testing.assert_array_equal(hiersrec.projection(params, logp, config, np.array([c]))[0], params[name][c])


def test_logits_do_not_saturate():
    """k times the logits: the gradient of "logits" falls as 1/k, since layer norm undoes k; that of soft as e^-k."""
    logits = np.array([[3.0, 1, 0, -2]])
    for hier in ("soft", "logits"):
        config = replace(BASE, hier=hier)
        params = random_params(config)
        size = lambda z, p=params, c=config: np.sum(hiersrec.projection(p, log_softmax(z), c) ** 2)
        once, often = grad(size)(logits), 10 * grad(size)(10 * logits)
        if hier == "logits":
            onp.testing.assert_allclose(often, once, rtol=1e-6)
        else:
            assert 0 < np.abs(often).max() < 1e-5 * np.abs(once).max()


# Items: unknown categories, texts, cold ones.


def test_unknown_is_a_category_like_any_other_and_not_padding():
    params, batch = random_params(BASE), ranking_batch(BASE)
    item = np.array([5, 0, 1])
    features = hiersrec.item_features(params, batch, item, BASE)  # [3, d_in]: E_I, E_C, E_M side by side
    onp.testing.assert_array_equal(features[:, 3:5], [params["E_C"][0], [0, 0], params["E_C"][1]])
    assert not features[1].any()
    moved = params | {"E_C": params["E_C"] + np.eye(CATEGORIES + 1)[:, :1]}  # the row of class 0
    changed = (hiersrec.score(moved, batch, None, BASE) != hiersrec.score(params, batch, None, BASE)).any(axis=1)
    assert changed.tolist() == [5 in session[-4:] for session in SESSIONS]  # shorter ones are padded
    gradient = grad(hiersrec.loss)(params, training_batch(BASE), BASE)
    assert gradient["E_C"][0].any() and gradient["W_p"][0].any()
    logp = hiersrec.category_logp(params, hiersrec.newest(params, batch, BASE))
    onp.testing.assert_allclose(np.exp(logp).sum(axis=1), 1, atol=1e-12)
    assert logp.shape == (4, CATEGORIES + 1) and np.exp(logp[:, 0]).min() > 0.01  # class 0 can be predicted
    certain = params | {"category": {"w": 0 * params["category"]["w"], "b": np.array([50.0, 0, 0, 0])}}
    only_unknown = training_batch(BASE, events([[3, 5, 5]]))
    assert category_loss(certain, only_unknown, BASE) < 1e-12 < category_loss(certain, training_batch(BASE), BASE)


def test_a_log_without_categories_has_only_unknown_items():
    batch = training_batch(BASE, events(category=None))
    onp.testing.assert_array_equal(batch.category, np.zeros(N + 1))
    assert np.isfinite(hiersrec.loss(random_params(BASE), batch, BASE))


@pytest.mark.parametrize("item_out", ["fc", "tied"])
def test_what_is_not_in_inputs_is_not_read(item_out):
    """Other texts (the control with random ones), other categories: they count exactly where `inputs` says so."""
    changes = {"text": {"text": texts(9)}, "category": {"category": np.array([0, 2, 1, 1, 3, 3, 0, 1])}}
    for inputs in ("id", "category", "text", "id+category", "category+text", "id+category+text"):
        config = replace(BASE, inputs=inputs, item_out=item_out)
        params = random_params(config)
        for name, change in changes.items():
            got, want = (hiersrec.score(params, ranking_batch(config, log), None, config)
                         for log in (events(**change), events()))
            assert (got != want).any() == (name in inputs)
    other = ranking_batch(BASE)._replace(item=np.array([[1, 4, 1, 4]]), oracle=None)  # both of category 1
    no_id = replace(BASE, inputs="category", item_out=item_out)
    onp.testing.assert_array_equal(*(hiersrec.forward(random_params(no_id), x, no_id) for x in (
        other, other._replace(item=np.array([[4, 4, 1, 1]])))))


def test_one_task_has_no_hierarchy():
    assert {replace(BASE, tasks="item", hier=hier).hier for hier in HIER} == {"none"}


def test_without_texts_inputs_leaves_them_out():
    assert replace(BASE, text=0).inputs == "id+category"
    assert replace(BASE, text=0, inputs="text+id").inputs == "id"
    assert BASE.inputs == "id+category+text" and hiersrec.Config(items=5, categories=2).inputs == "id+category"
    batch = training_batch(replace(BASE, text=0), events(text=None))
    assert np.isfinite(hiersrec.loss(random_params(replace(BASE, text=0)), batch, replace(BASE, text=0)))


@pytest.mark.parametrize("make", [training_batch, ranking_batch])
@pytest.mark.parametrize("log, width", [
    (events(text=None), 0), (events(text=texts()[:, :1]), 1), (events(text=np.tile(texts(), 2)), 4)])
def test_text_vectors_that_the_log_does_not_have(make, log, width):
    with pytest.raises(InputError, match=f"text is 2, but the log's text vectors have width {width}: set"):
        make(BASE, log)
    make(replace(BASE, inputs="id"), log)  # not read, not missed


def test_a_cold_item_with_tied_output_is_scored_by_its_metadata():
    """Item 7 of no training session, with the category and text of item 3: without ids it gets item 3's score.

    What tells them apart is b_i, which training over all items can only lower for an item that is no target. With ids
    the row of E_I is pushed away, too. Over known items both stay as they were drawn.
    """
    text = texts()
    text[7], category = text[3], np.where(np.arange(N + 1) == 7, CATEGORY[3], CATEGORY)
    config = replace(BASE, inputs="category+text", item_out="tied", softmax="all")
    warm = [[3, 1, 3, 5, 1, 2], [4, 4, 2]]
    log = events(warm, text=text, category=category)
    params, batch = random_params(config), training_batch(config, log)
    scores = hiersrec.score(params, ranking_batch(config, log), None, config) - params["b_i"]
    onp.testing.assert_allclose(scores[:, 6], scores[:, 2], rtol=0, atol=1e-12)
    assert np.abs(scores[:, 6] - scores[:, 1]).min() > 1e-6
    assert grad(hiersrec.loss)(params, batch, config)["b_i"][6] > 0  # a step of descent lowers it
    with_id = replace(config, inputs="id+category+text")
    params = random_params(with_id)
    assert np.isfinite(hiersrec.score(params, ranking_batch(with_id, log), None, with_id)).all()
    assert grad(hiersrec.loss)(params, batch, with_id)["E_I"][7].any()  # only as an item that was not the next one
    gradient = grad(hiersrec.loss)(params, batch, replace(with_id, softmax="known"))
    assert gradient["b_i"][6] == 0 and not gradient["E_I"][7].any()


@pytest.mark.parametrize("config", [BASE, VARIANTS["tied, tied"]], ids=["fc", "tied"])
def test_items_without_a_training_click_are_out_of_the_softmax(config):
    """Equal to by_hand's loss over the known items, gradients too."""
    params, warm = random_params(config), [[3, 1, 3, 5, 1, 2], [4, 4, 2]]
    batch, known = training_batch(config, events(warm)), [1, 2, 3, 4, 5]
    assert (np.flatnonzero(batch.known) + 1).tolist() == known
    rows = [row_by_hand(batch, b) for b in range(len(batch.item))]
    want = [list(value_and_grad(by_hand.loss)(params, row, ABOUT, config, None, known)) for row in rows]
    mean = optim.tree_map(lambda *parts: sum(parts) / (5 + 2), *want)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, config)), mean)
    every = hiersrec.loss(params, batch, replace(config, softmax="all"))
    assert every > hiersrec.loss(params, batch, config)
    assert hiersrec.loss(params, batch._replace(known=np.ones(N, bool)), config) == every
    z = onp.zeros((2, N), onp.float32)
    assert hiersrec.training_logits(z, batch, config).dtype == onp.float32


def test_a_cold_item_with_fc_output_has_a_score_that_means_nothing():
    """Its weights are those drawn at the start, and training can only push them away from every encoding it has met.

    The gradient of its logit's weights is the mean of p(cold) q, that of its bias the mean of p(cold) > 0: never a
    target, never raised. Its category and text do not count, so what recall it has is chance.
    """
    warm = [[3, 1, 3, 5, 1, 2], [4, 4, 2]]
    params, log = random_params(BASE), events(warm)
    config = replace(BASE, softmax="all")
    batch, text = training_batch(config, log), texts()
    text[7], category = 9.0, np.where(np.arange(N + 1) == 7, 1, CATEGORY)
    onp.testing.assert_array_equal(*(hiersrec.score(params, ranking_batch(BASE, x), None, BASE) for x in (
        log, events(warm, text=text, category=category))))
    gradient = grad(hiersrec.loss)(params, batch, config)["item"]
    s = hiersrec.forward(params, batch, BASE)
    q, _ = hiersrec.joined(params, s[batch.next > 0], BASE)
    z = hiersrec.item_logits(params, batch, q, BASE)
    p = np.exp(z[:, 6]) / np.exp(z).sum(axis=1)
    onp.testing.assert_allclose(gradient["w"][:, 6], (p[:, None] * q).mean(axis=0), rtol=0, atol=1e-12)
    onp.testing.assert_allclose(gradient["b"][6], p.mean(), rtol=0, atol=1e-12)
    gradient = grad(hiersrec.loss)(params, batch, BASE)["item"]  # over known items: it stays as it was drawn
    assert gradient["b"][6] == 0 and not gradient["w"][:, 6].any()


def test_two_level_softmax_sums_to_one_and_factors():
    """Section 10 of the specification: p(i) = p_C(c(i)) p(i | c(i)); an item alone in its category gets all of p_C."""
    params, batch = random_params(BASE), ranking_batch(BASE)
    s = hiersrec.newest(params, batch, BASE)
    z, logp_c = hiersrec.score(params, batch, None, BASE), hiersrec.category_logp(params, s)
    batched = candidates_scored.two_level_logp(logp_c, z, CATEGORY)
    for b in range(len(z)):
        logp = by_hand.two_level_logp(by_hand.category_logits(params, s[b]), list(z[b]), CATEGORY)
        onp.testing.assert_allclose(batched[b], logp, rtol=0, atol=1e-10)
        p = np.exp(np.array(logp))
        assert p.sum() == pytest.approx(1, abs=1e-12)
        onp.testing.assert_allclose(np.bincount(CATEGORY[1:], p), np.exp(logp_c[b]), atol=1e-12)
        assert logp[4] == pytest.approx(logp_c[b, 0], abs=1e-12)  # item 5, the only unknown one
        assert logp[0] - logp[3] == pytest.approx(z[b, 0] - z[b, 3], abs=1e-12)  # items 1 and 4, both of category 1


@pytest.mark.trains
@pytest.mark.parametrize("config", [BASE, VARIANTS["mean, tied"]], ids=["default", "tied"])
def test_it_learns_what_follows_what(config):
    """Every session goes round 1 2 .. 7: soon the next item is the first of the list, and its category too."""
    rounds = events([[(start + t) % N + 1 for t in range(5)] for start in range(N)], oracle=None)
    config = replace(config, width=8, item_width=8)
    params, batch = hiersrec.init(onp.random.default_rng(0), config), training_batch(config, rounds)
    rule = optim.Adam(rate=0.02)
    state = optim.start(rule, params)
    for step in range(1, 61):
        params, state = optim.update(rule, params, grad(hiersrec.loss)(params, batch, config), state, step)
    asked = ranking_batch(config, rounds)
    last = asked.item[:, -1]
    onp.testing.assert_array_equal(hiersrec.score(params, asked, None, config).argmax(axis=1) + 1, last % N + 1)
    logp = hiersrec.category_logp(params, hiersrec.newest(params, asked, config))
    onp.testing.assert_array_equal(logp.argmax(axis=1), CATEGORY[last % N + 1])


# Switches, sizes, messages.


def superset():
    """Parameters of every hierarchy and output at once, g as wide as the category embeddings."""
    kinds = product(("soft", "logits", "tied", "oracle"), ("fc", "tied"))
    every = [replace(BASE, projection_width=2, hier=hier, item_out=out) for hier, out in kinds]
    return {name: part for config in every for name, part in random_params(config).items()}


@pytest.mark.parametrize("change", [
    *(dict(hier=hier) for hier in ("logits", "tied", "oracle")), dict(item_out="tied"), dict(pool="mean"),
    dict(heads=1), dict(category_weight=0.5), dict(length=2), dict(tasks="item")], ids=str)
def test_no_switch_is_dead(change):
    """On the same weights and sessions, each switch changes the loss."""
    start = replace(BASE, projection_width=2, **({"hier": "none"} if "tasks" in change else {}))
    params, other = superset(), replace(start, **change)
    if "tasks" in change:
        params = random_params(start)
    assert abs(hiersrec.loss(params, training_batch(start), start)
               - hiersrec.loss(params, training_batch(other), other)) > 1e-7


def test_sizes_of_the_defaults():
    config, g = hiersrec.Config(items=5, categories=2, text=7), 32
    params = hiersrec.init(onp.random.default_rng(0), config)
    shapes = {name: a.shape for name, a in optim.leaves(params)}
    block = {**{f"blocks/0/{name}": (64, 64) for name in "qkvo"},
             "blocks/0/f1/w": (64, 128), "blocks/0/f1/b": (128,), "blocks/0/f2/w": (128, 64), "blocks/0/f2/b": (64,),
             **{f"blocks/0/{ln}/{part}": (64,) for ln in ("ln1", "ln2") for part in ("gamma", "beta")}}
    assert shapes == {
        "E_I": (6, 64), "E_C": (3, 32), "in/w": (64 + 32 + 7, 64), "in/b": (64,), "position": (20, 64), **block,
        "ln/gamma": (64,), "ln/beta": (64,), "category/w": (64, 3), "category/b": (3,), "W_p": (3, g),
        "item/w": (64 + g, 5), "item/b": (5,)}
    for name, a in optim.leaves(params):
        if a.ndim == 1:
            onp.testing.assert_array_equal(a, np.ones(64) if name.endswith("gamma") else np.zeros(len(a)))
        else:
            known = name.startswith(("E_", "W_p", "position"))
            assert a.std() == pytest.approx(0.1 if known else a.shape[0] ** -0.5, rel=0.3), name


@pytest.mark.parametrize("change, gone, come", [
    (dict(inputs="category+text"), {"E_I"}, set()), (dict(inputs="id+text"), {"E_C"}, set()),
    (dict(inputs="id", hier="tied"), {"W_p"}, set()), (dict(hier="logits"), set(), {"ln_logits"}),
    (dict(hier="none"), {"W_p"}, set()), (dict(tasks="item"), {"W_p", "category"}, set()),
    (dict(item_out="tied"), {"item"}, {"query", "value", "b_i"}),
    (dict(tasks="item", hier="tied", inputs="id"), {"W_p", "category", "E_C"}, set())], ids=str)
def test_only_what_is_used_is_drawn(change, gone, come):
    draw = lambda config: set(hiersrec.init(onp.random.default_rng(0), config))
    assert draw(replace(BASE, **change)) == draw(BASE) - gone | come


SIZES = "items, categories, widths, length, heads and blocks must be at least 1, width a multiple of heads."
INPUTS = "join some of id, category, text by +, text only where items have texts."


@pytest.mark.parametrize("wrong, sentence", [
    (dict(pool="cls"), "pool is 'cls': choose one of last, mean."),
    (dict(tasks="category"), "tasks is 'category': choose one of both, item."),
    (dict(softmax="warm"), "softmax is 'warm': choose one of known, all."),
    (dict(item_out="free"), "item_out is 'free': choose one of fc, tied."),
    (dict(hier="hard"), "hier is 'hard': choose one of soft, logits, tied, stop, oracle, none."),
    (dict(inputs="id+title"), f"inputs is 'id+title': {INPUTS}"), (dict(inputs=""), f"inputs is '': {INPUTS}"),
    (dict(inputs="text"), f"inputs is '': {INPUTS}"),
    *((dict([(name, 0)]), SIZES) for name in (
        "items", "categories", "width", "item_width", "category_width", "projection_width", "length", "heads",
        "blocks")),
    (dict(width=5), SIZES),
    *((dict([pair]), "dropout must be at least 0 and less than 1, category_weight and text numbers of 0 or more.")
      for pair in (("dropout", 1.0), ("dropout", -0.1), ("category_weight", -1.0), ("category_weight", float("nan")),
                   ("category_weight", float("inf")), ("text", -1))),
])
def test_config_refuses(wrong, sentence):
    with pytest.raises(InputError) as error:
        hiersrec.Config(**{"items": 5, "categories": 2, **wrong})
    assert str(error.value) == sentence


# Batches of sessions.


def test_windows_of_long_sessions_predict_every_click_but_the_first_once():
    log = events()
    rows, = session_batches.examples(log, 3)
    assert rows.tolist() == [[0, 2, 5], [0, 0, 2], [1, 6, 8], [2, 9, 10], [3, 12, 15], [3, 11, 12]]
    batch = session_batches.training_batch(log, rows, N)
    assert batch.item.tolist() == [[3, 5, 1], [3, 1, 0], [4, 4, 0], [6, 0, 0], [7, 5, 5], [5, 0, 0]]
    assert batch.next.tolist() == [[5, 1, 2], [1, 3, 0], [4, 2, 0], [1, 0, 0], [5, 5, 3], [7, 0, 0]]
    assert sorted(batch.next[batch.next > 0].tolist()) == sorted(i for s in SESSIONS for i in s[1:])
    assert batch.oracle is None and batch.category is log.category and batch.text is log.text
    assert session_batches.training_batch(log, rows[[3, 5]], N).item.tolist() == [[6], [5]]  # as long as the longest


def test_ranking_reads_the_newest_clicks_padded_on_the_right():
    log = events()
    batch = session_batches.ranking_batch(log, np.array([3, 0, 2]), 3, N)
    assert batch.item.tolist() == [[5, 5, 3], [5, 1, 2], [6, 1, 0]]
    assert batch.oracle.tolist() == LABELS[[3, 0, 2]].tolist() and batch.next is None
    assert session_batches.ranking_batch(log, np.array([1, 2]), 9, N).item.tolist() == [[4, 4, 2], [6, 1, 0]]
    assert session_batches.ranking_batch(events(oracle=None), np.array([1]), 3, N).oracle is None
    none = session_batches.ranking_batch(log, np.array([], int), 3, N)
    assert none.item.shape == (0, 1) and none.oracle.shape == (0,)
    bare = session_batches.ranking_batch(events(category=None, text=None), np.array([1]), 3, N)
    assert bare.category.tolist() == [0] * (N + 1) and bare.text is None


def test_held_out_clicks_are_no_input():
    """Ranking after the first p clicks reads what training reads at click p, and the score is the same."""
    params, whole = random_params(BASE), events([[3, 1, 3, 5, 2]])
    train = training_batch(BASE, whole)
    s = hiersrec.forward(params, train, BASE)[0]
    want = hiersrec.item_logits(params, train, hiersrec.joined(params, s, BASE)[0], BASE)
    for p in range(1, 5):
        history = ranking_batch(BASE, events([[3, 1, 3, 5][:p]]))
        onp.testing.assert_allclose(hiersrec.score(params, history, None, BASE)[0], want[p - 1], rtol=0, atol=1e-12)
