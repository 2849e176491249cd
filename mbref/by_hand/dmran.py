"""DMRAN for ONE history without padding, as the paper prints it: loops over events, hops and features.

Uses autograd.numpy alone, so that its gradients can be compared too. Equation numbers are the paper's; parameters,
config and marks as in papers/dmran.py. A history is a list of (object, gap), oldest first, with at least one event; an
object is the list of its ids: [item] or [item, category]. Vectors are [d].
"""
import autograd.numpy as np


def bucket(gap, rule):
    """0 for a gap below 1, 1 in [1, 2), 2 in [2, 4) ..., 13 from 4096 on; "release": floor(log2(gap + 1))."""
    if rule == "release":
        return min(int(np.log2(gap + 1)), 12)
    k = 0
    while k < 13 and gap >= 2**k:  # Deviation D3
        k += 1
    return k


def object_code(params, ids):  # Deviation D2
    """V of an item, or of item and category side by side; an unknown category, 0, is a vector of zeros."""
    return np.concatenate([table[i] if i > 0 else 0 * table[0] for table, i in zip(params["V"], ids, strict=True)])


def dense(p, x):
    """x W + b.  [D_in] -> [D_out]."""
    return x @ p["w"] + p["b"]


def history_code(params, history, config):
    """u_j = [V of the object ; T of its gap] W_0 + b_0.  -> n vectors.  Eq. 1, 2."""
    u = []
    for ids, gap in history:
        time = [params["T"][bucket(gap, config.bucket)]] if config.time else []
        u.append(dense(params["W_0"], np.concatenate([object_code(params, ids), *time])))
    return u


def softmax(scores):
    """Of a list of numbers.  -> list."""
    e = [np.exp(s - max(scores)) for s in scores]
    return [x / sum(e) for x in e]


def hop_weights(W_s1, w_s2, u):
    """alpha_j = softmax over j of e_j = w_s2 . relu(W_s1 u_j).  n vectors -> n numbers.  Eq. 3-5."""
    return softmax([np.dot(w_s2, np.maximum(W_s1 @ u_j, 0)) for u_j in u])


def weighted_sum(weights, vectors):
    """sum_j w_j x_j."""
    return sum(w * x for w, x in zip(weights, vectors, strict=True))


def single_hop(W_s1, w_s2, u):
    """m = sum_j alpha_j u_j: what one hop finds in the history.  -> [d].  Eq. 3-6."""
    return weighted_sum(hop_weights(W_s1, w_s2, u), u)


def item_attention(params, u):
    """A, one row of n numbers a hop: the single-hop weights of each row of W_s2.  Eq. 7."""
    return [hop_weights(params["W_s1"], w_s2, u) for w_s2 in params["W_s2"]]


def redundancy(A):
    """sum_ij ((A A^T)_ij - [i = j])^2, A a list of r lists of n numbers.  Eq. 22."""
    return sum((sum(a * b for a, b in zip(A[i], A[j], strict=True)) - (i == j)) ** 2
               for i in range(len(A)) for j in range(len(A)))


def pair_scores(params, m_i, m_j):
    """F(m_i, m_j) = W_s5 tanh(W_s4 m_i + W_s3 m_j + b_s2) + b_s1.  -> [d].  Eq. 9."""
    return params["W_s5"] @ np.tanh(params["W_s4"] @ m_i + params["W_s3"] @ m_j + params["b_s2"]) + params["b_s1"]


def feature_weights(params, M, i, others):
    """beta_ijk for all j in `others`: for every k a softmax over j.  -> d lists of numbers.  Eq. 10, 11."""
    F = [pair_scores(params, M[i], M[j]) for j in others]  # Deviation D22
    return [softmax([F_j[k] for F_j in F]) for k in range(len(M[i]))]


def feature_attention(params, M, config):
    """M^_i, feature by feature: sum over j of beta_ijk M_jk.  r vectors -> r vectors.  Eq. 12, 13."""
    M_hat = []
    for i in range(len(M)):
        others = [j for j in range(len(M)) if config.diagonal or j != i]  # Deviation D5
        beta = feature_weights(params, M, i, others) if others else [[]] * config.width
        M_hat.append(np.array([sum((b * M[j][k] for b, j in zip(beta[k], others, strict=True)), 0.0)
                               for k in range(config.width)]))
    if not config.robust:
        return M_hat
    return [feed_forward(params["after"], M_hat[i] + M[i]) for i in range(len(M))]  # Deviation D8


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [d] -> [d]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]


def feed_forward(p, x):
    """y = LN(x), then LN(W_2 relu(W_1 y + b_1) + b_2 + y): how a block of ATRank ends.  [d] -> [d]."""
    y = layer_norm(p["ln"], x)
    return layer_norm(p["ln_f"], dense(p["f2"], np.maximum(dense(p["f1"], y), 0)) + y)


def attend(query, keys, values):
    """softmax over j of query . key_j / sqrt(their length), times values.  -> [size of a value]."""
    return weighted_sum(softmax([np.dot(query, key) / len(query) ** 0.5 for key in keys]), values)


def vanilla(p, M, i_c, config):
    """f_vanilla(M, i_c).  -> [d].  Eq. 14, 15."""
    if config.robust:  # the vanilla attention of ATRank, head by head  # Deviation D6, D7
        q = np.maximum(dense(p["q"], i_c), 0)
        keys, values = ([np.maximum(dense(p[name], m), 0) for m in M] for name in "kv")
        size, found = config.width // config.heads, []
        for h in range(config.heads):
            part = slice(h * size, (h + 1) * size)
            found.append(attend(q[part], [key[part] for key in keys], [value[part] for value in values]))
        return feed_forward(p, np.concatenate(found) + i_c)
    return attend(i_c, M, M) if config.pool == "attention" else sum(M) / len(M)


def fusion(params, h, h_hat):
    """h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  -> [d].  Eq. 16."""
    G = 1 / (1 + np.exp(-(h @ params["W_f1"] + h_hat @ params["W_f2"] + params["b_f"])))
    return G * h + (1 - G) * h_hat  # Deviation D9


def forward(params, history, config):
    """M and M^, r vectors each, and A, r lists of n numbers; None for what a variant leaves out.  Eq. 1-13."""
    u = history_code(params, history, config)
    A = item_attention(params, u) if config.variant != "feature" else None
    M = [weighted_sum(row, u) for row in A] if A else u  # eq. 8
    return M, feature_attention(params, M, config) if config.variant != "item" else None, A


def candidate_vector(params, M, M_hat, i_c, config):
    """h_c.  -> [d].  Eq. 14-16."""
    if config.variant == "item":
        return vanilla(params.get("van"), M, i_c, config)
    h_hat = vanilla(params.get("van_hat"), M_hat, i_c, config)
    return fusion(params, vanilla(params.get("van"), M, i_c, config), h_hat) if config.fuse else h_hat


def match(params, M, M_hat, candidate, config):
    """s = h_c . i_c (+ b of the item) for one object.  -> s, h_c and i_c.  Eq. 17."""
    i_c = object_code(params, candidate)  # Deviation D11
    h_c = candidate_vector(params, M, M_hat, i_c, config)
    return np.dot(h_c, i_c) + (params["b"][candidate[0]] if config.item_bias else 0.0), h_c, i_c  # Deviation D10


def score(params, history, candidate, config):
    """s of one object for one history.  -> number.  Eq. 1-17."""
    M, M_hat, _ = forward(params, history, config)
    return match(params, M, M_hat, candidate, config)[0]


def squares(x):
    """The sum of squares of an array, or of all arrays in lists, in dicts."""
    if hasattr(x, "shape"):
        return np.sum(x**2)
    return sum(squares(part) for part in (x.values() if hasattr(x, "values") else x))


def loss(params, history, positive, negative, config):
    """-log of sigmoid(s+) (1 - sigmoid(s-)), halved, and the three penalties, for one target.  Eq. 20-22."""
    M, M_hat, A = forward(params, history, config)
    yes, *activations = match(params, M, M_hat, positive, config)
    no, *more = match(params, M, M_hat, negative, config)
    P = 1 / (1 + np.exp(-yes)) * (1 - 1 / (1 + np.exp(-no)))
    used = config.penalty / 2 * squares(activations + more)  # lambda_1  # Deviation D12, D13
    weights = config.weight_decay / 2 * squares(params)  # lambda_2  # Deviation D13
    overlap = config.redundancy * redundancy(A) if A else 0.0  # lambda_3  # Deviation D14
    return -np.log(P) / 2 + used + weights + overlap  # Deviation D15
