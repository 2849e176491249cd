"""Boolean masks; True means "may be attended". L is the history length, K the number of behaviour types."""
import numpy as np


def padding(ids):
    """True where there is an event.  ids [B, L] -> [B, L]."""
    return ids > 0


def causal(length):
    """True where key s is not later than query t.  -> [L, L], rows are queries."""
    return np.tri(length, dtype=bool)


def behaviour(behaviours, count):
    """M_b of every behaviour: True where event t is of type k + 1.  behaviours [B, L] -> [B, L, K]."""
    return behaviours[..., None] == np.arange(1, count + 1)


def same_behaviour(behaviours):
    """True where query and key are real events of one type.  behaviours [B, L] -> [B, L, L]."""
    same = behaviours[:, :, None] == behaviours[:, None, :]  # [B, L, L]
    return same & (behaviours > 0)[:, :, None]
