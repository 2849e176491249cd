"""Other readings of DMRAN: the paper's own variants, and the points that its text leaves open.

At its defaults this is papers/dmran.py, whose shapes and unchanged functions it takes.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np

from mbref.data.target_batches import examples_in_pairs as examples, ranking_batch, training_batch
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention, masked_softmax
from mbref.nn.layers import (BUCKETS, dense, embed, glorot, ignore, init_dense,
                             layer_norm, pick, relu, stop_gradient, time_bucket)
from mbref.papers import dmran
from mbref.papers.dmran import SETTINGS, fusion, item_attention, redundancy
from mbref.variants.atrank import dot_block, init_block, weights_loss


@dataclass(frozen=True)
class Config(dmran.Config):
    """Switches beside the paper's own settings."""
    # ablations of the paper
    variant: str = "full"        # "item": no feature level, M alone; "feature": H in the place of M
    time: bool = True            # False: DMRAN_No_Time, eq. 1 without T
    # points of the ledger
    bucket: str = "paper"        # "release": floor(log2(gap + 1)), as ATRank's code
    diagonal: bool = True        # False: eq. 10 leaves out j = i  # Deviation D5: a lone row gets 0
    pool: str = "attention"      # "mean": f_vanilla is the mean of M  # Deviation D6: no candidate
    robust: bool = False         # True: residuals, norms and more  # Deviation D8: where they fit
    item_bias: bool = False      # True: eq. 17 adds b_i  # Deviation D10: one number an item
    weight_decay: float = 0.0    # lambda_2  # Deviation D13: of all weights
    # others
    fuse: bool = True            # False: h_c = h^, without eq. 14 and 16: the other DMRAN_Feature
    heads: int = 8               # of f_vanilla when robust

    def __post_init__(self):
        super().__post_init__()
        require_choice(self, variant=("full", "item", "feature"), bucket=("release", "paper"),
                       pool=("attention", "mean"))
        require(self.width >= 4 or not self.robust,
                f"width is {self.width}: it must be at least 4 when robust.")


def init(rng, config):
    """Draw the parameters that the config needs, under the paper's letters."""
    d = config.width
    sizes = [config.items, config.categories] if config.categories else [config.items]
    params = {"V": [glorot(rng, size + 1, d // len(sizes)) for size in sizes],
              "W_0": init_dense(glorot(rng, 2 * d if config.time else d, d))}
    if config.time:
        params["T"] = glorot(rng, BUCKETS, d)
    if config.variant != "feature":
        params |= {"W_s1": glorot(rng, d, d), "W_s2": glorot(rng, config.hops, d)}
    if config.variant != "item":
        params |= {name: glorot(rng, d, d) for name in ("W_s3", "W_s4", "W_s5")}
        params |= {"b_s1": np.zeros(d), "b_s2": np.zeros(d)}
        if config.fuse:
            params |= {"W_f1": glorot(rng, d, d), "W_f2": glorot(rng, d, d), "b_f": np.zeros(d)}
    if config.item_bias:
        params["b"] = np.zeros(config.items + 1)
    return params | (init_robust(rng, config) if config.robust else {})


def init_robust(rng, config):
    """Draw the blocks of f_vanilla for h and h^, and what follows eq. 13."""
    params = {}
    if config.fuse or config.variant == "item":
        params["van"] = init_block(rng, config.width)
    if config.variant != "item":
        params["van_hat"] = init_block(rng, config.width)  # Deviation D7: h^ has a block of its own
        block = init_block(rng, config.width)
        params["after"] = {name: block[name] for name in ("f1", "f2", "ln", "ln_f")}
    return params


def history_code(params, history, features, config):
    """H = [V[h] ; T[g]] W_0 + b_0, or without T.  -> [B, n, d].  Eq. 1, 2."""
    x = embed(params["V"], features[history.item])  # [B, n, d]
    if config.time:
        t = pick(params["T"], time_bucket(history.gap, config.bucket))  # [B, n, d]
        x = np.concatenate([x, t], axis=-1)  # [B, n, 2d]
    return dense(params["W_0"], x)


def feature_weights(params, M, allowed):
    """beta_ij of eq. 9-11 over the rows j that are allowed.  M [B, r, d] -> [B, i, j, d].

    allowed [B, r, r]; a row i without any gets 0.
    """
    row_i = np.expand_dims(M @ params["W_s4"].T, 2)  # [B, i, 1, d]
    row_j = np.expand_dims(M @ params["W_s3"].T, 1)  # [B, 1, j, d]
    F = np.tanh(row_i + row_j + params["b_s2"]) @ params["W_s5"].T + stop_gradient(params["b_s1"])
    return np.swapaxes(masked_softmax(np.swapaxes(F, 2, 3), allowed[:, :, None]), 2, 3)


def feature_attention(params, M, allowed, config, tap=ignore):
    """M^_i = sum_j beta_ij * M_j, and what robust adds to it.  -> [B, r, d].  Eq. 12, 13."""
    if allowed is None:
        M_hat = dmran.feature_attention(params, M, tap)
    else:
        beta = feature_weights(params, M, allowed)
        tap("beta", beta)
        M_hat = np.sum(beta * np.expand_dims(M, 1), axis=2)  # [B, r, d]
    if not config.robust:
        return M_hat
    p = params["after"]  # Deviation D8: residual and norm, feed-forward with both
    y = layer_norm(p["ln"], M_hat + M)
    return layer_norm(p["ln_f"], dense(p["f2"], relu(dense(p["f1"], y))) + y)


def vanilla(p, M, i_c, real, config, tap=ignore, name="vanilla"):
    """f_vanilla over the real rows of M.  M [B, r, d], i_c [B, C, d] -> [B, C, d].  Eq. 14, 15."""
    allowed = np.broadcast_to(real[:, None], i_c.shape[:2] + M.shape[1:2])  # [B, C, r]
    if config.robust:  # Deviation D6: the block of ATRank's release
        return dot_block(p, i_c, M, allowed, config.heads, tap=tap, name=name)
    query = i_c if config.pool == "attention" else np.zeros_like(i_c)  # equal scores: the mean
    return attention(query, M, M, allowed, tap=tap, name=name)


def forward(params, batch, config, tap=ignore, rng=None):
    """M and M^ [B, r, d], A [B, r, n], and which rows are real [B, r].  Eq. 1-13.

    M^ is None in the "item" variant. In "feature" M is the history H itself, as if each event were
    a hop of its own, A = I [1, n, n]; its padding is masked from here on.
    """
    history = batch.histories[0]
    M = H = history_code(params, history, batch.features[0], config)
    real = masks.padding(history.item)  # Deviation D21: H has padding, hops do not
    A = masks.diagonal(H.shape[1], real)[None].astype(H.dtype)
    if config.variant != "feature":
        A = item_attention(params, H, real)
        tap("hops", A)
        M, real = A @ H, np.ones_like(real, shape=A.shape[:2])
    tap("M", M)
    if config.variant == "item":
        return M, None, A, real
    allowed = None if config.variant == "full" and config.diagonal else masks.pairs(real)
    if not config.diagonal:
        allowed = allowed & ~masks.diagonal(M.shape[1], real)  # [B, r, r]
    M_hat = feature_attention(params, M, allowed, config, tap)
    tap("M_hat", M_hat)
    return M, M_hat, A, real


def candidate_vector(params, states, i_c, config, tap=ignore):
    """h_c of candidates whose i_c is [B, C, d].  -> [B, C, d].  Eq. 14-16."""
    M, M_hat, _, real = states
    if config.variant == "item":
        return vanilla(params.get("van"), M, i_c, real, config, tap)
    h_hat = vanilla(params.get("van_hat"), M_hat, i_c, real, config, tap, "vanilla_hat")
    if not config.fuse:
        return h_hat
    return fusion(params, vanilla(params.get("van"), M, i_c, real, config, tap), h_hat)


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """s = h_c . i_c (+ b_i) of candidates [B, C], and h_c and i_c [B, C, d].  Eq. 14-17."""
    i_c = embed(params["V"], batch.features[0][candidates])  # [B, C, d]
    h_c = candidate_vector(params, states, i_c, config, tap)
    s = np.sum(h_c * i_c, axis=-1)
    return s + params["b"][candidates] if config.item_bias else s, h_c, i_c


score = partial(dmran.score, forward=forward, logits=logits)
score_all = partial(dmran.score_all, forward=forward, logits=logits)


def loss(params, batch, config, rng=None):
    """Cross entropy of positives and negatives, and the penalties.  -> scalar.  Eq. 20-22."""
    return dmran.loss(params, batch, config, rng, forward, logits) + weights_loss(params, config)
