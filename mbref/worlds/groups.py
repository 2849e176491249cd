"""A synthetic log of items, queries and coupons with a known rule: each group tells what comes next
in another.

Regenerate the committed files (format: see mbref.data.groups) with

    python -m mbref.worlds groups tiny_data/groups --seed 1

The rule. Items and coupons have a category and a shop, items a brand; queries have a category too,
but no file tells it. Popularity falls as 1 / sqrt(rank) among the objects of a category. A user
makes 30 to 50 events. The group of the next one depends on the group of the last (NEXT_GROUP; the
first follows as if after an item), and

1. an item is, with probability HINT, of the category of the last query;
2. a coupon is, with probability HINT, of the shop of the item last put in the cart or bought;
3. a query is, with probability HINT, of the category of the last coupon;

otherwise, or if there is none such yet, it is any object of its group; by popularity in either
case. The action on an item is drawn with ITEM_ACTIONS. Brands and times are chance and mean
nothing.

Shops and categories are independent among the items, so a query says nothing of the shop whose
coupon comes next, and the hint for a group is seldom in its own past. best_scores is the exact
probability of the next object, given the past of all groups.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.data.groups import ACTIONS, EVENT_COLUMNS, OBJECT_COLUMNS
from mbref.worlds.common import draw, permutation, text_of, wait, whole

HINT = 0.85
GROUPS = tuple(ACTIONS)
ITEM, QUERY, COUPON = range(3)  # places in GROUPS
# row: last group; weights of item, query, coupon
NEXT_GROUP = ((0.5, 0.1, 0.4), (0.85, 0.1, 0.05), (0.2, 0.7, 0.1))
ITEM_ACTIONS = {"view": 0.45, "fav": 0.1, "cart": 0.3, "buy": 0.15}
TAKEN = ("cart", "buy")  # the actions that earn a coupon
START = 1511539200  # 2017-11-25 00:00:00 at UTC+8, in seconds since 1970
# probability, fewest and most seconds
WAITS = ((0.7, 5, 300), (0.2, 1800, 21600), (0.1, 43200, 129600))
FIRST_USER, FIRST_ITEM = 100, 1000
EVENTS, OBJECTS = "events.csv", "objects.csv"


class Mall(NamedTuple):
    """What does not change: N_g objects in each group of GROUPS, C categories."""

    category: tuple[np.ndarray, ...]  # over groups: [N_g + 1] 1..C
    shop: tuple[np.ndarray, ...]  # over groups: [N_g + 1] 1..; 0 for queries
    brand: np.ndarray  # [N + 1] 1.. of the items
    popularity: tuple[np.ndarray, ...]  # over groups: [N_g + 1] weights; 0 at entry 0


def make_mall(rng, sizes=(200, 60, 40), categories=20, shops=10, brands=8):
    """A Mall with as many objects in every category, and in every shop, as divides evenly."""
    places = [permutation(rng, size) for size in sizes]
    category = tuple(np.append(0, 1 + place % categories) for place in places)
    popularity = tuple(np.append(0.0, (1 + place // categories) ** -0.5) for place in places)
    shop = [np.append(0, 1 + permutation(rng, size) % shops) for size in sizes]
    shop[QUERY] = np.zeros_like(shop[QUERY])
    return Mall(category, tuple(shop), np.append(0, 1 + permutation(rng, sizes[ITEM]) % brands),
                popularity)


def groups_world(rng, mall, users=150):
    """Events (user, group, object 1..N_g, action, unix seconds) by user and time."""
    return [(user, *event) for user in range(1, users + 1) for event in user_events(rng, mall)]


def user_events(rng, mall):
    """Events (group, object, action name, unix seconds) of one user."""
    events, group, time = [], ITEM, START + whole(rng, 0, 5 * 86400)
    for _ in range(whole(rng, 30, 50)):
        group = draw(rng, NEXT_GROUP[group])
        thing = draw(rng, best_scores(mall, events, group))
        names = ACTIONS[GROUPS[group]]
        chance = [ITEM_ACTIONS[name] for name in names] if group == ITEM else None
        action = names[draw(rng, chance)] if chance else names[0]
        time += wait(rng, WAITS)
        events.append((group, thing, action, time))
    return events


def best_scores(mall, history, group):
    """Probability of each object of `group` being the next one, if the next event is of that group.

    history: events (group 0..2, object 1..N_g, action name, ...) of one user, in order of time.
    Returns [N_g + 1], which sums to 1 and is 0 at padding: the best a model can know.
    """
    at_large = mall.popularity[group] / mall.popularity[group].sum()
    hinted = mall.popularity[group] * hint(mall, history, group)
    return HINT * hinted / hinted.sum() + (1 - HINT) * at_large if hinted.any() else at_large


def hint(mall, history, group):
    """Which objects of `group` the past points at; at padding if at nothing.  -> [N_g + 1] bool."""
    if group == COUPON:
        return mall.shop[COUPON] == mall.shop[ITEM][last(history, ITEM, TAKEN)]
    source = QUERY if group == ITEM else COUPON
    return mall.category[group] == mall.category[source][last(history, source,
                                                              ACTIONS[GROUPS[source]])]


def last(history, group, actions):
    """The object of the last event of `group` with one of `actions`; 0 if there is none."""
    return next((event[1] for event in reversed(history) if event[0] == group
                 and event[2] in actions), 0)


# Files. Raw ids are numbers of equal length, so that groups.read_groups numbers everything as here.

def raw_id(group, number):
    """Raw id of an object: 1001, ... for items, q01, ... for queries, k01, ... for coupons."""
    return str(FIRST_ITEM + number) if group == ITEM else f"{'qk'[group - 1]}{number:02d}"


def events_text(events):
    """events.csv from the events of groups_world."""
    rows = [(FIRST_USER + user, GROUPS[group], raw_id(group, number), action, time)
            for user, group, number, action, time in events]
    return text_of([EVENT_COLUMNS, *rows])


def objects_text(mall):
    """objects.csv: what the files tell of every object."""
    rows = [OBJECT_COLUMNS]
    for group, name in enumerate(GROUPS):
        for n in range(1, len(mall.category[group])):
            shop, category = f"s{mall.shop[group][n]:02d}", f"c{mall.category[group][n]:02d}"
            known = ("", "") if group == QUERY else (shop, category)
            brand = f"b{mall.brand[n]}" if group == ITEM else ""
            rows.append((name, raw_id(group, n), *known, brand))
    return text_of(rows)


def make(seed):
    """The mall of a seed and the texts of its files: (Mall, {file name: text})."""
    rng = np.random.default_rng(seed)
    mall = make_mall(rng)
    return mall, {EVENTS: events_text(groups_world(rng, mall)), OBJECTS: objects_text(mall)}


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1.

    The scorer takes rows [S] of the log, all of one group, and gives [S, N_g]: how probable each
    object of that group was at that row, given the rows of the same user before it.
    """
    mall, texts = make(1)
    if Path(path).read_bytes() != texts[EVENTS].encode():
        return None
    action = [log.actions[a - 1] for a in log.action]
    columns = list(zip(log.group.tolist(), log.object.tolist(), action, strict=True))
    first = np.searchsorted(log.user, log.user)  # [n] the first row of the same user

    def score(rows):
        return np.array([best_scores(mall, columns[first[r]:r], columns[r][0])[1:] for r in rows])

    return score
