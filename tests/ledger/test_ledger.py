"""The ledger says what the code does: switches act, and marks and rows belong together."""
import ast
import dataclasses
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).parents[2] / "mbref"
LEDGER = ROOT / "released" / "LEDGER.md"
COLUMNS = ["id", "topic", "paper says", "release does", "mbref's default", "switch", "case"]
NUMBERS = {"ATRank": 14, "DMRAN": 22, "HierSRec": 20, "HMAR": 26}
NAMED = rf"(?:(?:{'|'.join(NUMBERS)}) )?D\d+"
MARK = re.compile(rf"# Deviation ({NAMED}(?:, {NAMED})*)(: \S.*)?$", re.MULTILINE)
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
    return [read_row(cells) for cells in table[2:]]


def read_row(cells):
    switches = re.findall("`([^`]+)`", cells[5])
    assert switches, cells
    cases = [(name, bool(equal)) for equal, name in re.findall(r"(equal: )?`(\w+)`", cells[6])]
    return Row(cells[0], [] if switches[0].startswith("none: ") else switches, cases, cells)


ROWS = rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
every_paper = pytest.mark.parametrize("paper", NUMBERS)


def find_target(switch):
    """"module:Object.field=value" -> (object, field, value).

    "module:function" -> (function, None, None).
    """
    module, _, rest = switch.partition(":")
    path, _, value = rest.partition("=")
    name, _, field = path.partition(".")
    return getattr(import_module(module), name), field or None, ast.literal_eval(value or "None")


def find_change(switch):
    """What a case takes: the fields that the switch sets, or the function that it names."""
    thing, field, value = find_target(switch)
    return {field: value} if field else thing


def cases_of(paper):
    """The module that has the paper's cases."""
    return import_module(f"tests.ledger.ledger_cases_{paper.lower()}")


def find_case(row, name):
    return getattr(cases_of(row.id.split()[0]), name)


def calls(row):
    """[(case, its arguments, whether both sides are equal)].

    One case goes for all switches of the row; several go with one switch each.
    """
    if not row.switches:
        return [(find_case(row, name), (), equal) for name, equal in row.cases]
    cases = row.cases * len(row.switches) if len(row.cases) == 1 else row.cases
    return [(find_case(row, name), (find_change(switch),), equal)
            for (name, equal), switch in zip(cases, row.switches, strict=True)]


def paper_of(path):
    """The paper of papers/hmar.py, by its name, and of released/hmar/data.py, by its folder."""
    papers = {paper.lower(): paper for paper in NUMBERS}
    return papers.get(path.stem, papers.get(path.parent.name))


def name_rows(mark, paper):
    """The rows of one mark: "HMAR D18, D19" -> HMAR D18, HMAR D19; `paper` is that of the file."""
    for part in mark[1].split(", "):
        named, _, number = part.rpartition(" ")
        paper = named or paper
        assert paper, f"{mark[0]} is in a file of no paper: write, say, # Deviation HMAR {number}"
        yield f"{paper} {number}"


def marks(leave_out=""):
    """{"HMAR D9": files} of all marks in mbref/ but for one folder."""
    found = {}
    for path in ROOT.rglob("*.py"):
        if path.parent.name != leave_out:
            for mark in MARK.finditer(path.read_text()):
                for row in name_rows(mark, paper_of(path)):
                    found.setdefault(row, []).append(path.name)
    return found


def test_the_rows_are_those_of_the_papers():
    ids = [f"{paper} D{n}" for paper, last in NUMBERS.items() for n in range(1, last + 1)]
    assert [row.id for row in ROWS] == ids


@every_row
def test_every_cell_says_something(row):
    assert all(row.cells)
    assert ("no code" == row.cells[3]) == (row.id.split()[0] in ("DMRAN", "HierSRec"))


@every_row
def test_no_switch_is_in_papers(row):
    """A file of papers/ has no other reading of its paper; what it has, variants/ has, too."""
    assert not [switch for switch in row.switches if switch.startswith("mbref.papers")]


@every_row
def test_each_switch_exists_and_is_not_the_default(row):
    for switch in row.switches:
        thing, field, value = find_target(switch)
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


@every_paper
def test_every_case_stands_in_a_row(paper):
    used = {case for row in ROWS if row.id.startswith(f"{paper} ") for case, _, _ in calls(row)}
    cases = {f for _, f in inspect.getmembers(cases_of(paper), inspect.isfunction)
             if f.__module__ == cases_of(paper).__name__
             and list(inspect.signature(f).parameters) in ([], ["change"])}
    assert cases and cases <= used, [f.__name__ for f in cases - used]


def test_every_mark_has_its_row():
    assert set(marks()) <= {row.id for row in ROWS}


@every_paper
def test_every_row_has_its_mark(paper):
    """Not in by_hand/ alone; but for the rows that no code decides."""
    own = [row for row in ROWS if row.id.startswith(f"{paper} ")]
    silent = {row.id for row in own} - set(marks(leave_out="by_hand"))
    assert silent == {row.id for row in own if not row.cases}


def lines_on_deviations(paper):
    """(file, number, line) wherever a file of the paper, or of none (None), speaks of a deviation.

    "Deviation D3" in quotation marks only explains what a mark is.
    """
    for path in ROOT.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = re.sub('"Deviation [^"]*"', "", line)
            if paper_of(path) == paper and re.search(r"[Dd]eviations?\W+([A-Za-z]+ )?D\d", words):
                yield path.relative_to(ROOT), number, line


@pytest.mark.parametrize("paper", [None, *NUMBERS])
def test_every_line_that_names_a_deviation_has_a_mark_with_words(paper):
    """What the pattern does not read is no mark: "# Deviation: D3", "# deviation D3", "D3-D6".

    A mark says in a few words what deviates: "# Deviation D3: no residual here".
    """
    silent = []
    for path, number, line in lines_on_deviations(paper):
        mark = MARK.search(line)
        silent += [] if mark and mark[2] else [f"{path} line {number}: {line.strip()}"]
    assert not silent, "\n".join(silent)
