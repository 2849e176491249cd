"""From the flat inputs of a case to a Config, and taps that show NaN where implementations may
differ."""
from dataclasses import fields

import autograd.numpy as np
from autograd.tracer import getval


def config_of(kind, inputs, **more):
    """A Config from the plain numbers and words among the inputs; `more` is for what these do not
    say."""
    names = {field.name for field in fields(kind)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in inputs.items()
             if k in names and isinstance(v, bool | int | float | str | list)}
    return kind(**{**more, **given})


def where_real(tap, real):
    """A tap that shows NaN at padding.  real [B, T]: the first two axes of an array, of attention
    weights the queries.
    """
    def shown(name, a):
        a = getval(a)
        axes = (slice(None), None, slice(None),
                None) if name.endswith("weights") else (..., *[None] * (a.ndim - 2))
        tap(name, np.where(real[axes], a, np.nan))
    return shown
