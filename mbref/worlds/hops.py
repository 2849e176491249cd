"""World `hops`: users with several interests at a time, and narrow vectors (DMRAN's hops).

The shop has TOPICS of PER items each, which the catalogue tells. A user has I interests, a set of
topics drawn evenly, and takes EVENTS different items, one a day: first one of the interests, all
equally likely, then an item of it that the user does not have, all equally likely. With S the
topics seen in the past and left(t) the items of topic t that the user does not have,

    P(item = i | past) = 1/I / left(t_i)                           where t_i is in S,
                         (I - |S|) / I / (TOPICS - |S|) / PER      elsewhere; 0 for what was taken.

A single vector, narrower than there are topics, cannot point at four of them at once.

Without the signal (`one`) I is 1.
"""
import numpy as np

from mbref.worlds.known import DAY, START, draw, past_of, text_of

FORMAT, TARGET, LOG = "rechorus", "click", "clicks.csv"
SIGNALS = "several", "one"
USERS, SHIPPED = 800, 500
TOPICS, PER, EVENTS = 24, 15, 12
INTERESTS = {"several": 4, "one": 1}
TOPIC = np.append(0, 1 + np.arange(TOPICS * PER) % TOPICS)  # [N + 1]


def chances(past, signal="several"):
    """P(the next item | past).  -> [N + 1]."""
    interests, seen = INTERESTS[signal], np.unique(TOPIC[past.item])
    share = np.full(TOPICS + 1, (interests - len(seen)) / interests / (TOPICS - len(seen)))
    share[seen] = 1 / interests
    share[0] = 0
    left = PER - np.bincount(TOPIC[past.item], minlength=TOPICS + 1)  # [TOPICS + 1]
    p = (share / left)[TOPIC]
    p[past.item] = 0
    return p


def draw_user(rng, signal="several"):
    """One user's events (item, 1, seconds)."""
    interests = 1 + np.argsort(rng.random(TOPICS))[: INTERESTS[signal]]
    events = []
    for day in range(EVENTS):
        topic = interests[draw(rng, np.ones(len(interests)))]
        free = TOPIC == topic
        free[past_of(events).item] = False
        events.append((draw(rng, free), 1, START + DAY * day))
    return events


def write(people, signal):
    """ReChorus's clicks and item_meta.csv, tab-separated."""
    clicks = [(user, item, now) for user, events in enumerate(people, 1) for item, _, now in events]
    items = [(item, TOPIC[item]) for item in range(1, len(TOPIC))]
    return {LOG: text_of([("user_id", "item_id", "time"), *clicks], "\t"),
            "item_meta.csv": text_of([("item_id", "i_category"), *items], "\t")}
