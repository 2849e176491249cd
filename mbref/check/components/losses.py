"""mbref's side of the losses."""
from mbref.check.components.reading import component
from mbref.nn import losses

softplus = component("y")(lambda x: losses.softplus(x))
log_softmax = component("logp")(lambda logits: losses.log_softmax(logits))
sigmoid_cross_entropy = component("loss")(
    lambda logits, labels: losses.sigmoid_cross_entropy(logits, labels))
cross_entropy = component("loss")(lambda logits, labels: losses.cross_entropy(logits, labels))
masked_mean = component("mean")(lambda values, mask: losses.masked_mean(values, mask))
