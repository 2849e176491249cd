"""HMAR's components by hand, row by row of a batch."""
import autograd.numpy as np

from mbref.by_hand import hmar as by_hand
from mbref.check.components.reading import config_of
from mbref.papers import hmar
from tests.golden.shared.by_hand import entropy, of_pairs, rows, spread


def behaviour_mask(params, inputs):
    def one(behaviour):
        events = range(len(behaviour))
        return [[s <= t and behaviour[s] == behaviour[t] > 0 for s in events] for t in events]
    return {"mask": rows(one, inputs["behaviour"])}


def indicator(params, inputs):
    def one(item, behaviour):
        at = np.flatnonzero(item)
        counts = by_hand.running_indicators(item[at], behaviour[at], inputs["count"])
        return spread([np.array(c, float) for c in counts], item > 0, inputs["count"])
    return {"counts": rows(one, inputs["item"], inputs["behaviour"])}


def candidate_counts(params, inputs):
    def one(item, behaviour, candidate):
        return [by_hand.historical_indicator(item, behaviour, wanted, t + 1, inputs["count"]) if wanted else
                [0] * inputs["count"] for t, wanted in enumerate(candidate)]
    return {"counts": rows(one, inputs["item"], inputs["behaviour"], inputs["candidate"]).astype(float)}


def plain(**more):
    """A Config of components that read little of it."""
    return hmar.Config(**{"items": 1, "behaviours": 3, **more})


def code(params, inputs):
    config = config_of(hmar.Config, inputs, items=1, behaviours=3)
    return {"code": of_pairs(lambda v, c: by_hand.code(params, v, c, config), inputs["item_code"], inputs["counts"])}


def input_code(params, inputs):
    length, width = params["position"].shape
    config = plain(width=width, length=length)

    def one(item, counts):
        at = np.flatnonzero(item)
        return spread(by_hand.input_codes(params, item[at], [counts[t] for t in at], config), item > 0, width)
    return {"code": rows(one, inputs["item"], inputs["counts"])}


def candidate_code(params, inputs):
    def one(item, counts):
        if item:
            return by_hand.candidate_code(params, item, counts, plain())
        return by_hand.code(params, 0 * params["item"][0], counts, plain())
    return {"code": of_pairs(one, inputs["candidate"], inputs["counts"])}


def behaviour_encoder(params, inputs):
    width, config = inputs["x"].shape[-1], plain(width=inputs["x"].shape[-1], heads=inputs["heads"])

    def one(x, behaviour):
        at = np.flatnonzero(behaviour)
        found = by_hand.behaviour_encoder(params, [x[t] for t in at], behaviour[at], config)
        return spread(found, behaviour > 0, width)
    return {"y": rows(one, inputs["x"], inputs["behaviour"])}


def sequence_encoder(params, inputs):
    width = inputs["s"].shape[-1]

    def one(s, residual, real):
        at = np.flatnonzero(real)
        found = by_hand.sequence_encoder(params, [s[t] for t in at], [residual[t] for t in at],
                                         plain(width=width, heads=inputs["heads"]))
        return spread(found, real, width)
    return {"z": rows(one, inputs["s"], inputs["residual"], inputs["real"])}


def class_logits(params, inputs):
    def one(q, z):
        return by_hand.dense(params["class2"], by_hand.dense(params["class1"], np.concatenate([q, z])))
    return {"logits": of_pairs(one, inputs["q"], inputs["z"])}


def ranking_loss(params, inputs):
    total, mask = 0.0 * np.sum(inputs["positive"]), inputs["mask"]
    for b, t in np.argwhere(mask):
        total = total + inputs["weight"][b, t] * entropy(inputs["positive"][b, t], True)
        total = total + (entropy(inputs["negative"][b, t], False) if inputs["has_negative"][b, t] else 0)
    return {"loss": total / max(mask.sum(), 1)}


def histories(params, inputs, config):
    """States of every row, a list of vectors each."""
    for b, row in enumerate(inputs["item"]):
        at = np.flatnonzero(row)
        yield at, by_hand.forward(params, row[at], inputs["behaviour"][b][at], inputs["counts"][b][at], config)


def score(params, inputs):
    config = config_of(hmar.Config, inputs, dropout=0.0)
    target = [float(k == config.target) for k in range(1, config.behaviours + 1)]
    scores = []
    for b, (_, z) in enumerate(histories(params, inputs, config)):
        counts = [inputs["history"][b, i] if config.candidate_counts == "own" else target
                  for i in inputs["candidate"][b]]
        scores.append([by_hand.score(params, z[-1], i, c, config) if z else 0.0 * np.sum(params["item"])
                       for i, c in zip(inputs["candidate"][b], counts, strict=True)])
    return {"scores": np.array([np.array(row) for row in scores])}


def model(params, inputs):
    """The mean over all events from the one-sequence form; hmar.loss of by_hand is the sum over one sequence."""
    config, rank, classes, ranked = config_of(hmar.Config, inputs, dropout=0.0), 0.0, 0.0, 0
    for b, (at, z) in enumerate(histories(params, inputs, config)):
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


BY_HAND = {
    "hmar.behaviour_mask": behaviour_mask, "hmar.indicator": indicator, "hmar.candidate_counts": candidate_counts,
    "hmar.code": code, "hmar.input_code": input_code, "hmar.candidate_code": candidate_code,
    "hmar.behaviour_encoder": behaviour_encoder, "hmar.sequence_encoder": sequence_encoder,
    "hmar.class_logits": class_logits, "hmar.ranking_loss": ranking_loss, "hmar.score": score, "hmar": model,
}
