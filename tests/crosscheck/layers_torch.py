"""What the papers share, with PyTorch's own layers where it has them; hmar_torch.py says what such a file is.

B batch, T queries or events, S keys, D width, H heads, K behaviours; True in a mask means "may be attended".
"""
import torch
from torch import nn
from torch.nn import functional as F

from tests.crosscheck.torch_modules import call

BACKEND = "torch"


def layers_dense(params, inputs, tap):
    x, (d_in, d_out) = inputs["x"], params["w"].shape
    return {"y": call(nn.Linear(d_in, d_out), params, x)}


def layers_lookup(params, inputs, tap):
    ids = inputs["ids"]
    return {"y": F.embedding(ids, params["table"]) * (ids > 0).unsqueeze(-1)}


def layers_embed(params, inputs, tap):
    """A row of zeros for the id 0 in place of the table's own, so that no gradient reaches that."""
    ids = inputs["ids"].unbind(-1)
    tables = [torch.cat([torch.zeros_like(table[:1]), table[1:]]) for table in params["tables"]]
    return {"y": torch.cat([F.embedding(*pair) for pair in zip(ids, tables, strict=True)], -1)}


def layers_relu(params, inputs, tap):
    return {"y": F.relu(inputs["x"])}


def layers_dropout(params, inputs, tap):
    """Not nn.Dropout, which draws for itself."""
    x, dropped = inputs["x"], inputs["draws"] < inputs["rate"]
    return {"y": x.masked_fill(dropped, 0) / (1 - inputs["rate"]) if inputs["training"] else x.clone()}


def layers_layer_norm(params, inputs, tap):
    return {"y": call(nn.LayerNorm(len(params["gamma"]), eps=inputs["eps"]), params, inputs["x"])}


def masks_padding(params, inputs, tap):
    return {"mask": inputs["ids"].bool()}


def masks_diagonal(params, inputs, tap):
    return {"mask": torch.eye(inputs["ids"].shape[1]).bool()}


def masks_positions(params, inputs, tap):
    return {"positions": inputs["ids"].flatten().nonzero().squeeze(-1)}


def masks_causal(params, inputs, tap):
    length = inputs["ids"].shape[1]
    return {"mask": torch.ones(length, length, dtype=torch.bool).tril()}


def masks_behaviour(params, inputs, tap):
    return {"mask": F.one_hot(inputs["behaviour"], inputs["count"] + 1)[..., 1:].bool()}


def masks_same_behaviour(params, inputs, tap):
    row, column = inputs["behaviour"].unsqueeze(2), inputs["behaviour"].unsqueeze(1)
    return {"mask": (row == column) & (row > 0)}


def softmax(scores, allowed):
    """Among the allowed entries; a row without any gets 0 and not NaN."""
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1) * allowed


def attention_masked_softmax(params, inputs, tap):
    return {"weights": softmax(inputs["scores"], inputs["allowed"])}


def attention_attention(params, inputs, tap):
    """The output is that of torch's own attention; it does not hand out weights, so these are computed beside it."""
    q, k, v = (inputs[name].unflatten(-1, (inputs["heads"], -1)).transpose(1, 2) for name in "qkv")  # [B, H, T, D/H]
    allowed, scale = inputs["allowed"].unsqueeze(1), q.shape[-1] ** -0.5 if inputs["scaled"] else 1.0
    tap("weights", softmax(q @ k.mT * scale, allowed))
    bias = torch.zeros_like(allowed, dtype=q.dtype).masked_fill(~allowed, torch.finfo(q.dtype).min)
    y = F.scaled_dot_product_attention(q, k, v, bias, scale=scale) * allowed.any(-1, keepdim=True)
    return {"y": y.transpose(1, 2).flatten(2)}


def losses_softplus(params, inputs, tap):
    """log(e^0 + e^x); F.softplus returns x itself above 20, which float64 tells from the right result."""
    x = inputs["x"]
    return {"y": torch.logaddexp(torch.zeros_like(x), x)}


def losses_log_softmax(params, inputs, tap):
    return {"logp": F.log_softmax(inputs["logits"], -1)}


def losses_sigmoid_cross_entropy(params, inputs, tap):
    logits = inputs["logits"]
    return {"loss": F.binary_cross_entropy_with_logits(logits, inputs["labels"].to(logits), reduction="none")}


def losses_cross_entropy(params, inputs, tap):
    return {"loss": F.cross_entropy(inputs["logits"].movedim(-1, 1), inputs["labels"], reduction="none")}


def losses_masked_mean(params, inputs, tap):
    chosen = inputs["values"][inputs["mask"]]
    return {"mean": chosen.sum() / max(len(chosen), 1)}
