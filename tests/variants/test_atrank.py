"""ATRank's variants at their defaults are its printed form, for one group and several."""
import numpy as np
import pytest

from mbref.data import group_events, groups, sequences, shipped
from mbref.papers import atrank
from mbref.variants import atrank as variants
from tests.variants.equal import assert_all_statements_run, assert_same

DAY = 86400
SMALL = {"table_width": 4, "width": 8, "heads": 2, "length": 6}
CONFIGS = {"as it is": {}, "pairs": {"pairs": True}, "two blocks": {"blocks": 2, "dropout": 0.3}}


def shop(rng, tmp_path):
    """Nine users with 2 to 9 events, some of items without category.  -> (sizes, events, cases)."""
    sizes = rng.integers(2, 10, 9)
    user = np.repeat(np.arange(1, 10), sizes)
    item, behaviour = rng.integers(1, 13, len(user)), rng.integers(1, 3, len(user))
    time, category = np.sort(rng.integers(0, 900 * DAY, len(user))), rng.integers(0, 5, 13)
    events = sequences.from_rows(user, item, behaviour, 2)._replace(
        time=time, now=np.full(9, 1000 * DAY), category=category)
    return {"items": 12, "categories": 4}, events, np.arange(9)


def mall(rng, tmp_path):
    """Five users' items, queries and coupons; coupons are ranked.  -> (sizes, events, cases)."""
    log = groups.read_groups(shipped.tiny_data() / "groups/events.csv")
    sizes = {"tables": tuple(log.sizes.items()), "groups": log.feature_names,
             "actions": (len(log.actions), 0, 0)}
    every = (0, 1, 2)
    first = np.flatnonzero(log.user <= 5)
    events = group_events.GroupEvents(log, first, every, every)
    return sizes, events, first[log.group[first] == 2][::5]


@pytest.mark.parametrize("log", [shop, mall])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_variants_at_their_defaults_equal_the_paper(log, config, tmp_path):
    sizes, events, cases = log(np.random.default_rng(3), tmp_path)
    assert_same(atrank, variants, sizes | SMALL | config, events, cases)


def test_every_statement_of_the_paper_runs_at_its_defaults(tmp_path):
    """With several groups, whose actions are read."""
    sizes, events, cases = mall(np.random.default_rng(3), tmp_path)
    assert_all_statements_run(atrank, sizes, events, cases)


def test_without_time_gaps_change_nothing_and_without_self_attention_events_stay_as_they_come(tmp_path):
    sizes, events, cases = shop(np.random.default_rng(3), tmp_path)
    later = events._replace(now=events.now + 4000 * DAY)

    def states(made_of, **switches):
        config = variants.Config(**sizes, **SMALL, **switches)
        params = variants.init(np.random.default_rng(4), config)
        taps = {}
        batch = variants.ranking_batch(made_of, cases, config)
        scores = variants.score_all(params, batch, config)
        variants.forward(params, batch, config, taps.__setitem__)
        return scores, taps["input"], taps["states"]

    np.testing.assert_array_equal(states(events, time=False)[0], states(later, time=False)[0])
    assert np.abs(states(events)[0] - states(later)[0]).max() > 1e-3
    _, read, left = states(events, self_attention=False)
    np.testing.assert_array_equal(read, left)
    _, read, left = states(events)
    assert np.abs(read - left).max() > 1e-3
