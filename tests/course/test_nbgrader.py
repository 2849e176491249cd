"""A class of three hands in the exercises on HMAR, and nbgrader's own commands grade them."""
import csv
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks.course.commands import SOURCES
from tests.course import answers_hmar, pages
from tests.optional import require
from tests.test_notebooks import CLONE

SET = "hmar"
STORED = f"""import re
from mbref.check import cases
from mbref.check.casefile import answers, arrays, part

{inspect.getsource(pages.stored)}
"""


def right(task, solution, test):
    """Another right answer."""
    return inspect.getsource(getattr(answers_hmar, task))


def half_right(task, solution, test):
    """Attention without its traps, an encoder not begun, else our answers."""
    if task == "my_encoder":
        return None
    old, new, _ = answers_hmar.WRONG[task][0]
    return solution.replace(old, new) if task == "my_attention" else solution


def hard_coded(task, solution, test):
    """What the files of the cases hold."""
    return f"{STORED}\n{task} = stored({test.splitlines()[0]!r})"


CLASS = {"ada": right, "bo": half_right, "cy": hard_coded}
DESERVED = {"ada": 75, "bo": 5 + 5 + 5 + 10 + 10, "cy": 0}


def hand_in(answer, page):
    """A student's copy with answers in its cells."""
    copy = pages.copy_of(SET)
    for cell in pages.code_cells(copy):
        name = pages.mark(cell)["grade_id"]
        if pages.mark(cell)["solution"]:
            task = pages.tasks(page)[name]
            cell["source"] = answer(name, task.solution, task.test) or cell["source"]
    return json.dumps(copy)


def call(folder, *arguments):
    """An nbgrader command in the folder of a course.  -> what it printed."""
    first = {"PYTHONPATH": str(CLONE), "PATH": str(Path(sys.executable).parent)}  # it calls alembic by its name
    env = {name: os.pathsep.join(filter(None, [path, os.environ.get(name)])) for name, path in first.items()}
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=folder, capture_output=True, text=True,
                          env=os.environ | env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of a course in which everything has been graded."""
    require("nbgrader")
    folder = tmp_path_factory.mktemp("course")
    (folder / "source" / SET).mkdir(parents=True)
    shutil.copy(SOURCES / "nbgrader_config.py", folder)
    shutil.copy(SOURCES / f"{SET}.ipynb", folder / "source" / SET)
    for student, answer in CLASS.items():
        (folder / "submitted" / student / SET).mkdir(parents=True)
        (folder / "submitted" / student / SET / f"{SET}.ipynb").write_text(hand_in(answer, pages.read(SET)))
    for command in ("generate_assignment", "autograde", "generate_feedback"):
        call(folder, command, SET)
    call(folder, "export", "--to", "grades.csv")
    return folder


def test_a_class_gets_the_marks_it_deserves(course):
    with open(course / "grades.csv", newline="") as file:
        marks = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    assert marks == {student: (points, 75) for student, points in DESERVED.items()}


def test_feedback_names_the_situation(course):
    pages_of = {student: (course / "feedback" / student / SET / f"{SET}.html").read_text() for student in CLASS}
    assert "several heads" in pages_of["bo"] and "your turn" in pages_of["bo"]
    assert "hmar.sequence_encoder: " in pages_of["ada"] and "cases fail" not in pages_of["ada"]


def test_nbgrader_releases_what_our_command_writes(course):
    released = json.loads((course / "release" / SET / f"{SET}.ipynb").read_text())
    ours = pages.copy_of(SET)
    assert [pages.source(cell) for cell in released["cells"]] == [pages.source(cell) for cell in ours["cells"]]
    locks = [[(cell["metadata"].get("editable"), cell["metadata"].get("deletable")) for cell in one["cells"]]
             for one in (released, ours)]
    assert locks[0] == locks[1]
