"""ATRank for ONE history and one candidate without padding, as the paper prints it: loops over events and spaces.

Uses autograd.numpy alone, so that its gradients can be compared too. Steps (1)-(7) as in papers/atrank.py.
An object is (group, its feature ids), the object itself first and 0 where a feature is unknown; an event, step (1), is
(object, action 1.., time gap in days). A history is a list of events of any groups, in any order; vectors are [D].
"""
import autograd.numpy as np


def dense(p, x):
    """x W + b.  [D_in] -> [D_out]."""
    return x @ p["w"] + p["b"]


def relu_dense(p, x):
    """max(x W + b, 0).  [D_in] -> [D_out]."""
    return np.maximum(dense(p, x), 0)


def row(table, number):
    """One row of an embedding table, zeros for 0.  -> [D]."""
    return table[number] if number > 0 else np.zeros(table.shape[1])


def object_embedding(params, thing, config):
    """emb_i(o): the embeddings of an object's features, side by side.  Step (2)."""
    group, ids = thing
    names = config.groups[group]
    return np.concatenate([row(params["tables"][name], number) for name, number in zip(names, ids, strict=True)])


def bucket(gap, rule):
    """Number of a time bucket.  Step (3)."""
    if rule == "release":
        return min(int(np.floor(np.log2(gap + 1))), 12)
    return min(int(np.floor(np.log2(gap))) + 1, 13) if gap >= 1 else 0


def one_hot(number, size):
    """`size` numbers, 1 at place `number` if there is such a place."""
    return np.array([1.0 if number == n else 0.0 for n in range(size)])


def time_code(gap, rule):
    """One-hot bucket of a time gap; the release has no place for its bucket 12.  -> [12] or [14].  Step (3)."""
    return one_hot(bucket(gap, rule), 12 if rule == "release" else 14)


def behaviour(params, event, config):
    """u_ij F_M: one event in the space that all groups share.  -> [D].  Steps (2)-(4)."""
    thing, action, gap = event
    p = params["groups"][thing[0]]
    parts = [object_embedding(params, thing, config)]
    if config.actions[thing[0]]:
        parts.append(row(p["action"], action))
    u = dense(p, np.concatenate([*parts, time_code(gap, config.bucket)]))
    return np.maximum(u, 0) if config.group_relu else u


def target(params, thing, config):
    """h_t: the candidate as it is, or through its group layer with nothing for action and time.  -> [D].  Step (6)."""
    x, p = object_embedding(params, thing, config), params["groups"][thing[0]]
    if config.query == "raw":
        return x
    h = x @ p["w"][: len(x)] + p["b"]
    return np.maximum(h, 0) if config.group_relu else h


def softmax(scores):
    """Of a list of numbers.  -> list."""
    e = [np.exp(s - max(scores)) for s in scores]
    return [x / sum(e) for x in e]


def space_score(p, query, x, space, config):
    """How well event x answers the query in one semantic space.  Steps (5), (6)."""
    s_k = relu_dense(p["q"], query)[space]
    if config.scores == "dot":
        return np.dot(s_k, relu_dense(p["k"], x)[space]) / len(s_k)**0.5
    w_k = p["k"]["w"][:, space].T  # [D/K, D]: S_k W_k S^T, one entry of it
    return np.dot(s_k @ w_k, x)


def attend(p, query, memory, config):
    """What one query finds among the events, space by space; nothing in an empty history.  -> [D].  Steps (5), (6)."""
    size, found = config.width // config.heads, []
    for k in range(config.heads):
        space = slice(k * size, (k + 1) * size)
        weights = softmax([space_score(p, query, x, space, config) for x in memory])
        found.append(sum((w * relu_dense(p["v"], x)[space] for w, x in zip(weights, memory, strict=True)),
                         np.zeros(size)))
    return np.concatenate(found)


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [D] -> [D]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]


def block(p, query, memory, config):
    """Attention, then the feed-forward net with one hidden layer, each with residual and layer norm.  -> [D]."""
    y = layer_norm(p["ln"], attend(p, query, memory, config) + query)
    return layer_norm(p["ln_f"], dense(p["f2"], relu_dense(p["f1"], y)) + y)


def states(params, history, config):
    """C: the events after self-attention.  -> n vectors.  Step (5)."""
    x = [behaviour(params, event, config) for event in history]
    for p in params["self"]:
        x = [block(p, one, x, config) for one in x]
    return x


def user_vector(params, x, memory, config):
    """e: what the candidate's vector x finds in the history; every block reads the same memory.  -> [D].  Step (6)."""
    for p in params["vanilla"]:
        x = block(p, x, memory, config)
    return x


def score(params, history, candidate, config):
    """z = b_o + e . h_t.  -> z, e and h_t.  Step (7)."""
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
    """What one (history, candidate, label) adds to the loss of `count` of them: cross entropy and L2.  Step (7).

    The cross entropy is a mean over them, the squares of user vector and target are a sum, those of the weights come
    once.
    """
    z, u, x = score(params, history, candidate, config)
    p = 1 / (1 + np.exp(-z))
    entropy = -np.log(p) if label else -np.log(1 - p)
    weights = config.weight_decay / 2 * squares(params)
    return (entropy + weights) / count + config.penalty / 2 * (np.sum(u**2) + np.sum(x**2))
