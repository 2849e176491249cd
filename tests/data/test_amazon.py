"""mbref.data.readers.amazon: raw reviews, S3-Rec and ReChorus files, written by hand here or real where present.

What all formats have in common is in test_readers.
"""
import gzip
import json
import time

import numpy as np
import pytest

from mbref.data.readers import read
from mbref.data.readers.events import RATED
from mbref.errors import InputError
from tests.optional import find_logs, given, st

DAY = 86_400
SEPT_13 = 1_252_800_000  # 2009-09-13 in UTC, as in the example review of the 2014 release
META_2014 = (  # Python literals with a single quote inside, then an item in two lists
    "{'asin': 'B1', 'title': \"It's one\", 'categories': [['Books'], ['Books', 'History']]}\n"
    "{'asin': 'B2', 'categories': [['Books', 'History'], ['Books', 'Art']]}\n")
META_2018 = ('{"asin": "B1", "category": ["Books", "History"], "price": ""}\n'
             '{"asin": "B2", "category": []}\n{"asin": "B9", "category": ["Toys"]}\n')
META_2023 = ('{"parent_asin": "B1", "main_category": "Books", "categories": ["Books", "History"], "price": null}\n'
             '{"parent_asin": "B2", "categories": []}\n')


def saved(folder, text, name="X.json"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def notes(log):
    """The notes but for that on the small numbers that stand for times here."""
    return tuple(note for note in log.notes if "before 1990" not in note)


def refused(path, format="amazon", behaviours=None):
    with pytest.raises(InputError) as caught:
        read(path, format, behaviours)
    message = str(caught.value)
    assert "\n" not in message
    return message


def review(user="A1", item="B1", time=SEPT_13, **more):
    return json.dumps({"reviewerID": user, "asin": item, "unixReviewTime": time, **more}) + "\n"


def without(field):
    record = json.loads(review(overall=5))
    del record[field]
    return json.dumps(record) + "\n"


# Raw reviews.

def test_reviews_by_hand(tmp_path):
    text = review("A2", "B2", 30) + review("A1", "B3", 10) + review("A2", "B1", 40) + review("A1", "B1", 20)
    log = read(saved(tmp_path, text), "amazon")
    assert log.users.tolist() == ["", "A1", "A2"]
    assert log.items.tolist() == ["", "B1", "B2", "B3"]
    assert log.user.tolist() == [1, 1, 2, 2]
    assert log.item.tolist() == [3, 1, 2, 1]
    assert log.time.tolist() == [10, 20, 30, 40]
    assert log.behaviours == ("review",) and log.behaviour.tolist() == [1, 1, 1, 1]
    assert log.category is None and log.categories is None and log.attributes is None
    assert notes(log) == ("meta_X.json: there is no such file beside the log, so items have no categories",)


@pytest.mark.parametrize(("record", "user", "item", "seconds"), [
    ({"reviewerID": "A", "asin": "B", "helpful": [2, 3], "overall": 5.0, "unixReviewTime": SEPT_13,
      "reviewTime": "09 13, 2009"}, "A", "B", SEPT_13),  # 2014
    ({"overall": 5.0, "verified": True, "reviewTime": "09 13, 2009", "reviewerID": "A", "asin": "B",
      "style": {"Format:": " Hardcover"}, "unixReviewTime": SEPT_13}, "A", "B", SEPT_13),  # 2018
    ({"reviewerID": "A", "asin": "B", "reviewTime": "09 13, 2009"}, "A", "B", SEPT_13),
    ({"reviewerID": "A", "asin": "B", "reviewTime": "9 3, 2009"}, "A", "B", SEPT_13 - 10 * DAY),
    ({"reviewerID": "A", "asin": "B", "unixReviewTime": None, "reviewTime": "09 13, 2009"}, "A", "B", SEPT_13),
    ({"rating": 5.0, "asin": "child", "parent_asin": "B", "user_id": "A", "timestamp": SEPT_13 * 1000 + 999,
      "verified_purchase": True}, "A", "B", SEPT_13),  # 2023
    ({"rating": 5.0, "asin": "B", "user_id": "A", "timestamp": SEPT_13 * 1000}, "A", "B", SEPT_13),
    ({"reviewerID": " A ", "asin": 12, "unixReviewTime": str(SEPT_13)}, "A", "12", SEPT_13),
])
def test_spellings_of_a_review(tmp_path, record, user, item, seconds):
    for line in (json.dumps(record), repr(record)):  # early copies of 2014 are Python literals
        log = read(saved(tmp_path, line + "\n"), "amazon")
        assert (log.users[1], log.items[1], log.time.tolist()) == (user, item, [seconds])


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be set here")
def test_days_begin_in_utc_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Honolulu")
    time.tzset()
    try:
        log = read(saved(tmp_path, review(time=None, reviewTime="09 13, 2009")), "amazon")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert log.time.tolist() == [SEPT_13]


def test_stars_are_behaviours_only_if_asked(tmp_path):
    text = review(time=1, overall=5.0) + review(time=2, overall=3) + review(time=3, rating=2.0)
    path = saved(tmp_path, text)
    assert read(path, "amazon").behaviours == ("review",)
    log = read(path, "amazon", RATED)
    assert log.behaviours == ("pos", "neutral", "neg") and log.behaviour.tolist() == [1, 2, 3]
    log = read(path, "amazon", ["neg", "neutral", "pos"])
    assert log.behaviours == ("neg", "neutral", "pos") and log.behaviour.tolist() == [3, 2, 1]
    for names in (("pos", "neg"), ("buy", "pv"), "review", ()):
        message = refused(path, "amazon", names)
        assert "leave them out or give pos, neutral, neg" in message and repr(names) in message


def test_stars_must_be_there_if_asked(tmp_path):
    for line in (review(time=2), review(time=3, overall=6)):
        log = read(saved(tmp_path, review(time=1, overall=5.0) + line), "amazon", RATED)
        assert log.time.tolist() == [1]
        assert notes(log)[0] == ("X.json: skipped 1 of 2 rows as broken (the first is line 2: it has no overall or "
                                 "rating in 0..5)")


@pytest.mark.parametrize("name", ["X.json", "X.json.gz"])  # the name says nothing, the first bytes do
@pytest.mark.parametrize("packed", [True, False])
def test_gzip_is_known_by_its_bytes(tmp_path, name, packed):
    text = (review(time=1) + review(time=2)).encode()
    log = read(saved(tmp_path, gzip.compress(text) if packed else text, name), "amazon")
    assert log.time.tolist() == [1, 2]


@pytest.mark.parametrize("value", ["3", '"word"', "null"])
def test_a_file_of_json_that_is_no_record(tmp_path, value):
    says = "X.json line 1: it is not a JSON object (2 such rows). Of 2 rows 2 are broken, and at most one in a thousand is skipped"
    assert refused(saved(tmp_path, f"{value}\n{value}\n")) == says


@pytest.mark.parametrize("text", ["[]", "[{}]\n", "[\n{}]\n", f"\n [{review()},{review()}]\n", "[" + review()])
def test_a_json_array_is_named(tmp_path, text):
    says = "is the start of a JSON array: write an object a line, as jq -c '.[]' does"
    line = 1 + text.startswith("\n")
    assert refused(saved(tmp_path, text)) == f"X.json line {line}: {says}"
    saved(tmp_path, text, "meta_R.json")
    assert refused(saved(tmp_path, review(), "reviews_R.json")) == f"meta_R.json line {line}: {says}"


def test_an_array_further_down_is_a_broken_line(tmp_path, monkeypatch):
    monkeypatch.setattr("mbref.data.readers.lines.CHUNK", 3 * len(review()))  # where a part begins
    log = read(saved(tmp_path, "".join(review(item=f"B{i}") for i in range(3)) + "[]\n"), "amazon")
    assert len(log.item) == 3 and "line 4: it is not a JSON object" in " ".join(log.notes)


def test_gzip_in_two_members_is_one_file(tmp_path):
    text = gzip.compress(review(time=1).encode()) + gzip.compress(review(time=2).encode())
    assert read(saved(tmp_path, text), "amazon").time.tolist() == [1, 2]


def test_cut_or_damaged_gzip_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    text = "".join(review(f"A{rng.integers(10**9)}", time=int(rng.integers(10**9))) for _ in range(500))
    whole = gzip.compress(text.encode())
    cut = "X.json.gz: the gzip file ends too early, download it again"
    damaged = "X.json.gz: the gzip file is damaged, download it again"
    for size in (3, len(whole) // 2, len(whole) - 1):
        assert refused(saved(tmp_path, whole[:size], "X.json.gz")) == cut
    assert refused(saved(tmp_path, whole[:-8] + b"\0" * 8, "X.json.gz")) == damaged  # checksum
    assert refused(saved(tmp_path, whole[:500] + b"\xff" * 500 + whole[1000:], "X.json.gz")) == damaged
    assert refused(saved(tmp_path, whole[:2] + b"\xff" + whole[3:], "X.json.gz")) == damaged
    assert refused(saved(tmp_path, whole + b"more", "X.json.gz")) == damaged


@pytest.mark.parametrize(("line", "why"), [
    ('{"reviewerID": "A1", "asin"\n', "it is not a JSON object"),
    ("[1, 2]\n", "it is not a JSON object"),
    ("__import__('os').abort()\n", "it is not a JSON object"),
    ("[" * 100_000 + "\n", "it is not a JSON object"),
    (b'{"reviewerID": "\xe9", "asin": "B", "unixReviewTime": 1}\n', "it is not a JSON object"),
    (without("reviewerID"), "it has no reviewerID or user_id"),
    (without("asin"), "it has no parent_asin or asin"),
    (without("unixReviewTime"), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(user=None), "it has no reviewerID or user_id"),
    (review(user=True), "it has no reviewerID or user_id"),
    (review(user=" "), "it has no reviewerID or user_id"),
    (review(item=["B1"]), "it has no parent_asin or asin"),
    (review(item="B\0"), "it has no parent_asin or asin"),
    (review(time="soon"), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=[5]), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=True), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=-5), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=SEPT_13 * 1000), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=float("nan")), "it has no valid unixReviewTime, timestamp or reviewTime"),
    (review(time=None, reviewTime="13.09.2009"), "it has no valid unixReviewTime, timestamp or reviewTime"),
])
def test_broken_line_is_skipped_and_named(tmp_path, line, why):
    line = line if isinstance(line, bytes) else line.encode()
    text = review(time=1).encode() + b"\n" + line + review(time=2).encode()
    log = read(saved(tmp_path, text), "amazon")
    assert log.time.tolist() == [1, 2]
    assert notes(log)[0] == f"X.json: skipped 1 of 3 rows as broken (the first is line 3: {why})"


def test_times_and_ids_at_their_bounds(tmp_path):
    """Times below 10^11 s, ids of up to 200 letters."""
    text = "".join(review("u" * 200, "B1", None, timestamp=time) for time in (0, 10**14 - 1, 10**14))
    log = read(saved(tmp_path, text), "amazon")
    assert log.time.tolist() == [0, 10**11 - 1] and "the first is line 3: it has no valid" in notes(log)[0]
    assert read(saved(tmp_path, "1 " + "9" * 200 + "\n" + "u" * 200 + " 5\n", "X.txt"), "s3rec").items[2] == "9" * 200


@pytest.mark.parametrize(("good", "broken", "accepted"), [
    (1, 1, True), (1, 2, False), (1997, 2, False), (1998, 2, True), (10, 0, True), (0, 1, False)])
def test_how_many_broken_lines_are_too_many(tmp_path, good, broken, accepted):
    # Too many are more than one and more than one in a thousand (2 of 2,000 are just that), or all.
    path = saved(tmp_path, "{}\n" * broken + "".join(review(time=n) for n in range(good)))
    if accepted:
        assert len(read(path, "amazon").user) == good
    else:
        assert refused(path).startswith("X.json line 1: it has no reviewerID or user_id")
        assert refused(path).endswith(f"Of {good + broken:,} rows {broken} are broken, and at most one in a thousand "
                                      "is skipped")


@pytest.mark.parametrize("text", ["7,20,5,pv,100\n7,30,6,buy,200\n", META_2014, '{"4": [1, 2, 3]}',
                                  review().encode("utf-16")], ids=["taobao", "metadata", "S3-Rec attributes", "UTF-16"])
def test_wrong_file_is_refused(tmp_path, text):
    says = "is not UTF-8 text but UTF-16" if isinstance(text, bytes) else "it "
    assert refused(saved(tmp_path, text)).startswith(f"X.json line 1: {says}")


def test_cut_last_line_is_dropped_and_named(tmp_path):
    whole = review(time=1) + review(time=2)
    for missing in (2, 10, 40):  # the second line goes on at least to its user
        log = read(saved(tmp_path, whole[:-missing]), "amazon")
        assert log.time.tolist() == [1]
        assert notes(log)[0] == "X.json line 2: dropped, it is incomplete and has no line break (a truncated file)"
    log = read(saved(tmp_path, whole[:-1]), "amazon")  # only the line break is missing
    assert log.time.tolist() == [1, 2] and len(notes(log)) == 1


def test_repeated_review_is_dropped_and_a_second_one_stays(tmp_path):
    text = (review("A1", "B1", 5, overall=5) + review("A1", "B2", 5, overall=5) + review("A1", "B1", 5, overall=1)
            + review("A1", "B1", 9, overall=5) + review("A2", "B1", 5, overall=5) + review("A1", "B1", 5, overall=1))
    path = saved(tmp_path, text)
    log = read(path, "amazon")
    assert log.user.tolist() == [1, 1, 1, 2]
    assert log.item.tolist() == [1, 2, 1, 1]
    assert log.time.tolist() == [5, 5, 9, 5]
    assert "X.json: dropped 2 of 6 events, each repeats another one in user, item and time" in log.notes
    assert read(path, "amazon", RATED).behaviour.tolist() == [1, 1, 1, 1]  # the first one of the file stays
    for column in log[:4]:
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


@pytest.mark.parametrize("order", [
    [("A1", 1), ("A2", 1), ("A1", 2), ("A2", 2)],  # users alternate, each of them in order
    [("A2", 1), ("A2", 1), ("A1", 1)],
    [("A1", 2), ("A1", 1), ("A2", 3)], [("A1", 1), ("A2", 3), ("A2", 2)]])
def test_unsorted_file_is_sorted(tmp_path, order):
    text = "".join(review(user, f"B{9 - n}", time) for n, (user, time) in enumerate(order))
    log = read(saved(tmp_path, text), "amazon")
    events = [(log.users[u], t, log.items[i]) for u, t, i in zip(log.user, log.time, log.item, strict=True)]
    expected = [(user, time, f"B{9 - n}") for n, (user, time) in enumerate(order)]
    assert events == sorted(expected, key=lambda event: event[:2])  # equal times keep the order of the file


REVIEWS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=15)


@given(REVIEWS)
def test_exactly_the_different_reviews_survive(tmp_path_factory, reviews):
    text = "".join(review(f"A{u}", f"B{i}", t) for u, i, t in reviews)
    log = read(saved(tmp_path_factory.mktemp("reviews"), text), "amazon")
    events = [(int(log.users[u][1:]), int(log.items[i][1:]), int(t))
              for u, i, t in zip(log.user, log.item, log.time, strict=True)]
    first = list(dict.fromkeys(reviews))
    assert events == sorted(first, key=lambda event: (event[0], event[2]))


# Metadata beside the reviews.

@pytest.mark.parametrize(("meta", "names", "numbers"), [
    (META_2014, ["", "Art", "History"], [2, 1, 0]), (META_2018, ["", "History"], [1, 0, 0]),
    (META_2023, ["", "History"], [1, 0, 0])], ids=["2014", "2018", "2023"])
def test_category_is_the_last_name_of_the_last_list(tmp_path, meta, names, numbers):
    saved(tmp_path, meta, "meta_X.json")
    log = read(saved(tmp_path, review("A1", "B1", 1) + review("A1", "B2", 2) + review("A1", "B3", 3)), "amazon")
    assert log.categories.tolist() == names
    assert log.category.tolist() == numbers  # B3 is in none of the files, B2 has an empty list in two
    unknown = numbers.count(0)
    assert notes(log) == (f"meta_X.json: has no category for {unknown} of 3 items, they get 0 (unknown)",)


def test_category_follows_its_item_through_sorting_and_dropping(tmp_path):
    saved(tmp_path, META_2014, "meta_X.json")
    text = review("A2", "B2", 5) + review("A1", "B1", 9) + review("A1", "B2", 7) + review("A1", "B1", 9)
    log = read(saved(tmp_path, text), "amazon")
    assert log.item.tolist() == [2, 1, 2]
    assert log.categories[log.category].tolist() == ["Art", "History", "Art"]


@pytest.mark.parametrize("name", ["Books.json", "Books_5.json.gz", "reviews_Books.json.gz", "reviews_Books_5.json",
                                  "Books.jsonl.gz"])
@pytest.mark.parametrize("ending", [".json", ".json.gz", ".jsonl"])
def test_metadata_are_found_beside_all_names(tmp_path, name, ending):
    saved(tmp_path, META_2014 if "gz" not in ending else gzip.compress(META_2014.encode()), f"meta_Books{ending}")
    assert read(saved(tmp_path, review(), name), "amazon").categories.tolist() == ["", "History"]


def test_broken_metadata(tmp_path):
    path = saved(tmp_path, review("A1", "B1", 1) + review("A1", "B2", 2))
    saved(tmp_path, META_2014 + "{'asin'", "meta_X.json")
    log = read(path, "amazon")
    assert log.category.tolist() == [2, 1]
    assert notes(log) == ("meta_X.json line 3: dropped, it is incomplete and has no line break (a truncated file)",)
    saved(tmp_path, "{'asin': 'B1', 'categories': [['Books']]}\n{'title': 'x'}\n", "meta_X.json")
    log = read(path, "amazon")
    assert log.category.tolist() == [1, 0]
    assert notes(log)[0] == ("meta_X.json: skipped 1 of 2 rows as broken (the first is line 2: it has no parent_asin "
                            "or asin)")
    saved(tmp_path, "none\n", "meta_X.json")
    assert refused(path) == ("meta_X.json line 1: it is not a JSON object. Of 1 rows 1 are broken, and at most one in a "
                             "thousand is skipped")
    saved(tmp_path, gzip.compress(META_2014.encode())[:-9], "meta_X.json")
    assert refused(path) == "meta_X.json: the gzip file ends too early, download it again"


# S3-Rec.

def test_s3rec_by_hand(tmp_path):
    saved(tmp_path, '{"20": [9, 3, 10], "3": [3], "100": [], "7": [5], "30": [4, 3, 4]}', "X_item2attributes.json")
    log = read(saved(tmp_path, "10 100 20 3\n9 20 30 40 20\n", "X.txt"), "s3rec")
    assert log.users.tolist() == ["", "9", "10"]
    assert log.items.tolist() == ["", "3", "20", "30", "40", "100"]
    assert log.user.tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert log.item.tolist() == [2, 3, 4, 2, 5, 2, 1]  # the order of each line, item 20 twice for user 9
    assert log.behaviours == ("review",) and (log.behaviour == 1).all()
    assert log.time is None
    # Items 3, 20, 30, 40, 100 have attributes [3], [9, 3, 10], [4, 3] (4 is said twice), [], []; 5 is not needed.
    assert log.attributes.names.tolist() == ["", "3", "4", "9", "10"]
    assert log.attributes.ptr.tolist() == [0, 0, 1, 4, 6, 6, 6]
    assert log.attributes.value.tolist() == [1, 3, 1, 4, 2, 1]
    assert log.categories.tolist() == ["", "3", "4", "10"]  # the last of each list
    assert log.category.tolist() == [3, 2, 0, 3, 0, 3, 1]
    assert notes(log) == ("X_item2attributes.json: has no category for 2 of 5 items, they get 0 (unknown)",)
    for column in (log.category, *log.attributes):
        assert column.dtype.kind in "iU"
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_s3rec_joins_lines_of_one_user(tmp_path):
    log = read(saved(tmp_path, "1 5\n2 5\n1 4\n1 6\n", "X.txt"), "s3rec")  # also SASRec's "user item" lines
    assert log.user.tolist() == [1, 1, 1, 2]
    assert log.items[log.item].tolist() == ["5", "4", "6", "5"]
    assert notes(log)[0] == "X.txt: joined 2 lines to an earlier line of the same user"


@pytest.mark.parametrize(("text", "words"), [
    ('{"20": [1', "delimiter"), ("", "Expecting value"), ("[" * 100_000, "recursion"),
    ("[1]", "it is no object"), ('{"20": [1], "30": 5}', "item '30' has no such list"),
    ('{"20": [null]}', "item '20' has no such list"), ('{"20": [1.5]}', "item '20' has no such list"),
    ('{"20": [""]}', "item '20' has no such list"), (b'{"20": ["\xe9"]}', "can't decode byte")])
def test_broken_attributes_are_refused(tmp_path, text, words):
    saved(tmp_path, text, "X_item2attributes.json")
    message = refused(saved(tmp_path, "1 20 30\n", "X.txt"), "s3rec")
    assert message.startswith("X_item2attributes.json: is no JSON object of items") and words in message


# ReChorus.

def test_rechorus_by_hand(tmp_path):
    saved(tmp_path, "item_id\ti_category\tr_also\n5\t0\t[6, 7]\n6\t12\t[]\n7\t\t[]\n8\t3\t[]\n", "item_meta.csv")
    text = "time\tuser_id\titem_id\tneg_items\n30\t2\t5\t[1, 2]\n20\t2\t6\t[]\n10\t1\t7\t[]\n10\t1\t9\t[]\n"
    log = read(saved(tmp_path, text, "train.csv"), "rechorus")
    assert log.user.tolist() == [1, 1, 2, 2]
    assert log.items[log.item].tolist() == ["7", "9", "6", "5"]
    assert log.time.tolist() == [10, 10, 20, 30]
    assert log.behaviours == ("click",) and log.behaviour.tolist() == [1, 1, 1, 1]
    # Category "0" of item 5 is a category like any other; items 7 (empty) and 9 (absent) have none.
    assert log.categories.tolist() == ["", "0", "12"]
    assert log.category.tolist() == [0, 0, 2, 1]
    assert notes(log) == ("item_meta.csv: has no category for 2 of 4 items, they get 0 (unknown)",)
    assert log.attributes is None


def test_cut_item_meta_is_noted(tmp_path):
    saved(tmp_path, "item_id\ti_category\n5\t4\n6", "item_meta.csv")
    log = read(saved(tmp_path, "user_id\titem_id\ttime\n1\t5\t3\n", "train.csv"), "rechorus")
    assert log.categories.tolist() == ["", "4"]
    assert notes(log) == ("item_meta.csv line 3: dropped, 1 of 2 fields and no line break (a truncated file)",)


@pytest.mark.parametrize(("text", "words"), [
    ("item_id\tcategory\n5\t0\n", "line 1: the header has no column i_category"),
    ("item_id\ti_category\n5\n", "line 2: 1 field where 2 separated by tabs"), ("", "holds no events")])
def test_broken_item_meta_is_refused(tmp_path, text, words):
    saved(tmp_path, text, "item_meta.csv")
    message = refused(saved(tmp_path, "user_id\titem_id\ttime\n1\t5\t3\n", "train.csv"), "rechorus")
    assert message.startswith("item_meta.csv") and words in message


# Files that nobody here wrote.

def test_real_s3rec_beauty():
    # Counts in the S3-Rec paper (arXiv 2008.07873): 22,363 users, 12,101 items, 198,502 actions. The JSON
    # holds 637 ids in 45,037 places, 5 of them repeats within one item.
    log = read(find_logs("amazon_s3rec_beauty/Beauty.txt"), "s3rec")
    assert [len(log.user), len(log.users) - 1, len(log.items) - 1] == [198_502, 22_363, 12_101]
    assert len(log.attributes.names) - 1 == 637
    assert len(log.attributes.value) == log.attributes.ptr[-1] == 45_037 - 5
    assert log.items[log.item[:5]].tolist() == ["1", "2", "3", "4", "5"]  # head -1 Beauty.txt
    fourth = log.attributes.value[log.attributes.ptr[4]:log.attributes.ptr[5]]
    assert log.attributes.names[fourth].tolist() == ["1", "2", "3"]  # {"4": [1, 2, 3], ...
    assert log.categories[log.category[3]] == "3"
    assert (log.category > 0).all() and notes(log) == ()


def test_real_rechorus_grocery():
    # Counted with sort -u | wc -l: 14,681 users, 8,687 items; the last two events of each user are not in the file.
    # Of the items here 8,325 have the raw category 0, in 117,772 events (join of both files).
    log = read(find_logs("amazon_grocery_rechorus/train.csv"), "rechorus")
    assert [len(log.user), len(log.users) - 1, len(log.items) - 1] == [121_892, 14_681, 8_687]
    assert log.categories[1] == "0" and len(log.categories) - 1 == 56
    assert (log.category > 0).all() and (log.category == 1).sum() == 117_772
    assert len(np.unique(log.item[log.category == 1])) == 8_325
    assert (log.time % DAY == 0).all() and log.time.min() == 965_779_200
    assert notes(log) == ()
