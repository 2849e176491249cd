"""DMRAN: attention over items with time in several hops, then among the hops (IJCAI 2019).

Equation numbers are the paper's, whose text was at hand; its authors released no code. "Deviation
D5": a point that it leaves open, a row of released/LEDGER.md; other choices: variants/dmran.py.
B batch, n history length, C candidates, r hops, d width. Id 0 is padding, on the right.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.target_batches import examples_in_pairs as examples, ranking_batch, training_batch
from mbref.errors import require, require_ranges
from mbref.nn import in_parts, masks
from mbref.nn.attention import attention, masked_softmax, softmax
from mbref.nn.layers import (BUCKETS, by_chunks, dense, embed, glorot, ignore, init_dense,
                             matmul, pick, relu, sigmoid, stop_gradient, time_bucket)
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy, whole

# Deviation D17, D18: of "32 or 16", 16 rows of two scores, as many as the 32 of ATRank
SETTINGS = {"optimiser": "sgd", "rate": "1", "clip": "5", "batch_size": "16", "validate": "AUC"}


@dataclass(frozen=True)
class Config:
    """Shapes, and the settings that the paper names."""
    items: int                   # N
    categories: int = 0          # 0: the items have none
    width: int = 128             # d
    hops: int = 10               # r
    redundancy: float = 1e-4     # lambda_3 of eq. 22
    penalty: float = 5e-5        # lambda_1
    length: int = 50             # newest events that are read
    unit: int = 86400            # seconds in one unit of time gap: a day

    def __post_init__(self):
        require_ranges(self)
        require(self.width % 2 == 0, f"width is {self.width}: it must be even.")


def init(rng, config):
    """Draw the parameters under the paper's letters: Glorot-uniform, biases 0."""
    d = config.width
    sizes = [config.items, config.categories] if config.categories else [config.items]
    return {"V": [glorot(rng, size + 1, d // len(sizes)) for size in sizes],  # Deviation D2: halves
            "W_0": init_dense(glorot(rng, 2 * d, d)), "T": glorot(rng, BUCKETS, d),
            "W_s1": glorot(rng, d, d), "W_s2": glorot(rng, config.hops, d),  # Deviation D4: no bias
            "W_s3": glorot(rng, d, d), "W_s4": glorot(rng, d, d), "W_s5": glorot(rng, d, d),
            "b_s1": np.zeros(d), "b_s2": np.zeros(d),
            "W_f1": glorot(rng, d, d), "W_f2": glorot(rng, d, d), "b_f": np.zeros(d)}


def history_code(params, history, features):
    """H = [V[h] ; T[g]] W_0 + b_0.  features [N+1, 1 or 2] -> [B, n, d].  Eq. 1, 2."""
    v = embed(params["V"], features[history.item])  # [B, n, d]
    t = pick(params["T"], time_bucket(history.gap, "paper"))  # Deviation D3: 14 buckets  [B, n, d]
    return dense(params["W_0"], np.concatenate([v, t], axis=-1))  # Deviation D1: no activation


def item_attention(params, H, real):
    """A = softmax(relu(H W_s1^T) W_s2^T)^T, one row a hop.  H [B, n, d] -> [B, r, n].  Eq. 3-7."""
    scores = matmul(relu(matmul(H, params["W_s1"].T)), params["W_s2"].T)  # [B, n, r]
    return masked_softmax(np.swapaxes(scores, 1, 2), real[:, None])  # Deviation D21: no padding


@in_parts.aligned  # computes the same, with less memory
def feature_attention(params, M, tap=ignore):
    """M^_i = sum_j beta_ij * M_j, feature by feature.  M [B, r, d] -> [B, r, d].  Eq. 9-13."""
    m_i, m_j = M @ params["W_s4"].T, M @ params["W_s3"].T  # Deviation D22: m_j, not m_i
    F = np.tanh(m_i[:, :, None] + m_j[:, None] + params["b_s2"]) @ params["W_s5"].T  # [B, i, j, d]
    F = F + stop_gradient(params["b_s1"])  # the softmax cancels b_s1, so its gradient is exactly 0
    beta = np.swapaxes(softmax(np.swapaxes(F, 2, 3)), 2, 3)  # Deviation D5: over j, j = i included
    tap("beta", beta)
    return np.sum(beta * np.expand_dims(M, 1), axis=2)  # Deviation D8: no residual, no norm


def vanilla(M, i_c, tap=ignore, name="vanilla"):
    """softmax(i_c M^T / sqrt d) M for each candidate.  i_c [B, C, d] -> [B, C, d].  Eq. 14, 15."""
    return attention(i_c, M, M, None, tap=tap, name=name)  # Deviation D6, D7: no parameters


def fusion(params, h, h_hat):
    """h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  -> [B, C, d].  Eq. 16."""
    G = sigmoid(matmul(h, params["W_f1"]) + matmul(h_hat, params["W_f2"]) + params["b_f"])
    return G * h + (1 - G) * h_hat  # Deviation D9: G belongs to h


def forward(params, batch, config, tap=ignore, rng=None):
    """M and M^ [B, r, d], and A [B, r, n]; nothing is drawn from rng.  Eq. 1-13."""
    H = history_code(params, batch.histories[0], batch.features[0])  # Deviation D19: no dropout
    A = item_attention(params, H, masks.padding(batch.histories[0].item))
    M = A @ H  # eq. 8
    return M, feature_attention(params, M, tap), A


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """s = h_c . i_c of candidates [B, C], and h_c and i_c [B, C, d].  Eq. 14-17."""
    M, M_hat, _ = states
    i_c = embed(params["V"], batch.features[0][candidates])  # Deviation D11: V[c] itself
    h_hat = vanilla(M_hat, i_c, tap, "vanilla_hat")  # [B, C, d]
    h_c = fusion(params, vanilla(M, i_c, tap), h_hat)
    return np.sum(h_c * i_c, axis=-1), h_c, i_c  # Deviation D10: no item bias


def score(params, batch, candidates, config, forward=forward, logits=logits):
    """s of candidates [B, C].  -> [B, C].  Eq. 17."""
    return logits(params, batch, forward(params, batch, config), candidates, config)[0]


def score_all(params, batch, config, forward=forward, logits=logits):
    """s of all items 1..N; the history is encoded once.  -> [B, N].  Eq. 17."""
    states = forward(params, batch, config)
    return by_chunks(lambda ids: logits(params, batch, states, ids, config)[0], batch)


def redundancy(A):
    """||A A^T - I||_F^2: 0 if every hop has an event of its own.  [B, r, n] -> [B].  Eq. 22."""
    identity = masks.diagonal(A.shape[1], stop_gradient(A))  # [r, r]
    return np.sum((A @ np.swapaxes(A, 1, 2) - identity) ** 2, axis=(1, 2))


def loss(params, batch, config, rng=None, forward=forward, logits=logits):
    """Cross entropy of positives and negatives, and both penalties.  -> scalar.  Eq. 20-22."""
    states = forward(params, batch, config)
    s, h_c, i_c = logits(params, batch, states, batch.candidate, config)
    real = batch.candidate > 0  # [B, C]
    fit = masked_mean(sigmoid_cross_entropy(s, batch.label), real)  # Deviation D15: a mean
    size = np.sum((h_c**2 + i_c**2) * real[..., None])  # Deviation D12, D13: of activations alone
    overlap = np.sum(redundancy(states[2])) / whole(len(s))  # Deviation D14: a mean over samples
    return fit + config.penalty / 2 * size + config.redundancy * overlap
