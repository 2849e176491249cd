"""More cases of ATRank, of sizes and paddings that no other case has.  {component: plans}."""
from functools import partial

import numpy as np

from mbref.nn.layers import COLUMNS
from mbref.variants import atrank
from tests.golden.atrank.cases import PRINTED, RELEASED, model_case, row, score_case
from tests.golden.atrank_groups import cases as groups
from tests.golden.draw import HUGE, MANY_LENGTHS, SHORT, label_several, moved, normal, plan_coarse as plan, real_right, remove_candidates

SIZES = {"many_rows": (("ManyRows", "Heads", "EmptyHistory"), {"lengths": MANY_LENGTHS, "events": 2, "width": 5, "queries": 1}, 5)}
SMALL = {"items": 300, "categories": 270, "table_width": 2, "width": 4, "hidden": 3, "penalty": 0.125}
MANY = SMALL | {"heads": 2}
LONG = SMALL | {"heads": 1, "items": 300, "categories": 270}
MANY_ROWS = ("ManyRows", "ManyItems", "EmptyHistory", "LongGap"), MANY_LENGTHS, {"events": 2, "years": 15}
LONGER = ("LongHistory", "OneUser"), (66,), {"events": 66, "candidates": 1}
MANY_CANDIDATES = ("ManyItems", "OneUser"), (3,), {"events": 4, "candidates": 70}
CUBE = ("Basic", "Padding"), (2, 4, 1, 3), {"events": 4, "candidates": 4}
NARROW = {"table_width": 2, "width": 4, "hidden": 3}
MIXES = {  # settings that follow each other nowhere else
    "mixed_first": {"scores": "dot", "bucket": "paper", "query": "group", "item_bias": False, "group_relu": True,
                    "heads": 4},
    "mixed_second": {"scores": "bilinear", "bucket": "release", "query": "raw", "item_bias": True, "group_relu": False,
                     "weight_decay": 0.25},
    "mixed_third": {"scores": "dot", "bucket": "paper", "query": "group", "item_bias": True, "group_relu": False,
                    "weight_decay": 0.5, "self_attention": False}}


def block_case(rng, draw):
    """A block of another width."""
    D, rows, size, count = draw["width"], len(draw["lengths"]), draw["events"], draw.get("queries", 2)
    real = real_right(draw["lengths"], size)
    return moved(rng, atrank.init_block(rng, D, 3), 0.4), {
        "query": normal(rng, rows, count, D), "memory": normal(rng, rows, size, D),
        "allowed": np.broadcast_to(real[:, None], (rows, count, size))}


def fill_gap(build):
    """A build whose padding, which alone has gaps of 0, holds huge numbers, of which keys are 0 and values as large."""
    def filled(rng, draw):
        params, inputs = build(rng, draw)
        params["groups"][0]["w"][-COLUMNS["release"]] = HUGE * (np.arange(draw["config"]["width"]) == 0)
        for p in params["self"]:
            p["k"]["w"][0], p["v"]["w"][0] = -abs(p["k"]["w"][0]), abs(p["v"]["w"][0])
        return params, inputs | {"gap": np.maximum(inputs["gap"], inputs["item"] > 0)}
    return filled


def last_classes(build):
    """A build in which every other item is of one of the last categories."""
    def built(rng, draw):
        params, inputs = build(rng, draw)
        inputs["category"][1::2] = draw["config"]["categories"] - np.arange(len(inputs["category"][1::2])) % 9
        return params, inputs
    return built


def sizes(scores, side):
    prefix = "" if scores == "dot" else "bilinear_"
    return plan(block_case, *((prefix + name, flags, draw, {"heads": heads if scores == "dot" else 1, "scores": scores})
                              for name, (flags, draw, heads) in SIZES.items()), side=side)


def sized(name, size, base, **config):
    flags, lengths, draw = size
    return row(name, flags, lengths, draw, base=base, **config)


def group_row(name, flags, lengths, draw=(), **config):
    return groups.row(name, flags, lengths, draw, base=THREE, **config)


# three groups, of which the last two have actions, nine kinds of them
THREE = groups.SHOP | {
    "tables": [["item", 20], ["category", 4], ["query", 3], ["shop", 4], ["city", 3]],
    "groups": [["item", "category"], ["query", "category"], ["shop", "city"]], "actions": [0, 4, 9]}
OF_THREE = (0, 1, 2, 0), (0, 2, 1, 0), (0, 6, 5, 4)
released, printed = partial(plan, side="released"), partial(plan, side="paper")
MORE = {
    "atrank.attention_block": [
        *sizes("dot", "released"), *sizes("bilinear", "paper")],
    "atrank.score": [
        *released(label_several(score_case), row("longer", *LONGER, base=RELEASED, **NARROW | {"heads": 1})),
        *printed(label_several(score_case), row("paper_longer", *LONGER, base=PRINTED, **NARROW | {"heads": 1})),
        *released(fill_gap(score_case), row("full_padding", ("LargeValues", "Padding"), SHORT, {"events": 4},
                                            base=RELEASED, **NARROW)),
        *printed(label_several(score_case),
                  sized("paper_many_candidates", MANY_CANDIDATES, PRINTED, **LONG))],
    "atrank": [
        *released(model_case, *(row(
            name, ("Switch", "Padding"), SHORT, {"events": 4}, base=RELEASED, rate=0.02, **NARROW | config)
            for name, config in MIXES.items())),
        *printed(last_classes(label_several(model_case)),
                 sized("paper_many_rows", MANY_ROWS, PRINTED, rate=0.02, **MANY),
                 sized("paper_cube", CUBE, PRINTED, rate=0.02, **SMALL | {"items": 9, "categories": 4, "heads": 4})),
        *printed(remove_candidates(model_case), row(
            "no_candidates", ("NoNegative", "EmptyHistory"), (3, 0, 7), base=PRINTED, rate=0.02,
            **NARROW | {"weight_decay": 0.125}))],
    "atrank.groups": released(groups.model_case, group_row(
        "three_groups", ("EmptyHistory", "ManyItems"), OF_THREE, {"unknown": 0.2}, group=2, rate=0.02)),
}
