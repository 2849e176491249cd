"""DMRAN (IJCAI 2019): attention over items with time in several hops, then among the hops, feature by feature.

Equation numbers are the paper's. There is no code by the authors. Where the text leaves a point open, "Deviation" and a
number stand at the line that decides it; released/LEDGER.md says what the point is and how to choose otherwise.

Glossary of shapes: B batch, n history length, C candidates, r hops, d width. Id 0 is padding, on the right.
"""
from dataclasses import dataclass

import autograd.numpy as np
from autograd.misc import flatten

from mbref.data import targets
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention, masked_softmax
from mbref.nn.layers import (
    by_chunks,
    dense,
    embed,
    glorot,
    ignore,
    layer_norm,
    relu,
    stop_gradient,
    time_bucket,
)
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy
from mbref.papers.atrank import attention_block, init_block

# The text says batches of "32 or 16"; 16 rows of a positive and a negative are as many scores as ATRank's 32.
# Deviation D17, D18
SETTINGS = {"optimiser": "sgd", "rate": "1", "clip": "5", "batch_size": "16", "validate": "AUC"}


@dataclass(frozen=True)
class Config:
    """Shapes and switches."""
    items: int                         # N
    categories: int = 0                # 0: V is of items alone, else half its width of categories  # Deviation D2
    width: int = 128                   # d; 128
    hops: int = 10                     # r; 10
    variant: str = "full"              # "item": no dimension-wise level; "feature": no item level (eq. 7, 8)
    time: bool = True                  # False: DMRAN_No_Time, eq. 1 without T
    bucket: str = "paper"              # of eq. 1, as in atrank.py
    fuse: bool = True                  # False: h_c = h^, without eq. 14 and 16; the other reading of DMRAN_Feature
    diagonal: bool = True              # False: eq. 10 leaves out j = i, like DiSAN; a lone row gets 0  # Deviation D5
    pool: str = "attention"            # f_vanilla if not robust: by the candidate, or "mean"  # Deviation D6
    robust: bool = False               # residuals, norms and feed-forwards wherever shapes fit  # Deviation D6, D7, D8
    heads: int = 8                     # of f_vanilla when robust
    item_bias: bool = False            # add b_i in eq. 17  # Deviation D10
    redundancy: float = 1e-4           # lambda_3 of eq. 22, penalty averaged over samples  # Deviation D14
    penalty: float = 5e-5              # lambda_1: on h_c and i_c, as in atrank.py; no user vector  # Deviation D12, D13
    weight_decay: float = 0.0          # lambda_2: half of it times the squares of all weights  # Deviation D13
    length: int = 50                   # newest events that are read
    unit: int = 86400                  # seconds in one unit of time gap: a day

    def __post_init__(self):
        require_choice(self, variant=("full", "item", "feature"), bucket=("release", "paper"),
                       pool=("attention", "mean"))
        require(min(self.items, self.length, self.hops, self.heads, self.unit) >= 1 and self.categories >= 0,
                "items, length, hops, heads and unit must be at least 1, categories at least 0.")
        require(self.width >= 4 and self.width % self.heads == 0 and self.width % 2 == 0,
                "width must be even, a multiple of heads, and at least 4.")
        require(all(0 <= x < float("inf") for x in (self.redundancy, self.penalty, self.weight_decay)),
                "redundancy, penalty and weight_decay must be numbers of 0 or more.")


def init(rng, config):
    """Parameters as a nested dict of float64 arrays under the paper's letters; Glorot-uniform, biases 0."""
    d, half = config.width, config.width // 2
    V = [glorot(rng, config.items + 1, half), glorot(rng, config.categories + 1, half)] if config.categories else [
        glorot(rng, config.items + 1, d)]
    params = {"V": V, "W_0": {"w": glorot(rng, 2 * d if config.time else d, d), "b": np.zeros(d)}}
    if config.time:
        params["T"] = glorot(rng, 14, d)  # buckets 0 .. 13, the last one open  # Deviation D3
    if config.variant != "feature":
        params |= {"W_s1": glorot(rng, d, d), "W_s2": glorot(rng, config.hops, d)}  # no biases  # Deviation D4
    if config.variant != "item":
        params |= {name: glorot(rng, d, d) for name in ("W_s3", "W_s4", "W_s5")}
        params |= {"b_s1": np.zeros(d), "b_s2": np.zeros(d)}
        if config.fuse:
            params |= {"W_f1": glorot(rng, d, d), "W_f2": glorot(rng, d, d), "b_f": np.zeros(d)}
    if config.item_bias:
        params["b"] = np.zeros(config.items + 1)
    if config.robust and (config.fuse or config.variant == "item"):
        params["van"] = init_block(rng, d)
    if config.robust and config.variant != "item":  # h^ has its own, eq. 13 half of one  # Deviation D7, D8
        params["van_hat"], block = init_block(rng, d), init_block(rng, d)
        params["after"] = {name: block[name] for name in ("f1", "f2", "ln", "ln_f")}
    return params


def examples(events, config, rng):
    """Rows to draw training batches from: a target and its negative together."""
    return targets.examples(events, config.items, rng, pairs=True)  # Deviation D15, D16


def batch(events, rows, config, rng=None):
    """What the model reads of `events`: with rng, training targets `rows`; without, sequences `rows` to rank from."""
    make = targets.ranking_batch if rng is None else targets.training_batch
    return make(events, rows, config.length, config.items, config.unit)


def object_code(params, ids):
    """V[i]: item and, where there are any, category embedding.  ids [..., F] -> [..., d]."""
    return embed(params["V"], ids)  # Deviation D2


def history_code(params, history, features, config):
    """H = [V[h] ; T[g]] W_0 + b_0, no activation.  -> [B, n, d].  Eq. 1, 2."""
    v = object_code(params, features[history.item])  # [B, n, d]
    parts = [v, params["T"][time_bucket(history.gap, config.bucket)]] if config.time else [v]
    return dense(params["W_0"], np.concatenate(parts, axis=-1))  # Deviation D1, D3


def item_attention(params, H, real):
    """A = softmax(relu(H W_s1^T) W_s2^T)^T over the history, one row a hop; padding gets exactly 0.  Eq. 3-7.

    H [B, n, d], real [B, n] -> [B, r, n].
    """
    scores = relu(H @ params["W_s1"].T) @ params["W_s2"].T  # [B, n, r]  # Deviation D4
    return masked_softmax(np.swapaxes(scores, 1, 2), real[:, None])  # Deviation D21


def feature_weights(params, M, allowed):
    """beta_ij: how far each of d features of row j matters to row i; sums to 1 over j.  Eq. 9-11.

    M [B, r, d], allowed [B, r, r] -> [B, i, j, d]. b_s1 is the same for every j, so the softmax cancels it and its
    gradient is 0; stop_gradient only keeps the rounding of the backward pass, some 1e-18, out of that 0. The text after
    eq. 10 says "relevant to m_i" of feature k of m_i itself; m_j is meant.
    """
    row_i = np.expand_dims(M @ params["W_s4"].T, 2)  # [B, i, 1, d]
    row_j = np.expand_dims(M @ params["W_s3"].T, 1)  # [B, 1, j, d]  # Deviation D22
    F = np.tanh(row_i + row_j + params["b_s2"]) @ params["W_s5"].T + stop_gradient(params["b_s1"])  # [B, i, j, d]
    return np.swapaxes(masked_softmax(np.swapaxes(F, 2, 3), allowed[:, :, None]), 2, 3)


def feature_attention(params, M, allowed, config, tap=ignore):
    """M^_i = sum_j beta_ij * M_j, feature by feature.  M [B, r, d] -> [B, r, d].  Eq. 12, 13."""
    beta = feature_weights(params, M, allowed)
    tap("beta", beta)
    M_hat = np.sum(beta * np.expand_dims(M, 1), axis=2)  # [B, r, d]
    if not config.robust:
        return M_hat
    p = params["after"]  # Deviation D8
    y = layer_norm(p["ln"], M_hat + M)
    return layer_norm(p["ln_f"], dense(p["f2"], relu(dense(p["f1"], y))) + y)


def vanilla(p, M, i_c, real, config, tap=ignore, name="vanilla"):
    """f_vanilla: what a candidate finds in M.  M [B, r, d], i_c [B, C, d] -> [B, C, d].  Eq. 14, 15."""
    allowed = np.broadcast_to(real[:, None], i_c.shape[:2] + M.shape[1:2])  # [B, C, r]
    if config.robust:  # Deviation D6
        return attention_block(p, i_c, M, allowed, config.heads, tap=tap, name=name)
    query = i_c if config.pool == "attention" else np.zeros_like(i_c)  # equal scores: the mean
    return attention(query, M, M, allowed, tap=tap, name=name)


def fusion(params, h, h_hat):
    """h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  all [B, C, d].  Eq. 16."""
    G = 0.5 * np.tanh(0.5 * (h @ params["W_f1"] + h_hat @ params["W_f2"] + params["b_f"])) + 0.5
    return G * h + (1 - G) * h_hat  # Deviation D9


def forward(params, batch, config, tap=ignore, rng=None):
    """M, M^ [B, r, d] (None where a variant has none), A [B, r, n] or None, and which rows are real [B, r].  Eq. 1-13.

    In the "feature" variant M is the history H itself, so r = n and its padding is masked from here on.
    """
    history = batch.histories[0]
    M = H = history_code(params, history, batch.features[0], config)
    A, real = None, masks.padding(history.item)  # Deviation D21
    if config.variant != "feature":
        A = item_attention(params, H, real)
        tap("hops", A)
        M, real = A @ H, np.ones_like(real, shape=A.shape[:2])  # eq. 8
    tap("M", M)
    if config.variant == "item":
        return M, None, A, real
    others = True if config.diagonal else ~masks.diagonal(M.shape[1], real)  # Deviation D5
    M_hat = feature_attention(params, M, real[:, None] & real[:, :, None] & others, config, tap)
    tap("M_hat", M_hat)
    return M, M_hat, A, real


def logits(params, batch, states, candidates, config, tap=ignore):
    """h_c . i_c for candidates [B, C] (+ b_i); i_c is V[c] itself.  -> z [B, C], h_c and i_c.  Eq. 14-17."""
    M, M_hat, _, real = states
    i_c = object_code(params, batch.features[0][candidates])  # [B, C, d]  # Deviation D11
    if config.variant == "item":
        h_c = vanilla(params.get("van"), M, i_c, real, config, tap)
    else:
        h_c = vanilla(params.get("van_hat"), M_hat, i_c, real, config, tap, "vanilla_hat")  # Deviation D7
        if config.fuse:
            h_c = fusion(params, vanilla(params.get("van"), M, i_c, real, config, tap), h_c)
    z = np.sum(h_c * i_c, axis=-1)
    return z + params["b"][candidates] if config.item_bias else z, h_c, i_c  # Deviation D10


def score(params, batch, candidates, config):
    """Scores of candidates [B, C] ids, or None for all 1..N.  -> [B, C]. The history is encoded once.  Eq. 17."""
    states = forward(params, batch, config)
    if candidates is not None:
        return logits(params, batch, states, candidates, config)[0]
    return by_chunks(lambda ids: logits(params, batch, states, ids, config)[0], config.items, len(states[0]),
                     like=batch.features[0])


def redundancy(A):
    """||A A^T - I||_F^2 of every sample: 0 if each hop looks at one event of its own.  [B, r, n] -> [B].  Eq. 22."""
    same = masks.diagonal(A.shape[1], stop_gradient(A))  # [r, r]
    return np.sum((A @ np.swapaxes(A, 1, 2) - same) ** 2, axis=(1, 2))


def loss(params, batch, config, rng=None):
    """Mean of -log sigmoid(s+) and -log(1 - sigmoid(s-)), in place of eq. 18, 19, and penalties.  Eq. 20-22."""
    states = forward(params, batch, config)  # no dropout  # Deviation D19
    z, h_c, i_c = logits(params, batch, states, batch.candidate, config)
    real = batch.candidate > 0  # [B, C]
    total = masked_mean(sigmoid_cross_entropy(z, batch.label), real)  # Deviation D15
    total = total + 0.5 * config.penalty * np.sum((h_c**2 + i_c**2) * real[..., None])  # Deviation D12, D13
    if config.variant != "feature":
        total = total + config.redundancy * np.sum(redundancy(states[2])) / len(z)  # Deviation D14
    if config.weight_decay:
        total = total + 0.5 * config.weight_decay * np.sum(flatten(params)[0] ** 2)
    return total
