"""Options of the commands that measure what a cheaper way saves."""
from mbref.data.options import MODELS, PAPERS, positive, refuse

BENCHES = {  # of `bench`: what it calls, what it measures, its numbers and their defaults
    "candidates": ("mbref.bench.candidates.run", "HierSRec's candidates: time, memory, four ways",
                   dict(categories=1000, width=128, batch=256, repeats=9)),
    "read": ("mbref.bench.reading.run", "reading a log: time and memory, beside pandas",
             dict(rows=10_000_000)),
    "device": ("mbref.bench.device.run", "training steps on a GPU, against CPU and PyTorch",
               dict(items=10_000, length=50, width=64, batch=128, repeats=20)),
    "step": ("mbref.bench.step.run", "training steps on the CPU, against PyTorch",
             dict(repeats=20))}


def add_bench(commands):
    """The commands that measure what a cheaper way saves."""
    p = commands.add_parser("bench", help="what a cheaper way saves")
    what = p.add_subparsers(required=True, metavar="what")
    for name, (run, words, numbers) in BENCHES.items():
        p = what.add_parser(name, help=words)
        for option, default in numbers.items():
            p.add_argument(f"--{option}", type=positive, default=default, help=f"default {default}")
        add_others(p, name)
        p.set_defaults(run=run)
        p.error = refuse


def add_others(p, name):
    """The options of a bench that are no single numbers."""
    if name == "candidates":
        p.add_argument("--items", type=positive, nargs="+", default=[43_000, 200_000], metavar="N")
        p.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.02, 0.04, 0.1],
                       metavar="SHARE", help="of the items that are candidates, such as 0.04")
    elif name == "read":
        p.add_argument("--file", metavar="FILE", help="read this UserBehavior.csv instead")
    else:
        p.add_argument("--model", action="append", choices=MODELS if name == "device" else PAPERS,
                       help="default: all; may be repeated")
        p.add_argument("--torch", metavar="FILE", help="losses in PyTorch, functions <model>_loss")
    if name == "step":
        p.add_argument("--threads", type=positive, nargs="+", default=[1, 2], metavar="N")
        p.add_argument("--plain", action="store_true", help="mbref on its plain forms")
        p.add_argument("--grow", action="store_true", help="more items, events and hops, in turn")
