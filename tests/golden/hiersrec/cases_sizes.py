"""More cases of HierSRec, of sizes and paddings that no other case has.  {component: plans}."""
import numpy as np

from tests.golden.draw import (
    MANY_LENGTHS,
    SHORT,
    dense,
    enlarge,
    log_probabilities,
    norm,
    normal,
    plan_coarse as plan,
    real_right,
)
from tests.golden.hiersrec.cases import features_case, model_case, row, score_case
from tests.golden.hiersrec.cases_more import STEEP

SIZES = {"many_rows": (("ManyRows", "Heads", "EmptyHistory"), {"lengths": MANY_LENGTHS, "events": 2, "width": 5}, 5),
         "wide": (("OneUser",), {"lengths": (3,), "events": 3, "width": 9}, 1)}
MANY_ROWS = ("ManyRows", "ManyItems", "EmptyHistory", "Heads"), MANY_LENGTHS, {"events": 2}
CLICKS = tuple(max(1, n) for n in MANY_LENGTHS)
MANY = "ManyRows", "ManyItems"
NARROW = {"width": 4, "item_width": 2, "category_width": 2, "projection_width": 2}
MODEL_ROWS = {"items": 80, "categories": 70, "width": 3, "heads": 3, "length": 2, "item_width": 2, "category_width": 2,
        "projection_width": 2}
LONG = NARROW | {"item_width": 1, "projection_width": 1, "items": 270, "categories": 70, "length": 5, "heads": 1}
CUBE = ("Basic", "Padding"), (2, 4, 1, 3)
CUBE_CONFIG = NARROW | {"items": 9, "categories": 4, "length": 4, "heads": 4}
MIXES = {"mixed_first": {"hier": "logits", "item_out": "tied", "pool": "mean"},
         "mixed_second": {"hier": "oracle", "item_out": "tied", "pool": "mean", "category_weight": 0.5},
         "mixed_third": {"hier": "stop", "item_out": "tied", "pool": "mean", "inputs": "text+id"},
         "mixed_fourth": {"hier": "tied", "inputs": "category+text", "softmax": "all", "heads": 4},
         "mixed_sixth": {"hier": "logits", "softmax": "all", "inputs": "id+category", "category_weight": 0.25}}


def block_case(rng, draw):
    D, real = draw["width"], real_right(draw["lengths"], draw["events"])
    params = {name: normal(rng, D, D, scale=D**-0.5) for name in "qkvo"} | {"ln1": norm(rng, D), "ln2": norm(rng, D)}
    params |= {"f1": dense(rng, D, 2 * D), "f2": dense(rng, 2 * D, D)}
    return params, {"h": normal(rng, *real.shape, D), "real": real}


def last_classes(rng, draw):
    """Every other item is of one of the last classes."""
    params, inputs = features_case(rng, draw)
    inputs["category"][1::2] = draw["config"]["categories"] - np.arange(len(inputs["category"][1::2])) % 9
    return params, inputs


def several_candidates(build):
    """A build with as many candidates as the draw says, the last item among them."""
    def built(rng, draw):
        params, inputs = build(rng, draw)
        items = draw["config"]["items"]
        candidate = [rng.permutation(items)[: draw["candidates"]] + 1 for _ in inputs["item"]]
        inputs["candidate"] = np.array(candidate)
        inputs["candidate"][:, 0] = items
        return params, inputs
    return built


def oracle_case(rng, draw):
    """Classes that need more than 8 bits."""
    logp = log_probabilities(rng, (2, 300))
    config = draw["config"]
    params = {"W_p": normal(rng, 300, 2)}
    assert config["hier"] in ("oracle", "soft")
    return params, {"logp": logp, "oracle": np.array([299, 256])}


def near_case(rng, draw):
    """Four classes of nearly one probability, whose logarithms float32 adds up without rounding."""
    params = {"ln_logits": norm(rng, 4), "W_p": normal(rng, 4, 2)}
    near = rng.normal(0, 1e-5, (5, 4)) if draw.get("fine") else rng.integers(-256, 257, (5, 4)) * 2.0**-20
    return params, {"logp": -1420 / 1024 + near, "oracle": np.zeros(5, int)}


def far_category_case(rng, draw):
    """Many rows, many classes, log p among them far below 0."""
    return {"category": dense(rng, 2, draw["classes"])}, {"s": draw["spread"] * normal(rng, draw["rows"], 2)}


def chosen_case(rng, draw):
    """Many sessions, items and categories, one of which holds half of the items."""
    rows, C, items = draw.get("rows", 35), draw.get("C", 140), 300
    category = np.append(0, np.where(np.arange(items) < 150, 3, np.arange(items) % C))
    some = log_probabilities(rng, (rows, C), 1.5) if not draw.get("coarse") else rng.integers(-400, -4, (rows, C)) / 16
    found = {"logp": some, "chosen": rng.random((rows, C)) < 0.3}
    return {}, {name: found[name] for name in draw["names"]} | ({"category": category} if draw["items"] else {})


def far_case(rng, draw):
    """log p of which p is 0 in float64, where they still differ."""
    logp = np.append([[-0.25, -1.75]] * 3, -rng.permuted(np.tile(np.arange(800.0, 806.0), (3, 1)), axis=1), axis=1)
    category = np.append(0, np.repeat(np.arange(8), (2, 3, 1, 4, 1, 2, 1, 2)))
    return {}, {"logp": logp} | ({"category": category} if draw.get("items") else {}) | (
        {"rho": np.arange(1, 17) / 16} if draw.get("rho") else {})


def many_places_case(rng, draw):
    """Whole numbers whose scores differ by thousands, and a list of more than 100 items."""
    items, C = 130, 5
    category = np.append(0, rng.integers(0, C, items))
    target, chosen = rng.integers(1, items + 1, 3), np.ones((3, C), bool)
    whole = lambda *shape: rng.integers(-draw["most"], draw["most"] + 1, shape).astype(float)
    return {}, {"queries": whole(3, 3), "weights": whole(items, 3), "chosen": chosen, "category": category,
                "target": target}


def many_classes_case(rng, draw):
    """More categories than a word has bits."""
    return {}, {"category_logp": log_probabilities(rng, (1, 70)), "item_logits": normal(rng, 1, 90),
                "category": np.append(0, rng.permutation(90) % 70)}


def popular_case(rng, draw):
    """Counts above what a byte holds."""
    return {}, {"allowed": rng.random((3, 9)) < 0.2, "popularity": rng.permutation(np.arange(9) * 110 + 30)}


def halves_case(rng, draw):
    """Four items in categories of one each: rho N is a half, or a bit beside it."""
    return {}, {"logp": log_probabilities(rng, (3, 10), 1.0), "category": np.append(0, np.arange(10))}


MORE = {
    "hiersrec.encoder_block": plan(block_case, *(
        (name, flags, draw, {"heads": heads}) for name, (flags, draw, heads) in SIZES.items())) + plan(
        enlarge(block_case, times=(("q", 64), ("k", 64))),
        ("far_below", ("LargeValues", "Padding"), {"lengths": (3, 1, 2), "events": 4, "width": 4}, {"heads": 2})),
    "hiersrec.item_features": plan(last_classes, row(
        "many_rows", MANY_ROWS[0], MANY_LENGTHS, {"events": 2, "unknown": 0.2}, items=300, categories=270, item_width=1,
        category_width=1)),
    "hiersrec.category_logp": plan(far_category_case, (
        "many_rows", ("ManyRows", "ManyItems"), {"rows": 33, "classes": 3, "spread": 1}, {}),
        ("many_classes", ("ManyItems", "OneUser"), {"rows": 1, "classes": 70, "spread": 2}, {}),
        ("larger", ("LargeValues",), {"rows": 3, "classes": 5, "spread": 2048}, {})),
    "hiersrec.projection": plan(near_case, row(
        "low_variance_float64", ("LowVariance", "Far", "Float64", "Switch"), SHORT, {"fine": True}, hier="logits")) + plan(
        oracle_case, *(
        (f"many_{name}", ("ManyItems", *flags), {"config": {"hier": hier}}, {"hier": hier}) for name, flags, hier in (
            ("classes_oracle", ("Switch",), "oracle"),))),
    "hiersrec.candidates_topk": plan(chosen_case, (
        "many_rows", MANY, {"names": ("logp",), "items": False, "coarse": True, "C": 40}, {"k": 35}), (
        "last_categories", MANY[1:], {"names": ("logp",), "items": False, "coarse": True, "rows": 2}, {"k": 130})) + plan(
        far_case, ("far_below", ("LargeValues",), {}, {"k": 4})),
    "hiersrec.candidates_mass": plan(chosen_case, (
        "many_rows", MANY, {"names": ("logp",), "items": False, "C": 9}, {"tau": 0.95}), (
        "last_categories", MANY[1:], {"names": ("logp",), "items": False, "rows": 2}, {"tau": 0.995})),
    "hiersrec.candidates_budget": plan(chosen_case, (
        "many_rows", MANY, {"names": ("logp",), "items": True, "coarse": True, "C": 40}, {"rho": 0.33}), (
        "last_categories", MANY[1:], {"names": ("logp",), "items": True, "coarse": True, "rows": 2}, {"rho": 0.9})) + plan(
        halves_case, *((name, ("Cutoff",), {}, {"rho": rho}) for name, rho in (
            ("half", 0.25), ("half_above", 0.35), ("a_bit_above", 0.3001), ("very_little", 1e-9)))) + plan(
        far_case, ("far_below", ("LargeValues",), {"items": True}, {"rho": 0.6})),
    "hiersrec.candidates_share": plan(far_case, ("far_below", ("LargeValues",), {"items": True, "rho": True}, {})),
    "hiersrec.candidate_items": plan(chosen_case, ("many_rows", MANY, {"names": ("chosen",), "items": True}, {})),
    "hiersrec.places": plan(many_places_case, ("many_items", ("ManyItems", "LargeValues"), {"most": 128}, {"n": 125})),
    "hiersrec.two_level_logp": plan(many_classes_case, ("many_categories", ("ManyItems", "OneUser"), {}, {})),
    "hiersrec.backfill": plan(popular_case, ("popular", ("ManyItems",), {}, {"n": 6})),
    "hiersrec.score": [
        *plan(several_candidates(score_case), row("many_rows", MANY_ROWS[0], CLICKS, {"events": 2, "candidates": 2}, **MODEL_ROWS | {"items": 20, "categories": 4}),
              row("longer", ("LongHistory", "OneUser"), (104,), {"events": 104, "candidates": 2}, **NARROW | {"length": 104}),
              row("many_candidates", ("ManyItems", "OneUser"), (4,), {"events": 5, "candidates": 70}, **LONG),
              row("long_mean", ("LongHistory", "OneUser", "Switch"), (34,), {"events": 34, "candidates": 3}, pool="mean",
                  blocks=3, length=34, width=3, heads=1, item_width=1, category_width=1, projection_width=1))],
    "hiersrec": [
        *plan(model_case, row("many_rows", *MANY_ROWS[:2], rate=0.02, **MODEL_ROWS),
              row("cube", *CUBE, rate=0.02, **CUBE_CONFIG),
              *(row(name, ("Switch", "StopGradient", "UnknownCategory"), SHORT, {"unknown": 0.3, "items": 5, "cold": True},
                    rate=0.02, **NARROW | {"length": 4} | config) for name, config in MIXES.items())),
        *plan(enlarge(model_case, times=(*((name, 32 * by) for name, by in STEEP if name == "item"), ("category", 128))), row(
            "larger_cold", ("LargeValues", "Padding"), SHORT, {"items": 4, "cold": True}, length=4, rate=2.0**-40, **NARROW))],
}
