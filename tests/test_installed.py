"""mbref as it is installed from a wheel: whole, and used from another folder than the clone."""
import hashlib
import json
import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def call(*command, at):
    """A program in a folder, without this clone on its path.  -> what it printed, after checking its exit code."""
    done = subprocess.run(list(map(str, command)), cwd=at, env=ALONE, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def refused(*command, at):
    """A program that must refuse.  -> its one sentence."""
    done = subprocess.run(list(map(str, command)), cwd=at, env=ALONE, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stdout + done.stderr
    return done.stderr


def environment(folder):
    """A fresh environment.  -> its python."""
    venv.create(folder, with_pip=True)
    return folder / BIN / f"python{EXE}"


class Built(NamedTuple):
    """What there is to hand out."""

    wheel: Path
    sdist: Path
    again: Path     # the wheel that the sdist gives


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel, sdist, and the wheel of the sdist. Skips where the package index is out of reach, but not in CI."""
    folder = tmp_path_factory.mktemp("build")
    python = environment(folder / "venv")
    found = subprocess.run([python, "-m", "pip", "install", "-q", "hatchling"], env=ALONE, capture_output=True,
                           text=True)
    if found.returncode and not os.environ.get("CI"):
        pytest.skip("hatchling cannot be installed, is the package index out of reach? "
                    f"{found.stderr.strip().splitlines()[-1]}")
    assert found.returncode == 0, found.stderr
    call(python, "-m", "hatchling", "build", "-d", folder / "dist", at=ROOT)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    call(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "again", sdist,
         at=folder)
    again, = (folder / "again").glob("*.whl")
    return Built(wheel, sdist, again)


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel in a fresh environment.  -> its folder of programs, the package's folder."""
    folder = tmp_path_factory.mktemp("installed")
    python = environment(folder / "venv")
    call(python, "-m", "pip", "install", "-q", built.wheel, "pytest", at=folder)
    package = call(python, "-c", "import mbref; print(mbref.__path__[0])", at=folder).strip()
    return python.parent, Path(package)


@pytest.fixture
def mbref(installed, tmp_path):
    """Runs the installed command in an empty folder; nothing in the package may change."""
    programs, package = installed
    before = hashes(package)
    yield lambda *arguments, run=call: run(programs / f"mbref{EXE}", *arguments, at=tmp_path)
    assert hashes(package) == before


def hashes(folder):
    """{path below the folder: SHA-256}, without what Python and Jupyter leave there."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()
            and not path.parent.name.startswith(("__pycache__", "."))}


def hashes_in_wheel(path):
    """The same of a wheel."""
    with zipfile.ZipFile(path) as z:
        return {name: hashlib.sha256(z.read(name)).hexdigest() for name in z.namelist()}


def test_the_package_holds_the_clones_files(installed):
    _, package = installed
    assert hashes(package / "tiny_data") == hashes(ROOT / "tiny_data")
    assert hashes(package / "oracles") == hashes(ROOT / "tests" / "oracles")
    code = {name: digest for name, digest in hashes(package).items() if not name.startswith(("tiny_data/", "oracles/"))}
    assert code == hashes(ROOT / "mbref") and "released/LEDGER.md" in code


def test_the_sdist_gives_the_same_wheel(built):
    assert hashes_in_wheel(built.again) == hashes_in_wheel(built.wheel)


def test_the_sdist_holds_the_tests_and_the_notebooks(built):
    with tarfile.open(built.sdist) as tar:
        found = {name.partition("/")[2] for name in tar.getnames()}
    for folder in ("tests", "notebooks", "tiny_data", "mbref"):
        assert {f"{folder}/{name}" for name in hashes(ROOT / folder)} <= found
    assert {"README.md", "LICENSE", "pyproject.toml", "requirements.txt", ".ci/run"} <= found


def test_reproduce(mbref, tmp_path):
    log = ROOT / "tiny_data/taobao/UserBehavior.csv"
    out = mbref("reproduce", "--data", log, "--format", "taobao", "--target", "buy", "--seeds", 1, "--only", "HMAR",
                "--steps", 20, "--set", "width=16", "--set", "length=10")
    assert "8,772 events" in out and "\nHMAR " in out
    assert {path.name for path in (tmp_path / "out" / "hmar").iterdir()} == {
        "finished", "results.json", "table.png", "learning.png"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


OF_MASK = list((ROOT / "tiny_data" / "cases" / "masks.causal").iterdir())
MODEL = """
import numpy as np

def masks_causal(params, inputs, tap):
    return {"mask": np.tri(inputs["ids"].shape[1], dtype=bool)}
"""


def test_check_and_cases(mbref, tmp_path):
    (tmp_path / "my_model.py").write_text(MODEL)
    assert f"{2 * len(OF_MASK)} cases: {2 * len(OF_MASK)} pass" in mbref("check", "my_model.py")
    listed = [line.split()[0] for line in mbref("cases").splitlines()]
    manifest = json.loads((ROOT / "tiny_data" / "cases" / "manifest.json").read_text())
    assert listed == [entry["id"] for entry in manifest["cases"]]


def test_parity(mbref):
    agree, _, compared = mbref("parity").splitlines()[-1].split()[:3]
    assert agree == compared and int(agree) >= 2035  # more where a release is recorded anew


SUITE = """
import numpy as np
import pytest
from mbref.check import cases, check

@pytest.mark.parametrize("case", cases("masks.causal"), ids=str)
def test_mine(case):
    check(case, lambda ids: np.tri(ids.shape[1], dtype=bool), quiet=True)

@pytest.mark.parametrize("case", cases("masks.causal"), ids=str)
def test_wrong(case):
    with pytest.raises(AssertionError):
        check(case, lambda ids: ~np.tri(ids.shape[1], dtype=bool), quiet=True)
"""


def test_cases_in_somebodys_test_suite(installed, tmp_path):
    (tmp_path / "test_mine.py").write_text(SUITE)
    assert f"{2 * len(OF_MASK)} passed" in call(installed[0] / f"python{EXE}", "-m", "pytest", "-q", at=tmp_path)


def test_what_is_refused(mbref, installed):
    assert "unrecognized arguments: --make" in mbref("cases", "--make", run=refused)
    assert "which an installed mbref does not bring" in mbref("site", run=refused)
    path = installed[1] / "tiny_data" / "cases" / "manifest.json"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:1000])
        said = mbref("cases", run=refused)
    finally:
        path.write_bytes(kept)
    assert said.startswith(f"mbref: {path} is missing or damaged (") and said.endswith("): install mbref again.\n")
