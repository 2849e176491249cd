"""python -m mbref exercises: students' copies of the exercises, which are the teacher's.

A teacher's notebook is in nbgrader's markup, and holds solutions and hidden tests between marks. A
copy is what `nbgrader generate_assignment` makes of it, but for the checksums.
"""
import json
import re
from pathlib import Path

from mbref.data.files import read_json, write_folder
from mbref.errors import InputError, require

SOURCES = Path(__file__).parents[1] / "exercises"
STUB = 'raise NotImplementedError("your turn: the text above says what to return")'
PLACE = ("They need mbref: run `pip install -e .` in the clone, or keep them in a folder of its "
         "notebooks/.")
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.M | re.S)
HIDDEN = re.compile(r"\n### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS$", re.M | re.S)


def run_exercises(options):
    """`exercises`: write the copies, all or, where one cannot be written over, none."""
    folder = Path(options.student)
    require(folder.is_dir() or not folder.exists(), f"{folder} is a file: give a folder.")
    copies = {path.name: make_copy(path) for path in find_sources(options.only)}
    print(*write_folder(folder, copies), PLACE, sep="\n")


def find_sources(only):
    """The teacher's notebooks of these names, all without a name.  -> list of Path."""
    found = {path.stem: path for path in sorted(SOURCES.glob("*.ipynb"))}
    for name in only:
        require(name in found, f"--only {name}: choose from {', '.join(found)}.")
    return [found[name] for name in dict.fromkeys(only or found)]


def make_copy(path):
    """The student's copy of a teacher's notebook.  -> bytes.

    Raises InputError if the notebook cannot be read, or a mark lacks its other half.
    """
    try:
        notebook = read_json(path)
        cells = [strip(cell) for cell in notebook["cells"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path} is no notebook: bring it back by git checkout {path}.") from error
    text = json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"
    require(not re.search("### (BEGIN|END) ", text),
            f"{path} has a mark without its other half: every ### BEGIN needs its ### END.")
    return text.encode()


def strip(cell):
    """A cell without what is the teacher's; where it is marked, it keeps its place and its lock."""
    source = SOLUTION.sub(rf"\1{STUB}", HIDDEN.sub("", "".join(cell["source"])))
    cell = cell | {"source": source.splitlines(keepends=True)}
    mark = cell["metadata"].get("nbgrader")
    if mark:
        lock = {"deletable": False} | ({"editable": False} if mark["locked"] else {})
        cell |= {"metadata": cell["metadata"] | lock}
    return cell | {"outputs": [], "execution_count": None} if "outputs" in cell else cell
