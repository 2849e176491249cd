"""ATRank by hand in all forms of variants/atrank.py, as the cases need them.

Objects, events and histories as in mbref/by_hand/atrank.py.
"""
import autograd.numpy as np

from mbref.by_hand import atrank as paper
from mbref.by_hand.atrank import dense, object_embedding, one_hot, relu_dense, row, weighted_sum


def entropy(z, label):
    """-log sigmoid(z) or -log(1 - sigmoid(z)), log(1 + e^x) written for large |x| too."""
    x = -z if label else z
    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))


def bucket(gap, rule):
    """Number of a time bucket, by the rule of the paper or of the release."""
    return paper.bucket(gap) if rule == "paper" else min(int(np.floor(np.log2(gap + 1))), 12)


def time_code(gap, rule):
    """One-hot bucket of a gap; the release has no place for its bucket 12.  -> [12] or [14]."""
    return one_hot(bucket(gap, rule), 12 if rule == "release" else 14)


def layer_of(config):
    """F_M with or without its ReLU."""
    return relu_dense if config.group_relu else dense


def behaviour(params, event, config):
    """u F_M: one event in the space that all groups share.  -> [D]."""
    thing, action, gap = event
    p = params["groups"][thing[0]]
    parts = [object_embedding(params, thing, config)]
    if config.actions[thing[0]]:
        parts.append(row(p["action"], action))
    if config.time:
        parts.append(time_code(gap, config.bucket))
    return layer_of(config)(p, np.concatenate(parts))


def target(params, thing, config):
    """h_t: the candidate as it is, or through its group's layer.  -> [D]."""
    x, p = object_embedding(params, thing, config), params["groups"][thing[0]]
    if config.query == "raw":
        return x
    return layer_of(config)({"w": p["w"][: len(x)], "b": p["b"]}, x)


def attend(p, query, memory, config):
    """What one query finds among the events, by bilinear scores or dot products.  -> [D]."""
    if config.scores == "bilinear":
        return paper.attend(p, query, memory, config.heads)
    size, found = len(query) // config.heads, []
    for k in range(config.heads):
        space = slice(k * size, (k + 1) * size)
        q = relu_dense(p["q"], query)[space]
        keys, values = ([relu_dense(p[part], x)[space] for x in memory] for part in "kv")
        weights = paper.softmax([np.dot(q, key) / size**0.5 for key in keys])
        found.append(np.zeros(size) + weighted_sum(weights, values))
    return np.concatenate(found)


def block(p, query, memory, config):
    """One block of attention for one query.  -> [D]."""
    return paper.after_attention(p, attend(p, query, memory, config), query)


def states(params, history, config):
    """The events after self-attention.  -> n vectors."""
    x = [behaviour(params, event, config) for event in history]
    for p in params.get("self", ()):  # a case without such blocks does not have the name
        x = [block(p, one, x, config) for one in x]
    return x


def user_vector(params, x, memory, config):
    """What the candidate's vector x finds in the history.  -> [D]."""
    for p in params["vanilla"]:
        x = block(p, x, memory, config)
    return x


def score(params, history, candidate, config):
    """z = u . h_t, and b_o where there is one.  -> z, u and h_t."""
    x = target(params, candidate, config)
    u = user_vector(params, x, states(params, history, config), config)
    group, ids = candidate
    return np.dot(u, x) + (params["bias"][group][ids[0]] if config.item_bias else 0.0), u, x


def squares(x):
    """The sum of squares of an array, or of all arrays in lists, in dicts."""
    if hasattr(x, "shape"):
        return np.sum(x**2)
    return sum(squares(part) for part in (x.values() if hasattr(x, "values") else x))


def loss(params, history, candidate, label, config, count=1):
    """What one (history, candidate, label) adds to the loss; the squares of weights come once."""
    z, u, x = score(params, history, candidate, config)
    mean = entropy(z, label) + config.weight_decay / 2 * squares(params)
    return mean / count + config.penalty / 2 * (np.sum(u**2) + np.sum(x**2))
