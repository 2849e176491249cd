"""Options of the commands that make tables and worlds."""
from mbref.data.options import MODELS, PAPERS, add_settings, add_task, positive

REPRODUCE = """Without --data: train all papers' models on worlds with a known best answer and write
one report. With --data: a paper's table, its model, ablations and baselines, on that log."""


def add_reproduce(commands):
    """The command that makes a paper's table."""
    p = commands.add_parser("reproduce", description=REPRODUCE,
                            help="do the papers' mechanisms work? Or a paper's table on a log")
    p.add_argument("--paper", choices=PAPERS, help="(default: all; of a log: hmar)")
    p.add_argument("--out", help="folder of the results (default: out/report; of a log: out/PAPER)")
    p.add_argument("--seeds", type=positive, help="(default: 3; with --quick: 1)")
    p.add_argument("--only", action="append", default=[], metavar="NAME",
                   help="this mechanism, or of a log this row, only; may be repeated")
    p.add_argument("--quick", action="store_true", help="without a log: fewer users and steps")
    p.add_argument("--real", metavar="DIR", help="the models on the public logs in this folder")
    p.add_argument("--split", metavar="FILE",
                   help="fixed training lists, targets and negatives, instead of a log")
    p.add_argument("--at", type=positive, nargs="+", default=[], metavar="STEP",
                   help="report after these numbers of steps, without choosing by validation")
    add_pool(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.commands.run_reproduce")


def add_pool(p):
    """Where trainings run."""
    p.add_argument("--jobs", type=positive, default=2, help="trainings at a time (default: 2)")
    p.add_argument("--scheduler", metavar="ADDRESS",
                   help="of a Dask cluster that does the trainings, such as tcp://10.0.0.1:8786")


def add_sweep(commands):
    """The command that compares settings."""
    p = commands.add_parser("sweep", help="settings of a model compared on validation events")
    p.add_argument("model", choices=MODELS)
    p.add_argument("--grid", action="append", default=[], metavar="NAME=VALUE,...",
                   help="what to try of one setting, as --set has it; may be repeated")
    p.add_argument("--out", help="folder for results.json (default: out/sweep)")
    p.add_argument("--seeds", type=positive, default=3)
    add_pool(p)
    add_task(p)
    add_settings(p)
    p.set_defaults(run="mbref.tables.sweep.run_sweep")


def add_worlds(commands):
    """The command that writes the synthetic logs with a known best answer."""
    p = commands.add_parser("worlds", help="logs with a known best answer: list them, make them")
    p.add_argument("--make", nargs="?", const="", metavar="DIR", help="default: ./tiny_data/worlds")
    p.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    p.add_argument("--signal", help="what decides the next item (default: each world's first)")
    p.add_argument("--users", type=positive, help="(default: as in tiny_data)")
    p.set_defaults(run="mbref.worlds.commands.run_worlds")
