"""Who may call whom, and how large a room, a file and a function may be: read from the text of mbref/."""
import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from mbref.options import parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mbref"
FILES = sorted(PACKAGE.rglob("*.py"))
BESIDE = sorted(ROOT.glob("notebooks/course/*.py"))  # in the same style
TREES = {path: ast.parse(path.read_text()) for path in FILES}
# From the bottom to the top, each with the rooms below that it uses.
ROOMS = {
    "errors": (),
    "protocol": ("errors",),
    "metrics": ("errors",),
    "by_hand": (),
    "nn": ("errors",),
    "data": ("errors",),
    "worlds": ("data", "errors", "metrics"),
    "papers": ("data", "errors", "nn"),
    "variants": ("data", "errors", "nn", "papers"),
    "baselines": ("data", "errors", "nn", "papers"),
    "candidates": ("errors", "metrics", "nn"),
    "evaluation": ("data", "errors", "metrics"),
    "training": ("data", "errors", "evaluation"),
    "released": ("baselines", "data", "errors", "metrics", "nn", "papers"),
    "runs": ("baselines", "data", "errors", "papers", "protocol", "released", "training", "variants"),
    "check": ("candidates", "data", "errors", "metrics", "nn"),
    "bench": ("check", "data", "errors", "nn", "runs", "training"),
    "tables": ("candidates", "data", "errors", "evaluation", "metrics", "protocol", "runs", "training", "worlds"),
    "options": ("data", "errors"),
    "__main__": ("errors", "options"),
}
EXCEPTIONS = {  # (file, file or room that it uses, too)
    ("data.windows", "nn.masks"),
    ("evaluation", "baselines.counting"),        # what the newest events of a history are
    *(("training", f"nn.{name}") for name in ("lookup", "optim", "shards")),
    ("evaluation", "nn.device"), ("training", "nn.device"), ("runs", "nn.device"),
    ("__main__", "data.files"),                  # how many threads a run has, before NumPy is loaded
    ("__main__", "data.shipped"),                # where the clone is, whose notebooks have commands
    ("tables.kind", "baselines.counting"), ("tables.sessions", "nn.optim"),
    ("check.parity", "released"),
    # what the kit checks
    *((f"check.components.{name}", room) for name in ("atrank", "atrank_groups", "dmran", "hiersrec", "hmar",
                                                      "hmar_released") for room in ("papers", "variants", "released")),
}
HEAVY = ("torch", "jax", "pandas", "pyarrow", "cupy", "sklearn", "scipy", "distributed")  # imported in a function alone


def name_of(path):
    """mbref/data/log.py -> "data.log"; of a package its folder, of mbref itself ""."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports(tree):
    """Full names of what a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(tree):
    """Those of mbref, "data.log" for instance."""
    for name in imports(tree):
        if name.partition(".")[0] == "mbref":
            name = name.partition(".")[2]
            yield name if name in MODULES else name.rpartition(".")[0]


def room_of(module):
    return module.partition(".")[0]


def test_rooms_are_all_there_are():
    assert {room_of(name) for name in MODULES} - {""} == set(ROOMS)


def test_arrows_go_down():
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in below), room
    for module, other in EXCEPTIONS:
        assert order.index(room_of(other)) < order.index(room_of(module)), module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_who_calls_whom(path):
    module = name_of(path)
    for other in modules_of(TREES[path]):
        if (module, other) == ("", "nn.vjps"):  # what mbref.plain() is
            continue
        allowed = other == "" or room_of(other) in (room_of(module), *ROOMS.get(room_of(module), ()))
        assert allowed or {(module, other), (module, room_of(other))} & EXCEPTIONS, f"{module} imports {other}"


def test_every_exception_is_needed():
    used = {(name, part) for name, path in MODULES.items() for other in modules_of(TREES[path])
            for part in (other, room_of(other))}
    of_the_kit = {pair for pair in EXCEPTIONS if room_of(pair[0]) == "check"}
    assert EXCEPTIONS - of_the_kit <= used
    assert {module for module, _ in of_the_kit} == {module for module, _ in of_the_kit & used}


def test_by_hand_uses_autograds_numpy_alone():
    for path in (PACKAGE / "by_hand").glob("*.py"):
        outside = {name for name in imports(TREES[path]) if not name.startswith("mbref.by_hand.basics.")}
        assert outside <= {"autograd.numpy"}, path


def at_import(tree):
    """The nodes that run when a file is imported: all but the bodies of functions."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            nodes += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_are_imported_by_functions(path):
    for node in at_import(TREES[path]):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [
            node.module] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & {*HEAVY, "tests"}
    assert not any(name.partition(".")[0] == "tests" for name in imports(TREES[path]))


def test_commands_name_functions_that_there_are():
    """The tables are called by these texts alone, which __main__ follows."""
    prefixes = "mbref.", "notebooks."
    texts = [node.value for path in PACKAGE.rglob("options.py") for node in ast.walk(TREES[path])
             if isinstance(node, ast.Constant) and str(node.value).startswith(prefixes)]
    assert len(texts) == 14
    for text in texts:
        module, _, function = text.rpartition(".")
        assert callable(vars(import_module(module))[function])
    assert parser().parse_args(["cases"]).run in texts


# Models are asked through protocol.py.

ASKS = ("getattr", "hasattr", "vars", "isinstance", "type")
PROTOCOL_ONLY = ("training", "evaluation", "runs", "tables", "bench", "check", "candidates")


def questions(tree):
    """Texts of the expressions that look into a model, or into what kind of problem a table has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKS and node.args:
            if re.search(r"\b(model|problem|split)\b", ast.unparse(node.args[0])):
                yield ast.unparse(node)
        if isinstance(node, ast.Compare):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            same = any(isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)) for op in node.ops)
            if same and any(re.search(r"(^|\.)model(\.__name__)?$", side) for side in sides):
                yield ast.unparse(node)
            has = any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops)
            if has and isinstance(node.left, ast.Constant) and re.search(r"\bparams$", sides[-1]):
                yield ast.unparse(node)


@pytest.mark.parametrize("text", [
    "getattr(model, 'SETTINGS', {})", "hasattr(case.model, 'located')", "vars(model)", "x = model is hiersrec",
    "'b_i' in params", "'b' not in state.params", "isinstance(problem, Problem)", "KINDS[type(problem)]",
    "job.model == 'atrank'", "isinstance(split, GroupSplit)",
])
def test_questions_are_seen(text):
    assert len(list(questions(ast.parse(text)))) == 1


@pytest.mark.parametrize("text", ["getattr(options, name)", "x in params['names']", "name in known", "'a' in row",
                                  "model.score(params, batch)", "settings is None"])
def test_other_texts_are_none(text):
    assert not list(questions(ast.parse(text)))


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(PROTOCOL_ONLY)])
def test_models_are_asked_through_the_protocol(module):
    assert list(questions(TREES[MODULES[module]])) == []


# Sizes.

def test_the_root_of_the_package():
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert sum(path.is_file() for path in entries) <= 10 and sum(path.is_dir() for path in entries) <= 13


@pytest.mark.parametrize("path", [*FILES, *BESIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 30, f"{node.name} has {lines} lines"


def test_files_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name for name, count in lines.items() if count > 300} == set()


@pytest.mark.parametrize("path", [*FILES, *BESIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_short(path):
    assert [line for line in path.read_text().splitlines() if len(line) > 100] == []
