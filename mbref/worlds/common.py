"""What the worlds share: how they draw, and how a file is known to be a world's.

All chance goes through Generator.random: no other stream of NumPy's may change the files.
"""
import hashlib
from pathlib import Path

import numpy as np


def whole(rng, low, high):
    """Whole number in low..high, all equally likely."""
    return low + int(rng.random() * (high - low + 1))


def permutation(rng, n):
    """0..n-1 in random order."""
    return np.argsort(rng.random(n))


def follow(cycle, steps=1):
    """What comes `steps` after each of 1..n on a cycle [n] of them.  -> [n + 1], 0 at entry 0."""
    after = np.zeros(len(cycle) + 1, np.int64)
    after[cycle] = np.roll(cycle, -steps)
    return after


def is_file(path, digest):
    """Has the file at `path` this SHA-256?"""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest
