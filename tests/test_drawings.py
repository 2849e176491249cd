"""Lecture 11's figures are held to the shapes of the code, and the code is left as it was."""
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from mbref.papers import hiersrec

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
STORY = ["ana kettle kitchen pv 0", "ana lamp lights pv 1", "ana mug kitchen pv 2", "ana lamp lights buy 3"]
SIZES = {"B": 1, "R": 1, "L": 3, "D": 8, "N": 3, "d_in": 12, "d_p": 6, "C+1": 3}


@pytest.fixture
def drawings(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(NOTEBOOKS), *sys.path])
    import drawings
    return drawings


def score(drawings):
    """Two scores of HierSRec for Ana."""
    _, split = drawings.open_story(STORY)
    config = hiersrec.Config(items=3, categories=2, width=8, item_width=8, category_width=4, projection_width=6)
    params = drawings.draw_params(hiersrec, config)
    batch = hiersrec.ranking_batch(split.test.history, np.arange(1), config)
    return hiersrec.score(params, batch, np.array([[1, 2]]), config)


def test_arrows_agree_and_functions_are_put_back(drawings):
    names = ("item_features", "encoder_block", "newest", "forward")
    before = [getattr(hiersrec, name) for name in names] + [hiersrec.forward.__defaults__]
    found = drawings.measure("hiersrec", lambda: score(drawings))
    assert drawings.agree("hiersrec", found, SIZES) == 8
    assert [getattr(hiersrec, name) for name in names] + [hiersrec.forward.__defaults__] == before


@pytest.mark.parametrize("letter, function", [("L", "item_features"), ("d_p", "projection"), ("N", "item_logits")])
def test_an_arrow_with_another_shape_is_named(drawings, letter, function):
    found = drawings.measure("hiersrec", lambda: score(drawings))
    with pytest.raises(AssertionError, match=f"{function}: .* is not "):
        drawings.agree("hiersrec", found, SIZES | {letter: 9})


def test_what_raises_leaves_the_code_as_it_was(drawings):
    right = hiersrec.projection
    with pytest.raises(ZeroDivisionError):
        drawings.measure("hiersrec", lambda: 1 / 0)
    assert hiersrec.projection is right


def test_every_box_is_a_function_of_its_paper(drawings):
    for name, drawing in drawings.DRAWINGS.items():
        paper = import_module(f"mbref.papers.{name}")
        assert all(callable(getattr(paper, box.name)) for box in drawing.boxes.values() if box.role)
        assert all({arrow.start, arrow.end} <= set(drawing.boxes) for arrow in drawing.arrows)
