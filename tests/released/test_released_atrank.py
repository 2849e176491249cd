"""released/atrank: against the same in torch, against variants/atrank.py, and by hand.

The release's own recorded states are run in test_parity.py.
"""
import json
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from autograd import grad

from mbref.data import group_events, sequences
from mbref.data.groups import read_groups
from mbref.errors import InputError
from mbref.nn import optim
from mbref.check import parity
from mbref.released.atrank import (
    baselines as atrank_baselines,
    model as atrank,
    recorded as atrank_recorded,
    trainable,
)
from mbref.released.atrank.model import Batch, History
from mbref.variants import atrank as variants
from tests.optional import require
from tests.released import atrank_folders

DAY = 86400
TINY = Path(__file__).parents[2] / "tiny_data" / "groups"
SMALL = (("user", 4, 8), ("item", 9, 5), ("category", 4, 3))  # tables, as wide as width 8 together
RUNS = [("att", s + "2" + t, g) for s in "iqca" for t in "iqca" for g in ("iqc" if t == "a" else t)]
RUNS += [(net, s + "2" + t, t) for net in ("rnn", "rna", "cnn") for s in "iqc" for t in "iqc"]


def small(name, **more):
    """A folder's Config, but for multi's, on 9 items of 4 categories (from 0) and 4 users."""
    return atrank.variant(name, **{"tables": SMALL, "width": 8, "heads": 2, "sizes": 3,
                                   "filters": 4} | more)


def random_params(config, seed=0):
    rng = np.random.default_rng(seed)
    return optim.tree_map(lambda a: rng.normal(0, 0.4, a.shape), atrank.init(rng, config))


def log_of(histories=((3, 1, 3, 5, 1, 2, 3, 8), (4, 4, 2), (6, 1), (2, 5, 9, 7, 2))):
    """One sequence a user, an event every few days; items 1..9, three categories."""
    item = np.concatenate([np.array(h, int) for h in histories])
    user = np.repeat(np.arange(1, len(histories) + 1), [len(h) for h in histories])
    return sequences.from_rows(user, item, np.ones_like(item), 1)._replace(
        time=np.arange(len(item)) ** 2 * DAY, now=np.full(len(histories), 10**3 * DAY),
        category=np.append(0, np.arange(9) % 3 + 1))


def small_batch(config, histories=((3, 1, 5), (4,), (6, 1)), candidates=((2,), (0,), (7,))):
    """Histories of items from 0, padded to the longest of them."""
    length = np.array([len(h) for h in histories])
    item = np.array([[*h, *[0] * (length.max() - len(h))] for h in histories])
    time = (3 * item + 1) % 13 * (np.arange(item.shape[1]) < length[:, None])
    features = np.stack([np.arange(9), np.arange(9) % 4], axis=1)
    return Batch((History(item, 0 * item, time, length),), (features,), np.arange(len(length)) % 4,
                 candidate=np.array(candidates), label=np.arange(len(length))[:, None] % 2 == 0)


# the second implementation


def failures(arrays):
    """Rows of parity that do not agree, and the number of all."""
    found = atrank_recorded.recompute(arrays, json.loads(str(arrays["meta/config"])))
    rows = parity.compare_all(arrays, found, "float64")
    return [row for row in rows if not row.ok], len(rows)


def assert_agrees(arrays):
    wrong, count = failures(arrays)
    results = [name for name in arrays if name.split("/")[0] in ("outputs", "grads", "after")]
    assert wrong == [] and count == len(results) > 10


@pytest.fixture(scope="module")
def torch_twin():
    require("torch")
    from tests.released import released_atrank_torch as atrank_torch
    return atrank_torch


@pytest.mark.parametrize("kind", ["atrank", "atrank/cnn", "atrank/rnn", "atrank/rnn_att",
                                  "atrank/bpr"])
@pytest.mark.parametrize("seed", range(3))
def test_a_folder_equals_torch(torch_twin, kind, seed):
    assert_agrees(torch_twin.draw_state(kind, seed))


@pytest.mark.parametrize("net, groups, target", RUNS, ids=lambda x: x)
def test_every_run_of_multi_equals_torch(torch_twin, net, groups, target):
    assert_agrees(torch_twin.draw_state("atrank/multi", len(net + groups), f"{net}-{groups}",
                                        target, steps=(1,)))


@pytest.mark.parametrize("kind, run, target, longest", [
    ("atrank", "", "i", (6, 0, 0)), ("atrank/cnn", "", "i", (4, 0, 0)),
    ("atrank/multi", "att-c2q", "q", (2, 1, 5)),
    ("atrank/multi", "att-a2c", "c", (3, 4, 2)), ("atrank/multi", "att-a2q", "q", (3, 0, 2)),
    ("atrank/multi", "cnn-q2i", "i", (1, 3, 1)), ("atrank/multi", "rna-c2c", "c", (1, 1, 1)),
])
def test_empty_histories_equal_torch(torch_twin, kind, run, target, longest):
    """Where nothing may be attended to the release's weights are uniform over padding; groups
    without any event too."""
    state = torch_twin.draw_state(kind, 3, run, target, longest, empty=not run.startswith("rna"),
                                  steps=(1,))
    assert_agrees(state)


@pytest.mark.parametrize("kind, run, length", [
    ("atrank/multi", "cnn-i2i", 22), ("atrank/multi", "cnn-i2i", 26),
    ("atrank/multi", "cnn-i2i", 30),
    ("atrank/cnn", "", 493), ("atrank/cnn", "", 500)])
def test_histories_up_to_the_padding_equal_torch(torch_twin, kind, run, length):
    """A full history leaves no zeros for the filters to run into."""
    assert_agrees(torch_twin.draw_state(kind, 4, run, "i", (length, 1, 1), steps=(1,)))


@pytest.mark.parametrize("clip", [0.0, 0.05, 1e6])
@pytest.mark.parametrize("kind", ["atrank", "atrank/bpr"])
def test_clipping_equals_torch(torch_twin, kind, clip):
    state = torch_twin.draw_state(kind, 5, clip=clip)
    assert_agrees(state)
    moved = sum(np.sum((state[name.replace("params", "after/1")] - a) ** 2)
                for name, a in state.items() if name.startswith("params/")) ** 0.5
    rate = json.loads(str(state["meta/config"]))["lr"]
    unmerged, dense = (float(state[f"outputs/global_norm_{name}"]) for name in ("tf", "dense"))
    factor = 0.05 / unmerged if clip == 0.05 else 1
    assert unmerged != dense and moved == pytest.approx(rate * dense * factor)


def test_torch_state_of_another_model_fails(torch_twin):
    """The comparison above can fail: one head more, one weight moved, another run of multi."""
    state = torch_twin.draw_state("atrank", 1)
    about = json.loads(str(state["meta/config"]))
    other = about | {"num_heads": 1 if about["num_heads"] > 1 else 2}
    heads = {"meta/config": np.array(json.dumps(other))}
    for change in (heads, {"params/item_b": state["params/item_b"] + 1e-6}):
        assert failures(state | change)[0]
    state = torch_twin.draw_state("atrank/multi", 1, "rnn-i2i")
    about = json.loads(str(state["meta/config"])) | {"net_type": "rna-i2i"}
    assert failures(state | {"meta/config": np.array(json.dumps(about))})[0]


# variants/atrank.py, and the model to train


def released_form(categories):
    """variants/atrank.py in the form of the release, and that of the model to train."""
    sizes = {"items": 9, "categories": categories, "table_width": 4, "heads": 2, "blocks": 2,
             "penalty": 0.01}
    width = 4 * (1 + (categories > 0))
    return variants.Config(**sizes, width=width, **variants.RELEASED), trainable.Config(**sizes)


def as_variants(params):
    """The release's parameters, of ids from 0, for variants/atrank.py. Category 0 is unknown to
    both."""
    tables = {"item": np.pad(params["tables"]["item"], ((1, 0), (0, 0)))}
    tables |= {name: table for name, table in params["tables"].items() if name == "category"}
    return {**params, "tables": tables, "bias": [np.append(0, params["bias"][0])]}


@pytest.mark.parametrize("categories", [0, 3])
def test_variants_in_the_released_form_are_the_release(categories):
    """Without an empty history: scores, loss and gradients, through the protocol's functions of
    both."""
    config, own = released_form(categories)
    log = log_of()
    log = log if categories else log._replace(category=None)
    params = random_params(trainable.read_sizes(own))
    if categories:
        params["tables"]["category"][0] = 0  # unknown to both
    theirs = as_variants(params)
    ours, made = (model.training_batch(log, model.examples(log, some, np.random.default_rng(0))[0],
                                       some, None)
                  for model, some in ((variants, config), (trainable, own)))
    assert trainable.loss(params, made, own) == pytest.approx(variants.loss(theirs, ours, config),
                                                              abs=1e-13)
    got, want = grad(trainable.loss)(params, made, own), grad(variants.loss)(theirs, ours, config)
    np.testing.assert_allclose(got["tables"]["item"], want["tables"]["item"][1:], atol=1e-13)
    np.testing.assert_allclose(got["bias"][0], want["bias"][0][1:], atol=1e-13)
    for part in ("groups", "self", "vanilla"):
        for (path, a), (_, b) in zip(optim.leaves(got[part]), optim.leaves(want[part]),
                                     strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13, err_msg=path)
    ranked, their_ranked = (model.ranking_batch(log, np.arange(4), some)
                            for model, some in ((trainable, own), (variants, config)))
    every = trainable.score_all(params, ranked, own)
    assert every.shape == (4, 9)
    np.testing.assert_allclose(every, variants.score_all(theirs, their_ranked, config), atol=1e-12)
    some = np.array([[9, 1], [2, 2], [3, 8], [1, 4]])
    np.testing.assert_allclose(trainable.score(params, ranked, some, own),
                               np.take_along_axis(every, some - 1, 1),
                               atol=1e-13)


def test_the_model_to_train_reads_the_newest_events_and_draws_dropout():
    _, config = released_form(3)
    log, cases = log_of(), np.arange(4)
    whole = trainable.ranking_batch(log, cases, config)
    newest = trainable.ranking_batch(log, cases, replace(config, length=2))
    assert whole.histories[0].length.tolist() == [8, 3, 2, 5]
    assert newest.histories[0].length.tolist() == [2] * 4
    assert newest.histories[0].item[:, 1].tolist() == [7, 1, 0, 1]  # items 8, 2, 1, 2
    hours = trainable.ranking_batch(log, cases, replace(config, unit=3600))
    assert (hours.histories[0].time >= whole.histories[0].time).all()
    dropped, params = replace(config, dropout=0.5), trainable.init(np.random.default_rng(0), config)
    rows, = trainable.examples(log, config, np.random.default_rng(0))
    batch = trainable.training_batch(log, rows, config)
    assert trainable.loss(params, batch, dropped) == trainable.loss(params, batch, config)
    drawn = trainable.loss(params, batch, dropped, np.random.default_rng(0))
    assert drawn != trainable.loss(params, batch, config)


@pytest.mark.parametrize("categories, total", [
    (100, 791_248), (0, 10_000 * 65 + 77 * 64 + 2 * (3 * 65 * 64 + 65 * 16 + 17 * 64 + 4 * 64))])
def test_the_model_to_train_has_the_sizes_of_the_release(categories, total):
    """100 categories as the release counts are 99 and the unknown one; 10,000 items at its
    defaults."""
    config = trainable.Config(10_000, categories and categories - 1)
    params = trainable.init(np.random.default_rng(0), config)
    count = sum(a.size for _, a in optim.leaves(params))
    assert count == total


@pytest.mark.parametrize("wrong, part", [
    ({"heads": 3}, "8 wide: that must be a multiple of heads"),
    ({"table_width": 1, "heads": 1}, "2 wide"),
    ({"items": 0}, "items is 0"), ({"length": 0}, "length is 0"),
    ({"dropout": 1.0}, "dropout is 1.0"),
    ({"penalty": -1.0}, "penalty is -1.0")])
def test_bad_sizes_of_the_model_to_train_are_refused(wrong, part):
    with pytest.raises(InputError, match=part):
        trainable.Config(**{"items": 9, "categories": 3, "table_width": 4, "heads": 2} | wrong)


@pytest.mark.parametrize("name, same",
                         [("atrank", False), ("cnn", True), ("rnn", True), ("rnn_att", True)])
def test_an_empty_history_is_item_0_to_the_attention_net(name, same):
    """What follows the end of a history is item 0: seen where nothing else is, and never where
    something is."""
    config = small(name)
    params, batch = random_params(config), small_batch(config, ((3, 1, 5), ()), ((2,), (2,)))
    before = atrank.score(params, batch, batch.candidate, config)
    params["tables"]["item"][0] += 1
    after = atrank.score(params, batch, batch.candidate, config)
    assert before[0] == after[0] and (before[1] == after[1]) == same


@pytest.mark.parametrize("name", ["atrank", "cnn", "rnn", "rnn_att"])
def test_more_padding_changes_nothing(name):
    config = small(name)
    params, batch = random_params(config), small_batch(config)
    item, action, time, length = batch.histories[0]
    more = (np.pad(x, ((0, 0), (0, 4)), constant_values=5) for x in (item, action, time))
    longer = batch._replace(histories=(History(*more, length),))
    want, got = (grad(atrank.loss)(params, b, config) for b in (batch, longer))
    for (path, a), (_, b) in zip(optim.leaves(want), optim.leaves(got), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-13, err_msg=path)


def test_scores_of_all_items_equal_those_of_given_ones():
    for name in atrank.VARIANTS.keys() - {"multi"}:
        config = small(name)
        params, batch = random_params(config), small_batch(config)
        every = np.broadcast_to(np.arange(9), (3, 9))
        np.testing.assert_allclose(atrank.score_all(params, batch, config),
                                   atrank.score(params, batch, every, config), atol=1e-13)


# figures of the sheet, and by hand


@pytest.mark.parametrize("items, categories, total",
                         [(63001, 801, 4_281_177), (10_000, 100, 791_248)])
def test_number_of_parameters(items, categories, total):
    config = atrank.variant("atrank", tables=(("item", items, 64), ("category", categories, 64)))
    params = atrank.init(np.random.default_rng(0), config)
    assert sum(prod(a.shape) for _, a in optim.leaves(params)) == total


def test_initial_values():
    config = small("bpr", tables=(("user", 4, 8), ("item", 3000, 5), ("category", 4, 3)))
    params = atrank.init(np.random.default_rng(0), config)
    for array, limit in ((params["bias"][0], (3 / 3000) ** 0.5),
                         (params["tables"]["item"], (6 / 3005) ** 0.5)):
        assert 0.99 * limit < np.max(np.abs(array)) <= limit and abs(array.mean()) < 0.05 * limit
    params = atrank.init(np.random.default_rng(0), small("cnn"))
    assert not params["bias"][0].any() and all((p["b"] == 0.1).all() for p in params["filters"])
    assert max(np.max(np.abs(p["w"])) for p in params["filters"]) <= 0.2


def test_multi_has_the_widths_of_the_release():
    """332, 76 and 204 columns into the 256 of the groups' layers; the CNN pads to 30 events, that
    of cnn/ to 500."""
    names = ("user", "item", "shop", "category", "brand", "action", "query", "coupon")
    config = atrank.variant("multi", tables=tuple((name, 4, 64) for name in names))
    params = atrank.init(np.random.default_rng(0), config)
    assert [p["w"].shape for p in params["groups"]] == [(332, 256), (76, 256), (204, 256)]
    assert config.sizes * config.filters == 256 and params["self"][0]["f1"]["w"].shape == (256, 64)
    config = replace(config, net="cnn", read=(1,))
    alone = atrank.variant("cnn", tables=config.tables)
    assert (config.sizes, config.padded) == (8, 30) and (alone.sizes, alone.padded) == (10, 500)
    # no layer follows the pooled features
    assert "user" not in atrank.init(np.random.default_rng(0), config)


def test_bpr_by_hand():
    config = small("bpr", penalty=0.1)
    params, batch = random_params(config), small_batch(config, candidates=((2, 5), (0, 8), (7, 7)))
    tables, bias = params["tables"], params["bias"][0]

    def code(i):
        return np.append(tables["item"][i], tables["category"][i % 4])

    want = 0.0
    for u, (i, j) in zip(tables["user"][:3], batch.candidate, strict=True):
        x = bias[i] - bias[j] + u @ (code(i) - code(j))
        want += np.log(1 + np.exp(-x)) / 3 + 0.05 * (u @ u + code(i) @ code(i) + code(j) @ code(j))
    assert atrank.loss(params, batch, config) == pytest.approx(want, abs=1e-13)


@pytest.mark.parametrize("padded, want", [(3, [5, 0]), (4, [5, 5]), (500, [5, 5])])
def test_filters_see_what_is_padded_and_no_more(padded, want):
    """Events 1, 3, 5; a filter of one event, and one of two that wants the second to be missing:
    first - 9 second."""
    filters = [{"w": np.array([[1.0]]), "b": np.zeros(1)},
               {"w": np.array([[1.0], [-9.0]]), "b": np.zeros(1)}]
    x, real = np.array([[[1.0], [3.0], [5.0]]]), np.ones((1, 3), bool)
    config = small("cnn", padded=padded, sizes=2)
    found = atrank_baselines.pooled_features({"filters": filters}, x, real, config,
                                             lambda pooled: pooled, None)
    assert found.tolist() == [want]


def test_unmerged_norm_by_hand():
    """One user in both rows: the norm takes its two rows of gradient, the dense gradient their
    sum."""
    config = small("bpr", penalty=0.0)
    params = random_params(config)
    batch = small_batch(config, ((1,), (1,)), ((2, 5), (2, 8)))._replace(user=np.array([1, 1]))
    tables, bias, squares = params["tables"], params["bias"][0], 0.0
    for i, j in batch.candidate:
        apart = [np.append(tables["item"][k], tables["category"][k % 4]) for k in (i, j)]
        u, difference = tables["user"][1], apart[0] - apart[1]
        # of the mean over two rows
        slope = -1 / (1 + np.exp(bias[i] - bias[j] + u @ difference)) / 2
        # user, two items with categories, biases
        squares += slope**2 * (difference @ difference + 2 * (u @ u) + 2)
    norm = atrank_recorded.unmerged_norm(params, batch, config)
    assert norm == pytest.approx(squares**0.5, abs=1e-13)
    grads = grad(atrank.loss)(params, batch, config)
    assert norm < 0.99 * optim.global_norm(grads)
    moved = atrank_recorded.step(params, batch, config, 0.5, clip=norm / 3)
    for (_, new), (_, old), (_, g) in zip(*map(optim.leaves, (moved, params, grads)), strict=True):
        np.testing.assert_allclose(new, old - 0.5 / 3 * g, atol=1e-14)


def test_look_ups_apart_changes_no_score():
    for name in atrank.VARIANTS.keys() - {"multi"}:
        config = small(name)
        pairs = ((2, 5), (0, 0), (7, 1)) if name == "bpr" else ((2,), (0,), (7,))
        params, batch = random_params(config), small_batch(config, candidates=pairs)
        apart, new = atrank_recorded.look_ups_apart(params, batch, config)
        assert atrank.loss(apart, new, config) == atrank.loss(params, batch, config)
        used = np.concatenate([features.ravel() for features in new.features])
        assert len(np.unique(new.candidate)) == batch.candidate.size
        assert len(used) == 2 * len(apart["tables"]["item"])


# training


@pytest.mark.parametrize("name", ["atrank", "cnn", "rnn", "rnn_att", "bpr"])
def test_steps_of_the_release_lower_its_loss(name):
    config = small(name)
    log, rng = log_of(), np.random.default_rng(0)
    rows, = atrank_folders.examples(log, config, rng)
    batch = atrank_folders.training_batch(log, rows, config, rng)
    twice = 1 if name == "bpr" else 2  # a target and its negative are samples of their own
    assert batch.candidate.shape == ((28, 1) if twice == 2 else (14, 2))
    assert batch.user.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 3] * twice
    # none is cut
    assert batch.histories[0].length.tolist() == [1, 2, 3, 4, 5, 6, 7, 1, 2, 1, 1, 2, 3, 4] * twice
    params = atrank.init(rng, config)
    first = atrank.loss(params, batch, config)
    for _ in range(60):
        params = atrank_recorded.step(params, batch, config, rate=0.5, clip=5)
    assert atrank.loss(params, batch, config) < 0.8 * first
    ranked = atrank_folders.ranking_batch(log, np.arange(4), config)
    assert atrank.score_all(params, ranked,
                            config).shape == (4, 9) and ranked.user.tolist() == [0, 1, 2, 3]


def test_multi_trains_on_a_log_of_groups():
    log = read_groups(TINY / "events.csv")
    sizes = {name: top + 1 for name, top in log.sizes.items()} | {"user": len(log.users),
                                                                  "action": len(log.actions)}
    sizes |= {names[0]: log.sizes[names[0]] for names in log.feature_names}  # objects count from 0
    config = atrank.variant("multi", tables=tuple((name, rows, 4) for name, rows in sizes.items()),
                            width=8, heads=2)
    events = group_events.GroupEvents(log, np.arange(300), (0, 1, 2), (0, 1, 2))
    rng = np.random.default_rng(0)
    for group, rows in enumerate(atrank_folders.examples(events, config, rng)):
        batch = atrank_folders.training_batch(events, rows[:40], config, rng)
        assert batch.group == group and batch.user.tolist() == (log.user[rows[:40, 0]] - 1).tolist()
        params = atrank.init(rng, config)
        first = atrank.loss(params, batch, config)
        for _ in range(10):
            params = atrank_recorded.step(params, batch, config, rate=0.1, clip=5)
        assert atrank.loss(params, batch, config) < first


def test_dropout_is_drawn_in_training_alone():
    for name in ("atrank", "cnn"):
        config = small(name, dropout=0.5)
        params, batch = random_params(config), small_batch(config)
        silent = atrank.loss(params, batch, config)
        assert silent == atrank.loss(params, batch, replace(config, dropout=0.0))
        assert silent != atrank.loss(params, batch, config, np.random.default_rng(0))


def test_a_catalogue_without_a_negative_is_refused():
    log = log_of(((1, 1, 1),))._replace(category=np.array([0, 1]))
    config = small("atrank", tables=(("item", 1, 5), ("category", 4, 3)))
    rows, = atrank_folders.examples(log, config, np.random.default_rng(0))
    with pytest.raises(InputError, match="no negative"):
        atrank_folders.training_batch(log, rows, config)


def test_a_history_longer_than_the_padding_is_refused():
    config = small("cnn", padded=2)
    with pytest.raises(InputError, match="3 events .* 2 that"):
        atrank.loss(random_params(config), small_batch(config), config)


@pytest.mark.parametrize("name, change, part", [
    ("atrank", {"net": "gru"}, "net"), ("atrank", {"query": "own"}, "query"),
    ("atrank", {"heads": 3}, "heads"),
    ("atrank", {"read": (1,)}, "read"), ("atrank", {"read": ()}, "read one"),
    ("rnn", {"read": (0, 0)}, "read one"),
    ("bpr", {"read": (0,)}, "mf reads none"), ("atrank", {"actions": ()}, "actions"),
    ("cnn", {"sizes": 0}, "sizes"),
    ("cnn", {"last": False, "filters": 3}, "sizes times filters"),
    ("atrank", {"dropout": 1.0}, "dropout"),
    ("atrank", {"penalty": float("nan")}, "penalty"),
    ("atrank", {"tables": (("item", 9, 5), ("category", 4, 2))}, "wide"),
    ("bpr", {"tables": (("user", 4, 7), *SMALL[1:])}, "user must be 8 wide"),
])
def test_bad_configs_are_refused(name, change, part):
    with pytest.raises(InputError, match=part):
        small(name, **{"tables": SMALL} | change)
