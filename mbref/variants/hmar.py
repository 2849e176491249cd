"""Other readings of HMAR: its ablations, and the points where the paper is silent.

At its defaults this is papers/hmar.py, from which it takes all that does not change. All switches
but `merge` act on batches, before the model reads them. Shapes as in papers/hmar.py.
"""
from dataclasses import dataclass
from functools import partial

from mbref.data import indicators, windows
from mbref.errors import require_choice
from mbref.nn import masks
from mbref.nn.layers import dropout, ignore
from mbref.papers import hmar
from mbref.papers.hmar import init


@dataclass(frozen=True)
class Config(hmar.Config):
    """Switches beside the paper's own settings."""
    # ablations of the paper
    merge: str = "encoder"         # Deviation D1: "bypass": step (4) reads the input of step (3)
    indicator: bool = True         # False: no behaviour counts anywhere
    # points of the ledger
    counts: str = "running"        # or of a "window"  # Deviation D8, D12: "whole-log", a leak
    candidate_counts: str = "own"  # Deviation D10, D11: "target": see indicators.share
    count_scale: str = "raw"       # Deviation D14: "log1p", log(1 + count)
    # others
    positives: str = "all"         # what L_rank compares: or "new" items, or "target" events
    newest_only: bool = False      # True: train on each user's newest window alone, as released

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
    return change_batch(windows.training_batch(events, rows, config, rng, config.counts), config)


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`, with counts as the config asks for."""
    return change_batch(windows.ranking_batch(events, cases, config, config.counts), config)


def change_batch(batch, config):
    """The batch as the model is to read it, from one with counts of their own."""
    if batch.next is not None:
        batch = indicators.choose_positives(batch, config.positives, config.target)
    if config.candidate_counts == "target":
        batch = indicators.share(batch, config.target)
    if config.count_scale == "log1p":
        batch = indicators.compress(batch)
    return batch if config.indicator else indicators.hide(batch)


def forward(params, batch, config, tap=ignore, rng=None):
    """States z after each event; by "bypass" step (4) reads what step (3) would.  -> [B, L, D]."""
    if config.merge == "encoder":
        return hmar.forward(params, batch, config, tap, rng)
    drop, real = dropout(config.dropout, rng), masks.padding(batch.item)  # [B, L]
    z = drop(hmar.input_code(params, batch.item, batch.counts)) * real[..., None]  # [B, L, D]
    tap("input", z)
    causal = masks.causal_real(real)
    for block in params["blocks"]:
        z = hmar.sequence_encoder(block["sequence"], z, z, causal, config.heads, drop, tap)
        z = z * real[..., None]
    tap("states", z)
    return z


score = partial(hmar.score, forward=forward)
score_all = partial(hmar.score_all, forward=forward)
loss = partial(hmar.loss, forward=forward)
