"""World `kinds`: what is done to an item tells its hidden kind (HMAR's class loss).

The N items have three kinds that no file tells. A user does T things, a share BUYS of them buys,
the last of all a buy. What is no buy is of any item, all equally likely; it is OWN of the item's
kind (pv, cart, fav for kinds 1, 2, 3) with probability CLEAR, else one of the three at random. With
k the kind whose behaviour came last,

    P(buy = i | past) = SURE [kind_i = k] / (items of kind k) + (1 - SURE) / N,

and 1 / N where there was none. Buys are rare, so the ranking loss learns slowly which items are of
one kind; which behaviour an item gets, the class loss's question, tells it at every event.

Without the signal (`silent`) CLEAR is 0: behaviours tell no kinds.
"""
import numpy as np

from mbref.worlds.known import draw_item, mix, whole
from mbref.worlds.last import write as write

FORMAT, TARGET, LOG = "hmar", "buy", "log.txt"
SIGNALS = "told", "silent"
USERS, SHIPPED = 500, 150
N, T, BUYS, CLEAR, SURE = 300, 40, 0.05, 0.9, 0.9
BUY, OWN = 1, (4, 2, 3)  # behaviours of kinds 1, 2, 3
KIND = np.append(0, 1 + np.arange(N) % 3)  # [N + 1]


def chances(past, signal="told"):
    """P(the next buy | past).  -> [N + 1]."""
    told = past.kind[past.kind != BUY]
    return mix(SURE, KIND == (1 + OWN.index(told[-1]) if len(told) else -1))


def draw_user(rng, signal="told"):
    """One user's events (item, behaviour, 0)."""
    events, clear = [], CLEAR if signal == "told" else 0
    for step in range(T):
        if step == T - 1 or rng.random() < BUYS:
            events.append((draw_item(rng, chances, events, signal), BUY, 0))
        else:
            item = whole(rng, 1, N)
            kind = KIND[item] if rng.random() < clear else whole(rng, 1, 3)
            events.append((item, OWN[kind - 1], 0))
    return events
