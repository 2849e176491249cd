"""Options of the commands that make tables and worlds."""
from mbref.data.options import PAPERS, add_settings, add_task, positive


def add_reproduce(commands):
    """The command that makes a paper's table."""
    p = commands.add_parser(
        "reproduce", help="a paper's table: model, ablations, baselines; figures and results.json")
    p.add_argument("--paper", choices=PAPERS, default="hmar")
    p.add_argument("--out", help="folder for results.json and the figures (default: out/PAPER)")
    p.add_argument("--seeds", type=positive, default=3)
    p.add_argument("--only", action="append", default=[], metavar="ROW",
                   help="train this row only; may be repeated")
    p.add_argument("--split", metavar="FILE",
                   help="fixed training lists, targets and negatives, instead of a log")
    p.add_argument("--at", type=positive, nargs="+", default=[], metavar="STEP",
                   help="report after these numbers of steps, without choosing by validation")
    p.add_argument("--jobs", type=positive, default=2, help="trainings at a time (default: 2)")
    p.add_argument("--mechanisms", dest="run", action="store_const", help="all papers', on worlds",
                   const="mbref.tables.mechanism_run.run_mechanisms")
    p.add_argument("--quick", action="store_true", help="with --mechanisms: fewer users and steps")
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.commands.run_reproduce")


def add_worlds(commands):
    """The command that writes the synthetic logs with a known best answer."""
    p = commands.add_parser("worlds", help="logs with a known best answer: list them, make them")
    p.add_argument("--make", nargs="?", const="", metavar="DIR", help="default: ./tiny_data/worlds")
    p.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    p.add_argument("--signal", help="what decides the next item (default: each world's first)")
    p.add_argument("--users", type=positive, help="(default: as in tiny_data)")
    p.set_defaults(run="mbref.worlds.commands.run_worlds")

