"""More cases of the metrics: users that have none, more candidates.  {component: plans}."""
import numpy as np

from tests.golden.draw import normal, plan
from tests.golden.metrics.cases import HALF, positives_case


def some_without(rng, draw):
    """A user without positives, one without other candidates, and one with both."""
    params, inputs = positives_case(rng, draw)
    inputs["positive"][0], inputs["positive"][1] = False, True
    return params, inputs


def nobody(rng, draw):
    """No user has positives and others."""
    scores = normal(rng, 3, 6)
    return {}, {"scores": scores, "positive": np.zeros(scores.shape, bool)}


def many_case(rng, draw):
    """Few levels among many candidates, of which some are not allowed."""
    scores = rng.integers(0, 9, (2, 80)).astype(float)
    return {}, {"scores": scores, "target": rng.integers(0, 80, 2), "allowed": rng.random((2, 80)) < 0.8}


def many_positives(rng, draw):
    """Few levels among many candidates, of which half are positive; `allowed` of them are ranked."""
    scores, allowed = rng.integers(0, 9, (2, 80)).astype(float), rng.random((2, 80)).argsort(axis=1) < draw["allowed"]
    allowed[:, 79] = True
    return {}, {"scores": scores, "positive": rng.random((2, 80)) < 0.5, "allowed": allowed}


def near_case(rng, draw):
    """Scores near 1, or around another middle, that differ by a few steps."""
    scores = draw.get("middle", 1) + rng.integers(0, 6, (3, 6)) * draw["step"]
    return {}, {"scores": scores, "target": rng.integers(0, 6, 3), "allowed": np.ones((3, 6), bool)}


def saturated_case(rng, draw):
    """Scores around 40, of which a sigmoid is 1, that differ by a few steps."""
    params, inputs = positives_case(rng, draw)
    return params, inputs | {"scores": 40 + rng.integers(0, 64, inputs["scores"].shape) * 2.0**-10}


def masked_positives(rng, draw):
    """In every row a positive that is no candidate, beside one that is."""
    params, inputs = positives_case(rng, draw)
    inputs["positive"][:, 2] = True
    inputs["allowed"] = np.arange(inputs["positive"].shape[1]) != np.full((len(inputs["positive"]), 1), 2)
    return params, inputs


def few_values(rng, draw):
    return {}, {"values": normal(rng, draw["size"])}


MANY = "many_items", ("ManyItems", "Ties")
SATURATED = "saturated", ("LargeValues",), {}

MORE = {
    "metrics.greater_and_ties": plan(many_case, ("many_items", ("ManyItems", "Ties"), {}, {})) + plan(
        near_case, ("near", ("Ties",), {"step": 2.0**-20}, {}), ("nearer", ("Ties", "Float64"), {"step": 2.0**-40}, {}),
        ("saturated", ("LargeValues",), {"step": 2.0**-10, "middle": 40}, {})),
    "metrics.recall_many": plan(some_without, ("undefined", ("Undefined",), {}, {"k": 3})) + plan(
        saturated_case, SATURATED + ({"k": 3},)) + plan(
        many_positives, (*MANY, {"allowed": 6}, {"k": 3})),
    "metrics.ndcg_many": plan(some_without, ("undefined", ("Undefined",), {}, {"k": 3})) + plan(
        saturated_case, SATURATED + ({"k": 3},)) + plan(
        many_positives, (*MANY, {"allowed": 6}, {"k": 3})),
    "metrics.auc": plan(some_without, ("undefined", ("Undefined",), {}, HALF),
                        ("undefined_strict", ("Undefined", "Switch"), {"levels": 3}, {"ties": "strict"})) + plan(
        masked_positives, ("masked_positives", ("Masked",), {}, HALF)) + plan(
        saturated_case, SATURATED + (HALF,)) + plan(
        many_positives, (*MANY, {"allowed": 60}, HALF)),
    "metrics.macro_auc": plan(nobody, ("nobody", ("Undefined",), {}, {})),
    "metrics.mean_and_spread": plan(few_values, ("one_value", ("Undefined", "SmallSample"), {"size": 1}, {})),
}
