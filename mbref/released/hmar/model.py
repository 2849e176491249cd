"""HMAR as released: the graphs of the authors' four model files.

They are those of github.com/Shereen-Elsayed/HMAR @ 1faa7eb, which differ by the switches of
`Variant`; data.py has what the release does to data. Steps, names and shapes are those of
papers/hmar.py, and "Deviation Dn" marks where the two differ: n is a row of the ledger.
"""
from dataclasses import dataclass
from functools import partial

import autograd.numpy as np

from mbref.errors import require, require_choice, require_ranges
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (dense, dropout, ignore, init_norm, layer_norm, lookup, relu,
                             stop_gradient)
from mbref.nn.losses import cross_entropy, masked_mean, softplus
from mbref.papers import hmar
from mbref.papers.hmar import code, input_code
from mbref.released.hmar.data import ranking_batch, training_batch  # noqa: F401


@dataclass(frozen=True)
class Variant:
    """Where the four released model files differ."""
    weights: tuple[float, ...]         # of positives in (7), the target's first; of negatives 1
    theta: float = 0.1                 # weight of the class loss in (7)
    merge: str = "encoder"             # "bypass": step (3)'s result is overwritten by its input
    behaviour_norm: bool = False       # layer norm before each behaviour's attention
    masked_residual: bool = True       # res_b u_b inside the mask M_b, or, with False, outside
    indicator_again: bool = False      # c is added to the merged sequence once more
    merged_residual: bool = False      # step (4) adds its own input too
    final_norm: bool = False           # layer norm after step (4), behind the mask of padding
    class_relu: bool = False           # relu on the logits of step (6)
    drop_target_history: bool = False  # earlier rows on the held-out item leave the training list


SHOP = (0.7, 0.1, 0.1, 0.1)            # buy, cart, fav, pv
VARIANTS = {
    "tianchi": Variant(SHOP, theta=0.15, behaviour_norm=True, masked_residual=False,
                       indicator_again=True, class_relu=True, drop_target_history=True),
    "taobao": Variant(SHOP),
    "yelp": Variant((0.3, 0.3, 0.2, 0.2), merge="bypass", behaviour_norm=True,  # pos, tip,
                    masked_residual=False, merged_residual=True),               # neutral, neg
    "movielens": Variant((0.8, 0.1, 0.1), merge="bypass", final_norm=True),     # pos, neutral, neg
}


@dataclass(frozen=True)
class Config:
    """Shapes and switches; the defaults are the release's."""
    items: int                         # N
    behaviours: int                    # K
    variant: str | Variant = "taobao"  # which of the four files; or one of its own
    target: int = 1                    # the behaviour to predict, 1..K
    width: int = 50                    # D; Taobao 80, Tianchi 40, Yelp and MovieLens 50
    length: int = 50                   # L; 150, 100, 170, 120
    heads: int = 1                     # H of every attention; 1
    blocks: int = 1                    # of step (4) stacked; of step (3) only the last counts; 1
    dropout: float = 0.45              # .45, .6, .4, .4
    mask_mode: str = "release"         # "boolean": masks hold after the behaviours' layer norm
    attention_residual: bool = False   # True: the usual residual around the behaviours' attention
    candidate_counts: str = "release"  # "target": all candidates count one target event in ranking
    reverse_context: bool = True       # indicators and class labels against the order of time

    def __post_init__(self):
        require_ranges(self)
        require_choice(self, mask_mode=("release", "boolean"),
                       candidate_counts=("release", "target"))
        require(self.variant in VARIANTS or isinstance(self.variant, Variant),
                f"variant is {self.variant!r}: choose one of {', '.join(VARIANTS)}.")
        require_choice(self.file, merge=("encoder", "bypass"))
        kinds = len(self.file.weights)
        fitting = [name for name, file in VARIANTS.items() if len(file.weights) == self.behaviours]
        mend = f"choose {' or '.join(fitting)}" if fitting else "train hmar, for any number of them"
        require(kinds == self.behaviours,
                f"variant {self.variant} is for {kinds} behaviours and the log has "
                f"{self.behaviours}: {mend}.")

    @property
    def file(self):
        """The Variant."""
        return VARIANTS.get(self.variant, self.variant)


def init(rng, config):
    """Parameters as a nested dict of float64 arrays: those of papers/hmar.py, and more norms."""
    params = hmar.init(rng, config)
    for block in params["blocks"]:
        if config.file.behaviour_norm:  # Deviation D3: a norm before each attention
            block["behaviour"]["ln"] = init_norm(config.behaviours, config.width)
        if config.file.final_norm:  # Deviation D7: a norm at the end
            block["sequence"]["final"] = init_norm(config.width)
    return params


def candidate_code(params, item, counts):
    """q^o: the same code of candidates, without scale and position.  item [...] -> [..., D]."""
    return code(params, lookup(params["item"], item), counts)


def show(tap, name, layer, x):
    """layer(x); the release records what goes in and what comes out."""
    tap(f"{name}_in", x)
    y = layer(x)
    tap(f"{name}_out", y)
    return y


def self_attention(p, heads, drop, tap, name, residual, u):
    """A(u), or u + A(u): causal self-attention in which a row of zeros is padding.  u [B, L, D].

    The release writes -2^32 + 1 over forbidden scores and multiplies dead queries by 0. As a live
    query always has itself as key, the guarded softmax does the same.
    """
    alive = np.any(stop_gradient(u) != 0, axis=-1)  # Deviation D2: masks read off zeros  [B, L]
    q, k, v = (dense(p[part], u) for part in "qkv")
    a = attention(q, k, v, masks.causal_real(alive), heads, drop, tap, f"weights_{name}")
    return a + u if residual else a


def feed_forward(p, drop, x):
    """F(x): two layers with their residual.  [B, L, D] -> [B, L, D]."""
    return x + drop(dense(p["f2"], drop(relu(dense(p["f1"], x)))))


def behaviour_encoder(p, x, mask, config, drop, tap=ignore):
    """K attentions over masked copies of the whole sequence, added up.  Step (3).

    x [B, L, D]; mask [B, L, K] -> [B, L, D]. A layer norm turns the zeros of masked rows into its
    beta: from the first update on, other behaviours' events and padding are keys like any other.
    """
    file, merged = config.file, 0
    for k in range(config.behaviours):
        part = {name: {key: a[k] for key, a in p[name].items()} for name in p if name != "res"}
        on = mask[:, :, k, None]  # [B, L, 1]
        u = x * on
        if file.behaviour_norm:  # Deviation D3: a norm before each attention
            u = show(tap, f"ln_{k}", partial(layer_norm, part["ln"]), u)
        if config.mask_mode == "boolean":  # Deviation D2: masked rows stay masked
            u = u * on
        own = config.attention_residual  # Deviation D4: none around the attention
        attend = partial(self_attention, part, config.heads, drop, tap, k, own)
        a = show(tap, f"mha_{k}", attend, u)
        y = show(tap, f"ffn_{k}", partial(feed_forward, part, drop), a)
        through = p["res"][k] * u
        # Deviation D4: res outside the mask
        merged = merged + ((y + through) * on if file.masked_residual else y * on + through)
    return merged


def sequence_encoder(p, s, residual, real, config, drop, tap=ignore):
    """Causal self-attention, norm, feed-forward; `residual` is the input of (3).  -> as s.  (4)."""
    own = config.file.merged_residual  # Deviation D6: in one file its own input, too
    attend = partial(self_attention, p, config.heads, drop, tap, "self", own)
    a = show(tap, "mha_self", attend, s)
    z = show(tap, "ln_self", partial(layer_norm, p["ln"]), a + residual)
    z = show(tap, "ffn_self", partial(feed_forward, p, drop), z) * real[..., None]
    if config.file.final_norm:  # Deviation D7: a norm at the end
        z = show(tap, "ln_final", partial(layer_norm, p["final"]), z)
    return z


def forward(params, batch, config, tap=ignore, rng=None):
    """States z after each event, at padding 0 or the last norm's beta; rng: dropout.  [B, L, D]."""
    drop = dropout(config.dropout, rng)
    real = masks.padding(batch.item)  # [B, L]
    mask = masks.behaviour(batch.behaviour, config.behaviours)  # [B, L, K]
    x = drop(input_code(params, batch.item, batch.counts)) * real[..., None]  # [B, L, D]
    tap("input", x)
    s = x
    if config.file.merge == "encoder":  # Deviation D1: two of the four files leave it out
        last = params["blocks"][-1]["behaviour"]  # Deviation D23: each would read x again
        s = behaviour_encoder(last, x, mask, config, drop, tap)
    if config.file.indicator_again:  # Deviation D5: c is added again
        s = s + dense(params["indicator"], batch.counts)
    z = s * real[..., None]
    tap("merged", z)
    for block in params["blocks"]:
        z = sequence_encoder(block["sequence"], z, x, real, config, drop, tap)
    tap("states", z)
    return z


def class_logits(params, q, z, config):
    """Which behaviour comes next: two dense layers on [q ; z].  -> [..., K].  (6)."""
    logits = hmar.class_logits(params, q, z)
    return relu(logits) if config.file.class_relu else logits  # Deviation D13: a ReLU on logits


def score(params, batch, candidates, config):
    """z_L . q^o of candidates [B, C]; as released, the first one is the held-out item.  (5)."""
    z = forward(params, batch, config)[:, -1:]  # [B, 1, D]
    counts = candidate_counts(batch, candidates.shape, config).astype(z.dtype)  # [B, C, K]
    return np.sum(z * candidate_code(params, candidates, counts), axis=-1)


def score_all(params, batch, config):
    """z_L . q^o of all items 1..N, none of which may be known to be held out.  -> [B, N].  (5)."""
    require(config.candidate_counts == "target",
            'give candidates, the held-out item first, or candidate_counts="target".')
    item = np.arange(1, config.items + 1, like=batch.item)[None]  # [1, N]
    z = forward(params, batch, config)[:, -1]  # [B, D]
    counts = candidate_counts(batch, item.shape, config).astype(z.dtype)  # [1, N, K]
    return z @ candidate_code(params, item, counts)[0].T


def candidate_counts(batch, shape, config):
    """Counts in ranking: all candidates count as bought once.  shape (B, C) -> [B, C, K]."""
    counts = np.zeros((*shape, config.behaviours), like=batch.counts)
    counts[..., config.target - 1] = 1
    if config.candidate_counts == "release":
        counts[:, 0] = batch.target_counts  # Deviation D10: the held-out item brings its own
    return counts


def ranking_loss(positive, negative, weight, mask):
    """Weighted binary cross entropy, one negative a position.  all [B, L] -> scalar.  (7)."""
    yes = np.exp(-softplus(-positive))  # sigmoid(positive)
    no = 1 - np.exp(-softplus(-negative))  # of a negative above 17 in float32: 0, and no gradient
    return -masked_mean(weight * np.log(yes + 1e-24) + np.log(no + 1e-24), mask)


def loss(params, batch, config, rng=None):
    """L_rank + theta L_class over all positions; each predicts the next event.  -> scalar.  (7)."""
    rank, classes = losses(params, batch, config, rng)
    return rank + config.file.theta * classes  # Deviation D21: theta by file


def losses(params, batch, config, rng=None):
    """L_rank and L_class.  -> two scalars."""
    z, follow = forward(params, batch, config, rng=rng), batch.next
    # Deviation D11, D12: the negative has the positive's counts, and these hold the answer
    q, q_negative = (candidate_code(params, item, follow.counts)  # [B, L, D]
                     for item in (follow.item, follow.negative))
    mask, weight = follow.item > 0, follow.weight.astype(z.dtype)
    rank = ranking_loss(np.sum(z * q, axis=-1), np.sum(z * q_negative, axis=-1), weight, mask)
    return rank, masked_mean(cross_entropy(class_logits(params, q, z, config), follow.label), mask)
