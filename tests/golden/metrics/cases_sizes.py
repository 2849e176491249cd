"""More cases of the metrics, of more users, candidates and positives than others have.  {component: plans}."""
from itertools import product

import numpy as np

from mbref.metrics import MISS
from tests.golden.draw import normal, plan

USERS, CANDIDATES = 35, 80


def scores_of(rng, levels, shape=(USERS, CANDIDATES)):
    return rng.integers(0, levels, shape).astype(float)


def place_case(rng, draw):
    """Many users; some targets are no candidates."""
    allowed = rng.random((USERS, CANDIDATES)) < 0.8
    return {}, {"scores": scores_of(rng, draw["levels"]), "target": rng.integers(0, CANDIDATES, USERS),
                "allowed": allowed}


def lists_case(rng, draw):
    """Many users; the first, a middle and the last one have no positives, others no other candidates."""
    shape = USERS, draw["candidates"]
    positive = rng.random(shape) < 0.4
    positive[[0, 16, -1]], positive[[1, 15, -2]] = False, True
    found = {"scores": normal(rng, *shape) if not draw.get("levels") else scores_of(rng, draw["levels"], shape),
             "positive": positive, "allowed": rng.random(shape) < draw.get("share", 1.0)}
    return {}, found if draw.get("mask", True) else {name: found[name] for name in ("scores", "positive")}


def last_case(rng, draw):
    """Two users of 80 candidates without ties, of whose positives some rank beyond 64, some are among the last."""
    scores = np.array([rng.permutation(CANDIDATES) for _ in range(2)]) * 1.0
    positive = np.zeros(scores.shape, bool)
    positive[0, np.argsort(scores[0])[[3, 9, 14, 15, 40, 79]]] = True
    positive[1, 9:] = True
    return {}, {"scores": scores, "positive": positive, "allowed": np.ones(scores.shape, bool)}


def byte_case(rng, draw):
    """A user of 300 candidates, each of another score, of whom 200 are positive."""
    scores, positive = rng.permutation(300)[None] * 1.0, (rng.permutation(300) < 200)[None]
    allowed = {"allowed": np.ones((1, 300), bool)}
    if draw.get("target"):
        return {}, {"scores": scores // draw.get("tied", 1), "target": np.argsort(scores[0])[[4]]} | allowed
    return {}, {"scores": scores, "positive": positive} | allowed


def places_case(rng, draw):
    """Places and ties about all powers of two up to 128, and misses between them."""
    edges = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128]
    pairs = np.array([*product(edges, (0, 1, 20, 70)), (MISS, 0), *product((3, 70), (5,)), (MISS, 0)])
    return {}, {"g": pairs[:, 0], "e": pairs[:, 1]}


def values_case(rng, draw):
    return {}, {"values": normal(rng, 66)}


def pairs_case(rng, draw):
    b = normal(rng, 70)
    return {}, {"a": (b + 0.25 + 0.5 * normal(rng, 70)).astype(np.float32), "b": b,
                "picks": rng.integers(0, 70, (9, 70))}


MANY = "many_rows", ("ManyRows", "ManyItems")
PLACES = [(f"edges_{ties}", ("ManyRows", "Ties", *more), {}, {"k": 100, "ties": ties}) for ties, more in (
    ("expected", ()), ("pessimistic", ("Switch",)))]
FEW = {"candidates": 5}
BYTE = "above_255", ("ManyItems", "OneUser")
MORE = {
    "metrics.greater_and_ties": plan(place_case, (*MANY, {"levels": 30}, {})) + plan(
        byte_case, (*BYTE, {"target": True}, {}), ("tied_255", ("ManyItems", "OneUser", "Ties"), {
            "target": True, "tied": 290}, {})),
    **{f"metrics.{name}": plan(places_case, *PLACES) for name in ("hit_rate", "mrr", "ndcg")},
    **{f"metrics.{name}": plan(lists_case, ("many_rows", ("ManyRows", "Undefined", "Ties"), FEW | {"levels": 3},
                                            {"k": 2}),
                               ("many_masked", ("ManyRows", "Undefined", "Masked"), FEW | {"share": 0.6}, {"k": 3})) + plan(
        last_case, ("beyond_64", ("ManyItems", "Cutoff"), {}, {"k": 66})) + plan(byte_case, (*BYTE, {}, {"k": 290})) + plan(last_case, ("beyond_16", ("ManyItems", "Cutoff"), {}, {"k": 20}))
       for name in ("recall_many", "ndcg_many")},
    "metrics.auc": plan(lists_case, *(
        (name, ("ManyRows", "ManyItems", "Undefined", *more), {"candidates": count, "levels": 20, "share": 0.8},
         {"ties": ties}) for name, more, ties, count in (
             ("many_rows", (), "half", 80), ("many_strict", ("Switch",), "strict", 9)))) + plan(byte_case, (*BYTE, {}, {"ties": "half"})),
    "metrics.macro_auc": plan(lists_case, ("many_rows", ("ManyRows", "Undefined"), FEW | {"mask": False}, {})),
    "metrics.mean_and_spread": plan(values_case, ("many_values", ("ManyRows",), {}, {})),
    "metrics.paired_bootstrap": plan(pairs_case, ("many_cases", ("ManyRows",), {}, {})),
}
