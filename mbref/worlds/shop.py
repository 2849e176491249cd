"""Synthetic shop logs with a known rule, written in the Taobao format.

Regenerate the committed file with

    python -m mbref.worlds shop tiny_data/taobao --seed 1

The rule. Popularity falls as 1 / rank (Zipf) among categories and among the items of a category.
Every category has one complement; the complements form one cycle. A user makes several visits in
the nine days from 2017-11-25 to 2017-12-03 (UTC+8). At each visit the user

1. buys one item with probability BUY, but not at the first visit. It is drawn from the wishes,
   with probability WISHED if there are any, otherwise from the new items.
   Wishes: items whose last event other than a view is a cart or a fav, in proportion to
   WISH_WEIGHT.
   New items: those the user has never met, by popularity, in the complement of the category last
   bought in (in the whole shop before the first purchase). If all of them have been met, they
   count as new again;
2. browses one category: with probability FOLLOW the complement of the category last bought in;
   otherwise, or before the first purchase, one of three favourite categories. Each of 4 to 8
   views is, with probability STRAY, of any item of the shop instead. After a view the item is put
   in the cart with probability CART and marked fav with probability FAV;
3. exchanges one favourite category for another with probability DRIFT.

Views alone say little about the next purchase; the carts, the favs and the last purchase say all
there is to know. So best_scores is the exact probability of the next purchase, and a model that is
not told the behaviours falls short of it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref.worlds.common import draw, follow, permutation, text_of, whole

# probabilities, as above
BUY, WISHED, FOLLOW, STRAY, CART, FAV, DRIFT = 0.9, 0.65, 0.5, 0.2, 0.1, 0.08, 0.2
WISH_WEIGHT = {"cart": 4.0, "fav": 1.0}
START = 1511539200  # 2017-11-25 00:00:00 at UTC+8, in seconds since 1970
# every visit lies in a slot of three hours of its own; 72 slots are nine days
SLOT, SLOTS = 3 * 3600, 72
FIRST_USER, FIRST_ITEM, FIRST_CATEGORY = 1000, 10000, 100  # raw id = this + number from 1
FILE = "UserBehavior.csv"


class Shop(NamedTuple):
    """What does not change: N items in C categories; entry 0 is padding."""

    category: np.ndarray  # [N + 1] 1..C of each item
    popularity: np.ndarray  # [N + 1] weight of each item among all; 0 at entry 0
    complement: np.ndarray  # [C + 1] 1..C


def make_shop(rng, items=400, categories=25):
    """A Shop of equal categories; c has popularity 1 / c, its r-th item 1 / r of it."""
    place = permutation(rng, items)
    category = 1 + place % categories
    popularity = 1 / category / (1 + place // categories)
    complement = follow(1 + permutation(rng, categories))
    return Shop(np.append(0, category), np.append(0.0, popularity), complement)


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


def best_scores(shop, history):
    """Probability of each item being the next purchase: the best one can know.

    history: events (item 1..N, behaviour, ...) of one user in order of time, up to the end of a
    visit. Returns [N + 1], which sums to 1 and is 0 at padding.
    """
    wishes, met, last = standing(shop, history)
    within_reach = (shop.category == shop.complement[last]) | (last == 0)
    new = shop.popularity * within_reach
    unmet = new.copy()
    unmet[met] = 0
    new = unmet if unmet.any() else new
    new = new / new.sum()
    if not wishes:
        return new
    wished = np.zeros_like(new)
    wished[list(wishes)] = list(wishes.values())
    return WISHED * wished / wished.sum() + (1 - WISHED) * new


def standing(shop, history):
    """What the next purchase depends on: ({wished: weight}, items met, category)."""
    wishes, last = {}, 0
    for item, behaviour, *_ in history:
        if behaviour in WISH_WEIGHT:
            wishes[item] = WISH_WEIGHT[behaviour]
        elif behaviour == "buy":
            wishes.pop(item, None)
            last = shop.category[item]
    return wishes, [event[0] for event in history], last


def make(seed):
    """The shop of a seed and its log, without header: (Shop, {file name: text})."""
    rng = np.random.default_rng(seed)
    shop = make_shop(rng)
    return shop, {FILE: text_of(taobao_world(rng, shop))}


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1."""
    shop, texts = make(1)
    if Path(path).read_bytes() != texts[FILE].encode():
        return None
    number = np.append(0, log.items[1:].astype(int) - FIRST_ITEM)  # [N + 1] in the shop

    def past(history, case):
        rows = range(history.ptr[case], history.ptr[case + 1])
        return [(number[history.item[r]], log.behaviours[history.behaviour[r] - 1]) for r in rows]

    def score(history, cases):
        return np.array([best_scores(shop, past(history, c))[number[1:]] for c in cases])

    return score

