"""Lend a case's parameters to a torch nn.Module, so that the gradients of its outputs reach the case's own arrays.

mbref's dense layer is x w + b with w [D_in, D_out], that of torch keeps w transposed under the name "weight".
"""
from mbref.optim import leaves

NAMES = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}


def call(module, params, *args, method="forward"):
    """module.method(*args) with the tensors of `params` in place of the module's own.

    module: an nn.Module whose attributes are named like `params` (nested dicts and lists, "blocks/0/q/w"), with
    nn.Linear and nn.LayerNorm where these have w and b, gamma and beta. Parameters that the method does not use need
    not be given, so the module may be made on the device "meta", where an array that was forgotten cannot be read.
    """
    import torch

    class Method(torch.nn.Module):
        """functional_call asks for a forward."""

        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, *args):
            return getattr(self.module, method)(*args)

    tensors = {".".join(("module", *own_name(path))): a.mT if path.endswith("/w") else a
               for path, a in leaves(params)}
    return torch.func.functional_call(Method(), tensors, args)


def own_name(path):
    """"blocks/0/q/w" -> ["blocks", "0", "q", "weight"]; names at the top are no layer's and stay as they are."""
    *parents, last = path.split("/")
    return [*parents, NAMES.get(last, last) if parents else last]
