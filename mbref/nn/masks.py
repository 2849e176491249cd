"""Boolean masks; True means "may be attended".

L is the history length, K the number of behaviours. `like` is an array on the device to use.
"""
import numpy as np


def padding(ids):
    """True where there is an event.  ids [B, L] -> [B, L]."""
    return ids > 0


def causal(length, like=None):
    """True where key s is not later than query t.  -> [L, L], rows are queries."""
    return np.tri(length, dtype=bool, like=like)


def pairs(real):
    """True where query and key are both real.  [B, L] -> [B, L, L]."""
    return real[:, :, None] & real[:, None, :]


def causal_real(real):
    """True where query and key are real and the key is not later.  [B, L] -> [B, L, L]."""
    return causal(real.shape[1], real) & pairs(real)


def diagonal(length, like=None):
    """True where key and query are the same.  -> [L, L]."""
    place = np.arange(length, like=like)  # [L]; np.eye knows no `like` of CuPy's
    return place[:, None] == place


def behaviour(behaviours, count):
    """M_b of every behaviour: True where event t is of type k + 1.  [B, L] -> [B, L, K]."""
    return behaviours[..., None] == np.arange(1, count + 1, like=behaviours)


def same_behaviour(behaviours):
    """True where query and key are real events of one type.  behaviours [B, L] -> [B, L, L]."""
    same = behaviours[:, :, None] == behaviours[:, None, :]  # [B, L, L]
    return same & (behaviours > 0)[:, :, None]


def positions(ids):
    """Where the ids [...] are real, counted row by row.  -> [R]."""
    return np.flatnonzero(ids)  # on a GPU the host would wait for it: batches bring it, as `at`
