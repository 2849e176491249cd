"""Faults of HMAR's score, losses and whole model.  {component: {fault: function}}."""
from functools import partial

import autograd.numpy as np

from mbref.check.components import hmar as right
from mbref.nn import masks
from mbref.nn.layers import dense, lookup, relu, stop_gradient
from mbref.nn.losses import cross_entropy, masked_mean, softplus
from mbref.papers import hmar
from tests.golden.fault import feed, plant
from tests.golden.hmar.faults import (
    all_real,
    behaviour_encoder as faulty_encoder,
    of_candidates,
    own_code,
    times_root,
)


def class_logits(parts, between=lambda x: x):
    """Two dense layers on other parts, or with something between."""
    def logits(params, inputs, tap):
        x = np.concatenate([inputs[name] for name in parts], axis=-1)
        return {"logits": dense(params["class2"], between(dense(params["class1"], x)))}
    return logits


def ranking_loss(weigh=lambda yes, no, w: w * yes + no, without=0, mean=masked_mean):
    """The ranking loss with other weights, another mean, or a part of the terms without a negative."""
    def loss(params, inputs, tap):
        yes, no = softplus(-inputs["positive"]), softplus(inputs["negative"])
        no = no * np.where(inputs["has_negative"], 1, without)
        return {"loss": mean(weigh(yes, no, inputs["weight"]), inputs["mask"])}
    return loss


def frozen_items(params, v, counts):
    """Candidates from a copy of the table, as if it were not the table of the events."""
    return own_code(params, stop_gradient(v), counts)


def other_behaviours_too(p, x, mask, causal, heads, drop, tap):
    """The behaviour encoder whose queries see the keys of all behaviours."""
    behaviour = mask @ np.arange(1, mask.shape[-1] + 1)
    inputs = {"x": x, "behaviour": behaviour, "heads": heads}
    return faulty_encoder(same=all_real)(p, inputs, tap)["y"]


forward, sequence_encoder = right.hmar.forward, hmar.sequence_encoder


def from_the_back(params, batch, config):
    """The states in the opposite order."""
    return forward(params, batch, config)[:, ::-1]


def model(class_reads="next", label_of="next", weight_of="next"):
    """The loss of the whole model whose class head, class labels or weights are those of another event.

    class_reads: "next", "" (the event itself) or "negative"; the others "next" or "".
    """
    def loss(params, inputs, tap):
        config = right.config_of(right.hmar.Config, inputs, dropout=0.0)
        batch = right.hmar.change_batch(right.batch_of(inputs), config)
        z, follow = right.hmar.forward(params, batch, config), batch.next
        items = {"": batch.item, "next": follow.item, "negative": follow.negative}
        counts = {"": batch.counts, "next": follow.counts, "negative": follow.negative_counts}
        kinds = {"": batch.behaviour, "next": follow.behaviour}

        def q(name):
            return hmar.code(params, lookup(params["item"], items[name]), counts[name])

        def kind(name):
            return np.maximum(kinds[name], 1) - 1

        weight = np.array(config.weights)[kind(weight_of)].astype(z.dtype)
        yes, no = softplus(-np.sum(z * q("next"), axis=-1)), softplus(np.sum(z * q("negative"), axis=-1))
        rank = masked_mean(weight * yes + no * (follow.negative > 0), follow.ranked)
        classes = cross_entropy(hmar.class_logits(params, q(class_reads), z), kind(label_of))
        return {"loss": rank + config.theta * masked_mean(classes, follow.item > 0)}
    return loss


def summed(values, mask):
    return np.sum(values * mask)


def of_padding_too(values, mask):
    return np.sum(values * mask) / mask.size


def itself_counted(inputs):
    kinds = masks.behaviour(inputs["next_behaviour"], inputs["next_counts"].shape[-1])
    return {"next_counts": inputs["next_counts"] + kinds}


def all_true(length, like=None):
    return np.ones((length, length), bool)


FAULTS = {
    "hmar.class_logits": {
        "item and state in the other order": class_logits("zq"),
        "ReLU between the dense layers": class_logits("qz", relu),
        "only the state is read": feed(right.class_logits, lambda i: {"q": 0 * i["q"]}),
    },
    "hmar.ranking_loss": {
        "negatives weighted too": ranking_loss(lambda yes, no, w: w * (yes + no)),
        "weights left out": ranking_loss(lambda yes, no, w: yes + no),
        "a missing negative scored like an item": ranking_loss(without=1),
        "sum instead of mean": ranking_loss(mean=summed),
        "mean over padding too": ranking_loss(mean=of_padding_too),
        "0 / 0 without events": ranking_loss(mean=lambda values, mask: np.sum(values * mask) / np.sum(mask)),
        "positive and negative swapped": feed(right.ranking_loss, lambda i: {
            "positive": i["negative"], "negative": i["positive"]}),
    },
    "hmar.score": {
        "candidates times sqrt(D)": of_candidates(right.score, times_root),
        "behaviour encoder not bypassed": feed(right.score, lambda i: {"merge": "encoder"}),
        "candidates' counts not read": feed(right.score, lambda i: {"history": 0 * i["history"]}),
        "counts of the item before in the table": feed(right.score, lambda i: {
            "history": np.roll(i["history"], 1, 1)}),
        "state of the first place instead of the last": plant(
            right.score, right.hmar, score=partial(hmar.score, forward=from_the_back)),
        "attends to events of other behaviours": plant(
            right.score, hmar, behaviour_encoder=other_behaviours_too),
    },
    "hmar": {
        "negatives share the positive's counts": feed(right.model, lambda i: {"negative_counts": i["next_counts"]}),
        "counts of the next event include it": feed(right.model, itself_counted),
        "class head reads the negative": model(class_reads="negative"),
        "class head reads the event before": model(class_reads=""),
        "class head learns the behaviour of the event before": model(label_of=""),
        "positives weighted by the behaviour of the event before": model(weight_of=""),
        "class loss not weighted by theta": feed(right.model, lambda i: {"theta": 1.0}),
        "all next events ranked, known items too": feed(right.model, lambda i: {"positives": "all"}),
        "attends to later events": plant(right.model, masks, causal=all_true),
        "behaviour encoder bypassed": feed(right.model, lambda i: {"merge": "bypass"}),
        "behaviour encoder not bypassed": feed(right.model, lambda i: {"merge": "encoder"}),
        "only the first block": lambda p, i, tap: right.model(p | {"blocks": p["blocks"][:1]}, i, tap),
        "one block's weights for all": lambda p, i, tap: right.model(
            p | {"blocks": [p["blocks"][0]] * len(p["blocks"])}, i, tap),
        "counts not logged": feed(right.model, lambda i: {"count_scale": "raw"}),
        "residual of the behaviour encoder's output": plant(
            right.model, hmar, sequence_encoder=lambda p, s, residual, *more: sequence_encoder(p, s, s, *more)),
        "candidates' items get no gradient": of_candidates(right.model, frozen_items),
        "candidates times sqrt(D)": of_candidates(right.model, times_root),
        "losses summed instead of averaged": plant(right.model, hmar, masked_mean=summed),
        "losses averaged over padding too": plant(right.model, hmar, masked_mean=of_padding_too),
    },
}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hmar.class_logits": [class_logits("qz")],
    "hmar.ranking_loss": [ranking_loss()],
    "hmar": [model()],
}
