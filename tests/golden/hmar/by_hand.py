"""HMAR's components by hand, row by row of a batch, and the switches of variants/hmar.py by hand."""
import autograd.numpy as np

from mbref.by_hand import hmar as by_hand
from mbref.check.components.reading import config_of
from mbref.variants import hmar
from tests.golden.shared.by_hand import entropy, of_pairs, rows, spread, surprise

# The switches, for one sequence.


def read_counts(counts, config):
    """One item's counts as the model reads them, from whole numbers.  K numbers -> K numbers."""
    counts = counts if config.indicator else [0 * c for c in counts]
    return np.log(1 + np.array(counts)) if config.count_scale == "log1p" else counts


def forward(params, items, behaviours, counts, config):
    """by_hand.forward of counts as they are to be read, perhaps without step (3)."""
    if config.merge == "encoder":
        return by_hand.forward(params, items, behaviours, counts, config)
    z = by_hand.input_code(params, items, counts)
    for block in params["blocks"]:
        z = by_hand.sequence_encoder(block["sequence"], z, z, config.heads)
    return z


def choose_counts(own, config):
    """Counts of a candidate to rank: its own, or as if the target behaviour were all it has met."""
    if config.candidate_counts == "own":
        return own
    return [1.0 if k == config.target else 0.0 for k in range(1, config.behaviours + 1)]


def is_ranked(behaviour, counts, config):
    """Does L_rank compare the next event, of this behaviour and with these counts before it?"""
    if config.positives == "new":
        return sum(counts) == 0
    return config.positives == "all" or behaviour == config.target


def terms(params, z, following, config):
    """What one event adds to L_rank, or None, and what it adds to L_class.

    following: as by_hand.ranking_term takes it, the counts whole numbers.
    """
    item, behaviour, counts, negative, negative_counts = following
    shown = counts if config.candidate_counts == "target" else negative_counts
    counts_read = read_counts(counts, config)
    rank = config.weights[behaviour - 1] * entropy(by_hand.score(params, z, item, counts_read), True)
    if negative:
        rank = rank + entropy(by_hand.score(params, z, negative, read_counts(shown, config)), False)
    q = by_hand.candidate_code(params, item, counts_read)
    logits = by_hand.dense(params["class2"], by_hand.dense(params["class1"], np.concatenate([q, z])))
    chosen = is_ranked(behaviour, counts, config)
    return rank if chosen else None, surprise(list(logits), behaviour - 1)


# The components.


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
    kinds = inputs["count"]

    def one(item, behaviour, candidate):
        return [by_hand.historical_indicator(item, behaviour, wanted, t + 1, kinds) if wanted else [0] * kinds
                for t, wanted in enumerate(candidate)]
    counts = rows(one, inputs["item"], inputs["behaviour"], inputs["candidate"])
    return {"counts": counts.astype(float)}


def code(params, inputs):
    config = config_of(hmar.Config, inputs, items=1, behaviours=3)

    def one(v, c):
        return by_hand.code(params, v, read_counts(c, config))
    return {"code": of_pairs(one, inputs["item_code"], inputs["counts"])}


def input_code(params, inputs):
    width = params["position"].shape[1]

    def one(item, counts):
        at = np.flatnonzero(item)
        found = by_hand.input_code(params, item[at], [counts[t] for t in at])
        return spread(found, item > 0, width)
    return {"code": rows(one, inputs["item"], inputs["counts"])}


def candidate_code(params, inputs):
    def one(item, counts):
        if item:
            return by_hand.candidate_code(params, item, counts)
        return by_hand.code(params, 0 * params["item"][0], counts)
    return {"code": of_pairs(one, inputs["candidate"], inputs["counts"])}


def behaviour_encoder(params, inputs):
    def one(x, behaviour):
        at = np.flatnonzero(behaviour)
        found = by_hand.behaviour_encoder(params, [x[t] for t in at], behaviour[at], inputs["heads"])
        return spread(found, behaviour > 0, inputs["x"].shape[-1])
    return {"y": rows(one, inputs["x"], inputs["behaviour"])}


def sequence_encoder(params, inputs):
    def one(s, residual, real):
        at = np.flatnonzero(real)
        found = by_hand.sequence_encoder(
            params, [s[t] for t in at], [residual[t] for t in at], inputs["heads"])
        return spread(found, real, inputs["s"].shape[-1])
    return {"z": rows(one, inputs["s"], inputs["residual"], inputs["real"])}


def class_logits(params, inputs):
    def one(q, z):
        hidden = by_hand.dense(params["class1"], np.concatenate([q, z]))
        return by_hand.dense(params["class2"], hidden)
    return {"logits": of_pairs(one, inputs["q"], inputs["z"])}


def ranking_loss(params, inputs):
    total, mask = 0.0 * np.sum(inputs["positive"]), inputs["mask"]
    for b, t in np.argwhere(mask):
        total = total + inputs["weight"][b, t] * entropy(inputs["positive"][b, t], True)
        if inputs["has_negative"][b, t]:
            total = total + entropy(inputs["negative"][b, t], False)
    return {"loss": total / max(mask.sum(), 1)}


def histories(params, inputs, config):
    """States of every row, a list of vectors each, and the places where they belong."""
    for item, behaviour, counts in zip(inputs["item"], inputs["behaviour"], inputs["counts"],
                                       strict=True):
        at = np.flatnonzero(item)
        read = [read_counts(counts[t], config) for t in at]
        yield at, forward(params, item[at], behaviour[at], read, config)


def score(params, inputs):
    config, scores = config_of(hmar.Config, inputs, dropout=0.0), []
    nothing = 0.0 * np.sum(params["item"])  # of an empty history
    for b, (_, z) in enumerate(histories(params, inputs, config)):
        row = []
        for i in inputs["candidate"][b]:
            c = read_counts(choose_counts(inputs["history"][b, i], config), config)
            row.append(by_hand.score(params, z[-1], i, c) if z else nothing)
        scores.append(np.array(row))
    return {"scores": np.array(scores)}


def model(params, inputs):
    """Means over all events of the batch with a next one, from the terms of the one-sequence form."""
    config, rank, classes, ranked = config_of(hmar.Config, inputs, dropout=0.0), 0.0, 0.0, 0
    names = ("next_item", "next_behaviour", "next_counts", "negative", "negative_counts")
    for b, (at, z) in enumerate(histories(params, inputs, config)):
        for state, t in zip(z, at, strict=True):
            if not inputs["next_item"][b, t]:
                continue
            one = terms(params, state, [inputs[name][b, t] for name in names], config)
            classes = classes + one[1]
            if one[0] is not None:
                rank, ranked = rank + one[0], ranked + 1
    return {"loss": rank / max(ranked, 1) + config.theta * classes / max((inputs["next_item"] > 0).sum(), 1)}


BY_HAND = {
    "hmar.behaviour_mask": behaviour_mask, "hmar.indicator": indicator, "hmar.candidate_counts": candidate_counts,
    "hmar.code": code, "hmar.input_code": input_code, "hmar.candidate_code": candidate_code,
    "hmar.behaviour_encoder": behaviour_encoder, "hmar.sequence_encoder": sequence_encoder,
    "hmar.class_logits": class_logits, "hmar.ranking_loss": ranking_loss, "hmar.score": score, "hmar": model,
}
