"""What lectures 02 to 05 share: show a function, check an answer, train on a world, draw.

A world (mbref/worlds) is a log whose rule is known, so the best that any model can reach is known,
too. Figures are means over all next items by that rule, which no chance of a drawn target blurs.

Glossary of shapes: U users to test, S test cases, N items.
"""
import ast
import difflib
import inspect
import json
import re
import textwrap
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from mbref import check as kit, evaluation, metrics, protocol, runs, training
from mbref.data import group_events
from mbref.nn import optim
from mbref.tables.world_cells import open_ground
from mbref.worlds import known

MEASURE = {"last": "NDCG@10", "counts": "NDCG@10", "kinds": "AUC", "hints": "AUC", "stamp": "AUC",
           "hops": "AUC", "dims": "AUC", "aisles": "MRR@20"}
STUB = re.compile(r"NotImplementedError: (.+?)(?: \([^()]+, line \d+\))?\)$", re.M)
PAIR = {"color": "C0"}, {"color": "C1", "hatch": "//"}  # the looks of two bars, also in grey
TRAINING = {field.name for field in fields(training.Settings)}


# Code and answers.

def source(function):
    """Print a function of mbref as it stands in its file, and an empty line."""
    print(inspect.getsource(inspect.unwrap(function)).rstrip(), end="\n\n")


def diff(one, other):
    """Print how two functions differ, docstrings and comments apart."""
    texts = []
    for function in (one, other):
        tree = ast.parse(inspect.getsource(function)).body[0]
        texts.append("\n".join(map(ast.unparse, tree.body[1:])).splitlines())
    print("\n".join(line for line in difflib.ndiff(*texts) if not line.startswith("?")))


def check(component, answer):
    """mbref's check of an answer to "Your turn"; it says what is missing, and the page goes on."""
    try:
        kit.check(component, answer)
    except AssertionError as failure:
        stub = STUB.search(str(failure))
        say(f"{component}: {stub[1]}" if stub else failure)


def say(text, indent=8):
    """Print a text whose long lines go on in the next one, indented."""
    fold = partial(textwrap.fill, width=90, subsequent_indent=" " * indent, break_long_words=False,
                   break_on_hyphens=False)
    print("\n".join(map(fold, str(text).splitlines())))


@contextmanager
def folded():
    """What the block prints, said so."""
    with redirect_stdout(StringIO()) as printed:
        yield
    say(printed.getvalue())


# A model on a world.

class Shop(NamedTuple):
    """A world, written as files and read as any log."""

    name: str
    ground: Any     # of tables.world_cells: log, split, cases, and what is true of them


class Fitted(NamedTuple):
    """A model after training."""

    model: Any
    config: Any
    params: dict
    users: np.ndarray   # [U] the world's measure of each user's test cases
    curve: list         # its mean after each of some numbers of steps


def open_shop(name, signal, users=None, cold=False):
    """A world with the signal on or off."""
    return Shop(name, open_ground(name, signal, cold, users))


def fit(shop, name, seed=0, read=(0, 1, 2), **changes):
    """Train a model of `name` for a number of steps that is fixed beforehand.  -> Fitted.

    changes: fields of its Config and of training.Settings; read: the groups that ATRank reads.
    """
    texts = {field: str(value).lower() if isinstance(value, bool) else str(value)
             for field, value in changes.items()}
    overrides, settings = runs.parse_settings(name, {"seed": str(seed), "float32": "false",
                                                     "evaluate_every": "100000", **texts})
    model = runs.find_model(name, overrides)
    open_model = open_groups if shop.ground.task is None else open_items
    config, events, score = open_model(shop.ground, model, overrides, read)
    curve = []

    def look(params):
        curve.append(figures(shop, score(params)).mean())
        return 0.0

    watch = look if "evaluate_every" in changes else None
    params = training.fit(model, config, settings, events, watch, progress=False).params
    return Fitted(model, config, params, figures(shop, score(params)), curve)


def open_items(ground, model, overrides, read):
    """Config, training events and score(params) -> [S, N] on a log of items."""
    split, history = ground.split, ground.split.test.history
    config = runs.make_config(model, split, ground.log, ground.task, overrides)
    met = np.bincount(split.train.item, minlength=split.items + 1) > 0
    ready = partial(protocol.optional(model, "forget_ids"), known=met)

    def score(params):
        each = evaluation.item_scorer(model, ready(params), config)
        return by_parts(partial(each, history), ground.cases)

    return config, split.train, score


def open_groups(ground, model, overrides, read):
    """The same on a log of groups; items, group 0, are predicted."""
    log = ground.log
    config = config_of_groups(log, model, read, **protocol.parse_fields(model.Config, overrides))
    events = group_events.GroupEvents(log, ground.split.train, read, (0,))

    def score(params):
        return by_parts(lambda rows: model.score_all(
            params, model.ranking_batch(events, rows, config), config), ground.cases)

    return config, events, score


def config_of_groups(log, model, read, **changes):
    """ATRank's Config for the groups that are read; an action is read where there are several."""
    names = tuple(log.feature_names[g] for g in read)
    tables = {name: log.sizes[name] for group in names for name in group}
    several = [len(np.unique(log.action[log.group == g])) > 1 for g in read]
    actions = tuple(len(log.actions) * many for many in several)
    return model.Config(tables=tuple(tables.items()), groups=names, actions=actions, **changes)


def by_parts(score, cases, size=64):
    """Scores of all items, `size` cases at a time.  -> [S, N]."""
    return np.concatenate([score(cases[part]) for part in evaluation.batches(len(cases), size)])


def figures(shop, scores):
    """The world's measure, a mean over each user's cases.  scores [S, N] -> [U]."""
    ground = shop.ground
    values = known.expected(scores, ground.p, MEASURE[shop.name], ground.allowed)
    _, place, cases = np.unique(ground.user, return_inverse=True, return_counts=True)
    return np.bincount(place, values) / cases


def ends(shop):
    """What equal scores reach, and what the rule behind the log reaches.  -> (chance, ceiling)."""
    ground = shop.ground
    return (float(figures(shop, 0 * ground.best).mean()),
            float(figures(shop, ground.best).mean()))


def count(fitted):
    """How many numbers a model has learned."""
    return sum(a.size for _, a in optim.leaves(fitted.params))


class Compared(NamedTuple):
    """A model and the same without its mechanism, on one world."""

    shop: Shop
    full: Fitted
    without: Fitted


def compare(shop, name, without, **settings):
    """Train a model, and again with the fields `without` changed.  -> Compared."""
    return Compared(shop, fit(shop, name, **settings), fit(shop, name, **{**settings, **without}))


def gap(compared):
    """Full minus without, paired over users: mean, and low and high of a 95% interval."""
    pair = compared.full.users, compared.without.users
    return metrics.paired_bootstrap(*pair, np.random.default_rng(0))


def way(compared):
    """How far the full model comes from chance, 0, to the ceiling, 1."""
    chance, ceiling = ends(compared.shop)
    return (compared.full.users.mean() - chance) / (ceiling - chance)


def table(rows):
    """{title: Compared} as text, two digits each.

    What is trained stands behind a ~: its last digit depends on how a processor rounds.
    """
    lines = [f"{'':28}  chance  without   full  ceiling  difference and 95% interval"]
    for title, one in rows.items():
        chance, ceiling = ends(one.shop)
        without, full = (f"~{fitted.users.mean():.2f}" for fitted in (one.without, one.full))
        mean, low, high = (f"~{round(x, 2) + 0.0:+.2f}" for x in gap(one)[:3])
        lines.append(f"{title:28}  {chance:6.2f}{without:>9}{full:>7}{ceiling:9.2f}"
                     f"  {mean} [{low}, {high}]")
    return "\n".join(lines)


def long_runs():
    """What long_runs.py keeps.  -> {name: figures}."""
    return json.loads(Path(__file__).with_name("long_runs.json").read_text())


def print_kept(start):
    """The kept trainings whose names begin so, as a table."""
    print(f"{'':34}  chance   mean  ceiling  full minus this, 95% interval")
    for name, row in long_runs().items():
        if name.startswith(start):
            gap = next((x for part, x in row.items() if part.startswith("less")), ())
            words = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gap) if gap else ""
            print(f"{name:34}{row['chance']:8.3f}{row['mean']:7.3f}{row['ceiling']:9.3f}  {words}"
                  .rstrip())


# Figures.

def heat(ax, grid, title, rows=(), columns=(), top=1.0, numbers=False):
    """A map of weights or counts, 0 white."""
    picture = ax.imshow(grid, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    ax.set_title(title, fontsize=10)
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    for place in np.ndindex(grid.shape) if numbers else ():
        ax.text(*place[::-1], f"{grid[place]:.0f}", ha="center", va="center")
    return picture


def heats(grids, rows=(), columns=(), size=(8.4, 3.9), axes=("", ""), bar="weight",
          **more):
    """Several maps of one kind side by side, {title: grid}; bar: what they show.  -> axes."""
    fig, found = plt.subplots(1, len(grids), figsize=size, sharey=True, squeeze=False,
                              layout="constrained")
    for ax, (title, grid) in zip(found[0], grids.items(), strict=True):
        picture = heat(ax, grid, title, rows, columns, **more)
        ax.set_xlabel(axes[0])
    found[0, 0].set_ylabel(axes[1])
    if bar:
        fig.colorbar(picture, ax=found[0], label=bar)
    return found[0]


def bars(weights, labels, title):
    """One event's or one hop's weights, and show them."""
    fig, ax = plt.subplots(figsize=(6.4, 2.2), layout="constrained")
    ax.bar(range(len(weights)), weights, color="C0")
    ax.set_xticks(range(len(weights)), labels, rotation=90, fontsize=8)
    ax.set(ylim=(0, 1), ylabel="weight")
    ax.set_title(title, fontsize=10)
    plt.show()


def pairs(ax, values, title):
    """Two bars side by side for each of 1, 2 ...; values: {name: heights}."""
    for x, (name, heights), look in zip((-0.2, 0.2), values.items(), PAIR, strict=True):
        ax.bar(np.arange(1, len(heights) + 1) + x, heights, 0.38, label=name, **look)
    ax.set_xticks(range(1, len(heights) + 1))
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False)


def ladder(rows):
    """A table of `compare` as a figure: from chance to the ceiling, and where both models stand."""
    fig, ax = plt.subplots(figsize=(7.4, 0.7 + 0.45 * len(rows)), layout="constrained")
    for y, one in enumerate(rows.values()):
        ax.plot(ends(one.shop), (y, y), color="lightgrey", lw=9, solid_capstyle="butt", zorder=0)
        ax.plot(one.without.users.mean(), y, "o", color="C1", mfc="white", mew=2, ms=9,
                label="without" if y == 0 else None)
        ax.plot(one.full.users.mean(), y, "o", color="C0", ms=7, label="full" if y == 0 else None)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xlabel("grey: from chance to the ceiling")
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
