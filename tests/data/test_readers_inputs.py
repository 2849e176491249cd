"""Small inputs that went wrong for people, the right value of each, and others of its kind."""
import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from mbref import runs
from mbref.data.readers import build, lines, read, read_table, read_task, table, times
from mbref.data.readers.columns import Column, Layout, load_table, parse_lines, texts_of
from mbref.data.readers.lines import Findings, chunks
from mbref.errors import InputError
from tests.optional import given, st

T = 1_511_848_894  # in 2017


def saved(folder, text, name="log.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, format, **choices):
    with pytest.raises(InputError) as caught:
        read(path, format, **choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def items(log):
    return log.items[log.item].tolist()


def equal(one, other, but=("notes",)):
    for name in set(one._fields) - set(but):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


# Shown, not taken.

@pytest.mark.parametrize(("format", "head", "sep"), [
    ("recbole", "user_id:token\titem_id:token\tlabel:float\ttimestamp:float", "\t"),
    ("rechorus", "user_id\titem_id\tlabel\ttime", "\t"),
    ("csv", "who,what,label,when", ",")])
def test_rows_with_label_0_are_no_events(tmp_path, format, head, sep):
    rows = "".join(f"1,{10 + n},{label},{T + n}\n" for n, label in enumerate(["1", "0", "0.0", "1.0", "0"]))
    path = saved(tmp_path, f"{head}\n" + rows.replace(",", sep))
    columns = {"user": "who", "item": "what", "time": "when"} if format == "csv" else None
    log = read(path, format, columns=columns)
    assert items(log) == ["10", "13"] and len(log.items) == 3
    assert "log.csv: left out 3 rows with label 0 or less, no events (the first is line 3)" in log.notes


def test_a_label_may_be_true_or_false(tmp_path):
    path = saved(tmp_path, "u,i,label\n1,5,True\n1,6,False\n1,7,true\n")
    assert items(read_table(path, {"user": "u", "item": "i"})) == ["5", "7"]


def test_one_behaviour_is_in_no_order(tmp_path):
    path = saved(tmp_path, "u,i,b\n1,5,x\n1,6,x\n")
    log = read_table(path, {"user": "u", "item": "i", "behaviour": "b"})
    assert log.behaviours == ("x",) and not [note for note in log.notes if "behaviours in the order" in note]


def test_a_separator_has_all_the_columns_that_are_asked_for(tmp_path):
    path = saved(tmp_path, "1\tx,5,7\n1\ty,5,8\n")
    assert items(read_table(path, {"user": 1, "item": 3}, header=False)) == ["7", "8"]


def test_who_is_called_as_the_column_is_no_header(tmp_path):
    log = read_table(saved(tmp_path, "u,i\nu,5\n1,6\n"), {"user": "u", "item": "i"})
    assert log.users.tolist() == ["", "1", "u"]


def test_half_a_header_of_recbole_is_none(tmp_path):
    assert "is not a RecBole header" in refused(saved(tmp_path, "user_id:token\titem\n1\t5\n"), "recbole")


# Broken rows.

def test_a_few_broken_rows_are_skipped_and_counted_by_kind(tmp_path):
    rows = [f"{n % 7},{n % 11},1,pv,{T + n}" for n in range(3000)]
    rows[5], rows[700], rows[2999] = "1,10,1,buy,-2134949234", "1,2,3", "1,2,3"
    log = read(saved(tmp_path, "\n".join(rows) + "\n"), "taobao")
    assert len(log.user) == 2997
    assert log.notes == (
        "log.csv: skipped 2 of 3000 rows as broken (the first is line 701: 3 fields where 5 separated by commas are "
        "expected, mend the line or choose another format)",
        "log.csv: skipped 1 of 3000 rows as broken (the first is line 6: time -2134949234 is not in 0..100000000000 "
        "seconds since 1970)")
    rows[9] = "1,,1,pv,5"
    message = refused(saved(tmp_path, "\n".join(rows) + "\n"), "taobao")
    assert message.startswith("log.csv line 701: 3 fields where 5") and "(2 such rows); line 6: time" in message
    assert "line 10: the item is empty" in message and "Of 3,000 rows 4 are broken" in message


def test_the_three_commonest_faults_are_named(tmp_path):
    rows = ["1,2,3"] * 4 + [f"1,,1,pv,{T}"] * 3 + ["1,2,1,pv,soon"] * 2 + [f"1,2,1,like,{T}"] + [f"1,{n},1,pv,{T}" for n in range(5)]
    says = refused(saved(tmp_path, "\n".join(rows) + "\n"), "taobao")
    assert says.count("such rows") == 3 and "like" not in says and "Of 15 rows 10 are broken" in says


@pytest.mark.parametrize("span", [1, 2, 1 << 40, 1 << 55, 3 << 54, 1 << 56, 1 << 57, (1 << 62) - 1])
def test_rows_are_in_order_whatever_their_times_span(span):
    """Where user, time and row fit into 63 bits they are one number."""
    rng = np.random.default_rng(0)
    user, time = rng.integers(1, 4, 50), rng.integers(0, span, 50) - span // 2
    time[:2] = -(span // 2), span - 1 - span // 2
    np.testing.assert_array_equal(build._order(user, time), np.lexsort((time, user)))
    late = 2**59 + np.array([2, -1, 1, 0, -2, 3])  # twice as much, by 2^3 for the row, goes beyond 2^63
    assert build._order(np.ones(6, int), late).tolist() == [4, 1, 3, 2, 0, 5]


def test_one_impossible_time_of_three_rows_is_skipped(tmp_path):
    log = read(saved(tmp_path, f"1,10,1,pv,{T}\n1,10,1,buy,-2134949234\n1,11,1,buy,{T + 1}\n"), "taobao")
    assert items(log) == ["10", "11"] and "skipped 1 of 3 rows" in log.notes[0]


# Times.

def test_a_time_far_from_the_rest_is_named(tmp_path):
    for far, words in ((2_147_483_647, "after the rest, as far as 2038-01-19"),
                       (820_000_000, "before the rest, as far as 1995-12-26")):
        rows = [f"1,{n},1,pv,{T + n}\n" for n in range(20)] + [f"1,99,1,buy,{far}\n"]
        log = read(saved(tmp_path, "".join(rows)), "taobao")
        assert log.notes == (f"log.csv: 1 of 21 times lie far {words}",)
    rows = [f"1,{n},1,pv,{T + 40_000_000 * n}\n" for n in range(20)]  # all of them more than a year apart
    assert read(saved(tmp_path, "".join(rows)), "taobao").notes == ()


@pytest.mark.parametrize(("more", "far"), [(0, 0), (1, 1)])
def test_far_is_more_than_a_year_of_365_days(more, far):
    year = np.array([0, 10, 10 + 365 * 86400 + more]) + T
    assert times.count_outliers(year) == far and times.count_outliers(-year[::-1]) == 0
    assert len(times.suspicions(year, year)) == far


def reviews(times, **more):
    return "".join(json.dumps({"reviewerID": "U", "asin": f"A{n}", "unixReviewTime": t, **more}) + "\n" for n, t in enumerate(times))


@pytest.mark.parametrize(("time", "good"), [(0, True), (-1, False), (10**11 - 1, True), (10**11, False)])
def test_times_at_their_bounds(tmp_path, time, good):
    rows = f"1,10,1,pv,{T}\n1,11,1,pv,{T + 1}\n1,12,1,pv,{time}\n"
    for log in (read(saved(tmp_path, rows), "taobao"), read(saved(tmp_path, reviews([T, T + 1, time]), "X.json"), "amazon")):
        assert (time in log.time) == good and any("skipped 1 of 3 rows" in note for note in log.notes) != good


@pytest.mark.parametrize(("rating", "good"), [(0, True), (5, True), (-0.5, False), (5.5, False)])
def test_ratings_at_their_bounds(tmp_path, rating, good):
    rows, names = f"7\t20\t4\t{T}\n7\t21\t{rating}\t{T + 1}\n", ("pos", "neutral", "neg")
    for log in (read(saved(tmp_path, rows), "movielens"),
                read(saved(tmp_path, reviews([T], overall=4) + reviews([T + 1], overall=rating), "X.json"), "amazon", names)):
        assert len(log.user) == 1 + good and any("skipped 1 of 2 rows" in note for note in log.notes) != good


@pytest.mark.parametrize(("size", "good"), [((1 << 16) - 1, True), (1 << 16, False)])
def test_a_line_in_pythons_spelling_is_short(tmp_path, size, good):
    """A longer one takes Python's parser minutes."""
    line = f"{{'reviewerID': 'U', 'asin': 'A', 'unixReviewTime': {T}, 'text': ''}}"
    path = saved(tmp_path, line.replace("''", f"'{'a' * (size - len(line))}'") + "\n", "X.json")
    if good:
        assert read(path, "amazon").time.tolist() == [T]
    else:
        assert "it is not a JSON object" in refused(path, "amazon")


@pytest.mark.parametrize(("rest", "far"), [(1.5, 0), (2.5, 1)])
def test_far_is_farther_than_all_the_rest_spans(rest, far):
    year = 365 * 86400
    assert times.count_outliers(T + np.array([0, 2 * year, int((2 + rest) * year)])) == far


@pytest.mark.parametrize(("n", "late", "far"), [(2000, 2, 2), (2000, 3, 0), (1999, 1, 1), (1999, 2, 0), (2, 1, 0)])
def test_at_most_one_in_a_thousand_times_is_far(n, late, far):
    time = T + np.arange(n)
    time[-late:] += 10 * 365 * 86400
    assert times.count_outliers(time) == far


@pytest.mark.parametrize(("n", "different", "notes"), [(3000, 3, 1), (3000, 4, 0), (2, 1, 1), (2, 2, 0), (1, 1, 0)])
def test_hardly_different_is_one_in_a_thousand(n, different, notes):
    time = T + np.arange(n) % different
    assert len(times.suspicions(time, time)) == notes


@pytest.mark.parametrize("end", ["", "+05:30", "-03:30", "-00:15", "+11:00"])
@pytest.mark.parametrize("second", ["00", "59.000250", "34.999999"])
def test_iso_times_are_those_of_python(second, end):
    text = f"2017-11-28T06:01:{second}{end}"
    since = datetime.fromisoformat(text if end else text + "+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    assert times.iso_time(text) == since // timedelta(microseconds=1)


@pytest.mark.parametrize(("text", "seconds"), [
    ("1970-01-02", 86400), ("1970/01/02 01", 90000), ("1970-01-02T01:02", 90120), ("1970-01-01T00:00:01,5Z", 1.5),
    ("1970-01-01T00:00:01.1234567", 1.123456), ("1970-01-01T000001", 1), ("1970-01-01T24:00", 86400),
    ("1970-01-01T00:00:00-01", 3600)])
def test_short_iso_times_by_hand(text, seconds):
    assert times.iso_time(text) == seconds * 10**6


@pytest.mark.parametrize(("size", "good"), [(8, True), (9, False)])
def test_what_has_no_break_is_read_up_to_the_longest_line(tmp_path, monkeypatch, size, good):
    monkeypatch.setattr(lines, "CHUNK", 4)
    monkeypatch.setattr(lines, "LONGEST", 8)
    path = saved(tmp_path, "a" * size)
    if good:
        assert list(chunks(path)) == [(1, b"a" * size)]
        return
    with pytest.raises(InputError, match="^log.csv line 1: is longer than 8 bytes"):
        list(chunks(path))


@pytest.mark.parametrize(("size", "good"), [(1 << 22, True), ((1 << 22) + (1 << 20) + 1, False)])
def test_a_line_of_four_million_bytes_is_no_line_of_a_log(tmp_path, size, good):
    path = saved(tmp_path, "7,1\n" + "a" * size + "\n7,2\n")
    if good:
        assert b"".join(data for _, data in chunks(path)) == path.read_bytes()
        return
    with pytest.raises(InputError, match="^log.csv line 2: is longer than 4,194,304 bytes"):
        list(chunks(path))


def test_1990_begins_with_its_first_second():
    for start, notes in (("1990-01-01T00:00:00", 0), ("1989-12-31T23:59:59", 1)):
        time = np.datetime64(start, "s").astype(np.int64) + np.arange(2) * 10
        assert len(times.suspicions(time, time)) == notes


def test_times_of_1970_and_times_that_hardly_differ_are_noted(tmp_path):
    rows = "".join(f"{n % 5},{n % 7},1,pv,{T // 1000 + n % 2}\n" for n in range(3000))
    notes = read(saved(tmp_path, rows), "taobao", keep_repeats=True).notes
    assert notes == ("log.csv: the 3000 times are hardly different, 2 in all: events of one time stay in the order "
                     "of the file", "log.csv: 3000 of 3000 times lie before 1990 (the earliest in 1970-01-18): are "
                     "they seconds since 1970?")


@pytest.mark.parametrize(("format", "text"), [
    ("recbole", "user_id:token\titem_id:token\ttimestamp:float\n7\tb\t{0}.9\n7\ta\t{0}.1\n7\tc\t{1}.0\n"),
    ("rechorus", "user_id\titem_id\ttime\n7\tb\t{0}.9\n7\ta\t{0}.1\n7\tc\t{1}\n"),
    ("sessionrec", "SessionId\tItemId\tTime\n7\tb\t{0}.000000900\n7\ta\t{0}.0000003\n7\tc\t{1}\n"),
    ("taobao", "7,b,1,pv,{0}900\n7,a,1,pv,{0}100\n7,c,1,pv,{1}000\n"),
    ("taobao", "7,b,1,pv,{0}900000001\n7,a,1,pv,{0}900000000\n7,c,1,pv,{1}000000000\n")])
def test_events_are_in_order_of_the_whole_time(tmp_path, format, text):
    log = read(saved(tmp_path, text.format(T, T + 1)), format)
    assert items(log) == ["a", "b", "c"] and log.time.tolist() == [T, T, T + 1]


def test_reviews_are_in_order_of_milliseconds(tmp_path):
    rows = [{"rating": 5.0, "parent_asin": f"P{n}", "user_id": "U", "timestamp": T * 1000 + at}
            for n, at in ((1, 923), (2, 100), (3, 50))]
    log = read(saved(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "X.jsonl"), "amazon")
    assert items(log) == ["P3", "P2", "P1"]


@pytest.mark.parametrize(("times", "told"), [
    ([T, T + 1], None), ([T * 10**3, T * 10**3 + 1000], "milliseconds"),
    ([T * 10**6, T * 10**6 + 10**6], "microseconds"), ([T * 10**9, T * 10**9 + 10**9], "nanoseconds"),
    (["2017-11-28 06:01:34", "2017-11-28T06:01:35Z"], "ISO 8601"),
    (["2017-11-28 06:01:34 UTC", "2017-11-28 06:01:35.999 UTC"], "ISO 8601"),
    (["2017-11-28T08:01:34+02:00", "2017-11-28T01:01:35-0500"], "ISO 8601"),
    (["2017/11/28 06:01:34", "2017/11/28 06:01:35"], "ISO 8601"),
    ([20171128060134, 20171128060135], "times are read as days, such as 20140407"),
    (["Tue Nov 28 06:01:34 +0000 2017", "Tue Nov 28 01:01:35 -0500 2017"], "Tue Apr 03")])
def test_units_of_time_are_found_and_told(tmp_path, times, told):
    path = saved(tmp_path, "t;u;i\n" + "".join(f"{t};1;{n}\n" for n, t in enumerate(times)))
    log = read_table(path, {"user": "u", "item": "i", "time": "t"})
    assert log.time.tolist() == [T, T + 1]
    assert log.notes[0] == "log.csv: columns are separated by semicolons"
    assert len(log.notes) == (1 if told is None else 2) and (told or "semicolons") in log.notes[-1]


@pytest.mark.parametrize(("text", "expected"), [
    ("20171128", "2017-11-28T00:00:00"), ("201711280601", "2017-11-28T06:01:00"),
    ("20160229235960", "2016-03-01T00:00:00"),  # a leap second
    ("20171328", None), ("20171131", None), ("20171128250000", None), ("20171128006000", None),
    ("20171128000061", None), ("2017112806", "2017-11-28T06:00:00"), ("2017112825", None), ("20171128060", None),
    ("12101208", None)])
def test_days_in_digits(text, expected):
    found = times.digit_time(text)
    assert np.isnan(found) if expected is None else np.datetime64(found, "us") == np.datetime64(expected)


def test_hours_in_digits_are_no_seconds(tmp_path):
    """2017112806 would be a second of 2033."""
    path = saved(tmp_path, "u,i,t\n1,5,2017112806\n1,6,2017112723\n")
    assert read_table(path, {"user": "u", "item": "i", "time": "t"}).time.tolist() == [1511823600, 1511848800]
    rows = "".join(f"1,{n},{time}\n" for n, time in enumerate(range(2_017_112_850, 2_017_112_900)))
    log = read_table(saved(tmp_path, f"u,i,t\n{rows}"), {"user": "u", "item": "i", "time": "t"})
    assert log.time.tolist() == [*range(2_017_112_850, 2_017_112_900)]  # which are seconds


def test_numbers_that_are_no_days_stay_numbers(tmp_path):
    rows = "".join(f"1,{n},{time}\n" for n, time in enumerate((20171301, 20171128, 20171132, 20171129)))
    log = read_table(saved(tmp_path, f"u,i,t\n{rows}"), {"user": "u", "item": "i", "time": "t"})
    assert sorted(log.time) == [20171128, 20171129, 20171132, 20171301]  # half of them are days, by chance
    assert "4 of 4 times lie before 1990" in log.notes[-1]


@pytest.mark.parametrize("broken", ["yesterday", "2017-11-28 25:00:00", "2017-11-28 00:60:00", "2017-11-28 00:00:61"])
def test_a_broken_first_time_does_not_decide(tmp_path, broken):
    rows = "".join(f"1,{n},2017-11-28 06:01:{34 + n}\n" for n in range(3))
    log = read_table(saved(tmp_path, f"u,i,t\n1,9,{broken}\n{rows}"), {"user": "u", "item": "i", "time": "t"})
    assert log.time.tolist() == [T, T + 1, T + 2] and "skipped 1 of 4 rows" in log.notes[-1]


def test_a_time_in_words_that_is_none_names_its_line(tmp_path):
    rows = "".join(f"1,{n},Tue Nov 28 06:01:34 +0000 2017\n" for n in range(3))
    with pytest.raises(InputError, match=r"log\.csv line 5: time 'Tue Nov 31.*write it as Tue Apr 03"):
        read_table(saved(tmp_path, f"u,i,t\n{rows}1,9,Tue Nov 31 06:01:34 +0000 2017\n1,8,yesterday\n"),
                   {"user": "u", "item": "i", "time": "t"})


@pytest.mark.parametrize(("order", "value", "expected"), [("", "", "view"), ("ordernumber;", "7;", "purchase")])
def test_orders_of_diginetica_are_no_views(tmp_path, order, value, expected):
    log = read(saved(tmp_path, f"sessionId;userId;timeframe;eventdate;{order}itemId\n1;NA;100;2016-05-09;{value}5\n"),
               "diginetica")
    assert log.behaviours == (expected,) and log.items[log.item].tolist() == ["5"]


@pytest.mark.parametrize("start", ["", "a" * 15, "é" * 15, "a" * 16, "é" * 16, "a" * 63, "é" * 63, "é" * 90])
def test_ids_may_differ_in_their_last_letter_alone(tmp_path, start):
    ids = [f"{start}{letter}" for letter in "xyz"]
    log = read_table(saved(tmp_path, "u,i\n" + "".join(f"1,{one}\n" for one in ids)), {"user": "u", "item": "i"})
    assert items(log) == ids


@pytest.mark.parametrize("ends", [(-(1 << 31), (1 << 31) - 1), (-(1 << 31) - 1, 0), (0, 1 << 31), (-(1 << 62), 1 << 62)])
def test_ids_may_be_any_whole_number(tmp_path, ends):
    ids = [*map(str, ends), "7"]
    log = read_table(saved(tmp_path, "u,i\n" + "".join(f"1,{one}\n" for one in ids)), {"user": "u", "item": "i"})
    assert items(log) == ids and log.items.tolist() == ["", *sorted(ids, key=int)]


# Separators, headers, quotes.

@pytest.mark.parametrize(("format", "text", "there", "expected"), [
    ("recbole", "user_id:token item_id:token timestamp:float\n1 10 100\n", "single spaces", "tabs"),
    ("recbole", "user_id:token,item_id:token\n1,10\n", "commas", "tabs"),
    ("rechorus", "user_id,item_id,time\n1,10,100\n", "commas", "tabs"),
    ("rees46", "event_time;event_type;product_id;category_id;user_id\n", "semicolons", "commas"),
    ("taobao", "1;10;1;pv;100\n", "semicolons", "commas"), ("taobao", "1\t10\t1\tpv\t100\n", "tabs", "commas")])
def test_the_separator_that_is_there_is_named_with_the_one_expected(tmp_path, format, text, there, expected):
    message = refused(saved(tmp_path, text), format)
    assert message.startswith("log.csv line 1: ") and there in message and expected in message


def test_all_files_of_movielens_are_one_log(tmp_path):
    rows = [("1", "31", "2.5", T), ("1", "1029", "3.0", T + 5), ("2", "31", "4.5", T + 1)]
    data = saved(tmp_path, "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in rows), "u.data")
    dat = saved(tmp_path, "".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in rows), "ratings.dat")
    text = "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in rows)
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + data.read_text()
    log = read(data, "movielens")
    assert items(log) == ["31", "1029", "31"] and log.behaviour.tolist() == [2, 2, 1]
    equal(log, read(dat, "movielens"), but=())
    equal(log, read(saved(tmp_path, text, "ratings.csv"), "movielens"), but=())
    equal(log, read(saved(tmp_path, inter, "x.inter"), "recbole"), but=())


def test_taobao_may_have_a_header_and_quotes(tmp_path):
    rows = f'1,10,5,pv,{T}\n2,"11",5,"buy",{T}\n'
    plain = read(saved(tmp_path, rows), "taobao")
    for head in ("user_id,item_id,category_id,behavior_type,timestamp", "User ID,Item ID,Category ID,Behavior,Timestamp"):
        equal(plain, read(saved(tmp_path, f"{head}\n{rows}"), "taobao"), but=())
    swapped = f"item_id,user_id,behavior_type,timestamp,category_id\n10,1,pv,{T},5\n11,2,buy,{T},5\n"
    equal(plain, read(saved(tmp_path, swapped), "taobao"), but=())


def test_the_same_log_as_csv_and_as_taobao(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(rng.integers(5), rng.integers(100), rng.integers(4), rng.choice(["pv", "buy"]), T + rng.integers(1000))
            for _ in range(300)]
    plain = read(saved(tmp_path, "".join(f"{u},{i},{c},{b},{t}\n" for u, i, c, b, t in rows)), "taobao")
    text = "x|when|did|what|kind|who\n" + "".join(f"a b|{t}|{b}|{i}|{c}|{u}\n" for u, i, c, b, t in rows)
    columns = dict(user="who", item="what", category="kind", behaviour="did", time="when")
    equal(plain, read_table(saved(tmp_path, text), columns, ("buy", "cart", "fav", "pv")), but=("notes",))
    numbers = dict(user="6", item="4", category="5", behaviour="3", time="2")
    headless = text.partition("\n")[2]
    equal(plain, read_table(saved(tmp_path, headless), numbers, ("buy", "cart", "fav", "pv"), header=False))
    equal(plain, read(saved(tmp_path, gzip.compress(text.encode())), "csv", ("buy", "cart", "fav", "pv"),
                      columns=columns))


@pytest.mark.parametrize(("text", "separator"), [
    ("u1\t2017-11-28T06:01:34Z\ta\tDeep Dish\tMe, You, Him, Her, It and They (Live)\n", "tabs"),  # Last.fm 1K
    ("u1 2017-11-28T06:01:34Z a\n", "single spaces"), ("u1,2017-11-28 06:01:34,a,The Long Good Bye\n", "commas"),
    ("u1;2017-11-28 06:01:34;a;3,5\n", "semicolons"), ("u1,2017-11-28 06:01:34,a,War|Drama|Comedy\n", "commas")])
def test_names_in_a_table_without_header_do_not_hide_its_separator(tmp_path, text, separator):
    log = read(saved(tmp_path, text), "csv", columns=dict(user="1", item="3", time="2"), header=False)
    assert (log.users[1], log.items[1], log.time.tolist()) == ("u1", "a", [T])
    assert f"log.csv: columns are separated by {separator}" in log.notes


def test_movielens_as_kaggle_passes_it_on(tmp_path):
    text = '"userId","movieId","rating","timestamp"\n1,2,3.5,"2017-11-28 06:01:34"\n1,3,5,"2017-11-28 06:01:30"\n'
    log = read(saved(tmp_path, text), "movielens")
    assert items(log) == ["3", "2"] and log.time.tolist() == [T - 4, T]


def test_jdata_of_2019_has_no_categories(tmp_path):
    text = "user_id,sku_id,action_time,module_id,type\n7,20,2017-11-28 06:01:34,81,1\n"
    log = read(saved(tmp_path, text), "jdata")
    assert items(log) == ["20"] and log.time.tolist() == [T] and log.category is None


def test_lines_may_end_in_cr_alone(tmp_path):
    text = "1,20,5,pv,100\r2,30,6,buy,200\r"
    one, other = (read(saved(tmp_path, lines), "taobao") for lines in (text, text.replace("\r", "\n")))
    equal(one, other, but=())


def test_control_characters_of_a_file_are_shown_as_escapes(tmp_path):
    rows = f"1,2\x1b[31m,5,pv,{T}\n1,2\x1b[31m,6,pv,{T + 1}\n"
    note, = read(saved(tmp_path, rows), "taobao").notes
    assert "the first is item 2\\x1b[31m)" in note and note.isprintable()


@pytest.mark.parametrize(("columns", "words"), [
    ({"user": "u"}, "must name user and item"), ({"user": "u", "item": "i", "colour": "c"}, "must name user and item"),
    ({"user": "u", "item": "nothing"}, "line 1: the header has no column nothing"),
    ({"user": "u", "item": "nothing"}, "it has u, i, t"),
    ({"user": "u", "item": "u", "time": "t"}, "--columns gives u for two things"),
    ({"user": "u", "item": "i", "time": "i"}, "--columns gives i for two things")])
def test_columns_that_are_not_there(tmp_path, columns, words):
    assert words in refused(saved(tmp_path, "u,i,t\n1,2,3\n"), "csv", columns=columns)


def test_an_item_may_be_its_own_category(tmp_path):
    path = saved(tmp_path, f"u,i,t\n1,20,{T}\n1,30,{T + 1}\n")
    log = read_table(path, dict(user="u", item="i", category="i", time="t"))
    assert log.category.tolist() == log.item.tolist() == [1, 2] and list(log.categories) == ["", "20", "30"]


@pytest.mark.parametrize(("format", "text", "choices", "words"), [
    ("csv", f"5|6|{T}\n", {"columns": {"user": "1", "item": "2"}}, "give --no-header if columns are meant by number"),
    ("taobao", '{"user": 1}\n', {}, "line 1: is JSON: reviews of Amazon are read by --format amazon"),
    ("csv", "u,i,t\n1,2,28.11.2017\n", {"columns": {"user": "u", "item": "i", "time": "t"}}, "2014-04-07T10:51:09Z"),
    ("recbole", "session_id:token\titem_id_list:token_seq\titem_id:token\n1\t5 6\t7\n", {}, "a list of items in each row"),
    ("amazon", "A,B,4.0,1\nC,B,4.0,1\n", {}, "--format csv --no-header --columns user=1,item=2,rating=3,time=4"),
    ("csv", "u,i,u\n1,2,3\n", {"columns": {"user": "u", "item": "i"}}, "more than one column u, rename one")])
def test_sentences_lead_to_what_works(tmp_path, format, text, choices, words):
    assert words in refused(saved(tmp_path, text), format, **choices)


def test_recbole_names_of_sessions_and_products(tmp_path):
    text = f"session_id:token\tproduct_id:token\ttimestamp:float\ns1\t5\t{T}\ns0\t7\t{T}\n"
    log = read(saved(tmp_path, text, "x.inter"), "recbole")
    assert log.users.tolist() == ["", "s0", "s1"] and items(log) == ["7", "5"]


def test_user_item_lines(tmp_path):
    log = read(saved(tmp_path, "1 5\n2 5\n1 4\n1 4\n"), "sasrec")
    assert items(log) == ["5", "4", "4", "5"] and log.time is None and log.notes == ()


# Repeats, categories, ids.

def test_exact_repeats_are_dropped_and_counted(tmp_path):
    path = saved(tmp_path, f"1,12,1,buy,{T}\n1,12,1,buy,{T}\n1,12,1,pv,{T}\n1,11,1,buy,{T}\n1,12,1,buy,{T}\n"
                           f"1,12,1,buy,{T + 1}\n")
    log = read(path, "taobao")
    assert items(log) == ["12", "12", "11", "12"] and log.behaviour.tolist() == [1, 4, 1, 1]
    assert log.notes == ("log.csv: dropped 2 of 6 events, each repeats another one in user, item, behaviour, "
                         "category and time",)
    log = read(path, "taobao", keep_repeats=True)
    assert items(log) == ["12", "12", "12", "11", "12", "12"]  # in the order of the file


@pytest.mark.parametrize(("kind", "value", "category"), [
    ("token_seq", "'Sports & Outdoors', 'Balls'", "Sports & Outdoors"),
    ("token_seq", "{'Sports & Outdoors'}", "Sports & Outdoors"), ("token", "['Kid\\'s', 'x']", "Kid\\'s"),
    ("token_seq", '["Kid\'s", "x"]', "Kid's"), ("token_seq", "War Drama", "War"),
    ("token", "War Drama", "War Drama"), ("token", "War|Drama", "War")])
def test_category_is_the_first_whole_element(tmp_path, kind, value, category):
    saved(tmp_path, f"item_id:token\tcategories:{kind}\n10\t{value}\n", "x.item")
    log = read(saved(tmp_path, f"user_id:token\titem_id:token\ttimestamp:float\n1\t10\t{T}\n", "x.inter"), "recbole")
    assert log.categories.tolist() == ["", category]


def test_times_in_scientific_notation_are_noted(tmp_path):
    path = saved(tmp_path, "u,i,t\n1,5,1.5E9\n1,6,9.78E+08\n1,7,978000001\n2,5,9.7E+08\n")
    log = read_table(path, {"user": "u", "item": "i", "time": "t"})
    assert log.time.tolist() == [978000000, 978000001, 1500000000, 970000000]
    assert ("log.csv: found 2 rows with a time in scientific notation: a spreadsheet may have rounded it (the first is "
            "line 3)") in log.notes


def test_behaviours_and_ratings_are_not_both_read(tmp_path):
    path = saved(tmp_path, "u,i,b,r\n1,5,view,4\n")
    columns = {"user": "u", "item": "i", "behaviour": "b", "rating": "r"}
    with pytest.raises(InputError, match="a behaviour and a rating, of which one says what happened"):
        read_table(path, columns)
    assert read_table(path, {"user": "u", "item": "i", "rating": "r"}).behaviours == ("pos", "neutral", "neg")


@pytest.mark.parametrize(("name", "good"), [('27" screen', True), ('"27"" screen, wide"', True), ('"open', False)])
def test_a_quote_without_its_second_is_named(tmp_path, name, good):
    path = saved(tmp_path, f"u,i,name,t\n1,5,{name},{T}\n1,6,b,{T}\n")
    log = read_table(path, {"user": "u", "item": "i", "time": "t"})
    assert items(log) == ["5"] * good + ["6"]
    told = any('line 2: 3 fields where 4 separated by commas are expected, its quotes " do not come in pairs: mend the '
               "line" in note for note in log.notes)
    assert told != good


def test_ids_in_scientific_notation_are_noted(tmp_path):
    log = read(saved(tmp_path, f'1.51185E+09,7,1,pv,{T}\n12,"3,1e+16",1,pv,{T + 1}\n'), "taobao")
    assert [note.split(":")[1][:44] for note in log.notes] == [" found 1 user id in scientific notation, suc",
                                                              " found 1 item id in scientific notation, suc"]


# What people have in place of a clean file.

IDS = {"user": "u", "item": "i"}


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "null", "None", "<NA>", "\\N"])
def test_a_missing_id_is_no_id(tmp_path, word):
    rows = "".join(f"{n % 5},{n % 7},3\n" for n in range(2000))
    for one, name in ((f"{word},1,3\n", "user"), (f"1,{word},3\n", "item")):
        log = read_table(saved(tmp_path, f"u,i,c\n{rows}{one}"), {**IDS, "category": "c"})
        assert len(log.user) == 2000 and word not in (*log.users, *log.items)
        assert f"(the first is line 2002: the {name} is {word}, fill it in" in log.notes[-2]
        assert f"the {name} is {word}" in refused(saved(tmp_path, f"u,i,c\n{one}{one}1,2,3\n"), "csv", columns=IDS)
    log = read_table(saved(tmp_path, f"u,i,c\n1,2,{word}\n1,3,4\n"), {**IDS, "category": "c"})
    assert log.categories.tolist() == ["", "4"] and log.category.tolist() == [0, 1]
    assert read_table(saved(tmp_path, f"u,i,c\n1,2,{word}\n1,3,4\n"), {**IDS, "behaviour": "c"}).behaviours == (
        tuple(sorted([word, "4"])))  # told by name, and may be meant


def test_a_missing_id_of_reviews_and_a_missing_category_beside_the_log(tmp_path):
    log = read(saved(tmp_path, reviews([T]) + reviews([T + 1], asin="NULL"), "X.json"), "amazon")
    assert len(log.user) == 1 and "it has no parent_asin or asin" in log.notes[0]
    saved(tmp_path, "item_id\ti_category\n10\tNaN\n11\t5\n", "item_meta.csv")
    log = read(saved(tmp_path, f"user_id\titem_id\ttime\n1\t10\t{T}\n1\t11\t{T + 1}\n"), "rechorus")
    assert log.categories[log.category].tolist() == ["", "5"] and "no category for 1 of 2 items" in log.notes[-1]


def test_names_of_columns_in_any_script(tmp_path):
    path = saved(tmp_path, f"用户_ID,时间,物品,#\n7,{T},20,1\n")
    log = read_table(path, {"user": "用户 id", "item": "物品", "time": "时间"})
    assert (log.users[1], log.items[1], log.time.tolist()) == ("7", "20", [T])
    for other in ("商品", "商品 ID", "?!"):
        assert f"the header has no column {other}" in refused(path, "csv", columns={"user": "用户_ID", "item": other})


@pytest.mark.parametrize("number", ["-1", "1.", "1 2", "", "0", "4", "item"])
def test_what_is_no_number_of_a_column(tmp_path, number):
    says = refused(saved(tmp_path, "1,2,3\n"), "csv", columns={"user": "2", "item": number}, header=False)
    assert f"column item={number}: without a header give a number from 1 to 3" in says


def test_a_line_without_time_is_cut_by_the_separator_that_it_has(tmp_path):
    says = refused(saved(tmp_path, "userId,movieId,rating\n1,2,3\n"), "movielens")
    assert "line 1: 3 fields where 4 separated by commas are expected" in says


@pytest.mark.parametrize(("ids", "told"), [
    (["12", "12.0"], "12.0 and 12"), (["007", "7"], "007 and 7"), (["12.0", "13.0"], None), (["007", "08"], None),
    (["0", "x"], None), (["0", "0.0"], "0.0 and 0"), (["é", "e\u0301"], "e\\u0301 and \\xe9"), (["é", "e"], None),
    (["e\u0301", "x"], None), (["\uff11\uff12", "12"], "\\uff11\\uff12 and 12")])
def test_ids_in_two_spellings_are_noted(tmp_path, ids, told):
    for name, rows in (("item", [f"1,{one}\n" for one in ids]), ("user", [f"{one},1\n" for one in ids])):
        log = read_table(saved(tmp_path, "u,i\n" + "".join(rows)), IDS)
        assert len(log.user) == 2
        assert log.notes[1:-1] == ((f"log.csv: found 1 {name} id in two spellings, such as {told}: they are read as two "
                                  f"{name}s",) if told else ())


@pytest.mark.parametrize(("first", "told"), [  # datetime(2017, 11, 25).Ticks in C#, its first and last year, and others
    (636_471_648 * 10**9, True), (630_822_816 * 10**9, True), (662_380_415 * 10**9, True),
    (630_822_815 * 10**9, False), (662_380_416 * 10**9, False), (T * 10**9, False), (T * 1000, False), (T, False)])
def test_ticks_of_net_are_noted(tmp_path, first, told):
    log = read_table(saved(tmp_path, f"u,i,t\n1,5,{first}\n2,6,{first}\n"), {**IDS, "time": "t"})
    says = "log.csv: the 2 times may be ticks of .NET, of 100 ns since year 1, and are read as nanoseconds of 1990"
    assert any(note.startswith(says) for note in log.notes) == told


def test_behaviours_that_no_event_has_are_noted(tmp_path):
    path, columns = saved(tmp_path, "u,i,b\n1,5,view\n1,6,buy\n"), {**IDS, "behaviour": "b"}
    for names, absent in ((("buy", "cart", "view", "fav"), "cart or fav"), (("buy", "view"), None), (None, None)):
        told = f"log.csv: no event is {absent}, which --behaviours names"
        assert (told in read_table(path, columns, names).notes) == bool(absent)
    assert not any("no event" in note for note in read(saved(tmp_path, f"1,5,2,pv,{T}\n"), "taobao").notes)


@pytest.mark.parametrize(("format", "head", "columns"), [("csv", "u,i", IDS), ("csv", '"u","i"', IDS),
                                                         ("recbole", "user_id:token\titem_id:token", None)])
def test_a_header_in_the_middle_is_no_event(tmp_path, format, head, columns):
    rows = "".join(f"a{n % 5}\tb{n % 7}\n" for n in range(1000))
    rows = rows.replace("\t", "," if format == "csv" else "\t")
    log = read(saved(tmp_path, f"{head}\n{rows}{head}\n{rows}"), format, columns=columns)
    assert len(log.user) == 2000 and log.users.tolist() == ["", "a0", "a1", "a2", "a3", "a4"]
    assert "skipped 1 of 2001 rows as broken (the first is line 1002: is the header once more" in " ".join(log.notes)
    log = read_table(saved(tmp_path, "u,i\nu,1\n1,i\n"), IDS)  # half of it is an id
    assert sorted(log.users[log.user]) == ["1", "u"]


def test_a_table_without_a_time_says_what_the_order_is(tmp_path):
    path = saved(tmp_path, f"u,i,t\n1,6,{T + 1}\n1,5,{T}\n")
    log = read_table(path, IDS)
    assert items(log) == ["6", "5"]
    assert log.notes[-1] == "log.csv: without time= in --columns events stay in the order of the file"
    log = read_table(path, {**IDS, "time": "t"})
    assert items(log) == ["5", "6"] and log.notes == ("log.csv: columns are separated by commas",)


def test_a_header_where_none_is_expected_is_noted(tmp_path):
    numbers, words = {"user": "1", "item": "2"}, "log.csv line 1: holds no digit: if it is a header, leave --no-header out"
    for text, told in (("user,item\n1,2\n", True), ("u1,item\n1,2\n", False)):
        notes = read_table(saved(tmp_path, text), numbers, header=False).notes
        assert any(note.startswith(words) for note in notes) == told


def test_ratings_of_0_are_noted(tmp_path):
    path = saved(tmp_path, "u,i,r\n1,5,4\n1,6,0\n1,7,0.0\n1,8,0.5\n")
    log = read_table(path, {**IDS, "rating": "r"})
    assert [log.behaviours[k - 1] for k in log.behaviour] == ["pos", "neg", "neg", "neg"]
    assert log.notes[1:-1] == ("log.csv: found 2 rows with rating 0, read as neg: leave them out if 0 stands for no "
                             "rating (the first is line 3)",)


@pytest.mark.parametrize(("time", "told"), [("2099-12-31T23:59:59", 0), ("2100-01-01T00:00:00", 2)])
def test_times_after_2100_are_noted(tmp_path, time, told):
    log = read_table(saved(tmp_path, f"u,i,t\n1,5,{time}\n1,6,{time}.5\n1,7,2099-01-01T00:00:00\n"), {**IDS, "time": "t"})
    words = f"log.csv: {told} of 3 times lie after 2100 (the latest in 2100-01-01): are they seconds since 1970?"
    assert (words in log.notes) == bool(told) and ("after 2100" in " ".join(log.notes)) == bool(told)


@pytest.mark.parametrize(("start", "kind"), [
    (b"PK\x03\x04\x14\0", "a zip archive or an Excel sheet"), (b"\xd0\xcf\x11\xe0", "an Excel sheet"), (b"BZh91AY&SY", "bzip2"),
    (b"\xfd7zXZ\0", "xz"), (b"(\xb5/\xfd", "zstd"), (b"7z\xbc\xaf", "7z"), (b"Rar!\x1a\x07", "rar"),
    (b"SQLite format 3\0", "a database"), (b"PAR1\x15\x04", "Parquet"), ("u,i\n1,2\n".encode("utf-16"), "UTF-16"),
    ("u,i\n1,2\n".encode("utf-16-be"), "UTF-16"), ("u,i\n1,2\n".encode("utf-16-le"), "UTF-16"),
    (b"a.csv" + bytes(252) + b"ustar", "a tar archive")])
def test_what_a_file_is_that_is_no_text(tmp_path, start, kind):
    for data in (start + b"u,i\n", gzip.compress(start + b"u,i\n")):
        says = refused(saved(tmp_path, data), "csv", columns=IDS)
        assert says.startswith(f"log.csv line 1: is not UTF-8 text but {kind}: ") and len(says) < 150


@pytest.mark.parametrize("user", ["BZh9", "PAR1", "7z", "PK"])
def test_a_user_may_be_called_as_an_archive_begins(tmp_path, user):
    assert read_table(saved(tmp_path, f"{user},1\n"), {"user": 1, "item": 2}, header=False).users[1] == user


@pytest.mark.parametrize("head", ['{"u": 1, "i": 2}', "{'u': 1, 'i': 2}", "{u'u': 1}", '[{"u": 1}]', "[", "[{", "{", "  {"])
def test_json_is_named_however_it_begins(tmp_path, head):
    says = refused(saved(tmp_path, f"{head}\n1,2\n"), "csv", columns=IDS)
    assert "is JSON: " in says and says.endswith("write it as a table with an event a row")


def test_no_event_is_left_to_tell_the_unit_of(tmp_path, recwarn):
    assert "behaviour '1' is unknown, allowed here are (buy, cart, fav, pv): name it in --behaviours, or" in refused(
        saved(tmp_path, f"1,10,5,1,{T}\n1,11,5,1,{T}\n"), "taobao")
    read_table(saved(tmp_path, f"u,i,b,t\n1,2,a,{T}\n"), {**IDS, "behaviour": "b", "time": "t"})
    with pytest.raises(InputError, match="behaviour 'a' is unknown"):
        read_table(tmp_path / "log.csv", {**IDS, "behaviour": "b", "time": "t"}, ("b",))
    assert not recwarn.list


def test_names_on_the_command_line_may_have_blanks_around_them(tmp_path):
    path = saved(tmp_path, f"u,i,b,t\n1,5,add to cart,{T}\n1,6,buy,{T}\n")
    given = runs.Task(str(path), "csv", "buy", columns="user=u, item = i,time=t , behaviour=b", behaviours="buy, add to cart")
    assert read_task(given, path).behaviours == ("buy", "add to cart")
    for change in ({"behaviours": "buy,,view"}, {"columns": "user=u,,item=i"}):
        option, value = next(iter(change.items()))
        with pytest.raises(InputError, match=f"--{option} {value}: write names with commas between"):
            read_task(replace(given, **change), path)


# Samples.

def test_a_sample_is_the_same_for_every_order_and_spelling(tmp_path):
    rng = np.random.default_rng(1)
    rows = [(int(rng.integers(200)), n, T + n) for n in range(4000)]
    columns = dict(user="u", item="i", time="t")
    whole = read_table(saved(tmp_path, "u,i,t\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows)), columns)
    some = read_table(tmp_path / "log.csv", columns, sample_users=20)
    kept = set(some.users[1:].tolist())
    assert len(kept) == 20
    expected = [(str(u), str(i)) for u, i, _ in rows if str(u) in kept]
    assert set(zip(some.users[some.user].tolist(), items(some), strict=True)) == set(expected)
    assert f"log.csv: kept 20 users and {len(expected):,} of 4,000 events ({len(expected) / 4000:.1%})" in some.notes
    rows.reverse()
    text = "".join(f"{u},{i},{t}\n" for u, i, t in rows) + f"x,1,{T}\n"  # one id of letters: all are texts
    other = read_table(saved(tmp_path, "u,i,t\n" + text), columns, sample_users=20)
    assert len(kept - set(other.users.tolist())) <= 1  # x may have come in
    assert len(whole.users) == 201


def test_broken_rows_of_a_sample_are_a_share_of_the_whole_file(tmp_path):
    rows = [f"{n % 100},{n},1,pv,{T + n}" for n in range(3000)]
    rows[5], rows[700] = "1,2,3", "1,2,3"  # more than one in a thousand of the 30 events that are kept
    log = read(saved(tmp_path, "\n".join(rows) + "\n"), "taobao", sample_users=1)
    assert len(log.user) == 30 and any("skipped 2 of 3000 rows as broken" in note for note in log.notes)


def test_a_sample_of_broken_rows_alone_is_refused(tmp_path):
    outcomes = []
    for broken, good in (("7", "8"), ("8", "7")):  # one of the two is the user who is kept
        path = saved(tmp_path, f"{broken},1,1,pv,-5\n" + f"{good},1,1,pv,{T}\n" * 3)
        try:
            outcomes.append(read(path, "taobao", sample_users=1).users.tolist())
        except InputError as error:
            outcomes.append(str(error)[:28])
    assert "log.csv line 1: time -5 is n" in outcomes and (["", "7"] in outcomes or ["", "8"] in outcomes)


# The two parsers.

FIELD = st.sampled_from(["1", "20", "01", "+1", "-1", " 3", "x", "", "1.0", "9" * 20, "y z", '"4"', '"a""b"', "1e3", "é"])
LINES = st.lists(st.tuples(FIELD, FIELD, st.sampled_from(["pv", "buy", " pv", "qv", ""]),
                           st.sampled_from([str(T), str(T + 1), f"{T}.5", "", "soon", "-5", "nan"])), min_size=1)


@given(LINES)
def test_both_parsers_give_the_same_log(tmp_path_factory, rows):
    lines = ["1,2,pv,5,3"] * 500 + [",".join([*row, "3"]) for row in rows] + ["1,2,pv,5,3"] * 500
    folder = tmp_path_factory.mktemp("both")
    columns = dict(user="1", item="2", behaviour="3", time="4", category="5")
    text = "\n".join(line.replace(",5,", f",{T},") for line in lines) + "\n"
    found = []
    for name, more in (("fast.csv", ""), ("slow.csv", "\n")):  # a blank line is left to the slow parser
        try:
            found.append(read(saved(folder, more + text, name), "csv", ("buy", "pv"), columns=columns, header=False))
        except InputError as error:
            found.append(str(error).replace("slow", "fast"))
    if isinstance(found[0], str):
        assert isinstance(found[1], str)
    else:
        equal(*found)


def compare_parsers(data, separator):
    """Assert that what load_table gives, if anything, is what parse_lines gives.  -> was there anything?"""
    layout, found = Layout(separator, 2, {"user": 0, "item": 1}), Findings("x", [], {})
    quick = load_table(data, layout)
    if quick is None:
        return False
    slow = parse_lines(found, 1, data, layout)
    line = slow.pop("line").values
    assert not found.broken and not found.notes and line.tolist() == [*range(1, len(line) + 1)]
    for name in slow:
        assert (quick[name].names is None) == (slow[name].names is None)
        one, other = texts_of(quick[name]), texts_of(slow[name])
        assert [one.names[k] for k in one.values] == [other.names[k] for k in other.values]
    return True


NUMBERS = [b"1", b"20", b"0", b"-1", b"01", b"9" * 18, b"9" * 19, b"-" + b"9" * 18]
ODD = [b" 3", b"x", b"", b'"4"', b'"', b'"04"', b'"a""b', b'4"5', b"\xc2\xa004", b"\xc3\xa9", b"\xff", b"\xef\xbb\xbf", b"\0", b" ", b"\t", b"::", b"pv", b"\r",
       b"l" * 201, b"abcdefghi"]
ROW = st.tuples(st.sampled_from(NUMBERS), st.one_of(st.sampled_from(NUMBERS), st.sampled_from(ODD)))


@given(st.lists(ROW, min_size=1, max_size=12), st.sampled_from([",", "\t", " ", "::"]), st.booleans())
def test_numpys_parser_gives_what_lines_give_or_nothing(rows, separator, crlf):
    end = b"\r\n" if crlf else b"\n"
    compare_parsers(b"".join(separator.encode().join(row) + end for row in rows), separator)


@pytest.mark.parametrize(("data", "separator"), [
    (b"1,20\n3,4\n", ","), (b"1::20\r\n3::4\r\n", "::"), (b'"1","x y"\n"3",z\n', ","), (b"1 \xc3\xa9\n3 4\n", " "),
    (b"1\t" + b"9" * 18 + b"\n10\t2\n", "\t"), (b"1," + b"9" * 19 + b"\n10,2\n", ","), (b",\n,x\n", ","),
    (b"01,+3\n-2,1\n", ","), (b"5,1\n00,1\n", ","), (b"1,5\n2,+3\n", ","),
    (b"10,1\n9" + b"0" * 18 + b",2\n", ","), (b"00,1\n0,1\n", ","), (b"1,:\n2,/\n", ","), (b"1,2\r\n3,pv\r\n", ","),
    (b"".join(b"%d,name%d\n" % (n, n) for n in range(20)), ","), (b"1,abcdefgh\n1,abcdefghi\n", ","),
    (b'1,"2\n', ","), (b'1,"a,b"\n', ","), (b'1,"a""b"\n', ","), (b'1,"01"\n"2",3\n', ","), (b'"-5",a"b\n', ","),
    (b"0.5,0\n-1,00\n", ","), (b"1::-999999999999999999\n", "::"), (b"1::02\n", "::"), ("1,2\n\xa003,4\n".encode(), ",")])
def test_what_numpys_parser_can_read(data, separator):
    assert compare_parsers(data, separator)


@pytest.mark.parametrize(("data", "separator"), [
    (b"1,2\n\n3,4\n", ","), (b"1,2\n1,2,3\n1\n", ","), (b'1,"2\n3,4\n', ","), (b"1,2\n\xff,3\n", ","), (b"1,2\n1,\0\n", ","),
    (b"1 2\n 3\n", " "), (b"1 2\n\t \t\n", " "), (b"1\t2\n\t\n", "\t"), (b"1,2\n\xef\xbb\xbf1,2\n", ","),
    (b"1," + b"x" * 201 + b"\n", ","), (b"1::2\t\n", "::")])
def test_what_numpys_parser_leaves_to_lines(data, separator):
    assert load_table(data, Layout(separator, 2, {"user": 0, "item": 1})) is None


@pytest.mark.parametrize("size", [1, 10**6 - 1, 10**6, 2 * 10**6])
def test_the_unit_of_very_many_times(size):
    """A share of them is looked at."""
    assert times.units_per_second(np.full(size, 1_511_600_000_000)) == 1000
    assert times.units_per_second(np.full(size, 1_511_600_000)) == 1


def test_units_and_suspicions_at_their_bounds():
    """Up to 10^11 s; before 1990 is odd, and so is what lies behind a gap longer than a year and than all the rest."""
    assert [times.units_per_second(np.array([n])) for n in (10**11 - 1, 10**11)] == [1, 1000]
    for k in range(3, 40):  # the median of all, not of each k-th
        assert times.units_per_second(np.where(np.arange(2000) % k, 5, 10**14)) == 1
    start, year = 631_152_000, 365 * 86400
    assert times.suspicions(*2 * [np.arange(start, start + 20)]) == []
    early, = times.suspicions(*2 * [np.arange(start - 1, start + 20)])
    assert early.startswith("1 of 21 times lie before 1990")
    apart = np.append(start, start + 0.6 * year + np.linspace(0, year // 2, 20)).astype(int)
    assert times.suspicions(apart, apart) == []  # .6 of a year before half a year
    assert [len(times.suspicions(*2 * [start + np.arange(n) % 2])) for n in (1998, 1999, 2000)] == [0, 0, 1]
    rest = np.linspace(0, 2 * year, 2998).astype(int)
    assert times.count_outliers(np.append(rest, [int(3.9 * year), int(6.4 * year)])) == 0  # 2.5 years behind 3.9
    assert times.count_outliers(np.append(rest, [5 * year, int(5.1 * year)])) == 2


@pytest.mark.parametrize("value, kind", [(9 * 10**18 - 1, np.int64), (1 - 9 * 10**18, np.int64), (9 * 10**18, np.float64),
                                         (2**63, np.float64), (-2**64, np.float64)])
def test_a_number_that_an_int64_may_not_hold_is_a_float(value, kind):
    found = times.numbers_of(Column(np.zeros(2, np.int32), [str(value)]))
    assert found.dtype == kind and found.tolist() == [value] * 2


@pytest.mark.parametrize("size", [10**4, 3 * 10**4])
def test_many_times_that_are_hardly_different(size):
    same, different = np.full(size, 1_511_600_000), 1_511_600_000 + np.arange(size)
    assert [line.partition(",")[0] for line in times.suspicions(same, same)] == [f"the {size} times are hardly different"]
    assert times.suspicions(different, different) == []


def test_a_wide_header_is_told_by_its_first_twelve_columns(tmp_path):
    names = [f"c{n}" for n in range(1, 16)]
    says = refused(saved(tmp_path, ",".join(names) + "\n" + ",".join("1" * 15) + "\n"), "csv", columns={"user": "c1", "item": "c99"})
    assert says.endswith("; it has " + ", ".join(names[:12]))


def test_long_names_of_columns_are_cut(tmp_path):
    names = [str(n) * 60 for n in range(1, 10)]
    says = refused(saved(tmp_path, ",".join(names) + "\n"), "csv", columns={"user": names[0], "item": "x"})
    assert says.endswith("; it has " + ", ".join(names)[:300])


@pytest.mark.parametrize(("size", "good"), [(200, True), (201, False)])
def test_an_id_has_at_most_200_letters(tmp_path, size, good):
    raw = "a" * size
    log = read(saved(tmp_path, f"7,20,5,pv,{T}\n7,{raw},5,pv,{T + 1}\n"), "taobao")
    assert (raw in log.items) == good and any("a field has more than 200 characters" in note for note in log.notes) != good
    log = read(saved(tmp_path, reviews([T]) + reviews([T + 1], asin=raw), "X.json"), "amazon")
    assert (raw in log.items) == good and any("it has no parent_asin or asin" in note for note in log.notes) != good


def test_all_columns_that_there_are_and_the_widest_table(tmp_path):
    ours = ("user", "item", "time", "behaviour", "rating", "category", "label")
    more = [f"x{n}" for n in range(table.WIDEST_TABLE - len(ours))]
    lines = [",".join([*ours, *more]), ",".join(["7", "20", str(T), "buy", "5", "3", "1", *"0" * len(more)])]
    columns = {name: name for name in ours if name != "rating"}
    log = read_table(saved(tmp_path, "\n".join(lines) + "\n"), columns)
    assert (log.users[1], log.items[1], log.time[0], log.behaviours, log.categories[1]) == ("7", "20", T, ("buy",), "3")
    wider = saved(tmp_path, "".join(f"{line},{line[0]}\n" for line in lines))
    assert f"has {table.WIDEST_TABLE + 1:,} columns" in refused(wider, "csv", columns={"user": "user", "item": "item"})


def test_fifty_behaviours_are_taken_and_one_more_is_not(tmp_path):
    rows = [f"7,{n},b{n}\n" for n in range(51)]
    columns = {"user": 1, "item": 2, "behaviour": 3}
    assert len(read_table(saved(tmp_path, "".join(rows[:50])), columns, header=False).behaviours) == 50
    assert "has 51 different behaviours" in refused(saved(tmp_path, "".join(rows)), "csv", columns=columns, header=False)
