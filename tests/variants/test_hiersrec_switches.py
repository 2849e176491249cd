"""What HierSRec's switches do: gradients through the hierarchy, inputs, cold items, parameters."""
from dataclasses import replace
from itertools import product

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad

from mbref.errors import InputError
from mbref.nn import optim
from mbref.nn.losses import log_softmax
from mbref.variants import hiersrec
from tests.papers.small_sessions import (
    CATEGORIES,
    CATEGORY,
    SIZES,
    WARM,
    N,
    assert_same_trees,
    events,
    names_with_gradient,
    random_params,
    ranking_batch,
    texts,
    training_batch,
)

BASE = hiersrec.Config(**SIZES)
HIER = ("soft", "logits", "tied", "stop", "oracle", "none")
HEAD = {"category/w", "category/b"}


def item_loss(params, batch, config):
    return hiersrec.loss(params, batch, replace(config, category_weight=0.0))


def category_loss(params, batch, config):
    both = hiersrec.loss(params, batch, replace(config, category_weight=1.0))
    return both - item_loss(params, batch, config)


def score_with(config, log=None, params=None):
    params = params or random_params(hiersrec, config)
    return hiersrec.score_all(params, ranking_batch(config, log), config)


# What flows through the hierarchy.


@pytest.mark.parametrize("hier, reached", [
    ("soft", True), ("logits", True), ("tied", True),
    ("stop", False), ("oracle", False), ("none", False)])
def test_whether_the_item_loss_trains_the_category_head(hier, reached):
    """Exactly 0 where it does not; the category loss trains the head everywhere."""
    config = replace(BASE, hier=hier)
    params, batch = random_params(hiersrec, config), training_batch(config)
    of_items = names_with_gradient(lambda p: item_loss(p, batch, config), params)
    assert of_items & HEAD == (HEAD if reached else set())
    assert HEAD <= names_with_gradient(lambda p: category_loss(p, batch, config), params)


def test_stop_has_the_values_of_soft():
    batch, params = training_batch(BASE), random_params(hiersrec, BASE)
    stop = replace(BASE, hier="stop")
    for loss in (item_loss, hiersrec.loss):
        assert loss(params, batch, stop) == loss(params, batch, BASE)
    got, want = (grad(hiersrec.loss)(params, batch, config) for config in (stop, BASE))
    assert (got["category"]["w"] != want["category"]["w"]).any()
    onp.testing.assert_array_equal(got["W_p"], want["W_p"])  # p_C itself is the same


@pytest.mark.parametrize("item_out", ["fc", "tied"])
def test_no_hierarchy_without_category_loss_is_the_single_task_model(item_out):
    both = replace(BASE, hier="none", category_weight=0.0, item_out=item_out)
    one, batch = replace(both, tasks="item"), training_batch(both)
    params = random_params(hiersrec, both)
    fewer = {name: part for name, part in params.items() if name != "category"}
    got, want = grad(hiersrec.loss)(params, batch, both), grad(hiersrec.loss)(fewer, batch, one)
    assert not any(a.any() for _, a in optim.leaves(got.pop("category")))
    assert_same_trees(got, want, atol=0)
    assert hiersrec.loss(params, batch, both) == hiersrec.loss(fewer, batch, one)
    weighted = replace(one, category_weight=3.0)
    assert hiersrec.loss(fewer, batch, weighted) == hiersrec.loss(fewer, batch, one)
    drawn = hiersrec.init(onp.random.default_rng(0), one)
    assert {name for name, _ in optim.leaves(drawn)} == {name for name, _ in optim.leaves(fewer)}


def test_category_weight_weighs_the_category_loss_alone():
    params, batch = random_params(hiersrec, BASE), training_batch(BASE)
    item, category = item_loss(params, batch, BASE), category_loss(params, batch, BASE)
    assert item > 0 and category > 0
    for weight in (0.1, 3.0):
        found = hiersrec.loss(params, batch, replace(BASE, category_weight=weight))
        assert found == pytest.approx(item + weight * category, abs=1e-12)


def test_oracle_needs_true_categories_and_reads_nothing_else():
    config = replace(BASE, hier="oracle")
    params, batch = random_params(hiersrec, config), ranking_batch(config)
    with pytest.raises(InputError, match="hier=oracle needs the true next categories"):
        hiersrec.score_all(params, batch._replace(oracle=None), config)
    other = batch._replace(oracle=np.array([2, 0, 3, 3]))
    changed = hiersrec.score_all(params, other, config) != hiersrec.score_all(params, batch, config)
    assert changed.any(axis=1).tolist() == [False, False, True, False]
    for config in (replace(BASE, hier=hier) for hier in set(HIER) - {"oracle"}):
        without = score_with(config, events(oracle=None))
        onp.testing.assert_array_equal(score_with(config), without)  # nobody else reads it


def test_who_predicts_categories():
    configs = {hier: replace(BASE, hier=hier) for hier in HIER} | {"": replace(BASE, tasks="item")}
    predicts = {name for name, config in configs.items() if hiersrec.predicts_categories(config)}
    assert predicts == set(HIER) - {"oracle"}
    assert {replace(BASE, tasks="item", hier=hier).hier for hier in HIER} == {"none"}


def test_projection_of_a_certain_prediction_is_one_row_of_the_table():
    """A spike at class c: soft and stop give row c of W_p, as the oracle does; tied, of E_C."""
    for c in range(CATEGORIES + 1):
        logp = np.where(np.arange(CATEGORIES + 1) == c, 0.0, -np.inf)[None]
        for hier, name in (("soft", "W_p"), ("stop", "W_p"), ("oracle", "W_p"), ("tied", "E_C")):
            config = replace(BASE, hier=hier)
            params = random_params(hiersrec, config)
            g = hiersrec.projection(params, logp, config, np.array([c]))
            onp.testing.assert_array_equal(g[0], params[name][c])


def test_logits_do_not_saturate():
    """k times the logits: the gradient of "logits" falls as 1/k, that of soft as e^-k."""
    logits = np.array([[3.0, 1, 0, -2]])
    for hier in ("soft", "logits"):
        config = replace(BASE, hier=hier)
        params = random_params(hiersrec, config)

        def size(z, params=params, config=config):
            return np.sum(hiersrec.projection(params, log_softmax(z), config) ** 2)

        once, often = grad(size)(logits), 10 * grad(size)(10 * logits)
        if hier == "logits":
            onp.testing.assert_allclose(often, once, rtol=1e-6)  # layer norm undoes k
        else:
            assert 0 < np.abs(often).max() < 1e-5 * np.abs(once).max()


# Items: what is read of them, cold ones.


@pytest.mark.parametrize("item_out", ["fc", "tied"])
def test_what_is_not_in_inputs_is_not_read(item_out):
    """Other texts, other categories: they count exactly where `inputs` says so."""
    changes = {"text": {"text": texts(9)},
               "category": {"category": np.array([0, 2, 1, 1, 3, 3, 0, 1])}}
    for inputs in ("id", "category", "text", "id+category", "category+text", "id+category+text"):
        config = replace(BASE, inputs=inputs, item_out=item_out)
        for name, change in changes.items():
            same = (score_with(config, events(**change)) == score_with(config)).all()
            assert same == (name not in inputs), (inputs, name)
    config = replace(BASE, inputs="category", item_out=item_out)
    batch = ranking_batch(config)._replace(item=np.array([[1, 4, 1, 4]]))  # both of category 1
    other = batch._replace(item=np.array([[4, 4, 1, 1]]))
    params = random_params(hiersrec, config)
    onp.testing.assert_array_equal(*(hiersrec.forward(params, x, config) for x in (batch, other)))


def test_without_texts_inputs_leaves_them_out():
    config = replace(BASE, text=0)
    assert config.inputs == "id+category" and replace(config, inputs="text+id").inputs == "id"
    assert BASE.inputs == "id+category+text"
    assert hiersrec.Config(items=5, categories=2).inputs == "id+category"
    batch = training_batch(config, events(text=None))
    assert np.isfinite(hiersrec.loss(random_params(hiersrec, config), batch, config))


def test_a_cold_item_with_tied_output_is_scored_by_its_metadata():
    """Item 7 is in no training session and has category and text of item 3: it gets 3's score.

    What tells them apart is b_i, which training over all items can only lower for an item that is
    no target. With ids the row of E_I is pushed away, too. Over known items both stay as drawn.
    """
    text = texts()
    text[7], category = text[3], np.where(np.arange(N + 1) == 7, CATEGORY[3], CATEGORY)
    config = replace(BASE, inputs="category+text", item_out="tied", softmax="all")
    log = events(WARM, text=text, category=category)
    params, batch = random_params(hiersrec, config), training_batch(config, log)
    scores = score_with(config, log, params) - params["b_i"]
    onp.testing.assert_allclose(scores[:, 6], scores[:, 2], rtol=0, atol=1e-12)
    assert np.abs(scores[:, 6] - scores[:, 1]).min() > 1e-6
    assert grad(hiersrec.loss)(params, batch, config)["b_i"][6] > 0  # a step of descent lowers it
    with_id = replace(config, inputs="id+category+text")
    params = random_params(hiersrec, with_id)
    assert np.isfinite(score_with(with_id, log, params)).all()
    assert grad(hiersrec.loss)(params, batch, with_id)["E_I"][7].any()  # only as no target
    gradient = grad(hiersrec.loss)(params, batch, replace(with_id, softmax="known"))
    assert gradient["b_i"][6] == 0 and not gradient["E_I"][7].any()


def test_a_cold_item_with_free_weights_is_pushed_away_by_a_softmax_over_all():
    """The gradient of its logit's weights is the mean of p(cold) q, that of its bias of p(cold)."""
    config = replace(BASE, softmax="all")
    params, batch = random_params(hiersrec, config), training_batch(config, events(WARM))
    gradient = grad(hiersrec.loss)(params, batch, config)["item"]
    s = hiersrec.forward(params, batch, config)
    q, _ = hiersrec.join(params, s[batch.next > 0], config)
    z = hiersrec.item_logits(params, batch, q, config)
    p = np.exp(z[:, 6]) / np.exp(z).sum(axis=1)
    want = (p[:, None] * q).mean(axis=0)
    onp.testing.assert_allclose(gradient["w"][:, 6], want, rtol=0, atol=1e-12)
    onp.testing.assert_allclose(gradient["b"][6], p.mean(), rtol=0, atol=1e-12)


def test_forgetting_ids_of_unknown_items():
    params = {"b_i": np.array([1, 9, 3], np.float32),
              "E_I": np.array([[0], [2], [9], [4]], np.float32)}
    known = np.array([False, True, False, True])
    found = hiersrec.forget_ids(params, known)
    assert found["b_i"].tolist() == [1, 0, 3] and found["E_I"].tolist() == [[0], [2], [0], [4]]
    assert found["b_i"].dtype == found["E_I"].dtype == np.float32 and params["b_i"][1] == 9
    free = {"E_I": params["E_I"], "item": {}}
    assert hiersrec.forget_ids(free, known) is free
    assert list(hiersrec.forget_ids({"b_i": params["b_i"]}, known)) == ["b_i"]


@pytest.mark.trains
@pytest.mark.parametrize("change", [{}, {"pool": "mean", "hier": "tied", "item_out": "tied"}],
                         ids=["default", "tied"])
def test_it_learns_what_follows_what(change):
    """Every session goes round 1 2 .. 7: soon the next item is the first, its category too."""
    rounds = events([[(start + t) % N + 1 for t in range(5)] for start in range(N)], oracle=None)
    config = replace(BASE, width=8, item_width=8, **change)
    params = hiersrec.init(onp.random.default_rng(0), config)
    batch, rule = training_batch(config, rounds), optim.Adam(rate=0.02)
    state = optim.start(rule, params)
    for step in range(1, 61):
        gradient = grad(hiersrec.loss)(params, batch, config)
        params, state = optim.update(rule, params, gradient, state, step)
    asked = ranking_batch(config, rounds)
    last = asked.item[:, -1]
    scores, logp = hiersrec.score_categories(params, asked, config)
    onp.testing.assert_array_equal(scores.argmax(axis=1) + 1, last % N + 1)
    onp.testing.assert_array_equal(logp.argmax(axis=1), CATEGORY[last % N + 1])


# Switches, sizes, messages.


def all_params():
    """Parameters of every hierarchy and output at once, g as wide as the category embeddings."""
    params = {}
    for hier, out in product(("soft", "logits", "tied", "oracle"), ("fc", "tied")):
        config = replace(BASE, projection_width=2, hier=hier, item_out=out)
        params |= random_params(hiersrec, config)
    return params


@pytest.mark.parametrize("change", [
    *({"hier": hier} for hier in ("logits", "tied", "oracle")), {"item_out": "tied"},
    {"pool": "mean"}, {"heads": 1}, {"category_weight": 0.5}, {"length": 2}, {"tasks": "item"}],
    ids=str)
def test_no_switch_is_dead(change):
    """On the same weights and sessions, each switch changes the loss."""
    start, params = replace(BASE, projection_width=2), all_params()
    if "tasks" in change:
        start = replace(start, hier="none")
        params = random_params(hiersrec, start)
    other = replace(start, **change)
    one, two = (hiersrec.loss(params, training_batch(c), c) for c in (start, other))
    assert abs(one - two) > 1e-7


@pytest.mark.parametrize("change, gone, come", [
    ({"inputs": "category+text"}, {"E_I"}, set()), ({"inputs": "id+text"}, {"E_C"}, set()),
    ({"inputs": "id", "hier": "tied"}, {"W_p"}, set()), ({"hier": "logits"}, set(), {"ln_logits"}),
    ({"hier": "none"}, {"W_p"}, set()), ({"tasks": "item"}, {"W_p", "category"}, set()),
    ({"item_out": "tied"}, {"item"}, {"query", "value", "b_i"}),
    ({"tasks": "item", "hier": "tied", "inputs": "id"}, {"W_p", "category", "E_C"}, set())],
    ids=str)
def test_only_what_is_used_is_drawn(change, gone, come):
    every, some = (set(hiersrec.init(onp.random.default_rng(0), c))
                   for c in (BASE, replace(BASE, **change)))
    assert some == every - gone | come


INPUTS = "join some of id, category, text by +, text only where items have texts."


@pytest.mark.parametrize("wrong, sentence", [
    ({"width": 5}, "width is 5: it must be a multiple of heads, 2."),
    ({"pool": "cls"}, "pool is 'cls': choose one of last, mean."),
    ({"tasks": "category"}, "tasks is 'category': choose one of both, item."),
    ({"softmax": "warm"}, "softmax is 'warm': choose one of known, all."),
    ({"item_out": "free"}, "item_out is 'free': choose one of fc, tied."),
    ({"hier": "hard"}, "hier is 'hard': choose one of soft, logits, tied, stop, oracle, none."),
    ({"inputs": "id+title"}, f"inputs is 'id+title': {INPUTS}"),
    ({"inputs": ""}, f"inputs is '': {INPUTS}"), ({"inputs": "text"}, f"inputs is '': {INPUTS}")],
    ids=str)
def test_config_refuses(wrong, sentence):
    with pytest.raises(InputError) as error:
        hiersrec.Config(**{"items": 5, "categories": 2, **wrong})
    assert str(error.value) == sentence
