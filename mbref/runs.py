"""A run folder: what was asked (`run.json`), the search for the number of steps, and the final model.

`search.npz` is trained on what precedes the validation events; `final.npz` again from the start, as many steps as were
best, on everything before the test events. Both are checkpoints of training.py, so each can be resumed.
"""
import hashlib
import json
import os
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref import evaluation, protocol, training
from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import item_text as metadata, sequences, sessions
from mbref.data.leave_one_out import leave_one_out
from mbref.data.readers import read
from mbref.device.device import open_device
from mbref.errors import InputError, require
from mbref.papers import atrank, dmran, hiersrec, hmar
from mbref.variants import (
    atrank as atrank_variants,
    dmran as dmran_variants,
    hiersrec as hiersrec_variants,
    hmar as hmar_variants,
)

MODELS = {"atrank": atrank, "dmran": dmran, "hiersrec": hiersrec, "hmar": hmar,
          "bilstm": bilstm, "bpr_mf": bpr_mf, "cnn": cnn, "sasrec": sasrec}
# a paper's other readings, whose Config has more fields
VARIANTS = {"atrank": atrank_variants, "dmran": dmran_variants, "hiersrec": hiersrec_variants,
            "hmar": hmar_variants}
TEXTS = ("words", "random", "none")
# fields of a Config that no --set changes: the log and its target decide them
OF_THE_LOG = {"items", "users", "behaviours", "categories", "text", "target", "tables", "groups", "actions"}
VALUES = {bool: "true or false", tuple: "numbers with commas between", int: "a whole number", float: "a number",
          str: "a word"}


@dataclass(frozen=True)
class Task:
    """Which log, and what is held out of it."""

    data: str
    format: str
    target: str
    drop_target_history: bool = False   # remove earlier events on a held-out item
    candidates: str = "all"             # of a full ranking: "all" items or those "unseen" in the history
    min_events: int = 3                 # users with fewer only train
    split: str = "leave-one-out"        # or by date, of sessions: "session-rec", "srgnn"
    gap: int = 0                        # seconds: cut users into sessions wherever more pass; 0 = they are sessions
    days: int = 7                       # of sessions held out for the test, and again for validation
    min_support: int = 5                # items with fewer clicks in training are left out of sessions
    text: str = "words"                 # vectors of sessions' items, where there is text: also "random", "none"
    cold: float = 0.0                   # share of the items that training sessions are rid of
    digest: str = ""                    # SHA-256 of the file, filled in when a run starts


def open_task(task, counts="running"):
    """Read the log of a task.  -> (log, task with its digest, split); a split of sessions leaves out part of the log.

    Raises InputError if it is not the file trained on, or if nothing is left to test.
    """
    log = read(task.data, task.format)
    digest = hashlib.sha256(Path(task.data).read_bytes()).hexdigest()
    if task.digest and digest != task.digest:
        raise InputError(f"{task.data} is not the file this run was trained on: put that file back, or train again.")
    task = replace(task, digest=digest)
    if task.split == "leave-one-out":
        return log, task, split_of(log, task, counts)
    log = sessions.cut_sessions(log, task.gap) if task.gap else log
    parts = sessions.session_split(log, task.split, min_support=task.min_support, days=task.days)
    unknown = None
    if task.cold:
        parts, unknown = sessions.cold(parts, task.cold, np.random.default_rng(0))  # the same items for every run
    split = with_text(sessions.as_split(parts, unknown), parts.log, task.text)
    return parts.log._replace(notes=(*log.notes, *parts.notes)), task, split


def with_text(split, log, kind, seed=0):
    """The split with a vector of text for every item, where its log has attributes; made from training items alone.

    kind: "words"; "random" for the control, directions drawn anew by `seed`; "none". Raises InputError for another.
    """
    require(kind in TEXTS, f"text is {kind!r}: choose one of {', '.join(TEXTS)}.")
    if kind == "none" or log.attributes is None:
        return split
    text = metadata.text_vectors(log.attributes, np.unique(split.train.item))
    if kind == "random":
        text = metadata.random_vectors(np.random.default_rng(seed), text)
    validation, test = (held._replace(history=held.history._replace(text=text))
                        for held in (split.validation, split.test))
    return split._replace(train=split.train._replace(text=text), validation=validation, test=test,
                          refit=split.refit._replace(text=text))


def split_of(log, task, counts="running"):
    """Leave-one-out as the task says. Raises InputError if the log has no test event."""
    split = leave_one_out(log, task.target, task.drop_target_history, counts, task.min_events)
    if len(split.test.item) == 0:
        raise InputError(f"no user of {task.data} has {task.min_events} events, a later one a {task.target!r}: "
                         "nothing to test, choose another --target.")
    return split


def make_config(model, split, log, task, overrides):
    """The model's Config for this log; `overrides` {field: text} as typed on the command line."""
    sizes = dict(items=split.items, users=split.users, behaviours=split.behaviours,
                 categories=0 if log.category is None else len(log.categories) - 1,
                 text=0 if split.train.text is None else split.train.text.shape[1])
    names = {field.name for field in fields(model.Config)}
    if sizes["categories"] == 0 and any(f.name == "categories" and f.default is MISSING for f in fields(model.Config)):
        raise InputError(f"{task.data} has no categories of its items, and this model predicts the next one: "
                         "give a log with categories, or train another model.")
    if task.target != "any":
        sizes["target"] = log.behaviours.index(task.target) + 1
    elif "target" in names:
        raise InputError("this model predicts one behaviour: give its name as --target, not any.")
    return model.Config(**{n: v for n, v in sizes.items() if n in names}, **typed(model.Config, overrides, sizes))


def find_model(name, overrides=()):
    """The module of a model: of a paper its own form, or its variants if they alone have an override's field."""
    own = {field.name for field in fields(MODELS[name].Config)}
    return VARIANTS[name] if name in VARIANTS and set(overrides) - own else MODELS[name]


def field_names(model_name):
    """Every name that --set may change for a model: fields of its Config and of training.Settings."""
    model = VARIANTS.get(model_name, MODELS[model_name])
    return {f.name for kind in (model.Config, training.Settings) for f in fields(kind)} - OF_THE_LOG


def typed_settings(model_name, texts):
    """{field: text} of both, over the model's own SETTINGS.  -> (texts left for its Config, training.Settings).

    Raises InputError for a name that neither has: it is known before the log is read.
    """
    known = sorted(field_names(model_name))
    for name in texts:
        require(name in known, f"--set {name}: {model_name} has no such setting; choose from {', '.join(known)}.")
    names = {f.name for f in fields(training.Settings)}
    texts = protocol.settings(MODELS[model_name], texts)
    settings = training.Settings(**typed(training.Settings, {n: t for n, t in texts.items() if n in names}))
    return {n: t for n, t in texts.items() if n not in names}, settings


def typed(kind, texts, fixed=()):
    """{field: text} with each text turned into the type of the dataclass's default. Raises InputError."""
    known = {f.name: f.default for f in fields(kind) if f.name not in fixed}
    values = {}
    for name, text in texts.items():
        try:
            default = known[name]
            values[name] = (
                {"true": True, "false": False}[text.lower()] if isinstance(default, bool)
                else tuple(map(float, text.split(","))) if isinstance(default, tuple)
                else type(default)(text)
            )
        except (KeyError, ValueError) as error:
            problem = (f"the value must be {VALUES[type(known[name])]}, not {text!r}" if name in known
                       else f"the name must be one of {', '.join(known)}")
            raise InputError(f"--set {name}={text}: {problem}.") from error
    return values


def train(model_name, folder, task, overrides, settings, describe, progress=True, device="cpu"):
    """Start a run in a new folder and finish it as `resume` does. Raises InputError if the folder holds a run."""
    folder = Path(folder)
    open_device(device)  # before anything is written
    if os.path.exists(folder / "run.json"):  # unlike Path.exists, False for a name too long
        raise InputError(f"{folder} already holds a run: go on with it by --resume {folder}, or give another --out.")
    log, task, split = open_task(replace(task, data=str(Path(task.data).resolve())))  # for any folder to evaluate
    config = make_config(find_model(model_name, overrides), split, log, task, overrides)
    about = dict(model=model_name, task=asdict(task), config=asdict(config), settings=asdict(settings))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "run.json.part"
        part.write_text(json.dumps(about, indent=1))
        os.replace(part, folder / "run.json")
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}): give another --out.") from error
    try:
        resume(folder, describe, progress, device)
    except (InputError, MemoryError):
        if not (folder / "search.npz").exists():  # nothing was trained: leave no run behind
            (folder / "run.json").unlink()
        raise


def load(folder):
    """What `run.json` says.  -> (model, task, config, settings). Raises InputError if it is missing or damaged."""
    path = Path(folder) / "run.json"
    try:
        about = json.loads(path.read_text())
        model = find_model(about["model"], about["config"])
        config, settings = as_tuples(about["config"]), as_tuples(about["settings"])
        task = Task(**about["task"])
        for field in fields(Task):
            if not isinstance(getattr(task, field.name), field.type):
                raise TypeError(f"{field.name} is {getattr(task, field.name)!r}")
        return model, task, model.Config(**config), training.Settings(**settings)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} holds no run (no run.json): give the folder that `train --out` wrote.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): mend that.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): train again.") from error


def as_tuples(value):
    """What JSON gives back of a Config's fields, with tuples again where it has lists."""
    if isinstance(value, dict):
        return {name: as_tuples(part) for name, part in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def resume(folder, describe, progress=True, device="cpu"):
    """Finish the run in `folder` from wherever it stands, after telling what it trains on by describe(log, split).

    The device is no part of the run: one that was begun on a GPU goes on on the CPU, and the other way round.
    """
    folder = Path(folder)
    open_device(device)
    model, task, config, settings = load(folder)
    log, _, split = open_task(task, protocol.optional(model, "history_counts")(config))
    describe(log, split)
    training.search_and_refit(model, config, settings, split, task.candidates, folder, progress, device)


def finished(folder, device="cpu"):
    """The final model of a run.  -> (model, params on a device, config, task, log, split).

    Raises InputError if it is not finished.
    """
    model, task, config, settings = load(folder)
    state = training.load_final(Path(folder), model, config, settings, device)
    log, _, split = open_task(task, protocol.optional(model, "history_counts")(config))
    return model, state.params, config, task, log, split


def searched(folder):
    """The parameters that were best on the validation events, which they were not trained on. Errors as `finished`."""
    model, _, config, settings = load(folder)
    return training.load_checkpoint(Path(folder) / "search.npz", model, config, settings).best


class Reason(NamedTuple):
    """An item of the history, what the user did with it, and how far the score falls without it."""

    item: str
    behaviours: list
    fall: float


class Recommendation(NamedTuple):
    """A raw item id, its logit, and what in the history carried it, most important first."""

    item: str
    score: float
    reasons: list


def recommend(model, params, config, task, log, user, k, reasons=2, text=None):
    """The k best items for a raw user id, from the user's whole log.  -> k Recommendations, best first.

    Items the user has met are left out if the task ranks "unseen" candidates. An item of the newest `length` events
    is a reason as far as the score falls when all its events are taken out of the history. text: [N+1, M] vectors of
    the items' texts, for a model that was trained with them.
    Raises InputError for an unknown user.
    """
    found = np.flatnonzero(log.users[1:] == str(user)) + 1
    if len(found) == 0:
        known = "give a user id as it stands in the file" if task.split == "leave-one-out" else (
            f"this run knows sessions that are long enough, such as {str(log.users[-1])!r}: give one of those")
        raise InputError(f"user {user!r} is not in the log: {known}.")
    rows = np.flatnonzero(log.user == found[0])
    window = rows[-config.length :]
    met = np.unique(log.item[window])
    scores, *without = score_without(model, params, config, log, rows, [None, *met], text)  # [N] each
    order = np.argsort(-scores, kind="stable") + 1
    best = order[~np.isin(order, log.item[rows])] if task.candidates == "unseen" else order
    falls = scores - np.array(without)  # [met, N]

    def why(i):
        events = {item: window[log.item[window] == item] for item in met}
        all_of_them = [Reason(str(log.items[item]), [log.behaviours[b - 1] for b in log.behaviour[events[item]]],
                              float(fall)) for item, fall in zip(met, falls[:, i - 1], strict=True) if fall > 0]
        return sorted(all_of_them, key=lambda reason: -reason.fall)[:reasons]

    return [Recommendation(str(log.items[i]), float(scores[i - 1]), why(i)) for i in best[:k]]


def score_without(model, params, config, log, rows, removed, text=None):
    """Scores of all items from the events `rows`, once for each item of `removed` without its events.  -> [R, N]."""
    keep = [rows[log.item[rows] != item] if item is not None else rows for item in removed]
    scores = []
    for part in keep:
        events = sequences.of_rows(log, [part])
        events = events._replace(now=None if log.time is None else log.time[rows[-1:]], text=text)
        if len(part) == 0:  # nothing is left: an empty history of the same user
            events = events._replace(ptr=np.zeros(2, int), user=log.user[rows[:1]])
        scores.append(evaluation.item_scorer(model, params, config)(events, np.array([0]))[0])
    return np.array(scores)
