"""What the worlds draw by.

All chance goes through Generator.random: no other stream of NumPy's may change the files.
"""
import numpy as np


def whole(rng, low, high):
    """Whole number in low..high, all equally likely."""
    return low + int(rng.random() * (high - low + 1))


def permutation(rng, n):
    """0..n-1 in random order."""
    return np.argsort(rng.random(n))
