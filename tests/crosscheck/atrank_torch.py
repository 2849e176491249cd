"""ATRank, one group of items with categories, in PyTorch; hmar_torch.py says what such a file is and how it is run.

B batch, T events, C candidates, D width, N items; histories are padded on the right, id 0 is padding.
"""
import torch
from torch import nn
from torch.nn import functional as F

from mbref.check.modules import call


def ignore(name, tensor):
    """A tap that nobody reads."""


def time_bucket(gap, rule):
    """floor(log2(gap + 1)) up to 12, or for "paper" 0 below 1 and floor(log2 gap) + 1 up to 13."""
    edges = 2 ** torch.arange(13)
    return torch.bucketize(gap + 1, edges[1:], right=True) if rule == "release" else torch.bucketize(
        gap, edges, right=True)


def embedded(table, ids):
    """Rows of a table; padding and unknown categories read zeros."""
    return F.embedding(ids, table) * (ids > 0).unsqueeze(-1)


def attention(q, k, v, allowed, heads, scaled):
    """Scaled dot-product attention; a query that may read nothing gets 0.  -> [B, C, D], weights [B, H, C, T]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # [B, H, T, D/H]
    allowed = allowed.unsqueeze(1)
    scores = q @ k.mT / (q.shape[-1] ** 0.5 if scaled else 1)
    weights = scores.masked_fill(~allowed, torch.finfo(q.dtype).min).softmax(-1) * allowed
    return (weights @ v).transpose(1, 2).flatten(2), weights


class AttentionBlock(nn.Module):
    """Steps (5), (6): LN(attention + query), then LN(feed-forward + .)."""

    def __init__(self, width, hidden, heads, scores="dot"):
        super().__init__()
        self.heads, self.scores = heads, scores
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.f1, self.f2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.ln, self.ln_f = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(width, eps=1e-8)

    def forward(self, query, memory, allowed, tap=ignore, name="weights"):
        """query [B, C, D], memory [B, T, D], allowed [B, C, T] -> [B, C, D]."""
        dot = self.scores == "dot"
        k = F.relu(self.k(memory)) if dot else F.linear(memory, self.k.weight)
        a, weights = attention(F.relu(self.q(query)), k, F.relu(self.v(memory)), allowed, self.heads, scaled=dot)
        tap(name, weights)
        y = self.ln(a + query)
        return self.ln_f(self.f2(F.relu(self.f1(y))) + y)


class ATRank(nn.Module):
    """Steps (2)-(7). Switches as in mbref/papers/atrank.py; category [N+1] of all items comes with them."""

    def __init__(self, items=1, categories=1, table_width=1, width=0, heads=1, hidden=0, blocks=1, penalty=5e-5,
                 weight_decay=0.0, scores="dot", group_relu=False, bucket="release", query="raw", item_bias=True):
        super().__init__()
        width = width or 2 * table_width
        self.penalty, self.weight_decay, self.group_relu, self.bucket = penalty, weight_decay, group_relu, bucket
        self.query_group, self.item_bias, self.columns = query == "group", item_bias, 12 if bucket == "release" else 14
        self.tables = nn.ParameterDict({"item": torch.empty(items + 1, table_width),
                                        "category": torch.empty(categories + 1, table_width)})
        self.groups = nn.ModuleList([nn.Linear(2 * table_width + self.columns, width)])
        self.bias = nn.ParameterList([torch.empty(items + 1)])
        self.self, self.vanilla = (nn.ModuleList(AttentionBlock(width, hidden or width // 4, heads, scores)
                                                 for _ in range(blocks)) for _ in range(2))

    def object_code(self, ids, category):
        """Step (2): item and category side by side."""
        return torch.cat([embedded(self.tables["item"], ids), embedded(self.tables["category"], category[ids])], -1)

    def group_code(self, objects, time):
        """Steps (3), (4); time [...] is a column of the one-hot code, or outside it."""
        one_hot = (time.unsqueeze(-1) == torch.arange(self.columns)).to(objects)
        code = self.groups[0](torch.cat([objects, one_hot], dim=-1))
        return F.relu(code) if self.group_relu else code

    def behaviour_code(self, item, gap, category):
        return self.group_code(self.object_code(item, category), time_bucket(gap, self.bucket))

    def target_code(self, ids, category):
        """A candidate's embedding, or that through the group's layer, at no time."""
        code = self.object_code(ids, category)
        return self.group_code(code, torch.full_like(ids, -1)) if self.query_group else code

    def forward(self, item, gap, category, tap=ignore):
        """Step (5): events after self-attention.  -> [B, T, D]."""
        x, real = self.behaviour_code(item, gap, category), item > 0
        tap("input", x)
        for block in self.self:
            x = block(x, x, real.unsqueeze(1) & real.unsqueeze(2), tap, "self_weights")
        tap("states", x)
        return x

    def logits(self, item, gap, category, candidate, tap=ignore):
        """Steps (6), (7): scores [B, C], and what they are products of."""
        states, x = self(item, gap, category, tap), self.target_code(candidate, category)
        u, allowed = x, (item > 0).unsqueeze(1).expand(-1, candidate.shape[1], -1)
        for block in self.vanilla:
            u = block(u, states, allowed, tap, "vanilla_weights")
        z = (u * x).sum(-1)
        return z + self.bias[0][candidate] if self.item_bias else z, u, x

    def score(self, *batch):
        return self.logits(*batch)[0]

    def loss(self, label, *batch):
        """Step (7): cross entropy, penalty of the two vectors of each score, and of all weights."""
        real = batch[3] > 0
        z, u, x = self.logits(*batch)
        entropy = F.binary_cross_entropy_with_logits(z, label.to(z), reduction="none")[real]
        size = u[real].square().sum() + x[real].square().sum()
        weights = sum(p.square().sum() for p in self.parameters()) if self.weight_decay else 0
        return entropy.sum() / max(len(entropy), 1) + (self.penalty * size + self.weight_decay * weights) / 2


# What the kit asks for.

BACKEND = "torch"
SWITCHES = ("items", "categories", "table_width", "width", "heads", "hidden", "blocks", "penalty", "weight_decay",
            "scores", "group_relu", "bucket", "query", "item_bias")


def model_of(inputs):
    """An ATRank of the sizes and switches of a case, without parameters."""
    with torch.device("meta"):
        return ATRank(**{name: inputs[name] for name in SWITCHES if name in inputs})


def events_of(inputs):
    return tuple(inputs[name] for name in ("item", "gap", "category"))


def atrank_time_bucket(params, inputs, tap):
    return {"bucket": time_bucket(inputs["gap"], inputs["rule"])}


def atrank_behaviour_code(params, inputs, tap):
    code = call(model_of(inputs), params, *events_of(inputs), method="behaviour_code")
    return {"code": code * (inputs["item"] > 0).unsqueeze(-1)}


def atrank_attention_block(params, inputs, tap):
    hidden, width = params["f2"]["w"].shape
    block = AttentionBlock(width, hidden, inputs["heads"], inputs["scores"])
    return {"y": call(block, params, inputs["query"], inputs["memory"], inputs["allowed"], tap)}


def atrank_score(params, inputs, tap):
    return {"scores": call(model_of(inputs), params, *events_of(inputs), inputs["candidate"], method="score")}


def atrank(params, inputs, tap):
    batch = inputs["label"], *events_of(inputs), inputs["candidate"], tap
    return {"loss": call(model_of(inputs), params, *batch, method="loss")}
