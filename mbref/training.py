"""Training: batches, steps, validation, early stopping, checkpoints. Knows models only through their protocol.

Everything random at step t comes from default_rng([seed, 1, t]), the order of epoch e from default_rng([seed, 0, e]),
so a run stopped after any step and resumed goes on bit for bit as if it had never stopped.
"""
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from autograd import value_and_grad
from tqdm import tqdm

from mbref import evaluation
from mbref.data import sequences
from mbref.device.device import device_of, to_device
from mbref.errors import InputError, require_choice
from mbref.nn import optim


@dataclass(frozen=True)
class Settings:
    """How a model is trained; nothing here changes what it computes."""

    seed: int = 0
    steps: int = 1000             # at most
    batch_size: int = 64          # windows a step
    optimiser: str = "adam"       # or "sgd"
    rate: float = 1e-3            # step size
    rates: tuple[float, ...] = () # one a task, for models that learn several in turn; () = `rate` for all
    drop_step: int = 0            # from this step on a tenth of the rate; 0 = never
    beta2: float = 0.98           # of Adam; HMAR's value
    clip: float = 5.0             # largest global norm of the gradients
    evaluate_every: int = 50      # steps between two validations
    patience: int = 6             # validations without a better one before training stops; 0 = never stop early
    validate: str = "NDCG@10"     # or "MRR@20", by full ranking, or "AUC" against fixed negatives
    float32: bool = True          # float64 is for checking

    def __post_init__(self):
        for name in ("steps", "batch_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: it must be at least 1.")
        require_choice(self, optimiser=("adam", "sgd"), validate=("NDCG@10", "MRR@20", "AUC"))
        for name, value in (("rate", self.rate), ("clip", self.clip), *(("rates", rate) for rate in self.rates)):
            if not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}: it must be a positive number.")
        if not 0 <= self.beta2 < 1:
            raise InputError(f"beta2 is {self.beta2}: it must be at least 0 and less than 1.")
        for name in ("seed", "drop_step", "patience"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}: it must not be negative.")


class State(NamedTuple):
    """A run after `step` steps."""

    step: int
    params: dict
    moments: dict       # of the optimiser
    best: dict          # parameters with the best validation so far
    history: tuple      # (step, loss, validation metric) at each validation


TREES = ("params", "moments", "best")


def begin(model, config, settings, device="cpu"):
    """State before the first step, on a device; parameters drawn from default_rng(seed)."""
    kind = np.float32 if settings.float32 else np.float64
    params = optim.tree_map(lambda a: a.astype(kind), model.init(np.random.default_rng(settings.seed), config))
    return to_device(State(0, params, optim.start(rule(settings), params), params, ()), device)


def rule(settings, step=0, task=0):
    """The optimiser that the settings ask for, at a step and for a task."""
    rate = settings.rates[task] if settings.rates else settings.rate
    rate = rate / 10 if 0 < settings.drop_step <= step else rate
    if settings.optimiser == "sgd":
        return optim.SGD(rate, settings.clip)
    return optim.Adam(rate, beta2=settings.beta2, clip=settings.clip)


def rows_of_step(tasks, settings, step):
    """The task and the rows of one step; every epoch has its own order of rows, and of tasks if there are several.

    tasks: arrays of rows as from model.examples. A batch belongs to one task, as in ATRank's all2all.
    """
    batches = [max(1, len(rows) // settings.batch_size) for rows in tasks]
    epoch, at = divmod(step, sum(batches))
    rng = np.random.default_rng([settings.seed, 0, epoch])
    orders = [rng.permutation(len(rows)) for rows in tasks]
    turns = rng.permutation(np.repeat(np.arange(len(tasks)), batches)) if len(tasks) > 1 else np.zeros(batches[0], int)
    task = int(turns[at])
    at = int(np.sum(turns[:at] == task))
    return task, tasks[task][orders[task][at * settings.batch_size : (at + 1) * settings.batch_size]]


def train_step(model, config, settings, events, tasks, state):
    """One step on the batch that belongs to its number, where the parameters are.  -> (State, loss)."""
    task, rows = rows_of_step(tasks, settings, state.step)
    rng = np.random.default_rng([settings.seed, 1, state.step])
    batch = to_device(model.training_batch(events, rows, config, rng), device_of(state.params))
    loss, grads = value_and_grad(model.loss)(state.params, batch, config, rng)
    step = state.step + 1
    params, moments = optim.update(rule(settings, state.step, task), state.params, grads, state.moments, step)
    loss = float(loss)  # of all a step computes, this alone comes back from a device; all is under way by then
    if not np.isfinite(loss):
        raise InputError(f"the loss is {loss} at step {step}: choose a smaller rate than {settings.rate}.")
    return state._replace(step=step, params=params, moments=moments), loss


@np.errstate(all="ignore")  # numbers that overflow end in one InputError instead of many warnings
def fit(model, config, settings, events, validate=None, state=None, save=None, progress=True, device="cpu"):
    """Train on the sequences `events` until `steps`, or until validation has not improved `patience` times.

    A `state` goes on where its arrays are, a new one on `device`.

    validate(params) -> number, higher is better; None trains all steps and keeps the last parameters. `save(state)`
    is called at every validation and at the end, and on Ctrl-C, which then goes on to the caller as KeyboardInterrupt.
    Raises InputError if there is nothing to train on or the loss is no longer finite.
    """
    tasks = model.examples(events, config, np.random.default_rng([settings.seed, 2]))
    if not all(map(len, tasks)):
        raise InputError("nothing to train on: no user has two events before the held-out ones.")
    state, save = state or begin(model, config, settings, device), save or (lambda state: None)
    bar = tqdm(total=settings.steps, initial=state.step, disable=not progress, unit="step")
    try:
        with bar:
            while state.step < settings.steps and not is_over(state, settings):
                new, loss = train_step(model, config, settings, events, tasks, state)
                validated = validate and (new.step % settings.evaluate_every == 0 or new.step == settings.steps)
                state = record(new, loss, validate(new.params)) if validated else new  # never a step without its record
                bar.update()
                if validated:
                    bar.set_postfix(loss=f"{loss:.4f}", best=f"{max(h[2] for h in state.history):.4f}")
                    save(state)
    except KeyboardInterrupt:
        save(state)
        raise
    state = state if validate else state._replace(best=state.params)
    save(state)
    return state


def record(state, loss, metric):
    """Add a validation; its parameters become the best ones if it beats all earlier ones."""
    best = state.params if all(metric > h[2] for h in state.history) else state.best
    return state._replace(best=best, history=(*state.history, (state.step, loss, metric)))


def is_over(state, settings):
    """True when the best validation lies `patience` or more validations back."""
    metrics = [h[2] for h in state.history]
    return 0 < settings.patience <= len(metrics) - 1 - int(np.argmax(metrics)) if metrics else False


def best_step(state):
    """The step of the best validation, or the last step without validation."""
    return max(state.history, key=lambda h: h[2])[0] if state.history else state.step


def save_checkpoint(path, state, config, settings):
    """Write everything a resumed run needs to `path` (.npz), whole or not at all. Raises InputError if it cannot."""
    arrays = {name: a for part in TREES for name, a in optim.leaves(to_device(getattr(state, part), "cpu"), part)}
    about = dict(step=state.step, history=state.history, config=asdict(config), settings=asdict(settings))
    part = Path(path).with_suffix(".part")
    try:
        with open(part, "wb") as file:
            np.savez(file, about=json.dumps(about), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): mend that, or give another folder.") from error
    finally:
        with suppress(OSError):  # gone already if all went well
            part.unlink()


def load_checkpoint(path, model, config, settings, device="cpu"):
    """-> State on a device. Raises InputError if the file is missing, cut, or of another model, config or settings."""
    try:
        with np.load(path, allow_pickle=False) as z:
            about, arrays = json.loads(str(z["about"])), {name: z[name] for name in z.files}
        asked = json.loads(json.dumps(dict(config=asdict(config), settings=asdict(settings))))
        if {name: about[name] for name in asked} != asked:
            raise ValueError("it was trained with other settings")
        empty = begin(model, config, settings)
        trees = {part: fill(getattr(empty, part), arrays, part) for part in TREES}
        state = State(about["step"], history=tuple(map(tuple, about["history"])), **trees)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: the run is not finished, go on by `train --resume`.") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): mend that.") from error
    except sequences.NO_NPZ as error:
        raise InputError(f"{path} is no whole checkpoint of this run ({error}): delete it and train again.") from error
    return to_device(state, device)


def fill(tree, arrays, path):
    """The structure of `tree` with the arrays saved under its paths. Raises ValueError for another shape."""
    saved = iter([arrays[name] for name, _ in optim.leaves(tree, path)])

    def take(old):
        new = next(saved)
        if new.shape != old.shape or new.dtype != old.dtype:
            raise ValueError(f"an array has shape {new.shape}, not {old.shape}")
        return new

    return optim.tree_map(take, tree)


def search_and_refit(model, config, settings, split, candidates="all", folder=None, progress=True, device="cpu"):
    """Find the number of steps on the validation events, then train anew that long on all before the test events.

    Without validation events all steps are used. The rest as in `search_then_refit`.
    """
    measure = evaluation.validation(model, config, split, candidates, settings.validate)
    return search_then_refit(model, config, settings, split.train, split.refit,
                             measure if len(split.validation.item) else None, folder, progress, device)


def search_then_refit(model, config, settings, train, refit, validate, folder=None, progress=True, device="cpu"):
    """Train on `train`, where validate(params) is highest, then anew on `refit` for as many steps as that took.

    With a `folder`, both parts keep a checkpoint there, `search.npz` and `final.npz`, and start from it if it exists.
    -> (final State, search State).
    """
    def run(name, settings, events, validate):
        path = folder and Path(folder) / name
        state = load_checkpoint(path, model, config, settings, device) if path and path.exists() else None
        save = path and (lambda state: save_checkpoint(path, state, config, settings))
        return fit(model, config, settings, events, validate, state, save, progress, device)

    search = run("search.npz", settings, train, validate)
    final = run("final.npz", replace(settings, steps=best_step(search)), refit, None)
    return final, search


def load_final(folder, model, config, settings, device="cpu"):
    """The finished model of a run folder.  -> State on a device. Raises InputError if training has not ended."""
    search = load_checkpoint(Path(folder) / "search.npz", model, config, settings)
    settings = replace(settings, steps=max(best_step(search), 1))  # 0: stopped in its first step
    final = load_checkpoint(Path(folder) / "final.npz", model, config, settings, device)
    if final.step < settings.steps:
        raise InputError(f"{folder} is not finished: go on with it by `train --resume {folder}`.")
    return final
