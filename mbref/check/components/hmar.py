"""mbref's side of HMAR. Histories are padded on the left. K behaviours, N items, D width."""
from autograd.tracer import getval

from mbref.check.components.reading import config_of, take, where_real
from mbref.data.windows import Batch, Next, window_counts
from mbref.nn import masks
from mbref.nn.layers import lookup
from mbref.nn.losses import masked_mean, softplus
from mbref.papers import hmar as paper
from mbref.variants import hmar


def behaviour_mask(params, inputs, tap):
    """May the query read the key: both real, of one behaviour, the key not later?

    behaviour [B, T] 1..K, 0 = padding on the left -> mask [B, T, T], rows are queries.
    """
    behaviour = inputs["behaviour"]
    return {"mask": masks.causal(behaviour.shape[1], behaviour) & masks.same_behaviour(behaviour)}


def indicator(params, inputs, tap):
    """How often the event's item has occurred so far, by behaviour, this event included.

    item, behaviour [B, T], 0 = padding; count = K -> counts [B, T, K], 0 at padding.
    """
    item = inputs["item"]
    return {"counts": window_counts(item, item, inputs["behaviour"], inputs["count"]).astype(float)}


def candidate_counts(params, inputs, tap):
    """How often a candidate has occurred up to and including each event, by behaviour.

    item, behaviour [B, T]; candidate [B, T], 0 = none; count = K -> counts [B, T, K], 0 where there
    is no candidate.
    """
    counts = window_counts(*take(inputs, "candidate item behaviour count"))
    return {"counts": counts.astype(float)}


def code(params, inputs, tap):
    """[v ; c W_c + b_c] W_f + b_f.  item_code v [B, T, D], counts c [B, T, K] -> code [B, T, D].

    params: indicator (w [K, D], b [D]), feature (w [2D, D], b [D]). count_scale "log1p": c is log(1
    + c); indicator False: c is 0.
    """
    return {"code": paper.code(params, inputs["item_code"], read_counts(inputs))}


def read_counts(inputs):
    """The counts as the model reads them."""
    counts = inputs["counts"]
    config = config_of(hmar.Config, inputs, items=1, behaviours=counts.shape[-1])
    return hmar.change_batch(Batch(None, None, None, counts), config).counts


def input_code(params, inputs, tap):
    """G: the code of every event, its embedding times sqrt(D), plus its position.

    item [B, T], counts [B, T, K]; params: item [N+1, D], position [length, D] with length >= T, the
    last one that of the last event, indicator, feature -> code [B, T, D], 0 at padding.
    """
    item = inputs["item"]
    return {"code": paper.input_code(params, item, read_counts(inputs)) * (item > 0)[..., None]}


def candidate_code(params, inputs, tap):
    """q^o: the code of candidates, without sqrt(D) and position; 0 has an embedding of zeros.

    candidate [B, C], counts [B, C, K]; params: item [N+1, D], indicator, feature -> code [B, C, D].
    """
    v = lookup(params["item"], inputs["candidate"])
    return {"code": paper.code(params, v, read_counts(inputs))}


def behaviour_encoder(params, inputs, tap):
    """Each behaviour's own causal self-attention and feed-forward, events put back in their order.

    x [B, T, D], behaviour [B, T]; heads; params: q, k, v, f1, f2 (each w [K, D, D], b [K, D]), res
    [K] -> y [B, T, D], 0 at padding. y = a + f2(relu(f1(a))) + res x, a the attention without
    residual. Tap: behaviour_weights [B, heads, T, T], NaN for queries that are padding.
    """
    behaviour, K = inputs["behaviour"], len(params["res"])
    both = masks.behaviour(behaviour, K), masks.causal_real(behaviour > 0)
    shown = add_up(where_real(tap, behaviour > 0), K)
    x, heads = take(inputs, "x heads")
    return {"y": paper.behaviour_encoder(params, x, *both, heads, lambda a: a, shown)}


def add_up(tap, behaviours):
    """A tap that shows the weights of the K attentions of the first block as one array."""
    parts = []

    def show(name, a):
        if not name.startswith("behaviour_weights"):
            return tap(name, a)
        parts.append(getval(a))
        if len(parts) == behaviours:
            tap("behaviour_weights", sum(parts))
    return show


def sequence_encoder(params, inputs, tap):
    """Causal self-attention over all events, then layer norm (eps 1e-8) and feed-forward.

    s, residual [B, T, D], real [B, T] bool; heads; params: q, k, v, f1, f2 (w [D, D], b [D]), ln
    (gamma, beta) -> z [B, T, D], 0 at padding. y = ln(a + residual), z = y + f2(relu(f1(y))). Tap:
    sequence_weights [B, heads, T, T], NaN for queries that are padding.
    """
    s, residual, real, heads = take(inputs, "s residual real heads")
    allowed, shown = masks.causal_real(real), where_real(tap, real)
    z = paper.sequence_encoder(params, s, residual, allowed, heads, lambda a: a, shown)
    return {"z": z * real[..., None]}


def class_logits(params, inputs, tap):
    """Two dense layers, class1 and class2, on [q ; z].  q, z [B, T, D] -> logits [B, T, K]."""
    return {"logits": paper.class_logits(params, inputs["q"], inputs["z"])}


def ranking_loss(params, inputs, tap):
    """Mean over the events of weight * -log sigmoid(positive) - log(1 - sigmoid(negative)).

    positive, negative, weight [B, T]; mask [B, T] bool: the events; has_negative [B, T] bool:
    without a negative there is no second term -> loss [], 0 without events.
    """
    positive, negative, weight = take(inputs, "positive negative weight")
    mask, has_negative = take(inputs, "mask has_negative")
    each = weight * softplus(-positive) + softplus(negative) * has_negative  # [B, T]
    return {"loss": masked_mean(each, mask)}


def score(params, inputs, tap):
    """Scores of candidates for the next event after each history.

    item, behaviour [B, T]; counts [B, T, K]; candidate [B, C]; history [B, N+1, K] counts of every
    item over the whole history; config and params as hmar -> scores [B, C]. candidate_counts "own":
    a candidate's indicator are its counts in the history; "target": one event of the target
    behaviour.
    """
    config = config_of(hmar.Config, inputs, dropout=0.0)
    batch = Batch(None, *take(inputs, "item behaviour counts"), history=inputs["history"])
    batch = hmar.change_batch(batch, config)
    return {"scores": hmar.score(params, batch, inputs["candidate"], config)}


def batch_of(inputs):
    """The Batch with its Next."""
    follow = take(inputs, "next_item next_behaviour next_counts negative negative_counts")
    return Batch(None, *take(inputs, "item behaviour counts"), Next(*follow, follow[0] > 0))


def model(params, inputs, tap):
    """The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the left.

    item, behaviour [B, T]; counts [B, T, K] of each event; next_item, next_behaviour [B, T], 0 =
    nothing to predict; next_counts [B, T, K]; negative [B, T], 0 = none; negative_counts [B, T, K].
    Config as in papers/hmar.py. Taps, NaN at padding: input [B, T, D], behaviour_weights [B, H, T,
    T], merged [B, T, D], sequence_weights, states.
    """
    config = config_of(hmar.Config, inputs, dropout=0.0)
    batch = hmar.change_batch(batch_of(inputs), config)
    shown = add_up(where_real(tap, batch.item > 0), config.behaviours)
    hmar.forward(params, batch, config, shown)
    return {"loss": hmar.loss(params, batch, config)}
