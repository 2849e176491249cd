"""What all four worlds draw their events with, and how they write rows."""
import numpy as np

from mbref.worlds.common import whole


def draw(rng, weights):
    """Index in 0..n-1 with probability in proportion to weights [n]."""
    edges = np.cumsum(weights)
    return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))


def wait(rng, kinds):
    """Whole number between the ends of one of `kinds`, (probability, fewest, most) each."""
    _, fewest, most = kinds[draw(rng, [kind[0] for kind in kinds])]
    return whole(rng, fewest, most)


def text_of(rows, separator=","):
    """Rows as lines of a text file."""
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)
