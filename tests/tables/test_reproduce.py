"""`reproduce`: the same table whatever the number of processes, every baseline in it, files written, wrong options."""
import json

import numpy as np
import pytest

from mbref import runs
from mbref.__main__ import main
from mbref.data.files import write_whole
from mbref.errors import InputError
from mbref.tables import plots, reproduce, rows, whole_catalogue as ranked
from mbref.data.shipped import tiny_data

pytestmark = pytest.mark.trains
SMALL = ("--steps", "4", "--set", "width=4", "--set", "length=5", "--set", "evaluate_every=2", "--set", "batch_size=4")
PLAIN = ["random", "popularity, events", "popularity, users", "co-occurrence, last item", "co-occurrence, last 10",
         "co-occurrence, popularity", "seen before", "category recency"]
TINY = tiny_data() / "taobao/UserBehavior.csv"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The last quarter of the users of the tiny log."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    lines = TINY.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if int(line.split(",")[0]) > 1110))
    return path


def call(log, out, *more):
    data = ("--data", str(log), "--format", "taobao", "--target", "buy")
    return main(["reproduce", *data, "--out", str(out), *SMALL, *more])


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_table_files_and_processes(log, tmp_path, capsys):
    rows = ("--only", "HMAR", "--only", "BPR-MF", "--only", "theta 1")
    assert call(log, tmp_path / "one", *rows, "--seeds", "2", "--jobs", "1") == 0
    printed = capsys.readouterr().out
    assert call(log, tmp_path / "two", *rows, "--seeds", "2", "--jobs", "2") == 0
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one == two  # a seed gives the same run in any process
    assert list(one["rows"]) == [*PLAIN, "HMAR", "BPR-MF", "theta 1"]
    assert all(name in printed for name in one["rows"])
    for name in ("HMAR", "BPR-MF", "theta 1"):
        row = one["rows"][name]
        values = [figures["NDCG@10"] for figures in row["seeds"]]
        assert len(values) == 2 and row["mean"]["NDCG@10"] == pytest.approx(sum(values) / 2)
        assert row["sd"]["NDCG@10"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert one["rows"]["theta 1"]["overrides"]["theta"] == "1" and "theta" not in one["rows"]["HMAR"]["overrides"]
    for figure in ("table.png", "theta.png", "learning.png"):
        assert (tmp_path / "one" / figure).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_chance_is_exact(log):
    task = runs.Task(str(log), "taobao", "buy")
    problem = ranked.open_problem(task)
    rows = ranked.plain_rows(problem)
    assert rows["random"]["HR@10"] == pytest.approx(10 / problem.split.items)
    assert rows["random"]["HR@10 (99 uniform neg.)"] == pytest.approx(10 / 100) and rows["random"]["ties"] == 1


def test_split_file_has_both_kinds_of_negatives(tmp_path, capsys):
    rng = np.random.default_rng(0)
    users, items = 6, 120
    own = rng.integers(1, 15, (users, 8))
    np.savez(tmp_path / "split.npz", tr_item=own.ravel(), tr_beh=rng.integers(0, 4, own.size),
             ptr=np.arange(0, own.size + 1, 8), target=np.arange(15, 15 + users), usernum=users, itemnum=items,
             **{name: rng.integers(30, items + 1, (2, users, 99)) for name in ("neg_clean", "neg_release")})
    assert main(["reproduce", "--split", str(tmp_path / "split.npz"), "--out", str(tmp_path / "out"), *SMALL,
                 "--only", "BPR-MF", "--seeds", "1", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "HR@10 (99 clean neg.)" in printed and "HR@10 (99 release neg.)" in printed
    assert results(tmp_path / "out")["about"]["cases"] == users


def test_a_row_named_twice_is_trained_once():
    jobs = reproduce.jobs_of("hmar", 2, {}, ("HMAR", "BPR-MF", "HMAR"))
    assert [(job.row, job.settings.seed) for job in jobs] == [("HMAR", 0), ("HMAR", 1), ("BPR-MF", 0), ("BPR-MF", 1)]


def test_test_events_with_too_few_negatives_are_counted():
    """By hand: of three events the first has one negative too few, and the last two too few in another set."""
    full, first = np.full((3, 4), 7), np.array([[7, 7, 7, 0], [7] * 4, [7] * 4])
    last = np.array([[7] * 4, [7] * 4, [7, 7, 0, 0]])
    problem = ranked.Problem(None, None, None, {"4 neg.": [full, first], "others": [last]})
    assert ranked.few_negatives(problem)[0].startswith("note: for 2 test events")
    assert ranked.few_negatives(problem._replace(negatives={"4 neg.": [full]})) == []


def test_what_has_no_value_is_null(tmp_path):
    reproduce.save({"a": [float("nan"), 1.5], "b": {"c": float("inf"), "d": (1, "x")}}, tmp_path)
    text = (tmp_path / "results.json").read_text()
    assert json.loads(text) == {"a": [None, 1.5], "b": {"c": None, "d": [1, "x"]}} and "NaN" not in text


def test_nothing_half_written_stays_where_the_disk_is_full(tmp_path):
    def half(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "table.png").write_text("before")
    with pytest.raises(InputError, match="table.png .No space left on device.: free some space"):
        write_whole(tmp_path / "table.png", half)
    assert [path.name for path in tmp_path.iterdir()] == ["table.png"]
    assert (tmp_path / "table.png").read_text() == "before"


def test_results_are_saved_before_the_table_is_printed(log, tmp_path, monkeypatch):
    def gone(*arguments):
        raise BrokenPipeError

    monkeypatch.setattr(reproduce, "table", gone)
    monkeypatch.setattr("os.dup2", lambda *fds: None)
    assert call(log, tmp_path / "out", "--only", "BPR-MF", "--seeds", "1", "--jobs", "1") == 1
    assert results(tmp_path / "out")["rows"]["BPR-MF"]["mean"] and (tmp_path / "out" / "table.png").exists()


def test_a_curve_of_one_validation_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "save_figure", lambda fig, path: [line.get_marker() for line in fig.axes[0].lines])
    row = {"settings": {"validate": "AUC"}, "training": [{"validation": [(5, 0.5)]}, {"validation": [(5, 0.5), (9, 0.6)]}]}
    assert plots.learning({"rows": {"one": row}}, tmp_path, ["one"]) == ["o", "None"]


def test_a_sweep_shows_the_values_that_were_trained(tmp_path, monkeypatch):
    drawn = {}
    for name in ("rows", "learning"):
        monkeypatch.setattr(plots, name, lambda *arguments: None)
    monkeypatch.setattr(plots, "sweep", lambda results, path, values, *more: drawn.update({path.name: values}))
    found = {"HMAR": {"overrides": {"theta": "2"}}, "theta 1": {"overrides": {"theta": "1"}},
            "without multi-task loss": {"overrides": {"theta": "0"}}}
    reproduce.draw_figures(rows.PAPERS["hmar"], {"rows": found}, tmp_path, ["NDCG@10"])
    assert list(drawn) == ["theta.png"] and list(drawn["theta.png"].items()) == [
        (0.0, "without multi-task loss"), (1.0, "theta 1"), (2.0, "HMAR")]


@pytest.mark.parametrize("more, says", [
    (("--only", "HMAAR"), "HMAAR"), (("--set", "nonsense=1"), "nonsense"), (("--set", "width=wide"), "width"),
    (("--out", "/dev/null/x"), "cannot write to the folder"),
])
def test_wrong_options_are_one_sentence(log, tmp_path, capsys, more, says):
    assert call(log, tmp_path / "out", *more) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("mbref: ") and says in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_split_file_that_is_none(tmp_path, capsys):
    (tmp_path / "x.npz").write_bytes(b"PK nothing")
    assert main(["reproduce", "--split", str(tmp_path / "x.npz"), "--out", str(tmp_path / "out")]) == 2
    assert "x.npz is no split file" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_whole_log_counts_reach_the_model(log):
    """With the leak the training histories know the future, so the same seed ends elsewhere."""
    problem = ranked.open_problem(runs.Task(str(log), "taobao", "buy"))
    texts = {"steps": "30", "width": "8", "length": "5", "evaluate_every": "10", "rate": "0.02"}
    clean, leaky = (reproduce.jobs_of("hmar", 1, texts | {"counts": counts}, ["HMAR"])[0]
                    for counts in ("running", "whole-log"))
    assert ranked.train_and_report(problem, clean)[1] != ranked.train_and_report(problem, leaky)[1]


def test_rows_change_what_they_say():
    changes = {row: reproduce.jobs_of("hmar", 1, {}, [row])[0].overrides for row in rows.PAPERS["hmar"].rows}
    assert changes["without behaviour encoder"] == {"merge": "bypass"}
    assert changes["without indicators"] == {"indicator": "false"}
    assert changes["without multi-task loss"] == {"theta": "0"}
    assert [job.settings.seed for job in reproduce.jobs_of("hmar", 3, {"seed": "5"}, ["HMAR"])] == [5, 6, 7]
    with pytest.raises(InputError, match="row"):
        reproduce.jobs_of("hmar", 1, {}, ["nothing"])
