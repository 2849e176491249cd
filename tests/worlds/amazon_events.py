"""The log of mbref/worlds/amazon.py, drawn by its rule, in the raw format of the 2014 Amazon dumps."""
import json
from datetime import datetime, timezone

import numpy as np

from mbref.worlds.amazon import DAY, FIRST_ITEM, GAPS, TRIES, best_scores, make_store, needs
from mbref.worlds.common import whole
from tests.worlds.drawing import draw, wait

# 2012-07-01, in days since 1970; the first review of a user comes in the year from there
START = 15522
STARS = (0.05, 0.05, 0.1, 0.2, 0.6)  # probability of 1..5 stars
TEXTS = ("Broke.", "No \"joy\".", "It's ok.", "Works.", "Good.")
FIRST_USER = 1000  # reviewerID A1001, ...
REVIEWS, META = "reviews_Tiny_5.json", "meta_Tiny.json"


def amazon_world(rng, store, users=200):
    """Events (user 1.., item 1..N, day since 1970) by user, in order of time."""
    return [(user, item, day) for user in range(1, users + 1)
            for item, day in user_events(rng, store)]


def user_events(rng, store):
    """Events (item 1..N, day since 1970) of one user, no item twice."""
    events, day = [], START + whole(rng, 0, 364)
    for _ in range(whole(rng, 8, 18)):
        events.append((draw(rng, best_scores(store, events, day)), day))
        day = next_day(rng, store, events)
    return events


def next_day(rng, store, history):
    """Day of the review after `history`, which has at least one event."""
    for _ in range(TRIES):
        day = history[-1][1] + wait(rng, GAPS)
        if needs(store, history, day):
            break
    return day


def review_line(rng, user, item, day):
    """One event as a line of JSON with the fields of the 2014 dumps."""
    stars = 1 + draw(rng, STARS)
    date = datetime.fromtimestamp(day * DAY, timezone.utc)
    name = {"reviewerName": f"Reader {user}"} if user % 10 == 0 else {}
    return json.dumps({
        "reviewerID": f"A{FIRST_USER + user}", "asin": f"B{FIRST_ITEM + item}", **name,
        "reviewText": TEXTS[stars - 1], "overall": float(stars), "summary": f"{stars}/5",
        "unixReviewTime": day * DAY, "reviewTime": f"{date:%m} {date.day}, {date.year}",
    }) + "\n"


def meta_line(store, item):
    """One item as a Python literal, as the 2014 metadata has it (it is not JSON)."""
    category, brand = int(store.category[item]), int(store.brand[item])
    return repr({
        "asin": f"B{FIRST_ITEM + item}", "title": f"Maker {brand}'s no. {item}" if item % 4 == 0
        else f"Item {item}",
        "brand": f"Maker {brand}", "categories": [["Tiny", f"Shelf {category:02d}"]],
    }) + "\n"


def make(seed):
    """The store of a seed and the texts of its files: (Store, {file name: text})."""
    rng = np.random.default_rng(seed)
    store = make_store(rng)
    reviews = "".join(review_line(rng, *event) for event in amazon_world(rng, store))
    items = range(1, len(store.category))
    return store, {REVIEWS: reviews, META: "".join(meta_line(store, item) for item in items)}
