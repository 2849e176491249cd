"""report.html: the tables on worlds, the figures and how to read them, on one page by itself.

The page fetches nothing: figures are inline. Colours follow the reader's choice of light or dark.
"""
import base64
import re
from html import escape
from pathlib import Path
from string import Template

from mbref.data.files import write_whole
from mbref.errors import count
from mbref.tables import mechanisms, reproduce, rows

PAGE = Path(__file__).with_name("report.html")
# what a figure shows, by its file's name
CAPTIONS = {
    "mechanisms": "Difference that each mechanism makes, with the signal (filled) and without it "
                  "(hollow), 95% intervals over users and seeds",
    "ceilings": "From chance to the ceiling: the model without the mechanism (hollow) and the full "
                "one (filled), with the signal",
    "learning": "Validation against training steps, with the signal: a line a seed; the number of "
                "steps is where it is highest",
    "coverage": "HierSRec: how often the next item is of the likeliest categories, against the "
                "share of the items that these hold",
}


def write(results, figures, folder):
    """Write the page with these figures.  paths of PNGs -> that of the page. Raises InputError."""
    captions = CAPTIONS | {
        f"sweep_{one['name']}": f"On {one['world']}: {one['measure']} against {one['label']}; "
                                "dotted the ceiling" for one in results["sweeps"]} | {
        paper.lower(): f"{paper}: every model on the worlds of this paper; hollow what does not "
                       "learn" for paper in results["tables"]}
    images = {path.stem: image(path, captions[path.stem]) for path in figures}
    first = [images.pop(name) for name in ("mechanisms", "ceilings")]
    tables = [f"<h2>{paper}</h2>\n<div class=wide>{paper_table(paper, table)}</div>"
              f"{images.pop(paper.lower())}" for paper, table in results["tables"].items()]
    found, seeds = results["mechanisms"], count(results["seeds"], "seed")
    made = f"Steps chosen on validation, {seeds}, made by python -m mbref reproduce"
    how = f"{made}; one seed of the other papers' models."
    if results["quick"]:
        how = f"{mechanisms.QUICK} {made} --quick."
    text = Template(PAGE.read_text(encoding="utf-8")).substitute(
        how=escape(how), figures="\n".join(first),
        mechanisms=html_table(mechanisms.HEADS, map(mechanisms.cells_of_row, found), kind="words"),
        notes="".join(f"<p>{escape(note)}</p>" for note in mechanisms.notes(found)),
        tables="\n".join(tables), rest="\n".join(images.values()))
    path = folder / "report.html"
    write_whole(path, lambda file: file.write(text.encode()))
    return path


def image(path, caption):
    """A figure with its caption, inline."""
    data, caption = base64.b64encode(path.read_bytes()).decode(), escape(caption)
    return (f'<figure><img alt="{caption}. The numbers are in the tables and in results.json." '
            f'src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>')


def paper_table(paper, table):
    """One paper's table, its own model marked."""
    heads, *lines = reproduce.lines_of(table, table["about"]["columns"])
    note = f"<p>{rows.PUBLISHED_NOTE}</p>" if heads[-1].startswith("paper") else ""
    return html_table(heads, lines, own=paper) + note


def text_of(cell):
    """A cell's text as HTML, in which no line ends within an interval or after a ±."""
    text = escape(cell.strip()).replace("± ", "±&nbsp;")
    return re.sub(", (?=[+-])", ",&nbsp;", text) or "–"


def html_table(heads, lines, own=None, kind="numbers"):
    """A table of texts; the row `own` is marked."""
    body = []
    for cells in lines:
        mark = " class=own" if cells[0] == own else ""
        texts = "".join(f"<td>{text_of(cell)}</td>" for cell in cells)
        body.append(f"<tr{mark}>{texts}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (f"<table class={kind}><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>")
