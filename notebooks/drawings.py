"""What lecture 11 draws and asks: one figure a paper in one style, and what moves its scores.

A box is a function of papers/X.py, with its step or equation; an arrow is an array with its shape
in letters. `measure` runs the paper and `agree` compares its shapes with those of the arrows.
"""
import inspect
import tempfile
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Patch

from mbref.data import readers
from mbref.data.leave_one_out import leave_one_out
from mbref.nn import optim

COLOURS = {"code": "#cfe2f3", "look": "#fde0c0", "predict": "#d9ead3", "learn": "#e6e6e6"}
EDGES = {"code": {"lw": 0.8}, "look": {"lw": 2.2}, "predict": {"lw": 1.2, "ls": "--"},
         "learn": {"lw": 1.2, "ls": ":"}}  # which tell them apart in grey
ROLES = {"code": "code of a thing", "look": "attention", "predict": "prediction",
         "learn": "loss"}


class Box(NamedTuple):
    """A function, or a text in quotes that is none; x in columns, y in rows from the top."""

    name: str
    role: str
    step: str
    x: float
    y: float


class Arrow(NamedTuple):
    """An array on its way: from box to box, by their keys; shape in letters; side 1 or -1: by the right, the left."""

    start: str
    end: str
    shape: str
    side: int = 0


class Drawing(NamedTuple):
    """A paper's figure."""

    boxes: dict
    arrows: tuple
    size: tuple


ATRANK = Drawing({
    "events": Box("'events, a group each'", "", "", 0, 0),
    "candidates": Box("'candidates'", "", "", 1, 0),
    "behaviour_code": Box("behaviour_code", "code", "(2)-(4), group by group", 0, 1),
    "target_code": Box("target_code", "code", "(6) h_t", 1, 1),
    "self": Box("attention_block", "look", "(5) events at events", 0, 2),
    "vanilla": Box("attention_block", "look", "(6) candidate at events: u", 1, 3),
    "logits": Box("logits", "predict", "(7) u . h_t", 1, 4),
    "loss": Box("loss", "learn", "(7) yes or no", 1, 5),
}, (
    Arrow("events", "behaviour_code", "B L"), Arrow("candidates", "target_code", "B C"),
    Arrow("behaviour_code", "self", "B S D"), Arrow("self", "vanilla", "B S D"),
    Arrow("target_code", "vanilla", "B C D"), Arrow("target_code", "logits", "B C D", 1),
    Arrow("vanilla", "logits", "B C D"), Arrow("logits", "loss", "B C"),
), (6.6, 5.6))

DMRAN = Drawing({
    "events": Box("'events'", "", "", 1, 0),
    "candidates": Box("'candidates'", "", "", 2, 0),
    "history_code": Box("history_code", "code", "eq. 1, 2: H", 1, 1),
    "embed": Box("embed", "code", "i_c = V[c]", 2, 1),
    "item_attention": Box("item_attention", "look", "eq. 3-7: r hops, A", 0, 2),
    "M": Box("'M = A H'", "", "eq. 8", 1, 3),
    "redundancy": Box("redundancy", "learn", "eq. 22", 0, 4),
    "feature_attention": Box("feature_attention", "look", "eq. 9-13: hop at hop", 0.9, 4),
    "vanilla": Box("vanilla", "look", "eq. 14, 15: at M, at M^", 2, 5),
    "fusion": Box("fusion", "predict", "eq. 16: h_c", 2, 6),
    "logits": Box("logits", "predict", "eq. 17: h_c . i_c", 2, 7),
    "loss": Box("loss", "learn", "eq. 20-22: in pairs", 0, 7),
}, (
    Arrow("events", "history_code", "B n"), Arrow("candidates", "embed", "B C"),
    Arrow("history_code", "item_attention", "B n d"), Arrow("history_code", "M", "B n d"),
    Arrow("item_attention", "M", "B r n"), Arrow("item_attention", "redundancy", "B r n"),
    Arrow("M", "feature_attention", "B r d"), Arrow("M", "vanilla", "B r d"),
    Arrow("feature_attention", "vanilla", "B r d"), Arrow("embed", "vanilla", "B C d"),
    Arrow("vanilla", "fusion", "B C d"), Arrow("fusion", "logits", "B C d"),
    Arrow("embed", "logits", "B C d", 1), Arrow("logits", "loss", "B C"),
    Arrow("redundancy", "loss", "B"),
), (9.2, 7.6))

HIERSREC = Drawing({
    "clicks": Box("'clicks'", "", "", 0, 0),
    "item_features": Box("item_features", "code", "(1) id, category, text", 0, 1),
    "encoder_block": Box("encoder_block", "look", "(1) clicks at earlier ones", 0, 2),
    "newest": Box("newest", "code", "(1) s: the last click's state", 0, 3),
    "category_logp": Box("category_logp", "predict", "(2) next category", 1, 4),
    "projection": Box("projection", "code", "(3) its vector g", 1, 5),
    "item_logits": Box("item_logits", "predict", "(4) of [s ; g], all items", 0, 6),
    "loss": Box("loss", "learn", "(5) item and category", 0.5, 7),
}, (
    Arrow("clicks", "item_features", "B L"),
    Arrow("item_features", "encoder_block", "B L d_in"),
    Arrow("encoder_block", "newest", "B L D"), Arrow("newest", "category_logp", "R D"),
    Arrow("newest", "item_logits", "R D"), Arrow("category_logp", "projection", "R C+1"),
    Arrow("projection", "item_logits", "R d_p"), Arrow("item_logits", "loss", "R N"),
    Arrow("category_logp", "loss", "R C+1", 1),
), (6.6, 7.6))

HMAR = Drawing({
    "events": Box("'events and counts'", "", "", 0, 0),
    "candidates": Box("'candidates and counts'", "", "", 1.25, 0),
    "input_code": Box("input_code", "code", "(1), (2) with position", 0, 1),
    "code": Box("code", "code", "(2) q", 1.25, 1),
    "behaviour_encoder": Box("behaviour_encoder", "look", "(3) within a behaviour", 0, 2),
    "sequence_encoder": Box("sequence_encoder", "look", "(4) across behaviours: z", 0, 3),
    "score": Box("score", "predict", "(5) z . q", 0, 4.2),
    "class_logits": Box("class_logits", "predict", "(6) which behaviour", 1.25, 4.2),
    "loss": Box("loss", "learn", "(7) rank and class", 0.6, 5.3),
}, (
    Arrow("events", "input_code", "B L"), Arrow("candidates", "code", "B C"),
    Arrow("input_code", "behaviour_encoder", "B L D"),
    Arrow("behaviour_encoder", "sequence_encoder", "B L D"),
    Arrow("input_code", "sequence_encoder", "B L D", -1),
    Arrow("sequence_encoder", "score", "B L D"), Arrow("sequence_encoder", "class_logits", "B L D"),
    Arrow("code", "score", "B C D"), Arrow("code", "class_logits", "B L D"),
    Arrow("score", "loss", "B C"), Arrow("class_logits", "loss", "B L K"),
), (7.2, 5.8))

DRAWINGS = {"atrank": ATRANK, "dmran": DMRAN, "hiersrec": HIERSREC, "hmar": HMAR}
WIDE, HIGH = 3.0, 1.15      # of a cell
HALF, FLAT = 1.25, 0.31     # half a box


# Drawing.

def draw(name):
    """The figure of a paper.  -> its axes."""
    boxes, arrows, size = DRAWINGS[name]
    _, ax = plt.subplots(figsize=size, layout="constrained")
    for box in boxes.values():
        draw_box(ax, box)
    for arrow in arrows:
        draw_arrow(ax, boxes[arrow.start], boxes[arrow.end], arrow)
    looks = [Patch(fc=COLOURS[role], ec="black", label=ROLES[role], **EDGES[role]) for role in ROLES]
    ax.legend(handles=looks, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 0),
              fontsize=9, handletextpad=0.4, handlelength=1.6, handleheight=1)
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.axis("off")
    return ax


def centre(box):
    """The middle of a box."""
    return np.array([box.x * WIDE, -box.y * HIGH])


def draw_box(ax, box):
    """A box with its name and step, or a text alone."""
    x, y = centre(box)
    edge = dict(ec="black", **EDGES[box.role]) if box.role else dict(ec="none")
    patch = FancyBboxPatch(
        (x - HALF, y - FLAT), 2 * HALF, 2 * FLAT, boxstyle="round,pad=0,rounding_size=0.1",
        fc=COLOURS.get(box.role, "none"), **edge)
    ax.add_patch(patch)
    ax.update_datalim([(x - HALF, y - FLAT), (x + HALF, y + FLAT)])
    lift = 0.1 if box.step else 0
    family = "monospace" if box.role else "sans-serif"
    ax.text(x, y + lift, box.name.strip("'"), ha="center", va="center", family=family, fontsize=9)
    ax.text(x, y - 0.13, box.step, ha="center", va="center", fontsize=8.5)


def draw_arrow(ax, start, end, arrow):
    """An arrow between the edges of two boxes, with its shape; or round a side of the figure."""
    a, b = centre(start), centre(end)
    if arrow.side:
        points = round_side(a, b, arrow.side)
        ax.plot(*points[:3].T, color="0.25", lw=0.9, solid_joinstyle="round")
        middle = (points[1] + points[2]) / 2
    else:
        points = np.stack([edge_of(a, b), edge_of(b, a)])
        middle = points.mean(axis=0)
    ax.annotate("", points[-1], points[-2], arrowprops=dict(
        arrowstyle="-|>", lw=0.9, color="0.25", shrinkA=0, shrinkB=0))
    ax.text(*middle, bracket(arrow.shape), ha="center", va="center", fontsize=9, color="0.15",
            bbox=dict(fc="white", ec="none", pad=0.8))


def round_side(a, b, side):
    """Four points from a box to another, beside all boxes between them.  -> [4, 2]."""
    out = side * (max(side * a[0], side * b[0]) + HALF + 0.45)
    return np.array([a + [side * HALF, 0], (out, a[1]), (out, b[1]), b + [side * HALF, 0]])


def edge_of(own, other):
    """Where an arrow leaves its box: above or below, or at a side if it goes level."""
    across, down = np.sign(other - own)
    if own[1] == other[1]:
        return own + [across * HALF, 0]
    return own + [np.clip(other[0] - own[0], -0.7, 0.7), down * FLAT]


def bracket(shape):
    """A shape in letters as mbref writes it."""
    return f"[{', '.join(shape.split())}]"


# The figures beside the code.

def measure(name, run):
    """Shapes of all that the functions of a paper's figure return while run() runs.

    -> {function: set of shapes}.
    """
    module, found = import_module(f"mbref.papers.{name}"), {}
    names = {box.name for box in DRAWINGS[name].boxes.values() if box.role}
    own = {one: getattr(module, one) for one in names}
    noted = {one: record(function, found.setdefault(one, set())) for one, function in own.items()}
    try:
        put(module, own, noted)
        run()
    finally:
        put(module, noted, own)
    return found


def put(module, old, new):
    """Functions in the place of others, by their names and where they are an argument's default."""
    vars(module).update(new)
    instead = {id(old[name]): new[name] for name in old}
    for function in filter(inspect.isfunction, vars(module).values()):
        if function.__defaults__:
            function.__defaults__ = tuple(instead.get(id(one), one)
                                          for one in function.__defaults__)


def record(function, shapes):
    """The same function, which notes the shapes of what it returns."""
    @wraps(function)
    def noted(*args, **named):
        out = function(*args, **named)
        shapes.update(np.shape(one) for one in (out if isinstance(out, tuple) else [out]))
        return out
    return noted


def agree(name, found, sizes):
    """Assert that every arrow has a shape that its box returned.  -> how many arrows were held."""
    boxes, arrows, _ = DRAWINGS[name]
    held = [arrow for arrow in arrows if boxes[arrow.start].role]
    for arrow in held:
        function = boxes[arrow.start].name
        shape = tuple(sizes[letter] for letter in arrow.shape.split())
        assert shape in found[function], f"{function}: {arrow.shape} is not {shape}"
    return len(held)


def line_with(module, words):
    """The first line of a module that has these words."""
    return next(line.strip() for line in inspect.getsource(module).splitlines() if words in line)


# One small log.

def open_story(lines):
    """Events "user item category behaviour day" as a log.  -> (log, its split by buys)."""
    rows = [line.split() for line in lines]
    times = [(20_000 + int(row[-1])) * 86_400 for row in rows]  # seconds since 1970
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "UserBehavior.csv")
        path.write_text("".join(f"{','.join(row[:-1])},{time}\n"
                                for row, time in zip(rows, times, strict=True)))
        log = readers.read(path, "taobao")
    return log, leave_one_out(log, "buy")


def draw_params(model, config):
    """A model's parameters with noise on all of them, so that no zero hides a fault."""
    rng = np.random.default_rng(0)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.2, a.shape), model.init(rng, config))
