"""Other readings of HMAR: its ablations, and the points where the paper is silent.

At its defaults this is papers/hmar.py, from which it takes all that does not change. The switches of
the counts act on batches, before the model reads them. Shapes as there.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data import windows
from mbref.data import indicators, sequences
from mbref.errors import require_choice
from mbref.nn.layers import ignore
from mbref.papers import hmar
from mbref.papers.hmar import init


@dataclass(frozen=True)
class Config(hmar.Config):
    """Switches beside the paper's own settings."""
    # ablations of the paper
    merge: str = "encoder"          # "bypass": step (4) reads the input  # Deviation D1
    indicator: bool = True          # False: no behaviour counts anywhere
    # points of the ledger
    counts: str = "running"         # or "window", or "whole-log" as released, a leak  # Deviation D8
    candidate_counts: str = "own"   # "target": not their own, see indicators.share  # Deviation D10, D11
    count_scale: str = "raw"        # "log1p": log(1 + count)  # Deviation D14
    # others
    positives: str = "all"          # (7) ranks "all" next events, those on "new" items, or of "target"
    newest_only: bool = False       # True: train on each user's newest window alone, as the release

    def __post_init__(self):
        super().__post_init__()
        require_choice(self, merge=("encoder", "bypass"), counts=("running", "window", "whole-log"),
                       candidate_counts=("own", "target"), count_scale=("raw", "log1p"),
                       positives=("all", "new", "target"))


def history_counts(config):
    """What the split has to count, for leave_one_out."""
    return config.counts


def examples(events, config, rng):
    """Windows of the sequences, to draw training batches from."""
    return [windows.windows(events, config.length, config.newest_only)]


def training_batch(events, rows, config, rng):
    """Windows `rows` with the counts and the positives that the config asks for."""
    made = windows.training_batch(events, rows, config.length, config.items, rng, config.counts)
    return change_batch(made, config)


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`, with counts as the config asks for."""
    made = windows.ranking_batch(events, cases, config.length, config.items, config.counts)
    return change_batch(made, config)


def change_batch(batch, config):
    """The batch as the model is to read it, from one with counts of their own."""
    if batch.next is not None:
        batch = indicators.choose_positives(batch, config.positives, config.target)
    if config.candidate_counts == "target":
        batch = indicators.share(batch, config.target)
    if config.count_scale == "log1p":
        batch = indicators.compress(batch)
    return batch if config.indicator else indicators.hide(batch)


def read_params(params, config):
    """With merge="bypass" step (3) is the identity: its attentions give 0, and res lets x through."""
    if config.merge == "encoder":
        return params
    blocks = [{**block, "behaviour": identity(block["behaviour"])} for block in params["blocks"]]
    return {**params, "blocks": blocks}


def identity(p):
    """Parameters of a behaviour encoder that changes nothing; they are constants."""
    nothing = {name: {part: np.zeros_like(a) for part, a in p[name].items()}
               for name in p if name != "res"}
    return {**nothing, "res": np.ones_like(p["res"])}


def forward(params, batch, config, tap=ignore, rng=None):
    """States z after each event.  -> [B, L, D].  (1)-(4)."""
    return hmar.forward(read_params(params, config), batch, config, tap, rng)


def score(params, batch, candidates, config):
    """z_L . q^o of candidates [B, C].  -> [B, C].  (5)."""
    return hmar.score(read_params(params, config), batch, candidates, config)


def score_all(params, batch, config):
    """z_L . q^o of all items 1..N.  -> [B, N].  (5)."""
    return hmar.score_all(read_params(params, config), batch, config)


def loss(params, batch, config, rng=None):
    """L_rank + theta L_class.  -> scalar.  (7)."""
    return hmar.loss(read_params(params, config), batch, config, rng)
