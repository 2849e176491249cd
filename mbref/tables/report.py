"""report.html: the tables on worlds, the figures and how to read them, on one page by itself.

The page fetches nothing: figures are inline. Colours follow the reader's choice of light or dark.
"""
import base64
from html import escape
from string import Template

from mbref.data.files import write_whole
from mbref.tables import mechanisms, reproduce, rows

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mbref: do the papers' mechanisms work?</title>
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: auto; padding: 0 1rem 3rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
.words td:last-child { white-space: normal; min-width: 14rem; text-align: left; }
tr.own { background: var(--soft); }
figure { margin: 1.5rem 0; } figcaption { font-size: .85rem; }
img { max-width: 100%; height: auto; background: white; border-radius: .3rem; padding: .3rem; }
</style>
</head>
<body>
<h1>Do the papers' mechanisms work?</h1>
<p>Four recommender papers, trained on synthetic logs whose rule is known, so that the best possible
answer, the <em>ceiling</em>, is known too. Each world needs one mechanism. <b>ON</b>: the signal
that the mechanism is for is in the log; <b>OFF</b>: the same log without it. A mechanism that does
what it is for makes a difference ON and none OFF.</p>
<p>$how</p>
<h2>Mechanisms</h2>
<div class="wide">$mechanisms</div>
$notes
<p>Differences are full model minus the one without the mechanism, on the same users, mean over
seeds; in brackets the 95% interval of a paired bootstrap over users. <em>Way</em>: how far the full
model comes from chance (0%) to the ceiling (100%). The verdict follows from these numbers: it
<em>shows</em> where the interval ON lies above 0. A figure of a case is its mean over all items
that may come next, each as often as it comes, so no luck of the draw is in it.</p>
$figures
$tables
<h2>Training, sweeps, coverage</h2>
$rest
</body>
</html>
""")
# what a figure shows, by its file's name
CAPTIONS = {
    "mechanisms": "Difference that each mechanism makes, with the signal (filled) and without it "
                  "(hollow), 95% intervals over users",
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
    found, made = results["mechanisms"], (f"Steps chosen on validation, {results['seeds']} seeds, "
                                          "made by python -m mbref reproduce")
    how = f"{made}; one seed of the other papers' models."
    if results["quick"]:
        how = f"{mechanisms.QUICK} {made} --quick."
    text = PAGE.substitute(
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


def html_table(heads, lines, own=None, kind="numbers"):
    """A table of texts; the row `own` is marked."""
    body = []
    for cells in lines:
        mark = " class=own" if cells[0] == own else ""
        texts = "".join(f"<td>{escape(cell.strip()) or '–'}</td>" for cell in cells)
        body.append(f"<tr{mark}>{texts}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (f"<table class={kind}><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>")
