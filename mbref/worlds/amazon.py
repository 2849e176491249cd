"""A synthetic log with a known rule in which days matter, written in the raw format of the 2014
Amazon dumps.

Regenerate the committed files with

    python -m tests.worlds amazon tiny_data/amazon --seed 1

The rule. Popularity falls as 1 / rank ** FALL inside each category, and slowly from category to
category. Every item has one of a few brands. Every category has three followers, one for each
window of WINDOWS: what is bought within two days (an accessory), in the second week (a supply) and
in the second month (a successor). A user reviews 8 to 18 different items. For each of them

1. the user waits some whole days, see GAPS; if nothing is pending at the end of the wait, another
   wait is drawn instead, TRIES in all;
2. pending are: for every earlier item whose age in days lies in a window, that window's follower
   of the item's category. With probability NEED one of them is taken, all equally likely, and an
   item of it by popularity, times BRAND for the brand of the earlier item;
3. otherwise, or if nothing is pending, it is an item of the whole shop by popularity, more often
   from where the user has bought before: times 1 + FAVOUR * how many items of its category the
   user has.

Several needs from different categories are pending side by side, and which they are cannot be told
from the order of the items alone. Ratings and texts are chance and mean nothing. The day of a
review depends on the past only, so best_scores is the exact probability of the next item given the
past and the day on which it is bought.
"""
from typing import NamedTuple

import numpy as np

from mbref.worlds.common import follow, is_file, permutation, whole

WINDOWS = ((0, 2), (7, 14), (31, 62))  # days, both ends included
# probability, fewest and most days between two reviews
GAPS = ((0.4, 0, 1), (0.3, 2, 14), (0.3, 20, 60))
NEED, BRAND, FAVOUR, FALL, TRIES = 0.92, 3.0, 2.0, 0.8, 4
DAY = 86400  # seconds
FIRST_ITEM = 1000  # asin B1001, ...
DIGEST = "0d5c77855cd67bf4182a3829ee24004735a40801358d616c77e853e561856c46"  # reviews, seed 1


class Store(NamedTuple):
    """What does not change: N items in C categories; entry 0 is padding."""

    category: np.ndarray  # [N + 1] 1..C of each item
    brand: np.ndarray  # [N + 1] 1.. of each item
    popularity: np.ndarray  # [N + 1] weight of each item among all; 0 at entry 0
    follower: np.ndarray  # [windows, C + 1] 1..C, the category that follows in each window


def make_store(rng, items=300, categories=20, brands=6):
    """A Store with categories of equal size; category c has popularity c ** -0.5."""
    place = permutation(rng, items)
    category = 1 + place % categories
    popularity = category ** -0.5 * (1.0 + place // categories) ** -FALL
    brand = np.array([0] + [whole(rng, 1, brands) for _ in range(items)])
    cycle = 1 + permutation(rng, categories)
    follower = np.array([follow(cycle, steps) for steps in (1, 4, 7)])  # three different ones
    return Store(np.append(0, category), brand, np.append(0.0, popularity), follower)


def needs(store, history, now):
    """What is pending on day `now`: [(category 1..C, brand 1..), ...]."""
    return [(store.follower[window, store.category[item]], store.brand[item])
            for item, day in history
            for window, (first, last) in enumerate(WINDOWS) if first <= now - day <= last]


def best_scores(store, history, now):
    """Probability of each item coming next on day `now`: the best one can know.

    history: events (item 1..N, day) of one user, all on day `now` or before it.
    Returns [N + 1], which sums to 1 and is 0 at padding and at the items of `history`.
    """
    unmet = store.popularity.copy()
    unmet[[item for item, _ in history]] = 0
    asked = [unmet * (store.category == category) * np.where(store.brand == brand, BRAND, 1)
             for category, brand in needs(store, history, now)]
    # nothing new there: not pending
    asked = [weights / weights.sum() for weights in asked if weights.any()]
    owned = np.bincount(store.category[[item for item, _ in history]],
                        minlength=store.follower.shape[1])
    favoured = unmet * (1 + FAVOUR * owned[store.category])
    favoured /= favoured.sum()
    return NEED * np.mean(asked, axis=0) + (1 - NEED) * favoured if asked else favoured


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1.

    path: the file of reviews. The scorer reads `history.time` [n] and `history.now` [S], in seconds
    since 1970.
    """
    if not is_file(path, DIGEST):
        return None
    store = make_store(np.random.default_rng(1))
    number = np.array([0, *(int(asin[1:]) - FIRST_ITEM for asin in log.items[1:])])  # [N + 1]

    def of_case(history, case):
        rows = range(history.ptr[case], history.ptr[case + 1])
        past = [(number[history.item[r]], history.time[r] // DAY) for r in rows]
        return best_scores(store, past, history.now[case] // DAY)[number[1:]]

    def score(history, cases):
        return np.array([of_case(history, case) for case in cases])

    return score
