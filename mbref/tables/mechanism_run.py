"""python -m mbref reproduce --mechanisms: trains all cells, keeps them, writes table and figures.

Cells are independent and go through an executor of concurrent.futures. A finished cell is kept in
the folder, by what was trained and by the code that trained it, so a stopped run goes on.
"""
import hashlib
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from mbref.data import shipped
from mbref.data.files import write_json
from mbref.errors import require
from mbref.tables import mechanisms, reproduce
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
    found = train_all(sorted(every, key=cost, reverse=True), folder, options.jobs)
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


def train_all(cells, folder, jobs):
    """Train what the folder does not hold yet.  -> {Cell: result}."""
    kept = folder / "cells"
    kept.mkdir(exist_ok=True)
    paths = {cell: kept / f"{key(cell)}.json" for cell in cells}
    left = [cell for cell in cells if not paths[cell].exists()]
    with tqdm(total=len(cells), initial=len(cells) - len(left), unit="training") as bar:
        for cell, result in zip(left, run(left, jobs), strict=True):
            write_json(paths[cell], result)
            bar.set_postfix_str(f"{cell.world}, {cell.signal}: done")
            bar.update()
    return {cell: json.loads(path.read_text()) for cell, path in paths.items()}


def run(cells, jobs):
    """Train the cells, `jobs` at a time.  -> results, in order, as they come."""
    if jobs == 1 or len(cells) < 2:
        yield from map(train, cells)
        return
    # for the workers: one thread each is fastest
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    with ProcessPoolExecutor(jobs, get_context("spawn"), reproduce.start_worker) as pool:
        yield from pool.map(train, cells)


def key(cell):
    """A name for a cell's file: what it is, and a digest of it and of all code of mbref."""
    digest = hashlib.sha256(repr(cell).encode())
    for path in sorted(shipped.PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{cell.world}-{cell.model}-{cell.seed}-{digest.hexdigest()[:16]}"
