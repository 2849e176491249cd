"""Other readings of ATRank: the form of its release, and the points where the paper is silent.

At its defaults this is papers/atrank.py, whose shapes and unchanged functions it takes; RELEASED
sets the form of the release's folder atrank/.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np
from autograd.misc import flatten

from mbref.data.target_batches import examples, ranking_batch, training_batch
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (COLUMNS, dense, dense_relu, dropout, embed, glorot, ignore,
                             init_dense, init_encoder, init_norm, layer_norm, lookup, one_hot,
                             time_bucket, unchanged)
from mbref.nn.losses import whole
from mbref.papers import atrank
from mbref.papers.atrank import SETTINGS

RELEASED = {"scores": "dot", "group_relu": False, "bucket": "release", "query": "raw",
            "item_bias": True}


@dataclass(frozen=True)
class Config(atrank.Config):
    """Switches beside the paper's own settings."""
    # ablations
    time: bool = True            # False: F_M does not read how long ago an event was
    self_attention: bool = True  # False: (6) reads the events as they come from (4)
    # points of the ledger
    scores: str = "bilinear"    # "dot": keys are a layer, too, and scores are divided by sqrt(D/H)
    group_relu: bool = True     # False: F_M is linear
    bucket: str = "paper"       # "release": floor(log2(gap + 1)), of which 0 to 11 have a column
    query: str = "group"        # "raw": the target is its embedding
    item_bias: bool = False     # True: b_i in (7)
    hidden: int = 0             # width of the feed-forward nets; 0: D/4
    weight_decay: float = 0.0   # of the L2 on all weights in (7)

    def __post_init__(self):
        super().__post_init__()
        require_choice(self, scores=("dot", "bilinear"), bucket=("release", "paper"),
                       query=("raw", "group"))
        require(self.query == "group" or self.width == len(self.groups[0]) * self.table_width,
                "width must be the number of features times table_width, or query=group.")


def init(rng, config):
    """Draw the parameters: Glorot-uniform weights and tables, biases 0."""
    t, D = config.table_width, config.width
    columns = COLUMNS[config.bucket] if config.time else 0  # Deviation D14: ablations of ours

    def group(features, actions):
        action = {"action": glorot(rng, actions + 1, t)} if actions else {}
        rows = (len(features) + len(action)) * t + columns
        return init_dense(glorot(rng, rows, D)) | action

    params = {"tables": {name: glorot(rng, size + 1, t) for name, size in config.tables},
              "groups": [group(*pair) for pair in zip(config.groups, config.actions, strict=True)]}
    if config.item_bias:
        objects = [params["tables"][features[0]] for features in config.groups]
        params["bias"] = [np.zeros(len(table)) for table in objects]
    for part in ("self", "vanilla"):
        blocks = config.blocks if part == "vanilla" or config.self_attention else 0
        params[part] = [init_block(rng, D, config.hidden) for _ in range(blocks)]
    return params


def init_block(rng, D, hidden=0):
    """Draw the parameters of attention_block; a `hidden` of 0 is a quarter of the width."""
    hidden = hidden or D // 4  # Deviation D10: the width is not known
    return init_encoder(rng, D, hidden) | {"ln": init_norm(D), "ln_f": init_norm(D)}


def object_code(params, config, g, ids):
    """emb(o) of group g: an object's features, side by side.  ids [..., F] -> [..., F t].  (2)."""
    return embed([params["tables"][name] for name in config.groups[g]], ids)


def group_code(params, config, g, x, action, time):
    """F_M [object ; action ; time] of group g.  -> [..., D].  (2), (4)."""
    p = params["groups"][g]
    parts = [x, lookup(p["action"], action), time] if config.actions[g] else [x, time]
    return project(p, config, np.concatenate(parts, axis=-1))


def project(p, config, x):
    """F_M with or without its ReLU."""
    return dense_relu(p, x) if config.group_relu else dense(p, x)  # Deviation D3: or linear


def behaviour_code(params, config, g, history, ids):
    """u of every event of group g.  ids [N+1, F] -> [B, L, D].  (2)-(4)."""
    x = object_code(params, config, g, ids[history.item])
    bucket = time_bucket(history.gap, config.bucket)  # Deviation D5: two rules
    columns = COLUMNS[config.bucket] if config.time else 0
    time = one_hot(bucket, columns, x.dtype)  # [B, L, 12 or 14]
    return group_code(params, config, g, x, history.behaviour, time)


def target_code(params, config, g, ids):
    """h_t: a candidate's embedding, or that through its group's layer.  -> [B, C, D].  (6)."""
    x = object_code(params, config, g, ids)
    if config.query == "raw":
        return x  # Deviation D7: as released
    p = params["groups"][g]  # without the rows of action and time
    return project({"w": p["w"][: x.shape[-1]], "b": p["b"]}, config, x)


def attention_block(p, query, memory, allowed, config, rng, tap=ignore, name="weights"):
    """One block with either scores.  query [B, C, D], memory [B, S, D] -> as query.  (5), (6)."""
    if config.scores == "bilinear":
        return atrank.attention_block(p, query, memory, allowed, config, rng, tap, name)
    drop = dropout(config.dropout, rng)
    return dot_block(p, query, memory, allowed, config.heads, drop, tap, name)


def dot_block(p, query, memory, allowed, heads, drop=unchanged, tap=ignore, name="weights"):
    """The released block: ReLU layers for queries, keys and values, scores over sqrt(D/H)."""
    q = dense_relu(p["q"], query)
    k, v = (dense_relu(p[part], memory) for part in "kv")  # Deviation D1, D2: a key layer
    y = layer_norm(p["ln"], attention(q, k, v, allowed, heads, drop, tap, name) + query)
    return layer_norm(p["ln_f"], dense(p["f2"], dense_relu(p["f1"], y)) + y)


def forward(params, batch, config, tap=ignore, rng=None):
    """All groups' events [B, S, D] and which are real [B, S]; rng draws dropout.  (5)."""
    real = np.concatenate([masks.padding(history.item) for history in batch.histories], axis=1)
    codes = [behaviour_code(params, config, g, history, batch.features[g])
             for g, history in enumerate(batch.histories)]
    x = np.concatenate(codes, axis=1)  # [B, S, D]
    tap("input", x)
    for p in params["self"]:
        x = attention_block(p, x, x, masks.pairs(real), config, rng, tap, "self_weights")
    tap("states", x)
    return x, real


def user_vectors(params, x, states, config, tap=ignore, rng=None):
    """u: what each candidate finds in the history.  x [B, C, D] -> same.  (6)."""
    memory, real = states
    allowed = np.broadcast_to(real[:, None], x.shape[:2] + real.shape[1:])  # [B, C, S]
    for p in params["vanilla"]:
        x = attention_block(p, x, memory, allowed, config, rng, tap, "vanilla_weights")
    return x


def logits(params, batch, states, candidates, config, tap=ignore, rng=None):
    """z = u . h_t (+ b_i) of candidates [B, C], and u and h_t [B, C, D].  (6), (7)."""
    x = target_code(params, config, batch.group, batch.features[batch.group][candidates])
    u = user_vectors(params, x, states, config, tap, rng)
    z = np.sum(u * x, axis=-1)
    if config.item_bias:  # Deviation D8: as released
        z = z + params["bias"][batch.group][candidates]
    return z, u, x


score = partial(atrank.score, forward=forward, logits=logits)
score_all = partial(atrank.score_all, forward=forward, logits=logits)


def loss(params, batch, config, rng=None):
    """Cross entropy, the L2 of u and h_t, and that of all weights.  -> scalar.  (7)."""
    return atrank.loss(params, batch, config, rng, forward, logits) + weights_loss(params, config)


def weights_loss(params, config):
    """The L2 of all weights.  -> scalar."""
    if not config.weight_decay:
        return 0.0
    parts = {name: part for name, part in params.items() if len(part)}  # no block has no array
    size = np.sum(flatten(parts)[0] ** 2) / whole(1)  # each shard of a batch adds its part
    return config.weight_decay / 2 * size  # Deviation D12: of all weights
