"""SASRec from torch's own layers, and its gradients under the names of sasrec.init."""
import numpy as np
import torch


class TorchSASRec(torch.nn.Module):
    """The same model from torch's own layers, in training form: states of whole windows."""

    def __init__(self, params, heads):
        super().__init__()
        self.item, self.position = (torch.nn.Parameter(torch.tensor(params[name]))
                                    for name in ("item", "position"))
        self.blocks = torch.nn.ModuleList([self.block(p, heads) for p in params["blocks"]])
        self.ln = self.norm(params["ln"])

    @staticmethod
    def norm(p):
        layer = torch.nn.LayerNorm(len(p["beta"]), eps=1e-8, dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(p["gamma"]), torch.tensor(p["beta"])
        return layer

    @staticmethod
    def linear(p):
        layer = torch.nn.Linear(*p["w"].shape, dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(p["w"].T.copy()), torch.tensor(p["b"])
        return layer

    def block(self, p, heads):
        d = len(p["q"]["b"])
        attention = torch.nn.MultiheadAttention(d, heads, batch_first=True, dtype=torch.float64)
        weights = np.concatenate([p[name]["w"].T for name in "qkv"])
        attention.in_proj_weight.data = torch.tensor(weights)
        attention.in_proj_bias.data = torch.tensor(np.concatenate([p[name]["b"] for name in "qkv"]))
        attention.out_proj.weight.data = torch.eye(d, dtype=torch.float64)
        norms = {name: self.norm(p[name]) for name in ("ln_q", "ln_f")}
        layers = {name: self.linear(p[name]) for name in ("f1", "f2")}
        return torch.nn.ModuleDict({"attention": attention} | norms | layers)

    def forward(self, item, heads):
        real, length = (item > 0)[..., None], item.shape[1]
        ahead = torch.ones(length, length, dtype=bool).triu(1)
        itself = torch.eye(length, dtype=bool)  # is never blocked, or torch gives nan
        blocked = ((ahead | (item == 0)[:, None]) & ~itself).repeat_interleave(heads, 0)
        x = (self.item[item] * self.item.shape[1] ** 0.5 + self.position) * real
        for block in self.blocks:
            query = block["ln_q"](x)
            y = query + block["attention"](query, x, x, attn_mask=blocked)[0]
            y = block["ln_f"](y)
            x = (y + block["f2"](block["f1"](y).relu())) * real
        return self.ln(x)


def named_gradients(module):
    """Gradients of TorchSASRec under the names of sasrec.init."""
    def norm(layer):
        return {"gamma": layer.weight.grad.numpy(), "beta": layer.bias.grad.numpy()}

    def linear(weight, bias):
        return {"w": weight.numpy().T, "b": bias.numpy()}

    def block(b):
        both = b["attention"].in_proj_weight, b["attention"].in_proj_bias
        parts = zip("qkv", *(x.grad.chunk(3) for x in both), strict=True)
        return ({name: linear(weight, bias) for name, weight, bias in parts}
                | {name: linear(b[name].weight.grad, b[name].bias.grad) for name in ("f1", "f2")}
                | {name: norm(b[name]) for name in ("ln_q", "ln_f")})

    return {"item": module.item.grad.numpy(), "position": module.position.grad.numpy(),
            "blocks": [block(b) for b in module.blocks], "ln": norm(module.ln)}
