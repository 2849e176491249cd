"""The trainings of a table: several at a time, each kept in a file as soon as it is finished.

A `pool` is what they go through: a number of processes, or any executor with the interface of
concurrent.futures, such as dask.distributed's client.get_executor(), MPI's or Ray's.

A file's name is the SHA-256 of all that decides its numbers: the log with its held-out events and
negatives, the row, its settings, the text of mbref and NumPy's version. So a table that was stopped
goes on where it was, and what was trained on anything else is not taken for it.
"""
import hashlib
import json
import os
import signal
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import connection, get_context
from threading import RLock, Thread
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mbref import training
from mbref.data.arrays import read_arrays
from mbref.data.files import write_whole
from mbref.data.sequences import NO_NPZ
from mbref.data.shipped import PACKAGE
from mbref.errors import InputError

KILLED = ("a worker was killed, perhaps for want of memory: give the command again, with fewer "
          "--jobs; what is finished is kept.")


class Job(NamedTuple):
    """One training: a row of the table and a seed."""

    row: str
    model: str
    overrides: dict
    settings: training.Settings
    at: tuple[int, ...] = ()    # report after these numbers of steps, without validation


def run_jobs(kind, problem, jobs, pool, report):
    """Train all jobs through a pool, and call report(job, figures, facts) after each.

    Several at a time report in the order in which they end. What a killed worker was at is trained
    again, as long as something gets done. Raises InputError otherwise.
    """
    work, left = partial(kind.train_and_report, problem), list(jobs)

    def report_once(job, result):
        left.remove(job)
        report(job, *result)

    if pool == 1:
        for job in jobs:
            report_once(job, work(job))
        return
    while left:
        before = len(left)
        with open_processes(pool) if isinstance(pool, int) else nullcontext(pool) as executor:
            try:
                job_of = {executor.submit(work, job): job for job in left}
                for future in as_completed(job_of):
                    report_once(job_of[future], future.result())
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
    except ImportError as error:
        raise InputError("--scheduler needs the package distributed: pip install it.") from error
    try:
        client = Client(scheduler, timeout=20)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no Dask cluster answers there: "
                         "give the address that `dask scheduler` prints.") from error
    with client:
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise InputError(KILLED) from error
def start_worker(parent):
    """In each worker: leave signals to the parent, but end when its end of the pipe is closed.

    The system closes it whatever the parent died of. Progress bars get a lock that dies with it.
    """
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_IGN)
    tqdm.set_lock(RLock())
    Thread(target=lambda: connection.wait([parent]) and os._exit(1), daemon=True).start()


def train_all(kind, problem, jobs, pool, folder):
    """Train all jobs but those kept in `folder`, with a progress bar.

    -> list of (Job, figures, facts) in the order of `jobs`.
    """
    known = digest_of(problem, version())

    def path_of(job):
        return folder / f"{digest_of(known, job)}.npz"

    found = {path_of(job): load(path_of(job)) for job in jobs}
    left = [job for job in jobs if found[path_of(job)] is None]
    with tqdm(total=len(jobs), initial=len(jobs) - len(left), unit="run") as bar:
        def report(job, *result):
            found[path_of(job)] = result
            try:
                save(path_of(job), result)
            except InputError as error:  # the table can still be printed
                bar.write(f"note: {error}", file=bar.fp)
            bar.set_postfix_str(f"last: {job[0]}, {job.model}")
            bar.update()

        if len(left) < len(jobs):
            bar.write(f"{len(jobs) - len(left)} of {len(jobs)} trainings are kept from before",
                      file=bar.fp)
        try:
            run_jobs(kind, problem, left, pool, report)
        except KeyboardInterrupt:
            bar.write("What is finished is kept: the same command goes on from there.", file=bar.fp)
            raise
    return [(job, *found[path_of(job)]) for job in jobs]


def save(path, result):
    """Keep (figures, facts) of a training. Raises InputError as write_whole."""
    text = json.dumps(result)
    write_whole(path, lambda file: np.savez(file, result=text))


def load(path):
    """(figures, facts) that were kept, None where there is no whole file."""
    try:
        return tuple(json.loads(str(read_arrays(path, {"result": ("U", 0)})["result"])))
    except NO_NPZ:
        return None


def version():
    """What the numbers of a training depend on beside its log and settings.  -> str."""
    texts = [path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))]
    return digest_of(np.__version__, texts)


def digest_of(*values):
    """The SHA-256 of values: arrays, groups of such values, and what its repr tells apart."""
    sha = hashlib.sha256()
    hash_into(sha, values)
    return sha.hexdigest()


def hash_into(sha, value):
    """Add a value to a hash, with its kind and size before it."""
    if isinstance(value, np.ndarray):
        sha.update(f"\0{value.dtype.str}{value.shape}".encode())
        sha.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif isinstance(value, dict | list | tuple):
        sha.update(f"\0{type(value).__name__}{len(value)}".encode())
        for part in value.items() if isinstance(value, dict) else value:
            hash_into(sha, part)
    else:
        sha.update(f"\0{value!r}".encode())
