"""What autograd 1.9.1 lacks to differentiate arrays that are not NumPy's.

It does not know their type, and some of its rules make new arrays on the host, not beside the
gradient, or float64 of float32. Each rule here stands in for autograd's of the same name, for
device arrays only. device.py loads this with the first device. Letters as in autograd: g is the
gradient by `ans`, a result.
"""
import math

import numpy as onp
from autograd.core import primitive_vjps
from autograd.extend import SparseObject, VSpace, defvjp, defvjp_argnums, primitive
from autograd.numpy import numpy_vjps, numpy_wrapper, numpy_wrapper as np
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.numpy.numpy_vspaces import ArrayVSpace
from autograd.tracer import getval, trace_primitives_map

MODULES = {}  # type of a device's arrays -> its NumPy-like module


def add(xp):
    """Let autograd differentiate arrays of type xp.ndarray."""
    if not MODULES:
        for module, rules in STEPS.items():
            for rule in rules:
                stand_in(module, rule)
        for function, makers in GRADIENTS.items():
            stand_in_gradient(function, makers)

    class DeviceSpace(ArrayVSpace):  # where autograd takes its zeros and ones from
        def __init__(self, value):
            self.shape, self.dtype = value.shape, value.dtype

        def zeros(self):
            return xp.zeros(self.shape, self.dtype)

        def ones(self):
            return xp.ones(self.shape, self.dtype)

    MODULES[xp.ndarray] = xp
    ArrayBox.register(xp.ndarray)
    VSpace.register(xp.ndarray, DeviceSpace)


def module_of(*values):
    """The module of the first device array among the values, traced or not, or None."""
    return next((MODULES[kind] for x in values if (kind := type(getval(x))) in MODULES), None)


def stand_in(module, rule):
    """Put `rule` into autograd's module in place of its own of that name, for device arrays."""
    name = rule.__name__
    stock = getattr(module, name)
    if stock in primitive_vjps:  # a step of its own, with a gradient of its own
        gradient, rule = primitive_vjps[stock], primitive(rule)
        defvjp_argnums(rule, gradient)
    setattr(module, name, lambda *args: (rule if module_of(*args) else stock)(*args))


def stand_in_gradient(function, makers):
    """Differentiate `function` by `makers`, one an argument, where its result is on a device."""
    stock = primitive_vjps[function]
    defvjp(function, *makers)
    ours = primitive_vjps[function]
    defvjp_argnums(function, lambda argnums, ans, args, kwargs: (ours if module_of(ans) else stock)(
        argnums, ans, args, kwargs))


def repeat_to_match_shape(g, shape, dtype, axis, keepdims):
    """Undo sum, mean, var or std: g stretched over the axes it lost, and how often it repeats."""
    axes = range(len(shape)) if axis is None else [a % len(shape) for a in onp.atleast_1d(axis)]
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    return np.reshape(g, kept) + np.zeros_like(g, shape=shape), math.prod(shape[a] for a in axes)


def balanced_eq(x, ans, y):
    """Where x won against y in maximum or minimum; each has half of a tie."""
    dtype = np.result_type(ans)
    return (x == ans).astype(dtype) / (1 + (x == y)).astype(dtype)


def untake(x, index, space):
    """Undo A[index]: x added into zeros, repeated indices accumulating."""
    xp = module_of(x)

    def add_into(A):
        xp.add.at(A, index, x)  # np.add.at refuses slices beside a CuPy array
        return A

    return SparseObject(space, add_into)


def concatenate_args(axis, *arrays):
    """np.concatenate without autograd's view of the result as a NumPy array."""
    return onp.concatenate(arrays, axis)


def _array_from_scalar_or_array(args, kwargs, x):
    """np.array(x), which np.stack calls on every array."""
    return module_of(x).array(x, *args, **kwargs)


def parse_einsum_input(subscripts, *operands):
    """The letters of an einsum; NumPy's parser looks at shapes only, so it gets hollow arrays."""
    hollow = [onp.broadcast_to(0.0, onp.shape(getval(x))) for x in operands]
    return onp._core.einsumfunc._parse_einsum_input((subscripts, *hollow))


def undo_max(ans, x, axis=None, keepdims=False):
    """Of max and min: all that tie share the gradient."""
    shape, dtype = np.shape(x), np.result_type(x)

    def stretch(a):
        return repeat_to_match_shape(a, shape, dtype, axis, keepdims)[0]

    winners = x == stretch(ans)
    return lambda g: stretch(g) * winners / np.sum(winners, axis=axis, keepdims=True).astype(dtype)


def undo_reshape(ans, x, *shape, order="C"):
    """Of reshape and of ravel: the old shape."""
    return lambda g: np.reshape(g, np.shape(x), order=order)


STEPS = {numpy_vjps: (repeat_to_match_shape, balanced_eq, untake),
         numpy_wrapper: (concatenate_args, _array_from_scalar_or_array, parse_einsum_input)}
GRADIENTS = {
    # autograd's own pass order=None on, which CuPy refuses
    np.reshape: [undo_reshape], np.ravel: [undo_reshape],
    np.max: [undo_max], np.min: [undo_max],
    trace_primitives_map[onp.where]: [
        None,
        lambda ans, c, x, y: lambda g: np.where(c, g, np.zeros_like(g)),
        lambda ans, c, x, y: lambda g: np.where(c, np.zeros_like(g), g)],
}
