"""mbref.data.targets and group_events: examples, histories and gaps against lists written by hand and slow loops."""
import numpy as np
import pytest

from mbref.data import group_events as ge, sequences, split_files, targets
from mbref.data.groups import GroupLog
from mbref.data.leave_one_out import leave_one_out
from mbref.data.log import Log
from mbref.errors import InputError

DAY, HOUR = 86400, 3600


def clock(day, hour):
    return day * DAY + hour * HOUR


# Users 1 and 3 (user 2 has no events) with (item, behaviour, time), oldest first.
FIRST = [(5, 1, clock(10, 23)), (2, 2, clock(11, 1)), (5, 1, clock(11, 22)), (3, 1, clock(19, 0))]
THIRD = [(1, 2, clock(3, 5)), (4, 1, clock(3, 5))]
CATEGORY = np.array([0, 2, 1, 0, 3, 1, 2, 2, 1, 1])
ITEMS = 9


def a_log(*users, timed=True, **fields):
    """Sequences of the given users' events."""
    item, behaviour, time = np.array([event for events in users for event in events]).T
    user = np.repeat([1, 3][: len(users)], [len(events) for events in users])
    return sequences.from_rows(user, item, behaviour, 2)._replace(time=time if timed else None, **fields)


def lists(history):
    return [[row.tolist() for row in part] for part in history]


# One group of items: training.

def test_every_event_but_the_first_is_a_target():
    """Rows of the log 0..3 are the first user's, 4 and 5 the third's."""
    rows, = targets.examples(a_log(FIRST, THIRD), ITEMS, np.random.default_rng(0), pairs=True)
    assert rows[:, :2].tolist() == [[1, 2], [2, 5], [3, 3], [5, 4]]
    apart, = targets.examples(a_log(FIRST, THIRD), ITEMS, np.random.default_rng(0))
    assert apart[:4].tolist() == rows[:, :2].tolist()         # positives, then
    assert apart[4:].tolist() == rows[:, [0, 2]].tolist()     # the negatives of the same events, drawn alike
    lonely, = targets.examples(a_log(FIRST[:1], THIRD), ITEMS, np.random.default_rng(0), pairs=True)
    assert lonely[:, 0].tolist() == [2]


def test_negatives_are_uniform_over_items_that_the_sequence_does_not_hold():
    """The item that comes first, and the items that come later, are not drawn either."""
    drawn = np.concatenate([targets.examples(a_log(FIRST, THIRD), ITEMS, np.random.default_rng(seed), True)[0]
                            for seed in range(500)])
    for of_user, others in [(drawn[:, 0] < 4, {1, 4, 6, 7, 8, 9}), (drawn[:, 0] >= 4, {2, 3, 5, 6, 7, 8, 9})]:
        negatives, times = np.unique(drawn[of_user, 2], return_counts=True)
        assert set(negatives.tolist()) == others
        expected = of_user.sum() / len(others)
        assert np.abs(times - expected).max() < 5 * expected**0.5


def test_without_another_item_there_is_no_negative():
    rows, = targets.examples(a_log([(1, 1, 0), (1, 1, 5)]), 1, np.random.default_rng(0), pairs=True)
    assert rows.tolist() == [[1, 1, 0]]


def test_negatives_that_are_given_are_used():
    log = a_log(FIRST, THIRD, negative=np.array([11, 12, 13, 14, 15, 16]))
    rows, = targets.examples(log, ITEMS, np.random.default_rng(0), pairs=True)
    assert rows[:, 2].tolist() == [12, 13, 14, 16]
    rows, = targets.examples(log, ITEMS, np.random.default_rng(0))
    assert rows[4:].tolist() == [[1, 12], [2, 13], [3, 14], [5, 16]]


def test_training_batch_by_hand():
    """History strictly before the target, right padded; gaps by the calendar: 23:00 to 1:00 is a day."""
    rows = np.array([[5, 7], [3, 3], [2, 5], [1, 6], [2, 8]])
    batch = targets.training_batch(a_log(FIRST, THIRD, category=CATEGORY), rows, 50, ITEMS, DAY)
    history, = batch.histories
    assert lists(history) == [
        [[1, 0, 0], [5, 2, 5], [5, 2, 0], [5, 0, 0], [5, 2, 0]],
        [[2, 0, 0], [1, 2, 1], [1, 2, 0], [1, 0, 0], [1, 2, 0]],
        [[0, 0, 0], [9, 8, 8], [1, 0, 0], [1, 0, 0], [1, 0, 0]]]
    assert batch.candidate.tolist() == [[7], [3], [5], [6], [8]]
    assert batch.label.tolist() == [[False], [True], [True], [False], [False]]
    assert batch.group == 0
    assert batch.features[0].tolist() == [[n, c] for n, c in enumerate(CATEGORY)]


def test_pairs_have_the_target_and_its_negative_in_one_row():
    batch = targets.training_batch(a_log(FIRST, THIRD), np.array([[3, 3, 6], [5, 4, 0]]), 50, ITEMS, DAY)
    assert batch.candidate.tolist() == [[3, 6], [4, 0]]
    assert batch.label.tolist() == [[True, False], [True, False]]
    assert batch.histories[0].item.tolist() == [[5, 2, 5], [1, 0, 0]]
    assert batch.features[0].tolist() == [[n] for n in range(ITEMS + 1)]  # no categories in this log


@pytest.mark.parametrize("length, items", [(1, [[5], [1]]), (2, [[2, 5], [1, 0]]), (3, [[5, 2, 5], [1, 0, 0]])])
def test_only_the_newest_events_are_read(length, items):
    batch = targets.training_batch(a_log(FIRST, THIRD), np.array([[3, 3], [5, 4]]), length, ITEMS, DAY)
    assert batch.histories[0].item.tolist() == items
    assert batch.histories[0].gap[0].tolist() == [9, 8, 8][-length:]


def test_units_of_gaps():
    """In hours, in seconds, and without times all 0."""
    row = np.array([[2, 5]])
    assert targets.training_batch(a_log(FIRST), row, 50, ITEMS, HOUR).histories[0].gap.tolist() == [[23, 21]]
    assert targets.training_batch(a_log(FIRST), row, 50, ITEMS, 1).histories[0].gap.tolist() == [[23 * HOUR, 21 * HOUR]]
    timeless = targets.training_batch(a_log(FIRST, timed=False), row, 50, ITEMS, DAY).histories[0]
    assert timeless.gap.tolist() == [[0, 0]] and timeless.item.tolist() == [[5, 2]]


def test_what_follows_a_target_changes_nothing():
    rows, log = np.array([[2, 5], [2, 7]]), a_log(FIRST, THIRD)
    other = a_log([*FIRST[:2], (5, 2, clock(11, 22)), (9, 2, clock(11, 23))], [(8, 1, 7), (9, 1, 9)])
    for a, b in zip(targets.training_batch(log, rows, 50, ITEMS, DAY).histories[0],
                    targets.training_batch(other, rows, 50, ITEMS, DAY).histories[0], strict=True):
        assert a.tolist() == b.tolist()


# One group of items: ranking.

def test_ranking_batch_reads_the_whole_sequence_as_of_now():
    """Held-out events of days 19 and 30: the gaps of all before them, in the order of the cases asked for."""
    log = a_log(FIRST, THIRD, now=np.array([clock(19, 1), clock(30, 0)]), category=CATEGORY)
    batch = targets.ranking_batch(log, np.array([1, 0]), 50, ITEMS, DAY)
    assert lists(batch.histories[0]) == [
        [[1, 4, 0, 0], [5, 2, 5, 3]], [[2, 1, 0, 0], [1, 2, 1, 1]], [[27, 27, 0, 0], [9, 8, 8, 0]]]
    assert batch.candidate is None and batch.label is None and batch.features[0].shape == (10, 2)
    newest = targets.ranking_batch(log, np.array([0]), 2, ITEMS, DAY).histories[0]
    assert lists(newest) == [[[5, 3]], [[1, 1]], [[8, 0]]]
    timeless = targets.ranking_batch(a_log(FIRST, THIRD, timed=False), np.array([1]), 50, ITEMS, DAY)
    assert timeless.histories[0].gap.tolist() == [[0, 0]]


def test_now_comes_from_leave_one_out():
    """The held-out event's own time, not that of the newest event before it."""
    item, behaviour, time = np.array(FIRST).T
    log = Log(np.ones(4, int), item, behaviour, time, None, np.array(["", "1"]), np.arange(ITEMS + 1).astype(str),
              None, ("a", "b"), ())
    split = leave_one_out(log, "any")
    test = targets.ranking_batch(split.test.history, np.array([0]), 50, ITEMS, DAY).histories[0]
    assert lists(test) == [[[5, 2, 5]], [[1, 2, 1]], [[9, 8, 8]]]
    validation = targets.ranking_batch(split.validation.history, np.array([0]), 50, ITEMS, DAY).histories[0]
    assert lists(validation) == [[[5, 2]], [[1, 2]], [[1, 0]]]


def test_the_first_event_of_a_sequence_has_no_history():
    """Though examples never ask for it, row 4 must not see the events of the user before."""
    batch = targets.training_batch(a_log(FIRST, THIRD), np.array([[4, 1], [0, 5]]), 50, ITEMS, DAY)
    assert lists(batch.histories[0]) == [[[0], [0]]] * 3


def test_cut_of_nothing_is_one_slot_of_padding():
    history = targets.cut(a_log(FIRST), np.array([0, 2]), np.array([0, 2]), np.array([0, 0]), DAY)
    assert lists(history) == [[[0], [0]]] * 3


# Several groups.

SIZES = (6, 4, 3)  # objects of each group
NAMES = ("item", "query", "coupon")


def random_log(seed, users=5, longest=14):
    """Sorted by user, then time; equal times are common."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, longest, users)
    sizes[0] = longest
    user = np.repeat(np.arange(1, users + 1), sizes)
    time = np.concatenate([np.sort(rng.integers(0, 12, size)) * 8 * HOUR for size in sizes])
    group = rng.integers(0, 3, len(user))
    number = rng.integers(1, np.array(SIZES)[group] + 1)
    action = np.array([1, 3, 4])[group] + (group == 0) * rng.integers(0, 2, len(user))
    features = (np.arange(7 * 2).reshape(7, 2), np.arange(5)[:, None], np.arange(4)[:, None])
    raw = tuple(np.arange(size + 1).astype(str) for size in SIZES)
    return GroupLog(user, group, number, action, time, np.arange(users + 1).astype(str), raw, NAMES,
                    ("view", "buy", "search", "receive"), features, (("item", "shop"), ("query",), ("coupon",)), {}, ())


def slow_history(log, group, case, length):
    """(object, action, gap in days) of one group before the event `case`, by a walk backwards through the log."""
    found, row = [], case - 1
    while row >= 0 and log.user[row] == log.user[case] and len(found) < length:
        if log.group[row] == group:
            gap = int(log.time[case]) // DAY - int(log.time[row]) // DAY
            found.insert(0, (int(log.object[row]), int(log.action[row]), gap))
        row -= 1
    return found


def unpadded(history, b):
    """Row b of a History as a list; padding has to come last and be 0 everywhere."""
    columns = np.stack(history, axis=-1)[b]  # [L, 3]
    real = columns[:, 0] > 0
    assert (np.diff(real.astype(int)) <= 0).all() and not columns[~real].any()
    return [tuple(event) for event in columns[real].tolist()]


def events_of(log, read=(0, 1, 2), predict=(0, 1, 2), rows=None):
    return ge.GroupEvents(log, np.arange(len(log.user)) if rows is None else rows, read, predict)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1, 3, 50])
def test_histories_of_each_group_by_a_slow_loop(seed, length):
    log = random_log(seed)
    for target in range(3):
        cases = np.random.default_rng(seed).permutation(np.flatnonzero(log.group == target))
        batch = ge.ranking_batch(events_of(log), cases, length, None, DAY)
        assert batch.group == target and batch.candidate is None
        for g, history in enumerate(batch.histories):
            want = [slow_history(log, g, case, length) for case in cases]
            assert [unpadded(history, b) for b in range(len(cases))] == want
            assert history.item.shape == (len(cases), max(1, *map(len, want), 0))


def test_only_the_groups_that_are_read():
    log = random_log(0)
    cases = np.flatnonzero(log.group == 2)
    batch = ge.ranking_batch(events_of(log, read=(2, 0), predict=(2,)), cases, 50, None, DAY)
    assert len(batch.histories) == 2 and batch.group == 0
    assert [unpadded(batch.histories[1], b) for b in range(len(cases))] == [
        slow_history(log, 0, case, 50) for case in cases]
    assert batch.features[0] is log.features[2] and batch.features[1] is log.features[0]


def test_a_group_without_any_event():
    log = random_log(1)
    log = log._replace(group=np.where(log.group == 2, 0, log.group))
    history = ge.history(log, 2, np.array([3, 5]), 50, DAY)
    assert lists(history) == [[[0], [0]]] * 3


@pytest.mark.parametrize("seed", range(3))
def test_the_target_and_what_follows_change_no_history(seed):
    """Every event from a target on gets another object and action, and all that follow another time."""
    log = random_log(seed)
    for case in np.flatnonzero(log.user == 1):
        later = (np.arange(len(log.user)) >= case) | (log.user != 1)
        other = log._replace(object=np.where(later, 1 + (log.object % 3), log.object),
                             action=np.where(later, 1, log.action),
                             time=log.time + DAY * (later & (np.arange(len(log.user)) != case)))
        batches = [ge.ranking_batch(events_of(x), np.array([case]), 50, None, DAY) for x in (log, other)]
        for one, two in zip(*(batch.histories for batch in batches), strict=True):
            assert lists(one) == lists(two)


def test_one_array_of_examples_a_group():
    log, rng = random_log(2), np.random.default_rng(0)
    rows = np.flatnonzero(np.arange(len(log.user)) % 4 > 0)
    for predict in [(0, 1, 2), (2, 0), (1,)]:
        tasks = ge.examples(events_of(log, predict=predict, rows=rows), None, rng)
        assert len(tasks) == len(predict)
        for g, task in zip(predict, tasks, strict=True):
            own = rows[log.group[rows] == g]
            assert task[: len(own)].tolist() == [[row, log.object[row]] for row in own]
            assert task[len(own) :, 0].tolist() == own.tolist()
            pairs, = ge.examples(events_of(log, predict=(g,), rows=rows), None, rng, pairs=True)
            assert pairs[:, 0].tolist() == own.tolist() and pairs.shape == (len(own), 3)
            assert pairs[:, 1].tolist() == log.object[own].tolist()


def two_users(objects):
    """Queries 1.. of two users, one a day; then one item each."""
    n = len(objects[0]) + len(objects[1])
    user = np.repeat([1, 2], [len(own) + 1 for own in objects])
    numbers = np.array([*objects[0], 1, *objects[1], 2])
    group = np.where(np.isin(np.arange(n + 2), [len(objects[0]), n + 1]), 0, 1)
    log = random_log(0)
    raw = (log.objects[0], np.arange(10).astype(str), log.objects[2])
    return log._replace(user=user, object=numbers, group=group, action=np.ones_like(user),
                        time=np.arange(n + 2) * DAY, objects=raw)


def test_negatives_are_none_of_the_users_objects_among_the_training_rows():
    """Nine queries; user 1 trains on 1, 2, 3 (4 is held out), user 2 on 5 and 6; items have the same numbers."""
    log = two_users([[1, 2, 3, 4], [5, 6]])
    rows = np.array([0, 1, 2, 4, 5, 6, 7])  # without row 3, query 4 of user 1
    drawn = {1: set(), 2: set()}
    for seed in range(200):
        task, = ge.examples(events_of(log, predict=(1,), rows=rows), None, np.random.default_rng(seed), pairs=True)
        assert task[:, :2].tolist() == [[0, 1], [1, 2], [2, 3], [5, 5], [6, 6]]
        for row, _, negative in task.tolist():
            drawn[1 if row < 4 else 2].add(negative)
    assert drawn == {1: {4, 5, 6, 7, 8, 9}, 2: {1, 2, 3, 4, 7, 8, 9}}


def test_training_batch_of_a_group():
    log = two_users([[1, 2, 3, 4], [5, 6]])
    rows = np.array([[2, 3], [2, 9], [6, 6]])
    batch = ge.training_batch(events_of(log), rows, 50, None, DAY)
    assert batch.candidate.tolist() == [[3], [9], [6]] and batch.label.tolist() == [[True], [False], [True]]
    assert batch.group == 1
    assert batch.histories[1].item.tolist() == [[1, 2], [1, 2], [5, 0]]
    assert batch.histories[1].gap.tolist() == [[2, 1], [2, 1], [1, 0]]
    assert [history.item.tolist() for history in (batch.histories[0], batch.histories[2])] == [[[0], [0], [0]]] * 2


def test_split_shares_by_hand():
    """15 %, rounded, but at least one each: of 20 events 3 and 3, of 13 (1.95) 2 and 2, of 3 one each, of 1 a test."""
    sizes = [20, 13, 3, 2, 1]
    user = np.repeat(np.arange(1, 6), sizes)
    split = ge.split(random_log(0)._replace(user=user))
    assert split.test.tolist() == [17, 18, 19, *range(31, 33), 35, 37, 38]
    assert split.validation.tolist() == [14, 15, 16, 29, 30, 34, 36]
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(39))
    half = ge.split(random_log(0)._replace(user=np.ones(10, int)), share=0.4)
    assert [part.tolist() for part in half] == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]


# A file of whole event lists with fixed negatives.

FIXED = dict(item=[3, 0, 2, 1, 1, 2, 3, 0], time=[5, 6, 7, 7, 9, 1, 2, 4], ptr=[0, 4, 5, 8],
             neg=[4, 1, 4, 0, 2, 0, 1, 4], cate=[1, 0, 0, 1, 2], test_neg100=np.arange(300).reshape(3, 100) % 5)


def saved(folder, **changed):
    np.savez(folder / "split.npz", **{n: np.array(a) for n, a in (FIXED | changed).items() if a is not None})
    return folder / "split.npz"


def test_fixed_log_by_hand(tmp_path):
    """Ids there start at 0, here at 1; the fixed candidates are those of each user's last event."""
    log, negative, of_users = split_files.read_event_lists(saved(tmp_path))
    assert log.user.tolist() == [1, 1, 1, 1, 2, 3, 3, 3] and log.item.tolist() == [4, 1, 3, 2, 2, 3, 4, 1]
    assert log.time.tolist() == FIXED["time"] and set(log.behaviour.tolist()) == {1}
    assert log.category.tolist() == [2, 2, 1, 1, 1, 1, 2, 2]
    assert (len(log.users) - 1, len(log.items) - 1, len(log.categories) - 1) == (3, 5, 3)
    assert negative.tolist() == [5, 2, 5, 1, 3, 1, 2, 5]
    assert of_users["1 fixed"].tolist() == [[1], [3], [5]]
    assert of_users["100 fixed"].tolist() == (FIXED["test_neg100"] + 1).tolist()


def test_every_event_keeps_its_own_fixed_negative(tmp_path):
    """The user of one event has none to train on; the last two of the others are held out for validation and test."""
    log, negative, _ = split_files.read_event_lists(saved(tmp_path))
    split = split_files.with_negatives(leave_one_out(log, "any", min_events=1), log, negative)
    assert split.train.item.tolist() == [4, 1, 3] and split.train.negative.tolist() == [5, 2, 1]
    assert split.refit.item.tolist() == [4, 1, 3, 3, 4] and split.refit.negative.tolist() == [5, 2, 5, 1, 2]
    rows, = targets.examples(split.refit, 5, np.random.default_rng(0), pairs=True)
    assert rows.tolist() == [[1, 1, 2], [2, 3, 5], [4, 4, 2]]


@pytest.mark.parametrize("changed", [
    dict(neg=None), dict(test_neg100=None), dict(time=[5, 6]), dict(ptr=[0, 4, 5]), dict(item=[9] * 8)])
def test_fixed_log_refuses_another_file(tmp_path, changed):
    with pytest.raises(InputError, match="split.npz is no split file"):
        split_files.read_event_lists(saved(tmp_path, **changed))
