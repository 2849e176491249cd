"""`reproduce`: the same table whatever the number of processes, every baseline in it, files written, wrong options."""
import json

import numpy as np
import pytest

from mbref import ranked, reproduce, runs
from mbref.__main__ import TINY as TINY_DATA
from mbref.__main__ import main
from mbref.data import worlds
from mbref.errors import InputError

SMALL = ("--steps", "4", "--set", "width=4", "--set", "length=5", "--set", "evaluate_every=2", "--set", "batch_size=4")
PLAIN = ["random", "popularity, events", "popularity, users", "co-occurrence, last item", "co-occurrence, last 10",
         "co-occurrence, popularity", "seen before", "category recency"]
TINY = TINY_DATA / "taobao/UserBehavior.csv"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The last quarter of the users of the tiny log's maker, under another seed."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    lines = worlds.shop_and_text(2)[1].splitlines(keepends=True)
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
    problem = ranked.from_log(task)
    rows = ranked.plain_rows(problem)
    assert rows["random"]["HR@10"] == pytest.approx(10 / problem.split.items)
    assert rows["random"]["HR@10 (99 uniform neg.)"] == pytest.approx(10 / 100) and rows["random"]["ties"] == 1


def test_the_rule_is_in_the_table_of_the_tiny_log_only(log):
    tiny, other = (ranked.from_log(runs.Task(str(path), "taobao", "buy")) for path in (TINY, log))
    assert [*ranked.plain_rows(tiny)] == [*PLAIN, "the rule behind the log"]
    assert [*ranked.plain_rows(other)] == PLAIN


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


@pytest.mark.parametrize("more, says", [
    (("--only", "HMAAR"), "HMAAR"), (("--set", "nonsense=1"), "nonsense"), (("--set", "width=wide"), "width"),
    (("--out", "/dev/null/x"), "cannot make the folder"),
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
    problem = ranked.from_log(runs.Task(str(log), "taobao", "buy"))
    texts = {"steps": "30", "width": "8", "length": "5", "evaluate_every": "10", "rate": "0.02"}
    clean, leaky = (reproduce.jobs_of("hmar", 1, texts | {"counts": counts}, ["HMAR"])[0]
                    for counts in ("running", "whole-log"))
    assert reproduce.train_and_report(problem, clean)[1] != reproduce.train_and_report(problem, leaky)[1]


def test_rows_change_what_they_say():
    changes = {row: reproduce.jobs_of("hmar", 1, {}, [row])[0].overrides for row in reproduce.PAPERS["hmar"].rows}
    assert changes["without behaviour encoder"] == {"merge": "bypass"}
    assert changes["without indicators"] == {"indicator": "false"}
    assert changes["without multi-task loss"] == {"theta": "0"}
    assert [job.settings.seed for job in reproduce.jobs_of("hmar", 3, {"seed": "5"}, ["HMAR"])] == [5, 6, 7]
    with pytest.raises(InputError, match="row"):
        reproduce.jobs_of("hmar", 1, {}, ["nothing"])
