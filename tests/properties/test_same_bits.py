"""The same seed gives the same bits in another process, whatever Python hashes its texts by."""
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mbref import training
from mbref.nn import optim
from tests.properties.problems import MODELS, config_of, draw_log, split_of

pytestmark = pytest.mark.trains
ROOT = Path(__file__).parents[2]
SETTINGS = training.Settings(steps=3, batch_size=4, evaluate_every=2)
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # sums may be cut otherwise by several


def digest():
    """The SHA-256 of all models after a search and a refit of 3 steps on one log."""
    sha = hashlib.sha256()
    log = draw_log(0, [9, 5, 7], behaviours=4)
    log.behaviour[[-1, -3, 3, 5, 10]] = 1
    for name, model in MODELS.items():
        config = config_of(model, log, {"width": 8, "table_width": 4, "heads": 2, "length": 4})
        split = split_of(model, config, log, np.zeros((20, 0)))
        assert len(split.validation.item)
        for state in training.search_and_refit(model, config, SETTINGS, split, progress=False):
            for leaf, a in optim.leaves(state.params, name):
                sha.update(f"{leaf}{a.dtype}{a.shape}".encode() + a.tobytes())
    return sha.hexdigest()


def test_every_model_is_trained_to_the_same_bits_under_other_hash_seeds():
    command = [sys.executable, "-c", f"from {__name__} import digest; print(digest())"]
    running = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                env={**os.environ, **THREADS, "PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    found = [process.communicate()[0] for process in running]
    assert found[0] == found[1] and len(found[0]) == 65
