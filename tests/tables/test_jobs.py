"""A table that is stopped, by whatever: what is finished is kept, no worker outlives it, and it goes on the same."""
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mbref.__main__ import main
from mbref.data.shipped import tiny_data
from mbref.errors import InputError
from mbref.tables import jobs, reproduce

pytestmark = pytest.mark.trains
ROOT = Path(__file__).parents[2]
SHORT = ("--data", str(tiny_data() / "taobao/UserBehavior.csv"), "--format", "taobao", "--target", "buy",
         "--only", "BPR-MF", "--only", "HMAR",
         "--seeds", "2", "--steps", "10", "--set", "width=4", "--set", "length=5", "--set", "evaluate_every=5")
# BPR-MF reads no history and ends in a second; HMAR would take many minutes
LONG = (*SHORT, "--set", "length=400", "--set", "batch_size=1024", "--set", "evaluate_every=1000")


def call(folder, *more):
    return main(["reproduce", "--out", str(folder), *SHORT, "--jobs", "1", *more])


def start(folder, *arguments):
    """`reproduce` in a process of its own; its workers hold its pipes open."""
    command = [sys.executable, "-m", "mbref", "reproduce", "--out", str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(folder, count):
    """Until that many trainings are kept."""
    for _ in range(3000):
        if len(list(folder.glob("finished/*.npz"))) >= count:
            return
        time.sleep(0.1)
    pytest.fail("nothing was kept")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a table that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert call(folder) == 0
    return folder


@pytest.fixture
def trained(monkeypatch):
    """(row, seed) of what is trained in this process."""
    seen, before = [], jobs.run_jobs

    def count(train, problem, left, processes, report):
        seen.extend((job.row, job.settings.seed) for job in left)
        before(train, problem, left, processes, report)

    monkeypatch.setattr(jobs, "run_jobs", count)
    return seen


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_workers_end_with_their_parent_and_what_is_finished_is_kept(tmp_path, name):
    process = start(tmp_path, *LONG, "--jobs", "2")
    wait_for(tmp_path, 2)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=100)  # while a worker lives, its end of the pipe is open
    assert sorted(path.suffix for path in (tmp_path / "finished").iterdir()) == [".npz", ".npz"]
    if name != "SIGKILL":
        assert process.returncode == 130 and "Traceback" not in err and "mbref: stopped." in err
        assert "the same command goes on" in err


def test_what_is_kept_is_not_trained_again_and_the_table_is_the_same(tmp_path, whole, trained, monkeypatch):
    train, left = reproduce.KINDS["ranking"].train_and_report, [1, 1, 0]

    def stop_in_the_third(*arguments):
        if not left.pop(0):
            raise KeyboardInterrupt
        return train(*arguments)

    stopped = reproduce.KINDS["ranking"]._replace(train_and_report=stop_in_the_third)
    with monkeypatch.context() as patch:
        patch.setitem(reproduce.KINDS, "ranking", stopped)
        assert call(tmp_path) == 130
    assert not (tmp_path / "results.json").exists()
    del trained[:]
    assert call(tmp_path) == 0
    assert trained == [("HMAR", 0), ("HMAR", 1)] and files(tmp_path) == files(whole)


@pytest.mark.parametrize("more", [("--seed", "2"), ("--set", "width=8"), ("--candidates", "unseen")])
def test_what_was_trained_otherwise_is_not_taken(tmp_path, whole, trained, more):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    assert call(tmp_path, *more) == 0 and len(trained) == 4


def test_neither_by_other_code_nor_from_another_log(monkeypatch):
    job = reproduce.jobs_of("hmar", 1, {}, ["HMAR"])[0]
    log = {"item": np.array([1, 2, 3]), "text": ("a", None)}
    same = jobs.digest_of({"item": np.array([1, 2, 3]), "text": ("a", None)}, jobs.version(), job)
    assert jobs.digest_of(log, jobs.version(), job) == same
    others = [{**log, "item": np.array([1, 2, 4])}, {**log, "item": np.array([1, 2, 3]).view(np.float64)}, {**log, "text": ("a", "None")},
              {**log, "item": np.array([[1, 2, 3]])}, {"text": ("a", None), "item": [1, 2, 3]}]
    found = {jobs.digest_of(other, jobs.version(), job) for other in others}
    found.add(jobs.digest_of(log, jobs.version(), job._replace(settings=replace(job.settings, seed=1))))
    monkeypatch.setattr(np, "__version__", "0")
    found.add(jobs.digest_of(log, jobs.version(), job))
    assert len(found) == 7 and same not in found


def test_a_kept_file_that_is_damaged_is_trained_again(tmp_path, whole, trained):
    (tmp_path / "finished").mkdir()
    kept = sorted(whole.glob("finished/*"))
    for number, path in enumerate(kept):
        content = bytearray(path.read_bytes())
        content[-200 if number == 0 else 0] ^= 1 if number < 2 else 0
        (tmp_path / "finished" / path.name).write_bytes(content[:-9] if number == 2 else content)
    assert call(tmp_path) == 0 and len(trained) == 3
    assert files(tmp_path) == files(whole)


def test_a_kept_file_of_another_content_is_trained_again(tmp_path, whole, trained):
    """One that was edited, one of an older version without a seal, and one that has another's name."""
    (tmp_path / "finished").mkdir()
    kept = sorted(whole.glob("finished/*"))
    for number, path in enumerate(kept):
        with np.load(path if number else kept[-1]) as z:
            content = {name: str(z[name]) for name in z.files}
        if number == 1:
            content["result"] = content["result"].replace(":", ": ", 1)
        if number == 2:
            del content["seal"]
        np.savez(tmp_path / "finished" / path.name, **content)
    assert call(tmp_path) == 0 and len(trained) == 3
    assert files(tmp_path) == files(whole)


def test_a_full_disk_costs_no_training_and_the_table_is_printed(tmp_path, monkeypatch, capsys, whole):
    def full(*arguments):
        raise InputError("cannot write it (No space left on device): free some space.")

    monkeypatch.setattr(reproduce, "write_json", full)
    monkeypatch.setattr(jobs, "write_whole", full)
    assert call(tmp_path) == 2
    printed = capsys.readouterr()
    rows = {line.partition(" ")[0] for line in printed.out.splitlines() if "±" in line}
    assert rows == {"BPR-MF", "HMAR"}
    assert "note: cannot write it" in printed.err and printed.err.endswith("free some space.\n")


def die(problem, job):
    """In place of a training: the system kills the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(InputError, match="a worker was killed, perhaps for want of memory"):
        jobs.run_jobs(die, None, reproduce.jobs_of("hmar", 2, {}, ["HMAR"]), 2, None)
