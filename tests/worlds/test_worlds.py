"""mbref.worlds.shop and its events here: the committed file is what its seed gives, the rule holds, best_scores is right."""
import csv
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.data.readers import read
from mbref.worlds import shop as worlds
from mbref.worlds.common import whole
from mbref.worlds.shop import Shop, best_scores, make_shop, standing
from tests.worlds.__main__ import main
from tests.worlds.drawing import draw
from tests.worlds.shop_events import taobao_world

TINY = Path(__file__).parents[2] / "tiny_data"
FILE = TINY / "taobao" / "UserBehavior.csv"

# Six items; categories 1, 2, 3 with complements 2, 3, 1.
SMALL = Shop(category=np.array([0, 1, 1, 2, 2, 3, 3]),
             popularity=np.array([0, 6.0, 3.0, 3.0, 1.0, 2.0, 1.0]),
             complement=np.array([0, 2, 3, 1]))


def histories(rows):
    """{raw user: [(item, behaviour, seconds), ...]} with items numbered as in the shop."""
    users = {}
    for user, item, _, behaviour, time in rows:
        users.setdefault(user, []).append((item - worlds.FIRST_ITEM, behaviour, time))
    return users


def seeded(seed, users=150):
    rng = np.random.default_rng(seed)
    shop = make_shop(rng)
    return shop, taobao_world(rng, shop, users)


@pytest.fixture(scope="module")
def world():
    """(shop, [(history before a purchase, item bought)]) of 600 users."""
    shop, rows = seeded(7, users=600)
    events = histories(rows).values()
    return shop, [(e[:n], e[n][0]) for e in events for n in range(len(e)) if e[n][1] == "buy"]


# The committed file.

def test_the_committed_file_is_what_seed_1_gives(tmp_path):
    main(["shop", str(tmp_path), "--seed", "1"])
    assert (tmp_path / FILE.name).read_bytes() == FILE.read_bytes()


def test_another_seed_gives_another_file(tmp_path):
    main(["shop", str(tmp_path), "--seed", "2"])
    assert (tmp_path / FILE.name).read_bytes() != FILE.read_bytes()


def test_the_committed_file_is_small_and_read_without_notes():
    assert FILE.stat().st_size <= 300_000
    log = read(FILE, "taobao")
    assert log.notes == ()
    assert log.behaviours == ("buy", "cart", "fav", "pv")


def test_the_readme_has_the_counts_of_the_file():
    with open(FILE, newline="") as file:
        rows = list(csv.reader(file))
    distinct = [len({row[column] for row in rows}) for column in range(3)]
    kinds = Counter(row[3] for row in rows)
    readme = (TINY / "README.md").read_text()
    assert f"{len(rows):,} events, {distinct[0]} users, {distinct[1]} items" in readme
    assert f"{distinct[2]} categories" in readme
    assert f"pv {kinds['pv']:,}, buy {kinds['buy']}, cart {kinds['cart']}, fav {kinds['fav']}" in readme
    buys = Counter(row[0] for row in rows if row[3] == "buy")
    few = Counter(buys[user] for user in {row[0] for row in rows})
    assert f"{few[0]} users buy nothing, {few[1]} once" in readme
    assert f"{sum(few[n] for n in few if n >= 3)} at least three times" in readme
    last = {row[0]: n for n, row in enumerate(rows) if row[3] == "buy"}
    seen = [any(row[:2] == rows[n][:2] for row in rows[:n]) for n in last.values()]
    assert f"{sum(seen)} of the {len(seen)} last purchases" in readme


# The rule.

def test_shop():
    shop = make_shop(np.random.default_rng(3), items=12, categories=4)
    assert Counter(shop.category[1:].tolist()) == {1: 3, 2: 3, 3: 3, 4: 3}
    assert sorted(shop.popularity[shop.category == 2]) == pytest.approx([1 / 6, 1 / 4, 1 / 2])
    assert shop.category[0] == shop.popularity[0] == shop.complement[0] == 0
    category, path = 1, []
    for _ in range(4):
        category = int(shop.complement[category])
        path.append(category)
    assert sorted(path) == [1, 2, 3, 4]  # one cycle through all


def test_rows_are_grouped_by_user_in_order_of_time_inside_the_week():
    _, rows = seeded(5)
    assert [(row[0], row[4]) for row in rows] == sorted((row[0], row[4]) for row in rows)
    assert all(1511539200 <= row[4] < 1512316800 for row in rows)  # 2017-11-25 to 2017-12-03 24:00 at UTC+8
    assert {row[0] for row in rows} == set(range(1001, 1151))


def test_every_user_browses_first_and_some_buy_little():
    _, rows = seeded(5)
    users = histories(rows)
    assert all(events[0][1] == "pv" for events in users.values())
    buys = {user: sum(event[1] == "buy" for event in events) for user, events in users.items()}
    assert {user for user in buys if buys[user] == 0} >= {1040, 1080, 1120}
    assert all(buys[user] <= 1 for user in (1020, 1060, 1100, 1140))
    assert sum(count >= 3 for count in buys.values()) >= 135


def test_only_carts_favs_and_new_items_are_bought(world):
    shop, purchases = world
    for history, item in purchases:
        wishes, met, last = standing(shop, history)
        new = item not in met and (last == 0 or shop.category[item] == shop.complement[last])
        emptied = all(i in met for i in np.flatnonzero(shop.category == shop.complement[last]))
        assert item in wishes or new or emptied


# The known best answer.

def test_standing_by_hand():
    history = [(4, "buy"), (1, "pv"), (1, "cart"), (3, "fav"), (1, "pv"),
               (5, "cart"), (5, "buy"), (3, "cart"), (2, "fav")]
    wishes, met, last = standing(SMALL, history)
    assert wishes == {1: 4.0, 3: 4.0, 2: 1.0}  # item 3: the later cart counts; item 5 is bought
    assert set(met) == {1, 2, 3, 4, 5}
    assert last == 3  # of item 5, not of item 4


@pytest.mark.parametrize(("history", "expected"), [
    # Nothing known: popularity over the whole shop, sum 16.
    ([], [0, 6 / 16, 3 / 16, 3 / 16, 1 / 16, 2 / 16, 1 / 16]),
    # A view only removes the item from the new ones.
    ([(1, "pv")], [0, 0, 3 / 10, 3 / 10, 1 / 10, 2 / 10, 1 / 10]),
    # Bought in category 1: its complement 2 holds items 3 and 4.
    ([(1, "pv"), (1, "buy")], [0, 0, 0, 3 / 4, 1 / 4, 0, 0]),
    # Item 3 met: only item 4 is new there. All of category 2 met: both count as new again.
    ([(1, "buy"), (3, "pv")], [0, 0, 0, 0, 1, 0, 0]),
    ([(1, "buy"), (3, "pv"), (4, "pv")], [0, 0, 0, 3 / 4, 1 / 4, 0, 0]),
    # Wishes 4 : 1 share 0.65, the new items 0.35.
    ([(1, "buy"), (5, "pv"), (5, "cart"), (6, "fav")],
     [0, 0, 0, 0.35 * 3 / 4, 0.35 / 4, 0.65 * 4 / 5, 0.65 / 5]),
])
def test_best_scores_by_hand(history, expected):
    assert best_scores(SMALL, history) == pytest.approx(expected)


def test_best_scores_are_calibrated(world):
    # Items given a probability are bought that often, within 5 standard errors of a sum of coin flips.
    shop, purchases = world
    scores = np.array([best_scores(shop, history) for history, _ in purchases])  # [purchases, N + 1]
    bought = np.zeros_like(scores)
    bought[np.arange(len(purchases)), [item for _, item in purchases]] = 1
    for low, high in ((0, 0.01), (0.01, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.7)):
        here = (scores > low) & (scores <= high)
        p = scores[here]
        assert here.any()
        assert abs(bought[here].sum() - p.sum()) <= 5 * math.sqrt((p * (1 - p)).sum())


def test_behaviours_matter(world):
    # The same items with every behaviour hidden (all views) must predict the purchase much worse.
    shop, purchases = world
    told = np.mean([best_scores(shop, history)[item] for history, item in purchases])
    hidden = np.mean([blind_scores(shop, history)[item] for history, item in purchases])
    assert told > 3 * hidden


def blind_scores(shop, history):
    """A fair guess without behaviours: WISHED for the items met, by their counts; the rest by popularity."""
    met = np.bincount([event[0] for event in history], minlength=len(shop.category)).astype(float)
    new = shop.popularity * (met == 0)
    return worlds.WISHED * met / met.sum() + (1 - worlds.WISHED) * new / new.sum()


# The draws.

def fixed(value):
    """Stands for a Generator whose next number in [0, 1) is `value`."""
    return SimpleNamespace(random=lambda: value)


@pytest.mark.parametrize(("value", "index"), [(0.0, 1), (0.24, 1), (0.25, 3), (0.99, 3)])
def test_draw_never_takes_weight_zero(value, index):
    assert draw(fixed(value), [0.0, 1.0, 0.0, 3.0, 0.0]) == index


@pytest.mark.parametrize(("value", "number"), [(0.0, 4), (0.19, 4), (0.2, 5), (0.999, 8)])
def test_whole_is_uniform_with_both_ends(value, number):
    assert whole(fixed(value), 4, 8) == number
