"""mbref's side of the masks. True means "may be attended"; rows are queries."""
from mbref.check.components.reading import component
from mbref.nn import masks

padding = component("mask")(masks.padding)
diagonal = component("mask")(lambda ids: masks.diagonal(ids.shape[1], ids))
positions = component("positions")(masks.positions)
causal = component("mask")(lambda ids: masks.causal(ids.shape[1], ids))
behaviour = component("mask")(lambda behaviour, count: masks.behaviour(behaviour, count))
same_behaviour = component("mask")(lambda behaviour: masks.same_behaviour(behaviour))
