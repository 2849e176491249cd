"""Without the libraries of tests/requirements.txt each test that needs one is skipped alone."""
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.optional import count_skips, require

HERE = Path(__file__).parent
EXTRAS = ("cupy", "distributed", "hypothesis", "jax", "jaxlib", "scipy", "sklearn", "torch")
# imported within functions
ALL_TORCH = ("released_atrank_torch", "sasrec_torch", "torch_losses")
SKIPPING = ("find_logs", "importorskip", "require")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def find_nodes(node):
    """The parts of a file that run when it is imported: all but the bodies of functions."""
    yield node
    function = isinstance(node, FUNCTIONS)
    parts = getattr(node, "decorator_list", []) if function else ast.iter_child_nodes(node)
    for part in parts:
        yield from find_nodes(part)


def find_names(source):
    """Packages that this source imports at its top, and functions that it calls there."""
    for node in find_nodes(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (part for name in names for part in name.name.split("."))
            case ast.ImportFrom(module=str(module), names=names):
                yield from module.split(".")  # autograd.scipy is SciPy, too
                yield from (name.name for name in names if name.name in ALL_TORCH)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name


def find_needs(source):
    """What at the top of this source fails, or skips the whole file, where something is missing."""
    return sorted(set(find_names(source)) & {*EXTRAS, *ALL_TORCH, *SKIPPING})


def test_no_test_file_needs_an_optional_library_at_its_top():
    files = [path for path in HERE.rglob("*.py")
             if path.parent.name != "crosscheck" and path.stem not in ("optional", *ALL_TORCH)]
    needs = {path.name: find_needs(path.read_text()) for path in files}
    assert len(needs) > 60 and {name: found for name, found in needs.items() if found} == {}


@pytest.mark.parametrize("source, needs", [
    ("import numpy, torch.nn as nn", ["torch"]),
    ("from scipy.special import expit", ["scipy"]),
    ("from autograd.scipy.special import logsumexp", ["scipy"]),
    ("import autograd.scipy.special", ["scipy"]),
    ("import pytest\nx = pytest.importorskip('jax')", ["importorskip"]),
    ("from tests import torch_losses", ["torch_losses"]),
    ("from tests.baselines.sasrec_torch import SASRec", ["sasrec_torch"]),
    ("try:\n    import hypothesis\nexcept ImportError:\n    pass", ["hypothesis"]),
    ("class A:\n    import sklearn", ["sklearn"]),
    ("@mark(require('jax'))\ndef test(): pass", ["require"]),
    ("from tests.optional import require", []),
    ("def test():\n    import torch", []),
    ("f = lambda: require('jax')", []),
])
def test_needs_of_a_source(source, needs):
    assert find_needs(source) == needs


def test_skips_are_counted_by_reason():
    reports = [SimpleNamespace(longrepr=longrepr) for longrepr in (
        ("a.py", 9, "Skipped: needs scipy"), ("a.py", 1, "Skipped: no GPU"), "no tuple",
        ("b.py", 2, "Skipped: no GPU"))]
    assert count_skips(reports) == [
        "2 skipped: no GPU", "1 skipped: needs scipy", "1 skipped: no tuple"]
    assert count_skips([]) == []


def test_a_library_that_is_there_but_broken_is_no_reason_to_skip():
    assert require("email.message").__name__ == "email.message"
    either = (ModuleNotFoundError, pytest.skip.Exception)
    with pytest.raises(either, match="No module named 'email.nothing'"):
        require("email.nothing")


TESTS = """
import pytest
from tests.optional import find_logs, given, library, require, settings, st

torch = library("torch")
VALUES = st.lists(st.integers(1, 3) | st.none(), min_size=1).map(len)

def test_by_hand():
    assert 1 + 1 == 2

@pytest.mark.parametrize("x", [1.0, 2.0])
def test_library(x):
    assert torch.tensor(x).item() == x

def test_part():
    assert require("scipy.special").expit(0) == 0.5

@settings(max_examples=3)
@given(VALUES)
def test_property(value):
    assert value >= 1

def test_logs():
    find_logs("nowhere/log.csv")
"""
WITHOUT = """
import sys
from types import SimpleNamespace

import pytest

def find_spec(name, path=None, target=None):
    if name in {missing}:
        raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, SimpleNamespace(find_spec=find_spec))
sys.exit(pytest.main(["-q"]))
"""


def run_pytest(folder, missing):
    """Lines that pytest ends with, for TESTS, where these packages cannot be imported."""
    (folder / "tests").mkdir()
    for name in ("__init__.py", "optional.py", "conftest.py"):
        shutil.copy(HERE / name, folder / "tests")
    (folder / "tests" / "test_it.py").write_text(TESTS)
    code = WITHOUT.format(missing=missing)
    alone = {**os.environ, "PYTHONPATH": str(HERE.parent),  # for mbref
             "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # hypothesis's would find it
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=alone, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()


def test_without_the_libraries_each_test_that_needs_one_is_skipped_alone(tmp_path):
    *_, first, second, third, fourth, last = run_pytest(tmp_path, list(EXTRAS))
    mend = "pip install -r tests/requirements.txt"
    assert first == f"2 skipped: needs torch: {mend}"
    assert second == f"1 skipped: needs scipy: {mend}"
    assert third == f"1 skipped: needs hypothesis: {mend}"
    assert "1 skipped: needs real logs, which are not shipped: nowhere/log.csv in " in fourth
    assert last.startswith("1 passed, 5 skipped in ")


def test_with_the_libraries_they_run(tmp_path):
    for name in ("torch", "scipy", "hypothesis"):
        require(name)
    *_, only, last = run_pytest(tmp_path, [])
    assert only.startswith("1 skipped: needs real logs")
    assert last.startswith("5 passed, 1 skipped in ")
