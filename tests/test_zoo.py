"""Notebook 12: its candidates are one line of mbref each, are caught by the kit, and leave nothing behind."""
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.fixture
def zoo(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(NOTEBOOKS), *sys.path])
    import zoo
    return zoo


@pytest.mark.parametrize("number", range(1, 9))
def test_all_candidates_are_caught_and_what_is_right_passes_again(zoo, number):
    found = [zoo.catch(number, letter) for letter in "abc"]
    component = zoo.EXHIBITS[number].component
    assert all(f"{component}: " in one and " cases fail" in one for one in found), found
    zoo.ask(component)


@pytest.mark.parametrize("number", range(1, 9))
def test_only_the_answer_is_right(zoo, capsys, number):
    answer = zoo.EXHIBITS[number].answer
    for letter in "abc":
        zoo.judge(number, lambda letter=letter: letter)
        said = capsys.readouterr().out
        assert (said == f"exhibit {number}: right\n") == (letter == answer)
        assert letter == answer or f"no; {letter} would show " in said
    zoo.judge(number, lambda: 7)
    assert capsys.readouterr().out == f"exhibit {number}: no; the answer is one of a, b and c\n"


def test_a_guess_that_is_not_made_says_so(zoo, capsys):
    def guess():
        raise NotImplementedError("your turn: a letter")

    zoo.judge(1, guess)
    assert capsys.readouterr().out == "exhibit 1: your turn: a letter\n"


def test_a_line_that_is_gone_is_named(zoo):
    fault = zoo.EXHIBITS[1].a._replace(old="causal | M")
    with pytest.raises(ValueError, match=r"papers\.hmar\.behaviour_encoder has 'causal \| M' 0 times, not once"):
        zoo.rewrite(fault)
