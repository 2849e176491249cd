"""mbref's side of HMAR's components. Histories are padded on the left. K behaviours, N items, D width."""
from mbref.check.components.reading import config_of, where_real
from mbref.data.sequences import Batch, Next, window_counts
from mbref.nn import masks
from mbref.papers import hmar


def behaviour_mask(params, inputs, tap):
    """May the query read the key: both real, of one behaviour, the key not later?

    behaviour [B, T] 1..K, 0 = padding on the left -> mask [B, T, T], rows are queries.
    """
    behaviour = inputs["behaviour"]
    return {"mask": masks.causal(behaviour.shape[1], behaviour) & masks.same_behaviour(behaviour)}


def indicator(params, inputs, tap):
    """How often the event's item has occurred so far, by behaviour, this event included and nothing after it.

    item, behaviour [B, T], 0 = padding; count = K -> counts [B, T, K], 0 at padding.
    """
    item = inputs["item"]
    return {"counts": window_counts(item, item, inputs["behaviour"], inputs["count"]).astype(float)}


def candidate_counts(params, inputs, tap):
    """How often a candidate has occurred up to and including each event, by behaviour.

    item, behaviour [B, T]; candidate [B, T], 0 = none; count = K -> counts [B, T, K], 0 where there is no candidate.
    """
    counts = window_counts(inputs["candidate"], inputs["item"], inputs["behaviour"], inputs["count"])
    return {"counts": counts.astype(float)}


def code(params, inputs, tap):
    """[v ; c W_c + b_c] W_f + b_f.  item_code v [B, T, D], counts c [B, T, K] -> code [B, T, D].

    params: indicator (w [K, D], b [D]), feature (w [2D, D], b [D]). count_scale "log1p": c is log(1 + c); indicator
    False: c is 0.
    """
    return {"code": hmar.code(params, inputs["item_code"], inputs["counts"], config_for_codes(inputs))}


def config_for_codes(inputs, **more):
    """A Config of components that read no more of it than the counts."""
    return config_of(hmar.Config, inputs, items=1, behaviours=inputs["counts"].shape[-1], **more)


def input_code(params, inputs, tap):
    """G: the code of every event, its embedding times sqrt(D), plus its position; the last event has the last position.

    item [B, T], counts [B, T, K]; params: item [N+1, D], position [length, D] with length >= T, indicator, feature
    -> code [B, T, D], 0 at padding.
    """
    item = inputs["item"]
    config = config_for_codes(inputs, width=params["item"].shape[1])
    return {"code": hmar.input_code(params, item, inputs["counts"], config) * (item > 0)[..., None]}


def candidate_code(params, inputs, tap):
    """q^o: the code of candidates, without sqrt(D) and position; candidate 0 has an embedding of zeros.

    candidate [B, C], counts [B, C, K]; params: item [N+1, D], indicator, feature -> code [B, C, D].
    """
    return {"code": hmar.candidate_code(params, inputs["candidate"], inputs["counts"], config_for_codes(inputs))}


def behaviour_encoder(params, inputs, tap):
    """Each behaviour's own causal self-attention and feed-forward, events put back in their order.

    x [B, T, D], behaviour [B, T]; heads; params: q, k, v, f1, f2 (each w [K, D, D], b [K, D]), res [K]
    -> y [B, T, D], 0 at padding. y = a + f2(relu(f1(a))) + res x, a the attention without residual.
    Tap: behaviour_weights [B, heads, T, T], NaN for queries that are padding.
    """
    behaviour, K = inputs["behaviour"], len(params["res"])
    allowed = masks.causal(behaviour.shape[1], behaviour) & masks.same_behaviour(behaviour)
    y = hmar.behaviour_encoder(params, inputs["x"], masks.behaviour(behaviour, K), allowed, inputs["heads"],
                               lambda a: a, where_real(tap, behaviour > 0))
    return {"y": y}


def sequence_encoder(params, inputs, tap):
    """Causal self-attention over all events, then layer norm (eps 1e-8) and feed-forward.

    s, residual [B, T, D], real [B, T] bool; heads; params: q, k, v, f1, f2 (w [D, D], b [D]), ln (gamma, beta)
    -> z [B, T, D], 0 at padding. y = ln(a + residual), z = y + f2(relu(f1(y))).
    Tap: sequence_weights [B, heads, T, T], NaN for queries that are padding.
    """
    real = inputs["real"]
    allowed = masks.causal(real.shape[1], real) & real[:, None, :] & real[:, :, None]
    z = hmar.sequence_encoder(params, inputs["s"], inputs["residual"], allowed, inputs["heads"], lambda a: a,
                              where_real(tap, real))
    return {"z": z * real[..., None]}


def class_logits(params, inputs, tap):
    """Two dense layers on [q ; z], nothing between.  q, z [B, T, D]; params: class1, class2 -> logits [B, T, K]."""
    return {"logits": hmar.class_logits(params, inputs["q"], inputs["z"])}


def ranking_loss(params, inputs, tap):
    """Mean over the events of weight * -log sigmoid(positive) - log(1 - sigmoid(negative)).

    positive, negative, weight [B, T]; mask [B, T] bool: the events; has_negative [B, T] bool: without a negative there
    is no second term -> loss [], 0 without events.
    """
    names = ("positive", "negative", "weight", "mask", "has_negative")
    return {"loss": hmar.ranking_loss(*(inputs[name] for name in names))}


def score(params, inputs, tap):
    """Scores of candidates for the next event after each history.

    item, behaviour [B, T]; counts [B, T, K]; candidate [B, C]; history [B, N+1, K] counts of every item over the whole
    history; config and params as hmar -> scores [B, C]. candidate_counts "own": a candidate's indicator are its counts
    in the history; "target": one event of the target behaviour.
    """
    config = config_of(hmar.Config, inputs, dropout=0.0)
    batch = Batch(None, inputs["item"], inputs["behaviour"], inputs["counts"], history=inputs["history"])
    return {"scores": hmar.score(params, batch, inputs["candidate"], config)}


def batch_of(inputs):
    """The Batch with its Next."""
    follow = [inputs[f"next_{name}"] for name in ("item", "behaviour", "counts")]
    return Batch(None, inputs["item"], inputs["behaviour"], inputs["counts"],
                 Next(*follow, inputs["negative"], inputs["negative_counts"]))


def model(params, inputs, tap):
    """The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the left.

    item, behaviour [B, T]; counts [B, T, K] of each event; next_item, next_behaviour [B, T], 0 = nothing to predict;
    next_counts [B, T, K]; negative [B, T], 0 = none; negative_counts [B, T, K]. Config as in papers/hmar.py.
    Taps, NaN at padding: input [B, T, D], behaviour_weights [B, H, T, T], merged [B, T, D], sequence_weights, states.
    """
    config, batch = config_of(hmar.Config, inputs, dropout=0.0), batch_of(inputs)
    hmar.forward(params, batch, config, where_real(tap, batch.item > 0))
    return {"loss": hmar.loss(params, batch, config)}
