"""mbref's side of HMAR. Histories are padded on the left. K behaviours, N items, D width."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.check.components.reading import component, config_of, take, where_real
from mbref.data.windows import Batch, ItemCounts, Next, window_counts
from mbref.nn import masks
from mbref.nn.layers import ignore, lookup
from mbref.nn.losses import masked_mean, softplus
from mbref.papers import hmar as paper
from mbref.variants import hmar

behaviour_mask = component("mask")(lambda behaviour: masks.causal(
    behaviour.shape[1], behaviour) & masks.same_behaviour(behaviour))
indicator = component("counts")(lambda item, behaviour, count: window_counts(
    item, item, behaviour, count).astype(float))
candidate_counts = component("counts")(lambda candidate, item, behaviour, count: window_counts(
    candidate, item, behaviour, count).astype(float))
code = component("code")(lambda params, inputs, item_code: paper.code(
    params, item_code, read_counts(inputs)))
input_code = component("code")(lambda params, inputs, item: paper.input_code(
    params, item, read_counts(inputs)) * (item > 0)[..., None])
candidate_code = component("code")(lambda params, inputs, candidate: paper.code(
    params, lookup(params["item"], candidate), read_counts(inputs)))
class_logits = component("logits")(paper.class_logits)


def read_counts(inputs):
    """The counts as the model reads them."""
    counts = inputs["counts"]
    config = config_of(hmar.Config, inputs, items=1, behaviours=counts.shape[-1])
    return hmar.change_batch(Batch(None, None, None, counts), config).counts


@component("y")
def behaviour_encoder(params, x, behaviour, heads, tap):
    """K attentions, each over one behaviour's events.  x [B, T, D] -> [B, T, D].  (3)."""
    K = len(params["res"])
    both = masks.behaviour(behaviour, K), masks.causal_real(behaviour > 0)
    shown = add_up(where_real(tap, behaviour > 0), K)
    return paper.behaviour_encoder(params, x, *both, heads, lambda a: a, shown)


def add_up(tap, behaviours):
    """A tap that shows the weights of the K attentions of the first block as one array."""
    if tap is ignore:
        return tap
    parts = []

    def show(name, a):
        if not name.startswith("behaviour_weights"):
            return tap(name, a)
        parts.append(getval(a))
        if len(parts) == behaviours:
            tap("behaviour_weights", sum(parts))
    return show


@component("z")
def sequence_encoder(params, s, residual, real, heads, tap):
    """Attention over all events, norm, feed-forward.  s [B, T, D] -> [B, T, D].  (4)."""
    allowed, shown = masks.causal_real(real), where_real(tap, real)
    z = paper.sequence_encoder(params, s, residual, allowed, heads, lambda a: a, shown)
    return z * real[..., None]


@component("loss")
def ranking_loss(positive, negative, weight, mask, has_negative):
    """Mean over events of the weighted ranking loss.  positive, negative [B, T] -> [].  (7)."""
    each = weight * softplus(-positive) + softplus(negative) * has_negative  # [B, T]
    return masked_mean(each, mask)


@component("scores")
def score(params, inputs, item, behaviour, counts, candidate, history):
    """Scores of candidates [B, C] for the next event of each history.  -> [B, C].  (5)."""
    config = config_of(hmar.Config, inputs, dropout=0.0)
    batch = Batch(None, item, behaviour, counts, history=list_counts(history))
    batch = hmar.change_batch(batch, config)
    return hmar.score(params, batch, candidate, config)


def list_counts(history):
    """Counts [B, N+1, K] of all items 0..N as ItemCounts."""
    rows, items, K = history.shape
    row, item = divmod(np.arange(rows * items, like=getval(history)), items)
    return ItemCounts(row, item, np.reshape(history, (-1, K)), np.zeros_like(history[0, 0]))


@component("loss")
def model(params, inputs, tap):
    """The loss, and the states where there are events.  -> [].  (7)."""
    config = config_of(hmar.Config, inputs, dropout=0.0)
    batch = hmar.change_batch(batch_of(inputs), config)
    if tap is not ignore:
        shown = add_up(where_real(tap, batch.item > 0), config.behaviours)
        hmar.forward(params, batch, config, shown)
    return hmar.loss(params, batch, config)


def batch_of(inputs):
    """The Batch with its Next."""
    follow = take(inputs, "next_item next_behaviour next_counts negative negative_counts")
    return Batch(None, *take(inputs, "item behaviour counts"), Next(*follow, follow[0] > 0))
