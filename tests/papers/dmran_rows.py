"""What the tests of DMRAN share: a log of three users, Configs, and one way to ask both models.

A Config of papers/dmran.py asks for the paper's form, by hand mbref/by_hand/dmran.py; a Config of
variants/dmran.py asks for another reading, by hand tests/golden/dmran/by_hand.py.
"""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp

from mbref.by_hand import dmran as paper_by_hand
from mbref.data import sequences, targets
from mbref.nn import optim
from mbref.papers import dmran as paper
from mbref.variants import dmran as variants
from tests.golden.dmran import by_hand as variants_by_hand

N, CATEGORIES, DAY = 7, 3, 86400
BASE = paper.Config(items=N, width=4, hops=3, length=4, redundancy=0.1, penalty=0.01)
OTHER = variants.Config(**vars(BASE), heads=2)
PAPER = [BASE, replace(BASE, categories=CATEGORIES), replace(BASE, hops=1)]
VARIANTS = [
    OTHER,
    replace(OTHER, categories=CATEGORIES),
    replace(OTHER, time=False),
    replace(OTHER, bucket="release"),
    replace(OTHER, hops=1, item_bias=True),
    replace(OTHER, diagonal=False),
    replace(OTHER, diagonal=False, hops=1),
    replace(OTHER, pool="mean", weight_decay=0.1),
    replace(OTHER, variant="item"),
    replace(OTHER, variant="item", pool="mean"),
    replace(OTHER, variant="feature"),
    replace(OTHER, variant="feature", fuse=False, time=False),
    replace(OTHER, fuse=False),
    replace(OTHER, variant="feature", diagonal=False, pool="mean"),
    replace(OTHER, robust=True, categories=CATEGORIES),
    replace(OTHER, robust=True, diagonal=False, heads=1, item_bias=True),
    replace(OTHER, robust=True, variant="item", weight_decay=0.1),
    replace(OTHER, robust=True, variant="feature", diagonal=False),
    replace(OTHER, robust=True, variant="feature", fuse=False),
]
EVERY = PAPER + VARIANTS
HISTORIES = [  # (items, days) of one user, oldest first
    ([3, 1, 3, 5, 1, 2], [0, 0, 5, 700, 5000, 5001]),
    ([4, 4, 2], [10, 13, 14]),
    ([6, 1], [2, 2]),
]
CATEGORY = [0, 1, 3, 2, 1, 0, 3, 2]  # of items 1..N; that of item 5 is unknown


def is_paper(config):
    return not isinstance(config, variants.Config)


def model_of(config):
    """The module whose Config it is."""
    return paper if is_paper(config) else variants


def reading(config):
    """(variant, robust) of a Config, which the paper's own has at their defaults."""
    return getattr(config, "variant", "full"), getattr(config, "robust", False)


def without_decay(config):
    return config if is_paper(config) else replace(config, weight_decay=0.0)


def states_of(params, batch, config, tap=lambda name, a: None):
    """M, M^, A and which rows of M are real, as variants.forward; of the paper's form all are."""
    states = model_of(config).forward(params, batch, config, tap)
    return states if len(states) == 4 else (*states, np.ones(states[0].shape[:2], bool))


def forward_by_hand(params, history, config):
    if is_paper(config):
        return paper_by_hand.forward(params, history)
    return variants_by_hand.forward(params, history, config)


def score_by_hand(params, history, ids, config):
    if is_paper(config):
        return paper_by_hand.score(params, history, ids)
    return variants_by_hand.score(params, history, ids, config)


def loss_by_hand(params, history, positive, negative, config):
    by_hand = paper_by_hand if is_paper(config) else variants_by_hand
    return by_hand.loss(params, history, positive, negative, config)


def make_events(config, histories=HISTORIES):
    """A log of these histories, with negatives 7 (and 6 for the second event of everyone)."""
    users = np.concatenate([np.full(len(items), u + 1) for u, (items, _) in enumerate(histories)])
    items, days = (np.concatenate([h[i] for h in histories]) for i in (0, 1))
    log = sequences.from_rows(users, items, np.ones(len(items), int), 1)
    negative = np.concatenate([[7, 6, *[7] * (len(items) - 2)][: len(items)]
                               for items, _ in histories])
    return log._replace(
        time=days * DAY + 3600, negative=negative, now=np.full(len(histories), 6000 * DAY),
        category=np.array(CATEGORY) if config.categories else None)


def training_batch(config, histories=HISTORIES):
    """All targets: histories of 1 to 4 events, padded; one positive and one negative each."""
    model, log, rng = model_of(config), make_events(config, histories), onp.random.default_rng(0)
    rows, = model.examples(log, config, rng)
    return model.training_batch(log, rows, config, rng)


def random_params(config, seed=0):
    """Parameters away from their initial zeros and ones, so that no gradient is hidden by them."""
    rng = onp.random.default_rng(seed)
    drawn = model_of(config).init(rng, config)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), drawn)


def row_by_hand(batch, b):
    """Row b as by_hand reads it: a list of (ids of the object, gap) without padding."""
    history, features = batch.histories[0], batch.features[0]
    real = np.flatnonzero(history.item[b])
    return [(features[history.item[b, t]], history.gap[b, t]) for t in real]


def map_history(batch, function):
    """The batch with function(name, array) in place of every array of its history."""
    history = batch.histories[0]
    changed = targets.History(*(function(name, getattr(history, name)) for name in history._fields))
    return batch._replace(histories=(changed,))


def every_item(rows):
    return np.broadcast_to(np.arange(1, N + 1), (rows, N))


def assert_same_trees(got, want, atol=1e-10):
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        onp.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)
