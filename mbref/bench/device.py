"""What a GPU saves: every model's training step there, on the CPU, and in PyTorch on that GPU.

Time is by the clock; a step ends when its loss is back on the host, which waits for all that the
step has asked of the GPU. The steps take turns, figures are medians. Making the batch is a part of
each step, is done on the host for all, and stands apart too.

A file for --torch has functions <model>_loss(params, batch, config) -> scalar, written in PyTorch;
params and batch are what the model gives, as tensors. Adam and clipping are PyTorch's own then.
"""
import importlib.util
import time
from dataclasses import fields
from functools import partial
from timeit import timeit
from typing import NamedTuple

import numpy as np

from mbref import runs, training
from mbref.data import sequences
from mbref.errors import InputError, require
from mbref.nn import optim
from mbref.nn.device import MODULES, open_device, to_device
from mbref.nn.lookup import value_and_grad

WARM_UP = 3  # steps that are not counted: CuPy compiles its kernels when they are first used
NOTE = "milliseconds a step in float32; batch: making it, on the host; error: of gradients"


class Case(NamedTuple):
    """One model, ready to train in float32."""
    name: str
    model: object
    config: object
    events: sequences.Sequences
    tasks: list
    settings: training.Settings


def log(rng, users, items, length):
    """Random events of users with `length` events each: 20 categories, text vectors of width 32."""
    n, kinds, categories = users * length, 4, 20
    user = np.repeat(np.arange(1, users + 1), length)
    item, behaviour = rng.integers(1, items + 1, n), rng.integers(1, kinds + 1, n)
    return sequences.from_rows(user, item, behaviour, kinds)._replace(
        time=np.cumsum(rng.integers(0, 86_400, n)),
        category=np.append(0, rng.integers(1, categories + 1, items)),
        text=rng.normal(size=(items + 1, 32)).astype(np.float32))


def cases(names, users=1000, items=10_000, length=50, width=64, batch=128, **more):
    """A Case for each model's name; `more` fields of its Config, where it has them."""
    events = log(np.random.default_rng(0), users, items, length + 1)
    given = dict(items=items, users=users, behaviours=4, categories=20, text=32, width=width,
                 length=length, table_width=width // 2, **more)
    made = []
    for name in names:
        model = runs.MODELS[name]
        known = {field.name for field in fields(model.Config)}
        config = model.Config(**{field: value for field, value in given.items() if field in known})
        tasks = model.examples(events, config, np.random.default_rng(0))
        made.append(Case(name, model, config, events, tasks, training.Settings(batch_size=batch)))
    return made


def batch_of(case, step):
    """The batch of a step, on the host."""
    _, rows = training.rows_of_step(case.tasks, case.settings, step)
    return case.model.training_batch(case.events, rows, case.config, np.random.default_rng(step))


def step_on(case, device):
    """-> function of a step's number that takes the step on a device."""
    _, model, config, events, tasks, settings = case
    state = training.begin(model, config, settings, device)

    def take(step):
        nonlocal state
        state, _ = training.train_step(model, config, settings, events, tasks, state)

    return take


def to_torch(x, device):
    """Nested dicts, lists and tuples with tensors in place of arrays."""
    import torch

    if isinstance(x, np.ndarray):
        return torch.tensor(x, device=device)
    if isinstance(x, dict):
        return {name: to_torch(part, device) for name, part in x.items()}
    if isinstance(x, (list, tuple)):
        parts = [to_torch(part, device) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def step_in_torch(case, loss, device, fused=None):
    """The same with a loss written in PyTorch; `fused` is an option of its Adam."""
    import torch

    rule = training.rule(case.settings)
    params = to_torch(training.begin(case.model, case.config, case.settings).params, device)
    leaves = [leaf.requires_grad_() for _, leaf in optim.leaves(params)]
    adam = torch.optim.Adam(leaves, rule.rate, (rule.beta1, rule.beta2), rule.eps, fused=fused)

    def take(step):
        adam.zero_grad()
        value = loss(params, to_torch(batch_of(case, step), device), case.config)
        value.backward()
        torch.nn.utils.clip_grad_norm_(leaves, rule.clip)
        adam.step()
        value.item()

    return take


def measure(ways, repeats, clock=time.perf_counter):
    """Quartiles of the milliseconds of functions of a step's number, in turns.  -> [ways, 3]."""
    times = [[1e3 * timeit(partial(way, step), timer=clock, number=1) for way in ways]
             for step in range(WARM_UP + repeats)]
    return np.percentile(times[WARM_UP:], (25, 50, 75), axis=0).T


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


def losses_in(path):
    """{model: the function <model>_loss of a Python file}. Raises InputError if there is none."""
    spec = importlib.util.spec_from_file_location("losses_in_torch", path)
    require(spec is not None, f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as failure:  # whatever that file does
        name = type(failure).__name__
        raise InputError(f"{path} cannot be imported ({name}: {failure}).") from failure
    found = {name: loss for name in runs.MODELS if (loss := vars(module).get(f"{name}_loss"))}
    require(found, f"{path} has no function such as hmar_loss(params, batch, config).")
    return found


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
