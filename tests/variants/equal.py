"""A paper's own form and its variants at their defaults do the same; a paper's file holds no more.

For any paper: `events` are what its `examples` takes, `cases` sequences of them to rank from.
tests/variants/test_atrank.py shows the use. `also` names further functions that a model has, of
(params, batch, config).
"""
import ast
import sys
from pathlib import Path
from types import CodeType

import numpy as np
from autograd import value_and_grad

import mbref
from mbref.nn import optim


def draw_params(model, config, rng, dtype=np.float64):
    """Parameters that lie away from their first zeros and ones, so that each of them matters."""
    def move(a):
        return (a + rng.normal(0, 0.3, a.shape)).astype(dtype)

    return optim.tree_map(move, model.init(rng, config))


def run_model(model, config, events, cases, seed, dtype=np.float64, also=()):
    """Train and rank with a model that is drawn from `seed`.  -> {what: array} of all it gives."""
    rng = np.random.default_rng(seed)
    params = draw_params(model, config, rng, dtype)
    got = {f"init/{name}": a for name, a in optim.leaves(params)}
    for task, rows in enumerate(model.examples(events, config, rng)):
        batch = model.training_batch(events, rng.permutation(rows)[:16], config, rng)
        got |= batch_arrays(batch, f"training/{task}")
        for drop in (None, rng):
            loss, gradients = value_and_grad(model.loss)(params, batch, config, drop)
            where = f"loss/{task}/{drop is not None}"
            got |= {where: loss} | dict(optim.leaves(gradients, where))
    batch = model.ranking_batch(events, cases, config)
    got |= batch_arrays(batch, "ranking")
    got["score_all"] = scores = model.score_all(params, batch, config)
    few = rng.integers(1, scores.shape[1] + 1, (len(cases), 3))
    got["score"] = model.score(params, batch, few, config)
    for name in also:
        got |= batch_arrays(getattr(model, name)(params, batch, config), name)
    return got


def batch_arrays(batch, path):
    """{path: array} of an array, or of all arrays in tuples within each other."""
    if batch is None or not isinstance(batch, tuple):
        return {path: batch}
    found = {}
    for n, part in enumerate(batch):
        found |= batch_arrays(part, f"{path}/{n}")
    return found


def assert_same(paper, variant, config, events, cases, seed=0, also=()):
    """The variant at its defaults equals the paper's form bit for bit, in float64 and float32.

    config: {field: value} of both Configs. Compared are the first parameters, batches, the loss
    and every gradient with and without dropout, scores of candidates and of all objects.
    """
    for dtype in (np.float64, np.float32):
        want = run_model(paper, paper.Config(**config), events, cases, seed, dtype, also)
        got = run_model(variant, variant.Config(**config), events, cases, seed, dtype, also)
        assert list(got) == list(want), set(got) ^ set(want)
        for name, a in want.items():
            np.testing.assert_array_equal(got[name], a, err_msg=name, strict=a is not None)
        moved = [name for name, a in want.items() if name.startswith("loss") and np.any(a != 0)]
        assert len(moved) > 10  # gradients that are not 0


def assert_all_statements_run(paper, config, events, cases, seed=0, also=()):
    """Training and full scoring with this Config run all statements and functions of the file.

    Excepted is Config.__post_init__, which is there to fill in fields and to refuse others.
    """
    @mbref.plain()  # in training, primitives of nn/ take the place of two functions' text
    def run():
        run_model(paper, paper.Config(**config), events, cases, seed, also=also)

    lines, codes = trace(paper, run)
    source = Path(paper.__file__).read_text().splitlines()
    idle = [f"{first}: {source[first - 1].strip()}" for first, last in statements(paper)
            if not lines & set(range(first, last + 1))]
    assert not idle, f"these statements of {paper.__name__} never run: {idle}"
    asleep = sorted(functions(paper) - codes)
    assert not asleep, f"these functions of {paper.__name__} are never called: {asleep}"


def trace(module, run):
    """Call run().  -> (numbers of the module's lines run, (name, line) of functions called)."""
    lines, codes = set(), set()

    def step(frame, event, argument):
        lines.add(frame.f_lineno)
        return step

    def enter(frame, event, argument):
        if frame.f_code.co_filename != module.__file__:
            return None
        codes.add((frame.f_code.co_name, frame.f_code.co_firstlineno))
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run()
    finally:
        sys.settrace(before)
    return lines, codes


def statements(module):
    """(first line, last line) of all statements in functions; of loops and branches the head."""
    found = []
    for function in ast.walk(without_post_init(module)):
        if not isinstance(function, ast.FunctionDef):
            continue
        body = function.body[ast.get_docstring(function) is not None :]
        for node in ast.walk(ast.Module(body, [])):
            if isinstance(node, ast.stmt):
                inside = getattr(node, "body", None)
                last = max(node.lineno, inside[0].lineno - 1) if inside else node.end_lineno
                found.append((node.lineno, last))
    return found


def functions(module):
    """(name, line) of every function, lambda and generator of the file."""
    tree = without_post_init(module)
    classes = {part.name for part in tree.body if isinstance(part, ast.ClassDef)}
    every = code_objects(compile(tree, module.__file__, "exec"))
    return {(code.co_name, code.co_firstlineno) for code in every if code.co_name not in classes}


def code_objects(code):
    """The code objects within a code object, at any depth."""
    inside = [part for part in code.co_consts if isinstance(part, CodeType)]
    return inside + [deeper for part in inside for deeper in code_objects(part)]


def without_post_init(module):
    """The syntax tree of the module's file, its classes without __post_init__."""
    tree = ast.parse(Path(module.__file__).read_text())
    for part in tree.body:
        if isinstance(part, ast.ClassDef):
            part.body = [s for s in part.body if getattr(s, "name", "") != "__post_init__"]
    return tree
