"""Bi-LSTM and Bi-LSTM + Attention over the items of a history, two baselines of ATRank's release.

Neither reads times. Source: github.com/jinze1994/ATRank @ 2031fd1, folders rnn/ and rnn_att/; the
defaults are theirs. The cell is that of Hochreiter & Schmidhuber (1997) with the forget gate of
Gers et al. (2000), run over the history in both directions. Shapes as in papers/atrank.py.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np

from mbref.data.target_batches import examples, ranking_batch, training_batch
from mbref.errors import require, require_ranges
from mbref.nn import masks, vjps
from mbref.nn.attention import attention
from mbref.nn.layers import dense, embed, glorot, ignore, init_dense, stop_gradient
from mbref.nn.vjps import sigmoid
from mbref.papers import atrank
from mbref.papers.atrank import SETTINGS  # noqa: F401


@dataclass(frozen=True)
class Config:
    """Shapes and switches."""
    items: int               # N
    categories: int = 0      # 0: the items have none; else half of an item's code is its category's
    width: int = 128         # D of item codes, of the LSTM in each direction and of the user vector
    attention: bool = False  # True: the candidate weights all states (rnn_att/); else the ends
    penalty: float = 5e-5    # L2 of user vector and target embedding
    pairs: bool = False      # True: a row trains a target and its negative together
    length: int = 50         # newest events that are read; the release reads all
    unit = 1                 # of time gaps, which are not read: no field

    def __post_init__(self):
        require_ranges(self)
        require(self.width % 2 == 0, f"width is {self.width}: it must be even.")


def init(rng, config):
    """Draw the parameters as released: Glorot-uniform weights and tables, biases 0."""
    d = config.width
    sizes = [config.items, config.categories] if config.categories else [config.items]
    kernel = glorot(rng, 2, 2 * d, 4 * d)  # two directions; rows of [x ; h], columns of i, j, f, o
    return {"tables": [glorot(rng, size + 1, d // len(sizes)) for size in sizes],
            "bias": np.zeros(config.items + 1),
            "lstm": init_dense(kernel[:, :d]) | {"u": kernel[:, d:]},
            "user": init_dense(glorot(rng, 2 * d, d))}


def cell(gates, c):
    """One step: c' = sigmoid(f + 1) c + sigmoid(i) tanh(j), h' = sigmoid(o) tanh(c').

    gates [..., 4D], c [..., D] -> h', c' [..., D].
    """
    i, j, f, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)  # with the 1 an untrained cell remembers
    return sigmoid(o) * np.tanh(c), c


def scan_plain(drive, u, keep):
    """h after every step, from what the events and the h before add to the gates.  -> [2, L, B, D].

    drive [2, L, B, 4D] is x W + b; u [2, D, 4D]. keep [2, L, B, 1]: padding leaves h as it was.
    """
    h = c = np.zeros_like(stop_gradient(drive[:, 0, :, : u.shape[1]]))  # [2, B, D]
    states = []
    for t in range(drive.shape[1]):
        h_new, c_new = cell(drive[:, t] + h @ u, c)
        h, c = (keep[:, t] * new + (1 - keep[:, t]) * old for new, old in ((h_new, h), (c_new, c)))
        states.append(h)
    return np.stack(states, axis=1)


scan = vjps.with_gradient(scan_plain)(vjps.scan)


def lstm(p, x, real):
    """States of both directions, side by side, at every position, and their ends.

    One loop runs both: forwards, where state t has read the t + 1 oldest events, and backwards,
    where it has read the t + 1 last positions. There padding comes first and leaves the state at 0.
    The ends are the forward state at the newest event and the backward one at the oldest.
    x [B, L, D], real [B, L] -> [B, L, 2D], [B, 2D].
    """
    x, real = np.swapaxes(x, 0, 1), np.swapaxes(real, 0, 1)  # [L, B, D], [L, B]
    x = np.stack([x, np.flipud(x)])  # [2, L, B, D]
    keep = np.stack([real, np.flipud(real)])[..., None].astype(x.dtype)  # [2, L, B, 1]
    drive = np.reshape(x, (2, -1, x.shape[-1])) @ p["w"] + np.expand_dims(p["b"], 1)  # [2, L*B, 4D]
    drive = np.reshape(drive, x.shape[:-1] + drive.shape[-1:])  # [2, L, B, 4D]
    h = np.swapaxes(scan(drive, p["u"], keep), 0, 1)  # [L, 2, B, D]
    outputs = np.swapaxes(np.concatenate([h[:, 0], h[::-1, 1]], axis=-1), 0, 1)  # [B, L, 2D]
    return outputs, np.concatenate([h[-1, 0], h[-1, 1]], axis=-1)


def forward(params, batch, config, tap=ignore, rng=None):
    """States and ends of `lstm`; nothing is drawn from rng.  -> [B, L, 2D], [B, 2D]."""
    history = batch.histories[0]
    x = embed(params["tables"], batch.features[0][history.item])  # [B, L, D]
    outputs, ends = lstm(params["lstm"], x, masks.padding(history.item))
    tap("states", outputs)
    return outputs, ends


def user_vectors(p, states, real, x, attends, tap=ignore):
    """u of all candidates alike, or with attention of each.  x [B, C, D] -> [B, 1 or C, D]."""
    outputs, ends = states
    if not attends:
        return dense(p, np.expand_dims(ends, 1))
    allowed = np.broadcast_to(real[:, None], x.shape[:2] + real.shape[1:])  # [B, C, L]
    query = np.concatenate([x, x], axis=-1)  # [B, C, 2D]: against forward and backward states alike
    return dense(p, attention(query, outputs, outputs, allowed, tap=tap))


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """z = b_i + u . x_i for candidates [B, C].  -> z [B, C], u [B, 1 or C, D], x [B, C, D]."""
    x = embed(params["tables"], batch.features[0][candidates])
    real = masks.padding(batch.histories[0].item)
    u = user_vectors(params["user"], states, real, x, config.attention, tap)
    return np.sum(u * x, axis=-1) + params["bias"][candidates], u, x


def score_all(params, batch, config):
    """Logits of all items 1..N; the history is encoded once.  -> [B, N]."""
    if config.attention:
        return atrank.score_all(params, batch, config, forward, logits)
    u = dense(params["user"], forward(params, batch, config)[1])  # [B, D]
    return u @ embed(params["tables"], batch.features[0][1:]).T + params["bias"][1:]


score = partial(atrank.score, forward=forward, logits=logits)
loss = partial(atrank.loss, forward=forward, logits=logits)
