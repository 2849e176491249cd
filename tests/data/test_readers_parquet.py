"""Parquet files: the same log as the same rows in a file of lines."""
import numpy as np
import pytest

from mbref.data.readers import columns, read_table
from mbref.errors import InputError
from tests.optional import library

pyarrow, parquet = library("pyarrow"), library("pyarrow.parquet")
T = 1_511_848_894
COLUMNS = dict(user="u", item="i", behaviour="b", time="t")
ROWS = {"u": [3, 1, 3, 1], "i": ["b", "a", None, "c"], "b": ["pv", "buy", "pv", "pv"], "t": [T + 5, T, T, T + 1]}


def test_a_parquet_file_is_the_log_of_the_same_lines(tmp_path):
    rows = {name: [values[k] for k in (0, 1, 3)] for name, values in ROWS.items()}
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "log.parquet")
    text = "u,i,b,t\n" + "".join(f"{u},{i},{b},{t}\n" for u, i, b, t in zip(*rows.values(), strict=True))
    (tmp_path / "log.csv").write_text(text)
    one = read_table(tmp_path / "log.parquet", COLUMNS, ("buy", "pv"))
    other = read_table(tmp_path / "log.csv", COLUMNS, ("buy", "pv"))
    for name in set(one._fields) - {"notes"}:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    assert one.notes == ("log.parquet: skipped 1 of 4 rows as broken (the first is line 3: the item is empty, fill it "
                         "in or delete the line)",)


@pytest.mark.parametrize("name", ["label", "Label"])
@pytest.mark.parametrize("labels", [[1, 0, 1, 0], [1.0, 0.0, 1.0, 0.0], [True, False, True, False]])
def test_rows_with_label_0_are_no_events(tmp_path, name, labels):
    table = pyarrow.table({**ROWS, "i": [1, 2, 3, 4], name: labels})
    parquet.write_table(table, tmp_path / "log.parquet")
    log = read_table(tmp_path / "log.parquet", COLUMNS, ("buy", "pv"))
    assert log.items.tolist() == ["", "1", "3"] and "left out 2 rows with label 0 or less" in log.notes[-1]


def test_a_label_that_is_asked_for_as_something_else_is_that(tmp_path):
    parquet.write_table(pyarrow.table({**ROWS, "i": [1, 2, 3, 4]}).rename_columns(["u", "i", "label", "t"]),
                        tmp_path / "log.parquet")
    log = read_table(tmp_path / "log.parquet", {**COLUMNS, "behaviour": "label"}, ("buy", "pv"))
    assert len(log.user) == 4 and log.behaviours == ("buy", "pv")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_all_units(tmp_path, unit):
    time = (np.array(ROWS["t"]) * 10 ** (3 * ["s", "ms", "us", "ns"].index(unit))).astype(f"M8[{unit}]")
    parquet.write_table(pyarrow.table({**ROWS, "i": [1, 2, 3, 4], "t": time}), tmp_path / "log.parquet")
    assert read_table(tmp_path / "log.parquet", COLUMNS).time.tolist() == [T, T + 1, T, T + 5]


def test_times_need_not_be_written_out(tmp_path):
    times = np.array(ROWS["t"]).astype("M8[s]")
    for name, column in ("log", times), ("days", times.astype("M8[D]")):
        table = pyarrow.table({**ROWS, "i": [1, 2, 3, 4], "t": column})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    for name, want in ("log", [T, T + 1, T, T + 5]), ("days", 4 * [T // 86400 * 86400]):
        log = read_table(tmp_path / f"{name}.parquet", COLUMNS, ("buy", "pv"))
        assert log.time.tolist() == want and log.notes[0] == f"{name}.parquet: times are read as microseconds"


def test_many_rows_are_read_in_parts_and_missing_numbers_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "PARQUET_ROWS", 2)
    parquet.write_table(pyarrow.table({"u": [1, 2, 1, 2, 1], "i": [7, 8, 9, 7, None]}), tmp_path / "log.parquet")
    log = read_table(tmp_path / "log.parquet", {"user": "u", "item": "i"})
    assert log.items[log.item].tolist() == ["7", "9", "8", "7"]
    assert "skipped 1 of 5 rows as broken (the first is line 5: the item is empty" in log.notes[0]


def test_ids_of_other_kinds(tmp_path):
    """Hashes of 64 bits without a sign, bytes, whole numbers that a missing one has made floats; no lists."""
    rows = {"u": pyarrow.array([2**64 - 1, 2**63, 7], pyarrow.uint64()), "i": [b"a", b"\xc3\xa9", b"a"], "c": [1.0, float("nan"), 2.0]}
    parquet.write_table(pyarrow.table({**rows, "l": [[5, 6], [7], []]}), tmp_path / "log.parquet")
    log = read_table(tmp_path / "log.parquet", {"user": "u", "item": "i", "category": "c"})
    assert log.users.tolist() == ["", "7", str(2**63), str(2**64 - 1)] and log.items.tolist() == ["", "a", "é"]
    assert log.categories[log.category].tolist() == ["2.0", "", "1.0"]
    with pytest.raises(InputError, match="^log.parquet: column l holds lists, give a file with an event a row"):
        read_table(tmp_path / "log.parquet", {"user": "u", "item": "l"})


def test_what_is_no_parquet_file_is_refused(tmp_path):
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "log.parquet")
    whole = (tmp_path / "log.parquet").read_bytes()
    with pytest.raises(InputError, match="has no column v, it has u, i, b, t"):
        read_table(tmp_path / "log.parquet", {**COLUMNS, "time": "v"})
    twice = pyarrow.table([[1], [2], [3]], names=["u", "i", "i"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="^twice.parquet: has more than one column i, rename one$"):
        read_table(tmp_path / "twice.parquet", {"user": "u", "item": "i"})
    many = pyarrow.table({str(n) * 60: [n] for n in range(1, 10)})
    parquet.write_table(many, tmp_path / "many.parquet")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "many.parquet", {"user": "1" * 60, "item": "x"})
    assert str(caught.value).endswith("it has " + ", ".join(many.column_names)[:300])
    for size in range(0, len(whole), 37):
        (tmp_path / "cut.parquet").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut.parquet: is no Parquet file that can be read \(\w.+\)$"):
            read_table(tmp_path / "cut.parquet", COLUMNS)
