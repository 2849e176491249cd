"""The trainings of a table: several at a time, each kept in a file as soon as it is finished.

A `pool` is what they go through: a number of processes, or any executor with the interface of
concurrent.futures, such as dask.distributed's client.get_executor(), MPI's or Ray's.

A file's name is the SHA-256 of all that decides its numbers: the log with its held-out events and
negatives, the row, its settings, the text of mbref and NumPy's version.
"""
import hashlib
import json
import os
import pickle
import signal
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import connection, get_context
from threading import RLock, Thread
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mbref import training
from mbref.data.arrays import read_arrays
from mbref.data.files import write_whole
from mbref.data.sequences import NO_NPZ
from mbref.data.shipped import PACKAGE
from mbref.errors import InputError

FINISHED = "finished"  # the folder of trainings in that of the results
TASKS = 32  # into which map_through cuts its parts, each with all that the function holds
KILLED = ("a worker was killed, perhaps for want of memory: give the command again, with fewer "
          "--jobs; what is finished is kept.")


class Job(NamedTuple):
    """One training: a row of the table and a seed."""
    row: str
    model: str
    overrides: dict
    settings: training.Settings


def run_jobs(train, problem, jobs, pool, report):
    """Call train(problem, job) for all jobs through a pool, and report(job, result) after each.

    What a killed worker was at is trained again. Raises InputError if nothing gets done any more.
    """
    work, left = partial(train, problem), list(jobs)
    if pool == 1:
        for job in jobs:
            report(job, work(job))
        return
    while left:
        before = len(left)
        with open_processes(pool) if isinstance(pool, int) else nullcontext(pool) as executor:
            try:
                job_of = {executor.submit(work, job): job for job in left}
                for future in as_completed(job_of):
                    result = future.result()
                    left.remove(job_of[future])
                    report(job_of[future], result)
            except BrokenExecutor as error:
                if len(left) == before:
                    raise InputError(KILLED) from error


@contextmanager
def open_processes(count):
    """An executor of `count` processes, which end at once if an error passes."""
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with ProcessPoolExecutor(count, context, start_worker, (theirs,)) as executor:
        try:
            yield executor
        except BaseException:
            ours.close()  # the workers do not finish what they are at
            raise


def start_worker(parent):
    """In each worker: leave signals to the parent, but end when its end of the pipe is closed.

    The system closes it whatever the parent died of.
    """
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_IGN)
    tqdm.set_lock(RLock())  # which dies with the worker
    Thread(target=lambda: connection.wait([parent]) and os._exit(1), daemon=True).start()


@contextmanager
def open_pool(jobs, scheduler=None):
    """The pool of --jobs, or that of a Dask cluster which runs at the address `scheduler`.

    Raises InputError if it cannot be reached, or if it has lost its workers too often.
    """
    if not scheduler:
        yield jobs
        return
    try:
        from distributed import Client, KilledWorker

        client = Client(scheduler, timeout=20)
    except ImportError as error:
        raise InputError("--scheduler needs the package distributed: pip install it.") from error
    except Exception as error:  # each kind of address has errors of its own
        raise InputError(f"--scheduler {scheduler}: no Dask cluster answers there: "
                         "give the address that `dask scheduler` prints.") from error
    with client:
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise InputError(KILLED) from error


@contextmanager
def open_map(scheduler=None):
    """As map with a bar, or, given its address, through a Dask cluster. Raises as open_pool."""
    if scheduler:
        with open_pool(1, scheduler) as pool:
            yield partial(map_through, pool)
    else:
        yield lambda function, parts: map(function, tqdm(parts, "ranking", leave=False, delay=2))


def map_through(pool, function, parts):
    """function(part) of all parts in their order, through an executor, TASKS of them at most."""
    parts = [*parts]
    size = max(1, -(-len(parts) // TASKS))
    several = [parts[at:at + size] for at in range(0, len(parts), size)]
    done = pool.map(partial(call_for_each, function), several)
    for results in tqdm(done, "ranking", len(several), leave=False, delay=2):
        yield from results


def call_for_each(function, parts):
    """What a worker does: function(part) of each.  -> list."""
    return [function(part) for part in parts]


def train_all(train, problem, jobs, pool, folder):
    """Call train(problem, job) -> (figures, facts) for all jobs but those kept in the folder.

    -> list of (Job, figures, facts) in the order of `jobs`.
    """
    known = digest_of(problem, version())
    paths = [folder / FINISHED / f"{digest_of(known, job)}.npz" for job in jobs]
    found = {path: load(path) for path in paths}
    left = [job for job, path in zip(jobs, paths, strict=True) if found[path] is None]
    with tqdm(total=len(jobs), initial=len(jobs) - len(left), unit="run") as bar:
        def report(job, result):
            path = paths[jobs.index(job)]
            found[path] = result
            try:
                save(path, result)
            except InputError as error:  # the table can still be printed
                bar.write(f"note: {error}", file=bar.fp)
            bar.set_postfix_str(f"last: {job[0]}, {job.model}")
            bar.update()

        if len(left) < len(jobs):
            bar.write(f"{len(jobs) - len(left)} of {len(jobs)} trainings are kept from before",
                      file=bar.fp)
        try:
            run_jobs(train, problem, left, pool, report)
        except KeyboardInterrupt:
            bar.write("What is finished is kept: the same command goes on from there.", file=bar.fp)
            raise
    return [(job, *found[path]) for job, path in zip(jobs, paths, strict=True)]


def save(path, result):
    """Keep (figures, facts) of a training. Raises InputError as write_whole."""
    text = json.dumps(result)
    seal = digest_of(path.stem, text)  # nobody has changed it, and it is of no other training
    write_whole(path, lambda file: np.savez(file, result=text, seal=seal))


def load(path):
    """(figures, facts) that were kept, None where there is no whole file as `save` wrote it."""
    try:
        file = read_arrays(path, {"result": ("U", 0), "seal": ("U", 0)})
        text = str(file["result"])
        return json.loads(text) if str(file["seal"]) == digest_of(path.stem, text) else None
    except NO_NPZ:
        return None


def version():
    """What the numbers of a training depend on beside its log and settings.  -> str."""
    return digest_of(np.__version__, [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))])


def digest_of(*values):
    """The SHA-256 of values, pickled."""
    sha = hashlib.sha256()
    pickler = pickle.Pickler(SimpleNamespace(write=sha.update))
    pickler.fast = True  # the same bytes for the same values, whichever of them are one object
    pickler.dump(values)
    return sha.hexdigest()
