"""mbref.data.groups on logs written out by hand and broken files; mbref.worlds.groups: its files and its rule."""
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.data.groups import read_groups
from mbref.errors import InputError
from mbref.worlds.groups import (
    Mall,
    best_scores,
    make_mall,
    scorer_of,
)
from tests.worlds.__main__ import main
from tests.worlds.groups_events import groups_world

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
    ("9,coupon", ",coupon", "events.csv line 4: the user is empty, fill it in or delete the line"),
    (",70", ",70,1", "events.csv line 4: 6 fields where 5 separated by commas are expected, mend the line or choose "
                   "another format"),
    ("bag", "\"bag", "events.csv line 3: 3 fields where 5 separated by commas are expected, mend the line or choose "
                     "another format"),
])
def test_broken_events(tmp_path, old, new, message):
    assert refused(saved(tmp_path, EVENTS.replace(old, new, 1))) == message


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
    (EVENTS.encode("utf-16"), "events.csv line 1: is not UTF-8 text, unpack the file or save it as UTF-8"),
    ("a\0b", "events.csv line 1: is not UTF-8 text, unpack the file or save it as UTF-8"),
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


# The synthetic log: its files.

def test_the_committed_files_are_what_seed_1_gives(tmp_path):
    main(["groups", str(tmp_path), "--seed", "1"])
    for name in ("events.csv", "objects.csv"):
        assert (tmp_path / name).read_bytes() == (TINY / name).read_bytes()


def test_another_seed_gives_another_file(tmp_path):
    main(["groups", str(tmp_path), "--seed", "2"])
    assert (tmp_path / "events.csv").read_bytes() != (TINY / "events.csv").read_bytes()


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


def test_the_log_numbers_everything_as_the_world():
    log, mall = read_groups(TINY / "events.csv"), make_mall(np.random.default_rng(1))
    assert np.array_equal(log.features[0], np.stack(
        [np.arange(201), mall.shop[0], mall.category[0], mall.brand], axis=1))
    assert np.array_equal(log.features[2], np.stack([np.arange(41), mall.shop[2], mall.category[2]], axis=1))


# Its rule.

def seeded(seed, users=150):
    """(mall, [[(group, object, action, seconds), ...] of each user])."""
    rng = np.random.default_rng(seed)
    mall, people = make_mall(rng), {}
    for user, *event in groups_world(rng, mall, users):
        people.setdefault(user, []).append(tuple(event))
    return mall, list(people.values())


def cases(people, group):
    """(history, object) of every event of one group."""
    return [(events[:n], events[n][1]) for events in people for n in range(len(events)) if events[n][0] == group]


@pytest.fixture(scope="module")
def world():
    return seeded(7, users=600)


def test_mall():
    mall = make_mall(np.random.default_rng(3), sizes=(24, 12, 8), categories=4, shops=2, brands=3)
    assert [Counter(category[1:].tolist()) for category in mall.category] == [
        dict.fromkeys(range(1, 5), size) for size in (6, 3, 2)]
    assert [Counter(shop[1:].tolist()) for shop in mall.shop] == [{1: 12, 2: 12}, {0: 12}, {1: 4, 2: 4}]
    assert Counter(mall.brand[1:].tolist()) == {1: 8, 2: 8, 3: 8}
    assert sorted(mall.popularity[1][mall.category[1] == 2]) == pytest.approx([3 ** -0.5, 2 ** -0.5, 1])
    assert all(column[0] == 0 for column in (*mall.category, *mall.shop, *mall.popularity, mall.brand))


def test_groups_follow_each_other_with_the_stated_probabilities(world):
    _, people = world
    follow = np.zeros((3, 3))
    for events in people:
        for one, two in zip(events[:-1], events[1:], strict=True):
            follow[one[0], two[0]] += 1
    total = follow.sum(1, keepdims=True)
    stated = np.array([[0.5, 0.1, 0.4], [0.85, 0.1, 0.05], [0.2, 0.7, 0.1]])
    assert np.all(np.abs(follow / total - stated) <= 4 * np.sqrt(stated * (1 - stated) / total))


def test_shares_of_the_rule_in_the_committed_file():
    # Counted from the log's own columns: the hint is followed with 0.85 + 0.15 * its share of the popularity.
    log, mall = read_groups(TINY / "events.csv"), make_mall(np.random.default_rng(1))
    share = [{c: p[key == c].sum() / p.sum() for c in set(key[1:].tolist())} for p, key in zip(
        mall.popularity, (mall.category[0], mall.category[1], mall.shop[2]), strict=True)]
    hits, chances, now = [[], [], []], [[], [], []], {}
    for row in range(len(log.user)):
        group, number = log.group[row], log.object[row]
        if row == 0 or log.user[row] != log.user[row - 1]:
            now = {}
        if group in now:  # what the past points at: a category for items and queries, a shop for coupons
            own = mall.shop[2][number] if group == 2 else mall.category[group][number]
            hits[group].append(own == now[group])
            chances[group].append(0.85 + 0.15 * share[group][now[group]])
        if group == 1:
            now[0] = mall.category[1][number]
        elif group == 2:
            now[1] = log.features[2][number, 2]
        elif log.actions[log.action[row] - 1] in ("cart", "buy"):
            now[2] = log.features[0][number, 1]
    for hit, chance in zip(hits, map(np.array, chances), strict=True):
        assert len(hit) > 1000
        assert abs(sum(hit) - chance.sum()) <= 4 * math.sqrt((chance * (1 - chance)).sum())


# The known best answer. Items 1 to 4, queries 1 to 3, coupons 1 to 3; categories 1 and 2, shops 1 to 3.

SMALL = Mall(category=(np.array([0, 1, 1, 2, 2]), np.array([0, 1, 2, 2]), np.array([0, 1, 2, 1])),
             shop=(np.array([0, 1, 2, 1, 3]), np.zeros(4, int), np.array([0, 1, 1, 2])),
             brand=np.zeros(5, int),
             popularity=(np.array([0, 4.0, 1, 3, 2]), np.array([0, 1.0, 3, 1]), np.array([0, 2.0, 2, 1])))
CART, VIEW, BUY, FAV = ((0, item, action) for item, action in ((3, "cart"), (2, "view"), (2, "buy"), (2, "fav")))
Q1, Q3, K2, K3 = (1, 1, "search"), (1, 3, "search"), (2, 2, "receive"), (2, 3, "receive")
AT_LARGE = [[0, .4, .1, .3, .2], [0, .2, .6, .2], [0, .4, .4, .2]]


@pytest.mark.parametrize(("history", "group", "expected"), [
    ([], 0, AT_LARGE[0]), ([], 1, AT_LARGE[1]), ([], 2, AT_LARGE[2]),
    ([CART, K2], 0, AT_LARGE[0]), ([CART, Q1], 1, AT_LARGE[1]), ([VIEW, FAV, Q1, K3], 2, AT_LARGE[2]),
    # Query 1 is of category 1: items 1 and 2 share 0.85 as 4 : 1. A later query replaces it, other events do not.
    ([Q1], 0, [0, .06 + .85 * .8, .015 + .85 * .2, .045, .03]),
    ([Q3, Q1, CART, K2, VIEW], 0, [0, .06 + .85 * .8, .015 + .85 * .2, .045, .03]),
    ([Q1, Q3], 0, [0, .06, .015, .045 + .85 * .6, .03 + .85 * .4]),
    # Coupon 2 is of category 2: queries 2 and 3 share 0.85 as 3 : 1.
    ([K3, K2, Q1, CART], 1, [0, .03, .09 + .85 * .75, .03 + .85 * .25]),
    # Item 3 in the cart is of shop 1: coupons 1 and 2. Item 2, bought, is of shop 2; a view or a fav is nothing.
    ([CART, Q1, VIEW, FAV], 2, [0, .06 + .425, .06 + .425, .03]),
    ([CART, BUY], 2, [0, .06, .06, .03 + .85]),
    # Item 4 is of shop 3, which gives no coupons.
    ([CART, (0, 4, "buy")], 2, AT_LARGE[2]),
])
def test_best_scores_by_hand(history, group, expected):
    assert best_scores(SMALL, history, group) == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1)


@pytest.mark.parametrize("group", [0, 1, 2])
def test_best_scores_are_calibrated(world, group):
    # Objects given a probability come that often, within 5 standard errors of a sum of coin flips.
    mall, people = world
    events = cases(people, group)
    scores = np.array([best_scores(mall, history, group) for history, _ in events])
    assert np.abs(scores.sum(1) - 1).max() < 1e-12
    came = np.zeros_like(scores)
    came[np.arange(len(events)), [number for _, number in events]] = 1
    for low, high in ((0, 0.003), (0.003, 0.02), (0.02, 0.1), (0.1, 0.2), (0.2, 0.6)):
        here = (scores > low) & (scores <= high)
        p = scores[here]
        assert abs(came[here].sum() - p.sum()) <= 5 * math.sqrt((p * (1 - p)).sum())


@pytest.mark.parametrize("group", [0, 1, 2])
def test_the_other_groups_matter(world, group):
    # AUC of the best answer against counts of "after this object of the same group comes that kind of object",
    # made on the same events and so rather too good. Kind: the item's category, the query, the coupon.
    mall, people = world
    kind = mall.category[0] if group == 0 else np.arange(len(mall.category[group]))
    pairs = [(next((e[1] for e in reversed(history) if e[0] == group), 0), number)
             for history, number in cases(people, group)]
    counts = np.full((len(mall.category[group]), kind.max() + 1), 0.0)
    np.add.at(counts, ([one for one, _ in pairs], kind[[two for _, two in pairs]]), 1)
    told, own = [], []
    for (before, number), (history, _) in list(zip(pairs, cases(people, group), strict=True))[::7]:
        told.append(auc(best_scores(mall, history, group), number))
        own.append(auc(counts[before][kind] * mall.popularity[group], number))
    assert np.mean(told) > 0.88
    assert np.mean(told) > np.mean(own) + 0.05


def auc(scores, number):
    """Share of the other objects which `number` beats; ties count half."""
    others = np.delete(scores, [0, number])
    return np.mean((others < scores[number]) + 0.5 * (others == scores[number]))


# The scorer in the numbers of a log.

def test_scorer_by_hand():
    # Rows of two users; the second user's rows must not see the first one's.
    log = SimpleNamespace(user=np.array([1, 1, 1, 2, 2]), group=np.array([1, 0, 2, 0, 2]),
                          object=np.array([5, 9, 1, 8, 3]), action=np.array([5, 4, 6, 1, 6]),
                          actions=("view", "fav", "cart", "buy", "search", "receive"))
    mall, score = make_mall(np.random.default_rng(1)), scorer_of(TINY / "events.csv", log)
    item, coupon = score(np.array([3, 1])), score(np.array([2, 4]))
    assert item == pytest.approx(np.array([best_scores(mall, [], 0), best_scores(mall, [(1, 5, "search")], 0)])[:, 1:])
    assert coupon == pytest.approx(np.array([
        best_scores(mall, [(1, 5, "search"), (0, 9, "buy")], 2), best_scores(mall, [(0, 8, "view")], 2)])[:, 1:])


def test_scorer_of_another_file_is_none(tmp_path):
    (tmp_path / "events.csv").write_text((TINY / "events.csv").read_text() + "\n")
    assert scorer_of(tmp_path / "events.csv", None) is None
