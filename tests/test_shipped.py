"""Files that come with mbref: where they are, and what is said of those that are missing or damaged."""
import gzip
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from mbref.check import casefile, cases, hints as faults, parity
from mbref.data import shipped
from mbref.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path):
    """The golden cases in another folder."""
    shutil.copytree(casefile.ROOT, tmp_path / "cases")
    return tmp_path / "cases"


@pytest.fixture(params=["clone", "installed"])
def place(request, tmp_path, monkeypatch):
    """mbref as in a clone, and as if it were installed.  -> the mend of a path that it must name."""
    if request.param == "clone":
        return "bring it back by git checkout {}".format
    (tmp_path / "mbref" / "tiny_data").mkdir(parents=True)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "mbref")
    return "install mbref again".format


def sentence(path, place, read):
    """What read() raises: it must name the path and the mend.  -> the rest."""
    with pytest.raises(InputError) as error:
        read()
    text = str(error.value)
    assert text.startswith(f"{path} is missing or damaged (") and text.endswith(f"): {place(path)}.")
    assert "--make" not in text and "\n" not in text
    return text


def test_folders_of_a_clone():
    assert not shipped.is_installed()
    assert shipped.tiny_data() == ROOT / "tiny_data" and shipped.oracles() == ROOT / "tests" / "oracles"


def test_folders_of_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "mbref" / "tiny_data").mkdir(parents=True)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "mbref")
    assert shipped.is_installed()
    assert shipped.tiny_data() == tmp_path / "mbref" / "tiny_data"
    assert shipped.oracles() == tmp_path / "mbref" / "oracles"


@pytest.mark.parametrize("installed, notebooks", [(False, True), (False, False), (True, True), (True, False)])
def test_a_clone_has_notebooks_and_is_not_installed(tmp_path, monkeypatch, installed, notebooks):
    for name, is_there in (("mbref/tiny_data", installed), ("notebooks", notebooks)):
        (tmp_path / name).mkdir(parents=True) if is_there else None
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "mbref")
    if (installed, notebooks) == (False, True):
        assert shipped.find_clone() == tmp_path
        return
    with pytest.raises(InputError, match="run it in a clone"):
        shipped.find_clone()


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


DAMAGES = {"missing": Path.unlink, "half": half, "a byte": flipped, "empty": lambda path: path.write_bytes(b""),
           "text": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1")}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_case_that_is_missing_or_damaged(copy, place, damage):
    case = next(case for case in cases("hmar.behaviour_mask/"))
    damage(copy / case.file)
    sentence(copy / case.file, place, lambda: casefile.arrays(case, copy))


JSON_DAMAGES = {name: DAMAGES[name] for name in ("missing", "half", "empty", "text")} | {
    "a list": lambda path: path.write_text("[]"), "no names": lambda path: path.write_text("{}")}


@pytest.mark.parametrize("damage", JSON_DAMAGES.values(), ids=JSON_DAMAGES)
def test_a_manifest_that_is_missing_or_damaged(copy, place, damage):
    damage(copy / "manifest.json")
    sentence(copy / "manifest.json", place, lambda: cases(root=copy))


PACKED_DAMAGES = {name: JSON_DAMAGES[name] for name in ("missing", "half", "empty", "text")} | {
    name: lambda path, text=text: path.write_bytes(gzip.compress(text))
    for name, text in (("a list", b"[]"), ("no names", b"{}"), ("packed text", b"a text"))} | {
    "other bits": lambda path: path.write_bytes(path.read_bytes()[:200] + bytes(99))}


@pytest.mark.parametrize("damage", PACKED_DAMAGES.values(), ids=PACKED_DAMAGES)
def test_a_list_of_known_faults_that_is_missing_or_damaged(copy, place, damage):
    damage(copy / faults.FILE)
    sentence(copy / faults.FILE, place, lambda: faults.signatures(copy))


def test_recorded_states_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "mbref")
    folder = tmp_path / "tests" / "oracles"
    with pytest.raises(InputError) as error:
        parity.run(Namespace(files=[]))
    assert str(error.value) == f"{folder} holds no recorded states: bring it back by git checkout {folder}."
