"""Reports for other programs: JUnit XML for a build server, a table of a class of students."""
import json
import xml.etree.ElementTree as xml
from pathlib import Path

from mbref.check import report
from mbref.errors import InputError

JUNIT = {"FAIL": "failure", "xfail": "skipped"}  # the others have no child


def as_junit(results, expected_failures=()):
    """One test case a case and dtype, named after them.  -> text."""
    suite = xml.Element("testsuite", name="mbref", tests=str(len(results)))
    counts = dict.fromkeys(JUNIT.values(), 0)
    for result in results:
        status = report.find_status(result, expected_failures)
        one = xml.SubElement(suite, "testcase", classname=result.case.component,
                             name=f"{result.case.id}[{result.dtype}]")
        if status in JUNIT:
            counts[JUNIT[status]] += 1
            why = xml.SubElement(one, JUNIT[status], message=report.summarise(result, status))
            why.text = "\n".join(report.details(result))
    suite.attrib |= {"failures": str(counts["failure"]), "skipped": str(counts["skipped"])}
    return xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def tabulate_class(paths):
    """A table of reports of `check --json`, a line each, with the components that fail.  -> lines.

    Raises InputError for a file that is no such report.
    """
    lines = ["| report | cases | components | fails in |", "|---|---|---|---|"]
    for path in map(Path, paths):
        rows = read_report(path)
        ids, components = ({row[name] for row in rows} for name in ("id", "component"))
        bad = [row for row in rows if row["status"] in ("FAIL", "xfail")]
        wrong = {row["id"] for row in bad}, {row["component"] for row in bad}
        lines.append(f"| {path.stem} | {len(ids - wrong[0])} of {len(ids)} | "
                     f"{len(components - wrong[1])} of {len(components)} | "
                     f"{', '.join(sorted(wrong[1])) or '-'} |")
    return lines


def read_report(path):
    """The rows of one report."""
    try:
        rows = json.loads(path.read_text())
        for row in rows:
            row["id"], row["component"], row["status"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no report of check --json ({error}).") from error
    return rows
