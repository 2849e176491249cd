"""mbref's side of the losses."""
from mbref.check.components.reading import component
from mbref.nn import losses

softplus = component("y")(losses.softplus)
log_softmax = component("logp")(losses.log_softmax)
sigmoid_cross_entropy = component("loss")(losses.sigmoid_cross_entropy)
cross_entropy = component("loss")(losses.cross_entropy)
masked_mean = component("mean")(losses.masked_mean)
