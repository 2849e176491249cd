"""The kill matrix: which cases catch which fault, and tiny_data/cases/faults.json, which keeps how."""
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
from tests.golden.shared import faults as shared, faults_attention as attention

FAMILIES = (shared, attention, optim, metrics, estimates, hmar, hmar_loss, hmar_released, atrank, atrank_groups, dmran,
            dmran_match, hiersrec, candidates, candidates_scored, hiersrec_model)
FAULTS = [Fault(name, component, function) for family in FAMILIES for component, named in family.FAULTS.items()
          for name, function in named.items()]


def result(fault, case, dtype):
    """A fault on a case.  -> run.Result. The steps of training are left out: they follow from the gradients."""
    everything = casefile.arrays(case)
    want = {name: everything[name] for name in hints.compared(case)}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fault may overflow
        try:
            return run.judge(case, want, run.offered_by(case, everything, want, fault.function, "numpy", dtype), dtype)
        except Exception as error:  # a fault may raise, as the code of its author would
            return run.failed(case, want, dtype, f"it raised {error!r}")


def errors(result):
    """Of every array of a case, as hints.error_of tells it; of those that were not returned, None.  -> list."""
    found = dict.fromkeys(result.missing) | {row.name: hints.error_of(row) for row in result.rows}
    return [found.get(name, 0) for name in hints.compared(result.case)]


def signature(fault):
    """A fault as faults.json keeps it; see hints.signatures."""
    of_component = [case for case in casefile.cases() if case.component == fault.component]
    results = {dtype: [result(fault, case, dtype) for case in of_component] for dtype in TOLERANCE}
    return {"name": fault.name, "component": fault.component} | {
        dtype: {one.case.id: errors(one) for one in found if one.failures} for dtype, found in results.items()}


def matrix(only=None):
    """Signatures of all faults, or of those of one family or component.  -> list of dict."""
    return [signature(fault) for fault in FAULTS if casefile.matches(fault.component, only)]


def renew(components, root=casefile.ROOT):
    """faults.json again, one line a fault: those of the components, and those that it does not hold yet."""
    kept = hints.signatures(root) if (root / "faults.json").exists() else []
    known = {(one["component"], one["name"]): one for one in kept}
    old = [fault for fault in FAULTS if fault.component in components or (fault.component, fault.name) not in known]
    known |= {(fault.component, fault.name): signature(fault) for fault in old}
    lines = [json.dumps(hints.in_short(known[fault.component, fault.name]), separators=(",", ":")) for fault in FAULTS]
    (root / "faults.json").write_text('{"faults": [\n' + ",\n".join(lines) + "\n]}\n")
    hints.signatures.cache_clear()


def table(found):
    """fault | component | caught by.  -> lines."""
    rows = [(one["name"], one["component"], *(caught(one, dtype) for dtype in TOLERANCE)) for one in found]
    rows = [("fault", "component", *(f"caught in {dtype} by" for dtype in TOLERANCE)), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [" | ".join((*map(str.ljust, row[:3], widths), row[3])) for row in rows]


def caught(one, dtype):
    """Names of the cases that catch a fault."""
    return ", ".join(id.partition("/")[2] for id in one[dtype]) or "NONE"


def uncaught(found):
    """Faults that pass all cases in one of the dtypes.  -> list of names."""
    return [f"{one['component']}: {one['name']}" for one in found if not all(one[dtype] for dtype in TOLERANCE)]
