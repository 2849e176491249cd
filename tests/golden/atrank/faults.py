"""Faults of ATRank.  {component: {fault: function}}."""
from functools import partial

import autograd.numpy as np
from autograd.misc import flatten

from mbref.check.components import atrank as right
from mbref.nn import attention as att, layers, masks
from mbref.nn.layers import dense, ignore, layer_norm, relu, stop_gradient, time_bucket
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy
from mbref.papers import atrank as paper
from mbref.variants import atrank
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import SOFTMAX, split_interleaved

# Codes.

def time_first(params, config, group, x, action, time):
    return dense(params["groups"][group], np.concatenate([time, x], axis=-1))


CODES = {
    "atrank.behaviour_code": {
        "time gaps in seconds taken as days": feed(right.behaviour_code,
                                                   lambda i: {"gap": i["gap"] * 86400}),
        "time not read": plant(
            right.behaviour_code, atrank, time_bucket=lambda gap, rule: 0 * gap - 1),
        "the open last time bucket joined to the one before": plant(
            right.behaviour_code, atrank, time_bucket=lambda gap, rule: np.minimum(
                time_bucket(gap, rule), 11 if rule == "release" else 12)),
        "time before the object": plant(right.behaviour_code, atrank, group_code=time_first),
        "unknown category has an embedding": plant(
            right.behaviour_code, layers, lookup=lambda table, ids: table[ids]),
        "categories one item off": feed(right.behaviour_code,
                                        lambda i: {"category": np.roll(i["category"], 1)}),
        "ReLU after a linear layer": feed(right.behaviour_code, lambda i: {"group_relu": True}),
        "ReLU forgotten": feed(right.behaviour_code, lambda i: {"group_relu": False}),
    },
}


# Attention.

def by_root(width, dot):
    return width**-0.5 if dot else 1


def attention_block(q=relu, k=relu, v=relu, scale=by_root, join=lambda a, query: a + query,
                    norm=layer_norm,
                    second="ln_f", hidden=relu, inner=lambda y: y):
    """The block with other activations, another factor of the scores (from D/H), another residual
    or norm."""
    def block(p, inputs, tap):
        query, memory, dot = inputs["query"], inputs["memory"], inputs["scores"] == "dot"
        keys = k(dense(p["k"], memory)) if dot else memory @ p["k"]["w"]
        queries = q(dense(p["q"], query)) * scale(query.shape[-1] / inputs["heads"], dot)
        a = att.attention(queries, keys, v(dense(p["v"], memory)), inputs["allowed"],
                          inputs["heads"], scaled=False)
        y = norm(p["ln"], join(a, query))
        return {"y": norm(p[second], dense(p["f2"], hidden(dense(p["f1"], y))) + inner(y))}
    return block


def linear(x):
    return x


def outside_root(p, x):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    root = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True))
    return p["gamma"] * centred / (root + 1e-8) + p["beta"]


BLOCK = {
    "atrank.attention_block": {
        "queries without ReLU": attention_block(q=linear),
        "keys without ReLU": attention_block(k=linear),
        "values without ReLU": attention_block(v=linear),
        "attention scores not divided by the root": attention_block(scale=lambda width, dot: 1),
        "attention scores divided by D/H instead of its root": attention_block(
            scale=lambda width, dot: 1 / width if dot else 1),
        "bilinear scores divided by the root": attention_block(
            scale=lambda width, dot: width**-0.5),
        "no residual around the attention": attention_block(join=lambda a, query: a),
        "feed-forward without ReLU": attention_block(hidden=linear),
        "feed-forward without its residual": attention_block(inner=lambda y: 0),
        "one layer norm used twice": attention_block(second="ln"),
        "layer norm eps 1e-5 instead of 1e-8": attention_block(
            norm=lambda p, x: layer_norm(p, x, 1e-5)),
        "layer norm eps outside the square root": attention_block(norm=outside_root),
        "heads interleaved in the width": plant(right.attention_block, att,
                                                split_heads=split_interleaved),
        "mask after the softmax": plant(right.attention_block, att,
                                        masked_softmax=SOFTMAX["mask after the softmax"]),
        "-inf on a row where nothing is allowed": plant(
            right.attention_block, att,
            masked_softmax=SOFTMAX["-inf on a row where nothing is allowed"]),
    },
}


# Whole model.

own_block, own_target = atrank.attention_block, atrank.target_code


def causal_block(p, query, memory, allowed, *more):
    """A block that, among the events, looks back only."""
    back = np.tri(allowed.shape[1], dtype=bool) if query is memory else True
    return own_block(p, query, memory, allowed & back, *more)


def encode(real_events):
    """The forward pass with other events taken as real: real_events(batch) -> [B, S]."""
    def forward(params, batch, config, tap=ignore, rng=None):
        codes = [atrank.behaviour_code(params, config, g, history, batch.features[g])
                 for g, history in enumerate(batch.histories)]
        x, real = np.concatenate(codes, axis=1), real_events(batch)
        tap("input", x)
        for p in params["self"]:
            x = atrank.attention_block(p, x, x, masks.pairs(real), config, rng, tap, "self_weights")
        tap("states", x)
        return x, real
    return forward


def plant_events(function, real_events):
    """The function with other events taken as real, in the score, too."""
    forward = encode(real_events)
    score = partial(paper.score, forward=forward, logits=atrank.logits)
    return plant(function, atrank, forward=forward, score=score)


def right_events(batch):
    return np.concatenate([history.item > 0 for history in batch.histories], axis=1)


def all_events(batch):
    return np.ones_like(right_events(batch))


def frozen_target(*args):
    return stop_gradient(own_target(*args))


def model(size=lambda u, x, real: np.sum((u**2 + x**2) * real), mean=masked_mean,
          labels=lambda label: label,
          of=right):
    """The loss with another penalty, mean or label; `of` is where batch_of is."""
    def loss(params, inputs, tap):
        config, batch = right.read_config(inputs), of.batch_of(inputs)
        params = right.with_blocks(params)
        z, u, x = atrank.logits(params, batch, atrank.forward(params, batch, config),
                                batch.candidate, config)
        real = batch.candidate > 0
        total = mean(sigmoid_cross_entropy(z, labels(batch.label)), real)
        weights = np.sum(flatten(params)[0] ** 2)
        squares = config.penalty * size(u, x, real[..., None]) + config.weight_decay * weights
        return {"loss": total + 0.5 * squares}
    return loss


def of_both(function):
    """Faults that the score and the loss share."""
    return {
        "padding attended": plant_events(function, all_events),
        "self-attention looks back only": plant(function, atrank, attention_block=causal_block),
        "self-attention left out": lambda p, i, tap: function(p | {"self": []}, i, tap),
        "item bias left out": feed(function, lambda i: {"item_bias": False}),
        "time gaps in seconds taken as days": feed(function, lambda i: {"gap": i["gap"] * 86400}),
        "heads interleaved in the width": plant(function, att, split_heads=split_interleaved),
    }


WHOLE = {
    "atrank.score": of_both(right.score) | {
        "candidates one item off": feed(right.score, lambda i: {"candidate": i["candidate"] - 1}),
    },
    "atrank": of_both(right.model) | {
        "labels the wrong way round": model(labels=lambda label: ~label),
        "penalty averaged instead of summed": model(
            lambda u, x, real: np.sum((u**2 + x**2) * real) / real.size),
        "penalty of the user vector alone": model(lambda u, x, real: np.sum(u**2 * real)),
        "penalty not squared": model(lambda u, x, real: np.sum((u**2 + x**2) * real) ** 0.5),
        "penalty of missing candidates too": model(lambda u, x, real: np.sum(u**2 + x**2)),
        "penalties not halved": feed(right.model, lambda i: {
            "penalty": 2 * i["penalty"], "weight_decay": 2 * i.get("weight_decay", 0.0)}),
        "loss summed instead of averaged": model(mean=lambda values, mask: np.sum(values * mask)),
        "loss averaged over missing candidates too": model(
            mean=lambda values, mask: np.sum(values * mask) / mask.size),
        "missing candidates scored like items": model(
            mean=lambda values, mask: np.sum(values) / np.sum(mask)),
        "candidates' embeddings get no gradient": plant(right.model, atrank,
                                                        target_code=frozen_target),
    },
}

FAULTS = {**CODES, **BLOCK, **WHOLE}

# The text around the faults, without any: it must be right.
RIGHT = {
    "atrank.attention_block": [attention_block()],
    "atrank": [model(), plant_events(right.model, right_events)],
}
