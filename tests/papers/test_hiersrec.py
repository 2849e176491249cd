"""HierSRec in its own form: by hand, gradients, padding, dropout, unknown categories, sizes."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad, value_and_grad
from autograd.test_util import check_grads

from mbref.by_hand import hiersrec as by_hand
from mbref.candidates import rank
from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.layers import newest
from mbref.papers import hiersrec
from tests.golden.candidates import cases as candidates_by_hand
from tests.papers.small_sessions import (
    ABOUT,
    CATEGORIES,
    CATEGORY,
    SESSIONS,
    SIZES,
    WARM,
    N,
    assert_same_trees,
    events,
    names_with_gradient,
    one_row,
    random_params,
    ranking_batch,
    row_by_hand,
    texts,
    training_batch,
)

BASE = hiersrec.Config(**SIZES)
CONFIGS = {"small": BASE, "two blocks, one head": replace(BASE, blocks=2, heads=1),
           "four heads, lambda": replace(BASE, heads=4, category_weight=0.3)}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def encode_newest(params, batch, config):
    """The session encoding after the last click.  -> [B, D]."""
    return newest(hiersrec.forward(params, batch, config), batch.item)


@every_config
def test_encodings_and_scores_by_hand_equal_batched(config):
    params, batch = random_params(hiersrec, config), ranking_batch(config)
    s = hiersrec.forward(params, batch, config)
    scores, logp = hiersrec.score_categories(params, batch, config)
    assert scores.shape == (len(SESSIONS), N)  # padding has no column
    for b, session in enumerate(SESSIONS):
        clicks = row_by_hand(batch, b)
        assert clicks == session[-4:]
        want = by_hand.encode(params, clicks, ABOUT, config)
        items, categories = by_hand.predict(params, want[-1], config)
        categories = np.log(by_hand.softmax(list(categories)))
        pairs = (s[b, : len(clicks)], want), (scores[b], items), (logp[b], categories)
        for got, by_loops in pairs:
            onp.testing.assert_allclose(got, np.array(by_loops), rtol=0, atol=1e-10)


@every_config
def test_loss_and_gradients_by_hand_equal_batched(config):
    """Row by row, and of the batch: the sum over sessions by the number of clicks to predict."""
    params, batch, results = random_params(hiersrec, config), training_batch(config), []
    for b in range(len(batch.item)):
        session = row_by_hand(batch, b)
        want = list(value_and_grad(by_hand.loss)(params, session, ABOUT, config))
        n = len(session) - 1
        got = list(value_and_grad(hiersrec.loss)(params, one_row(batch, b), config))
        assert_same_trees(got, optim.tree_map(lambda a, n=n: a / n, want))
        results.append(want)
    count = sum(len(s) - 1 for s in SESSIONS)
    mean = optim.tree_map(lambda *parts: sum(parts) / count, *results)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, config)), mean)


def test_without_texts_by_hand_equals_batched():
    config = replace(BASE, text=0)
    params, batch = random_params(hiersrec, config), training_batch(config, events(text=None))
    rows = [row_by_hand(batch, b) for b in range(len(batch.item))]
    total = sum(by_hand.loss(params, row, (CATEGORY, None), config) for row in rows)
    assert hiersrec.loss(params, batch, config) == pytest.approx(total / len(batch.at), abs=1e-12)


@every_config
def test_gradients_of_every_group_by_central_differences(config):
    params, batch = random_params(hiersrec, config), training_batch(config)
    onp.random.seed(0)  # noqa: NPY002 (autograd draws the direction from NumPy's global state)
    for name, part in params.items():
        def loss_of(part, name=name):
            return hiersrec.loss({**params, name: part}, batch, config)

        check_grads(loss_of, modes=["rev"], order=1)(part)


def test_gradients_of_the_components():
    params, rng = random_params(hiersrec, BASE), onp.random.default_rng(1)
    h, s, allowed = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 4)), np.tri(3, dtype=bool)[None]

    def block(p, h):
        return hiersrec.encoder_block(p, h, allowed, 2, lambda x: x)

    def items(p, s):
        return hiersrec.item_logits(p, s, hiersrec.category_logp(p, s))

    check_grads(block, modes=["rev"])(params["blocks"][0], h)
    for function in (hiersrec.category_logp, hiersrec.projection, items):
        check_grads(function, modes=["rev"])(params, s)


@every_config
def test_every_parameter_that_is_drawn_has_a_gradient(config):
    params, batch = random_params(hiersrec, config), training_batch(config)
    found = names_with_gradient(lambda p: hiersrec.loss(p, batch, config), params)
    assert found == {name for name, _ in optim.leaves(params)}


def test_attention_to_padding_and_to_later_clicks_is_exactly_zero():
    taps, batch = {}, training_batch(BASE)
    hiersrec.forward(random_params(hiersrec, BASE), batch, BASE, tap=taps.__setitem__)
    weights, pad = taps["weights"], batch.item == 0  # [B, H, L, L]
    of_keys = np.broadcast_to(pad[:, None, None], weights.shape)
    assert pad.any() and not weights[of_keys].any()
    assert not weights[..., ~np.tri(weights.shape[-1], dtype=bool)].any()
    sums = weights.sum(axis=-1).swapaxes(1, 2)  # [B, L, H]
    onp.testing.assert_allclose(sums[~pad], 1, atol=1e-12)
    assert taps["states"].shape == (*batch.item.shape, BASE.width)


def test_left_padding_would_break_that_all_prefixes_share_a_pass():
    """A click's position would depend on how many follow: the reason for padding on the right."""
    batch = ranking_batch(BASE, events([[3, 1]]))
    left = batch._replace(item=np.array([[0, 0, 3, 1]]))
    params = random_params(hiersrec, BASE)
    s, moved = (hiersrec.forward(params, x, BASE)[0] for x in (batch, left))
    assert np.abs(moved[2:] - s).max() > 0.01


def test_held_out_clicks_are_no_input():
    """Ranking after the first p clicks reads what training reads at click p: the same score."""
    params, train = random_params(hiersrec, BASE), training_batch(BASE, events([[3, 1, 3, 5, 2]]))
    s = hiersrec.forward(params, train, BASE)[0]
    want = hiersrec.item_logits(params, s, hiersrec.category_logp(params, s))
    for p in range(1, 5):
        history = ranking_batch(BASE, events([[3, 1, 3, 5][:p]]))
        scores = hiersrec.score_all(params, history, BASE)
        onp.testing.assert_allclose(scores[0], want[p - 1], rtol=0, atol=1e-12)


def test_dropout_of_input_weights_and_feed_forward(monkeypatch):
    """Three times a block and once before them; never when ranking, and not at rate 0."""
    config = replace(BASE, dropout=0.5, blocks=2)
    params, batch, shapes = random_params(hiersrec, config), training_batch(config), []
    first, same, other = (hiersrec.loss(params, batch, config, onp.random.default_rng(i))
                          for i in (0, 0, 1))
    plain = hiersrec.loss(params, batch, config)
    assert first == same != other and plain != first
    off = replace(config, dropout=0.0)
    assert plain == hiersrec.loss(params, batch, off)
    assert plain == hiersrec.loss(params, batch, off, onp.random.default_rng(0))

    def watch(rate, rng):
        def drop(x):
            shapes.append((rate, x.shape))
            return x
        return drop

    monkeypatch.setattr(hiersrec, "dropout", watch)
    hiersrec.forward(params, batch, config, rng=onp.random.default_rng(0))
    b, length = batch.item.shape
    wide, square = (0.5, (b, length, 4)), (0.5, (b, 2, length, length))
    assert shapes == [wide, square, wide, square, wide]


def test_projection_of_a_certain_prediction_is_one_row_of_the_table():
    params = random_params(hiersrec, BASE)
    for c in range(CATEGORIES + 1):
        logp = np.where(np.arange(CATEGORIES + 1) == c, 0.0, -np.inf)[None]
        onp.testing.assert_array_equal(hiersrec.projection(params, logp)[0], params["W_p"][c])


def test_unknown_is_a_category_like_any_other_and_not_padding():
    params, batch = random_params(hiersrec, BASE), ranking_batch(BASE)
    item = np.array([5, 0, 1])
    features = hiersrec.item_features(params, batch, item)  # [3, d_in]: E_I, E_C, E_M side by side
    onp.testing.assert_array_equal(features[:, 3:5], [params["E_C"][0], [0, 0], params["E_C"][1]])
    assert not features[1].any()
    moved = params | {"E_C": params["E_C"] + np.eye(CATEGORIES + 1)[:, :1]}  # the row of class 0
    before, after = (hiersrec.score_all(p, batch, BASE) for p in (params, moved))
    assert (before != after).any(axis=1).tolist() == [5 in session[-4:] for session in SESSIONS]
    gradient = grad(hiersrec.loss)(params, training_batch(BASE), BASE)
    assert gradient["E_C"][0].any() and gradient["W_p"][0].any()
    logp = hiersrec.category_logp(params, encode_newest(params, batch, BASE))
    onp.testing.assert_allclose(np.exp(logp).sum(axis=1), 1, atol=1e-12)
    assert logp.shape == (4, CATEGORIES + 1) and np.exp(logp[:, 0]).min() > 0.01  # class 0 is one


def test_a_certain_right_prediction_of_the_category_costs_nothing():
    params = random_params(hiersrec, BASE)
    sure = {"w": 0 * params["category"]["w"], "b": np.array([50.0, 0, 0, 0])}

    def category_loss(batch):
        both, items = (hiersrec.loss(params | {"category": sure}, batch, config)
                       for config in (BASE, replace(BASE, category_weight=0.0)))
        return both - items

    only_unknown = training_batch(BASE, events([[3, 5, 5]]))
    assert category_loss(only_unknown) < 1e-12 < category_loss(training_batch(BASE))


def test_a_log_without_categories_has_only_unknown_items():
    batch = training_batch(BASE, events(category=None))
    onp.testing.assert_array_equal(batch.category, np.zeros(N + 1))
    assert np.isfinite(hiersrec.loss(random_params(hiersrec, BASE), batch, BASE))


def test_a_cold_item_has_a_score_that_means_nothing():
    """No training session holds it, so its weights stay as they were drawn.

    Its category and text do not count either: what recall it has is chance.
    """
    params, log, text = random_params(hiersrec, BASE), events(WARM), texts()
    text[7], category = 9.0, np.where(np.arange(N + 1) == 7, 1, CATEGORY)
    other = events(WARM, text=text, category=category)
    scores, same = (hiersrec.score_all(params, ranking_batch(BASE, x), BASE) for x in (log, other))
    onp.testing.assert_array_equal(scores, same)
    gradient = grad(hiersrec.loss)(params, training_batch(BASE, log), BASE)["item"]
    assert gradient["b"][6] == 0 and not gradient["w"][:, 6].any()


def test_items_without_a_training_click_are_out_of_the_softmax():
    """The loss by hand over the items that are known, and its gradients."""
    params, batch = random_params(hiersrec, BASE), training_batch(BASE, events(WARM))
    known = [1, 2, 3, 4, 5]
    assert (np.flatnonzero(batch.known) + 1).tolist() == known
    rows = [row_by_hand(batch, b) for b in range(len(batch.item))]
    want = [list(value_and_grad(by_hand.loss)(params, row, ABOUT, BASE, known)) for row in rows]
    mean = optim.tree_map(lambda *parts: sum(parts) / (5 + 2), *want)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, BASE)), mean)
    every = hiersrec.loss(params, batch._replace(known=np.ones(N, bool)), BASE)
    assert every > hiersrec.loss(params, batch, BASE)


def test_two_level_softmax_sums_to_one_and_factors():
    """p(i) = p_C(c(i)) p(i | c(i)); an item alone in its category gets all of p_C."""
    params, batch = random_params(hiersrec, BASE), ranking_batch(BASE)
    z, logp_c = hiersrec.score_categories(params, batch, BASE)
    logp = rank.two_level_logp(logp_c, z, CATEGORY)
    given = {"category_logp": logp_c, "item_logits": z, "category": CATEGORY}
    want = candidates_by_hand.two_level_logp({}, given)["logp"]
    onp.testing.assert_allclose(logp, want, rtol=0, atol=1e-10)
    for b, p in enumerate(np.exp(logp)):
        assert p.sum() == pytest.approx(1, abs=1e-12)
        sums = np.bincount(CATEGORY[1:], p)
        onp.testing.assert_allclose(sums, np.exp(logp_c[b]), atol=1e-12)
        assert logp[b, 4] == pytest.approx(logp_c[b, 0], abs=1e-12)  # item 5, the only unknown one
        within, outside = logp[b, 0] - logp[b, 3], z[b, 0] - z[b, 3]  # both of category 1
        assert within == pytest.approx(outside, abs=1e-12)


def test_sizes_of_the_defaults():
    config, g = hiersrec.Config(items=5, categories=2, text=7), 32
    params = hiersrec.init(onp.random.default_rng(0), config)
    shapes = {name: a.shape for name, a in optim.leaves(params)}
    norms = {f"blocks/0/{ln}/{part}": (64,) for ln in ("ln1", "ln2") for part in ("gamma", "beta")}
    block = {**{f"blocks/0/{name}": (64, 64) for name in "qkvo"}, **norms,
             "blocks/0/f1/w": (64, 128), "blocks/0/f1/b": (128,),
             "blocks/0/f2/w": (128, 64), "blocks/0/f2/b": (64,)}
    assert shapes == {
        "E_I": (6, 64), "E_C": (3, 32), "in/w": (64 + 32 + 7, 64), "in/b": (64,),
        "position": (20, 64), **block, "ln/gamma": (64,), "ln/beta": (64,), "category/w": (64, 3),
        "category/b": (3,), "W_p": (3, g), "item/w": (64 + g, 5), "item/b": (5,)}
    for name, a in optim.leaves(params):
        if a.ndim == 1:
            start = np.ones(64) if name.endswith("gamma") else np.zeros(len(a))
            onp.testing.assert_array_equal(a, start)
        else:
            sd = 0.1 if name.startswith(("E_", "W_p", "position")) else a.shape[0] ** -0.5
            error = sd / np.sqrt(2 * a.size)  # standard error of the spread of normal numbers
            assert a.std() == pytest.approx(sd, abs=4 * error), name


COUNTS = ("items", "categories", "width", "item_width", "category_width", "projection_width",
          "length", "heads", "blocks")


@pytest.mark.parametrize("wrong, sentence", [
    *(({name: 0}, f"{name} is 0: it must be at least 1.") for name in COUNTS),
    ({"text": -1}, "text is -1: it must be at least 0."),
    ({"width": 5}, "width is 5: it must be a multiple of heads, 2."),
    *(({"dropout": x}, f"dropout is {x}: it must be at least 0 and less than 1.")
      for x in (1.0, -0.1)),
    *(({"category_weight": x}, f"category_weight is {x}: it must be at least 0 and a number.")
      for x in (-1.0, float("nan"), float("inf")))], ids=str)
def test_config_refuses(wrong, sentence):
    with pytest.raises(InputError) as error:
        hiersrec.Config(**{"items": 5, "categories": 2, **wrong})
    assert str(error.value) == sentence


def test_what_is_drawn_at_first():
    """Embeddings from N(0, .1^2); a mean and a root of n squares are off by .1 / sqrt(n) or less, about."""
    config = hiersrec.Config(items=300, categories=200, item_width=50, category_width=50, projection_width=50,
                             length=200, width=50)
    params = hiersrec.init(np.random.default_rng(0), config)
    for name in "position", "E_I", "E_C", "W_p":
        x = params[name]
        assert x.size >= 10_000 and abs(x.mean()) < 0.004 and abs(x.std() - 0.1) < 0.004
