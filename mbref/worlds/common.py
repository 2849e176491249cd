"""What the worlds draw with, and how they write rows.

All chance goes through Generator.random: no other stream of NumPy's may change the files.
"""
import numpy as np


def draw(rng, weights):
    """Index in 0..n-1 with probability in proportion to weights [n]."""
    edges = np.cumsum(weights)
    return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))


def whole(rng, low, high):
    """Whole number in low..high, all equally likely."""
    return low + int(rng.random() * (high - low + 1))


def wait(rng, kinds):
    """Whole number between the ends of one of `kinds`, (probability, fewest, most) each."""
    _, fewest, most = kinds[draw(rng, [kind[0] for kind in kinds])]
    return whole(rng, fewest, most)


def permutation(rng, n):
    """0..n-1 in random order."""
    return np.argsort(rng.random(n))


def follow(cycle, steps=1):
    """What comes `steps` after each of 1..n on a cycle [n] of them.  -> [n + 1], 0 at entry 0."""
    after = np.zeros(len(cycle) + 1, np.int64)
    after[cycle] = np.roll(cycle, -steps)
    return after


def text_of(rows, separator=","):
    """Rows as lines of a text file."""
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)
