"""The bench of HierSRec's candidates: all ways are measured and agree, one thread, wrong sizes."""
import argparse
from functools import partial

import numpy as np
import pytest

from mbref.bench import step
from mbref.candidates import rank
from mbref.errors import InputError
from tests.bench import candidates as bench
from tests.bench.__main__ import main, parser

SMALL = ["--items", "300", "--categories", "12", "--width", "8", "--batch", "5", "--shares", ".04",
         ".2", "--repeats", "1"]


def options(arguments):
    return parser().parse_args(["candidates", *arguments])


def test_bench_measures_every_way():
    rows = bench.candidates([300], 12, 8, 5, [0.04, 0.2], repeats=1)
    assert len(rows) == 2 * (2 + 2 * (3 + 1))
    assert all(row["ms"] > 0 and row["MB"] > 0 for row in rows)
    assert [row["candidates"] for row in rows[:2]] == [1, 1]
    assert rows[0]["faster"] == rows[0]["less"] == 1
    assert len(bench.table(rows).splitlines()) == 2 + len(rows)


def test_bench_ways_agree():
    case = bench.draw_case(np.random.default_rng(0), 500, 20, 8, 40, agree=False)
    def everything(logp):
        return np.ones(logp.shape, bool)

    _, want = rank.dense(case.queries, case.weights, case.layout.index, everything(case.logp),
                         np.ones(40, int), 20)
    for way in (bench.dense, partial(bench.dense, part=bench.PART), bench.gather, bench.blocks):
        np.testing.assert_array_equal(way(case, everything), want)


def test_bench_runs_in_a_process_of_its_own_with_one_thread(capfd, monkeypatch):
    bench.run(options(SMALL))
    assert "faster than dense" in capfd.readouterr().out
    started = []
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.setattr(step.subprocess, "run", lambda command, env, **how: started.append(env)
                        or argparse.Namespace(returncode=0, stderr=""))
    bench.run(options(SMALL))
    assert started[0]["OPENBLAS_NUM_THREADS"] == "1"


@pytest.mark.parametrize("code, stderr, says", [
    (1, "Traceback\n  a line\nmbref.errors.InputError: choose smaller sizes.\n", "^choose smaller sizes.$"),
    (1, "Traceback\nMemoryError: Unable to allocate\n", "^MemoryError: Unable to allocate$"),
    (-9, "", "^the measurement ended with code -9.$")])
def test_a_measurement_that_fails_is_one_sentence(monkeypatch, code, stderr, says):
    monkeypatch.setattr(step.subprocess, "run", lambda *given, **how: argparse.Namespace(returncode=code, stderr=stderr))
    with pytest.raises(InputError, match=says):
        bench.run(options(SMALL))


def test_bench_refuses_senseless_sizes():
    for wrong, words in ((["--items", "3"], "^sizes"), (["--shares", "0"], "^a share"), (["--shares", "4"], "^a share"), (["--shares", "nan"], "^a share"),
                         (["--batch", "0"], "at least 1"), (["--repeats", "0"], "at least 1")):
        with pytest.raises(InputError, match=words):
            bench.run(options(wrong))


def test_bench_from_the_command_line(capfd):
    assert main(["candidates", *SMALL]) == 0
    assert "in parts" in capfd.readouterr().out
    assert main(["candidates", "--shares", "2"]) == 2
    assert main([]) == 2
    assert "what" in capfd.readouterr().err
