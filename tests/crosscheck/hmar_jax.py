"""HMAR in JAX: functions of one history, mapped over a batch; hmar_torch.py says what such a file is.

    python -m mbref check tests/crosscheck/hmar_jax.py

T events of one history, padded on the left with id 0; D width, K behaviours. Parameters are the case's nested dict.
"""
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Switches(NamedTuple):
    """As in mbref/variants/hmar.py."""

    behaviours: int
    heads: int = 1
    target: int = 1
    theta: float = 0.1
    weights: tuple = ()
    merge: str = "encoder"
    indicator: bool = True
    count_scale: str = "raw"
    candidate_counts: str = "own"
    positives: str = "all"


def dense(p, x):
    return x @ p["w"] + p["b"]


def causal(real):
    """[T] -> [T, T], rows are queries."""
    return jnp.tril(real[:, None] & real[None, :])


def same_behaviour(behaviour):
    return causal(behaviour > 0) & (behaviour[:, None] == behaviour[None, :])


def counts_upto(which, item, behaviour, count):
    """How often item which[t] occurs among the events 0..t, by behaviour.  [T] three times -> [T, K]."""
    hits = jnp.tril((which[:, None] == item) & (item > 0))  # [T, T]
    return hits @ jax.nn.one_hot(behaviour - 1, count)


def attention(q, k, v, allowed, heads):
    """[T, D] three times -> [T, D], weights [H, T, T]."""
    q, k, v = (x.reshape(len(x), heads, -1).swapaxes(0, 1) for x in (q, k, v))  # [H, T, D/H]
    scores = q @ k.swapaxes(1, 2) / q.shape[-1] ** 0.5
    weights = jax.nn.softmax(jnp.where(allowed, scores, jnp.finfo(q.dtype).min)) * allowed
    return (weights @ v).swapaxes(0, 1).reshape(allowed.shape[0], -1), weights


def layer_norm(p, x):
    centred = x - x.mean(-1, keepdims=True)
    return p["gamma"] * centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-8) + p["beta"]


def code(p, item_code, counts, s):
    """Steps (1), (2)."""
    counts = (jnp.log1p(counts) if s.count_scale == "log1p" else counts) * s.indicator
    return dense(p["feature"], jnp.concatenate([item_code, dense(p["indicator"], counts)], axis=-1))


def embedded(p, ids):
    return p["item"][ids] * (ids > 0)[..., None]


def input_code(p, item, counts, s):
    v = embedded(p, item) * p["item"].shape[1] ** 0.5
    return (code(p, v, counts, s) + p["position"][-len(item):]) * (item > 0)[:, None]


def candidate_code(p, ids, counts, s):
    return code(p, embedded(p, ids), counts, s)


@partial(jax.jit, static_argnames="heads")
def behaviour_encoder(p, x, behaviour, heads):
    """Step (3): the weights of each event's own behaviour.  -> [T, D], attention weights."""
    real, of = behaviour > 0, jnp.maximum(behaviour - 1, 0)

    def own(layer, x):
        return (jnp.einsum("td,tde->te", x, layer["w"][of]) + layer["b"][of]) * real[:, None]

    a, weights = attention(*(own(p[name], x) for name in "qkv"), same_behaviour(behaviour), heads)
    return a + own(p["f2"], jax.nn.relu(own(p["f1"], a))) + (p["res"][of] * real)[:, None] * x, weights


@partial(jax.jit, static_argnames="heads")
def sequence_encoder(p, s, residual, real, heads):
    """Step (4).  -> [T, D], attention weights."""
    a, weights = attention(*(dense(p[name], s) for name in "qkv"), causal(real), heads)
    y = layer_norm(p["ln"], a + residual)
    return (y + dense(p["f2"], jax.nn.relu(dense(p["f1"], y)))) * real[:, None], weights


def states(p, item, behaviour, counts, s):
    """Hidden states [T, D], and intermediates by name."""
    z = input_code(p, item, counts, s)
    taps = {}
    for block in p["blocks"]:
        merged, found = z, {"input": z}
        if s.merge == "encoder":
            merged, found["behaviour_weights"] = behaviour_encoder(block["behaviour"], z, behaviour, s.heads)
            found["merged"] = merged
        z, found["sequence_weights"] = sequence_encoder(block["sequence"], merged, z, item > 0, s.heads)
        taps = found | taps  # of the first block, as the kit asks
    return z, taps | {"states": z}


@partial(jax.jit, static_argnames="s")
def score(p, item, behaviour, counts, candidate, history, s):
    """Step (5) of one history.  candidate [C], history [N+1, K] -> [C]."""
    z = states(p, item, behaviour, counts, s)[0][-1]
    one = jax.nn.one_hot(jnp.full(candidate.shape, s.target - 1), s.behaviours)
    return candidate_code(p, candidate, history[candidate] if s.candidate_counts == "own" else one, s) @ z


def class_logits(p, q, z):
    """Step (6)."""
    return dense(p["class2"], dense(p["class1"], jnp.concatenate([q, z], axis=-1)))


def mean_of(values, mask):
    """Mean where the mask is True; 0 if it is True nowhere."""
    return (values * mask).sum() / jnp.maximum(mask.sum(), 1)


def ranking_loss(positive, negative, weight, mask, has_negative):
    return mean_of(weight * jax.nn.softplus(-positive) + jax.nn.softplus(negative) * has_negative, mask)


def terms(p, events, follow, negative, s):
    """What the losses of one history are made of: z . q, z . q of the negative, class log-probabilities; and taps."""
    z, taps = states(p, *events, s)
    q = candidate_code(p, follow[0], follow[2], s)
    q_negative = candidate_code(p, negative[0], negative[1] if s.candidate_counts == "own" else follow[2], s)
    return (z * q).sum(-1), (z * q_negative).sum(-1), jax.nn.log_softmax(class_logits(p, q, z)), taps


@partial(jax.jit, static_argnames="s")
def loss(p, events, follow, negative, s):
    """Step (7) of a batch.  events, follow: item, behaviour and counts; negative: item and counts.  -> scalar, taps."""
    positive, other, logp, taps = jax.vmap(partial(terms, s=s), (None, 0, 0, 0))(p, events, follow, negative)
    item, behaviour, counts = follow
    label, mask = jnp.maximum(behaviour - 1, 0), item > 0
    ranked = {"all": mask, "new": mask & (counts == 0).all(-1), "target": mask & (behaviour == s.target)}[s.positives]
    rest = 1 - 0.1 * (s.behaviours - 1)
    weights = s.weights or [rest if k + 1 == s.target else 0.1 for k in range(s.behaviours)]
    rank = ranking_loss(positive, other, jnp.asarray(weights, positive.dtype)[label], ranked, negative[0] > 0)
    picked = jnp.take_along_axis(logp, label[..., None], axis=-1)[..., 0]
    return rank - s.theta * mean_of(picked, mask), taps


# What the kit asks for.

BACKEND = "jax"


def switches_of(inputs, behaviours):
    """Hashable, since jit compiles anew for each."""
    given = {k: inputs[k] for k in Switches._fields if k in inputs} | {"weights": tuple(inputs.get("weights", ()))}
    return Switches(**{"behaviours": behaviours} | given)


def events_of(inputs, prefix=""):
    return tuple(inputs[prefix + name] for name in ("item", "behaviour", "counts"))


def show(tap, taps):
    for name, array in taps.items():
        tap(name, array)


def hmar_behaviour_mask(params, inputs, tap):
    return {"mask": jax.vmap(same_behaviour)(inputs["behaviour"])}


def hmar_indicator(params, inputs, tap):
    count = jax.vmap(partial(counts_upto, count=inputs["count"]))
    return {"counts": count(inputs["item"], inputs["item"], inputs["behaviour"])}


def hmar_candidate_counts(params, inputs, tap):
    count = jax.vmap(partial(counts_upto, count=inputs["count"]))
    return {"counts": count(inputs["candidate"], inputs["item"], inputs["behaviour"])}


def hmar_code(params, inputs, tap):
    counts = inputs["counts"]
    return {"code": code(params, inputs["item_code"], counts, switches_of(inputs, counts.shape[-1]))}


def hmar_input_code(params, inputs, tap):
    s = switches_of(inputs, inputs["counts"].shape[-1])
    one = partial(input_code, params, s=s)
    return {"code": jax.vmap(one)(inputs["item"], inputs["counts"])}


def hmar_candidate_code(params, inputs, tap):
    counts = inputs["counts"]
    return {"code": candidate_code(params, inputs["candidate"], counts, switches_of(inputs, counts.shape[-1]))}


def hmar_behaviour_encoder(params, inputs, tap):
    one = partial(behaviour_encoder, params, heads=inputs["heads"])
    y, weights = jax.vmap(one)(inputs["x"], inputs["behaviour"])
    tap("behaviour_weights", weights)
    return {"y": y}


def hmar_sequence_encoder(params, inputs, tap):
    one = partial(sequence_encoder, params, heads=inputs["heads"])
    z, weights = jax.vmap(one)(inputs["s"], inputs["residual"], inputs["real"])
    tap("sequence_weights", weights)
    return {"z": z}


def hmar_class_logits(params, inputs, tap):
    return {"logits": class_logits(params, inputs["q"], inputs["z"])}


def hmar_ranking_loss(params, inputs, tap):
    return {"loss": ranking_loss(*(inputs[n] for n in ("positive", "negative", "weight", "mask", "has_negative")))}


def hmar_score(params, inputs, tap):
    rows = *events_of(inputs), inputs["candidate"], inputs["history"]
    one = partial(score, params, s=switches_of(inputs, inputs["behaviours"]))
    return {"scores": jax.vmap(one)(*rows)}


def hmar(params, inputs, tap):
    negative = inputs["negative"], inputs["negative_counts"]
    s = switches_of(inputs, inputs["behaviours"])
    total, taps = loss(params, events_of(inputs), events_of(inputs, "next_"), negative, s)
    show(tap, taps)
    return {"loss": total}
