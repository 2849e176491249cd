"""python -m tests.readme: make the report anew, and put its mechanism table and figure into README.md.

--quick makes the short form, --folder where README.md and notebooks/figures are, --out where the report goes.
"""
import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `reproduce` has it; BLAS reads it when it is loaded
from mbref.tables import mechanisms, world_report  # noqa: E402

BEGIN, END = "<!-- report -->\n", "<!-- /report -->\n"
FIGURE = "notebooks/figures/mechanisms.png"


def main(arguments=None):
    """Run the report and write both files."""
    parser = argparse.ArgumentParser("python -m tests.readme", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--out", type=Path, default=Path("out/report"))
    options = parser.parse_args(arguments)
    results, _ = world_report.make_report(options.out, seeds=1 if options.quick else 3, quick=options.quick,
                                          pool=options.jobs)
    (options.folder / FIGURE).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.out / "mechanisms.png", options.folder / FIGURE)
    path = options.folder / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(before + BEGIN + section(results) + END + rest.partition(END)[2])


def section(results):
    """What stands between the two marks: the table in Markdown, the figure, and how it was made."""
    made = ("half the users, a quarter of the steps, one seed (`--quick`)" if results["quick"] else
            f"{results['seeds']} seeds")
    rows = "\n".join(map(line, results["mechanisms"]))
    return f"""| mechanism | world, measure | full | without | ceiling | difference ON | difference OFF | verdict |
|---|---|---|---|---|---|---|---|
{rows}

![Difference that each mechanism makes, with its signal in the log and without it]({FIGURE})

Table and figure: {made}; `python -m tests.readme` makes them anew.
"""


def line(row):
    """A row of the table."""
    cells = mechanisms.cells_of_row(row)
    return "| " + " | ".join([*cells[:5], *cells[7:]]) + " |"


if __name__ == "__main__":
    main()
