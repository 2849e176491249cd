"""More cases of what several papers share, of sizes and paddings that no other case has.  {component: plans}."""
import numpy as np

from tests.golden.draw import MANY_LENGTHS, dense, ids, normal, plan_coarse as plan, real_left, real_right, round8

LENGTHS = {"lengths": MANY_LENGTHS, "events": 2}
LONG = {"lengths": (66,), "events": 67}
EDGES = 2 ** np.arange(15)


def rows_case(rng, draw):
    return dense(rng, draw["width"], 2), {"x": normal(rng, draw["rows"], draw["events"], draw["width"])}


def ids_case(rng, draw):
    return {}, {"ids": ids(rng, real_left(draw["lengths"], draw["events"]), 9)}


def behaviours_case(rng, draw):
    return {}, {"behaviour": ids(rng, real_left(draw["lengths"], draw["events"]), 9)}


def lookup_case(rng, draw):
    """All ids beyond 8 bits, and some before, in 33 rows."""
    return {"table": normal(rng, 301, 1)}, {"ids": ids(rng, real_left(MANY_LENGTHS, 2), 300)}


def embed_case(rng, draw):
    """Five features, one of 300 ids."""
    real, counts = real_left(MANY_LENGTHS, 2), (300, 2, 70, 3, 2)
    return {"tables": [normal(rng, count + 1, 1) for count in counts]}, {
        "ids": np.stack([ids(rng, real, count) for count in counts], axis=-1)}


def allowed_of(rng, draw):
    """A third of the keys of every query, none in some rows."""
    real = real_right(draw["lengths"], draw["events"])
    return (rng.random((len(real), draw["queries"], draw["events"])) < 0.9) & real[:, None]


def softmax_case(rng, draw):
    allowed = allowed_of(rng, draw)
    return {}, {"scores": normal(rng, *allowed.shape), "allowed": allowed}


def above_case(rng, draw):
    """Scores of thousands below 0, beside masked ones that are as far above, or the reverse."""
    allowed = allowed_of(rng, draw)
    scores = np.where(allowed, -1, 1) * draw["by"] * rng.choice([1, 1, -1], (len(allowed), 1, 1))
    return {}, {"scores": round8(scores + normal(rng, *allowed.shape)) if draw["by"] < 2**12 else scores + rng.integers(
        -2, 3, allowed.shape) * 1.0, "allowed": allowed}


def attention_case(rng, draw):
    allowed, D = allowed_of(rng, draw), draw["width"]
    q = normal(rng, *allowed.shape[:2], D, scale=1.5)
    k, v = (normal(rng, len(allowed), allowed.shape[2], D, scale=1.5) for _ in "kv")
    return {}, {"q": q, "k": k, "v": v, "allowed": allowed}


def below_case(rng, draw):
    """Whole numbers, of which queries and keys disagree: scores of allowed keys lie thousands below 0."""
    allowed = allowed_of(rng, draw)
    k = rng.integers(64, 256, (len(allowed), allowed.shape[2], 4)) * 1.0
    q = -rng.integers(64, 256, (*allowed.shape[:2], 4)) * 1.0
    return {}, {"q": q, "k": k, "v": normal(rng, *k.shape), "allowed": allowed}


def numbers_case(rng, draw):
    """Many rows, or one long one, of numbers."""
    shape = draw["shape"]
    inputs = {"x": 3 * normal(rng, *shape), "values": normal(rng, *shape), "logits": 3 * normal(rng, *shape)}
    more = {"mask": rng.random(shape[:2]) < 0.7, "labels": rng.random(shape[:2]) < 0.5}
    if len(shape) > 2:
        more["labels"] = rng.integers(0, shape[2], shape[:2])
    return {}, {name: (inputs | more)[name] for name in draw["names"]}


def fixed_case(rng, draw):
    """Numbers at which clipping, thresholds and exp end."""
    x = np.array([[-1000, -745, -105, -89, -50, -36, -20], [1000, 710, 105, 89, 50, 36, 20.5],
                  [-15.5, -17, 17, 15.5, 9.5, -9.5, 0.5]])
    return {}, {"x": x} if draw["name"] == "x" else {"logits": x, "labels": np.arange(21).reshape(3, 7) % 2 == 0}


def gaps_case(rng, draw):
    """Every edge of a bucket, a step before and a step after, and years."""
    return {}, {"gap": np.sort(np.concatenate([EDGES - 1, EDGES, EDGES + 1, [10**6, 2**31 - 1]]))[None]}


def of_rows(*names, last=()):
    """Cases of 33 rows and of 66 columns of numbers."""
    return plan(numbers_case, ("many_rows", ("ManyRows",), {"shape": (33, 2, *last), "names": names}, {}),
                *([] if last else [("long", ("LongHistory", "OneUser"), {"shape": (1, 66), "names": names}, {})]))


def masks(build, *configs):
    return plan(build, *((name, flags, draw, config) for (name, flags, draw) in (
        ("many_rows", ("ManyRows", "EmptyHistory"), LENGTHS), ("longer", ("LongHistory", "OneUser"), LONG))
        for config in configs))


ATTENDED = {"lengths": MANY_LENGTHS, "events": 2, "queries": 1}
ATTEND = {"lengths": (66,), "events": 67, "queries": 2}
MORE = {
    "layers.dense": plan(rows_case, ("many_rows", ("ManyRows",), {"rows": 33, "events": 1, "width": 3}, {}),
                         ("wide", ("OneUser",), {"rows": 1, "events": 2, "width": 70}, {})),
    "layers.lookup": plan(lookup_case, ("many_rows", ("ManyRows", "ManyItems", "EmptyHistory"), {}, {})),
    "layers.embed": plan(embed_case, ("many_rows", ("ManyRows", "ManyItems", "EmptyHistory"), {}, {})),
    "masks.positions": masks(ids_case, {}),
    "masks.behaviour": masks(behaviours_case, {"count": 9}), "masks.same_behaviour": masks(behaviours_case, {}),
    "attention.masked_softmax": [
        *plan(softmax_case, ("many_rows", ("ManyRows", "EmptyHistory"), ATTENDED, {}),
              ("long", ("LongHistory", "OneUser"), ATTEND, {}),
              ("square", ("Basic", "Padding"), {"lengths": (2, 4, 1, 3), "events": 4, "queries": 4}, {})),
        *plan(above_case, *((name, ("LargeValues", "Padding"), {
            "lengths": (1, 4, 2), "events": 4, "queries": 3, "by": by}, {}) for name, by in (
                ("masked_above", 2.0**10), ("masked_far_above", 2.0**17))))],
    "attention.attention": [
        *plan(below_case, ("farther_below", ("LargeValues", "Padding"), {"lengths": (1, 3, 2), "events": 4, "queries": 3},
                           {"heads": 2, "scaled": True})),
        *plan(attention_case, ("many_rows", ("ManyRows", "Heads", "EmptyHistory"), ATTENDED | {"width": 5},
                               {"heads": 5, "scaled": True}),
              ("wide", ("OneUser",), ATTEND | {"lengths": (4,), "events": 5, "width": 34}, {"heads": 1, "scaled": True}),
              ("square", ("Heads", "Padding"), {"lengths": (2, 4, 1, 3), "events": 4, "queries": 4, "width": 4},
               {"heads": 4, "scaled": True}))],
    "losses.softplus": [*of_rows("x"), *plan(fixed_case, ("ends", ("LargeValues",), {"name": "x"}, {}))],
    "losses.sigmoid_cross_entropy": [
        *of_rows("logits", "labels"), *plan(fixed_case, ("ends", ("LargeValues",), {"name": "logits"}, {}))],
    "losses.cross_entropy": of_rows("logits", "labels", last=(3,)),
    "losses.masked_mean": of_rows("values", "mask"),
    "atrank.time_bucket": [
        *plan(gaps_case, ("every_edge", ("BucketEdges", "LongGap"), {}, {"rule": "release"}), side="released"),
        *plan(gaps_case, ("paper_every_edge", ("BucketEdges", "LongGap", "Switch"), {}, {"rule": "paper"}), side="paper")],
}
