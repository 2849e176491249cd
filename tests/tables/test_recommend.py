"""Recommendations for people and events that a run has not seen, and for every user at once."""
import csv

import numpy as np
import pytest

from mbref import runs
from mbref.data.newer import NEW_USER, add_events, new_user
from mbref.data.readers import read
from mbref.tables.recommend import recommend
from tests.test_cli import SMALL, call, refused, task, write_log

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module", params=["hmar", "bpr_mf"])
def folder(request, tmp_path_factory):
    """A finished run of a model and its log."""
    folder = tmp_path_factory.mktemp(request.param)
    data = write_log(folder / "log.csv")
    assert call("train", request.param, "--out", folder / "run", *task(data), "--steps", 4, *SMALL)[0] == 0
    return folder


def lines_of(folder, user):
    return [line.split(",") for line in (folder / "log.csv").read_text().splitlines() if line.startswith(f"{user},")]


def test_someone_new_with_the_events_of_a_user_gets_the_same_items(folder):
    rows = lines_of(folder, "4")
    given = ("--items", ",".join(row[1] for row in rows), "--behaviours", ",".join(row[3] for row in rows))
    if "bpr_mf" in folder.name:
        assert "'(new)' is new, and this model has a vector for each user" in refused("recommend", folder / "run", *given)
        return
    known, out = call("recommend", folder / "run", "--user", "4"), call("recommend", folder / "run", *given)
    assert out == known and known[0] == 0


def test_what_the_run_does_not_know_is_told(folder):
    if "bpr_mf" in folder.name:  # it knows no new users
        assert "is new" in refused("recommend", folder / "run", "--items", "500,7")
        return
    code, out, _ = call("recommend", folder / "run", "--items", "500,31415,7", "-k", 1)
    assert code == 0 and out.startswith("note: 1 of 3 events are left out")
    assert "31415" in out.splitlines()[0] and out.splitlines()[1].startswith("  1 ")
    for more, words in ((("--items", "31415"), "none of the items is in the log"),
                        (("--items", "7", "--behaviours", "buy,pv"), "1 items and 2 behaviours"),
                        (("--items", "7", "--behaviours", "like"), "behaviour 'like' is not in the log"),
                        (("--user", "4", "--behaviours", "buy"), "--behaviours are those of --items"),
                        (("--items", "7", "--data", folder / "log.csv"), "someone new: leave --data out"),
                        (("--user", "4", "--items", "7"), "not allowed with")):
        code, _, err = call("recommend", folder / "run", *more)
        assert code == 2 and words in err and err.count("\n") == 1


def test_newer_events_are_those_of_a_longer_log(folder, tmp_path):
    # A log in two files, the second of which repeats the end of the first, is the log in one.
    whole = read(folder / "log.csv", "taobao")
    rows = (folder / "log.csv").read_text().splitlines(keepends=True)
    for name, part in (("old.csv", rows[:30]), ("new.csv", rows[20:])):
        (tmp_path / name).write_text("".join(part))
    old, more = read(tmp_path / "old.csv", "taobao"), read(tmp_path / "new.csv", "taobao")
    log, notes = add_events(old, more)
    assert notes == [] and log.items.tolist() == whole.items.tolist()
    order = [whole.users.tolist().index(raw) for raw in log.users.tolist()]
    events = set(zip(np.array(order)[log.user].tolist(), log.item.tolist(), log.behaviour.tolist(), log.time.tolist(),
                     strict=True))
    assert len(log.user) == len(whole.user) == len(events)
    assert events == set(zip(*(column.tolist() for column in whole[:4]), strict=True))
    assert (np.diff(log.user) >= 0).all() and (np.diff(log.time)[np.diff(log.user) == 0] >= 0).all()


def test_newer_events_of_a_file_change_the_history(folder, tmp_path):
    data = tmp_path / "new.csv"
    data.write_text("4,9,3,buy,5000\n4,8,3,buy,5001\n")  # nobody knows item 8
    code, out, _ = call("recommend", folder / "run", "--user", "4", "--data", data, "-k", 5)
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert code == 0 and notes[0].startswith("note: new.csv: 2 of 2 times lie before 1990")  # of the newer file, too
    assert len(notes) == 2 and notes[1].startswith("note: 1 of 2 events are left out")
    run = runs.open_run(folder / "run")
    log, _ = add_events(run.log, read(data, "taobao"))
    found = recommend(run.model, run.params, run.config, run.task, log, "4", 5)
    assert [line.split()[1] for line in out.splitlines()[2:-1]] == [row.item for row in found]
    _, out, _ = call("recommend", folder / "run", "--user", "17", "--data", data)
    assert "note: new.csv has no event of user 17\n" in out
    _, listed, _ = call("recommend", folder / "run", "--items", "7, 9", "--behaviours", "pv, buy")
    assert listed == call("recommend", folder / "run", "--items", "7,9", "--behaviours", "pv,buy")[1]
    code, _, err = call("recommend", folder / "run", "--items", "7,")
    assert code == 2 and err == "mbref: --items 7,: write names with commas between.\n"


def test_all_users_at_once_are_each_user_alone(folder, tmp_path):
    path = tmp_path / "all.csv"
    code, out, _ = call("recommend", folder / "run", "--all-users", path, "-k", 3)
    assert code == 0 and out == f"wrote {path}: the best items of 4 users\n"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]
    run = runs.open_run(folder / "run")
    assert len(rows) == 4 * 3
    for user in ("17", "4", "230", "x9"):
        found = recommend(run.model, run.params, run.config, run.task, run.log, user, 3)
        of_user = [row for row in rows if row["user"] == user]
        assert [(row["rank"], row["item"]) for row in of_user] == [(str(n), item) for n, (item, _, _)
                                                                   in enumerate(found, 1)]
        assert [float(row["score"]) for row in of_user] == pytest.approx([score for _, score, _ in found], abs=1e-5)


def test_a_new_user_is_the_last_of_the_log(folder):
    log = read(folder / "log.csv", "taobao")
    more, notes = add_events(log, new_user(log, ["7", "500"], ["pv", "buy"]))
    assert notes == [] and more.users[-1] == NEW_USER
    assert more.items[more.item[-2:]].tolist() == ["7", "500"]
    assert [more.behaviours[k - 1] for k in more.behaviour[-2:]] == ["pv", "buy"]
    assert more.time[-2:].tolist() == [max(log.time), max(log.time) + 1]


def test_who_has_met_every_item_is_told_so(tmp_path):
    data = write_log(tmp_path / "log.csv")
    assert call("train", "--out", tmp_path / "run", *task(data), "--steps", 2, *SMALL, "--candidates", "unseen")[0] == 0
    assert "has met every item of the log" in refused("recommend", tmp_path / "run", "--user", "4")
