"""The papers' tables and sweeps on the worlds: which trainings they need, and what these show.

A table has a column for each world of its paper and these rows: the ceiling, chance, all that only
counts, two baselines and the other papers' models that can read the world, trained once (not by
--quick), and the paper's own model, trained with every seed.
"""
import numpy as np

from mbref.tables import reproduce, rows
from mbref.tables.mechanisms import OTHERS, OTHERS_STEPS, cells_on, own_cells
from mbref.tables.world_cells import MEASURE, PLAIN
from mbref.worlds.commands import WORLDS

PRINTED = {"DMRAN": rows.PUBLISHED}  # in the papers, of other data
SWEEPS = tuple(rows.Sweep(name, name, {x: f"{x:g}" for x in values}, label, world)
               for name, values, label, world in (
    ("hops", (1, 2, 4, 8, 16), "r, number of hops", "hops"),
    ("redundancy", (0, 0.01, 0.1, 1), "lambda_3, weight of the redundancy penalty", "hops"),
    ("theta", (0, 0.1, 1, 5), "theta, weight of the class loss", "kinds")))


def worlds_of(mechanisms):
    """{paper: {world: column of its table}} of some mechanisms."""
    found = {}
    for m in mechanisms:
        world = m.world.partition(", ")[0]
        found.setdefault(m.paper, {})[world] = f"{world}, {MEASURE[world]}"
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
        fields = fields | {"steps": OTHERS_STEPS}
        cells[row] = {column: cells_on(world, model, fields, 1, quick)
                      for world, column in columns.items() if can_read(row, world)}
    cells.pop(paper, None)  # its own model comes last, as its worlds want it
    cells[paper] = {column: own_cells(world, {}, seeds, quick)
                    for world, column in columns.items()}
    return {row: of_columns for row, of_columns in cells.items() if of_columns}


def collect_table(paper, cells, found):
    """A table as reproduce.collect has it.  found {Cell: what world_cells.train gave}."""
    plain = {}
    for column, (cell,) in cells[PLAIN].items():
        for row, figure in found[cell].items():
            plain.setdefault(row, {})[column] = figure
    table = reproduce.collect({"paper": paper, "columns": list(cells[PLAIN])}, plain, [])
    for row, of_columns in cells.items():
        if row != PLAIN:
            printed = PRINTED.get(paper, {}).get(row)
            table["rows"][row] = collect_cells(of_columns, found) | (
                {"published": printed} if printed else {})
    return table


def collect_cells(of_columns, found):
    """One row from its trainings {column: cells, one a seed}."""
    seeds = [{column: float(np.mean(found[cell]["users"]))
              for column, cell in zip(of_columns, cells, strict=True)}
             for cells in zip(*of_columns.values(), strict=True)]
    return {"model": next(iter(of_columns.values()))[0].model, **reproduce.spread(seeds)}


def cells_of_sweep(sweep):
    """The trainings of a sweep, one a value.  -> {row: [cell]}."""
    return {text: own_cells(sweep.world, {sweep.field: text}, 1)
            for text in sweep.values.values()}


def collect_sweep(sweep, cells, found):
    """What plots.sweep draws, with the ceiling."""
    measure, ((first,), *_) = MEASURE[sweep.world], cells.values()
    return {"name": sweep.name, "world": sweep.world, "label": sweep.label, "measure": measure,
            "ceiling": found[first]["ceiling"],
            "rows": {text: collect_cells({measure: of_value}, found)
                     for text, of_value in cells.items()}}
