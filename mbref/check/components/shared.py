"""mbref's side of the components that several papers share: layers, masks, attention, losses."""
from typing import NamedTuple

from mbref.nn import attention as att, layers, losses, masks, vjps


def dense(params, inputs, tap):
    """x W + b.  x [B, T, D]; w [D, E], b [E] -> y [B, T, E]."""
    return {"y": layers.dense(params, inputs["x"])}


def lookup(params, inputs, tap):
    """Rows of a table; id 0 gives zeros and no gradient.  table [N+1, D]; ids [B, T] -> y [B, T, D]."""
    return {"y": layers.lookup(params["table"], inputs["ids"])}


def embed(params, inputs, tap):
    """Rows of F tables side by side; id 0 of a feature gives zeros for it and no gradient.

    tables: a list of F arrays [N_f+1, D_f]; ids [B, T, F] -> y [B, T, sum of D_f].
    """
    return {"y": layers.embed(params["tables"], inputs["ids"])}


def relu(params, inputs, tap):
    """max(x, 0), whose gradient at 0 is 0.  x [B, T] -> y [B, T]."""
    return {"y": layers.relu(inputs["x"])}


class Draws(NamedTuple):
    """In place of a Generator: the draws of a case."""

    draws: object

    def random(self, shape, dtype):
        """Those draws, whatever is asked for."""
        return self.draws


def dropout(params, inputs, tap):
    """In training, entries whose draw is below the rate become 0 and the others are divided by 1 - rate; else y is x.

    x, draws [B, T, D], draws uniform in [0, 1) and without a gradient; rate a number, training True or False
    -> y [B, T, D].
    """
    rng = Draws(inputs["draws"]) if inputs["training"] else None
    return {"y": layers.dropout(inputs["rate"], rng)(inputs["x"])}


def layer_norm(params, inputs, tap):
    """gamma (x - mean) / sqrt(var + eps) + beta over the last axis, var biased.

    x [B, T, D]; gamma, beta [D]; eps a number -> y [B, T, D].
    """
    return {"y": layers.layer_norm(params, inputs["x"], inputs["eps"])}


def time_bucket(params, inputs, tap):
    """Bucket of a time gap.  gap [B, T] whole numbers >= 0 -> bucket [B, T].

    rule "release": floor(log2(gap + 1)), at most 12. "paper": 0 below 1, then floor(log2 gap) + 1, at most 13.
    """
    return {"bucket": layers.time_bucket(inputs["gap"], inputs["rule"])}


def padding(params, inputs, tap):
    """True where there is an event.  ids [B, T], 0 = padding -> mask [B, T]."""
    return {"mask": masks.padding(inputs["ids"])}


def diagonal(params, inputs, tap):
    """True where key and query are the same.  ids [B, T], read for T alone -> mask [T, T]."""
    return {"mask": masks.diagonal(inputs["ids"].shape[1], inputs["ids"])}


def positions(params, inputs, tap):
    """Places of the R events that are no padding, b T + t, rising.  ids [B, T], 0 = padding -> positions [R]."""
    return {"positions": masks.positions(inputs["ids"])}


def causal(params, inputs, tap):
    """True where key s is not later than query t.  ids [B, T], read for T alone -> mask [T, T], rows are queries."""
    return {"mask": masks.causal(inputs["ids"].shape[1], inputs["ids"])}


def behaviour(params, inputs, tap):
    """True where event t is of type k + 1.  behaviour [B, T] 1..K, 0 = padding; count = K -> mask [B, T, K]."""
    return {"mask": masks.behaviour(inputs["behaviour"], inputs["count"])}


def same_behaviour(params, inputs, tap):
    """True where query t and key s are real events of one type.  behaviour [B, T] -> mask [B, T, T]."""
    return {"mask": masks.same_behaviour(inputs["behaviour"])}


def masked_softmax(params, inputs, tap):
    """Softmax over the last axis among the allowed entries; 0 everywhere in a row without any.

    scores [B, T, S]; allowed [B, T, S] bool -> weights [B, T, S].
    """
    return {"weights": vjps.masked_softmax(inputs["scores"], inputs["allowed"])}


def attention(params, inputs, tap):
    """softmax(q k^T / sqrt(D/H)) v over the allowed keys; 0 where nothing is allowed. Head h is slice h of the width.

    q [B, T, D]; k, v [B, S, D]; allowed [B, T, S] bool; heads = H; scaled=False leaves out the root
    -> y [B, T, D]. Tap: weights [B, H, T, S].
    """
    return {"y": att.attention(inputs["q"], inputs["k"], inputs["v"], inputs["allowed"], inputs["heads"], tap=tap,
                               scaled=inputs["scaled"])}


def softplus(params, inputs, tap):
    """log(1 + e^x) without overflow.  x [B, T] -> y [B, T]."""
    return {"y": losses.softplus(inputs["x"])}


def log_softmax(params, inputs, tap):
    """log(softmax(logits)) over the last axis.  logits [B, T, C] -> logp [B, T, C]."""
    return {"logp": losses.log_softmax(inputs["logits"])}


def sigmoid_cross_entropy(params, inputs, tap):
    """-log sigmoid(z) where the label is True, else -log(1 - sigmoid(z)).  logits, labels [B, T] -> loss [B, T]."""
    return {"loss": losses.sigmoid_cross_entropy(inputs["logits"], inputs["labels"])}


def cross_entropy(params, inputs, tap):
    """-log softmax(logits)[label].  logits [B, T, C]; labels [B, T] 0..C-1 -> loss [B, T]."""
    return {"loss": losses.cross_entropy(inputs["logits"], inputs["labels"])}


def masked_mean(params, inputs, tap):
    """Mean of values where mask is True; 0 if it is True nowhere.  values [B, T], mask [B, T] bool -> mean []."""
    return {"mean": losses.masked_mean(inputs["values"], inputs["mask"])}
