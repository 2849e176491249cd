"""The mechanism table: what is trained, what is compared, what the numbers decide."""
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mbref import protocol, runs
from mbref.tables import mechanisms, world_cells
from mbref.tables.mechanisms import MECHANISMS, cells_of, compare, judge
from mbref.tables.world_cells import Cell
from mbref.worlds import commands, known, last

every_mechanism = pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.name)


def result(users, validation=((1, 0.5),), ceiling=0.9, chance=0.5):
    return {"users": users, "ceiling": ceiling, "chance": chance, "steps": 1, "coverage": None, "bound": None,
            "validation": validation}


def row_of(on, off=(0, -1, 1), way=0.9, early=None):
    parts = {"ON": on, "OFF": off} | ({"early": early} if early else {})
    return {name: {"difference": middle, "low": low, "high": high, "way": way}
            for name, (middle, low, high) in parts.items()}


# What is trained.

@every_mechanism
def test_every_cell_can_be_trained(mechanism):
    """Its world, its signal and its settings are known; the two sides differ in one thing alone."""
    cells = cells_of(mechanism, seeds=2)
    for training in cells.values():
        assert [cell.seed for cell in training] == [0, 1]
        for cell in training:
            assert cell.signal in commands.WORLDS[cell.world].SIGNALS
            fields = {name: text for name, text in cell.fields if text != world_cells.MATCHED}
            overrides, settings = runs.parse_settings(cell.model, fields)
            assert settings.steps % settings.evaluate_every == 0
            assert settings.patience == (5 if cell.world == "kinds" or cell.model == "atrank" else 3)
            protocol.parse_fields(runs.find_model(cell.model, overrides).Config, overrides)
    full, without = (cells["ON", role][0] for role in ("full", "without"))
    assert full.signal == without.signal and full.users is None and (full != without)
    assert (cells["ON", "without"] == cells["OFF", "without"]) == mechanism.deaf
    assert cells["ON", "full"] != cells["OFF", "full"]


def test_quick_trainings_have_fewer_users_and_fewer_steps():
    quick, whole = (cells_of(MECHANISMS[0], 1, quick)["ON", "full"][0] for quick in (True, False))
    assert quick.users == last.USERS // 2
    assert int(dict(quick.fields)["steps"]) < int(dict(whole.fields)["steps"]) / 2


def test_what_is_shared_is_trained_once():
    """The full model on `hints` serves two mechanisms."""
    groups, time = (next(m for m in MECHANISMS if m.name == name)
                    for name in ("attention across groups", "time"))
    assert cells_of(groups, 1)["ON", "full"] == cells_of(time, 1)["ON", "full"]


# From figures to verdicts.

def test_differences_are_paired_over_users_and_mean_over_seeds_which_are_drawn_anew_too():
    """Of the two seeds, .08 and .12 better for every user, a quarter of the draws has the worse one twice."""
    rng = np.random.default_rng(1)
    without = rng.random(200)
    two = [result(list(without + 0.1 + d)) for d in (0.02, -0.02)]
    row = mechanisms.difference(two, [result(list(without))] * 2)
    assert [row[name] for name in ("difference", "low", "high")] == pytest.approx([0.1, 0.08, 0.12])
    assert row["full"]["mean"] == pytest.approx(without.mean() + 0.1)
    assert row["full"]["sd"] == pytest.approx(0.04 / 2 ** 0.5)
    assert row["way"] == pytest.approx((without.mean() + 0.1 - 0.5) / 0.4)


@pytest.mark.parametrize(("seeds", "full"), [((0.7, 0.8), "0.750 ± 0.071"), ((0.7,), "0.700")])
def test_a_row_says_how_far_the_seeds_lie_apart(seeds, full):
    """(.8 - .7) / sqrt 2 = .0707."""
    side = [result([seed] * 4) for seed in seeds]
    part = mechanisms.difference(side, [result([0.6] * 4) for _ in seeds])
    row = {"paper": "P", "mechanism": "m", "world": "w", "measure": "AUC", "ON": part, "OFF": part, "verdict": "shows"}
    assert mechanisms.cells_of_row(row)[2:6] == [
        full, "0.600" + " ± 0.000" * (len(seeds) > 1), "0.900", "0.500"]


def test_where_nothing_can_be_foretold_there_is_no_way():
    same = [result([0.5, 0.5], ceiling=0.5)]
    assert np.isnan(mechanisms.difference(same, same)["way"])


@pytest.mark.parametrize("side", ["full", "without"])
def test_each_side_is_the_mean_over_its_own_cells(side):
    cells = cells_of(MECHANISMS[0], 2)
    found = {cell: result([0.6] * 9) for training in cells.values() for cell in training}
    found |= {cell: result([figure] * 9) for cell, figure in zip(cells["ON", side], (0.2, 0.3), strict=True)}
    row = compare(MECHANISMS[0], cells, found)
    assert {name: row["ON"][name]["mean"] for name in ("full", "without")} == pytest.approx(
        {"full": 0.6, "without": 0.6} | {side: 0.25})
    assert row["OFF"]["difference"] == 0 and row["measure"] == "NDCG@10"


@pytest.mark.parametrize(("row", "verdict"), [
    (row_of((0.2, 0.1, 0.3)), "shows"),
    (row_of((0.2, 0.1, 0.3), way=0.5), "shows, but comes 50% of the way, less than 80%: a reason"),
    (row_of((0.2, 0.1, 0.3), off=(0.02, 0.01, 0.03)), "shows; without the signal +0.020 stay"),
    (row_of((0.2, 0.1, 0.3), off=(0.002, 0.0006, 0.003)), "shows; without the signal +0.002 stay"),
    (row_of((0.2, 0.1, 0.3), off=(0.0004, 0.0004, 0.0005)), "shows"),
    (row_of((0.1, -0.1, 0.3), early=(0.2, 0.1, 0.3)), "shows only early, after 300 steps: a reason"),
    (row_of((0.1, -0.1, 0.3), early=(0.1, 0.0, 0.3)), "does not show: a reason"),
    (row_of((-0.2, -0.3, -0.1)), "does not show: a reason"),
])
def test_verdicts(row, verdict):
    mechanism = MECHANISMS[0]._replace(early="300", reason="a reason")
    assert judge(mechanism, row) == verdict


# A training, from the world's files to figures.

def small(world, model, **fields):
    fields = {"steps": "2", "evaluate_every": "1", "width": "8", **fields}
    return Cell(world, commands.WORLDS[world].SIGNALS[0], model, tuple(fields.items()), users=40)


@pytest.mark.trains
@pytest.mark.parametrize("cell", [
    small("last", "hmar"), small("dims", "dmran")._replace(users=200),
    small("stamp", "atrank", heads="2", table_width="8"),
    small("aisles", "hiersrec")._replace(users=1000),
    small("aisles", "hiersrec", item_out="tied")._replace(users=1000, cold=True),
], ids=lambda cell: f"{cell.world}{', cold' * cell.cold}")
def test_a_cell_lies_between_nothing_and_the_ceiling(cell):
    found = world_cells.train(cell)
    assert np.mean(found["users"]) <= found["ceiling"] and found["chance"] < found["ceiling"]
    assert len(found["validation"]) == 2 and found["steps"] in (1, 2)
    assert (found["coverage"] is None) == (found["gate"] is None) == (cell.model != "hiersrec")
    if found["coverage"]:
        model, rule, chance = (np.array(found["coverage"][who]) for who in ("model", "rule", "chance"))
        assert np.all(0 < model) and np.all(model <= rule + 1e-12)
        assert chance == pytest.approx(np.arange(1, 13) / 12) and rule[-1] == pytest.approx(1)
        ground = world_cells.open_ground(cell.world, cell.signal, cell.cold, cell.users)
        of_category = [np.bincount(ground.split.train.category[1:], p)[1:] for p in ground.p]  # [S, C]
        assert rule[0] == pytest.approx(np.max(of_category, axis=1).mean())
        assert rule[2] == pytest.approx(np.sort(of_category, axis=1)[:, -3:].sum(axis=1).mean())
        assert found["gate"] == {"model": model[0], "rule": rule[0], "chance": chance[0]}
    json.dumps(found, allow_nan=False)


def test_the_cases_are_the_world_s():
    """40 users' last buys, with the chances that the world has for them."""
    ground = world_cells.open_ground("last", "any", users=40)
    rng = np.random.default_rng(1)
    pasts = [known.past_of(last.draw_user(rng, "any")[:-1]) for _ in range(40)]
    np.testing.assert_allclose(ground.p, known.best_of(last, "any", pasts))
    assert ground.allowed.all() and len(set(ground.user)) == 40


def test_candidates_are_garments_not_yet_bought_and_cold_items():
    ground = world_cells.open_ground("dims", "occasion", users=200)
    assert not ground.allowed[:, 192:].any() and (ground.allowed.sum(axis=1) == 192 - 6).all()
    cold = world_cells.open_ground("aisles", "chain", True, 1000)
    assert 60 <= cold.allowed[0].sum() <= 80 and not np.isin(
        cold.split.train.item, 1 + np.flatnonzero(cold.allowed[0])).any()


def test_users_not_cases_are_averaged():
    ground = SimpleNamespace(user=np.array([4, 2, 4, 4]))
    assert world_cells.mean_by_user(ground, np.array([1.0, 5, 2, 6])).tolist() == [5, 3]
