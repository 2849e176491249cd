"""Published test files beside a training file: their events are the test cases, in the way of each split."""
import json

import numpy as np
import pytest

from mbref import runs
from mbref.data.log import Log
from mbref.data.newer import add_events
from mbref.errors import InputError
from tests.test_cli import call

HEAD = "user_id\titem_id\ttime\n"
TRAIN = {1: [5, 6, 7, 5], 2: [6, 5], 3: [8, 7, 6, 8], 4: [8]}  # user: items, a second apart from 100 on
TEST = [(1, 8, 200), (1, 6, 201), (2, 7, 90), (9, 5, 300), (9, 6, 301), (2, 99, 302), (3, 7, 101)]


@pytest.fixture
def files(tmp_path):
    rows = [(u, i, 100 + n) for u, items in TRAIN.items() for n, i in enumerate(items)]
    for name, lines in (("train.csv", rows), ("test.csv", TEST)):
        (tmp_path / name).write_text(HEAD + "".join(f"{u}\t{i}\t{t}\n" for u, i, t in lines))
    return tmp_path


def raw(log, sequences):
    """[(raw user, [raw items]), ...]."""
    return [(log.users[u], log.items[sequences.item[a:b]].tolist())
            for u, a, b in zip(sequences.user, sequences.ptr[:-1], sequences.ptr[1:], strict=True)]


def test_the_events_of_the_file_are_the_test_and_all_others_train(files):
    task = runs.Task(str(files / "train.csv"), "rechorus", "click", test=str(files / "test.csv"))
    log, task, split = runs.open_task(task)
    assert raw(log, split.refit) == [(str(u), [str(i) for i in items]) for u, items in TRAIN.items()]
    assert raw(log, split.train) == [("1", ["5", "6", "7"]), ("2", ["6", "5"]), ("3", ["8", "7", "6"]), ("4", ["8"])]
    assert log.items[split.validation.item].tolist() == ["5", "8"]  # users 2 and 4 have too few events
    # user 2's is the earliest of all it did, 99 is unknown, and user 3's second event is in the training file
    assert raw(log, split.test.history) == [("1", ["5", "6", "7", "5"]), ("1", ["5", "6", "7", "5", "8"]), ("9", ["5"])]
    assert log.items[split.test.item].tolist() == ["8", "6", "6"]
    assert split.test.seen.tolist() == [False, True, False] and split.test.history.now.tolist() == [200, 201, 301]
    assert any("held out 5 events" in note for note in log.notes)
    assert any("1 of 7 events are left out" in note and "99" in note for note in log.notes)


def test_sessions_of_the_file_are_the_test_whatever_their_dates(tmp_path):
    day = 86_400
    for name, first, at in (("train.txt", 0, 0), ("test.txt", 100, 5 * day)):
        rows = [(first + s, (s + n) % 6, at + s * day + n) for s in range(20) for n in range(3)]
        text = "SessionId\tItemId\tTime\n" + "".join(f"{s}\t{i}\t{t}\n" for s, i, t in rows)
        (tmp_path / name).write_text(text)
    task = runs.Task(str(tmp_path / "train.txt"), "sessionrec", "click", split="session-rec", days=4, min_support=1,
                     test=str(tmp_path / "test.txt"))
    log, _, split = runs.open_task(task)
    assert sorted(set(log.users[split.test.history.user])) == [str(100 + s) for s in range(20)]
    assert len(split.test.item) == 40 and len(split.refit.user) == 20
    assert sorted(set(log.users[split.validation.history.user])) == ["16", "17", "18", "19"]


@pytest.mark.trains
def test_a_run_says_its_test_file_and_goes_on_with_it(files):
    out, data = files / "run", ["--data", files / "train.csv", "--format", "rechorus", "--target", "click"]
    small = ["--set", "width=8", "--set", "length=3", "--steps", 3, "--set", "evaluate_every=3"]
    code, text, error = call("train", "hmar", *data, "--test", files / "test.csv", "--out", out, *small)
    assert code == 0, error
    assert "held out 5 events" in text
    about = json.loads((out / "run.json").read_text())
    assert about["task"]["test"] == str((files / "test.csv").resolve())
    assert any("test.csv" in note for note in about["notes"])
    before = dict(np.load(out / "final.npz"))
    (out / "final.npz").unlink()
    assert call("train", "--resume", out)[0] == 0
    after = dict(np.load(out / "final.npz"))
    assert all(np.array_equal(before[name], after[name]) for name in before if before[name].dtype.kind != "U")
    code, text, error = call("evaluate", out)
    assert code == 0 and "this run" in text, error
    with open(files / "test.csv", "a") as file:
        file.write("1\t5\t400\n")
    code, _, error = call("evaluate", out)
    assert code == 2 and "test.csv" in error and "trained on" in error and error.count("\n") == 1


@pytest.mark.parametrize(("change", "words"), [
    ({"sample_users": 2}, "--sample-users"), ({"drop_target_history": True}, "--drop-target-history"),
    ({"test": "first.csv"}, "no 'click' event of first.csv comes after another of its user"),
    ({"test": "nothing.csv"}, "no such file"), ({"test": "other.csv"}, "other.csv has no event that the log has not"),
    ({"test": "train.csv"}, "train.csv has no event that the log has not"),
    ({"test": "first.csv"}, "give later events of the log's users, or another --target")])
def test_what_a_test_file_cannot_be(files, change, words, monkeypatch):
    monkeypatch.chdir(files)
    (files / "other.csv").write_text(HEAD + "1\t99\t5\n")
    (files / "first.csv").write_text(HEAD + "9\t5\t300\n")
    task = runs.Task("train.csv", "rechorus", "click", **{"test": "test.csv", **change})
    with pytest.raises(InputError, match=words) as caught:
        runs.open_task(task)
    assert "\n" not in str(caught.value)


def a_log(rows, behaviours=("buy",)):
    """A Log of rows (raw user, raw item, seconds, behaviour from 1), sorted as logs are."""
    users, items = (np.array(["", *sorted({row[k] for row in rows})]) for k in (0, 1))
    numbers = np.array([(users.tolist().index(u), items.tolist().index(i), k, t) for u, i, t, k in rows])
    user, item, kind, time = numbers[np.lexsort((numbers[:, 3], numbers[:, 0]))].T
    return Log(user, item, kind, time, None, users, items, None, behaviours, ())


def test_newer_events_by_hand():
    """What the log has stays, even twice; nobody comes of unknown items alone; the first five of those are named."""
    log = a_log([("1", "a", 1, 1), ("1", "a", 1, 1), ("1", "b", 2, 1)])
    more = a_log([("0", "z", 5, 1), ("1", "a", 1, 1), ("1", "b", 3, 1), *(("1", item, 4, 1) for item in "cdefg")])
    found, notes = add_events(log, more)
    assert found.items[found.item].tolist() == ["a", "a", "b", "b"] and found.time.tolist() == [1, 1, 2, 3]
    assert found.users.tolist() == ["", "1"] and found.held is None
    assert notes == ["6 of 8 events are left out: the run does not know item c, item d, item e, item f, item g"]
    found, notes = add_events(log, a_log([("1", "b", 9, 2)], ("buy", "like")))
    assert len(found.item) == 3 and notes == ["1 of 1 events are left out: the run does not know behaviour like"]


def test_without_times_newer_events_go_last():
    log, more = (a_log(rows)._replace(time=None) for rows in (
        [("1", "b", 1, 1), ("1", "a", 2, 1), ("2", "b", 3, 1)], [("1", "b", 1, 1), ("1", "a", 2, 1)]))
    found, notes = add_events(log, more)
    assert notes == [] and found.time is None and found.user.tolist() == [1, 1, 1, 1, 2]
    assert found.items[found.item].tolist() == ["b", "a", "b", "a", "b"]


def test_only_what_the_log_has_is_left_out_of_newer_events():
    """Two events of one second, told apart by the file's fractions, both stay."""
    log = a_log([("1", "a", 1, 1), ("1", "b", 2, 1)])
    found, notes = add_events(log, a_log([("1", "b", 2, 1), ("1", "b", 3, 1), ("1", "b", 3, 1), ("1", "a", 2, 1)]))
    assert notes == [] and found.time.tolist() == [1, 2, 2, 3, 3]
    assert found.items[found.item].tolist() == ["a", "b", "a", "b", "b"]


@pytest.mark.parametrize(("keep", "count"), [(False, 1), (True, 2)])
def test_repeats_in_the_file_stay_as_asked(tmp_path, keep, count):
    (tmp_path / "train.csv").write_text(HEAD + "".join(f"1\t{i}\t{100 + i}\n" for i in range(5)))
    (tmp_path / "test.csv").write_text(HEAD + 2 * "1\t3\t200\n")
    log, _, _ = runs.open_task(runs.Task(str(tmp_path / "train.csv"), "rechorus", "click", keep_repeats=keep,
                                         test=str(tmp_path / "test.csv")))
    assert log.held.sum() == count
    assert any(f"held out {count} event" in note for note in log.notes)


def test_one_of_behaviours_that_have_other_numbers_there():
    log = a_log([("1", "a", 1, 1), ("2", "b", 2, 2)], ("pv", "buy"))
    found, notes = add_events(log, a_log([("2", "a", 5, 1), ("3", "b", 6, 2)], ("buy", "pv")))
    assert notes == [] and found.behaviour.tolist() == [1, 2, 2, 1] and found.users.tolist() == ["", "1", "2", "3"]
    assert found.user.tolist() == [1, 2, 2, 3] and found.items[found.item].tolist() == ["a", "b", "a", "b"]
