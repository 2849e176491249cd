"""Why an item is recommended: the events whose loss lowers its score, by hand, on a model that adds up a table."""
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mbref import runs
from mbref.data.log import Log
from mbref.errors import InputError
from mbref.tables.recommend import Reason, recommend, write_all

ITEMS, KINDS = np.array(["", "ant", "bee", "cat", "dog", "elk"]), ("buy", "view")
EVENTS = [(1, 2), (2, 1), (1, 1), (3, 2), (4, 2)]  # (item, behaviour) of the only user, oldest first
TABLE = np.zeros((6, 6))  # what an event on the row's item adds to the column's score
TABLE[1, 5], TABLE[2, 5], TABLE[3, 5], TABLE[4, 5] = 1.5, 4, -1, 0.5
TABLE[4, 3] = 2
LOG = Log(np.ones(5, int), *np.array(EVENTS).T, None, None, np.array(["", "me"]), ITEMS, None, KINDS, ())


def ranking_batch(history, cases, config):
    """How often each item is in the newest events of each case.  -> [B, N + 1]."""
    events = [history.item[max(history.ptr[c], history.ptr[c + 1] - config.length):history.ptr[c + 1]] for c in cases]
    return np.array([np.bincount(item, minlength=6) for item in events])


MODEL = SimpleNamespace(ranking_batch=ranking_batch, score_all=lambda params, batch, config: batch @ params["table"][:, 1:])


def find(k=1, length=5, **reasons):
    task = runs.Task("log.csv", "taobao", "buy")
    return recommend(MODEL, {"table": TABLE}, SimpleNamespace(length=length), task, LOG, "me", k, **reasons)


def test_reasons_are_items_by_the_fall_of_the_score_without_all_their_events():
    best, second = find(2, reasons=5)
    assert (best.item, best.score) == ("elk", 1.5 + 4 + 1.5 - 1 + 0.5)
    assert best.reasons == [Reason("bee", ["buy"], 4.0), Reason("ant", ["view", "buy"], 3.0), Reason("dog", ["view"], 0.5)]
    assert (second.item, second.reasons) == ("cat", [Reason("dog", ["view"], 2.0)])  # no other event carries it


@pytest.mark.parametrize("most", [0, 1, 2])
def test_the_most_important_reasons_stay(most):
    assert find(reasons=most)[0].reasons == find(reasons=5)[0].reasons[:most]


def test_two_reasons_by_default_and_only_of_events_that_are_read():
    assert find()[0].reasons == find(reasons=5)[0].reasons[:2]
    assert find(length=2)[0].item == "cat" and find(length=2)[0].reasons == [Reason("dog", ["view"], 2.0)]


@pytest.fixture
def clock():
    """MODEL, and a list of the times at which it was asked to read its histories."""
    times = []
    return SimpleNamespace(score_all=MODEL.score_all, ranking_batch=lambda history, cases, config: (
        times.append(history.now[cases].tolist()), ranking_batch(history, cases, config))[1]), times


TIMED, TASK = LOG._replace(time=np.array([10, 20, 30, 40, 70])), runs.Task("log.csv", "taobao", "buy")


def test_without_an_item_a_history_is_still_read_at_the_time_of_its_last_event(clock):
    model, times = clock
    recommend(model, {"table": TABLE}, SimpleNamespace(length=5), TASK, TIMED, "me", 1)
    assert times == [[70]] * 5  # the whole history, and it without each of four items


def test_all_users_are_read_at_the_times_of_their_last_events(clock, tmp_path):
    model, times = clock
    split = SimpleNamespace(refit=SimpleNamespace(text=None))
    run = SimpleNamespace(model=model, params={"table": TABLE}, config=SimpleNamespace(length=5), task=TASK, split=split)
    log = TIMED._replace(user=np.array([1, 1, 1, 2, 2]), users=np.array(["", "me", "you"]))
    write_all(run, log, 1, tmp_path / "all.csv")
    assert times == [[30, 70]]


def test_users_of_one_event_each(tmp_path):
    """Their lists hold what they have not met; of an item's only user without it nothing is left."""
    log = LOG._replace(user=np.array([1, 2]), item=np.array([1, 2]), behaviour=np.array([1, 2]),
                       users=np.array(["", "me", "you"]))
    split = SimpleNamespace(refit=SimpleNamespace(text=None))
    run = SimpleNamespace(model=MODEL, params={"table": TABLE}, config=SimpleNamespace(length=5, users=2), split=split,
                          task=replace(TASK, candidates="unseen"))
    write_all(run, log, 5, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().split() == [
        "user,rank,item,score", "me,1,elk,1.5", "me,2,bee,0", "me,3,cat,0", "me,4,dog,0",
        "you,1,elk,4", "you,2,ant,0", "you,3,cat,0", "you,4,dog,0"]
    best, = recommend(MODEL, run.params, run.config, TASK, log, "you", 1)
    assert best == ("elk", 4.0, [Reason("bee", ["view"], 4.0)])
    with pytest.raises(InputError, match="^user 'you' is new, and this model has a vector for each user"):
        run.config.users = 1
        write_all(run, log, 5, tmp_path / "all.csv")
