"""A training step of each paper's model on the CPU, against the same model in PyTorch.

First losses and gradients are compared; then both take their steps in turn in one process, the
batch and the optimiser included, in float32 and without dropout. Figures are medians, of processor
time for one thread and of the clock for more, with the quartiles. PyTorch has two chances, with its
default and its fused Adam; the ratio is to the better. The floor is what the operations of the
products would take at the rate of one large product, and the optimiser's step. Memory is how far
the process grew beyond its size before the step, where the system (Linux) tells.

With several threads a step of ours takes as many shards of the batch, BLAS one thread in each. A
file for --torch is as device.py says.
"""
import ctypes
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import mbref
from mbref import training
from mbref.bench.device import batch_of, cases, losses_in, measure, step_in_torch, step_on, to_torch
from mbref.errors import require
from mbref.nn import optim
from mbref.nn.lookup import value_and_grad

SIZES = {"hmar": dict(items=60_000, length=50, width=64, batch=128),
         "atrank": dict(items=60_000, length=50, width=128, batch=128),
         "dmran": dict(items=60_000, length=50, width=128, batch=128),
         "hiersrec": dict(items=40_000, length=20, width=64, batch=100)}
GROWTH = {"items": (5_000, 50_000, 500_000), "length": (25, 50, 100, 200), "hops": (5, 10, 20)}
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
              "VECLIB_MAXIMUM_THREADS")


def case_of(name, change=(), threads=1):
    """A model's Case without dropout, of SIZES and what changes of them or of its Config."""
    case, = cases([name], **SIZES[name] | dict(change) | {"dropout": 0.0})
    return case._replace(settings=replace(case.settings, threads=threads))


def error(case, loss):
    """Largest difference of a gradient from PyTorch's in float32, relative to the largest of all.

    Raises InputError if loss or gradients are another model's.
    """
    params, batch = training.begin(case.model, case.config, case.settings).params, batch_of(case, 0)
    value, grads = value_and_grad(case.model.loss)(params, batch, case.config)
    theirs = to_torch(params, "cpu")
    tensors = [tensor.requires_grad_() for _, tensor in optim.leaves(theirs)]
    their_value = loss(theirs, to_torch(batch, "cpu"), case.config)
    their_value.backward()
    pairs = [(g, np.zeros_like(g) if tensor.grad is None else tensor.grad.numpy())
             for (_, g), tensor in zip(optim.leaves(grads), tensors, strict=True)]
    most = max(np.max(np.abs(g)) for g, _ in pairs)
    found = max(float(np.max(np.abs(g - other))) for g, other in pairs) / most
    off = abs(float(value) / their_value.item() - 1)
    require(found < 1e-3 and off < 1e-4,
            f"{case.name} in PyTorch is another model: its loss is off by {off:.1e}, "
            f"its gradients by {found:.1e}.")
    return found


def status(name):
    """A size of this process in MB, such as VmRSS."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1e3


def peak(way):
    """By how many MB the process grows during a step, or nan where the system does not tell."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier steps left unused would hide the growth
        Path("/proc/self/clear_refs").write_text("5")  # the largest size counts from here
        before = status("VmRSS")
        way(0)
        return status("VmHWM") - before
    except (OSError, AttributeError):
        return float("nan")


def product_rate(n=1024):
    """Operations a millisecond in one product of two matrices of n x n, the median of five."""
    a = np.ones((n, n), np.float32)
    return 2 * n**3 / measure([lambda step: a @ a], 5, time.process_time)[0, 1]


def floor(case, loss, rate):
    """Milliseconds for the products of a step, counted by PyTorch, and for the optimiser's step."""
    from torch.utils.flop_counter import FlopCounterMode

    state, batch = training.begin(case.model, case.config, case.settings), batch_of(case, 0)
    _, grads = value_and_grad(case.model.loss, rows=True)(state.params, batch, case.config)
    theirs = to_torch(state.params, "cpu")
    for _, tensor in optim.leaves(theirs):
        tensor.requires_grad_()
    with FlopCounterMode(display=False) as counter:
        loss(theirs, to_torch(batch, "cpu"), case.config).backward()
    step = partial(optim.update_in_place, training.rule(case.settings), state.params, grads,
                   state.moments)
    milliseconds = measure([lambda n: step(n + 1)], 5, time.process_time)[0, 1]
    return counter.get_total_flops() / rate + milliseconds


def row(name, change, loss, threads, repeats, rate):
    """One line of the table."""
    case = case_of(name, change, threads)
    off = f"{error(case, loss):8.0e}" if loss else f"{'-':>8}"
    least = f"{floor(case, loss, rate):7.0f}" if loss else f"{'-':>7}"
    ways = [step_on(case, "cpu")]
    if loss:  # by both kinds of Adam
        ways += [step_in_torch(case, loss, "cpu", fused) for fused in (None, True)]
    clock = time.process_time if threads == 1 else time.perf_counter
    times = measure(ways, repeats, clock)
    cells = [f"{m:7.1f} ({a:6.1f}-{b:6.1f}) {peak(way):5.0f}"
             for (a, m, b), way in zip(times, ways, strict=True)]
    ratio = times[0, 1] / min(times[1:, 1], default=float("nan"))
    what = " ".join(f"{field}={n}" for field, n in change)
    return f"{name:9} {what:13} {threads:3} {ratio:6.2f} {least} {off} {' '.join(cells)}"


def rows(settings):
    """Print the table for one number of threads; this process has as many already."""
    losses = {}
    if settings["torch"]:
        import torch

        torch.set_num_threads(settings["threads"])
        losses = losses_in(settings["torch"])
    rate = product_rate()
    print(f"products: {rate / 1e6:.0f} GFLOP/s with one thread", flush=True)
    changes = [()]
    if settings["grow"]:
        changes = [((field, n),) for field, sizes in GROWTH.items() for n in sizes]
    with mbref.plain() if settings["plain"] else nullcontext():
        for name in settings["model"]:
            for change in changes:
                if not change or change[0][0] != "hops" or name == "dmran":
                    print(row(name, change, losses.get(name), settings["threads"],
                              settings["repeats"], rate), flush=True)


def run(options):
    """Print a table for each number of threads. Raises InputError as `losses_in`."""
    settings = {name: vars(options)[name] for name in ("torch", "repeats", "plain", "grow")}
    settings["model"] = options.model or list(SIZES)
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: these are mbref's own times.")
        settings["torch"] = None
    print("milliseconds a step: median (quartiles) and MB of mbref, of PyTorch, and with its fused "
          "Adam\nmodel     change      threads  ratio  floor    error", flush=True)
    for threads in options.threads:
        run_apart("mbref.bench.step", settings | {"threads": threads})


def run_apart(module, settings):
    """Run a module with settings in a process with one BLAS thread. Raises InputError if it fails.

    A new process, because BLAS reads the number of threads only as it is loaded.
    """
    command = [sys.executable, "-m", module, json.dumps(settings)]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment = os.environ | path | dict.fromkeys(ONE_THREAD, "1")
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    said = done.stderr.strip().rpartition("\n")[2].removeprefix("mbref.errors.InputError: ")
    require(done.returncode == 0, said or f"the measurement ended with code {done.returncode}.")


if __name__ == "__main__":
    rows(json.loads(sys.argv[1]))
