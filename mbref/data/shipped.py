"""What travels with mbref, inside an installed package and beside it in a clone."""
from importlib.resources import files
from pathlib import Path

from mbref.errors import require

PACKAGE = Path(str(files("mbref")))


def is_installed():
    """Is this an installed package, and no clone?"""
    return (PACKAGE / "tiny_data").is_dir()


def tiny_data():
    """The folder of the small logs, with the golden cases in `cases`.  -> Path."""
    return PACKAGE / "tiny_data" if is_installed() else PACKAGE.parent / "tiny_data"


def oracles():
    """The folder of the recorded states.  -> Path."""
    return PACKAGE / "oracles" if is_installed() else PACKAGE.parent / "tests" / "oracles"


def find_clone():
    """The clone that mbref is run from. Raises InputError for an installed package."""
    require(not is_installed() and (PACKAGE.parent / "notebooks").is_dir(),
            "this works with the notebooks, which an installed mbref does not bring: run it in a "
            "clone.")
    return PACKAGE.parent


def mend(path):
    """The end of a sentence on `path`, which came with mbref and is missing or damaged."""
    if is_installed():
        return "install mbref again"
    return f"bring it back by git checkout {path}"
