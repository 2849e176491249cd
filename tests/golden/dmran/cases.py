"""Cases of DMRAN's components."""
import numpy as np

from mbref.check.components.reading import config_of
from mbref.variants import dmran
from mbref.variants.atrank import init_block
from tests.golden.atrank.cases import candidates, history
from tests.golden.draw import (
    EMPTY,
    FULL,
    MIXED,
    ONE,
    B,
    Component,
    D,
    T,
    moved,
    normal,
    plan,
    real_right,
    round8,
)

ITEMS, CATEGORIES, HOPS, C = 9, 4, 4, 2


def params_of(rng, draw, scale):
    return moved(rng, dmran.init(rng, config_of(dmran.Config, draw["config"])), scale)


def history_code_case(rng, draw):
    p = params_of(rng, draw, 0.4)
    params = {name: p[name] for name in ("V", "T", "W_0") if name in p}
    return params, without_category(draw, history(rng, draw))


def without_category(draw, inputs):
    """Categories are an input only where the config has some."""
    if draw["config"].get("categories"):
        return inputs
    return {k: a for k, a in inputs.items() if k != "category"}


def square(rng, *names, rows=D):
    return {name: normal(rng, rows, D, scale=0.5) for name in names}


def item_attention_case(rng, draw):
    params = square(rng, "W_s1") | square(rng, "W_s2", rows=draw["hops"])
    real = real_right(draw["lengths"], draw.get("events", T))
    return params, {"H": round8(draw["spread"] * normal(rng, *real.shape, D)), "real": real}


def redundancy_case(rng, draw):
    """Rows that sum to 1 up to rounding; "single": an event of its own for each hop, penalty 0."""
    if draw.get("single"):
        return {}, {"A": np.broadcast_to(np.eye(draw["hops"], T), (B, draw["hops"], T))}
    A = np.exp(rng.normal(0, 2, (B, draw["hops"], T))) * real_right(draw["lengths"])[:, None]
    total = A.sum(axis=2, keepdims=True)
    return {}, {"A": round8(A / (total + (total == 0)))}


def pairs_case(rng, draw):
    """M and which rows may look at which."""
    r = draw["hops"]
    allowed = ~np.eye(r, dtype=bool) if draw.get("others") else np.ones((r, r), bool)
    allowed = allowed & real_right(draw.get("rows", (r,) * B), r)[:, None]  # [B, r, r]
    params = square(rng, "W_s3", "W_s4", "W_s5") | {"b_s1": normal(rng, D), "b_s2": normal(rng, D)}
    if draw.get("robust"):
        block = moved(rng, init_block(rng, D), 0.3)
        params["after"] = {name: block[name] for name in ("f1", "f2", "ln", "ln_f")}
    return params, {"M": round8(draw.get("spread", 1) * normal(rng, B, r, D)), "allowed": allowed}


def vanilla_case(rng, draw):
    params = {"van": moved(rng, init_block(rng, D), 0.3)} if draw.get("robust") else {}
    M = round8(draw.get("spread", 1) * normal(rng, B, HOPS, D))
    real = real_right(draw["rows"], HOPS)
    return params, {"M": M, "i_c": normal(rng, B, C, D), "real": real}


def fusion_case(rng, draw):
    params = square(rng, "W_f1", "W_f2") | {"b_f": normal(rng, D)}
    h, h_hat = (round8(draw["spread"] * normal(rng, B, draw["candidates"], D)) for _ in range(2))
    return params, {"h": h, "h_hat": h_hat}


def score_case(rng, draw):
    params, inputs = params_of(rng, draw, 0.3), without_category(draw, history(rng, draw))
    return params, inputs | {"candidate": candidates(rng, draw, 4)}


def model_case(rng, draw):
    """A positive and a negative a row, where one could be drawn."""
    inputs, candidate = without_category(draw, history(rng, draw)), candidates(rng, draw, C)
    if "without" in draw:
        candidate[:, 1] *= rng.random(len(candidate)) >= draw["without"]
    label = np.broadcast_to([True, False], candidate.shape)
    return params_of(rng, draw, 0.3), inputs | {"candidate": candidate, "label": label}


MODEL = {"items": ITEMS, "width": D, "hops": HOPS, "heads": 2, "redundancy": 0.1, "penalty": 0.01}


def row(name, flags, lengths, draw=(), **config):
    """A case with the whole model's config."""
    config = MODEL | config
    return name, flags, {"lengths": lengths, "config": config} | dict(draw), config


ATTEND = {"lengths": MIXED, "hops": HOPS, "spread": 1}
FEW = ATTEND | {"lengths": (2, 0, 1)}
OTHERS = {"hops": 3, "others": True}
OF_NOTHING = "rows_of_nothing", ("EmptyHistory", "Padding")
PLANS = {
    "dmran.history_code": plan(
        history_code_case, row("basic", ("Basic", "Padding"), MIXED),
        row("long_gap", ("LongGap",), FULL, {"years": 15}),
        row("unknown_category", ("UnknownCategory", "EmptyHistory"), EMPTY, {"unknown": 0.6},
            categories=CATEGORIES),
        row("without_time", ("Switch", "RepeatedItem"), MIXED, {"items": 2}, time=False),
        side="paper"),
    "dmran.item_attention": plan(
        item_attention_case, ("basic", ("Basic", "Padding"), ATTEND, {}),
        ("few_events", ("FewEvents", "EmptyHistory"), FEW, {}),
        ("one_hop", ("OneHop",), ATTEND | {"hops": 1}, {}),
        ("large", ("LargeValues",), ATTEND | {"spread": 64}, {}), side="paper"),
    "dmran.redundancy": plan(
        redundancy_case, ("basic", ("Basic",), ATTEND, {}),
        ("one_hop", ("OneHop",), ATTEND | {"hops": 1}, {}),
        ("own_events", ("SingleEvent",), {"single": True, "hops": HOPS}, {}),
        ("few_events", ("FewEvents", "EmptyHistory"), FEW, {}), side="paper"),
    "dmran.alignment": plan(
        pairs_case, ("basic", ("Basic",), {"hops": HOPS}, {}),
        ("others", ("NoDiagonal",), OTHERS, {}),
        ("one_hop", ("OneHop",), {"hops": 1}, {}),
        (*OF_NOTHING, {"hops": HOPS, "rows": (HOPS, 0, 2)}, {}), side="paper"),
    "dmran.feature_attention": plan(
        pairs_case, ("basic", ("Basic",), {"hops": HOPS}, {}),
        ("others", ("NoDiagonal",), OTHERS, {}),
        ("one_alone", ("OneHop", "NoDiagonal"), {"hops": 1, "others": True}, {}),
        ("robust", ("Switch", "NoDiagonal"), OTHERS | {"robust": True}, {"robust": True}),
        (*OF_NOTHING, {"hops": HOPS, "rows": (HOPS, 0, 2)}, {}), side="paper"),
    "dmran.vanilla": plan(
        vanilla_case, ("basic", ("Basic",), {"rows": (HOPS,) * B}, {"pool": "attention"}),
        (*OF_NOTHING, {"rows": (HOPS, 0, 2)}, {"pool": "attention"}),
        ("large", ("LargeValues",), {"rows": (HOPS, 1, 3), "spread": 300}, {"pool": "attention"}),
        ("mean", ("Switch", "Padding"), {"rows": (HOPS, 1, 2)}, {"pool": "mean"}),
        ("robust", ("Switch", "Heads", "EmptyHistory"), {"rows": (HOPS, 0, 2), "robust": True},
         {"robust": True, "heads": 2}), side="paper"),
    "dmran.fusion": plan(
        fusion_case, ("basic", ("Basic",), {"spread": 1, "candidates": C}, {}),
        ("large", ("LargeValues",), {"spread": 60, "candidates": C}, {}),
        ("one_candidate", ("SingleEvent",), {"spread": 2, "candidates": 1}, {}), side="paper"),
    "dmran.score": plan(
        score_case, row("basic", ("Basic", "Padding"), MIXED),
        row("empty_history", ("EmptyHistory", "FewEvents"), EMPTY),
        row("others", ("NoDiagonal", "Switch"), FULL, diagonal=False, item_bias=True),
        row("single_event", ("SingleEvent", "FewEvents"), ONE),
        row("item", ("Switch", "EmptyHistory"), EMPTY, variant="item", pool="mean"), side="paper"),
    "dmran": plan(
        model_case, row("basic", ("Basic", "Padding"), MIXED, rate=0.05),
        row("empty_history", ("EmptyHistory", "FewEvents"), EMPTY, rate=0.05),
        row("unknown_category", ("UnknownCategory", "RepeatedItem", "LongGap"), FULL,
            {"unknown": 0.6, "items": 3, "years": 15}, categories=CATEGORIES, rate=0.05),
        row("feature", ("Switch", "Padding"), MIXED, variant="feature", rate=0.05),
        row("robust", ("Switch", "Heads"), MIXED, robust=True, heads=4, width=4, rate=0.02),
        row("unfused", ("Switch", "EmptyHistory"), EMPTY, fuse=False, weight_decay=0.01,
            item_bias=True, time=False, rate=0.05), side="paper"),
}

COMPONENTS = {
    "dmran.history_code": Component("DMRAN eq. 1, 2", about="""
        H = [V[item] ; T[bucket of the gap]] W_0 + b_0.
        item, gap [B, T]; category [items+1] if categories > 0: then V is [V_0[item] ;
        V_1[category]]; params: V (a list of tables), T [14, d], W_0 (w, b) -> H [B, T, d], 0 at
        padding."""),
    "dmran.item_attention": Component("DMRAN eq. 3-7", ("H",), about="""
        A = softmax(relu(H W_s1^T) W_s2^T)^T over the events, one row a hop.
        H [B, T, d], real [B, T] bool; params: W_s1 [d, d], W_s2 [r, d] -> A [B, r, T], 0 at
        padding and for an empty history."""),
    "dmran.redundancy": Component("DMRAN eq. 22", ("A",), about="""
        ||A A^T - I||_F^2 of every sample.  A [B, r, T] -> penalty [B]."""),
    "dmran.alignment": Component("DMRAN eq. 9-11", ("M",), about="""
        beta_ij: softmax over j, by feature, of W_s5 tanh(W_s4 m_i + W_s3 m_j + b_s2) + b_s1.
        M [B, r, d]; allowed [B, r, r] bool, rows are i, a row without any gives 0; params:
        W_s3, W_s4, W_s5 [d, d], b_s1, b_s2 [d] -> beta [B, i, j, d]."""),
    "dmran.feature_attention": Component("DMRAN eq. 12, 13", ("M",), about="""
        M^_i = sum_j beta_ij * M_j, feature by feature.  M [B, r, d], allowed [B, r, r]; params
        as dmran.alignment -> M_hat [B, r, d]. Tap: beta [B, i, j, d].
        robust: y = ln(M^ + M), then ln_f(f2(relu(f1(y))) + y) of params after; eps 1e-8."""),
    "dmran.vanilla": Component("DMRAN eq. 14, 15", ("M", "i_c"), about="""
        f_vanilla: softmax(M i_c / sqrt(d)) over the real rows, times M.  M [B, r, d], i_c [B,
        C, d], real [B, r] bool -> h [B, C, d], 0 without real rows. pool "mean": the mean of
        the real rows. robust: atrank.attention_block with params van, scores "dot" and `heads`,
        of query i_c and memory M."""),
    "dmran.fusion": Component("DMRAN eq. 16", ("h", "h_hat"), about="""
        h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  All are [B, C, d]."""),
    "dmran.score": Component("DMRAN eq. 17", about="""
        Scores of candidates, as dmran.  item, gap [B, T], candidate [B, C] -> scores [B, C]."""),
    "dmran": Component("DMRAN eq. 1-22", kind="model", about="""
        The loss of a batch: cross entropy of positives and negatives, and penalties.  -> loss
        [].
        item, gap [B, T], 0 = padding on the right; category [items+1] if categories > 0;
        candidate [B, C], 0 = none; label [B, C] bool. redundancy weighs eq. 22, a mean over rows; penalty
        and weight_decay: half of each times the squares of h_c and i_c of all candidates, and of
        all parameters. variant "item": no feature level, h_c = h; "feature": H for M, no hops,
        padding masked. time False: eq. 1 without T. bucket "release": as in atrank.time_bucket.
        diagonal False: eq. 10 leaves out j = i. fuse False: h_c = h^. item_bias True: eq. 17 adds
        b. pool "mean" and robust True: as in the components, with params van of M and van_hat of
        M^. Taps: hops [B, r,
        T], M [B, r, d], beta [B, r, r, d], M_hat [B, r, d], vanilla_hat and vanilla [B, 1, C,
        r]; without hops (variant "feature") none, since padding takes part in them."""),
}
