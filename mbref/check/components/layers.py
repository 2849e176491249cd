"""mbref's side of the layers."""
from types import SimpleNamespace

from mbref.check.components.reading import component
from mbref.nn import layers

dense = component("y")(lambda params, x: layers.dense(params, x))
lookup = component("y")(lambda params, ids: layers.lookup(params["table"], ids))
embed = component("y")(lambda params, ids: layers.embed(params["tables"], ids))
relu = component("y")(layers.relu)
layer_norm = component("y")(lambda params, x, eps: layers.layer_norm(params, x, eps))


@component("y")
def dropout(x, draws, rate, training):
    """Entries with a draw below the rate are 0, others are scaled.  x, draws [B, T, D] -> y."""
    generator = SimpleNamespace(random=lambda shape, dtype: draws)
    return layers.dropout(rate, generator if training else None)(x)
