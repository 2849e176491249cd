"""The log of mbref/worlds/groups.py, drawn by its rule, in the format of mbref/data/groups.py.

Raw ids are numbers of equal length, so that groups.read_groups numbers everything as here.
"""
import numpy as np

from mbref.data.groups import ACTIONS, EVENT_COLUMNS, OBJECT_COLUMNS
from mbref.worlds.common import whole
from mbref.worlds.groups import GROUPS, ITEM, ITEM_ACTIONS, NEXT_GROUP, QUERY, best_scores, make_mall
from tests.worlds.drawing import draw, text_of, wait

START = 1511539200  # 2017-11-25 00:00:00 at UTC+8, in seconds since 1970
# probability, fewest and most seconds
WAITS = ((0.7, 5, 300), (0.2, 1800, 21600), (0.1, 43200, 129600))
FIRST_USER, FIRST_ITEM = 100, 1000
EVENTS, OBJECTS = "events.csv", "objects.csv"


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
