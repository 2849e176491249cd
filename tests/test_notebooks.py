"""Every notebook is committed as one clean run, small, without code that belongs in mbref; nbval compares outputs."""
import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

CLONE = Path(__file__).parents[1]
COURSE = sorted((CLONE / "notebooks").glob("*.ipynb"))
NOTEBOOKS = [*COURSE, *sorted((CLONE / "notebooks" / "exercises").glob("*.ipynb"))]  # these solved
ABSOLUTE = re.compile(r"(?<![\w.~:/-])/(?:home|root|work|tmp|usr|opt|mnt|srv|var|private|Users|content|workspace)\b"
                      r"|\b[A-Za-z]:\\")
PNG_OR_TEXT = {"text/plain", "image/png"}
LECTURES = [path for path in NOTEBOOKS if path.stem[:2] in ("00", "01", "02", "03", "04", "05", "10", "11")]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def joined(text):
    """nbformat stores text as one string or as a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def trees(notebook):
    return [ast.parse(joined(cell["source"])) for cell in code_cells(notebook)]


def defined(tree, anywhere=True):
    """Names of functions and classes that are defined in a module or a cell."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in (ast.walk(tree) if anywhere else tree.body) if isinstance(node, kinds)}


def count_lines(cell):
    """Lines of a cell that are neither empty nor of an import or a text over several lines."""
    skipped = set()
    for node in ast.walk(ast.parse(cell)):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno > node.lineno
        if text or isinstance(node, (ast.Import, ast.ImportFrom)):
            skipped |= set(range(node.lineno, node.end_lineno + 1))
    return sum(bool(line.strip()) for number, line in enumerate(cell.splitlines(), 1) if number not in skipped)


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_every_cell_ran_once_in_order(notebook):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(o.get("execution_count", n) == n for cell, n in zip(code_cells(notebook), counts, strict=True)
               for o in cell["outputs"])


def test_no_errors_no_warnings(notebook):
    assert [joined(o.get("text", o.get("evalue", ""))) for o in outputs(notebook)
            if o["output_type"] == "error" or o.get("name") == "stderr"] == []


def test_figures_are_png(notebook):
    assert {kind for o in outputs(notebook) for kind in o.get("data", {})} <= PNG_OR_TEXT


def test_every_figure_has_an_alternative_text(path, notebook):
    """A sentence in the metadata of its cell, where nbconvert and `mbref site` look for it."""
    texts = [cell["metadata"].get("alt", "") for cell in code_cells(notebook)
             if any("image/png" in o.get("data", {}) for o in cell["outputs"])]
    assert [text for text in texts if not re.fullmatch(r"[A-Z].{20,}\.", text, re.S)] == []
    assert len(texts) == len(set(texts))


def test_small(path):
    assert path.stat().st_size <= 300_000


def test_no_absolute_paths(notebook):
    texts = [joined(cell["source"]) for cell in notebook["cells"]]
    texts += [joined(o.get("text", "")) for o in outputs(notebook)]
    texts += [joined(o.get("data", {}).get("text/plain", "")) for o in outputs(notebook)]
    assert [found.group() for text in texts for found in ABSOLUTE.finditer(text)] == []


def test_first_cell_is_the_only_title(notebook):
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert joined(notebook["cells"][0]["source"]).startswith("# ")
    titles = [line for cell in notebook["cells"] if cell["cell_type"] == "markdown"
              for line in joined(cell["source"]).splitlines() if line.startswith("# ")]
    assert len(titles) == 1


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_versions_come_first_and_are_not_compared(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "nbval-ignore-output" in code_cells(notebook)[0]["metadata"]["tags"]
    assert not any("nbval-ignore-output" in cell["metadata"].get("tags", []) for cell in code_cells(notebook)[1:])
    assert "nbval" not in "".join(joined(cell["source"]).lower() for cell in code_cells(notebook))


def test_kernel(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_imports_mbref_and_defines_nothing_of_it(notebook):
    imported = {name for tree in trees(notebook) for node in ast.walk(tree)
                for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                             [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])}
    assert any(name.split(".")[0] == "mbref" for name in imported)
    ours = {name for file in (CLONE / "mbref").rglob("*.py")
            for name in defined(ast.parse(file.read_text(encoding="utf-8")), anywhere=False)}
    assert ours & {name for tree in trees(notebook) for name in defined(tree)} == set()


@pytest.mark.parametrize("cell, code", [("print('fine')", 0), ("import warnings\nwarnings.warn('so old')\nprint('fine')", 1)])
def test_a_notebook_that_warns_fails(tmp_path, cell, code):
    output = {"output_type": "stream", "name": "stdout", "text": "fine\n"}
    page = {"cells": [{"cell_type": "code", "metadata": {}, "source": cell, "execution_count": 1, "outputs": [output]}],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
            "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "one.ipynb").write_text(json.dumps(page))
    shutil.copy(CLONE / "notebooks" / "conftest.py", tmp_path)
    command = sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "one.ipynb"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code and ("UserWarning" in done.stdout) == bool(code), done.stdout


@pytest.mark.parametrize("text, is_path", [
    ("read /home/ana/log.csv", True), ("'/tmp/x'", True), ("C:\\Users\\ana", True), ("(/opt/main)", True),
    ("../tiny_data/x.csv", False), ("mbref/worlds/shop.py", False), ("https://arxiv.org/home/1", False),
    ("a/home/b", False), (r"$1/147$", False),
])
def test_what_counts_as_an_absolute_path(text, is_path):
    assert bool(ABSOLUTE.search(text)) == is_path


# Lectures, and what they share.

@pytest.fixture
def beside(monkeypatch):
    """Modules that lie beside the notebooks can be imported."""
    monkeypatch.setattr(sys, "path", [str(CLONE / "notebooks"), *sys.path])


@pytest.fixture
def demo(beside):
    import demo
    return demo


@pytest.fixture
def traps(beside):
    import traps
    return traps


@pytest.fixture(params=LECTURES, ids=lambda path: path.stem)
def lecture(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_a_lecture_has_cells_to_solve_which_are_not_solved(lecture):
    turns = [cell for cell in code_cells(lecture) if "NotImplementedError" in joined(cell["source"])]
    assert 3 <= len(turns) <= 5
    for cell in turns:
        said, = cell["outputs"]
        assert re.fullmatch(r"[a-z_.]+: your turn: .+\n", joined(said["text"]))
    names = {name for cell in turns for name in defined(ast.parse(joined(cell["source"])))}
    others = [joined(cell["source"]) for cell in code_cells(lecture) if cell not in turns]
    assert not any(name in source for name in names for source in others)  # which go on without


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_cells_fit_a_page_and_a_head(path):
    """At most 8 lines, which imports and texts are not among, and of a page half at most 6; the first sets up."""
    cells = [joined(cell["source"]) for cell in code_cells(json.loads(path.read_text(encoding="utf-8")))]
    assert [line for cell in cells for line in cell.splitlines() if len(line) > 90] == []
    sizes = [count_lines(cell) for cell in cells[1:]]
    assert max(sizes) <= 8 and np.median(sizes) <= 6


@pytest.mark.parametrize("cell, lines", [
    ("import a\nfrom b import (\n    c)\n\nx = 1\n# why\ny = x", 3), ('text = """a\nb\nc"""\nprint(text)', 1),
    ('def f():\n    """Says."""\n    return 1', 3)])
def test_which_lines_count(cell, lines):
    assert count_lines(cell) == lines


def test_what_is_printed_fits_a_page(path, notebook):
    """100 columns are what a page of the site has, and a source line of mbref/ at most."""
    printed = [joined(o.get("text", "")).splitlines() for o in outputs(notebook)]
    assert [line for lines in printed for line in lines if len(line) > 100] == []


def test_a_lecture_says_first_what_it_is_for(lecture):
    first = joined(lecture["cells"][0]["source"])
    heads = "After this you can", "You need", "Time:", "Contents:"
    assert all(f"**{head}" in first for head in heads)


@pytest.mark.parametrize("mask, said", [
    (lambda same, T: same & np.tri(T, dtype=bool), r"hmar.behaviour_mask: \d+ cases pass\n"),
    (lambda same, T: same, r"hmar.behaviour_mask: (\d+) of \1 cases fail\n"),
])
def test_an_answer_is_judged_and_the_page_goes_on(demo, capsys, mask, said):
    def answer(behaviour):
        same = (behaviour[:, :, None] == behaviour[:, None]) & (behaviour > 0)[:, None]
        return mask(same, behaviour.shape[1])

    demo.check("hmar.behaviour_mask", answer)
    assert re.match(said, capsys.readouterr().out)


def test_a_stub_says_its_sentence(demo, capsys):
    def stub(behaviour):
        raise NotImplementedError("your turn: a mask")

    demo.check("hmar.behaviour_mask", stub)
    assert capsys.readouterr().out == "hmar.behaviour_mask: your turn: a mask\n"


@pytest.mark.parametrize("file", ["mine.py", "<string>"])
def test_a_fault_is_reported_where_it_is(demo, capsys, file):
    names = {}
    exec(compile("def fails(behaviour):\n    return len(behaviour.size)\n", file, "exec"), names)
    demo.check("hmar.behaviour_mask", names["fails"])
    said = capsys.readouterr().out
    assert "it raised TypeError: " in said and "demo.py" not in said
    assert ("(mine.py, line 2)" in said) == (file == "mine.py")


def test_what_is_kept_of_long_trainings_is_what_they_are(demo):
    import long_runs
    kept = demo.long_runs()
    assert set(kept) == set(long_runs.RUNS)
    for name, row in kept.items():
        assert row["chance"] - 0.01 < row["mean"] < row["ceiling"] + 0.01
        base = long_runs.RUNS[name][-1]
        if base:
            gap, low, high = row[f"less than {base}"]
            assert low <= gap <= high and gap == pytest.approx(kept[base]["mean"] - row["mean"])


# Notebooks 01 and 10: a split that is judged, sliders, what ranks are worth.

def last_two(is_target):
    rows = [None, None, *np.flatnonzero(is_target).tolist()]
    return rows[-1], rows[-2]


@pytest.mark.parametrize("answer, said", [
    (last_two, "5 cases pass"),
    (lambda is_target: last_two(is_target)[::-1], "fails for two purchases"),
    (lambda is_target: (len(is_target) - 1, len(is_target) - 2), "fails for one purchase"),
    (lambda is_target: tuple(np.flatnonzero(is_target)[[-1, 0]]), "fails for one purchase"),
    (lambda is_target: np.flatnonzero(is_target)[[-1, -2]], "fails for one purchase (IndexError("),
])
def test_a_split_is_judged(traps, capsys, answer, said):
    traps.check_split(answer)
    assert capsys.readouterr().out.startswith(f"leave_one_out: {said}")


def test_a_figure_has_sliders_only_where_asked(beside, monkeypatch):
    import ipywidgets
    import sliders
    seen, asked = [], []
    monkeypatch.setattr(ipywidgets, "interact", lambda draw, **ranges: asked.append((draw, ranges)))

    def draw(rank, k):
        seen.append((rank, k))

    sliders.slide(draw, live=False, rank=(1, 20, 2), k=(3, 30, 10))
    assert seen == [(2, 10)] and asked == []
    sliders.slide(draw, live=True, rank=(1, 20, 2), k=(3, 30, 10))
    (drawn, ranges), = asked
    assert drawn is draw and seen == [(2, 10)]
    assert {name: (one.min, one.max, one.value) for name, one in ranges.items()} == {
        "rank": (1, 20, 2), "k": (3, 30, 10)}


def test_chances_of_a_sampled_rank_by_counting(traps):
    """Two negatives of four others, of which one beats the item: 3/4 3/4, 2 3/4 1/4, 1/4 1/4."""
    assert traps.sampled(2, 5, 2) == pytest.approx([9 / 16, 6 / 16, 1 / 16], abs=1e-15)


def test_power_by_trying(traps):
    rng, users, gap, apart = np.random.default_rng(0), 2000, 0.02, 0.2
    wins, losses, _ = rng.multinomial(users, [0.11, 0.09, 0.8], size=4000).T
    mean = (wins - losses) / users
    error = np.sqrt(((wins + losses) / users - mean**2) / users)
    assert (mean > 1.96 * error).mean() == pytest.approx(traps.power(users, gap, apart), abs=0.03)


def test_a_log_of_noise_and_one_of_fashion(traps):
    noise, fashion = traps.noise_log(), traps.fashion_log()
    assert (noise.item[::2] == noise.item[1::2]).all() and set(noise.behaviour[1::2]) == {1}
    assert len(noise.users) == 301 and len(noise.items) == 201
    hours = fashion.time // traps.HOUR
    top = [np.bincount(fashion.item[hours == hour]).max() for hour in np.unique(hours)]
    assert 0.75 < sum(top) / len(fashion.item) < 0.95      # .8, and chance where an hour has few
    assert (np.diff(fashion.time)[np.diff(fashion.user) == 0] >= 0).all()


def test_padding_moves_ranks_only_where_masks_are_zeros(traps):
    from mbref.nn import optim
    from mbref.released.hmar import data, model as hmar
    rng, users = np.random.default_rng(0), np.arange(60)
    config = hmar.Config(items=30, behaviours=4, width=8, length=5, variant=hmar.VARIANTS["tianchi"])
    params = optim.tree_map(lambda a: a + rng.normal(0, 0.2, a.shape), hmar.init(rng, config))
    batch = hmar.ranking_batch(data.partition(traps.noise_log(60, 30), "buy"), users, config)
    candidates = np.tile(np.arange(1, 31), (60, 1))
    for mode, moves in (("release", True), ("boolean", False)):
        near, far = traps.behind_padding(params, batch, config, mode, candidates)
        assert (near != far).any() == moves
        scores = hmar.score(params, batch, candidates, replace(config, mask_mode=mode))
        assert near.tolist() == [1 + sorted(row, reverse=True).index(row[0]) for row in scores]
