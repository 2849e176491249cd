"""A command imports what it needs: help and a refusal no model, and only a figure matplotlib."""
import subprocess
import sys
from pathlib import Path

import pytest

from mbref import options as commands, runs
from mbref.check.compare import REDUCED, TOLERANCE
from mbref.data import options
from mbref.data.readers import FORMATS
from mbref.nn import device
from mbref.tables import rows

ROOT = Path(__file__).parents[1]
MAIN = """
import sys
before = set(sys.modules)
from mbref.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, *sorted(set(sys.modules) - before))
"""
LOG = "".join(f"{user},{item},{item % 3},{name},{time}\n" for user in range(1, 5)
              for time, (item, name) in enumerate([(1, "pv"), (2, "buy"), (user, "buy"), (5, "pv"), (3, "buy")]))


def imports(*arguments):
    """The command line in a new process.  -> (exit code, names of the modules that it imported)."""
    done = subprocess.run([sys.executable, "-c", MAIN, *map(str, arguments)], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    return int(code), set(modules)


def rooms(modules):
    """Those of mbref."""
    return {name for name in modules if name.startswith("mbref")}


def packages(modules):
    """First names, such as "numpy"."""
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A log and a finished run on it.  -> (log, run folder, what `train` imported)."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "log.csv").write_text(LOG)
    code, modules = imports("train", "bpr_mf", "--data", folder / "log.csv", "--format", "taobao", "--target", "buy",
                            "--out", folder / "run", "--steps", 2, "--set", "width=4")
    assert code == 0
    return folder / "log.csv", folder / "run", modules


# all that help imports of a room
OPTIONS = {"mbref.data", "mbref.data.options"}
COMMANDS = ("train", "evaluate", "recommend", "reproduce", "sweep", "bench", "parity", "cases", "check", "export")


@pytest.mark.parametrize("arguments, code", [
    ((), 0), (("--help",), 0), *(((command, "--help"), 0) for command in COMMANDS), (("bake",), 2),
    *(((command, "--hlep"), 2) for command in COMMANDS), (("train", "gru"), 2), (("bench", "step", "--hlep"), 2),
])
def test_help_and_a_refusal_import_nothing_that_computes(arguments, code):
    found, modules = imports(*arguments)
    assert found == code and rooms(modules) == {"mbref", "mbref.__main__", "mbref.errors", "mbref.options", *OPTIONS}
    assert not packages(modules) & {"numpy", "autograd", "matplotlib", "tqdm", "multiprocessing"}
    assert len(modules - rooms(modules)) < 56  # those of argparse and gettext


def test_only_a_figure_imports_matplotlib(run):
    log, folder, modules = run
    assert "autograd" in packages(modules) and "matplotlib" not in packages(modules)
    for command in (("evaluate", folder), ("recommend", folder, "--user", 1), ("cases",), ("check", "--only", "masks"),
                    ("parity", ROOT / "tests" / "oracles" / "atrank__bpr.npz")):
        code, modules = imports(*command)
        assert code == 0 and "numpy" in packages(modules) and "matplotlib" not in packages(modules)
    code, modules = imports("reproduce", "--only", "BPR-MF", "--seeds", 1, "--steps", 2, "--jobs", 1, "--data", log,
                            "--format", "taobao", "--target", "buy", "--out", folder / "table")
    assert code == 0 and "matplotlib.pyplot" in modules and (folder / "table" / "table.png").exists()


@pytest.mark.parametrize("command", [("cases",), ("check", "--only", "masks")])
def test_what_makes_cases_is_imported_by_those_who_make_them(command):
    code, modules = imports(*command)
    assert code == 0 and not rooms(modules) & {"tests.golden.make", "tests.golden.admission", "tests.golden.registry",
                                               "tests.golden.kill_matrix", "mbref.tables.reproduce"}


def test_names_that_the_options_know_are_those_there_are():
    assert options.MODELS == tuple(sorted(runs.MODELS)) and options.PAPERS == tuple(sorted(rows.PAPERS))
    assert options.FORMATS == tuple(sorted(FORMATS)) and options.TEXTS == runs.TEXTS
    assert options.SPLITS == runs.SPLITS
    assert options.DEVICES == device.NAMES and options.DTYPES == tuple(sorted(TOLERANCE))
    assert options.REDUCED == REDUCED

def test_the_help_names_the_defaults_of_sessions_that_the_task_has(capsys):
    """The options themselves have none, so that what is not given is seen."""
    given = commands.parser().parse_args(["reproduce"])
    assert not set(runs.OF_SESSIONS) & set(vars(given))
    with pytest.raises(SystemExit):
        commands.parser().parse_args(["reproduce", "--help"])
    text, task = " ".join(capsys.readouterr().out.split()), runs.Task("log", "taobao", "buy")
    for words, default in (("hold out for the test", task.days), ("in the training sessions", task.min_support),
                           ("where the log has texts", task.text)):
        assert f"{words} (default: {default})" in text
