"""A synthetic log of items, queries and coupons with a known rule: each group tells what comes next
in another.

Regenerate the committed files (format: see mbref.data.groups) with

    python -m tests.worlds groups tiny_data/groups --seed 1

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
from typing import NamedTuple

import numpy as np

from mbref.data.groups import ACTIONS
from mbref.worlds.common import is_file, permutation

HINT = 0.85
GROUPS = tuple(ACTIONS)
ITEM, QUERY, COUPON = range(3)  # places in GROUPS
# row: last group; weights of item, query, coupon
NEXT_GROUP = ((0.5, 0.1, 0.4), (0.85, 0.1, 0.05), (0.2, 0.7, 0.1))
ITEM_ACTIONS = {"view": 0.45, "fav": 0.1, "cart": 0.3, "buy": 0.15}
TAKEN = ("cart", "buy")  # the actions that earn a coupon
DIGEST = "3b0d06b5b7dcfecff444e0d325953838d4f8e3b9afc9b5ed138a284a2580475d"  # events, seed 1


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
    met = last(history, source, ACTIONS[GROUPS[source]])
    return mall.category[group] == mall.category[source][met]


def last(history, group, actions):
    """The object of the last event of `group` with one of `actions`; 0 if there is none."""
    found = [thing for kind, thing, action, *_ in history if kind == group and action in actions]
    return found[-1] if found else 0


def scorer_of(path, log):
    """best_scores as a scorer in the numbers of `log`; None unless the file is that of seed 1.

    The scorer takes rows [S] of the log, all of one group, and gives [S, N_g]: how probable each
    object of that group was at that row, given the rows of the same user before it.
    """
    if not is_file(path, DIGEST):
        return None
    mall = make_mall(np.random.default_rng(1))
    action = [log.actions[a - 1] for a in log.action]
    columns = list(zip(log.group.tolist(), log.object.tolist(), action, strict=True))
    first = np.searchsorted(log.user, log.user)  # [n] the first row of the same user

    def score(rows):
        return np.array([best_scores(mall, columns[first[r]:r], columns[r][0])[1:] for r in rows])

    return score
