"""Every form of ATRank that tests go through, and a batch for each: the paper's own, and its
variants.

A form is (module, the same by hand, Config).
"""
from dataclasses import replace
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp
import pytest

from mbref.by_hand import atrank as by_hand
from mbref.data.targets import Batch, History
from mbref.nn import optim
from mbref.papers import atrank
from mbref.variants import atrank as variants
from tests.golden.atrank import by_hand as variants_by_hand

N = 7
CATEGORY = np.array([0, 1, 2, 2, 3, 1, 3, 0])  # of the items; that of item 7 is unknown
SMALL = {"table_width": 4, "width": 8, "heads": 2, "penalty": 0.01}
MALL = {  # items, queries and coupons; shops and categories are shared
    "tables": (("item", N), ("shop", 2), ("category", 3), ("query", 3), ("coupon", 2)),
    "groups": (("item", "category", "shop"), ("query",), ("coupon", "category", "shop")),
    "actions": (4, 0, 1), "table_width": 3, "width": 8, "heads": 2, "penalty": 0.01}


class Form(NamedTuple):
    """A form of the model."""

    model: object     # papers/atrank.py or variants/atrank.py
    by_hand: object   # the same for one history
    config: object

    def changed(self, **fields):
        """The form with other values of its Config."""
        return self._replace(config=replace(self.config, **fields))


def printed(**fields):
    return Form(atrank, by_hand, atrank.Config(**fields))


def other(**fields):
    return Form(variants, variants_by_hand, variants.Config(**fields))


BASE = printed(items=N, categories=3, **SMALL)
RELEASED = other(items=N, categories=3, **SMALL, **variants.RELEASED)
WIDE = {"width": 12, "heads": 3}
FORMS = {
    "printed": BASE,
    "printed, two blocks": BASE.changed(blocks=2, heads=1),
    "printed, no categories": printed(items=N, table_width=4, width=4, heads=1, penalty=0.01),
    "printed, no penalty": BASE.changed(penalty=0.0),
    "printed, pairs": BASE.changed(pairs=True),
    "printed, three groups": printed(**MALL),
    "printed, three groups, pairs": printed(**MALL, pairs=True),
    "released": RELEASED,
    "bilinear": RELEASED.changed(scores="bilinear"),
    "paper's buckets": RELEASED.changed(bucket="paper"),
    "target through its group": RELEASED.changed(query="group", **WIDE),
    "two blocks": RELEASED.changed(blocks=2, heads=1),
    "no bias, no penalty": RELEASED.changed(item_bias=False, penalty=0.0),
    "linear, but else printed": other(items=N, categories=3, **SMALL, group_relu=False, blocks=2),
    "ReLU in the group layer, wider nets, weight decay": RELEASED.changed(
        group_relu=True, hidden=5, weight_decay=0.1),
    "ReLU for the target too": RELEASED.changed(query="group", group_relu=True, **WIDE),
    "no categories": other(items=N, table_width=4, width=4, heads=1, penalty=0.01,
                           **variants.RELEASED),
    "pairs": RELEASED.changed(pairs=True),
    "three groups": other(**MALL, **variants.RELEASED | {"query": "group"}),
    "three groups, bilinear, pairs": other(**MALL, pairs=True, **variants.RELEASED | {
        "query": "group", "scores": "bilinear", "bucket": "paper"}),
}
FEATURES = (  # over groups: what each object is: itself, its category, its shop
    np.stack([np.arange(N + 1), CATEGORY, np.array([0, 1, 2, 1, 2, 2, 1, 1])], axis=1),
    np.arange(4)[:, None],
    np.array([[0, 0, 0], [1, 2, 1], [2, 0, 2]]),
)
HISTORIES = [  # over rows, then groups: (object, action, gap), oldest first
    [[(3, 1, 400), (1, 2, 31), (3, 4, 8), (5, 1, 8), (7, 1, 1)], [(2, 1, 40), (2, 1, 3)],
     [(1, 1, 16)]],
    [[(4, 3, 2), (4, 1, 0)], [], [(2, 1, 5000), (1, 1, 15), (2, 1, 2)]],
    [[(6, 1, 4)], [(3, 1, 7)], []],
]
CANDIDATES = {  # group to predict -> [B, C] positive first; 0 = no negative could be drawn
    0: np.array([[2, 4], [3, 0], [6, 1]]), 1: np.array([[1, 3], [2, 1], [3, 0]]),
    2: np.array([[1, 2], [2, 1], [2, 0]])}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def random_params(form, seed=0):
    """Parameters away from their initial zeros and ones; in some draws a ReLU is shut for all
    events."""
    rng = onp.random.default_rng(seed)
    first = form.model.init(rng, form.config)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), first)


def make_batch(config, group=0, histories=None, extra=0):
    """A Batch written out by hand; `extra`: padding beyond the longest history."""
    histories = HISTORIES if histories is None else histories

    def history(g):
        length = extra + max(1, *(len(row[g]) for row in histories))
        padded = np.array([row[g] + [(0, 0, 0)] * (length - len(row[g]))
                           for row in histories])  # [B, L, 3]
        return History(*np.moveaxis(padded, 2, 0))

    groups = range(len(config.groups))
    features = tuple(FEATURES[g][:, : len(config.groups[g])] for g in groups)
    candidate, label = CANDIDATES[group], np.array([[True, False]] * 3)
    if not config.pairs:  # positives and negatives are rows of their own, with other histories
        label = np.array([[True], [False], [True]])
        candidate = np.where(label, candidate[:, :1], candidate[:, 1:])
    return Batch(tuple(map(history, groups)), features, group, candidate, label)


def thing(config, group, number):
    return group, FEATURES[group][number, : len(config.groups[group])]


def events(config, row):
    """One row of HISTORIES as by_hand reads it."""
    return [(thing(config, g, number), action, gap)
            for g in range(len(config.groups)) for number, action, gap in HISTORIES[row][g]]


def groups_of(config):
    return range(len(config.groups))
