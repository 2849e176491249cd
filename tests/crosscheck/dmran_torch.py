"""DMRAN in PyTorch; hmar_torch.py says what such a file is and how it is run.

Equation numbers are the paper's. B batch, T events, r hops, C candidates, d width; histories are
padded on the right, id 0 is padding. The paper's letters are plain matrices rather than layers: it
multiplies some from the left.
"""
import torch
from torch import nn
from torch.nn import functional as F

from tests.crosscheck.torch_modules import call


def ignore(name, tensor):
    """A tap that nobody reads."""


def masked_softmax(scores, allowed, dim):
    """Softmax among the allowed entries; 0 where nothing is allowed."""
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(dim) * allowed


def time_bucket(gap, rule="paper"):
    """Eq. 1: 0 below 1, then floor(log2 gap) + 1 up to 13; or as ATRank's release has it."""
    edges = 2 ** torch.arange(13)
    if rule == "paper":
        return torch.bucketize(gap, edges, right=True)
    return torch.bucketize(gap + 1, edges[1:], right=True)  # floor(log2(gap + 1)), up to 12


def redundancy(A):
    """Eq. 22: ||A A^T - I||_F^2 of every sample.  [B, r, T] -> [B]."""
    return (A @ A.mT - torch.eye(A.shape[1], dtype=A.dtype)).square().sum((1, 2))


def vanilla(M, i_c, real, pool="attention", tap=ignore, name="vanilla"):
    """Eq. 14, 15: what candidates find.  M [B, r, d], i_c [B, C, d], real [B, r] -> [B, C, d]."""
    scores = i_c @ M.mT / M.shape[-1] ** 0.5 * (pool == "attention")  # equal scores: the mean
    weights = masked_softmax(scores, real.unsqueeze(1), -1)  # [B, C, r]
    tap(name, weights.unsqueeze(1))
    return weights @ M


class FeedForward(nn.Module):
    """How a block of ATRank ends: y = LN(x), then LN(W_2 relu(W_1 y) + y)."""

    def __init__(self, width):
        super().__init__()
        self.f1, self.f2 = nn.Linear(width, width // 4), nn.Linear(width // 4, width)
        self.ln, self.ln_f = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(width, eps=1e-8)

    def forward(self, x):
        y = self.ln(x)
        return self.ln_f(self.f2(F.relu(self.f1(y))) + y)


class Block(FeedForward):
    """ATRank's vanilla attention, f_vanilla where it is to be robust."""

    def __init__(self, width, heads):
        super().__init__(width)
        self.q, self.k, self.v, self.heads = *(nn.Linear(width, width) for _ in range(3)), heads

    def forward(self, i_c, M, real, tap=ignore, name="vanilla"):
        parts = (self.q, i_c), (self.k, M), (self.v, M)
        q, k, v = (F.relu(layer(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for layer, x in parts)  # [B, H, C or r, d/H]
        scores = q @ k.mT / q.shape[-1] ** 0.5  # [B, H, C, r]
        weights = masked_softmax(scores, real[:, None, None], -1)
        tap(name, weights)
        return super().forward((weights @ v).transpose(1, 2).flatten(2) + i_c)


class DMRAN(nn.Module):
    """Eq. 1-22; switches as in mbref/variants/dmran.py."""

    def __init__(self, items=1, categories=0, width=2, hops=1, variant="full", time=True,
                 bucket="paper", fuse=True, diagonal=True, pool="attention", robust=False, heads=8,
                 item_bias=False, redundancy=1e-4, penalty=5e-5, weight_decay=0.0):
        super().__init__()
        self.variant, self.time, self.bucket, self.fuse = variant, time, bucket, fuse
        self.diagonal, self.pool, self.item_bias = diagonal, pool, item_bias
        self.redundancy, self.penalty, self.weight_decay = redundancy, penalty, weight_decay
        rows = [items, categories] if categories else [items]
        self.V = nn.ParameterList(torch.empty(n + 1, width // len(rows)) for n in rows)
        self.W_0 = nn.Linear(2 * width if time else width, width)
        shapes = {"T": (14, width)} if time else {}
        if variant != "feature":
            shapes |= {"W_s1": (width, width), "W_s2": (hops, width)}
        if variant != "item":
            shapes |= {name: (width, width) for name in ("W_s3", "W_s4", "W_s5")}
            shapes |= {"b_s1": width, "b_s2": width}
        if variant != "item" and fuse:
            shapes |= {"W_f1": (width, width), "W_f2": (width, width), "b_f": width}
        for name, shape in (shapes | ({"b": items + 1} if item_bias else {})).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.van = Block(width, heads) if robust else None
        self.van_hat = Block(width, heads) if robust and variant != "item" else None
        self.after = FeedForward(width) if robust and variant != "item" else None

    def object_code(self, ids, category):
        """V[i], and the category's if there are any; padding and unknown categories read zeros."""
        ids = [ids] if len(self.V) == 1 else [ids, category[ids]]
        pairs = zip(ids, self.V, strict=True)
        return torch.cat([F.embedding(i, V) * (i > 0).unsqueeze(-1) for i, V in pairs], -1)

    def history_code(self, item, gap, category):
        """Eq. 1, 2.  -> H [B, T, d]."""
        x = self.object_code(item, category)
        if self.time:
            x = torch.cat([x, self.T[time_bucket(gap, self.bucket)]], -1)
        return self.W_0(x)

    def item_attention(self, H, real):
        """Eq. 3-7.  H [B, T, d], real [B, T] -> A [B, r, T]."""
        return masked_softmax(self.W_s2 @ F.relu(self.W_s1 @ H.mT), real.unsqueeze(1), -1)

    def alignment(self, M, allowed):
        """Eq. 9-11, over j.  M [B, r, d], allowed [B, r, r], rows are i -> beta [B, i, j, d]."""
        own, other = F.linear(M, self.W_s4).unsqueeze(2), F.linear(M, self.W_s3).unsqueeze(1)
        inner = torch.tanh(own + other + self.b_s2)  # [B, i, j, d]
        return masked_softmax(F.linear(inner, self.W_s5, self.b_s1), allowed.unsqueeze(-1), 2)

    def feature_attention(self, M, allowed, tap=ignore):
        """Eq. 12, 13.  -> [B, r, d]."""
        beta = self.alignment(M, allowed)
        tap("beta", beta)
        M_hat = torch.einsum("bijf,bjf->bif", beta, M)
        return self.after(M_hat + M) if self.after else M_hat

    def vanilla(self, block, M, i_c, real, tap=ignore, name="vanilla"):
        """Eq. 14, 15, with a block or without."""
        if block:
            return block(i_c, M, real, tap, name)
        return vanilla(M, i_c, real, self.pool, tap, name)

    def fusion(self, h, h_hat):
        """Eq. 16: a gate for every feature."""
        return torch.lerp(h_hat, h, torch.sigmoid(h @ self.W_f1 + h_hat @ self.W_f2 + self.b_f))

    def forward(self, item, gap, category, tap=ignore):
        """Eq. 1-13: M, M^ [B, r, d], A [B, r, T], real rows [B, r]; None for what is left out."""
        H, real, A = self.history_code(item, gap, category), item > 0, None
        M = H
        if self.variant != "feature":
            A = self.item_attention(H, real)
            tap("hops", A)
            M, real = A @ H, torch.ones(A.shape[:2], dtype=torch.bool)
        tap("M", M)
        if self.variant == "item":
            return M, None, A, real
        allowed = real.unsqueeze(1) & real.unsqueeze(2)
        if not self.diagonal:
            allowed = allowed & ~torch.eye(M.shape[1]).bool()
        M_hat = self.feature_attention(M, allowed, tap)
        tap("M_hat", M_hat)
        return M, M_hat, A, real

    def logits(self, item, gap, category, candidate, tap=ignore):
        """Eq. 14-17: scores [B, C], and h_c, i_c and A."""
        M, M_hat, A, real = self(item, gap, category, tap)
        i_c = self.object_code(candidate, category)
        if self.variant == "item":
            h_c = self.vanilla(self.van, M, i_c, real, tap)
        else:
            h_c = self.vanilla(self.van_hat, M_hat, i_c, real, tap, "vanilla_hat")
            h_c = self.fusion(self.vanilla(self.van, M, i_c, real, tap), h_c) if self.fuse else h_c
        z = (h_c * i_c).sum(-1)
        return z + self.b[candidate] if self.item_bias else z, h_c, i_c, A

    def score(self, *batch):
        return self.logits(*batch)[0]

    def loss(self, label, *batch):
        """Eq. 20-22: cross entropy of positives and negatives, and penalties."""
        real = batch[3] > 0
        z, h_c, i_c, A = self.logits(*batch)
        entropy = F.binary_cross_entropy_with_logits(z, label.to(z), reduction="none")[real]
        penalty = self.penalty * (h_c[real].square().sum() + i_c[real].square().sum())
        if self.weight_decay:
            penalty = penalty + self.weight_decay * sum(
                p.square().sum() for p in self.parameters() if not p.is_meta)
        overlap = self.redundancy * redundancy(A).mean() if A is not None else 0
        return entropy.sum() / max(len(entropy), 1) + penalty / 2 + overlap


# What the kit asks for.

BACKEND = "torch"
SWITCHES = ("items", "categories", "width", "hops", "variant", "time", "bucket", "fuse", "diagonal",
            "pool", "robust", "heads", "item_bias", "redundancy", "penalty", "weight_decay")


def model_of(inputs):
    """A DMRAN of the sizes and switches of a case, without parameters."""
    with torch.device("meta"):
        return DMRAN(**{name: inputs[name] for name in SWITCHES if name in inputs})


def events_of(inputs):
    return inputs["item"], inputs["gap"], inputs.get("category")


def dmran_history_code(params, inputs, tap):
    H = call(model_of(inputs), params, *events_of(inputs), method="history_code")
    return {"H": H * (inputs["item"] > 0).unsqueeze(-1)}


def dmran_item_attention(params, inputs, tap):
    A = call(model_of(inputs), params, inputs["H"], inputs["real"], method="item_attention")
    return {"A": A}


def dmran_redundancy(params, inputs, tap):
    return {"penalty": redundancy(inputs["A"])}


def dmran_alignment(params, inputs, tap):
    beta = call(model_of(inputs), params, inputs["M"], inputs["allowed"], method="alignment")
    return {"beta": beta}


def dmran_feature_attention(params, inputs, tap):
    model = model_of(inputs | {"width": inputs["M"].shape[-1]})
    M_hat = call(model, params, inputs["M"], inputs["allowed"], tap, method="feature_attention")
    return {"M_hat": M_hat}


def dmran_vanilla(params, inputs, tap):
    model = model_of(inputs | {"width": inputs["M"].shape[-1]})
    rows = inputs["M"], inputs["i_c"], inputs["real"]
    return {"h": call(model, params, model.van, *rows, method="vanilla")}


def dmran_fusion(params, inputs, tap):
    return {"h_c": call(model_of(inputs), params, inputs["h"], inputs["h_hat"], method="fusion")}


def dmran_score(params, inputs, tap):
    batch = *events_of(inputs), inputs["candidate"]
    return {"scores": call(model_of(inputs), params, *batch, method="score")}


def dmran(params, inputs, tap):
    batch = inputs["label"], *events_of(inputs), inputs["candidate"], tap
    return {"loss": call(model_of(inputs), params, *batch, method="loss")}
