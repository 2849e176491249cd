"""Lend a case's parameters to a torch nn.Module, so that gradients reach the case's own arrays.

mbref's dense layer is x w + b with w [D_in, D_out]; nn.Linear has w transposed, named "weight".
"""
from mbref.nn.optim import leaves

NAMES = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}  # of Linear and LayerNorm


def call(module, params, *args, method="forward"):
    """module.method(*args) with the tensors of `params` in place of the module's own.

    module: an nn.Module whose attributes have the names of `params`, nested dicts and lists;
    nn.Linear where these have w and b, nn.LayerNorm where they have gamma and beta. Parameters that
    the method does not use need not be given: a module made on the device "meta" has no numbers
    that could be read in place of those forgotten.
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

    tensors = dict(rename(module, *leaf) for leaf in leaves(params))
    return torch.func.functional_call(Method(), tensors, args)


def rename(module, path, tensor):
    """"blocks/0/q/w" as torch has it: "module.blocks.0.q.weight", and its tensor transposed."""
    from torch import nn
    *parents, last = path.split("/")
    layer = module.get_submodule(".".join(parents))
    if isinstance(layer, nn.Linear) and last == "w":
        tensor = tensor.mT
    if isinstance(layer, nn.Linear | nn.LayerNorm):
        last = NAMES.get(last, last)
    return ".".join(("module", *parents, last)), tensor
