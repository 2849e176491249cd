"""mbref.worlds.sessions: the committed files are what the seed gives, the rule holds, best_scores is right."""
import csv
import math
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.data.readers import read
from mbref.data.sequences import from_rows
from mbref.data.sessions import prefixes, session_split
from mbref.worlds.sessions import Shop, best_scores, make_shop, scorer_of
from tests.worlds.__main__ import main
from tests.worlds.sessions_events import CATEGORIES, PRODUCTS, VIEWS, draw_words, sessions_world

TINY = Path(__file__).parents[2] / "tiny_data" / "diginetica"

# Six items, two in each of the categories 1 to 3, cycle 1 -> 2 -> 3 -> 1; both items of category 3 are of one line.
SMALL = Shop(category=np.array([0, 1, 1, 2, 2, 3, 3]), line=np.array([0, 1, 2, 5, 6, 9, 9]),
             popularity=np.array([0, 6.0, 3.0, 3.0, 1.0, 2.0, 1.0]), after=np.array([0, 2, 3, 1]))


@pytest.fixture(scope="module")
def world():
    """(shop, [(session so far, next item)]) of 3000 sessions."""
    rng = np.random.default_rng(7)
    shop = make_shop(rng)
    sessions = [[item for item, _ in clicks] for _, clicks in sessions_world(rng, shop, 3000)]
    return shop, [(items[:t], items[t]) for items in sessions for t in range(len(items))]


def table(name):
    with open(TINY / name, newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


# The committed files.

def test_the_committed_files_are_what_seed_1_gives(tmp_path):
    main(["sessions", str(tmp_path), "--seed", "1"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([VIEWS, PRODUCTS, CATEGORIES])
    for name in (VIEWS, PRODUCTS, CATEGORIES):
        assert (tmp_path / name).read_bytes() == (TINY / name).read_bytes()


def test_another_seed_gives_another_file(tmp_path):
    main(["sessions", str(tmp_path), "--seed", "2"])
    assert (tmp_path / VIEWS).read_bytes() != (TINY / VIEWS).read_bytes()


def test_sizes_and_counts():
    assert sum((TINY / name).stat().st_size for name in (VIEWS, PRODUCTS, CATEGORIES)) <= 450_000
    views = table(VIEWS)
    lengths = Counter(Counter(row["sessionId"] for row in views).values())
    assert sum(lengths.values()) == 1500 and set(lengths) == set(range(2, 11))
    days = {row["eventdate"] for row in views}
    assert len(days) == 42 and min(days) == "2016-04-20" and max(days) == "2016-05-31"
    assert 0 < sum(row["userId"] != "NA" for row in views) < len(views) / 5
    rare = Counter(Counter(row["itemId"] for row in views).values())
    assert sum(count for times, count in rare.items() if times < 5) >= 10  # some items are rare


def test_files_have_the_headers_of_diginetica():
    first = [(TINY / name).read_text().splitlines()[0] for name in (VIEWS, PRODUCTS, CATEGORIES)]
    assert first == ["sessionId;userId;itemId;timeframe;eventdate", "itemId;pricelog2;product.name.tokens",
                     "itemId;categoryId"]
    of = {row["itemId"]: row["categoryId"] for row in table(CATEGORIES)}
    assert [row["itemId"] for row in table(PRODUCTS)] == list(of)
    assert {row["itemId"] for row in table(VIEWS)} <= set(of)


def test_lines_of_a_session_are_in_no_order():
    sessions = defaultdict(list)
    for row in table(VIEWS):
        sessions[row["sessionId"]].append(int(row["timeframe"]))
    ascending = [times == sorted(times) for times in sessions.values()]
    assert 0.05 < np.mean(ascending) < 0.4  # 1 / n! of those with n clicks
    assert all(len(set(times)) == len(times) for times in sessions.values())


def test_it_is_read_without_notes_and_no_category_fits_into_a_list_of_20():
    log = read(TINY / VIEWS, "diginetica")
    assert log.notes == ()
    for support in ("train", "all"):
        split = session_split(log, support=support)
        assert np.bincount(split.train.category)[1:].min() > 20
        assert min(len(part.user) for part in split[:3]) > 200


# The rule.

def test_shop():
    shop = make_shop(np.random.default_rng(3), sizes=(3, 2, 2))
    assert Counter(shop.category.tolist()) == {0: 1, 1: 3, 2: 2, 3: 2}
    weights = np.array([1, 2 ** -0.7, 3 ** -0.7])
    assert sorted(shop.popularity[shop.category == 1], reverse=True) == pytest.approx(weights / weights.sum())
    assert shop.popularity[shop.category == 3].sum() == pytest.approx(3 ** -0.5)
    assert shop.category[0] == shop.line[0] == shop.popularity[0] == shop.after[0] == 0
    assert ((shop.line[1:] - 1) // 4 == shop.category[1:] - 1).all()
    assert sorted(shop.after[1:]) == [1, 2, 3] and (shop.after[1:] != [1, 2, 3]).all()  # of three, that is one cycle


def test_words_tell_line_and_category():
    rng = np.random.default_rng(3)
    shop = make_shop(rng)
    names = draw_words(rng, shop)
    for item in range(1, len(shop.category)):
        category, words = shop.category[item], names[item]
        assert len(set(words)) == len(words)
        assert words[0] == 10_000 * category + shop.line[item]
        own = [word for word in words[1:] if word > 20]
        assert 1 <= len(own) <= 3 and all(10_000 * category + 101 <= word <= 10_000 * category + 112 for word in own)
        assert 1 <= len(words) - 1 - len(own) <= 2
    assert names[0] == []


def test_shares_of_the_rule(world):
    # The category stays with .55, moves on with .35, and by the third way comes anywhere, by c ** -0.5.
    shop, cases = world
    anywhere = np.arange(1, 13) ** -0.5 / np.sum(np.arange(1, 13) ** -0.5)
    for way, chance in (("stay", 0.55), ("move", 0.35)):
        hits, chances = [], []
        for history, item in cases:
            if history:
                here = shop.category[history[-1]]
                goal = here if way == "stay" else shop.after[here]
                hits.append(shop.category[item] == goal)
                chances.append(chance + 0.1 * anywhere[goal - 1])
        p = np.array(chances)
        assert abs(sum(hits) - p.sum()) <= 4 * math.sqrt((p * (1 - p)).sum())


# The known best answer.

@pytest.mark.parametrize(("history", "expected"), [
    # Nothing known: popularity over the whole shop, sum 16.
    ([], np.array([6, 3, 3, 1, 2, 1]) / 16),
    # After item 2 (category 1, line 2): items 1, 2 as 6 : 4 * 3; category 2 as 3 : 1; the rest as above.
    ([1, 2], .55 * np.array([6 / 18, 12 / 18, 0, 0, 0, 0]) + .35 * np.array([0, 0, 3 / 4, 1 / 4, 0, 0])
     + .1 * np.array([6, 3, 3, 1, 2, 1]) / 16),
    # After item 5 of category 3, whose items are of one line: as 2 : 1; then category 1 as 6 : 3.
    ([4, 5], .55 * np.array([0, 0, 0, 0, 2 / 3, 1 / 3]) + .35 * np.array([2 / 3, 1 / 3, 0, 0, 0, 0])
     + .1 * np.array([6, 3, 3, 1, 2, 1]) / 16)])
def test_best_scores_by_hand(history, expected):
    scores = best_scores(SMALL, history)
    assert scores == pytest.approx(np.append(0, expected))
    assert scores.sum() == pytest.approx(1)


def test_best_scores_are_calibrated(world):
    # Items given a probability are clicked that often, within 5 standard errors of a sum of coin flips.
    shop, cases = world
    scores = np.array([best_scores(shop, history) for history, _ in cases])
    clicked = np.zeros_like(scores)
    clicked[np.arange(len(cases)), [item for _, item in cases]] = 1
    for low, high in ((0, 0.0002), (0.0002, 0.002), (0.002, 0.01), (0.01, 0.03), (0.03, 0.08), (0.08, 0.5)):
        p = scores[(scores > low) & (scores <= high)]
        assert len(p)
        assert abs(clicked[(scores > low) & (scores <= high)].sum() - p.sum()) <= 5 * math.sqrt((p * (1 - p)).sum())


def test_lines_matter(world):
    # Told the category of the last item but not its line, the best guess falls short.
    shop, cases = world
    blind = shop._replace(line=np.zeros_like(shop.line))
    rate = [np.mean([np.log(best_scores(known, history)[item]) for history, item in cases if history])
            for known in (shop, blind)]
    assert rate[0] > rate[1] + 0.05


# The scorer in the numbers of a log.

def test_scorer_by_hand():
    # A log of items 1005, 1002, 1300 only; two histories, the second is the one asked for first.
    log = SimpleNamespace(items=np.array(["", "1005", "1002", "1300"]))
    shop = make_shop(np.random.default_rng(1))
    history = from_rows(np.array([1, 2, 2]), np.array([2, 3, 1]), np.array([1, 1, 1]), 1)
    scores = scorer_of(TINY / VIEWS, log)(history, np.array([1, 0]))
    assert scores == pytest.approx(np.array([best_scores(shop, [300, 5]), best_scores(shop, [2])])[:, [5, 2, 300]])


def test_scorer_of_another_file_is_none(tmp_path):
    (tmp_path / VIEWS).write_text((TINY / VIEWS).read_text() + "\n")
    assert scorer_of(tmp_path / VIEWS, SimpleNamespace(items=np.array([""]))) is None


def test_scorer_fits_the_filtered_log_and_beats_popularity_and_categories():
    split = session_split(read(TINY / VIEWS, "diginetica"))
    held, N = prefixes(split.test), len(split.log.items) - 1
    best = scorer_of(TINY / VIEWS, split.log)(held.history, np.arange(len(held.item)))  # [S, N]
    assert best.shape == (len(held.item), N)
    popular = np.broadcast_to(np.bincount(split.train.item, minlength=N + 1)[1:], best.shape)
    rank = {name: mean_ranks(scores, held.item) for name, scores in (("best", best), ("popular", popular))}
    auc = {name: np.mean((N - r) / (N - 1)) for name, r in rank.items()}
    mrr = {name: np.mean(np.where(r <= 20, 1 / r, 0)) for name, r in rank.items()}
    assert auc["best"] == pytest.approx(0.920, abs=0.001) and auc["popular"] == pytest.approx(0.683, abs=0.001)
    assert mrr["best"] == pytest.approx(0.202, abs=0.001) and mrr["popular"] == pytest.approx(0.046, abs=0.001)


def mean_ranks(scores, item):
    """Rank from 1 of each item among all of its row, ties in the middle.  scores [S, N], item [S] -> [S]."""
    target = scores[np.arange(len(item)), item - 1][:, None]
    return 1 + (scores > target).sum(axis=1) + ((scores == target).sum(axis=1) - 1) / 2
