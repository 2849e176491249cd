"""DMRAN's variants at their defaults are the paper's form; each switch does what it says."""
from dataclasses import replace

import numpy as np
import pytest

from mbref.data import sequences
from mbref.errors import InputError
from mbref.papers import dmran
from mbref.variants import dmran as variants
from tests.papers.dmran_rows import DAY, OTHER, map_history, random_params, training_batch
from tests.variants.equal import assert_all_statements_run, assert_same

SMALL = {"width": 8, "hops": 3, "length": 6}
CONFIGS = {"as it is": {}, "categories": {"categories": 4}, "one hop": {"hops": 1},
           "penalties": {"penalty": 0.1, "redundancy": 0.5, "unit": 3600}}


def shop(rng, has_categories):
    """Nine users, all but one with 1 to 9 events.  -> (events, cases to rank from)."""
    sizes = np.append(rng.integers(1, 10, 8), 0)
    user = np.repeat(np.arange(1, 10), sizes)
    events = sequences.from_rows(user, rng.integers(1, 13, len(user)), np.ones(len(user), int), 1)
    # an empty history, as a user has whose only event is held out
    events = events._replace(ptr=np.append(events.ptr, events.ptr[-1]), user=np.arange(1, 10))
    category = rng.integers(0, 5, 13) if has_categories else None
    return events._replace(time=np.sort(rng.integers(0, 900 * DAY, len(user))),
                           now=np.full(9, 1000 * DAY), category=category), np.arange(9)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_variants_at_their_defaults_equal_the_paper(config):
    events, cases = shop(np.random.default_rng(3), "categories" in config)
    batch = dmran.ranking_batch(events, cases, dmran.Config(items=12, **SMALL))
    lengths = (batch.histories[0].item > 0).sum(axis=1)
    assert lengths[-1] == 0 and len(set(lengths)) > 3  # an empty history, and padding
    assert_same(dmran, variants, {"items": 12} | SMALL | config, events, cases)


def test_every_statement_of_the_paper_runs_at_its_defaults():
    """With categories, which the log has."""
    events, cases = shop(np.random.default_rng(3), True)
    assert_all_statements_run(dmran, {"items": 12, "categories": 4}, events, cases)


# Switches.

def superset():
    """Parameters of every switch at once."""
    return random_params(replace(OTHER, robust=True, item_bias=True))


def losses(start, change):
    """On the same weights and events, without the change and with it."""
    params, start = superset(), replace(OTHER, **start)
    both = start, replace(start, **change)
    return [variants.loss(params, training_batch(config), config) for config in both]


@pytest.mark.parametrize("start, change", [
    ({}, dict(variant="item")), ({}, dict(variant="feature")), ({}, dict(fuse=False)),
    (dict(variant="feature"), dict(fuse=False)),
    ({}, dict(bucket="release")), ({}, dict(diagonal=False)),
    (dict(variant="feature"), dict(diagonal=False)),
    ({}, dict(pool="mean")), ({}, dict(robust=True)), (dict(robust=True), dict(heads=1)),
    ({}, dict(item_bias=True)),
    ({}, dict(redundancy=0.2)), ({}, dict(penalty=0.02)), ({}, dict(weight_decay=0.1)),
    ({}, dict(length=2)), ({}, dict(unit=3 * DAY)), ({}, dict(unit=3600)),
])
def test_no_switch_is_dead(start, change):
    without, with_it = losses(start, change)
    assert abs(without - with_it) > 1e-7


@pytest.mark.parametrize("start, change", [
    (dict(variant="item"), dict(diagonal=False)), (dict(variant="feature"), dict(redundancy=9.0)),
    (dict(variant="item"), dict(fuse=False)), ({}, dict(heads=1)),
    (dict(robust=True), dict(pool="mean")),
])
def test_where_a_switch_has_nothing_to_switch(start, change):
    without, with_it = losses(start, change)
    assert without == with_it


def test_without_time_gaps_are_ignored():
    batch = training_batch(OTHER)
    moved = map_history(batch, lambda name, x: x // 2 + 20 if name == "gap" else x)
    for config, is_ignored in ((replace(OTHER, time=False), True), (OTHER, False)):
        params = random_params(config)
        assert ("T" in params) != is_ignored
        before, after = (variants.score_all(params, one, config) for one in (batch, moved))
        same = before == after
        assert same.all() if is_ignored else not same.all(axis=1).any()
    W_0 = variants.init(np.random.default_rng(0), variants.Config(items=5, time=False))["W_0"]
    assert W_0["w"].shape == (128, 128)


@pytest.mark.parametrize("wrong, sentence", [
    (dict(variant="none"), "variant is 'none': choose one of full, item, feature."),
    (dict(bucket="day"), "bucket is 'day': choose one of release, paper."),
    (dict(pool="max"), "pool is 'max': choose one of attention, mean."),
    (dict(heads=0), "heads is 0: it must be at least 1."),
    (dict(width=12), "width is 12: it must be a multiple of heads, 8."),
    (dict(width=3, heads=1), "width is 3: it must be even."),
    (dict(width=2, heads=1, robust=True), "width is 2: it must be at least 4 when robust."),
    *((dict(weight_decay=value), f"weight_decay is {value}: it must be at least 0 and a number.")
      for value in (-1.0, float("nan"), float("inf"))),
])
def test_config_refuses(wrong, sentence):
    with pytest.raises(InputError) as error:
        variants.Config(**{"items": 5, **wrong})
    assert str(error.value) == sentence
