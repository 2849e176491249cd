"""Name what arrays that are wrong look like: faults.json.gz says which cases known faults fail, and
by how much; the faults themselves stand in tests/golden."""
from functools import cache

from mbref.check import casefile
from mbref.check.compare import REDUCED
from mbref.check.run import RANDOM

ALIKE = 1.02       # errors of one fault in two implementations differ by rounding alone
MOSTLY = 0.9       # share of the wrong arrays that must be off by as much as the fault makes them
TIMES = 3          # by how much the errors of the same arrays may differ, to be called the same
MOST_NAMES = 3     # what looks like more faults than this looks like none
INF = float("inf")
FILE = "faults.json.gz"


@cache
def signatures(root=casefile.ROOT):
    """How every known fault shows.  -> list of {"name", "component", dtype: {case: errors}}.

    The errors of the arrays of a case that it fails, see round_error, are in the order of
    `array_names`. Raises InputError if the file is missing or damaged.
    """
    return list(map(lengthen, casefile.read_json(root / FILE, ("faults",))["faults"]))


def lengthen(one):
    """A fault of the file, where cases lack their component, and float32 is null if as float64."""
    double, single = ({f"{one['component']}/{case}": errors for case, errors in one[dtype].items()}
                      for dtype in ("float64", "float32"))
    single = {case: errors or double[case] for case, errors in single.items()}
    return one | {"float64": double, "float32": single}


def array_names(case):
    """The arrays that faults are known by, in order: no steps, which follow from gradients."""
    return [name for name in casefile.answers(casefile.arrays(case))
            if not name.startswith("steps/")]


def wrong_arrays(errors, names):
    """What a fault makes wrong in the cases of {id: names}.  -> {(case id, array): error}."""
    return {(case, name): error for case in names if case in errors
            for name, error in zip(names[case], errors[case], strict=False) if error != 0}


def name_fault(results):
    """The known fault, or two or three, that one component's results look like, or None.

    results: run.Result of every case that was run in one dtype, also of those that pass. First
    those faults that make the arrays wrong by as much; if there is none, with a remark those that
    make the same arrays wrong, unless these are all there are: by nearly as much, or at all. What
    is random, or rounded to few digits, looks like nothing.
    """
    component, dtype = results[0].case.component, results[0].dtype
    if dtype in REDUCED or any(result.note == RANDOM for result in results):
        return None
    seen = {(r.case.id, row.name): round_error(row) for r in results for row in r.rows
            if not row.name.startswith("steps/")}
    names = {r.case.id: array_names(r.case) for r in results}
    known = {fault["name"]: wrong_arrays(fault[dtype], names)
             for fault in signatures() if fault["component"] == component}
    failing = kinds(seen)
    if not failing:
        return None
    found = [name for name, wrong in known.items() if agreement(seen, wrong) >= MOSTLY]
    remark = ""
    if not found and len(failing) < len(seen):
        same = [name for name, wrong in known.items()
                if failing == kinds({key: wrong.get(key, 0) for key in seen})]
        sizes = {key: error for key, error in seen.items() if isinstance(error, float)}
        near = [name for name in same
                if all(alike(sizes[key], known[name][key], TIMES) for key in sizes)]
        found, remark = near or same, "the same arrays, by another size: "
    return remark + " or ".join(found) if 0 < len(found) <= MOST_NAMES else None


def kinds(errors):
    """Of the arrays that are wrong, are they no numbers at all?  -> {(case id, array): bool}."""
    return {key: error is None for key, error in errors.items() if error != 0}


def round_error(row):
    """How wrong an array (compare.Row) is: 0 if right, else its largest error, of three digits.

    Whole numbers, of which many are off by 1: [error, where]. None if there is no such number: not
    finite, another shape.
    """
    if row.times <= 1:
        return 0
    if row.error == INF:
        return None
    error = float(f"{row.error:.2e}")
    return [error, *row.index] if row.times == INF else error


def agreement(seen, wrong):
    """Share of the arrays wrong in `seen` or in `wrong` that are wrong by as much.  -> 0 .. 1."""
    either = [alike(error, wrong.get(key, 0)) for key, error in seen.items()
              if error != 0 or key in wrong]
    return sum(either) / max(len(either), 1)


def alike(a, b, times=ALIKE):
    """Are two errors within a factor of each other, or the same if they are no numbers?"""
    sizes = isinstance(a, float) and isinstance(b, float)
    return max(a, b) <= times * min(a, b) if sizes else a == b
