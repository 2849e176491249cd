"""The exercises as a teacher has them, and what answers are worth: run in this process, without a kernel."""
import ast
import json
import re
from typing import NamedTuple

import numpy as np

from mbref.check import cases
from mbref.check.casefile import answers, arrays, part
from notebooks.course.commands import SOURCES, make_copy
from tests.course import answers_atrank, answers_dmran, answers_evaluation, answers_hiersrec, answers_hmar

ANSWERS = {"atrank": answers_atrank, "dmran": answers_dmran, "evaluation": answers_evaluation,
           "hiersrec": answers_hiersrec, "hmar": answers_hmar}  # set -> right and wrong answers


class Task(NamedTuple):
    """A function to write, named as it is."""

    solution: str   # source of the solved cell
    test: str       # of the cell that grades it
    points: int


def read(name):
    return json.loads((SOURCES / f"{name}.ipynb").read_text(encoding="utf-8"))


def copy_of(name):
    """The student's copy."""
    return json.loads(make_copy(SOURCES / f"{name}.ipynb"))


def source(cell):
    return "".join(cell["source"])


def mark(cell):
    """nbgrader's metadata of a cell."""
    return cell["metadata"].get("nbgrader", {})


def code_cells(page):
    return [cell for cell in page["cells"] if cell["cell_type"] == "code"]


def tasks(page):
    """{name of the function: Task} in the order of a page."""
    cells = {mark(cell)["grade_id"]: cell for cell in code_cells(page)}
    return {name: Task(source(cell), source(cells[f"{name}_test"]), mark(cells[f"{name}_test"])["points"])
            for name, cell in cells.items() if mark(cell)["solution"]}


def setup(page):
    """The names that a page starts with, after its first cell."""
    names = {}
    exec(source(code_cells(page)[0]), names)
    return names


def body(text):
    """What a solution adds to its stub, line by line, without comments."""
    inner = text.partition("### BEGIN SOLUTION\n")[2].partition("    ### END SOLUTION")[0]
    return [line.strip() for line in inner.splitlines() if line.strip()]


def numbers(text):
    """The numbers and arrays that a cell names, other than in calls of check."""
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)
            and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)]


def stored(test):
    """An answer that returns what the files of the cases hold, of the components that a cell checks."""
    known = [arrays(case) for name in set(re.findall(r'check\("(.+?)"', test)) for case in cases(f"{name}/", form="paper")]

    def answer(params, inputs=None, tap=None, *more):
        for everything in known if isinstance(inputs, dict) else []:
            given = part(everything, "inputs")
            if all(name in inputs and np.array_equal(np.asarray(inputs[name]), a) for name, a in given.items()):
                return part(answers(everything), "outputs")
        return np.zeros(1)

    return answer
