"""Values that nobody gives: what a call without them does."""
import numpy as np

from mbref import metrics, runs
from mbref.candidates import rank
from mbref.data import sessions
from mbref.data.readers import read
from mbref.data import shipped

VIEWS = str(shipped.tiny_data() / "diginetica/train-item-views.csv")


def test_cold_items_are_those_of_seed_0_in_every_run():
    log, task = read(VIEWS, "diginetica"), runs.Task(VIEWS, "diginetica", "view", split="session-rec", cold=0.15)
    parts, split = runs.split_sessions(log, task)
    warm = sessions.session_split(log, task.split, min_support=task.min_support, days=task.days)
    want, _ = sessions.cold(warm, 0.15, np.random.default_rng(0))
    other, _ = sessions.cold(warm, 0.15, np.random.default_rng(1))
    assert np.array_equal(parts.log.item, want.log.item) and np.array_equal(
        split.train.item, sessions.as_split(want).train.item)
    assert not np.array_equal(sessions.as_split(other).train.item, split.train.item)


def test_a_gap_is_of_the_first_20():
    full, among = (rank.Standing(np.array([places]), np.array([0]), np.array([True])) for places in (20, 19))
    assert rank.gap(full, among) == (1.0, 0.0)  # from place 21 to place 20
    assert rank.gap(full, among, 19) == rank.gap(full, among, 21) == (0.0, 0.0)


def test_a_bootstrap_draws_1000_times():
    a, b = np.random.default_rng(0).random((2, 5))
    (rng, found), (drawn, want) = ((r, metrics.paired_bootstrap(a, b, r, *n)) for r, n in (
        (np.random.default_rng(7), ()), (np.random.default_rng(7), (1000,))))
    assert found == want and rng.random() == drawn.random()  # the generators stand at the same place
