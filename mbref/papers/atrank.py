"""ATRank: an attention-based user behaviour modelling framework for recommendation (Zhou et al., AAAI 2018).

Steps (1)-(7) follow the paper: (1) behaviours in groups, (2) their embedding, (3) time buckets, (4) one space for all
groups, (5) self-attention in K semantic spaces (here: heads), (6) vanilla attention by the target, (7) score and loss.
Authors' code: github.com/jinze1994/ATRank @ 2031fd1, folders atrank/ (one group) and multi/; the defaults are atrank/.
"Deviation" and a number mark where it departs from the paper; released/LEDGER.md has a row for each.

Glossary of shapes: B batch, L history length of a group, S events of all groups, C candidates, D width, H heads.
Ids start at 1; 0 is padding. Histories are padded on the right; with several groups, padding lies in the middle too.
"""
from dataclasses import dataclass

import autograd.numpy as np
from autograd.misc import flatten

from mbref.data import group_events, targets
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (
    by_chunks,
    dense,
    dropout,
    embed,
    glorot,
    ignore,
    init_dense,
    layer_norm,
    lookup,
    relu,
    time_bucket,
)
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy

SETTINGS = {"optimiser": "sgd", "rate": "1", "clip": "5", "batch_size": "32", "validate": "AUC"}  # as released


@dataclass(frozen=True)
class Config:
    """Shapes and switches. One group of items: give items and categories; several: give tables, groups and actions."""
    items: int = 0                     # N
    categories: int = 0                # 0: the items have none
    tables: tuple = ()                 # (feature, number of ids) of every embedding table; groups may share one
    groups: tuple = ()                 # features of each group's objects, the object itself first
    actions: tuple = ()                # action kinds that each group reads; 0 = the action is not read  # Deviation D6
    table_width: int = 64              # of every table; 64
    width: int = 0                     # D; 0 = features of the first group times table_width; 128, in multi/ 256
    heads: int = 8                     # K semantic spaces; 8, in multi/ 4
    hidden: int = 0                    # width of the feed-forward nets' hidden layer; 0 = D/4  # Deviation D10
    blocks: int = 1                    # steps (5) and (6) stacked this often; 1  # Deviation D13
    dropout: float = 0.0               # of the attention weights; 0, in multi/ .1  # Deviation D11
    penalty: float = 5e-5              # L2 on user vector and target embedding in (7); 5e-5, in multi/ 1e-5
    weight_decay: float = 0.0          # L2 on all weights in (7); not released  # Deviation D12
    scores: str = "dot"                # (5), (6): "dot" as released, or "bilinear" as printed  # Deviation D1, D2
    group_relu: bool = False           # (4): True, a ReLU after F_M; linear as released  # Deviation D3
    bucket: str = "release"            # (3): floor(log2(gap + 1)), or "paper": 0, [1, 2), [2, 4) ...  # Deviation D5
    query: str = "raw"                 # (6): the target is its embedding, or goes through its "group" layer (multi/)
    item_bias: bool = True             # (7): released, not printed  # Deviation D8
    pairs: bool = False                # True: a target and its negative in one row, their history encoded once
    length: int = 50                   # newest events that are read of each group; the release reads all
    unit: int = 86400                  # seconds in one unit of time gap: a day

    def __post_init__(self):
        if not self.groups:
            known = (("item", self.items), ("category", self.categories))
            object.__setattr__(self, "tables", tuple(pair for pair in known if pair[1]))
            object.__setattr__(self, "groups", (tuple(name for name, _ in self.tables),))
        object.__setattr__(self, "actions", self.actions or (0,) * len(self.groups))
        object.__setattr__(self, "width", self.width or len(self.groups[0]) * self.table_width)
        require_choice(self, scores=("dot", "bilinear"), bucket=("release", "paper"), query=("raw", "group"))
        require(len(self.groups[0]) > 0 and len(self.actions) == len(self.groups),
                "give the number of items, or tables, groups and one number of actions a group.")
        require(min(self.length, self.heads, self.blocks, self.unit, self.table_width) >= 1
                and self.width % self.heads == 0 and self.width >= 4,
                "length, heads, blocks and unit must be at least 1, and width a multiple of heads, at least 4.")
        require(self.query == "group" or self.width == len(self.groups[0]) * self.table_width,
                "width must be the number of features times table_width, or query=group.")
        require(0 <= self.dropout < 1 and all(0 <= x < float("inf") for x in (self.penalty, self.weight_decay)),
                "dropout must be at least 0 and less than 1, penalty and weight_decay numbers of 0 or more.")
        require(self.hidden >= 0, "hidden must be at least 0, where 0 means a quarter of width.")


def buckets(config):
    """Columns of the one-hot code of a time bucket; the release gives its open last bucket none."""
    return 12 if config.bucket == "release" else 14


def init(rng, config):
    """Parameters as a nested dict of float64 arrays; released: Glorot-uniform weights and tables, biases 0."""
    sizes, t = dict(config.tables), config.table_width

    def group(features, actions):
        rows = (len(features) + (actions > 0)) * t + buckets(config)
        action = {"action": glorot(rng, actions + 1, t)} if actions else {}
        return init_dense(glorot(rng, rows, config.width)) | action

    return {
        "tables": {name: glorot(rng, size + 1, t) for name, size in sizes.items()},
        "groups": [group(*pair) for pair in zip(config.groups, config.actions, strict=True)],  # F_M
        "bias": [np.zeros(sizes[features[0]] + 1) for features in config.groups],
        "self": [init_block(rng, config.width, config.hidden) for _ in range(config.blocks)],
        "vanilla": [init_block(rng, config.width, config.hidden) for _ in range(config.blocks)],
    }


def init_block(rng, width, hidden=0):
    """Parameters of attention_block; a `hidden` of 0 is a quarter of the width."""
    hidden = hidden or width // 4  # Deviation D10
    shapes = {name: (width, width) for name in "qkv"} | {"f1": (width, hidden), "f2": (hidden, width)}
    norms = {name: {"gamma": np.ones(width), "beta": np.zeros(width)} for name in ("ln", "ln_f")}
    return {name: init_dense(glorot(rng, *shape)) for name, shape in shapes.items()} | norms


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task."""
    source = group_events if isinstance(events, group_events.GroupEvents) else targets
    return source.examples(events, config.items, rng, config.pairs)


def batch(events, rows, config, rng=None):
    """What the model reads of `events`: with rng, training targets `rows`; without, sequences `rows` to rank from."""
    source = group_events if isinstance(events, group_events.GroupEvents) else targets
    make = source.ranking_batch if rng is None else source.training_batch
    return make(events, rows, config.length, config.items, config.unit)


def object_code(params, config, group, ids):
    """emb_i(o): the embeddings of an object's features, side by side.  ids [..., F] -> [..., F * table_width].  (2)."""
    return embed([params["tables"][name] for name in config.groups[group]], ids)


def group_code(params, config, group, x, action, time):
    """F_M [object ; action ; time]: events of any group in one space.  -> [..., D].  (2), (4)."""
    p = params["groups"][group]
    parts = [x, lookup(p["action"], action), time] if config.actions[group] else [x, time]  # Deviation D6
    code = dense(p, np.concatenate(parts, axis=-1))
    return relu(code) if config.group_relu else code  # Deviation D3


def behaviour_code(params, config, group, history, features):
    """u of every event of one group.  -> [B, L, D].  (2)-(4)."""
    x = object_code(params, config, group, features[history.item])  # [B, L, F * table_width]
    bucket = time_bucket(history.gap, config.bucket)  # Deviation D5
    time = bucket[..., None] == np.arange(buckets(config), like=bucket)  # [B, L, 12 or 14]  # Deviation D4
    return group_code(params, config, group, x, history.behaviour, time.astype(x.dtype))


def target_code(params, config, group, ids):
    """h_t: a candidate's embedding, or that through its group layer without action and time.  -> [B, C, D].  (6)."""
    x = object_code(params, config, group, ids)
    if config.query == "raw":
        return x  # Deviation D7
    no_time = np.zeros_like(x, shape=x.shape[:-1] + (buckets(config),))
    return group_code(params, config, group, x, np.zeros_like(ids[..., 0]), no_time)


def attention_block(p, query, memory, allowed, heads, scores="dot", drop=lambda x: x, tap=ignore, name="weights"):
    """LN(Att + query), then LN(FFN + .): one block of (5), where query is memory, and of (6).

    query [B, C, D], memory [B, S, D], allowed [B, C, S] -> [B, C, D]. "dot": keys are a ReLU layer too, and scores
    are divided by sqrt(D/H). "bilinear", S_k W_k S^T: the W_k side by side are one linear map of the keys. The heads
    found are not projected again.
    """
    q, v = relu(dense(p["q"], query)), relu(dense(p["v"], memory))  # Deviation D2
    k = relu(dense(p["k"], memory)) if scores == "dot" else dense({"w": p["k"]["w"], "b": 0}, memory)
    a = attention(q, k, v, allowed, heads, drop, tap, name, scaled=scores == "dot")  # Deviation D1, D9
    y = layer_norm(p["ln"], a + query)
    return layer_norm(p["ln_f"], dense(p["f2"], relu(dense(p["f1"], y))) + y)


def real_events(batch):
    """True where there is an event, groups one after the other.  -> [B, S]."""
    return np.concatenate([masks.padding(history.item) for history in batch.histories], axis=1)


def forward(params, batch, config, tap=ignore, rng=None):
    """C: every event after self-attention over all events.  -> [B, S, D]. rng: draws dropout (training only).  (5)."""
    drop, real = dropout(config.dropout, rng), real_events(batch)
    x = np.concatenate([behaviour_code(params, config, g, history, batch.features[g])
                        for g, history in enumerate(batch.histories)], axis=1)  # [B, S, D]
    tap("input", x)
    for block in params["self"]:
        x = attention_block(block, x, x, real[:, None, :] & real[:, :, None], config.heads, config.scores, drop, tap,
                            "self_weights")
    tap("states", x)
    return x


def user_vectors(params, batch, x, states, config, tap=ignore, rng=None):
    """e: what each candidate finds in the history; every block reads the final states.  x [B, C, D] -> same.  (6)."""
    drop = dropout(config.dropout, rng)
    allowed = np.broadcast_to(real_events(batch)[:, None], x.shape[:2] + states.shape[1:2])  # [B, C, S]
    for block in params["vanilla"]:  # Deviation D13
        x = attention_block(block, x, states, allowed, config.heads, config.scores, drop, tap, "vanilla_weights")
    return x


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """z = b_i + u . x_i for candidates [B, C].  -> z [B, C], u and x [B, C, D].  (7)."""
    x = target_code(params, config, batch.group, batch.features[batch.group][candidates])
    u = user_vectors(params, batch, x, states, config, tap, rng)
    return np.sum(u * x, axis=-1) + params["bias"][batch.group][candidates] * config.item_bias, u, x  # Deviation D8


def score(params, batch, candidates, config):
    """Logits of candidates [B, C] ids, or None for all 1..N.  -> [B, C]. The history is encoded once for all.  (7)."""
    states = forward(params, batch, config)
    if candidates is not None:
        return logits(params, batch, states, candidates, config)[0]
    return by_chunks(lambda ids: logits(params, batch, states, ids, config)[0],
                     len(batch.features[batch.group]) - 1, len(states), like=batch.features[batch.group])


def loss(params, batch, config, rng=None):
    """Point-wise cross entropy, mean, plus half the penalty times the summed squares of u and x.  -> scalar.  (7).

    And, where there is a weight_decay, half of it times the squares of all weights.
    """
    states = forward(params, batch, config, rng=rng)
    z, u, x = logits(params, batch, states, batch.candidate, config, rng=rng)
    real = batch.candidate > 0  # [B, C]
    size = np.sum((u**2 + x**2) * real[..., None])  # Deviation D12
    total = masked_mean(sigmoid_cross_entropy(z, batch.label), real) + 0.5 * config.penalty * size
    if config.weight_decay:
        total = total + 0.5 * config.weight_decay * np.sum(flatten(params)[0] ** 2)
    return total
