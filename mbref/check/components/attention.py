"""mbref's side of attention."""
from mbref.check.components.reading import component
from mbref.nn import attention as att, vjps

masked_softmax = component("weights")(vjps.masked_softmax)
attention = component("y")(lambda q, k, v, allowed, heads, scaled, tap: att.attention(
    q, k, v, allowed, heads, tap=tap, scaled=scaled))
