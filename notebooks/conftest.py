"""Kernels started by nbval find mbref in this clone, installed or not; pytest may be started here or in the clone."""
import os
from pathlib import Path

CLONE = Path(__file__).parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CLONE), os.environ.get("PYTHONPATH")]))


def pytest_configure(config):
    """The rules of pyproject.toml for unstable output are named from the clone."""
    if rules := config.getoption("nbval_sanitize_with", None):
        config.option.nbval_sanitize_with = str(CLONE / rules)
