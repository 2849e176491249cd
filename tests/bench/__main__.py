"""Measure what a faster way to HierSRec's candidates saves, or a GPU; for whoever changes mbref."""
import argparse
import sys

from mbref.data.options import MODELS, count, option
from mbref.errors import InputError
from mbref.options import TORCH, add_commands, speak
from tests.bench import candidates, gpu

BENCHES = {
    "candidates": (candidates.run, dict(help="HierSRec's candidates: time, memory, four ways"), (
        *(count(name, default=n, help=f"default {n}") for name, n in (
            ("--categories", 1000), ("--width", 128), ("--batch", 256), ("--repeats", 9))),
        count("--items", nargs="+", default=[43_000, 200_000], metavar="N"),
        option("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.04, 0.1],
               metavar="SHARE", help="of the items that are candidates, such as 0.04"))),
    "device": (gpu.run, dict(help="training steps on a GPU, against CPU and PyTorch"), (
        *(count(name, default=n, help=f"default {n}") for name, n in (
            ("--items", 10_000), ("--length", 50), ("--width", 64), ("--batch", 128),
            ("--repeats", 20))),
        option("--model", action="append", choices=MODELS, help="default: all; may be repeated"),
        TORCH)),
}


def parser():
    """The options."""
    top = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    speak(top)
    add_commands(top.add_subparsers(required=True, metavar="what"), BENCHES)
    return top


def main(arguments=None):
    """Measure.  -> exit code: 2 for wrong input."""
    try:
        options = parser().parse_args(arguments)
        options.run(options)
        return 0
    except InputError as error:
        print(f"tests.bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
