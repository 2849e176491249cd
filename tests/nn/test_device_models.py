"""Every model on the double of CuPy: NumPy's numbers, nothing on the wrong side of the bus, float32 all through."""
from dataclasses import replace

import numpy as np
import pytest
from autograd import value_and_grad

from mbref import evaluation, training
from mbref.nn.device import to_device
from mbref.nn import layers, masks, optim
from mbref.papers import hmar
from tests.nn import device_cases
from tests.nn.device_cases import DEVICE, NAMES, RELEASED
from tests.nn.fake_cupy import FakeArray, made, transfers

KINDS = {"float64": 1e-12, "float32": 2e-5}
PAIRS = [(name, kind) for name in NAMES for kind in KINDS] + [(name, "float64") for name in RELEASED]
RULES = [optim.Adam(clip=0.1), optim.Adam(clip=1e9, epsilon_hat=True), optim.SGD(clip=0.1), optim.SGD()]


def forget():
    transfers.clear()
    made.clear()


def arrays(tree):
    """Every array of nested dicts, lists and tuples."""
    if isinstance(tree, (dict, list, tuple)):
        return [a for part in (tree.values() if isinstance(tree, dict) else tree) for a in arrays(part)]
    return [tree] if isinstance(tree, (np.ndarray, FakeArray)) else []


def assert_same(got, want, tolerance):
    """Trees of arrays agree, one on the double, one of NumPy's, in structure, dtype and number."""
    got, want = optim.leaves(got), optim.leaves(want)
    assert [name for name, _ in got] == [name for name, _ in want]
    for (name, a), (_, b) in zip(got, want, strict=True):
        assert isinstance(a, FakeArray) and a.dtype == b.dtype and a.shape == b.shape, name
        np.testing.assert_allclose(a.get(), b, rtol=tolerance, atol=tolerance, err_msg=name)


def on_both(name, kind):
    """-> Case, (parameters, batch) of NumPy's, the same on the double; nothing counted yet."""
    case, params, batch = device_cases.prepared(name, np.dtype(kind).type)
    there = to_device(params, DEVICE), to_device(batch, DEVICE)
    forget()
    return case, (params, batch), there


@pytest.mark.parametrize("name, kind", PAIRS)
def test_loss_and_gradients(name, kind):
    case, here, there = on_both(name, kind)
    want, want_grads = value_and_grad(case.model.loss)(*here, case.config)
    got, got_grads = value_and_grad(case.model.loss)(*there, case.config)
    assert not +transfers, "something crossed the bus"
    assert kind == "float64" or not made["float64"]
    assert isinstance(got, FakeArray) and got.shape == () and got.dtype == kind
    np.testing.assert_allclose(float(got), want, rtol=KINDS[kind])
    assert_same(got_grads, want_grads, KINDS[kind])
    assert any(np.any(g) for _, g in optim.leaves(want_grads))


@pytest.mark.parametrize("name, kind", PAIRS)
def test_forward_and_what_it_taps(name, kind):
    case, here, there = on_both(name, kind)
    taps = []
    for params, batch in (here, there):
        seen = {}
        taps.append(seen)
        tap = {} if case.model.__name__.endswith("bpr_mf") else {"tap": seen.__setitem__}
        states = case.model.forward(params, batch, case.config, **tap)
        seen |= {f"states {i}": a for i, a in enumerate(states if isinstance(states, tuple) else [states])
                 if a is not None}
    assert not +transfers
    assert_same(taps[1], taps[0], KINDS[kind])


@pytest.mark.parametrize("name, kind", PAIRS)
def test_scores(name, kind):
    """Of all items and of a few, through the scorers of evaluation.py: parameters stay, the scores come back, once."""
    case, (params, _), (device_params, _) = on_both(name, kind)
    cases = device_cases.held(case)
    candidates = np.arange(len(cases) * 3).reshape(-1, 3) % 4  # 0, in most models no candidate, among them
    of_all = [evaluation.item_scorer(case.model, p, case.config) for p in (device_params, params)]
    of_some = [evaluation.candidate_scorer(case.model, p, case.config) for p in (device_params, params)]
    batch = arrays(device_cases.ranking_batch(case))
    for (there, here), given, size in ((of_all, (), 0), (of_some, (candidates,), 1)):
        forget()
        got, want = there(case.events, cases, *given), here(case.events, cases, *given)
        assert transfers == {"to_host": 1, "to_device": len(batch) + size}
        assert kind == "float64" or not made["float64"]
        assert type(got) is np.ndarray and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=KINDS[kind], atol=KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_optimisers(rule, kind):
    """Three steps, with gradients that are clipped and that are not: no number comes back from the device."""
    case, params, batch = device_cases.prepared("sasrec", np.dtype(kind).type)
    grads = value_and_grad(case.model.loss)(params, batch, case.config)[1]
    here = params, optim.start(rule, params)
    there = to_device((params, optim.start(rule, params)), DEVICE)
    there_grads = to_device(grads, DEVICE)
    forget()
    for step in (1, 2, 3):
        here, there = optim.update(rule, here[0], grads, here[1], step), optim.update(
            rule, there[0], there_grads, there[1], step)
    assert not +transfers and (kind == "float64" or not made["float64"])
    assert_same(there[0], here[0], KINDS[kind])
    assert_same(there[1], here[1], KINDS[kind])


def test_global_norm_by_hand():
    grads = {"a": np.array([3.0, 0.0], np.float32), "b": [np.array([[4.0]], np.float32)]}
    there = to_device(grads, DEVICE)
    assert optim.global_norm(grads) == 5.0 == float(optim.global_norm(there))
    for limit, want in ((2.5, [1.5, 0]), (5.0, [3, 0]), (9.0, [3, 0])):
        np.testing.assert_array_equal(optim.clip_by_global_norm(there, limit)["a"].get(), want)
    assert optim.clip_by_global_norm(grads, 9.0) is grads


@pytest.mark.trains
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("name", NAMES)
def test_training_step(name, optimiser):
    """Only the batch goes to the device, only the loss comes back; all else of a step stays where it is."""
    case = device_cases.cases(np.float32)[name]
    settings = training.Settings(batch_size=4, optimiser=optimiser, rate=0.01, clip=0.5)
    tasks = case.model.examples(case.events, case.config, np.random.default_rng(0))
    here, there = (training.begin(case.model, case.config, settings, device) for device in ("cpu", DEVICE))
    for _ in range(2):
        here, want = training.train_step(case.model, case.config, settings, case.events, tasks, here)
        _, rows = training.rows_of_step(tasks, settings, there.step)
        batch = case.model.training_batch(case.events, rows, case.config, np.random.default_rng(0))
        forget()
        there, got = training.train_step(case.model, case.config, settings, case.events, tasks, there)
        assert transfers == {"to_host": 1, "to_device": len(arrays(batch))}
        assert not made["float64"] and type(got) is float
        np.testing.assert_allclose(got, want, rtol=1e-5)
    if optimiser == "sgd":  # Adam makes a whole step of what rounding leaves of a gradient that is truly 0
        assert_same(there.params, here.params, 2e-5)
    assert_same(there.moments, here.moments, 2e-5)


def test_dropout_masks_are_drawn_on_the_host_and_cross_the_bus():
    """HMAR at 13 places: input; weights, hidden and output of three behaviours' attentions and of the last step."""
    case, (params, batch), there = on_both("hmar", "float64")
    config = replace(case.config, dropout=0.3)
    want = hmar.loss(params, batch, config, np.random.default_rng(5))
    got = hmar.loss(*there, config, np.random.default_rng(5))
    assert +transfers == {"to_device": 13}
    np.testing.assert_allclose(float(got), want, rtol=1e-12)
    assert want != hmar.loss(params, batch, config)


def test_dropout_keeps_float32():
    x = to_device(np.ones((50, 4), np.float32), DEVICE)
    forget()
    kept = layers.dropout(0.5, np.random.default_rng(0))(x)
    assert kept.dtype == np.float32 and not made["float64"] and set(kept.get().ravel()) == {0.0, 2.0}


@pytest.mark.parametrize("name", ["sasrec", "hiersrec", "hiersrec, none"])
def test_the_host_finds_where_an_event_follows(name):
    """What `at` of a batch is for: asked of the device, the same places would make the host wait for it."""
    _, (_, batch), (_, there) = on_both(name, "float64")
    follow, there_follow = (x.next.item if name == "sasrec" else x.next for x in (batch, there))
    np.testing.assert_array_equal(batch.at, np.flatnonzero(follow))
    found = masks.positions(there_follow)
    assert +transfers == {"to_host": 1}
    np.testing.assert_array_equal(found.get(), batch.at)
