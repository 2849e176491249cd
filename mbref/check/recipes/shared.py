"""Cases of the components that several papers share, and the same functions by hand, row by row."""
import autograd.numpy as np

from mbref.by_hand import atrank as atrank_by_hand
from mbref.by_hand import hmar as by_hand
from mbref.check.recipes.draw import (
    EMPTY,
    FULL,
    MIXED,
    ONE,
    B,
    D,
    T,
    dense,
    ids,
    norm,
    normal,
    real_left,
    real_right,
    recipes,
    round8,
)


def rows(function, *arrays):
    """function(row of each array) for all rows, stacked."""
    return np.array([function(*row) for row in zip(*arrays, strict=True)])


def of_pairs(function, a, b):
    """function(entry of a, entry of b) for all entries of [B, T, ...] twice."""
    return rows(lambda x, y: [function(*pair) for pair in zip(x, y, strict=True)], a, b)


def spread(found, real, width):
    """A list of vectors [width], one where `real` [T] is True, in their order; zeros elsewhere.  -> T vectors."""
    left = iter(found)
    return [next(left) if r else np.zeros(width) for r in real]


def vectors(function, x):
    """function(vector) for all vectors of [B, T, D]."""
    return np.array([[function(v) for v in row] for row in x])


# By hand.

def dense_by_hand(params, inputs):
    return {"y": vectors(lambda v: by_hand.dense(params, v), inputs["x"])}


def lookup_by_hand(params, inputs):
    return {"y": vectors(lambda i: atrank_by_hand.row(params["table"], i), inputs["ids"])}


def layer_norm_by_hand(params, inputs):
    def one(x):
        centred = x - sum(x) / len(x)
        return params["gamma"] * centred / (np.dot(centred, centred) / len(x) + inputs["eps"]) ** 0.5 + params["beta"]
    return {"y": vectors(one, inputs["x"])}


def time_bucket_by_hand(params, inputs):
    return {"bucket": vectors(lambda gap: atrank_by_hand.bucket(int(gap), inputs["rule"]), inputs["gap"])}


def causal_by_hand(params, inputs):
    events = range(inputs["ids"].shape[1])
    return {"mask": np.array([[s <= t for s in events] for t in events])}


def behaviour_by_hand(params, inputs):
    return {"mask": vectors(lambda b: [b == k for k in range(1, inputs["count"] + 1)], inputs["behaviour"])}


def same_behaviour_by_hand(params, inputs):
    return {"mask": rows(lambda b: [[x == y and x > 0 for y in b] for x in b], inputs["behaviour"])}


def guarded_softmax(scores, allowed):
    """Among the allowed entries of a list; zeros where there is none."""
    weights = by_hand.softmax([s for s, a in zip(scores, allowed, strict=True) if a]) if any(allowed) else []
    left = iter(weights)
    return [next(left) if a else 0.0 for a in allowed]


def masked_softmax_by_hand(params, inputs):
    return {"weights": of_pairs(guarded_softmax, inputs["scores"], inputs["allowed"])}


def attend(query, keys, values, allowed, heads, scaled):
    """One query over its allowed keys, head by head.  -> [D]."""
    size, found = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = [np.dot(query[part], key[part]) / (size**0.5 if scaled else 1) for key in keys]
        weights = guarded_softmax(scores, allowed)
        found.append(sum(w * value[part] for w, value in zip(weights, values, strict=True)))
    return np.concatenate(found)


def attention_by_hand(params, inputs):
    def one(q, k, v, allowed):
        return [attend(q[t], k, v, allowed[t], inputs["heads"], inputs["scaled"]) for t in range(len(q))]
    return {"y": rows(one, *(inputs[name] for name in ("q", "k", "v", "allowed")))}


def entropy(z, label):
    """-log sigmoid(z) or -log(1 - sigmoid(z)), log(1 + e^x) written for large |x| too."""
    x = -z if label else z
    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))


def sigmoid_cross_entropy_by_hand(params, inputs):
    return {"loss": of_pairs(entropy, inputs["logits"], inputs["labels"])}


def cross_entropy_by_hand(params, inputs):
    def one(z, label):
        return max(z) + np.log(sum(np.exp(x - max(z)) for x in z)) - z[label]
    return {"loss": of_pairs(one, inputs["logits"], inputs["labels"])}


def masked_mean_by_hand(params, inputs):
    real = [v for v, m in zip(inputs["values"].flatten(), inputs["mask"].flatten(), strict=True) if m]
    return {"mean": sum(real) / len(real) if real else 0 * np.sum(inputs["values"])}


BY_HAND = {
    "layers.dense": dense_by_hand, "layers.lookup": lookup_by_hand, "layers.layer_norm": layer_norm_by_hand,
    "atrank.time_bucket": time_bucket_by_hand, "masks.causal": causal_by_hand, "masks.behaviour": behaviour_by_hand,
    "masks.same_behaviour": same_behaviour_by_hand, "attention.masked_softmax": masked_softmax_by_hand,
    "attention.attention": attention_by_hand, "losses.sigmoid_cross_entropy": sigmoid_cross_entropy_by_hand,
    "losses.cross_entropy": cross_entropy_by_hand, "losses.masked_mean": masked_mean_by_hand,
}


# Cases.

def dense_case(rng, draw):
    return dense(rng, D, draw["out"]), {"x": normal(rng, draw["rows"], T, D)}


def lookup_case(rng, draw):
    return {"table": normal(rng, 6, D)}, {"ids": ids(rng, real_left(draw["lengths"]), draw["ids"])}


def layer_norm_case(rng, draw):
    return norm(rng), {"x": round8(draw["spread"] * normal(rng, B, T, D))}


def behaviours_case(rng, draw):
    real = real_left(draw["lengths"])
    kinds = ids(rng, real, draw["kinds"])
    return {}, {"behaviour": kinds}


def ids_case(rng, draw):
    return {}, {"ids": ids(rng, real_left(draw["lengths"], draw["events"]), 9)}


def allowed_case(rng, lengths):
    """Causal, keys real, padding on the right; rows of padding may look back.  [B, T, T]."""
    return np.tri(T, dtype=bool) & real_right(lengths)[:, None]


def softmax_case(rng, draw):
    scores = round8(draw["spread"] * normal(rng, B, T, T))
    return {}, {"scores": scores, "allowed": allowed_case(rng, draw["lengths"])}


def attention_case(rng, draw):
    arrays = {name: normal(rng, B, T, D, scale=1.5) for name in "qkv"}
    return {}, arrays | {"allowed": allowed_case(rng, draw["lengths"])}


def gaps_case(rng, draw):
    """Random gaps over all buckets, or those at the edges of buckets, or years."""
    small = rng.integers(0, 2 ** rng.integers(0, 13, (B, T)))
    edges = np.array([[0, 1, 2, 3, 4, 5, 7], [8, 15, 16, 17, 31, 1023, 1024], [2047, 2048, 4094, 4095, 4096, 4097, 63]])
    return {}, {"gap": {"random": small, "edges": edges, "long": 4000 * edges + 4097}[draw["gaps"]]}


def logits_case(rng, draw):
    labels = rng.integers(0, 2, (B, T)).astype(bool)
    return {}, {"logits": round8(draw["spread"] * normal(rng, B, T)), "labels": labels}


def classes_case(rng, draw):
    return {}, {"logits": round8(draw["spread"] * normal(rng, B, T, draw["classes"])),
                "labels": rng.integers(0, draw["classes"], (B, T))}


def mean_case(rng, draw):
    return {}, {"values": normal(rng, B, T), "mask": real_right(draw["lengths"])}


RECIPES = {
    "layers.dense": recipes(
        dense_case, ("basic", ("Basic",), {"out": 5, "rows": B}, {}), ("square", ("Basic",), {"out": D, "rows": B}, {}),
        ("one_row", ("SingleEvent",), {"out": 1, "rows": 1}, {})),
    "layers.lookup": recipes(
        lookup_case, ("basic", ("Basic",), {"lengths": FULL, "ids": 5}, {}),
        ("padding", ("Padding",), {"lengths": MIXED, "ids": 5}, {}),
        ("repeated_item", ("RepeatedItem", "EmptyHistory"), {"lengths": EMPTY, "ids": 2}, {})),
    "layers.layer_norm": recipes(
        layer_norm_case, ("basic", ("Basic",), {"spread": 1}, {"eps": 1e-8}),
        ("low_variance", ("LowVariance",), {"spread": 1e-4}, {"eps": 1e-8}),
        ("large", ("LargeValues",), {"spread": 1e3}, {"eps": 1e-8}),
        ("other_eps", ("LowVariance", "Switch"), {"spread": 1e-2}, {"eps": 1e-5})),
    "masks.causal": recipes(
        ids_case, *((name, flags, {"lengths": FULL, "events": size}, {}) for name, flags, size in (
            ("basic", ("Basic",), T), ("single_event", ("SingleEvent",), 1), ("two", ("FullHistory",), 2)))),
    "masks.behaviour": recipes(
        behaviours_case, ("basic", ("Basic",), {"lengths": MIXED, "kinds": 3}, {"count": 3}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "kinds": 3}, {"count": 3}),
        ("one_behaviour", ("OneBehaviour",), {"lengths": MIXED, "kinds": 1}, {"count": 4})),
    "masks.same_behaviour": recipes(
        behaviours_case, ("basic", ("Basic",), {"lengths": FULL, "kinds": 3}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"lengths": EMPTY, "kinds": 3}, {}),
        ("one_behaviour", ("OneBehaviour", "Padding"), {"lengths": MIXED, "kinds": 1}, {})),
    "attention.masked_softmax": recipes(
        softmax_case, ("basic", ("Basic",), {"spread": 1, "lengths": FULL}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"spread": 1, "lengths": EMPTY}, {}),
        ("large", ("LargeValues",), {"spread": 300, "lengths": MIXED}, {})),
    "attention.attention": recipes(
        attention_case, ("basic", ("Basic",), {"lengths": FULL}, {"heads": 1, "scaled": True}),
        ("heads", ("Heads", "Padding"), {"lengths": MIXED}, {"heads": 2, "scaled": True}),
        ("empty_history", ("EmptyHistory", "Heads"), {"lengths": EMPTY}, {"heads": 4, "scaled": True}),
        ("unscaled", ("Switch",), {"lengths": MIXED}, {"heads": 2, "scaled": False}),
        ("single_event", ("SingleEvent",), {"lengths": ONE}, {"heads": 2, "scaled": True})),
    "atrank.time_bucket": [
        *recipes(gaps_case, ("basic", ("Basic",), {"gaps": "random"}, {"rule": "release"}),
                 ("edges", ("BucketEdges",), {"gaps": "edges"}, {"rule": "release"}),
                 ("long", ("LongGap",), {"gaps": "long"}, {"rule": "release"}), side="released"),
        *recipes(gaps_case, ("paper_edges", ("BucketEdges", "Switch"), {"gaps": "edges"}, {"rule": "paper"}),
                 ("paper_long", ("LongGap", "Switch"), {"gaps": "long"}, {"rule": "paper"}), side="paper")],
    "losses.sigmoid_cross_entropy": recipes(
        logits_case, ("basic", ("Basic",), {"spread": 1}, {}), ("wide", ("Basic",), {"spread": 4}, {}),
        ("large", ("LargeValues",), {"spread": 400}, {})),
    "losses.cross_entropy": recipes(
        classes_case, ("basic", ("Basic",), {"spread": 1, "classes": 5}, {}),
        ("large", ("LargeValues",), {"spread": 400, "classes": 5}, {}),
        ("two_classes", ("Basic",), {"spread": 2, "classes": 2}, {})),
    "losses.masked_mean": recipes(
        mean_case, ("basic", ("Basic",), {"lengths": FULL}, {}), ("padding", ("Padding",), {"lengths": MIXED}, {}),
        ("nothing", ("EmptyHistory",), {"lengths": (0, 0, 0)}, {})),
}
