"""The nets of CNN + Pooling, Bi-LSTM (with and without attention) and BPR-MF in ATRank's release.

Folders cnn/, rnn/, rnn_att/, bpr/ and multi/ of github.com/jinze1994/ATRank @ 2031fd1; Config is
that of atrank.py, which also codes the events that come in here. baselines/ holds the same nets as
models of their own.

Glossary of shapes: B batch, L history length, C candidates, D width.
"""
import autograd.numpy as np

from mbref.baselines import bilstm, cnn
from mbref.errors import require
from mbref.nn.attention import attention
from mbref.nn.layers import dense, glorot, init_dense, relu


def init_cnn(rng, config):
    """Filters N(0, .1) cut at 2 sd with biases .1, and but for multi/ a linear layer."""
    n, last = config.filters, config.sizes * config.filters
    filters = [{"w": 0.1 * cnn.truncated_normal(rng, size * config.width, n), "b": np.full(n, 0.1)}
               for size in range(1, config.sizes + 1)]
    return {"filters": filters} | ({"user": init_dense(glorot(rng, last, config.width))}
                                   if config.last else {})


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
    pooled = [cnn.max_over_time(relu(cnn.convolve(p, x, size)))
              for size, p in enumerate(params["filters"], 1)]
    return drop(np.concatenate(pooled, axis=-1))


def cnn_vectors(params, x, states, real, config, drop, tap):
    """u of all candidates alike.  states [B, sizes * filters] -> [B, 1, D]."""
    return np.expand_dims(dense(params["user"], states) if config.last else states, 1)


def init_lstm(rng, config):
    """One kernel a direction: rows for [x ; h], columns for the gates i, j, f, o."""
    d = config.width
    cells = {way: init_dense(glorot(rng, 2 * d, 4 * d)) for way in ("forwards", "backwards")}
    return {"lstm": cells, "user": init_dense(glorot(rng, 2 * d, d))}


def lstm_states(params, x, real, config, drop, tap):
    """States h of a run each way.  x [B, L, D], real [B, L] -> [L, 2, B, D]."""
    cells = [params["lstm"][way] for way in ("forwards", "backwards")]
    kernel = np.stack([p["w"] for p in cells])  # [2, 2D, 4D]
    inputs = x.shape[-1]
    p = {"w": kernel[:, :inputs], "u": kernel[:, inputs:], "b": np.stack([p["b"] for p in cells])}
    return bilstm.lstm(p, x, real)


def lstm_vectors(params, x, states, real, config, drop, tap):
    """u from the forward state at the newest event and the backward one at the oldest."""
    return np.expand_dims(dense(params["user"],
                                np.concatenate([states[-1, 0], states[-1, 1]], axis=-1)), 1)


def lstm_attention(params, x, states, real, config, drop, tap):
    """u from what each candidate, doubled, finds in both directions.  x [B, C, D] -> same."""
    both = np.concatenate([states[:, 0], states[::-1, 1]], axis=-1)
    outputs = np.swapaxes(both, 0, 1)  # [B, L, 2D]
    allowed = np.broadcast_to(real[:, None], x.shape[:2] + real.shape[1:])  # [B, C, L]
    return dense(params["user"],
                 attention(np.concatenate([x, x], axis=-1), outputs, outputs, allowed, tap=tap))


def own_vectors(params, x, states, real, config, drop, tap):
    """u of BPR-MF: the user's row of a table.  states [B, D] -> [B, 1, D]."""
    return np.expand_dims(states, 1)
