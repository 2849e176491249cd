"""Exercises: the solved pages pass, wrong answers are told why, students' copies hold nothing that is the teacher's."""
import ast
import json
import re
from types import SimpleNamespace

import pytest

from mbref.data import shipped
from mbref.errors import InputError
from notebooks.course import commands
from tests.course.pages import ANSWERS, body, code_cells, copy_of, mark, numbers, read, setup, source, stored, tasks
from tests.test_cli import call
from tests.test_notebooks import ABSOLUTE, CLONE, defined

OTHERS = [(name, task) for name, module in ANSWERS.items() for task in module.WRONG]
WRONG = [(name, task, *change) for name, module in ANSWERS.items()
         for task, changes in module.WRONG.items() for change in changes]


@pytest.fixture(scope="module")
def pages():
    return {name: read(name) for name in ANSWERS}


@pytest.fixture(scope="module")
def solved(pages):
    """{set: names after its page has run}, of pages that pass."""
    return {name: run_solutions(page) for name, page in pages.items()}


def run_solutions(page):
    names = setup(page)
    for task in tasks(page).values():
        exec(task.solution, names)
    return names


@pytest.fixture(params=ANSWERS)
def name(request):
    return request.param


@pytest.fixture
def page(pages, name):
    return pages[name]


# The solved pages as a whole are run by nbval, as every notebook.

def test_every_page_has_its_answers():
    assert sorted(path.stem for path in commands.SOURCES.glob("*.ipynb")) == sorted(ANSWERS)


def test_tasks_and_answers_belong_together(name, page):
    assert list(ANSWERS[name].WRONG) == list(tasks(page)) and 5 <= len(tasks(page)) <= 8
    assert all(len(changes) >= 3 and hasattr(ANSWERS[name], task) for task, changes in ANSWERS[name].WRONG.items())


@pytest.mark.parametrize("name, task", OTHERS)
def test_another_right_answer_passes(pages, solved, name, task):
    exec(tasks(pages[name])[task].test, solved[name] | {task: getattr(ANSWERS[name], task)})


@pytest.mark.parametrize("name, task, old, new, situation", WRONG)
def test_a_wrong_answer_is_told_the_situation(pages, solved, name, task, old, new, situation):
    one, names = tasks(pages[name])[task], dict(solved[name])
    assert one.solution.count(old) == 1
    exec(one.solution.replace(old, new), names)
    with pytest.raises(AssertionError) as failure:
        exec(one.test, names)
    assert situation in str(failure.value)


@pytest.mark.parametrize("task, changed", [
    ("my_input", 0), ("my_input", 2), ("my_attention", 1), ("my_attention", 3), ("my_encoder", 0), ("my_loss", 1)])
def test_a_trap_that_the_text_names_is_checked_in_the_copy(solved, task, changed):
    """Of HMAR's page: places, padding, large scores, an empty row, what is under a root, no negative."""
    (old, new, situation), names = ANSWERS["hmar"].WRONG[task][changed], dict(solved["hmar"])
    exec(tasks(read("hmar"))[task].solution.replace(old, new), names)
    with pytest.raises(AssertionError, match=situation):
        exec(tasks(copy_of("hmar"))[task].test, names)


@pytest.mark.parametrize("name, task", OTHERS)
def test_stored_outputs_of_all_cases_earn_nothing(pages, solved, name, task):
    """They pass what a student sees, but no gradient or example by hand."""
    names = solved[name] | {task: stored(tasks(pages[name])[task].test)}
    exec(tasks(copy_of(name))[task].test, names)
    with pytest.raises((AssertionError, TypeError, IndexError, KeyError)):
        exec(tasks(pages[name])[task].test, names)


# What a page is.

def test_points_and_minutes_are_said(page):
    headings = [re.match(r"## (\d)\. .+ · (\d+) points, \d+ minutes\n", source(cell))
                for cell in page["cells"] if cell["cell_type"] == "markdown"][1:]
    said = [(int(found[1]), int(found[2])) for found in headings]
    points = [task.points for task in tasks(page).values()]
    assert said == list(enumerate(points, 1))
    assert f"{sum(points)} points" in source(page["cells"][0])


def test_the_teachers_page_counts_right(pages):
    points = [task.points for page in pages.values() for task in tasks(page).values()]
    said = f"Five sets, {len(points)} tasks, {sum(points)} points"
    assert len(pages) == 5 and said in (commands.SOURCES / "README.md").read_text(encoding="utf-8")


def test_every_code_cell_is_marked_for_nbgrader(page):
    marks = [mark(cell) for cell in code_cells(page)]
    assert len({one["grade_id"] for one in marks}) == len(marks)
    assert all(one["solution"] != one["locked"] and one["schema_version"] == 3 for one in marks)


def test_every_task_has_hidden_tests_by_the_kit_and_by_hand(page):
    for task in tasks(page).values():
        hidden = task.test.partition("### BEGIN HIDDEN TESTS\n")[2]
        assert "assert " in hidden and numbers(hidden)


def test_cells_fit_a_page_and_define_nothing_of_mbref(page):
    texts = [source(cell) for cell in code_cells(page)]
    assert [line for text in texts for line in text.splitlines() if len(line) > 90] == []
    assert not any(ABSOLUTE.search(source(cell)) for cell in page["cells"])
    ours = {one for file in (CLONE / "mbref").rglob("*.py")
            for one in defined(ast.parse(file.read_text(encoding="utf-8")), anywhere=False)}
    assert ours & {one for text in texts for one in defined(ast.parse(text))} == set()


# Students' copies.

def test_a_copy_holds_no_solution_no_hidden_test_and_no_expected_array(name, page):
    copy = copy_of(name)
    everything = json.dumps(copy)
    lines = {line for task in tasks(page).values() for line in body(task.solution)}
    assert lines and not any(json.dumps(line)[1:-1] in everything for line in lines)
    assert "### " not in everything and "assert" not in everything
    for task in tasks(copy).values():
        assert all(line.startswith("check(") for line in task.test.splitlines()) and not numbers(task.test)


def test_a_copy_has_the_same_cells_and_its_tests_are_locked(name, page):
    copy = copy_of(name)
    assert [mark(cell) for cell in copy["cells"]] == [mark(cell) for cell in page["cells"]]
    for cell in code_cells(copy):
        assert cell["metadata"].get("editable", True) == mark(cell)["solution"] and cell["outputs"] == []


def test_what_a_page_printed_is_not_copied():
    cell = {"cell_type": "code", "metadata": {}, "source": ["1"], "outputs": [{"text": "the answer"}], "execution_count": 7}
    assert commands.strip(cell) == cell | {"outputs": [], "execution_count": None}


def test_an_unsolved_copy_stops_with_a_sentence(name):
    names = {}
    for cell in code_cells(copy_of(name)):
        if mark(cell)["grade"]:
            with pytest.raises(AssertionError, match="NotImplementedError: your turn"):
                exec(source(cell), names)
        else:
            exec(source(cell), names)


# The command.

def run(folder, *only):
    commands.run_exercises(SimpleNamespace(student=str(folder), only=list(only)))


def test_copies_are_written_again_only_over_themselves(tmp_path, capsys):
    run(tmp_path / "a" / "b", "hmar")
    run(tmp_path / "a" / "b")
    written = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert written == [f"{name}.ipynb" for name in sorted(ANSWERS)]
    assert (tmp_path / "a/b/hmar.ipynb").read_bytes() == commands.make_copy(commands.SOURCES / "hmar.ipynb")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == str(tmp_path / "a" / "b" / "hmar.ipynb") and "`pip install -e .`" in said[1]
    assert len(said) == len(ANSWERS) + 3


def test_a_students_work_is_never_written_over(tmp_path):
    (tmp_path / "hmar.ipynb").write_text("an hour of work")
    with pytest.raises(InputError, match="hmar.ipynb: there already with other content, so perhaps somebody's work"):
        run(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an hour of work"]


def test_faults_are_told_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file: give a folder"):
        run(tmp_path / "file")
    with pytest.raises(InputError, match="cannot write to"):
        run(tmp_path / "file" / "below")
    with pytest.raises(InputError, match="--only hmr: choose from .*hmar"):
        run(tmp_path / "new", "hmr")
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    assert "does not bring: run it in a clone" in call("exercises", "--student", tmp_path / "new")[2]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", [
    "### BEGIN SOLUTION\n1", "1\n### END SOLUTION", "x\n### BEGIN HIDDEN TESTS\n1", "x\n  ### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS",
])
def test_a_mark_without_its_other_half_gives_no_copy(tmp_path, monkeypatch, text):
    cell = {"cell_type": "code", "metadata": {}, "source": [text], "outputs": [], "execution_count": None}
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": [cell]}))
    monkeypatch.setattr(commands, "SOURCES", tmp_path)
    with pytest.raises(InputError, match="a mark without its other half"):
        run(tmp_path / "new")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [1]}'])
def test_a_page_that_is_damaged_gives_a_sentence(tmp_path, monkeypatch, text):
    (tmp_path / "one.ipynb").write_text(text)
    monkeypatch.setattr(commands, "SOURCES", tmp_path)
    with pytest.raises(InputError, match="is no notebook: bring it back by git checkout"):
        run(tmp_path / "new")
