"""One function a framework: run an implementation on the arrays of a case, and differentiate it.

All take (function, params, inputs, cotangents, differentiate, dtype) with params and cotangents as
flat dicts of float64 arrays, inputs likewise with plain numbers and words among them, and
differentiate as a set of "params/<path>" and "inputs/<name>". The function gets params nested and
arrays of its own framework, floats in `dtype`.
-> (taps, outputs, gradients of sum(output * cotangent) by path), all NumPy.
"""
from functools import partial

import numpy as np
from autograd import grad
from autograd.tracer import getval

from mbref.check.casefile import nest
from mbref.device.device import to_device
from mbref.errors import require


def require_dict(outputs):
    """What an implementation returned. Raises InputError unless it is a dict."""
    require(isinstance(outputs, dict), f"it returned {type(outputs).__name__} instead of a dict of "
                                       "outputs, such as {'y': array}.")
    return outputs


def join(params, inputs):
    """One flat dict: "params/..." and "inputs/..."."""
    groups = {"params": params, "inputs": inputs}
    return {f"{group}/{k}": a for group, values in groups.items() for k, a in values.items()}


def split(values):
    """The arguments of an implementation from the flat dict of `join`.  -> params nested, inputs.
    """
    parts = {"params": {}, "inputs": {}}
    for key, a in values.items():
        group, _, name = key.partition("/")
        parts[group][name] = a
    return nest(parts["params"]), parts["inputs"]


def cast(values, dtype, convert=np.asarray):
    """Arrays of floats in another dtype; whole numbers, booleans and what is no array as they are.
    """
    def one(a):
        return convert(a.astype(dtype) if a.dtype.kind == "f" else a)
    return {k: one(a) if isinstance(a, np.ndarray) else a for k, a in values.items()}


def separate(values, differentiate):
    """What is differentiated, and the rest.  -> two dicts."""
    free = {k: a for k, a in values.items() if k in differentiate}
    return free, {k: a for k, a in values.items() if k not in differentiate}


def numpy_adapter(function, params, inputs, cotangents, differentiate, dtype, device="cpu"):
    """NumPy, or CuPy on a device; autograd differentiates what is written with autograd.numpy."""
    values, cotangents = to_device((cast(join(params, inputs), dtype), cotangents), device)
    free, fixed = separate(values, differentiate)
    taps = {}

    def host(a):
        return np.asarray(to_device(getval(a), "cpu"))

    def total(free):
        out = function(*split({**fixed, **free}), lambda name, a: None)
        return sum((out[name] * cotangents[name].astype(dtype)).sum() for name in names)

    out = require_dict(function(*split(values), lambda name, a: taps.setdefault(name, host(a))))
    outputs = {name: host(a) for name, a in out.items()}
    names = [name for name in cotangents if name in outputs]
    return taps, outputs, to_device(grad(total)(free), "cpu") if free and names else {}


def torch_adapter(function, params, inputs, cotangents, differentiate, dtype):
    """PyTorch on the CPU; gradients by its autograd, those that it leaves None are zeros."""
    import torch
    require(torch.get_float32_matmul_precision() == "highest", "torch multiplies in TF32: call "
            'torch.set_float32_matmul_precision("highest").')
    values = cast(join(params, inputs), dtype, torch.tensor)
    free, _ = separate(values, differentiate)
    for tensor in free.values():
        tensor.requires_grad_()

    def host(a):
        return torch.as_tensor(a).detach().cpu().numpy()

    def slope(a):
        return torch.zeros_like(a) if a.grad is None else a.grad

    taps = {}
    out = require_dict(function(*split(values), lambda name, a: taps.setdefault(name, host(a))))
    products = [(out[name] * torch.tensor(c).to(out[name])).sum()
                for name, c in cotangents.items() if name in out]
    grads = {}
    if free and products:
        sum(products).backward()
        grads = {k: host(slope(a)) for k, a in free.items()}
    return taps, {name: host(a) for name, a in out.items()}, grads


def jax_adapter(function, params, inputs, cotangents, differentiate, dtype):
    """JAX in 64 bits with full products; gradients by jax.grad."""
    import jax
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    values = cast(join(params, inputs), dtype, jax.numpy.asarray)
    free, fixed = separate(values, differentiate)

    def total(free):
        taps, zero = {}, jax.numpy.zeros(())
        arguments = *split({**fixed, **free}), lambda name, a: taps.setdefault(name, a)
        out = require_dict(function(*arguments))
        products = ((out[name] * c.astype(dtype)).sum()
                    for name, c in cotangents.items() if name in out)
        return sum(products, zero), (taps, out)

    grads, (taps, outputs) = jax.grad(total, has_aux=True)(free) if free else ({}, total(free)[1])
    return tuple({k: np.asarray(a) for k, a in d.items()} for d in (taps, outputs, grads))


ADAPTERS = {"numpy": numpy_adapter, "cupy": partial(numpy_adapter, device="cuda"),
            "torch": torch_adapter, "jax": jax_adapter}
