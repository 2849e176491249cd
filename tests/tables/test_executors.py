"""Trainings through executors: processes of which one dies, and a Dask cluster of two workers on this machine."""
import gc
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mbref.__main__ import main
from mbref.errors import InputError
from mbref.tables import jobs, reproduce
from tests import optional
from tests.tables.test_jobs import SHORT, files
from tests.test_cli import ITEMS, SMALL, call, refused, task, write_log

pytestmark = pytest.mark.trains
TABLE = ("reproduce", *SHORT[:6], "--only", "BPR-MF", "--seeds", "6", "--set", "width=4", "--steps")
COUNTED_IN = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
THREADS = os.environ.get(COUNTED_IN[0]) or os.cpu_count()  # of BLAS here, asked before any test sets it


@pytest.fixture(autouse=True)
def collect_clients():
    """A client that found no cluster closes when it is collected: not while another one holds Dask's lock to start."""
    gc.collect()


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


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tls://127.0.0.1:1", "ucx://127.0.0.1:1", "more://", "a word"])
def test_no_cluster_at_that_address(address):
    optional.require("distributed")
    with pytest.raises(InputError, match="no Dask cluster answers there"), jobs.open_pool(2, address):
        pass


def test_without_dask_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, error = call(*TABLE, 2, "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path)
    assert code == 2 and "pip install it" in error


@pytest.fixture
def cluster(monkeypatch):
    """Two workers, each a process of its own with one thread, on loopback; a busy machine may take long.

    Dask gives BLAS one thread in its workers: here as many as this process has, for the same last bits.
    """
    distributed, dask = optional.require("distributed"), optional.require("dask")
    for name in COUNTED_IN:
        monkeypatch.setenv(name, str(THREADS))
    patience = dask.config.set({"distributed.comm.timeouts.connect": "2 minutes"})
    with patience, distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1",
                                            dashboard_address=":0") as found:
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


# Users split over the same executors.

@pytest.mark.parametrize("count", [0, 1, 5, 2 * jobs.TASKS + 1])
def test_what_goes_through_an_executor_comes_back_in_order(count):
    asked = []
    with ThreadPoolExecutor(2) as pool:
        found = [*jobs.map_through(SimpleNamespace(map=lambda *both: asked.append(both) or pool.map(*both)),
                                   lambda part: part ** 2, iter(range(count)))]
    assert found == [part ** 2 for part in range(count)]
    (_, tasks), = asked
    assert len(tasks) <= jobs.TASKS


@pytest.mark.parametrize("model", ["hmar", "hiersrec"])
def test_a_dask_cluster_ranks_and_recommends_the_same(model, tmp_path, cluster):
    """Byte for byte: 150 users are three blocks."""
    if model == "hiersrec":
        world = ("worlds", "--make", tmp_path, "--only", "aisles", "--users", 300)
        assert call(*world)[0] == 0
        log = ("--data", tmp_path / "aisles/train-item-views.csv", "--format", "diginetica", "--target", "view",
               "--split-by", "session-rec", "--days", "3", "--min-support", "1")
    else:
        log = task(write_log(tmp_path / "log.csv", [*map(str, range(1, 151))], [*ITEMS, *map(str, range(20, 40))]))
    assert call("train", model, "--out", tmp_path / "run", *log, "--steps", 2, *SMALL)[0] == 0
    found = []
    for where in ((), ("--scheduler", cluster.scheduler_address)):
        table = call("evaluate", tmp_path / "run", *where)
        assert table[0] == 0 and "this run" in table[1]
        assert call("recommend", tmp_path / "run", "--all-users", tmp_path / "all.csv", *where)[0] == 0
        found.append((table[1], (tmp_path / "all.csv").read_bytes()))
    assert found[0] == found[1]


def test_without_a_cluster_parts_are_made_one_at_a_time():
    """The events of all users at once would be the log once more."""
    made = []

    def make_parts():
        for n in range(3):
            made.append(n)
            yield n

    with jobs.open_map() as each:
        results = each(abs, make_parts())
        assert next(results) == 0 and made == [0]
        assert [*results] == [1, 2]


def test_a_cluster_is_asked_for_all_users_alone(tmp_path, monkeypatch):
    run, cluster = tmp_path / "run", ("--scheduler", "tcp://127.0.0.1:1")
    assert call("train", "--out", run, *task(write_log(tmp_path / "log.csv")), "--steps", 2, *SMALL)[0] == 0
    assert "give --all-users" in refused("recommend", run, "--user", "4", *cluster)
    monkeypatch.setitem(sys.modules, "distributed", None)
    for command in (("evaluate", run), ("recommend", run, "--all-users", tmp_path / "all.csv")):
        assert "pip install it" in refused(*command, *cluster)
