"""Batches of models that read a history once for all its positions: windows, padded on the left.

A model takes these three functions as its own; its config says items and length.
"""
from mbref.data import windows


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: all windows [W, 3]."""
    return [windows.windows(events, config.length)]


def training_batch(events, rows, config, rng):
    """Windows `rows`, each event with its counts so far, the next one and a drawn negative."""
    return windows.training_batch(events, rows, config.length, config.items, rng)


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`, and how often each user met every item."""
    return windows.ranking_batch(events, cases, config.length, config.items)
