"""HMAR for ONE sequence without padding, as the method is told: loops over events, behaviours and heads.

Uses autograd.numpy alone, so that its gradients can be compared too. Steps (1)-(7) as in papers/hmar.py.
A sequence is a list of item ids and a list of behaviours 1..K, oldest first; vectors are [D].
"""
import autograd.numpy as np


def dense(p, x):
    """x W + b.  [D_in] -> [D_out]."""
    return x @ p["w"] + p["b"]


def historical_indicator(items, behaviours, item, upto, kinds):
    """c: how often `item` occurs among the first `upto` events, by behaviour.  -> list of K numbers.  Step (2)."""
    return [sum(1 for t in range(upto) if items[t] == item and behaviours[t] == k) for k in range(1, kinds + 1)]


def running_indicators(items, behaviours, kinds):
    """c of every event, itself included.  -> n lists of K numbers."""
    return [historical_indicator(items, behaviours, items[t], t + 1, kinds) for t in range(len(items))]


def code(params, v, c, config):
    """[v ; c W_c + b_c] W_f + b_f.  v [D], c [K] -> [D].  Steps (1), (2)."""
    c = np.array(c, float) * (1.0 if config.indicator else 0.0)
    c = np.log(1 + c) if config.count_scale == "log1p" else c
    return dense(params["feature"], np.concatenate([v, dense(params["indicator"], c)]))


def candidate_code(params, item, c, config):
    """q^o of one candidate.  -> [D]."""
    return code(params, params["item"][item], c, config)


def input_codes(params, items, counts, config):
    """G, one vector an event; the newest event has the last position.  -> n vectors."""
    first, scale = config.length - len(items), config.width**0.5
    return [code(params, params["item"][item] * scale, c, config) + params["position"][first + t]
            for t, (item, c) in enumerate(zip(items, counts, strict=True))]


def softmax(scores):
    """Of a list of numbers.  -> list."""
    e = [np.exp(s - max(scores)) for s in scores]
    return [x / sum(e) for x in e]


def attend(query, keys, values, heads):
    """One query over a list of keys, head by head.  -> [D]."""
    size, mixed = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        weights = softmax([np.dot(query[part], key[part]) / size**0.5 for key in keys])
        mixed.append(sum(w * value[part] for w, value in zip(weights, values, strict=True)))
    return np.concatenate(mixed)


def feed_forward(f1, f2, x):
    """x + W_2 max(W_1 x + b_1, 0) + b_2."""
    return x + dense(f2, np.maximum(dense(f1, x), 0))


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [D] -> [D]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]


def behaviour_encoder(p, x, behaviours, config):
    """Every behaviour's events attend to the earlier ones of the same behaviour.  n vectors -> n vectors.  Step (3)."""
    out = [None] * len(x)
    for k in range(1, config.behaviours + 1):
        own = {name: {part: p[name][part][k - 1] for part in "wb"} for name in ("q", "k", "v", "f1", "f2")}
        events = [t for t in range(len(x)) if behaviours[t] == k]
        for at, t in enumerate(events):
            earlier = events[: at + 1]
            a = attend(dense(own["q"], x[t]), [dense(own["k"], x[s]) for s in earlier],
                       [dense(own["v"], x[s]) for s in earlier], config.heads)
            out[t] = feed_forward(own["f1"], own["f2"], a) + p["res"][k - 1] * x[t]
    return out


def sequence_encoder(p, s, residual, config):
    """Every event attends to itself and all earlier ones.  n vectors -> n vectors.  Step (4)."""
    out = []
    for t in range(len(s)):
        a = attend(dense(p["q"], s[t]), [dense(p["k"], x) for x in s[: t + 1]],
                   [dense(p["v"], x) for x in s[: t + 1]], config.heads)
        out.append(feed_forward(p["f1"], p["f2"], layer_norm(p["ln"], a + residual[t])))
    return out


def forward(params, items, behaviours, counts, config):
    """Hidden states z_1..z_n.  -> n vectors [D]."""
    z = input_codes(params, items, counts, config)
    for block in params["blocks"]:
        s = behaviour_encoder(block["behaviour"], z, behaviours, config) if config.merge == "encoder" else z
        z = sequence_encoder(block["sequence"], s, z, config)
    return z


def score(params, z, item, c, config):
    """z . q^o of one state and one candidate.  Step (5)."""
    return np.dot(z, candidate_code(params, item, c, config))


def class_probabilities(params, z, q):
    """Of the K behaviours.  -> list of K numbers.  Step (6)."""
    logits = dense(params["class2"], dense(params["class1"], np.concatenate([q, z])))
    return softmax([logits[k] for k in range(len(logits))])


def ranking_term(params, z, item, behaviour, c, negative, c_negative, config):
    """What one event adds to L_rank: the item that followed, weighted by its behaviour, and one negative. (7)"""
    yes = 1 / (1 + np.exp(-score(params, z, item, c, config)))
    no = 1 / (1 + np.exp(-score(params, z, negative, c_negative, config)))
    return -config.weights[behaviour - 1] * np.log(yes) - np.log(1 - no)


def loss(params, items, behaviours, counts, following, config):
    """L_rank + theta L_class of one sequence, the sum over its events (not the mean).  Step (7).

    following[t] = (item, its behaviour, its counts, negative item, the negative's counts) of what event t predicts.
    """
    rank = classes = 0.0
    for z, one in zip(forward(params, items, behaviours, counts, config), following, strict=True):
        item, behaviour, c, _, _ = one
        rank = rank + ranking_term(params, z, *one, config)
        q = candidate_code(params, item, c, config)
        classes = classes - np.log(class_probabilities(params, z, q)[behaviour - 1])
    return rank + config.theta * classes
