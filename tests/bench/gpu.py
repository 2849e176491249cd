"""What a GPU saves: every model's training step there, on the CPU, and in PyTorch on that GPU.

Time is by the clock; a step ends when its loss is back on the host, which waits for all that the
step has asked of the GPU. The steps take turns, figures are medians. Making the batch is a part of
each step, is done on the host for all, and stands apart too.
"""
from functools import partial

import numpy as np

from mbref import runs, training
from mbref.bench.device import batch_of, cases, losses_in, measure, step_in_torch, step_on
from mbref.errors import require
from mbref.nn import optim
from mbref.nn.device import MODULES, open_device, to_device
from mbref.nn.lookup import value_and_grad

NOTE = "milliseconds a step in float32; batch: making it, on the host; error: of gradients"


def error(case, device):
    """Largest error of a gradient on the device, relative to the largest entry of its array.

    Or to a thousandth of the largest of all, as some gradients are 0 but for rounding.
    """
    params, batch = training.begin(case.model, case.config, case.settings).params, batch_of(case, 0)
    there = to_device(params, device), to_device(batch, device)
    each = [value_and_grad(case.model.loss)(*where, case.config, np.random.default_rng(0))[1]
            for where in ((params, batch), there)]
    here, there = (optim.leaves(to_device(grads, "cpu")) for grads in each)
    least = max(np.max(np.abs(a)) for _, a in here) / 1000
    return max(float(np.max(np.abs(a - b)) / max(np.max(np.abs(a)), least))
               for (_, a), (_, b) in zip(here, there, strict=True))


def row(case, device, repeats, loss=None):
    """One line of the table."""
    ways = [partial(batch_of, case), step_on(case, "cpu"), step_on(case, device)]
    ways += [step_in_torch(case, loss, device)] if loss else []
    batch, cpu, there, *torch = measure(ways, repeats)[:, 1]
    times = f"{batch:8.2f} {cpu:8.2f} {there:8.2f} {cpu / there:6.1f}x"
    torch = f"{torch[0]:8.2f}" if torch else f"{'-':>8}"
    return f"{case.name:15} {times} {torch} {error(case, device):8.1e}"


def run(options, device="cuda"):
    """Measure and print. Raises InputError without a GPU, or for a width that makes no sense."""
    sizes = {name: vars(options)[name] for name in ("items", "length", "width", "batch")}
    require(options.width % 16 == 0, "make --width a multiple of 16.")
    open_device(device)
    losses = losses_in(options.torch) if options.torch else {}
    print(f"{about(device)}; {', '.join(f'{name} {size}' for name, size in sizes.items())}")
    print(f"{'model':15} {'batch':>8} {'cpu':>8} {device:>8}  faster    torch    error")
    for case in cases(options.model or sorted(runs.MODELS), **sizes):
        print(row(case, device, options.repeats, losses.get(case.name)), flush=True)
    print(NOTE)


def about(device):
    """The GPU's name and CuPy's version."""
    xp = MODULES[device]
    name = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return f"{name}, CuPy {xp.__version__}"
