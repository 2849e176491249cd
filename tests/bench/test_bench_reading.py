"""bench read: a table on a small file; the figures themselves are not tested."""
from mbref.bench.reading import write_rows
from mbref.data.readers import read
from tests.test_cli import call


def test_the_table_has_a_line_for_each_reader(capfd, tmp_path):
    code, out, _ = call("bench", "read", "--rows", 2000)
    assert code == 0 and out.splitlines()[1].split() == ["reader", "CPU", "s", "MB/s", "peak", "MB"]
    name, seconds, _, peak = out.splitlines()[2].split()
    assert name == "mbref" and float(seconds) > 0 and 0 < float(peak.replace(",", "")) < 300
    assert out.splitlines()[3].startswith("pandas")
    assert "there is no such file" in call("bench", "read", "--file", tmp_path / "absent.csv")[2]
    (tmp_path / "log.csv").write_text("1;2;3\n")
    code, _, error = call("bench", "read", "--file", tmp_path / "log.csv")
    assert code == 2 and error.startswith("mbref: log.csv line 1: 1 field where 5") and error.count("\n") == 1


def test_the_file_has_the_rows_and_is_in_order(tmp_path):
    log = read(write_rows(tmp_path / "log.csv", 1234, block=500), "taobao", keep_repeats=True)
    rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert len(rows) == 1234 and log.notes == ()
    assert [row[0] for row in rows] == log.users[log.user].tolist()
    assert [row[1] for row in rows] == log.items[log.item].tolist()
