"""More cases of HierSRec: large values, norms' epsilons, every setting, other shapes.  {component: plans}.
"""
from functools import partial

import numpy as np

from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    MORE_NORMS,
    displace,
    enlarge,
    lengthen,
    log_probabilities,
    plan,
    plan_far,
    quieten,
)
from tests.golden.hiersrec.cases import (
    block_case,
    encode_case,
    features_case,
    items_case,
    join_case,
    model_case,
    projection_case,
    row,
    score_case,
)

NARROW = {"width": 4, "item_width": 2, "category_width": 2, "projection_width": 2}
RATE, TINY_RATE = 2.0**-34, 2.0**-36   # of steps that large gradients leave small
LARGE = ("LargeValues", "Padding")
STEEP = (("item", 128), ("category", 128), ("query", 16))
NORMED = (("q", 16), ("k", 16))        # what they are multiplied by is normalised
BLOCKS = tuple((f"blocks/0/{name}", factor) for name, factor in NORMED)
LONG = {"length": 33, "items": 70, "rate": 0.02}


def budget_case(rng, draw):
    """100 items, whose likeliest category holds 7, 28 or 29: 0.07 * 100 is 7.000000000000001."""
    sizes, likeliest = (7, 28, 8, 28, 29), (0, 1, 4)
    logp = -np.sort(-log_probabilities(rng, (3, len(sizes)), 1.5), axis=1)
    logp = np.array([np.roll(row, at) for row, at in zip(logp, likeliest, strict=True)])
    return {}, {"logp": logp, "category": np.append(0, np.repeat(range(len(sizes)), sizes))}


def sizes_case(rng, draw):
    """100 items of 40 categories, some of which are chosen."""
    return {}, {"chosen": rng.random((2, 40)) < 0.3, "category": np.append(0, rng.permutation(100) % 40)}


def many_categories(rng, draw):
    return {}, {"logp": log_probabilities(rng, (2, 80))}


def far_row(name, flags, **config):
    return row(name, (*flags, "Padding"), MIXED, **NARROW | config)


def end_early(build):
    """A build whose first session ends in a click that nothing follows."""
    def ended(rng, draw):
        params, inputs = build(rng, draw)
        last = max((inputs["next"][0] > 0).sum() - 1, 1)
        inputs["next"][0, last] = 0
        return params, inputs
    return ended


SQUARE = (2, 3, 1)   # as many sessions as clicks

MORE = {
    "hiersrec.encoder_block": [
        *plan(enlarge(block_case, "h", times=NORMED), ("large", LARGE, {"lengths": MIXED}, {"heads": 2})),
        *plan(quieten(block_case, "gamma", "beta", names=("h",)),
              ("second_norm", ("LowVariance", "Padding"), {"lengths": MIXED}, {"heads": 2})),
        *plan_far(block_case, lambda name, flags: (
            name, (*flags, "Padding"), {"lengths": MIXED}, {"heads": 2}), names=("h",)),
        *plan(block_case, ("long", ("LongHistory", "OneUser"), {"lengths": (20,), "events": 33}, {"heads": 2}))],
    "hiersrec.encode": [
        *plan(enlarge(encode_case, times=BLOCKS), row("large", LARGE, MIXED, **NARROW)),
        *plan(quieten(encode_case, "gamma", "beta"), row("low_variance", ("LowVariance",), MIXED, **NARROW)),
        *plan_far(encode_case, far_row, "in/b", most=MORE_NORMS),
        *plan(lengthen(encode_case), row("long_position", ("Padding",), MIXED, **NARROW))],
    "hiersrec.projection": plan(
        projection_case, row("near_uniform", ("LowVariance", "Switch"), FULL, {"spread": 0.1}, hier="logits")),
    "hiersrec.joined": [
        *plan(join_case, row("logits", ("Switch",), FULL, hier="logits")),
        *plan(enlarge(join_case, times=STEEP), row("large", ("LargeValues",), FULL, hier="soft"))],
    "hiersrec.candidates_budget": plan(
        budget_case, *((name, ("Cutoff", "ManyItems"), {}, {"rho": rho}) for name, rho in (
            ("seven", 0.07), ("a_bit_more_than_seven", 0.071), ("twenty_nine", 0.29)))),
    "hiersrec.candidate_items": plan(
        items_case, ("every_category", ("Basic",), {"share": 1.0, "empty": ()}, {})) + plan(
        sizes_case, ("many_items", ("ManyItems",), {}, {})),
    "hiersrec.candidates_topk": plan(many_categories, ("many_categories", ("ManyItems",), {}, {"k": 20})),
    "hiersrec.candidates_mass": plan(many_categories, ("many_categories", ("ManyItems",), {}, {"tau": 0.6})),
    "hiersrec.item_features": plan(features_case, row(
        "many_items", ("ManyItems",), FULL, items=300, categories=80, item_width=2, category_width=2)),
    "hiersrec.score": [
        *plan(score_case, row("two_blocks", ("Basic", "Padding"), MIXED, blocks=2, **NARROW),
              row("square", ("Basic", "Padding"), SQUARE, {"events": 3}, length=3, **NARROW)),
        *plan(enlarge(score_case, times=STEEP + BLOCKS), row("large", LARGE, MIXED, **NARROW)),
        *plan(quieten(score_case, "gamma", "beta"), row("low_variance", ("LowVariance",), MIXED, **NARROW)),
        *plan_far(displace(displace(score_case, "o/b", by=80.0), "f2/b", by=-80.0), far_row, "in/b",
                  most=MORE_NORMS),
        *plan(lengthen(score_case), row("long_position", ("Padding",), MIXED, **NARROW))],
    "hiersrec": [
        *plan(enlarge(model_case, times=STEEP + BLOCKS), row("large", LARGE, MIXED, rate=RATE, **NARROW)),
        *plan(quieten(model_case, "gamma", "beta"),
              row("low_variance", ("LowVariance", "Padding"), MIXED, rate=TINY_RATE, **NARROW)),
        *plan_far(model_case, partial(far_row, rate=2.0**-10), "in/b", most=MORE_NORMS),
        *plan(enlarge(model_case, times=STEEP + BLOCKS),
              row("large_cold", LARGE, MIXED, {"items": 4, "cold": True}, rate=RATE, **NARROW)),
        *plan(model_case,
              row("square", ("Basic", "Padding"), SQUARE, length=3, rate=0.02, **NARROW),
              row("logits", ("Switch", "EmptyHistory"), EMPTY, hier="logits", blocks=2, rate=0.02, **NARROW),
              row("oracle", ("Switch",), MIXED, hier="oracle", inputs="id", rate=0.02, **NARROW),
              row("no_hierarchy", ("Switch", "NoNegative"), MIXED, {"items": 5, "cold": True}, hier="none",
                  softmax="all", rate=0.02, **NARROW),
              row("one_task", ("Switch",), MIXED, tasks="item", inputs="category+text", item_out="tied", rate=0.02,
                  **NARROW),
              row("long", ("LongHistory", "ManyItems", "OneUser"), (33,), **NARROW | LONG),
              row("one_click", ("SingleEvent", "OneUser"), (1,), length=1, rate=0.005, **NARROW),
              row("weighted_categories", ("Basic", "Padding"), MIXED, category_weight=0.25, rate=0.02, **NARROW)),
        *plan(end_early(lengthen(model_case)),
              row("long_position", ("Padding", "NoNegative", "Heads"), MIXED, {"items": 5, "cold": True}, blocks=2,
                  rate=0.02, **NARROW))],
}
