"""ATRank: attention over all behaviours of a user (Zhou et al., AAAI 2018), in its printed form.

Steps after excerpts, as the full paper was not at hand: (1) groups of behaviours, (2) embedding,
(3) time, (4) one space, (5) self- and (6) vanilla attention, (7) score and loss. "Deviation D3": a
row of released/LEDGER.md; other readings: variants/atrank.py. B batch, L events of a group, S of
all groups, C candidates, D width, F features of an object; 0 is padding, on the right.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data.target_batches import examples, fill_groups, ranking_batch, training_batch
from mbref.errors import require, require_ranges
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (BUCKETS, by_chunks, dense, dense_relu, dropout, embed, glorot, ignore,
                             init_dense, init_encoder, init_norm, layer_norm, lookup, matmul,
                             one_hot, time_bucket)
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy

SETTINGS = {"optimiser": "sgd", "rate": "1", "clip": "5", "batch_size": "32", "validate": "AUC"}


@dataclass(frozen=True)
class Config:
    """Shapes and settings. One group: items and categories; several: tables, groups and actions."""
    items: int = 0           # N
    categories: int = 0      # 0: the items have none
    tables: tuple = ()       # (feature, number of ids) of every embedding table
    groups: tuple = ()       # the features of each group's objects, the object itself first
    actions: tuple = ()      # how many kinds of action each group has; 0: none is read
    table_width: int = 64    # of every embedding table
    width: int = 128         # D
    heads: int = 8           # K semantic spaces
    blocks: int = 1          # steps (5) and (6) stacked this often
    dropout: float = 0.0     # Deviation D11: none by default; of the attention weights
    penalty: float = 5e-5    # of the L2 in (7)
    pairs: bool = False      # True: a row trains a target and its negative together
    length: int = 50         # newest events that are read of each group
    unit: int = 86400        # seconds in one unit of time gap: a day

    def __post_init__(self):
        require_ranges(self)
        fill_groups(self)
        require(self.width >= 4, f"width is {self.width}: it must be at least 4.")


def init(rng, config):
    """Draw the parameters: Glorot-uniform weights and tables, biases 0."""
    t, D = config.table_width, config.width

    def group(features, actions):  # Deviation D6: F_M has rows for object, action and time
        action = {"action": glorot(rng, actions + 1, t)} if actions else {}
        rows = (len(features) + len(action)) * t + BUCKETS
        return init_dense(glorot(rng, rows, D)) | action

    def block():  # Deviation D10: a hidden layer of D/4
        return init_encoder(rng, D, D // 4) | {"ln": init_norm(D), "ln_f": init_norm(D)}

    return {"tables": {name: glorot(rng, size + 1, t) for name, size in config.tables},
            "groups": [group(*pair) for pair in zip(config.groups, config.actions, strict=True)],
            "self": [block() for _ in range(config.blocks)],
            "vanilla": [block() for _ in range(config.blocks)]}


def behaviour_code(params, group, features, history, ids):
    """u: a group's events in the space of all groups.  ids [N+1, F] -> [B, L, D].  (2)-(4)."""
    x = embed([params["tables"][name] for name in features], ids[history.item])  # emb(o)
    action = [lookup(group["action"], history.behaviour)] if "action" in group else []
    time = one_hot(time_bucket(history.gap, "paper"), BUCKETS, x.dtype)  # Deviation D4, D5: one-hot
    return dense_relu(group, np.concatenate([x, *action, time], axis=-1))  # Deviation D3: a ReLU


def target_code(params, group, features, ids):
    """h_t: candidates through F_M without action and time.  ids [B, C, F] -> [B, C, D].  (6)."""
    x = embed([params["tables"][name] for name in features], ids)  # Deviation D7: not yet h_t
    return dense_relu({"w": group["w"][: x.shape[-1]], "b": group["b"]}, x)


def attention_block(p, query, memory, allowed, config, rng, tap=ignore, name="weights"):
    """Bilinear attention, residual, norm; feed-forward, residual, norm.  -> as query.  (5), (6)."""
    q, v = dense_relu(p["q"], query), dense_relu(p["v"], memory)
    k = matmul(memory, p["k"]["w"])  # Deviation D1, D2: so q k^T is S_k W_k S^T in each space
    drop = dropout(config.dropout, rng)
    a = attention(q, k, v, allowed, config.heads, drop, tap, name, scaled=False)
    y = layer_norm(p["ln"], a + query)  # Deviation D9: no layer between
    return layer_norm(p["ln_f"], dense(p["f2"], dense_relu(p["f1"], y)) + y)


def forward(params, batch, config, tap=ignore, rng=None):
    """All groups' events [B, S, D] and which are real [B, S]; rng draws dropout.  (5)."""
    real = np.concatenate([masks.padding(history.item) for history in batch.histories], axis=1)
    groups = zip(params["groups"], config.groups, batch.histories, batch.features, strict=True)
    x = np.concatenate([behaviour_code(params, *group) for group in groups], axis=1)  # [B, S, D]
    tap("input", x)
    for p in params["self"]:
        x = attention_block(p, x, x, masks.pairs(real), config, rng, tap, "self_weights")
    tap("states", x)
    return x, real


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """z = u . h_t of candidates [B, C], and u and h_t [B, C, D].  (6), (7)."""
    (memory, real), g = states, batch.group
    ids = batch.features[g][candidates]  # [B, C, F]
    u = h = target_code(params, params["groups"][g], config.groups[g], ids)  # h_t itself
    allowed = np.broadcast_to(real[:, None], h.shape[:2] + real.shape[1:])  # [B, C, S]
    for p in params["vanilla"]:  # Deviation D13: every block reads the final states
        u = attention_block(p, u, memory, allowed, config, rng, tap, "vanilla_weights")
    return np.sum(u * h, axis=-1), u, h  # Deviation D8: no item bias


def score(params, batch, candidates, config, forward=forward, logits=logits):
    """z of candidates [B, C].  -> [B, C].  (7)."""
    return logits(params, batch, forward(params, batch, config), candidates, config)[0]


def score_all(params, batch, config, forward=forward, logits=logits):
    """z of all objects 1..N of the batch's group; the history is encoded once.  -> [B, N].  (7)."""
    states = forward(params, batch, config)
    return by_chunks(lambda ids: logits(params, batch, states, ids, config)[0], batch)


def loss(params, batch, config, rng=None, forward=forward, logits=logits):
    """Point-wise cross entropy, and the L2 of u and h_t.  -> scalar.  (7)."""
    states = forward(params, batch, config, rng=rng)
    z, u, h = logits(params, batch, states, batch.candidate, config, rng=rng)
    real = batch.candidate > 0  # [B, C]
    size = np.sum((u**2 + h**2) * real[..., None])  # Deviation D12: summed over the batch
    return masked_mean(sigmoid_cross_entropy(z, batch.label), real) + config.penalty / 2 * size
