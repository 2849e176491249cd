"""Files that were cut or hit by flipped bits: one sentence, or the numbers that they held.

A sample of both; all cuts and 500 flips a file with MBREF_DAMAGE=all in the environment.
"""
import io
import json
import os
import shutil
import struct
import zipfile
from dataclasses import asdict

import numpy as np
import pytest

from mbref import runs, training
from mbref.baselines import bpr_mf
from mbref.check import casefile, exchange
from mbref.data import arrays, files, shipped, split_files
from mbref.errors import InputError
from mbref.nn import optim
from mbref.check import parity
from mbref.tables import jobs

CUTS, FLIPS = (None, 500) if os.environ.get("MBREF_DAMAGE") == "all" else (40, 60)
SETTINGS = training.Settings(steps=2)
CONFIG = bpr_mf.Config(items=6, users=3, width=4)


def lists():
    """A file of training lists of 3 users."""
    return dict(tr_item=np.array([1, 2, 3, 4, 5, 6]), tr_beh=np.array([0, 1, 2, 3, 0, 1]), ptr=np.array([0, 2, 4, 6]),
                target=np.array([6, 5, 1]), usernum=np.array(3), itemnum=np.array(6),
                neg_clean=np.ones((2, 3, 4), int), neg_release=np.ones((2, 3, 4), int))


def events():
    """A file of event lists of 2 users."""
    return dict(item=np.array([0, 1, 2, 3, 0]), time=np.arange(5), ptr=np.array([0, 2, 5]), neg=np.array([3, 3, 1, 1, 1]),
                cate=np.array([0, 1, 0, 1]), test_neg100=np.ones((2, 100), int))


def write_checkpoint(path):
    training.save_checkpoint(path, training.begin(bpr_mf, CONFIG, SETTINGS), CONFIG, SETTINGS)


def read_checkpoint(path):
    state = training.load_checkpoint(path, bpr_mf, CONFIG, SETTINGS)
    return state.step, state.validations, [optim.leaves(getattr(state, part)) for part in training.TREES]


def write_run(path):
    task = runs.Task("log.csv", "taobao", "buy")
    files.write_json(path, dict(model="bpr_mf", task=asdict(task), config=asdict(CONFIG), settings=asdict(SETTINGS)))


def write_case(path):
    shutil.copy(casefile.ROOT / "masks.causal" / "basic.npz.gz", path)


def read_case(path):
    case = casefile.cases("masks.causal/basic")[0]
    return casefile.arrays(case._replace(file=path.name), path.parent)


def read_results(path):
    found, problems = exchange.read_results(path.with_suffix(""))
    return found if not problems else None


def write_listing(path):
    files.write_folder(path.parent, exchange.make_raw({"outputs/y": np.arange(6.).reshape(2, 3)}), over=True)


KINDS = {  # what writes it, what reads it (None: it will not be used), whether a checksum sees every change
    "search.npz": (write_checkpoint, read_checkpoint, True),
    "run.json": (write_run, lambda path: runs.load(path.parent), False),
    "kept.npz": (lambda path: jobs.save(path, ({"HR@10": 0.5}, {"steps": 3})), jobs.load, True),
    "lists.npz": (lambda path: np.savez(path, **lists()), split_files.read_training_lists, True),
    "events.npz": (lambda path: np.savez_compressed(path, **events()), split_files.read_event_lists, True),
    "case.npz.gz": (write_case, read_case, True),
    "manifest.json": (lambda path: shutil.copy(casefile.ROOT / "manifest.json", path),
                      lambda path: casefile.manifest.__wrapped__(path.parent), False),
    "state.npz": (lambda path: shutil.copy(shipped.oracles() / "atrank__bpr.npz", path), parity.read, True),
    "basic.npz": (lambda path: np.savez(path, **{"outputs/y": np.ones((2, 3))}), read_results, True),
    "arrays.json": (write_listing, lambda path: exchange.read_results(path.parent), False),
}


def look(read, path):
    """What a damaged file gives, None if it is refused."""
    try:
        return read(path)
    except InputError as error:
        assert len(str(error)) < 2000 and "\n" not in str(error)
        return None


def same(a, b):
    """Equal nested values, arrays bit for bit."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return all(map(same, a, b)) if isinstance(a, list | tuple) and len(a) == len(b) else a == b


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_file(tmp_path, name):
    write, read, _ = KINDS[name]
    path = tmp_path / name
    write(path)
    whole, first = path.read_bytes(), read(path)
    assert first is not None
    most = 10_000 if CUTS is None else CUTS
    ends = np.unique(np.linspace(0, len(whole) - 1, min(most, len(whole))).astype(int))
    for end in ends:
        path.write_bytes(whole[:end])
        found = look(read, path)
        assert found is None or name == "manifest.json" and end == len(whole) - 1 and found == first


@pytest.mark.parametrize("name", KINDS)
def test_flipped_bits(tmp_path, name):
    write, read, checked = KINDS[name]
    path, rng = tmp_path / name, np.random.default_rng(0)
    write(path)
    whole, first = path.read_bytes(), read(path)
    for bit in rng.integers(0, 8 * len(whole), FLIPS):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        found = look(read, path)
        assert found is None or not checked or same(found, first), bit


LISTS = {name: {**lists(), **change} for name, change in {
    "behaviour -1": {"tr_beh": np.array([0, 1, 2, -1, 0, 1])}, "behaviour 4": {"tr_beh": np.array([0, 1, 2, 4, 0, 1])},
    "item -1": {"tr_item": np.array([1, 2, 3, 4, 5, -1])}, "item 0": {"tr_item": np.array([1, 2, 3, 4, 5, 0])},
    "an item too many": {"target": np.array([6, 5, 7])}, "items in words": {"target": np.array(["6", "5", "1"])},
    "items of halves": {"target": np.array([6, 5, 1.])}, "no items": {"itemnum": np.array(0)},
    "10^20 items": {"itemnum": np.array(10**18)}, "a table of sizes": {"usernum": np.array([3])},
    "another number of users": {"usernum": np.array(4)}, "lists that fall": {"ptr": np.array([0, 4, 2, 6])},
    "lists that begin late": {"ptr": np.array([1, 2, 4, 6])}, "lists that end early": {"ptr": np.array([0, 2, 4, 5])},
    "unsigned lists that fall": {"ptr": np.array([0, 4, 2, 6], np.uint8)}, "no lists": {"ptr": np.array([0])},
    "a column too short": {"tr_beh": np.array([0, 1])}, "a target too few": {"target": np.array([6, 5])},
    "negatives of others": {"neg_clean": np.ones((2, 4, 4), int)}, "negative negatives": {"neg_release": -np.ones((2, 3, 4), int)},
    "negatives in a row": {"neg_clean": np.ones(24, int)}}.items()}
EVENTS = {name: {**events(), **change} for name, change in {
    "item -1": {"item": np.array([0, 1, 2, 3, -1])}, "an item too many": {"item": np.array([0, 1, 2, 3, 4])},
    "category -1": {"cate": np.array([0, -1, 0, 1])}, "a huge category": {"cate": np.array([0, 10**12, 0, 1])},
    "no time": {"time": np.array([0, 1, np.nan, 3, 4])}, "endless time": {"time": np.array([0, 1, np.inf, 3, 4])},
    "a negative too many": {"neg": np.array([3, 3, 1, 1, 4])}, "a user without events": {"ptr": np.array([0, 0, 5])},
    "others' negatives": {"test_neg100": np.ones((3, 100), int)}, "no items": {"cate": np.zeros(0, int)},
    "a time too few": {"time": np.arange(4)}, "a table of times": {"time": np.zeros((5, 2))},
    "a time before 1970": {"time": np.arange(-1, 4)}, "a time no float can hold": {"time": np.arange(5) + 2**53}}.items()}


@pytest.mark.parametrize("read, content", [
    *(pytest.param(split_files.read_training_lists, content, id=name) for name, content in LISTS.items()),
    *(pytest.param(split_files.read_event_lists, content, id=name) for name, content in EVENTS.items())])
def test_a_split_file_that_does_not_fit_together(tmp_path, read, content):
    np.savez(tmp_path / "split.npz", **content)
    with pytest.raises(InputError, match="split.npz is no split file"):
        read(tmp_path / "split.npz")


@pytest.mark.parametrize("name", ["no lists", "lists that fall", "lists that begin late"])
def test_what_is_wrong_with_lists_is_said(tmp_path, name):
    np.savez(tmp_path / "split.npz", **LISTS[name])
    with pytest.raises(InputError, match="ptr does not cut it into lists"):
        split_files.read_training_lists(tmp_path / "split.npz")


@pytest.mark.parametrize("read, content", [
    (split_files.read_training_lists, {**lists(), "neg_clean": np.zeros((2, 3, 4), int), "neg_release": np.full((2, 3, 4), 6)}),
    (split_files.read_event_lists, {**events(), "time": np.arange(5) + 2**53 - 4, "neg": np.array([0, 3, 0, 3, 0]),
                                    "test_neg100": np.arange(200).reshape(2, 100) % 4})])
def test_a_split_file_at_its_bounds(tmp_path, read, content):
    np.savez(tmp_path / "split.npz", **content)
    log, negatives, *_ = read(tmp_path / "split.npz")
    assert log.user.tolist() == ([1, 1, 1, 2, 2, 2, 3, 3, 3] if "target" in content else [1, 1, 2, 2, 2])


def test_a_split_of_one_user_and_one_item_and_of_users_who_only_have_a_target(tmp_path):
    one = dict(tr_item=np.ones(2, int), tr_beh=np.array([3, 0]), ptr=np.array([0, 2]), target=np.array([1]),
               usernum=np.array(1), itemnum=np.array(1), neg_clean=np.zeros((2, 1, 4), int),
               neg_release=np.zeros((2, 1, 4), int))
    for content, user in (one, [1, 1, 1]), ({**lists(), "ptr": np.array([0, 0, 4, 6])}, [1, 2, 2, 2, 2, 2, 3, 3, 3]):
        np.savez(tmp_path / "split.npz", **content)
        assert split_files.read_training_lists(tmp_path / "split.npz")[0].user.tolist() == user


def test_what_was_not_asked_for_is_not_unpacked(tmp_path):
    content = {**lists(), "more": np.array([{"an": "object"}], dtype=object)}
    np.savez(tmp_path / "split.npz", **content)
    split_files.read_training_lists(tmp_path / "split.npz")
    with pytest.raises(ValueError, match="more is object"):
        arrays.read_arrays(tmp_path / "split.npz", {"*": ("iu", None)})


@pytest.mark.parametrize("shape", ["(100000000000000000000,)", "(-1, -6)", "(6, 10**9)", "(" * 3000])
def test_a_header_that_declares_what_is_not_there(tmp_path, shape):
    text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}"
    head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr("x.npy", head + bytes(48))
    with pytest.raises(ValueError):
        arrays.read_arrays(tmp_path / "a.npz", {"x": ("i", 1)})


@pytest.mark.parametrize("items, sentence", [(121_990, "."), (121_991, "x has not the size that it declares")])
def test_no_file_stands_for_more_than_1100_times_its_size(tmp_path, items, sentence):
    """Of 110 bytes, here all head, 1100 * (110 + 1) are believed to be 110 + 121,990."""
    text = f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({items},), }}".ljust(100)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
        z.infolist()[0].file_size = 110 + items
    with pytest.raises(ValueError, match=sentence) as caught:
        arrays.read_arrays(tmp_path / "a.npz", {"x": ("i", 1)})
    assert sentence != "." or "declares" not in str(caught.value)


def test_a_long_reason_is_cut(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((), [("a" * 300, int)]))
    with pytest.raises(ValueError, match="^x is .*a{100}") as caught:
        arrays.read_arrays(tmp_path / "a.npz", {"x": ("i", 0)})
    assert len(str(caught.value)) == 200


@pytest.mark.parametrize("change", [
    {"task": {"candidates": 3}}, {"task": {"gap": True}}, {"config": {"width": 4.5}}, {"config": {"width": True}},
    {"config": {"width": 10**30}}, {"config": {"items": -1}}, {"config": {"width": None}}, {"config": {"width": [4]}},
    {"settings": {"steps": "2"}}, {"settings": {"rate": [1]}}, {"settings": {"rate": float("nan")}},
    {"settings": {"rates": ["a"]}}, {"settings": {"seed": 1.0}}, {"settings": {"more": 1}}, {"model": ["bpr_mf"]},
    {"task": {"candidates": "some"}}, {"task": {"split": "both"}}, {"task": {"text": "more"}}, {"task": {"data": ""}},
    {"task": {"data": "a\0b"}}, {"task": {"data": "\ud800"}}, {"task": {"test": "a\0b"}}, {"task": {"days": 0}},
    {"task": {"gap": -1}}, {"task": {"gap": 10**9}}, {"task": {"sample_users": -1}}, {"task": {"min_events": 0}},
    {"task": {"min_support": -1}}, {"task": {"cold": 1.0}}, {"task": {"cold": -0.1}}, {"task": {"cold": float("nan")}},
    {"model": {}}, {"config": []}, {"config": json.loads("[" * 400 + "]" * 400)}])
def test_a_run_json_of_other_kinds(tmp_path, change):
    write_run(tmp_path / "run.json")
    about = json.loads((tmp_path / "run.json").read_text())
    for name, value in change.items():
        about[name] = about[name] | value if isinstance(value, dict) and value and name != "model" else value
    (tmp_path / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="run.json is damaged"):
        runs.load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 10**5, "9" * 10**4, "\ufeff{}", "NaN"])
def test_json_that_is_none(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="run.json is damaged"):
        runs.load(tmp_path)


@pytest.mark.parametrize("about", [
    {"step": -1}, {"step": "2"}, {"step": 2.0}, {"step": None}, {"validations": [[1, 2.0]]}, {"validations": [["1", 1., 1.]]},
    {"validations": [[2, 1.0, 1.0], [1, 1.0, 1.0]], "step": 2}, {"validations": [[1, 1.0, 1.0]]}, {"validations": 3}])
def test_a_checkpoint_of_other_kinds(tmp_path, about):
    path = tmp_path / "c.npz"
    write_checkpoint(path)
    with np.load(path) as z:
        content = {name: z[name] for name in z.files}
    content["about"] = np.array(json.dumps(json.loads(str(content["about"])) | about))
    np.savez(path, **content)
    with pytest.raises(InputError, match="no whole checkpoint"):
        read_checkpoint(path)


def test_a_pipe_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "state.npz")
    with pytest.raises(ValueError, match="it is a pipe"):
        arrays.read_arrays(tmp_path / "state.npz", {})


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_kinds_of_header(tmp_path, version):
    content = io.BytesIO()
    np.lib.format.write_array(content, np.arange(3), version)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr("a.npy", content.getvalue())
    np.testing.assert_array_equal(arrays.read_arrays(tmp_path / "a.npz", {"a": ("i", 1)})["a"], [0, 1, 2])


@pytest.mark.parametrize("size, before, good", [
    (0, 0, True), (64, 0, True), (65, 0, False), (0, 64, True), (0, 65, False)])
def test_an_extra_field_takes_less_room_than_an_array(tmp_path, size, before, good):
    """More than 64 bytes may be an array that the list of a damaged file has lost."""
    info, content = zipfile.ZipInfo("a.npy"), io.BytesIO()
    info.extra = struct.pack("<HH", 0xCAFE, size - 4) + bytes(size - 4) if size else b""
    np.save(content, np.arange(3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr(info, content.getvalue())
    (tmp_path / "a.npz").write_bytes(bytes(before) + (tmp_path / "a.npz").read_bytes())
    if good:
        return np.testing.assert_array_equal(arrays.read_arrays(tmp_path / "a.npz", {"a": ("i", 1)})["a"], [0, 1, 2])
    with pytest.raises(ValueError, match="its list of arrays is damaged"):
        arrays.read_arrays(tmp_path / "a.npz", {"a": ("i", 1)})
