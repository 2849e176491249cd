"""`train hmar_released`: the release's graph on mbref's own splits.

Graph, windows, negatives, reversed contexts and loss weights are the release's; the split is
mbref's, so that counts are of the events so far and nothing held out is seen. In ranking every item
counts as one target event: the release gives the held-out item its own counts instead, but a full
ranking must not know which item that is. An epoch reads every user once; the release draws users.
"""
from dataclasses import dataclass

from mbref.errors import require_choice
from mbref.released.hmar import data, model
from mbref.released.hmar.model import init, loss, score, score_all  # noqa: F401

# Taobao's step size; the release does not clip
SETTINGS = {"batch_size": "128", "rate": "6e-4", "clip": "1e9"}


@dataclass(frozen=True)
class Config(model.Config):
    """As in model.py, with the counts that a full ranking can have."""
    candidate_counts: str = "target"

    def __post_init__(self):
        super().__post_init__()
        require_choice(self, candidate_counts=("target",))


def examples(events, config, rng):
    """The sequences with two events or more, whose newest windows are trained on."""
    return [data.users_to_train(events)]


def training_batch(events, rows, config, rng):
    """The newest windows of the sequences `rows`."""
    return data.sample(events, rows, config, rng)


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`."""
    return data.newest(events, cases, config)
