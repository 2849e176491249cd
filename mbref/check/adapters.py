"""Run an implementation on the arrays of a case and differentiate it, in any of the frameworks.

ADAPTERS hold a function a framework: (function, params, inputs, cotangents, differentiate, dtype)
-> (taps, outputs, gradients of sum(output * cotangent) by path), all NumPy. params, inputs (numbers
and words among them) and cotangents are flat dicts of float64 arrays, differentiate a set of
"params/<path>" and "inputs/<name>". The function gets params nested, and floats in `dtype`.
DESCENTS train a function that returns a loss.

A framework is three functions for a dtype: of a NumPy array one of its own, and back; and (total,
free) -> total(free), a number, and its gradients by the dict `free`.
"""
from functools import partial

import numpy as np
from autograd.tracer import getval, isbox

from mbref.check.casefile import nest, part
from mbref.check.compare import REDUCED
from mbref.errors import require
from mbref.nn.device import to_device
from mbref.nn.layers import ignore
from mbref.nn.lookup import value_and_grad


def numpy_framework(dtype, device="cpu"):
    """NumPy, or CuPy on a device; autograd differentiates what is written with autograd.numpy."""
    def linked(total, free):  # zeros are right where nothing depends on what is given
        out = total(free)
        return out if isbox(out) else out + sum(0 * a.sum() for a in free.values())

    move = np.asarray if device == "cpu" else partial(to_device, device=device)
    return (move, lambda a: np.asarray(to_device(getval(a), "cpu")),
            lambda total, free: value_and_grad(partial(linked, total))(free))


def torch_framework(dtype):
    """PyTorch on the CPU; gradients that its autograd leaves None are zeros."""
    import torch
    require(dtype == "tf32" or torch.get_float32_matmul_precision() == "highest", "torch "
            'multiplies in TF32: call torch.set_float32_matmul_precision("highest").')

    def convert(a):
        coarse = dtype == "bfloat16" and a.dtype.kind == "f"
        return torch.tensor(a, dtype=torch.bfloat16 if coarse else None)

    def host(a):
        a = torch.as_tensor(a).detach().cpu()
        return (a.float() if a.dtype == torch.bfloat16 else a).numpy()

    def both(total, free):
        out = total({k: a.requires_grad_() for k, a in free.items()})
        out.backward()
        return out, {k: torch.zeros_like(a) if a.grad is None else a.grad.to_dense()
                     for k, a in free.items()}

    return convert, host, both


def jax_framework(dtype):
    """JAX in 64 bits with full products, but for tf32."""
    import jax
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", None if dtype == "tf32" else "highest")

    def convert(a):
        coarse = dtype == "bfloat16" and a.dtype.kind == "f"
        return jax.numpy.asarray(a, "bfloat16" if coarse else None)

    def host(a):
        a = np.asarray(a)
        return a.astype(np.float32) if a.dtype.name == "bfloat16" else a

    return convert, host, lambda total, free: jax.value_and_grad(total)(free)


def join(params, inputs):
    """One flat dict: "params/..." and "inputs/..."."""
    return ({f"params/{k}": a for k, a in params.items()}
            | {f"inputs/{k}": a for k, a in inputs.items()})


def split(values):
    """The arguments of an implementation from the flat dict of `join`: params nested, inputs."""
    return nest(part(values, "params")), part(values, "inputs")


def cast(values, dtype, convert=np.asarray):
    """Copies of arrays, floats in another dtype; what is no array as it is."""
    dtype = "float32" if dtype in REDUCED else dtype  # which `convert` rounds further
    arrays = {k: a for k, a in values.items() if isinstance(a, np.ndarray)}
    return values | {k: convert(a.astype(dtype if a.dtype.kind == "f" else a.dtype))
                     for k, a in arrays.items()}


def adapter(framework, function, params, inputs, cotangents, differentiate, dtype):
    """One of ADAPTERS, as the head of this file says."""
    convert, host, both = framework(dtype)
    values = cast(join(params, inputs), dtype, convert)
    cotangents = cast(cotangents, dtype, convert)
    free = {k: a for k, a in values.items() if k in differentiate}
    taps = {}

    def total(free):
        out = function(*split({**values, **free}), ignore)
        return sum((out[name] * cotangents[name]).sum() for name in names)

    out = function(*split(values), lambda name, a: taps.setdefault(name, host(a)))
    require(out is not None, "it returned None: is a return missing?")
    require(isinstance(out, dict), f"it returned {type(out).__name__} instead of a dict of "
                                   "outputs, such as {'y': array}.")
    before = cast(join(params, inputs), dtype, lambda a: host(convert(a)))
    changed = [k for k, a in before.items()
               if isinstance(a, np.ndarray) and not np.array_equal(a, host(values[k]))]
    require(not changed, f"it changes {', '.join(changed)} in place: let it work on a copy.")
    outputs = {name: host(a) for name, a in out.items()}
    names = [name for name in cotangents if name in outputs]
    grads = both(total, free)[1] if free and names else {}
    return taps, outputs, {name: host(a) for name, a in grads.items()}


def descend(framework, function, params, inputs, dtype, steps):
    """Losses before each of some steps of plain gradient descent, params - rate * gradient."""
    convert, host, both = framework(dtype)
    given, losses = cast(join({}, inputs), dtype, convert), []

    def loss_of(free):
        return function(*split({**given, **free}), ignore)["loss"]

    for _ in range(steps - 1):
        loss, grads = both(loss_of, cast(join(params, {}), dtype, convert))
        losses.append(loss)
        params = {k: a - inputs["rate"] * host(grads[f"params/{k}"]) for k, a in params.items()}
    losses.append(loss_of(cast(join(params, {}), dtype, convert)))  # which no step follows
    return np.array([float(host(loss)) for loss in losses])


FRAMEWORKS = {"numpy": numpy_framework, "torch": torch_framework, "jax": jax_framework,
              "cupy": partial(numpy_framework, device="cuda")}
ADAPTERS = {name: partial(adapter, framework) for name, framework in FRAMEWORKS.items()}
DESCENTS = {name: partial(descend, framework) for name, framework in FRAMEWORKS.items()}
