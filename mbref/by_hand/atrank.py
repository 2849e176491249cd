"""ATRank for ONE history and one candidate without padding: loops over events and semantic spaces.

Steps (1)-(7) as in papers/atrank.py. An object is (group, its feature ids), itself first, 0 where a
feature is unknown. An event is (object, action 1.., time gap in days); a history is a list of
events of any groups, in any order; vectors are [D].
"""
import autograd.numpy as np

from mbref.by_hand.basics import BUCKETS, bucket, dense, layer_norm, row, softmax, weighted_sum


def relu_dense(p, x):
    """max(x W + b, 0).  [D_in] -> [D_out]."""
    return np.maximum(dense(p, x), 0)


def object_embedding(params, thing, config):
    """emb(o): the embeddings of an object's features, side by side.  (2)."""
    group, ids = thing
    tables = [params["tables"][name] for name in config.groups[group]]
    return np.concatenate([row(table, number) for table, number in zip(tables, ids, strict=True)])


def one_hot(number, size):
    """`size` numbers, 1 at place `number` if there is such a place."""
    return np.array([1.0 if number == n else 0.0 for n in range(size)])


def behaviour(params, event, config):
    """u: one event in the space that all groups share.  -> [D].  (2)-(4)."""
    thing, action, gap = event
    p = params["groups"][thing[0]]
    parts = [object_embedding(params, thing, config)]
    if config.actions[thing[0]]:
        parts.append(row(p["action"], action))
    parts.append(one_hot(bucket(gap), BUCKETS))
    return relu_dense(p, np.concatenate(parts))


def target(params, thing, config):
    """h_t: a candidate through its group's layer, without action and time.  -> [D].  (6)."""
    x, p = object_embedding(params, thing, config), params["groups"][thing[0]]
    return np.maximum(x @ p["w"][: len(x)] + p["b"], 0)


def attend(p, query, memory, heads):
    """What one query finds among events, space by space; 0 without events.  -> [D].  (5), (6)."""
    size, found = len(query) // heads, []
    for k in range(heads):
        space = slice(k * size, (k + 1) * size)
        s = relu_dense(p["q"], query)[space]  # [D/K]
        w = p["k"]["w"][:, space].T  # W_k [D/K, D]
        weights = softmax([np.dot(s @ w, x) for x in memory])  # S_k W_k S^T, one entry an event
        values = [relu_dense(p["v"], x)[space] for x in memory]
        found.append(np.zeros(size) + weighted_sum(weights, values))
    return np.concatenate(found)


def after_attention(p, a, query):
    """Residual and norm, feed-forward net, residual and norm.  a, query [D] -> [D].  (5), (6)."""
    y = layer_norm(p["ln"], a + query)
    return layer_norm(p["ln_f"], dense(p["f2"], relu_dense(p["f1"], y)) + y)


def block(p, query, memory, heads):
    """One block of attention for one query.  -> [D].  (5), (6)."""
    return after_attention(p, attend(p, query, memory, heads), query)


def states(params, history, config):
    """C: the events after self-attention.  -> n vectors.  (5)."""
    x = [behaviour(params, event, config) for event in history]
    for p in params["self"]:
        x = [block(p, one, x, config.heads) for one in x]
    return x


def user_vector(params, x, memory, config):
    """u: what the candidate x finds in the history; every block reads the same.  -> [D].  (6)."""
    for p in params["vanilla"]:
        x = block(p, x, memory, config.heads)
    return x


def score(params, history, candidate, config):
    """z = u . h_t.  -> z, u and h_t.  (7)."""
    x = target(params, candidate, config)
    u = user_vector(params, x, states(params, history, config), config)
    return np.dot(u, x), u, x


def loss(params, history, candidate, label, config, count=1):
    """What one (history, candidate, label) adds to the loss of `count` of them.  -> number.  (7).

    The cross entropy is a mean over them, the squares of user vector and target are a sum.
    """
    z, u, x = score(params, history, candidate, config)
    p = 1 / (1 + np.exp(-z))
    fit = -np.log(p) if label else -np.log(1 - p)
    return fit / count + config.penalty / 2 * (np.sum(u**2) + np.sum(x**2))
