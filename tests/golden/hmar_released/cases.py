"""Cases of HMAR as released, one or more a model file, and the same by hand.

By hand all places of the window are gone through, padding included: layer norms turn padding into keys like any other.
"""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.by_hand import hmar as by_hand
from mbref.released.hmar import model as hmar
from tests.golden.draw import FULL, MIXED, B, Component, D, T, ids, moved, plan, real_left, round8

ITEMS = 9
TINY = 1e-24   # what the release adds inside its logarithms


# By hand.

def own_attention(p, u, heads):
    """Causal; a vector that is exactly 0 is neither query nor key.  T vectors -> T vectors."""
    alive = [bool(np.any(getval(x) != 0)) for x in u]
    q, k, v = ([by_hand.dense(p[name], x) for x in u] for name in "qkv")
    found = []
    for t in range(len(u)):
        earlier = [s for s in range(t + 1) if alive[s]]
        found.append(by_hand.attend(q[t], [k[s] for s in earlier], [v[s] for s in earlier], heads) if alive[t] else
                     np.zeros(len(u[t])))
    return found


def of_behaviour(p, k):
    """The weights of one behaviour."""
    names = [name for name in ("q", "k", "v", "f1", "f2", "ln") if name in p]
    return {name: {part: a[k] for part, a in p[name].items()} for name in names}


def merged(p, x, behaviour, variant, heads):
    """Step (3): K attentions over masked copies of the window, added up.  T vectors -> T vectors."""
    total = [np.zeros(len(x[0])) for _ in x]
    for k in range(len(p["res"])):
        own = of_behaviour(p, k)
        u = [x_t if b == k + 1 else 0.0 * x_t for x_t, b in zip(x, behaviour, strict=True)]
        u = [by_hand.layer_norm(own["ln"], u_t) for u_t in u] if variant.behaviour_norm else u
        for t, a in enumerate(own_attention(own, u, heads)):
            through, on = p["res"][k] * u[t], float(behaviour[t] == k + 1)
            y = by_hand.feed_forward(own["f1"], own["f2"], a)
            total[t] = total[t] + ((y + through) * on if variant.masked_residual else y * on + through)
    return total


def states(params, item, behaviour, counts, variant, heads):
    """z of every place of one window.  -> T vectors."""
    width = params["item"].shape[1]
    real = item > 0
    x = [(joined(params, params["item"][i] * width**0.5, c) + params["position"][t]) * float(real[t])
         for t, (i, c) in enumerate(zip(item, counts, strict=True))]
    p = params["blocks"][0]
    s = merged(p["behaviour"], x, behaviour, variant, heads) if variant.merge == "encoder" else x
    if variant.indicator_again:
        s = [s_t + by_hand.dense(params["indicator"], c) for s_t, c in zip(s, counts, strict=True)]
    s, p, z = [s_t * float(r) for s_t, r in zip(s, real, strict=True)], p["sequence"], []
    for t, a in enumerate(own_attention(p, s, heads)):
        y = by_hand.layer_norm(p["ln"], a + (s[t] if variant.merged_residual else 0.0) + x[t])
        y = by_hand.feed_forward(p["f1"], p["f2"], y) * float(real[t])
        z.append(by_hand.layer_norm(p["final"], y) if variant.final_norm else y)
    return z


def joined(params, v, c):
    """[v ; c W_c + b_c] W_f + b_f."""
    return by_hand.dense(params["feature"], np.concatenate([v, by_hand.dense(params["indicator"], c)]))


def terms(params, z, variant, item, weight, label, counts, negative):
    """What one event adds to L_rank and L_class."""
    q, q_negative = (joined(params, params["item"][i], counts) for i in (item, negative))
    yes, no = (1 / (1 + np.exp(-np.dot(z, vector))) for vector in (q, q_negative))
    logits = by_hand.dense(params["class2"], by_hand.dense(params["class1"], np.concatenate([q, z])))
    logits = np.maximum(logits, 0) if variant.class_relu else logits
    share = by_hand.softmax([logits[k] for k in range(len(logits))])[label]
    return -weight * np.log(yes + TINY) - np.log(1 - no + TINY), -np.log(share)


def model(params, inputs):
    """Means over all events that have a next one."""
    variant, rank, classes = hmar.VARIANTS[inputs["variant"]], 0.0, 0.0
    names = ("next_item", "next_weight", "next_label", "next_counts", "negative")
    for b, row in enumerate(inputs["item"]):
        z = states(params, row, inputs["behaviour"][b], inputs["counts"][b], variant, inputs["heads"])
        for t in np.flatnonzero(row):
            found = terms(params, z[t], variant, *(inputs[name][b, t] for name in names))
            rank, classes = rank + found[0], classes + found[1]
    n = (inputs["next_item"] > 0).sum()
    return {"loss": rank / n + variant.theta * classes / n}


BY_HAND = {"hmar.released": model}


# Cases.

def model_case(rng, draw):
    """Counts and labels as drawn: in the release they do not follow from the events of the window."""
    variant = hmar.VARIANTS[draw["variant"]]
    K, real = len(variant.weights), real_left(draw["lengths"])
    config = hmar.Config(items=ITEMS, behaviours=K, variant=variant, width=D, length=T, heads=2, dropout=0.0)
    behaviour = ids(rng, real, draw.get("kinds", K))
    item, follow, negative = (ids(rng, real, draw.get("items", ITEMS)) for _ in range(3))
    counts, next_counts = (rng.integers(0, 4, (B, T, K)) * real[..., None].astype(float) for _ in range(2))
    inputs = {"item": item, "behaviour": behaviour, "counts": counts, "next_item": follow, "negative": negative,
              "next_weight": round8(rng.choice(variant.weights, (B, T))) * real,
              "next_label": rng.integers(0, K, (B, T)) * real, "next_counts": next_counts}
    return moved(rng, hmar.init(rng, config), 0.15), inputs


def row(name, flags, lengths, variant, **draw):
    """A case of one model file."""
    return name, flags, {"lengths": lengths, "variant": variant} | draw, {"variant": variant, "heads": 2, "rate": 0.01}


def recorded(*names):
    """Files of tests/oracles."""
    return tuple(f"hmar__{name}.npz" for name in names)


PLANS = {"hmar.released": [
    *plan(model_case, row("taobao", ("Basic", "Padding"), MIXED, "taobao"),
             row("taobao_one_behaviour", ("OneBehaviour", "RepeatedItem"), FULL, "taobao", kinds=1, items=3),
             side="released", recorded=recorded("taobao_init", "taobao_pert")),
    *plan(model_case, row("tianchi", ("Switch", "Padding"), MIXED, "tianchi"),
             row("tianchi_full", ("Switch", "FullHistory"), FULL, "tianchi"), side="released",
             recorded=recorded("tianchi_init", "tianchi_pert")),
    *plan(model_case, row("yelp", ("Switch", "Padding"), MIXED, "yelp"), side="released",
             recorded=recorded("yelp_init")),
    *plan(model_case, row("movielens", ("Switch", "Padding"), MIXED, "movielens"), side="released",
             recorded=recorded("movielens_init")),
]}

COMPONENTS = {
    "hmar.released": Component("HMAR steps (1)-(7), as released", kind="model", about="""
        The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the
        left.
        variant "taobao", "tianchi", "yelp", "movielens": the model file, see VARIANTS in
        released/hmar.py; heads. item, behaviour [B, T]; counts [B, T, K]; next_item [B, T], 0 =
        nothing to predict; next_weight [B, T] of the positive; next_label [B, T] 0..K-1;
        next_counts [B, T, K], of the positive and of the negative; negative [B, T]. Taps, NaN
        at padding: input, merged, states, all [B, T, D]."""),
}
