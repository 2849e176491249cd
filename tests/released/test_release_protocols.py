"""notebooks/release_protocols.py and release_splits.py: what is shared between protocols, what is not, and the real splits."""
from dataclasses import replace

import numpy as np
import pytest

from mbref import evaluation
from mbref.data.log import Log
from mbref.errors import InputError
from mbref.released.hmar import data as hmar_data, model as hmar
from notebooks import release_protocols as protocols, release_splits as hmar_splits
from notebooks.release_protocols import LEAK, PROTOCOLS, Protocol
from tests.optional import LOGS, find_logs

pytestmark = pytest.mark.trains
SPLITS = LOGS.parent / "splits"
SHOP = ("buy", "cart", "fav", "pv")
N = 12
CONFIG = hmar.Config(items=N, behaviours=4, width=4, length=5, dropout=0.1)


@pytest.fixture(scope="module")
def log():
    """20 users, each with two buys or more and rows after the last of them."""
    rng = np.random.default_rng(0)
    rows = [(u, int(rng.integers(1, N + 1)), b) for u in range(1, 21) for b in (4, 2, 1, 4, 2, 1, 3, 4)]
    user, item, behaviour = np.array(rows).T
    names = [np.arange(top + 1).astype(str) for top in (20, N)]
    return Log(user, item, behaviour, None, None, *names, None, SHOP, ())


def test_protocols_differ_in_one_thing_each():
    released = vars(PROTOCOLS["as released"])
    changed = {name: {k for k, v in vars(p).items() if v != released[k]} for name, p in PROTOCOLS.items()}
    assert changed.pop("as released") == set()
    assert changed.pop("counts of training rows only") == {"counts", "candidate_counts"}
    assert changed.pop("layer norm, masks kept") == {"behaviour_norm", "mask_mode"}
    assert all(len(fields) == 1 for fields in changed.values())


def test_what_is_trained_once():
    groups = [sorted(group) for group in protocols.same_training(PROTOCOLS)]
    assert sorted(["as released", "positive without its own counts", "steps chosen on validation rows",
                   "ties as they fall"]) in groups
    assert len(groups) == 7 and sum(map(len, groups)) == len(PROTOCOLS)


def test_config_carries_every_switch():
    other = Protocol("training", "target", False, True, "bypass", True, "boolean")
    config = protocols.config_of(other, CONFIG)
    assert (config.candidate_counts, config.reverse_context, config.mask_mode) == ("target", False, "boolean")
    assert (config.file.merge, config.file.behaviour_norm, config.file.drop_target_history) == (
        "bypass", True, True)
    assert protocols.config_of(Protocol(), CONFIG) == replace(CONFIG, variant=CONFIG.file)


def test_problem_of_drawn_and_given_negatives(log):
    problem = protocols.problem_of(log, "buy", Protocol(), sets=2)
    assert problem.candidates.shape == (2, 20, 100)
    np.testing.assert_array_equal(problem.candidates[1, :, 0], problem.events.target[problem.users])
    np.testing.assert_array_equal(problem.candidates, protocols.problem_of(log, "buy", Protocol(), sets=2).candidates)
    given = np.arange(2 * 20 * 3).reshape(2, 20, 3) % N + 1
    np.testing.assert_array_equal(protocols.problem_of(log, "buy", Protocol(), given).candidates[..., 1:], given)


def test_problem_counts_what_the_protocol_says(log):
    counts = {kind: protocols.problem_of(log, "buy", Protocol(counts=kind)).events.train.counts
              for kind in ("whole-log", "training", "running")}
    assert counts["whole-log"].sum() > counts["training"].sum() > counts["running"].sum()


def test_the_best_number_of_steps_is_that_of_ndcg(log, monkeypatch):
    pairs = iter([(0.5, 0.1), (0.4, 0.3), (0.6, 0.2)])
    monkeypatch.setattr(protocols, "figures", lambda *given: next(pairs))
    rows = protocols.hmar_rows(log, "buy", {"released": Protocol()}, CONFIG, (0, 1, 2), (0,), rate=0.01, batch_size=4)
    assert rows == {"released": [(0.4, 0.3)]}


def test_validation_rows_come_from_before_the_held_out_ones(log):
    events = protocols.problem_of(log, "buy", Protocol()).events
    earlier = protocols.before_the_held_out(log, events)
    assert len(earlier.user) == 20 * 5  # 8 rows, the buy is the sixth
    again = hmar_data.partition(earlier, "buy")
    assert np.diff(again.train.ptr).tolist() == [2] * 20 and again.target.tolist() == earlier.item[2::5].tolist()
    assert again.train.counts.sum(1).max() <= 5  # no counts of the rows that were cut off


def test_training_is_reproducible_and_reports_where_asked(log):
    events = protocols.problem_of(log, "buy", Protocol()).events
    first, second = (list(protocols.train(events, CONFIG, (0, 1, 3), seed=5, rate=0.01, batch_size=8)) for _ in (0, 1))
    assert [step for step, _ in first] == [0, 1, 3]
    for (_, a), (_, b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a["item"], b["item"])
    moved = np.abs(first[1][1]["feature"]["w"] - first[0][1]["feature"]["w"])
    assert moved.dtype == np.float32 and 0.009 < moved.max() <= 0.0101  # Adam's first step is the rate


def test_table_holds_every_protocol_and_baseline(log):
    chosen = {name: PROTOCOLS[name] for name in ("as released", "positive without its own counts",
                                                 "target item not in the history", "ties as they fall")}
    found = protocols.table(log, "buy", CONFIG, (0, 2), seeds=(0, 1), protocols=chosen, bpr_steps=3,
                            rate=0.01, batch_size=8)
    assert list(found) == list(chosen)
    assert all(len(rows["HMAR"]) == len(rows["BPR-MF"]) == 2 for rows in found.values())
    assert found["as released"]["all scores equal"][0][0] == pytest.approx(0.1)
    assert found["ties as they fall"]["all scores equal"][0] == (1, 1)
    assert found["as released"][LEAK][0][0] > found["positive without its own counts"][LEAK][0][0] == pytest.approx(0.1)
    seen = [found[name]["seen before"][0][0] for name in ("as released", "target item not in the history")]
    assert seen[0] > seen[1] == pytest.approx(0.1)
    lines = protocols.text(found, {"HMAR": "HMAR", "seen before": "seen"}).splitlines()
    assert len(lines) == 5 and "±" in lines[1] and f"{seen[1]:.3f}"[1:] in lines[3] and "0." not in lines[3]


def test_best_on_test_is_never_below_the_choice_by_validation(log):
    both = {"test": Protocol(), "validation": Protocol(choice="validation")}
    rows = protocols.hmar_rows(log, "buy", both, CONFIG, (0, 2, 4, 6, 8), (0, 1), rate=0.02, batch_size=8)
    gains = {name: np.array(row)[:, 1] for name, row in rows.items()}
    assert (gains["test"] >= gains["validation"]).all() and (gains["test"] > gains["validation"]).any()


def test_figures_are_those_of_evaluation(log):
    problem = protocols.problem_of(log, "buy", Protocol(), sets=1)
    value = np.random.default_rng(3).normal(size=(20, N + 1))
    got = protocols.figures(problem, lambda users, candidates: np.take_along_axis(value, candidates, axis=1))
    scores = np.take_along_axis(value, problem.candidates[0], axis=1)
    want = evaluation.summary(evaluation.Rivals(*hmar_data.metrics.greater_and_ties(scores, np.zeros(20, int))))
    assert got == pytest.approx((want["HR@10"], want["NDCG@10"]))


# ---- the fixed real splits


def real(kind):
    find_logs("taobao_userbehavior")
    find_logs(f"../splits/hmar_{kind}_keep.npz")
    return hmar_splits.read(LOGS, kind)


@pytest.mark.parametrize("kind", ["item", "cate"])
def test_partition_of_the_real_log_is_the_split_files(kind):
    log = real(kind)
    for drop, form in ((False, "keep"), (True, "drop")):
        events = hmar_data.partition(log, "buy", drop)
        with np.load(SPLITS / f"hmar_{kind}_{form}.npz") as z:
            assert (len(log.users) - 1, len(log.items) - 1) == (z["usernum"], z["itemnum"])
            for ours, theirs in ((events.train.ptr, "ptr"), (events.train.item, "tr_item"), (events.target, "target"),
                                 (events.train.behaviour - 1, "tr_beh"), (events.target_counts, "target_whole_counts")):
                np.testing.assert_array_equal(ours, z[theirs])


@pytest.mark.parametrize("kind, drop, popular, seen, leak", [  # HR@10 measured once with other code than this
    ("item", False, 0.136, 0.868, 0.949), ("item", True, 0.010, 0.100, 0.947),
    ("cate", False, 0.476, 0.819, 0.880), ("cate", True, 0.456, 0.100, 0.878)])
def test_plain_rows_on_the_real_splits(kind, drop, popular, seen, leak):
    log = real(kind)
    given = hmar_splits.negatives(SPLITS, kind)[drop]
    problem = protocols.problem_of(log, "buy", Protocol(drop_target_history=drop), given)
    rows = protocols.plain_rows(problem, replace(CONFIG, items=len(log.items) - 1))
    got = [rows[name][0][0] for name in ("popularity, events", "seen before", LEAK)]
    assert got == pytest.approx([popular, seen, leak], abs=0.0006)


def test_one_training_on_a_real_split():
    real("cate")
    (step, found), = hmar_splits.rows(LOGS, SPLITS, "cate", True, "tianchi", at=(0,), seed=0)
    assert step == 0 and found["a"] != found["b"]
    assert all(0.05 < found[name][0] < 0.2 for name in "bc")  # untrained: near chance, .1


def test_split_files_that_are_missing(tmp_path):
    with pytest.raises(InputError, match="give the folder of hmar_"):
        hmar_splits.negatives(tmp_path, "item")
    with pytest.raises(InputError, match="unknown kind 'shop': choose item or cate"):
        hmar_splits.shop_log(None, "shop")
