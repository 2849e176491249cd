"""The nets of CNN + Pooling, Bi-LSTM (with and without attention) and BPR-MF in ATRank's release.

Folders cnn/, rnn/, rnn_att/, bpr/ and multi/ of github.com/jinze1994/ATRank @ 2031fd1; model.py
codes the events that come in here. baselines/ holds the same nets as models of their own.
"""
import autograd.numpy as np

from mbref.baselines import bilstm, cnn
from mbref.errors import require
from mbref.nn.layers import dense, glorot, init_dense


def init_cnn(rng, config):
    """The filters, and but for multi/ a linear layer."""
    params = {"filters": cnn.init_filters(rng, config.sizes, config.width, config.filters)}
    if config.last:
        params["user"] = init_dense(glorot(rng, config.sizes * config.filters, config.width))
    return params


def pooled_features(params, x, real, config, drop, tap):
    """The strongest answer of each filter.  x [B, L, D], real [B, L] -> [B, sizes * filters].

    Raises InputError if a history is longer than it is padded to. After `sizes` empty events every
    filter has seen all that more of them could show.
    """
    require(x.shape[1] <= config.padded,
            f"a history of {x.shape[1]} events is longer than the {config.padded} that "
            "the release pads to.")
    more = min(config.padded - x.shape[1], config.sizes)
    after = np.zeros_like(x, shape=(len(x), more, x.shape[2]))
    x = np.concatenate([x * real[..., None], after], axis=1)  # [B, L + more, D]
    return drop(cnn.pool(params["filters"], x))


def cnn_vectors(params, x, states, real, config, drop, tap):
    """u of all candidates alike.  states [B, sizes * filters] -> [B, 1, D]."""
    return np.expand_dims(dense(params["user"], states) if config.last else states, 1)


def init_lstm(rng, config):
    """One kernel a direction: rows for [x ; h], columns for the gates i, j, f, o."""
    d = config.width
    cells = {way: init_dense(glorot(rng, 2 * d, 4 * d)) for way in ("forwards", "backwards")}
    return {"lstm": cells, "user": init_dense(glorot(rng, 2 * d, d))}


def lstm_states(params, x, real, config, drop, tap):
    """States of a run each way, and their ends.  -> as bilstm.lstm."""
    cells = [params["lstm"][way] for way in ("forwards", "backwards")]
    w, u = np.split(np.stack([p["w"] for p in cells]), 2, axis=1)  # [2, D, 4D] each
    return bilstm.lstm({"w": w, "u": u, "b": np.stack([p["b"] for p in cells])}, x, real)


def lstm_vectors(params, x, states, real, config, drop, tap):
    """u from both ends, or with attention (rna) from what each candidate finds.  -> as x."""
    return bilstm.user_vectors(params["user"], states, real, x, config.net == "rna", tap)
