"""More cases of ATRank: large values, norms' epsilons, every setting, other shapes.

{component: plans}.
"""
from functools import partial

from mbref.nn.layers import COLUMNS
from tests.golden.atrank.cases import (
    FEW,
    PRINTED,
    RELEASED,
    S,
    attention_block_case,
    behaviour_code_case,
    block_row,
    model_case,
    row,
    score_case,
)
from tests.golden.atrank_groups import cases as groups
from tests.golden.draw import (
    EMPTY,
    MIXED,
    MORE_NORMS,
    TWO_BLOCKS,
    enlarge,
    label_three,
    plan,
    plan_far,
    quieten,
    repeat_candidate,
    take_last,
)

NARROW = {"table_width": 2, "hidden": 3}
SMALL = {"base": RELEASED | NARROW, "width": 4}
PRINTED_SMALL = {"base": PRINTED | NARROW, "width": 4}
RATE, TINY_RATE = 2.0**-24, 2.0**-36   # of steps that large gradients leave small
TABLES = (("tables", 128),)      # scores are of normalised vectors and these
LARGE = ("LargeValues", "Padding")
FAR = ("v/b", "f2/b")            # what is added to the inputs of both norms
FIRST_FAR = ("self/0/v/b", "self/0/f2/b")  # of which a second block would make more noise
LONG_ONE = ("LongHistory", "ManyItems", "OneUser")
LONG = {"heads": 1, "penalty": 0.125, "items": 70}
PAPER, UNKNOWN = ("EmptyHistory", "UnknownCategory", "LongGap"), {"unknown": 0.5, "years": 15}
DECAY = {"penalty": 0.125, "weight_decay": 0.0625}
USER, EVENT = ((33,), {"events": 33}), ((1,), {"events": 1})

small_row, printed_row = partial(row, **SMALL), partial(row, **PRINTED_SMALL)


def raise_padding(build):
    """A build whose padding would have the largest scores, by far, if it were not left out."""
    def raised(rng, draw):
        params, inputs = build(rng, draw)
        if "groups" in params:  # the row of a gap of 0
            params["groups"][0]["w"][-COLUMNS["release"]] *= 64
        else:
            inputs["states"][~inputs["real"]] *= 8
        return params, inputs
    return raised


def far_row(name, flags, **config):
    return row(name, (*flags, "Padding"), MIXED, **SMALL | config)


# of several groups
SOME, GONE = groups.SOME, groups.GONE
TWO_ACTIONS = {"actions": [3, 4]} | groups.PRINTED
SIX = groups.SHOP | {"tables": [["item", 70], ["category", 3], ["query", 3]], "actions": [6, 0]}
KINDS = groups.ITEMS | {"tables": [["item", 300], ["category", 3]], "actions": [6]}

MORE = {
    "atrank.behaviour_code": plan(
        behaviour_code_case, small_row("long", LONG_ONE, *USER, items=300),
        small_row("without_time", ("Switch",), MIXED, time=False), side="released"),
    "atrank.attention_block": [
        *plan(enlarge(attention_block_case, "query", "memory"), block_row("large", LARGE, FEW),
              block_row("large_empty", ("LargeValues", "EmptyHistory"), (S, 0, 2)),
              side="released"),
        *plan(quieten(attention_block_case, "ln_f/gamma", "ln_f/beta", names=("query", "memory")),
              block_row("second_norm", ("LowVariance",), FEW), side="released"),
        *plan_far(attention_block_case, lambda *first: block_row(*first, FEW), *FAR,
                  side="released"),
        *plan(attention_block_case,
              block_row("one_user", ("LongHistory", "OneUser"), (20,), {"events": 33}),
              side="released"),
        *plan(enlarge(attention_block_case, "query", "memory"),
              block_row("large_bilinear", (*LARGE, "Switch"), FEW, scores="bilinear"),
              side="paper"),
        *plan_far(attention_block_case, lambda name, flags: block_row(
            f"bilinear_{name}", flags, FEW, scores="bilinear"), *FAR, side="paper")],
    "atrank.user_vectors": [
        *plan(enlarge(groups.user_vectors_case, "x", "states"),
              ("large", LARGE, {"blocks": 1, "lengths": (S, 3, 0)}, {"heads": 1, "scores": "dot"}),
              side="released"),
        *plan(quieten(groups.user_vectors_case, "ln_f/gamma", "ln_f/beta", names=("x", "states")),
              ("low_variance", ("LowVariance",), {"blocks": 1, "lengths": (S, 3, 1)},
               {"heads": 2, "scores": "dot"}), side="released"),
        *plan_far(groups.user_vectors_case, lambda *first: (
            *first, {"blocks": 1, "lengths": (S, 3, 1)}, {"heads": 2, "scores": "dot"}), *FAR,
            most=MORE_NORMS, side="released"),
        *plan(groups.user_vectors_case, ("one_user", ("LongHistory", "OneUser"), {
            "blocks": 1, "lengths": (20,), "events": 33}, {"heads": 2, "scores": "dot"}),
              side="released"),
        *plan(raise_padding(enlarge(groups.user_vectors_case, "x", "states", inputs=32)),
              ("large_padding", LARGE, {"blocks": 1, "lengths": (S, 3, 0)}, {"heads": 1, "scores": "dot"}),
              side="released"),
        *plan(groups.user_vectors_case,
              ("bilinear_blocks", ("EmptyHistory", "Heads"), {"blocks": 2, "lengths": (S, 3, 0)},
               {"heads": 2, "scores": "bilinear"}), side="paper"),
        *plan(quieten(groups.user_vectors_case, "ln_f/gamma", "ln_f/beta", names=("x", "states")),
              ("bilinear_low_variance", ("LowVariance",), {"blocks": 1, "lengths": (S, 3, 1)},
               {"heads": 2, "scores": "bilinear"}), side="paper"),
        *plan(enlarge(groups.user_vectors_case, "x", "states", inputs=64),
              ("bilinear_large_padding", LARGE, {"blocks": 1, "lengths": (1, 1, 1)},
               {"heads": 1, "scores": "bilinear"}),
              side="paper")],
    "atrank.score": [
        *plan(enlarge(score_case, times=TABLES), small_row("large", LARGE, MIXED, heads=1),
              side="released"),
        *plan(quieten(score_case, "ln_f/gamma", "ln_f/beta"),
              small_row("low_variance", ("LowVariance", "Padding"), MIXED), side="released"),
        *plan_far(score_case, far_row, *FIRST_FAR, most=TWO_BLOCKS, side="released"),
        *plan(score_case, small_row("without_time", ("Switch",), EMPTY, time=False),
              small_row("without_self_attention", ("Switch",), EMPTY, self_attention=False),
              small_row("long", LONG_ONE, (12,), {"events": 12}, **LONG),
              small_row("one_event", ("SingleEvent", "OneUser"), *EVENT),
              small_row("two_blocks", ("Basic", "Padding"), MIXED, blocks=2), side="released"),
        *plan(enlarge(score_case, times=TABLES),
              printed_row("large_paper", (*LARGE, "Switch"), MIXED), side="paper"),
        *plan(score_case, printed_row("paper_blocks", PAPER, EMPTY, UNKNOWN, blocks=2),
              side="paper"),
        *plan(quieten(score_case, "ln_f/gamma", "ln_f/beta"),
              printed_row("paper_low_variance", ("LowVariance", "Padding"), MIXED), side="paper"),
        *plan(repeat_candidate(score_case), row(
            "repeated", ("RepeatedItem", "Padding"), MIXED, base=PRINTED), side="paper"),
        *plan(take_last(score_case), small_row("last_items", ("ManyItems", "Padding"), MIXED, items=70),
              side="released")],
    "atrank": [
        *plan(enlarge(model_case, times=TABLES),
              small_row("large", LARGE, MIXED, rate=RATE, heads=1), side="released"),
        *plan(quieten(model_case, "ln_f/gamma", "ln_f/beta"),
              small_row("low_variance", ("LowVariance", "Padding"), MIXED, rate=TINY_RATE),
              side="released"),
        *plan_far(model_case, partial(far_row, rate=2.0**-10), *FIRST_FAR, most=TWO_BLOCKS,
                  side="released"),
        *plan(model_case,
              small_row("without_time", ("Switch", "EmptyHistory"), EMPTY, time=False, rate=0.05),
              small_row("without_self_attention", ("Switch",), MIXED, self_attention=False,
                        rate=0.05),
              small_row("long", LONG_ONE, *USER, rate=0.05, **LONG),
              small_row("one_event", ("SingleEvent", "OneUser"), *EVENT, rate=0.05),
              small_row("two_blocks", ("Basic", "Padding"), MIXED, blocks=2, rate=0.05),
              side="released"),
        *plan(raise_padding(enlarge(model_case)),
              small_row("large_padding", LARGE, MIXED, rate=RATE, heads=1), side="released"),
        *plan(enlarge(model_case, times=TABLES),
              printed_row("large_paper", (*LARGE, "Switch"), MIXED, rate=RATE), side="paper"),
        *plan(model_case, printed_row(
            "paper_blocks", ("EmptyHistory", "NoNegative", "UnknownCategory", "LongGap"), EMPTY,
            {"without": 0.5, "unknown": 0.5, "years": 15}, blocks=2, penalty=0.125, rate=0.02),
            side="paper"),
        *plan(label_three(model_case), printed_row(
            "labels", ("NoNegative", "Padding"), MIXED, {"without": 0.5}, rate=0.02, **DECAY), side="paper"),
        *plan(model_case, printed_row("paper_long", LONG_ONE, *USER, rate=0.02, **LONG), side="paper")],
    "atrank.group_code": plan(
        groups.group_code_case, groups.row("six_actions", LONG_ONE, ((33,),), base=KINDS),
        side="released"),
    "atrank.target_code": plan(
        groups.target_code_case, groups.row("many_items", ("ManyItems", "OneUser"), ((3,),),
                                            base=KINDS), side="released"),
    "atrank.groups_score": [
        *plan(enlarge(groups.score_case, times=TABLES), groups.row("large", LARGE, SOME, heads=1),
              side="released"),
        *plan(quieten(groups.score_case, "ln_f/gamma", "ln_f/beta"),
              groups.row("low_variance", ("LowVariance", "Padding"), SOME), side="released"),
        *plan(groups.score_case, groups.row("long", LONG_ONE, ((9,), (1,)), base=SIX),
              groups.row("two_blocks", ("Basic", "Padding"), SOME, blocks=2), side="released"),
        *plan(groups.score_case, groups.row("paper_blocks", PAPER, GONE, UNKNOWN, blocks=2, **groups.PRINTED),
              side="paper"),
        *plan(quieten(groups.score_case, "ln_f/gamma", "ln_f/beta"),
              groups.row("paper_low_variance", ("LowVariance", "Padding"), SOME, **groups.PRINTED),
              side="paper"),
        *plan(repeat_candidate(groups.score_case),
              groups.row("repeated", ("RepeatedItem", "Padding"), SOME, group=1, **groups.PRINTED), side="paper"),
        *plan(groups.score_case, groups.row("two_actions", ("Basic", "Padding"), SOME, group=1, **TWO_ACTIONS),
              side="paper")],
    "atrank.groups": [
        *plan(enlarge(groups.model_case, times=TABLES),
              groups.row("large", LARGE, SOME, rate=RATE, heads=1), side="released"),
        *plan(quieten(groups.model_case, "ln_f/gamma", "ln_f/beta"),
              groups.row("low_variance", ("LowVariance", "Padding"), SOME, rate=TINY_RATE),
              side="released"),
        *plan_far(groups.model_case, lambda name, flags: groups.row(
            name, (*flags, "Padding"), SOME, rate=2.0**-10), *FIRST_FAR, most=TWO_BLOCKS,
            side="released"),
        *plan(groups.model_case, groups.row("long", LONG_ONE, ((9,), (1,)), base=SIX, rate=0.05),
              side="released"),
        *plan(groups.model_case,
              groups.row("paper_blocks", (*PAPER, "NoNegative"), GONE, UNKNOWN | {"without": 0.5}, blocks=2,
                         rate=0.02, **groups.PRINTED | {"penalty": 0.125}), side="paper"),
        *plan(quieten(groups.model_case, "ln_f/gamma", "ln_f/beta"),
              groups.row("paper_low_variance", ("LowVariance", "Padding"), SOME, rate=TINY_RATE,
                         **groups.PRINTED), side="paper"),
        *plan(label_three(groups.model_case), groups.row(
            "labels", ("NoNegative", "Padding"), SOME, {"without": 0.5}, rate=0.02, **groups.PRINTED | DECAY),
              side="paper")],
}
