"""Training steps to measure: every model's on a device, and those of a loss written in PyTorch.

A file for --torch has functions <model>_loss(params, batch, config) -> scalar, written in PyTorch;
params and batch are what the model gives, as tensors. Adam and clipping are PyTorch's own then.
"""
import time
from dataclasses import fields
from functools import partial
from pathlib import Path
from timeit import timeit
from typing import NamedTuple

import numpy as np

from mbref import runs, training
from mbref.check.run import import_file
from mbref.data import sequences
from mbref.errors import require
from mbref.nn import optim

WARM_UP = 3  # steps that are not counted: CuPy compiles its kernels when they are first used


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


def losses_in(path):
    """{model: the function <model>_loss of a Python file}. Raises InputError if there is none."""
    content = import_file(Path(path))
    found = {name: loss for name in runs.MODELS if (loss := content.get(f"{name}_loss"))}
    require(found, f"{path} has no function such as hmar_loss(params, batch, config).")
    return found
