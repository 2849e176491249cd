"""mbref's side of the masks. True means "may be attended"; rows are queries."""
from mbref.nn import masks


def padding(params, inputs, tap):
    """True where there is an event.  ids [B, T], 0 = padding -> mask [B, T]."""
    return {"mask": masks.padding(inputs["ids"])}


def diagonal(params, inputs, tap):
    """True where key and query are the same.  ids [B, T], read for T alone -> mask [T, T]."""
    return {"mask": masks.diagonal(inputs["ids"].shape[1], inputs["ids"])}


def positions(params, inputs, tap):
    """Places b T + t of the R real events, rising.  ids [B, T], 0 = padding -> positions [R]."""
    return {"positions": masks.positions(inputs["ids"])}


def causal(params, inputs, tap):
    """True where key s is not later than query t.  ids [B, T], read for T alone -> mask [T, T]."""
    return {"mask": masks.causal(inputs["ids"].shape[1], inputs["ids"])}


def behaviour(params, inputs, tap):
    """True where an event is of type k + 1.  behaviour [B, T]; count = K -> mask [B, T, K]."""
    return {"mask": masks.behaviour(inputs["behaviour"], inputs["count"])}


def same_behaviour(params, inputs, tap):
    """True where query and key are real and of one type.  behaviour [B, T] -> mask [B, T, T]."""
    return {"mask": masks.same_behaviour(inputs["behaviour"])}
