"""mbref's side of the layers."""
from types import SimpleNamespace

from mbref.nn import layers


def dense(params, inputs, tap):
    """x W + b.  x [B, T, D]; w [D, E], b [E] -> y [B, T, E]."""
    return {"y": layers.dense(params, inputs["x"])}


def lookup(params, inputs, tap):
    """Rows of a table; id 0: zeros, no gradient.  table [N+1, D]; ids [B, T] -> y [B, T, D]."""
    return {"y": layers.lookup(params["table"], inputs["ids"])}


def embed(params, inputs, tap):
    """Rows of F tables side by side; id 0 of a feature gives zeros for it and no gradient.

    tables: a list of F arrays [N_f+1, D_f]; ids [B, T, F] -> y [B, T, sum of D_f].
    """
    return {"y": layers.embed(params["tables"], inputs["ids"])}


def relu(params, inputs, tap):
    """max(x, 0), whose gradient at 0 is 0.  x [B, T] -> y [B, T]."""
    return {"y": layers.relu(inputs["x"])}


def dropout(params, inputs, tap):
    """In training, entries with a draw below the rate become 0, others / (1 - rate); else y is x.

    x, draws [B, T, D], draws uniform in [0, 1) and without a gradient; rate a number, training True
    or False -> y [B, T, D].
    """
    draws = SimpleNamespace(random=lambda shape, dtype: inputs["draws"])  # for a Generator
    rng = draws if inputs["training"] else None
    return {"y": layers.dropout(inputs["rate"], rng)(inputs["x"])}


def layer_norm(params, inputs, tap):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis, var biased.

    x [B, T, D]; gamma, beta [D]; eps a number -> y [B, T, D].
    """
    return {"y": layers.layer_norm(params, inputs["x"], inputs["eps"])}
