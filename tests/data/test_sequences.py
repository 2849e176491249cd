"""mbref.data.sequences: splits, counts, windows, negatives and batches against lists written by hand and slow loops."""
import tracemalloc
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.by_hand.hmar import historical_indicator
from mbref.data import indicators, sequences as sq, split_files, windows
from mbref.data.leave_one_out import draw_cases, leave_one_out
from mbref.data.log import Log
from mbref.data.readers import read
from mbref.errors import InputError

BUY, PV = 1, 2


def a_log(events, behaviours=("buy", "pv"), items=9):
    """Log from {user: [(item, behaviour), ...]}, users 1, 2, ... in order."""
    user, item, behaviour = np.array([(u, *e) for u in events for e in events[u]]).T
    ids = [np.array(["", *map(str, range(1, n + 1))]) for n in (max(events), items)]
    return Log(user, item, behaviour, None, None, *ids, None, behaviours, ())


def random_log(seed, users=5, items=6, behaviours=3, longest=15):
    rng = np.random.default_rng(seed)
    return a_log({u: [(int(rng.integers(1, items + 1)), int(rng.integers(1, behaviours + 1)))
                      for _ in range(rng.integers(1, longest))] for u in range(1, users + 1)},
                 ("buy", "cart", "pv")[:behaviours], items)


def lists(sequences):
    """{user: [(item, behaviour), ...]}."""
    return {int(u): list(zip(sequences.item[a:b].tolist(), sequences.behaviour[a:b].tolist(), strict=True))
            for u, a, b in zip(sequences.user, sequences.ptr[:-1], sequences.ptr[1:], strict=True)}


def items_of(sequences):
    return {u: [item for item, _ in rows] for u, rows in lists(sequences).items()}


def held(part):
    """{user: (history items, held-out item, seen)}."""
    history = items_of(part.history)
    return {u: (history[u], int(i), bool(s)) for u, i, s in zip(history, part.item, part.seen, strict=True)}


def sizes(length, items):
    """What a batch asks of a config."""
    return SimpleNamespace(length=length, items=items)


def same(a, b):
    """Bit for bit: values, shapes and dtypes of NamedTuples of arrays."""
    return all(x is y is None or (same(x, y) if isinstance(x, tuple) else x.dtype == y.dtype and x.shape == y.shape and
               x.tobytes() == y.tobytes()) for x, y in zip(a, b, strict=True))


def slow_counts(item, behaviour, candidate, upto, kinds):
    """How often `candidate` is among the first `upto` events, by behaviour."""
    c = Counter((i, b) for i, b in list(zip(item, behaviour, strict=True))[:upto])
    return [c[candidate, k] for k in range(1, kinds + 1)]


# Leave-one-out.

SHOP = {
    1: [(1, PV), (2, BUY), (3, PV), (1, BUY), (2, PV), (3, BUY), (4, PV)],  # test 3, validation 1
    2: [(4, PV), (5, PV), (4, PV)],                                         # never buys
    3: [(5, BUY), (1, PV), (2, BUY)],                                       # nothing before its validation event
    4: [(1, PV), (2, BUY)],                                                 # too short
    5: [(3, PV), (4, PV), (5, BUY), (1, PV)],                               # one purchase
    6: [(6, BUY), (7, PV), (8, PV)],                                        # nothing before its test event
}


def test_leave_one_out_by_hand():
    split = leave_one_out(a_log(SHOP), "buy")
    assert items_of(split.train) == {1: [1, 2, 3], 2: [4, 5, 4], 4: [1, 2], 5: [3, 4]}
    assert held(split.validation) == {1: ([1, 2, 3], 1, True)}
    assert held(split.test) == {1: ([1, 2, 3, 1, 2], 3, True), 3: ([5, 1], 2, False), 5: ([3, 4], 5, False)}
    assert items_of(split.refit) == {1: [1, 2, 3, 1, 2], 2: [4, 5, 4], 3: [5, 1], 4: [1, 2], 5: [3, 4]}
    assert lists(split.test.history)[1] == SHOP[1][:5]
    assert (split.items, split.users, split.behaviours) == (9, 6, 2)


def test_the_other_behaviour_as_target():
    split = leave_one_out(a_log(SHOP), "pv")
    assert held(split.test)[1] == ([1, 2, 3, 1, 2, 3], 4, False)
    assert held(split.validation)[1] == ([1, 2, 3, 1], 2, True)
    assert held(split.test)[2] == ([4, 5], 4, True) and held(split.validation)[2] == ([4], 5, False)


@pytest.mark.parametrize("least, users", [(2, [1, 3, 4, 5]), (3, [1, 3, 5]), (4, [1, 5]), (5, [1]), (7, [1]), (8, [])])
def test_min_events(least, users):
    split = leave_one_out(a_log(SHOP), "buy", min_events=least)
    assert list(held(split.test)) == users
    short = [u for u in SHOP if len(SHOP[u]) < least]
    assert all(lists(split.train)[u] == SHOP[u] == lists(split.refit)[u] for u in short)


def test_drop_target_history():
    log = a_log({1: [(3, PV), (2, BUY), (1, PV), (4, PV), (1, BUY), (1, BUY), (1, PV)]})
    kept, dropped = (leave_one_out(log, "buy", drop) for drop in (False, True))
    assert held(kept.test) == {1: ([3, 2, 1, 4, 1], 1, True)}
    assert held(kept.validation) == {1: ([3, 2, 1, 4], 1, True)}
    assert held(dropped.test) == {1: ([3, 2, 4], 1, False)}
    assert held(dropped.validation) == {1: ([3], 2, False)}  # the other purchases are gone
    assert lists(dropped.train) == {1: [(3, PV)]} and lists(dropped.refit) == {1: [(3, PV), (2, BUY), (4, PV)]}


def test_drop_target_history_removes_exactly_the_rows_on_the_held_out_items():
    for seed in range(5):
        log = random_log(seed)
        kept, dropped = (leave_one_out(log, "buy", drop) for drop in (False, True))
        test = {u: item for u, (_, item, _) in held(kept.test).items()}
        want = {u: [e for e in rows if e[0] != test.get(u)] for u, rows in lists(kept.refit).items()}
        assert lists(dropped.refit) == {u: rows for u, rows in want.items() if rows}
        assert not dropped.test.seen.any() and not dropped.validation.seen.any()


def test_one_user():
    split = leave_one_out(a_log({1: [(1, PV), (2, BUY), (3, BUY)]}), "buy")
    assert (held(split.validation), held(split.test)) == ({1: ([1], 2, False)}, {1: ([1, 2], 3, False)})


def test_a_behaviour_that_never_occurs():
    split = leave_one_out(a_log(SHOP, ("buy", "pv", "fav")), "fav")
    assert lists(split.train) == SHOP == lists(split.refit)
    assert len(split.validation.item) == len(split.test.item) == 0
    assert split.train.counts.shape[1] == 3 and not split.train.counts[:, 2].any()


def test_nothing_to_train_on():
    split = leave_one_out(a_log({1: [(1, BUY), (2, BUY), (3, BUY)]}), "buy")
    assert held(split.test) == {1: ([1, 2], 3, False)} and held(split.validation) == {1: ([1], 2, False)}
    split = leave_one_out(a_log({1: [(1, BUY), (2, BUY)]}), "buy", min_events=1)
    assert len(split.train.item) == 0 and len(windows.windows(split.train, 5)) == 0
    assert held(split.test) == {1: ([1], 2, False)}


def test_equal_times_keep_the_order_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("".join(f"1,{item},1,{name},{t}\n" for item, name, t in [
        (50, "buy", 9), (30, "pv", 5), (10, "pv", 5), (40, "buy", 9), (20, "buy", 5)]))
    log = read(path, "taobao")
    split = leave_one_out(log, "buy")
    assert log.items[split.test.item].tolist() == ["40"] and log.items[split.validation.item].tolist() == ["50"]
    assert log.items[split.test.history.item].tolist() == ["30", "10", "20", "50"]


def test_refuses_an_unknown_target_or_switch():
    with pytest.raises(InputError, match="'like'.*buy, pv"):
        leave_one_out(a_log(SHOP), "like")
    with pytest.raises(InputError, match="'past'"):
        leave_one_out(a_log(SHOP), "buy", counts="past")


# Counts.

def test_running_counts_by_hand():
    user = np.array([1, 1, 1, 1, 2, 2])
    item = np.array([7, 8, 7, 7, 7, 7])
    behaviour = np.array([2, 2, 2, 1, 1, 2])
    counts = sq.running_counts(user, item, behaviour, 2)
    assert counts.tolist() == [[0, 1], [0, 1], [0, 2], [1, 2], [1, 0], [1, 1]]
    before = sq.from_rows(user, item, behaviour, 2).before
    assert before.tolist() == [[0, 0], [0, 0], [0, 1], [0, 2], [0, 0], [1, 0]]
    whole = sq.whole_log_counts(user, item, behaviour, 2)
    assert whole.tolist() == [[1, 2], [0, 1], [1, 2], [1, 2], [1, 1], [1, 1]]


@pytest.mark.parametrize("seed", range(4))
def test_counts_against_loops(seed):
    log = random_log(seed)
    sequences = sq.from_rows(log.user, log.item, log.behaviour, 3)
    whole = sq.whole_log_counts(log.user, log.item, log.behaviour, 3)
    for a, b in zip(sequences.ptr[:-1], sequences.ptr[1:], strict=True):
        item, behaviour = log.item[a:b].tolist(), log.behaviour[a:b].tolist()
        for t in range(b - a):
            assert sequences.counts[a + t].tolist() == historical_indicator(item, behaviour, item[t], t + 1, 3)
            assert sequences.counts[a + t].tolist() == slow_counts(item, behaviour, item[t], t + 1, 3)
            assert sequences.before[a + t].tolist() == slow_counts(item, behaviour, item[t], t, 3)
            assert whole[a + t].tolist() == slow_counts(item, behaviour, item[t], len(item), 3)


def test_counts_of_no_events():
    none = np.empty(0, int)
    assert sq.running_counts(none, none, none, 2).shape == sq.whole_log_counts(none, none, none, 2).shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_counts_before_against_a_loop(seed):
    log, rng = random_log(seed), np.random.default_rng(seed)
    sequences = sq.from_rows(log.user, log.item, log.behaviour, 3)
    row = rng.integers(0, len(log.item), (7, 4))
    item = rng.integers(0, 9, (7, 4))  # 0 is padding, 7 and 8 are in no history
    got = sq.counts_before(sequences, row, item)
    for at in np.ndindex(row.shape):
        rows = np.flatnonzero(log.user == log.user[row[at]])
        want = slow_counts(log.item[rows], log.behaviour[rows], item[at], int(np.sum(rows < row[at])), 3)
        assert got[at].tolist() == want


@pytest.mark.parametrize("seed", range(3))
def test_counts_before_of_low_items_alone_and_of_high_ones(seed):
    log = random_log(seed, users=8, items=20)
    sequences, rows = sq.from_rows(log.user, log.item, log.behaviour, 3), np.arange(len(log.item))
    for item in range(22):
        before = [np.flatnonzero((log.user == log.user[row]) & (log.item == item) & (rows < row)) for row in rows]
        want = [np.bincount(log.behaviour[at], minlength=4)[1:].tolist() for at in before]
        assert sq.counts_before(sequences, rows, np.full(len(rows), item)).tolist() == want


def test_window_counts_by_hand_and_against_a_loop():
    item, behaviour = np.array([[0, 5, 6, 5]]), np.array([[0, 2, 1, 1]])
    assert windows.window_counts(item, item, behaviour, 2).tolist() == [[[0, 0], [0, 1], [1, 0], [1, 1]]]
    rng = np.random.default_rng(0)
    item = rng.integers(0, 4, (6, 8))
    behaviour = np.where(item > 0, rng.integers(1, 4, (6, 8)), 0)
    candidates = rng.integers(0, 5, (6, 8))
    got = windows.window_counts(candidates, item, behaviour, 3)
    for b, t in np.ndindex(6, 8):
        c = candidates[b, t]
        assert got[b, t].tolist() == (slow_counts(item[b], behaviour[b], c, t + 1, 3) if c else [0, 0, 0])


# No look ahead.

def changed(log, rows, rng, target):
    """The log with other items in `rows` and, after the first of them, any behaviour but the target's."""
    item, behaviour = log.item.copy(), log.behaviour.copy()
    item[rows] = rng.integers(1, len(log.items), len(rows))
    behaviour[rows[1:]] = rng.integers(target + 1, len(log.behaviours) + 1, len(rows) - 1)
    return log._replace(item=item, behaviour=behaviour)


@pytest.mark.parametrize("seed", range(4))
def test_the_test_event_and_what_follows_change_nothing_that_is_read(seed):
    log, rng = random_log(seed, longest=20), np.random.default_rng(seed)
    old = leave_one_out(log, "buy")
    other = log
    for u in old.test.history.user:
        rows = np.flatnonzero(log.user == u)
        other = changed(other, rows[rows >= rows[log.behaviour[rows] == BUY][-1]], rng, BUY)
    assert (other.item != log.item).sum() > 4  # the test tests something
    new = leave_one_out(other, "buy")
    assert same((old.train, old.refit, old.validation, old.test.history), (new.train, new.refit, new.validation,
                                                                          new.test.history))
    leak = [leave_one_out(x, "buy", counts="whole-log") for x in (log, other)]
    assert not same(leak[0].train, leak[1].train)  # the release's leak, kept to measure it


@pytest.mark.parametrize("seed", range(4))
def test_the_validation_event_and_what_follows_change_no_training_array(seed):
    log, rng = random_log(seed, longest=20), np.random.default_rng(seed)
    old = leave_one_out(log, "buy")
    item, behaviour = log.item.copy(), log.behaviour.copy()
    for u in old.validation.history.user:
        rows = np.flatnonzero(log.user == u)
        rows = rows[rows >= rows[log.behaviour[rows] == BUY][-2]]
        item[rows] = rng.integers(1, len(log.items), len(rows))
        behaviour[rows] = np.where(behaviour[rows] == BUY, BUY, rng.integers(2, 4, len(rows)))
    new = leave_one_out(log._replace(item=item, behaviour=behaviour), "buy")
    assert len(old.validation.item) and not same(old.refit, new.refit)
    assert same((old.train, old.validation.history), (new.train, new.validation.history))
    batches = [windows.training_batch(s.train, windows.windows(s.train, 4), sizes(4, 6), np.random.default_rng(1)) for s in (old, new)]
    assert same(batches[0][:4] + (batches[0].next,), batches[1][:4] + (batches[1].next,))


def test_a_test_event_that_is_no_purchase_leaves_the_user_with_the_validation_case():
    log = random_log(2, users=3, longest=30)
    old = leave_one_out(log, "buy")
    behaviour = log.behaviour.copy()
    for u in old.test.history.user:
        rows = np.flatnonzero(log.user == u)
        behaviour[rows[log.behaviour[rows] == BUY][-1]] = 3
    new = leave_one_out(log._replace(behaviour=behaviour), "buy")
    assert len(old.validation.item) == 3 and same(old.validation, new.test) and same(old.train, new.refit)


def test_later_events_leave_running_counts_alone():
    rng = np.random.default_rng(5)
    item, behaviour, user = rng.integers(1, 4, 30), rng.integers(1, 3, 30), np.ones(30, int)
    counts = sq.running_counts(user, item, behaviour, 2)
    for t in range(1, 30):
        later = np.arange(30) >= t
        again = sq.running_counts(user, np.where(later, rng.integers(1, 4, 30), item),
                                  np.where(later, rng.integers(1, 3, 30), behaviour), 2)
        assert again[:t].tobytes() == counts[:t].tobytes()


# Windows and batches.

def test_windows_by_hand():
    sequences = sq.from_rows(np.array([1] * 6 + [2] + [3] * 3), np.arange(1, 11), np.ones(10, int), 1)
    assert windows.windows(sequences, 2).tolist() == [[0, 3, 5], [0, 1, 3], [0, 0, 1], [2, 7, 9]]
    assert windows.windows(sequences, 2, newest_only=True).tolist() == [[0, 3, 5], [2, 7, 9]]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 20])
def test_every_event_but_the_first_is_predicted_once(length):
    log = random_log(length, users=8)
    sequences = sq.from_rows(log.user, log.item, log.behaviour, 3)
    cuts = windows.windows(sequences, length)
    predicted = Counter(int(row) for _, first, stop in cuts for row in range(first + 1, stop + 1))
    assert predicted == Counter(set(range(len(log.item))) - set(sequences.ptr[:-1].tolist()))
    assert all(0 < stop - first <= length and sequences.ptr[s] <= first and stop < sequences.ptr[s + 1]
               for s, first, stop in cuts)
    newest = windows.windows(sequences, length, newest_only=True)
    last = {int(s): int(sequences.ptr[s + 1] - 1) for s, _, _ in cuts}
    assert [tuple(c) for c in newest] == [(s, max(stop - length, sequences.ptr[s]), stop) for s, stop in last.items()]


def test_training_batch_by_hand():
    sequences = sq.from_rows(np.array([4] * 5), np.array([1, 2, 1, 3, 1]), np.array([2, 1, 2, 2, 1]), 2)
    cuts = np.array([[0, 1, 4], [0, 0, 1]])
    batch = windows.training_batch(sequences, cuts, sizes(4, 9), np.random.default_rng(0))
    assert batch.user.tolist() == [4, 4]
    assert batch.item.tolist() == [[0, 2, 1, 3], [0, 0, 0, 1]]
    assert batch.behaviour.tolist() == [[0, 1, 2, 2], [0, 0, 0, 2]]
    assert batch.counts.tolist() == [[[0, 0], [1, 0], [0, 2], [0, 1]], [[0, 0], [0, 0], [0, 0], [0, 1]]]
    assert batch.next.item.tolist() == [[0, 1, 3, 1], [0, 0, 0, 2]]
    assert batch.next.behaviour.tolist() == [[0, 2, 2, 1], [0, 0, 0, 1]]
    assert batch.next.counts.tolist() == [[[0, 0], [0, 1], [0, 0], [0, 2]], [[0, 0], [0, 0], [0, 0], [0, 0]]]
    window = windows.training_batch(sequences, cuts, sizes(4, 9), np.random.default_rng(0), "window")
    assert window.counts.tolist() == [[[0, 0], [1, 0], [0, 1], [0, 1]], [[0, 0], [0, 0], [0, 0], [0, 1]]]
    assert window.next.counts.tolist() == [[[0, 0], [0, 0], [0, 0], [0, 1]], [[0, 0], [0, 0], [0, 0], [0, 0]]]
    assert window.history is None and same(window.next[:2], batch.next[:2])


@pytest.mark.parametrize("seed", range(3))
def test_training_batch_against_a_loop(seed):
    log = random_log(seed)
    sequences = sq.from_rows(log.user, log.item, log.behaviour, 3)
    cuts, length = windows.windows(sequences, 4), 6
    batch = windows.training_batch(sequences, cuts, sizes(length, 6), np.random.default_rng(seed))
    for b, (s, first, stop) in enumerate(cuts):
        start, end = sequences.ptr[s], sequences.ptr[s + 1]
        item, behaviour = log.item[start:end].tolist(), log.behaviour[start:end].tolist()
        pad = length - (stop - first)
        assert batch.user[b] == log.user[start]
        for name in ("item", "behaviour", "counts"):
            assert not getattr(batch, name)[b, :pad].any() and not getattr(batch.next, name)[b, :pad].any()
        assert not batch.next.negative[b, :pad].any() and not batch.next.negative_counts[b, :pad].any()
        for t in range(pad, length):
            now = first - start + t - pad
            assert (batch.item[b, t], batch.behaviour[b, t]) == (item[now], behaviour[now])
            assert batch.counts[b, t].tolist() == slow_counts(item, behaviour, item[now], now + 1, 3)
            assert (batch.next.item[b, t], batch.next.behaviour[b, t]) == (item[now + 1], behaviour[now + 1])
            assert batch.next.counts[b, t].tolist() == slow_counts(item, behaviour, item[now + 1], now + 1, 3)
            negative = batch.next.negative[b, t]
            assert negative != item[now + 1] and 1 <= negative <= 6
            assert batch.next.negative_counts[b, t].tolist() == slow_counts(item, behaviour, negative, now + 1, 3)


def test_many_windows_of_one_long_user_cost_no_more_than_the_user():
    n = 20_000
    rng = np.random.default_rng(0)
    events = sq.from_rows(np.ones(n, int), rng.integers(1, 50, n), rng.integers(1, 4, n), 3)
    cuts = windows.windows(events, 10)[:64]
    tracemalloc.start()
    windows.training_batch(events, cuts, sizes(10, 50), rng)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * sum(x.nbytes for x in events if x is not None)  # a copy a window would be 64


def counts_of_all(batch, items):
    """The counts of items 0..N of every row, as lists."""
    every = np.tile(np.arange(items + 1), (len(batch.item), 1))
    return indicators.own_counts(batch.history, every).tolist()


def test_ranking_batch_by_hand():
    history = sq.from_rows(np.array([3] * 4 + [5]), np.array([2, 2, 1, 2, 4]), np.array([1, 2, 2, 2, 1]), 2)
    batch = windows.ranking_batch(history, np.array([1, 0]), sizes(3, 4))
    assert batch.user.tolist() == [5, 3] and batch.next is None
    assert batch.item.tolist() == [[0, 0, 4], [2, 1, 2]]
    assert batch.counts.tolist() == [[[0, 0], [0, 0], [1, 0]], [[1, 1], [0, 1], [1, 2]]]
    none, buy = [0, 0], [1, 0]
    assert counts_of_all(batch, 4) == [[none, none, none, none, buy], [none, [0, 1], [1, 2], none, none]]
    assert batch.history.row.tolist() == [0, 1, 1] and batch.history.counts.dtype == np.float32
    window = windows.ranking_batch(history, np.array([1, 0]), sizes(3, 4), "window")
    assert window.counts.tolist() == [[[0, 0], [0, 0], [1, 0]], [[0, 1], [0, 1], [0, 2]]]
    assert counts_of_all(window, 4) == [[none, none, none, none, buy], [none, [0, 1], [0, 2], none, none]]


def test_counts_before_of_items_that_are_lower_than_those_of_the_events():
    user, item = np.array([1, 1, 1, 2, 2, 2, 3, 3]), np.array([4, 4, 5, 1, 4, 2, 2, 2])
    events = sq.from_rows(user, item, np.ones(8, int), 1)
    assert sq.counts_before(events, np.array([4, 4, 7]), np.array([2, 1, 2])).tolist() == [[0], [1], [1]]


def test_the_last_of_many_users_may_have_met_most_items():
    """2 of 3, so the third is not drawn over and over."""
    events = sq.from_rows(np.array([*range(1, 11), 10]), np.array([1] * 10 + [2]), np.ones(11, int), 1)
    drawn = sq.draw_negatives(np.random.default_rng(0), events, np.full(60, 9), np.ones((60, 1), int), 3)
    assert {*drawn.ravel().tolist()} == {2, 3}


def test_candidates_that_share_the_targets_counts():
    history = sq.from_rows(np.array([1, 1, 1]), np.array([2, 1, 2]), np.array([1, 3, 2]), 3)
    ranking = indicators.share(windows.ranking_batch(history, np.array([0]), sizes(3, 4)), 2).history
    assert ranking.others.tolist() == [0, 1, 0] and len(ranking.row) == len(ranking.item) == len(ranking.counts) == 0
    batch = windows.training_batch(history, windows.windows(history, 3), sizes(3, 4), np.random.default_rng(0))
    follow = indicators.share(batch, 2).next
    assert follow.negative_counts is follow.counts and follow.negative.any()


def test_scores_change_by_what_a_pair_counts_beyond_the_others():
    history = windows.ItemCounts(np.array([0, 1]), np.array([2, 1]), np.array([[3., 0], [0, 2]]), np.array([1., 0]))
    scores = indicators.add_counts(np.ones((2, 2)), history, np.array([[10., 100], [1000, 10000]]))
    assert scores.tolist() == [[1, 1 + 2 * 10], [1 - 1 * 1000 + 2 * 10000, 1]]


def test_counts_to_rank_from_do_not_grow_with_the_catalogue():
    """A whole array would be 2.4 GB."""
    history = sq.from_rows(np.array([3] * 4 + [5]), np.array([2, 2, 1, 2, 4]), np.array([1, 2, 2, 2, 1]), 2)
    small, large = (windows.ranking_batch(history, np.array([1, 0]), sizes(3, items)) for items in (4, 10**8))
    assert same(small.history, large.history) and counts_of_all(small, 4) == counts_of_all(large, 4)


def test_drawn_events_are_ranked_from_what_they_were():
    """A part of the held-out events, in their order, each once; what a model reads of them stays the same."""
    held = leave_one_out(random_log(3), "buy").test
    held = held._replace(history=held.history._replace(now=np.arange(len(held.item)), oracle=held.item % 3))
    some = draw_cases(held, 4, np.random.default_rng(0))
    which = some.history.now
    assert len(which) == 4 < len(held.item) and (np.diff(which) > 0).all()
    assert same((some.item, some.seen, some.history.oracle, some.history.user),
                (held.item[which], held.seen[which], held.history.oracle[which], held.history.user[which]))
    assert same(windows.ranking_batch(some.history, np.arange(4), sizes(3, 9)), windows.ranking_batch(held.history, which, sizes(3, 9)))
    assert same(draw_cases(held, 4, np.random.default_rng(0)), some)
    assert same(draw_cases(held, 999, np.random.default_rng(0)), held)
    assert len({tuple(draw_cases(held, 4, np.random.default_rng(seed)).item) for seed in range(5)}) > 1


def test_ranking_batch_of_an_empty_history():
    empty = sq.from_rows(*np.empty((3, 0), int), 2)._replace(ptr=np.zeros(2, int), user=np.array([3]))
    batch = windows.ranking_batch(empty, np.array([0]), sizes(3, 4))
    assert batch.item.tolist() == [[0, 0, 0]] and batch.counts.shape == (1, 3, 2) and counts_of_all(batch, 4) == [5 * [[0, 0]]]


# Negatives.

def test_negatives_are_uniform_over_what_the_user_has_not_met():
    sequences = sq.from_rows(np.array([1] * 4 + [2] * 2), np.array([1, 3, 3, 8, 2, 5]), np.ones(6, int), 1)
    positive = np.array([[3] * 4000, [0] * 2000 + [5] * 2000])
    negative = sq.draw_negatives(np.random.default_rng(3), sequences, np.array([0, 1]), positive, 8)
    assert not negative[1, :2000].any()
    for drawn, free in ((negative[0], [2, 4, 5, 6, 7]), (negative[1, 2000:], [1, 3, 4, 6, 7, 8])):
        assert set(drawn.tolist()) == set(free)
        seen, want = np.bincount(drawn, minlength=9)[free], len(drawn) / len(free)
        assert np.sum((seen - want) ** 2 / want) < 20.5  # chi-square: exceeded once in 1000 (5 degrees of freedom)


def test_negatives_of_a_user_who_has_met_more_than_half():
    sequences = sq.from_rows(np.array([1] * 3 + [2] * 2), np.array([1, 2, 3, 1, 2]), np.ones(5, int), 1)
    positive = np.array([[1, 2] * 500, [1, 2] * 500])
    negative = sq.draw_negatives(np.random.default_rng(0), sequences, np.array([0, 1]), positive, 4)
    assert set(negative[0, ::2].tolist()) == {2, 3, 4} and set(negative[0, 1::2].tolist()) == {1, 3, 4}
    assert set(negative[1].tolist()) == {3, 4}  # exactly half still is selective


def test_negatives_of_tiny_catalogues():
    sequences = sq.from_rows(np.array([1, 1]), np.array([1, 1]), np.ones(2, int), 1)
    positive = np.array([[0, 1]])
    for items, want in ((1, [[0, 0]]), (2, [[0, 2]])):
        assert sq.draw_negatives(np.random.default_rng(0), sequences, np.array([0]), positive, items).tolist() == want
    batch = windows.training_batch(sequences, np.array([[0, 0, 1]]), sizes(2, 1), np.random.default_rng(0))
    assert batch.next.item.tolist() == [[0, 1]] and batch.next.negative.tolist() == [[0, 0]]
    assert not batch.next.negative_counts.any()


def test_negatives_depend_on_the_generator_alone():
    log = random_log(1)
    sequences = sq.from_rows(log.user, log.item, log.behaviour, 3)
    cuts = windows.windows(sequences, 5)
    one, two, other = (windows.training_batch(sequences, cuts, sizes(5, 6), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same(one.next, two.next) and not same(one.next, other.next)


# A file of fixed lists.

SPLIT = dict(tr_item=[3, 1, 2, 2], tr_beh=[3, 0, 1, 2], ptr=[0, 3, 4], target=[4, 1], usernum=2, itemnum=5,
             neg_clean=np.full((2, 2, 99), 5), neg_release=np.full((2, 2, 99), 2))


def test_fixed_log_by_hand(tmp_path):
    np.savez(tmp_path / "split.npz", **SPLIT)
    log, negatives = split_files.read_training_lists(tmp_path / "split.npz")
    assert log.behaviours == ("buy", "cart", "fav", "pv")
    assert log.user.tolist() == [1, 1, 1, 1, 2, 2]
    assert log.item.tolist() == [3, 1, 2, 4, 2, 1]
    assert log.behaviour.tolist() == [4, 1, 2, 1, 3, 1]
    assert (len(log.users) - 1, len(log.items) - 1) == (2, 5)
    assert negatives["neg_clean"].shape == (2, 2, 99) and (negatives["neg_release"] == 2).all()
    split = leave_one_out(log, "buy", min_events=1)
    assert held(split.test) == {1: ([3, 1, 2], 4, False), 2: ([2], 1, False)}
    assert held(split.validation) == {1: ([3], 1, False)}


def break_split(path, how):
    np.savez(path, **{**{n: a for n, a in SPLIT.items() if n != how},
                      **({"target": [4, 1, 2]} if how == "longer" else {})})
    whole = path.read_bytes()
    if how == "array":
        np.save(path.with_suffix(".npy"), np.ones(3))
        path.with_suffix(".npy").replace(path)
    texts = {"empty": b"", "text": b"1,2,3,pv,4\n", "cut": whole[: len(whole) // 2]}
    if how in texts:
        path.write_bytes(texts[how])
    if how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["missing", "empty", "text", "cut", "array", "longer", "ptr", "target", "neg_clean"])
def test_fixed_log_refuses_another_file(tmp_path, how):
    break_split(tmp_path / "split.npz", how)
    with pytest.raises(InputError, match="split.npz is no split file"):
        split_files.read_training_lists(tmp_path / "split.npz")
