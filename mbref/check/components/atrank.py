"""mbref's side of ATRank. Histories are padded on the right. D width, N items, F features."""
import autograd.numpy as np

from mbref.check.components.reading import config_of, take, where_real
from mbref.data.targets import Batch, History
from mbref.nn import layers
from mbref.variants import atrank


def batch_of(inputs):
    """One group of items: each its item and its category."""
    item, category = inputs["item"], inputs["category"]
    features = np.stack([np.arange(len(category), like=category), category], axis=1)
    history = History(item, (item > 0).astype(int), inputs["gap"])
    return Batch((history,), (features,), 0, inputs.get("candidate"), inputs.get("label"))


def read_config(inputs, **more):
    """The Config of a case: what it leaves out is as released, D as wide as an object's code."""
    features = inputs["groups"][0] if "groups" in inputs else ("item", "category")
    width = len(features) * inputs.get("table_width", 64)
    return config_of(atrank.Config, inputs, **{**atrank.RELEASED, "width": width, **more})


def time_bucket(params, inputs, tap):
    """Bucket of a time gap.  gap [B, T] whole numbers >= 0 -> bucket [B, T].

    rule "release": floor(log2(gap + 1)), at most 12. "paper": 0 below 1, then floor(log2 gap) + 1,
    at most 13.
    """
    return {"bucket": layers.time_bucket(inputs["gap"], inputs["rule"])}


def behaviour_code(params, inputs, tap):
    """[item ; category ; one-hot time bucket] W + b.  -> code [B, T, D], 0 at padding.

    item, gap [B, T]; category [N+1] of every item, 0 = unknown, an embedding of zeros; params:
    tables (item, category), groups/0 (w, b). Buckets as in atrank.time_bucket: rule "release", of
    which buckets 0..11 have columns and bucket 12 is all zeros, or "paper", 14 columns; `bucket` is
    the rule. group_relu: a ReLU after it.
    """
    batch, config = batch_of(inputs), read_config(inputs)
    code = atrank.behaviour_code(params, config, 0, batch.histories[0], batch.features[0])
    return {"code": code * (inputs["item"] > 0)[..., None]}


def attention_block(params, inputs, tap):
    """y = ln(attention + query), then ln_f(f2(relu(f1(y))) + y); layer norms with eps 1e-8.

    query [B, C, D], memory [B, S, D], allowed [B, C, S] bool; heads; params: q, k, v [D, D], f1,
    f2, ln, ln_f -> y [B, C, D]. q and v are ReLU layers. scores "dot": k too, scores over
    sqrt(D/H); "bilinear": k without bias and ReLU, no root. Tap: weights [B, H, C, S].
    """
    config = read_config(inputs, items=1, width=inputs["query"].shape[-1], query="group")
    arrays = take(inputs, "query memory allowed")
    return {"y": atrank.attention_block(params, *arrays, config, None, tap)}


def score(params, inputs, tap):
    """Logits of candidates.  item, gap [B, T], category [N+1], candidate [B, C] -> scores [B, C].

    Config and params as atrank.
    """
    config = read_config(inputs)
    return {"scores": atrank.score(params, batch_of(inputs), inputs["candidate"], config)}


def model(params, inputs, tap):
    """The loss of a batch: point-wise cross entropy and penalties.  -> loss [].

    item, gap [B, T], 0 = padding on the right; category [N+1]; candidate [B, C], 0 = none; label
    [B, C] bool. Config as in papers/atrank.py. Taps, NaN at padding: input [B, T, D], self_weights
    [B, H, T, T], states [B, T, D], and vanilla_weights [B, H, C, T].
    """
    return loss_of(params, batch_of(inputs), read_config(inputs), tap)


def real_events(batch):
    """True where there is an event, groups one after the other.  -> [B, S]."""
    return np.concatenate([history.item > 0 for history in batch.histories], axis=1)


def loss_of(params, batch, config, tap):
    """The loss of a batch, with the taps of its events and of its candidates."""
    states = atrank.forward(params, batch, config, where_real(tap, real_events(batch)))
    shown = where_real(tap, batch.candidate > 0)
    atrank.logits(params, batch, states, batch.candidate, config, shown)
    return {"loss": atrank.loss(params, batch, config)}
