"""More cases of HMAR, of sizes and paddings that no other case has.  {component: plans}."""
import numpy as np

from mbref.check.components.reading import config_of
from mbref.variants import hmar
from tests.golden.draw import MANY_LENGTHS, SHORT, T, dense, enlarge, ids, norm, normal, plan_coarse as plan, real_left, steepen
from tests.golden.hmar.cases import PARTS, counts_of, model_case, model_params, model_row

KINDS = 9
SIZES = {"many_rows": (("ManyRows", "EmptyHistory"), {
             "lengths": MANY_LENGTHS, "events": 2, "width": 5, "kinds": 2}, 5),
         "wide": (("OneUser",), {"lengths": (3,), "events": 3, "width": 9, "kinds": 1}, 1)}
MANY = ("ManyRows", "ManyItems", "EmptyHistory", "Heads"), MANY_LENGTHS
MANY_CONFIG = {"items": 40, "behaviours": KINDS, "target": KINDS, "weights": [], "width": 3, "heads": 3, "length": 2}
LONG = ("ManyItems", "OneUser"), (4,)
LONG_CONFIG = {"items": 270, "behaviours": KINDS, "target": 9, "weights": [], "width": 3, "heads": 1, "length": 5}
CUBE = ("Basic", "Padding"), (2, 4, 1, 3)
CUBE_CONFIG = {"items": 9, "behaviours": 4, "width": 4, "length": 4, "heads": 4, "weights": [0.25, 0.125, 0.5, 0.125]}
FAR_BELOW = "far_below", ("LargeValues", "Padding"), {"lengths": (3, 1, 2), "events": 4, "width": 4, "kinds": 2}, {"heads": 2}
NARROW = {"width": 3, "heads": 3}
MIXES = {"mixed_first": {"merge": "bypass", "count_scale": "log1p", "positives": "new"},
         "mixed_second": {"merge": "bypass", "indicator": False, "weights": [0.5, 2.0, 0.25], "positives": "target", "target": 2}}


def behaviours_of(rng, draw):
    real = real_left(draw["lengths"], draw["events"])
    return real, ids(rng, real, draw.get("kinds", KINDS))


def behaviour_encoder_case(rng, draw):
    """Nine behaviours, another width."""
    D, K, (real, behaviour) = draw["width"], draw.get("kinds", KINDS), behaviours_of(rng, draw)
    params = {name: dense(rng, K, D, D) for name in PARTS} | {"res": normal(rng, K, scale=0.5)}
    return params, {"x": normal(rng, *real.shape, D), "behaviour": behaviour}


def sequence_encoder_case(rng, draw):
    D, (real, _) = draw["width"], behaviours_of(rng, draw)
    params = {name: dense(rng, D, D) for name in PARTS} | {"ln": norm(rng, D)}
    return params, {"s": normal(rng, *real.shape, D), "residual": normal(rng, *real.shape, D), "real": real}


def score_case(rng, draw):
    """Histories and the counts of all items; candidates also among the last items."""
    config = config_of(hmar.Config, draw["config"])
    real = real_left(draw["lengths"], config.length)
    item, behaviour = ids(rng, real, config.items), ids(rng, real, config.behaviours)
    history = np.zeros((len(item), config.items + 1, config.behaviours))
    for b, t in zip(*np.nonzero(real), strict=True):
        history[b, item[b, t], behaviour[b, t] - 1] += 1
    history[:, 1:] += rng.random(history[:, 1:].shape) < 0.02   # events that are older than the window
    candidate = np.array([rng.permutation(config.items)[: draw["candidates"]] + 1 for _ in item])
    candidate[:, 0], candidate[:, 1] = config.items, np.where(item[:, -1], item[:, -1], 1)
    return model_params(rng, config), {
        "item": item, "behaviour": behaviour, "counts": counts_of(item, item, behaviour, config.behaviours),
        "history": history, "candidate": candidate}


def distant_history(rng, draw):
    """Items whose ids are alike in their last 6, 7 or 8 bits, or in their last two digits."""
    real, behaviour = behaviours_of(rng, draw)
    some = np.array([3, 67, 131, 259, 1027, 103])
    inputs = {"item": rng.choice(some, real.shape) * real, "behaviour": behaviour}
    return {}, inputs | ({"candidate": np.where(rng.random(real.shape) < 0.5, inputs["item"], rng.choice(some, real.shape))} if draw.get("candidate") else {})


def often_case(rng, draw):
    """One item 290 times in one behaviour, and some times in another."""
    inputs = {"item": np.ones((1, 300), int), "behaviour": 1 + (np.arange(300) % 30 == 29)[None]}
    return {}, inputs | ({"candidate": np.ones((1, 300), int)} if draw.get("candidate") else {})


def often_score_case(rng, draw):
    """Counts of hundreds and more, of candidates alone."""
    params, inputs = score_case(rng, draw)
    some = rng.choice([0, 3, 99, 100, 127, 200, 255, 256, 999], inputs["history"][:, 1:].shape) * 1.0
    inputs["history"][:, 1:] += some
    return params, inputs


def sure_case(rng, draw):
    """Positives above 0 and negatives as far below, whose losses are tiny but no zeros, or the reverse."""
    positive, negative = (rng.uniform(*draw["size"], (3, 4)) for _ in range(2))
    return {}, {"positive": positive, "negative": -negative, "weight": rng.choice([0.5, 0.25, 0.125], (3, 4)),
                "mask": real_left((4, 2, 3), 4), "has_negative": real_left((4, 1, 3), 4)}


def unranked(build):
    """A build without an event of the target behaviour among those that follow."""
    def other(rng, draw):
        params, inputs = build(rng, draw)
        inputs["next_behaviour"] = np.minimum(inputs["next_behaviour"], 2)
        return params, inputs
    return other


def end_all(build):
    """A build in which nothing follows any event."""
    def ended(rng, draw):
        params, inputs = build(rng, draw)
        for name in ("next_item", "next_behaviour", "next_counts", "negative", "negative_counts"):
            inputs[name] = 0 * inputs[name]
        return params, inputs
    return ended


def sizes(build):
    return plan(build, *((name, flags, draw, {"heads": heads}) for name, (flags, draw, heads) in SIZES.items()))


def many_counts_case(rng, draw):
    """Counts above what 7, 8 and 10 bits hold."""
    counts = rng.choice([0, 1, 100, 128, 255, 256, 300, 1000], (3, T, 3)).astype(float)
    width = 2
    joints = {"indicator": dense(rng, 3, width), "feature": dense(rng, 2 * width, width)}
    return joints, {"item_code": normal(rng, 3, T, width), "counts": counts}


MORE = {
    "hmar.code": plan(many_counts_case, ("many_times", ("RepeatedItem", "LargeValues"), {}, {}),
                      ("many_times_log", ("RepeatedItem", "Switch"), {}, {"count_scale": "log1p"})),
    "hmar.indicator": plan(
        distant_history,
        ("many_rows", ("ManyRows", "ManyItems", "EmptyHistory"), {"lengths": MANY_LENGTHS, "events": 2}, {"count": 9})) + plan(
        often_case, ("over_255", ("RepeatedItem", "LongHistory", "OneUser"), {}, {"count": 2})),
    "hmar.candidate_counts": plan(
        distant_history,
        ("many_rows", ("ManyRows", "ManyItems", "EmptyHistory"), {"lengths": MANY_LENGTHS, "events": 2, "candidate": True},
         {"count": 9})) + plan(
        often_case, ("over_255", ("RepeatedItem", "LongHistory", "OneUser"), {"candidate": True}, {"count": 2})),
    "hmar.behaviour_encoder": sizes(behaviour_encoder_case) + plan(
        behaviour_encoder_case,
        ("nine", ("ManyItems", "Padding"), {"lengths": (12, 9), "events": 12, "width": 2}, {"heads": 2})) + plan(
        enlarge(behaviour_encoder_case, "x", inputs=256), FAR_BELOW),
    "hmar.sequence_encoder": sizes(sequence_encoder_case) + plan(
        enlarge(sequence_encoder_case, "s", inputs=256), FAR_BELOW),
    "hmar.ranking_loss": plan(sure_case, *((name, ("LargeValues", "Padding"), {"size": size}, {}) for name, size in (
        ("teens", (9.0, 21.0)), ("wrong_teens", (-20.5, -9.0))))),
    "hmar.score": plan(score_case, model_row("many_rows", *MANY, {"candidates": 2}, **MANY_CONFIG | {"items": 300, "behaviours": 2, "target": 2}),
                       model_row("many_candidates", (*LONG[0], "Switch"), LONG[1], {"candidates": 66}, candidate_counts="target",
                                 **LONG_CONFIG)) + plan(
        score_case, model_row("longer", ("LongHistory", "OneUser"), (104,), {"candidates": 2}, length=104, width=3, heads=1,
                              behaviours=2, weights=[]),
        model_row("bypass_log", ("Switch", "EmptyHistory"), (4, 0, 2), {"candidates": 3}, merge="bypass", blocks=2, length=4,
                  count_scale="log1p", width=3, heads=1)) + plan(
        steepen(score_case), model_row("bypass_large", ("Switch", "LargeValues", "EmptyHistory"), (2, 0, 1, 1, 1),
                                       {"candidates": 3}, merge="bypass", length=4, **NARROW)) + plan(
        often_score_case, model_row("many_times", ("RepeatedItem", "Padding"), SHORT, {"candidates": 4}, length=4, width=3,
                                    heads=1, behaviours=2, weights=[])),
    "hmar": [
        *plan(model_case, model_row("many_rows", *MANY, rate=0.01, **MANY_CONFIG),
              model_row("cube", *CUBE, rate=0.01, **CUBE_CONFIG | {"weights": [0.25, 0.125, 0.5, 0.125]}),
              *(model_row(name, ("Switch", "Padding"), SHORT, rate=0.01, length=4, **NARROW | config)
                for name, config in MIXES.items())),
        *plan(steepen(model_case, by=2.0**4, ends=("sequence/f2/w",)), model_row(
            "teens", ("LargeValues", "Padding"), SHORT, length=4, rate=2.0**-12, **NARROW)),
        *plan(unranked(model_case), model_row(
            "unranked", ("Switch", "Undefined"), SHORT, length=4, positives="target", target=3, rate=0.1, **NARROW)),
        *plan(end_all(model_case), model_row("nothing", ("Undefined",), (3, 1, 0), length=3, rate=0.01, **NARROW)),
        *plan(steepen(model_case, by=2.0**10, ends=("sequence/f2/w",)), model_row(
            "larger", ("LargeValues", "Padding"), SHORT, length=4, rate=2.0**-24, **NARROW))],
}
