"""What a recomputation of a recorded state hands back: the arrays, and what cannot be held against
them to rounding."""
from typing import NamedTuple


class Recomputed(NamedTuple):
    """Arrays under the names of the recorded file, "outputs/loss" for instance."""

    arrays: dict          # name: array, computed in float64
    left_out: dict = {}   # name: why this array is not compared
    bounds: dict = {}     # name: (lowest, highest) value that the recorded one may have
