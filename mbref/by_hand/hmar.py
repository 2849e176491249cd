"""HMAR for ONE sequence without padding: loops over events, behaviours and heads.

Steps (1)-(7) as in papers/hmar.py. A sequence is a list of item ids and a list of behaviours 1..K,
oldest first; vectors are [D]. Counts c of an item are a list of K numbers.
"""
import autograd.numpy as np

from mbref.by_hand.basics import attend, dense, layer_norm, softmax


def historical_indicator(items, behaviours, item, upto, kinds):
    """c: how often `item` is among the first `upto` events, by behaviour.  -> K numbers.  (2)."""
    met = [behaviours[t] for t in range(upto) if items[t] == item]
    return [met.count(k) for k in range(1, kinds + 1)]


def running_indicators(items, behaviours, kinds):
    """c of every event's item, the event itself included.  -> n lists of K numbers.  (2)."""
    return [historical_indicator(items, behaviours, items[t], t + 1, kinds)
            for t in range(len(items))]


def code(params, v, c):
    """[v ; c W_c + b_c] W_f + b_f.  v [D], c [K] -> [D].  (1), (2)."""
    c = dense(params["indicator"], np.array(c, float))
    return dense(params["feature"], np.concatenate([v, c]))


def candidate_code(params, item, c):
    """q^o of one candidate, without scale and position.  -> [D]."""
    return code(params, params["item"][item], c)


def input_code(params, items, counts):
    """G: the newest event has the last position.  -> n vectors.  (1), (2)."""
    length, D = params["position"].shape
    first, out = length - len(items), []
    for t in range(len(items)):
        v = params["item"][items[t]] * D**0.5
        out.append(code(params, v, counts[t]) + params["position"][first + t])
    return out


def self_attention(p, x, at, earlier, heads):
    """Event `at` attends to the events `earlier`, itself among them.  x n vectors -> [D]."""
    keys, values = ([dense(p[name], x[s]) for s in earlier] for name in "kv")
    return attend(dense(p["q"], x[at]), keys, values, heads)


def feed_forward(f1, f2, x):
    """x + W_2 max(W_1 x + b_1, 0) + b_2."""
    return x + dense(f2, np.maximum(dense(f1, x), 0))


def behaviour_encoder(p, x, behaviours, heads):
    """Each behaviour's events attend to the earlier ones of it.  n vectors -> n vectors.  (3)."""
    out = [None] * len(x)
    for k in range(len(p["res"])):
        own = {name: {"w": p[name]["w"][k], "b": p[name]["b"][k]} for name in p if name != "res"}
        events = [t for t in range(len(x)) if behaviours[t] == k + 1]
        for at, t in enumerate(events):
            a = self_attention(own, x, t, events[: at + 1], heads)
            out[t] = feed_forward(own["f1"], own["f2"], a) + p["res"][k] * x[t]
    return out


def sequence_encoder(p, s, residual, heads):
    """Each event attends to itself and all earlier ones.  n vectors -> n vectors.  (4)."""
    out = []
    for t in range(len(s)):
        a = self_attention(p, s, t, range(t + 1), heads)
        out.append(feed_forward(p["f1"], p["f2"], layer_norm(p["ln"], a + residual[t])))
    return out


def forward(params, items, behaviours, counts, config):
    """States z_1..z_n.  -> n vectors [D]."""
    z = input_code(params, items, counts)
    for block in params["blocks"]:
        s = behaviour_encoder(block["behaviour"], z, behaviours, config.heads)
        z = sequence_encoder(block["sequence"], s, z, config.heads)
    return z


def score(params, z, item, c):
    """z . q^o of one state and one candidate.  (5)."""
    return np.dot(z, candidate_code(params, item, c))


def class_probabilities(params, z, q):
    """Of the K behaviours.  -> list of K numbers.  (6)."""
    logits = dense(params["class2"], dense(params["class1"], np.concatenate([q, z])))
    return softmax([logits[k] for k in range(len(logits))])


def ranking_term(params, z, following, config):
    """What one event adds to L_rank: the next item, weighted by its behaviour, and a negative. (7).

    following = (item, its behaviour, its counts, negative item or 0, the negative's counts).
    """
    item, behaviour, c, negative, c_negative = following
    yes = 1 / (1 + np.exp(-score(params, z, item, c)))
    term = -config.weights[behaviour - 1] * np.log(yes)
    if negative == 0:  # none could be drawn
        return term
    no = 1 / (1 + np.exp(-score(params, z, negative, c_negative)))
    return term - np.log(1 - no)


def loss(params, items, behaviours, counts, following, config):
    """L_rank + theta L_class of one sequence, a mean over its events; see ranking_term.  (7)."""
    total = 0.0
    for z, one in zip(forward(params, items, behaviours, counts, config), following, strict=True):
        item, behaviour, c, _, _ = one
        chances = class_probabilities(params, z, candidate_code(params, item, c))
        total = total + ranking_term(params, z, one, config)
        total = total - config.theta * np.log(chances[behaviour - 1])
    return total / len(items)
