"""`train atrank_released`: the release's folder atrank/ on mbref's own splits.

model.py computes all of it, with ids from 0; here the ids of a log start at 1. The release reads
whole histories, this their newest `length` events; it clips as mbref does, not as recorded.py.
"""
from dataclasses import dataclass

import numpy as np

from mbref.data import target_batches
from mbref.data.target_batches import examples  # noqa: F401
from mbref.errors import require, require_ranges
from mbref.nn.layers import time_bucket
from mbref.released.atrank import model
from mbref.released.atrank.model import Batch, History

SETTINGS = {"optimiser": "sgd", "rate": "1", "clip": "5", "batch_size": "32", "validate": "AUC"}


@dataclass(frozen=True)
class Config:
    """The sizes that the release has in its command line; each event is as wide as its item."""
    items: int               # N
    categories: int = 0      # 0: the items have none
    table_width: int = 64    # of the tables of items and of categories; their sum is the width
    heads: int = 8
    blocks: int = 1          # of self-attention and of vanilla attention
    dropout: float = 0.0     # of the attention weights
    penalty: float = 5e-5    # of the L2 on user vector and target
    length: int = 50         # newest events that are read
    unit: int = 86400        # seconds in one unit of time gap: a day
    pairs = False            # no field: a target and its negative are rows of their own

    def __post_init__(self):
        require_ranges(self)
        read_sizes(self)  # which refuses what does not fit


def read_sizes(config):
    """The same as a Config of model.py; category 0 is the unknown one."""
    sizes = {"item": config.items}
    sizes |= {"category": config.categories + 1} if config.categories else {}
    return model.variant(
        "atrank", tables=tuple((name, size, config.table_width) for name, size in sizes.items()),
        groups=(tuple(sizes),), width=len(sizes) * config.table_width, heads=config.heads,
        blocks=config.blocks, dropout=config.dropout, penalty=config.penalty)


def from_ours(batch, user):
    """A Batch of data/targets.py, whose ids start at 1, and users [B] from 0, as the release's.

    Objects count from 0; their features keep their ids, 0 for an unknown one, and so have tables of
    a row more. Raises InputError where no negative could be drawn.
    """
    require(batch.candidate is None or batch.candidate.all(),
            "a user has met every item: no negative can be drawn.")

    def history(h):
        time = time_bucket(h.gap, "release")  # Deviation D5: its rule
        item, action = np.maximum(h.item - 1, 0), np.maximum(h.behaviour - 1, 0)
        return History(item, action, time, np.sum(h.item > 0, axis=1))

    # the object itself comes first among its features
    features = tuple(x[1:] - (np.arange(x.shape[1]) == 0) for x in batch.features)
    candidate = None if batch.candidate is None else batch.candidate - 1
    histories = tuple(map(history, batch.histories))
    return Batch(histories, features, user, batch.group, candidate, batch.label)


def init(rng, config):
    """Draw the parameters as the release does."""
    return model.init(rng, read_sizes(config))


def training_batch(events, rows, config, rng=None):
    """Training targets `rows`; nothing more is drawn."""
    made = target_batches.training_batch(events, rows, config, rng)
    return from_ours(made, np.zeros(len(rows), int))  # att reads no user


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`."""
    made = target_batches.ranking_batch(events, cases, config)
    return from_ours(made, np.zeros(len(cases), int))


def score(params, batch, candidates, config):
    """Logits of candidates [B, C], ids from 1; that of 0 is any.  -> [B, C]."""
    return model.score(params, batch, np.maximum(candidates - 1, 0), read_sizes(config))


def score_all(params, batch, config):
    """Logits of all items 1..N.  -> [B, N]."""
    return model.score_all(params, batch, read_sizes(config))


def loss(params, batch, config, rng=None):
    """The release's loss of the batch's targets and negatives.  -> scalar."""
    return model.loss(params, batch, read_sizes(config), rng)
