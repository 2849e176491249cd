"""What the checker says: one line a case, some more where it fails, one line at the end; or all of it as JSON."""
import json

from mbref.check import hints
from mbref.check.compare import group
from mbref.check.flags import FLAGS


def situations(case):
    """"an empty history, several heads": what a case is about, in words."""
    return ", ".join(FLAGS[flag].situation for flag in case.flags)


def line(result, status):
    """One case on one line."""
    worst = max(result.rows, key=lambda row: row.times, default=None)
    name, compared = f"{result.case.id} [{result.dtype}]", len(result.rows)
    text = f"{status} {name}  {compared} compared, {len(result.not_offered)} not offered"
    text += f"; worst {worst.name} {worst.problem or f'{worst.times:.2g} x allowed'}" if worst else ""
    return f"{text}; {result.note}" if result.passed and result.note else text


def details(result):
    """Why a case fails: where it goes wrong, by how much, and what the case is for.  -> list of lines."""
    bad = next((i for i, row in enumerate(result.rows) if not row.times <= 1), None)
    lines = [result.note] if result.note else []
    if bad is not None:
        good = result.rows[bad - 1].name if bad else "(nothing before it)"
        lines += [f"last agreeing    {good}", f"first diverging  {told(result.rows[bad])}"]
        worst = max(result.rows, key=lambda row: row.times)
        lines += [f"furthest off     {told(worst)}"] if worst.name != result.rows[bad].name else []
    if result.missing:
        derived = {group(name) for name in result.missing} <= {"grads", "steps"}
        advice = "; --forward-only does without" if derived else ""
        lines.append(f"not offered      {listed(result.missing)}{advice}")
    return lines + [f"{flag}: {FLAGS[flag].situation}; catches {FLAGS[flag].catches}; effect: {FLAGS[flag].effect}"
                    for flag in result.case.flags if speaks_of_numbers(result)]


def speaks_of_numbers(result):
    """Did it compute something wrong, or raise, so that it matters what the case is for?"""
    wrong = [row for row in result.rows if not row.times <= 1]
    return result.note.startswith("it raised") or any(row.problem in ("", "not finite") for row in wrong)


def listed(names, most=4):
    """The first few of many names."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def told(row):
    """One array that is wrong."""
    if row.problem:
        return f"{row.name}  {row.problem}" + (f" at {list(row.index)}" if row.index else "")
    return f"{row.name}  off by {row.error:.1e} at {list(row.index)}, {row.times:.2g} x allowed"


def known_faults(results):
    """The fault that each component's failures look like.  -> {(component, dtype): name or None}."""
    failing = {(r.case.component, r.dtype) for r in results if not r.passed}
    return {key: hints.looks_like([r for r in results if (r.case.component, r.dtype) == key]) for key in failing}


def text(results, expected_failures=(), quiet=False):
    """The whole report.  expected_failures: ids of cases that are known to fail.  -> lines."""
    known, lines, hinted = known_faults(results), [], set()
    for result in results:
        xfail = result.case.id in expected_failures
        status = status_of(result, xfail)
        if not quiet or status in ("FAIL", "XPASS"):
            lines.append(line(result, status))
        if status == "FAIL":
            lines += [f"     {more}" for more in details(result)]
            key = (result.case.component, result.dtype)
            if known[key] and key not in hinted:
                hinted.add(key)
                lines.append(f"     looks like: {known[key]}")
    return [*lines, summary(results, expected_failures)]


def status_of(result, xfail):
    """ok, FAIL, xfail (known to fail) or XPASS (known to fail, but passes)."""
    return ("XPASS" if xfail else "ok  ") if result.passed else ("xfail" if xfail else "FAIL")


def summary(results, expected_failures=()):
    """How many pass, and how deep the check went."""
    counts = {}
    for result in results:
        status = status_of(result, result.case.id in expected_failures).strip()
        counts[status] = counts.get(status, 0) + 1
    words = {"ok": "pass", "FAIL": "fail", "xfail": "fail as expected", "XPASS": "pass though marked as failing"}
    told = ", ".join(f"{n} {words[status]}" for status, n in counts.items())
    groups = {group(row.name) for result in results for row in result.rows}
    depth = [name for name in ("outputs", "grads", "taps", "steps") if name in groups]
    return f"{len(results)} cases: {told}; compared: {', '.join(depth) or 'nothing'}"


def as_json(results, expected_failures=()):
    """The same for programs.  -> text."""
    known = known_faults(results)
    return json.dumps([{
        "id": r.case.id, "component": r.case.component, "dtype": r.dtype, "side": r.case.side,
        "flags": list(r.case.flags), "status": status_of(r, r.case.id in expected_failures).strip(),
        "not_offered": r.not_offered, "missing": r.missing, "note": r.note,
        "looks_like": None if r.passed else known[r.case.component, r.dtype],
        "arrays": [{"name": row.name, "error": finite(row.error), "index": list(row.index),
                    "times_allowed": finite(row.times), "problem": row.problem} for row in r.rows],
    } for r in results], indent=1) + "\n"


def finite(x):
    """JSON has no infinity."""
    return x if x < float("inf") else "inf"
