"""World `counts`: who puts an item in the cart again and again, buys it (HMAR's indicators).

A user does T things, by SHARES; what is no buy is of any of the N items, all equally likely. With
carts_i and buys_i how often the user did so with item i, over the whole past,

    P(buy = i | past) = exp(PULL (carts_i - buys_i)) / the same summed over all items.

The newest 20 of T events, which is what the model reads, do not tell that; its counts do.

Without the signal (`none`) PULL is 0.
"""
import numpy as np

from mbref.worlds.known import draw_shopper
from mbref.worlds.last import write as write

FORMAT, TARGET, LOG = "hmar", "buy", "log.txt"
SIGNALS = "carts", "none"
USERS, SHIPPED = 400, 100
N, T, PULL = 40, 80, 1.5
BUY, CART = 1, 2
SHARES = 0.15, 0.25, 0.15, 0.45  # of buy, cart, fav, pv


def chances(past, signal="carts"):
    """P(the next buy | past).  -> [N + 1]."""
    carts, buys = (np.bincount(past.item[past.kind == kind], minlength=N + 1)
                   for kind in (CART, BUY))
    pull = np.exp((PULL if signal == "carts" else 0) * (carts - buys))
    pull[0] = 0
    return pull / pull.sum()


def draw_user(rng, signal="carts"):
    """One user's events (item, behaviour, 0)."""
    return draw_shopper(rng, chances, signal, N, T, SHARES)
