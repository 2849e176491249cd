"""Cases of HMAR's components."""
import numpy as np

from mbref.check.components.reading import config_of
from mbref.data.windows import window_counts
from mbref.variants import hmar
from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    B,
    Component,
    D,
    T,
    dense,
    ids,
    moved,
    norm,
    normal,
    plan,
    real_left,
)

ITEMS, K, C = 9, 3, 4
PARTS = ("q", "k", "v", "f1", "f2")


def behaviour_case(rng, draw):
    return {}, {"behaviour": ids(rng, real_left(draw["lengths"], draw.get("events", T)), draw["kinds"])}


def events(rng, draw):
    """Items and behaviours of histories, padded on the left."""
    real = real_left(draw["lengths"], draw.get("events", T))
    return {"item": ids(rng, real, draw.get("items", ITEMS)), "behaviour": ids(rng, real, draw.get("kinds", K))}


def events_case(rng, draw):
    return {}, events(rng, draw)


def candidate_counts_case(rng, draw):
    inputs = events(rng, draw)
    wanted = rng.random(inputs["item"].shape) >= draw.get("without", 0)
    return {}, inputs | {"candidate": ids(rng, wanted, draw["items"])}


def counts_of(which, item, behaviour, kinds=K):
    """Counts of the items `which` [B, T] among the events so far, 0 where there is none."""
    return window_counts(which, item, behaviour, kinds).astype(float) * (which > 0)[..., None]


def joints(rng, width=D):
    """Parameters that join item and indicator codes."""
    return {"indicator": dense(rng, K, width), "feature": dense(rng, 2 * width, width)}


def code_case(rng, draw):
    counts = rng.integers(0, draw["most"] + 1, (B, T, K)).astype(float)
    return joints(rng), {"item_code": normal(rng, B, T, D), "counts": counts}


def input_code_case(rng, draw):
    width = draw.get("width", D)
    params = {"item": normal(rng, ITEMS + 1, width), "position": normal(rng, draw["length"], width)} | joints(rng, width)
    found = events(rng, draw)
    return params, {"item": found["item"], "counts": counts_of(found["item"], *found.values())}


def candidate_code_case(rng, draw):
    params = {"item": normal(rng, ITEMS + 1, D)} | joints(rng)
    counts = rng.integers(0, draw["most"] + 1, (B, C, K)).astype(float)
    return params, {"candidate": ids(rng, rng.random((B, C)) >= draw["without"], ITEMS), "counts": counts}


def behaviour_encoder_case(rng, draw):
    behaviour, kinds = events(rng, draw)["behaviour"], draw.get("kinds_of", K)
    params = {name: dense(rng, kinds, D, D) for name in PARTS}
    params |= {"res": normal(rng, kinds, scale=0.5)}
    return params, {"x": normal(rng, *behaviour.shape, D), "behaviour": behaviour}


def sequence_encoder_case(rng, draw):
    params = {name: dense(rng, D, D) for name in PARTS} | {"ln": norm(rng)}
    real = real_left(draw["lengths"], draw.get("events", T))
    s, residual = (draw["spread"] * normal(rng, *real.shape, D) for _ in range(2))
    if draw["spread"] < 1:  # then the attention must be small too
        params["v"] = {name: draw["spread"] * a for name, a in params["v"].items()}
    return params, {"s": s, "residual": residual, "real": real}


def class_case(rng, draw):
    params = {"class1": dense(rng, 2 * D, D), "class2": dense(rng, D, draw["kinds"])}
    return params, {"q": draw["spread"] * normal(rng, B, T, D), "z": normal(rng, B, T, D)}


def ranking_loss_case(rng, draw):
    real = real_left(draw["lengths"])
    logits = {name: draw["spread"] * normal(rng, B, T) for name in ("positive", "negative")}
    return {}, logits | {"weight": rng.choice([0.5, 0.25, 0.125], (B, T)), "mask": real,
                         "has_negative": real & (rng.random((B, T)) >= draw["without"])}


def model_params(rng, config):
    """Small ones: with large weights, ten steps of training magnify what float32 rounds."""
    return moved(rng, hmar.init(rng, config), 0.15)


def score_case(rng, draw):
    config, found = config_of(hmar.Config, draw["config"]), events(rng, draw)
    items, kinds, rows = config.items, config.behaviours, len(found["item"])
    everything = np.broadcast_to(np.arange(items + 1), (rows, items + 1))
    history = np.array([[[((i == item) & (k == behaviour) & (i > 0)).sum() for k in range(1, kinds + 1)]
                         for i in all_items]
                        for item, behaviour, all_items in zip(*found.values(), everything, strict=True)], float)
    inputs = found | {"counts": counts_of(found["item"], *found.values(), kinds), "history": history,
                      "candidate": rng.integers(1, items + 1, (rows, C))}
    return model_params(rng, config), inputs


def model_case(rng, draw):
    """Histories of one user each; the events after them, with counts before they came; negatives of other items."""
    items, kinds, events = (draw["config"][name] for name in ("items", "behaviours", "length"))
    real = real_left([n + 1 for n in draw["lengths"]], events + 1)  # with the event that only is predicted
    real &= np.array(draw["lengths"])[:, None] > 0
    item, behaviour = ids(rng, real, draw.get("items", items)), ids(rng, real, draw.get("kinds", kinds))
    follow = {"next_item": item[:, 1:] * (item[:, :-1] > 0), "next_behaviour": behaviour[:, 1:] * (item[:, :-1] > 0)}
    item, behaviour = item[:, :-1], behaviour[:, :-1]
    drawn = (item > 0) & (rng.random(item.shape) >= draw.get("without", 0))
    negative = (follow["next_item"] % items + 1) * drawn
    counts = {name: counts_of(which, item, behaviour, kinds) for name, which in (
        ("counts", item), ("next_counts", follow["next_item"]), ("negative_counts", negative))}
    inputs = {"item": item, "behaviour": behaviour, "negative": negative} | follow | counts
    return model_params(rng, config_of(hmar.Config, draw["config"])), inputs


MODEL = {"items": ITEMS, "behaviours": K, "width": D, "length": T, "heads": 2, "theta": 0.1,
         "weights": [0.5, 0.3, 0.2]}


def model_row(name, flags, lengths, draw=(), **config):
    """A case with the whole model's config."""
    config = MODEL | config
    return name, flags, {"lengths": lengths, "config": config} | dict(draw), config


NARROW = {"width": 4}   # for more cases in little space
ONE_KIND = {"lengths": MIXED, "kinds": 1}
PLANS = {
    "hmar.behaviour_mask": plan(
        behaviour_case, ("basic", ("Basic",), {"lengths": FULL, "kinds": K}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"lengths": EMPTY, "kinds": K}, {}),
        ("one_behaviour", ("OneBehaviour", "Padding"), ONE_KIND, {})),
    "hmar.indicator": plan(
        events_case, ("basic", ("Basic", "Padding"), {"lengths": MIXED, "items": 4}, {"count": K}),
        ("repeated_item", ("RepeatedItem", "FullHistory"), {"lengths": FULL, "items": 2}, {"count": K}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "items": 3}, {"count": K}),
        ("one_behaviour", ("OneBehaviour",), ONE_KIND | {"items": 3}, {"count": 2})),
    "hmar.candidate_counts": plan(
        candidate_counts_case, ("basic", ("Basic",), {"lengths": FULL, "items": 4}, {"count": K}),
        ("repeated_item", ("RepeatedItem", "Padding"), {"lengths": MIXED, "items": 2}, {"count": K}),
        ("no_candidate", ("NoNegative", "EmptyHistory"), {"lengths": EMPTY, "items": 3, "without": 0.4}, {"count": K})),
    "hmar.code": plan(
        code_case, ("basic", ("Basic",), {"most": 3}, {}), ("no_counts", ("EmptyHistory",), {"most": 0}, {}),
        ("many", ("RepeatedItem",), {"most": 100}, {}),
        ("log", ("Switch", "RepeatedItem"), {"most": 100}, {"count_scale": "log1p"}),
        ("without", ("Switch",), {"most": 3}, {"indicator": False})),
    "hmar.input_code": plan(
        input_code_case, ("basic", ("Basic", "FullHistory"), {"lengths": FULL, "length": T}, {}),
        ("long_position", ("Padding",), {"lengths": MIXED, "length": T + 3}, {}),
        ("repeated_item", ("RepeatedItem", "EmptyHistory"), {"lengths": EMPTY, "length": T, "items": 2}, {})),
    "hmar.candidate_code": plan(
        candidate_code_case, ("basic", ("Basic",), {"most": 3, "without": 0}, {}),
        ("no_counts", ("EmptyHistory",), {"most": 0, "without": 0}, {}),
        ("no_candidate", ("NoNegative",), {"most": 2, "without": 0.5}, {})),
    "hmar.behaviour_encoder": plan(
        behaviour_encoder_case, ("basic", ("Basic", "FullHistory"), {"lengths": FULL}, {"heads": 1}),
        ("heads", ("Heads", "Padding"), {"lengths": MIXED}, {"heads": 2}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY}, {"heads": 2}),
        ("one_behaviour", ("OneBehaviour",), ONE_KIND, {"heads": 1})),
    "hmar.sequence_encoder": plan(
        sequence_encoder_case, ("basic", ("Basic", "FullHistory"), {"lengths": FULL, "spread": 1}, {"heads": 1}),
        ("heads", ("Heads", "Padding"), {"lengths": MIXED, "spread": 1}, {"heads": 4}),
        ("empty_history", ("EmptyHistory",), {"lengths": EMPTY, "spread": 1}, {"heads": 2}),
        ("low_variance", ("LowVariance",), {"lengths": FULL, "spread": 2.0**-13}, {"heads": 2})),
    "hmar.class_logits": plan(
        class_case, ("basic", ("Basic",), {"kinds": K, "spread": 1}, {}),
        ("one_behaviour", ("OneBehaviour",), {"kinds": 1, "spread": 1}, {}),
        ("large", ("LargeValues",), {"kinds": K, "spread": 32}, {})),
    "hmar.ranking_loss": plan(
        ranking_loss_case, ("basic", ("Basic", "Padding"), {"lengths": MIXED, "spread": 1, "without": 0}, {}),
        ("no_negative", ("NoNegative",), {"lengths": FULL, "spread": 1, "without": 0.5}, {}),
        ("large", ("LargeValues",), {"lengths": FULL, "spread": 256, "without": 0}, {}),
        ("empty_history", ("EmptyHistory",), {"lengths": (0, 0, 0), "spread": 1, "without": 0}, {})),
    "hmar.score": [
        *plan(score_case, model_row("basic", ("Basic", "Padding"), MIXED),
                 model_row("target_counts", ("Switch",), FULL, candidate_counts="target", target=2),
                 model_row("empty_history", ("EmptyHistory", "RepeatedItem"), EMPTY, {"items": 3})),
        *plan(score_case, model_row("bypass", ("Switch", "OneBehaviour"), MIXED, {"kinds": 1}, merge="bypass",
                                       **NARROW), side="released")],
    "hmar": [
        *plan(model_case, model_row("basic", ("Basic", "Heads"), FULL, rate=0.01),
                 model_row("empty_history", ("EmptyHistory", "Padding"), EMPTY, rate=0.01),
                 model_row("one_behaviour", ("OneBehaviour", "RepeatedItem"), MIXED, {"kinds": 1, "items": 3},
                           rate=0.01),
                 model_row("new_only", ("Switch", "NoNegative"), MIXED, {"without": 0.3, "items": 4}, positives="new",
                           candidate_counts="target", rate=0.01),
                 model_row("blocks", ("Heads", "Switch"), MIXED, {"items": 4}, blocks=2, count_scale="log1p",
                           positives="target", rate=0.01, **NARROW)),
        *plan(model_case, model_row("bypass", ("Switch", "Padding"), MIXED, {"items": 4}, merge="bypass", rate=0.01,
                                       **NARROW), side="released")],
}

COMPONENTS = {
    "hmar.behaviour_mask": Component("HMAR step (3)", about="""
        May the query read the key: both real, of one behaviour, the key not later?
        behaviour [B, T] 1..K, 0 = padding on the left -> mask [B, T, T], rows are queries."""),
    "hmar.indicator": Component("HMAR step (2)", about="""
        How often the event's item has occurred so far, by behaviour, this event included.
        item, behaviour [B, T], 0 = padding; count = K -> counts [B, T, K], 0 at padding."""),
    "hmar.candidate_counts": Component("HMAR step (2)", about="""
        How often a candidate has occurred up to and including each event, by behaviour.
        item, behaviour [B, T]; candidate [B, T], 0 = none; count = K -> counts [B, T, K], 0
        where there is no candidate."""),
    "hmar.code": Component("HMAR steps (1), (2)", ("item_code", "counts"), about="""
        [v ; c W_c + b_c] W_f + b_f.  item_code v [B, T, D], counts c [B, T, K] -> code [B, T,
        D].
        params: indicator (w [K, D], b [D]), feature (w [2D, D], b [D]). count_scale "log1p": c
        is log(1 + c); indicator False: c is 0."""),
    "hmar.input_code": Component("HMAR step (1)", ("counts",), about="""
        G: the code of every event, its embedding times sqrt(D), plus its position.
        item [B, T], counts [B, T, K]; params: item [N+1, D], position [length, D] with length
        >= T, the last one that of the last event, indicator, feature -> code [B, T, D], 0 at
        padding."""),
    "hmar.candidate_code": Component("HMAR step (5)", ("counts",), about="""
        q^o: the code of candidates, without sqrt(D) and position; 0 has an embedding of zeros.
        candidate [B, C], counts [B, C, K]; params: item [N+1, D], indicator, feature -> code
        [B, C, D]."""),
    "hmar.behaviour_encoder": Component("HMAR step (3)", ("x",), about="""
        Each behaviour's own causal self-attention and feed-forward, events put back in their
        order.
        x [B, T, D], behaviour [B, T]; heads; params: q, k, v, f1, f2 (each w [K, D, D], b [K,
        D]), res [K] -> y [B, T, D], 0 at padding. y = a + f2(relu(f1(a))) + res x, a the
        attention without residual. Tap: behaviour_weights [B, heads, T, T], NaN for queries
        that are padding."""),
    "hmar.sequence_encoder": Component("HMAR step (4)", ("s", "residual"), about="""
        Causal self-attention over all events, then layer norm (eps 1e-8) and feed-forward.
        s, residual [B, T, D], real [B, T] bool; heads; params: q, k, v, f1, f2 (w [D, D], b
        [D]), ln (gamma, beta) -> z [B, T, D], 0 at padding. y = ln(a + residual), z = y +
        f2(relu(f1(y))). Tap: sequence_weights [B, heads, T, T], NaN for queries that are
        padding."""),
    "hmar.class_logits": Component("HMAR step (6)", ("q", "z"), about="""
        Two dense layers, class1 and class2, on [q ; z].  q, z [B, T, D] -> logits [B, T, K]."""),
    "hmar.ranking_loss": Component("HMAR step (7)", ("positive", "negative"), about="""
        Mean over the events of weight * -log sigmoid(positive) - log(1 - sigmoid(negative)).
        positive, negative, weight [B, T]; mask [B, T] bool: the events; has_negative [B, T]
        bool: without a negative there is no second term -> loss [], 0 without events."""),
    "hmar.score": Component("HMAR step (5)", about="""
        Scores of candidates for the next event after each history.
        item, behaviour [B, T]; counts [B, T, K]; candidate [B, C]; history [B, N+1, K] counts
        of every item over the whole history; config and params as hmar -> scores [B, C].
        candidate_counts "own": a candidate's indicator are its counts in the history; "target":
        one event of the target behaviour."""),
    "hmar": Component("HMAR steps (1)-(7)", kind="model", about="""
        The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the
        left.
        item, behaviour [B, T]; counts [B, T, K] of each event; next_item, next_behaviour [B,
        T], 0 = nothing to predict; next_counts [B, T, K]; negative [B, T], 0 = none;
        negative_counts [B, T, K]. theta weighs the class loss; weights, one a behaviour, the
        ranking of positives; target, 1..K; blocks: steps (3) and (4) that often. merge "bypass":
        step (4) reads the input of step (3). indicator False: all counts are 0. count_scale
        "log1p": c is log(1 + c). candidate_counts "target": a negative has the counts of the
        positive. positives "new": next events with counts of 0 alone are ranked, "target": those
        of the target behaviour. Taps, NaN at padding: input [B,
        T, D], behaviour_weights [B, H, T, T], merged [B, T, D], sequence_weights, states."""),
}
