"""World `aisles`: the category of the next click follows from the last two (HierSRec).

The shop has C categories of PER items, which the catalogue tells, and across them LINES of goods,
which the words of a name tell beside the category. A session is FEWEST to MOST clicks. With c the
category of the last click and b of the one before it (b = c after the first),

    P(category = d | past) = STAY [d = c] + FOLLOW [d = NEXT(b, c)] + (1 - STAY - FOLLOW) / C,
    P(item = i | past) = P(C_i) w_i / (the same w summed over C_i),
    w_i = (rank of i in its category) ** -FALL, times KIN if i is of the last click's line.

So what comes is found level by level. Without the signal of categories (`no chain`) STAY and FOLLOW
are 0; without that of text (`mute`) the words are drawn at random.
"""
import numpy as np

from mbref.worlds.known import draw_item, text_of, whole

FORMAT, TARGET, LOG = "diginetica", "view", "train-item-views.csv"
SIGNALS = "chain", "no chain", "mute"
USERS, SHIPPED = 3000, 700  # sessions
C, PER, LINES, FALL, KIN, STAY, FOLLOW = 12, 25, 4, 0.7, 3, 0.1, 0.75
FEWEST, MOST, DAYS = 6, 12, 30
N, PLACE = C * PER, np.arange(C * PER)
CATEGORY = np.append(0, 1 + PLACE % C)               # [N + 1]
LINE = np.append(0, 1 + PLACE // C % LINES)          # [N + 1]
WEIGHT = np.append(0, (1.0 + PLACE // C) ** -FALL)   # [N + 1]
EVEN = np.append(0.0, np.ones(N))
NEXT = 1 + (np.random.default_rng(0).random((C + 1, C + 1)) * C).astype(int)  # of b and c


def chances(past, signal="chain", weight=WEIGHT):
    """P(the next click | past).  -> [N + 1].

    Another `weight` is what can be said without the ranks, which no text tells of a cold item.
    """
    if len(past.item) == 0:
        return weight / weight.sum()
    category = np.ones(C + 1) / C  # [C + 1], entry 0 has no items
    if signal != "no chain":
        *_, b, c = CATEGORY[past.item[[-2, -1] if len(past.item) > 1 else [-1, -1]]]
        category *= 1 - STAY - FOLLOW
        category[c] += STAY
        category[NEXT[b, c]] += FOLLOW
    w = weight * np.where(LINE == LINE[past.item[-1]], KIN, 1)
    return category[CATEGORY] * w / np.maximum(np.bincount(CATEGORY, w), 1e-9)[CATEGORY]


def draw_user(rng, signal="chain"):
    """One session's clicks (item, 1, seconds within its day)."""
    events = []
    for click in range(whole(rng, FEWEST, MOST)):
        events.append((draw_item(rng, chances, events, signal), 1, 60 * click))
    return events


def words_of(rng, item, mute):
    """The words of an item's name: its line, its category and two by chance; muted, all are."""
    line, category = (whole(rng, 1, LINES), whole(rng, 1, C)) if mute else (LINE[item],
                                                                           CATEGORY[item])
    chance = [whole(rng, 201, 210) for _ in range(2)]
    return ",".join(map(str, dict.fromkeys([line, 100 + category, *chance])))


def write(sessions, signal):
    """Diginetica's views, categories and products; sessions are spread evenly over DAYS."""
    days = [f"2016-05-{1 + s * DAYS // len(sessions):02d}" for s in range(len(sessions))]
    views = [(s + 1, "NA", item, 1000 * at, days[s])
             for s, events in enumerate(sessions) for item, _, at in events]
    rng = np.random.default_rng(1)
    products = [(item, 5, words_of(rng, item, signal == "mute")) for item in range(1, N + 1)]
    heads = (("sessionId", "userId", "itemId", "timeframe", "eventdate"),
             ("itemId", "pricelog2", "product.name.tokens"), ("itemId", "categoryId"))
    names = LOG, "products.csv", "product-categories.csv"
    tables = views, products, [(item, CATEGORY[item]) for item in range(1, N + 1)]
    return {name: text_of([head, *rows], ";")
            for name, head, rows in zip(names, heads, tables, strict=True)}
