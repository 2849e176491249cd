"""What a model is: a module of pure functions. Read this page before any other.

A model has these names. B batch, C candidates, N objects; ids start at 1, 0 is padding.

    Config                                    a frozen dataclass of shapes and settings
    init(rng, config)                         parameters: nested dicts and lists of float64 arrays
    examples(events, config, rng)             what to train on: one array of rows a task
    training_batch(events, rows, config, rng) some of these rows as the model's own NamedTuple
    ranking_batch(events, cases, config)      histories `cases`, to rank from
    score(params, batch, candidates, config)  candidates [B, C] -> scores [B, C]
    score_all(params, batch, config)          scores of all objects 1..N -> [B, N]
    loss(params, batch, config, rng)          a number; rng draws dropout, None draws nothing

`events` are what data/ makes of a log: sequences.Sequences, or group_events.GroupEvents. Batches
are made on the host; parameters and batch may then lie on a device. All that is random comes from
rng, a numpy.random.Generator. Most models also have forward(params, batch, config, tap, rng), their
states, with tap(name, array) called on intermediates.

A model may have the names of OPTIONAL, too; `optional(model, name)` is how everything else asks.
"""
from dataclasses import fields

from mbref.errors import InputError, require

REQUIRED = ("Config", "init", "examples", "training_batch", "ranking_batch", "score", "score_all",
            "loss")
OPTIONAL = {
    # fields of training.Settings that this model wants otherwise: {field: text}
    "SETTINGS": {},
    # history_counts(config): what leave_one_out has to count, "running", "window" or "whole-log"
    "history_counts": lambda config: "running",
    # score_categories(params, batch, config): the scores of all items [B, N], and log p of what
    # category comes next [B, C+1], or None where the Config leaves out that head
    "score_categories": None,
    # predicts_categories(config), asked where there is score_categories: are its scores a
    # prediction from the session alone, with such a head?
    "predicts_categories": lambda config: True,
    # forget_ids(params, known): parameters that know items not `known` [N+1] by features alone
    "forget_ids": lambda params, known: params,
}
# what a text must be to become a field of a kind
VALUES = {bool: "true or false", tuple: "numbers with commas between", int: "a whole number",
          float: "a number", str: "a word"}
PARSERS = {bool: lambda text: {"true": True, "false": False}[text.lower()],  # the others: the kind
           tuple: lambda text: tuple(map(float, text.split(",")))}


def optional(model, name):
    """What the model has under one of the names of OPTIONAL, or that name's default."""
    return vars(model).get(name, OPTIONAL[name])


def settings(model, texts):
    """The texts {field: text} of a training over those that the model wants.  -> {field: text}."""
    return {**optional(model, "SETTINGS"), **texts}


def validates_by(model):
    """The measure that the model is trained for by its own SETTINGS, such as "AUC", or ""."""
    return optional(model, "SETTINGS").get("validate", "")


def parse_fields(kind, texts, fixed=()):
    """{field: text} with each text turned into the type of the dataclass's default.

    Raises InputError for another field than those of `kind` that are not `fixed`, or another value.
    """
    known = {field.name: field.default for field in fields(kind) if field.name not in fixed}
    values = {}
    for name, text in texts.items():
        require(name in known,
                f"--set {name}={text[:80]}: the name must be one of {', '.join(known)}.")
        try:
            values[name] = PARSERS.get(type(known[name]), type(known[name]))(text)
        except (KeyError, ValueError) as error:
            raise InputError(f"--set {name}={text[:80]}: the value must be "
                             f"{VALUES[type(known[name])]}, not {text!r}.") from error
    return values
