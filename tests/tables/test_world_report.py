"""The report on worlds: what is trained for it, its tables, its page, and that it is the same however it is made."""
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import numpy as np
import pytest

from mbref.errors import InputError
from mbref.options import parser
from mbref.tables import mechanisms, report, reproduce, rows, world_cells, world_report
from mbref.tables.mechanisms import MECHANISMS
from mbref.tables.world_cells import MEASURE, PLAIN, Cell
from mbref.worlds import known
from mbref.worlds.commands import WORLDS
from tests import readme
from tests.test_cli import call

PLAIN_ROWS = ("ceiling", "random", "popularity, events", "seen before")


def result_of(cell):
    """In place of a training: figures that the cell decides."""
    rng = np.random.default_rng(len(repr(cell)))
    if cell.model == PLAIN:
        return dict.fromkeys(PLAIN_ROWS, 0.25)
    curve = {who: [0.2, 0.6, 1.0] for who in ("model", "rule", "chance")}
    return {"users": rng.random(30).tolist(), "ceiling": 0.9, "chance": 0.5, "bound": None, "steps": 1,
            "coverage": curve if cell.model == "hiersrec" else None, "gate": None, "validation": [(1, 0.5), (2, 0.6)]}


@pytest.fixture
def trained(monkeypatch):
    """The cells that are trained in this process, each by result_of; figures are not drawn."""
    seen = []
    monkeypatch.setattr(world_report, "train", lambda cell: seen.append(cell) or result_of(cell))
    monkeypatch.setattr(world_report, "write_all", lambda results, folder: [reproduce.save(results, folder)])
    return seen


def run(*arguments):
    options = parser().parse_args(["reproduce", "--jobs", "1", *arguments])
    world_report.run_worlds(options)


# What is trained.

def test_every_model_of_a_table_can_read_its_worlds():
    """HierSRec needs categories, and nothing but ATRank reads groups."""
    columns = world_report.worlds_of(MECHANISMS)
    assert columns["ATRank"] == {"hints": "hints, AUC", "stamp": "stamp, AUC"}
    assert set(world_report.cells_of_table("ATRank", columns["ATRank"], 3)) == {PLAIN, "ATRank"}
    hmar = world_report.cells_of_table("HMAR", columns["HMAR"], 3)
    assert list(hmar) == [PLAIN, "BPR-MF", "SASRec", "ATRank", "DMRAN", "HMAR"]
    assert [len(cells) for cells in hmar["HMAR"].values()] == [3] * 3 and len(hmar["SASRec"]["last, NDCG@10"]) == 1
    dmran = world_report.cells_of_table("DMRAN", columns["DMRAN"], 1)
    assert list(dmran)[-3:] == ["HierSRec", "HMAR", "DMRAN"]
    assert list(world_report.cells_of_table("DMRAN", columns["DMRAN"], 1, quick=True)) == [PLAIN, "DMRAN"]


def test_what_tables_and_sweeps_share_with_mechanisms_is_trained_once():
    hops = next(m for m in MECHANISMS if m.name == "several hops")
    full, without = (mechanisms.cells_of(hops, 1)["ON", role] for role in ("full", "without"))
    sweep = world_report.cells_of_sweep(world_report.SWEEPS[0])
    assert sweep["8"] == full and sweep["1"] == without
    assert world_report.cells_of_table("DMRAN", {"hops": "hops, AUC"}, 1)["DMRAN"]["hops, AUC"] == full


@pytest.mark.trains
@pytest.mark.parametrize(("world", "row"), [(world, row) for world in ("kinds", "dims", "aisles")
                                            for row in mechanisms.OTHERS if world_report.can_read(row, world)])
def test_other_papers_models_train_there(world, row):
    model, fields = mechanisms.OTHERS[row]
    small = fields | {"steps": "1", "evaluate_every": "1", "drop_step": "0"}
    users = {"dims": 200, "aisles": 1000}.get(world, 150)
    found = world_cells.train(Cell(world, WORLDS[world].SIGNALS[0], model, tuple(small.items()), users=users))
    assert 0 < np.mean(found["users"]) <= found["ceiling"]


@pytest.mark.parametrize(("world", "users"), [("last", 60), ("hints", 60), ("aisles", 1000)])
def test_plain_rows_lie_between_nothing_and_the_ceiling(world, users):
    found = world_cells.train(Cell(world, WORLDS[world].SIGNALS[0], PLAIN, (), users=users))
    assert {*PLAIN_ROWS} < set(found) and all(0 <= value <= found["ceiling"] for value in found.values())
    ground = world_cells.open_ground(world, WORLDS[world].SIGNALS[0], users=users)
    even = known.expected(np.zeros(ground.p.shape), ground.p, MEASURE[world], ground.allowed)
    assert found["random"] == pytest.approx(world_cells.mean_by_user(ground, even).mean())


def test_carts_and_favs_of_a_user_are_seen_before():
    """World `last` by hand: the buy is among 24 items that all recur, so "seen before" is its count of events."""
    ground = world_cells.open_ground("last", "cart", users=60)
    counts = np.array([np.bincount(past.item, minlength=25)[1:] for past in
                       known.pasts_of(ground.split.test.history, ground.cases)])
    want = known.expected(counts, ground.p, "NDCG@10").mean()
    assert world_cells.train(Cell("last", "cart", PLAIN, (), users=60))["seen before"] == pytest.approx(want)


def test_of_a_log_of_groups_items_alone_are_counted():
    """Queries have the same numbers as items; a query's number is no item."""
    ground = world_cells.open_ground("hints", "query", users=60)
    log, rows = ground.log, ground.split.train
    count = np.bincount(log.object[rows[log.group[rows] == world_cells.ITEM]], minlength=101)[1:]
    by_case = known.expected(np.tile(count, (len(ground.p), 1)), ground.p, "AUC")
    want = np.mean([by_case[ground.user == user].mean() for user in np.unique(ground.user)])
    assert world_cells.train(Cell("hints", "query", PLAIN, (), users=60))["popularity, events"] == pytest.approx(want)


# The command.

def test_finished_trainings_are_kept_and_results_are_the_same(tmp_path, trained, capsys):
    arguments = ["--paper", "hmar", "--seeds", "2", "--out", str(tmp_path)]
    run(*arguments)
    count = len(trained)
    # 3 mechanisms x ON, OFF x full, without x 2 seeds; 3 worlds x plain and 4 models; thetas .1 and 1
    assert count == len(set(trained)) == 24 + 15 + 2
    first = (tmp_path / "results.json").read_bytes()
    next((tmp_path / reproduce.FINISHED).iterdir()).unlink()
    run(*arguments)
    assert len(trained) == count + 1 and (tmp_path / "results.json").read_bytes() == first
    found = json.loads(first)
    assert [row["mechanism"] for row in found["mechanisms"]] == ["behaviour encoder", "indicators", "class loss"]
    assert [one["name"] for one in found["sweeps"]] == ["theta"] and list(found["tables"]) == ["HMAR"]
    assert list(found["tables"]["HMAR"]["rows"])[:4] == list(PLAIN_ROWS)
    printed = capsys.readouterr().out
    assert "behaviour encoder" in printed and "last, NDCG@10" in printed and "ceiling" in printed


def test_any_executor_gives_the_same(tmp_path, trained):
    one, _ = world_report.make_report(tmp_path / "one", MECHANISMS[:1], 1, True, 1)
    with ThreadPoolExecutor(3) as pool:
        other, _ = world_report.make_report(tmp_path / "other", MECHANISMS[:1], 1, True, pool)
    assert one == other and len(trained) == 2 * len(set(trained))
    assert (tmp_path / "one/results.json").read_bytes() == (tmp_path / "other/results.json").read_bytes()


def test_printed_numbers_stand_beside_ours(tmp_path, trained):
    results, _ = world_report.make_report(tmp_path, [m for m in MECHANISMS if m.paper == "DMRAN"], 1, False, 1)
    table = results["tables"]["DMRAN"]
    assert table["rows"]["ATRank"]["published"] == {"paper: Electronics": 0.891, "paper: Clothing": 0.6725}
    text = reproduce.table(table, table["about"]["columns"])
    assert "0.8932" in text and text.endswith(rows.PUBLISHED_NOTE)
    mean = [np.mean(result_of(cell)["users"]) for cell in trained if cell.model == "sasrec" and cell.world == "dims"]
    assert table["rows"]["SASRec"]["mean"]["dims, AUC"] == pytest.approx(mean[0])


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--only", "gate keeper"], "--only 'gate keeper' is no mechanism here: choose from behaviour encoder"),
    (["--paper", "dmran", "--only", "class loss"], "choose from several hops"),
    (["--only", "matched width"], "; hierarchy, matched width; "),  # one name, which has a comma
    (["--steps", "9"], "leave --steps out"), (["--set", "width=8"], "leave --set out")])
def test_what_cannot_be_asked_for(tmp_path, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        run(*arguments, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_mechanism_is_named_as_in_the_table(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(world_report, "make_report", lambda folder, chosen, *more: asked.extend(chosen) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("--only", "DMRAN: redundancy penalty", "--only", "indicators", "--out", str(tmp_path / "out"))
    assert [m.name for m in asked] == ["indicators", "redundancy penalty"]


def test_a_quick_report_gives_no_reasons(tmp_path, monkeypatch):
    """They are of whole trainings: a quick one may not show what the whole one does."""
    given = {}
    monkeypatch.setattr(world_report, "train_cells", lambda *more: {})
    monkeypatch.setattr(world_report, "collect_table", lambda *more: {})
    monkeypatch.setattr(world_report, "collect_sweep", lambda *more: {})
    monkeypatch.setattr(world_report, "write_all", lambda *more: [])
    for quick in (True, False):
        given.clear()
        monkeypatch.setattr(world_report.mechanisms, "compare", lambda m, *more: given.update({m.name: m.reason + m.early}) or {})
        world_report.make_report(tmp_path / "out", quick=quick)
        assert any(given.values()) is not quick and "class loss" in given


def test_options_that_would_do_nothing_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "leave --quick out" in call("reproduce", "--quick", "--data", "x")[2]
    assert "give --make, too" in call("worlds", "--users", 3)[2] and "give --make, too" in call("worlds", "--signal", "cart")[2]
    assert not list(tmp_path.iterdir())
    assert call("worlds", "--make", "made", "--only", "last", "--users", 2)[0] == 0  # in the current folder, as all output
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")] == ["made/last/log.txt"]


# The page.

class Page(HTMLParser):
    """What a page holds: tags, and the attributes of those that could fetch something."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.links, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [value for name, value in attributes.items() if name in ("src", "href", "srcset")]
        if tag == "img":
            self.images.append(attributes)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The path of a whole report, all mechanisms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_report, "train", result_of)
        return world_report.make_report(tmp_path_factory.mktemp("report"), seeds=1, pool=1)[1][-1]


def test_the_page_holds_all_figures_and_tables_and_fetches_nothing(page):
    text = page.read_text()
    found = Page(text)
    assert not found.open and found.tags.count("table") == 1 + 4
    assert len(found.images) == len(list(page.parent.glob("*.png"))) == 3 + 4 + 3 + 1
    assert all(image["alt"] and image["src"].startswith("data:image/png;base64,") for image in found.images)
    assert all(link.startswith("data:") for link in found.links) and "url(" not in text and "@import" not in text
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert "validation, 1 seed, made by" in text and "light dark" in text and "width=device-width" in text and "$" not in text
    for m in MECHANISMS:
        assert f"{m.paper}: {m.name}" in text


@pytest.mark.parametrize(("cell", "text"), [
    ("0.854 ± 0.019", "0.854 ±&nbsp;0.019"), ("+0.2 [-0.1, +0.5]", "+0.2 [-0.1,&nbsp;+0.5]"), ("a, b", "a, b"),
    ("p < q", "p &lt; q"), (" ", "–")])
def test_a_line_of_a_cell_ends_where_it_may(cell, text):
    assert report.text_of(cell) == text


def test_the_readme_is_made_from_the_report(tmp_path, page, monkeypatch):
    """The command that makes README's table and figure anew, in its quick form, on a copy: twice it is the same."""
    results = json.loads((page.parent / "results.json").read_text()) | {"quick": True}
    asked = []
    monkeypatch.setattr(world_report, "make_report", lambda folder, **more: asked.append(more) or (results, []))
    shutil.copy(readme.Path(readme.__file__).parents[1] / "README.md", tmp_path)
    before, _, rest = (tmp_path / "README.md").read_text().partition(readme.BEGIN)
    arguments = ["--quick", "--jobs", "1", "--folder", str(tmp_path), "--out", str(page.parent)]
    readme.main(arguments)
    text = (tmp_path / "README.md").read_text()
    readme.main(arguments)
    assert (tmp_path / "README.md").read_text() == text and "(`--quick`)" in text
    assert asked == [{"seeds": 1, "quick": True, "pool": 1}] * 2
    assert text.startswith(before) and text.endswith(rest.partition(readme.END)[2])
    found = results["mechanisms"]
    table = [line for line in text.splitlines() if line.startswith("| ") and "[" in line]
    assert len(table) == len(found) == len(MECHANISMS)
    for line, row in zip(table, found, strict=True):
        cells = line.strip("| ").split(" | ")
        assert cells[0] == f"{row['paper']}: {row['mechanism']}" and cells[-1] == row["verdict"]
        assert float(cells[5].split()[0]) == pytest.approx(row["ON"]["difference"], abs=6e-4)
    figure = (tmp_path / readme.FIGURE).read_bytes()
    assert figure == (page.parent / "mechanisms.png").read_bytes() and figure.startswith(b"\x89PNG")


def test_a_browser_shows_it(page, tmp_path):
    """On a phone, in headless Chromium: every image has a size, and nothing is asked of any server."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine; the page is parsed by another test")
    probe = """<script>addEventListener("load", () => { document.title = JSON.stringify({
        images: [...document.images].map(i => i.naturalWidth > 0 && i.clientWidth > 0),
        tables: [...document.querySelectorAll("table")].map(t => t.rows.length > 1 && t.clientHeight > 0),
        fetched: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
        wide: document.documentElement.scrollWidth > innerWidth,
        fits: (box => (box.style.width = "968px", box.scrollWidth <= 968))(document.querySelector(".wide")),
        }) })</script>"""
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</head>", probe + "</head>"))
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900",
                           f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
                           probed.as_uri()], capture_output=True, text=True, timeout=120)
    title = done.stdout.partition("<title>")[2].partition("</title>")[0].replace("&quot;", '"')
    seen = json.loads(title)
    assert len(seen["images"]) == 11 and all(seen["images"]) and len(seen["tables"]) == 5 and all(seen["tables"])
    assert seen["fetched"] == 0 and not seen["wide"] and seen["fits"]  # the mechanisms on a screen of 1,000 pixels
