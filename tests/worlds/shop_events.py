"""The log of mbref/worlds/shop.py, drawn by its rule, in the Taobao format."""
import numpy as np

from mbref.worlds.common import permutation, whole
from mbref.worlds.shop import (BUY, CART, DRIFT, FAV, FIRST_ITEM, FOLLOW, STRAY, best_scores, make_shop,
                               standing)
from tests.worlds.drawing import draw, text_of

START = 1511539200  # 2017-11-25 00:00:00 at UTC+8, in seconds since 1970
# every visit lies in a slot of three hours of its own; 72 slots are nine days
SLOT, SLOTS = 3 * 3600, 72
FIRST_USER, FIRST_CATEGORY = 1000, 100  # raw id = this + number from 1
FILE = "UserBehavior.csv"


def taobao_world(rng, shop, users=150):
    """Rows (raw user, raw item, raw category, behaviour, seconds) by user and time.

    So that the edge cases occur, every 40th user buys nothing and every 40th from the 20th on buys
    once.
    """
    rows = []
    for user in range(1, users + 1):
        purchases = {0: 0, 20: 1}.get(user % 40, SLOTS)
        for item, behaviour, time in user_events(rng, shop, visit_times(rng), purchases):
            category = FIRST_CATEGORY + shop.category[item]
            rows.append((FIRST_USER + user, FIRST_ITEM + item, category, behaviour, time))
    return rows


def visit_times(rng):
    """Start of each of 5 to 10 visits, ascending, in seconds since 1970; at most one a slot."""
    slots = np.sort(permutation(rng, SLOTS)[:whole(rng, 5, 10)])
    return [START + SLOT * int(slot) + whole(rng, 0, SLOT // 2) for slot in slots]


def user_events(rng, shop, visits, purchases):
    """Events (item 1..N, behaviour, unix seconds) of a user who buys `purchases` times at most."""
    appeal = 1 / np.arange(1, len(shop.complement))  # [C] popularity of each category
    favourites = [1 + draw(rng, appeal) for _ in range(3)]
    events = []
    for start in visits:
        steps = []
        if events and purchases and rng.random() < BUY:
            steps.append((draw(rng, best_scores(shop, [event[:2] for event in events])), "buy"))
            purchases -= 1
        steps += browse(rng, shop, browsed_category(rng, shop, events + steps, favourites))
        for item, behaviour in steps:
            start += whole(rng, 1, 90)
            events.append((item, behaviour, start))
        if rng.random() < DRIFT:
            favourites[whole(rng, 0, 2)] = 1 + draw(rng, appeal)
    return events


def browsed_category(rng, shop, history, favourites):
    """Category 1..C of a visit: a complement or a favourite; history as in best_scores."""
    last = standing(shop, history)[2]
    if last and rng.random() < FOLLOW:
        return int(shop.complement[last])
    return favourites[whole(rng, 0, 2)]


def browse(rng, shop, category):
    """Steps (item, behaviour) of one visit to `category`: views, some with a cart or a fav."""
    inside = shop.popularity * (shop.category == category)
    steps = []
    for _ in range(whole(rng, 4, 8)):
        item = draw(rng, shop.popularity if rng.random() < STRAY else inside)
        steps.append((item, "pv"))
        steps += [(item, name) for name, chance in (("cart", CART), ("fav", FAV))
                  if rng.random() < chance]
    return steps


def make(seed):
    """The shop of a seed and its log, without header: (Shop, {file name: text})."""
    rng = np.random.default_rng(seed)
    shop = make_shop(rng)
    return shop, {FILE: text_of(taobao_world(rng, shop))}
