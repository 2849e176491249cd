"""The site: pages of all notebooks, whole, linked, and shown by a browser that may ask for nothing."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from mbref.data import shipped
from mbref.errors import InputError
from notebooks import course
from notebooks.course import site
from tests import optional
from tests.test_cli import call

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
needs_packages = pytest.mark.usefixtures("packages")


@pytest.fixture(scope="module")
def packages():
    """What makes pages; a bare environment lacks one of them."""
    optional.require("nbconvert")
    optional.require("latex2mathml")


@pytest.fixture(scope="module")
def pages(packages):
    """{file name: text} of the whole site, made once."""
    return site.make_pages(FOLDER)


@pytest.fixture(scope="module")
def soups(pages):
    from bs4 import BeautifulSoup
    return {name: BeautifulSoup(text, "html.parser") for name, text in pages.items()}


def write_notebook(path, *cells):
    """A notebook of these texts, none of them code."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": text} for text in cells]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    return path


def read_cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def count_figures(path):
    return sum("image/png" in output.get("data", {}) for cell in read_cells(path, "code") for output in cell["outputs"])


def count_equations(path):
    """Between dollars, outside of what is set as code."""
    texts = ["".join(cell["source"]) for cell in read_cells(path, "markdown")]
    return sum(len(re.findall(r"\$\$[^$]+\$\$|\$[^$]+\$", re.sub(r"`[^`]*`", "", text))) for text in texts)


# Which pages, in which order.

def test_the_route():
    names = ["12_z", "00_a", "04_b", "02_c", "01_d", "07_e", "09_f", "essay"]
    folder = {name: Path("notebooks", f"{name}.ipynb") for name in names}
    parts = site.sort_notebooks([*folder.values(), Path("notebooks/exercises/hmar.ipynb")])
    assert [[path.stem for path in paths] for paths in parts.values()] == [
        ["00_a", "01_d", "04_b", "02_c"], ["07_e"], ["09_f"], ["12_z"], ["hmar"], ["essay"]]


def test_every_notebook_has_a_page(pages):
    assert {f"{path.stem}.html" for path in NOTEBOOKS} <= set(pages) - {"index.html"}


# What stands on them.

def test_every_link_leads_somewhere(soups):
    places = {(name, element["id"]) for name, soup in soups.items() for element in soup(id=True)}
    for name, soup in soups.items():
        ids = [element["id"] for element in soup(id=True)]
        assert len(ids) == len(set(ids)), name
        for link in soup("a", href=True):
            page, _, place = link["href"].partition("#")
            assert (page or name) in soups
            assert not place or (page or name, place) in places, (name, link["href"])


def test_a_page_leads_to_the_one_before_and_after(soups):
    chain = [link["href"] for link in soups["index.html"].select(".chapters h3 a")]
    assert len(chain) == len(soups) - 1
    for before, after in zip(chain, chain[1:], strict=False):
        assert {link["href"] for link in soups[before]("a", rel="next")} == {after}
        assert {link["href"] for link in soups[after]("a", rel="prev")} == {before}


def test_a_page_says_what_it_is(soups):
    titles = [soup.title.text for soup in soups.values()]
    assert len(titles) == len(set(titles))
    for soup in soups.values():
        assert soup.html["lang"] == "en" and soup.find("meta", attrs={"name": "viewport"})
        assert "default-src 'none'" in soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
        assert all(link["aria-label"] for link in soup("a", class_="anchor-link"))
        assert len(soup("h1")) == len(soup("main")) == 1 and soup.main["id"] == soup.select_one(".skip")["href"][1:]


def test_a_page_holds_all_of_its_notebook(soups):
    for path in NOTEBOOKS:
        soup = soups[f"{path.stem}.html"]
        assert len(soup("img")) == count_figures(path) and len(soup("math")) == count_equations(path)
        text = "".join(soup.main.text.split())
        sources = ["".join(cell["source"]) for cell in read_cells(path, "code")]
        assert [source for source in sources if "".join(source.split()) not in text] == []


def test_an_alternative_text_is_that_of_the_cell(tmp_path, packages):
    path = write_notebook(tmp_path / "a.ipynb", "# A")
    notebook = json.loads(path.read_text())
    figure = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
    notebook["cells"].append({"cell_type": "code", "metadata": {"alt": "A < B rises."}, "source": "plot()",
                              "outputs": [figure], "execution_count": 1})
    path.write_text(json.dumps(notebook))
    assert 'alt="A &lt; B rises."' in site.make_pages(tmp_path)["a.html"]


def test_of_an_exercise_what_a_student_gets(tmp_path, packages):
    path = write_notebook(tmp_path / "exercises/a.ipynb", "# A")
    notebook = json.loads(path.read_text())
    notebook["cells"].append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
                              "source": "def f():\n    ### BEGIN SOLUTION\n    secret\n    ### END SOLUTION"})
    path.write_text(json.dumps(notebook))
    assert "secret" not in "".join(site.make_pages(tmp_path).values())


# Equations.

@needs_packages
@pytest.mark.parametrize("tex, said", [
    (r"\mathcal S_k", "\N{MATHEMATICAL SCRIPT CAPITAL S}k"),
    (r"v \in \mathbb R^D", "v\N{ELEMENT OF}\N{DOUBLE-STRUCK CAPITAL R}D"),
    (r"e^{F_{ij'k}}", "eFij\N{PRIME}k"),
    (r"\text{the user's } x", "the\N{NO-BREAK SPACE}user's\N{NO-BREAK SPACE}x"),
    (r"\operatorname{softmax}\!\big(x\big)", "softmax(x)"),
])
def test_an_equation_is_read_as_it_is_written(tex, said):
    from bs4 import BeautifulSoup

    from notebooks.course.equations import to_mathml
    assert BeautifulSoup(to_mathml(tex), "html.parser").text == said


@needs_packages
@pytest.mark.parametrize("tex, spaces", [
    (r"\log p", 1), (r"y \log p", 2), (r"y \log(p)", 1), (r"\log_2 (x)", 0), (r"\operatorname{softmax}_s \Big(x\Big)", 0),
    (r"\operatorname{softmax}\!\big(x\big)", 0),
    (r"\operatorname{relu}\big[x\big]", 0), (r"(\log p)", 1), (r"\logarithm", None), (r"-\log \hat b", 1)])
def test_a_function_stands_off_an_argument_without_brackets(tex, spaces):
    from notebooks.course.equations import to_mathml
    if spaces is None:
        with pytest.raises(InputError, match="does not know"):
            to_mathml(tex)
    else:
        assert to_mathml(tex).count("<mspace") == spaces


def test_bars_do_not_stretch_and_functions_are_upright(packages):
    from bs4 import BeautifulSoup

    from notebooks.course.equations import to_mathml
    found = BeautifulSoup(to_mathml(r"\lVert \operatorname{relu}(a/b) \rVert"), "html.parser")
    bars = [mo for mo in found("mo") if mo.text == "\N{DOUBLE VERTICAL LINE}"]
    assert [mo["stretchy"] for mo in bars] == ["false"] * 2
    assert [mi.text for mi in found("mi")] == ["relu", "a", "b"]
    slash, = (mo for mo in found("mo") if mo.text == "/")
    assert slash["lspace"] == slash["rspace"] == "0"


def test_signs_braces_and_infinity(packages):
    """A minus is a sign where nothing stands before it; a brace is a line, which is as long as what it is under."""
    from bs4 import BeautifulSoup

    from notebooks.course.equations import to_mathml
    minus = "\N{MINUS SIGN}"
    found = BeautifulSoup(to_mathml(r"a - \underbrace{b = -c}_{d} - \big(-\infty, -[-e]\big)"), "html.parser")
    assert [mo.get("form") for mo in found("mo") if mo.text == minus] == [None, "prefix", None, *["prefix"] * 3]
    base, below = found.munder.find_all("mrow", recursive=False)
    assert base["class"] == ["brace"] and (base.text, below.text) == (f"b={minus}c", "d")
    assert found.find("mi", string="\N{INFINITY}")


def test_a_full_stop_stays_with_its_equation(packages):
    from notebooks.course.pages import render_markdown
    html = render_markdown("first $a$ and $b$, then $c$.")
    assert html.count('<span class="kept">') == 2 and html.count("</math>,</span>") == html.count("</math>.</span>") == 1


def test_a_short_command_is_not_broken(soups):
    kept = [code.get("class") == ["kept"] for code in soups["hmar.html"]("code", string=re.compile("--student DIR"))]
    assert kept == [True]
    assert not any(code.get("class") for code in soups["02_atrank.html"]("code", string=re.compile("demo.fit")))


def test_a_prime_is_no_exponent(packages):
    from notebooks.course.equations import to_mathml
    assert "sup" not in to_mathml("c'_{j'}")


# Faults.

@needs_packages
@pytest.mark.parametrize("cells, sentence", [
    (["# A", r"so $\nosuchthing x$"], r"a.ipynb: the equation '\\nosuchthing x' has a command"),
    (["# A", "so $x_$"], "a.ipynb: the equation 'x_' is no TeX"),
    (["no title"], "a.ipynb has no title"),
])
def test_what_cannot_be_a_page(tmp_path, monkeypatch, cells, sentence):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "mbref")
    write_notebook(tmp_path / "notebooks" / "a.ipynb", *cells)
    code, _, said = call("site", "--out", tmp_path / "out")
    assert code == 2 and sentence.replace("\\\\", "\\") in said.replace("\\\\", "\\")
    assert not (tmp_path / "out").exists()


@needs_packages
@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', "\x00\x01"])
def test_a_damaged_notebook_is_named(tmp_path, text):
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(InputError, match="a.ipynb cannot be read as a notebook"):
        site.make_pages(tmp_path)


@pytest.mark.parametrize("name", ["nbconvert", "latex2mathml"])
def test_a_missing_package_is_named(monkeypatch, tmp_path, name):
    monkeypatch.delattr(course, "pages", raising=False)
    for module in ("notebooks.course.pages", "notebooks.course.equations"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    if name == "latex2mathml":
        monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    code, _, said = call("site", "--out", tmp_path / "out")
    assert code == 2 and f"site needs {name}" in said and "pip install" in said and said.count("\n") == 1


def test_folders_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    assert "is a file: give a folder" in call("site", "--out", tmp_path / "file")[2]
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    assert "run it in a clone" in call("site", "--out", tmp_path / "out")[2]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_page_of_somebody_else_stays(tmp_path, pages):
    assert site.OURS in pages["index.html"]  # which is written over
    (tmp_path / "index.html").write_text("<title>my page</title>")
    assert "index.html is a page of somebody else: give another folder" in call("site", "--out", tmp_path)[2]
    assert (tmp_path / "index.html").read_text() == "<title>my page</title>"


# A browser.

PROBE = """<script>addEventListener("load", () => {
    const search = document.getElementById("words")
    if (search) { search.value = "Softmax attention"; search.dispatchEvent(new Event("input")) }
    const shown = element => element.getBoundingClientRect().height > 5
    parent.postMessage({page: document.title, width: innerWidth,
        figures: [...document.images].map(image => image.naturalWidth > 0 && shown(image)),
        equations: [...document.querySelectorAll("math")].map(shown),
        found: [...document.querySelectorAll("#found a")].map(link => link.getAttribute("href")),
        fetched: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
        wide: document.documentElement.scrollWidth > innerWidth}, "*") })</script>"""
FRAMES = """<!doctype html><title></title><script>
    const seen = []
    addEventListener("message", event => { seen.push(event.data); document.title = JSON.stringify(seen) })</script>"""


@pytest.fixture(scope="module")
def seen(pages, tmp_path_factory):
    """What headless Chromium says of all pages, in frames as wide as a screen and a phone, and its messages."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine; the pages are parsed by other tests")
    folder = tmp_path_factory.mktemp("site")
    for name, text in pages.items():
        (folder / name).write_text(text.replace("</head>", PROBE + "</head>"), encoding="utf-8")
    frames = [f'<iframe src="{name}" style="width: {width}px; height: 900px"></iframe>'
              for name in pages for width in (1000, 390)]
    (folder / "frames.html").write_text(FRAMES + "".join(frames))
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                           f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--dump-dom",
                           (folder / "frames.html").as_uri()], capture_output=True, text=True, timeout=300)
    title = done.stdout.partition("<title>")[2].partition("</title>")[0].replace("&quot;", '"').replace("&amp;", "&")
    return json.loads(title), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_has_nothing_to_say(seen):
    assert seen[1] == []


def test_a_browser_shows_every_page_whole_and_asks_for_nothing(pages, soups, seen):
    assert len(seen[0]) == 2 * len(pages) and {report["width"] for report in seen[0]} == {1000, 390}
    by_title = {soup.title.text: soup for soup in soups.values()}
    for report in seen[0]:
        soup = by_title[report["page"]]
        assert report["fetched"] == 0 and not report["wide"], report
        assert report["figures"] == [True] * len(soup("img"))
        assert report["equations"] == [True] * len(soup("math"))


def test_the_search_finds_sections(soups, seen):
    both, = {tuple(report["found"]) for report in seen[0] if report["found"]}
    texts = json.loads(soups["index.html"].find(id="texts").string)
    assert len(texts) == sum(len(soup("a", class_="anchor-link")) for soup in soups.values())
    want = [text for *_, text in texts if "softmax" in text.lower() and "attention" in text.lower()]
    assert len(both) == min(len(want), 50) > 3
    for link in both:
        page, _, place = link.partition("#")
        assert soups[page].find(id=unquote(place)).name in ("h1", "h2", "h3")
