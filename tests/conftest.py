"""A test that trains says so: CI runs these under the arithmetic of several processors (`.ci/kernels`)."""
import pytest

from mbref import training
from mbref.released import protocols


def refuse_training(*arguments, **options):
    pytest.fail("this test trains a model: mark it with pytest.mark.trains")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Around a test and the fixtures that are made for it."""
    with pytest.MonkeyPatch.context() as patch:
        if not item.get_closest_marker("trains"):
            patch.setattr(training, "train_step", refuse_training)
            patch.setattr(protocols, "train", refuse_training)
        return (yield)
