"""mbref.data.groups on logs written out by hand, on broken files and on the log in tiny_data."""
from pathlib import Path

import numpy as np
import pytest

from mbref.data.groups import read_groups
from mbref.errors import InputError

TINY = Path(__file__).parents[2] / "tiny_data" / "groups"

OBJECTS = """group,object,shop,category,brand
item,100,s2,c1,b1
item,9,s1,c2,
item,10,s1,c1,b2
query,red shoes,,,
query,bag,,,
coupon,k1,s3,c2,
"""
EVENTS = """user,group,object,action,time
10,item,100,buy,50
10,query,bag,search,50
9,coupon,k1,receive,70
10,item,9,view,20
9,item,10,cart,60.9
"""


def saved(folder, events=EVENTS, objects=OBJECTS):
    for name, text in (("events.csv", events), ("objects.csv", objects)):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "events.csv"


def refused(path):
    with pytest.raises(InputError) as caught:
        read_groups(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def same(one, other):
    """Two logs hold the same, notes apart."""
    for a, b in zip(one[:-1], other[:-1], strict=True):
        columns = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
        assert all(np.array_equal(x, y) for x, y in columns)


# The reader.

def test_read_by_hand(tmp_path):
    # 9 < 10 < 100 as numbers; queries, shops and the rest in text order; equal times keep the order of the file.
    log = read_groups(saved(tmp_path))
    assert log.users.tolist() == ["", "9", "10"]
    assert log.groups == ("item", "query", "coupon")
    assert log.actions == ("view", "fav", "cart", "buy", "search", "receive")
    assert [raws.tolist() for raws in log.objects] == [
        ["", "9", "10", "100"], ["", "bag", "red shoes"], ["", "k1"]]
    assert log.user.tolist() == [1, 1, 2, 2, 2]
    assert log.time.tolist() == [60, 70, 20, 50, 50]
    assert log.group.tolist() == [0, 2, 0, 0, 1]
    assert log.object.tolist() == [2, 1, 1, 3, 1]
    assert log.action.tolist() == [3, 6, 1, 4, 5]
    assert log.notes == ()


def test_features_by_hand(tmp_path):
    # Shops s1, s2, s3 and categories c1, c2 are numbered over items and coupons together; item 9 has no brand.
    log = read_groups(saved(tmp_path))
    assert log.feature_names == (("item", "shop", "category", "brand"), ("query",), ("coupon", "shop", "category"))
    item, query, coupon = log.features
    assert item.tolist() == [[0, 0, 0, 0], [1, 1, 2, 0], [2, 1, 1, 2], [3, 2, 1, 1]]
    assert query.tolist() == [[0], [1], [2]]
    assert coupon.tolist() == [[0, 0, 0], [1, 3, 2]]
    assert log.sizes == {"item": 3, "query": 2, "coupon": 1, "shop": 3, "category": 2, "brand": 2}


def test_the_log_is_read_only(tmp_path):
    log = read_groups(saved(tmp_path))
    for column in (log.user, log.group, log.object, log.action, log.time, log.users, *log.objects, *log.features):
        with pytest.raises(ValueError):
            column[0] = column[0]


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.replace("\n", "\n \n\n"),
    lambda text: "\n".join(",".join([*reversed(line.split(",")), "more"]) for line in text.split()) + "\n",
    lambda text: text.replace(",", " , "),
    lambda text: "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in text.splitlines()) + "\n",
], ids=["crlf", "byte order mark", "blank lines", "other columns", "blanks", "quoted"])
def test_other_spellings_of_the_same_file(tmp_path, change):
    objects = OBJECTS.replace("red shoes", "shoes")
    plain = read_groups(saved(tmp_path, EVENTS, objects))
    log = read_groups(saved(tmp_path, change(EVENTS), change(objects)))
    same(log, plain)
    assert log.notes == ()


def test_a_quoted_comma_is_part_of_the_id(tmp_path):
    events = "user,group,object,action,time\n1,query,\"bag, red\",search,5\n"
    log = read_groups(saved(tmp_path, events, OBJECTS + "query,\"bag, red\",,,\n"))
    assert log.objects[1].tolist() == ["", "bag", "bag, red", "red shoes"]
    assert log.object.tolist() == [2]


# A last line without a line break.

@pytest.mark.parametrize("cut, fields", [("9,item,1", 3), ("9,item,10,cart,", 4), ("9", 1)])
def test_a_cut_last_line_is_dropped_and_noted(tmp_path, cut, fields):
    whole = EVENTS.rsplit("9,item", 1)[0]
    log = read_groups(saved(tmp_path, whole + cut))
    same(log, read_groups(saved(tmp_path, whole)))
    assert log.notes == (f"events.csv line 6: dropped, {fields} of 5 fields and no line break (a truncated file)",)


def test_a_last_line_that_may_be_whole_is_kept_and_noted(tmp_path):
    first, *rest, coupon = OBJECTS.splitlines()
    log = read_groups(saved(tmp_path, EVENTS.rstrip("\n"), "\n".join([first, coupon, *reversed(rest)]).replace(
        "item,100,s2,c1,b1", "").rstrip() + "\nitem,100,s2,c1,b1"))
    same(log, read_groups(saved(tmp_path)))
    assert log.notes == ("objects.csv line 7: kept, but it has no line break, so its last field may be cut",
                         "events.csv line 6: kept, but it has no line break, so its last field may be cut")


def test_a_cut_object_is_named_where_it_is_missed(tmp_path):
    message = refused(saved(tmp_path, EVENTS, OBJECTS.rstrip("\n")))
    assert message == ("events.csv line 4: coupon k1 has no line in objects.csv, add it there or delete this line. "
                       "objects.csv line 7: dropped, 4 of 5 fields and no line break (a truncated file)")


def test_a_short_line_in_the_middle_is_refused(tmp_path):
    message = refused(saved(tmp_path, EVENTS.replace("10,item,9,view,20", "10,item,9")))
    assert message == ("events.csv line 5: 3 fields where 5 separated by commas are expected, mend the line or choose "
                       "another format")


# Broken files.

@pytest.mark.parametrize(("old", "new", "message"), [
    ("action,time", "deed,time", "events.csv line 1: the header has no column action, add it or choose another format; it "
                                 "has user, group, object, deed, time"),
    ("user,", "user,user,", "events.csv line 1: the header has more than one column user, rename one"),
    ("9,coupon", "9,voucher", "events.csv line 4: group 'voucher' is unknown, choose one of item, query, coupon"),
    ("k1", "k2", "events.csv line 4: coupon k2 has no line in objects.csv, add it there or delete this line"),
    ("9,item,10", "9,query,10", "events.csv line 6: action 'cart' is unknown, the actions of group query are search"),
    ("view", "pv", "events.csv line 5: action 'pv' is unknown, the actions of group item are view, fav, cart, buy"),
    (",70", ",noon", "events.csv line 4: time 'noon' is not in 0..100000000000, "
                   "write seconds since 1970, not milliseconds"),
    (",70", ",inf", "events.csv line 4: time 'inf' is not in 0..100000000000, "
                  "write seconds since 1970, not milliseconds"),
    (",70", ",-1", "events.csv line 4: time '-1' is not in 0..100000000000, write seconds since 1970, not milliseconds"),
    (",70", ",1511539200000", "events.csv line 4: time '1511539200000' is not in 0..100000000000, "
                              "write seconds since 1970, not milliseconds"),
    (",70", ",100000000000", "events.csv line 4: time '100000000000' is not in 0..100000000000, "
                             "write seconds since 1970, not milliseconds"),
    (",70", ',70,""', "events.csv line 4: 6 fields where 5 separated by commas are expected, mend the line or choose "
                      "another format"),
    ("9,coupon", ",coupon", "events.csv line 4: the user is empty, fill it in or delete the line"),
    (",70", ",70,1", "events.csv line 4: 6 fields where 5 separated by commas are expected, mend the line or choose "
                   "another format"),
    ("bag", "\"bag", "events.csv line 3: 3 fields where 5 separated by commas are expected, its quotes \" do not come in "
                     "pairs: mend the line"),
])
def test_broken_events(tmp_path, old, new, message):
    assert refused(saved(tmp_path, EVENTS.replace(old, new, 1))) == message


def test_of_several_broken_lines_the_first_is_named(tmp_path):
    events = EVENTS.replace("9,coupon", ",coupon").replace("60.9", "60.9,1")
    assert refused(saved(tmp_path, events)).startswith("events.csv line 4: the user is empty")


def test_times_at_their_bounds(tmp_path):
    log = read_groups(saved(tmp_path, EVENTS.replace(",20", ",0").replace(",70", ",99999999999")))
    assert log.time.tolist() == [60, 99999999999, 0, 50, 50]


@pytest.mark.parametrize(("old", "new", "message"), [
    ("brand", "maker", "objects.csv line 1: the header has no column brand, add it or choose another format; it has "
                       "group, object, shop, category, maker"),
    ("item,9", "thing,9", "objects.csv line 3: group 'thing' is unknown, choose one of item, query, coupon"),
    ("item,9", "item,", "objects.csv line 3: the object is empty, fill it in or delete the line"),
    ("item,9", "item,100", "objects.csv line 3: item 100 is already in line 2, delete one of the two"),
    ("query,bag,,", "query,bag,s1,", "objects.csv line 6: group query has no shop, leave that field empty"),
    ("c2,\n", "c2,b9\n", None),
])
def test_broken_objects(tmp_path, old, new, message):
    path = saved(tmp_path, EVENTS, OBJECTS.replace(old, new, 1))
    if message is None:  # an item may have a brand
        assert read_groups(path).features[0][1].tolist() == [1, 1, 2, 3]
    else:
        assert refused(path) == message


def test_a_coupon_with_a_brand_is_refused(tmp_path):
    message = refused(saved(tmp_path, EVENTS, OBJECTS.replace("s3,c2,", "s3,c2,b1")))
    assert message == "objects.csv line 7: group coupon has no brand, leave that field empty"


@pytest.mark.parametrize(("events", "message"), [
    ("", "events.csv: holds no events (only a header or a cut line), give a file with at least one"),
    (EVENTS.split("\n")[0] + "\n",
     "events.csv: holds no events (only a header or a cut line), give a file with at least one"),
    (EVENTS.encode("utf-16"), "events.csv line 1: is not UTF-8 text but UTF-16: save it as UTF-8"),
    ("a\0b", "events.csv line 1: is not UTF-8 text, unpack the file or save it as UTF-8, as iconv -f CODE -t UTF-8 does "
             "(CODE is often WINDOWS-1252 or GB18030)"),
])
def test_files_that_hold_no_log(tmp_path, events, message):
    assert refused(saved(tmp_path, events)) == message


def test_missing_files(tmp_path):
    path = saved(tmp_path)
    assert refused(tmp_path) == f"{tmp_path}: is a directory, give the events.csv inside it"
    objects = tmp_path / "objects.csv"
    objects.unlink()
    assert refused(path) == f"{objects}: there is no such file, check the path"
    saved(tmp_path).unlink()
    assert refused(path) == f"{path}: there is no such file, check the path"
    objects.unlink()  # and of two that are missing the one that was named
    assert refused(path) == f"{path}: there is no such file, check the path"


# The log that comes with mbref.

def test_the_committed_log_is_small_and_read_without_notes():
    assert sum((TINY / name).stat().st_size for name in ("events.csv", "objects.csv")) <= 350_000
    log = read_groups(TINY / "events.csv")
    assert log.notes == ()
    assert [len(raws) - 1 for raws in log.objects] == [200, 60, 40]
    assert log.sizes == {"item": 200, "query": 60, "coupon": 40, "shop": 10, "category": 20, "brand": 8}
    events = np.bincount(log.user)[1:]
    assert len(events) == 150 and events.min() >= 30 and events.max() <= 50
    of_group = np.array([np.bincount(log.user[log.group == g], minlength=151)[1:] for g in range(3)])
    assert of_group.min() >= 2  # every user has events of every group
    assert np.all(np.diff(log.time)[np.diff(log.user) == 0] > 0)
