"""Values that nobody gives: what a call without them does."""
from pathlib import Path

import numpy as np

from mbref import metrics, runs, training
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


def test_training_takes_what_readme_says():
    text = " ".join((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
    s = training.Settings()
    assert (f"at most {s.steps} steps of {s.batch_size} rows, by {s.optimiser.title()} with a rate of {s.rate:g}, a beta2 of "
            f"{s.beta2:g} and gradients clipped at a norm of {s.clip:g}; every {s.evaluate_every} steps it asks the "
            f"validation events, and it ends when {s.patience} times none was better.") in text
    assert (s.seed, s.rates, s.drop_step, s.validation_cases, s.threads, s.float32, s.validate) == (
        0, (), 0, 0, 1, True, "NDCG@10")
