"""One function a framework: run an implementation on the arrays of a case, and differentiate it.

All take (function, params, inputs, cotangents, differentiate, dtype) with params and cotangents as flat dicts of
float64 arrays, inputs likewise with plain numbers and words among them, and differentiate as a set of
"params/<path>" and "inputs/<name>". The function gets params nested, arrays of its own framework, floats in `dtype`.
-> (taps, outputs, gradients of sum(output * cotangent) by path), all NumPy.
"""
from functools import partial

import numpy as np
from autograd import grad
from autograd.tracer import getval

from mbref.check.casefile import nested
from mbref.device.device import to_device
from mbref.errors import require


def checked(outputs):
    """What an implementation returned. Raises InputError unless it is a dict."""
    require(isinstance(outputs, dict),
            f"it returned {type(outputs).__name__} instead of a dict of outputs, such as {{'y': array}}.")
    return outputs


def offered(outputs, cotangents):
    """Outputs that have a cotangent and were returned."""
    return [name for name in cotangents if name in outputs]


def joined(params, inputs):
    """One flat dict: "params/..." and "inputs/..."."""
    return {f"params/{k}": a for k, a in params.items()} | {f"inputs/{k}": a for k, a in inputs.items()}


def arguments(values):
    """The two arguments of an implementation from the flat dict of `joined`.  -> params nested, inputs."""
    parts = {"params": {}, "inputs": {}}
    for key, a in values.items():
        group, _, name = key.partition("/")
        parts[group][name] = a
    return nested(parts["params"]), parts["inputs"]


def cast(values, dtype, convert=np.asarray):
    """Arrays of floats in another dtype; whole numbers, booleans and what is no array as they are."""
    return {k: convert(a.astype(dtype) if a.dtype.kind == "f" else a) if isinstance(a, np.ndarray) else a
            for k, a in values.items()}


def numpy_adapter(function, params, inputs, cotangents, differentiate, dtype, device="cpu"):
    """NumPy, or on a device CuPy; gradients by autograd, which needs a function written with autograd.numpy."""
    values, cotangents = to_device((cast(joined(params, inputs), dtype), cotangents), device)
    taps = {}

    def host(a):
        return np.asarray(to_device(getval(a), "cpu"))

    outputs = checked(function(*arguments(values), lambda name, a: taps.setdefault(name, host(a))))
    plain = {name: host(a) for name, a in outputs.items()}
    fixed = {k: a for k, a in values.items() if k not in differentiate}

    def total(free):
        out = function(*arguments({**fixed, **free}), lambda name, a: None)
        return sum((out[name] * cotangents[name].astype(dtype)).sum() for name in offered(out, cotangents))

    free = {k: a for k, a in values.items() if k in differentiate}
    return taps, plain, to_device(grad(total)(free), "cpu") if free and offered(plain, cotangents) else {}


def torch_adapter(function, params, inputs, cotangents, differentiate, dtype):
    """PyTorch on the CPU; gradients by its autograd, those that it leaves None are zeros."""
    import torch
    require(torch.get_float32_matmul_precision() == "highest",
            'torch multiplies in TF32: call torch.set_float32_matmul_precision("highest").')
    values = cast(joined(params, inputs), dtype, torch.tensor)
    for name in differentiate:
        values[name].requires_grad_()

    def host(a):
        return torch.as_tensor(a).detach().cpu().numpy()

    taps = {}
    outputs = checked(function(*arguments(values), lambda name, a: taps.setdefault(name, host(a))))
    grads = {}
    names = offered(outputs, cotangents)
    if differentiate and names:
        total = sum((outputs[name] * torch.tensor(cotangents[name]).to(outputs[name])).sum() for name in names)
        total.backward()
        grads = {name: host(torch.zeros_like(values[name]) if values[name].grad is None else values[name].grad)
                 for name in differentiate}
    return taps, {name: host(a) for name, a in outputs.items()}, grads


def jax_adapter(function, params, inputs, cotangents, differentiate, dtype):
    """JAX in 64 bits with full products; gradients by jax.grad."""
    import jax
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    values = cast(joined(params, inputs), dtype, jax.numpy.asarray)
    fixed = {k: a for k, a in values.items() if k not in differentiate}

    def total(free):
        taps = {}
        out = checked(function(*arguments({**fixed, **free}), lambda name, a: taps.setdefault(name, a)))
        names = offered(out, cotangents)
        return sum(((out[n] * cotangents[n].astype(dtype)).sum() for n in names), jax.numpy.zeros(())), (taps, out)

    free = {k: a for k, a in values.items() if k in differentiate}
    grads, (taps, outputs) = jax.grad(total, has_aux=True)(free) if free else ({}, total(free)[1])
    return tuple({k: np.asarray(a) for k, a in d.items()} for d in (taps, outputs, grads))


ADAPTERS = {"numpy": numpy_adapter, "cupy": partial(numpy_adapter, device="cuda"), "torch": torch_adapter,
            "jax": jax_adapter}
