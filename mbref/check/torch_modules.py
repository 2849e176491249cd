"""Lend a case's parameters to a torch nn.Module, so that the gradients of its outputs reach the case's own arrays.

mbref's dense layer is x w + b with w [D_in, D_out]; nn.Linear has w transposed, under the name "weight".
"""
from mbref.nn.optim import leaves

NAMES = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}  # in nn.Linear and nn.LayerNorm


def call(module, params, *args, method="forward"):
    """module.method(*args) with the tensors of `params` in place of the module's own.

    module: an nn.Module whose attributes have the names of `params`, nested dicts and lists; nn.Linear where these have
    w and b, nn.LayerNorm where they have gamma and beta. Parameters that the method does not use need not be given: a
    module made on the device "meta" has no numbers that could be read in place of those forgotten.
    Raises AttributeError for a name that the module does not have.
    """
    import torch

    class Method(torch.nn.Module):
        """functional_call runs forward, whatever method is asked for."""

        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, *args):
            return getattr(self.module, method)(*args)

    tensors = dict(renamed(module, *leaf) for leaf in leaves(params))
    return torch.func.functional_call(Method(), tensors, args)


def renamed(module, path, tensor):
    """"blocks/0/q/w" and a tensor as torch has them: "module.blocks.0.q.weight", the tensor transposed."""
    from torch import nn
    *parents, last = path.split("/")
    layer = module.get_submodule(".".join(parents))
    if isinstance(layer, nn.Linear | nn.LayerNorm):
        tensor, last = tensor.mT if isinstance(layer, nn.Linear) and last == "w" else tensor, NAMES.get(last, last)
    return ".".join(("module", *parents, last)), tensor
