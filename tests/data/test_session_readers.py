"""Readers of session logs on small files whose logs are written out by hand, on broken files, and on a real one."""
from collections import Counter, defaultdict

import numpy as np
import pytest

from mbref.data.readers import read
from mbref.errors import InputError
from tests.optional import find_logs

DAY = 16930 * 86400  # 2016-05-09 in seconds since 1970: 46 years of 365 days, 11 leap days, then 129 days
HEADER = "sessionId;userId;itemId;timeframe;eventdate\n"


def saved(folder, text, name="train-item-views.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, format):
    with pytest.raises(InputError) as caught:
        read(path, format)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Diginetica.

def test_diginetica_by_hand(tmp_path):
    # Session 2: items 30, 20, 9 at 1.2, 1.7 and 3.0 s; the first two are in one second and in the wrong order here.
    text = HEADER + ("2;NA;9;3000;2016-05-09\n10;7;20;0;2016-05-10\n2;NA;20;1700;2016-05-09\n"
                     "2;NA;30;1200;2016-05-09\n")
    saved(tmp_path, "itemId;categoryId\n9;5\n20;12\n8;5\n", "product-categories.csv")
    saved(tmp_path, "itemId;pricelog2;product.name.tokens\n20;8;4,77,4\n30;9;\n9;10;77\n5;1;99\n", "products.csv")
    log = read(saved(tmp_path, text), "diginetica")
    assert log.users.tolist() == ["", "2", "10"]
    assert log.items.tolist() == ["", "9", "20", "30"]
    assert log.user.tolist() == [1, 1, 1, 2]
    assert log.item.tolist() == [3, 2, 1, 2]
    assert log.time.tolist() == [DAY + 1, DAY + 1, DAY + 3, DAY + 86400]
    assert log.behaviours == ("view",) and log.behaviour.tolist() == [1, 1, 1, 1]
    assert log.categories.tolist() == ["", "5", "12"]
    assert log.category.tolist() == [0, 2, 1, 2]
    # Item 9 has token 77, item 20 has 4 and 77 (4 is said twice), item 30 none; token 99 is not needed.
    assert log.attributes.names.tolist() == ["", "4", "77"]
    assert log.attributes.ptr.tolist() == [0, 0, 1, 3, 3]
    assert log.attributes.value.tolist() == [2, 1, 2]
    assert log.notes == ("product-categories.csv: has no category for 1 of 3 items, they get 0 (unknown)",
                         "products.csv: has no tokens for 1 of 3 items")


def test_both_spellings_and_any_order_of_columns(tmp_path):
    old = read(saved(tmp_path, HEADER + "1;NA;20;5;2016-05-09\n1;NA;30;2;2016-05-09\n"), "diginetica")
    text = "eventdate;item_id;shop;timeframe;session_id;user_id\n2016-05-09;20;x;5;1;NA\n2016-05-09;30;x;2;1;NA\n"
    new = read(saved(tmp_path, text), "diginetica")
    assert old.items[old.item].tolist() == ["30", "20"]
    for one, other in zip(old, new, strict=True):
        np.testing.assert_array_equal(one, other)


def test_equal_timeframes_stay_in_the_order_of_the_file(tmp_path):
    rows = [(1, 50, 7), (2, 40, 7), (1, 40, 7), (1, 60, 6), (2, 30, 7), (1, 30, 7)]
    text = HEADER + "".join(f"{session};NA;{item};{at};2016-05-09\n" for session, item, at in rows)
    log = read(saved(tmp_path, text), "diginetica")
    assert log.items[log.item].tolist() == ["60", "50", "40", "30", "40", "30"]


def test_days_and_timeframes_at_their_bounds(tmp_path):
    """From 1970 on, below 10^11 ms."""
    rows = "1;NA;20;0;1970-01-01\n1;NA;30;99999999999;1970-01-01\n1;NA;40;100000000000;1970-01-01\n"
    log = read(saved(tmp_path, HEADER + rows), "diginetica")
    assert log.time.tolist() == [0, 99999999] and "the first is line 4: eventdate" in " ".join(log.notes)


def test_a_timeframe_may_be_longer_than_a_day(tmp_path):
    log = read(saved(tmp_path, HEADER + "1;NA;20;172801500;2016-05-09\n"), "diginetica")
    assert log.time.tolist() == [DAY + 2 * 86400 + 1]


def test_two_categories_of_one_item_are_noted(tmp_path):
    saved(tmp_path, "item_id;category_id\n20;5\n30;7\n20;6\n20;\n30;7\n9;1\n9;2\n", "product-categories.csv")
    log = read(saved(tmp_path, HEADER + "1;NA;20;5;2016-05-09\n1;NA;30;9;2016-05-09\n"), "diginetica")
    assert log.categories[log.category].tolist() == ["6", "7"]
    assert log.notes == ("product-categories.csv: 1 item has more than one category, the last is kept",)


def test_files_beside_it_may_be_absent_or_cut(tmp_path):
    path = saved(tmp_path, HEADER + "1;NA;20;5;2016-05-09\n")
    log = read(path, "diginetica")
    assert log.category is None and log.attributes is None
    assert log.notes == ("product-categories.csv: there is no such file beside the log, so items have no categories",)
    saved(tmp_path, "itemId;categoryId\n20;5\n30", "product-categories.csv")
    saved(tmp_path, "itemId;pricelog2;product.name.tokens\n20;8;4,77\n30;9;4,7", "products.csv")
    log = read(path, "diginetica")
    assert log.category.tolist() == [1] and log.attributes.value.tolist() == [1, 2]
    assert [note.split(":")[0] for note in log.notes] == ["product-categories.csv line 3", "products.csv line 3"]


@pytest.mark.parametrize(("text", "words"), [
    ("", "train-item-views.csv: holds no events"), (HEADER, "holds no events"),
    ("session_id;user_id;item_id;timeframe\n", "line 1: the header has no column eventdate"),
    ("user_id;item_id;timeframe;eventdate\n", "line 1: the header has no column sessionId"),
    (HEADER.replace(";", ","), "line 1: its columns are separated by commas, and format diginetica expects semicolons"),
    (HEADER + "1;NA;20;5\n", "line 2: 4 fields where 5 separated by semicolons"),
    (HEADER + "1;NA;;5;2016-05-09\n", "line 2: the item is empty"),
    (HEADER + "1;NA;20;5;2016-02-30\n", "line 2: eventdate '2016-02-30' is no day since 1970 (YYYY-MM-DD)"),
    (HEADER + "1;NA;20;5;1969-12-31\n", "line 2: eventdate '1969-12-31' is no day since 1970"),
    (HEADER + "1;NA;20;5;09.05.2016\n", "eventdate '09.05.2016' is no day"),
    (HEADER + "1;NA;20;soon;2016-05-09\n", "line 2: eventdate '2016-05-09' is no day since 1970 (YYYY-MM-DD), or its timeframe no milliseconds"),
    (HEADER + "1;NA;20;nan;2016-05-09\n", "or its timeframe no milliseconds"),
    (HEADER + "1;NA;20;-1;2016-05-09\n", "or its timeframe no milliseconds")])
def test_broken_views_are_refused(tmp_path, text, words):
    message = refused(saved(tmp_path, text), "diginetica")
    assert message.startswith("train-item-views.csv") and words in message


@pytest.mark.parametrize(("name", "text", "words"), [
    ("product-categories.csv", "itemId;category\n20;5\n", "line 1: the header has no column categoryId"),
    ("product-categories.csv", "itemId;categoryId\n20\n", "line 2: 1 field where 2 separated by semicolons"),
    ("product-categories.csv", "", "holds no events"),
    ("products.csv", "itemId;tokens\n20;5\n", "line 1: the header has no column product.name.tokens"),
    ("products.csv", "itemId;product.name.tokens\n20;5;6\n", "line 2: 3 fields where 2 separated by semicolons")])
def test_broken_files_beside_it_are_refused(tmp_path, name, text, words):
    saved(tmp_path, text, name)
    message = refused(saved(tmp_path, HEADER + "1;NA;20;5;2016-05-09\n"), "diginetica")
    assert message.startswith(name) and words in message


# Yoochoose.

def test_yoochoose_by_hand(tmp_path):
    # Session 1 is out of order within one second. Item 30 was last under 7, item 20 under 2 (later: special offer,
    # missing), item 40 only as a special offer.
    text = ("1,2014-04-07T10:51:09.900Z,20,2\n1,2014-04-07T10:51:09.277Z,30,5\n1,2014-04-07T10:57:09.868Z,20,S\n"
            "2,2014-04-08T00:00:00.000Z,40,S\n2,2014-04-07T23:59:59.999Z,30,7\n2,2014-04-08T00:00:00.000Z,20,0\n")
    log = read(saved(tmp_path, text), "yoochoose")
    assert log.user.tolist() == [1, 1, 1, 2, 2, 2]
    assert log.items[log.item].tolist() == ["30", "20", "20", "30", "40", "20"]
    at = 16167 * 86400  # 2014-04-07: 44 years of 365 days, 11 leap days, then 96 days
    assert log.time.tolist() == [at + 39069, at + 39069, at + 39429, at + 86399, at + 86400, at + 86400]
    assert log.categories.tolist() == ["", "2", "7"]
    assert log.category.tolist() == [2, 1, 1, 2, 0, 1]
    assert log.behaviours == ("click",)
    assert log.notes == ("train-item-views.csv: 1 item has more than one category, the last is kept",
                         "train-item-views.csv: has no category for 1 of 3 items, they get 0 (unknown)")


def test_products_without_tokens_are_counted(tmp_path):
    """10 is not in the file, and the list of 30 is empty."""
    saved(tmp_path, "itemId;product.name.tokens\n20;4,77\n30;\n40;5\n", "products.csv")
    rows = "".join(f"1;NA;{item};5;2016-05-09\n" for item in (10, 20, 30, 40))
    assert "products.csv: has no tokens for 2 of 4 items" in read(saved(tmp_path, HEADER + rows), "diginetica").notes


def test_yoochoose_of_words_is_known_by_its_times(tmp_path):
    log = read(saved(tmp_path, "a,2014-04-07T10:51:09.900Z,x,S\na,2014-04-07T10:51:10.900Z,y,S\n"), "yoochoose")
    assert log.items.tolist() == ["", "x", "y"] and len(log.user) == 2


def test_yoochoose_without_any_category(tmp_path):
    log = read(saved(tmp_path, "1,2014-04-07T10:51:09.900Z,20,0\n1,2014-04-07T10:51:10.900Z,30,S\n"), "yoochoose")
    assert log.category is None and log.categories is None and log.notes == ()


def test_yoochoose_last_category_is_the_last_in_time(tmp_path):
    # By session number the last row of item 20 is that of session 2, which is the earlier one.
    log = read(saved(tmp_path, "2,2014-04-07T10:00:00.000Z,20,3\n1,2014-04-08T10:00:00.000Z,20,4\n"), "yoochoose")
    assert log.categories[log.category].tolist() == ["4", "4"]


@pytest.mark.parametrize("time", ["soon", "1969-12-31T23:59:59.999Z", "12", "2014-02-30T00:00:00Z"])
def test_yoochoose_times_are_times(tmp_path, time):
    bad = 2 * f"1,{time},20,0\n"
    message = refused(saved(tmp_path, f"1,2014-04-07T10:51:09.900Z,20,0\n{bad}"), "yoochoose")
    words = f"{time!r} is no time since 1970" if time[:4] != "1969" else "-1000 is not in 0.."
    assert message.startswith(f"train-item-views.csv line 2: time {words}")


def test_yoochoose_may_have_a_header(tmp_path):
    text = "session_id,timestamp,item_id,category\n1,2014-04-07T10:51:09.900Z,20,0\n"
    assert read(saved(tmp_path, text), "yoochoose").items.tolist() == ["", "20"]


@pytest.mark.parametrize(("text", "words"), [
    ("who,when,what,kind\n1,2014-04-07T10:51:09.900Z,20,0\n", "line 1: looks like a header"),
    ("1,2014-04-07T10:51:09.900Z,20\n", "line 1: 3 fields where 4 separated by commas"),
    ("1\t20\t4\t5\n", "but separated by tabs")])
def test_broken_yoochoose_lines_are_refused(tmp_path, text, words):
    assert words in refused(saved(tmp_path, text), "yoochoose")


# session-rec.

def test_sessionrec_by_hand(tmp_path):
    text = "Time\tSessionId\tDate\tItemId\n20.75\t1\tx\t9\n20.25\t1\tx\t10\n5\t2\tx\t9\n20.25\t1\tx\t8\n"
    log = read(saved(tmp_path, text), "sessionrec")
    assert log.users.tolist() == ["", "1", "2"]
    assert log.items[log.item].tolist() == ["10", "8", "9", "9"]
    assert log.time.tolist() == [20, 20, 20, 5]
    assert log.category is None and len(log.notes) == 1 and "before 1990" in log.notes[0]


def test_sessionrec_times_may_be_in_milliseconds(tmp_path):
    log = read(saved(tmp_path, "SessionId\tItemId\tTime\n1\t2\t1462752000999\n"), "sessionrec")
    assert log.time.tolist() == [1462752000] and log.notes == ("train-item-views.csv: times are read as milliseconds",)


@pytest.mark.parametrize(("text", "words"), [
    ("SessionId\tItemId\n1\t2\n", "line 1: the header has no column Time"),
    ("SessionId;ItemId;Time\n1;2;3\n", "line 1: its columns are separated by semicolons"),
    ("SessionId\tItemId\tTime\n1\t2\n", "line 2: 2 fields where 3 separated by tabs")])
def test_broken_sessionrec_lines_are_refused(tmp_path, text, words):
    assert words in refused(saved(tmp_path, text), "sessionrec")


@pytest.mark.parametrize("format", ["diginetica", "yoochoose", "sessionrec"])
def test_behaviours_cannot_be_named(tmp_path, format):
    with pytest.raises(InputError, match=f"format {format} has no behaviour names"):
        read(saved(tmp_path, ""), format, behaviours=["view"])


# A file that nobody here wrote.

def test_real_diginetica():
    path = find_logs("diginetica/sample_train-item-views.csv")
    log = read(path, "diginetica")
    assert [len(log.user), len(log.users) - 1, len(log.items) - 1] == [12_391, 2_986, 7_139]
    assert len(log.categories) - 1 == 560 and (log.category > 0).all()
    assert len(log.notes) == 1 and "line 12392: kept" in log.notes[0]
    # The sessions again, by the module's rule but without its code: items by timeframe, categories by look-up.
    rows, of_item = defaultdict(list), {}
    for line in path.read_text().splitlines()[1:]:
        session, _, item, timeframe, _ = line.split(";")
        rows[session].append((int(timeframe), item))
    for line in path.with_name("product-categories.csv").read_text().splitlines()[1:]:
        item, of_item[item] = line.split(";")
    lists = np.split(log.items[log.item], np.flatnonzero(np.diff(log.user)) + 1)
    for session, items in zip(log.users[1:].tolist(), lists, strict=True):
        assert items.tolist() == [item for _, item in sorted(rows[session], key=lambda row: row[0])]
    assert Counter(log.categories[log.category].tolist()) == Counter(of_item[i] for r in rows.values() for _, i in r)
