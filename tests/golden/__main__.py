"""Make the golden cases again, or see which of them catch which of the known faults.

Both are for whoever changes mbref: a user of the kit checks against the cases as they are.
"""
import argparse
import sys

from mbref.check import run
from mbref.errors import InputError, require
from tests.golden import kill_matrix, make

STATES = ("same", "new", "differs", "refused")


def main(arguments=None):
    """One of the two.  -> exit code: 1 if a case differs or a fault is not caught, 2 for wrong
    input."""
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
                      help="draw every case again from its seed and compare it with its file, "
                           "which is not changed; write the cases that have no file, the manifest "
                           "and faults.json.gz. 1 if a case differs or a new one is refused")
    what.add_argument("--kill-matrix", action="store_true",
                      help="run every known fault on its component's cases and print which of them "
                           "it fails. 1 if a fault fails none of them")
    p.add_argument("--only", metavar="NAME",
                   help="a family (hmar), a component (hmar.code) or, to make, a case "
                        "(hmar.code/basic); all if not given")
    p.add_argument("--oracle", action="append", default=[], metavar="IMPL.py",
                   help="with --make: an implementation to name in the manifest's entries of the "
                        "cases with which it agrees; may be given several times")
    return p


def make_cases(only, files):
    """Make the cases and print those that are not as they were.  -> exit code."""
    loaded = map(run.load_implementation, files)
    made = make.make(only, [(backend, functions, backend) for functions, backend in loaded])
    require(made, f"there is no case {only!r}: python -m mbref cases lists them.")
    for one in made:
        if one.state != "same":
            print(f"{one.state:8} {one.id}  {one.note}")
    states = [one.state for one in made]
    kill_matrix.renew({one.id.partition("/")[0] for one in made if one.state == "new"})
    print(", ".join(f"{states.count(state)} {state}" for state in STATES))
    return int(bool({"differs", "refused"} & set(states)))


def print_kill_matrix(only):
    """The known faults and the cases that catch them.  -> exit code."""
    found = kill_matrix.make_matrix(only)
    require(found, f"no fault is known of {only!r}: give a family, such as hmar, or a component.")
    for line in kill_matrix.table(found):
        print(line)
    missed = kill_matrix.find_missed(found)
    print(f"{len(found)} faults, {len(missed)} not caught in float64 and float32")
    for name in missed:
        print(name)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
