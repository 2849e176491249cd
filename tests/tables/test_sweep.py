"""Settings compared on validation events alone, and the models on public logs with settings so chosen."""
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mbref import metrics, training
from mbref.errors import InputError
from mbref.tables import real, reproduce, rows, sweep, whole_catalogue
from tests.test_cli import call, refused, task, write_log

SMALL = ("--set", "length=5", "--set", "evaluate_every=2", "--set", "batch_size=4", "--steps", 4, "--jobs", 1)


def test_a_grid_is_every_combination():
    assert sweep.grid_of(["rate=1e-3,3e-3", "dropout=0,.2"]) == [
        {"rate": "1e-3", "dropout": "0"}, {"rate": "1e-3", "dropout": ".2"},
        {"rate": "3e-3", "dropout": "0"}, {"rate": "3e-3", "dropout": ".2"}]


@pytest.mark.parametrize(("texts", "says"), [
    ([], "--grid is missing"), (["rate"], "write NAME=VALUE,VALUE"), (["rate=1e-3,"], "write NAME=VALUE,VALUE"),
    (["rate=1", "rate=2"], "given twice")])
def test_grids_that_are_none(texts, says):
    with pytest.raises(InputError, match=says):
        sweep.grid_of(texts)


def job(row, seed):
    return reproduce.Job(row, "hmar", {}, training.Settings(seed=seed))


def test_the_best_mean_on_validation_is_chosen(tmp_path):
    """Of three combinations with two seeds: the second has the best single seed, the third the best mean."""
    given = {("a", 0): 0.1, ("a", 1): 0.2, ("b", 0): 0.9, ("b", 1): 0.0, ("c", 0): 0.5, ("c", 1): 0.5}
    several = [[job(row, seed) for seed in (0, 1)] for row in "abc"]
    def validate(problem, one):
        return {"NDCG@10, validation": given[one.row.removeprefix("search: "), one.settings.seed]}, {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "validate", validate)
        best, found = sweep.choose(None, several, 1, tmp_path)
    assert best == several[2]
    assert [(one.row, one.settings.seed) for one, _, _ in found] == list(given)


@pytest.mark.trains
def test_the_test_events_are_shown_of_the_chosen_alone(tmp_path):
    log = write_log(tmp_path / "log.csv")
    command = ("sweep", "bpr_mf", *task(log), *SMALL, "--grid", "rate=1e-9,1e-1", "--grid", "width=4,8", "--seeds", 2)
    code, out, _ = call(*command, "--out", tmp_path / "out")
    assert code == 0
    found = json.loads((tmp_path / "out/results.json").read_text())
    grid = [f"rate={rate}, width={width}" for rate in ("1e-9", "1e-1") for width in (4, 8)]
    means = [found["rows"][row]["mean"]["NDCG@10, validation"] for row in grid]
    best = grid[int(np.argmax(means))]
    assert found["chosen"] == best and f"chosen on validation: {best}" in out
    assert [row for row in grid if "test" in found["rows"][row]] == [best]
    assert all(list(found["rows"][row]["mean"]) == ["NDCG@10, validation"] for row in grid)
    # the same training by `reproduce`'s own function
    problem = whole_catalogue.open_problem(whole_catalogue.runs.Task(str(log), "taobao", "buy"))
    texts = {"length": "5", "evaluate_every": "2", "batch_size": "4", "steps": "4"}
    texts |= dict(pair.split("=") for pair in best.split(", "))
    overrides, settings = whole_catalogue.runs.parse_settings("bpr_mf", texts)
    figures, _ = whole_catalogue.train_and_report(problem, reproduce.Job(best, "bpr_mf", overrides, settings))
    assert found["rows"][best]["test"]["seeds"][0] == pytest.approx(reproduce.replace_nan(figures))


@pytest.mark.trains
def test_sweeps_of_two_models_do_not_share_a_folder(tmp_path, monkeypatch):
    log = write_log(tmp_path / "log.csv")
    monkeypatch.chdir(tmp_path)
    for model in ("bpr_mf", "sasrec"):
        assert call("sweep", model, *task(log), *SMALL, "--grid", "width=4", "--seeds", 1)[0] == 0
    found = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("out/*/results.json")}
    assert {name: one["rows"]["width=4"]["model"] for name, one in found.items()} == {
        "sweep_bpr_mf": "bpr_mf", "sweep_sasrec": "sasrec"}


@pytest.mark.trains
@pytest.mark.parametrize("every, reason", [(2, "the loss is nan at step 2"), (1, "scores must be finite")])
def test_a_training_that_diverges_is_a_row_that_says_so(tmp_path, every, reason, rate="1e300"):
    log = write_log(tmp_path / "log.csv")
    command = ("sweep", "bpr_mf", *task(log), *SMALL, "--set", f"evaluate_every={every}", "--seeds", 2,
               "--out", tmp_path / "out")
    for _ in range(2):  # the second time from what was kept
        code, out, err = call(*command, "--grid", f"rate={rate},1e-2")
        assert code == 0, err
        row, = (line.split() for line in out.splitlines() if line.startswith(f"rate={rate}"))
        assert row == [f"rate={rate}", "diverged"] and "chosen on validation: rate=1e-2" in out
        found = json.loads((tmp_path / "out/results.json").read_text())
        assert found["rows"][f"rate={rate}"]["mean"] == {"NDCG@10, validation": None}
        reasons = [facts["diverged"] for facts in found["rows"][f"rate={rate}"]["training"]]
        assert len(reasons) == 2 and reason in reasons[0] and found["chosen"] == "rate=1e-2"
    code, out, err = call(*command, "--grid", f"rate={rate}")
    assert code == 2 and "no combination of --grid is left, each diverges: " in err and reason in err


def test_one_seed_that_diverges_loses_its_combination(tmp_path):
    given = {("a", 0): float("nan"), ("a", 1): 0.9, ("b", 0): 0.1, ("b", 1): 0.1}
    several = [[job(row, seed) for seed in (0, 1)] for row in "ab"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "validate", lambda problem, one: (
            {"NDCG@10, validation": given[one.row.removeprefix("search: "), one.settings.seed]}, {}))
        assert sweep.choose(None, several, 1, tmp_path)[0] == several[1]


@pytest.mark.parametrize("grid, says", [
    (["rate=1e-3,1e-3"], "rate=1e-3 and rate=1e-3"), (["rate=1e-3,0.001"], "rate=1e-3 and rate=0.001"),
    (["width=4,8,04"], "width=4 and width=04"),
    (["rate=1,2", "dropout=0,.0"], "rate=1, dropout=0 and rate=1, dropout=.0")])
def test_a_value_given_twice_is_no_second_seed(tmp_path, grid, says):
    log, options = write_log(tmp_path / "log.csv"), [word for text in grid for word in ("--grid", text)]
    text = refused("sweep", "cnn", *task(log), *SMALL, *options, "--out", tmp_path / "out")
    assert f"--grid: {says} are the same training: give every value once" in text
    assert not (tmp_path / "out").exists()


def test_what_a_sweep_refuses(tmp_path):
    log = write_log(tmp_path / "log.csv")
    assert "no such setting" in refused("sweep", "bpr_mf", *task(log), "--grid", "depth=1", "--out", tmp_path / "out")
    for given in (["--set", "width=16"], ["--steps", 3, "--grid", "steps=2,3"]):
        both = "steps" if "--steps" in given else "width"
        says = refused("sweep", "bpr_mf", *task(log), "--grid", "width=4,8", *given, "--out", tmp_path / "out")
        assert f"--grid tries several values of {both}: leave out the one" in says
    assert "--data is missing" in refused("sweep", "bpr_mf", "--grid", "width=4", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Public logs.

@pytest.fixture
def folder(tmp_path):
    """A folder laid out as --real wants it, of two small logs."""
    rng = np.random.default_rng(0)
    for log in rows.REAL:
        (tmp_path / log.path).parent.mkdir()
    users = np.repeat(np.arange(1, 41), 8)
    items = np.concatenate([rng.permutation(30)[:8] + 1 for _ in range(40)])
    (tmp_path / rows.REAL[0].path).write_text("".join(
        f"{user},{item},{item % 3},{('pv', 'buy')[n % 2]},{1511539200 + n}\n"
        for n, (user, item) in enumerate(zip(users, items, strict=True))))
    (tmp_path / rows.REAL[1].path).write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "".join(
        f"{user}\t{item}\t{1 + n % 5}\t{n}\n" for n, (user, item) in enumerate(zip(users, items, strict=True))))
    return tmp_path


@pytest.mark.trains
def test_real_tables(folder):
    code, out, err = call("reproduce", "--real", folder, "--only", "SASRec", "--seeds", 2, *SMALL,
                          "--set", "width=8", "--out", folder / "out")
    assert code == 0, err
    found = json.loads((folder / "out/results.json").read_text())
    assert list(found) == ["Taobao", "MovieLens-100K"]
    for name, table in found.items():
        assert f"{name}: {table['about']['seen share']:.0%} of the targets met before" in out
        row = table["rows"]["SASRec"]
        assert len(row["seeds"]) == 2 and row["overrides"]["width"] == "8"
        for figures, facts in zip(row["seeds"], row["training"], strict=True):
            assert np.mean(facts["cases"]) == pytest.approx(figures["NDCG@10"])
        best = max((table["rows"][name]["mean"]["NDCG@10"], name) for name in table["rows"] if name != "SASRec")
        line, = (line for line in table["about"]["intervals"] if line.startswith("SASRec: "))
        assert float(line.split()[1]) == pytest.approx(row["mean"]["NDCG@10"] - best[0], abs=6e-4)
        assert line in out
    assert found["MovieLens-100K"]["about"]["candidates"] == "unseen" and "ATRank's release" in out


def test_every_seed_trains_as_long_as_was_best_on_validation(monkeypatch):
    """As the chosen of the grid's trainings was, not as another; by the log's settings and those of the command."""
    def choose(problem, several, pool, folder):
        curves = [(100, 0.1), (200, 0.3)], [(100, 0.2), (200, 0.4), (300, 0.35)], [(100, 0.3)]
        return several[1], [(one, {}, {"validation": curve}) for (one,), curve in zip(several, curves, strict=True)]

    monkeypatch.setattr(sweep, "choose", choose)
    monkeypatch.setattr(real, "train_all", lambda train, problem, jobs, pool, folder: jobs)
    options = SimpleNamespace(set=["width=8"], seeds=2)
    found = real.train_best(options, None, "SASRec", {"steps": "400", "evaluate_every": "100"}, 1, None)
    assert [(one.row, one.settings.seed, one.settings.steps, one.settings.rate) for one in found] == [
        ("SASRec", 0, 200, 0.003), ("SASRec", 1, 200, 0.003)]
    assert found[0].overrides["width"] == "8" and found[0].settings.validation_cases == 200
    assert all(set(log.settings) <= set(log.models) for log in rows.REAL)


def test_what_real_tables_refuse(folder):
    """An unknown row, options that would do nothing, a folder without the logs: one sentence, nothing written."""
    out = ("--out", folder / "out")
    assert "choose from BPR-MF" in refused("reproduce", "--real", folder, "--only", "HAMR", *out)
    assert "leave --quick out" in refused("reproduce", "--real", folder, "--quick", *out)
    assert "leave --data out" in refused("reproduce", "--real", folder, "--data", "x", *out)
    assert "UserBehavior.csv" in refused("reproduce", "--real", folder / "nowhere", *out)
    assert not (folder / "out").exists()


def test_an_interval_is_paired_over_cases_and_a_mean_over_seeds():
    """By hand: every case gains .2 on the baseline with one seed and nothing with the other, which are drawn anew."""
    plain = np.array([0, 1, 3]), np.zeros(3, int)  # ranks 1, 2, 4
    base = metrics.ndcg(*plain, 10)
    trained = [(job("A", seed), {}, {"cases": list(base + 0.1 + shift)}) for seed, shift in ((0, 0.1), (1, -0.1))]
    assert real.difference(trained, "A", base) == "+0.100 [+0.000, +0.200]"
