"""The guard of conftest.py: both training loops are shut to a test without the mark `trains`."""
import pytest

from mbref import training
from notebooks import release_protocols as protocols

LOOPS = [(training, "train_step"), (protocols, "train")]


@pytest.mark.parametrize("module, name", LOOPS, ids=["train_step", "train"])
def test_without_the_mark_nothing_trains(module, name):
    with pytest.raises(pytest.fail.Exception, match="mark it with pytest.mark.trains"):
        getattr(module, name)()


@pytest.mark.trains
@pytest.mark.parametrize("module, name", LOOPS, ids=["train_step", "train"])
def test_with_the_mark_the_loops_are_their_own(module, name):
    assert getattr(module, name).__module__ == module.__name__
