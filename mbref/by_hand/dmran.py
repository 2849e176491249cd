"""DMRAN for ONE history without padding, as the paper prints it: loops over events, hops, features.

Equation numbers are the paper's; parameters and marks as in papers/dmran.py. A history is a list of
(object, gap), oldest first, with at least one event; an object is the list of its ids: [item] or
[item, category]. Vectors are [d].
"""
import autograd.numpy as np

from mbref.by_hand.basics import bucket, dense, row, softmax, weighted_sum


def object_code(params, ids):
    """V of an item, or of item and category side by side; an unknown category, 0, is zeros."""
    # Deviation D2: half of the width each
    return np.concatenate([row(table, i) for table, i in zip(params["V"], ids, strict=True)])


def history_code(params, history):
    """u_j = [V of the object ; T of its gap] W_0 + b_0.  -> n vectors.  Eq. 1, 2."""
    u = []
    for ids, gap in history:
        # Deviation D3: 14 buckets
        both = np.concatenate([object_code(params, ids), params["T"][bucket(gap)]])
        u.append(dense(params["W_0"], both))  # Deviation D1: no activation
    return u


def hop_weights(W_s1, w_s2, u):
    """alpha_j = softmax over j of e_j = w_s2 . relu(W_s1 u_j).  -> n numbers.  Eq. 3-5."""
    return softmax([np.dot(w_s2, np.maximum(W_s1 @ u_j, 0)) for u_j in u])


def single_hop(W_s1, w_s2, u):
    """m = sum_j alpha_j u_j: what one hop finds in the history.  -> [d].  Eq. 3-6."""
    return weighted_sum(hop_weights(W_s1, w_s2, u), u)


def item_attention(params, u):
    """A, one row of n numbers a hop: the single-hop weights of each row of W_s2.  Eq. 7."""
    return [hop_weights(params["W_s1"], w_s2, u) for w_s2 in params["W_s2"]]


def pair_scores(params, m_i, m_j):
    """F(m_i, m_j) = W_s5 tanh(W_s4 m_i + W_s3 m_j + b_s2) + b_s1.  -> [d].  Eq. 9."""
    inner = np.tanh(params["W_s4"] @ m_i + params["W_s3"] @ m_j + params["b_s2"])
    return params["W_s5"] @ inner + params["b_s1"]


def feature_weights(params, m_i, rows):
    """beta_ijk of rows m_j: for every k a softmax over j.  -> d lists of numbers.  Eq. 10, 11."""
    F = [pair_scores(params, m_i, m_j) for m_j in rows]
    return [softmax([F_j[k] for F_j in F]) for k in range(len(m_i))]


def weighted_features(beta, rows):
    """Feature by feature, the sum over j of beta_jk m_jk.  -> [d].  Eq. 12."""
    features = [[m_j[k] for m_j in rows] for k in range(len(beta))]  # Deviation D22: m_j, not m_i
    return np.array(list(map(weighted_sum, beta, features)))


def feature_attention(params, M):
    """M^, a weighted sum of all rows for every row.  r vectors -> r vectors.  Eq. 12, 13."""
    # Deviation D5: a row looks at itself, too
    return [weighted_features(feature_weights(params, m_i, M), M) for m_i in M]


def vanilla(M, i_c):
    """f_vanilla: softmax over j of m_j . i_c / sqrt(d), times m_j.  -> [d].  Eq. 14, 15."""
    return weighted_sum(softmax([np.dot(m_j, i_c) / len(i_c) ** 0.5 for m_j in M]), M)


def fusion(params, h, h_hat):
    """h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  -> [d].  Eq. 16."""
    G = 1 / (1 + np.exp(-(h @ params["W_f1"] + h_hat @ params["W_f2"] + params["b_f"])))
    return G * h + (1 - G) * h_hat  # Deviation D9: G belongs to h


def forward(params, history):
    """M and M^, r vectors each, and A, r lists of n numbers.  Eq. 1-13."""
    u = history_code(params, history)
    A = item_attention(params, u)
    M = [weighted_sum(row, u) for row in A]  # eq. 8
    return M, feature_attention(params, M), A


def match(params, M, M_hat, candidate):
    """s = h_c . i_c for one object.  -> s, h_c and i_c.  Eq. 14-17."""
    i_c = object_code(params, candidate)  # Deviation D11: V of the object itself
    h_c = fusion(params, vanilla(M, i_c), vanilla(M_hat, i_c))
    return np.dot(h_c, i_c), h_c, i_c  # Deviation D10: no item bias


def score(params, history, candidate):
    """s of one object for one history.  -> number.  Eq. 1-17."""
    M, M_hat, _ = forward(params, history)
    return match(params, M, M_hat, candidate)[0]


def redundancy(A):
    """sum_ij ((A A^T)_ij - [i = j])^2, A a list of r lists of n numbers.  Eq. 22."""
    total = 0.0
    for i, one in enumerate(A):
        for j, other in enumerate(A):
            total = total + (weighted_sum(one, other) - (i == j)) ** 2
    return total


def loss(params, history, positive, negative, config):
    """The loss of one target and its negative, with both penalties.  Eq. 20-22."""
    M, M_hat, A = forward(params, history)
    yes, h_yes, i_yes = match(params, M, M_hat, positive)
    no, h_no, i_no = match(params, M, M_hat, negative)
    likelihood = np.log(1 / (1 + np.exp(-yes))) + np.log(1 - 1 / (1 + np.exp(-no)))  # eq. 20
    fit = -likelihood / 2  # Deviation D15: a mean over scores
    # Deviation D12, D13: of activations alone, and of no user vector
    size = sum(np.sum(x**2) for x in (h_yes, i_yes, h_no, i_no))
    # Deviation D14: of one sample
    return fit + config.penalty / 2 * size + config.redundancy * redundancy(A)
