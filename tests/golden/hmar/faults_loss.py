"""Faults of HMAR's score, losses and whole model.  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.check.components import hmar as right
from mbref.nn import masks
from mbref.nn.layers import dense, relu, stop_gradient
from mbref.nn.losses import cross_entropy, masked_mean, softplus
from mbref.papers import hmar
from tests.golden.fault import fed, planted


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


forward, sequence_encoder, code = hmar.forward, hmar.sequence_encoder, hmar.candidate_code


def times_root(params, item, counts, config):
    """Candidates scaled like events."""
    root = params["item"].shape[1] ** 0.5
    return code(params | {"item": params["item"] * root}, item, counts, config)


def frozen_items(params, item, counts, config):
    """Candidates from a copy of the table, as if it were not the table of the events."""
    return code(params | {"item": stop_gradient(params["item"])}, item, counts, config)


def model(class_reads="next", label_of="next", weight_of="next"):
    """The loss of the whole model whose class head, class labels or weights are those of another event.

    class_reads: "next", "" (the event itself) or "negative"; the others "next" or "".
    """
    def loss(params, inputs, tap):
        config = right.config_of(hmar.Config, inputs, dropout=0.0)
        z, follow = forward(params, right.batch_of(inputs), config), inputs["next_counts"]

        def q(name):
            item = inputs["item" if not name else name if name == "negative" else f"{name}_item"]
            shared = name == "negative" and config.candidate_counts == "target"
            return code(params, item, follow if shared else inputs[f"{name}_counts".lstrip("_")], config)

        def kind(name):
            return np.maximum(inputs[f"{name}_behaviour".lstrip("_")], 1) - 1

        mask = inputs["next_item"] > 0
        chosen = {"all": True, "new": ~follow.any(-1), "target": inputs["next_behaviour"] == config.target}
        rank = hmar.ranking_loss(np.sum(z * q("next"), axis=-1), np.sum(z * q("negative"), axis=-1),
                                 np.array(config.weights)[kind(weight_of)].astype(z.dtype),
                                 mask & chosen[config.positives], inputs["negative"] > 0)
        classes = cross_entropy(hmar.class_logits(params, q(class_reads), z), kind(label_of))
        return {"loss": rank + config.theta * masked_mean(classes, mask)}
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
        "only the state is read": fed(right.class_logits, lambda i: {"q": 0 * i["q"]}),
    },
    "hmar.ranking_loss": {
        "negatives weighted too": ranking_loss(lambda yes, no, w: w * (yes + no)),
        "weights left out": ranking_loss(lambda yes, no, w: yes + no),
        "a missing negative scored like an item": ranking_loss(without=1),
        "sum instead of mean": ranking_loss(mean=summed),
        "mean over padding too": ranking_loss(mean=of_padding_too),
        "0 / 0 without events": ranking_loss(mean=lambda values, mask: np.sum(values * mask) / np.sum(mask)),
        "positive and negative swapped": fed(right.ranking_loss, lambda i: {
            "positive": i["negative"], "negative": i["positive"]}),
    },
    "hmar.score": {
        "candidates times sqrt(D)": planted(right.score, hmar, candidate_code=times_root),
        "behaviour encoder not bypassed": fed(right.score, lambda i: {"merge": "encoder"}),
        "candidates' counts not read": fed(right.score, lambda i: {"history": 0 * i["history"]}),
        "counts of the item before in the table": fed(right.score, lambda i: {
            "history": np.roll(i["history"], 1, 1)}),
        "state of the first place instead of the last": planted(
            right.score, hmar, forward=lambda *args: forward(*args)[:, ::-1]),
        "attends to events of other behaviours": planted(
            right.score, masks, same_behaviour=lambda b: (b > 0)[:, None] & (b > 0)[:, :, None]),
    },
    "hmar": {
        "negatives share the positive's counts": fed(right.model, lambda i: {"negative_counts": i["next_counts"]}),
        "counts of the next event include it": fed(right.model, itself_counted),
        "class head reads the negative": model(class_reads="negative"),
        "class head reads the event before": model(class_reads=""),
        "class head learns the behaviour of the event before": model(label_of=""),
        "positives weighted by the behaviour of the event before": model(weight_of=""),
        "class loss not weighted by theta": fed(right.model, lambda i: {"theta": 1.0}),
        "all next events ranked, known items too": fed(right.model, lambda i: {"positives": "all"}),
        "attends to later events": planted(right.model, masks, causal=all_true),
        "behaviour encoder bypassed": fed(right.model, lambda i: {"merge": "bypass"}),
        "behaviour encoder not bypassed": fed(right.model, lambda i: {"merge": "encoder"}),
        "only the first block": lambda p, i, tap: right.model(p | {"blocks": p["blocks"][:1]}, i, tap),
        "one block's weights for all": lambda p, i, tap: right.model(
            p | {"blocks": [p["blocks"][0]] * len(p["blocks"])}, i, tap),
        "counts not logged": fed(right.model, lambda i: {"count_scale": "raw"}),
        "residual of the behaviour encoder's output": planted(
            right.model, hmar, sequence_encoder=lambda p, s, residual, *more: sequence_encoder(p, s, s, *more)),
        "candidates' items get no gradient": planted(right.model, hmar, candidate_code=frozen_items),
        "candidates times sqrt(D)": planted(right.model, hmar, candidate_code=times_root),
        "losses summed instead of averaged": planted(right.model, hmar, masked_mean=summed),
        "losses averaged over padding too": planted(right.model, hmar, masked_mean=of_padding_too),
    },
}
