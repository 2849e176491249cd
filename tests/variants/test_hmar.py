"""HMAR's variants: at their defaults the paper's form, and each switch as by hand."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad

from mbref.by_hand import hmar as by_hand
from mbref.data import indicators, sequences
from mbref.data.leave_one_out import leave_one_out
from mbref.errors import InputError
from mbref.nn import optim
from mbref.papers import hmar as paper
from mbref.variants import hmar
from tests.golden.hmar import by_hand as switches
from tests.papers.test_hmar import HISTORIES, K, L, N, events, make_log, random_params
from tests.variants.equal import assert_all_statements_run, assert_same

BASE = hmar.Config(items=N, behaviours=K, width=4, length=L, heads=2, dropout=0.0,
                   weights=(0.5, 0.3, 0.2))
SWITCHES = {  # each field with another value than the default's
    "bypass": {"merge": "bypass"},
    "no indicator": {"indicator": False},
    "target's counts": {"candidate_counts": "target"},
    "log": {"count_scale": "log1p"},
    "log of the target's": {"count_scale": "log1p", "candidate_counts": "target", "target": 2},
    "new positives": {"positives": "new"},
    "target positives": {"positives": "target", "target": 2},
    "windows": {"counts": "window", "length": 4},
    "bypass of two": {"merge": "bypass", "blocks": 2, "heads": 1},
}
every_switch = pytest.mark.parametrize("change", SWITCHES.values(), ids=SWITCHES)
CONFIGS = {"as it is": {}, "two blocks": {"blocks": 2, "heads": 2, "dropout": 0.2},
           "another target": {"target": 3, "theta": 0.5, "weights": (0.2, 0.3, 0.4)}}
SMALL = {"items": N, "behaviours": K, "width": 4, "length": L}


def shop(rng):
    """Six users with 1 to 15 events and one without.  -> (events, cases)."""
    user = np.repeat(np.arange(1, 7), [9, 2, 15, 1, 6, 4])
    item, behaviour = rng.integers(1, N + 1, len(user)), rng.integers(1, K + 1, len(user))
    made = sequences.from_rows(user, item, behaviour, K)
    made = made._replace(ptr=np.append(made.ptr, len(user)), user=np.append(made.user, 7))
    return made, np.arange(7)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_variants_at_their_defaults_equal_the_paper(config):
    assert_same(paper, hmar, SMALL | config, *shop(np.random.default_rng(3)))


def test_every_statement_of_the_paper_runs_at_its_defaults():
    sizes = {"items": N, "behaviours": K}
    assert_all_statements_run(paper, sizes, *shop(np.random.default_rng(3)))


# The switches against their by-hand forms.


def train(config):
    """A training batch of the histories, as the model reads it."""
    rows, = hmar.examples(events(), config, None)
    return hmar.training_batch(events(), rows, config, np.random.default_rng(0))


def rank(config):
    return hmar.ranking_batch(events(), np.arange(len(HISTORIES)), config)


def whole_numbers(config):
    """The same training batch in float64, before any switch but `counts` has changed it."""
    made = train(replace(BASE, counts=config.counts, length=config.length))
    return indicators.map_counts(made, lambda counts: counts.astype(np.float64))


def inputs_of(config):
    """A case of the kit, as tests/golden/hmar/by_hand.py takes it."""
    batch, given = whole_numbers(config), {}
    for name, array in zip(("item", "behaviour", "counts"), batch[1:4], strict=True):
        given[name] = array
    for name in ("item", "behaviour", "counts"):
        given[f"next_{name}"] = getattr(batch.next, name)
    given |= {"negative": batch.next.negative, "negative_counts": batch.next.negative_counts}
    fields = {name: value for name, value in vars(config).items() if name != "counts"}
    return fields | {"weights": list(config.weights)} | given


@every_switch
def test_loss_and_gradients_by_hand(change):
    config = replace(BASE, **change)
    params, batch = random_params(config), hmar.change_batch(whole_numbers(config), config)

    def want(params):
        return switches.model(params, inputs_of(config))["loss"]

    assert hmar.loss(params, batch, config) == pytest.approx(want(params), abs=1e-10)
    got, other = grad(hmar.loss)(params, batch, config), grad(want)(params)
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(other), strict=True):
        onp.testing.assert_allclose(a, b, rtol=0, atol=1e-10, err_msg=name)


@every_switch
def test_training_reads_such_a_batch(change):
    """Its counts come as float32, and with them their logarithms."""
    config = replace(BASE, **change)
    got, want = train(config), hmar.change_batch(whole_numbers(config), config)
    for a, b in zip((*got[:4], *got.next, got.at), (*want[:4], *want.next, want.at), strict=True):
        onp.testing.assert_allclose(a, b, rtol=1e-6, atol=0)
    assert got.counts.dtype == np.float32


@every_switch
def test_scores_by_hand(change):
    """Of all items, of given ones, and of each row's history by hand."""
    config = replace(BASE, **change)
    params, batch = random_params(config), rank(config)
    everything = hmar.score_all(params, batch, config)
    given = np.array([[3, 1, 7], [2, 2, 5], [1, 6, 4], [7, 1, 2]])
    onp.testing.assert_allclose(hmar.score(params, batch, given, config),
                               np.take_along_axis(everything, given - 1, axis=1), atol=1e-12)
    for row, (items, behaviours) in zip(everything, HISTORIES, strict=True):
        items, behaviours = items[-config.length :], behaviours[-config.length :]
        if config.counts == "window":
            whole = items, behaviours
        else:
            whole = HISTORIES[[h[0][-config.length :] for h in HISTORIES].index(items)]
        want = scores_by_hand(params, items, behaviours, whole, config)
        onp.testing.assert_allclose(row, want, atol=1e-10)


def scores_by_hand(params, items, behaviours, whole, config):
    """Scores of all items after the newest events of a history, whose events `whole` count."""
    before = len(whole[0]) - len(items)
    counts = [switches.read_counts(c, config) for c in by_hand.running_indicators(*whole, K)]
    z = switches.forward(params, items, behaviours, counts[before:], config)[-1]
    scores = []
    for item in range(1, N + 1):
        own = by_hand.historical_indicator(*whole, item, len(whole[0]), K)
        c = switches.read_counts(switches.choose_counts(own, config), config)
        scores.append(by_hand.score(params, z, item, c))
    return scores


@every_switch
def test_it_is_the_switch_that_makes_the_difference(change):
    """The loss is another than with the defaults and the same sizes."""
    config = replace(BASE, **change)
    sizes = {name: change[name] for name in change if name in ("blocks", "heads", "length")}
    plain = replace(BASE, **sizes)
    params = random_params(config)
    got, same = hmar.loss(params, train(config), config), hmar.loss(params, train(plain), plain)
    assert abs(got - same) > 1e-4


@every_switch
def test_gradient_of_every_parameter_by_central_differences(change):
    config = replace(BASE, **change)
    params, batch = random_params(config), train(config)
    got, step = grad(hmar.loss)(params, batch, config), 1e-5
    largest = max(np.abs(a).max() for _, a in optim.leaves(got))

    def slope(name, at):
        ends = []
        for by in (step, -step):
            copy = optim.tree_map(np.array, params)
            dict(optim.leaves(copy))[name][at] += by
            ends.append(hmar.loss(copy, batch, config))
        return (ends[0] - ends[1]) / (2 * step)

    for name, a in optim.leaves(got):
        for at in onp.ndindex(a.shape):
            assert a[at] == pytest.approx(slope(name, at), abs=1e-7 * largest), (name, at)


@every_switch
@pytest.mark.parametrize("t", range(1, 4))
def test_no_look_into_the_future(change, t):
    """Change all from t on, items, behaviours and counts: the states before t are bit-identical."""
    config = replace(BASE, **change)
    params, batch = random_params(config), train(config)
    item, behaviour, counts = (np.array(x) for x in batch[1:4])
    item[:, t:], behaviour[:, t:], counts[:, t:] = 6, 3, 5.0
    changed = batch._replace(item=item, behaviour=behaviour, counts=counts)
    before, after = (hmar.forward(params, b, config) for b in (batch, changed))
    real = (batch.item[:, :t] > 0)[..., None]
    onp.testing.assert_array_equal(after[:, :t] * real, before[:, :t])
    assert np.abs(after - before)[:, -1].max() > 1e-3


# What batches contain.


def test_counts_of_the_window_see_nothing_before_it():
    config = replace(BASE, counts="window", length=3)
    batch = train(config)
    for b, (item, behaviour) in enumerate(zip(batch.item, batch.behaviour, strict=True)):
        at = np.flatnonzero(item)
        want = by_hand.running_indicators(item[at], behaviour[at], K)
        onp.testing.assert_array_equal(batch.counts[b][at], want)
    running = train(replace(config, counts="running"))
    assert (running.counts >= batch.counts).all() and (running.counts > batch.counts).any()


def test_counts_of_the_whole_log_hold_what_is_held_out():
    items, behaviours = np.array([3, 1, 3, 5, 3]), np.array([2, 1, 3, 1, 1])
    log = make_log(np.ones(5, int), items, behaviours)
    seen = {}
    for counts in ("running", "whole-log"):
        config = replace(BASE, counts=counts)
        assert hmar.history_counts(config) == counts
        split = leave_one_out(log, "a", counts=hmar.history_counts(config))
        seen[counts] = hmar.ranking_batch(split.test.history, np.array([0]), config).counts[0, 2:]
    assert seen["running"].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert seen["whole-log"].tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 0, 0]]


def test_without_indicator_no_count_is_left():
    config = replace(BASE, indicator=False)
    batch, ranking = train(config), rank(config)
    counts = (batch.counts, batch.next.counts, batch.next.negative_counts, ranking.counts,
              *ranking.history[2:])
    assert not any(a.any() for a in counts)


def test_new_positives_are_chosen_by_counts_that_the_model_does_not_see():
    seen, hidden = (train(replace(BASE, positives="new", indicator=i)) for i in (True, False))
    onp.testing.assert_array_equal(seen.next.ranked, hidden.next.ranked)
    follow = seen.next
    onp.testing.assert_array_equal(
        follow.ranked, (follow.item > 0) & (follow.counts.sum(axis=-1) == 0))
    assert follow.ranked.any() and (follow.ranked != (follow.item > 0)).any()


def test_newest_windows_alone():
    config = replace(BASE, length=3)
    every, = hmar.examples(events(), config, None)
    newest, = hmar.examples(events(), replace(config, newest_only=True), None)
    last = [every[every[:, 0] == s, 2].max() for s in range(len(HISTORIES))]
    assert newest[:, 2].tolist() == last and len(newest) == len(HISTORIES) < len(every)


def test_steps_without_behaviour_encoder_leave_its_parameters():
    config = replace(BASE, merge="bypass")
    gradient = grad(hmar.loss)(random_params(config), train(config), config)["blocks"][0]
    assert not any(a.any() for _, a in optim.leaves(gradient["behaviour"]))
    assert gradient["sequence"]["q"]["w"].any()


@pytest.mark.parametrize("wrong", [
    dict(merge="none"), dict(counts="all"), dict(candidate_counts="x"), dict(positives="x"),
    dict(count_scale="log2"), dict(target=4), dict(dropout=1.0)])
def test_config_refuses(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        hmar.Config(**{"items": 5, "behaviours": 3, **wrong})
