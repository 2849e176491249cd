"""Damaged files: one sentence or a log with notes, in bounded memory; never another exception."""
import json
import os
import resource
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from mbref.data.readers import FORMATS, read
from mbref.errors import InputError
from tests.data.test_readers import CHOICES, GOOD

ROOT = Path(__file__).parents[2]


def outcome(path, format, data):
    """The Log of these bytes, or the sentence that refuses them."""
    path.write_bytes(data)
    try:
        log = read(path, format, **CHOICES.get(format, {}))
    except InputError as error:
        assert str(error).startswith(path.name) and "\n" not in str(error) and len(str(error)) < 2000
        return str(error)
    assert len(log.user) > 0 and (np.diff(log.user) >= 0).all()
    assert log.user.min() >= 1 and log.user.max() == len(log.users) - 1
    assert log.item.min() >= 1 and log.item.max() == len(log.items) - 1
    assert 1 <= log.behaviour.min() and log.behaviour.max() <= len(log.behaviours)
    return log


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_cut_at_any_byte(tmp_path, format):
    data = GOOD[format].encode()
    for end in range(len(data)):
        found = outcome(tmp_path / "log.csv", format, data[:end])
        if not isinstance(found, str):
            whole = len(found.user) == 2 or data[end - 1:end] in (b"\n", b"}")  # nothing shows that a line is missing
            assert whole or any("line" in note for note in found.notes), end


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_any_bit_flipped(tmp_path, format):
    data = GOOD[format].encode()
    every = 1 if os.environ.get("MBREF_LONG") else 7
    for bit in range(0, 8 * len(data), every):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        outcome(tmp_path / "log.csv", format, bytes(flipped))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("data", [
    lambda text: text.encode("utf-16"), lambda text: text.encode("utf-16-le"), lambda text: text.encode() + b"\0\0\0\n",
    lambda text: text.encode() * 3 + b"\xe9,\xe9\t\xe9 \xe9\n" * 3, lambda text: b"\xff" * 5000,
    lambda text: b"\0" * 5000, lambda text: b"," * 5000 + b"\n", lambda text: b"\x1f\x8b" + text.encode()])
def test_foreign_bytes(tmp_path, format, data):
    outcome(tmp_path / "log.csv", format, data(GOOD[format]))


@pytest.mark.parametrize("data", [
    b"a" * 10_000_000, b"1" * 10_000_000, b"[" * 10_000_000, b"{'a':" * 2_000_000, b"\n" * 1_000_000, b"1," * 1_000_000 + b"\n",
    b"\t".join(b"c%d" % n for n in range(1_000_000)) + b"\n", b"1,2,3,pv,4\n" + b"9" * 5_000_000 + b",2,3,pv,4\n"],
    ids=["letters", "digits", "brackets", "dicts", "blank lines", "columns", "header", "long id"])
def test_huge_lines_take_bounded_memory(tmp_path, data):
    """In a process of its own that may take 1.5 GB, the interpreter and NumPy included."""
    (tmp_path / "log.csv").write_bytes(data)
    code = ("import sys\nfrom mbref.data.readers import read\nfrom mbref.errors import InputError\n"
            "for format in ('taobao', 'recbole', 'amazon', 's3rec', 'movielens', 'diginetica', 'yoochoose'):\n"
            "    try:\n        read(sys.argv[1], format)\n"
            "    except InputError as error:\n        assert len(str(error)) < 2000\n")
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "log.csv"], cwd=ROOT, capture_output=True, text=True,
                          preexec_fn=limit, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(InputError, match="is a pipe or a device, and a log is read more than once"):
            read(path, "taobao")


@pytest.mark.parametrize("field", ['"' + "a," * 100_000 + '"', '"a"\rb'], ids=["longer than csv takes", "a break"])
def test_quotes_that_the_csv_module_refuses(tmp_path, field):
    (tmp_path / "log.csv").write_bytes(f"{field},2,1,pv,1511848894\n".encode())
    with pytest.raises(InputError, match="log.csv line 1: ") if len(field) > 9 else nullcontext():
        assert read(tmp_path / "log.csv", "taobao").users[1] == '"a"\rb'


def test_extremes_of_a_log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("".join(f"1,{n % 9},1,pv,5\n" for n in range(100_000)))
    log = read(path, "taobao", keep_repeats=True)  # one user, all times equal: the order of the file
    assert log.items[log.item].tolist() == [str(n % 9) for n in range(100_000)]
    assert len(read(path, "taobao").user) == 9
    path.write_text("1,1,1,pv,1511848894\n")
    assert len(read(path, "taobao").user) == 1


def test_a_long_line_of_python_is_not_parsed_for_minutes(tmp_path):
    record = {"reviewerID": "A", "asin": "B", "unixReviewTime": 5, "text": "it's " * 400_000}
    (tmp_path / "X.json").write_text(f"{record!r}\n" + 2 * (json.dumps(record) + "\n"))
    log = read(tmp_path / "X.json", "amazon")
    assert len(log.user) == 1 and "skipped 1 of 3 rows as broken" in log.notes[0]
