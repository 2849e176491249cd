"""mbref's side of the losses."""
from mbref.nn import losses


def softplus(params, inputs, tap):
    """log(1 + e^x) without overflow.  x [B, T] -> y [B, T]."""
    return {"y": losses.softplus(inputs["x"])}


def log_softmax(params, inputs, tap):
    """log(softmax(logits)) over the last axis.  logits [B, T, C] -> logp [B, T, C]."""
    return {"logp": losses.log_softmax(inputs["logits"])}


def sigmoid_cross_entropy(params, inputs, tap):
    """-log sigmoid(logits) where the label is True, else -log(1 - ...).  All are [B, T]."""
    return {"loss": losses.sigmoid_cross_entropy(inputs["logits"], inputs["labels"])}


def cross_entropy(params, inputs, tap):
    """-log softmax(logits)[label].  logits [B, T, C]; labels [B, T] 0..C-1 -> loss [B, T]."""
    return {"loss": losses.cross_entropy(inputs["logits"], inputs["labels"])}


def masked_mean(params, inputs, tap):
    """Mean of values where mask is True; 0 if it is nowhere.  values, mask [B, T] -> mean []."""
    return {"mean": losses.masked_mean(inputs["values"], inputs["mask"])}
