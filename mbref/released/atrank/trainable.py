"""`train atrank_released`: the release's folder atrank/ on mbref's own splits.

model.py computes all of it, with ids from 0; here the ids of a log start at 1. The release reads
whole histories, this their newest `length` events; it clips as mbref does, not as step.py.
"""
from dataclasses import dataclass

import numpy as np

from mbref.data import targets
from mbref.errors import require, require_ranges
from mbref.released.atrank import batches, model

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

    def __post_init__(self):
        require_ranges(self)
        width = sum(width for _, _, width in list_tables(self))
        require(width % self.heads == 0 and width >= 4,
                f"an event is {width} wide: that must be a multiple of heads, and at least 4.")


def list_tables(config):
    """(feature, number of ids, width) of the tables; category 0 is the unknown one."""
    items = ("item", config.items, config.table_width)
    categories = ("category", config.categories + 1, config.table_width)
    return (items, categories) if config.categories else (items,)


def read_sizes(config):
    """The same as a Config of model.py."""
    tables = list_tables(config)
    return model.variant(
        "atrank", tables=tables, groups=(tuple(name for name, _, _ in tables),),
        width=len(tables) * config.table_width, heads=config.heads, blocks=config.blocks,
        dropout=config.dropout, penalty=config.penalty)


def init(rng, config):
    """Draw the parameters as the release does."""
    return model.init(rng, read_sizes(config))


def examples(events, config, rng):
    """Rows to draw training batches from: every target, and its negative in a row of its own."""
    return targets.examples(events, config.items, rng, pairs=False)


def training_batch(events, rows, config, rng=None):
    """Training targets `rows`; nothing more is drawn."""
    made = targets.training_batch(events, rows, config.length, config.items, config.unit)
    return batches.from_ours(made, np.zeros(len(rows), int))  # att reads no user


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`."""
    made = targets.ranking_batch(events, cases, config.length, config.items, config.unit)
    return batches.from_ours(made, np.zeros(len(cases), int))


def score(params, batch, candidates, config):
    """Logits of candidates [B, C], ids from 1; that of 0 is any.  -> [B, C]."""
    return model.score(params, batch, np.maximum(candidates - 1, 0), read_sizes(config))


def score_all(params, batch, config):
    """Logits of all items 1..N.  -> [B, N]."""
    return model.score_all(params, batch, read_sizes(config))


def loss(params, batch, config, rng=None):
    """The release's loss of the batch's targets and negatives.  -> scalar."""
    return model.loss(params, batch, read_sizes(config), rng)
