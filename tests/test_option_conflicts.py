"""Options that contradict each other, that nothing would read, or that would write over what is shipped: told, never dropped."""
import subprocess
import sys

import pytest

from mbref.data.readers import read_table
from mbref.nn.losses import target_weights
from mbref.worlds import known, last
from tests.test_cli import SMALL, call, files, refused, task, train, write_log


@pytest.mark.parametrize(("options", "says"), [
    (("--steps", 2, "--set", "steps=3"), "steps is given by --set, too"),
    (("--threads", 2, "--set", "threads=3"), "threads is given by --set, too"),
    (("--columns", "user=a,item=b"), "--columns and --no-header are for --format csv: taobao knows its columns"),
    (("--no-header",), "--columns and --no-header are for --format csv"),
    (("--step", 2), "--step")])
def test_what_is_said_twice_or_in_vain(tmp_path, options, says):
    assert says in refused("train", "hmar", "--out", tmp_path / "run", *task(write_log(tmp_path / "log.csv")), *options)
    assert not (tmp_path / "run").exists()


@pytest.mark.trains
def test_a_run_is_resumed_as_the_model_it_is(tmp_path):
    train(tmp_path / "run", write_log(tmp_path / "log.csv"))
    before = files(tmp_path / "run")
    assert "leave hmar out" in refused("train", "hmar", "--resume", tmp_path / "run")
    assert files(tmp_path / "run") == before
    assert call("train", "--resume", tmp_path / "run")[0] == 0


def test_options_of_check_that_need_another():
    assert "--count is of fresh cases" in refused("check", "--count", 3)
    assert "--strict is of --xfail" in refused("check", "--strict")


def test_a_file_for_a_framework_that_is_not_here(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("BACKEND = 'jax'\ndef hmar_code(params, inputs, tap):\n    raise NotImplementedError\n")
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setattr("mbref.check.run.find_spec", lambda name: None)
    assert "needs jax, which is not here: install it" in refused("check", path)


def test_other_worlds_are_not_written_over_those_that_are_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in (("--users", 3), ("--signal", "any", "--only", "last")):
        assert "give it a DIR" in refused("worlds", "--make", *options)
    assert not [*tmp_path.iterdir()]
    assert call("worlds", "--make", tmp_path / "own", "--only", "last", "--users", 30)[0] == 0
    (name, text), = known.make(last, last.SIGNALS[0], 30).items()
    assert (tmp_path / "own/last" / name).read_text() == text


@pytest.mark.trains
def test_weights_of_eleven_behaviours_have_to_be_given(tmp_path):
    assert target_weights(10, 3) == pytest.approx((0.1,) * 10)
    log = write_log(tmp_path / "log.csv")
    names = ",".join(["buy", "cart", "pv", *(f"other{n}" for n in range(8))])
    given = ("--behaviours", names, "--out", tmp_path / "run", *task(log), "--steps", 2, *SMALL)
    assert "11 behaviours" in refused("train", "hmar", *given)
    assert not (tmp_path / "run").exists()
    assert call("train", "hmar", *given, "--set", "weights=" + ",".join(["0.05"] * 11))[0] == 0


def test_a_column_that_is_no_pair(tmp_path):
    log = tmp_path / "a.csv"
    log.write_text("u,i\n1,2\n")
    more = ("--format", "csv", "--target", "click", "--columns", "user=u,item=i,time")
    assert "write OURS=THEIRS" in refused("train", "hmar", "--out", tmp_path / "run", "--data", log, *more)


def test_columns_by_number_in_the_file_s_own_separator(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2,3,4\n")
    says = "column item=9: without a header give a number from 1 to 4 .columns are separated by commas"
    with pytest.raises(ValueError, match=says):
        read_table(path, {"user": "2", "item": "9"}, header=False)


def test_a_folder_that_is_not_there_is_what_has_to_be_mended(tmp_path):
    assert f"make the folder {tmp_path / 'no'}" in call(
        "check", "--only", "metrics.hit_rate", "--json", tmp_path / "no/a.json")[2]


def test_the_peak_of_a_process_is_its_own():
    """On Linux a process begins with its parent's peak in what getrusage says."""
    code = "from mbref.bench.reading import peak_memory; print(peak_memory())"
    held = bytearray(400 << 20)
    held[::4096] = b"1" * len(held[::4096])
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 10 < float(found.stdout) < 300
