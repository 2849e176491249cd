"""Options of the commands that measure what a cheaper way saves."""
from mbref.data.options import MODELS, PAPERS, positive, refuse

BENCHES = {  # of `bench`: what it calls and what it measures
    "candidates": ("mbref.bench.candidates.run", "HierSRec's candidates: time, memory, four ways"),
    "read": ("mbref.bench.reading.run", "reading a log: time and memory, beside pandas"),
    "device": ("mbref.bench.device.run", "training steps on a GPU, against CPU and PyTorch"),
    "step": ("mbref.bench.step.run", "training steps on the CPU, against PyTorch")}


def add_bench(commands):
    """The commands that measure what a cheaper way saves."""
    p = commands.add_parser("bench", help="what a cheaper way saves")
    what = p.add_subparsers(required=True, metavar="what")
    sizes = (add_sizes_of_candidates, add_sizes_of_logs, add_sizes_of_models, add_steps)
    for (name, (run, words)), add in zip(BENCHES.items(), sizes, strict=True):
        p = what.add_parser(name, help=words)
        add(p)
        p.set_defaults(run=run)
        p.error = refuse


def add_sizes_of_logs(p):
    """Options of `bench read`."""
    p.add_argument("--rows", type=positive, default=10_000_000, help="default 10,000,000")
    p.add_argument("--file", metavar="FILE", help="read this UserBehavior.csv instead")


def add_sizes_of_candidates(p):
    """Options of `bench candidates`: whole numbers, shares as fractions."""
    p.add_argument("--items", type=int, nargs="+", default=[43_000, 200_000], metavar="N")
    p.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.04, 0.1],
                   metavar="SHARE", help="of the items that are candidates, such as 0.04")
    add_numbers(p, int, categories=1000, width=128, batch=256, repeats=9, seed=0)


def add_sizes_of_models(p):
    """Options of `bench device`."""
    add_models(p, MODELS)
    add_numbers(p, int, items=10_000, length=50, width=64, batch=128, repeats=20)


def add_steps(p):
    """Options of `bench step`."""
    add_models(p, PAPERS)
    p.add_argument("--threads", type=positive, nargs="+", default=[1, 2], metavar="N")
    add_numbers(p, positive, repeats=20)
    p.add_argument("--plain", action="store_true", help="mbref on its plain forms")
    p.add_argument("--grow", action="store_true", help="more items, longer histories, more hops")


def add_models(p, names):
    """Which models, and what they are compared with."""
    p.add_argument("--model", action="append", choices=names, help="default: all; may be repeated")
    p.add_argument("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")


def add_numbers(p, kind, **defaults):
    """An option for each name, with its default."""
    for name, default in defaults.items():
        p.add_argument(f"--{name}", type=kind, default=default, help=f"default {default}")
