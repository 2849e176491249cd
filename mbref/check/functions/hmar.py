"""mbref's side of HMAR's components."""
from dataclasses import fields

import autograd.numpy as np
from autograd.tracer import getval

from mbref import masks
from mbref.data.sequences import Batch, Next
from mbref.papers import hmar


def config_of(kind, inputs, **more):
    """A Config from the plain numbers and words among the inputs."""
    names = {field.name for field in fields(kind)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in inputs.items()
             if k in names and isinstance(v, bool | int | float | str | list)}
    return kind(**given, **more)


def where_real(tap, real):
    """A tap that shows NaN at padding, where implementations may differ.  real [B, T], in front of an array's axes."""
    def hidden(name, a):
        a = getval(a)
        tap(name, np.where(np.reshape(real, real.shape + (1,) * (a.ndim - 2)), a, np.nan))
    return hidden


def rows_of_weights(tap, real):
    """The same for attention weights [B, H, T, S], whose queries `real` [B, T] tells apart."""
    return lambda name, a: tap(name, np.where(real[:, None, :, None], getval(a), np.nan))


def behaviour_mask(params, inputs, tap):
    """May the query read the key: both real, of one behaviour, the key not later?

    behaviour [B, T] 1..K, 0 = padding on the left -> mask [B, T, T], rows are queries.
    """
    behaviour = inputs["behaviour"]
    return {"mask": masks.causal(behaviour.shape[1]) & masks.same_behaviour(behaviour)}


def code(params, inputs, tap):
    """[v ; c W_c + b_c] W_f + b_f.  item_code v [B, T, D], counts c [B, T, K] -> code [B, T, D].

    params: indicator (w [K, D], b [D]), feature (w [2D, D], b [D]).
    """
    config = hmar.Config(items=1, behaviours=inputs["counts"].shape[-1])
    return {"code": hmar.code(params, inputs["item_code"], inputs["counts"], config)}


def batch_of(inputs):
    """The Batch with its Next."""
    follow = [inputs[f"next_{name}"] for name in ("item", "behaviour", "counts")]
    negative = [inputs["negative"], inputs["negative_counts"]]
    return Batch(np.arange(len(inputs["item"])) + 1, inputs["item"], inputs["behaviour"], inputs["counts"],
                 Next(*follow, *negative))


def model(params, inputs, tap):
    """The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the left.

    item, behaviour [B, T]; counts [B, T, K] of each event; next_item, next_behaviour [B, T], 0 = nothing to predict;
    next_counts [B, T, K]; negative [B, T], 0 = none; negative_counts [B, T, K]. Config as in papers/hmar.py.
    Taps, NaN at padding: input [B, T, D], behaviour_weights [B, H, T, T], merged [B, T, D], sequence_weights, states.
    """
    config, batch = config_of(hmar.Config, inputs, dropout=0.0), batch_of(inputs)
    real = batch.item > 0
    shown, weights = where_real(tap, real), rows_of_weights(tap, real)
    hmar.forward(params, batch, config, lambda name, a: (weights if name.endswith("weights") else shown)(name, a))
    return {"loss": hmar.loss(params, batch, config)}
