"""What the checker says: a line a case, more where it fails, one at the end; or all as JSON, as
JUnit XML for a build server, and a table of a class of students."""
import re
import xml.etree.ElementTree as xml
from collections import Counter
from itertools import groupby
from pathlib import Path

from mbref.check import hints
from mbref.check.casefile import is_fresh, manifest
from mbref.check.compare import group
from mbref.data.files import read_json
from mbref.errors import InputError, require

NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
BAD = ("FAIL", "xfail")
JUNIT = {"FAIL": "failure", "xfail": "skipped"}  # the others have no child
WORDS = {"ok": "pass", "FAIL": "fail", "xfail": "fail as expected",
         "XPASS": "pass though marked as failing"}


def situations(case):
    """"an empty history, several heads": what a case is about, in words."""
    return ", ".join(manifest()["flags"][flag]["situation"] for flag in case.flags)


def summarise(result, status):
    """One case on one line."""
    text = (f"{status:4} {result.case.id} [{result.dtype}]  {len(result.rows)} compared, "
            f"{len(result.not_offered)} not offered")
    if result.rows:
        worst = result.worst
        text += f"; worst {worst.name} {worst.problem or f'{worst.times:.2g} x allowed'}"
    return f"{text}; {result.note}" if result.passed and result.note else text


def details(result):
    """Why a case fails: where it goes wrong, by how much, what the case is for.  -> lines."""
    lines = [result.note] if result.note else []
    if result.wrong:
        first = result.wrong[0]
        at = result.rows.index(first)
        good = result.rows[at - 1].name if at else "(nothing before it)"
        lines += [f"last agreeing    {good}", f"first diverging  {describe_row(first)}"]
        if result.worst.name != first.name:
            lines.append(f"furthest off     {describe_row(result.worst)}")
    if result.missing:
        derived = {group(name) for name in result.missing} <= {"grads", "steps"}
        advice = "; --forward-only does without" if derived else ""
        lines.append(f"not offered      {list_names(result.missing)}{advice}")
    miscalculated = any(row.problem in ("", "not finite") for row in result.wrong)
    if miscalculated or result.note.startswith("it raised"):  # it matters what the case is for
        flags = [(name, manifest()["flags"][name]) for name in result.case.flags]
        lines += [f"{name}: {of['situation']}; catches {of['catches']}; effect: {of['effect']}"
                  for name, of in flags]
    return lines


def list_names(names, most=4):
    """The first few of many names."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def describe_row(row):
    """One array that is wrong."""
    at = f" at {list(row.index)}" if row.index else ""
    if row.problem:
        return f"{row.name}  {row.problem}{at}"
    return f"{row.name}  off by {row.error:.1e}{at}, {row.times:.2g} x allowed"


def name_faults(results):
    """The faults that components' failures look like.  -> {(component, dtype): name or None}."""
    parts = {}
    for result in results:
        parts.setdefault((result.case.component, result.dtype), []).append(result)
    return {key: hints.name_fault(part) for key, part in parts.items()
            if not all(result.passed for result in part)}


def text(results, expected_failures=()):
    """The report on results as they come, line by line; expected_failures: ids of cases."""
    done = []
    for component, several in groupby(results, lambda result: result.case.component):
        here = []
        for result in several:
            here.append(result)
            status = find_status(result, expected_failures)
            yield summarise(result, status)
            yield from (f"     {more}" for more in details(result) if status == "FAIL")
        failing = [result for result in here if result.case.id not in expected_failures]
        hints_here = dict.fromkeys(name_faults(failing).values())  # the same in both dtypes is one
        yield from (f"     {component} looks like: {hint}" for hint in hints_here if hint)
        done += here
    golden, drawn = ([result for result in done if is_fresh(result.case) == kind]
                     for kind in (False, True))
    if golden and drawn:
        yield f"fresh: {count(drawn, expected_failures)}"
    if golden:
        yield badge(golden)
    yield count(golden or drawn, expected_failures)


def badge(results):
    """A line for a README: how many cases, and components with all their cases, pass."""
    content, failing = manifest(), [result for result in results if not result.passed]
    cases, components = (len({getattr(result.case, name) for result in results}
                             - {getattr(result.case, name) for result in failing})
                         for name in ("id", "component"))
    return (f"mbref cases {content['version']}: {cases} of {len(content['cases'])}, "
            f"{components} of {len(content['components'])} components")


def find_status(result, expected_failures):
    """ok, FAIL, xfail (known to fail) or XPASS (known to fail, but passes)."""
    if result.case.id in expected_failures:
        return "XPASS" if result.passed else "xfail"
    return "ok" if result.passed else "FAIL"


def count(results, expected_failures=()):
    """How many pass, and how deep the check went."""
    counts = Counter(find_status(result, expected_failures) for result in results)
    numbers = ", ".join(f"{n} {WORDS[status]}" for status, n in counts.items())
    groups = {group(row.name) for result in results for row in result.rows}
    depth = [name for name in ("outputs", "grads", "taps", "steps") if name in groups]
    return f"{len(results)} cases: {numbers}; compared: {', '.join(depth) or 'nothing'}"


def as_json(results, expected_failures=()):
    """The same for programs.  -> list of dict, one a case."""
    known = name_faults(results)
    return [{
        "cases": manifest()["version"], "id": r.case.id, "component": r.case.component,
        "dtype": r.dtype, "fresh": is_fresh(r.case), "side": r.case.side, "form": r.case.form,
        "flags": list(r.case.flags), "status": find_status(r, expected_failures),
        "not_offered": r.not_offered, "missing": r.missing, "note": r.note,
        "looks_like": None if r.passed else known[r.case.component, r.dtype],
        "arrays": [{"name": row.name, "error": finite(row.error), "index": list(row.index),
                    "times_allowed": finite(row.times), "problem": row.problem} for row in r.rows],
    } for r in results]


def finite(x):
    """A number, or "inf": JSON has no infinity."""
    return x if x < float("inf") else "inf"


def as_junit(results, expected_failures=()):
    """One test case a case and dtype, named after them.  -> text."""
    suite = xml.Element("testsuite", name="mbref", tests=str(len(results)))
    for result in results:
        status = find_status(result, expected_failures)
        one = xml.SubElement(suite, "testcase", classname=result.case.component,
                             name=f"{result.case.id}[{result.dtype}]")
        if status in JUNIT:
            why = xml.SubElement(one, JUNIT[status], message=summarise(result, status))
            why.text = "\n".join(details(result))
    for name, child in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{child}"))))
    text = xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
    return NOT_XML.sub(lambda found: ascii(found[0])[1:-1], text)


def tabulate_class(paths):
    """A table of reports of `check --json`, a line each; InputError for another file.  -> lines."""
    lines = ["| report | cases | components | fails in |", "|---|---|---|---|"]
    for path in map(Path, paths):
        try:
            rows = [(row["id"], row["component"], row["status"]) for row in read_json(path)
                    if row["status"] in BAD or not row.get("fresh")]
            if not all(isinstance(part, str) for row in rows for part in row):
                raise TypeError("an id, component or status in it is no text")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is no report of check --json ({error}).") from error
        require(rows, f"{path} is no report of check --json (it holds no case).")
        bad = [row for row in rows if row[2] in BAD]
        ids, bad_ids = ({row[0] for row in part} for part in (rows, bad))
        names, bad_names = ({row[1] for row in part} for part in (rows, bad))
        lines.append(f"| {path.stem} | {len(ids - bad_ids)} of {len(ids)} | "
                     f"{len(names - bad_names)} of {len(names)} | "
                     f"{', '.join(sorted(bad_names)) or '-'} |")
    return lines
