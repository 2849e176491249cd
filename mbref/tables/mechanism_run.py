"""python -m mbref reproduce --mechanisms: trains all cells, keeps them, writes table and figures.

Cells are independent jobs of tables/jobs.py, which keeps each when it is finished, so a stopped run
goes on.
"""
import time
from pathlib import Path
from types import SimpleNamespace

from mbref.errors import require
from mbref.tables import jobs, mechanisms, reproduce
from mbref.tables.world_cells import train


def run_mechanisms(options):
    """`reproduce --mechanisms`: print the table, write results.json and the figures."""
    started = time.time()
    for name in ("data", "split", "format", "target", "steps", "seed", "at", "set"):
        require(not getattr(options, name),
                f"--mechanisms trains on worlds of its own: leave --{name} out.")
    chosen = choose(options.only)
    folder = reproduce.open_folder(options.out or Path("out") / "mechanisms")
    cells = [mechanisms.cells_of(m, options.seeds, options.quick) for m in chosen]
    every = {cell for several in cells for role in several.values()
             for training in role for cell in training}
    found = dict(jobs.train_all(SimpleNamespace(train_and_report=train_cell), None,
                                sorted(every, key=cost, reverse=True), options.jobs,
                                folder / reproduce.FINISHED))
    rows = {(m.paper, m.name): mechanisms.compare(m, of, found)
            for m, of in zip(chosen, cells, strict=True)}
    results = {"quick": options.quick, "seeds": options.seeds,
               "rows": [{"paper": paper, "mechanism": name, **row}
                        for (paper, name), row in rows.items()]}
    paths = [reproduce.save(results, folder), *draw(results, folder)]
    print(mechanisms.table(rows))
    print(f"{time.time() - started:.0f} s; wrote {', '.join(map(str, paths))}")


def choose(names):
    """The mechanisms of these names or papers, all without any. Raises InputError for another."""
    known = {m.name for m in mechanisms.MECHANISMS} | {m.paper for m in mechanisms.MECHANISMS}
    for name in names:
        require(name in known, f"--only {name!r}: choose from {', '.join(sorted(known))}.")
    return [m for m in mechanisms.MECHANISMS if not names or {m.name, m.paper} & set(names)]


def draw(results, folder):
    """The figures.  -> paths."""
    from mbref.tables import mechanism_plots as plots  # only a figure brings matplotlib

    return [plots.differences(results, folder / "mechanisms.png"),
            plots.ceilings(results, folder / "ceilings.png"),
            plots.learning(results, folder / "learning.png")]


def cost(cell):
    """What the longest trainings come first by, those of one world side by side."""
    return cell.world == "aisles", cell.world, cell.signal, cell.cold, repr(cell)


def train_cell(problem, cell, progress=False):
    """What tables/jobs.py asks of a kind of table; a cell opens its own problem."""
    return (train(cell),)
