"""mbref.worlds.amazon: the committed files are what the seed gives, the rule holds, best_scores is right."""
import ast
import json
import math
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.data.sequences import Sequences
from mbref.worlds.amazon import (
    WINDOWS,
    Store,
    best_scores,
    make_store,
    needs,
    scorer_of,
)
from tests.worlds.__main__ import main
from tests.worlds.amazon_events import amazon_world, next_day

TINY = Path(__file__).parents[2] / "tiny_data" / "amazon"
REVIEWS, META = TINY / "reviews_Tiny_5.json", TINY / "meta_Tiny.json"

# Eight items, two in each of the categories 1 to 4; followers of category 1 are 2, 3, 4, of category 2 3, 4, 1, ...
SMALL = Store(category=np.array([0, 1, 1, 2, 2, 3, 3, 4, 4]),
              brand=np.array([0, 1, 2, 1, 2, 1, 2, 1, 2]),
              popularity=np.array([0, 6.0, 3.0, 3.0, 1.0, 2.0, 1.0, 2.0, 2.0]),
              follower=np.array([[0, 2, 3, 4, 1], [0, 3, 4, 1, 2], [0, 4, 1, 2, 3]]))


def seeded(seed, users=200):
    """(store, {user: [(item, day), ...]})."""
    rng = np.random.default_rng(seed)
    store, people = make_store(rng), {}
    for user, item, day in amazon_world(rng, store, users):
        people.setdefault(user, []).append((item, day))
    return store, people


def cases(people, first=1):
    """(history, item, day) of every event from the `first`-th on."""
    return [(events[:n], *events[n]) for events in people.values() for n in range(first, len(events))]


def auc(scores, item, history):
    """Share of the items that are not in `history` which `item` beats; ties count half."""
    others = np.delete(scores, [0, item, *(met for met, _ in history)])
    return np.mean((others < scores[item]) + 0.5 * (others == scores[item]))


@pytest.fixture(scope="module")
def world():
    return seeded(7, users=400)


# The committed files.

def test_the_committed_files_are_what_seed_1_gives(tmp_path):
    main(["amazon", str(tmp_path), "--seed", "1"])
    assert (tmp_path / REVIEWS.name).read_bytes() == REVIEWS.read_bytes()
    assert (tmp_path / META.name).read_bytes() == META.read_bytes()


def test_another_seed_gives_another_file(tmp_path):
    main(["amazon", str(tmp_path), "--seed", "2"])
    assert (tmp_path / REVIEWS.name).read_bytes() != REVIEWS.read_bytes()


def test_sizes_and_counts():
    assert REVIEWS.stat().st_size + META.stat().st_size <= 450_000
    reviews = [json.loads(line) for line in REVIEWS.read_text().splitlines()]
    users = Counter(review["reviewerID"] for review in reviews)
    items = Counter(review["asin"] for review in reviews)
    assert len(users) == 200 and 8 <= min(users.values()) and max(users.values()) <= 18
    assert len(items) == 300 and sum(count == 1 for count in items.values()) <= 10
    assert len({(review["reviewerID"], review["asin"]) for review in reviews}) == len(reviews)


def test_a_review_has_the_fields_of_2014():
    reviews = [json.loads(line) for line in REVIEWS.read_text().splitlines()]
    fields = {"reviewerID", "asin", "reviewText", "overall", "summary", "unixReviewTime", "reviewTime"}
    assert all(fields <= set(review) <= fields | {"reviewerName"} for review in reviews)
    assert 0 < sum("reviewerName" in review for review in reviews) < len(reviews)
    for review in reviews:
        assert review["unixReviewTime"] % 86400 == 0
        date = datetime.fromtimestamp(review["unixReviewTime"], timezone.utc)
        assert review["reviewTime"] == f"{date:%m} {date.day}, {date:%Y}"
        assert review["overall"] in (1.0, 2.0, 3.0, 4.0, 5.0)
    assert all(2012 <= int(review["reviewTime"][-4:]) <= 2014 for review in reviews)


def test_metadata_are_python_literals_not_json():
    lines = META.read_text().splitlines()
    items = [ast.literal_eval(line) for line in lines]
    assert [item["asin"] for item in items] == [f"B{n}" for n in range(1001, 1301)]
    assert set(Counter(item["categories"][0][-1] for item in items).values()) == {15}  # 20 categories of 15 items
    assert all(len(item["categories"]) == 1 and item["brand"] for item in items)
    with pytest.raises(ValueError):
        json.loads(lines[0])
    assert any("\"" in line for line in lines)  # a title with an apostrophe


def test_a_user_is_in_order_of_time_with_several_reviews_on_a_day():
    reviews = [json.loads(line) for line in REVIEWS.read_text().splitlines()]
    keys = [(review["reviewerID"], review["unixReviewTime"]) for review in reviews]
    assert keys == sorted(keys)
    assert len(keys) - len(set(keys)) > 300


# The rule.

def test_store():
    store = make_store(np.random.default_rng(3), items=24, categories=12)
    assert Counter(store.category[1:].tolist()) == dict.fromkeys(range(1, 13), 2)
    assert sorted(store.popularity[store.category == 4]) == pytest.approx([0.5 * 2 ** -0.8, 0.5])
    assert store.category[0] == store.popularity[0] == store.brand[0] == 0
    assert set(store.brand[1:].tolist()) <= set(range(1, 7))
    for category in range(1, 13):  # three followers, all different, none of them the category itself
        assert len({category, *store.follower[:, category].tolist()}) == 4
    assert all(sorted(row[1:].tolist()) == list(range(1, 13)) for row in store.follower)


def test_shares_of_the_rule(world):
    # With exactly one category pending, the next item is in it with NEED plus what the shop at large adds.
    store, people = world
    hits, chances = [], []
    for history, item, day in cases(people):
        asked = {category for category, _ in needs(store, history, day)}
        if len(asked) == 1:
            inside = store.category == asked.pop()
            met = {i for i, _ in history}
            weight = [0 if i in met else store.popularity[i] * (1 + 2 * sum(
                store.category[i] == store.category[j] for j in met)) for i in range(1, len(store.category))]
            at_large = sum(np.array(weight)[inside[1:]]) / sum(weight)
            hits.append(inside[item])
            chances.append(0.92 + 0.08 * at_large)
    chances = np.array(chances)
    assert len(hits) > 500
    assert abs(sum(hits) - chances.sum()) <= 4 * math.sqrt((chances * (1 - chances)).sum())


def test_gaps_between_reviews(world):
    # All in 0..60 days; same day or next 0.4, 2 to 14 days 0.3, 20 to 60 days 0.3, but for waits drawn again.
    _, people = world
    gaps = np.concatenate([np.diff([day for _, day in events]) for events in people.values()])
    assert set(gaps.tolist()) == {*range(0, 15), *range(20, 61)}
    assert np.mean(gaps <= 1) == pytest.approx(0.4, abs=0.08)
    assert np.mean(gaps >= 20) == pytest.approx(0.3, abs=0.08)


def test_next_day_waits_again_until_something_is_pending():
    rng = np.random.default_rng(0)
    days = Counter(next_day(rng, SMALL, [(1, 100)]) - 100 for _ in range(4000))
    pending = sum(count for gap, count in days.items() if any(a <= gap <= b for a, b in WINDOWS))
    # One wait ends in a window with 0.4 + 0.3 * (1 + 8) / 13 + 0.3 * 30 / 41; four waits all miss otherwise.
    miss = (1 - 0.4 - 0.3 * 9 / 13 - 0.3 * 30 / 41) ** 4
    assert abs(pending - 4000 * (1 - miss)) <= 4 * math.sqrt(4000 * miss * (1 - miss))


# The known best answer.

@pytest.mark.parametrize(("age", "expected"), [
    (0, [(2, 1)]), (2, [(2, 1)]), (3, []), (6, []), (7, [(3, 1)]), (14, [(3, 1)]), (15, []), (30, []), (31, [(4, 1)]),
    (62, [(4, 1)]), (63, [])])
def test_windows_by_hand(age, expected):
    assert needs(SMALL, [(1, 500 - age)], 500) == expected


def test_needs_are_pending_side_by_side():
    # Item 1 (category 1) 40 days ago, item 4 (category 2) 10 days ago, items 5 and 2 (categories 3, 1) today.
    history = [(1, 460), (4, 490), (5, 500), (2, 500)]
    assert needs(SMALL, history, 500) == [(4, 1), (4, 2), (4, 1), (2, 2)]


@pytest.mark.parametrize(("history", "expected"), [
    # Nothing known: popularity over the whole shop, sum 20.
    ([], [0, 6 / 20, 3 / 20, 3 / 20, 1 / 20, 2 / 20, 1 / 20, 2 / 20, 2 / 20]),
    # Nothing pending, 4 days after item 1: category 1 counts three times; 9 + 3 + 1 + 2 + 1 + 2 + 2 = 20.
    ([(1, 96)], [0, 0, 9 / 20, 3 / 20, 1 / 20, 2 / 20, 1 / 20, 2 / 20, 2 / 20]),
    # Item 1 today: category 2, brand 1 three times, so item 3 : item 4 = 9 : 1.
    ([(1, 100)], [0, 0, .08 * 9 / 20, .92 * .9 + .08 * 3 / 20, .92 * .1 + .08 / 20, .08 * 2 / 20, .08 / 20,
                  .08 * 2 / 20, .08 * 2 / 20]),
    # Item 1 last week: category 3, item 5 : item 6 = 6 : 1.
    ([(1, 93)], [0, 0, .08 * 9 / 20, .08 * 3 / 20, .08 / 20, .92 * 6 / 7 + .08 * 2 / 20, .92 / 7 + .08 / 20,
                 .08 * 2 / 20, .08 * 2 / 20]),
    # Item 1 asks for category 3, item 8 (category 4, brand 2) today for category 1, of which item 2 is left.
    # At large: item 2 9, items 3 to 6 3 + 1 + 2 + 1, item 7 three times 2: 22.
    ([(1, 93), (8, 100)], [0, 0, .46 + .08 * 9 / 22, .08 * 3 / 22, .08 / 22, .46 * 6 / 7 + .08 * 2 / 22,
                           .46 / 7 + .08 / 22, .08 * 6 / 22, 0]),
    # Items 3 and 4 are met, so category 2 is no longer pending and item 3's own need, category 4, is all.
    # At large: 9 + 2 + 1 + 2 + 2 = 16.
    ([(3, 93), (4, 96), (1, 100)], [0, 0, .08 * 9 / 16, 0, 0, .08 * 2 / 16, .08 / 16,
                                    .92 * 3 / 4 + .08 * 2 / 16, .92 / 4 + .08 * 2 / 16]),
])
def test_best_scores_by_hand(history, expected):
    scores = best_scores(SMALL, history, 100)
    assert scores == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1)


def test_best_scores_are_calibrated(world):
    # Items given a probability are bought that often, within 5 standard errors of a sum of coin flips.
    store, people = world
    events = cases(people, first=0)
    scores = np.array([best_scores(store, history, day) for history, _, day in events])
    assert np.abs(scores.sum(1) - 1).max() < 1e-12
    bought = np.zeros_like(scores)
    bought[np.arange(len(events)), [item for _, item, _ in events]] = 1
    for low, high in ((0, 0.002), (0.002, 0.01), (0.01, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5)):
        p = scores[(scores > low) & (scores <= high)]
        assert abs(bought[(scores > low) & (scores <= high)].sum() - p.sum()) <= 5 * math.sqrt((p * (1 - p)).sum())


def test_days_matter():
    # Told the order of the items but not the days, the best guess averages over the days of other users.
    store, people = seeded(5, users=120)
    days = [np.array([day for _, day in events]) for events in people.values()]
    told, hidden = [], []
    for history, item, now in cases(people, first=7)[::4]:
        n = len(history)
        guesses = [best_scores(store, [(i, d) for (i, _), d in zip(history, other[:n], strict=True)], other[n])
                   for other in days if len(other) > n][:40]
        told.append(auc(best_scores(store, history, now), item, history))
        hidden.append(auc(np.mean(guesses, axis=0), item, history))
    assert np.mean(told) > 0.92
    assert np.mean(told) > np.mean(hidden) + 0.05


# The scorer in the numbers of a log.

def test_scorer_by_hand(tmp_path):
    # A log of items B1005, B1002, B1300 only; two histories, the second is the one asked for first.
    log = SimpleNamespace(items=np.array(["", "B1005", "B1002", "B1300"]))
    store = make_store(np.random.default_rng(1))
    history = Sequences(np.array([0, 1, 3]), None, np.array([2, 3, 1]), None, None, None,
                        time=np.array([15600, 15600, 15640]) * 86400, now=np.array([15601, 15648]) * 86400 + 5)
    scores = scorer_of(REVIEWS, log)(history, np.array([1, 0]))
    expected = [best_scores(store, [(300, 15600), (5, 15640)], 15648), best_scores(store, [(2, 15600)], 15601)]
    assert scores == pytest.approx(np.array(expected)[:, [5, 2, 300]])


def test_scorer_of_another_file_is_none(tmp_path):
    (tmp_path / "other.json").write_text(REVIEWS.read_text() + "\n")
    assert scorer_of(tmp_path / "other.json", SimpleNamespace(items=np.array([""]))) is None
