"""Cases of HierSRec's components."""
import numpy as np

from mbref.check.components.reading import config_of
from mbref.variants import hiersrec
from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    ONE,
    B,
    Component,
    D,
    dense as drawn_dense,
    ids,
    log_probabilities,
    moved,
    norm,
    normal,
    plan,
    real_right,
    round8,
    with_ties,
)

ITEMS, CATEGORIES, TEXT, R, T = 9, 4, 2, 5, 7


def items_of(draw):
    """How many items there are."""
    return draw.get("config", {}).get("items", ITEMS)


def category_of(rng, draw):
    """Of every item, some unknown (0) if asked for."""
    classes = rng.integers(1, CATEGORIES + 1, items_of(draw))
    return np.append(0, classes * (rng.random(items_of(draw)) >= draw.get("unknown", 0)))


def known_of_items(rng, draw):
    """Categories and text vectors of all items."""
    text = normal(rng, items_of(draw) + 1, TEXT)
    text[0] = 0
    return {"category": category_of(rng, draw), "texts": text}


def sessions(rng, draw):
    real = real_right(draw["lengths"], draw.get("events", T))
    item = ids(rng, real, draw.get("items", items_of(draw)))
    return {"item": item} | known_of_items(rng, draw)


def params_of(rng, draw, scale, *names):
    """Parameters of the whole model, or those with these names."""
    params = moved(rng, hiersrec.init(rng, config_of(hiersrec.Config, draw["config"])), scale)
    return {name: params[name] for name in names if name in params} if names else params


def features_case(rng, draw):
    return params_of(rng, draw, 0.4, "E_I", "E_C"), sessions(rng, draw)


def block_case(rng, draw):
    params = {name: normal(rng, D, D, scale=D**-0.5) for name in "qkvo"}
    params |= {"ln1": norm(rng), "ln2": norm(rng)}
    params |= {"f1": drawn_dense(rng, D, 2 * D), "f2": drawn_dense(rng, 2 * D, D)}
    real = real_right(draw["lengths"], draw.get("events", T))
    return params, {"h": round8(draw.get("spread", 1) * normal(rng, *real.shape, D)), "real": real}


def encode_case(rng, draw):
    params = params_of(rng, draw, 0.2, "in", "position", "blocks", "ln", "E_I", "E_C")
    return params, sessions(rng, draw)


def logp_case(rng, draw):
    params = {"category": drawn_dense(rng, D, draw["classes"])}
    return params, {"s": round8(draw["spread"] * normal(rng, R, D))}


def projection_case(rng, draw):
    params = params_of(rng, draw, 0.4, "W_p", "ln_logits")
    params |= params_of(rng, draw, 0.4, "E_C") if draw["config"]["hier"] == "tied" else {}
    logp = log_probabilities(rng, (R, CATEGORIES + 1), draw.get("spread", 1.0))
    return params, {"logp": logp, "oracle": rng.integers(0, CATEGORIES + 1, R)}


def join_case(rng, draw):
    params = params_of(rng, draw, 0.4, "category", "W_p", "ln_logits")
    params |= params_of(rng, draw, 0.4, "E_C") if draw["config"]["hier"] == "tied" else {}
    return params, {"s": normal(rng, R, D), "oracle": rng.integers(0, CATEGORIES + 1, R)}


def logits_case(rng, draw):
    params, config = params_of(rng, draw, 0.3), config_of(hiersrec.Config, draw["config"])
    names = ("item",) if config.item_out == "fc" else ("query", "value", "b_i", "E_I", "E_C")
    q = normal(rng, R, D + hiersrec.projection_width(config))
    inputs = {"q": q, "item": np.zeros((1, 1), int)} | known_of_items(rng, draw)
    return {name: params[name] for name in names}, inputs


def choice_case(rng, draw):
    """log p, of few levels where ties are asked for; where they are needed, items' categories."""
    if draw.get("levels"):
        logp = with_ties(rng, B)
    else:
        logp = log_probabilities(rng, (B, CATEGORIES + 1), 1.5)
    return {}, {"logp": logp} | ({"category": filled(rng, draw)} if "empty" in draw else {})


def filled(rng, draw):
    """Categories 0.. of items; the `empty` ones have none."""
    classes = [c for c in range(CATEGORIES + 1) if c not in draw["empty"]]
    return np.append(0, rng.choice(classes, draw.get("items", ITEMS)))


def items_case(rng, draw):
    chosen = rng.random((B, CATEGORIES + 1)) < draw["share"]
    return {}, {"chosen": chosen, "category": filled(rng, draw)}


def score_case(rng, draw):
    rows = len(draw["lengths"])
    more = {"oracle": rng.integers(0, CATEGORIES + 1, rows),
            "candidate": rng.integers(1, items_of(draw) + 1, (rows, 4))}
    return params_of(rng, draw, 0.2), sessions(rng, draw) | more


def model_case(rng, draw):
    """Sessions with the click that follows each; items that no session holds may be unknown."""
    items, length = items_of(draw), draw["config"]["length"]
    real = real_right([n + 1 for n in draw["lengths"]], length + 1)
    real &= np.array(draw["lengths"])[:, None] > 0
    clicks = ids(rng, real, draw.get("items", items))
    follow = clicks[:, 1:]
    known = np.isin(np.arange(1, items + 1), clicks) if draw.get("cold") else np.ones(items, bool)
    inputs = {"item": clicks[:, :-1] * (follow > 0), "next": follow, "known": known}
    inputs |= known_of_items(rng, draw)
    return params_of(rng, draw, 0.2), inputs


MODEL = {"items": ITEMS, "categories": CATEGORIES, "text": TEXT, "width": D, "item_width": 4,
         "category_width": 3, "projection_width": 4, "length": T, "heads": 2}


def row(name, flags, lengths, draw=(), **config):
    """A case with the whole model's config."""
    config = MODEL | config
    return name, flags, {"lengths": lengths, "config": config} | dict(draw), config


def hier(name, flags, draw=(), **config):
    """A case of one form of the projection."""
    return row(name, flags, FULL, draw, **{"hier": name} | config)


EVERY = {"empty": ()}
PLANS = {
    "hiersrec.item_features": plan(
        features_case, row("basic", ("Basic", "Padding"), MIXED),
        row("unknown_category", ("UnknownCategory", "EmptyHistory"), EMPTY, {"unknown": 0.6}),
        row("without_text", ("Switch", "RepeatedItem"), FULL, {"items": 2}, inputs="id+category")),
    "hiersrec.encoder_block": plan(
        block_case, ("basic", ("Basic", "Padding"), {"lengths": MIXED}, {"heads": 1}),
        ("heads", ("Heads",), {"lengths": FULL}, {"heads": 4}),
        ("low_variance", ("LowVariance",), {"lengths": FULL, "spread": 2.0**-13}, {"heads": 2}),
        ("single_event", ("SingleEvent", "EmptyHistory"), {"lengths": (1, 0, 2)}, {"heads": 2})),
    "hiersrec.encode": plan(
        encode_case, row("basic", ("Basic", "Padding"), MIXED),
        row("mean", ("Switch",), MIXED, pool="mean"),
        row("empty_history", ("EmptyHistory", "UnknownCategory"), EMPTY, {"unknown": 0.5}),
        row("blocks", ("Heads", "RepeatedItem"), FULL, {"items": 3}, blocks=2, heads=4)),
    "hiersrec.category_logp": plan(
        logp_case, ("basic", ("Basic",), {"classes": 5, "spread": 1}, {}),
        ("large", ("LargeValues",), {"classes": 5, "spread": 500}, {}),
        ("two_classes", ("Basic",), {"classes": 2, "spread": 2}, {})),
    "hiersrec.projection": plan(
        projection_case, hier("soft", ("Basic",)), hier("stop", ("StopGradient", "Switch")),
        hier("tied", ("Switch",)),
        hier("logits", ("Switch",)), hier("oracle", ("Switch", "StopGradient")),
        row("certain", ("LargeValues",), FULL, {"spread": 30.0}, hier="soft")),
    "hiersrec.joined": plan(
        join_case, hier("soft", ("Basic",)), hier("none", ("Switch",)), hier("oracle", ("Switch",)),
        hier("tied", ("Switch",)), hier("stop", ("StopGradient", "Switch")),
        row("one_task", ("Switch",), FULL, tasks="item", hier="soft")),
    "hiersrec.item_logits": plan(
        logits_case, row("basic", ("Basic",), FULL),
        row("tied", ("Tied", "Switch", "UnknownCategory"), FULL, {"unknown": 0.4}, item_out="tied"),
        row("one_task", ("Switch",), FULL, tasks="item")),
    "hiersrec.candidates_topk": plan(
        choice_case, ("basic", ("Basic",), {}, {"k": 2}),
        ("ties", ("SeveralTop",), {"levels": True}, {"k": 3}),
        ("all", ("Cutoff",), {}, {"k": 9})),
    "hiersrec.candidates_mass": plan(
        choice_case, ("basic", ("Basic",), {}, {"tau": 0.8}),
        ("ties", ("SeveralTop",), {"levels": True}, {"tau": 0.7}),
        ("first", ("Cutoff",), {}, {"tau": 0.001})),
    "hiersrec.candidates_budget": plan(
        choice_case, ("basic", ("Basic",), EVERY, {"rho": 0.5}),
        ("ties", ("SeveralTop",), {"levels": True} | EVERY, {"rho": 0.4}),
        ("empty_category", ("EmptyCategory",), {"empty": (1, 3)}, {"rho": 0.6})),
    "hiersrec.candidate_items": plan(
        items_case, ("basic", ("Basic",), {"share": 0.5} | EVERY, {}),
        ("empty_category", ("EmptyCategory",), {"share": 0.6, "empty": (0, 2)}, {}),
        ("nothing", ("EmptyHistory",), {"share": 0.0} | EVERY, {})),
    "hiersrec.score": plan(
        score_case, row("basic", ("Basic", "Padding"), MIXED),
        row("single_event", ("SingleEvent", "UnknownCategory"), ONE, {"unknown": 0.5}),
        row("tied", ("Tied", "Switch"), MIXED, hier="tied", item_out="tied", pool="mean")),
    "hiersrec": plan(
        model_case, row("basic", ("Basic", "Heads", "Padding"), MIXED, rate=0.02),
        row("unknown_category", ("UnknownCategory", "RepeatedItem", "EmptyHistory"), EMPTY,
            {"unknown": 0.6, "items": 3}, rate=0.02),
        row("stop", ("StopGradient", "Switch"), MIXED, hier="stop", rate=0.02),
        row("tied", ("Tied", "Switch", "NoNegative"), MIXED, {"items": 5, "cold": True},
            hier="tied", item_out="tied", rate=0.02),
        row("weighted", ("Switch",), MIXED, pool="mean", category_weight=0.25, rate=0.02)),
}

COMPONENTS = {
    "hiersrec.item_features": Component("HierSRec step (1)", about="""
        [E_I[item] ; E_C[its category] ; its text], as far as `inputs` names them; 0 at padding.
        item [B, T]; category [N+1], 0 = unknown, a class with its own embedding; texts [N+1,
        M]; params: E_I, E_C -> features [B, T, d_in]."""),
    "hiersrec.encoder_block": Component("HierSRec step (1)", ("h",), about="""
        Pre-norm transformer block, causal: h + attention(ln1(h)) o, then +
        f2(relu(f1(ln2(.)))).
        h [B, T, D], real [B, T] bool; heads; params: q, k, v, o [D, D] without biases, f1, f2
        (w, b), ln1, ln2, eps 1e-8 -> y [B, T, D], 0 at padding. Tap: weights [B, heads, T, T],
        NaN for queries that are padding."""),
    "hiersrec.encode": Component("HierSRec step (1)", about="""
        s: the session encoding after every click.  -> s [B, T, D], 0 at padding.
        item [B, T], category, texts; config and params as hiersrec. pool "last": the last
        state; "mean": the mean of the states so far."""),
    "hiersrec.category_logp": Component("HierSRec step (2)", ("s",), about="""
        log softmax(s W + b) over the classes 0..C.  s [R, D] -> logp [R, C+1].
        params: category (w [D, C+1], b)."""),
    "hiersrec.projection": Component("HierSRec step (3)", ("logp",), about="""
        g: what the item head learns of the category.  logp [R, C+1], oracle [R] -> g [R, d_p].
        hier "soft": exp(logp) W_p; "stop": the same, but no gradient to logp; "tied": exp(logp)
        E_C; "logits": layer_norm(logp) W_p with ln_logits (gamma, beta), eps 1e-8; "oracle":
        W_p[oracle]."""),
    "hiersrec.joined": Component("HierSRec steps (2)-(4)", ("s",), about="""
        q = [s ; g], session and category vector side by side, and log p of the categories.
        s [R, D], oracle [R] -> q [R, D + d_p], logp [R, C+1]. g as in hiersrec.projection, by
        hier; "none": q is s. tasks "item": q is s, and there is no logp. Params: category (w,
        b) and those of hiersrec.projection."""),
    "hiersrec.item_logits": Component("HierSRec step (4)", ("q",), about="""
        Logits of all items 1..N.  q [R, D'] -> logits [R, N].
        item_out "fc": q w + b of params item. "tied": (q query) . (features of the item times
        value) + b_i, features as in hiersrec.item_features."""),
    "hiersrec.candidates_topk": Component("HierSRec step (6)", about="""
        The k most probable categories; ties go to the lower id, a k above C takes all.
        logp [B, C] -> chosen [B, C] bool."""),
    "hiersrec.candidates_mass": Component("HierSRec step (6)", about="""
        Categories by falling probability until these sum to at least tau.
        logp [B, C] -> chosen [B, C] bool, at least one."""),
    "hiersrec.candidates_budget": Component("HierSRec step (6)", about="""
        Categories by falling probability until they hold at least ceil(rho N) items.
        logp [B, C]; category [N+1] 0..C-1 of items 1..N, entry 0 ignored -> chosen [B, C] bool,
        at least one."""),
    "hiersrec.candidate_items": Component("HierSRec step (6)", about="""
        Items of any chosen category.  chosen [B, C] bool, category [N+1] -> allowed [B, N]
        bool.
        Column i - 1 is item i."""),
    "hiersrec.score": Component("HierSRec step (4)", about="""
        Logits of candidates after the last click.  candidate [B, n] -> scores [B, n].
        item [B, T], category, texts, oracle [B]; config and params as hiersrec."""),
    "hiersrec": Component("HierSRec steps (1)-(5)", kind="model", about="""
        The loss of a batch: cross entropy of the next item and of its category.  -> loss [].
        The second counts category_weight. item, next [B, T], 0 = padding on the right, or
        nothing follows; category [N+1], 0 = unknown, a class like others; texts [N+1, M]; known
        [N] bool: items in the softmax; softmax "all": known is not read. tasks "item": no category
        head, q is s. inputs: what is read of an item, joined by +. pool "mean", item_out "tied",
        hier "logits", "tied", "stop", "oracle" (the true category of next) and "none" are as in the
        components; blocks of the encoder that often. Taps, NaN at padding:
        weights [B, heads, T, T], states [B, T, D]."""),
}
