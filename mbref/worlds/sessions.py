"""A synthetic log of sessions with a known rule, written in the raw format of Diginetica (CIKM Cup
2016).

Regenerate the committed files with

    python -m tests.worlds sessions tiny_data/diginetica --seed 1

The rule. Twelve categories have 30 to 60 items each (SIZES), all more than a cut-off of 20, and
form one cycle. The items of a category are divided among LINES product lines. Popularity falls as 1
/ rank ** FALL inside a category, and from category to category as its own rank ** -0.5. A session
is 2 to 10 clicks. Its first is any item, by popularity; after an item of category c the next one is

1. with probability STAY in c, by popularity, times KIN for the items of the same line;
2. with probability MOVE in the category after c on the cycle, by popularity;
3. otherwise any item, by popularity.

An item may be clicked again. So the category is easy to foresee and the item is hard, and only the
last click counts: best_scores is the exact probability of the next item.

The name of an item is a list of hashed words: one that all items of its line have and no others, up
to three out of 12 words of its category, one or two of the 20 common words of the shop. Prices,
user ids and times mean nothing. The lines of one session are in no order in the file, as in the
original; timeframe tells it.
"""
from typing import NamedTuple

import numpy as np

from mbref.worlds.common import follow, is_file, permutation, whole

STAY, MOVE = 0.55, 0.35  # probabilities, as above
SIZES = (60, 54, 48, 44, 40, 37, 35, 33, 32, 31, 30, 30)  # items, by rank of the category
LINES, KIN, FALL = 4, 4.0, 0.7
FIRST_ITEM = 1000  # raw id = this + number from 1
DIGEST = "51f9b9265c2b79d48e958a56c8437f6558b68d5015cafd34fcc41730adbdd54b"  # views, seed 1


class Shop(NamedTuple):
    """What does not change: N items in C categories; entry 0 is padding."""

    category: np.ndarray  # [N + 1] 1..C of each item
    line: np.ndarray  # [N + 1] 1..C * LINES of each item
    popularity: np.ndarray  # [N + 1] weight of each item among all; 0 at entry 0
    after: np.ndarray  # [C + 1] 1..C, the next category on the cycle


def make_shop(rng, sizes=SIZES):
    """A Shop; category c has popularity c ** -0.5, shared as 1 / rank ** FALL."""
    place = [(c, rank) for c, size in enumerate(sizes, start=1) for rank in range(1, size + 1)]
    category, rank = np.array(place)[permutation(rng, len(place))].T
    weight = [np.sum(np.arange(1, size + 1) ** -FALL) for size in sizes]
    popularity = category ** -0.5 * rank ** -FALL / np.array(weight)[category - 1]
    line = LINES * (category - 1) + np.array([whole(rng, 1, LINES) for _ in place])
    after = follow(1 + permutation(rng, len(sizes)))
    return Shop(np.append(0, category), np.append(0, line), np.append(0.0, popularity), after)


def best_scores(shop, history):
    """Probability of each item being the next one: the best a model can know.

    history: items 1..N of one session in order, may be empty. Returns [N + 1], which sums to 1 and
    is 0 at padding.
    """
    anywhere = shop.popularity / shop.popularity.sum()
    if not len(history):
        return anywhere
    last = history[-1]
    kin = np.where(shop.line == shop.line[last], KIN, 1)
    stay = shop.popularity * (shop.category == shop.category[last]) * kin
    move = shop.popularity * (shop.category == shop.after[shop.category[last]])
    return STAY * stay / stay.sum() + MOVE * move / move.sum() + (1 - STAY - MOVE) * anywhere


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1.

    path: the file of views. log: what was read from it, or a part of it with other numbers; the raw
    ids decide.
    """
    if not is_file(path, DIGEST):
        return None
    shop = make_shop(np.random.default_rng(1))
    number = np.append(0, log.items[1:].astype(int) - FIRST_ITEM)  # [N + 1] in the shop
    scores = [best_scores(shop, [item] if item else []) for item in number]
    table = np.array(scores)[:, number[1:]]  # [N + 1, N]

    def score(history, cases):
        start, stop = history.ptr[cases], history.ptr[np.asarray(cases) + 1]
        # only the last click counts
        return table[np.where(stop > start, history.item[stop - 1], 0)]

    return score
