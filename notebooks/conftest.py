"""Kernels started by nbval find mbref in this clone, installed or not; pytest may be started here or in the clone."""
import os
from pathlib import Path
from unittest import mock

import pytest

CLONE = Path(__file__).parents[1]
WARNINGS = "error,ignore:::matplotlib._fontconfig_pattern,ignore:::matplotlib._mathtext,ignore:::pyparsing.util"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CLONE), os.environ.get("PYTHONPATH")]))


def pytest_configure(config):
    """The rules of pyproject.toml for unstable output are named from the clone."""
    if rules := config.getoption("nbval_sanitize_with", None):
        config.option.nbval_sanitize_with = str(CLONE / rules)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    """Kernels, which nbval starts here, take warnings as errors, but what an old matplotlib calls in a new pyparsing."""
    with mock.patch.dict(os.environ, PYTHONWARNINGS=WARNINGS):
        yield
