"""Faults of HMAR and ATRank as a porter makes them: parameters of one shape that change places,
gradients that stop halfway, sums over other entries.  {component: {fault: function}}.
"""
import autograd.numpy as np

from mbref.check.components import atrank, hmar
from mbref.nn.layers import lookup, stop_gradient
from mbref.nn.losses import masked_mean
from mbref.nn.optim import leaves, tree_map
from mbref.papers import atrank as atrank_paper, hmar as hmar_paper
from mbref.variants import atrank as atrank_variant
from tests.golden.fault import alter, by_one, feed, freeze, give, plant, swap, without_bias


def sequences(params):
    """The blocks over all events."""
    return [block["sequence"] for block in params["blocks"]]


def all_blocks(params):
    """The blocks of both attentions."""
    return [block for part in ("self", "vanilla") for block in params.get(part, ())]


# HMAR.

own_sequence, own_code, own_behaviour = (
    hmar_paper.sequence_encoder, hmar_paper.code, hmar_paper.behaviour_encoder)


def values_of_residual(p, s, residual, *more):
    """The values are the residual's, not the input's."""
    def dense(layer, x):
        return np.matmul(residual if layer is p["v"] else x, layer["w"]) + layer["b"]
    kept, hmar_paper.dense = hmar_paper.dense, dense
    try:
        return own_sequence(p, s, residual, *more)
    finally:
        hmar_paper.dense = kept


def one_head(p, s, residual, causal, heads, *more):
    return own_sequence(p, s, residual, causal, 1, *more)


def first_residual():
    """Every block adds the first block's input."""
    seen = []

    def encoder(p, s, residual, *more):
        seen.append(residual)
        return own_sequence(p, s, seen[0], *more)
    return encoder


def run_first_residual(p, i, tap):
    return plant(hmar.model, hmar_paper, sequence_encoder=first_residual())(p, i, tap)


def of_place(params, batch, config):
    """States whose last one is that of the place `number of events`, counted from the start."""
    z = hmar.hmar.forward(params, batch, config)
    count = np.maximum((batch.item > 0).sum(1), 1)
    return z[np.arange(len(z)), count - 1][:, None]


def rank_over_all(p, i, tap):
    """The ranking's mean over all events, ranked or not."""
    share = (i["next_item"] > 0)
    return plant(hmar.model, hmar_paper, masked_mean=lambda values, mask: np.sum(
        values * mask) / np.maximum(np.sum(share), 1))(p, i, tap)


def class_over_ranked(p, i, tap):
    ranked = []

    def mean(values, mask):
        ranked.append(mask)
        return masked_mean(values, ranked[0])
    return plant(hmar.model, hmar_paper, masked_mean=mean)(p, i, tap)


def detached_head(params, q, z):
    return hmar_class(params, q, stop_gradient(z))


hmar_class = hmar_paper.class_logits
HMAR = {
    "hmar.sequence_encoder": {
        "the two layers of the feed-forward swapped": give(
            hmar.sequence_encoder, swap("f1", "f2")),
        "queries and keys swapped": give(hmar.sequence_encoder, swap("q", "k")),
        "values of the residual": plant(
            hmar.sequence_encoder, hmar_paper, sequence_encoder=values_of_residual),
        "queries get no gradient": give(hmar.sequence_encoder, alter("q", freeze)),
        "gamma and beta swapped": give(hmar.sequence_encoder, swap(
            "gamma", "beta", lambda p: [p["ln"]])),
        "last layer without its bias": give(hmar.sequence_encoder, alter("f2", without_bias)),
    },
    "hmar.behaviour_encoder": {
        "the two layers of the feed-forward swapped": give(
            hmar.behaviour_encoder, swap("f1", "f2")),
        "queries and keys swapped": give(hmar.behaviour_encoder, swap("q", "k")),
        "input scaled by the next behaviour's number": give(
            hmar.behaviour_encoder, alter("res", by_one)),
        "weights of the next behaviour": give(hmar.behaviour_encoder, lambda p: tree_map(by_one, p)),
        "weights of the input get no gradient": give(
            hmar.behaviour_encoder, alter("res", stop_gradient)),
    },
    "hmar.code": {
        "indicator without its bias": give(hmar.code, alter("indicator", without_bias)),
        "code without its bias": give(hmar.code, alter("feature", without_bias)),
    },
    "hmar.input_code": {
        "the whole code times sqrt(D)": plant(hmar.input_code, hmar_paper, input_code=(
            lambda params, item, counts: params["item"].shape[1] ** 0.5 * own_code(
                params, lookup(params["item"], item), counts) + params["position"][-item.shape[1]:])),
        "positions get no gradient": give(hmar.input_code, alter("position", stop_gradient)),
    },
    "hmar.score": {
        "state of the place that the number of events says": lambda p, i, tap: plant(
            hmar.score, hmar.hmar, score=lambda *args: hmar_paper.score(*args, forward=of_place))(
                p, i, tap),
        "queries and keys swapped": give(hmar.score, swap("q", "k", sequences)),
    },
    "hmar": {
        "weights of the behaviour before": feed(hmar.model, lambda i: {
            "weights": list(np.roll(i["weights"], 1))} if i["weights"] else {}),
        "every block adds the first block's input": run_first_residual,
        "the class head trains no state": plant(hmar.model, hmar_paper, class_logits=detached_head),
        "mean of the ranking over all events": rank_over_all,
        "mean of the classes over what is ranked": class_over_ranked,
        "one head over all events": plant(hmar.model, hmar_paper, sequence_encoder=one_head),
        "positions get no gradient": give(hmar.model, alter("position", stop_gradient)),
        "the two layers of the feed-forward swapped": give(
            hmar.model, swap("f1", "f2", sequences)),
        "queries and keys swapped": give(hmar.model, swap("q", "k", sequences)),
        "events of the second block not mixed": give(hmar.model, lambda p: p | {
            "blocks": [*p["blocks"][:1], *({**b, "sequence": freeze(b["sequence"])}
                                           for b in p["blocks"][1:])]}),
    },
}


# ATRank.

own_target, own_logits, own_forward = (
    atrank_variant.target_code, atrank_variant.logits, atrank_variant.forward)


def detached_states(*args, **more):
    x, real = own_forward(*args, **more)
    return stop_gradient(x), real


def frozen_penalty(params, batch, states, candidates, config, *more, **named):
    z, u, x = own_logits(params, batch, states, candidates, config, *more, **named)
    return z, stop_gradient(u), stop_gradient(x)


def halved(*args, **more):
    z, u, x = own_logits(*args, **more)
    return z / u.shape[-1] ** 0.5, u, x


def decay_of(keep):
    """Weight decay of those parameters alone whose path is kept."""
    def loss(params, config):
        size = sum(np.sum(a**2) for path, a in leaves(params) if keep(path))
        return config.weight_decay / 2 * size
    return plant(atrank.model, atrank_variant, weights_loss=loss)


ATRANK = {
    "atrank.attention_block": {
        "norms swapped": give(atrank.attention_block, swap("ln", "ln_f")),
        "queries and values swapped": give(atrank.attention_block, swap("q", "v")),
        "last layer without its bias": give(atrank.attention_block, alter("f2", without_bias)),
        "hidden layer without its bias": give(atrank.attention_block, alter("f1", without_bias)),
        "values get no gradient": give(atrank.attention_block, alter("v", freeze)),
        "memory gets no gradient": feed(
            atrank.attention_block, lambda i: {"memory": stop_gradient(i["memory"])}),
    },
    "atrank.behaviour_code": {
        "buckets one late": plant(atrank.behaviour_code, atrank_variant, time_bucket=(
            lambda gap, rule, own=atrank_variant.time_bucket: own(gap, rule) + 1)),
        "layer without its bias": give(
            atrank.behaviour_code, lambda p: p | {"groups": [without_bias(p["groups"][0])]}),
    },
    "atrank.score": {
        "norms swapped": give(atrank.score, swap("ln", "ln_f", all_blocks)),
        "logits over the root of the width": plant(
            atrank.score, atrank_variant, score=lambda *args: atrank_paper.score(
                *args, forward=own_forward, logits=halved)),
    },
    "atrank": {
        "norms swapped": give(atrank.model, swap("ln", "ln_f", all_blocks)),
        "states get no gradient": plant(atrank.model, atrank_variant, forward=detached_states),
        "penalty without gradient": plant(atrank.model, atrank_variant, logits=frozen_penalty),
        "logits over the root of the width": plant(atrank.model, atrank_variant, logits=halved),
        "weight decay of matrices alone": decay_of(lambda path: path.endswith("/w")),
        "weight decay of all but the embeddings": decay_of(
            lambda path: not path.startswith("tables")),
        "item bias gets no gradient": give(atrank.model, alter("bias", freeze)),
        "one block of attention to the history": give(
            atrank.model, lambda p: p | {"vanilla": p["vanilla"][:1]}),
        "one block of self-attention": give(
            atrank.model, lambda p: p | {"self": p.get("self", [])[:1]}),
    },
}


FAULTS = {**HMAR, **ATRANK}

# The text around the faults, without any: it must be right.
RIGHT = {"hmar": [give(hmar.model, swap("f1", "f1", sequences))],
         "atrank": [give(atrank.model, alter("v", lambda v: v, all_blocks)),
                    decay_of(lambda path: True)]}
