"""The ledger says what the code does: switches exist and act, cases show both sides, marks and rows belong together."""
import ast
import dataclasses
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.ledger import (
    ledger_cases_atrank,
    ledger_cases_dmran,
    ledger_cases_hiersrec,
    ledger_cases_hmar,
)

ROOT = Path(__file__).parents[2] / "mbref"
LEDGER = ROOT / "released" / "LEDGER.md"
COLUMNS = ["id", "topic", "paper says", "release does", "mbref's default", "switch", "case"]
NUMBERS = {"ATRank": 13, "DMRAN": 22, "HierSRec": 20, "HMAR": 26}
CASES = {"ATRank": ledger_cases_atrank, "DMRAN": ledger_cases_dmran, "HierSRec": ledger_cases_hiersrec,
         "HMAR": ledger_cases_hmar}
NAMED = rf"(?:(?:{'|'.join(NUMBERS)}) )?D\d+"
MARK = re.compile(f"# Deviation ({NAMED}(?:, {NAMED})*)")
DIFFERENT, EQUAL = 1e-3, 1e-12  # relative to the larger side


class Row(NamedTuple):
    id: str
    switches: list   # "module:Object.field=value" or "module:function"; none if there is none
    cases: list      # (name, whether both sides are equal)
    cells: list


def rows():
    """The table's rows."""
    lines = [line for line in LEDGER.read_text().splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert table[0] == COLUMNS and all(len(cells) == len(COLUMNS) for cells in table)
    return [row_of(cells) for cells in table[2:]]


def row_of(cells):
    switches = re.findall("`([^`]+)`", cells[5])
    assert switches, cells
    cases = [(name, bool(equal)) for equal, name in re.findall(r"(equal: )?`(\w+)`", cells[6])]
    return Row(cells[0], [] if switches[0].startswith("none: ") else switches, cases, cells)


ROWS = rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def target_of(switch):
    """"module:Object.field=value" -> (object, field, value); "module:function" -> (function, None, None)."""
    module, _, rest = switch.partition(":")
    path, equals, value = rest.partition("=")
    name, _, field = path.partition(".")
    return getattr(import_module(module), name), field or None, ast.literal_eval(value) if equals else None


def change_of(switch):
    """What a case takes: the fields that the switch sets, or the function that it names."""
    thing, field, value = target_of(switch)
    return {field: value} if field else thing


def case_of(row, name):
    return getattr(CASES[row.id.split()[0]], name)


def calls(row):
    """[(case, its arguments, whether both sides are equal)]; one case goes for all switches, several go in pairs."""
    if not row.switches:
        return [(case_of(row, name), (), equal) for name, equal in row.cases]
    cases = row.cases * len(row.switches) if len(row.cases) == 1 else row.cases
    return [(case_of(row, name), (change_of(switch),), equal)
            for (name, equal), switch in zip(cases, row.switches, strict=True)]


def marks(leave_out=""):
    """{"HMAR D9": files} of all marks in mbref/ but for one folder."""
    found = {}
    papers = {paper.lower(): paper for paper in NUMBERS}
    for path in ROOT.rglob("*.py"):
        if path.parent.name == leave_out:
            continue
        own = papers.get(path.stem.split("_")[0])
        for match in MARK.finditer(path.read_text()):
            paper = own
            for part in match[1].split(", "):
                named, _, number = part.rpartition(" ")
                paper = named or paper
                assert paper, f"{path}: {match[0]} belongs to no paper: write for instance # Deviation HMAR {number}"
                found.setdefault(f"{paper} {number}", []).append(path.name)
    return found


def test_the_rows_are_those_of_the_papers():
    assert [row.id for row in ROWS] == [f"{paper} D{n}" for paper, last in NUMBERS.items() for n in range(1, last + 1)]


@every_row
def test_every_cell_says_something(row):
    assert all(row.cells)
    assert ("no code" == row.cells[3]) == (row.id.split()[0] in ("DMRAN", "HierSRec"))


@every_row
def test_each_switch_exists_and_is_not_the_default(row):
    for switch in row.switches:
        thing, field, value = target_of(switch)
        if field is None:
            assert inspect.isfunction(thing), switch
        elif dataclasses.is_dataclass(thing):
            default = {f.name: f.default for f in dataclasses.fields(thing)}[field]
            assert default != value and type(default) is type(value), switch
        else:
            default = inspect.signature(thing).parameters[field].default
            assert default != value and type(default) is type(value), switch


@every_row
def test_both_sides_are_as_the_row_says(row):
    """A row without a case has no switch either, and says so."""
    assert row.cases or not row.switches and row.cells[6] == "none"
    for case, arguments, equal in calls(row):
        ours, other = (np.asarray(side, float) for side in case(*arguments))
        assert np.isfinite(ours).all() and np.isfinite(other).all()
        assert ours.shape == other.shape and ours.size
        scale = max(np.abs(ours).max(), np.abs(other).max())
        assert scale > 0, "two sides of nothing but zeros show nothing"
        gap = np.abs(ours - other).max() / scale
        assert gap <= EQUAL if equal else gap >= DIFFERENT, (case.__name__, gap)


@every_row
def test_it_is_the_switch_that_makes_the_difference(row):
    """With the field left as it is, a case of it gives the same twice."""
    for case, arguments, _ in calls(row):
        if arguments and isinstance(arguments[0], dict):
            ours, other = (np.asarray(side, float) for side in case({}))
            np.testing.assert_array_equal(ours, other)


def test_every_case_stands_in_a_row():
    used = {case for row in ROWS for case, _, _ in calls(row)}
    for module in CASES.values():
        cases = {f for _, f in inspect.getmembers(module, inspect.isfunction)
                 if f.__module__ == module.__name__ and list(inspect.signature(f).parameters) in ([], ["change"])}
        assert cases and cases <= used, [f.__name__ for f in cases - used]


def test_marks_and_rows_belong_together():
    """Every mark has its row; every row its mark, not in by_hand/ alone, but for those that no code decides."""
    assert set(marks()) <= {row.id for row in ROWS}
    assert {row.id for row in ROWS} - set(marks("by_hand")) == {row.id for row in ROWS if not row.cases}


def test_nothing_but_the_mark_follows_the_word():
    """A mark that the pattern does not read would be no mark: "# Deviation: D3", "# deviation D3", "(Deviation D3)"."""
    for path in ROOT.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"[Dd]eviations?\W+D\d", line):
                assert MARK.search(line), f"{path.name} line {number}: {line.strip()}"
