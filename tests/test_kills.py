"""Processes that are killed, half of them in the middle of a write: nothing is lost, nothing half-written is left, and
what goes on ends bit for bit where one ends that nobody killed.

A sample of the kills; at every system call of every write, and more at random, with MBREF_KILLS=all.
"""
import json
import os
import signal
import time

import numpy as np
import pytest

from mbref.__main__ import main
from mbref.check import casefile
from tests.test_cli import call, files, task, write_log

pytestmark = pytest.mark.trains
ALL = os.environ.get("MBREF_KILLS") == "all"
EVERY, TIMES = (1, 30) if ALL else (7, 1)
CALLS = ("fsync", "replace", "link")  # of a write; a kill before and after each
SHORT = ("--steps", "6", "--set", "width=4", "--set", "evaluate_every=2", "--set", "batch_size=4")


def start(arguments, at=None):
    """The command in a process of its own, which kills itself in its `at`th step of a write.  -> its number."""
    number = os.fork()
    if number:
        return number
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    passed = [0]

    def count():
        passed[0] += 1
        if passed[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(function):
        def wrapped(*arguments):
            count()
            function(*arguments)
            count()
        return wrapped

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))
    try:
        os._exit(main([str(argument) for argument in arguments]))
    finally:
        os._exit(99)


def is_killed(number):
    """Wait for the end of a process.  -> was it killed?"""
    status = os.waitpid(number, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def kill_everywhere(arguments, judge):
    """Kill the command in its writes, from the first on, and call judge() after each.  -> how many kills."""
    at = 1
    while is_killed(start(arguments, at)):
        judge()
        at += EVERY
    judge()
    print(f"{len(range(1, at, EVERY))} kills in writes")
    return len(range(1, at, EVERY))


def kill_at_times(arguments, judge, longest):
    """Kill the command at random moments, and call judge() after each."""
    for wait in np.random.default_rng(0).uniform(0, longest, TIMES):
        number = start(arguments)
        time.sleep(wait)
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        judge()


def clear(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("target", ["buy", "fav"])  # fav: one case, and no validation
def test_a_killed_training(tmp_path, target):
    log = write_log(tmp_path / "log.csv")
    if target == "fav":
        log.write_text(log.read_text() + "17,7,3,fav,1511600000\n")
    command = ("train", "bpr_mf", *task(log, target), *SHORT, "--out")
    assert call(*command, tmp_path / "whole")[0] == 0
    whole, run = files(tmp_path / "whole"), tmp_path / "run"

    def judge():
        left = sorted(files(run))
        again = ("train", "--resume", run) if "run.json" in left else (*command, run)
        assert call(*again)[0] == 0
        assert files(run) == whole
        clear(run)

    assert kill_everywhere((*command, run), judge) * EVERY > 20
    kill_at_times((*command, run), judge, 0.5)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_table(tmp_path, jobs):
    command = ("reproduce", *task(write_log(tmp_path / "log.csv")), *SHORT, "--only", "BPR-MF", "--seeds", "2", "--jobs",
               jobs, "--out")
    assert call(*command, tmp_path / "whole")[0] == 0
    whole, run = files(tmp_path / "whole"), tmp_path / "run"
    kept = [0]

    def judge():
        left = {name: content for name, content in files(run).items() if not name.endswith(".part")}
        assert left.items() <= whole.items()  # whole or not there
        kept[0] += any(name.startswith("finished") for name in left)
        assert call(*command, run)[0] == 0
        assert files(run) == whole
        clear(run)

    kill_everywhere((*command, run), judge)
    assert kept[0] > 0
    kill_at_times((*command, run), judge, 3)


def test_a_killed_report(tmp_path):
    assert call("check", "--only", "masks", "--json", tmp_path / "whole.json")[0] == 0
    whole, path = (tmp_path / "whole.json").read_bytes(), tmp_path / "run.json"
    assert json.loads(whole) and casefile.cases("masks")

    def judge():
        assert not path.exists() or path.read_bytes() == whole
        assert call("check", "--only", "masks", "--json", path)[0] == 0
        assert path.read_bytes() == whole and sorted(files(tmp_path)) == ["run.json", "whole.json"]
        path.unlink()

    command = ("check", "--only", "masks", "--json", path)
    kill_everywhere(command, judge)
    kill_at_times(command, judge, 0.5)


@pytest.mark.parametrize("command", [
    ("export", "--raw", "--only", "masks.causal"), ("export", "--only", "masks.causal"), ("worlds", "--only", "aisles", "--make"),
    ("exercises", "--only", "hmar", "--only", "dmran", "--student")], ids=lambda command: " ".join(command))
def test_killed_folders(tmp_path, command):
    """Every file is whole, and the same command again goes on."""
    assert call(*command, tmp_path / "whole")[0] == 0
    whole, run = files(tmp_path / "whole"), tmp_path / "run"
    kept = set()

    def judge():
        left = {name: content for name, content in files(run).items() if not name.endswith(".part")}
        assert left.items() <= whole.items()
        kept.add(len(left))
        assert call(*command, run)[0] == 0
        assert files(run) == whole
        clear(run)

    kill_everywhere((*command, run), judge)
    assert len(kept) > 2 or len(whole) < 8  # some were killed half way
