"""The Config of a case's flat inputs, and taps that show NaN where implementations may differ."""
from dataclasses import fields

import autograd.numpy as np
from autograd.tracer import getval


def take(inputs, names):
    """The inputs of some names, which stand apart by spaces.  -> list."""
    return [inputs[name] for name in names.split()]


def config_of(kind, inputs, **more):
    """A Config of the plain numbers and words among the inputs; `more` is what these leave out."""
    names = {field.name for field in fields(kind)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in inputs.items()
             if k in names and isinstance(v, bool | int | float | str | list)}
    return kind(**{**more, **given})


def where_real(tap, real):
    """A tap that shows NaN at padding.  real [B, T]: the first axes, of weights the queries."""
    def show(name, a):
        a = getval(a)
        is_real = real[:, None, :] if name.endswith("weights") else real
        tap(name, np.where(is_real[(..., *[None] * (a.ndim - is_real.ndim))], a, np.nan))
    return show
