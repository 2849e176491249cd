"""Make the golden cases again, or run the kill matrix: python -m tests.golden --make | --kill-matrix.

Both are for whoever changes mbref: a user of the kit checks against the cases as they are.
"""
import argparse
import sys

from mbref.check import run
from mbref.errors import InputError, require
from tests.golden import kill_matrix, make


def main(arguments=None):
    """One of the two.  -> exit code: 1 if a case differs or a fault is not caught, 2 for wrong input."""
    options = parser().parse_args(arguments)
    try:
        if options.make:
            return make_cases(options.only, options.oracle)
        return print_kill_matrix(options.only)
    except InputError as error:
        print(f"tests.golden: {error}", file=sys.stderr)
        return 2


def parser():
    """The options."""
    p = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--make", action="store_true",
                      help="make the cases again, compare, and write those that are new")
    what.add_argument("--kill-matrix", action="store_true",
                      help="which cases catch which of the known faults")
    p.add_argument("--only", metavar="NAME",
                   help="a family (hmar), a component (hmar.code) or a case")
    p.add_argument("--oracle", action="append", default=[], metavar="IMPL.py",
                   help="with --make: name this implementation in the manifest where it agrees")
    return p


def make_cases(only, files):
    """Make the cases and print those that are not as they were.  -> exit code: 1 if one differs."""
    loaded = map(run.load_implementation, files)
    made = make.make(only, [(backend, functions, backend) for functions, backend in loaded])
    require(made, f"there is no case {only!r}: python -m mbref cases lists them.")
    for one in made:
        if one.state != "same":
            print(f"{one.state:8} {one.id}  {one.note}")
    states = [one.state for one in made]
    kill_matrix.renew({one.id.partition("/")[0] for one in made if one.state == "new"})
    kinds = ("same", "new", "differs", "refused")
    print(", ".join(f"{states.count(state)} {state}" for state in kinds))
    return int(bool({"differs", "refused"} & set(states)))


def print_kill_matrix(only):
    """The known faults and the cases that catch them.  -> exit code: 1 if one is not caught."""
    found = kill_matrix.matrix(only)
    require(found, f"no fault is known of {only!r}: give a family, such as hmar, or a component.")
    for line in kill_matrix.table(found):
        print(line)
    passed = kill_matrix.uncaught(found)
    print(f"{len(found)} faults, {len(passed)} not caught in float64 and float32")
    for name in passed:
        print(name)
    return int(bool(passed))


if __name__ == "__main__":
    sys.exit(main())
