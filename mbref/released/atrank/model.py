"""ATRank as released: what the six folders of github.com/jinze1994/ATRank @ 2031fd1 compute.

To be read beside papers/atrank.py, whose order, names, steps (1)-(7) and shapes it keeps;
"Deviation" and a number mark where the release departs from the paper, LEDGER.md has a row for
each. baselines.py has the nets of the baselines. Ids start at 0 and a history ends by its length:
what follows is object 0, and must be masked.
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import autograd.numpy as np

from mbref.errors import require, require_choice, require_range, require_types
from mbref.nn.attention import merge_heads, split_heads
from mbref.nn.layers import (COLUMNS, by_chunks, dense, dropout, glorot, ignore, init_dense,
                             init_encoder, init_norm, layer_norm, one_hot, relu)
from mbref.nn.losses import log_softmax, sigmoid_cross_entropy, softplus, whole
from mbref.released.atrank import baselines

MASKED = -2.0**32 + 1  # the score of a key that must not be attended to


class History(NamedTuple):
    """Events of one group before the target, oldest first."""
    item: np.ndarray    # [B, L] 0..N-1; 0 after the end
    action: np.ndarray  # [B, L] 0..K-1
    time: np.ndarray    # [B, L] bucket of the time between the event and the target
    length: np.ndarray  # [B] number of events


class Batch(NamedTuple):
    """One row a target, as data/targets.py's, but as the release counts."""
    histories: tuple[History, ...]        # one a group
    features: tuple[np.ndarray, ...]      # one a group: [N, F] each object: itself, category, ...
    user: np.ndarray                      # [B] 0..U-1; mf alone reads it
    group: int = 0                        # of the candidates
    candidate: np.ndarray | None = None   # [B, C] for the loss; mf: the target, then its negative
    label: np.ndarray | None = None       # [B, C] True for the target itself


@dataclass(frozen=True)
class Config:
    """Shapes and switches; the defaults are those of atrank/."""
    tables: tuple                      # (feature, number of ids, width) of every embedding table
    groups: tuple = (("item", "category"),)  # features of each group's objects, itself first
    actions: tuple = (False,)          # whether events of a group carry an action too
    read: tuple = (0,)                 # groups whose histories are read
    net: str = "att"                   # att, cnn, rnn, rna (rnn with attention), mf (a table)
    width: int = 128                   # D; 128, in multi/ 256
    heads: int = 8                     # 8, in multi/ 4
    blocks: int = 1                    # steps (5) and (6) stacked this often; 1  # Deviation D13: 1
    dropout: float = 0.0               # of weights, cnn's pool  # Deviation D11: in multi/ .1
    penalty: float = 5e-5              # L2 on user vector and target in (7); in multi/ 1e-5
    time: bool = True                  # False: events are their objects' embeddings alone
    query: str = "raw"                 # (6): the target is its embedding, or through its "group"
    sizes: int = 10                    # of cnn: filters span 1 .. sizes events
    filters: int = 32                  # of cnn: so many of each size
    padded: int = 500                  # of cnn: histories are padded to this length
    last: bool = True                  # of cnn: a linear layer after the pooled features

    def __post_init__(self):
        require_types(self)
        require_choice(self, net=("att", "cnn", "rnn", "rna", "mf"), query=("raw", "group"))
        require(len(self.actions) == len(self.groups)
                and set(self.read) <= set(range(len(self.groups))),
                "give one switch of actions a group, and read only groups that are given.")
        require(len(self.read) == (self.net != "mf") or self.net == "att" and len(self.read) > 1,
                "read one group; mf reads none, and att may read several.")
        for name in ("heads", "blocks", "sizes", "filters", "padded", "dropout", "penalty"):
            require_range(name, getattr(self, name), getattr(Config, name))
        require(self.net != "att" or self.width % self.heads == 0 and self.width >= 4,
                f"an event is {self.width} wide: that must be a multiple of heads, at least 4.")
        require(self.net != "cnn" or self.last or self.width == self.sizes * self.filters,
                "width must be sizes times filters where no layer follows the pooled features.")
        for features in (*self.groups * (self.query == "raw"), *[("user",)] * (self.net == "mf")):
            require(self.width == sum(width for name, _, width in self.tables if name in features),
                    f"embeddings of {' and '.join(features)} must be {self.width} wide together, "
                    "or query=group.")


VARIANTS = {  # what sets a folder apart from atrank/
    "atrank": {},
    "cnn": {"net": "cnn"},
    "rnn": {"net": "rnn", "time": False},
    "rnn_att": {"net": "rna", "time": False},
    "bpr": {"net": "mf", "time": False, "read": ()},
    "multi": {"groups": (("item", "shop", "category", "brand"), ("query",),
                         ("coupon", "shop", "category")),
              "actions": (True, False, False), "read": (0, 1, 2), "query": "group", "width": 256,
              "heads": 4, "dropout": 0.1, "penalty": 1e-5, "sizes": 8, "padded": 30,
              "last": False},  # Deviation D6, D7: actions and layers
}


def variant(name, **more):
    """Config of a folder of the release; tables must be among what else is given."""
    return Config(**VARIANTS[name] | more)


def init(rng, config):
    """Draw the parameters: Glorot-uniform weights and tables, biases 0."""
    sizes = {name: (rows, width) for name, rows, width in config.tables}

    def group(features, action):
        rows = sum(sizes[name][1] for name in (*features, *["action"] * action))
        rows += COLUMNS["release"]
        return init_dense(glorot(rng, rows, config.width)) if config.time else {}

    def bias(size):  # in bpr/ Glorot-uniform, where both fans of a vector are its length
        drawn = config.net == "mf"
        return rng.uniform(-1, 1, size) * (3 / size) ** 0.5 if drawn else np.zeros(size)

    return {"tables": {name: glorot(rng, *shape) for name, shape in sizes.items()},
            "groups": [group(*pair) for pair in zip(config.groups, config.actions, strict=True)],
            "bias": [bias(sizes[features[0]][0]) for features in config.groups],
            **NETS[config.net].init(rng, config)}


def init_blocks(rng, config):
    """Parameters of the attention net."""
    D = config.width  # Deviation D2, D10: keys are a layer, and the hidden one is D/4 wide
    return {name: [init_encoder(rng, D, D // 4) | {"ln": init_norm(D), "ln_f": init_norm(D)}
                   for _ in range(config.blocks)] for name in ("self", "vanilla")}


def object_code(params, config, group, ids):
    """emb(o): an object's features, side by side.  ids [..., F] -> [..., sum of widths].  (2)."""
    tables = [params["tables"][name] for name in config.groups[group]]
    return np.concatenate([table[ids[..., f]] for f, table in enumerate(tables)], axis=-1)


def behaviour_code(params, config, group, history, features):
    """u of every event of one group.  -> [B, L, D].  (2)-(4)."""
    x = object_code(params, config, group, features[history.item])  # [B, L, sum of widths]
    if not config.time:
        return x
    parts = [x, params["tables"]["action"][history.action]] if config.actions[group] else [x]
    parts.append(one_hot(history.time, COLUMNS["release"], x.dtype))  # [B, L, 12]
    x = np.concatenate(parts, axis=-1)  # Deviation D4, D6: action and time beside the object
    return dense(params["groups"][group], x)  # Deviation D3: F_M is linear


def target_code(params, config, group, ids):
    """h_t: a candidate's embedding, or that through its group's layer.  -> [B, C, D].  (6)."""
    x = object_code(params, config, group, ids)
    if config.query == "raw":
        return x  # Deviation D7: not through F_M
    layer = params["groups"][group]  # without the rows of action and time
    return dense({"w": layer["w"][: x.shape[-1]], "b": layer["b"]}, x)


def masked_attention(q, k, v, keys, queries, heads, drop, tap, name):
    """Attention with the release's masks.  q [B, C, D]; k, v [B, S, D] -> [B, C, D].

    Forbidden keys [B, S] score MASKED, so where all are their weights are uniform; queries [B, C]
    are masked after the softmax.
    """
    q, k, v = (split_heads(x, heads) for x in (q, k, v))  # [B, H, C or S, D/H]
    keys = keys[:, None, None].astype(q.dtype)  # [B, 1, 1, S]
    queries = queries[:, None, :, None].astype(q.dtype)  # [B, 1, C, 1]
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5  # Deviation D1: dot products
    weights = np.exp(log_softmax(scores * keys + MASKED * (1 - keys))) * queries
    tap(name, weights)
    return merge_heads(drop(weights) @ v)  # Deviation D9: no layer after it


def attention_block(p, query, memory, keys, queries, heads, drop, tap, name):
    """LN(Att + query), then LN(FFN + .): one block of (5), where query is memory, and of (6)."""
    q = relu(dense(p["q"], query))
    k, v = (relu(dense(p[part], memory)) for part in "kv")  # Deviation D2: ReLU layers
    a = masked_attention(q, k, v, keys, queries, heads, drop, tap, name)
    y = layer_norm(p["ln"], a + query)  # Deviation D10: residual and norm
    return layer_norm(p["ln_f"], dense(p["f2"], relu(dense(p["f1"], y))) + y)


def real_events(batch, config):
    """True where there is an event, group after group.  -> [B, S], or [B, 0] if none is read."""
    histories = [batch.histories[g] for g in config.read]
    real = [np.arange(h.item.shape[1], like=h.item) < h.length[:, None] for h in histories]
    return np.concatenate([np.zeros((len(batch.user), 0), bool, like=batch.user), *real], axis=1)


def forward(params, batch, config, tap=ignore, rng=None):
    """States of the net: with att every event after self-attention, [B, S, D].  (5)."""
    if config.net == "mf":
        return params["tables"]["user"][batch.user]  # [B, D]: the user has no history
    x = np.concatenate([behaviour_code(params, config, g, batch.histories[g], batch.features[g])
                        for g in config.read], axis=1)  # [B, S, D]
    tap("input", x)
    drop = dropout(config.dropout, rng)
    return NETS[config.net].states(params, x, real_events(batch, config), config, drop, tap)


def self_attention(params, x, real, config, drop, tap):
    """States of att.  x [B, S, D], real [B, S] -> [B, S, D].  (5)."""
    for block in params["self"]:
        x = attention_block(block, x, x, real, real, config.heads, drop, tap, "self_weights")
    return x


def vanilla_attention(params, x, states, real, config, drop, tap):
    """u: what each candidate finds in the history.  x [B, C, D] -> same.  (6)."""
    all_real = np.ones_like(x[..., 0])
    for p in params["vanilla"]:  # Deviation D13: all read the final states
        x = attention_block(p, x, states, real, all_real, config.heads, drop, tap,
                            "vanilla_weights")
    return x


class Net(NamedTuple):
    """From histories to user vectors: of a folder, or in multi/ by the start of the run's name."""
    init: Callable       # (rng, config) -> its parameters
    states: Callable     # (params, events x [B, S, D], real [B, S], config, drop, tap) -> states
    vectors: Callable    # (params, candidates x [B, C, D], the same five) -> u [B, 1 or C, D]


NETS = {
    "att": Net(init_blocks, self_attention, vanilla_attention),
    "cnn": Net(baselines.init_cnn, baselines.pooled_features, baselines.cnn_vectors),
    "rnn": Net(baselines.init_lstm, baselines.lstm_states, baselines.lstm_vectors),
    "rna": Net(baselines.init_lstm, baselines.lstm_states, baselines.lstm_vectors),
    "mf": Net(lambda rng, config: {}, None,
              lambda params, x, states, *rest: np.expand_dims(states, 1)),  # the user's own row
}


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """z = b_i + u . x_i of candidates [B, C].  -> z [B, C], u [B, 1 or C, D], x [B, C, D].  (7)."""
    x = target_code(params, config, batch.group, batch.features[batch.group][candidates])
    drop, real = dropout(config.dropout, rng), real_events(batch, config)
    u = NETS[config.net].vectors(params, x, states, real, config, drop, tap)
    bias = params["bias"][batch.group][candidates]  # Deviation D8: it is added
    return np.sum(u * x, axis=-1) + bias, u, x


def score(params, batch, candidates, config):
    """Logits of candidates [B, C], ids from 0.  -> [B, C].  (7)."""
    return logits(params, batch, forward(params, batch, config), candidates, config)[0]


def score_all(params, batch, config):
    """Logits of all objects 0..N-1; the histories are encoded once for all.  -> [B, N].  (7)."""
    states = forward(params, batch, config)
    from_one = batch._replace(features=tuple(np.concatenate([x[:1], x]) for x in batch.features))
    return by_chunks(lambda ids: logits(params, batch, states, ids - 1, config)[0], from_one)


def loss(params, batch, config, rng=None):
    """Point-wise cross entropy, or mf's -log sigmoid(z_i - z_j), and the L2 of u and x.  (7)."""
    states = forward(params, batch, config, rng=rng)
    z, u, x = logits(params, batch, states, batch.candidate, config, rng=rng)
    if config.net == "mf":
        fit = softplus(z[:, 1:] - z[:, :1])  # [B, 1]
    else:
        fit = sigmoid_cross_entropy(z, batch.label)  # [B, 1]
    size = np.sum(u**2) + np.sum(x**2)  # Deviation D12: a sum, not a mean
    return np.sum(fit) / whole(fit.size) + 0.5 * config.penalty * size
