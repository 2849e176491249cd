"""Batches of sessions: windows to train on, the newest clicks to rank from, what items are."""
import numpy as np
import pytest

from mbref.data import session_batches
from mbref.errors import InputError
from mbref.papers import hiersrec
from tests.papers.small_sessions import (
    LABELS,
    SESSIONS,
    SIZES,
    WARM,
    N,
    events,
    ranking_batch,
    texts,
    training_batch,
)

BASE = hiersrec.Config(**SIZES | {"length": 3})
WITHOUT_TEXT = hiersrec.Config(**SIZES | {"length": 3, "text": 0})


def test_windows_of_long_sessions_predict_every_click_but_the_first_once():
    log = events()
    rows, = session_batches.examples(log, BASE, None)
    assert rows.tolist() == [[0, 2, 5], [0, 0, 2], [1, 6, 8], [2, 9, 10], [3, 12, 15], [3, 11, 12]]
    batch = session_batches.training_batch(log, rows, BASE, None)
    assert batch.item.tolist() == [[3, 5, 1], [3, 1, 0], [4, 4, 0], [6, 0, 0], [7, 5, 5], [5, 0, 0]]
    assert batch.next.tolist() == [[5, 1, 2], [1, 3, 0], [4, 2, 0], [1, 0, 0], [5, 5, 3], [7, 0, 0]]
    targets = batch.next[batch.next > 0]
    assert sorted(targets.tolist()) == sorted(i for s in SESSIONS for i in s[1:])
    assert batch.next.ravel()[batch.at].tolist() == targets.tolist()
    assert batch.oracle is None and batch.category is log.category and batch.text is log.text
    few = session_batches.training_batch(log, rows[[3, 5]], BASE, None)
    assert few.item.tolist() == [[6], [5]]  # as long as the longest


def test_known_items_are_those_of_the_log():
    assert training_batch(BASE).known.all()
    known = training_batch(BASE, events(WARM)).known
    assert (np.flatnonzero(known) + 1).tolist() == [1, 2, 3, 4, 5]


def test_ranking_reads_the_newest_clicks_padded_on_the_right():
    log = events()
    batch = session_batches.ranking_batch(log, np.array([3, 0, 2]), BASE)
    assert batch.item.tolist() == [[5, 5, 3], [5, 1, 2], [6, 1, 0]]
    assert batch.oracle.tolist() == LABELS[[3, 0, 2]].tolist() and batch.next is None
    longer = hiersrec.Config(**SIZES | {"length": 9})
    found = session_batches.ranking_batch(log, np.array([1, 2]), longer)
    assert found.item.tolist() == [[4, 4, 2], [6, 1, 0]]
    assert session_batches.ranking_batch(events(oracle=None), np.array([1]), BASE).oracle is None
    none = session_batches.ranking_batch(log, np.array([], int), BASE)
    assert none.item.shape == (0, 1) and none.oracle.shape == (0,)


def test_a_log_that_says_nothing_of_its_items():
    """All categories are unknown, text vectors have no entries."""
    log = events(category=None, text=None)
    for batch in (training_batch(WITHOUT_TEXT, log), ranking_batch(WITHOUT_TEXT, log)):
        assert batch.category.tolist() == [0] * (N + 1) and batch.text.shape == (N + 1, 0)


@pytest.mark.parametrize("make", [training_batch, ranking_batch])
@pytest.mark.parametrize("log, width", [
    (events(text=None), 0), (events(text=texts()[:, :1]), 1),
    (events(text=np.tile(texts(), 2)), 4)])
def test_text_vectors_that_the_log_does_not_have(make, log, width):
    says = f"text is 2, but the log's text vectors have width {width}: set"
    with pytest.raises(InputError, match=says):
        make(BASE, log)
