"""mbref's side of attention."""
from mbref.check.components.reading import take
from mbref.nn import attention as att, vjps


def masked_softmax(params, inputs, tap):
    """Softmax over the last axis among the allowed entries; 0 everywhere in a row without any.

    scores [B, T, S]; allowed [B, T, S] bool -> weights [B, T, S].
    """
    return {"weights": vjps.masked_softmax(inputs["scores"], inputs["allowed"])}


def attention(params, inputs, tap):
    """softmax(q k^T / sqrt(D/H)) v over the allowed keys; 0 where nothing is allowed.

    q [B, T, D]; k, v [B, S, D]; allowed [B, T, S] bool; heads = H, head h is slice h of the width;
    scaled=False leaves out the root -> y [B, T, D]. Tap: weights [B, H, T, S].
    """
    arguments = take(inputs, "q k v allowed heads")
    return {"y": att.attention(*arguments, tap=tap, scaled=inputs["scaled"])}
