"""More cases of DMRAN: large values, norms' epsilons, every setting, other shapes.  {component: plans}."""
from tests.golden.dmran.cases import (
    ATTEND,
    CATEGORIES,
    HOPS,
    OTHERS,
    fusion_case,
    item_attention_case,
    model_case,
    pairs_case,
    row,
    score_case,
    vanilla_case,
)
from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    MORE_NORMS,
    B,
    displace,
    enlarge,
    label_three,
    level,
    plan,
    plan_far,
    quieten,
    repeat_candidate,
    take_last,
)

NARROW = {"width": 4}
RATE, TINY_RATE = 2.0**-24, 2.0**-36   # of steps that large gradients leave small
LARGE = ("LargeValues", "Padding")
STEEP = (("W_s5", 128),)               # as a tanh is at most 1
ITEMS, ALIGN = (("V", 16),), ("W_s3", "W_s4")
LONG = {"items": 70, "hops": 9, "rate": 0.05}
ROBUST = {"robust": True, "heads": 2}
FAR = ("W_0/b", "v/b", "f2/b")


def far_row(name, flags, **config):
    return row(name, (*flags, "Switch", "Padding"), MIXED, **NARROW | ROBUST | config)


def take_one(build):
    """A build of one user."""
    def taken(rng, draw):
        params, inputs = build(rng, draw)
        return params, {name: a[:1] for name, a in inputs.items()}
    return taken


MORE = {
    "dmran.item_attention": plan(
        enlarge(item_attention_case, "H", inputs=32), ("larger", LARGE, ATTEND, {}), side="paper") + plan(
        item_attention_case, ("long", ("LongHistory", "OneUser"), {
            "lengths": (20,), "events": 33, "hops": 9, "spread": 1}, {}), side="paper"),
    "dmran.alignment": plan(
        enlarge(pairs_case, "M", inputs=1, times=STEEP),
        ("large", ("LargeValues",), {"hops": HOPS, "rows": (HOPS, 0, 2)}, {}),
        ("large_others", ("LargeValues", "NoDiagonal"), OTHERS, {}), side="paper") + plan(
        take_one(pairs_case), ("nine_rows", ("LongHistory", "NoDiagonal", "OneUser"), OTHERS | {"hops": 9}, {}),
        side="paper"),
    "dmran.feature_attention": [
        *plan(enlarge(pairs_case, "M", inputs=1, times=STEEP),
              ("large", ("LargeValues",), {"hops": HOPS, "rows": (HOPS, 0, 2)}, {}), side="paper"),
        *plan(quieten(pairs_case, "ln_f/gamma", "ln_f/beta", names=("M",)),
              ("low_variance", ("LowVariance", "Switch"), {"hops": HOPS, "robust": True}, {"robust": True}),
              side="paper"),
        *plan_far(level(pairs_case, ALIGN), lambda name, flags: (
            name, (*flags, "Switch"), {"hops": HOPS, "robust": True}, {"robust": True}), "f2/b",
            names=("M",), most=MORE_NORMS, side="paper")],
    "dmran.vanilla": [
        *plan(enlarge(vanilla_case, "M", "i_c"),
              ("large_robust", ("LargeValues", "Switch"), {"rows": (HOPS, 1, 3), "robust": True}, ROBUST),
              side="paper"),
        *plan(quieten(vanilla_case, "ln_f/gamma", "ln_f/beta", names=("M", "i_c")),
              ("low_variance", ("LowVariance", "Switch"), {"rows": (HOPS,) * B, "robust": True}, ROBUST),
              side="paper"),
        *plan_far(vanilla_case, lambda name, flags: (
            name, (*flags, "Switch"), {"rows": (HOPS, 1, 3), "robust": True}, ROBUST), "v/b", "f2/b", side="paper")],
    "dmran.fusion": plan(
        enlarge(fusion_case, "h", "h_hat", inputs=64),
        ("larger", ("LargeValues",), {"spread": 1, "candidates": 2}, {}), side="paper") + plan(
        enlarge(fusion_case, "h", "h_hat", inputs=1024),
        ("largest", ("LargeValues",), {"spread": 1, "candidates": 2}, {}), side="paper"),
    "dmran.score": [
        *plan(enlarge(score_case, times=ITEMS), row("large", LARGE, MIXED, **NARROW), side="paper"),
        *plan(quieten(score_case, "ln_f/gamma", "ln_f/beta"),
              row("low_variance", ("LowVariance", "Switch"), MIXED, **NARROW, **ROBUST), side="paper"),
        *plan(take_last(score_case), row("last_items", ("ManyItems", "Padding"), MIXED, items=70, **NARROW),
              side="paper"),
        *plan(repeat_candidate(score_case), row("repeated", ("RepeatedItem", "Padding"), MIXED, **NARROW), side="paper"),
        *plan(score_case, row("unknown_category", ("UnknownCategory", "EmptyHistory", "LongGap"), EMPTY,
                              {"unknown": 0.5, "years": 15}, categories=CATEGORIES, **NARROW), side="paper"),
        *plan(displace(score_case, "van/v/b", "van/f2/b", by=32.0), far_row("far", ("Far",)), side="paper"),
        *plan(displace(score_case, "v/b", "f2/b", by=MORE_NORMS[1]), far_row("far_float64", ("Far", "Float64")),
              side="paper")],
    "dmran": [
        *plan(enlarge(model_case, times=ITEMS), row("large", LARGE, MIXED, rate=RATE, **NARROW), side="paper"),
        *plan(quieten(model_case, "ln_f/gamma", "ln_f/beta"),
              row("low_variance", ("LowVariance", "Switch"), MIXED, rate=TINY_RATE, **NARROW, **ROBUST),
              side="paper"),
        *plan(displace(model_case, *FAR, by=MORE_NORMS[0]), far_row("far", ("Far",), rate=2.0**-12),
              side="paper"),
        *plan(displace(level(model_case, (*ALIGN, "W_s1"), ("k/w",)), *FAR, by=MORE_NORMS[1]),
              far_row("far_float64", ("Far", "Float64"), rate=2.0**-16), side="paper"),
        *plan(model_case,
              row("item", ("Switch", "EmptyHistory"), EMPTY, variant="item", rate=0.05, **NARROW),
              row("mean", ("Switch",), FULL, pool="mean", bucket="release", rate=0.05, **NARROW),
              row("others", ("Switch", "NoDiagonal"), MIXED, diagonal=False, redundancy=1.0, rate=0.05, **NARROW),
              row("long", ("LongHistory", "ManyItems", "OneUser"), (33,), {"events": 33}, **NARROW | LONG),
              row("one_event", ("SingleEvent", "OneUser"), (1,), {"events": 1}, rate=0.05,
                  categories=CATEGORIES, **NARROW),
              row("no_negative", ("NoNegative", "Padding"), MIXED, {"without": 0.6}, penalty=0.125, rate=0.05,
                  **NARROW), side="paper"),
        *plan(label_three(model_case),
              row("labels", ("NoNegative", "Padding"), MIXED, {"without": 0.5}, redundancy=0.5, penalty=0.125,
                  rate=0.05, **NARROW), side="paper")],
}
