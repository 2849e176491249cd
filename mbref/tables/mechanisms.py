"""Does a paper's mechanism work? On a world that needs it, and on one that does not.

The full model and the one without the mechanism are trained on the world with its signal (ON) and
without it (OFF), with several seeds and the same settings. The difference is paired over users, and
its interval is one for other users and other seeds. "way" is how far the full model comes from
chance, 0, to the ceiling, 1. The verdict is decided by the numbers.
"""
from typing import NamedTuple

import numpy as np

from mbref import metrics
from mbref.tables.reproduce import align
from mbref.tables.world_cells import MATCHED, MEASURE, Cell
from mbref.worlds.commands import WORLDS

ENOUGH = 0.8  # of the way to the ceiling
NOTHING = 0.0005  # what the table's three digits do not show
ATRANK = {"optimiser": "adam", "rate": "3e-3", "batch_size": "64", "width": "32",
          "table_width": "16", "heads": "4", "unit": "3600", "patience": "5"}  # it goes on slowly
HMAR = {"width": "32", "length": "20", "dropout": "0", "rate": "3e-3"}
DMRAN = {"batch_size": "64", "penalty": "1e-5", "redundancy": "0", "hops": "8"}
# what really trains on these small logs; the papers' own settings are those of the models
TRAINS = {
    "last": ("hmar", {**HMAR, "length": "14", "steps": "300"}),
    "counts": ("hmar", {**HMAR, "steps": "60"}),
    "kinds": ("hmar", {**HMAR, "length": "12", "dropout": "0.2", "positives": "target",
                       "theta": "5", "steps": "250", "patience": "5"}),  # which learns in leaps
    "hints": ("atrank", {**ATRANK, "length": "12", "steps": "400"}),
    "stamp": ("atrank", {**ATRANK, "rate": "5e-3", "length": "3", "steps": "450"}),
    "hops": ("dmran", {**DMRAN, "rate": "2", "width": "24", "time": "false", "length": "20",
                       "steps": "600"}),
    # without a little of the penalty some seeds of the ablation stay at chance
    "dims": ("dmran", {**DMRAN, "optimiser": "adam", "rate": "0.01", "width": "32", "length": "2",
                       "hops": "4", "redundancy": "0.02", "steps": "1000", "drop_step": "700"}),
    "aisles": ("hiersrec", {"rate": "7e-3", "batch_size": "64", "dropout": "0.2", "width": "32",
                            "item_width": "32", "category_width": "16", "projection_width": "16",
                            "length": "10", "steps": "600", "drop_step": "400"}),
}
# the other papers' models and two baselines on worlds of another paper; no world but hints and
# stamp, which they cannot read, says anything by its times
OTHERS = {
    "BPR-MF": ("bpr_mf", {"rate": "0.01"}),
    "SASRec": ("sasrec", {"rate": "3e-3", "width": "32", "length": "20", "dropout": "0.2"}),
    "ATRank": ("atrank", {**ATRANK, "length": "20", "time": "false"}),
    "DMRAN": ("dmran", {**DMRAN, "optimiser": "adam", "rate": "3e-3", "width": "32",
                        "length": "20", "time": "false"}),
    "HierSRec": ("hiersrec", {name: text for name, text in TRAINS["aisles"][1].items()
                              if name != "drop_step"}),
    "HMAR": ("hmar", HMAR),
}
OTHERS_STEPS = "300"
QUICK = ("A quick run: half of the users, a quarter of the steps, no other papers' models. That is "
         "too short for some mechanisms to show: it tries the code, the full run is the finding.")
VALIDATIONS, PATIENCE = 10, "3"  # evenly spread over the steps; so many not better end a training
HEADS = ("mechanism", "world, measure", "full", "without", "ceiling", "chance", "way",
         "difference ON", "difference OFF", "verdict")


class Mechanism(NamedTuple):
    """What is compared; fields are what differs from TRAINS of the world."""
    paper: str
    name: str
    world: str
    off: str                 # the world's signal with which the mechanism should not matter
    without: dict            # fields {field: text} of the model that lacks it
    full: dict = {}          # the same of the one that has it
    enough: float = ENOUGH
    early: str = ""          # also after so many steps
    reason: str = ""         # why it does not show, or not enough, where we know
    deaf: bool = False       # without it nothing reads what the signal changes: OFF is as ON


TIED = {"item_out": "tied", "inputs": "category+text"}  # free output weights know ids alone
MECHANISMS = (
    Mechanism("HMAR", "behaviour encoder", "last", "any", {"merge": "bypass"}),
    Mechanism("HMAR", "indicators", "counts", "none", {"indicator": "false"}),
    Mechanism("HMAR", "class loss", "kinds", "silent", {"theta": "0"}, reason="the "
              "ranking learns from buys, 5% of the events; more steps make it no better"),
    Mechanism("ATRank", "attention across groups", "hints", "item", {"read": "i2i"}),
    Mechanism("ATRank", "time", "hints", "any query", {"time": "false"}),
    Mechanism("ATRank", "self-attention", "stamp", "newest", {"self_attention": "false"}),
    Mechanism("DMRAN", "several hops", "hops", "one", {"hops": "1"}),
    Mechanism("DMRAN", "level of dimensions", "dims", "style", {"variant": "item"}),
    Mechanism("DMRAN", "redundancy penalty", "hops", "one", {}, {"redundancy": "0.01"},
              early="200", reason="it only speeds up what the hops find by themselves"),
    Mechanism("HierSRec", "category task", "aisles", "no chain", {"tasks": "item"}),
    Mechanism("HierSRec", "hierarchy, matched width", "aisles", "no chain",
              {"hier": "none", "width": MATCHED}, reason="both heads read the same encoding, "
              "whose item logits can already say log p(category) + score within the category"),
    Mechanism("HierSRec", "text for cold items", "aisles, cold", "mute",
              {**TIED, "inputs": "category"}, TIED, enough=0.75, deaf=True),
)


def cells_of(mechanism, seeds, quick=False):
    """{("ON", "OFF" or "early"; "full" or "without"): a cell a seed}."""
    parts = {"ON": ({}, ""), "OFF": ({}, mechanism.off)}
    if mechanism.early:
        parts["early"] = {"steps": mechanism.early}, ""
    sides = {"full": (mechanism.full, False), "without": (mechanism.without, mechanism.deaf)}
    return {(part, role): own_cells(mechanism.world, changes | steps, seeds, quick,
                                    "" if deaf else signal)
            for part, (steps, signal) in parts.items()
            for role, (changes, deaf) in sides.items()}


def own_cells(world, changes, seeds, quick=False, signal=""):
    """The model that a world is for, with `changes` {field: text}: a cell a seed."""
    model, fields = TRAINS[world.partition(", ")[0]]
    return cells_on(world, model, fields | changes, seeds, quick, signal)


def cells_on(world, model, fields, seeds, quick=False, signal=""):
    """One training, by the world's first signal unless said: a cell a seed."""
    name, _, cold = world.partition(", ")
    signal, users = signal or WORLDS[name].SIGNALS[0], WORLDS[name].USERS // 2 if quick else None
    whole = int(fields["steps"])
    steps = whole // 4 if quick else whole
    drop = steps * int(fields.get("drop_step", 0)) // whole
    every = max(1, steps // VALIDATIONS * (2 if quick else 1))
    fields = {"patience": PATIENCE} | fields | {
        "steps": str(steps), "evaluate_every": str(every), "drop_step": str(drop)}
    read = fields.pop("read", "a2i")
    return [Cell(name, signal, model, tuple(fields.items()), seed, bool(cold), read, users)
            for seed in range(seeds)]


# From the trainings to a row.

def compare(mechanism, cells, found):
    """One row: {"ON": figures, "OFF": figures, "verdict": words}.  found {Cell: its results}."""
    row, sides = {}, ("full", "without")
    for part in dict.fromkeys(part for part, _ in cells):
        full, without = ([found[cell] for cell in cells[part, role]] for role in sides)
        row[part] = difference(full, without)
    return row | {"measure": MEASURE[cells["ON", "full"][0].world],
                  "verdict": judge(mechanism, row)}


def difference(full, without):
    """Figures of two models with the same cases, each a list over seeds."""
    gap = metrics.bootstrap_of_seeds(*([result["users"] for result in results]
                                       for results in (full, without)), np.random.default_rng(0))
    row = {name: full[0][name] for name in ("ceiling", "chance", "bound", "coverage")}
    row |= {"difference": gap.mean, "low": gap.low, "high": gap.high}
    if row["coverage"]:
        row["coverage"] = {who: np.mean([result["coverage"][who] for result in full],
                                        axis=0).tolist() for who in row["coverage"]}
    for name, results in (("full", full), ("without", without)):
        seeds = [float(np.mean(result["users"])) for result in results]
        row[name] = {**metrics.mean_and_spread(seeds)._asdict(), "seeds": seeds,
                     "curves": [result["validation"] for result in results]}
    reach = row["ceiling"] - row["chance"]  # 0 where nothing can be foretold
    row["way"] = (row["full"]["mean"] - row["chance"]) / reach if reach > 0 else float("nan")
    return row


def judge(mechanism, row):
    """The verdict in words, which the numbers decide."""
    on, off, early = row["ON"], row["OFF"], row.get("early")
    shows, arrives = on["low"] > 0, on["way"] >= mechanism.enough
    if shows:
        words = "shows"
        if not arrives:
            words += f", but comes {on['way']:.0%} of the way, less than {mechanism.enough:.0%}"
    elif early and early["low"] > 0:
        words = f"shows only early, after {mechanism.early} steps"
    else:
        words = "does not show"
    if off["low"] > NOTHING:
        words += f"; without the signal {off['difference']:+.3f} stay"
    return words if shows and arrives or not mechanism.reason else f"{words}: {mechanism.reason}"


def cells_of_row(row):
    """A row with its "paper", "mechanism" and "world" as texts, below HEADS."""
    on = row["ON"]
    return [f"{row['paper']}: {row['mechanism']}", f"{row['world']}, {row['measure']}",
            *(mean_of(on[side]) for side in ("full", "without")), f"{on['ceiling']:.3f}",
            f"{on['chance']:.3f}", f"{on['way']:.0%}", interval(on), interval(row["OFF"]),
            row["verdict"]]


def mean_of(side):
    """A mean and, of several seeds, their spread as text."""
    spread = f" ± {side['sd']:.3f}" if len(side["seeds"]) > 1 else ""
    return f"{side['mean']:.3f}{spread}"


def table(rows):
    """The rows as text, and the notes."""
    lines = [HEADS, *map(cells_of_row, rows)]
    texts = align([cells for *cells, _ in lines]).splitlines()
    return "\n".join([*(f"{text}  {verdict}" for text, (*_, verdict)
                        in zip(texts, lines, strict=True)), *notes(rows)])


def notes(rows):
    """Sentences below the table: what an ablation could reach, and HierSRec's gate."""
    for row in rows:
        paper, name, on = row["paper"], row["mechanism"], row["ON"]
        if on["bound"]:
            yield (f"{paper}, {name}: no model that lacks it can exceed {on['bound']:.3f}; this "
                   f"one reaches {on['without']['mean']:.3f}.")
        if on["coverage"] and name == "category task":
            gate = {who: curve[0] for who, curve in on["coverage"].items()}
            yield (f"{paper}, gate: the one likeliest category, {gate['chance']:.1%} of the items, "
                   f"holds the next item in {gate['model']:.3f} of the cases; by the rule behind "
                   f"the log {gate['rule']:.3f}, by chance {gate['chance']:.3f}.")


def interval(part):
    """A difference and its interval as text."""
    return f"{part['difference']:+.3f} [{part['low']:+.3f}, {part['high']:+.3f}]"
