"""HMAR as released: the graphs of the authors' four model files (github.com/Shereen-Elsayed/HMAR @ 1faa7eb).

The same steps (1)-(8), in the same order and under the same names, as mbref/papers/hmar.py; `diff` of the two files is
the list of departures. "Deviation Dn" marks each at its line; n is its row in the ledger. The four files differ among
themselves by the switches of `Variant`. What the release does to the data stands in hmar_data.py.

Glossary of shapes: B batch, L window length, D width, H heads, K behaviour types, N items, C candidates.
Ids start at 1; 0 is padding. Histories are padded on the left, so the newest event is at L - 1.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (
    dense,
    dropout,
    glorot,
    ignore,
    init_dense,
    layer_norm,
    lookup,
    relu,
    stop_gradient,
)
from mbref.nn.losses import cross_entropy, masked_mean, softplus
from mbref.released.hmar import data as hmar_data

PARTS = ("q", "k", "v", "f1", "f2")
SETTINGS = {"batch_size": "128", "rate": "6e-4", "clip": "1e9"}  # Taobao's step size; the release does not clip


@dataclass(frozen=True)
class Variant:
    """Where the four released model files differ."""
    weights: tuple[float, ...]         # w_b of a positive of type b in (7); that of a negative is 1
    theta: float = 0.1                 # weight of the class loss in (7)
    merge: str = "encoder"             # "bypass": the result of step (3) is overwritten by its input
    behaviour_norm: bool = False       # layer norm before each behaviour's attention
    masked_residual: bool = True       # res_b u_b inside the mask M_b, or, with False, outside
    indicator_again: bool = False      # c is added to the merged sequence once more
    merged_residual: bool = False      # step (4) adds its own input too
    final_norm: bool = False           # layer norm after step (4), behind the mask of padding
    class_relu: bool = False           # relu on the logits of step (6)
    drop_target_history: bool = False  # earlier rows on the held-out item are removed from the training list

    def __post_init__(self):
        require_choice(self, merge=("encoder", "bypass"))


SHOP = (0.7, 0.1, 0.1, 0.1)            # buy, cart, fav, pv
VARIANTS = {
    "tianchi": Variant(SHOP, theta=0.15, behaviour_norm=True, masked_residual=False, indicator_again=True,
                       class_relu=True, drop_target_history=True),
    "taobao": Variant(SHOP),
    "yelp": Variant((0.3, 0.3, 0.2, 0.2), merge="bypass", behaviour_norm=True, masked_residual=False,
                    merged_residual=True),                                     # pos, tip, neutral, neg
    "movielens": Variant((0.8, 0.1, 0.1), merge="bypass", final_norm=True),    # pos, neutral, neg
}


@dataclass(frozen=True)
class Config:
    """Shapes and switches; the defaults are the release's."""
    items: int                         # N
    behaviours: int                    # K
    variant: Variant = VARIANTS["taobao"]
    target: int = 1                    # index of the behaviour to predict
    width: int = 50                    # D; Taobao 80, Tianchi 40, Yelp and MovieLens 50
    length: int = 50                   # L; 150, 100, 170, 120
    heads: int = 1                     # H of every attention; 1
    blocks: int = 1                    # of step (4) stacked; of step (3) only the last one counts; 1
    dropout: float = 0.45              # .45, .6, .4, .4
    mask_mode: str = "release"         # "boolean": the behaviours' masks hold after their layer norm, too
    attention_residual: bool = False   # True: the usual residual around the behaviours' attention
    candidate_counts: str = "release"  # "target": when ranking, one target event for each candidate, the held-out too
    reverse_context: bool = True       # indicators and class labels against the order of time

    def __post_init__(self):
        require_choice(self, mask_mode=("release", "boolean"), candidate_counts=("release", "target"))
        require(1 <= self.target <= self.behaviours == len(self.variant.weights),
                f"target and the variant's {len(self.variant.weights)} weights must fit {self.behaviours} behaviours.")
        require(min(self.width, self.length, self.heads, self.blocks) >= 1 and self.width % self.heads == 0,
                "width, length, heads and blocks must be at least 1, and width a multiple of heads.")
        require(0 <= self.dropout < 1, "dropout must be at least 0 and less than 1.")


def init(rng, config):
    """Parameters as a nested dict of float64 arrays; names after the symbols of steps (1)-(6)."""
    D, K = config.width, config.behaviours

    def normal(*shape):
        return init_dense(rng.normal(0, 0.01, shape))

    def encoder(*stack):
        return {name: init_dense(glorot(rng, *stack, D, D)) for name in PARTS}

    def norm(*stack):
        return {"gamma": np.ones((*stack, D)), "beta": np.zeros((*stack, D))}

    def block():
        behaviour, sequence = encoder(K) | {"res": np.zeros(K)}, encoder() | {"ln": norm()}
        behaviour |= {"ln": norm(K)} if config.variant.behaviour_norm else {}  # Deviation D3
        sequence |= {"final": norm()} if config.variant.final_norm else {}  # Deviation D7
        return {"behaviour": behaviour, "sequence": sequence}

    return {
        "item": glorot(rng, config.items + 1, D), "position": glorot(rng, config.length, D),   # v, p
        "indicator": normal(K, D),                         # W_c, b_c
        "feature": normal(2 * D, D),                       # joins item and indicator codes
        "blocks": [block() for _ in range(config.blocks)],
        "class1": normal(2 * D, D),
        "class2": normal(D, K),
    }


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: users with two rows to train on."""
    return [hmar_data.usable(events)]


def batch(events, rows, config, rng=None):
    """What the model reads of a Partition: with rng, the newest windows of users; without, users `rows` to rank for."""
    if rng is None:
        return hmar_data.ranking_batch(events, rows, config)
    return hmar_data.training_batch(events, rows, config, rng)


def code(params, item_code, counts):
    """Item and indicator codes joined: [v ; c W_c + b_c] W_f + b_f.  [..., D], [..., K] -> [..., D].  (1), (2)."""
    indicator = dense(params["indicator"], counts)  # [..., D]
    return dense(params["feature"], np.concatenate([item_code, indicator], axis=-1))


def input_code(params, item, counts, config):
    """G: the code of every event plus its position.  item [B, L], counts [B, L, K] -> [B, L, D]."""
    v = lookup(params["item"], item) * config.width**0.5  # Deviation D19: scaled here and not for candidates
    return code(params, v, counts) + params["position"][-item.shape[1] :]


def candidate_code(params, item, counts):
    """q^o: the same code for a candidate, without scale and position.  item [...], counts [..., K] -> [..., D]."""
    return code(params, lookup(params["item"], item), counts)


def self_attention(p, u, heads, drop, tap, name, residual):
    """A(u), or u + A(u): causal self-attention in which a row of exact zeros is padding.  u [B, L, D] -> [B, L, D].

    The release writes -2^32 + 1 over forbidden scores and multiplies dead queries by 0; a live query always has itself
    as key, so this is the guarded softmax of mbref.nn.attention.
    """
    tap(f"mha_{name}_in", u)
    alive = np.any(stop_gradient(u) != 0, axis=-1)  # Deviation D2: masks are read off zeros  [B, L]
    allowed = masks.causal(u.shape[1], alive) & alive[:, None, :] & alive[:, :, None]  # [B, L, L]
    q, k, v = (dense(p[part], u) for part in "qkv")
    a = attention(q, k, v, allowed, heads, drop, tap, f"weights_{name}")
    a = a + u if residual else a
    tap(f"mha_{name}_out", a)
    return a


def feed_forward(p, x, drop, tap, name):
    """F(x): two layers with their residual.  [B, L, D] -> [B, L, D]."""
    tap(f"ffn_{name}_in", x)
    y = x + drop(dense(p["f2"], drop(relu(dense(p["f1"], x)))))
    tap(f"ffn_{name}_out", y)
    return y


def normalise(p, x, tap, name):
    """Layer norm, its input and output shown to `tap`.  [B, L, D] -> [B, L, D]."""
    tap(f"ln_{name}_in", x)
    y = layer_norm(p, x)
    tap(f"ln_{name}_out", y)
    return y


def of_behaviour(p, k):
    """The weights of one behaviour's encoder."""
    part = {name: {"w": p[name]["w"][k], "b": p[name]["b"][k]} for name in PARTS}
    return part | ({"ln": {name: p["ln"][name][k] for name in ("gamma", "beta")}} if "ln" in p else {})


def behaviour_encoder(p, x, mask, config, drop, tap=ignore):
    """K attentions over masked copies of the whole sequence, added up.  Step (3).

    x [B, L, D]; mask [B, L, K] -> [B, L, D]. A layer norm turns the zeros of masked rows into its beta: from the first
    update on, events of other behaviours and padding are keys like any other.
    """
    variant, merged = config.variant, 0
    for k in range(config.behaviours):
        part, on = of_behaviour(p, k), mask[:, :, k, None]  # [B, L, 1]
        u = x * on
        if variant.behaviour_norm:  # Deviation D3
            u = normalise(part["ln"], u, tap, k)
            u = u * on if config.mask_mode == "boolean" else u  # Deviation D2
        a = self_attention(part, u, config.heads, drop, tap, k, config.attention_residual)  # Deviation D4
        y, through = feed_forward(part, a, drop, tap, k), p["res"][k] * u
        merged = merged + ((y + through) * on if variant.masked_residual else y * on + through)  # Deviation D4
    return merged


def sequence_encoder(p, s, residual, real, config, drop, tap=ignore):
    """Causal self-attention over all events, then layer norm and feed-forward.  s [B, L, D] -> [B, L, D].  Step (4).

    `residual` is the input of step (3), not s; the feed-forward's own residual starts at the normalised value.
    """
    a = self_attention(p, s, config.heads, drop, tap, "self", config.variant.merged_residual)  # Deviation D6
    z = normalise(p["ln"], a + residual, tap, "self")
    z = feed_forward(p, z, drop, tap, "self") * real[..., None]
    return normalise(p["final"], z, tap, "final") if config.variant.final_norm else z  # Deviation D7


def forward(params, batch, config, tap=ignore, rng=None):
    """Hidden states z after each event.  -> [B, L, D], 0 at padding, or there, after a final layer norm, its beta.

    rng: draws dropout (training only).
    """
    drop = dropout(config.dropout, rng)
    real = masks.padding(batch.item)  # [B, L]
    mask = masks.behaviour(batch.behaviour, config.behaviours)  # [B, L, K]
    x = drop(input_code(params, batch.item, batch.counts, config)) * real[..., None]  # [B, L, D]
    tap("input", x)
    s = x
    if config.variant.merge == "encoder":  # Deviation D1: two of the four files leave it out
        last = params["blocks"][-1]["behaviour"]  # Deviation D23: each block would read x again, so the last one counts
        s = behaviour_encoder(last, x, mask, config, drop, tap)
    if config.variant.indicator_again:  # Deviation D5
        s = s + dense(params["indicator"], batch.counts)
    z = s * real[..., None]
    tap("merged", z)
    for block in params["blocks"]:
        z = sequence_encoder(block["sequence"], z, x, real, config, drop, tap)
    tap("states", z)
    return z


def class_logits(params, q, z, config):
    """Which behaviour comes next: two dense layers on [q ; z], nothing between.  -> [..., K].  Step (6)."""
    logits = dense(params["class2"], dense(params["class1"], np.concatenate([q, z], axis=-1)))
    return relu(logits) if config.variant.class_relu else logits  # Deviation D13


def score(params, batch, candidates, config):
    """z_L . q^o.  candidates [B, C] item ids, or None for all items 1..N -> [B, C].  Step (5).

    As released, the first column is the held-out item and brings its counts over the whole log; every other candidate
    counts as bought once. Raises InputError if all items are asked for in that form: it has no first column.
    """
    require(candidates is not None or config.candidate_counts == "target",
            'give candidates, the held-out item first, or candidate_counts="target".')
    z = forward(params, batch, config)[:, -1]  # [B, D]
    item = np.arange(1, config.items + 1, like=batch.item)[None] if candidates is None else candidates
    q = candidate_code(params, item, candidate_counts(batch, item.shape, config).astype(z.dtype))  # [1 or B, C, D]
    return np.sum(z[:, None] * q, axis=-1) if candidates is not None else z @ q[0].T


def candidate_counts(batch, shape, config):
    """What is told of candidates when ranking.  shape (B, C) -> [B, C, K]."""
    counts = np.zeros((*shape, config.behaviours), like=batch.counts)
    counts[..., config.target - 1] = 1
    if config.candidate_counts == "release":
        counts[:, 0] = batch.target_counts  # Deviation D10
    return counts


def ranking_loss(positive, negative, weight, mask):
    """Weighted binary cross entropy, one negative a position, mean over events.  all [B, L] -> scalar.  Step (7).

    On probabilities, as released: a negative whose sigmoid rounds to 1, a score above 17 in float32, has no gradient.
    """
    yes, no = np.exp(-softplus(-positive)), 1 - np.exp(-softplus(-negative))  # sigmoid(positive), 1 - sigmoid(negative)
    return -masked_mean(weight * np.log(yes + 1e-24) + np.log(no + 1e-24), mask)


def loss(params, batch, config, rng=None):
    """L_rank + theta L_class over all positions; each predicts the next event.  -> scalar.  Step (7)."""
    rank, classes = losses(params, batch, config, rng)
    return rank + config.variant.theta * classes  # Deviation D21


def losses(params, batch, config, rng=None):
    """L_rank and L_class.  -> two scalars."""
    z, follow = forward(params, batch, config, rng=rng), batch.next
    q = candidate_code(params, follow.item, follow.counts)  # Deviation D12: its counts hold the answer  [B, L, D]
    q_negative = candidate_code(params, follow.negative, follow.counts)  # Deviation D11: the positive's counts
    mask = follow.item > 0
    rank = ranking_loss(np.sum(z * q, axis=-1), np.sum(z * q_negative, axis=-1),
                        follow.weight.astype(z.dtype), mask)
    return rank, masked_mean(cross_entropy(class_logits(params, q, z, config), follow.label), mask)
