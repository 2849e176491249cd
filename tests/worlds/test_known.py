"""The worlds with a known best answer: their files, their ceilings, and what a signal changes."""
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.data.groups import read_groups
from mbref.data.leave_one_out import leave_one_out
from mbref.data.readers import read
from mbref.errors import InputError
from mbref.worlds import aisles, commands, counts, dims, hints, hops, kinds, known, last
from mbref.worlds.known import Past, expected, past_of

TINY = Path(__file__).parents[2] / "tiny_data"
WORLDS = commands.WORLDS
EVERY = [(name, signal) for name, world in WORLDS.items() for signal in world.SIGNALS]
every_signal = pytest.mark.parametrize(("name", "signal"), EVERY)
every_world = pytest.mark.parametrize("name", WORLDS)
MEASURE = dict.fromkeys(WORLDS, "AUC") | {"last": "NDCG@10", "counts": "NDCG@10", "aisles": "MRR@20"}


def options(**given):
    return SimpleNamespace(**{"make": None, "only": [], "signal": None, "users": None, **given})


def draw_cases(name, signal, count=400):
    """What came last of `count` users, and their pasts.  -> (pasts, items [S])."""
    rng = np.random.default_rng(11)
    people = [WORLDS[name].draw_user(rng, signal) for _ in range(count)]
    return [past_of(events[:-1], events[-1][2]) for events in people], np.array([e[-1][0] for e in people])


# Files.

def test_the_committed_files_are_made_again_bit_for_bit(tmp_path):
    commands.run_worlds(options(make=str(tmp_path)))
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    there = {path.relative_to(TINY / "worlds"): path.read_bytes() for path in (TINY / "worlds").rglob("*.*")}
    assert made == there and len(made) == 13


def test_all_logs_together_are_small():
    files = [path for path in TINY.rglob("*") if path.is_file() and "cases" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 2_000_000


@every_world
def test_the_first_users_are_the_same_however_many_there_are(name):
    world = WORLDS[name]
    few, many = (world.draw_user(rng, world.SIGNALS[0]) for rng in map(np.random.default_rng, (3, 3)))
    assert few == many
    rng, again = np.random.default_rng(4), np.random.default_rng(4)
    assert [world.draw_user(rng, world.SIGNALS[0]) for _ in range(3)][:2] == [
        world.draw_user(again, world.SIGNALS[0]) for _ in range(2)]


@every_world
def test_another_seed_gives_another_log(name):
    world = WORLDS[name]
    texts = [known.make(world, users=3, seed=seed)[world.LOG] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_signal_or_world_that_there_is_not():
    with pytest.raises(InputError, match="--only lost: choose from last"):
        commands.run_worlds(options(only=["lost"]))
    with pytest.raises(InputError, match="last has cart, any"):
        commands.run_worlds(options(make="x", only=["last"], signal="carts"))


def test_the_list_names_every_world(capsys):
    commands.run_worlds(options())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(WORLDS)
    assert lines[0] == ("last    what is bought is what was put in the cart last, whatever came between (HMAR). "
                        "Signals: cart, any; 250 users.")


@pytest.mark.parametrize("name", ["last", "counts", "kinds", "hops", "dims"])
def test_a_reader_gives_the_same_pasts(name):
    """Leave-one-out of the committed file: the past of a test case is what was drawn."""
    world = WORLDS[name]
    log = read(TINY / "worlds" / name / world.LOG, world.FORMAT)
    assert log.notes == () and log.items[1:].tolist() == [str(i) for i in range(1, len(log.items))]
    held = leave_one_out(log, world.TARGET).test
    rng = np.random.default_rng(1)
    people = [world.draw_user(rng, world.SIGNALS[0]) for _ in range(world.SHIPPED)]
    assert held.item.tolist() == [events[-1][0] for events in people]
    cases = np.array([7, 2])
    for past, case in zip(known.pasts_of(held.history, cases), cases, strict=True):
        drawn = past_of(people[case][:-1])
        np.testing.assert_array_equal(past.item, drawn.item)
        np.testing.assert_array_equal(past.kind, drawn.kind)
        assert past.now == people[case][-1][2]


@pytest.mark.parametrize("name", ["hints", "stamp"])
def test_groups_are_read_as_drawn(name):
    log = read_groups(TINY / "worlds" / name / "events.csv")
    events = WORLDS[name].draw_user(np.random.default_rng(1), WORLDS[name].SIGNALS[0])
    row = np.flatnonzero(log.user == 1)[-1]
    past, = known.pasts_of_rows(log, np.array([row]))
    drawn = sorted(events, key=lambda event: event[2])  # equal times keep their order
    assert drawn[-1] == (log.object[row], log.group[row], past.now)
    assert [tuple(map(int, event)) for event in zip(*past[:3], strict=True)] == drawn[:-1]
    assert log.features[0][1:, 2].tolist() == hints.CATEGORY[1:].tolist()  # item, shop, category, brand


# Ceilings.

@every_signal
def test_the_ceiling_is_what_the_best_answer_earns(name, signal):
    """Over the items that came, within 3 standard errors of their expectation over those that may."""
    pasts, item = draw_cases(name, signal)
    p = known.best_of(WORLDS[name], signal, pasts)
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-9 and p.min() >= 0
    came = np.eye(p.shape[1])[item - 1]
    gap = expected(p, came, MEASURE[name]) - expected(p, p, MEASURE[name])
    assert abs(gap.mean()) <= 3 * gap.std() / np.sqrt(len(gap)) + 1e-12


@every_signal
def test_no_scores_beat_the_ceiling(name, signal):
    pasts, _ = draw_cases(name, signal, 20)
    p = known.best_of(WORLDS[name], signal, pasts)
    others = [np.random.default_rng(2).random(p.shape), p * (1 + np.random.default_rng(3).random(p.shape)), 0 * p]
    for scores in others:
        assert (expected(scores, p, MEASURE[name]) <= expected(p, p, MEASURE[name]) + 1e-12).all()


def test_expected_by_hand():
    """Items of chance .5, .3, .2, 0; two tie in front, or the third is no candidate."""
    p, scores = np.array([[0.5, 0.3, 0.2, 0]]), np.array([[2.0, 2, 1, 3]])
    assert expected(scores, p, "AUC") == pytest.approx(0.8 * (1 - 1.5 / 3) + 0.2 * (1 - 3 / 3))
    assert expected(scores, p, "MRR@20") == pytest.approx(0.8 * (1 / 2 + 1 / 3) / 2 + 0.2 / 4)
    second = 1 / np.log2(3)
    assert expected(scores, p, "NDCG@10", np.array([[True, True, True, False]])) == pytest.approx(
        0.8 * (1 + second) / 2 + 0.2 * 0.5)


def share_auc(sure, chosen, items):
    """AUC in the long run if `chosen` of the items share `sure` evenly and all share the rest."""
    inside = sure + (1 - sure) * chosen / items
    ahead, behind = (chosen - 1) / 2, chosen + (items - chosen - 1) / 2
    return 1 - (inside * ahead + (1 - inside) * behind) / (items - 1)


@pytest.mark.parametrize(("name", "signal", "closed"), [
    ("kinds", "told", share_auc(0.9, 100, 300)), ("hints", "query", share_auc(0.9, 10, 100)),
    ("stamp", "coupon", share_auc(0.9, 10, 100)), ("stamp", "newest", share_auc(0.9, 10, 100)),
    # the item of the cart is first; the others tie at ranks 2..24
    ("last", "cart", 0.9 + 0.1 / 24 + (0.1 * 23 / 24) * np.sum(1 / np.log2(np.arange(3, 12))) / 23),
    ("counts", "none", np.sum(1 / np.log2(np.arange(2, 12))) / 40),
    # 4 items of the one topic are left, at ranks 1..4 of all
    ("hops", "one", 1 - 1.5 / 359),
])
def test_ceilings_in_closed_form(name, signal, closed):
    pasts, _ = draw_cases(name, signal, 40)
    p = known.best_of(WORLDS[name], signal, pasts)
    np.testing.assert_allclose(expected(p, p, MEASURE[name]), closed, rtol=1e-9)


# Chances by hand.

def test_chances_of_last_and_counts_by_hand():
    past = past_of([(3, last.CART, 0), (5, 4, 0), (6, 1, 0)])
    assert last.chances(past)[[3, 5]] == pytest.approx([0.9 + 0.1 / 24, 0.1 / 24])
    assert last.chances(past, "any")[[3, 6]] == pytest.approx([0.1 / 24, 0.9 + 0.1 / 24])
    assert last.chances(past_of([]))[1:] == pytest.approx(np.ones(24) / 24)
    past = past_of([(1, counts.CART, 0), (1, counts.CART, 0), (2, counts.CART, 0), (2, counts.BUY, 0), (9, 4, 0)])
    assert counts.chances(past)[[1, 2, 9]] == pytest.approx(np.array([np.e ** 3, 1, 1]) / (np.e ** 3 + 39))


def test_chances_of_hints_by_hand():
    """Queries 21 and 2, of categories 1 and 2, then item 5; items 1 to 5 are of categories 1 to 5."""
    past = past_of([(21, hints.QUERY, 0), (2, hints.QUERY, 3600), (5, hints.ITEM, 7200)])
    for signal, shares in (("query", (0, 0.9, 0)), ("item", (0, 0, 0.9)), ("any query", (0.45, 0.45, 0))):
        chance = np.array(shares) / 10 + 0.1 / 100
        assert hints.chances(past, signal)[[1, 2, 5]] == pytest.approx(chance)
        assert hints.chances(past_of([]), signal)[1:] == pytest.approx(np.ones(100) / 100)


def test_chances_of_hops_by_hand():
    """Topics 1 (items 1, 25) and 2 seen, so two of four interests are open among 22 topics of 15."""
    p = hops.chances(past_of([(1, 1, 0), (25, 1, 0), (2, 1, 0)]))
    assert p[[1, 49, 26, 3]] == pytest.approx([0, 1 / 4 / 13, 1 / 4 / 14, 2 / 4 / 22 / 15])
    assert p.sum() == pytest.approx(1)


def test_chances_of_dims_by_hand():
    """Garment 1 is of style 1 and maker 1, 5 of style 1 and maker 2, 2 of style 2 and maker 1."""
    for occasion, (near, far) in ((dims.GARMENTS + 1, (5, 2)), (dims.GARMENTS + 2, (2, 5))):
        p = dims.chances(past_of([(1, 1, 0), (occasion, 1, 0)]))
        left = 0.95 * 47 / 48 + 0.05 * 191 / 192
        assert p[[1, near, far]] == pytest.approx([0, (0.95 / 48 + 0.05 / 192) / left, 0.05 / 192 / left])


def test_blind_to_the_occasion_both_sides_count_half():
    past = past_of([(1, 1, 0), (dims.GARMENTS + 1, 4, 0)])
    work = past_of([(1, 1, 0), (dims.GARMENTS + 2, 4, 0)])
    np.testing.assert_allclose(dims.blind(past), (dims.chances(past) + dims.chances(work)) / 2)
    np.testing.assert_array_equal(dims.blind(past), dims.blind(work))


def test_chances_of_aisles_by_hand():
    """After items of categories 2 and 1, the last of line 1."""
    b, c = 2, 1
    goal = aisles.NEXT[b, c]
    p = aisles.chances(past_of([(2, 1, 0), (1, 1, 0)]))
    by_category = np.bincount(aisles.CATEGORY, p)
    rest = 0.15 / 12
    assert goal not in (1, 5) and by_category[[1, goal, 5]] == pytest.approx([0.1 + rest, 0.75 + rest, rest])
    weight = np.arange(1, 26) ** -0.7 * np.where(np.arange(25) % 4 == 0, 3, 1)
    assert p[aisles.CATEGORY == goal] == pytest.approx((0.75 + rest) * weight / weight.sum())
    p = aisles.chances(past_of([(2, 1, 0), (1, 1, 0)]), weight=aisles.EVEN)
    assert p[aisles.CATEGORY == goal][:3] == pytest.approx((0.75 + rest) / (7 * 3 + 18) * np.array([3, 1, 1]))


# With the signal a change of the past changes what comes; without it, it does not.

def other_kinds(past):
    return past._replace(kind=np.roll(past.kind, 1))


def without(group):
    def change(past):
        keep = past.kind != group
        return Past(*(column[keep] for column in past[:3]), past.now)
    return change


def other_order(past):
    at = np.flatnonzero(past.kind == hints.QUERY)
    item = past.item.copy()
    item[at] = item[at][::-1]
    return past._replace(item=item)


def later_coupon(past):
    at, asked = (np.flatnonzero(past.kind == kind)[-n] for kind, n in ((hints.COUPON, 1), (hints.QUERY, 3)))
    time = past.time.copy()
    time[at] = time[asked] if time[at] != time[asked] else past.time[past.kind == hints.QUERY][-2]
    return past._replace(time=time)


def other_occasion(past):
    item = past.item.copy()
    item[-1] = dims.GARMENTS + 1 + (item[-1] - dims.GARMENTS) % dims.OCCASIONS
    return past._replace(item=item)


@pytest.mark.parametrize(("name", "off", "change"), [
    ("last", "any", other_kinds), ("counts", "none", other_kinds), ("hints", "item", without(hints.QUERY)),
    ("hints", "any query", other_order), ("stamp", "newest", later_coupon), ("dims", "style", other_occasion)])
def test_switching_off_removes_the_signal(name, off, change):
    for signal in (WORLDS[name].SIGNALS[0], off):
        pasts, _ = draw_cases(name, signal, 30)
        gaps = [np.abs(WORLDS[name].chances(past, signal) - WORLDS[name].chances(change(past), signal)).max()
                for past in pasts]
        assert max(gaps) < 1e-12 if signal == off else np.mean(np.array(gaps) > 1e-3) > 0.5


def test_kinds_tell_and_silent_ones_do_not():
    """Of what is no buy, the behaviour is the kind's own with .9 + .1 / 3, or 1 / 3."""
    for signal, share in (("told", 0.9 + 0.1 / 3), ("silent", 1 / 3)):
        rng = np.random.default_rng(5)
        events = [event for _ in range(100) for event in kinds.draw_user(rng, signal) if event[1] != kinds.BUY]
        own = np.mean([kinds.OWN[kinds.KIND[item] - 1] == kind for item, kind, _ in events])
        assert abs(own - share) <= 4 * np.sqrt(share * (1 - share) / len(events)) + 1e-9


def test_one_interest_is_one_topic_and_several_are_several():
    topics = {signal: {len({hops.TOPIC[item] for item, _, _ in hops.draw_user(np.random.default_rng(s), signal)})
                       for s in range(20)} for signal in hops.SIGNALS}
    assert topics["one"] == {1} and topics["several"] <= {2, 3, 4} and 4 in topics["several"]


def test_without_a_chain_categories_are_even_and_muted_words_are_chance():
    p = aisles.chances(past_of([(2, 1, 0), (1, 1, 0)]), "no chain")
    assert np.bincount(aisles.CATEGORY, p)[1:] == pytest.approx(np.ones(12) / 12)
    for signal, least, most in (("chain", 1, 1), ("mute", 0, 0.1)):
        rows = known.make(aisles, signal, users=2)["products.csv"].splitlines()[1:]
        words = [set(row.rpartition(";")[2].split(",")) for row in rows]
        right = np.mean([{str(aisles.LINE[i]), str(100 + aisles.CATEGORY[i])} <= words[i - 1]
                         for i in range(1, aisles.N + 1)])
        assert least <= right <= most
