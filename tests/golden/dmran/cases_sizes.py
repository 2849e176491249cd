"""More cases of DMRAN, of sizes and paddings that no other case has.  {component: plans}."""
import numpy as np

from mbref.variants.atrank import init_block
from tests.golden.dmran.cases import history_code_case, model_case, row, score_case
from tests.golden.draw import (
    MANY_LENGTHS,
    enlarge,
    SHORT,
    label_several,
    moved,
    normal,
    plan_coarse as plan,
    real_right,
    remove_candidates,
    round8,
    steepen,
)

ROWS, LONG = {"lengths": MANY_LENGTHS, "events": 2}, {"lengths": (66,), "events": 67}
MANY_ROWS, LONG_ONE = ("ManyRows", "ManyItems", "EmptyHistory", "LongGap"), ("LongHistory", "ManyItems", "OneUser")
MANY = {"items": 40, "categories": 10, "width": 4, "hops": 3}
LONGER = {"items": 300, "categories": 270, "width": 4, "hops": 34, "item_bias": True}
CUBE, CUBE_CONFIG = (("Basic", "Padding"), (2, 4, 1, 3), {"events": 4, "candidates": 4}), {
    "width": 4, "hops": 4, "heads": 4}
NARROW = {"width": 4, "rate": 0.05}
EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 1024, 2047, 2048, 4094,
         4095, 4096, 8191, 8192, 100000]
MIXES = {"mixed_first": {"variant": "feature", "diagonal": False, "robust": True, "heads": 4, "item_bias": True},
         "mixed_second": {"variant": "feature", "fuse": False, "pool": "mean", "time": False, "weight_decay": 0.25},
         "mixed_third": {"variant": "item", "robust": True, "heads": 2, "bucket": "release", "item_bias": True,
                         "weight_decay": 0.125},
         "mixed_fourth": {"fuse": False, "diagonal": False, "robust": True, "heads": 2, "bucket": "release", "item_bias": True,
                          "redundancy": 0.5}}


def attention_case(rng, draw):
    """Item attention of other widths and numbers of hops."""
    real, d = real_right(draw["lengths"], draw["events"]), draw["width"]
    params = {"W_s1": normal(rng, d, d, scale=0.5), "W_s2": normal(rng, draw["hops"], d, scale=0.5)}
    return params, {"H": normal(rng, *real.shape, d), "real": real}


def far_below_case(rng, draw):
    """Scores far below 0, beside padding whose scores would be far above."""
    params, inputs = attention_case(rng, draw)
    params = {"W_s1": np.ones((4, 4)), "W_s2": -rng.integers(1, 9, (draw["hops"], 4)).astype(float)}
    inputs["H"] = rng.integers(draw["least"], 2 * draw["least"], inputs["H"].shape) * 1.0
    params["W_s1"][:, 0] = -4
    inputs["H"][~inputs["real"]] = 0
    inputs["H"][:, :, 0] /= 8
    return params, inputs


def pairs_case(rng, draw):
    """Rows that may look at which, of another number and width."""
    rows, r, d = draw["rows"], draw["hops"], draw["width"]
    allowed = ~np.eye(r, dtype=bool) if draw.get("others") else np.ones((r, r), bool)
    params = {name: normal(rng, d, d, scale=0.5) for name in ("W_s3", "W_s4", "W_s5")}
    params |= {name: normal(rng, d) for name in ("b_s1", "b_s2")}
    return params, {"M": normal(rng, rows, r, d), "allowed": np.broadcast_to(allowed, (rows, r, r))}


def robust_pairs_case(rng, draw):
    params, inputs = pairs_case(rng, draw)
    block = moved(rng, init_block(rng, draw["width"], 3), 0.3)
    return params | {"after": {name: block[name] for name in ("f1", "f2", "ln", "ln_f")}}, inputs


def steep_case(rng, draw):
    """Pairs whose scores differ by thousands, the largest of them where none may look."""
    params, inputs = pairs_case(rng, draw)
    params["W_s5"] = draw["steep"] * rng.choice([-1.0, 1.0], params["W_s5"].shape)
    real = real_right((2, 1, draw["hops"]), draw["hops"])
    return params, inputs | {"M": rng.integers(-8, 9, inputs["M"].shape) * draw.get("spread", 1.0),
                             "allowed": inputs["allowed"] & real[:, None]}


def vanilla_case(rng, draw):
    real, d = real_right(draw["lengths"], draw["events"]), draw["width"]
    params = {"van": moved(rng, init_block(rng, d, 3), 0.3)} if draw.get("robust") else {}
    return params, {"M": normal(rng, *real.shape, d), "i_c": normal(rng, len(real), 2, d), "real": real}


def negative_case(rng, draw):
    """Rows whose scores are all far below those that padding would have."""
    params, inputs = vanilla_case(rng, draw)
    inputs["M"], inputs["i_c"] = (128 * abs(inputs[name]) for name in ("M", "i_c"))
    inputs["M"] = round8(np.where(inputs["real"][..., None], -inputs["M"], 8 * inputs["M"]))
    return params, inputs


def fusion_case(rng, draw):
    d, rows = draw["width"], draw["rows"]
    params = {name: normal(rng, d, d, scale=0.5) for name in ("W_f1", "W_f2")} | {"b_f": normal(rng, d)}
    return params, {name: normal(rng, rows, draw["candidates"], d) for name in ("h", "h_hat")}


def redundancy_case(rng, draw):
    real = real_right(draw["lengths"], draw["events"])
    A = np.exp(rng.normal(0, 1, (len(real), draw["hops"], draw["events"]))) * real[:, None]
    total = A.sum(axis=2, keepdims=True)
    return {}, {"A": round8(A / (total + (total == 0)))}


def edges_case(rng, draw):
    """Gaps at the edges of all buckets, one event each."""
    params, inputs = history_code_case(rng, draw)
    return params, inputs | {"gap": np.array([EDGES])}


PAIRS = (("many_rows", ("ManyRows",), {"rows": 35, "hops": 2, "width": 2}, {}),
         ("many_others", ("LongHistory", "OneUser", "NoDiagonal"), {"rows": 1, "hops": 18, "width": 2, "others": True}, {}))
MORE = {name: plans for name, plans in {
    "dmran.history_code": plan(edges_case, *(row(
        name, ("BucketEdges", "LongGap", *more), (len(EDGES),), {"events": len(EDGES)}, width=2, **config)
        for name, more, config in (("edges", (), {}), ("release_edges", ("Switch",), {"bucket": "release"})))),
    "dmran.item_attention": [
        *plan(attention_case, ("many_rows", ("ManyRows", "EmptyHistory"), ROWS | {"hops": 3, "width": 3}, {})),
        *plan(far_below_case, *(
            (name, ("LargeValues", "Padding"), {"lengths": (3, 1, 2), "events": 4, "hops": 3, "width": 4, "least": least},
             {}) for name, least in (("far_below", 2**11),)))],
    "dmran.redundancy": plan(
        redundancy_case, ("many_rows", ("ManyRows", "EmptyHistory"), ROWS | {"hops": 3}, {})),
    "dmran.alignment": [
        *plan(pairs_case, PAIRS[0]),
        *plan(steep_case, *((name, ("LargeValues", "Padding"), {"rows": 3, "hops": 4, "width": 4, "steep": steep,
                                                                                   "spread": spread}, {})
                            for name, steep, spread in (
                                ("steep", 64, 1.0), ("steeper", 1024, 1.0), ("steepest", 2.0**15, 1.0))))],
    "dmran.feature_attention": plan(robust_pairs_case, (
        "robust_rows", ("Switch", "ManyRows"), {"rows": 7, "hops": 3, "width": 4}, {"robust": True})),
    "dmran.vanilla": [
        *plan(vanilla_case, ("many_rows", ("ManyRows", "EmptyHistory"), ROWS | {"width": 4}, {"pool": "attention", "heads": 1}),
              ("wide", ("LongHistory", "OneUser"), LONG | {"width": 10}, {"pool": "attention", "heads": 1}),
              ("long_mean", ("LongHistory", "OneUser", "Switch"), LONG | {"width": 2}, {"pool": "mean", "heads": 1}),
              ("robust_heads", ("Switch", "Heads"), {"lengths": (3, 0, 4), "events": 4, "width": 8, "robust": True},
               {"robust": True, "heads": 8}),
              ("mean_of_nothing", ("EmptyHistory", "Switch"), {"lengths": (3, 0, 4), "events": 4, "width": 2},
               {"pool": "mean", "heads": 1}),
              ("robust_rows", ("Switch", "LongHistory"), {"lengths": (11, 0, 9), "events": 11, "width": 4, "robust": True},
               {"robust": True, "heads": 2})),
        *plan(enlarge(vanilla_case, "M", "i_c", inputs=256), (
            "larger_robust", ("LargeValues", "Switch"), {"lengths": (3, 1, 4), "events": 4, "width": 4, "robust": True},
            {"robust": True, "heads": 2})),
        *plan(negative_case, ("far_below", ("LargeValues", "Padding"), {"lengths": (3, 1, 2), "events": 4, "width": 4},
                              {"pool": "attention", "heads": 1}))],
    "dmran.fusion": plan(fusion_case, ("many_rows", ("ManyRows",), {"rows": 35, "candidates": 2, "width": 2}, {}),
                         ("many_candidates", ("ManyItems", "OneUser"), {"rows": 1, "candidates": 66, "width": 2}, {})),
    "dmran.score": [
        *plan(label_several(score_case), row("longer", LONG_ONE, (104,), {"events": 104, "candidates": 1}, width=2, hops=3),
              row("lone", ("Switch", "SingleEvent", "EmptyHistory"), (4, 1, 0), {"events": 4, "candidates": 3}, width=2,
                  variant="feature", diagonal=False)),
        *plan(steepen(score_case, 2.0**12, ("W_s5",)), row(
            "steep", ("LargeValues", "Padding"), SHORT, {"events": 4}, width=4)),
        *plan(label_several(score_case), row("many_candidates", (*LONG_ONE[1:], "Switch"), (2,), {"events": 3, "candidates": 70}, **LONGER))],
    "dmran": [
        *plan(steepen(model_case, 2.0**12, ("W_s5",)), row(
            "steep", ("LargeValues", "Padding"), SHORT, {"events": 4}, **NARROW)),
        *plan(label_several(model_case),
              row("many_rows", MANY_ROWS, MANY_LENGTHS, ROWS | {"years": 15}, rate=0.05, **MANY),
              row("cube", CUBE[0], CUBE[1], CUBE[2], rate=0.05, **CUBE_CONFIG)),
        *plan(model_case, row("long_feature", (*LONG_ONE, "Switch"), (34,), {"events": 34}, variant="feature", rate=0.02,
                  items=70, width=4),
              *(row(name, ("Switch", "Padding"), SHORT, {"events": 4}, **NARROW | config) for name, config in MIXES.items())),
        *plan(remove_candidates(model_case), row("no_candidates", ("NoNegative", "EmptyHistory"), (3, 0, 7),
                                                 redundancy=1.0, **NARROW))],
}.items()}
MORE = {name: [one._replace(side="paper") for one in plans] for name, plans in MORE.items()}
