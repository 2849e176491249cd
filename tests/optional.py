"""What a test may need beside requirements.txt: a library to compare with, or real logs.

A test that asks for one that is missing is skipped, and no other test with it: `library` for a
whole file, `require` within a test, `given`, `settings` and `st` for hypothesis's, `find_logs` for
real logs.
"""
import os
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

LOGS = Path(os.environ.get("MBREF_DATA", Path(__file__).parents[2] / "shared" / "data"))


def describe_need(package):
    """The reason of every test that is skipped for want of this package, and the mend."""
    return f"needs {package}: pip install -r tests/requirements.txt"


def require(name):
    """The module of this name, such as "scipy.stats"; without its package the test is skipped."""
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != package:  # installed, but something in it is not
            raise
        pytest.skip(describe_need(package))


def library(name):
    """A stand-in for the module of this name: it is required when a test first uses it."""
    def find(part):
        if part.startswith("_"):  # pytest looks for its own marks in all that a test file holds
            raise AttributeError(part)
        return getattr(require(name), part)

    module = ModuleType(name)
    module.__getattr__ = find  # which Python calls for a name that a module lacks
    return module


def find_logs(path):
    """The path of these real logs, named within LOGS; without them the test is skipped."""
    found = LOGS / path
    if not found.exists():
        pytest.skip(f"needs real logs, which are not shipped: {path} in {LOGS} "
                    "(MBREF_DATA names another folder)")
    return found


def count_skips(reports):
    """Lines for the end of a run: how many tests were skipped and why, most frequent first."""
    reasons = (r.longrepr[2] if isinstance(r.longrepr, tuple) else str(r.longrepr) for r in reports)
    counts = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    return [f"{number} skipped: {reason}" for reason, number in counts.most_common()]


try:
    from hypothesis import given, settings, strategies as st

    settings.register_profile("patient", deadline=None)  # a busy machine is no fault of the code
    settings.load_profile("patient")
except ModuleNotFoundError:
    st = MagicMock()  # takes any strategy, which nothing will draw from

    def given(*strategies, **named):
        """A decorator that skips the test."""
        return pytest.mark.skip(reason=describe_need("hypothesis"))

    def settings(**options):
        """A decorator that changes nothing."""
        return lambda test: test
