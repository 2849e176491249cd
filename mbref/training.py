"""Training: batches, steps, validation, early stopping, checkpoints.

Models are known by their protocol alone. Everything random at step t comes from default_rng([seed,
1, t]), for shards i = 1, 2 ... of its batch from default_rng([seed, 1, t, i]), the order of epoch e
from default_rng([seed, 0, e]), so a run stopped after any step and resumed goes on bit for bit as
if it had never stopped.
"""
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mbref import evaluation
from mbref.data.arrays import read_arrays
from mbref.data.files import write_whole
from mbref.data.sequences import NO_NPZ
from mbref.errors import InputError, require, require_choice, require_types, without_interrupt
from mbref.nn import optim
from mbref.nn.device import device_of, to_device
from mbref.nn.lookup import add_shards, value_and_grad
from mbref.nn.shards import on_threads

to_json = partial(json.dumps, default=methodcaller("item"))  # of numbers that are NumPy's


@dataclass(frozen=True)
class Settings:
    """How a model is trained; nothing here changes what it computes."""
    seed: int = 0
    steps: int = 1000              # at most
    batch_size: int = 64           # rows of model.examples in a step
    optimiser: str = "adam"        # or "sgd"
    rate: float = 1e-3             # step size
    rates: tuple[float, ...] = ()  # one a task, for models that learn several; () = `rate` for all
    drop_step: int = 0             # from this step on a tenth of the rate; 0 = never
    beta2: float = 0.98            # of Adam; HMAR's value
    clip: float = 5.0              # largest global norm of the gradients
    evaluate_every: int = 50       # steps between two validations
    validation_cases: int = 0      # so many of the validation events, drawn once; 0 = all
    patience: int = 6              # validations without a better one that end it; 0 = never
    validate: str = "NDCG@10"      # or "MRR@20", by full ranking, or "AUC" against fixed negatives
    threads: int = 1               # of a step, a shard of the batch each, with draws of its own
    float32: bool = True           # float64 is for checking

    def __post_init__(self):
        require_types(self)
        require_choice(self, optimiser=("adam", "sgd"), validate=("NDCG@10", "MRR@20", "AUC"))
        for least, names in ((1, ("steps", "batch_size", "evaluate_every", "threads")),
                             (0, ("seed", "drop_step", "patience", "validation_cases"))):
            for name in names:
                value = getattr(self, name)
                require(value >= least, f"{name} is {value}: it must be at least {least}.")
        for name, values in (("rate", [self.rate]), ("clip", [self.clip]), ("rates", self.rates)):
            for value in values:
                require(0 < value < float("inf"),
                        f"{name} is {value}: it must be a positive number.")
        require(0 <= self.beta2 < 1,
                f"beta2 is {self.beta2}: it must be at least 0 and less than 1.")


class Diverged(InputError):
    """A training whose numbers are no longer finite: with a smaller rate the rest may be right."""


class State(NamedTuple):
    """A run after `step` steps."""
    step: int
    params: dict
    moments: dict        # of the optimiser
    best: dict           # parameters with the best validation so far
    validations: tuple   # (step, loss, metric) of each


TREES = ("params", "moments", "best")

def begin(model, config, settings, device="cpu"):
    """State before the first step, on a device; parameters drawn from default_rng(seed)."""
    kind = np.float32 if settings.float32 else np.float64
    params = model.init(np.random.default_rng(settings.seed), config)
    params, best = (optim.tree_map(lambda a: a.astype(kind), params) for _ in range(2))
    return to_device(State(0, params, optim.start(rule(settings), params), best, ()), device)


def rule(settings, step=0, task=0):
    """The optimiser that the settings ask for, at a step and for a task."""
    rate = settings.rates[task] if settings.rates else settings.rate
    rate = rate / 10 if 0 < settings.drop_step <= step else rate
    if settings.optimiser == "sgd":
        return optim.SGD(rate, settings.clip)
    return optim.Adam(rate, beta2=settings.beta2, clip=settings.clip)


def rows_of_step(tasks, settings, step):
    """The task and the rows of one step.

    Every epoch has its own order of rows and of tasks, the arrays of rows of model.examples; a
    batch belongs to one task, as in ATRank's all2all.
    """
    size = settings.batch_size
    batches = [max(1, len(rows) // size) for rows in tasks]
    epoch, at = divmod(step, sum(batches))
    rng = np.random.default_rng([settings.seed, 0, epoch])
    orders = [rng.permutation(len(rows)) for rows in tasks]
    turns = rng.permutation(np.repeat(np.arange(len(tasks)), batches))  # of one task always 0
    task = int(turns[at])
    first = size * int(np.sum(turns[:at] == task))
    return task, tasks[task][orders[task][first:first + size]]


def train_step(model, config, settings, events, tasks, state):
    """One step on its batch, on a CPU within the arrays of `state`.  -> (State, loss)."""
    task, rows = rows_of_step(tasks, settings, state.step)
    shards = np.array_split(rows, min(settings.threads, len(rows)))

    def differentiate(i):
        rng = np.random.default_rng([settings.seed, 1, state.step] + [i] * (i > 0))
        batch = model.training_batch(events, shards[i], config, rng)
        batch = to_device(batch, device_of(state.params))
        return value_and_grad(model.loss, rows=True)(state.params, batch, config, rng)

    loss, grads = add_shards(state.params, on_threads(differentiate, len(shards)))
    step, optimiser = state.step + 1, rule(settings, state.step, task)
    params, moments = optim.update_in_place(
        optimiser, state.params, grads, state.moments, step, len(shards))
    loss = float(loss)  # of all a step computes, this alone comes back from a device, at the end
    if not np.isfinite(loss):
        raise Diverged(
            f"the loss is {loss} at step {step}: choose a smaller rate than {settings.rate}.")
    return state._replace(step=step, params=params, moments=moments), loss


@np.errstate(all="ignore")  # numbers that overflow end in one InputError instead of many warnings
def fit(model, config, settings, events, validate=None, state=None, save=None, progress=True,
        device="cpu"):
    """Train on `events` until `steps`, or until validation has not improved `patience` times.

    A `state` goes on where its arrays are, a new one on `device`. validate(params) -> number, the
    higher the better; None trains all steps and keeps the last parameters. save(state) is called
    every `evaluate_every` steps, after the last, and on Ctrl-C, which then goes on to the caller.
    Raises InputError if there is nothing to train on, Diverged if the loss is no longer finite.
    """
    tasks = model.examples(events, config, np.random.default_rng([settings.seed, 2]))
    require(all(map(len, tasks)),
            "nothing to train on: no user has two events before the held-out ones.")
    save = save or (lambda state: None)
    state = copy_state(state) if state else begin(model, config, settings, device)
    bar = tqdm(total=settings.steps, initial=state.step, disable=not progress, unit="step")
    try:
        with bar:
            while state.step < settings.steps and not is_over(state, settings):
                step = state.step + 1  # after which the state is saved, and validated, if due
                due = step % settings.evaluate_every == 0 or step == settings.steps
                old = copy_state(state) if due else state
                with without_interrupt():
                    new, loss = train_step(model, config, settings, events, tasks, old)
                    state = state if due else new
                # the step and its validation: both or neither
                state = record(new, loss, measure(validate, settings, new)) if due else new
                bar.update()
                if due:
                    best = [f"best={max(v[2] for v in state.validations):.4f}"] if validate else []
                    bar.set_postfix_str(", ".join([*best, f"loss={loss:.4f}"]))
                    save(state)
    except KeyboardInterrupt:
        save(state)
        raise
    return state


def measure(validate, settings, state):
    """validate(params), None without it. Raises Diverged where it refuses what they score."""
    try:
        return validate and validate(state.params)
    except InputError as error:
        raise Diverged(f"step {state.step} cannot be validated ({str(error).partition(';')[0]}): "
                       f"choose a smaller rate than {settings.rate}.") from error


def copy_state(state):
    """The state with arrays of its own to write the next step into; that of `best` is read only."""
    return state._replace(**{name: optim.tree_map(lambda a: a.copy(), state._asdict()[name])
                             for name in ("params", "moments")})


def record(state, loss, metric):
    """Add a validation: the best parameters are those of the highest; without any, the newest."""
    if metric is None:
        return state._replace(best=state.params)
    is_best = all(metric > v[2] for v in state.validations)
    best = copy_state(state).params if is_best else state.best
    return state._replace(best=best, validations=(*state.validations, (state.step, loss, metric)))


def is_over(state, settings):
    """True when the best validation lies `patience` or more validations back."""
    metrics = [v[2] for v in state.validations] or [0]
    return 0 < settings.patience <= len(metrics) - 1 - int(np.argmax(metrics))


def best_step(state):
    """The step of the best validation, or the last step without validation."""
    return max(state.validations, key=lambda v: v[2])[0] if state.validations else state.step


def describe(final, search=None):
    """What a table says of a training.  -> {"steps": of the final model, "validation": curve}."""
    validations = search.validations if search else ()
    return {"steps": final.step, "validation": [(step, metric) for step, _, metric in validations]}


def save_checkpoint(path, state, config, settings):
    """Write everything a resumed run needs to `path` (.npz). Raises InputError if it cannot."""
    state = to_device(state, "cpu")
    arrays = dict(leaf for part in TREES for leaf in optim.leaves(state._asdict()[part], part))
    about = dict(step=state.step, validations=state.validations,
                 config=asdict(config), settings=asdict(settings))
    write_whole(path, lambda file: np.savez(file, about=to_json(about), **arrays))


def load_checkpoint(path, model, config, settings, device="cpu", trees=TREES):
    """A State from a file, on a device; all trees but `trees` are empty. Raises InputError for a
    file of another run, or a damaged one."""
    try:
        declared = {"about": ("U", 0)} | {f"{tree}/*": ("f", None) for tree in trees}
        arrays = read_arrays(path, declared)
        about = json.loads(str(arrays["about"]))
        about["settings"] = asdict(Settings()) | about["settings"]  # fields younger than the file
        asked = json.loads(to_json(dict(config=asdict(config), settings=asdict(settings))))
        if {name: about[name] for name in asked} != asked:
            raise ValueError("it was trained with other settings")
        empty = begin(model, config, settings)._asdict()
        found = {tree: optim.fill(empty[tree], arrays, tree) for tree in trees}
        state = State(about["step"], validations=tuple(map(tuple, about["validations"])),
                      **dict.fromkeys(TREES, {}) | found)
        steps = [0, *(step for step, _, _ in state.validations), state.step]
        numbers = [number for _, *both in state.validations for number in both]
        kinds = [int] * len(steps) + [float] * len(numbers)
        if [*map(type, steps + numbers)] != kinds or sorted(steps) != steps:
            raise ValueError("a step or a validation is no number")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: the run is not finished, "
                         "go on by `train --resume`.") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): mend that.") from error
    except (*NO_NPZ, RecursionError) as error:
        raise InputError(f"{path} is no whole checkpoint of this run ({error}): "
                         "delete it and train again.") from error
    return to_device(state, device)


def search_and_refit(model, config, settings, split, candidates="all", folder=None, progress=True,
                     device="cpu"):
    """As `fit_twice`, by a split's validation events and finally on all before the test events.

    Without validation events all steps are used.
    """
    validate = None
    if len(split.validation.item):
        validate = evaluation.validation(model, config, split, candidates, settings.validate,
                                         settings.validation_cases)
    return fit_twice(model, config, settings, split.train, split.refit, validate,
                     folder, progress, device)


def fit_twice(model, config, settings, train, refit, validate, folder=None, progress=True,
              device="cpu"):
    """Fit to `train`, where validate(params) is highest, then anew to `refit` for as many steps.

    With a `folder`, both parts keep a checkpoint there, `search.npz` and `final.npz`, and start
    from it if it exists.
    -> (final State, search State).
    """
    def run(name, settings, events, validate):
        state, save = None, None
        if folder:
            path = Path(folder) / name
            save = lambda state: save_checkpoint(path, state, config, settings)
            if path.exists():
                state = load_checkpoint(path, model, config, settings, device)
        return fit(model, config, settings, events, validate, state, save, progress, device)

    search = run("search.npz", settings, train, validate)
    final = run("final.npz", replace(settings, steps=best_step(search)), refit, None)
    return final, search


def load_final(folder, model, config, settings, device="cpu"):
    """Parameters of the finished model of a folder, on a device. Raises InputError if it is not."""
    search = load_checkpoint(Path(folder) / "search.npz", model, config, settings, trees=())
    settings = replace(settings, steps=max(best_step(search), 1))  # 0: stopped in its first step
    final = load_checkpoint(
        Path(folder) / "final.npz", model, config, settings, device, trees=("params",))
    require(final.step >= settings.steps,
            f"{folder} is not finished: give it to `train --resume`, which goes on with it.")
    return final.params
