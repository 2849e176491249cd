"""Batches of models with a row for each target: its history, padded on the right, with time gaps.

A model takes these functions as its own; its config says items, length, unit and pairs. Events are
the Sequences of a plain log, which is one group of items, or GroupEvents of several groups.
"""
from mbref.data import group_events, targets
from mbref.errors import require


def fill_groups(config):
    """Set what a new Config leaves out: tables and groups of a plain log, no actions anywhere."""
    sizes = (("item", int(config.items)), ("category", int(config.categories)))
    tables = config.tables or tuple((name, size) for name, size in sizes if size)
    lists = tuple, list  # JSON has no tuples
    require(all(isinstance(pair, lists) and [*map(type, pair)] == [str, int] for pair in tables),
            f"tables is {tables!r}: give (feature, number of ids) for each.")
    groups = config.groups or (tuple(name for name, _ in tables),)
    require(all(isinstance(one, lists) and {*one} <= {*dict(tables)} for one in groups),
            f"groups is {groups!r}: give the features of each, of those that have tables.")
    actions = config.actions or (0,) * len(groups)
    require(groups[0], "give the number of items, or tables, groups and actions of several groups.")
    require(len(actions) == len(groups), "give one number of actions a group.")
    for name, value in {"tables": tables, "groups": groups, "actions": actions}.items():
        object.__setattr__(config, name, value)  # a frozen Config is set here alone


def maker(events):
    """The module that makes batches of these events."""
    return group_events if isinstance(events, group_events.GroupEvents) else targets


def examples(events, config, rng):
    """Rows to draw training batches from, one array a group to predict, as targets.examples."""
    return maker(events).examples(events, config.items, rng, config.pairs)


def examples_in_pairs(events, config, rng):
    """The same, a target and its negative always in one row."""
    return targets.examples(events, config.items, rng, pairs=True)


def training_batch(events, rows, config, rng):
    """Rows of `examples` as a Batch of data/targets.py; nothing more is drawn."""
    return maker(events).training_batch(events, rows, config.length, config.items, config.unit)


def ranking_batch(events, cases, config):
    """The histories `cases`, each seen from the moment of its held-out event."""
    return maker(events).ranking_batch(events, cases, config.length, config.items, config.unit)
