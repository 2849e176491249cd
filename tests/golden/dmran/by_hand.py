"""DMRAN by hand, row by row of a batch: the components, and the readings of variants/dmran.py.

The paper's own form is mbref/by_hand/dmran.py, from which this takes all that does not change.
"""
import autograd.numpy as np

from mbref.by_hand import dmran as by_hand
from mbref.check.components.reading import config_of
from mbref.variants import dmran
from tests.golden.shared.by_hand import entropy, rows, spread

# Other readings, for one history without padding.

def bucket(gap, rule):
    """The paper's, or "release": floor(log2(gap + 1)), at most 12."""
    return min(int(np.log2(gap + 1)), 12) if rule == "release" else by_hand.bucket(gap)


def history_code(params, history, config):
    """u_j, with or without time.  -> n vectors.  Eq. 1, 2."""
    u = []
    for ids, gap in history:
        time = [params["T"][bucket(gap, config.bucket)]] if config.time else []
        both = np.concatenate([by_hand.object_code(params, ids), *time])
        u.append(by_hand.dense(params["W_0"], both))
    return u


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [d] -> [d]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]


def feed_forward(p, x):
    """y = LN(x), then LN(W_2 relu(W_1 y + b_1) + b_2 + y), as a block of ATRank ends.  -> [d]."""
    y = layer_norm(p["ln"], x)
    inner = np.maximum(by_hand.dense(p["f1"], y), 0)
    return layer_norm(p["ln_f"], by_hand.dense(p["f2"], inner) + y)


def feature_attention(params, M, allowed, robust=False):
    """M^_i from the rows that are allowed to i, 0 if there are none.  -> r vectors.  Eq. 9-13."""
    M_hat = []
    for m_i, others in zip(M, allowed, strict=True):
        others = [m_j for m_j, is_allowed in zip(M, others, strict=True) if is_allowed]
        beta = by_hand.feature_weights(params, m_i, others) if others else []
        m_hat = by_hand.weighted_features(beta, others) if others else np.zeros(len(m_i))
        M_hat.append(feed_forward(params["after"], m_hat + m_i) if robust else m_hat)
    return M_hat


def attend(query, keys, values):
    """softmax over j of query . key_j / sqrt(their length), times values.  -> [size of a value]."""
    scores = [np.dot(query, key) / len(query) ** 0.5 for key in keys]
    return by_hand.weighted_sum(by_hand.softmax(scores), values)


def released_block(p, M, i_c, heads):
    """The vanilla attention of ATRank's release, head by head.  -> [d]."""
    q = np.maximum(by_hand.dense(p["q"], i_c), 0)
    keys, values = ([np.maximum(by_hand.dense(p[name], m), 0) for m in M] for name in "kv")
    size, found = len(i_c) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        own = [key[part] for key in keys], [value[part] for value in values]
        found.append(attend(q[part], *own))
    return feed_forward(p, np.concatenate(found) + i_c)


def vanilla(p, M, i_c, config):
    """f_vanilla(M, i_c): of ATRank's release, the paper's, or a mean.  -> [d].  Eq. 14, 15."""
    if config.robust:
        return released_block(p, M, i_c, config.heads)
    return by_hand.vanilla(M, i_c) if config.pool == "attention" else sum(M) / len(M)


def match_rows(params, M, config):
    """M^ of the rows M, or None where it is left out."""
    if config.variant == "item":
        return None
    allowed = [[config.diagonal or i != j for j in range(len(M))] for i in range(len(M))]
    return feature_attention(params, M, allowed, config.robust)


def forward(params, history, config):
    """M and M^, and A, r lists of n numbers; None for what a variant leaves out.  Eq. 1-13."""
    u = history_code(params, history, config)
    if config.variant == "feature":
        return u, match_rows(params, u, config), None
    A = by_hand.item_attention(params, u)
    M = [by_hand.weighted_sum(row, u) for row in A]
    return M, match_rows(params, M, config), A


def candidate_vector(params, M, M_hat, i_c, config):
    """h_c.  -> [d].  Eq. 14-16."""
    if config.variant == "item":
        return vanilla(params.get("van"), M, i_c, config)
    h_hat = vanilla(params.get("van_hat"), M_hat, i_c, config)
    if not config.fuse:
        return h_hat
    return fuse(params, vanilla(params.get("van"), M, i_c, config), h_hat)


def fuse(params, h, h_hat):
    """h_c = G * h + (1 - G) * h^ with a sigmoid that does not overflow.  -> [d].  Eq. 16."""
    G = 0.5 + 0.5 * np.tanh((h @ params["W_f1"] + h_hat @ params["W_f2"] + params["b_f"]) / 2)
    return G * h + (1 - G) * h_hat


def match(params, M, M_hat, candidate, config):
    """s = h_c . i_c (+ b of the item) for one object.  -> s, h_c and i_c.  Eq. 17."""
    i_c = by_hand.object_code(params, candidate)
    h_c = candidate_vector(params, M, M_hat, i_c, config)
    bias = params["b"][candidate[0]] if config.item_bias else 0.0
    return np.dot(h_c, i_c) + bias, h_c, i_c


def score(params, history, candidate, config):
    """s of one object for one history.  -> number.  Eq. 1-17."""
    M, M_hat, _ = forward(params, history, config)
    return match(params, M, M_hat, candidate, config)[0]


def squares(x):
    """The sum of squares of an array, or of all arrays in lists, in dicts."""
    if hasattr(x, "shape"):
        return np.sum(x**2)
    return sum(squares(part) for part in (x.values() if hasattr(x, "values") else x))


def term(params, states, candidate, label, config):
    """What a candidate adds to the fit, and the squares that lambda_1 is on.  Eq. 20, 21."""
    s, *activations = match(params, *states[:2], candidate, config)
    return entropy(s, label), squares(activations)


def overlap(states, config):
    """How much the hops of a row overlap; of events in their place nothing does.  Eq. 22."""
    return by_hand.redundancy(states[2]) if config.variant != "feature" else 0.0


def loss(params, history, positive, negative, config):
    """The loss of one target, with the three penalties.  Eq. 20-22."""
    states = forward(params, history, config)
    (yes, size), (no, more) = (term(params, states, candidate, label, config)
                               for candidate, label in ((positive, True), (negative, False)))
    fit = (yes + no) / 2 + config.redundancy * overlap(states, config)
    return fit + config.penalty / 2 * (size + more) + config.weight_decay / 2 * squares(params)


# The components of a batch.

def config_from(inputs, **more):
    return config_of(dmran.Config, inputs, **more)


def object_of(inputs, item):
    """An item as by_hand reads it: the list of its ids."""
    return [item, inputs["category"][item]] if inputs.get("categories") else [item]


def histories(inputs):
    """The events of every row."""
    for item, gap in zip(inputs["item"], inputs["gap"], strict=True):
        yield [(object_of(inputs, i), g) for i, g in zip(item, gap, strict=True) if i]


def history_codes(params, inputs):
    config, found = config_from(inputs), []
    for events, item in zip(histories(inputs), inputs["item"], strict=True):
        found.append(np.array(spread(history_code(params, events, config), item > 0, config.width)))
    return {"H": np.array(found)}


def item_attention(params, inputs):
    def one(H, real):
        at = np.flatnonzero(real)
        nothing = [[]] * len(params["W_s2"])
        A = by_hand.item_attention(params, [H[t] for t in at]) if len(at) else nothing
        return [np.array(spread(hop, real, ())) for hop in A]
    return {"A": rows(one, inputs["H"], inputs["real"])}


def redundancy(params, inputs):
    return {"penalty": rows(by_hand.redundancy, inputs["A"])}


def alignment(params, inputs):
    def one(M, allowed):
        weights = []
        for i, others in enumerate(allowed):
            beta = by_hand.feature_weights(params, M[i], M[others]) if others.any() else []
            vectors = [np.array([weights_k[n] for weights_k in beta]) for n in range(others.sum())]
            weights.append(np.array(spread(vectors, others, M.shape[1])))
        return np.array(weights)
    return {"beta": rows(one, inputs["M"], inputs["allowed"])}


def feature_attentions(params, inputs):
    def one(M, allowed):
        return feature_attention(params, list(M), allowed, inputs.get("robust"))
    return {"M_hat": rows(one, inputs["M"], inputs["allowed"])}


def vanillas(params, inputs):
    config, p = config_from(inputs, items=1, width=inputs["M"].shape[-1]), params.get("van")

    def nothing(c):
        return feed_forward(p, c) if config.robust else 0 * c

    def one(M, i_c, real):
        kept = [M[j] for j in np.flatnonzero(real)]
        return [vanilla(p, kept, c, config) if kept else nothing(c) for c in i_c]
    return {"h": rows(one, inputs["M"], inputs["i_c"], inputs["real"])}


def fusion(params, inputs):
    def one(h, h_hat):
        return [fuse(params, *pair) for pair in zip(h, h_hat, strict=True)]
    return {"h_c": rows(one, inputs["h"], inputs["h_hat"])}


def states_of(params, events, config):
    """M, M^ and A; of an empty history M and A are zeros, and so is all that follows."""
    if events:
        return forward(params, events, config)
    M = [np.zeros(config.width)] * config.hops
    return M, match_rows(params, M, config), [[0.0]] * config.hops


def scores(params, inputs):
    config, found = config_from(inputs), []
    for events, row in zip(histories(inputs), inputs["candidate"], strict=True):
        M, M_hat, _ = states_of(params, events, config)
        ids = [object_of(inputs, i) for i in row]
        found.append(np.array([match(params, M, M_hat, one, config)[0] for one in ids]))
    return {"scores": np.array(found)}


def model(params, inputs):
    """Means over the candidates, and of the overlap over the rows; lambda_1 counts all squares."""
    config, total, rows_of = config_from(inputs), 0.0, (inputs["candidate"], inputs["label"])
    for events, candidates, labels in zip(histories(inputs), *rows_of, strict=True):
        states = states_of(params, events, config)
        total = total + config.redundancy * overlap(states, config) / len(inputs["item"])
        for i, label in zip(candidates, labels, strict=True):
            if i:
                fit, size = term(params, states, object_of(inputs, i), label, config)
                total = total + fit / (inputs["candidate"] > 0).sum() + config.penalty / 2 * size
    return {"loss": total + config.weight_decay / 2 * squares(params)}


BY_HAND = {"dmran.history_code": history_codes, "dmran.item_attention": item_attention,
           "dmran.redundancy": redundancy, "dmran.alignment": alignment,
           "dmran.feature_attention": feature_attentions, "dmran.vanilla": vanillas,
           "dmran.fusion": fusion, "dmran.score": scores, "dmran": model}
