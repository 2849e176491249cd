"""Trainings too long for lectures 03 and 05, with the settings of the mechanisms' table.

    python notebooks/long_runs.py [dims] [aisles] [cold]

trains all of RUNS, or those whose names begin so, in some minutes, and writes long_runs.json.

Kept of each: the mean of the world's measure over test users, the difference to what it is compared
with and its interval, and what the rule behind the world reaches.
"""
import json
import sys
from pathlib import Path

import numpy as np

CLONE = Path(__file__).parents[1]
sys.path.insert(0, str(CLONE))
from mbref import metrics  # noqa: E402
from mbref.tables.world_cells import Cell, train  # noqa: E402

KEPT = Path(__file__).with_suffix(".json")
DIMS = dict(batch_size=64, penalty=1e-5, redundancy=0.02, hops=4, optimiser="adam", rate=0.01,
            width=32, length=2, steps=1000, drop_step=700, evaluate_every=100)
AISLES = dict(rate=5e-3, batch_size=64, dropout=0.2, width=32, item_width=32, category_width=16,
              projection_width=16, length=10, steps=900, drop_step=600, evaluate_every=180)
ITEM = dict(variant="item")
FLAT = dict(hier="none", width="matched")
TIED = dict(item_out="tied", inputs="category+text")
NO_TEXT = TIED | dict(inputs="category")
# name: world, signal, model, settings, ranks cold items?, compared with
RUNS = {
    "dims ON": ("dims", "occasion", "dmran", DIMS, False, ""),
    "dims ON, items alone": ("dims", "occasion", "dmran", DIMS | ITEM, False, "dims ON"),
    "dims ON, items alone, no penalty":
        ("dims", "occasion", "dmran", DIMS | ITEM | dict(redundancy=0), False, "dims ON"),
    "dims OFF": ("dims", "style", "dmran", DIMS, False, ""),
    "dims OFF, items alone": ("dims", "style", "dmran", DIMS | ITEM, False, "dims OFF"),
    "aisles ON": ("aisles", "chain", "hiersrec", AISLES, False, ""),
    "aisles ON, no category task":
        ("aisles", "chain", "hiersrec", AISLES | dict(tasks="item"), False, "aisles ON"),
    "aisles ON, flat, wider": ("aisles", "chain", "hiersrec", AISLES | FLAT, False, "aisles ON"),
    "cold ON": ("aisles", "chain", "hiersrec", AISLES | TIED, True, ""),
    "cold ON, no text": ("aisles", "chain", "hiersrec", AISLES | NO_TEXT, True, "cold ON"),
    "aisles OFF": ("aisles", "no chain", "hiersrec", AISLES, False, ""),
    "aisles OFF, no category task":
        ("aisles", "no chain", "hiersrec", AISLES | dict(tasks="item"), False, "aisles OFF"),
    "cold OFF": ("aisles", "mute", "hiersrec", AISLES | TIED, True, ""),
    "cold OFF, no text": ("aisles", "mute", "hiersrec", AISLES | NO_TEXT, True, "cold OFF"),
}


def run(world, signal, model, fields, cold):
    """One training of world_cells."""
    texts = tuple((name, str(value)) for name, value in fields.items())
    return train(Cell(world, signal, model, texts, cold=cold))


def make(names):
    """Train, and write what is worth keeping after each."""
    users = {}
    for name in names:
        *cell, base = RUNS[name]
        found = run(*cell)
        users[name] = np.array(found["users"])
        row = {part: found[part] for part in ("ceiling", "chance", "bound", "steps", "gate")}
        row["mean"] = float(users[name].mean())
        if base:
            gap = metrics.paired_bootstrap(users[base], users[name], np.random.default_rng(0))
            row["less than " + base] = [float(x) for x in (gap.mean, gap.low, gap.high)]
        kept = (json.loads(KEPT.read_text()) if KEPT.exists() else {}) | {name: row}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        print(name, row, flush=True)


if __name__ == "__main__":
    make([name for name in RUNS if name.startswith(tuple(sys.argv[1:] or ("",)))])
