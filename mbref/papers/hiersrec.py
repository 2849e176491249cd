"""HierSRec: hierarchical multi-task learning for session-based recommendation (Oh et al., arXiv 2309.06533, 2023).

In order: (1) the metadata-aware encoder, (2) the auxiliary task, next category, (3) the projection of its prediction,
(4) the main task, next item, (5) the joint loss; (6), the items of the likely categories as candidates, is in
candidates.py. [P] is the paper, of which only the abstract and the encoder's formula were at hand; no public code was
found. [M] is its predecessor M2TRec (2209.11824), [I] its successor IntentRec (2408.05353), which prints formulas that
[P] only tells. What has no tag is ours.

Glossary of shapes: B batch, L clicks of a session, D width, N items, C categories, R clicks with a next one.
Ids start at 1; 0 is padding for items and "unknown" for categories, a class like any other. Sessions are padded on the
right and positions count from their start, so all prefixes of a session are trained in one causal pass.
"""
from dataclasses import dataclass

import autograd.numpy as np

from mbref.data import session_batches
from mbref.errors import require, require_choice
from mbref.nn import masks
from mbref.nn.attention import attention
from mbref.nn.layers import (
    dense,
    dropout,
    ignore,
    init_dense,
    layer_norm,
    lookup,
    relu,
    stop_gradient,
)
from mbref.nn.losses import cross_entropy, log_softmax

SETTINGS = {"rate": "0.002", "beta2": "0.999", "batch_size": "128", "validate": "MRR@20"}  # ours


@dataclass(frozen=True)
class Config:
    """Shapes and switches; values are ours."""
    items: int                         # N
    categories: int                    # C
    text: int = 0                      # width of the items' text vectors, 0: there are none
    inputs: str = "id+category+text"   # what (1) reads of an item, joined by "+": all [P]; text only where there is any
    width: int = 64                    # D
    item_width: int = 64               # d_I
    category_width: int = 32           # d_C
    projection_width: int = 32         # d_p; "tied" takes d_C
    length: int = 20                   # L, the newest clicks that are read
    heads: int = 2
    blocks: int = 1
    dropout: float = 0.0               # of the encoder's input, weights and feed-forward
    pool: str = "last"                 # session encoding: the "last" state [I], or the "mean" so far [M]
    tasks: str = "both"                # "item": no category head, so hier is "none"
    hier: str = "soft"                 # (3) [I]; "logits", "tied", "stop", "oracle"; "none": two heads side by side [M]
    item_out: str = "fc"               # (4): free weights an item [I], or "tied" to its inputs: scores cold items
    category_weight: float = 1.0       # lambda of (5)
    softmax: str = "known"             # (5) over items with a training click; "all": cold ones are only pushed away

    def __post_init__(self):
        if not self.text:
            object.__setattr__(self, "inputs", "+".join(x for x in self.inputs.split("+") if x != "text"))
        require(set(self.inputs.split("+")) <= {"id", "category", "text"},
                f"inputs is {self.inputs!r}: join some of id, category, text by +, text only where items have texts.")
        require_choice(self, pool=("last", "mean"), tasks=("both", "item"), item_out=("fc", "tied"),
                       hier=("soft", "logits", "tied", "stop", "oracle", "none"), softmax=("known", "all"))
        if self.tasks == "item":
            object.__setattr__(self, "hier", "none")
        require(min(self.items, self.categories, self.width, self.item_width, self.category_width, self.length,
                    self.projection_width, self.heads, self.blocks) >= 1 and self.width % self.heads == 0,
                "items, categories, widths, length, heads and blocks must be at least 1, width a multiple of heads.")
        require(0 <= self.dropout < 1 and 0 <= self.category_weight < float("inf") and self.text >= 0,
                "dropout must be at least 0 and less than 1, category_weight and text numbers of 0 or more.")


def widths(config):
    """Of the item features read, and of g.  -> (int, int)."""
    parts = {"id": config.item_width, "category": config.category_width, "text": config.text}
    g = config.category_width if config.hier == "tied" else config.projection_width
    return sum(parts[name] for name in config.inputs.split("+")), 0 if config.hier == "none" else g


def init(rng, config):
    """Nested dict of float64 arrays, of those in use; matrices N(0, 1 / fan_in), embeddings N(0, .1^2), biases 0."""
    D, C, (d_in, d_g) = config.width, config.categories + 1, widths(config)

    def matrix(rows, columns):
        return rng.normal(0, rows**-0.5, (rows, columns))

    def norm(size=D):
        return {"gamma": np.ones(size), "beta": np.zeros(size)}

    def block():
        return {name: matrix(D, D) for name in "qkvo"} | {"ln1": norm(), "ln2": norm()} | {
            "f1": init_dense(matrix(D, 2 * D)), "f2": init_dense(matrix(2 * D, D))}

    params = {"in": init_dense(matrix(d_in, D)), "position": rng.normal(0, 0.1, (config.length, D)),
              "blocks": [block() for _ in range(config.blocks)], "ln": norm()}
    if "id" in config.inputs:
        params["E_I"] = rng.normal(0, 0.1, (config.items + 1, config.item_width))
    if "category" in config.inputs or config.hier == "tied":
        params["E_C"] = rng.normal(0, 0.1, (C, config.category_width))
    if config.tasks == "both":
        params["category"] = init_dense(matrix(D, C))
    if d_g and config.hier != "tied":
        params["W_p"] = rng.normal(0, 0.1, (C, d_g))
    if config.hier == "logits":
        params["ln_logits"] = norm(C)
    if config.item_out == "tied":
        return params | {"query": matrix(D + d_g, D), "value": matrix(d_in, D), "b_i": np.zeros(config.items)}
    return params | {"item": init_dense(matrix(D + d_g, config.items))}


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: windows of the sessions."""
    return session_batches.examples(events, config.length)


def batch(events, rows, config, rng=None):
    """What the model reads of `events`: with rng, training windows `rows`; without, sessions `rows` to rank from.

    Raises InputError if the config asks for text vectors that the events do not have.
    """
    width = 0 if events.text is None else events.text.shape[1]
    require("text" not in config.inputs or width == config.text,
            f"text is {config.text}, but the log's text vectors have width {width}: set text to that, 0 for none.")
    if rng is None:
        return session_batches.ranking_batch(events, rows, config.length, config.items)
    return session_batches.training_batch(events, rows, config.items)


def located(batch):
    """A training batch on its way to a GPU, with the positions of its targets."""
    return batch._replace(at=masks.positions(batch.next))


def item_features(params, batch, item, config):
    """concat(E^I, E^C, E^M) of items [...], as far as they are read; 0 at padding.  -> [..., d_in].  (1) [P]."""
    parts = {"id": lambda: lookup(params["E_I"], item),
             "category": lambda: params["E_C"][batch.category[item]] * (item > 0)[..., None],
             "text": lambda: batch.text[item].astype(params["in"]["w"].dtype)}
    return np.concatenate([parts[name]() for name in config.inputs.split("+")], axis=-1)


def encoder_block(p, h, allowed, heads, drop, tap=ignore):
    """Pre-norm transformer block.  h [B, L, D], allowed [B, L, L] -> [B, L, D].  (1)."""
    a = layer_norm(p["ln1"], h)
    q, k, v = (a @ p[name] for name in "qkv")
    h = h + attention(q, k, v, allowed, heads, drop, tap) @ p["o"]
    return h + drop(dense(p["f2"], relu(dense(p["f1"], layer_norm(p["ln2"], h)))))


def forward(params, batch, config, tap=ignore, rng=None):
    """s: the session encoding after every click, from it and what came before [I].  -> [B, L, D].  (1)."""
    drop, length = dropout(config.dropout, rng), batch.item.shape[1]
    allowed = masks.causal(length, batch.item) & masks.padding(batch.item)[:, None]  # [B, L, L]  # Deviation D2
    # Deviation D3, D4
    h = drop(dense(params["in"], item_features(params, batch, batch.item, config)) + params["position"][:length])
    for block in params["blocks"]:
        h = encoder_block(block, h, allowed, config.heads, drop, tap)
    s = layer_norm(params["ln"], h)
    tap("states", s)
    if config.pool == "mean":  # Deviation D1
        s = np.cumsum(s, axis=1) / np.arange(1, length + 1, dtype=s.dtype, like=batch.item)[:, None]
    return s


def category_logp(params, s):
    """log p_C, which category comes next.  s [R, D] -> [R, C+1], class 0 = unknown (ours).  (2) [P]."""
    return log_softmax(dense(params["category"], s))


def projection(params, logp, config, oracle=None):
    """g: what the item head learns of the predicted category.  logp [R, C+1] -> [R, d_p].  (3) [P].

    "soft": the expectation of one learned vector a category [I]; "tied": of the input's own category embeddings;
    "stop": soft, but the item loss does not train the category head; "logits": of the logits, whose layer norm is that
    of log p and does not saturate; "oracle": the vector of the true category `oracle` [R], an upper bound and no model.
    """
    if config.hier == "oracle":
        require(oracle is not None, "hier=oracle needs the true next categories: it bounds what a hierarchy can give.")
        return params["W_p"][oracle]
    if config.hier == "logits":
        return layer_norm(params["ln_logits"], logp) @ params["W_p"]
    p = np.exp(stop_gradient(logp) if config.hier == "stop" else logp)  # Deviation D5, D7
    return p @ (params["E_C"] if config.hier == "tied" else params["W_p"])


def joined(params, s, config, oracle=None):
    """Session encoding and category vector side by side.  s [R, D] -> q [R, D + d_p], log p_C or None.  (2)-(4) [I]."""
    logp = category_logp(params, s) if config.tasks == "both" else None
    if config.hier == "none":
        return s, logp
    return np.concatenate([s, projection(params, logp, config, oracle)], axis=-1), logp  # Deviation D6


def output_columns(params, batch, config, items=None):
    """Weights and biases of items [...], or all 1..N, in the space of `item_query`.  -> [..., D'], [...].  (4)."""
    items = np.arange(1, config.items + 1, like=batch.item) if items is None else items
    if config.item_out == "tied":
        return item_features(params, batch, items, config) @ params["value"], params["b_i"][items - 1]
    return params["item"]["w"].T[items - 1], params["item"]["b"][items - 1]


def item_query(params, q, config):
    """What is multiplied with an item's weights.  q [R, D + d_p] -> [R, D'].  (4)."""
    return q @ params["query"] if config.item_out == "tied" else q


def item_logits(params, batch, q, config):
    """Of all items 1..N, never of padding.  q [R, D + d_p] -> [R, N].  (4)."""
    if config.item_out == "fc":  # Deviation D8
        return dense(params["item"], q)
    w, b = output_columns(params, batch, config)  # [N, D], [N]
    return item_query(params, q, config) @ w.T + b


def newest(params, batch, config):
    """The encoding after the last click of every session.  -> [B, D]."""
    s = forward(params, batch, config)
    last = np.maximum(np.sum(batch.item > 0, axis=1) - 1, 0)
    return s[np.arange(len(last), like=last), last]


def score(params, batch, candidates, config):
    """Logits of candidates [B, C] item ids, or None for all items 1..N.  -> [B, C]."""
    q, _ = joined(params, newest(params, batch, config), config, batch.oracle)
    if candidates is None:
        return item_logits(params, batch, q, config)
    w, b = output_columns(params, batch, config, np.maximum(candidates, 1))  # [B, C, D'], [B, C]
    return np.sum(np.expand_dims(item_query(params, q, config), 1) * w, axis=-1) + b


def training_logits(z, batch, config):
    """The logits [R, N] without items that no training session holds, whose probability becomes 0 (ours).  (5)."""
    if config.softmax == "all" or batch.known is None:
        return z
    return z + ~batch.known * z.dtype.type(-1e9)


def losses(params, batch, config, rng=None):
    """L_item and L_cat, means over all clicks with a next one; L_cat is 0 without its head.  (5) [P]."""
    s = forward(params, batch, config, rng=rng)  # Deviation D10
    known = masks.positions(batch.next, batch.at)  # [R]
    target = batch.next.ravel()[known]
    label = batch.category[target]
    q, logp = joined(params, np.reshape(s, (-1, s.shape[-1]))[known], config, label)
    z = training_logits(item_logits(params, batch, q, config), batch, config)  # [R, N]
    item = np.sum(cross_entropy(z, target - 1))
    category = np.sum(cross_entropy(logp, label)) if config.tasks == "both" else 0.0
    return item / len(known), category / len(known)  # not np.mean: its gradient turns float32 into float64


def loss(params, batch, config, rng=None):
    """L_item + lambda L_cat, the form of [I].  -> scalar.  (5)."""
    item, category = losses(params, batch, config, rng)
    return item + config.category_weight * category  # Deviation D9
