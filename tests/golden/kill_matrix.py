"""The kill matrix: which cases catch which fault, and tiny_data/cases/faults.json.gz, which keeps
how."""
import gzip
import json
import warnings

import numpy as np

from mbref.check import casefile, hints, run
from mbref.check.compare import TOLERANCE
from tests.golden.atrank import faults as atrank
from tests.golden.atrank_groups import faults as atrank_groups
from tests.golden.candidates import faults as candidates, faults_scored as candidates_scored
from tests.golden.dmran import faults as dmran, faults_match as dmran_match
from tests.golden.estimates import faults as estimates
from tests.golden.fault import Fault
from tests.golden.hiersrec import faults as hiersrec, faults_model as hiersrec_model
from tests.golden.hmar import faults as hmar, faults_loss as hmar_loss
from tests.golden.hmar_released import faults as hmar_released
from tests.golden.metrics import faults as metrics
from tests.golden.optim import faults as optim
from tests.golden.shared import (
    faults as shared,
    faults_attention as attention,
    faults_bounds as bounds,
    faults_kinds as kinds,
    faults_large as large,
    faults_more as more,
    faults_ported as ported,
    faults_ported_more as ported_more,
    faults_reach as reach,
    faults_sizes as sizes,
)

FAMILIES = (shared, attention, optim, metrics, estimates, hmar, hmar_loss, hmar_released, atrank,
            atrank_groups, dmran, dmran_match, hiersrec, candidates, candidates_scored,
            hiersrec_model, large, sizes, ported, ported_more, more, kinds, reach, bounds)
FAULTS = [Fault(name, component, function) for family in FAMILIES
          for component, faults in family.FAULTS.items() for name, function in faults.items()]


def run_fault(fault, case, dtype):
    """A fault on a case, without the steps of training, which follow from the gradients."""
    everything = casefile.arrays(case)
    want = {name: everything[name] for name in hints.array_names(case)}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fault may overflow
        try:
            got = run.compute(case, everything, want, fault.function, "numpy", dtype)
        except Exception as error:  # a fault may raise, as the code of its author would
            return run.fail(case, dtype, True, f"it raised {error!r}")
        return run.judge(case, want, got, dtype)


def list_errors(result):
    """hints.round_error of every array of a case; None of those that were not returned."""
    found = dict.fromkeys(result.missing)
    found |= {row.name: hints.round_error(row) for row in result.rows}
    return [found.get(name, 0) for name in hints.array_names(result.case)]


def signature(fault):
    """How a fault shows, as one of hints.signatures."""
    cases = [case for case in casefile.cases() if case.component == fault.component]
    results = {dtype: [run_fault(fault, case, dtype) for case in cases if run.is_for(case, dtype)]
               for dtype in TOLERANCE}
    errors = {dtype: {one.case.id: list_errors(one) for one in found if one.failures}
              for dtype, found in results.items()}
    return {"name": fault.name, "component": fault.component} | errors


def make_matrix(only=None):
    """Signatures of all faults, or of those of one family or component.  -> list of dict."""
    return [signature(fault) for fault in FAULTS if casefile.matches(fault.component, only)]


def renew(components, root=casefile.ROOT):
    """Write faults.json.gz again: faults of the components, and those that it does not hold yet."""
    kept = hints.signatures(root) if (root / hints.FILE).exists() else []
    known = {(one["component"], one["name"]): one for one in kept}
    lines = []
    for fault in FAULTS:  # one line a fault
        one = known.get((fault.component, fault.name))
        one = signature(fault) if one is None or fault.component in components else one
        lines.append(json.dumps(shorten(one), separators=(",", ":")))
    text = '{"faults": [\n' + ",\n".join(lines) + "\n]}\n"
    (root / hints.FILE).write_bytes(gzip.compress(text.encode(), mtime=0))
    hints.signatures.cache_clear()


def shorten(one):
    """A fault as faults.json.gz has it, which hints.lengthen reads."""
    twice = one["float64"]
    single = {case: None if is_same(twice.get(case, []), errors) else errors
              for case, errors in one["float32"].items()}
    return one | {dtype: {case.partition("/")[2]: errors for case, errors in found.items()}
                  for dtype, found in (("float64", twice), ("float32", single))}


def is_same(a, b):
    """Do two lists of errors say that the same arrays are wrong, by as much?"""
    return len(a) == len(b) and all(map(hints.alike, a, b))


def table(found):
    """fault | component | caught by.  -> lines."""
    rows = [("fault", "component", *(f"caught in {dtype} by" for dtype in TOLERANCE))]
    rows += [(one["name"], one["component"], *(name_cases(one[dtype]) for dtype in TOLERANCE))
             for one in found]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [" | ".join((*map(str.ljust, row[:3], widths), row[3])) for row in rows]


def name_cases(ids):
    """The cases that catch a fault, without their component."""
    return ", ".join(id.partition("/")[2] for id in ids) or "NONE"


def find_missed(found):
    """Faults that pass all cases in one of the dtypes.  -> list of names."""
    return [f"{one['component']}: {one['name']}" for one in found
            if not all(one[dtype] for dtype in TOLERANCE)]
