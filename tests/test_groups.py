"""mbref.data.groups: logs written out by hand, and broken files."""
import numpy as np
import pytest

from mbref.data.groups import read_groups
from mbref.errors import InputError

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
    lambda text: text.replace("\n", "\n\n"),
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

@pytest.mark.parametrize("cut", ["9,item,1", "9,item,10,cart,", "9"])
def test_a_cut_last_line_is_dropped_and_noted(tmp_path, cut):
    whole = EVENTS.rsplit("9,item", 1)[0]
    log = read_groups(saved(tmp_path, whole + cut))
    same(log, read_groups(saved(tmp_path, whole)))
    assert log.notes == ("events.csv line 6: dropped, it lacks fields and a line break (a truncated file)",)


def test_a_last_line_that_may_be_whole_is_kept_and_noted(tmp_path):
    log = read_groups(saved(tmp_path, EVENTS.rstrip("\n"), OBJECTS.rstrip("\n")))
    same(log, read_groups(saved(tmp_path)))
    assert log.notes == ("objects.csv line 7: kept, but it has no line break, so its last field may be cut",
                         "events.csv line 6: kept, but it has no line break, so its last field may be cut")


def test_a_short_line_in_the_middle_is_refused(tmp_path):
    message = refused(saved(tmp_path, EVENTS.replace("10,item,9,view,20", "10,item,9")))
    assert message == "events.csv line 5: 3 fields where the header has 5, mend the line"


# Broken files.

@pytest.mark.parametrize(("old", "new", "message"), [
    ("action,time", "deed,time", "events.csv line 1: the header has no column action, it must name "
                                 "user, group, object, action, time"),
    ("user,", "user,user,", "events.csv line 1: the header has more than one column user, it must name "
                            "user, group, object, action, time"),
    ("9,coupon", "9,voucher", "events.csv line 4: group 'voucher' is unknown, choose one of item, query, coupon"),
    ("k1", "k2", "events.csv line 4: coupon k2 has no line in objects.csv, add it there or delete this line"),
    ("9,item,10", "9,query,10", "events.csv line 6: action 'cart' is unknown, the actions of group query are search"),
    ("view", "pv", "events.csv line 5: action 'pv' is unknown, the actions of group item are view, fav, cart, buy"),
    (",70", ",noon", "events.csv line 4: time 'noon' is not a finite number, write seconds since 1970"),
    (",70", ",inf", "events.csv line 4: time 'inf' is not a finite number, write seconds since 1970"),
    (",70", ",-1", "events.csv line 4: time -1 is not in 0..100000000000, write seconds since 1970, not milliseconds"),
    (",70", ",1511539200000", "events.csv line 4: time 1511539200000 is not in 0..100000000000, "
                              "write seconds since 1970, not milliseconds"),
    ("9,coupon", ",coupon", "events.csv line 4: the user is empty, fill it in or delete the line"),
    (",70", ",70,1", "events.csv line 4: 6 fields where the header has 5, mend the line"),
    ("bag", "\"bag", "events.csv line 6: is not CSV (unexpected end of data), mend its quotation marks"),
])
def test_broken_events(tmp_path, old, new, message):
    assert refused(saved(tmp_path, EVENTS.replace(old, new, 1))) == message


@pytest.mark.parametrize(("old", "new", "message"), [
    ("brand", "maker", "objects.csv line 1: the header has no column brand, it must name "
                       "group, object, shop, category, brand"),
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
    ("", "events.csv line 1: the header has no column user, it must name user, group, object, action, time"),
    (EVENTS.split("\n")[0] + "\n",
     "events.csv: holds no events (only a header or a cut line), give a file with at least one"),
    (EVENTS.encode("utf-16"), "events.csv: is not UTF-8 text, unpack the file or save it as UTF-8"),
    ("a\0b", "events.csv: is not UTF-8 text, unpack the file or save it as UTF-8"),
])
def test_files_that_hold_no_log(tmp_path, events, message):
    assert refused(saved(tmp_path, events)) == message


def test_missing_files(tmp_path):
    path = saved(tmp_path)
    assert refused(tmp_path) == f"{tmp_path}: is a directory, give the events.csv inside it"
    objects = tmp_path / "objects.csv"
    objects.unlink()
    assert refused(path) == f"{objects}: there is no such file, events.csv and objects.csv belong in one folder"
    saved(tmp_path).unlink()
    assert refused(path) == f"{path}: there is no such file, events.csv and objects.csv belong in one folder"
