"""The kit's commands: python -m mbref cases | check | export. 0 passes, 1 fails, 2 could not run.
"""
from itertools import chain
from pathlib import Path

from mbref.check import casefile, exchange, fresh, report, run, summary
from mbref.check.apart import run_apart
from mbref.check.compare import TOLERANCE
from mbref.check.components.registry import own_functions
from mbref.data.files import write_json
from mbref.errors import InputError, require
from mbref.nn.device import open_device

# what works on the host, metrics and the ranking of candidates: not run on a device
ON_HOST = ("metrics.", "hiersrec.candidate", "hiersrec.places", "hiersrec.gap",
           "hiersrec.inject_target", "hiersrec.backfill", "hiersrec.two_level_logp")


def list_cases(options):
    """`cases`."""
    if options.version:
        return print(f"cases {casefile.manifest()['version']}")
    for case in casefile.cases(options.only):
        print(f"{case.id:40} {case.form:8} {', '.join(case.flags):28} {case.entry['equation']}")


def check(options):
    """`check`.  -> exit code."""
    if options.summary:
        return print("\n".join(summary.tabulate_class(options.summary)))
    chosen = choose_cases(options)
    known, strange = read_expected_failures(options.xfail, chosen)
    found, results = find_results(options, chosen), []
    first = next(found, None)
    where = f"results in {options.results}" if options.results else "a function in that file"
    require(first, f"none of the chosen cases has {where}: give another --only or --side.")
    for line in report.text(keep(chain([first], found), results, options.exitfirst, known), known):
        print(line, flush=True)
    left_out = list_left_out(options, chosen, results) if options.fresh is None else []
    for line in [*left_out, *explain_fresh(options, results), *strange]:
        print(line)
    write_reports(options, results, known)
    statuses = {report.find_status(result, known) for result in results}
    return int("FAIL" in statuses or options.strict and ("XPASS" in statuses or bool(strange)))


def explain_fresh(options, results):
    """How to see fresh cases that fail again.  -> lines."""
    names = sorted({result.case.component for result in results if not result.passed})
    return [f"{name} failed on cases drawn from seed {options.fresh}: python -m mbref export DIR "
            f"--fresh {options.fresh} --count {options.count} --only {name}/ writes them with the "
            "answers" for name in names if options.fresh is not None]


def choose_cases(options):
    """The cases to check: mbref itself on all forms, others on the paper's if they name none."""
    ported = options.file or options.results
    form = options.form or ("paper" if ported and options.side != "released" else "all")
    if options.fresh is None:
        return casefile.cases(options.only, options.side, form=form)
    require(not options.results, "--fresh asks functions, not --results: export draws such cases.")
    return list(fresh.draw(options.only, options.fresh, options.count, form, options.side))


def keep(found, results, exit_first, known):
    """The results that come, which are added to `results`.  -> iterator."""
    for result in found:
        results.append(result)
        yield result
        if exit_first and report.find_status(result, known) == "FAIL":
            return


def write_reports(options, results, known):
    """The files that are asked for."""
    if options.json:
        write_json(options.json, report.as_json(results, known))
    if options.junit:
        try:
            Path(options.junit).write_text(summary.as_junit(results, known))
        except OSError as error:
            raise InputError(f"cannot write {options.junit} ({error.strerror}).") from error


def list_left_out(options, chosen, results):
    """What was not checked, so that nobody takes it for checked.  -> lines."""
    done = {result.case.id for result in results}
    absent = [case for case in chosen if case.id not in done]
    ids = {case.id for case in chosen}
    others = sum(case.id not in ids for case in casefile.cases(options.only, options.side)
                 if case.component in {result.case.component for result in results})
    return [*list_absent(options, absent, results),
            *([f"{others} cases of other forms were left out: --form all takes them"]
              if others else [])]


def list_absent(options, absent, results):
    """Which of the chosen cases were not checked.  -> lines."""
    if options.results:
        strange = exchange.find_strangers(Path(options.results))
        names = report.list_names([case.id for case in absent])
        lines = [f"no results for {len(absent)} of the chosen cases: {names}"] if absent else []
        names = report.list_names(strange)
        return lines + ([f"these have no case's name: {names}"] if strange else [])
    families = {family(result.case) for result in results}
    functions = {result.case.component for result in results}
    names = sorted({case.component for case in absent if family(case) in families} - functions)
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
    if options.timeout:
        return run_apart(functions, backend, chosen, dtypes, gradients, options.timeout)
    if options.device != "cpu":
        require(backend == "numpy", "--device is for functions in NumPy, and BACKEND in that file "
                                    f"is {backend!r}.")
        open_device(options.device)
        backend = "cupy"
        functions = {name: f for name, f in functions.items() if not name.startswith(ON_HOST)}
    results = run.run(functions, backend, chosen, dtypes, gradients)
    return results if options.file else map(run.require_all, results)


def read_expected_failures(path, chosen):
    """Ids of the cases that a file's lines take in; # begins a comment.  -> set, lines that tell
    of names that there are not."""
    if path is None:
        return set(), []
    try:
        text = Path(path).read_text(encoding="utf-8")
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a text file, one case or "
                         "component a line.") from error
    lines, ids = list(filter(None, lines)), [case.id for case in casefile.cases()]
    strange = [f"{path} names {line}, which is no case: {casefile.suggest(line)}"
               for line in lines if not any(casefile.matches(id, line) for id in ids)]
    return {case.id for case in chosen for line in lines
            if casefile.matches(case.id, line)}, strange


def export(options):
    """`export`."""
    cases = casefile.cases(options.only)
    if options.fresh is not None:
        cases = list(fresh.draw(options.only, options.fresh, options.count, "all", None))
    exchange.export(Path(options.folder), cases, options.raw)
    print(f"wrote {len(cases)} cases to {options.folder}: let your program write its arrays for "
          "each, then python -m mbref check --results DIR")
