"""More cases of what several papers share: large values, values far from 0, other shapes.  {component: plans}.
"""
import numpy as np

from tests.golden.draw import (
    EMPTY,
    MIXED,
    B,
    D,
    T,
    displace,
    enlarge,
    ids,
    norm,
    normal,
    plan,
    real_left,
    real_right,
)
from tests.golden.shared.cases import (
    attention_case,
    classes_case,
    dense_case,
    ids_case,
    logits_case,
    mean_case,
    softmax_case,
    softplus_case,
)


def far_case(rng, draw):
    """Whole 64ths around a number far from 0, whose sums float32 holds exactly where D is 8."""
    x = draw["middle"] + rng.integers(-128, 129, (B, T, draw["width"])) / 64
    return norm(rng, draw["width"]), {"x": x}


def in_pairs(build):
    """A build whose every other key is that before it.

    Large scores make nearly all weights 0 or 1, whose gradients are noise in float32; those of
    equal keys are 1/2.
    """
    def paired(rng, draw):
        params, inputs = build(rng, draw)
        k = inputs["k"].copy()
        k[:, 1::2] = k[:, :-1:2]
        return params, inputs | {"k": k}
    return paired


def sink(build):
    """A build whose scores are all 2^14 less, by the first feature of each head of four."""
    def sunk(rng, draw):
        params, inputs = build(rng, draw)
        first = np.arange(inputs["q"].shape[-1]) % 4 == 0
        return params, inputs | {"q": np.where(first, 2.0**15, inputs["q"]), "k": np.where(first, -1.0, inputs["k"])}
    return sunk


def right_case(rng, draw):
    return {}, {"ids": ids(rng, real_right(draw["lengths"]), 9)}


def zeros_case(rng, draw):
    """Every other value is 0."""
    params, inputs = mean_case(rng, draw)
    inputs["values"][:, ::2] = 0
    return params, inputs


def long_attention_case(rng, draw):
    """One user; padding on the right."""
    events = draw["events"]
    allowed = np.tri(events, dtype=bool) & real_right(draw["lengths"], events)[:, None]
    shape = len(allowed), events, D
    return {}, {name: normal(rng, *shape, scale=1.5) for name in "qkv"} | {"allowed": allowed}


def many_items_case(rng, draw):
    return {"table": normal(rng, 301, 2)}, {"ids": ids(rng, real_left((33,), 33), 300)}


def long_behaviours_case(rng, draw):
    return {}, {"behaviour": ids(rng, real_left(draw["lengths"], 33), 6)}


def one_user_case(rng, draw):
    """70 classes, the label the last of them."""
    logits = 2 * normal(rng, 1, 2, 70)
    return {}, {"logits": logits} | ({"labels": np.array([[69, 3]])} if draw["labels"] else {})


def rows_of_zeros(rng, draw):
    """Every other row is 0, as padding may be."""
    params, inputs = dense_case(rng, draw)
    inputs["x"][:, ::2] = 0
    return params, inputs


LONG, HEADS = {"lengths": (20,), "events": 33}, {"heads": 2, "scaled": True}

MORE = {
    "layers.dense": plan(rows_of_zeros, ("zeros", ("Padding",), {"out": 5, "rows": 2}, {})),
    "layers.lookup": plan(many_items_case, ("many_items", ("ManyItems", "OneUser"), {}, {})),
    "layers.layer_norm": plan(
        far_case, ("far", ("LowVariance",), {"middle": 256, "width": D}, {"eps": 1e-8}),
        ("far_float64", ("Float64",), {"middle": 2.0**16, "width": 6}, {"eps": 1e-8})),
    "masks.padding": plan(ids_case, ("long", ("LongHistory", "OneUser"), LONG, {})) + plan(
        right_case, ("right", ("Padding",), {"lengths": MIXED}, {})),
    "masks.diagonal": plan(ids_case, ("long", ("LongHistory", "OneUser"), LONG, {})),
    "masks.positions": plan(ids_case, ("long", ("LongHistory", "Padding"), LONG | {"lengths": (33, 0, 9)}, {})),
    "masks.causal": plan(ids_case, ("long", ("LongHistory", "OneUser"), LONG, {})),
    "masks.behaviour": plan(
        long_behaviours_case, ("long", ("LongHistory", "OneUser"), {"lengths": (30,)}, {"count": 6})),
    "masks.same_behaviour": plan(long_behaviours_case, ("long", ("LongHistory", "Padding"), {"lengths": (33, 11)}, {})),
    "attention.masked_softmax": plan(
        displace(softmax_case, by=-(2.0**14), names=("scores",)),
        ("far_below", ("LargeValues", "Padding"), {"lengths": MIXED, "spread": 1}, {})),
    "attention.attention": [
        *plan(sink(enlarge(attention_case, *"qkv", inputs=2)),
              ("far_below", ("LargeValues", "Padding", "Float64"), {"lengths": MIXED}, HEADS)),
        *plan(in_pairs(enlarge(attention_case, *"qkv", inputs=32)),
              ("large", ("LargeValues", "Padding"), {"lengths": MIXED}, HEADS)),
        *plan(enlarge(attention_case, *"qkv", inputs=32),
              ("large_empty", ("LargeValues", "EmptyHistory"), {"lengths": EMPTY}, HEADS)),
        *plan(long_attention_case, ("long", ("LongHistory", "OneUser"), LONG, HEADS))],
    "losses.softplus": plan(
        softplus_case, ("teens", ("LargeValues",), {"middle": 14, "spread": 1, "more": (11, 13, 17, 19)}, {})),
    "losses.masked_mean": plan(zeros_case, ("zeros", ("Padding",), {"lengths": MIXED}, {})) + plan(
        mean_case, ("one_value", ("SingleEvent",), {"lengths": (1, 0, 0)}, {})),
    "losses.log_softmax": plan(
        one_user_case, ("many_classes", ("ManyItems", "OneUser"), {"labels": False}, {})),
    "losses.sigmoid_cross_entropy": plan(logits_case, ("larger", ("LargeValues",), {"spread": 2048}, {})),
    "losses.cross_entropy": plan(
        classes_case, ("larger", ("LargeValues",), {"spread": 2048, "classes": 5}, {})) + plan(
        one_user_case, ("many_classes", ("ManyItems", "OneUser"), {"labels": True}, {})),
}
