"""World `stamp`: of several queries the one counts that was asked when the coupon came (ATRank's
self-attention).

A user comes in ROUNDS, far apart. In a round a query is asked in each of the last GAPS hours before
the item, drawn evenly, and one coupon is received in the same hour as one of them, drawn evenly.
Items and queries have categories as in `hints`. With q the query of the coupon's hour,

    P(item = i | past) = SURE [C_i = C_q] / (items of C_q) + (1 - SURE) / N.

What a query is worth depends on another event, the coupon: one look from the target at every event
by itself, vanilla attention, does not see it.

Without the signal (`newest`) q is the query of the newest hour, whatever the coupon.
"""
from mbref.worlds import hints
from mbref.worlds.hints import CATEGORY, COUPON, ITEM, QUERY, SURE
from mbref.worlds.known import DAY, HOUR, START, draw_item, mix, whole

FORMAT, TARGET, LOG = hints.FORMAT, hints.TARGET, hints.LOG
SIGNALS = "coupon", "newest"
USERS, SHIPPED = 800, 120
QUERIES, COUPONS, ROUNDS, GAPS = 20, 5, 5, (31, 7, 1)


def chances(past, signal="coupon"):
    """P(the next item | past).  -> [N + 1]."""
    asked = past.kind == QUERY
    when = past.time[past.kind == COUPON][-1] if signal == "coupon" else past.time[asked][-1]
    return mix(SURE, CATEGORY == CATEGORY[past.item[asked & (past.time == when)][-1]])


def draw_user(rng, signal="coupon"):
    """One user's events (object, group, seconds)."""
    events = []
    for number in range(ROUNDS):
        now, stamped = START + 80 * DAY * number, whole(rng, 0, len(GAPS) - 1)
        for place, gap in enumerate(GAPS):
            events.append((whole(rng, 1, QUERIES), QUERY, now - HOUR * gap))
            if place == stamped:
                events.append((whole(rng, 1, COUPONS), COUPON, now - HOUR * gap))
        events.append((draw_item(rng, chances, events, signal), ITEM, now))
    return events


def write(people, signal):
    """events.csv and objects.csv of data/groups.py."""
    return hints.write(people, signal, (hints.N, QUERIES, COUPONS))
