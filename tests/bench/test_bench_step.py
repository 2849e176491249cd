"""`bench step`: what it compares, and what it says of another model and without PyTorch."""
import sys
from pathlib import Path

import pytest

from mbref import options
from mbref.bench import step as bench_step
from mbref.bench.device import losses_in
from mbref.errors import InputError
from mbref.nn import vjps
from tests.optional import require

LOSSES = str(Path(__file__).parents[1] / "torch_losses.py")
SMALL = dict(items=30, length=6, width=16, batch=4)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench_step, "SIZES", dict.fromkeys(bench_step.SIZES, SMALL))
    monkeypatch.setattr(bench_step, "GROWTH", {"items": (40,), "hops": (3,)})


@pytest.mark.trains
def test_a_row_a_model(small, capsys):
    require("torch")
    settings = {"torch": LOSSES, "threads": 1, "repeats": 1, "plain": False, "grow": False, "model": list(bench_step.SIZES)}
    bench_step.rows(settings)
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("products: ") and [row.split()[0] for row in rows] == list(bench_step.SIZES)
    for row in rows:
        assert row.split()[1] == "1" and float(row.split()[2]) > 0 and float(row.split()[4]) < 1e-5
        assert row.count("(") == 3


@pytest.mark.trains
def test_growth_and_our_side_alone(small, capsys):
    settings = {"torch": None, "threads": 1, "repeats": 1, "plain": True, "grow": True, "model": ["dmran", "hmar"]}
    bench_step.rows(settings)
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in rows] == [["dmran", "items=40"], ["dmran", "hops=3"], ["hmar", "items=40"]]
    assert all(row.count("(") == 1 and row.split()[3] == "nan" for row in rows) and not vjps.FORMS["plain"]


def test_a_change_reaches_sizes_and_config(small):
    assert bench_step.case_of("dmran", (("hops", 3),), 2).config.hops == 3
    assert [bench_step.case_of("dmran", (), threads).settings.threads for threads in (1, 2)] == [1, 2]
    case = bench_step.case_of("hmar", (("items", 40),))
    assert case.config.items == 40 and case.config.dropout == 0 and case.config.width == 16


def test_another_model_in_torch_is_refused(small):
    require("torch")
    case, loss = bench_step.case_of("hmar"), losses_in(LOSSES)["hmar"]
    assert bench_step.error(case, loss) < 1e-5
    with pytest.raises(InputError, match="hmar in PyTorch is another model"):
        bench_step.error(case, lambda *given: loss(*given) * 1.01)


def test_the_growth_of_the_process():
    block = []
    assert 30 < bench_step.peak(lambda step: block.append(bytearray(b"x") * 40_000_000)) < 60 or not sys.platform.startswith(
        "linux")


def test_without_torch_our_side_is_printed(small, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    asked = []

    class Done:
        returncode, stderr = 0, ""

    monkeypatch.setattr(bench_step.subprocess, "run", lambda command, env, **more: asked.append(
        command[-1] + env["OPENBLAS_NUM_THREADS"]) or Done)
    bench_step.run(options.parser().parse_args(["bench", "step", "--torch", LOSSES]))
    assert "PyTorch is not installed" in capsys.readouterr().out
    assert len(asked) == 2 and '"torch": null' in asked[0] and asked[1].endswith('"threads": 2}1')
