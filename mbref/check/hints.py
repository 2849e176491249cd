"""What the arrays that are wrong look like: the known faults whose traces tiny_data/cases/faults.json keeps.

The faults themselves stand in tests/golden; of each, the file says which cases it fails and by how much.
"""
from functools import cache

from mbref.check import casefile

DTYPES = ("float64", "float32")
ALIKE = 0.02       # errors of the same fault in two implementations differ by rounding alone
MOSTLY = 0.9       # share of the wrong arrays that must be off by as much as the fault makes them
MOST_NAMES = 3     # what looks like more faults than this looks like none
INF = float("inf")


@cache
def signatures(root=casefile.ROOT):
    """What is kept of every fault.  -> list of {"name", "component", dtype: {case: errors of its arrays}}.

    The errors, see error_of, are in the order of `compared`. Cases that a fault passes are left out.
    Raises InputError if the file is missing or damaged.
    """
    return [in_full(one) for one in casefile.read_json(root / "faults.json", ("faults",))["faults"]]


def in_full(one):
    """A fault from the file: there cases go without their component, and float32's errors are null where float64's."""
    both = {dtype: {f"{one['component']}/{case}": errors for case, errors in one[dtype].items()} for dtype in DTYPES}
    return one | both | {"float32": {case: errors or both["float64"][case] for case, errors in both["float32"].items()}}


def in_short(one):
    """The same the other way."""
    twice = one["float64"]
    single = {case: None if case in twice and all(map(alike, errors, twice[case])) else errors
              for case, errors in one["float32"].items()}
    return one | {dtype: {case.partition("/")[2]: errors for case, errors in found.items()}
                  for dtype, found in zip(DTYPES, (twice, single), strict=True)}


def compared(case):
    """Names of the arrays that faults are known by, in the order of the case. Steps follow from gradients.  -> list."""
    return [name for name in casefile.expected(casefile.arrays(case)) if not name.startswith("steps/")]


def shown_by(errors, arrays):
    """What a fault makes wrong in some cases, whose arrays are given by id.  -> {(case id, array): error}."""
    return {(case, name): error for case, names in arrays.items() if case in errors
            for name, error in zip(names, errors[case], strict=False) if error != 0}


def looks_like(results):
    """The known fault, or two or three, that the results of one component in one dtype look like, or None.

    results: run.Result of every case that was run, also of those that pass. First those faults that make the arrays
    wrong by as much; if there is none, those that make the same arrays wrong, unless these are all there are.
    """
    component, dtype = results[0].case.component, results[0].dtype
    rows = [(r.case.id, row) for r in results for row in r.rows if not row.name.startswith("steps/")]
    seen = {(case, row.name): error_of(row) for case, row in rows}
    arrays = {r.case.id: compared(r.case) for r in results}
    known = {fault["name"]: shown_by(fault[dtype], arrays) for fault in signatures() if fault["component"] == component}
    failing = broken(seen)
    if not failing:
        return None
    names = [name for name, wrong in known.items() if agreement(seen, wrong) >= MOSTLY]
    if not names and len(failing) < len(seen):
        names = [name for name, wrong in known.items() if failing == broken({key: wrong.get(key, 0) for key in seen})]
    return " or ".join(names) if 0 < len(names) <= MOST_NAMES else None


def broken(errors):
    """The arrays that are wrong, and whether they are numbers at all.  -> {(case id, array): bool}."""
    return {key: error is None for key, error in errors.items() if error != 0}


def error_of(row):
    """How wrong an array (compare.Row) is: 0 if it is right, else its largest absolute error, of three digits.

    Whole numbers, of which many are off by 1: [error, where]. None if there is no such number: not finite, another
    shape.
    """
    if row.times <= 1:
        return 0
    if row.error == INF:
        return None
    error = float(f"{row.error:.2e}")
    return [error, *row.index] if row.times == INF else error


def agreement(seen, wrong):
    """Share of the arrays, of those that are wrong in `seen` or in `wrong`, that are wrong by as much.  -> 0 .. 1."""
    either = [(error, wrong.get(key, 0)) for key, error in seen.items() if error != 0 or key in wrong]
    return sum(alike(*pair) for pair in either) / max(len(either), 1)


def alike(a, b):
    """Are two errors the same but for rounding?"""
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= ALIKE * max(a, b)
    return a == b
