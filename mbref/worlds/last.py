"""World `last`: what is bought is what was put in the cart last, whatever came between (HMAR).

A user does T things. What is done is drawn by SHARES, the last is a buy. An event that is no buy is
of any of the N items, all equally likely. With c the item put in the cart last,

    P(buy = i | past) = SURE [i = c] + (1 - SURE) / N,

and 1 / N before the first cart. Every item recurs with every behaviour, so how often it was met
tells little of what came last: the model has to read items and behaviours together, in order.

Without the signal (`any`) c is the item of the last event, whatever was done.
"""
import numpy as np

from mbref.worlds.known import draw_shopper, mix, newest, text_of

FORMAT, TARGET, LOG = "hmar", "buy", "log.txt"
SIGNALS = "cart", "any"
USERS, SHIPPED = 250, 60
N, T, SURE = 24, 120, 0.9
NAMES = "buy", "cart", "fav", "pv"  # behaviours 1..4
CART = 2
SHARES = 0.2, 0.12, 0.18, 0.5


def chances(past, signal="cart"):
    """P(the next buy | past).  -> [N + 1]."""
    last = newest(past, [CART] if signal == "cart" else [1, 2, 3, 4])
    return mix(SURE, np.arange(N + 1) == (last or -1))


def draw_user(rng, signal="cart"):
    """One user's events (item, behaviour, 0)."""
    return draw_shopper(rng, chances, signal, N, T, SHARES)


def write(people, signal):
    """The text of HMAR's release: a header, then user, item and behaviour a line."""
    rows = [(user, item, NAMES[kind - 1])
            for user, events in enumerate(people, 1) for item, kind, _ in events]
    return {LOG: text_of([("user", "item", "behaviour_type"), *rows], " ")}
