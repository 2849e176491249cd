"""The commands of the kit: python -m mbref cases | check | export. 0 all pass, 1 something fails, 2 could not run."""
from pathlib import Path

from mbref.check import casefile, exchange, report, run
from mbref.check.compare import TOLERANCE
from mbref.device.device import open_device
from mbref.errors import InputError, require


def list_cases(options):
    """`cases`."""
    for case in casefile.cases(options.only):
        print(f"{case.id:40} {case.side:9} {', '.join(case.flags):28} {case.entry['equation']}")


def check(options):
    """`check`.  -> exit code."""
    chosen = casefile.cases(options.only, options.side)
    known = expected_failures(options.xfail, chosen)
    results = list(results_of(options, chosen))
    where = f"results in {options.results}" if options.results else "a function in that file"
    require(results, f"none of the chosen cases has {where}: give another --only or --side.")
    for line in [*report.text(results, known), *left_out(options, chosen, results)]:
        print(line)
    if options.json:
        write(options.json, report.as_json(results, known))
    return int(any(not r.passed and r.case.id not in known for r in results))


def left_out(options, chosen, results):
    """What was not checked, so that nobody takes it for checked.  -> lines."""
    done = {result.case.id for result in results}
    if options.results:
        absent, strange = [case.id for case in chosen if case.id not in done], exchange.strangers(Path(options.results))
        lines = [f"no results for {len(absent)} of the chosen cases: {report.listed(absent)}"] if absent else []
        return lines + ([f"these have no case's name: {report.listed(strange)}"] if strange else [])
    families = {result.case.component.partition(".")[0] for result in results}
    absent = {case.component for case in chosen if case.id not in done
              and case.component.partition(".")[0] in families}
    return [f"no function for {report.listed(sorted(absent))}"] if absent and options.file else []


def results_of(options, chosen):
    """Results of a file of functions, of a folder of arrays, or of mbref itself."""
    require(not (options.file and options.results), "give either a file of functions or --results, not both.")
    from mbref.check.components.registry import own_functions  # brings every model

    dtypes, gradients = options.dtype or sorted(TOLERANCE, reverse=True), not options.forward_only
    if options.results:
        require(len(dtypes) == 1 or not options.dtype, "with --results give one --dtype: that of the results.")
        return exchange.compare_results(Path(options.results), chosen, (options.dtype or ["float64"])[0], gradients)
    functions, backend = run.load_implementation(options.file) if options.file else (own_functions(), "numpy")
    if options.device != "cpu":
        require(backend == "numpy", f"--device is for functions in NumPy, and BACKEND in that file is {backend!r}.")
        open_device(options.device)
        functions, backend = for_device(functions), "cupy"
    return run.run(functions, backend, chosen, dtypes, gradients)


def for_device(functions):
    """What may run on a device: not the metrics and the ranking of candidates, which work where the scores come to."""
    on_host = ("metrics.", *(f"hiersrec.{name}" for name in (
        "candidate", "places", "gap", "inject_target", "backfill", "two_level_logp")))
    return {name: function for name, function in functions.items() if not name.startswith(on_host)}


def expected_failures(path, chosen):
    """Ids of the cases that a file's lines take in; # begins a comment.  -> set."""
    if path is None:
        return set()
    try:
        lines = [line.partition("#")[0].strip() for line in Path(path).read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a text file, one case or component a line.") from error
    return {case.id for case in chosen for line in lines if line and casefile.matches(case.id, line)}


def export(options):
    """`export`."""
    count = exchange.export(Path(options.folder), casefile.cases(options.only), options.raw)
    print(f"wrote {count} cases to {options.folder}: let your program write its arrays for each, then "
          "python -m mbref check --results DIR")


def write(path, text):
    """A text file. Raises InputError if it cannot be written."""
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another file.") from error
