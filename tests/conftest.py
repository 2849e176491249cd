"""A test that trains says so; a run ends with what was skipped and what would bring it."""
import signal

import pytest

from mbref import training
from notebooks import release_protocols as protocols
from tests.optional import count_skips

# what a shell starts in the background ignores these, its children too; tests send them and wait for the end
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def refuse_training(*arguments, **options):
    """In place of the training loop, in a test that is not marked."""
    pytest.fail("this test trains a model: mark it with pytest.mark.trains")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Around a test and the fixtures that are made for it."""
    with pytest.MonkeyPatch.context() as patch:
        if not item.get_closest_marker("trains"):  # .ci/kernels runs those that are marked
            patch.setattr(training, "train_step", refuse_training)
            patch.setattr(protocols, "train", refuse_training)
        return (yield)


def pytest_terminal_summary(terminalreporter):
    """The last lines of a run."""
    for line in count_skips(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)
