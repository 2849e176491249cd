"""Cases of HMAR's components, and the same by hand, row by row."""
import autograd.numpy as np

from mbref.by_hand import hmar as by_hand
from mbref.check.functions.hmar import config_of
from mbref.check.recipes.draw import B, D, T, dense, ids, moved, normal, real_left
from mbref.check.recipes.shared import EMPTY, FULL, MIXED, recipes
from mbref.data.sequences import window_counts
from mbref.papers import hmar

ITEMS, K = 9, 3


# By hand.

def behaviour_mask_by_hand(params, inputs):
    def one(behaviour):
        events = range(len(behaviour))
        return [[s <= t and behaviour[s] == behaviour[t] > 0 for s in events] for t in events]
    return {"mask": np.array([one(row) for row in inputs["behaviour"]])}


def code_by_hand(params, inputs):
    config = hmar.Config(items=1, behaviours=K)
    return {"code": np.array([[by_hand.code(params, v, c, config) for v, c in zip(*row, strict=True)]
                              for row in zip(inputs["item_code"], inputs["counts"], strict=True)])}


def model_by_hand(params, inputs):
    """The mean over all events from the one-sequence form; hmar.loss of by_hand is the sum over one sequence."""
    config, rank, classes, ranked = config_of(hmar.Config, inputs, dropout=0.0), 0.0, 0.0, 0
    for b, row in enumerate(inputs["item"]):
        at = np.flatnonzero(row)
        z = by_hand.forward(params, row[at], inputs["behaviour"][b][at], inputs["counts"][b][at], config)
        for state, t in zip(z, at, strict=True):
            one = followed(inputs, b, t, config)
            q = by_hand.candidate_code(params, one[0], one[2], config)
            classes = classes - np.log(by_hand.class_probabilities(params, state, q)[one[1] - 1])
            if {"all": True, "new": sum(one[2]) == 0, "target": one[1] == config.target}[config.positives]:
                rank, ranked = rank + ranking_term(params, state, *one, config), ranked + 1
    return {"loss": rank / max(ranked, 1) + config.theta * classes / (inputs["item"] > 0).sum()}


def followed(inputs, b, t, config):
    """The event after t: its item, behaviour and counts, a negative and that one's counts."""
    counts = inputs["next_counts"][b, t]
    return (inputs["next_item"][b, t], inputs["next_behaviour"][b, t], counts, inputs["negative"][b, t],
            inputs["negative_counts"][b, t] if config.candidate_counts == "own" else counts)


def ranking_term(params, z, item, behaviour, c, negative, c_negative, config):
    """by_hand's term; where no negative could be drawn (0), the positive's part alone."""
    if negative:
        return by_hand.ranking_term(params, z, item, behaviour, c, negative, c_negative, config)
    yes = 1 / (1 + np.exp(-by_hand.score(params, z, item, c, config)))
    return -config.weights[behaviour - 1] * np.log(yes)


BY_HAND = {"hmar.behaviour_mask": behaviour_mask_by_hand, "hmar.code": code_by_hand, "hmar": model_by_hand}


# Cases.

def behaviour_case(rng, draw):
    return {}, {"behaviour": ids(rng, real_left(draw["lengths"]), draw["kinds"])}


def code_case(rng, draw):
    params = {"indicator": dense(rng, K, D), "feature": dense(rng, 2 * D, D)}
    counts = rng.integers(0, draw["most"] + 1, (B, T, K)).astype(float)
    return params, {"item_code": normal(rng, B, T, D), "counts": counts}


def model_case(rng, draw):
    """Histories of one user each; the events after them, with counts before they came; negatives of other items."""
    config = config_of(hmar.Config, draw["config"])
    real = real_left([n + 1 for n in draw["lengths"]], T + 1)  # the event that only is predicted included
    real &= np.array(draw["lengths"])[:, None] > 0
    item, behaviour = ids(rng, real, draw["items"]), ids(rng, real, draw["kinds"])
    item, behaviour, follow = (item[:, :-1], behaviour[:, :-1], (item[:, 1:], behaviour[:, 1:]))
    follow = tuple(a * (item > 0) for a in follow)
    negative = (follow[0] % ITEMS + 1) * (item > 0) * (rng.random(item.shape) >= draw.get("without", 0))
    count = lambda which: window_counts(which, item, behaviour, K).astype(float) * (which > 0)[..., None]
    inputs = {"item": item, "behaviour": behaviour, "counts": count(item), "next_item": follow[0],
              "next_behaviour": follow[1], "next_counts": count(follow[0]), "negative": negative,
              "negative_counts": count(negative)}
    return moved(rng, hmar.init(rng, config), 0.15), inputs


MODEL = {"items": ITEMS, "behaviours": K, "width": D, "length": T, "heads": 2, "theta": 0.1,
         "weights": [0.5, 0.3, 0.2], "rate": 0.01}


def model_row(name, flags, lengths, draw=(), **config):
    config = MODEL | config
    return name, flags, {"lengths": lengths, "items": ITEMS, "kinds": K, "config": config} | dict(draw), config


RECIPES = {
    "hmar.behaviour_mask": recipes(
        behaviour_case, ("basic", ("Basic",), {"lengths": FULL, "kinds": K}, {}),
        ("empty_history", ("EmptyHistory", "Padding"), {"lengths": EMPTY, "kinds": K}, {}),
        ("one_behaviour", ("OneBehaviour", "Padding"), {"lengths": MIXED, "kinds": 1}, {})),
    "hmar.code": recipes(
        code_case, ("basic", ("Basic",), {"most": 3}, {}), ("no_counts", ("EmptyHistory",), {"most": 0}, {}),
        ("many", ("RepeatedItem",), {"most": 100}, {})),
    "hmar": recipes(
        model_case, model_row("basic", ("Basic", "Heads"), FULL),
        model_row("empty_history", ("EmptyHistory", "Padding"), EMPTY),
        model_row("one_behaviour", ("OneBehaviour", "RepeatedItem"), MIXED, {"kinds": 1, "items": 3}),
        model_row("new_only", ("Switch", "NoNegative"), MIXED, {"without": 0.3, "items": 4}, positives="new",
                  candidate_counts="target")),
}
