"""released/hmar*.py: recorded states of the authors' four graphs, their data preparation on logs small enough to do by
hand and against a literal re-telling of it, and what each switch changes.
"""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from autograd import grad, value_and_grad

from mbref import metrics
from mbref.data.log import Log
from mbref.data.readers import read
from mbref.errors import InputError
from mbref.nn import optim
from mbref.released.hmar import data as hmar_data, model as hmar
from mbref.released.hmar.data import Batch, Next
from mbref.released.hmar.recorded import recompute
from mbref.variants import hmar as paper

ORACLES = sorted((Path(__file__).parents[1] / "oracles").glob("hmar__*.npz"))
SHOP = ("buy", "cart", "fav", "pv")
N, L, D = 9, 6, 8


def load(path):
    with np.load(path, allow_pickle=False) as z:
        return {name: z[name] for name in z.files}


def log_of(rows, behaviours=SHOP):
    user, item, behaviour = np.array(rows).T
    numbers = [np.arange(top + 1).astype(str) for top in (user.max(), max(item.max(), N))]
    return Log(user, item, behaviour, None, None, *numbers, None, behaviours, ())


# ---- recorded states


@pytest.fixture(params=ORACLES, ids=lambda path: path.stem)
def state(request):
    arrays = load(request.param)
    return arrays, recompute(arrays, json.loads(str(arrays["meta/config"])))


def test_all_four_variants_are_recorded():
    assert {json.loads(str(load(path)["meta/config"]))["variant"] for path in ORACLES} == set(hmar.VARIANTS)


def test_every_result_is_computed_or_named(state):
    arrays, found = state
    results = {name for name in arrays if name.split("/")[0] not in ("meta", "inputs", "params")}
    assert results <= {*found.arrays, *found.left_out, *found.bounds}
    assert not set(found.arrays) & set(found.left_out)
    assert {*found.arrays, *found.left_out, *found.bounds} <= set(arrays)


def test_numbers_agree(state):
    arrays, found = state
    groups = {name: name.rpartition("/")[0] for name in found.arrays}
    largest = {group: max(np.abs(arrays[n]).max() for n in groups if groups[n] == group) for group in groups.values()}
    for name, got in found.arrays.items():
        want = arrays[name]
        assert got.shape == want.shape, name
        scale = max(np.abs(want).max(), 1e-3 * largest[groups[name]])
        assert np.abs(got - want).max() <= (1e-4 if name.startswith("after/") else 2e-5) * scale, name


def test_whole_numbers_are_exact():
    """Partition, sampler and evaluation: ids, counts, masks and labels to the last one."""
    for name in ("hmar__taobao_pert.npz", "hmar__tianchi_pert.npz"):
        arrays = load(Path(__file__).parents[1] / "oracles" / name)
        found = recompute(arrays, json.loads(str(arrays["meta/config"]))).arrays
        exact = [name for name in found if name.startswith(("data/", "inputs/", "eval/"))
                 and "weight" not in name and name != "eval/scores"]
        assert len(exact) >= 16
        for name in exact:
            np.testing.assert_array_equal(found[name], arrays[name], err_msg=name)


def test_metrics_lie_between_bad_and_good_luck(state):
    arrays, found = state
    for name, (low, high) in found.bounds.items():
        assert low <= arrays[name] <= high and high - low < 0.1, name


def test_a_changed_number_is_noticed():
    arrays = load(Path(__file__).parents[1] / "oracles" / "hmar__tianchi_pert.npz")
    config = json.loads(str(arrays["meta/config"]))
    before = recompute(arrays, config).arrays
    after = recompute(arrays | {"params/beh2.ln.beta": arrays["params/beh2.ln.beta"] + 1e-3}, config).arrays
    assert np.abs(before["outputs/seq"] - after["outputs/seq"]).max() > 1e-5


def test_a_state_that_is_not_whole():
    arrays = load(ORACLES[0])
    config = json.loads(str(arrays["meta/config"]))
    del arrays["params/feat.w"]
    with pytest.raises(KeyError, match="params/feat.w"):
        recompute(arrays, config)
    with pytest.raises(InputError, match="variant is 'amazon': choose one of tianchi"):
        recompute(arrays, config | {"variant": "amazon"})


# ---- partition, sample, candidates

HAND = """user item behaviour
1 5 pv
1 6 pv
1 5 cart
1 7 pv
1 5 buy
1 6 fav
2 3 pv
2 3 buy
3 4 pv
3 4 pv
3 8 buy
3 4 pv
3 9 buy
"""  # user 1 buys item 5, user 2 has too few rows, user 3 buys 8 and then 9


@pytest.fixture
def hand(tmp_path):
    path = tmp_path / "Tmall.txt"
    path.write_text(HAND)
    return read(path, "hmar")  # items 3..9 become 1..7


def test_partition_by_hand(hand):
    events = hmar_data.partition(hand, "buy")
    np.testing.assert_array_equal(events.train.user, [1, 2, 3])
    np.testing.assert_array_equal(events.train.ptr, [0, 4, 6, 10])
    np.testing.assert_array_equal(events.train.item, [3, 4, 3, 5, 1, 1, 2, 2, 6, 2])
    np.testing.assert_array_equal(events.train.behaviour, [4, 4, 2, 4, 4, 1, 4, 4, 1, 4])
    np.testing.assert_array_equal(events.target, [3, 0, 7])
    np.testing.assert_array_equal(events.target_counts, [[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    five, six, seven, four = [1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 3]  # the held-out buy, the later fav
    np.testing.assert_array_equal(events.train.counts[:4], [five, six, five, seven])
    np.testing.assert_array_equal(events.train.counts[6:], [four, four, [1, 0, 0, 0], four])
    np.testing.assert_array_equal(hmar_data.users_to_train(events.train), [0, 1, 2])
    np.testing.assert_array_equal(hmar_data.users_to_test(events), [0, 2])


def test_partition_of_the_tianchi_file(hand):
    events = hmar_data.partition(hand, "buy", drop_target_history=True)
    np.testing.assert_array_equal(events.train.ptr, [0, 2, 4, 8])
    np.testing.assert_array_equal(events.train.item[:2], [4, 5])
    np.testing.assert_array_equal(events.target_counts[0], [1, 1, 0, 1])  # of rows that are no longer there, too


def test_counts_that_stay_in_training(hand):
    for counts, want in (("training", [[0, 1, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1]]),
                         ("running", [[0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1]])):
        train = hmar_data.partition(hand, "buy", counts=counts).train
        np.testing.assert_array_equal(train.counts[:3], want)
    np.testing.assert_array_equal(train.before[:3], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])


def test_sample_by_hand(hand):
    """User 3 trains on 4 pv, 4 pv, 8 buy, 4 pv (items 2, 2, 6, 2): three inputs, what follows them one later."""
    config = hmar.Config(items=7, behaviours=4, length=5)
    batch = hmar_data.sample(hmar_data.partition(hand, "buy").train, np.array([2]), config, np.random.default_rng(0))
    follow, four, eight = batch.next, [0, 0, 0, 3], [1, 0, 0, 0]
    assert batch.item.tolist() == [[0, 0, 2, 2, 6]] and follow.item.tolist() == [[0, 0, 2, 6, 2]]
    assert batch.behaviour.tolist() == [[0, 0, 4, 4, 1]]
    assert follow.weight.tolist() == [[0, 0, 0.1, 0.7, 0.1]]                 # in step with the items
    assert batch.counts[0, 2:].tolist() == [eight, four, four]               # from the newest back: 8, 4, 4
    assert follow.counts[0, 2:].tolist() == [four, eight, four]              # 4, 8, 4 either way
    assert follow.label[0, 2:].tolist() == [3, 0, 3]
    in_order = hmar_data.sample(hmar_data.partition(hand, "buy").train, np.array([2]),
                                replace(config, reverse_context=False), np.random.default_rng(0))
    assert in_order.counts[0, 2:].tolist() == [four, four, eight]
    assert not set(follow.negative[0, 2:]) & {2, 6} and follow.negative[0, :2].tolist() == [0, 0]


def retold(rows, L, drop, weights):
    """The release, told literally: shared lists of counts that go on growing, pointers that walk backwards.

    rows (user, item, behaviour 0..K-1). -> {user: (items, behaviours, counts, target, its counts, sample)}
    """
    K, of_pair, of_user = len(weights), {}, {}
    for user, item, behaviour in rows:
        shared = of_pair.setdefault((user, item), [0] * K)
        shared[behaviour] += 1
        of_user.setdefault(user, []).append((item, behaviour, shared))
    told = {}
    for user, events in of_user.items():
        train, target = events, (0, 0, [0] * K)
        if len(events) >= 3:
            last = max(i for i, event in enumerate(events) if event[1] == 0)
            target, train = events[last], events[:last]
            train = [event for event in train if not (drop and event[0] == target[0])]
        seq, pos, weight = [0] * L, [0] * L, [0.0] * L
        counts, next_counts, label = [[0] * K] * L, [[0] * K] * L, [-1] * L
        if len(train) >= 2:
            inputs, follow = train[:-1], train[1:]
            slot = L - 1
            for event, successor in zip(reversed(inputs), reversed(follow), strict=True):
                if slot < 0:
                    break
                seq[slot], pos[slot], weight[slot] = event[0], successor[0], weights[successor[1]]
                slot -= 1
            newest = len(train) - 1
            for slot in [t for t in range(L) if seq[t]]:  # from the oldest slot on, and from the newest row back
                counts[slot], next_counts[slot], label[slot] = train[newest - 1][2], train[newest][2], train[newest][1]
                newest -= 1
        told[user] = train, target, (seq, pos, weight, counts, next_counts, label)
    return told


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("window", [4, 9])
def test_partition_and_sample_against_the_literal_form(drop, window):
    rng = np.random.default_rng(window)
    rows = sorted((int(u), int(i), int(b)) for u, i, b in zip(
        rng.integers(1, 13, 90), rng.integers(1, N + 1, 90), rng.integers(0, 4, 90), strict=True))
    rows = [rows[j] for j in sorted(rng.permutation(90), key=lambda j: rows[j][0])]  # users in order, events shuffled
    rows = [row for user in range(1, 13) for row in [r for r in rows if r[0] == user] + [(user, 3, 0)]]
    rows += [(13, 2, 3), (13, 5, 0)]  # too few to be tested
    weights = hmar.VARIANTS["taobao"].weights
    told = retold(rows, window, drop, weights)
    events = hmar_data.partition(log_of([(u, i, b + 1) for u, i, b in rows]), "buy", drop)
    batch = hmar_data.sample(events.train, np.arange(13), hmar.Config(items=N, behaviours=4, length=window),
                             np.random.default_rng(0))
    for s, user in enumerate(events.train.user):
        train, target, (seq, pos, weight, counts, next_counts, label) = told[user]
        own = slice(events.train.ptr[s], events.train.ptr[s + 1])
        assert events.train.item[own].tolist() == [event[0] for event in train]
        assert events.train.counts[own].tolist() == [event[2] for event in train]
        assert (events.target[s], events.target_counts[s].tolist()) == (target[0], target[2])
        assert (batch.item[s].tolist(), batch.next.item[s].tolist()) == (seq, pos)
        assert batch.next.weight[s].tolist() == weight
        assert (batch.counts[s].tolist(), batch.next.counts[s].tolist()) == (counts, next_counts)
        assert [k for k in label if k >= 0] == batch.next.label[s][batch.next.item[s] > 0].tolist()
    assert any(len(train) > window + 1 for train, _, _ in told.values()) or window == 9


def test_ranking_input_is_the_whole_list_reversed(hand):
    config = hmar.Config(items=7, behaviours=4, length=3)
    batch = hmar.ranking_batch(hmar_data.partition(hand, "buy"), np.array([0, 2]), config)
    assert batch.item.tolist() == [[4, 3, 5], [2, 6, 2]]
    assert batch.counts[0].tolist() == [[0, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1]]  # of items 5, 3, 4
    assert batch.target_counts.tolist() == [[1, 1, 0, 1], [1, 0, 0, 0]]


def test_users_the_release_cannot_hold_out():
    log = log_of([(1, 1, 4), (1, 2, 1), (1, 3, 1), (2, 1, 4), (2, 2, 4), (2, 3, 4)])
    with pytest.raises(InputError, match="user 2 has no 'buy' row: give without_target"):
        hmar_data.partition(log, "buy")
    events = hmar_data.partition(log, "buy", without_target="train")
    assert events.target.tolist() == [3, 0] and np.diff(events.train.ptr).tolist() == [2, 3]
    for wrong, message in ((dict(target="wish"), "unknown target behaviour 'wish'"),
                           (dict(target="buy", counts="all"), "unknown counts 'all'"),
                           (dict(target="buy", without_target="drop"), "choose error or train")):
        with pytest.raises(InputError, match=message):
            hmar_data.partition(log, **{"without_target": "train", **wrong})


def test_who_trains_and_who_is_tested():
    log = log_of([(1, 1, 4), (1, 2, 1), (1, 3, 4), (2, 1, 1), (2, 2, 4), (2, 3, 4), (3, 1, 4), (3, 2, 4), (3, 3, 1)])
    events = hmar_data.partition(log, "buy")
    assert np.diff(events.train.ptr).tolist() == [1, 0, 2]
    assert hmar_data.users_to_train(events.train).tolist() == [2] and hmar_data.users_to_test(events).tolist() == [0, 2]
    short = hmar_data.partition(log_of([(1, 1, 4), (1, 2, 1), (1, 3, 4)]), "buy")
    with pytest.raises(InputError, match="nothing to train on"):
        hmar.training_batch(short, np.arange(2), hmar.Config(items=N, behaviours=4), np.random.default_rng(0))


def test_negatives_come_twice_and_may_be_the_target(hand):
    events = hmar_data.partition(hand, "buy")
    drawn = hmar_data.candidates(events, np.array([2]), 7, np.random.default_rng(0), count=200)[0]
    assert drawn[0] == 7 and set(drawn[1:]) == {1, 3, 4, 5, 7}  # all but 2 and 6, the rows it trains on
    counts = np.bincount(drawn[1:], minlength=8)[[1, 3, 4, 5, 7]]
    assert counts.min() > 20  # 40 expected
    both = hmar_data.partition(log_of([(1, 1, 4), (1, 2, 4), (1, 1, 1)]), "buy")
    with pytest.raises(InputError, match="training rows on every item"):
        hmar_data.draw_negatives(both.train, np.array([0]), 2, np.random.default_rng(0), 1)


def test_ties_as_they_fall():
    constant = np.zeros((3, 16), np.float32)
    hit, gain = hmar_data.hits(constant, "release", k=5)
    assert hit.tolist() == [1, 1, 1] and gain.tolist() == [1, 1, 1]  # a constant scorer is perfect
    np.testing.assert_allclose(hmar_data.hits(constant, "expected", k=5)[0], 5 / 16)
    distinct = np.random.default_rng(0).permutation(64).reshape(4, 16).astype(float)
    for got, want in zip(hmar_data.hits(distinct, "release"), hmar_data.hits(distinct, "pessimistic"), strict=True):
        np.testing.assert_allclose(got, want)
    third = np.array([[2.0, 3.0, 5.0, 1.0]])  # rank 3
    assert [float(x[0]) for x in hmar_data.hits(third, "release", 3)] == [1, 0.5]
    assert hmar_data.hits(third, "release", 2)[0][0] == 0


# ---- the graph


def config_of(name="taobao", **changed):
    variant = hmar.VARIANTS[name]
    variant = replace(variant, **{field: changed.pop(field) for field in list(changed) if hasattr(variant, field)})
    return hmar.Config(items=N, behaviours=len(variant.weights), variant=variant, width=D, length=L, heads=2,
                       **{"dropout": 0.0, **changed})


def params_of(config, spread=0.2):
    rng = np.random.default_rng(1)
    params = hmar.init(np.random.default_rng(0), config)
    return optim.tree_map(lambda a: a + rng.normal(0, spread, a.shape), params)


def batch_of(config, real=4):
    rng = np.random.default_rng(2)
    K, on = config.behaviours, np.arange(L) >= L - real
    item, follow, negative = rng.integers(1, N + 1, (3, 2, L)) * on
    behaviour = rng.integers(1, K + 1, (2, L)) * on
    counts = rng.integers(0, 3, (3, 2, L, K))[:2] * on[:, None]
    follow = Next(follow, rng.uniform(0.1, 0.9, (2, L)), rng.integers(0, K, (2, L)), counts[1], negative)
    return Batch(item, behaviour, counts[0], follow, rng.integers(1, 4, (2, K)))


@pytest.mark.parametrize("heads", [1, 2])
def test_taobao_form_is_the_papers_model(heads):
    """One attention in which every event uses its own behaviour's weights equals the K masked ones added up."""
    config = replace(config_of(), heads=heads)
    ours = paper.Config(items=N, behaviours=4, width=D, length=L, heads=heads, dropout=0.0, counts="whole-log")
    params, batch = params_of(config), batch_of(config)
    np.testing.assert_allclose(hmar.forward(params, batch, config), paper.forward(params, batch, ours), atol=1e-12)
    bypassed = config_of(merge="bypass")
    np.testing.assert_allclose(hmar.forward(params, batch, bypassed),
                               paper.forward(params, batch, replace(ours, heads=2, merge="bypass")), atol=1e-12)


def padded(batch, more):
    """The same events with `more` columns of padding before them."""
    def wide(a):
        return np.concatenate([np.zeros((a.shape[0], more, *a.shape[2:]), a.dtype), a], axis=1)
    return batch._replace(item=wide(batch.item), behaviour=wide(batch.behaviour), counts=wide(batch.counts))


@pytest.mark.parametrize("name, beta, mode, depends", [
    ("tianchi", 0.3, "release", True), ("tianchi", 0.0, "release", False), ("tianchi", 0.3, "boolean", False),
    ("taobao", 0.3, "release", False), ("yelp", 0.3, "release", False)])
def test_revived_masks_make_the_output_depend_on_padding(name, beta, mode, depends):
    config = replace(config_of(name, mask_mode=mode), length=L + 3)
    params = params_of(config)
    if "ln" in params["blocks"][0]["behaviour"]:
        params["blocks"][0]["behaviour"]["ln"]["beta"][...] = beta
    batch = batch_of(config, real=L)
    short = hmar.forward(params, batch, config)
    long = hmar.forward(params, padded(batch, 3), config)[:, 3:]
    assert (np.abs(short - long).max() > 1e-4) == depends
    if not depends:
        np.testing.assert_allclose(short, long, atol=1e-12)


def test_other_behaviours_are_keys_once_beta_has_moved():
    """Event 3 of another behaviour enters the attention of the newest event's behaviour as the key beta."""
    config = config_of("tianchi", indicator_again=False)
    params = params_of(config)
    params["blocks"][0]["behaviour"]["res"][...] = 0
    behaviour = np.full((2, L), 2)
    behaviour[:, 3] = 1
    mask = np.stack([behaviour == k for k in range(1, 5)], axis=-1)
    x = np.random.default_rng(3).normal(0, 1, (2, L, D))
    other = x.copy()
    other[:, 3] += 1  # its content does not matter, its presence does
    p, drop = params["blocks"][0]["behaviour"], lambda a: a
    one, two = (hmar.behaviour_encoder(p, value, mask, config, drop)[:, -1] for value in (x, other))
    np.testing.assert_allclose(one, two, atol=1e-12)
    clean = hmar.behaviour_encoder(p, x, mask, replace(config, mask_mode="boolean"), drop)[:, -1]
    assert np.abs(one - clean).max() > 1e-3


SWITCHES = [("taobao", dict(merge="bypass")), ("taobao", dict(behaviour_norm=True)), ("taobao", dict(final_norm=True)),
            ("tianchi", dict(masked_residual=True)), ("tianchi", dict(mask_mode="boolean")),
            ("taobao", dict(indicator_again=True)), ("taobao", dict(merged_residual=True)),
            ("taobao", dict(attention_residual=True)), ("tianchi", dict(behaviour_norm=False))]


@pytest.mark.parametrize("name, changed", SWITCHES, ids=str)
def test_switches_change_the_states(name, changed):
    config, other = config_of(name), config_of(name, **changed)
    everything = config_of(name, behaviour_norm=True, final_norm=True)
    params, batch = params_of(everything), batch_of(config)
    assert np.abs(hmar.forward(params, batch, config) - hmar.forward(params, batch, other)).max() > 1e-3


@pytest.mark.parametrize("changed", [dict(theta=0.5), dict(class_relu=True)], ids=str)
def test_switches_change_the_loss(changed):
    config, other = config_of(), config_of(**changed)
    params, batch = params_of(config), batch_of(config)
    assert abs(hmar.loss(params, batch, config) - hmar.loss(params, batch, other)) > 1e-3


def test_negatives_count_what_the_positive_counts():
    config = config_of()
    params, batch = params_of(config), batch_of(config)
    more = batch._replace(next=batch.next._replace(counts=batch.next.counts + 1))
    q = [hmar.candidate_code(params, b.next.negative, b.next.counts) for b in (batch, more)]
    assert np.abs(q[0] - q[1]).max() > 1e-3
    assert hmar.losses(params, batch, config)[0] != hmar.losses(params, more, config)[0]


@pytest.mark.parametrize("name", ["yelp", "movielens"])
def test_bypassed_encoders_get_no_gradient(name):
    config = config_of(name)
    grads = grad(hmar.loss)(params_of(config), batch_of(config), config)
    assert all(not a.any() for _, a in optim.leaves(grads["blocks"][0]["behaviour"]))
    assert all(a.any() for path, a in optim.leaves(grads["blocks"][0]["sequence"]) if path != "k/b")


def test_of_several_blocks_step_3_counts_the_last_and_step_4_all():
    two = config_of(blocks=2)
    params, batch = params_of(two), batch_of(two)
    first, last = params["blocks"]
    states = hmar.forward(params, batch, two)

    def with_blocks(*blocks):
        return hmar.forward(params | {"blocks": list(blocks)}, batch, two)

    np.testing.assert_array_equal(with_blocks(first | {"behaviour": last["behaviour"]}, last), states)
    assert np.abs(with_blocks(first | {"sequence": last["sequence"]}, last) - states).max() > 1e-3
    assert np.abs(with_blocks(first, last | {"behaviour": first["behaviour"]}) - states).max() > 1e-3
    seen = {}
    hmar.forward(params | {"blocks": [first | {"behaviour": last["behaviour"]}]}, batch, config_of(), seen.setdefault)
    real = batch.item > 0
    again = hmar.sequence_encoder(last["sequence"], seen["states"], seen["input"], real, two, lambda x: x)
    np.testing.assert_allclose(states, again, atol=1e-12)


def test_scores_of_all_items_need_equal_counts():
    config = config_of()
    params, batch = params_of(config), batch_of(config)
    with pytest.raises(InputError, match="give candidates"):
        hmar.score_all(params, batch, config)
    equal = replace(config, candidate_counts="target")
    everything = hmar.score_all(params, batch, equal)
    given = np.array([[4, 1, 9], [2, 2, 7]])
    np.testing.assert_allclose(hmar.score(params, batch, given, equal),
                               np.take_along_axis(everything, given - 1, axis=1), atol=1e-12)


@pytest.mark.parametrize("name", hmar.VARIANTS)
def test_a_training_step_stays_float32(name):
    config = config_of(name, dropout=0.3)
    params = optim.tree_map(lambda a: a.astype(np.float32), hmar.init(np.random.default_rng(0), config))
    rows = [(u, i, b) for u in (1, 2) for i, b in ((1, 2), (2, 1), (1, 3), (4, 1), (5, 2), (3, 1))]
    events = hmar_data.partition(log_of(rows, tuple("abcd"[: config.behaviours])), "a")
    batch = hmar.training_batch(events, hmar_data.users_to_train(events.train), config, np.random.default_rng(0))
    loss, grads = value_and_grad(hmar.loss)(params, batch, config, np.random.default_rng(0))
    assert loss.dtype == np.float32 and np.isfinite(loss)
    assert {a.dtype for _, a in optim.leaves(grads)} == {np.dtype(np.float32)}
    assert all(np.isfinite(a).all() for _, a in optim.leaves(grads))


def test_users_are_drawn_with_replacement():
    rows = [(u, i, b) for u in range(1, 6) for i, b in ((u, 4), (2, 2), (6, 1))]
    events = hmar_data.partition(log_of(rows), "buy")
    config = hmar.Config(items=N, behaviours=4, length=L)
    drawn = hmar.training_batch(events, np.arange(200), config, np.random.default_rng(0)).item[:, -1]
    assert len(drawn) == 200 and set(drawn) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("wrong, message", [
    (dict(behaviours=3), "is for 4 behaviours and the log has 3"), (dict(heads=3), "must be a multiple of heads, 3"),
    (dict(mask_mode="zeros"), "mask_mode is 'zeros': choose one of release, boolean"),
    (dict(dropout=1.0), "less than 1"), (dict(candidate_counts="own"), "choose one of release, target")])
def test_config_refuses(wrong, message):
    with pytest.raises(InputError, match=message):
        hmar.Config(**{**dict(items=5, behaviours=4), **wrong})


def test_expected_metrics_are_those_of_metrics():
    scores = np.random.default_rng(0).integers(0, 4, (20, 12)).astype(float)
    g, e = metrics.greater_and_ties(scores, np.zeros(20, int))
    np.testing.assert_array_equal(hmar_data.hits(scores, "expected", 3)[0], metrics.hit_rate(g, e, 3))
