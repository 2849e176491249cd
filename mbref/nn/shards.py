"""A training step on several threads: each takes a shard of the batch, and the shards are summed.

NumPy lets other threads run while it computes. A sum over a batch is the sum over its shards, a
mean too once its count is that of all shards, see `whole`. Sums are taken in the order of the
shards: a step is the same bit for bit with as many of them.
"""
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import NamedTuple

from autograd import tracer


class OwnTraces(threading.local, tracer.TraceStack):
    """autograd numbers the traces that are open; here every thread numbers its own."""

tracer.trace_stack = OwnTraces()


class Shard(NamedTuple):
    """What a thread knows of the others."""
    own: list                   # the counts that its shard has shown so far
    every: list                 # those lists of all shards, in order
    barrier: threading.Barrier  # where all wait until every list has one count more


SHARD = ContextVar("SHARD", default=None)  # of this thread, None outside


def whole(count):
    """A count over a shard as that over the whole batch; outside of `on_threads` the count itself.

    All shards of a batch ask for the same counts in the same order, and wait for each other.
    """
    shard = SHARD.get()
    if shard is None:
        return count
    shard.own.append(count)
    shard.barrier.wait()
    return sum(counts[len(shard.own) - 1] for counts in shard.every)


def on_threads(work, number):
    """work(0), work(1) ... at the same time, each on a thread of its own.  -> list of `number`."""
    if number == 1:
        return [work(0)]
    barrier, every = threading.Barrier(number), [[] for _ in range(number)]

    def start(i):
        SHARD.set(Shard(every[i], every, barrier))
        try:
            return work(i)
        except BaseException:
            barrier.abort()  # or the others would wait for ever
            raise

    with ThreadPoolExecutor(number) as pool:
        asked = [pool.submit(copy_context().run, start, i) for i in range(number)]
    failed = [error for one in asked if (error := one.exception())]
    for error in sorted(failed, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error  # what stopped the others, not that they were stopped
    return [one.result() for one in asked]
