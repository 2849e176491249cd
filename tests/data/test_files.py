"""Files that are there whole or not at all, whoever else writes them."""
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from mbref.check.casefile import cases
from mbref.check.exchange import export
from mbref.data import files
from mbref.data.files import write_whole
from mbref.errors import InputError


def write(text):
    return lambda file: file.write(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_nothing(tmp_path, monkeypatch, links):
    def none(*arguments):
        raise PermissionError(1, "Operation not permitted")  # what link(2) says on FAT

    if not links:
        monkeypatch.setattr(os, "link", none)
    path = tmp_path / "run.json"
    write_whole(path, write(b"one"), new=True)
    with pytest.raises(InputError, match="run.json is there already: give another folder"):
        write_whole(path, write(b"two"), new=True)
    assert path.read_bytes() == b"one" and names(tmp_path) == ["run.json"]
    write_whole(path, write(b"two"))
    assert path.read_bytes() == b"two"


def test_a_folder_is_no_file_to_write(tmp_path):
    for path in ("/", tmp_path, f"{tmp_path}/."):
        with pytest.raises(InputError, match="is no file but a folder: give the name of a file.$"):
            write_whole(path, write(b"one"))
    assert names(tmp_path) == [] and not [name for name in os.listdir("/") if name.endswith(files.MARK)]


def test_two_sets_of_files_do_not_mix(tmp_path):
    with files.alone_in(tmp_path):
        writing = threading.Thread(target=export, args=(tmp_path, cases("masks.causal/basic"), False))
        writing.start()
        writing.join(0.3)
        assert names(tmp_path) == []
    writing.join(60)
    assert names(tmp_path) == ["manifest.json", "masks.causal"]
    with files.alone_in(tmp_path / "not there"):
        pass


def test_a_folder_gets_all_files_or_none(tmp_path):
    """Nothing that is somebody else's is touched."""
    files.write_folder(tmp_path, {"a": b"old", "mine": b"stays", "c": b"other"})
    (tmp_path / f"c.{os.getpid()}.mbref.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=f"^{tmp_path}/c: there already with other content, .* nothing was written"):
        files.write_folder(tmp_path, {"a": b"old", "b/b": b"new", "c": b"new"})
    for order in ("a", "b/b", "c"), ("c", "b/b", "a"):
        with pytest.raises(InputError, match="^cannot write .*c .No space.* free some space or give another folder"):
            files.write_folder(tmp_path, dict.fromkeys(order, b"new"), over=True)
        assert contents(tmp_path) == {"a": b"old", "mine": b"stays", "c": b"other"}
        (tmp_path / f"c.{os.getpid()}.mbref.part").symlink_to("/dev/full")
    (tmp_path / f"c.{os.getpid()}.mbref.part").unlink()
    paths = files.write_folder(tmp_path, {"b/b": b"new", "a": b"new"}, over=True)
    assert contents(tmp_path) == {"a": b"new", "b/b": b"new", "mine": b"stays", "c": b"other"}
    assert paths == [tmp_path / "b/b", tmp_path / "a"]
    with pytest.raises(InputError, match="/b: there already with other content"):  # a folder
        files.write_folder(tmp_path, {"b": b"new"})
    with pytest.raises(InputError, match="cannot write to .*a/below .*Not a directory"):
        files.write_folder(tmp_path / "a" / "below", {"b": b"new"})


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [f"a.{dead.pid}.mbref.part", f"b.{dead.pid}.mbref.part", f"a.{9**40}.mbref.part"]
    stay = [f"a.{os.getppid()}.mbref.part", "a.mine.mbref.part", f"a.{dead.pid}.part"]  # the last is not ours
    for name in (*gone, *stay):
        (tmp_path / name).write_bytes(b"half")
    write_whole(tmp_path / "a", write(b"whole"))
    assert names(tmp_path) == sorted(["a", *stay])


def test_a_link_stays_and_its_file_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "link", tmp_path / "there" / "file"
    link.symlink_to(file)
    write_whole(link, write(b"whole"))
    assert link.is_symlink() and file.read_bytes() == b"whole" and names(tmp_path / "there") == ["file"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_pipe_or_device_is_refused_and_stays(tmp_path, make):
    path = tmp_path / "out"
    make(path)
    with pytest.raises(InputError, match="is no file but a device or a pipe: give the name of a file"):
        write_whole(path, write(b"whole"))
    assert names(tmp_path) == ["out"] and not path.is_file()


def test_two_processes_do_not_write_the_same_part(tmp_path, monkeypatch):
    def other(file):
        file.write(b"first")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: os.getppid())
            write_whole(tmp_path / "a", write(b"second"))

    write_whole(tmp_path / "a", other)
    assert (tmp_path / "a").read_bytes() == b"first" and names(tmp_path) == ["a"]


def test_a_process_that_we_may_not_signal_is_running(monkeypatch):
    def refuse(*arguments):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert files.is_running(1)


def test_json_is_written_over_what_is_there_and_holds_no_nan(tmp_path):
    for value, text in ([1], b"[\n 1\n]"), ({"a": None}, b'{\n "a": null\n}'):
        files.write_json(tmp_path / "a.json", value)
        assert (tmp_path / "a.json").read_bytes() == text
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", float("nan"))


def test_where_no_process_can_be_asked_all_are_running(monkeypatch):
    monkeypatch.setattr(files, "os", SimpleNamespace(name="nt"))
    assert files.is_running(1)


def test_what_another_process_removes_first_is_gone_as_well(tmp_path, monkeypatch):
    (tmp_path / "a.7.mbref.part").write_bytes(b"half")
    monkeypatch.setattr(files, "is_running", lambda number: (tmp_path / "a.7.mbref.part").unlink())
    write_whole(tmp_path / "a", write(b"whole"))
    assert names(tmp_path) == ["a"]
