"""A step in shards: the loss and the gradients of the whole batch, whatever thread is the first to be ready."""
import threading
from dataclasses import replace

import autograd
import autograd.numpy as np
import numpy as onp
import pytest

from mbref import runs, training
from mbref.bench import device as bench_device
from mbref.data import windows
from mbref.nn import lookup, optim, shards
from mbref.released.hmar import data as released_hmar

SMALL = dict(users=20, items=130, length=6, width=16, batch=9)


def follow(rng, sequences, s, positive, items):
    """In the place of drawn negatives: the item after each positive, whoever asks."""
    return np.where(positive > 0, positive % items + 1, 0)


def case_of(name):
    case, = bench_device.cases([name], **SMALL)
    config = replace(case.config, dropout=0.0) if hasattr(case.config, "dropout") else case.config
    return case.model, config, case.events, case.tasks


def gradients(model, config, events, rows, number):
    """Loss and gradients of rows in so many shards; no draw makes a difference."""
    params = training.begin(model, config, training.Settings(float32=False)).params
    noise = np.random.default_rng(1)
    params = optim.tree_map(lambda a: a + noise.normal(0, 0.2, a.shape), params)

    def work(i):
        part = np.array_split(rows, number)[i]
        batch = model.training_batch(events, part, config, np.random.default_rng(2))
        return lookup.value_and_grad(model.loss, rows=True)(params, batch, config)

    value, grads = lookup.add_shards(params, shards.on_threads(work, number))
    return value, optim.tree_map(lambda g: g.add_into(g.vs.zeros()) if isinstance(g, lookup.Rows) else g, grads)


VARIANTS = {"atrank": {"weight_decay": 0.1}, "dmran": {"weight_decay": 0.1}, "hmar": {"positives": "new"},
            "hiersrec": {"softmax": "all"}}
CASES = [*((name, {}) for name in sorted(runs.MODELS)), *VARIANTS.items(), ("sasrec", {"loss": "bce"})]


@pytest.mark.parametrize("name, change", CASES, ids=[f"{name}-{'-'.join(change)}" for name, change in CASES])
def test_shards_sum_to_the_whole(name, change, monkeypatch):
    """Of unequal shards, whose means have other counts than a third of all."""
    monkeypatch.setattr(windows, "draw_negatives", follow)
    monkeypatch.setattr(released_hmar, "draw_negatives", lambda train, users, items, rng, length: np.ones(
        (len(users), length), int))
    model, config, events, tasks = case_of(name)
    if name in VARIANTS and change:
        model = runs.VARIANTS[name]
        config = model.Config(**{**vars(config), **change})
    elif change:
        config = replace(config, **change)
    rows = tasks[0][onp.r_[0:5, 7:10]]
    if rows[0].shape == (3,):
        rows = rows - onp.array([0, 0, 1]) * (onp.arange(8) % 3)[:, None]  # windows of other lengths
    want, plain = gradients(model, config, events, rows, 1)
    got, summed = gradients(model, config, events, rows, 3)
    assert got == pytest.approx(want, rel=1e-12)
    for (path, a), (_, b) in zip(optim.leaves(summed), optim.leaves(plain), strict=True):
        onp.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * max(1, onp.max(onp.abs(b))), err_msg=path)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_shards_are_added_up(number):
    found = [(float(i), {"a": np.array([i, 10.0])}) for i in (1, 2, 3)[:number]]
    value, grads = lookup.add_shards({"a": np.zeros(2)}, found)
    assert value == sum(range(number + 1)) and grads["a"].tolist() == [value, 10 * number]


def test_counts_of_all_shards_by_hand():
    asked, others = [], threading.Semaphore(0)

    def work(i):
        for _ in range(2 * (i == 0)):  # the first one comes last
            assert others.acquire(timeout=60)
        asked.append(i)
        others.release()
        return shards.whole([1, 10, 100][i]), shards.whole(i), i

    assert shards.on_threads(work, 3) == [(111, 3, 0), (111, 3, 1), (111, 3, 2)] and asked[-1] == 0
    assert shards.whole(7) == 7 and shards.on_threads(lambda i: shards.whole(5), 1) == [5]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_shard_that_fails_stops_the_others_and_is_what_one_hears_of(error):
    def work(i):
        if i == 1:
            raise error("mine")
        return shards.whole(1)  # would wait for ever

    with pytest.raises(error, match="mine"):
        shards.on_threads(work, 3)


def test_every_thread_numbers_its_own_traces():
    both = threading.Barrier(2)

    def work(i):
        def f(x):
            both.wait(timeout=20)  # both traces are open now
            numbers.append(shards.tracer.trace_stack.top)
            inner = autograd.grad(lambda y: np.sum(y**3))(x)
            both.wait(timeout=20)
            return np.sum(inner)

        return autograd.grad(f)(onp.array([1.0, 2.0])).tolist()

    numbers, before = [], shards.tracer.trace_stack.top
    assert shards.on_threads(work, 2) == [[6, 12], [6, 12]]
    assert numbers == [0, 0] and shards.tracer.trace_stack.top == before


def test_warnings_are_as_in_the_thread_that_asks():
    with onp.errstate(all="raise"), pytest.raises(FloatingPointError):
        shards.on_threads(lambda i: onp.zeros(1) / onp.zeros(1), 2)
