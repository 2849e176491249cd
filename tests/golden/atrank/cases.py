"""Cases of ATRank's components, released unless they say otherwise, and the same by hand."""
from dataclasses import replace

import autograd.numpy as np

from mbref.check.components.atrank import read_config
from mbref.variants import atrank
from tests.golden.atrank import by_hand
from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    ONE,
    Component,
    D,
    T,
    ids,
    moved,
    normal,
    plan,
    real_right,
    round8,
)
from tests.golden.shared.by_hand import rows, spread

ITEMS, CATEGORIES, S, C = 9, 4, 6, 2


# By hand.

def thing(inputs, item):
    """An item as by_hand reads it: its group and its features."""
    return 0, (item, inputs["category"][item])


def histories(inputs):
    """The events of every row."""
    for item, gap in zip(inputs["item"], inputs["gap"], strict=True):
        yield [(thing(inputs, i), 0, g) for i, g in zip(item, gap, strict=True) if i]


def behaviour_code(params, inputs):
    config = read_config(inputs)
    return {"code": np.array([
        np.array(spread([by_hand.behaviour(params, event, config) for event in events], item > 0,
                        config.width))
        for events, item in zip(histories(inputs), inputs["item"], strict=True)])}


def attention_block(params, inputs):
    config = read_config(inputs, items=1, width=inputs["query"].shape[-1], query="group")

    def one(query, memory, allowed):
        return [by_hand.block(params, x, [memory[s] for s in np.flatnonzero(a)], config)
                for x, a in zip(query, allowed, strict=True)]
    return {"y": rows(one, inputs["query"], inputs["memory"], inputs["allowed"])}


def score(params, inputs):
    config = read_config(inputs)
    return {"scores": np.array([
        np.array([by_hand.score(params, events, thing(inputs, i), config)[0] for i in candidates])
        for events, candidates in zip(histories(inputs), inputs["candidate"], strict=True)])}


def model(params, inputs):
    config, count = read_config(inputs), (inputs["candidate"] > 0).sum()
    return {"loss": sum(
        by_hand.loss(params, events, thing(inputs, i), label, config, count)
        for events, candidates, labels in zip(histories(inputs), inputs["candidate"],
                                              inputs["label"], strict=True)
        for i, label in zip(candidates, labels, strict=True) if i) + (
            0.0 if count else config.weight_decay / 2 * by_hand.squares(params))}


BY_HAND = {"atrank.behaviour_code": behaviour_code, "atrank.attention_block": attention_block,
           "atrank.score": score,
           "atrank": model}


# Cases.

def category_of(rng, unknown, items=ITEMS):
    """Of every item; of all, of some or of no items it is unknown."""
    return np.append(0, rng.integers(1, CATEGORIES + 1, items) * (rng.random(items) >= unknown))


def history(rng, draw):
    """Items, gaps over all buckets that fall with time, categories."""
    real, items = real_right(draw["lengths"], draw.get("events", T)), draw["config"]["items"]
    gap = -np.sort(-(2 ** rng.integers(0, draw.get("years", 11), real.shape)
                     - rng.integers(0, 2, real.shape)), axis=1)
    return {"item": ids(rng, real, draw.get("items", items)), "gap": gap * real,
            "category": category_of(rng, draw.get("unknown", 0), items)}


def params_of(rng, draw, scale):
    """All parameters; a form without biases of items is given them, too, and does not read them."""
    config = replace(read_config(draw["config"]), item_bias=True)
    return moved(rng, atrank.init(rng, config), scale)


def behaviour_code_case(rng, draw):
    p = params_of(rng, draw, 0.4)
    return {name: p[name] for name in ("tables", "groups")}, history(rng, draw)


def attention_block_case(rng, draw):
    params = moved(rng, atrank.init_block(rng, D), 0.4)
    rows, size = len(draw["lengths"]), draw.get("events", S)
    query, memory = (round8(draw.get("spread", 1) * normal(rng, rows, n, D)) for n in (C, size))
    if "spread" in draw:  # then what is added to the query must be small too
        params["v"] = {name: draw["spread"] * a for name, a in params["v"].items()}
    if draw.get("self"):
        query = memory
    real = real_right(draw["lengths"], size)
    allowed = np.broadcast_to(real[:, None], (rows, query.shape[1], size))
    return params, {"query": query, "memory": memory, "allowed": allowed}


def candidates(rng, draw, count):
    """Different items a row."""
    items = draw["config"]["items"]
    return np.array([rng.permutation(items)[:count] + 1 for _ in draw["lengths"]])


def score_case(rng, draw):
    return params_of(rng, draw, 0.2), history(rng, draw) | {"candidate": candidates(rng, draw, 4)}


def model_case(rng, draw):
    """A positive and a negative a row, where one could be drawn."""
    candidate = candidates(rng, draw, C)
    candidate[:, 1] *= rng.random(len(candidate)) >= draw.get("without", 0)
    label = np.broadcast_to([True, False], candidate.shape)
    return params_of(rng, draw, 0.2), history(rng, draw) | {"candidate": candidate, "label": label}


RELEASED = {"items": ITEMS, "categories": CATEGORIES, "table_width": D // 2, "heads": 2,
            "penalty": 0.01}
PRINTED = RELEASED | {"scores": "bilinear", "bucket": "paper", "query": "group", "item_bias": False,
                      "penalty": 0.0,
                      "group_relu": True, "weight_decay": 0.01}


def row(name, flags, lengths, draw=(), base=RELEASED, **config):
    """A case with the whole model's config."""
    config = base | config
    return name, flags, {"lengths": lengths, "config": config} | dict(draw), config


def printed(*args, **config):
    """The same for the paper's side."""
    return row(*args, base=PRINTED, **config)


def block_row(name, flags, lengths, draw=(), heads=2, scores="dot"):
    return name, flags, {"lengths": lengths} | dict(draw), {"heads": heads, "scores": scores}


FEW = (S, 3, 1)
PLANS = {
    "atrank.behaviour_code": [
        *plan(behaviour_code_case, row("basic", ("Basic", "Padding"), MIXED),
                 row("long_gap", ("LongGap",), FULL, {"years": 15}),
                 row("unknown_category", ("UnknownCategory", "EmptyHistory"), EMPTY,
                     {"unknown": 0.6}),
                 side="released"),
        *plan(behaviour_code_case, printed("paper", ("Switch", "LongGap"), FULL, {"years": 15}),
              side="paper")],
    "atrank.attention_block": [
        *plan(attention_block_case, block_row("basic", ("Basic", "Padding"), FEW),
                 block_row("heads", ("Heads",), (S, S, S), heads=4),
                 block_row("self", ("Basic", "SingleEvent"), (1, S, 2), {"self": True}, heads=1),
                 block_row("empty_history", ("EmptyHistory",), (S, 0, 2)),
                 block_row("low_variance", ("LowVariance",), FEW, {"spread": 2.0**-13}),
                 side="released"),
        *plan(attention_block_case,
              block_row("bilinear", ("Switch", "Heads"), FEW, scores="bilinear"),
                 block_row("bilinear_empty", ("Switch", "EmptyHistory"), (S, 0, 2),
                           scores="bilinear"), side="paper")],
    "atrank.score": [
        *plan(score_case, row("basic", ("Basic", "Padding"), MIXED),
                 row("empty_history", ("EmptyHistory", "UnknownCategory"), EMPTY, {"unknown": 0.5}),
                 row("single_event", ("SingleEvent", "Tied"), ONE, {"items": 2}, heads=1),
                 side="released"),
        *plan(score_case, printed("paper", ("Switch",), MIXED), side="paper")],
    "atrank": [
        *plan(model_case, row("basic", ("Basic", "Heads", "Padding"), MIXED, rate=0.05),
                 row("empty_history", ("EmptyHistory", "NoNegative"), EMPTY, {"without": 0.6},
                     rate=0.05),
                 row("unknown_category", ("UnknownCategory", "RepeatedItem", "LongGap"), FULL,
                     {"unknown": 0.6, "items": 3, "years": 15}, rate=0.05), side="released"),
        *plan(model_case, printed("paper", ("Switch",), MIXED, {"years": 15}, rate=0.05),
              side="paper")],
}

COMPONENTS = {
    "atrank.behaviour_code": Component("ATRank steps (2)-(4)", about="""
        [item ; category ; one-hot time bucket] W + b.  -> code [B, T, D], 0 at padding.
        item, gap [B, T]; category [N+1] of every item, 0 = unknown, an embedding of zeros;
        params: tables (item, category), groups/0 (w, b). Buckets as in atrank.time_bucket: rule
        "release", of which buckets 0..11 have columns and bucket 12 is all zeros, or "paper",
        14 columns; `bucket` is the rule. group_relu: a ReLU after it."""),
    "atrank.attention_block": Component("ATRank steps (5), (6)", ("query", "memory"), about="""
        y = ln(attention + query), then ln_f(f2(relu(f1(y))) + y); layer norms with eps 1e-8.
        query [B, C, D], memory [B, S, D], allowed [B, C, S] bool; heads; params: q, k, v [D,
        D], f1, f2, ln, ln_f -> y [B, C, D]. q and v are ReLU layers. scores "dot": k too,
        scores over sqrt(D/H); "bilinear": k without bias and ReLU, no root. Tap: weights [B, H,
        C, S]."""),
    "atrank.score": Component("ATRank step (7)", about="""
        Logits of candidates.  item, gap [B, T], category [N+1], candidate [B, C] -> scores [B,
        C].
        Config and params as atrank."""),
    "atrank": Component("ATRank steps (2)-(7)", kind="model", about="""
        The loss of a batch: point-wise cross entropy and penalties.  -> loss [].
        item, gap [B, T], 0 = padding on the right; category [N+1]; candidate [B, C], 0 = none;
        label [B, C] bool. scores "dot" or "bilinear", bucket "release" or "paper", query "raw" or
        "group" and group_relu True or False are as in the components; item_bias True: b_i of params
        bias is added, False: it is not read. time False: no columns of time. self_attention False:
        no blocks self. blocks: so many of self and of vanilla. penalty and weight_decay: half of
        each times the squares of u and h_t of all candidates, and of all parameters. Taps, NaN at padding: input [B, T, D],
        self_weights [B, H, T, T], states [B, T, D], and vanilla_weights [B, H, C, T]."""),
}
