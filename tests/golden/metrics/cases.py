"""Cases of the metrics, and the same by hand: every order of tied candidates, and loops over pairs.
"""
from itertools import permutations, product

import numpy as np

from mbref.metrics import MISS
from tests.golden.draw import B, Component, normal, plan

C = 6


# By hand.

def greater_and_ties(params, inputs):
    found = []
    for scores, target, allowed in zip(
        inputs["scores"], inputs["target"], inputs["allowed"], strict=True):
        others = [s for c, s in enumerate(scores) if allowed[c] and c != target]
        place = sum(s > scores[target] for s in others), sum(s == scores[target] for s in others)
        found.append(place if allowed[target] else (MISS, 0))
    g, e = np.array(found).T
    return {"g": g, "e": e}


def over_ranks(worth, inputs):
    """Mean of worth(rank) over the ranks that are granted, 0 beyond k.  -> [B]."""
    def one(g, e):
        ranks = [g + 1 + e] if inputs["ties"] == "pessimistic" else range(g + 1, g + e + 2)
        return sum(worth(rank) if rank <= inputs["k"] else 0.0 for rank in ranks) / len(ranks)
    return np.array([one(int(g), int(e)) for g, e in zip(inputs["g"], inputs["e"], strict=True)])


def orders(scores, allowed):
    """All rankings of the allowed candidates by falling score: those of one score in every order."""
    candidates = np.flatnonzero(allowed)
    levels = sorted({scores[c] for c in candidates}, reverse=True)
    tied = [permutations([c for c in candidates if scores[c] == level]) for level in levels]
    return [sum(parts, ()) for parts in product(*tied)]


def over_orders(worth, inputs):
    """Mean over all rankings of what the positives among the first k are worth, over the best there
    could be."""
    def one(scores, positive, allowed):
        found = [sum(worth(rank) for rank, c in enumerate(order[: inputs["k"]], 1) if positive[c])
                 for order in orders(scores, allowed)]
        return sum(found) / len(found)
    names = ("scores", "positive", "allowed")
    return np.array([one(*row) for row in zip(*(inputs[name] for name in names), strict=True)])


def discount(rank):
    return 1 / np.log2(rank + 1)


def recall_many(params, inputs):
    return {"recall": ratio(over_orders(lambda rank: 1.0, inputs), inputs["positive"].sum(axis=1))}


def ratio(parts, wholes):
    """Of a user without positives there is none."""
    return np.array([a / b if b else np.nan for a, b in zip(parts, wholes, strict=True)])


def ndcg_many(params, inputs):
    ideal = [sum(discount(rank) for rank in range(1, min(inputs["k"], n) + 1))
             for n in inputs["positive"].sum(axis=1)]
    return {"ndcg": ratio(over_orders(discount, inputs), ideal)}


def auc_of(scores, positive, allowed, tie):
    """Pair by pair, or nan without pairs."""
    pairs = [(i, j) for i in np.flatnonzero(positive & allowed)
             for j in np.flatnonzero(~positive & allowed)]
    won = [1.0 if scores[i] > scores[j] else tie if scores[i] == scores[j] else 0.0
           for i, j in pairs]
    return sum(won) / len(won) if won else np.nan


def auc(params, inputs):
    tie = {"half": 0.5, "strict": 0.0}[inputs["ties"]]
    names = ("scores", "positive", "allowed")
    return {"auc": np.array(
        [auc_of(*row, tie) for row in zip(*(inputs[n] for n in names), strict=True)])}


def macro_auc(params, inputs):
    values = [auc_of(s, p, np.ones(len(s), bool), 0.5)
              for s, p in zip(*inputs.values(), strict=True)]
    defined = [v for v in values if v == v]
    return {"mean": np.array(sum(defined) / len(defined) if defined else np.nan),
            "skipped": np.array(len(values) - len(defined))}


BY_HAND = {
    "metrics.greater_and_ties": greater_and_ties,
    "metrics.hit_rate": lambda params, inputs: {"hit_rate": over_ranks(lambda rank: 1.0, inputs)},
    "metrics.mrr": lambda params, inputs: {"mrr": over_ranks(lambda rank: 1 / rank, inputs)},
    "metrics.ndcg": lambda params, inputs: {"ndcg": over_ranks(discount, inputs)},
    "metrics.recall_many": recall_many, "metrics.ndcg_many": ndcg_many, "metrics.auc": auc,
    "metrics.macro_auc": macro_auc,
}


# Cases.

def draw_scores(rng, draw):
    """Scores of few levels, so that there are ties, or of normal numbers, which have none."""
    return rng.integers(0, draw["levels"],
                        (B, C)).astype(float) if "levels" in draw else normal(rng, B, C)


def allowed_of(rng, draw):
    """All are candidates, or some: at least three a row."""
    allowed = rng.random((B, C)) >= draw.get("without", 0)
    allowed[:, :3] = True
    return allowed


def place_case(rng, draw):
    target = rng.integers(0, C, B) if "without" not in draw else np.array([5, 0, 4])
    allowed = allowed_of(rng, draw)
    if "without" in draw:
        allowed[0, 5] = False   # a target that is no candidate
    return {}, {"scores": draw_scores(rng, draw), "target": target, "allowed": allowed}


def places_case(rng, draw):
    """Every place among the first few, with every number of ties."""
    g, e = np.meshgrid(np.arange(draw["most"] + 1), np.arange(draw["ties"] + 1), indexing="ij")
    miss = [[MISS, 0]] if draw.get("miss") else []
    found = np.array([*np.stack([g.ravel(), e.ravel()], axis=1).tolist(), *miss])
    return {}, {"g": found[:, 0], "e": found[:, 1]}


def positives_case(rng, draw):
    """At least one positive and one other candidate a row."""
    positive = rng.random((B, C)) < 0.4
    positive[:, 0], positive[:, 1] = True, False
    return {}, {"scores": draw_scores(rng, draw), "positive": positive,
                "allowed": allowed_of(rng, draw)}


def users_case(rng, draw):
    _, inputs = positives_case(rng, draw)
    inputs["positive"][0] = draw["first"]
    return {}, {name: inputs[name] for name in ("scores", "positive")}


def of_places(k=3, beyond=40):
    """Cases of a metric of one target."""
    draw, expected = {"most": 4, "ties": 0}, {"k": k, "ties": "expected"}
    return plan(places_case, ("basic", ("Basic",), draw, expected),
                   ("ties", ("Ties",), draw | {"ties": 4}, expected),
                   ("masked", ("Masked",), draw | {"miss": True}, expected),
                   ("cutoff", ("Cutoff", "Ties"), draw | {"ties": 2, "miss": True},
                    expected | {"k": beyond}),
                   ("pessimistic", ("Ties", "Switch"), draw | {"ties": 4},
                    expected | {"ties": "pessimistic"}))


def of_lists():
    """Cases of a metric of several targets."""
    return plan(positives_case, ("basic", ("Basic",), {}, {"k": 3}), ("ties", ("Ties",), {
        "levels": 3}, {"k": 2}), ("constant", ("Ties",), {"levels": 1}, {"k": 2}),
                ("masked", ("Masked", "Ties"), {"levels": 3, "without": 0.5}, {"k": 3}),
                ("cutoff", ("Cutoff", "Masked"), {"without": 0.5}, {"k": 10}))


HALF = {"ties": "half"}
PLANS = {
    "metrics.greater_and_ties": plan(
        place_case, ("basic", ("Basic",), {}, {}), ("ties", ("Ties",), {"levels": 3}, {}),
        ("masked", ("Masked", "Ties"), {"levels": 2, "without": 0.5}, {}),
        ("masked_others", ("Masked",), {"without": 1.0}, {})),
    "metrics.hit_rate": of_places(), "metrics.mrr": of_places(), "metrics.ndcg": of_places(),
    "metrics.recall_many": of_lists(), "metrics.ndcg_many": of_lists(),
    "metrics.auc": plan(
        positives_case, ("basic", ("Basic",), {}, HALF), ("ties", ("Ties",), {"levels": 3}, HALF),
        ("strict", ("Ties", "Switch"), {"levels": 3}, {"ties": "strict"}),
        ("masked", ("Masked",), {"without": 0.5}, HALF)),
    "metrics.macro_auc": plan(
        users_case, ("basic", ("Basic",), {"first": [True, False] * 3}, {}),
        ("no_positive", ("Undefined",), {"first": False, "levels": 4}, {}),
        ("no_negative", ("Undefined", "Ties"), {"first": True, "levels": 3}, {})),
}

COMPONENTS = {
    "metrics.greater_and_ties": Component("rank with ties", about="""
        Place of each target. A target that is not allowed is a miss: g = 2**62, e = 0.
        scores [B, C], target [B] columns, allowed [B, C] bool: who is a candidate -> g, e [B]."""),
    "metrics.hit_rate": Component("McSherry & Najork 2008", kind="metric", about="""
        [rank <= k], expected over ties: ranks 1 + g .. 1 + g + e are equally likely.
        g, e [B] -> hit_rate [B]. ties "pessimistic": the worst of these ranks."""),
    "metrics.mrr": Component("McSherry & Najork 2008", kind="metric", about="""
        [rank <= k] / rank, as in metrics.hit_rate.  g, e [B] -> mrr [B]."""),
    "metrics.ndcg": Component("McSherry & Najork 2008", kind="metric", about="""
        [rank <= k] / log2(rank + 1), as in metrics.hit_rate.  g, e [B] -> ndcg [B]."""),
    "metrics.recall_many": Component("McSherry & Najork 2008", kind="metric", about="""
        Hits among the k best over |positives|.  scores, positive, allowed [B, C] -> recall [B]."""),
    "metrics.ndcg_many": Component("McSherry & Najork 2008", kind="metric", about="""
        DCG@k over that of min(k, |positives|) positives, then others. As recall_many -> ndcg
        [B]."""),
    "metrics.auc": Component("DMRAN eq. 23", kind="metric", about="""
        Share of (positive, negative) pairs in the right order; a tie is 1/2, with ties "strict"
        0.
        scores [B, C], positive, allowed [B, C] bool -> auc [B]."""),
    "metrics.macro_auc": Component("DMRAN eq. 23", kind="metric", about="""
        Mean AUC, and how many users have none.  scores, positive [B, C] -> mean [], skipped []."""),
}
