"""Trainings through executors: processes of which one dies, and a Dask cluster of two workers on this machine."""
import os
import signal
import sys

import pytest

from mbref.__main__ import main
from mbref.errors import InputError
from mbref.tables import jobs, reproduce
from tests import optional
from tests.tables.test_jobs import SHORT, files
from tests.test_cli import call

pytestmark = pytest.mark.trains
TABLE = ("reproduce", *SHORT[:6], "--only", "BPR-MF", "--seeds", "6", "--set", "width=4", "--steps")


def die_once(folder, job):
    """In place of a training: the first to get the job of seed 2 is killed by the system."""
    mark = folder / "died"
    if job.settings.seed == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"seed": job.settings.seed}, {}


def test_what_a_killed_worker_was_at_is_trained_again(tmp_path):
    several, seen = reproduce.jobs_of("hmar", 8, {}, ["HMAR"]), []
    jobs.run_jobs(die_once, tmp_path, several, 2,
                  lambda job, result: seen.append((job.settings.seed, result[0]["seed"])))
    assert (tmp_path / "died").exists() and sorted(seen) == [(seed, seed) for seed in range(8)]


def test_no_cluster_at_that_address(tmp_path):
    optional.require("distributed")
    with pytest.raises(InputError, match="no Dask cluster answers there"), jobs.open_pool(2, "tcp://127.0.0.1:1"):
        pass


def test_without_dask_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, error = call(*TABLE, 2, "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path)
    assert code == 2 and "pip install it" in error


@pytest.fixture
def cluster():
    """Two workers, each a process of its own with one thread, on loopback."""
    distributed = optional.require("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1",
                                  dashboard_address=None) as found:
        yield found


@pytest.mark.parametrize("kill", [False, True])
def test_a_dask_cluster_gives_the_same_results(tmp_path, cluster, kill, monkeypatch):
    """With a worker killed after the first finished training, too."""
    save, killed = jobs.save, []

    def save_and_kill(path, result):
        save(path, result)
        if kill and not killed:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    assert main([*TABLE, "30", "--jobs", "1", "--out", str(tmp_path / "one")]) == 0
    monkeypatch.setattr(jobs, "save", save_and_kill)
    assert main([*TABLE, "30", "--scheduler", cluster.scheduler_address, "--out", str(tmp_path / "two")]) == 0
    assert len(killed) == kill
    assert files(tmp_path / "two") == files(tmp_path / "one")
