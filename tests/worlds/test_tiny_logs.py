"""The example logs in tiny_data are what they always were, and its README says what is in them."""
import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest

TINY = Path(__file__).parents[2] / "tiny_data"
DIGESTS = {
    "amazon/reviews_Tiny_5.json": "0d5c77855cd67bf4182a3829ee24004735a40801358d616c77e853e561856c46",
    "diginetica/train-item-views.csv": "51f9b9265c2b79d48e958a56c8437f6558b68d5015cafd34fcc41730adbdd54b",
    "groups/events.csv": "3b0d06b5b7dcfecff444e0d325953838d4f8e3b9afc9b5ed138a284a2580475d",
    "taobao/UserBehavior.csv": "509eb1fd6749bcca756d366d4db24f7bae57fe959881a6a8ec669e74eec21754",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_they_are_as_they_were_drawn(name):
    """Drawn once by rules of their own, which are no longer here; the expected values of notebooks are of these."""
    assert hashlib.sha256((TINY / name).read_bytes()).hexdigest() == DIGESTS[name]


def test_the_readme_has_the_counts_of_the_file():
    with open(TINY / "taobao/UserBehavior.csv", newline="") as file:
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
