"""The kit's commands: python -m mbref cases | check | export (0 passes, 1 fails, 2 cannot run)."""
from itertools import chain
from pathlib import Path

from mbref.check import casefile, exchange, fresh, report, run
from mbref.check.compare import REDUCED, TOLERANCE
from mbref.check.components.reading import own_functions
from mbref.data.files import require_apart, write_json, write_whole
from mbref.errors import InputError, require
from mbref.nn.device import open_device

# what works on the host, metrics and the ranking of candidates: not run on a device
ON_HOST = ("metrics.", "hiersrec.candidate", "hiersrec.places", "hiersrec.gap",
           "hiersrec.inject_target", "hiersrec.backfill", "hiersrec.two_level_logp")


def list_cases(options):
    """`cases`."""
    if options.version:
        return print(f"cases {casefile.manifest()['version']}")
    chosen = casefile.cases(options.only)
    for case in chosen:
        print(f"{case.id:40} {case.form:8} {', '.join(case.flags):28} {case.entry['equation']}")
    if options.only:
        for name in dict.fromkeys(case.component for case in chosen):
            first = next(case for case in chosen if case.component == name)
            print(f"\n{name}: {casefile.manifest()['components'][name]['about']}")
            print(f"Arrays of {first.id}: {describe_given(first)}")


def describe_given(case):
    """Names and shapes of what a case gives."""
    return ", ".join(f"{name} {list(a.shape)}" for name, a in casefile.arrays(case).items()
                     if name.startswith(("inputs", "params")))


def check(options):
    """`check`.  -> exit code."""
    if options.summary:
        return print("\n".join(report.tabulate_class(options.summary)))
    require(options.count is None or options.file or options.fresh is not None,
            "--count is of fresh cases: give a file of functions, or --fresh SEED.")
    require(options.xfail or not options.strict, "--strict is of --xfail: give its file.")
    require_apart(options.json, [options.file, options.xfail, options.junit])
    require_apart(options.junit, [options.file, options.xfail])
    chosen = choose_cases(options)
    known, strange = read_expected_failures(options)
    found, results = find_results(options, chosen), []
    first = next(found, None)
    where = f"results in {options.results}" if options.results else "a function in that file"
    require(first, f"none of the chosen cases has {where}: give another --only or --side.")
    for line in report.text(keep(chain([first], found), results, options.exitfirst, known), known):
        print(line, flush=True)
    left_out = list_left_out(options, chosen, results) if options.fresh is None else []
    for line in [*left_out, *explain_fresh(options, results), *strange]:
        print(line)
    if options.json:
        write_json(options.json, report.as_json(results, known))
    if options.junit:
        text = report.as_junit(results, known).encode("utf-8")
        write_whole(options.junit, lambda file: file.write(text))
    statuses = {report.find_status(result, known) for result in results}
    return int("FAIL" in statuses or options.strict and ("XPASS" in statuses or bool(strange)))


def explain_fresh(options, results):
    """How to see fresh cases that fail again.  -> lines."""
    names = sorted({result.case.component for result in results
                    if not result.passed and casefile.is_fresh(result.case)})
    return [fresh.explain(name, options.fresh or 0, count_fresh(options), choose_form(options),
                          options.side) for name in names]


def count_fresh(options):
    """How many fresh cases of a component are asked for."""
    usual = 1 if options.fresh is not None else fresh.COUNT
    return usual if options.count is None else options.count


def choose_form(options):
    """The form of the cases: mbref itself is checked on all, others on the paper's."""
    ported = options.file or options.results
    return options.form or ("paper" if ported and options.side != "released" else "all")


def choose_cases(options):
    """The cases to check, of files or of a seed."""
    form = choose_form(options)
    if options.fresh is None:
        return casefile.cases(options.only, options.side, form=form)
    require(not options.results, "--fresh asks functions, not --results: export draws such cases.")
    count = count_fresh(options)
    return list(fresh.draw(options.only, options.fresh, count, form, options.side))


def draw_more(options, chosen, functions, dtypes):
    """Fresh cases that follow those of files, of components that a file has.  -> iterator.

    None follow where --only names a single case, or in types whose tolerance is measured.
    """
    single = any(not name.endswith("/") and "/" in name for name in options.only or ())
    if options.fresh is not None or not options.file or single or set(REDUCED) & set(dtypes):
        return iter(())
    names = dict.fromkeys(f"{case.component}/" for case in chosen if case.component in functions)
    return fresh.draw(list(names), 0, count_fresh(options), choose_form(options), options.side)


def keep(found, results, exit_first, known):
    """The results that come, which are added to `results`.  -> iterator."""
    for result in found:
        results.append(result)
        yield result
        if exit_first and report.find_status(result, known) == "FAIL":
            return


def list_left_out(options, chosen, results):
    """What was not checked, so that nobody takes it for checked.  -> lines."""
    done, lines = {result.case.id for result in results}, []
    functions = {result.case.component for result in results}
    absent = [case for case in chosen if case.id not in done]
    if options.results and absent:
        names = report.list_names([case.id for case in absent])
        lines.append(f"no results for {len(absent)} of the chosen cases: {names}")
    strange = exchange.find_strangers(Path(options.results)) if options.results else []
    if strange:
        lines.append(f"these have no case's name: {report.list_names(strange)}")
    misspelt = casefile.find_misspelt(options.file) if options.file else {}
    lines += [f"no component is called {name}: did you mean {meant}?"
              for name, meant in misspelt.items()]
    families = {name.partition(".")[0] for name in functions}
    names = {case.component for case in absent} - functions
    names = sorted(name for name in names if name.partition(".")[0] in families)
    if names and options.file:
        lines.append(f"no function for {report.list_names(names)}")
    ids = {case.id for case in chosen}
    others = sum(case.id not in ids and case.component in functions
                 for case in casefile.cases(options.only, options.side))
    if others:
        lines.append(f"{others} cases of other forms were left out: --form all takes them")
    return lines


def find_results(options, chosen):
    """Results of a file of functions, of a folder of arrays, or of mbref itself.  -> iterator."""
    require(not (options.file and options.results),
            "give either a file of functions or --results, not both.")
    gradients = not options.forward_only
    if options.results:
        dtypes = options.dtype or ["float64"]
        require(len(dtypes) == 1, "with --results give one --dtype: that of the results.")
        return exchange.compare_results(Path(options.results), chosen, dtypes[0], gradients)
    dtypes, file = options.dtype or list(TOLERANCE), options.file
    functions, backend = run.load_implementation(file) if file else (own_functions(), "numpy")
    run.refuse_rounding(backend, dtypes)
    if options.timeout:
        more = draw_more(options, chosen, functions, dtypes)
        return chain.from_iterable(
            run.run_apart(functions, backend, cases, dtypes, gradients, options.timeout)
            for cases in (chosen, more))
    if options.device != "cpu":
        require(backend == "numpy", "--device is for functions in NumPy, and BACKEND in that file "
                                    f"is {backend!r}.")
        open_device(options.device)
        backend = "cupy"
        functions = {name: f for name, f in functions.items() if not name.startswith(ON_HOST)}
    results = run.run(functions, backend, chosen, dtypes, gradients)
    if options.file:
        more = draw_more(options, chosen, functions, dtypes)
        return chain(results, run.run(functions, backend, more, dtypes, gradients))
    # mbref itself has all the taps that it asks for
    return (result._replace(missing=result.not_offered) for result in results)


def read_expected_failures(options):
    """Ids of the cases that a file's lines take in; # begins a comment.  -> set, lines that tell
    of names that there are not."""
    path = options.xfail
    if path is None:
        return set(), []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a text file, one case or "
                         "component a line.") from error
    names = {line.partition("#")[0].strip() for line in lines} - {""}
    ids = [case.id for case in casefile.cases()] + [
        f"{name}/fresh-{options.fresh or 0}-{number}" for name in casefile.manifest()["components"]
        for number in range(count_fresh(options))]
    found = {name: {id for id in ids if casefile.matches(id, name)} for name in sorted(names)}
    return set().union(*found.values()), [
        f"{path} names {name}, which is no case: {casefile.suggest(name)}"
        "python -m mbref cases lists them."
        for name, ids in found.items() if not ids]


def export(options):
    """`export`."""
    cases = casefile.cases(options.only, options.side, form=options.form or "all")
    if options.fresh is not None:
        form, count = options.form or "all", count_fresh(options)
        cases = list(fresh.draw(options.only, options.fresh, count, form, options.side))
    exchange.export(Path(options.folder), cases, options.raw)
    print(f"wrote {len(cases)} cases to {options.folder}: let your program write its arrays for "
          "each, then python -m mbref check --results DIR")
