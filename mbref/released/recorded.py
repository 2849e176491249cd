"""What recomputations of recorded states share."""
from typing import NamedTuple


class Recomputed(NamedTuple):
    """Arrays under the names of the recorded file, "outputs/loss" for instance, and what cannot be
    held against them to rounding."""
    arrays: dict          # name: array, computed in float64
    left_out: dict = {}   # name: why this array is not compared
    bounds: dict = {}     # name: (lowest, highest) value that the recorded one may have


def last_step(arrays):
    """The most optimiser steps that a state records, as after/1/... and so on; 0 for none."""
    return max((int(name.split("/")[1]) for name in arrays if name.startswith("after/")), default=0)
