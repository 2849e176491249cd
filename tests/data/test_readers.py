"""mbref.data.readers.shops on small files whose logs are written out by hand, on broken files, and on real ones."""
from pathlib import Path

import numpy as np
import pytest

from mbref.data.readers import FORMATS, read, shops as readers
from mbref.data.readers.events import rating_to_behaviour
from mbref.errors import InputError
from tests.optional import find_logs, given, st

ORACLE = Path(__file__).parents[1] / "oracles" / "hmar__taobao_pert.npz"

GOOD = {  # one valid file of every format
    "csv": "who,what,kind,when\n7,20,pv,1000000100\n7,30,buy,1000000200\n",
    "taobao": "7,20,5,pv,1000000100\n7,30,6,buy,1000000200\n",
    "hmar": "user item behaviour\n7 20 pv\n7 30 buy\n",
    "recbole": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t20\t4\t1000000100\n7\t30\t1\t1000000200\n",
    "movielens": "7\t20\t4\t1000000100\n7\t30\t1\t1000000200\n",
    "amazon": '{"reviewerID": "7", "asin": "20", "overall": 4.0, "unixReviewTime": 1000000100}\n'
              '{"reviewerID": "7", "asin": "30", "overall": 1.0, "unixReviewTime": 1000000200}\n',
    "s3rec": "7 20 30\n",
    "rechorus": "user_id\titem_id\ttime\n7\t20\t1000000100\n7\t30\t1000000200\n",
    "diginetica": "sessionId;userId;itemId;timeframe;eventdate\n"
                  "7;NA;20;6500000;2001-09-09\n7;NA;30;6600000;2001-09-09\n",
    "yoochoose": "7,2001-09-09T01:48:20.000Z,20,0\n7,2001-09-09T01:50:00.000Z,30,0\n",
    "sasrec": "7 20\n7 30\n",
    "retailrocket": "timestamp,visitorid,event,itemid,transactionid\n1000000100000,7,view,20,\n"
                    "1000000200000,7,transaction,30,5\n",
    "rees46": "event_time,event_type,product_id,category_id,brand,user_id\n2001-09-09 01:48:20 UTC,view,20,5,a b,7\n"
              "2001-09-09 01:50:00 UTC,purchase,30,6,,7\n",
    "jdata": "user_id,sku_id,time,model_id,type,cate,brand\n7,20,2001-09-09 01:48:20,,1,8,3\n"
             "7,30,2001-09-09 01:50:00,12,4,8,3\n",
    "sessionrec": "SessionId\tItemId\tTime\n7\t20\t1000000100\n7\t30\t1000000200.0\n",
}
CHOICES = {"csv": {"columns": {"user": "who", "item": "what", "behaviour": "kind", "time": "when"}}}
NOTES = {  # on a GOOD file in a format that finds something out
    "csv": ("log.csv: columns are separated by commas",
            "log.csv: behaviours in the order buy, pv; --behaviours gives another"),
    "retailrocket": ("log.csv: times are read as milliseconds",),
    "rees46": ("log.csv: times are ISO 8601, of UTC unless they name a zone",),
    "jdata": ("log.csv: times are ISO 8601, of UTC unless they name a zone",),
}
ALONE = "there is no such file beside the log, so items have no categories"
BESIDE = {  # the notes on a GOOD file whose file of categories is missing
    "amazon": (f"meta_log.csv.json: {ALONE}",),
    "s3rec": (f"log_item2attributes.json: {ALONE}",),
    "rechorus": (f"item_meta.csv: {ALONE}",),
    "diginetica": (f"product-categories.csv: {ALONE}",),
}


def saved(folder, text, name="log.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(path, format):
    return read(path, format, **CHOICES.get(format, {}))


def refused(path, format, behaviours=None):
    with pytest.raises(InputError) as caught:
        read(path, format, behaviours, **CHOICES.get(format, {}))
    message = str(caught.value)
    assert "\n" not in message
    return message


# What a log holds.

def test_taobao_by_hand(tmp_path):
    # Unsorted; 9 < 10 < 100 as numbers, not as text; user 10 has two events at time 50, kept in file order.
    text = "10,100,3,buy,50\n10,9,40,cart,50\n9,10,3,fav,70\n10,9,40,pv,20\n9,100,3,pv,60\n"
    log = read(saved(tmp_path, text), "taobao")
    assert log.users.tolist() == ["", "9", "10"]
    assert log.items.tolist() == ["", "9", "10", "100"]
    assert log.categories.tolist() == ["", "3", "40"]
    assert log.behaviours == ("buy", "cart", "fav", "pv")
    assert log.user.tolist() == [1, 1, 2, 2, 2]
    assert log.time.tolist() == [60, 70, 20, 50, 50]
    assert log.item.tolist() == [3, 2, 1, 3, 1]
    assert log.category.tolist() == [1, 1, 2, 1, 2]
    assert log.behaviour.tolist() == [4, 3, 4, 1, 2]
    assert log.notes == ("log.csv: 5 of 5 times lie before 1990 (the earliest in 1970-01-01): "
                         "are they seconds since 1970?",)


def test_hmar_by_hand(tmp_path):
    # No times: rows of one user keep their order although users alternate in the file.
    log = read(saved(tmp_path, "user item behaviour\n2 5 pv\n1 8 cart\n2 8 buy\n1 5 buy\n2 5 fav\n"), "hmar")
    assert log.user.tolist() == [1, 1, 2, 2, 2]
    assert log.item.tolist() == [2, 1, 1, 2, 1]
    assert log.behaviour.tolist() == [2, 1, 4, 1, 3]
    assert log.time is None and log.category is None and log.categories is None
    assert log.notes == ()


def test_movielens_by_hand(tmp_path):
    log = read(saved(tmp_path, "1\t11\t5\t30\n1\t12\t3\t20\n1\t13\t2\t10\n"), "movielens")
    assert log.item.tolist() == [3, 2, 1]
    assert log.behaviour.tolist() == [3, 2, 1]
    assert log.behaviours == ("pos", "neutral", "neg")
    assert log.time.tolist() == [10, 20, 30]
    assert log.category is None and log.categories is None


def test_recbole_takes_columns_by_name_and_ignores_others(tmp_path):
    text = ("timestamp:float\tsession_id:token\titem_id:token\tuser_id:token\trating:float\n"
            "30.75\t\tb\tu\t4.0\n20\tx\ta\tu\t2.5\n")
    log = read(saved(tmp_path, text, "x.inter"), "recbole")
    assert log.users.tolist() == ["", "u"]
    assert log.items.tolist() == ["", "a", "b"]
    assert log.item.tolist() == [1, 2]
    assert log.behaviour.tolist() == [2, 1]
    assert log.time.tolist() == [20, 30]  # whole seconds
    assert log.category is None


def test_recbole_without_rating_and_time(tmp_path):
    log = read(saved(tmp_path, "item_id:token\tuser_id:token\nb\tu\na\tu\n", "x.inter"), "recbole")
    assert log.behaviours == ("click",)
    assert log.behaviour.tolist() == [1, 1]
    assert log.item.tolist() == [2, 1]  # order of the file
    assert log.time is None


def test_recbole_categories_are_the_first_genre(tmp_path):
    items = "item_id:token\tname:token:seq\tclass:token_seq\n20\tA b\tWar Drama\n30\tB\t\n40\tC\tComedy\n"
    saved(tmp_path, items, "x.item")
    header = "user_id:token\titem_id:token\n"
    log = read(saved(tmp_path, header + "1\t20\n1\t30\n1\t99\n1\t40\n", "x.inter"), "recbole")
    assert log.categories.tolist() == ["", "Comedy", "War"]
    assert log.category.tolist() == [2, 0, 0, 1]  # 30 has no genre and 99 is not in the .item file


def test_recbole_item_file_without_genres_is_noted(tmp_path):
    saved(tmp_path, "item_id:token\tname:token_seq\n20\tA\n", "x.item")
    log = read(saved(tmp_path, GOOD["recbole"], "x.inter"), "recbole")
    assert log.category is None and log.categories is None
    assert len(log.notes) == 1 and log.notes[0].startswith("x.item: not used")


@pytest.mark.parametrize(("rating", "name"), [
    (5, "pos"), (4, "pos"), (3.9, "neutral"), (3, "neutral"), (2.1, "neutral"), (2, "neg"), (0.5, "neg")])
def test_rating_to_behaviour(rating, name):
    assert rating_to_behaviour(rating) == name


@pytest.mark.parametrize(("names", "vocabulary"), [
    (["pv"], ("buy", "cart", "fav", "pv")),
    (["neg", "pos"], ("pos", "neutral", "neg")),
    (["neg", "tip"], ("pos", "tip", "neutral", "neg"))])
def test_hmar_vocabulary_is_chosen_by_its_names(tmp_path, names, vocabulary):
    rows = "".join(f"1 {n} {name}\n" for n, name in enumerate(names, start=1))
    log = read(saved(tmp_path, "header\n" + rows), "hmar")
    assert log.behaviours == vocabulary
    assert [log.behaviours[k - 1] for k in log.behaviour] == names


@pytest.mark.parametrize("format", ["taobao", "hmar"])
def test_behaviours_override_the_vocabulary(tmp_path, format):
    log = read(saved(tmp_path, GOOD[format]), format, behaviours=["pv", "buy"])
    assert log.behaviours == ("pv", "buy")
    assert log.behaviour.tolist() == [1, 2]


def test_text_ids_sort_as_text(tmp_path):
    log = read(saved(tmp_path, "b,9,1,pv,1\na,x,1,pv,1\nb,10,1,pv,1\n"), "taobao")
    assert log.users.tolist() == ["", "a", "b"]
    assert log.items.tolist() == ["", "10", "9", "x"]  # one id is no integer, so all sort as text


def test_equal_integers_with_different_digits_stay_apart(tmp_path):
    log = read(saved(tmp_path, "1,1,1,pv,1\n1,01,1,pv,2\n"), "taobao")
    assert log.items.tolist() == ["", "01", "1"]
    assert log.item.tolist() == [2, 1]


ROWS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 12), st.sampled_from(readers.SHOP)), min_size=1,
                max_size=12)


@given(ROWS, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(tmp_path_factory, rows, random):
    lines = [f"{user},{item},{item % 3},{name},{time}\n" for time, (user, item, name) in enumerate(rows)]
    folder = tmp_path_factory.mktemp("rows")
    first = read(saved(folder, "".join(lines)), "taobao")
    random.shuffle(lines)
    second = read(saved(folder, "".join(lines)), "taobao")
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@given(ROWS)
def test_every_event_survives_and_is_sorted(tmp_path_factory, rows):
    text = "".join(f"{u},{i},{i % 3},{name},{7 + n / 100}\n" for n, (u, i, name) in enumerate(rows))
    log = read(saved(tmp_path_factory.mktemp("rows"), text), "taobao")
    events = [(int(log.users[u]), int(log.items[i]), log.behaviours[k - 1])
              for u, i, k in zip(log.user, log.item, log.behaviour, strict=True)]
    assert events == sorted(rows, key=lambda row: row[0])  # in the order of the file
    assert [int(c) for c in log.categories[log.category]] == [i % 3 for _, i, _ in events]


@pytest.mark.parametrize("format", FORMATS)
def test_good_files_hold_two_events(tmp_path, format):
    log = opened(saved(tmp_path, GOOD[format]), format)
    assert log.users.tolist() == ["", "7"] and log.items.tolist() == ["", "20", "30"]
    assert log.user.tolist() == [1, 1] and log.item.tolist() == [1, 2]
    assert log.time is None or log.time.tolist() == [1000000100, 1000000200]
    assert log.attributes is None
    assert log.notes == NOTES.get(format, ()) + BESIDE.get(format, ())


@pytest.mark.parametrize("format", FORMATS)
def test_arrays_are_int64_and_read_only(tmp_path, format):
    log = opened(saved(tmp_path, GOOD[format]), format)
    numbers = [x for x in log[:5] if x is not None]
    ids = [x for x in log[5:8] if x is not None]
    assert len(numbers) == 3 + (format not in ("hmar", "s3rec", "sasrec")) + (format in ("taobao", "rees46", "jdata"))
    assert all(column.dtype == np.int64 for column in numbers)
    for array in numbers + ids:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[-1]


def test_item_with_two_categories_is_noted(tmp_path):
    log = read(saved(tmp_path, "1,20,5,pv,1000000001\n1,30,5,pv,1000000002\n1,20,6,pv,1000000003\n"),
               "taobao")
    assert log.category.tolist() == [1, 1, 2]
    assert log.notes == ("log.csv: 1 item has more than one category (the first is item 20), "
                         "each event keeps its own",)
    columns = {"user": "u", "item": "i", "category": "c"}
    for rows, told in (("1,20,5\n1,30,5\n1,20,6\n", True), ("1,20,5\n1,30,6\n1,20,5\n", False)):
        notes = read(saved(tmp_path, f"u,i,c\n{rows}"), "csv", columns=columns).notes
        assert ("log.csv: 1 item has more than one category (the first is item 20), each event keeps its own" in notes) == told


# What is forgiven.

@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: "\n \n" + text.replace("\n", "\n\n  \n"),
    lambda text: text.replace("\n", " \n")], ids=["CRLF", "BOM", "blank lines", "trailing blanks"])
def test_harmless_bytes_change_nothing(tmp_path, format, change):
    plain = opened(saved(tmp_path, GOOD[format]), format)
    changed = opened(saved(tmp_path, change(GOOD[format])), format)
    for one, other in zip(plain, changed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("format", "cut", "found", "width"), [
    ("taobao", "7,40,5,pv", 4, 5), ("taobao", "7,40,5,pv,", 4, 5), ("taobao", "7", 1, 5),
    ("hmar", "7 40", 2, 3), ("recbole", "7\t40\t3", 3, 4), ("movielens", "7\t40\t3\t", 3, 4),
    ("s3rec", "8", 1, 2), ("rechorus", "7\t40", 2, 3)])
def test_cut_last_line_is_dropped_with_a_note(tmp_path, format, cut, found, width):
    line = GOOD[format].count("\n") + 1
    log = read(saved(tmp_path, GOOD[format] + cut), format)
    assert log.items.tolist() == ["", "20", "30"]
    assert log.notes == (f"log.csv line {line}: dropped, {found} of {width} fields and no line break "
                         "(a truncated file)", *BESIDE.get(format, ()))


@pytest.mark.parametrize("format", set(FORMATS) - {"amazon"})  # the brace that ends a JSON line proves it whole
def test_full_last_line_without_break_is_kept_with_a_note(tmp_path, format):
    lines = GOOD[format].count("\n")
    log = opened(saved(tmp_path, GOOD[format].rstrip("\n")), format)
    assert log.items.tolist() == ["", "20", "30"]
    cut = f"log.csv line {lines}: kept, but it has no line break, so its last field may be cut"
    assert sorted(log.notes) == sorted((cut, *NOTES.get(format, ()), *BESIDE.get(format, ())))


def test_cut_item_file_is_noted(tmp_path):
    saved(tmp_path, "item_id:token\tname:token\tclass:token_seq\n20\tA\tWar\n30\tB", "x.item")
    log = read(saved(tmp_path, GOOD["recbole"], "x.inter"), "recbole")
    assert log.category.tolist() == [1, 0]
    assert log.notes[0].startswith("x.item line 3: dropped, 2 of 3 fields")


def test_hmar_event_in_place_of_the_header_is_noted(tmp_path):
    log = read(saved(tmp_path, "7 20 pv\n7 30 buy\n"), "hmar")
    assert log.items.tolist() == ["", "30"]
    assert log.notes == ("log.csv line 1: skipped as the header, but it looks like an event",)


# What is refused. Every message names the file and the line.

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@pytest.mark.parametrize(("format", "text", "line", "words"), [
    ("taobao", "7,20,5,pv\n7,30,6,buy,200\n", 1, "4 fields where 5 separated by commas"),
    ("taobao", "7,20,5,pv,100\n\n7,30,6,buy,200,\n", 3, "6 fields where 5"),
    ("taobao", "7,20,5,pv,100\n7,30,6,buy,2,0", 2, "6 fields where 5"),  # too long is not a cut line
    ("hmar", "header\n7 20 pv\n7 30\n", 3, "2 fields where 3 separated by single spaces"),
    ("hmar", "header\n7 20  pv\n", 2, "4 fields where 3"),
    ("recbole", HEADER + "7\t20\t4\n", 2, "3 fields where 4 separated by tabs"),
    ("movielens", "7\t20\t4\t100\n7\n", 2, "1 field where 4"),
    ("taobao", "7,20,5,pv,100\n7,30,6,like,200\n", 2, "'like' is unknown, allowed here are (buy, cart,"),
    ("taobao", "7,20,5,pv,100\n7,30,6,like,200\n7,30,6,like,300\n", 2, "behaviour 'like' is unknown"),
    ("hmar", "header\n7 20 pv\n7 30 like\n", 3, "behaviour 'like' is unknown"),
    ("hmar", "header\n7 20 pv\n7 30 pos\n7 25 pv\n", 3, "'pos' is unknown, allowed here are (buy, cart, fav, pv)"),
    ("hmar", "header\n7 20 like\n", 2, "(buy, cart, fav, pv) or (pos, neutral, neg) or (pos, tip,"),
    ("taobao", "7,20,5,pv,soon\n", 1, "time 'soon' is not a finite number"),
    ("taobao", "7,20,5,pv,100\n7,20,5,pv,nan\n", 2, "time 'nan' is not a finite number"),
    ("movielens", "7\t20\t4\tinf\n", 1, "time 'inf' is not a finite number"),
    ("recbole", HEADER + "7\t20\t4\t-1\n", 2, "time -1 is not in 0.."),
    ("taobao", "7,20,5,pv,99999999999999999999\n", 1, "is not in 0.."),
    ("movielens", "7\t20\t4\t1\n7\t20\tgood\t100\n", 2, "rating 'good' is not in 0..5"),
    ("recbole", HEADER + "7\t20\tnan\t100\n", 2, "rating 'nan' is not in 0..5"),
    ("movielens", "7\t20\t8\t100\n", 1, "rating 8 is not in 0..5, rescale"),
    ("taobao", "7,20,5,pv,100\n,20,5,pv,100\n", 2, "the user is empty"),
    ("taobao", "7, ,5,pv,100\n", 1, "the item is empty"),
    ("taobao", "7,20,5,,100\n", 1, "the behaviour is empty"),
    ("movielens", "7\t20\t4\t\n", 1, "the time is empty"),
    ("recbole", HEADER + "7\t\t4\t100\n", 2, "the item is empty"),
    ("taobao", "who,what,kind,did,when\n7,20,5,pv,100\n", 1, "looks like a header"),
    ("movielens", GOOD["recbole"], 1, "looks like a header"),
    ("taobao", GOOD["movielens"], 1, "1 field where 5 separated by commas"),
    ("taobao", "7\t20\t5\tpv\t100\n", 1, "but separated by tabs: replace them"),
    ("taobao", "7;20;5;pv;100\n", 1, "but separated by semicolons: replace them"),
    ("hmar", GOOD["taobao"], 2, "1 field where 3 separated by single spaces are expected, mend the line"),
    ("recbole", GOOD["taobao"], 1, "is not a RecBole header"),
    ("recbole", GOOD["movielens"], 1, "is not a RecBole header"),
    ("recbole", "user_id:token\trating:float\n7\t4\n", 1, "the header has no column item_id"),
    ("recbole", "item_id:token\trating:float\n7\t4\n", 1, "the header has no column user_id"),
    ("taobao", b"7,20,5,pv,100\n7,\xe9,5,pv,100\n", 2, "is not UTF-8 text"),
    ("taobao", "7,20,5,pv,100\n".encode("utf-16"), 1, "is not UTF-8 text"),
    ("hmar", b"header\n7 20 pv\n7 \0 pv\n", 3, "is not UTF-8 text"),
    ("s3rec", "7 20 30\n8\n", 2, "1 field where a user and at least one item separated by single spaces"),
    ("s3rec", "7 20 30\n8 20  30\n", 2, "item '' is not a whole number"),
    ("s3rec", "7 20 30\n8 20 -1\n", 2, "item '-1' is not a whole number"),
    ("s3rec", GOOD["hmar"], 1, "item 'item' is not a whole number"),
    ("s3rec", GOOD["movielens"], 1, "or choose another format"),
    ("rechorus", "user_id\titem_id\n7\t20\n", 1, "the header has no column time"),
    ("rechorus", GOOD["movielens"], 1, "the header has no column user_id"),
    ("rechorus", GOOD["recbole"], 1, "the header has no column user_id"),
    ("rechorus", "time\tuser_id\titem_id\n5\t7\t20\n5\t7\n", 3, "2 fields where 3 separated by tabs"),
    ("rechorus", "time\tuser_id\titem_id\nsoon\t7\t20\n", 2, "time 'soon' is not a finite number"),
    ("rechorus", "time\tuser_id\titem_id\n5\t\t20\n", 2, "the user is empty"),
])
def test_broken_line_is_named(tmp_path, format, text, line, words):
    message = refused(saved(tmp_path, twice(text, line)), format)
    assert message.startswith(f"log.csv line {line}: ")
    assert words in message


def twice(text, line):
    """The text with a line again at the end: of a short file one broken row is skipped, not two."""
    text = text if isinstance(text, bytes) else text.encode()
    return text.rstrip(b"\n") + b"\n" + text.split(b"\n")[line - 1] + b"\n"


def test_cut_number_of_another_line_is_not_forgiven(tmp_path):
    # Only the last line may be short, and only without a line break.
    for text in ("7,20,5,pv,1\n7,20,5,pv\n7,20,5,pv\n7,20,5,pv", "7,20,5,pv,1\n" + 2 * "7,20,5,pv\n"):
        assert refused(saved(tmp_path, text), "taobao").startswith("log.csv line 2: 4 fields where 5")


@pytest.mark.parametrize(("format", "text"), [
    *((format, "") for format in FORMATS), *((format, "\n \r\n") for format in FORMATS),
    ("hmar", "user item behaviour\n"), ("recbole", HEADER), ("recbole", HEADER.rstrip("\n")),
    ("taobao", "7,20,5,pv"), ("movielens", "7\t20"), ("hmar", "header\n7 20"), ("recbole", HEADER + "7"),
    ("s3rec", "7"), ("rechorus", "user_id\titem_id\ttime\n"), ("rechorus", "user_id\titem_id\ttime\n7\t20"),
    ("amazon", '{"reviewerID": "7", "as')])
def test_file_without_events(tmp_path, format, text):
    message = refused(saved(tmp_path, text), format)
    assert message.startswith("log.csv: holds no events")


def test_broken_item_file_is_named(tmp_path):
    saved(tmp_path, "item_id:token\tclass:token\n20\n", "x.item")
    message = refused(saved(tmp_path, GOOD["recbole"], "x.inter"), "recbole")
    assert message.startswith("x.item line 2: 1 field where 2")


def test_unknown_format_lists_the_choices(tmp_path):
    message = refused(saved(tmp_path, GOOD["taobao"]), "xls")
    assert "'xls'" in message
    assert all(format in message for format in ("taobao", "hmar", "recbole", "movielens", "amazon", "s3rec"))


@pytest.mark.parametrize("format", FORMATS)
def test_missing_file_and_directory(tmp_path, format):
    absent = tmp_path / "absent.csv"
    assert refused(absent, format) == f"{absent}: there is no such file, check the path"
    assert refused(str(tmp_path), format) == f"{tmp_path}: is a directory, give the file inside it"


@pytest.mark.parametrize("format", ["recbole", "movielens", "s3rec", "rechorus"])
def test_formats_without_names_refuse_behaviour_names(tmp_path, format):
    message = refused(saved(tmp_path, GOOD[format]), format, ("pos", "neg"))
    assert f"format {format} has no behaviour names" in message


@pytest.mark.parametrize("behaviours", ["buy", (), ("buy", "pv", "buy")])
def test_behaviours_must_be_different_names(tmp_path, behaviours):
    assert repr(behaviours) in refused(saved(tmp_path, GOOD["taobao"]), "taobao", behaviours)


def test_given_behaviours_are_the_only_ones_allowed(tmp_path):
    message = refused(saved(tmp_path, twice(GOOD["taobao"], 1)), "taobao", ("buy", "cart"))
    assert message == ("log.csv line 1: behaviour 'pv' is unknown, allowed here are (buy, cart): name it in "
                       "--behaviours, or delete the line (2 such rows). Of 3 rows 2 are broken, and at most one in a thousand is skipped")


# Files that nobody here wrote.

def test_hmar_reads_the_rows_recorded_from_the_release(tmp_path):
    with np.load(ORACLE, allow_pickle=False) as recorded:
        rows = recorded["data/log_rows"]  # [175, 3] user, item, behaviour 0..3; grouped by user, in order
    text = "user item behaviour\n" + "".join(f"{u} {i} {readers.SHOP[k]}\n" for u, i, k in rows)
    log = read(saved(tmp_path, text), "hmar")
    np.testing.assert_array_equal(log.users[log.user].astype(int), rows[:, 0])
    np.testing.assert_array_equal(log.items[log.item].astype(int), rows[:, 1])
    np.testing.assert_array_equal(log.behaviour - 1, rows[:, 2])


def test_real_taobao():
    # Counts published with the file.
    log = read(find_logs("taobao_userbehavior/UserBehavior.csv"), "taobao")
    assert len(log.user) == 84_475
    assert [len(ids) - 1 for ids in (log.users, log.items, log.categories)] == [815, 55_368, 2_914]
    assert np.bincount(log.behaviour).tolist() == [0, 1_750, 4_497, 2_356, 75_872]
    assert len(np.unique(log.user[log.behaviour == 1])) == 559
    assert log.notes[0] == ("UserBehavior.csv line 84476: dropped, 4 of 5 fields and no line break "
                            "(a truncated file)")
    assert "1 item has more than one category" in log.notes[1]
    assert (np.diff(log.time)[np.diff(log.user) == 0] >= 0).all()


def test_real_movielens():
    # 943 users, 1,682 items, 100,000 ratings (GroupLens). Ratings from 5 to 1, counted with sort | uniq -c:
    # 21,201, 34,174, 27,145, 11,370, 6,110.
    log = read(find_logs("movielens_100k/ml-100k.inter"), "recbole")
    assert (len(log.user), len(log.users) - 1, len(log.items) - 1) == (100_000, 943, 1_682)
    assert np.bincount(log.behaviour).tolist() == [0, 21_201 + 34_174, 27_145, 11_370 + 6_110]
    assert log.notes == ()
    toy_story = log.category[log.items[log.item] == "1"]
    assert log.categories[toy_story].tolist() == ["Animation"] * 452
    assert (log.category > 0).all()
