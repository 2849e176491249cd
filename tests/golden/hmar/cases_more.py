"""More cases of HMAR: large values, norms' epsilons, every setting, other shapes.  {component: plans}."""
from functools import partial

from tests.golden.draw import EMPTY, FULL, MIXED, MORE_NORMS, T, enlarge, lengthen, plan, plan_far, quieten
from tests.golden.hmar.cases import (
    NARROW,
    K,
    behaviour_case,
    behaviour_encoder_case,
    candidate_counts_case,
    events_case,
    input_code_case,
    model_case,
    model_row,
    ranking_loss_case,
    score_case,
    sequence_encoder_case,
)

LONG = {"lengths": (33, 12), "events": 33}
ONE_USER = {"lengths": (33,), "events": 33}
SQUARE = (2, 3, 1)   # as many rows as events


def end_early(build):
    """A build in whose first two rows an event has no next one: the last of one, of the other the last but one."""
    def ended(rng, draw):
        params, inputs = build(rng, draw)
        for name in ("next_item", "next_behaviour", "next_counts", "negative", "negative_counts"):
            inputs[name][[0, 1], [-1, -2]] = 0
        return params, inputs
    return ended


def distant_ids(rng, draw):
    """One history of 300 events, of two items whose ids are alike in their last 8 bits."""
    inputs = {"item": rng.choice([1, 257], (1, 300)), "behaviour": rng.integers(1, 3, (1, 300))}
    return {}, inputs | ({"candidate": rng.choice([1, 257], (1, 300))} if draw["candidate"] else {})


def far_row(name, flags, **config):
    return model_row(name, (*flags, "Padding"), MIXED, **NARROW | config)


MORE = {
    "hmar.behaviour_mask": plan(
        behaviour_case, ("long", ("LongHistory", "Padding"), LONG | {"kinds": 6}, {})),
    "hmar.indicator": plan(
        events_case, ("many_items", ("ManyItems", "LongHistory"), LONG | {"items": 400, "kinds": 6}, {"count": 6}),
        ("colliding", ("ManyItems", "RepeatedItem"), {"lengths": (60,), "events": 60, "items": 150}, {"count": K})) + plan(
        distant_ids, ("many_times", ("ManyItems", "LongHistory", "OneUser"), {"candidate": False}, {"count": 2})),
    "hmar.candidate_counts": plan(
        candidate_counts_case, ("many_items", ("ManyItems", "LongHistory"), LONG | {"items": 100, "kinds": 6},
                                {"count": 6})) + plan(
        distant_ids, ("many_times", ("ManyItems", "LongHistory", "OneUser"), {"candidate": True}, {"count": 2})),
    "hmar.input_code": plan(
        input_code_case, ("narrow", ("Padding",), {"lengths": MIXED, "length": T, "width": 4}, {})),
    "hmar.behaviour_encoder": plan(
        enlarge(behaviour_encoder_case, "x"), ("large", ("LargeValues", "Padding"), {"lengths": MIXED}, {"heads": 2}),
        ("large_empty", ("LargeValues", "EmptyHistory"), {"lengths": EMPTY}, {"heads": 2})) + plan(
        behaviour_encoder_case,
        ("long", ("LongHistory", "OneUser"), {"lengths": (20,), "events": 33, "kinds": 6, "kinds_of": 6},
         {"heads": 2})),
    "hmar.sequence_encoder": plan_far(
        sequence_encoder_case, lambda *first: (*first, {"lengths": MIXED, "spread": 1}, {"heads": 2}),
        names=("residual",)) + plan(
        sequence_encoder_case,
        ("long", ("LongHistory", "OneUser"), {"lengths": (20,), "events": 33, "spread": 1}, {"heads": 2})) + plan(
        enlarge(sequence_encoder_case, "s", "residual"),
        ("large", ("LargeValues", "Padding"), {"lengths": MIXED, "spread": 1}, {"heads": 2}),
        ("large_empty", ("LargeValues", "EmptyHistory"), {"lengths": EMPTY, "spread": 1}, {"heads": 2})),
    "hmar.ranking_loss": plan(
        ranking_loss_case, ("larger", ("LargeValues",), {"lengths": FULL, "spread": 2048, "without": 0}, {})),
    "hmar.score": [
        *plan(enlarge(score_case, most=4), model_row("large", ("LargeValues", "Padding"), MIXED, **NARROW)),
        *plan(score_case, model_row("without_counts", ("Switch",), EMPTY, indicator=False, **NARROW),
              model_row("two_blocks", ("Basic", "Padding"), MIXED, blocks=2, **NARROW),
              model_row("long", ("LongHistory", "ManyItems", "OneUser"), (30,),
                        {"events": 33, "items": 70, "kinds": 6}, length=33, items=70, behaviours=6, weights=[],
                        **NARROW)),
        *plan(quieten(score_case, "gamma", "beta"),
              model_row("low_variance", ("LowVariance", "Padding"), MIXED, **NARROW)),
        *plan_far(score_case, far_row, "sequence/v/b", most=MORE_NORMS),
        *plan(lengthen(score_case), model_row("long_position", ("Padding",), MIXED, **NARROW))],
    "hmar": [
        *plan(enlarge(model_case, most=4),
              model_row("large", ("LargeValues", "Padding"), MIXED, rate=2.0**-22, **NARROW)),
        *plan(quieten(model_case, "gamma", "beta"),
              model_row("low_variance", ("LowVariance", "Padding"), MIXED, rate=2.0**-36, **NARROW)),
        *plan_far(model_case, partial(far_row, rate=2.0**-10), "sequence/v/b", most=MORE_NORMS),
        *plan(model_case,
              model_row("weighted", ("Switch", "EmptyHistory"), EMPTY, theta=0.5, weights=[0.125, 0.25, 0.625],
                        target=3, indicator=False, rate=0.01, **NARROW),
              model_row("target", ("Switch", "RepeatedItem"), FULL, {"items": 4}, candidate_counts="target", target=2,
                        count_scale="log1p", positives="target", weights=[], rate=0.01, **NARROW),
              model_row("long", ("LongHistory", "ManyItems", "OneUser"), (33,), length=33, items=70, behaviours=6,
                        weights=[], rate=0.01, **NARROW),
              model_row("one_event", ("SingleEvent", "OneUser"), (1,), length=1, rate=0.01, **NARROW)),
        *plan(lengthen(model_case),
              model_row("long_position", ("Padding", "NoNegative"), MIXED, {"without": 0.4}, blocks=2, rate=0.01,
                        **NARROW)),
        *plan(model_case, model_row("settings", ("Basic", "Padding"), MIXED, theta=0.5, weights=[], target=3, rate=0.01,
                                    **NARROW)),
        *plan(end_early(model_case), model_row("without_next", ("NoNegative", "Padding"), MIXED, rate=0.01, **NARROW)),
        *plan(model_case, model_row("square", ("Basic", "Padding"), SQUARE, length=3, rate=0.01, **NARROW)),
        *plan(enlarge(model_case, most=4), model_row("large_full", ("LargeValues",), FULL, rate=2.0**-24, **NARROW)),
    ],
}
