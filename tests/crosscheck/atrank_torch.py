"""ATRank, of one group of objects or several, in PyTorch; hmar_torch.py says how it is run.

B batch, T events of a group, S of all groups, C candidates, D width, F features; histories are
padded on the right, id 0 is padding.
"""
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tests.crosscheck.torch_modules import call


def ignore(name, tensor):
    """A tap that nobody reads."""


def time_bucket(gap, rule):
    """floor(log2(gap + 1)) up to 12, or for "paper" 0 below 1 and floor(log2 gap) + 1 up to 13."""
    edges = 2 ** torch.arange(13)
    if rule == "release":
        return torch.bucketize(gap + 1, edges[1:], right=True)
    return torch.bucketize(gap, edges, right=True)


def embedded(table, ids):
    """Rows of a table; padding and unknown categories read zeros."""
    return F.embedding(ids, table) * (ids > 0).unsqueeze(-1)


def attention(q, k, v, allowed, heads, scaled):
    """Attention; a query that may read nothing gets 0.  -> [B, C, D], weights [B, H, C, T]."""
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
        a, weights = attention(F.relu(self.q(query)), k, F.relu(self.v(memory)), allowed,
                               self.heads, scaled=dot)
        tap(name, weights)
        y = self.ln(a + query)
        return self.ln_f(self.f2(F.relu(self.f1(y))) + y)


class Events(NamedTuple):
    """The history of one group, and what its objects are."""

    object: torch.Tensor    # [B, T]
    action: torch.Tensor    # [B, T]
    gap: torch.Tensor       # [B, T]
    features: torch.Tensor  # [N+1, F] itself, its category, ...


class ATRank(nn.Module):
    """Steps (2)-(7). Switches as in mbref/variants/atrank.py; histories are one Events a group."""

    def __init__(self, tables=(("item", 1),), groups=(("item",),), actions=(), table_width=1,
                 width=0, heads=1,
                 hidden=0, blocks=1, penalty=5e-5, weight_decay=0.0, scores="dot", group_relu=False,
                 bucket="release",
                 query="raw", item_bias=True, time=True, self_attention=True):
        super().__init__()
        width, sizes = width or len(groups[0]) * table_width, dict(tables)
        self.penalty, self.weight_decay = penalty, weight_decay
        self.group_relu, self.bucket, self.item_bias = group_relu, bucket, item_bias
        self.query_group = query == "group"
        self.columns = (12 if bucket == "release" else 14) * time  # without time there is none
        self.names, self.actions = groups, actions or [0] * len(groups)
        self.tables = nn.ParameterDict({name: torch.empty(size + 1, table_width)
                                        for name, size in tables})
        self.groups = nn.ModuleList()
        for names, kinds in zip(groups, self.actions, strict=True):
            layer = nn.Linear((len(names) + (kinds > 0)) * table_width + self.columns, width)
            if kinds:
                layer.action = nn.Parameter(torch.empty(kinds + 1, table_width))
            self.groups.append(layer)
        self.bias = nn.ParameterList(torch.empty(sizes[names[0]] + 1) for names in groups)
        self.self, self.vanilla = (nn.ModuleList(
            AttentionBlock(width, hidden or width // 4, heads, scores) for _ in range(count))
            for count in (blocks * self_attention, blocks))

    def object_code(self, group, features):
        """Step (2): all features side by side.  features [..., F]."""
        ids = zip(self.names[group], features.unbind(-1), strict=True)
        return torch.cat([embedded(self.tables[name], column) for name, column in ids], -1)

    def group_code(self, group, objects, action, time):
        """Steps (3), (4); time [...] is a column of the one-hot code, or outside it."""
        layer = self.groups[group]
        one_hot = (time.unsqueeze(-1) == torch.arange(self.columns)).to(objects)
        parts = [objects, embedded(layer.action, action)] if self.actions[group] else [objects]
        code = layer(torch.cat([*parts, one_hot], dim=-1))
        return F.relu(code) if self.group_relu else code

    def behaviour_code(self, group, events):
        objects = self.object_code(group, events.features[events.object])
        return self.group_code(group, objects, events.action, time_bucket(events.gap, self.bucket))

    def target_code(self, group, features):
        """A candidate's embedding, or that through its group's layer, without action and time."""
        code, none = self.object_code(group, features), torch.zeros_like(features[..., 0])
        return self.group_code(group, code, none, none - 1) if self.query_group else code

    def forward(self, histories, tap=ignore):
        """Step (5): events of all groups after self-attention.  -> [B, S, D], and which are real
        [B, S]."""
        real = torch.cat([events.object > 0 for events in histories], 1)
        x = torch.cat([self.behaviour_code(group, events)
                       for group, events in enumerate(histories)], 1)
        tap("input", x)
        for block in self.self:
            x = block(x, x, real.unsqueeze(1) & real.unsqueeze(2), tap, "self_weights")
        tap("states", x)
        return x, real

    def user_vectors(self, x, states, real, tap=ignore):
        """Step (6): what candidates find in the events, block by block."""
        allowed = real.unsqueeze(1).expand(-1, x.shape[1], -1)
        for block in self.vanilla:
            x = block(x, states, allowed, tap, "vanilla_weights")
        return x

    def logits(self, histories, group, candidate, tap=ignore):
        """Steps (6), (7): scores [B, C], and what they are products of."""
        x = self.target_code(group, histories[group].features[candidate])
        u = self.user_vectors(x, *self(histories, tap), tap)
        z = (u * x).sum(-1)
        return z + self.bias[group][candidate] if self.item_bias else z, u, x

    def score(self, *batch):
        return self.logits(*batch)[0]

    def loss(self, label, histories, group, candidate, tap=ignore):
        """Step (7): cross entropy, penalty of the two vectors of each score, and of all weights."""
        real = candidate > 0
        z, u, x = self.logits(histories, group, candidate, tap)
        entropy = F.binary_cross_entropy_with_logits(z, label.to(z), reduction="none")[real]
        size = u[real].square().sum() + x[real].square().sum()
        given = [p for p in self.parameters() if not p.is_meta]  # what switches leave out is not
        weights = sum(p.square().sum() for p in given) if self.weight_decay else 0
        squares = self.penalty * size + self.weight_decay * weights
        return entropy.sum() / max(len(entropy), 1) + squares / 2


# What the kit asks for.

BACKEND = "torch"
SWITCHES = ("tables", "groups", "actions", "table_width", "width", "heads", "hidden", "blocks",
            "penalty",
            "weight_decay", "scores", "group_relu", "bucket", "query", "item_bias", "time",
            "self_attention")


def model_of(inputs):
    """An ATRank of the sizes and switches of a case, without parameters."""
    switches = {name: inputs[name] for name in SWITCHES if name in inputs}
    if "items" in inputs:
        switches |= {"tables": (("item", inputs["items"]), ("category", inputs["categories"])),
                     "groups": (("item", "category"),)}
    with torch.device("meta"):
        return ATRank(**switches)


def events_of(inputs, group=0):
    """One group: items with their categories, or the arrays of its number."""
    if f"object_{group}" in inputs:
        return Events(*(inputs[f"{name}_{group}"] for name in Events._fields))
    category = inputs["category"]
    features = torch.stack([torch.arange(len(category)), category], 1)
    return Events(inputs["item"], torch.zeros_like(inputs["item"]), inputs["gap"], features)


def batch_of(inputs):
    """Histories of all groups, the group to predict and its candidates."""
    histories = [events_of(inputs, group) for group in range(len(inputs.get("groups", [0])))]
    return histories, inputs.get("group", 0), inputs["candidate"]


def atrank_time_bucket(params, inputs, tap):
    return {"bucket": time_bucket(inputs["gap"], inputs["rule"])}


def atrank_behaviour_code(params, inputs, tap):
    events = events_of(inputs)
    code = call(model_of(inputs), params, 0, events, method="behaviour_code")
    return {"code": code * (events.object > 0).unsqueeze(-1)}


atrank_group_code = atrank_behaviour_code


def atrank_target_code(params, inputs, tap):
    features = inputs[f"features_{inputs['group']}"][inputs["candidate"]]
    return {"code": call(model_of(inputs), params, inputs["group"], features, method="target_code")}


def atrank_attention_block(params, inputs, tap):
    hidden, width = params["f2"]["w"].shape
    block = AttentionBlock(width, hidden, inputs["heads"], inputs["scores"])
    return {"y": call(block, params, inputs["query"], inputs["memory"], inputs["allowed"], tap)}


def atrank_user_vectors(params, inputs, tap):
    hidden, width = params["vanilla"][0]["f2"]["w"].shape
    model = model_of(inputs | {"blocks": len(params["vanilla"]), "hidden": hidden, "width": width})
    return {"e": call(model, params, inputs["x"], inputs["states"], inputs["real"], tap,
                      method="user_vectors")}


def atrank_score(params, inputs, tap):
    return {"scores": call(model_of(inputs), params, *batch_of(inputs), method="score")}


def atrank(params, inputs, tap):
    return {"loss": call(model_of(inputs), params, inputs["label"], *batch_of(inputs), tap,
                         method="loss")}


atrank_groups_score, atrank_groups = atrank_score, atrank
