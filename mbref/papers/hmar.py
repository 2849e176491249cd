"""HMAR: hierarchical masked attention for multi-behaviour recommendation (PAKDD 2024, arXiv 2405.09638).

Steps (1)-(8) are numbered as the method is told: (1) item code, (2) historical behaviour indicator, (3) behaviour
encoder, (4) sequence encoder, (5) score, (6) class head, (7) losses, (8) optimisation and evaluation. Authors' code:
github.com/Shereen-Elsayed/HMAR @ 1faa7eb; the default is its Taobao form with aligned, leak-free indicators.

Glossary of shapes: B batch, L window length, D width, H heads, K behaviour types, N items, C candidates.
Ids start at 1; 0 is padding. Histories are padded on the left, so the newest event is at L - 1.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data import sequences
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import dense, dropout, glorot, ignore, init_dense, layer_norm, lookup, relu
from mbref.nn.losses import cross_entropy, masked_mean, softplus


@dataclass(frozen=True)
class Config:
    """Shapes and switches."""
    items: int                         # N
    behaviours: int                    # K
    target: int = 1                    # index of the behaviour to predict
    width: int = 50                    # D; the release's Taobao run: 80
    length: int = 50                   # L; likewise 150
    heads: int = 1                     # H of every attention; 1
    blocks: int = 1                    # steps (3) and (4) stacked this often; 1
    dropout: float = 0.4               # of inputs, attention weights and feed-forward layers; .45
    theta: float = 0.1                 # weight of the class loss in (7); .1
    weights: tuple[float, ...] = ()    # w_b of a positive of type b in (7); () = .1 each, the target the rest of 1
    merge: str = "encoder"             # "bypass": step (4) reads the input, as released for Yelp and MovieLens
    indicator: bool = True             # False: no behaviour counts anywhere
    counts: str = "running"            # what (2) counts: "running", "window", or, as released, "whole-log" (a leak)
    count_scale: str = "raw"           # "log1p": the model reads log(1 + count)
    candidate_counts: str = "own"      # "target": negatives share the positive's; when ranking, one target event each
    positives: str = "all"             # (7) ranks "all" next events, those on "new" items, or of "target" behaviour
    newest_only: bool = False          # True: train on each user's newest window alone, as the release

    def __post_init__(self):
        if not self.weights:
            others = (0.1,) * (self.behaviours - 1)
            weights = others[: self.target - 1] + (1 - sum(others),) + others[self.target - 1 :]
            object.__setattr__(self, "weights", weights)
        require_choice(self, merge=("encoder", "bypass"), counts=("running", "window", "whole-log"),
                       positives=("all", "new", "target"), candidate_counts=("own", "target"),
                       count_scale=("raw", "log1p"))
        require(1 <= self.target <= self.behaviours == len(self.weights), "target and weights must fit the behaviours.")
        require(min(self.width, self.length, self.heads, self.blocks) >= 1 and self.width % self.heads == 0,
                "width, length, heads and blocks must be at least 1, and width a multiple of heads.")
        require(0 <= self.dropout < 1 and all(0 <= x < float("inf") for x in (self.theta, *self.weights)),
                "dropout must be at least 0 and less than 1, theta and weights numbers of 0 or more.")


def init(rng, config):
    """Parameters as a nested dict of float64 arrays; names after the symbols of steps (1)-(6)."""
    D, K = config.width, config.behaviours

    def normal(*shape):
        return init_dense(rng.normal(0, 0.01, shape))

    def encoder(*stack):
        return {name: init_dense(glorot(rng, *stack, D, D)) for name in ("q", "k", "v", "f1", "f2")}

    def block():
        behaviour, sequence = encoder(K) | {"res": np.zeros(K)}, encoder()
        return {"behaviour": behaviour, "sequence": sequence | {"ln": {"gamma": np.ones(D), "beta": np.zeros(D)}}}

    return {
        "item": glorot(rng, config.items + 1, D), "position": glorot(rng, config.length, D),   # v, p
        "indicator": normal(K, D),                         # W_c, b_c
        "feature": normal(2 * D, D),                       # joins item and indicator codes
        "blocks": [block() for _ in range(config.blocks)],
        "class1": normal(2 * D, D),
        "class2": normal(D, K),
    }


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: windows of the sequences."""
    return [sequences.windows(events, config.length, config.newest_only)]


def batch(events, rows, config, rng=None):
    """What the model reads of `events`: with rng, training windows `rows`; without, sequences `rows` to rank from."""
    if rng is None:
        return sequences.ranking_batch(events, rows, config.length, config.items, config.counts)
    return sequences.training_batch(events, rows, config.length, config.items, rng, config.counts)  # Deviation D8, D9


def scaled(params, counts, config):
    """Counts as the model reads them; the release's are raw.  [..., K] -> [..., K]."""
    kind = params["indicator"]["w"].dtype  # counts come as float32
    return np.log1p(counts.astype(kind)) if config.count_scale == "log1p" else counts  # Deviation D14


def code(params, item_code, counts, config):
    """Item and indicator codes joined: [v ; c W_c + b_c] W_f + b_f.  [..., D], [..., K] -> [..., D].  (1), (2)."""
    indicator = dense(params["indicator"], scaled(params, counts, config) * config.indicator)  # [..., D]
    return dense(params["feature"], np.concatenate([item_code, indicator], axis=-1))


def input_code(params, item, counts, config):
    """G: the code of every event plus its position.  item [B, L], counts [B, L, K] -> [B, L, D]."""
    # Deviation D19
    v = lookup(params["item"], item) * config.width**0.5  # [B, L, D], scaled here and not for candidates
    return code(params, v, counts, config) + params["position"][-item.shape[1] :]


def candidate_code(params, item, counts, config):
    """q^o: the same code for a candidate, without scale and position.  item [...], counts [..., K] -> [..., D]."""
    return code(params, lookup(params["item"], item), counts, config)


def masked_copies(x, mask):
    """M_b * x of every behaviour b, side by side.  x [B, L, D], mask [B, L, K] -> [B, L, K*D]."""
    return np.reshape(mask[..., None] * np.expand_dims(x, 2), x.shape[:2] + (-1,))


def dense_by_behaviour(p, copies, mask):
    """x_t W_b + b_b with b the behaviour of event t; 0 at padding.  copies [B, L, K*D] -> [B, L, D].

    The masked copies side by side, times the K weights [K, D, D] one above the other, is the sum of all (M_b x) W_b.
    """
    w = np.reshape(p["w"], (copies.shape[-1], -1))  # [K*D, D]
    return dense({"w": w, "b": 0}, copies) + mask @ p["b"]


def behaviour_encoder(p, x, mask, allowed, heads, drop, tap=ignore):
    """Each behaviour's own self-attention and feed-forward, events put back in their order.  Step (3).

    x [B, L, D]; mask [B, L, K]; allowed [B, L, L] causal and same behaviour -> [B, L, D]. Because every event has one
    behaviour, the K masked attentions of the paper are one attention with the weights of the event's own behaviour.
    No residual around the attention; a trainable scalar per behaviour, 0 at first, lets x through at the end.
    """
    copies = masked_copies(x, mask)  # [B, L, K*D]  # Deviation D3
    q, k, v = (dense_by_behaviour(p[name], copies, mask) for name in "qkv")
    a = attention(q, k, v, allowed, heads, drop, tap, "behaviour_weights")  # [B, L, D]
    hidden = drop(relu(dense_by_behaviour(p["f1"], masked_copies(a, mask), mask)))
    y = a + drop(dense_by_behaviour(p["f2"], masked_copies(hidden, mask), mask))
    return y + np.expand_dims(mask @ p["res"], 2) * x  # Deviation D4


def sequence_encoder(p, s, residual, allowed, heads, drop, tap=ignore):
    """Causal self-attention over all events, then layer norm and feed-forward.  s [B, L, D] -> [B, L, D].  Step (4).

    `residual` is the input of step (3), not s; the feed-forward's own residual starts at the normalised value.
    """
    q, k, v = (dense(p[name], s) for name in "qkv")
    a = attention(q, k, v, allowed, heads, drop, tap, "sequence_weights")
    z = layer_norm(p["ln"], a + residual)  # Deviation D6
    return z + drop(dense(p["f2"], drop(relu(dense(p["f1"], z)))))


def forward(params, batch, config, tap=ignore, rng=None):
    """Hidden states z after each event.  -> [B, L, D], 0 at padding. rng: draws dropout (training only)."""
    drop = dropout(config.dropout, rng)
    real = masks.padding(batch.item)  # [B, L]
    mask = masks.behaviour(batch.behaviour, config.behaviours)  # [B, L, K]
    causal = masks.causal(batch.item.shape[1], batch.item) & real[:, None, :] & real[:, :, None]  # [B, L, L]
    same = causal & masks.same_behaviour(batch.behaviour)  # Deviation D2
    z = drop(input_code(params, batch.item, batch.counts, config)) * real[..., None]  # [B, L, D]
    tap("input", z)
    for block in params["blocks"]:  # Deviation D23
        s = z
        if config.merge == "encoder":  # Deviation D1
            s = behaviour_encoder(block["behaviour"], z, mask, same, config.heads, drop, tap)  # Deviation D5
            tap("merged", s)
        z = sequence_encoder(block["sequence"], s, z, causal, config.heads, drop, tap) * real[..., None]  # Deviation D7
    tap("states", z)
    return z


def class_logits(params, q, z):
    """Which behaviour comes next: two dense layers on [q ; z], nothing between.  -> [..., K].  Step (6)."""
    return dense(params["class2"], dense(params["class1"], np.concatenate([q, z], axis=-1)))  # Deviation D13


def score(params, batch, candidates, config):
    """z_L . q^o.  candidates [B, C] item ids, or None for all items 1..N -> [B, C].  Step (5).

    An indicator enters q^o linearly, so "own" counts c add c . (W_c W_f z) to the score of the item without counts.
    """
    z = forward(params, batch, config)[:, -1]  # [B, D]
    item = np.arange(1, config.items + 1, like=batch.item)[None] if candidates is None else candidates
    counts = np.arange(1, config.behaviours + 1, like=batch.item) == config.target  # [K]
    counts = counts.astype(z.dtype) * (config.candidate_counts == "target")  # Deviation D10
    q = candidate_code(params, item, np.broadcast_to(counts, item.shape + counts.shape), config)  # [1 or B, C, D]
    scores = np.sum(z[:, None] * q, axis=-1) if candidates is not None else z @ q[0].T  # [B, C]
    if config.candidate_counts == "own" and config.indicator:
        row = np.arange(len(item), like=item)[:, None]  # [1 or B, 1]
        own = batch.history[:, 1:] if candidates is None else batch.history[row, item]
        pull = z @ (params["indicator"]["w"] @ params["feature"]["w"][config.width :]).T  # [B, K]
        scores = scores + np.einsum("bck,bk->bc", scaled(params, own, config), pull)
    return scores


def ranking_loss(positive, negative, weight, mask, has_negative):
    """Weighted binary cross entropy, one negative a position, mean over events.  all [B, L] -> scalar.  Step (7)."""
    return masked_mean(weight * softplus(-positive) + softplus(negative) * has_negative, mask)


def loss(params, batch, config, rng=None):
    """L_rank + theta L_class over all positions; each predicts the next event.  -> scalar.  Step (7)."""
    z, follow = forward(params, batch, config, rng=rng), batch.next
    negative_counts = follow.negative_counts if config.candidate_counts == "own" else follow.counts  # Deviation D11
    q = candidate_code(params, follow.item, follow.counts, config)  # [B, L, D]  # Deviation D12
    q_negative = candidate_code(params, follow.negative, negative_counts, config)
    mask, label = follow.item > 0, np.maximum(follow.behaviour, 1) - 1
    chosen = {"all": True, "new": ~follow.counts.any(-1), "target": follow.behaviour == config.target}
    ranked = mask & chosen[config.positives]
    weight = sum(z.dtype.type(w) * (label == b) for b, w in enumerate(config.weights))  # [B, L]  # Deviation D20
    rank = ranking_loss(np.sum(z * q, axis=-1), np.sum(z * q_negative, axis=-1),
                        weight, ranked, follow.negative > 0)
    return rank + config.theta * masked_mean(cross_entropy(class_logits(params, q, z), label), mask)  # Deviation D21
