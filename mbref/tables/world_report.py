"""python -m mbref reproduce: does each mechanism of each paper do what it is there for?

All papers are trained on worlds with a known best answer, every training an independent cell.
Beside the mechanisms every paper has a table, with a column for each of its worlds and these rows:
the ceiling, chance, all that only counts, two baselines and the other papers' models that can read
the world, trained once (not by --quick), and the paper's own model, trained with every seed.
"""
import time
from pathlib import Path

import numpy as np

from mbref.data.files import alone_in
from mbref.tables import jobs, mechanisms, reproduce, rows
from mbref.tables.mechanisms import OTHERS, OTHERS_STEPS, cells_on, own_cells
from mbref.tables.world_cells import MEASURE, PLAIN, Cell, train
from mbref.worlds.commands import WORLDS

PRINTED = {"DMRAN": rows.PUBLISHED}  # in the papers, of other data
SWEEPS = tuple(rows.Sweep(name, name, {x: f"{x:g}" for x in values}, label, world)
               for name, values, label, world in (
    ("hops", (1, 2, 4, 8), "r, number of hops", "hops"),
    ("redundancy", (0, 0.01, 0.1, 1), "lambda_3, weight of the redundancy penalty", "hops"),
    ("theta", (0, 0.1, 1, 5), "theta, weight of the class loss", "kinds")))


def run_worlds(options):
    """`reproduce` without a log: print the tables, write results.json, figures and report.html."""
    started = time.time()
    reproduce.refuse(options, ("format", "target", "steps", "seed", "set",
                               "validation_cases", "drop_target_history"),
                     "without --data all is trained on worlds of its own")
    seeds = options.seeds or (1 if options.quick else 3)
    of_paper = {m.name: m for m in mechanisms.MECHANISMS
                if options.paper in (None, m.paper.lower())}
    only = [name.split(": ")[-1] for name in options.only]  # as the table has it: HMAR: indicators
    reproduce.require_one_of(only, of_paper, "mechanism here")
    chosen = [m for m in of_paper.values() if m.name in (only or of_paper)]
    folder = reproduce.open_folder(options.out or Path("out") / "report")
    with jobs.open_pool(options.jobs, options.scheduler) as pool:
        results, paths = make_report(folder, chosen, seeds, options.quick, pool)
    print(mechanisms.table(results["mechanisms"]))
    for paper, table in results["tables"].items():
        print(f"\n{paper}\n{reproduce.table(table, table['about']['columns'])}")
    if options.quick:
        print(mechanisms.QUICK)
    print(f"{time.time() - started:.0f} s; wrote {', '.join(map(str, paths))}")


def make_report(folder, chosen=mechanisms.MECHANISMS, seeds=3, quick=False, pool=2):
    """Train what these mechanisms and the tables of their papers need, and write the report.

    quick: half the users, a quarter of the steps, neither sweeps nor other papers' models. pool: a
    number of processes, or any executor, see tables/jobs.py; the results are the same. A process
    for each core needs BLAS with one thread, OPENBLAS_NUM_THREADS=1 in the environment from the
    start, as `reproduce` has it: with two they wait for each other.
    -> (results, paths of what is written).
    """
    folder = reproduce.open_folder(folder)
    if quick:  # the reasons that we know, and what shows early, are of whole trainings
        chosen = [m._replace(reason="", early="") for m in chosen]
    worlds = worlds_of(chosen)
    compared = [mechanisms.cells_of(m, seeds, quick) for m in chosen]
    tables = {paper: cells_of_table(paper, columns, seeds, quick)
              for paper, columns in worlds.items()}
    swept = [(sweep, cells_of_sweep(sweep)) for sweep in SWEEPS
             if not quick and any(sweep.world in columns for columns in worlds.values())]
    found = train_cells([compared, tables, [cells for _, cells in swept]], pool, folder)
    results = {
        "quick": quick, "seeds": seeds,
        "mechanisms": [{"paper": m.paper, "mechanism": m.name, "world": m.world,
                        **mechanisms.compare(m, cells, found)}
                       for m, cells in zip(chosen, compared, strict=True)],
        "tables": {paper: collect_table(paper, cells, found) for paper, cells in tables.items()},
        "sweeps": [collect_sweep(sweep, cells, found) for sweep, cells in swept]}
    return results, write_all(results, folder)


def train_cells(needed, pool, folder):
    """Train every cell that is in `needed`, however deep, once.  -> {Cell: its results}."""
    def cells_in(value):
        if isinstance(value, Cell):
            return {value}
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*map(cells_in, parts))

    def cost(cell):  # the longest first, those of one world side by side
        return cell.world == "aisles", cell.world, cell.signal, repr(cell)

    cells = sorted(cells_in(needed), key=cost, reverse=True)
    return dict(jobs.train_all(train_cell, None, cells, pool, folder))


def train_cell(problem, cell):
    """What tables/jobs.py asks for; a cell opens its own problem."""
    return (train(cell),)


def write_all(results, folder):
    """results.json, the figures and the page that holds them all.  -> paths."""
    from mbref.tables import plots, report  # only a figure brings matplotlib

    with alone_in(folder):
        figures = plots.report(results, folder)
        return [reproduce.save(results, folder), *figures, report.write(results, figures, folder)]


# The papers' tables, and sweeps.

def worlds_of(chosen):
    """{paper: {world: column of its table}} of some mechanisms."""
    found = {m.paper: {} for m in chosen}
    for m in chosen:
        world = m.world.partition(", ")[0]
        found[m.paper][world] = f"{world}, {MEASURE[world]}"
    return found


def can_read(row, world):
    """Can this one of OTHERS be trained on this world?"""
    format = WORLDS[world].FORMAT  # that of hmar has no categories
    return format != "groups" and (format != "hmar" or row != "HierSRec")


def cells_of_table(paper, columns, seeds, quick=False):
    """The trainings of a table; columns {world: column}.  -> {row: {column: cells, one a seed}}."""
    cells = {PLAIN: {column: cells_on(world, PLAIN, {"steps": "1"}, 1, quick)
                     for world, column in columns.items()}}
    for row, (model, fields) in ({} if quick else OTHERS).items():
        of_row = {column: cells_on(world, model, fields | {"steps": OTHERS_STEPS}, 1)
                  for world, column in columns.items() if can_read(row, world)}
        if of_row and row != paper:
            cells[row] = of_row
    return cells | {paper: {column: own_cells(world, {}, seeds, quick)
                            for world, column in columns.items()}}


def collect_table(paper, cells, found):
    """A table as reproduce.collect has it.  found {Cell: what world_cells.train gave}."""
    plain, printed = {}, PRINTED.get(paper, {})
    for column, (cell,) in cells[PLAIN].items():
        for row, figure in found[cell].items():
            plain.setdefault(row, {})[column] = figure
    table = reproduce.collect({"paper": paper, "columns": list(cells[PLAIN])}, plain, [])
    for row, of_row in cells.items():
        if row != PLAIN:
            published = {"published": printed[row]} if row in printed else {}
            table["rows"][row] = collect_cells(of_row, found) | published
    return table


def collect_cells(of_row, found):
    """One row from its trainings {column: cells, one a seed}."""
    seeds = [{column: float(np.mean(found[cell]["users"]))
              for column, cell in zip(of_row, cells, strict=True)}
             for cells in zip(*of_row.values(), strict=True)]
    return {"model": next(iter(of_row.values()))[0].model, **reproduce.spread(seeds)}


def cells_of_sweep(sweep):
    """The trainings of a sweep, one a value.  -> {row: [cell]}."""
    return {text: own_cells(sweep.world, {sweep.field: text}, 1) for text in sweep.values.values()}


def collect_sweep(sweep, cells, found):
    """What plots.sweep draws, with the ceiling."""
    measure, ((first,), *_) = MEASURE[sweep.world], cells.values()
    return {"name": sweep.name, "world": sweep.world, "label": sweep.label, "measure": measure,
            "ceiling": found[first]["ceiling"],
            "rows": {text: collect_cells({measure: of_value}, found)
                     for text, of_value in cells.items()}}
