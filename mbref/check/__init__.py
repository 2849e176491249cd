"""The cross-check kit: anyone's implementation of a component, against golden cases.

    from mbref.check import check
    check("hmar.behaviour_mask", my_function)

my_function is f(params, inputs, tap) -> {output: array}, or takes parameters and inputs by their
names, such as f(behaviour), and returns the output. `python -m mbref cases` lists the components.
"""
import inspect
from functools import partial

from mbref.check import fresh, report, run as _run
from mbref.check.casefile import Case, cases as cases, manifest, settings, suggest
from mbref.check.compare import REDUCED
from mbref.check.run import load_implementation as load_implementation
from mbref.errors import InputError, require


def check(name, function, cases=None, quiet=False, backend="numpy", dtype="float64",
          gradients=None, forms="paper", count=0):
    """Check one component, or one Case. Prints a few lines, unless quiet.

    name: a component such as "hmar.behaviour_mask", or a Case of `cases()`. cases: names of cases
    to take, such as "basic" or ["basic", "heads"]; None takes all of the form in `forms`, "paper",
    "variant", "release" or "all". Cases that the dtype cannot hold are left out. gradients: None
    compares them for torch and jax alone. count: so many fresh cases of a component follow, from
    seed 0, if its own pass; the command takes 7. Raises AssertionError if a case fails, saying in
    which situation; InputError for a name that does not exist.
    """
    _run.refuse_rounding(backend, [dtype])
    chosen = [one for one in choose_cases(name, cases, forms) if _run.is_for(one, dtype)]
    require(chosen, f"{name} has no case for {dtype}.")
    gradients = backend != "numpy" if gradients is None else gradients
    results = run_all(chosen, function, backend, dtype, gradients)
    passed = all(result.passed for result in results)
    if passed and cases is None and not isinstance(name, Case) and dtype not in REDUCED:
        drawn = fresh.draw([f"{name}/"], 0, count, forms, None)
        drawn = [one for one in drawn if _run.is_for(one, dtype)]
        results += run_all(drawn, function, backend, dtype, gradients)
    if not all(result.passed for result in results):
        more = [f"  {fresh.explain(name, 0, count, forms, None)}"] if passed else []
        raise AssertionError("\n".join([describe_failures(results), *more]))
    if not quiet:
        more = len(results) - len(chosen)
        also = f" and {more} fresh ones" if more else ""
        print(f"{chosen[0].component}: {len(chosen)} cases{also} pass")


def run_all(cases, function, backend, dtype, gradients):
    """Results of cases of one component."""
    return [_run.run_case(case, adapt(function, case), backend, dtype, gradients) for case in cases]


def choose_cases(name, names, form="all"):
    """The cases of one component of these `names`, or else of this form; or one Case.  -> list."""
    if isinstance(name, Case):
        return [name]
    known = manifest()["components"]
    if name not in known:
        raise InputError(f"there is no component {name!r}: {suggest(name)}choose one of "
                         f"{', '.join(known)}.")
    form = form if names is None else "all"
    known = {case.id.partition("/")[2]: case for case in cases(f"{name}/", form=form)}
    names = [names] if isinstance(names, str) else names
    chosen = [case for key, case in known.items() if names is None or key in names]
    require(chosen, f"{name} has no case {names}: it has {', '.join(known)}.")
    return chosen


def adapt(function, case):
    """f(params, inputs, tap) of a function that takes some of these, and settings, by name."""
    names = list(inspect.signature(function).parameters)
    if names[:3] == ["params", "inputs", "tap"]:
        return partial(_run.call_with_settings, case.component, function)

    def call(params, inputs, tap):
        by_name = params if isinstance(params, dict) else {}
        given = settings(case.component) | inputs | by_name | {"params": params, "tap": tap}
        unknown = [name for name in names if name not in given]
        require(not unknown, f"there is no {', '.join(unknown)}: its arguments may be "
                             f"{', '.join({**inputs, **by_name, **given})}.")
        out = function(**{name: given[name] for name in names})
        if out is None or isinstance(out, dict):
            return out
        outputs = case.entry["outputs"]
        require(len(outputs) == 1, f"return a dict of {', '.join(outputs)}.")
        return {outputs[0]: out}

    return call


def describe_failures(results):
    """What a failed check says: situations and kinds of trouble, no expected numbers.  -> text."""
    bad = [result for result in results if not result.passed]
    lines = [f"{bad[0].case.component}: {len(bad)} of {len(results)} cases fail"]
    if len(bad) == len(results) > 1 and bad[0].note and len({result.note for result in bad}) == 1:
        return f"{lines[0]}\n  fails in every situation ({bad[0].note})"
    for result in bad:
        why = result.note or f"{report.list_names(result.missing)} was not returned"
        if result.wrong and not result.note:
            why = f"{result.wrong[0].name} {result.wrong[0].problem or 'differs'}"
        situations = report.situations(result.case)
        lines.append(f"  fails for {situations} ({result.case.id}: {why})")
    hints = set(report.name_faults(results).values()) - {None}
    return "\n".join([*lines, *(f"  looks like: {hint}" for hint in sorted(hints))])
