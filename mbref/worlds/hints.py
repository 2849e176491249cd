"""World `hints`: the query asked last tells the category of the next item (ATRank's groups).

Items have a category, which the catalogue tells; queries have one too that no file tells. A user
makes STEPS events, 1 to 9 hours apart: an item or a query, both equally likely, the last an item.
A query is drawn evenly. With C_q the category of the query asked last,

    P(item = i | past) = SURE [C_i = C_q] / (items of C_q) + (1 - SURE) / N,

and 1 / N before the first query. What the items before were tells nothing.

Without the signal of groups (`item`) C_q is the category of the item before: each group then is by
itself. Without the signal of time (`any query`) all queries so far count alike.
"""
import numpy as np

from mbref.data.groups import EVENT_COLUMNS, OBJECT_COLUMNS
from mbref.worlds.known import HOUR, START, draw_item, mix, newest, text_of, whole

FORMAT, TARGET, LOG = "groups", "item", "events.csv"
SIGNALS = "query", "item", "any query"
USERS, SHIPPED = 400, 80
N, QUERIES, CATEGORIES, STEPS, SURE = 100, 40, 10, 24, 0.9
ITEM, QUERY, COUPON = range(3)  # groups
ACTIONS = "view", "search", "receive"  # one kind a group
CATEGORY = np.append(0, 1 + np.arange(N) % CATEGORIES)  # [N + 1] of the items, and of the queries


def chances(past, signal="query"):
    """P(the next item | past).  -> [N + 1]."""
    if signal == "any query":
        asked = past.item[past.kind == QUERY]
        return np.mean([mix(SURE, CATEGORY == CATEGORY[q]) for q in asked] or
                       [mix(0, CATEGORY > 0)], axis=0)
    last = newest(past, [QUERY if signal == "query" else ITEM])
    return mix(SURE, (CATEGORY == CATEGORY[last]) & (CATEGORY > 0))


def draw_user(rng, signal="query"):
    """One user's events (object, group, seconds)."""
    events, now = [], START
    for step in range(STEPS):
        now += HOUR * whole(rng, 1, 9)
        if step == STEPS - 1 or rng.random() < 0.5:
            events.append((draw_item(rng, chances, events, signal), ITEM, now))
        else:
            events.append((whole(rng, 1, QUERIES), QUERY, now))
    return events


def write(people, signal, sizes=(N, QUERIES, 1)):
    """events.csv and objects.csv of data/groups.py, with `sizes` objects in the three groups."""
    groups = "item", "query", "coupon"
    events = [(user, groups[g], thing, ACTIONS[g], now)
              for user, one in enumerate(people, 1) for thing, g, now in one]
    objects = [(groups[g], thing, "", f"c{CATEGORY[thing]:02d}" if g == ITEM else "", "")
               for g in range(3) for thing in range(1, sizes[g] + 1)]
    return {LOG: text_of([EVENT_COLUMNS, *events]),
            "objects.csv": text_of([OBJECT_COLUMNS, *objects])}
