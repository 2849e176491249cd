"""The kit's commands: python -m mbref cases | check | export. 0 passes, 1 fails, 2 could not run.
"""
from pathlib import Path

from mbref.check import casefile, exchange, report, run
from mbref.check.compare import TOLERANCE
from mbref.check.components.registry import own_functions
from mbref.data.files import write_json
from mbref.device.device import open_device
from mbref.errors import InputError, require

# what works on the host, metrics and the ranking of candidates: not run on a device
ON_HOST = ("metrics.", "hiersrec.candidate", "hiersrec.places", "hiersrec.gap",
           "hiersrec.inject_target", "hiersrec.backfill", "hiersrec.two_level_logp")


def list_cases(options):
    """`cases`."""
    for case in casefile.cases(options.only):
        print(f"{case.id:40} {case.side:9} {', '.join(case.flags):28} {case.entry['equation']}")


def check(options):
    """`check`.  -> exit code."""
    chosen = casefile.cases(options.only, options.side)
    known = read_expected_failures(options.xfail, chosen)
    results = list(find_results(options, chosen))
    where = f"results in {options.results}" if options.results else "a function in that file"
    require(results, f"none of the chosen cases has {where}: give another --only or --side.")
    for line in [*report.text(results, known), *list_left_out(options, chosen, results)]:
        print(line)
    if options.json:
        write_json(options.json, report.as_json(results, known))
    return int(any(not r.passed and r.case.id not in known for r in results))


def list_left_out(options, chosen, results):
    """What was not checked, so that nobody takes it for checked.  -> lines."""
    done = {result.case.id for result in results}
    absent = [case for case in chosen if case.id not in done]
    if options.results:
        strange = exchange.find_strangers(Path(options.results))
        names = report.list_names([case.id for case in absent])
        lines = [f"no results for {len(absent)} of the chosen cases: {names}"] if absent else []
        names = report.list_names(strange)
        return lines + ([f"these have no case's name: {names}"] if strange else [])
    families = {family(result.case) for result in results}
    names = sorted({case.component for case in absent if family(case) in families})
    return [f"no function for {report.list_names(names)}"] if names and options.file else []


def family(case):
    """"hmar" of "hmar.code"."""
    return case.component.partition(".")[0]


def find_results(options, chosen):
    """Results of a file of functions, of a folder of arrays, or of mbref itself.  -> iterator."""
    require(not (options.file and options.results),
            "give either a file of functions or --results, not both.")
    dtypes, gradients = options.dtype or sorted(TOLERANCE, reverse=True), not options.forward_only
    if options.results:
        require(len(dtypes) == 1 or not options.dtype,
                "with --results give one --dtype: that of the results.")
        dtype = options.dtype[0] if options.dtype else "float64"
        return exchange.compare_results(Path(options.results), chosen, dtype, gradients)
    if options.file:
        functions, backend = run.load_implementation(options.file)
    else:
        functions, backend = own_functions(), "numpy"
    if options.device != "cpu":
        require(backend == "numpy", "--device is for functions in NumPy, and BACKEND in that file "
                                    f"is {backend!r}.")
        open_device(options.device)
        backend = "cupy"
        functions = {name: f for name, f in functions.items() if not name.startswith(ON_HOST)}
    return run.run(functions, backend, chosen, dtypes, gradients)


def read_expected_failures(path, chosen):
    """Ids of the cases that a file's lines take in; # begins a comment.  -> set."""
    if path is None:
        return set()
    try:
        text = Path(path).read_text(encoding="utf-8")
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a text file, one case or "
                         "component a line.") from error
    return {case.id for case in chosen for line in lines
            if line and casefile.matches(case.id, line)}


def export(options):
    """`export`."""
    cases = casefile.cases(options.only)
    exchange.export(Path(options.folder), cases, options.raw)
    print(f"wrote {len(cases)} cases to {options.folder}: let your program write its arrays for "
          "each, then python -m mbref check --results DIR")
