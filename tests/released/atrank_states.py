"""Recorded states of ATRank's release for mbref's own models, whose ids start at 1."""
import json
from pathlib import Path

import numpy as np

from mbref.data.targets import Batch, History
from mbref.released.atrank import model as atrank_model, recorded as atrank_recorded

ORACLES = Path(__file__).parents[1] / "oracles"


def load(name):
    """-> arrays of the file, settings of the model, its Batch, parameters of a prefix (a function)."""
    with np.load(ORACLES / f"atrank__{name}.npz", allow_pickle=False) as z:
        arrays = {key: z[key] for key in z.files}
    about = json.loads(str(arrays["meta/config"]))
    folder = str(arrays["meta/release"]).split("/")[-1]
    assert folder in atrank_model.VARIANTS
    settings = atrank_recorded.settings_of(arrays, about, folder)
    batch = atrank_recorded.batch_of(arrays, about, settings, folder)

    def parameters(prefix):
        return atrank_recorded.parameters(arrays, settings, prefix)

    return arrays, settings, batch, parameters


def with_padding(table):
    """A table or a vector of biases with row 0 for padding."""
    return np.concatenate([np.zeros_like(table[:1]), table])


def our_batch(batch, settings):
    """The Batch of data/targets.py: the groups that are read alone.

    It holds gaps where the release has time buckets; a gap of 2**bucket - 1 falls into that bucket
    again.
    """
    def history(h):
        real = np.arange(h.item.shape[1]) < h.length[:, None]
        return History((h.item + 1) * real, (h.action + 1) * real, (2**h.time - 1) * real)

    return Batch(tuple(history(batch.histories[g]) for g in settings.read),
                 tuple(np.pad(batch.features[g] + 1, ((1, 0), (0, 0))) for g in settings.read),
                 settings.read.index(batch.group), batch.candidate + 1, batch.label)
