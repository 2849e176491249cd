"""A run folder: what was asked (`run.json`), the search for the steps, the final model.

`search.npz` is trained on what precedes the validation events; `final.npz` again from the start, as
many steps as were best, on all before the test events. Both are checkpoints of training.py. Here,
too: which models there are, and a model's Config for a log.
"""
import os
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mbref.variants.atrank as atrank_variants
import mbref.variants.dmran as dmran_variants
import mbref.variants.hiersrec as hiersrec_variants
import mbref.variants.hmar as hmar_variants
from mbref import protocol, training
from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import item_text, sessions
from mbref.data.files import make_folder, read_json, write_json
from mbref.data.leave_one_out import Split, leave_one_out
from mbref.data.log import Log
from mbref.data.newer import with_test_file
from mbref.data.readers import digest_of, read_task
from mbref.errors import InputError, require, require_choice, require_range, require_types
from mbref.nn.device import open_device
from mbref.papers import atrank, dmran, hiersrec, hmar
from mbref.released.atrank import trainable as atrank_released
from mbref.released.hmar import trainable as hmar_released

MODELS = {"atrank": atrank, "dmran": dmran, "hiersrec": hiersrec, "hmar": hmar,
          "atrank_released": atrank_released, "hmar_released": hmar_released,
          "bilstm": bilstm, "bpr_mf": bpr_mf, "cnn": cnn, "sasrec": sasrec}
# a paper's other readings, whose Config has more fields
VARIANTS = {"atrank": atrank_variants, "dmran": dmran_variants, "hiersrec": hiersrec_variants,
            "hmar": hmar_variants}
TEXTS = ("words", "random", "none")
SPLITS = ("leave-one-out", *sessions.RULES)
# fields of a Config that no --set changes: the log and its target decide them
OF_THE_LOG = {"items", "users", "behaviours", "categories", "text", "target", "tables", "groups",
              "actions"}


@dataclass(frozen=True)
class Task:
    """Which log, and what is held out of it."""
    data: str
    format: str
    target: str
    drop_target_history: bool = False   # remove earlier events on a held-out item
    candidates: str = "all"             # of a full ranking: "all" items, or those "unseen" before
    min_events: int = 3                 # users with fewer only train
    split: str = "leave-one-out"        # or by date, of sessions: "session-rec", "srgnn"
    digest: str = ""                    # SHA-256 of the file, filled in when a run starts
    # of sessions alone; the command line has no defaults of its own for these
    gap: int = 0                        # seconds between a user's sessions; 0 = users are sessions
    days: int = 7                       # held out for the test, and again for validation
    min_support: int = 5                # items with fewer clicks in training are left out
    text: str = "words"                 # vectors of the items' texts; or "random", "none"
    cold: float = 0.0                   # share of the items that training sessions are rid of
    columns: str = ""                   # how the file is written, see readers.read_task
    no_header: bool = False
    behaviours: str = ""
    sample_users: int = 0
    keep_repeats: bool = False
    test: str = ""                      # a file of events to hold out, written as the log is

    def __post_init__(self):
        require_types(self)
        require_choice(self, split=SPLITS, text=TEXTS, candidates=("all", "unseen"))
        for field in fields(self):
            require_range(field.name, getattr(self, field.name), field.default)
        require(self.cold < 1, f"cold is {self.cold}: it must be less than 1.")
        require(self.data, "data is empty: it must be the path of a log.")
        for path in (self.data, self.test):  # ValueError for a text that can be no path
            require(b"\0" not in os.fsencode(path), "a path holds a zero byte.")


ONE_FILE = "--test FILE goes without --gap, --sample-users and --drop-target-history."
OF_SESSIONS = ("gap", "days", "min_support", "text", "cold")


def open_task(task, counts="running"):
    """-> (the log of a task, for sessions the part that is split; the task with its digest; split).

    Raises InputError if it is not the file trained on, or if nothing is left to test.
    """
    files = [path for path in (task.data, task.test) if path]
    log, *of_test = [read_task(task, path) for path in files]
    digest = " ".join(map(digest_of, files))
    require(task.digest in ("", digest), f"{' or '.join(files)} is not the file this run was "
                                         "trained on: put that file back, or train again.")
    task = replace(task, digest=digest)
    if task.test:
        require(not (task.gap or task.sample_users or task.drop_target_history), ONE_FILE)
        log = with_test_file(log, *of_test, task.test)
    if task.split == "leave-one-out":
        return log, task, split_of(log, task, counts)
    log = sessions.cut_sessions(log, task.gap) if task.gap else log
    parts, split = split_sessions(log, task)
    return parts.log._replace(notes=(*log.notes, *parts.notes)), task, split


def split_sessions(log, task):
    """The sessions of a log split by date.  -> (what sessions.session_split says, split)."""
    parts = sessions.session_split(log, task.split, min_support=task.min_support, days=task.days)
    unknown = None
    if task.cold:  # the same items for every run
        parts, unknown = sessions.cold(parts, task.cold, np.random.default_rng(0))
    return parts, with_text(sessions.as_split(parts, unknown), parts.log, task.text)


def with_text(split, log, kind, seed=0):
    """The split with a vector for the text of every item, where the log has texts.

    kind: "words", made from training items alone; "random", as a control; "none".
    """
    require(kind in TEXTS, f"text is {kind!r}: choose one of {', '.join(TEXTS)}.")
    if kind == "none" or log.attributes is None:
        return split
    text = item_text.text_vectors(log.attributes, np.unique(split.train.item))
    if kind == "random":
        text = item_text.random_vectors(np.random.default_rng(seed), text)
    train, refit = (events._replace(text=text) for events in (split.train, split.refit))
    validation, test = (held._replace(history=held.history._replace(text=text))
                        for held in (split.validation, split.test))
    return split._replace(train=train, refit=refit, validation=validation, test=test)


def split_of(log, task, counts="running"):
    """Leave-one-out as the task says. Raises InputError if the log has no test event."""
    split = leave_one_out(log, task.target, task.drop_target_history, counts, task.min_events)
    has = f"no user of {task.data} has {task.min_events} events, a later one a {task.target!r}"
    if task.test:
        has = f"no {task.target!r} event of {task.test} comes after another of its user"
    mend = "give later events of the log's users, or" if task.test else "choose"
    require(len(split.test.item), f"{has}: nothing to test, {mend} another --target.")
    return split


def make_config(model, split, log, task, overrides):
    """The model's Config for this log; `overrides` {field: text} as typed on the command line."""
    sizes = sizes_of(split, log)
    default = {field.name: field.default for field in fields(model.Config)}
    require(sizes["categories"] or default.get("categories") is not MISSING,
            f"{task.data} has no categories of its items, and this model predicts the next one: "
            "give a log with categories, or train another model.")
    require(task.target != "any" or "target" not in default,
            "this model predicts one behaviour: give its name as --target, not any.")
    if task.target != "any":
        sizes["target"] = log.behaviours.index(task.target) + 1
    known = {name: size for name, size in sizes.items() if name in default}
    return model.Config(**known, **protocol.parse_fields(model.Config, overrides, sizes))


def sizes_of(split, log):
    """What the log decides of a Config.  -> {field: number}."""
    text = split.train.text
    return dict(items=split.items, users=split.users, behaviours=split.behaviours,
                categories=0 if log.category is None else len(log.categories) - 1,
                text=0 if text is None else text.shape[1])


def find_model(name, overrides=()):
    """The module of a model; a paper's variants if they alone have the field of an override."""
    own = {field.name for field in fields(MODELS[name].Config)}
    return VARIANTS[name] if name in VARIANTS and set(overrides) - own else MODELS[name]


def field_names(model_name):
    """Every name that --set may change for a model: of its Config and of training.Settings."""
    model = VARIANTS.get(model_name, MODELS[model_name])
    return {f.name for kind in (model.Config, training.Settings) for f in fields(kind)} - OF_THE_LOG


def parse_settings(model_name, texts):
    """{field: text}, over the model's own SETTINGS.  -> (texts for its Config, training.Settings).

    Raises InputError for a name that neither has: it is known before the log is read.
    """
    known = sorted(field_names(model_name))
    for name in texts:
        require(name in known, f"--set {name}: {model_name} has no such setting; "
                               f"choose from {', '.join(known)}.")
    names = {field.name for field in fields(training.Settings)}
    texts = protocol.settings(MODELS[model_name], texts)
    own = {name: text for name, text in texts.items() if name in names}
    settings = training.Settings(**protocol.parse_fields(training.Settings, own))
    return {name: text for name, text in texts.items() if name not in names}, settings


def train(model_name, folder, task, overrides, settings, describe, progress=True, device="cpu"):
    """Start a run and finish it as `resume` does. Raises InputError for a folder with a run."""
    folder = Path(folder)
    open_device(device)  # before anything is written
    # unlike Path.exists, False for a name too long
    require(not os.path.exists(folder / "run.json"), f"{folder} already holds a run: go on with it "
            "by --resume, or give another --out.")
    task = replace(task, data=os.path.abspath(task.data),  # for any folder to evaluate
                   test=task.test and os.path.abspath(task.test))
    log, task, split = open_task(task)
    config = make_config(find_model(model_name, overrides), split, log, task, overrides)
    about = dict(model=model_name, task=asdict(task), config=asdict(config),
                 settings=asdict(limit_validation(settings, split)), notes=log.notes)
    make_folder(folder)
    write_json(folder / "run.json", about, new=True)  # another process may be as far
    try:
        resume(folder, describe, progress, device)
    except (InputError, MemoryError):
        if not (folder / "search.npz").exists():  # nothing was trained: leave no run behind
            (folder / "run.json").unlink()
        raise


def limit_validation(settings, split):
    """The settings, with fewer validation cases where ranking all would take long.

    At most 200, or as many as rows are trained on between two validations, fewer in proportion
    where there are over 20,000 items.
    """
    most = max(200, settings.batch_size * settings.evaluate_every // (1 + split.items // 20_000))
    enough = settings.validation_cases or len(split.validation.item) <= most
    return settings if enough else replace(settings, validation_cases=most)


def load(folder):
    """What `run.json` says: model, task, config, settings. Raises InputError if it is damaged."""
    path = Path(folder) / "run.json"
    try:
        about = read_json(path)
        model = find_model(about["model"], about["config"])
        return (model, read_fields(Task, about["task"]), read_fields(model.Config, about["config"]),
                read_fields(training.Settings, about["settings"]))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} holds no run (no run.json): "
                         "give the folder that `train --out` wrote.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): mend that.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): train again.") from error


def read_fields(kind, values):
    """A dataclass from what JSON gave of it. Raises InputError for a value of another kind."""
    def as_tuples(value):
        return tuple(map(as_tuples, value)) if isinstance(value, list) else value

    return kind(**{name: as_tuples(value) for name, value in values.items()})


def resume(folder, describe, progress=True, device="cpu"):
    """Finish the run in `folder` from wherever it stands, once describe(log, split) was called.

    The device is no part of the run: one begun on a GPU may go on on the CPU.
    """
    folder = Path(folder)
    open_device(device)
    model, task, config, settings = load(folder)
    log, split = open_log(model, task, config)
    describe(log, split)
    training.search_and_refit(
        model, config, settings, split, task.candidates, folder, progress, device)


def open_log(model, task, config):
    """The log of a run and its split. Raises InputError if the Config is of another log."""
    log, _, split = open_task(task, protocol.optional(model, "history_counts")(config))
    for name, size in sizes_of(split, log).items():
        require(vars(config).get(name, size) == size,
                f"run.json is damaged ({name} is {size} in {task.data}): train again.")
    return log, split


class Run(NamedTuple):
    """A finished run."""
    model: object
    params: dict
    config: object
    task: Task
    log: Log
    split: Split


def open_run(folder, device="cpu"):
    """The Run in a folder, parameters on a device. Raises InputError if it is not finished."""
    model, task, config, settings = load(folder)
    params = training.load_final(Path(folder), model, config, settings, device)
    log, split = open_log(model, task, config)
    return Run(model, params, config, task, log, split)


def load_search(folder):
    """The parameters that were best on the validation events; raises InputError as open_run."""
    model, _, config, settings = load(folder)
    path = Path(folder) / "search.npz"
    return training.load_checkpoint(path, model, config, settings, trees=("best",)).best
