"""ATRank's seven modes, AUC against fixed candidates, fixed targets, and training of several tasks
in turn."""
import json
from collections import Counter
from types import SimpleNamespace

import autograd.numpy as anp
import numpy as np
import pytest

from mbref import evaluation, runs, training
from mbref.__main__ import main
from mbref.baselines import counting
from mbref.data import split_files, targets
from mbref.data.leave_one_out import Held, Split
from mbref.data.sequences import from_rows
from mbref.errors import InputError
from mbref.papers import atrank
from mbref.tables import groups as modes, reproduce, rows, whole_catalogue as ranked
from mbref.data.shipped import tiny_data
from mbref.training import Settings
from mbref.variants import atrank as variants
from tests.optional import require

GROUPS = tiny_data() / "groups/events.csv"
PROBLEM = modes.open_problem(GROUPS)
LOG = PROBLEM.log
SMALL = ("--set", "width=8", "--set", "table_width=4", "--set", "length=5", "--set",
         "evaluate_every=2",
         "--set", "batch_size=4", "--steps", "4", "--seeds", "1", "--jobs", "1")


# What the seven modes read and predict.

def test_seven_modes():
    assert list(rows.ATRANK) == ["att-i2i", "att-q2q", "att-c2c", "att-a2i", "att-a2q", "att-a2c",
                                 "att-a2a"]
    assert modes.groups_of(LOG, "att-q2q") == ((1,), (1,))
    assert modes.groups_of(LOG, "att-a2c") == ((0, 1, 2), (2,))
    assert modes.groups_of(LOG, "att-a2a") == ((0, 1, 2), (0, 1, 2))


def test_config_of_a_mode():
    """The printed form, or with a field of variants/atrank.py its Config."""
    one, everything = (modes.make_config(LOG, read, {"width": "8", "heads": "2"})
                       for read in ((2,), (0, 1, 2)))
    assert type(one) is type(everything) is atrank.Config
    assert one.groups == (("coupon", "shop", "category"),) and one.actions == (0,)
    assert [name for name, _ in everything.tables] == ["item", "shop", "category", "brand", "query",
                                                       "coupon"]
    assert dict(everything.tables)["query"] == 60
    assert everything.actions == (6, 0, 0) and everything.width == 8
    other = modes.make_config(LOG, (2,), {"scores": "dot"})
    assert type(other) is variants.Config and other.scores == "dot" and other.groups == one.groups
    with pytest.raises(InputError, match="tables"):
        modes.make_config(LOG, (0,), {"tables": "1"})


def test_candidates_are_the_target_and_objects_its_user_never_meets():
    for g, (cases, given) in enumerate(PROBLEM.test):
        assert cases.tolist() == PROBLEM.split.test[LOG.group[PROBLEM.split.test] == g].tolist()
        assert given[:, 0].tolist() == LOG.object[cases].tolist() and given.shape[1] == 100
        for row, (_, *others) in zip(cases, given.tolist(), strict=True):
            own = set(LOG.object[(LOG.user == LOG.user[row]) & (LOG.group == g)].tolist())
            others = [i for i in others if i]
            assert len(set(others)) == len(others) == min(99, len(LOG.objects[g]) - 1 - len(own))
            assert not own & set(others)


def test_auc_of_a_group_is_scikit_learns_over_all_pairs_together():
    metrics = require("sklearn.metrics")
    rng, rows = np.random.default_rng(0), PROBLEM.split.validation
    own, given = PROBLEM.validation[1]
    assert own.tolist() == rows[LOG.group[rows] == 1].tolist()
    scores = rng.integers(0, 5, given.shape) + 2.0 * (np.arange(given.shape[1]) == 0)

    def score(cases, candidates):
        at = np.searchsorted(own, cases)
        assert candidates.tolist() == given[at].tolist()
        return scores[at]

    real, label = given > 0, np.tile(np.arange(given.shape[1]) == 0, (len(given), 1))
    want = metrics.roc_auc_score(label[real], scores[real])
    assert modes.auc(score, own, given, batch_size=7) == pytest.approx(want, abs=1e-12)


def test_past_of_a_case_is_its_users_own_group_before_it():
    cases = PROBLEM.split.test[LOG.group[PROBLEM.split.test] == 2][:40]
    past = modes.own_past(LOG, 2, cases)
    for s, case in enumerate(cases):
        want = [LOG.object[r] for r in range(case) if LOG.user[r] == LOG.user[case]
                and LOG.group[r] == 2]
        assert past.item[past.ptr[s]:past.ptr[s + 1]].tolist() == want
        assert past.user[s] == LOG.user[case]


def test_plain_rows():
    rows = modes.plain_rows(PROBLEM)
    assert all(set(figures) == {"AUC item", "AUC query", "AUC coupon"} for figures in rows.values())
    assert all(value == pytest.approx(0.5) for value in rows["random"].values())
    known = np.concatenate([PROBLEM.split.train, PROBLEM.split.validation])
    count = Counter(LOG.object[known][LOG.group[known] == 1].tolist())
    right, wrong = PROBLEM.test[1][1][:, 0], PROBLEM.test[1][1][:, 1:].ravel()
    pairs = [(count[a] > count[b]) + 0.5 * (count[a] == count[b]) for a in right for b in wrong[wrong > 0][::7]]
    assert rows["popularity, events"]["AUC query"] == pytest.approx(np.mean(pairs), abs=0.01)


@pytest.mark.trains
def test_reproduce_atrank(tmp_path, capsys):
    assert main(["reproduce", "--paper", "atrank", "--data", str(GROUPS), "--out", str(tmp_path), *SMALL,
                 "--only", "att-a2a", "--only", "att-q2q"]) == 0
    printed = capsys.readouterr().out
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(rows["att-q2q"]["mean"]) == {"AUC query"} and len(rows["att-a2a"]["mean"]) == 3
    assert "200 item objects" in printed and "att-a2a" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"finished", "results.json", "table.png",
                                                          "learning.png"}


def test_rates_that_are_not_one_a_group_are_refused():
    job = reproduce.jobs_of("atrank", 1, {"rates": "0.1"})[0]
    with pytest.raises(InputError, match="rates has 1 numbers: give one for each of the 3 groups"):
        modes.config_of(PROBLEM, job)


@pytest.mark.trains
def test_rates_go_with_their_groups():
    seen = []
    settings = Settings(steps=6, optimiser="sgd", rates=(0.1, 0.04, 0.08), validate="AUC",
                        evaluate_every=6)
    job = reproduce.Job("att-a2q", "atrank", {"width": "8", "table_width": "4"}, settings)
    real = training.fit_twice
    try:
        training.fit_twice = lambda *a, **k: seen.append(a[2].rates) or real(*a, **k)
        modes.train_and_report(PROBLEM, job)
    finally:
        training.fit_twice = real
    assert seen == [(0.04,)]


def test_a_log_too_short(tmp_path):
    lines = GROUPS.read_text().splitlines(keepends=True)
    (tmp_path / "events.csv").write_text("".join(lines[:4]))
    (tmp_path / "objects.csv").write_text(GROUPS.with_name("objects.csv").read_text())
    with pytest.raises(InputError, match="too few events of group"):
        modes.open_problem(tmp_path / "events.csv")
    assert main(["reproduce", "--paper", "atrank", "--data", str(GROUPS), "--split", "x.npz"]) == 2


def test_a_log_of_one_file_is_no_log_of_groups(tmp_path, capsys):
    log = tmp_path / "ok.csv"
    log.write_text("1,2,3,buy,1511539200\n")
    for more in ([], ["--format", "taobao", "--target", "buy"]):
        assert main(["reproduce", "--paper", "atrank", "--data", str(log), *more]) == 2
        said = capsys.readouterr().err
        assert "reads a log of groups" in said and "as in tiny_data/groups" in said and said.count("\n") == 1
    assert main(["reproduce", "--paper", "atrank", "--data", str(tmp_path / "no.csv")]) == 2
    assert "no.csv: there is no such file" in capsys.readouterr().err


# AUC of every user against fixed negatives.

def test_auc_by_hand():
    history = from_rows(np.array([1, 2]), np.array([1, 1]), np.array([1, 1]), 1)
    held = Held(history, np.array([2, 3]), np.array([False, False]))
    negatives = np.array([[1, 3, 4], [4, 0, 0]])  # 0 is none
    table = np.array([[0.5, 0.5, 0.1, 0.9], [0.8, 0.0, 0.7, 0.2]])  # scores of items 1..4
    # user 1: item 2 (.5) ties with 1, beats 3, loses to 4: (.5 + 1 + 0) / 3; user 2: item 3 beats
    # item 4: 1
    found = evaluation.auc(evaluation.pick_candidates(lambda history, cases: table[cases]), held,
                           negatives)
    assert found == {"AUC": pytest.approx((0.5 + 1) / 2),
                     "AUC strict": pytest.approx((1 / 3 + 1) / 2)}
    assert evaluation.take(table, np.array([[0, 4], [3, 0]])).tolist() == [[0.5, 0.9], [0.7, 0.8]]  # 0 as item 1
    negatives[1] = 0  # a user without any is left out
    found = evaluation.auc(evaluation.pick_candidates(lambda history, cases: table[cases]), held,
                           negatives)
    assert found == {"AUC": pytest.approx(0.5), "AUC strict": pytest.approx(1 / 3)}


def test_a_report_by_hand():
    history = from_rows(np.array([1, 2]), np.array([3, 1]), np.array([1, 1]), 1)
    held = Held(history, np.array([1, 2]), np.array([False, True]))
    table = np.array([[3, 5, 1, 3], [9, 2, 1, 0]])  # the target ties with item 4; it is the second of four
    found = evaluation.report(lambda history, cases: table[cases], held, 4, k=1,
                              negatives={"own": [np.array([[3, 0], [1, 0]])]})  # 0, which scores as item 1, is none
    assert found["ties"] == 1 / 2 and found["HR@1"] == 0 and found["MRR@1 (own)"] == 1 / 2
    assert (found["HR@1 (own)"], found["HR@1 new (own)"], found["HR@1 seen (own)"]) == (1 / 2, 1, 0)


def test_auc_does_not_depend_on_the_batch_size():
    rng = np.random.default_rng(0)
    history = from_rows(np.arange(1, 10), np.ones(9, int), np.ones(9, int), 1)
    held, table = Held(history, rng.integers(1, 6, 9),
                       np.zeros(9, bool)), rng.integers(0, 3, (9, 5))
    negatives = 1 + (held.item[:, None] + rng.integers(0, 4, (9, 3))) % 5
    score = evaluation.pick_candidates(lambda history, cases: table[cases])
    assert evaluation.auc(score, held, negatives, 2) == evaluation.auc(score, held, negatives, 100)


# Counting baselines that came with AUC.

def test_category_recency_by_hand():
    events = from_rows(np.array([1] * 4 + [2]), np.array([1, 2, 4, 3, 2]), np.ones(5, int), 1)
    events = events._replace(category=np.array([0, 1, 2, 1, 0, 2]))  # item 4 has none
    got = counting.category_recency(events, 5)(events, np.array([0, 1]))
    # user 1: category 1 last met 1 event ago (item 3), category 2 three ago (item 2)
    assert got.tolist() == [[1, 1 / 3, 1, 0, 1 / 3], [0, 1, 0, 0, 1]]


def test_popularity_orders_what_co_occurrence_leaves_tied():
    events = from_rows(np.array([1, 1, 2, 3, 4, 4]), np.array([1, 2, 3, 3, 4, 1]), np.ones(6, int),
                       1)
    # last item: 2, beside 1
    got = counting.co_occurrence_then_popularity(events, 4, 1)(events, np.array([0]))[0]
    assert np.argsort(-got, kind="stable").tolist() == [0, 2, 1, 3]  # then by popularity 2, 1, 1


# Files of fixed targets.

@pytest.fixture
def fixed(tmp_path):
    """Three users with 4, 1 and 2 events."""
    path = tmp_path / "fixed.npz"
    np.savez(path, item=np.array([0, 1, 2, 3, 1, 2, 0]), time=np.arange(7) * 86400,
             ptr=np.array([0, 4, 5, 7]),
             neg=np.array([4, 5, 4, 5, 3, 4, 3]), cate=np.array([0, 1, 0, 1, 2, 2]),
             test_neg100=np.tile(np.arange(100) % 6, (3, 1)))
    return path


def test_fixed_targets_by_hand(fixed):
    problem = ranked.open_problem(runs.Task(str(fixed), "split", "any"), "AUC")
    split = problem.split
    # user 2 has no history
    assert split.test.item.tolist() == [4, 1] and split.test.history.user.tolist() == [1, 3]
    assert split.refit.item.tolist() == [1, 2, 3, 3] and split.refit.negative.tolist() == [5, 6, 5,
                                                                                           5]
    assert split.train.item.tolist() == [1, 2] and split.train.negative.tolist() == [5, 6]
    assert problem.negatives["1 fixed"][0].tolist() == [[6], [4]]
    assert problem.negatives["100 fixed"][0].shape == (2, 100)
    assert split.test.history.now.tolist() == [3 * 86400, 6 * 86400]
    rows, = targets.examples(split.refit, split.items, np.random.default_rng(0), pairs=True)
    assert rows.tolist() == [[1, 2, 6], [2, 3, 5]]  # all but each user's first event


@pytest.mark.parametrize("change", [{"ptr": np.array([0, 4, 5, 9])}, {"time": np.arange(3)},
                                    {"cate": np.array([0])}])
def test_damaged_fixed_targets(fixed, change):
    with np.load(fixed) as z:
        arrays = {name: z[name] for name in z.files} | change
    np.savez(fixed, **arrays)
    with pytest.raises(InputError, match="no split file"):
        split_files.read_event_lists(fixed)


@pytest.mark.trains
def test_reproduce_on_fixed_negatives(fixed, tmp_path, capsys):
    options = ["--paper", "dmran", "--split", str(fixed), "--only", "ATRank", "--seeds", "1",
               "--jobs", "1", "--steps", "3", "--set", "table_width=4", "--set", "batch_size=2"]
    assert main(["reproduce", *options, "--out", str(tmp_path)]) == 0
    assert "AUC (1 fixed)" in capsys.readouterr().out
    row = json.loads((tmp_path / "results.json").read_text())["rows"]["ATRank"]
    assert list(row["mean"]) == ["AUC (1 fixed)", "AUC strict (1 fixed)", "AUC (100 fixed)", "AUC strict (100 fixed)"]


# Several tasks in turn, SGD.

def toy(sizes, seen):
    """A model whose tasks are blocks of row numbers; it only remembers what it was given."""
    starts = np.append(0, np.cumsum(sizes))
    return SimpleNamespace(
        init=lambda rng, config: {"w": np.ones(1)}, loss=lambda params, batch, config,
        rng: anp.sum(params["w"]),
        examples=lambda events, config,
        rng: [np.arange(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)],
        training_batch=lambda events, rows, config, rng: seen.append(rows.tolist()))


@pytest.mark.trains
def test_every_batch_is_of_one_task_and_an_epoch_has_all():
    seen, bounds = [], [8, 12, 24]
    settings = Settings(steps=12, batch_size=4)
    training.fit(toy((8, 4, 12), seen), None, settings, None, progress=False)
    tasks = [{int(np.searchsorted(bounds, row, side="right")) for row in rows} for rows in seen]
    assert all(len(task) == 1 for task in tasks)
    for epoch in (seen[:6], seen[6:]):
        assert sorted(sum(epoch, [])) == list(range(24))
    assert tasks[:6] != tasks[6:] or tasks[:6] != sorted(tasks[:6], key=min)  # the turns are drawn


def test_rate_of_a_task_and_of_a_late_step():
    settings = Settings(optimiser="sgd", rate=0.5, clip=3.0, drop_step=10)
    assert training.rule(settings, 9).rate == 0.5 and training.rule(settings, 10).rate == 0.05
    assert training.rule(settings,
                         9).clip == 3.0 and type(training.rule(settings)).__name__ == "SGD"
    both = Settings(rates=(0.1, 0.2))
    assert training.rule(both, 0, 1).rate == 0.2 and type(training.rule(both)).__name__ == "Adam"


@pytest.mark.parametrize("wrong",
                         [{"optimiser": "lion"}, {"validate": "HR"}, {"rates": (0.1, -1.0)},
                          {"drop_step": -1}])
def test_wrong_settings(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


def test_validation_by_auc_uses_other_negatives_than_the_test():
    rng = np.random.default_rng(0)
    history = from_rows(np.repeat(np.arange(1, 31), 2), rng.integers(1, 400, 60), np.ones(60, int),
                        1)
    held = Held(history, rng.integers(1, 400, 30), np.zeros(30, bool))
    split = Split(history, held, held, history, 400, 30, 1)
    asked = []
    model = SimpleNamespace(ranking_batch=lambda history, cases, config: cases,
                            score=lambda params, batch, given, config: asked.append(given)
                            or np.zeros(given.shape))
    assert evaluation.validation(model, None, split, measure="AUC")(None) == 0.5
    test = ranked.make_problem(None, None, split, "AUC").negatives
    assert asked[0].shape == (30, 21)
    assert all(asked[0][:, 1:].tolist() != sets[0][:, :20].tolist() for sets in test.values())
