"""mbref.data.sessions against splits written out by hand, a second implementation with dicts, and a real file."""
from collections import Counter, defaultdict

import numpy as np
import pytest

from mbref.data.log import Attributes, Log
from mbref.data.readers import read
from mbref.data.sequences import from_rows
from mbref.data.sessions import as_split, cold, cut_sessions, keep_rows, prefixes, session_split
from mbref.errors import InputError
from tests.optional import find_logs, given, settings, st

CLICKS = "diginetica/sample_train-item-views.csv"
DAY = 86400


def log_of(sessions, categories=None, attributes=None):
    """Log of {raw session: [(raw item, seconds), ...]}, numbered in text order; categories {raw item: raw category}."""
    users = ["", *sorted(sessions)]
    items = ["", *sorted({item for clicks in sessions.values() for item, _ in clicks})]
    names = ["", *sorted(set((categories or {}).values()))]
    rows = [(users.index(s), items.index(item), at) for s in users[1:] for item, at in sessions[s]]
    user, item, at = np.array(rows).T
    category = None if categories is None else np.array([names.index(categories.get(items[i], "")) for i in item])
    return Log(user, item, np.ones_like(user), at, category, np.array(users), np.array(items),
               None if categories is None else np.array(names), ("view",), (), attributes)


def raw(log, sequences):
    """{raw session: [raw items]}."""
    lists = np.split(log.items[sequences.item], sequences.ptr[1:-1])
    return {s: items.tolist() for s, items in zip(log.users[sequences.user].tolist(), lists, strict=True)}


def parts(split):
    return tuple(raw(split.log, part) for part in split[:3])


def clicks(items, day, step=60):
    """Clicks on items, the last one on `day` (from 0, may be a fraction)."""
    end = round(day * DAY)
    return [(item, end - step * k) for k, item in zip(range(len(items) - 1, -1, -1), items, strict=True)]


# The split.

SESSIONS = {
    "a": clicks("pq", 1), "b": clicks("pqr", 2), "c": clicks("xp", 3), "d": clicks("qpq", 8), "e": clicks("pqp", 9),
    "f": [("p", 5 * DAY), ("y", 6 * DAY), ("q", 9 * DAY + 1)], "g": clicks("py", 10), "h": clicks("p", 20),
    "i": clicks("rqr", 9.5), "j": clicks("ppr", 8.5)}


def test_session_rec_by_hand():
    # h has one click, so the last of all is that of g on day 10: test is later than day 9, that is f, g and i (f by
    # its last click). Of the rest, e on day 9 is the last; later than day 8 are e and j; d on day 8 exactly is not.
    # In training p, q have 4 clicks, r and x one: r and x go everywhere, and with x session c. y is unknown.
    # g is left with p, i with q.
    split = session_split(log_of(SESSIONS), min_support=2, days=1)
    assert parts(split) == ({"a": ["p", "q"], "b": ["p", "q"], "d": ["q", "p", "q"]},
                            {"e": ["p", "q", "p"], "j": ["p", "p"]},
                            {"f": ["p", "q"]})
    assert split.log.items.tolist() == ["", "p", "q"]
    assert split.log.users.tolist() == ["", "a", "b", "d", "e", "f", "j"]
    whole = as_split(split)
    assert (whole.items, whole.users, whole.behaviours) == (2, 6, 1)
    assert split.notes == ("as read: 10 sessions, 5 items, 25 clicks",
                           "without sessions of one click: 9 sessions, 5 items, 24 clicks",
                           "without items of fewer than 2 clicks in the training part: "
                           "6 sessions, 2 items, 14 clicks",
                           "without items unknown to training: 6 sessions, 2 items, 14 clicks")


def test_support_in_all_parts_by_hand():
    # Counted everywhere, r (4 clicks) and y (2) stay, x goes and with it c. Then y, unknown to training, goes.
    split = session_split(log_of(SESSIONS), support="all", min_support=2, days=1)
    assert parts(split) == ({"a": ["p", "q"], "b": ["p", "q", "r"], "d": ["q", "p", "q"]},
                            {"e": ["p", "q", "p"], "j": ["p", "p", "r"]},
                            {"f": ["p", "q"], "i": ["r", "q", "r"]})
    assert split.notes[2].startswith("without items of fewer than 2 clicks in all parts: 8 sessions, 4 items")


def test_srgnn_has_a_hole_of_one_day():
    # The last day is 10. With days=2 test is days 9 and 10, day 8 is nowhere, training ends with day 7; validation is
    # days 6 and 7, later than day 5, and day 5 itself is training. s begins on day 7 and ends on day 8.
    day = {"a": 1.5, "b": 5.999, "c": 6.001, "d": 7.5, "e": 8.001, "f": 8.999, "g": 9.001, "s": 8.0001, "t": 10.5}
    sessions = {name: clicks("pq", at) for name, at in day.items()}
    split = session_split(log_of(sessions), "srgnn", min_support=1, days=2)
    train, validation, test = parts(split)
    assert [set(train), set(validation), set(test)] == [{"a", "b"}, {"c", "d", "s"}, {"g", "t"}]
    assert split.log.users.tolist() == ["", "a", "b", "c", "d", "g", "s", "t"]
    # session-rec: later than day 8.5, and of the rest (last: 8.001) later than 6.001.
    train, validation, test = parts(session_split(log_of(sessions), min_support=1, days=2))
    assert [set(train), set(validation), set(test)] == [{"a", "b", "c"}, {"d", "e", "s"}, {"f", "g", "t"}]


def test_the_filter_is_one_pass():
    # p has 3 clicks before a is dropped for being left with one; its 2 clicks then are fewer than min_support.
    sessions = {"a": clicks("px", 1), "b": clicks("pq", 1), "c": clicks("pq", 1), "d": clicks("qq", 1),
                "v": clicks("pq", 20), "t": clicks("pq", 30)}
    split = session_split(log_of(sessions), min_support=3)
    assert parts(split)[0] == {"b": ["p", "q"], "c": ["p", "q"], "d": ["q", "q"]}


def test_items_lost_with_their_training_sessions_are_unknown():
    # r has two clicks in training, but its sessions go with x and y; so it goes from validation and test, too.
    sessions = {"a": clicks("rx", 1), "b": clicks("ry", 1), "c": clicks("pqpq", 1), "v": clicks("pqr", 20),
                "t": clicks("rpq", 30), "u": clicks("rrp", 30)}
    split = session_split(log_of(sessions), min_support=2)
    assert parts(split) == ({"c": ["p", "q", "p", "q"]}, {"v": ["p", "q"]}, {"t": ["p", "q"]})
    assert split.notes[2].endswith("4 sessions, 3 items, 13 clicks")
    assert split.notes[3].endswith("3 sessions, 2 items, 8 clicks")


def test_metadata_follow_the_items():
    # Items p, q, r, s, x with attributes [2], [], [1, 3], [2, 1], [3]; x and its category go, q has none.
    names = np.array(["", "u", "v", "w"])
    attributes = Attributes(np.array([0, 0, 1, 1, 3, 5, 6]), np.array([2, 1, 3, 2, 1, 3]), names)
    sessions = {"a": clicks("prsx", 1), "b": clicks("sqrp", 1), "v": clicks("pqr", 20), "t": clicks("rps", 30)}
    log = log_of(sessions, {"p": "C", "r": "A", "s": "C", "x": "B"}, attributes)
    split = session_split(log._replace(notes=("read",)), support="all", min_support=2)
    made = split.log
    assert made.items.tolist() == ["", "p", "q", "r", "s"]
    assert made.categories.tolist() == ["", "A", "C"]
    assert dict(zip(made.items[made.item].tolist(), made.categories[made.category].tolist(), strict=True)) == {
        "p": "C", "q": "", "r": "A", "s": "C"}
    assert split.train.category.tolist() == [0, 2, 0, 1, 2]  # of item 0, p, q, r, s
    assert [made.attributes.ptr.tolist(), made.attributes.value.tolist()] == [[0, 0, 1, 1, 3, 5], [2, 1, 3, 2, 1]]
    assert made.attributes.names.tolist() == ["", "u", "v", "w"]
    assert made.notes == ("read",) and made.behaviours == ("view",)
    assert made.time.tolist() == [at for s in "abtv" for item, at in sessions[s] if item != "x"]
    assert split.test.time.tolist() == [at for _, at in sessions["t"]]
    for column in (made.user, made.item, made.behaviour, made.time, made.category, made.users, made.items,
                   made.categories, *made.attributes[:2]):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_keep_rows_keeps_all_of_a_whole_log():
    log = log_of(SESSIONS, {"p": "C"})
    for one, other in zip(log, keep_rows(log, np.arange(len(log.user))), strict=True):
        np.testing.assert_array_equal(one, other)


def plain_split(sessions, rule, support, min_support, days):
    """session_split again, with dicts: three {raw session: [raw items]}."""
    def long(of):
        return {name: rows for name, rows in of.items() if len(rows) >= 2}

    def date(rows):
        return rows[-1][1] if rule == "session-rec" else rows[0][1] // DAY * DAY

    def only(of, known):
        return long({name: [row for row in rows if row[0] in known] for name, rows in of.items()})

    def often(of):
        counts = Counter(item for rows in of.values() for item, _ in rows)
        return {item for item, count in counts.items() if count >= min_support}

    left = long(sessions)
    if support == "all":
        left = only(left, often(left))
    dates = {name: date(rows) for name, rows in left.items()}
    split_day = max(dates.values()) - days * DAY
    test = {name for name in dates if dates[name] > split_day}
    first = {n for n in dates if (dates[n] <= split_day if rule == "session-rec" else dates[n] < split_day)}
    later = {n for n in first if dates[n] > max(dates[m] for m in first) - days * DAY}
    train = {name: left[name] for name in first - later}
    if support == "train":
        train = only(train, often(train))
    known = {item for rows in train.values() for item, _ in rows}
    three = train, *(only({name: left[name] for name in names}, known) for names in (later, test))
    return tuple({name: [item for item, _ in rows] for name, rows in part.items()} for part in three)


CASES = st.tuples(st.sampled_from(["session-rec", "srgnn"]), st.sampled_from(["train", "all"]), st.integers(1, 3),
                  st.integers(1, 3))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), CASES)
def test_split_equals_the_plain_one(seed, case):
    # Times are multiples of six hours in eight days, so that sessions end exactly on a boundary now and then.
    rng = np.random.default_rng(seed)
    sessions = {f"s{n:02d}": [("pqrstu"[rng.integers(6)], int(at)) for at in
                              DAY // 4 * np.sort(rng.integers(25) + rng.integers(8, size=rng.integers(1, 6)))]
                for n in range(rng.integers(5, 30))}
    try:
        split = session_split(log_of(sessions), *case)
    except InputError:
        with pytest.raises((ValueError, AssertionError)):
            expected = plain_split(sessions, *case)
            assert all(expected)
        return
    assert parts(split) == plain_split(sessions, *case)
    assert set(split.log.items[split.train.item]) == set(split.log.items[1:])  # all of the catalogue is in training
    assert sorted(split.log.users[1:]) == sorted(s for part in parts(split) for s in part)
    assert len(split.log.user) == sum(len(part.item) for part in split[:3])


@pytest.mark.parametrize(("change", "words"), [
    ({"rule": "dates"}, "unknown rule 'dates': choose one of session-rec, srgnn."),
    ({"support": "both"}, "unknown support 'both': choose one of train, all."),
    ({"min_support": 0}, "min_support 0 and days 7 must be 1 or more"), ({"days": 0}, "days 0 must be 1 or more"),
    ({"min_support": 99, "support": "all"}, "no session has two clicks on items that are kept: lower --min-support"),
    ({"min_support": 99}, "no session is left for training: change --days, lower --min-support"),
    ({"days": 99, "min_support": 1}, "no session is left for training"),
    ({"days": 1, "min_support": 1, "log": {"a": clicks("pq", 1), "b": clicks("pq", 20)}}, "left for training"),
    ({"days": 1, "min_support": 1, "log": {"a": clicks("pq", 1), "b": clicks("pq", 4), "c": clicks("xy", 9)}},
     "left for test")])
def test_what_cannot_be_split(change, words):
    change = dict(change)
    log = log_of(change.pop("log", SESSIONS))
    with pytest.raises(InputError) as caught:
        session_split(log, **change)
    assert words in str(caught.value)


def test_no_times():
    log = log_of(SESSIONS)._replace(time=None)
    for made in (lambda: session_split(log), lambda: cut_sessions(log)):
        with pytest.raises(InputError, match="this log has no times"):
            made()


# Cases.

def test_prefixes_by_hand():
    user, item = np.array([1, 1, 1, 1, 2, 3, 3]), np.array([5, 6, 5, 7, 5, 8, 8])
    sessions = from_rows(user, item, np.ones_like(user), 1)._replace(
        time=np.array([10, 20, 30, 40, 5, 1, 2]), category=np.array([0, 0, 0, 0, 0, 1, 2, 3, 4]))
    held = prefixes(sessions)
    assert held.item.tolist() == [6, 5, 7, 8]
    assert held.seen.tolist() == [False, True, False, True]
    history = held.history
    assert history.ptr.tolist() == [0, 1, 3, 6, 7]
    assert history.item.tolist() == [5, 5, 6, 5, 6, 5, 8]
    assert history.time.tolist() == [10, 10, 20, 10, 20, 30, 1]
    assert history.user.tolist() == [1, 1, 1, 3]
    assert history.now.tolist() == [20, 30, 40, 2]
    assert history.counts[:, 0].tolist() == [1, 1, 1, 1, 1, 2, 1]
    assert history.category is sessions.category and history.oracle.tolist() == [2, 1, 3, 4]


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=7), min_size=1, max_size=6))
def test_prefixes_of_any_sessions(lists):
    user = np.repeat(np.arange(1, len(lists) + 1), [len(items) for items in lists])
    held = prefixes(from_rows(user, np.concatenate(lists), np.ones_like(user), 1))
    cases = [(items[:t], items[t]) for items in lists for t in range(1, len(items))]
    histories = [held.history.item[a:b].tolist() for a, b in zip(held.history.ptr, held.history.ptr[1:], strict=False)]
    assert list(zip(histories, held.item.tolist(), strict=True)) == cases
    assert held.seen.tolist() == [item in history for history, item in cases]
    assert held.history.now is None and held.history.time is None


def test_thirty_thousand_cases():
    user = np.repeat(np.arange(1, 5001), 7)
    sessions = from_rows(user, np.random.default_rng(0).integers(1, 900, len(user)), np.ones_like(user), 1)
    assert len(prefixes(sessions).item) == 30_000


# Cold items.

def cold_split():
    rng = np.random.default_rng(3)
    sessions = {f"{day:02d}{n}": [(f"i{rng.integers(30):02d}", DAY * day + k) for k in range(rng.integers(2, 5))]
                for day in range(30) for n in range(5)}
    return session_split(log_of(sessions), min_support=1)


def test_cold_items_are_in_no_training_session():
    split = cold_split()
    changed, unknown = cold(split, 0.25, np.random.default_rng(1))
    items = len(split.log.items) - 1
    assert unknown.shape == (items + 1,) and not unknown[0]
    assert unknown.sum() == round(0.25 * items)  # no session lost its last known item here
    before, after = raw(split.log, split.train), raw(split.log, changed.train)
    names = set(split.log.items[unknown].tolist())
    expected = {s: [item for item in items if item not in names] for s, items in before.items()}
    assert after == {s: items for s, items in expected.items() if len(items) >= 2}
    assert changed.validation is split.validation and changed.test is split.test and changed.log is split.log
    assert changed.train.category is split.train.category
    of = dict(zip(zip(split.log.user.tolist(), split.log.time.tolist(), strict=True), split.log.item.tolist(),
                  strict=True))  # no two clicks of a session are at one time here
    users = np.repeat(changed.train.user, np.diff(changed.train.ptr)).tolist()
    assert [of[key] for key in zip(users, changed.train.time.tolist(), strict=True)] == changed.train.item.tolist()
    again = from_rows(np.array(users), changed.train.item, changed.train.behaviour, 1)
    np.testing.assert_array_equal(changed.train.counts, again.counts)
    np.testing.assert_array_equal(changed.train.before, again.before)


def test_cold_depends_on_the_generator_alone():
    split = cold_split()
    masks = [cold(split, 0.25, np.random.default_rng(seed))[1] for seed in (1, 1, 2)]
    assert (masks[0] == masks[1]).all() and (masks[0] != masks[2]).any()


def test_items_lost_with_a_cold_one_are_cold_too():
    # Whichever of p, q is taken, the only session of the other one goes with it.
    sessions = {"a": clicks("pq", 1), "b": clicks("rs", 1), "v": clicks("pq", 20), "t": clicks("rs", 30)}
    split = session_split(log_of(sessions), min_support=1)
    for seed in range(8):
        changed, unknown = cold(split, 0.25, np.random.default_rng(seed))
        assert unknown.tolist() in ([False, True, True, False, False], [False, False, False, True, True])
        assert len(changed.train.user) == 1


@pytest.mark.parametrize(("share", "words"), [(0, "is 0: give one between"), (1, "is 1: give"), (0.99, "no session")])
def test_shares_that_leave_nothing(share, words):
    with pytest.raises(InputError, match=words):
        cold(cold_split(), share, np.random.default_rng(0))


# Sessions out of a log of users.

def test_cut_sessions_by_hand():
    log = log_of({"a": [("p", 0), ("q", 1800), ("r", 3601), ("p", 3601)], "b": [("q", 5000)],
                  "c": [("q", 5100), ("p", 99999)]})
    cut = cut_sessions(log)
    assert cut.users.tolist() == ["", "a/1", "a/2", "b/1", "c/1", "c/2"]
    assert cut.user.tolist() == [1, 1, 2, 2, 3, 4, 5]
    assert cut.item is log.item and cut.time is log.time
    assert cut.notes == ("cut into 5 sessions where more than 1800 seconds pass",)
    assert cut_sessions(log, gap=100_000).users.tolist() == ["", "a/1", "b/1", "c/1"]
    assert cut_sessions(log, gap=0).user.tolist() == [1, 2, 3, 3, 4, 5, 6]


# A file that nobody here wrote.

@pytest.mark.parametrize("rule", ["session-rec", "srgnn"])
@pytest.mark.parametrize("support", ["train", "all"])
def test_real_diginetica_equals_the_plain_split(rule, support):
    log = read(find_logs(CLICKS), "diginetica")
    sessions = defaultdict(list)
    columns = (column.tolist() for column in (log.users[log.user], log.items[log.item], log.time))
    for user, item, at in zip(*columns, strict=True):
        sessions[user].append((item, at))
    split = session_split(log, rule, support)
    assert parts(split) == plain_split(sessions, rule, support, 5, 7)
    sizes = {"session-rec train": [401, 7, 16], "session-rec all": [450, 22, 37],
             "srgnn train": [401, 4, 16], "srgnn all": [450, 14, 37]}
    assert [len(part.user) for part in split[:3]] == sizes[f"{rule} {support}"]


def test_real_diginetica_by_the_eventdate_column():
    # The script's training and test sessions, from the dates as they stand in the file, not from Log.time.
    rows, date = defaultdict(list), {}
    for line in find_logs(CLICKS).read_text().splitlines()[1:]:
        session, _, item, timeframe, date[session] = line.split(";")
        rows[session].append((int(timeframe), item))
    rows = {session: [item for _, item in sorted(clicks)] for session, clicks in rows.items() if len(clicks) > 1}
    counts = Counter(item for items in rows.values() for item in items)
    rows = {session: [item for item in items if counts[item] >= 5] for session, items in rows.items()}
    dates = {session: np.datetime64(date[session]) for session, items in rows.items() if len(items) > 1}
    split_day = max(dates.values()) - 7
    train, validation, test = parts(session_split(read(find_logs(CLICKS), "diginetica"), "srgnn", "all"))
    assert set(train) | set(validation) <= {session for session in dates if dates[session] < split_day}
    assert set(test) <= {session for session in dates if dates[session] > split_day}
    assert sum(day == split_day for day in dates.values()) == 525 - 516  # the hole, as the notes have it
    assert all(rows[session] == items for session, items in train.items())
