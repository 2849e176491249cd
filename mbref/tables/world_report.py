"""python -m mbref reproduce: does each mechanism of each paper do what it is there for?

All papers are trained on worlds with a known best answer. Every training is an independent cell
that goes through a pool of tables/jobs.py and is kept as soon as it is finished.
"""
import time
from pathlib import Path
from types import SimpleNamespace

from mbref.errors import require
from mbref.tables import jobs, mechanisms, reproduce, world_tables
from mbref.tables.world_cells import Cell, train


def run_worlds(options):
    """`reproduce` without a log: print the tables, write results.json, figures and report.html."""
    started = time.time()
    reproduce.refuse(options, ("format", "target", "steps", "seed", "at", "set",
                               "validation_cases", "drop_target_history"),
                     "without --data all is trained on worlds of its own")
    seeds = options.seeds or (1 if options.quick else 3)
    chosen = choose(options.paper, options.only)
    folder = reproduce.open_folder(options.out or Path("out") / "report")
    with jobs.open_pool(options.jobs, options.scheduler) as pool:
        results, paths = make_report(folder, chosen, seeds, options.quick, pool)
    print(mechanisms.table(results["mechanisms"]))
    for paper, table in results["tables"].items():
        print(f"\n{paper}\n{reproduce.table(table, table['about']['columns'])}")
    if options.quick:
        print(mechanisms.QUICK)
    print(f"{time.time() - started:.0f} s; wrote {', '.join(map(str, paths))}")


def choose(paper, names):
    """The mechanisms of a paper, or all, and of these names. Raises InputError for another name."""
    of_paper = [m for m in mechanisms.MECHANISMS if paper in (None, m.paper.lower())]
    for name in names:
        require(name in [m.name for m in of_paper],
                f"--only {name!r}: choose from {', '.join(m.name for m in of_paper)}.")
    return [m for m in of_paper if not names or m.name in names]


def make_report(folder, chosen=mechanisms.MECHANISMS, seeds=3, quick=False, pool=2):
    """Train what these mechanisms and the tables of their papers need, and write the report.

    quick: half the users, a third of the steps, neither sweeps nor other papers' models. pool: a
    number of processes, or any executor, see tables/jobs.py; the results are the same.
    -> (results, paths of what is written).
    """
    folder = reproduce.open_folder(folder)
    worlds = world_tables.worlds_of(chosen)
    compared = [mechanisms.cells_of(m, seeds, quick) for m in chosen]
    tables = {paper: world_tables.cells_of_table(paper, columns, seeds, quick)
              for paper, columns in worlds.items()}
    sweeps = [sweep for sweep in world_tables.SWEEPS
              if not quick and any(sweep.world in columns for columns in worlds.values())]
    swept = [world_tables.cells_of_sweep(sweep) for sweep in sweeps]
    found = train_cells([compared, tables, swept], pool, folder)
    results = {
        "quick": quick, "seeds": seeds,
        "mechanisms": [{"paper": m.paper, "mechanism": m.name, "world": m.world,
                        **mechanisms.compare(m, cells, found)}
                       for m, cells in zip(chosen, compared, strict=True)],
        "tables": {paper: world_tables.collect_table(paper, cells, found)
                   for paper, cells in tables.items()},
        "sweeps": [world_tables.collect_sweep(sweep, cells, found)
                   for sweep, cells in zip(sweeps, swept, strict=True)]}
    return results, write_all(results, folder)


def train_cells(needed, pool, folder):
    """Train every cell that is in `needed`, however deep, once.  -> {Cell: its results}."""
    def cells_in(value):
        if isinstance(value, Cell):
            return {value}
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*map(cells_in, parts))

    kind = SimpleNamespace(train_and_report=train_cell)
    cells = sorted(cells_in(needed), key=cost, reverse=True)
    return dict(jobs.train_all(kind, None, cells, pool, folder / reproduce.FINISHED))


def cost(cell):
    """What the longest trainings come first by, those of one world side by side."""
    return cell.world == "aisles", cell.world, cell.signal, repr(cell)


def train_cell(problem, cell, progress=False):
    """What tables/jobs.py asks of a kind of table; a cell opens its own problem."""
    return (train(cell),)


def write_all(results, folder):
    """results.json, the figures and the page that holds them all.  -> paths."""
    from mbref.tables import report, world_plots  # only a figure brings matplotlib

    figures = world_plots.draw(results, folder)
    return [reproduce.save(results, folder), *figures, report.write(results, figures, folder)]
