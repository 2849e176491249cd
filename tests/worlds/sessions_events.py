"""The log of mbref/worlds/sessions.py, drawn by its rule, in the raw format of Diginetica (CIKM Cup 2016).

Its docstring says what the files hold.
"""
from datetime import datetime, timedelta

import numpy as np

from mbref.worlds.common import permutation, whole
from mbref.worlds.sessions import FIRST_ITEM, best_scores, make_shop
from tests.worlds.drawing import draw, text_of

OWN, COMMON = 12, 20  # words of a category, of the shop
LENGTHS = (0.1, 0.12, 0.13, 0.14, 0.13, 0.12, 0.1, 0.09, 0.07)  # probability of 2..10 clicks
FIRST_DAY, DAYS = datetime(2016, 4, 20), 42
FIRST_CATEGORY, FIRST_USER = 100, 5000  # raw id = this + number from 1
VIEWS, PRODUCTS, CATEGORIES = "train-item-views.csv", "products.csv", "product-categories.csv"


def words_of(rng, category, line):
    """The hashed words of one item, some of its category's range and line."""
    own = [10_000 * category + 100 + whole(rng, 1, OWN) for _ in range(whole(rng, 2, 3))]
    common = [whole(rng, 1, COMMON) for _ in range(whole(rng, 1, 2))]
    return list(dict.fromkeys([10_000 * category + line, *own, *common]))


def draw_words(rng, shop):
    """The hashed words of every item.  -> N + 1 lists, that of padding empty."""
    items = zip(shop.category[1:].tolist(), shop.line[1:].tolist(), strict=True)
    return [[], *(words_of(rng, category, line) for category, line in items)]


def sessions_world(rng, shop, sessions=1500):
    """Sessions (day from FIRST_DAY, [(item 1..N, milliseconds), ...] in order)."""
    made = []
    for _ in range(sessions):
        day, items, time, clicks = whole(rng, 0, DAYS - 1), [], whole(rng, 0, 60_000), []
        for _ in range(2 + draw(rng, LENGTHS)):
            items.append(draw(rng, best_scores(shop, items)))
            clicks.append((items[-1], time))
            time += whole(rng, 2_000, 180_000)
        made.append((day, clicks))
    return made


def view_rows(rng, session, day, clicks):
    """Rows of one session, in random order; one session in ten is of a known user."""
    user = FIRST_USER + whole(rng, 1, 400) if rng.random() < 0.1 else "NA"
    date = (FIRST_DAY + timedelta(days=day)).date().isoformat()
    rows = [(session, user, FIRST_ITEM + item, time, date) for item, time in clicks]
    return [rows[n] for n in permutation(rng, len(rows))]


def make(seed):
    """The shop of a seed and the texts of its files: (Shop, {file name: text})."""
    rng = np.random.default_rng(seed)
    shop = make_shop(rng)
    words = draw_words(rng, shop)
    views = [row for session, (day, clicks) in enumerate(sessions_world(rng, shop), start=1)
             for row in view_rows(rng, session, day, clicks)]
    items = range(1, len(shop.category))
    products = [(FIRST_ITEM + i, whole(rng, 4, 12), ",".join(map(str, words[i])))
                for i in items]
    categories = [(FIRST_ITEM + i, FIRST_CATEGORY + shop.category[i]) for i in items]
    rows = {VIEWS: [("sessionId", "userId", "itemId", "timeframe", "eventdate"), *views],
            PRODUCTS: [("itemId", "pricelog2", "product.name.tokens"), *products],
            CATEGORIES: [("itemId", "categoryId"), *categories]}
    return shop, {name: text_of(lines, ";") for name, lines in rows.items()}
