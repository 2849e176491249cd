"""Cases of the components that several papers share."""
import numpy as np

from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    ONE,
    B,
    Component,
    D,
    T,
    dense,
    ids,
    norm,
    normal,
    plan,
    real_left,
    real_right,
    round8,
)


def dense_case(rng, draw):
    return dense(rng, D, draw["out"]), {"x": normal(rng, draw["rows"], T, D)}


def lookup_case(rng, draw):
    return {"table": normal(rng, 6, D)}, {"ids": ids(rng, real_left(draw["lengths"]), draw["ids"])}


def embed_case(rng, draw):
    """F features; an event is padding in all of them, or, where the draw says so, one of its
    features is unknown."""
    real = real_left(draw["lengths"])
    tables = [normal(rng, count + 1, width) for count, width in draw["tables"]]
    features = np.stack([ids(rng, real, count) for count, _ in draw["tables"]],
                        axis=-1)  # [B, T, F]
    if draw["unknown"]:
        which = rng.integers(0, 3, features.shape[:2])  # the first one, the last one, none
        features[..., 0] *= which != 0
        features[..., -1] *= which != 1
    return {"tables": tables}, {"ids": features}


def relu_case(rng, draw):
    """x [B, T], a third of them 0 where the draw says so."""
    x = round8(draw["spread"] * normal(rng, B, T))
    return {}, {"x": np.where(rng.integers(0, 3, x.shape) == 0, 0.0, x) if draw["zeros"] else x}


def dropout_case(rng, draw):
    """Draws in eighths, so that some of them are the rate itself."""
    return {}, {"x": normal(rng, B, T, D), "draws": rng.integers(0, 8, (B, T, D)) / 8}


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
    edges = np.array([[0, 1, 2, 3, 4, 5, 7], [8, 15, 16, 17, 31, 1023, 1024],
                      [2047, 2048, 4094, 4095, 4096, 4097, 63]])
    return {}, {"gap": {"random": small, "edges": edges, "long": 4000 * edges + 4097}[draw["gaps"]]}


def softplus_case(rng, draw):
    """Numbers around 0, or far below, with some beyond what exp can do if the draw says so."""
    x = round8(draw["middle"] + draw["spread"] * normal(rng, B, T))
    x[0, : len(draw["more"])] = draw["more"]
    return {}, {"x": x}


def logits_case(rng, draw):
    labels = rng.integers(0, 2, (B, T)).astype(bool)
    return {}, {"logits": round8(draw["spread"] * normal(rng, B, T)), "labels": labels}


def classes_case(rng, draw):
    return {}, {"logits": round8(draw["spread"] * normal(rng, B, T, draw["classes"])),
                "labels": rng.integers(0, draw["classes"], (B, T))}


def scores_case(rng, draw):
    return {}, {
        "logits": round8(draw["middle"] + draw["spread"] * normal(rng, B, T, draw["classes"]))}


def mean_case(rng, draw):
    return {}, {"values": normal(rng, B, T), "mask": real_right(draw["lengths"])}


PLANS = {
    "layers.dense": plan(
        dense_case, ("basic", ("Basic",), {"out": 5, "rows": B}, {}),
        ("square", ("Basic",), {"out": D, "rows": B}, {}),
        ("one_row", ("SingleEvent",), {"out": 1, "rows": 1}, {})),
    "layers.lookup": plan(
        lookup_case, ("basic", ("Basic",), {"lengths": FULL, "ids": 5}, {}),
        ("padding", ("Padding",), {"lengths": MIXED, "ids": 5}, {}),
        ("repeated_item", ("RepeatedItem", "EmptyHistory"), {"lengths": EMPTY, "ids": 2}, {})),
    "layers.embed": plan(
        embed_case,
        ("basic", ("Basic",), {"lengths": FULL, "tables": ((5, 4), (5, 4)), "unknown": False}, {}),
        ("padding", ("Padding",),
         {"lengths": MIXED, "tables": ((4, 3), (6, 5), (2, 1)), "unknown": False}, {}),
        ("unknown", ("UnknownCategory",),
         {"lengths": FULL, "tables": ((4, 3), (3, 3)), "unknown": True}, {}),
        ("repeated_item", ("RepeatedItem", "EmptyHistory"),
         {"lengths": EMPTY, "tables": ((1, 4), (2, 2)), "unknown": False}, {})),
    "layers.relu": plan(
        relu_case, ("basic", ("Basic",), {"spread": 1, "zeros": False}, {}),
        ("wide", ("Basic",), {"spread": 16, "zeros": False}, {}),
        ("at_zero", ("StopGradient",), {"spread": 1, "zeros": True}, {})),
    "layers.dropout": plan(
        dropout_case, ("basic", ("Basic",), {}, {"rate": 0.25, "training": True}),
        ("most", ("Basic",), {}, {"rate": 0.75, "training": True}),
        ("evaluation", ("Evaluation",), {}, {"rate": 0.25, "training": False})),
    "layers.layer_norm": plan(
        layer_norm_case, ("basic", ("Basic",), {"spread": 1}, {"eps": 1e-8}),
        ("low_variance", ("LowVariance",), {"spread": 1e-4}, {"eps": 1e-8}),
        ("large", ("LargeValues",), {"spread": 1e3}, {"eps": 1e-8}),
        ("other_eps", ("LowVariance", "Switch"), {"spread": 1e-2}, {"eps": 1e-5})),
    "masks.padding": plan(
        ids_case, ("basic", ("Basic", "Padding"), {"lengths": MIXED, "events": T}, {}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "events": T}, {}),
        ("full", ("FullHistory",), {"lengths": FULL, "events": T}, {})),
    "masks.diagonal": plan(
        ids_case, *((name, flags, {"lengths": FULL, "events": size}, {}) for name, flags, size in (
            ("basic", ("Basic",), T), ("single_event", ("SingleEvent",), 1),
            ("two", ("FullHistory",), 2)))),
    "masks.positions": plan(
        ids_case, ("basic", ("Basic", "Padding"), {"lengths": MIXED, "events": T}, {}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "events": T}, {}),
        ("full", ("FullHistory",), {"lengths": FULL, "events": T}, {}),
        ("nothing", ("EmptyHistory",), {"lengths": (0, 0, 0), "events": T}, {})),
    "masks.causal": plan(
        ids_case, *((name, flags, {"lengths": FULL, "events": size}, {}) for name, flags, size in (
            ("basic", ("Basic",), T), ("single_event", ("SingleEvent",), 1),
            ("two", ("FullHistory",), 2)))),
    "masks.behaviour": plan(
        behaviours_case, ("basic", ("Basic",), {"lengths": MIXED, "kinds": 3}, {"count": 3}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "kinds": 3}, {"count": 3}),
        ("one_behaviour", ("OneBehaviour",), {"lengths": MIXED, "kinds": 1}, {"count": 4})),
    "masks.same_behaviour": plan(
        behaviours_case, ("basic", ("Basic",), {"lengths": FULL, "kinds": 3}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"lengths": EMPTY, "kinds": 3}, {}),
        ("one_behaviour", ("OneBehaviour", "Padding"), {"lengths": MIXED, "kinds": 1}, {})),
    "attention.masked_softmax": plan(
        softmax_case, ("basic", ("Basic",), {"spread": 1, "lengths": FULL}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"spread": 1, "lengths": EMPTY}, {}),
        ("large", ("LargeValues",), {"spread": 300, "lengths": MIXED}, {})),
    "attention.attention": plan(
        attention_case, ("basic", ("Basic",), {"lengths": FULL}, {"heads": 1, "scaled": True}),
        ("heads", ("Heads", "Padding"), {"lengths": MIXED}, {"heads": 2, "scaled": True}),
        ("empty_history", ("EmptyHistory", "Heads"), {"lengths": EMPTY},
         {"heads": 4, "scaled": True}),
        ("unscaled", ("Switch",), {"lengths": MIXED}, {"heads": 2, "scaled": False}),
        ("single_event", ("SingleEvent",), {"lengths": ONE}, {"heads": 2, "scaled": True})),
    "atrank.time_bucket": [
        *plan(gaps_case, ("basic", ("Basic",), {"gaps": "random"}, {"rule": "release"}),
                 ("edges", ("BucketEdges",), {"gaps": "edges"}, {"rule": "release"}),
                 ("long", ("LongGap",), {"gaps": "long"}, {"rule": "release"}), side="released"),
        *plan(gaps_case, ("paper_edges", ("BucketEdges", "Switch"), {"gaps": "edges"},
                          {"rule": "paper"}), ("paper_long", ("LongGap", "Switch"),
                                               {"gaps": "long"}, {"rule": "paper"}), side="paper")],
    "losses.softplus": plan(
        softplus_case, ("basic", ("Basic",), {"middle": 0, "spread": 2, "more": ()}, {}),
        ("large", ("LargeValues",), {"middle": 0, "spread": 50, "more": (1000, -1000, 800)}, {}),
        ("far_below", ("LargeValues",), {"middle": -30, "spread": 1, "more": ()}, {})),
    "losses.log_softmax": plan(
        scores_case, ("basic", ("Basic",), {"middle": 0, "spread": 1, "classes": 5}, {}),
        ("large", ("LargeValues",), {"middle": 0, "spread": 400, "classes": 5}, {}),
        ("all_large", ("LargeValues",), {"middle": 1000, "spread": 8, "classes": 5}, {}),
        ("two_classes", ("Basic",), {"middle": 0, "spread": 2, "classes": 2}, {})),
    "losses.sigmoid_cross_entropy": plan(
        logits_case, ("basic", ("Basic",), {"spread": 1}, {}),
        ("wide", ("Basic",), {"spread": 4}, {}),
        ("large", ("LargeValues",), {"spread": 400}, {})),
    "losses.cross_entropy": plan(
        classes_case, ("basic", ("Basic",), {"spread": 1, "classes": 5}, {}),
        ("large", ("LargeValues",), {"spread": 400, "classes": 5}, {}),
        ("two_classes", ("Basic",), {"spread": 2, "classes": 2}, {})),
    "losses.masked_mean": plan(
        mean_case, ("basic", ("Basic",), {"lengths": FULL}, {}),
        ("padding", ("Padding",), {"lengths": MIXED}, {}),
        ("nothing", ("EmptyHistory",), {"lengths": (0, 0, 0)}, {})),
}

COMPONENTS = {
    "layers.dense": Component("x W + b", ("x",), about="""
        x W + b.  x [B, T, D]; w [D, E], b [E] -> y [B, T, E]."""),
    "layers.lookup": Component("rows of an embedding table", about="""
        Rows of a table; id 0: zeros, no gradient.  table [N+1, D]; ids [B, T] -> y [B, T, D]."""),
    "layers.embed": Component("ATRank step (2)", about="""
        Rows of F tables side by side; id 0 of a feature gives zeros for it and no gradient.
        tables: a list of F arrays [N_f+1, D_f]; ids [B, T, F] -> y [B, T, sum of D_f]."""),
    "layers.relu": Component("max(x, 0)", ("x",), about="""
        max(x, 0), whose gradient at 0 is 0.  x [B, T] -> y [B, T]."""),
    "layers.layer_norm": Component("Ba et al. 2016", ("x",), about="""
        gamma (x - mean) / sqrt(var + eps) + beta over the last axis, var biased.
        x [B, T, D]; gamma, beta [D]; eps a number -> y [B, T, D]."""),
    "layers.dropout": Component("dropout, scaled in training", ("x",), about="""
        In training, entries with a draw below the rate become 0, others / (1 - rate); else y is
        x.
        x, draws [B, T, D], draws uniform in [0, 1) and without a gradient; rate a number,
        training True or False -> y [B, T, D]."""),
    "masks.padding": Component("ids above 0", about="""
        True where there is an event.  ids [B, T], 0 = padding -> mask [B, T]."""),
    "masks.causal": Component("Vaswani et al. 2017, section 3.2.3", about="""
        True where key s is not later than query t.  ids [B, T], read for T alone -> mask [T,
        T]."""),
    "masks.diagonal": Component("key and query the same", about="""
        True where key and query are the same.  ids [B, T], read for T alone -> mask [T, T]."""),
    "masks.behaviour": Component("HMAR step (3), M_b", about="""
        True where an event is of type k + 1.  behaviour [B, T]; count = K -> mask [B, T, K]."""),
    "masks.same_behaviour": Component("HMAR step (3)", about="""
        True where query and key are real and of one type.  behaviour [B, T] -> mask [B, T, T]."""),
    "masks.positions": Component("places of real events", about="""
        Places b T + t of the R real events, rising.  ids [B, T], 0 = padding -> positions [R]."""),
    "attention.masked_softmax": Component("Vaswani et al. 2017, eq. 1", ("scores",), about="""
        Softmax over the last axis among the allowed entries; 0 everywhere in a row without any.
        scores [B, T, S]; allowed [B, T, S] bool -> weights [B, T, S]."""),
    "attention.attention": Component("Vaswani et al. 2017, eq. 1", ("q", "k", "v"), about="""
        softmax(q k^T / sqrt(D/H)) v over the allowed keys; 0 where nothing is allowed.
        q [B, T, D]; k, v [B, S, D]; allowed [B, T, S] bool; heads = H, head h is slice h of the
        width; scaled=False leaves out the root -> y [B, T, D]. Tap: weights [B, H, T, S]."""),
    "losses.softplus": Component("log(1 + e^x)", ("x",), about="""
        log(1 + e^x) without overflow.  x [B, T] -> y [B, T]."""),
    "losses.log_softmax": Component("HierSRec step (2)", ("logits",), about="""
        log(softmax(logits)) over the last axis.  logits [B, T, C] -> logp [B, T, C]."""),
    "losses.sigmoid_cross_entropy": Component("ATRank step (7)", ("logits",), about="""
        -log sigmoid(logits) where the label is True, else -log(1 - ...).  All are [B, T]."""),
    "losses.cross_entropy": Component("HierSRec step (5)", ("logits",), about="""
        -log softmax(logits)[label].  logits [B, T, C]; labels [B, T] 0..C-1 -> loss [B, T]."""),
    "losses.masked_mean": Component("means over real events", ("values",), about="""
        Mean of values where mask is True; 0 if it is nowhere.  values, mask [B, T] -> mean []."""),
    "atrank.time_bucket": Component("ATRank step (3)", about="""
        Bucket of a time gap.  gap [B, T] whole numbers >= 0 -> bucket [B, T].
        rule "release": floor(log2(gap + 1)), at most 12. "paper": 0 below 1, then floor(log2
        gap) + 1, at most 13."""),
}
