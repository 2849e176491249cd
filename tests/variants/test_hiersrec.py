"""HierSRec's variants: at their defaults the paper's form; each switch by hand, padding, future."""
from dataclasses import replace
from itertools import product

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import value_and_grad
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads

from mbref.nn import optim
from mbref.nn.layers import newest
from mbref.papers import hiersrec as paper
from mbref.variants import hiersrec
from tests.golden.hiersrec import one_session
from tests.papers.small_sessions import (
    ABOUT,
    CATEGORY,
    LABELS,
    SESSIONS,
    SIZES,
    WARM,
    N,
    assert_same_trees,
    events,
    every_item,
    names_with_gradient,
    one_row,
    pad,
    random_params,
    ranking_batch,
    row_by_hand,
    training_batch,
)
from tests.variants.equal import assert_all_statements_run, assert_same

BASE = hiersrec.Config(**SIZES)
HIER = ("soft", "logits", "tied", "stop", "oracle", "none")
VARIANTS = {
    **{f"{hier}, {out}": replace(BASE, hier=hier, item_out=out)
       for hier, out in product(HIER, ("fc", "tied"))},
    "mean": replace(BASE, pool="mean"),
    "mean, tied": replace(BASE, pool="mean", hier="tied", item_out="tied"),
    "one task": replace(BASE, tasks="item"),
    "one task, tied": replace(BASE, tasks="item", item_out="tied", pool="mean"),
    "id": replace(BASE, inputs="id"),
    "category": replace(BASE, inputs="category", item_out="tied"),
    "text": replace(BASE, inputs="text"),
    "id+category": replace(BASE, inputs="id+category"),
    "category+text": replace(BASE, inputs="category+text", item_out="tied"),
    "text+id": replace(BASE, inputs="text+id", item_out="tied"),
    "id, E_C for g alone": replace(BASE, inputs="id", hier="tied"),
    "two blocks, one head": replace(BASE, blocks=2, heads=1, category_weight=0.3),
    "four heads": replace(BASE, heads=4, hier="logits"),
}


def every_variant(*leave_out):
    """Parametrize over all variants but those with such a value of hier."""
    chosen = {name: config for name, config in VARIANTS.items() if config.hier not in leave_out}
    return pytest.mark.parametrize("config", chosen.values(), ids=chosen)


# The paper's form.


@pytest.mark.parametrize("change", [
    {}, {"dropout": 0.3}, {"blocks": 2, "heads": 1}, {"category_weight": 0.3}, {"length": 2}],
    ids=str)
@pytest.mark.parametrize("sessions", [SESSIONS, WARM, [*SESSIONS, []]], ids=len)
def test_variants_at_their_defaults_equal_the_paper(change, sessions):
    log = events(sessions, oracle=None)
    cases = np.arange(len(sessions))
    assert_same(paper, hiersrec, SIZES | change, log, cases, also=["score_categories"])


def test_also_without_texts_and_categories():
    log = events(category=None, text=None)
    assert_same(paper, hiersrec, SIZES | {"text": 0}, log, np.arange(4), also=["score_categories"])


def test_every_statement_of_the_paper_runs_at_its_defaults():
    log = events(text=None)
    sizes = {"items": N, "categories": int(CATEGORY.max())}
    assert_all_statements_run(paper, sizes, log, np.arange(4), also=["score_categories"])


# By hand.


@every_variant()
def test_encodings_and_scores_by_hand_equal_batched(config):
    params, batch = random_params(hiersrec, config), ranking_batch(config)
    s = hiersrec.forward(params, batch, config)
    scores, logp = hiersrec.score_categories(params, batch, config)
    assert scores.shape == (len(SESSIONS), N)  # padding has no column
    assert (logp is None) == (config.tasks == "item")
    for b, session in enumerate(SESSIONS):
        clicks = row_by_hand(batch, b)
        assert clicks == session[-4:]
        want = one_session.encode(params, clicks, ABOUT, config)
        onp.testing.assert_allclose(s[b, : len(clicks)], np.array(want), rtol=0, atol=1e-10)
        z = one_session.category_logits(params, want[-1]) if logp is not None else None
        items, _ = one_session.predict(params, want[-1], ABOUT, config, LABELS[b], z)
        onp.testing.assert_allclose(scores[b], items, rtol=0, atol=1e-10)
        if logp is not None:
            want = np.log(one_session.softmax(list(z)))
            onp.testing.assert_allclose(logp[b], want, rtol=0, atol=1e-10)


@every_variant()
def test_loss_and_gradients_by_hand_equal_batched(config):
    """Row by row, the item loss alone too, and of the batch: a mean over the clicks to predict."""
    params, batch, results = random_params(hiersrec, config), training_batch(config), []
    fixed = params if config.hier == "stop" else None
    for b in range(len(batch.item)):
        one, session = one_row(batch, b), row_by_hand(batch, b)
        want = list(value_and_grad(one_session.loss)(params, session, ABOUT, config, fixed))
        n = len(session) - 1
        got = list(value_and_grad(hiersrec.loss)(params, one, config))
        assert_same_trees(got, optim.tree_map(lambda a, n=n: a / n, want))
        items, _ = one_session.losses(params, session, ABOUT, config, fixed)
        alone = hiersrec.loss(params, one, replace(config, category_weight=0.0))
        assert alone == pytest.approx(items / n, abs=1e-10)
        results.append(want)
    count = sum(len(s) - 1 for s in SESSIONS)
    mean = optim.tree_map(lambda *parts: sum(parts) / count, *results)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, config)), mean)


@pytest.mark.parametrize("config", [BASE, VARIANTS["tied, tied"]], ids=["fc", "tied"])
def test_items_without_a_training_click_are_out_of_the_softmax(config):
    """The loss by hand over the items that are known, and its gradients."""
    params, batch = random_params(hiersrec, config), training_batch(config, events(WARM))
    known = [1, 2, 3, 4, 5]
    rows = [row_by_hand(batch, b) for b in range(len(batch.item))]
    want = [list(value_and_grad(one_session.loss)(params, row, ABOUT, config, None, known))
            for row in rows]
    mean = optim.tree_map(lambda *parts: sum(parts) / (5 + 2), *want)
    assert_same_trees(list(value_and_grad(hiersrec.loss)(params, batch, config)), mean)
    every = hiersrec.loss(params, batch, replace(config, softmax="all"))
    assert every > hiersrec.loss(params, batch, config)
    assert hiersrec.loss(params, batch._replace(known=np.ones(N, bool)), config) == every


@every_variant("stop")
def test_gradients_of_every_group_by_central_differences(config):
    """Without "stop", which leaves out a path on purpose, along which the loss does change."""
    params, batch = random_params(hiersrec, config), training_batch(config)
    onp.random.seed(0)  # noqa: NPY002 (autograd draws the direction from NumPy's global state)
    for name, part in params.items():
        def loss_of(part, name=name):
            return hiersrec.loss({**params, name: part}, batch, config)

        check_grads(loss_of, modes=["rev"], order=1)(part)


def test_gradient_of_stop_by_central_differences():
    """What "stop" holds fixed is held fixed for the differences too: g reads constants."""
    config = VARIANTS["stop, fc"]
    params, batch = random_params(hiersrec, config), training_batch(config)

    def with_constants(p):
        return one_session.loss(p, SESSIONS[3], ABOUT, config, params)

    onp.random.seed(0)  # noqa: NPY002
    check_grads(with_constants, modes=["rev"], order=1)(params)
    with pytest.raises(AssertionError):
        check_grads(lambda p: hiersrec.loss(p, batch, config), modes=["rev"], order=1)(params)


def test_gradients_of_joined_vectors():
    s = onp.random.default_rng(1).normal(size=(3, 4))
    for config in (replace(BASE, hier=hier) for hier in ("soft", "logits", "tied", "oracle")):
        def side_by_side(p, s, config=config):
            return hiersrec.join(p, s, config, LABELS[:3])[0]

        check_grads(side_by_side, modes=["rev"])(random_params(hiersrec, config), s)


@every_variant()
def test_every_parameter_that_is_drawn_has_a_gradient(config):
    params, batch = random_params(hiersrec, config), training_batch(config)
    found = names_with_gradient(lambda p: hiersrec.loss(p, batch, config), params)
    assert found == {name for name, _ in optim.leaves(params)}


# Padding, prefixes, the future.


@every_variant()
def test_padding_changes_nothing(config):
    """Three more places: the same scores, loss, gradients; none for padding's own row."""
    config = replace(config, length=8)
    params, log = random_params(hiersrec, config), events([s[-5:] for s in SESSIONS])
    batch = ranking_batch(config, log)
    got, want = (hiersrec.score_all(params, x, config) for x in (pad(batch), batch))
    onp.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    batch = training_batch(config, log)
    got, want = (list(value_and_grad(hiersrec.loss)(params, x, config))
                 for x in (pad(batch), batch))
    assert_same_trees(got, want, atol=1e-12)
    assert "E_I" not in params or not got[1]["E_I"][0].any()


@every_variant()
def test_all_prefixes_are_encoded_in_one_pass(config):
    """A session of its first p clicks is encoded as the whole one after click p."""
    config = replace(config, length=6)
    params, whole = random_params(hiersrec, config), ranking_batch(config)
    s = hiersrec.forward(params, whole, config)
    prefixes = [(b, p) for b, session in enumerate(SESSIONS) for p in range(1, len(session) + 1)]
    labels = LABELS[[b for b, _ in prefixes]]
    batch = ranking_batch(config, events([SESSIONS[b][:p] for b, p in prefixes], oracle=labels))
    assert batch.item.shape == (16, 6)
    want = np.array([s[b, p - 1] for b, p in prefixes])
    got = newest(hiersrec.forward(params, batch, config), batch.item)
    onp.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    q, _ = hiersrec.join(params, want, config, batch.oracle)
    want = hiersrec.item_logits(params, whole, q, config)
    got = hiersrec.score_all(params, batch, config)
    onp.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@every_variant()
@pytest.mark.parametrize("p", range(3))
def test_no_look_into_the_future(config, p):
    """Change all later clicks of a session, and all other sessions: the same bits after click p."""
    params = random_params(hiersrec, config)
    batch = training_batch(config, events([[3, 1, 3, 5, 2], [4, 4, 2, 6, 1]]))

    def logits(item):
        s = hiersrec.forward(params, batch._replace(item=item), config)[0]  # [L, D]
        q, _ = hiersrec.join(params, s, config, np.ones(4, int))
        return hiersrec.item_logits(params, batch, q, config)

    later, here = np.array(batch.item), np.array(batch.item)
    later[0, p + 1 :], later[1], here[0, p] = 6, 5, 6
    want, got = logits(batch.item), logits(later)
    onp.testing.assert_array_equal(got[: p + 1], want[: p + 1])
    assert (got[p + 1 :] != want[p + 1 :]).any(axis=1).all()
    assert (logits(here)[p] != want[p]).any()  # and it does look at click p


@every_variant()
def test_a_session_without_clicks_has_finite_scores(config):
    params, batch = random_params(hiersrec, config), ranking_batch(config, events([[], [3, 1], []]))
    scores = hiersrec.score_all(params, batch, config)
    assert batch.item.tolist() == [[0, 0], [3, 1], [0, 0]] and np.isfinite(scores).all()
    alone = ranking_batch(config, events([[]]))  # not even one column
    found = hiersrec.score_all(params, alone, config)
    onp.testing.assert_allclose(found[0], scores[0], rtol=0, atol=1e-12)


@every_variant()
def test_scores_of_candidates_are_those_of_all_items(config):
    params, batch = random_params(hiersrec, config), ranking_batch(config)
    everything = hiersrec.score_all(params, batch, config)
    found = hiersrec.score(params, batch, every_item(4), config)
    onp.testing.assert_array_equal(found, everything)
    some = np.array([[3, 1], [7, 7], [2, 6], [1, 5]])
    want = np.take_along_axis(everything, some - 1, axis=1)
    onp.testing.assert_array_equal(hiersrec.score(params, batch, some, config), want)
    padding = hiersrec.score(params, batch, 0 * some, config)  # evaluation leaves it out
    first = hiersrec.score(params, batch, 0 * some + 1, config)
    onp.testing.assert_array_equal(padding, first)


@every_variant()
def test_float32_stays_on_the_way_forward_and_back(config, monkeypatch):
    """Also between the steps, where a float64 would cost time and show in no result."""
    seen = []

    def watch(name):
        plain, probe = getattr(hiersrec, name), primitive(lambda x: x)

        def record(ans, x):
            return lambda g: (seen.append((name, g.dtype)), g)[1]

        defvjp(probe, record)
        monkeypatch.setattr(hiersrec, name, lambda *args, **more: probe(plain(*args, **more)))

    for name in ("forward", "category_logp", "projection"):
        watch(name)
    params = optim.tree_map(lambda a: a.astype(np.float32), random_params(hiersrec, config))
    rng, noisy = onp.random.default_rng(0), replace(config, dropout=0.1)
    value, gradient = value_and_grad(hiersrec.loss)(params, training_batch(config), noisy, rng)
    kinds = {a.dtype for _, a in optim.leaves(gradient)} | {kind for _, kind in seen}
    assert kinds == {onp.dtype(np.float32)}
    hierarchy = {"projection"} if config.hier != "none" else set()
    heads = {"category_logp"} if config.tasks == "both" else set()
    assert {name for name, _ in seen} == {"forward"} | heads | hierarchy
    monkeypatch.undo()
    batch = ranking_batch(config)
    assert value.dtype == hiersrec.score_all(params, batch, config).dtype == np.float32
    assert hiersrec.score(params, batch, every_item(4), config).dtype == np.float32
