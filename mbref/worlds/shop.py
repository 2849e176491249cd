"""Synthetic shop logs with a known rule, written in the Taobao format.

Regenerate the committed file with

    python -m tests.worlds shop tiny_data/taobao --seed 1

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
from typing import NamedTuple

import numpy as np

from mbref.worlds.common import follow, is_file, permutation

# probabilities, as above
BUY, WISHED, FOLLOW, STRAY, CART, FAV, DRIFT = 0.9, 0.65, 0.5, 0.2, 0.1, 0.08, 0.2
WISH_WEIGHT = {"cart": 4.0, "fav": 1.0}
FIRST_ITEM = 10000  # raw id = this + number from 1
DIGEST = "509eb1fd6749bcca756d366d4db24f7bae57fe959881a6a8ec669e74eec21754"  # of seed 1


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


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1."""
    if not is_file(path, DIGEST):
        return None
    shop = make_shop(np.random.default_rng(1))
    number = np.append(0, log.items[1:].astype(int) - FIRST_ITEM)  # [N + 1] in the shop

    def past(history, case):
        rows = range(history.ptr[case], history.ptr[case + 1])
        return [(number[history.item[r]], log.behaviours[history.behaviour[r] - 1]) for r in rows]

    def score(history, cases):
        return np.array([best_scores(shop, past(history, c))[number[1:]] for c in cases])

    return score
