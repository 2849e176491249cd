"""HMAR in PyTorch, and an example of a file for the cross-check kit:

    python -m mbref check tests/crosscheck/hmar_torch.py

Above: ordinary modules, which know nothing of the kit. Below: BACKEND and one function a component, named like it with
_ for the dot, f(params, inputs, tap) -> {output: tensor}. `call` runs a module with the case's parameters for its own;
`tap` hands out intermediates, so that the report can say which is the first to go wrong.

B batch, T events, D width, K behaviours; histories are padded on the left, id 0 is padding.
"""
import torch
from torch import nn
from torch.nn import functional as F

from tests.crosscheck.torch_modules import call


def ignore(name, tensor):
    """A tap that nobody reads."""


def mean_of(values, mask):
    """Mean where the mask is True; 0 if it is True nowhere."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def causal(real):
    """May query t read key s: both real, s not later?  real [B, T] -> [B, T, T]."""
    return (real.unsqueeze(2) & real.unsqueeze(1)).tril()


def same_behaviour(behaviour):
    """The same, among events of one behaviour.  [B, T] -> [B, T, T]."""
    return causal(behaviour > 0) & (behaviour.unsqueeze(2) == behaviour.unsqueeze(1))


def counts_upto(which, item, behaviour, count):
    """How often item which[b, t] occurs among the events 0..t, by behaviour.  [B, T] three times -> [B, T, K]."""
    hits = torch.tril((which.unsqueeze(2) == item.unsqueeze(1)) & (item > 0).unsqueeze(1))  # [B, T, T]
    return hits.double() @ F.one_hot(behaviour, count + 1)[..., 1:].double()


def attention(q, k, v, allowed, heads):
    """softmax(q k^T / sqrt(D/H)) v; a query that may read nothing gets 0.  -> [B, T, D], weights [B, H, T, T]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # [B, H, T, D/H]
    allowed = allowed.unsqueeze(1)
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~allowed, torch.finfo(q.dtype).min)
    weights = scores.softmax(-1) * allowed
    return (weights @ v).transpose(1, 2).flatten(2), weights


class LinearByBehaviour(nn.Module):
    """A linear layer for each behaviour, used for the events of that behaviour; padding gets 0."""

    def __init__(self, behaviours, width):
        super().__init__()
        self.w = nn.Parameter(torch.empty(behaviours, width, width))
        self.b = nn.Parameter(torch.empty(behaviours, width))

    def forward(self, x, kind):
        """x [B, T, D], kind [B, T, K] one-hot -> [B, T, D]."""
        return torch.einsum("btd,kde,btk->bte", x, self.w, kind) + kind @ self.b


class BehaviourEncoder(nn.Module):
    """Step (3): attention and feed-forward of each behaviour's own events."""

    def __init__(self, behaviours, width, heads):
        super().__init__()
        self.heads, self.behaviours = heads, behaviours
        self.q, self.k, self.v, self.f1, self.f2 = (LinearByBehaviour(behaviours, width) for _ in range(5))
        self.res = nn.Parameter(torch.empty(behaviours))

    def forward(self, x, behaviour, tap=ignore):
        kind = F.one_hot(behaviour, self.behaviours + 1)[..., 1:].to(x)  # [B, T, K]
        a, weights = attention(self.q(x, kind), self.k(x, kind), self.v(x, kind), same_behaviour(behaviour), self.heads)
        tap("behaviour_weights", weights)
        return a + self.f2(F.relu(self.f1(a, kind)), kind) + (kind @ self.res).unsqueeze(-1) * x


class SequenceEncoder(nn.Module):
    """Step (4): attention over all events up to now; the residual is the input of step (3)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.f1, self.f2 = (nn.Linear(width, width) for _ in range(5))
        self.ln = nn.LayerNorm(width, eps=1e-8)

    def forward(self, s, residual, real, tap=ignore):
        a, weights = attention(self.q(s), self.k(s), self.v(s), causal(real), self.heads)
        tap("sequence_weights", weights)
        y = self.ln(a + residual)
        return (y + self.f2(F.relu(self.f1(y)))) * real.unsqueeze(-1)


class HMAR(nn.Module):
    """Steps (1)-(7). Switches as in mbref/variants/hmar.py."""

    def __init__(self, items=1, behaviours=1, width=1, length=1, heads=1, blocks=1, target=1, theta=0.1, weights=(),
                 merge="encoder", indicator=True, count_scale="raw", candidate_counts="own", positives="all"):
        super().__init__()
        self.target, self.theta, self.merge, self.positives = target, theta, merge, positives
        self.read_counts, self.log_counts = indicator, count_scale == "log1p"
        self.own_counts = candidate_counts == "own"
        rest = 1 - 0.1 * (behaviours - 1)
        self.weights = weights or [rest if k + 1 == target else 0.1 for k in range(behaviours)]
        self.item, self.position = (nn.Parameter(torch.empty(n, width)) for n in (items + 1, length))
        self.indicator, self.feature = nn.Linear(behaviours, width), nn.Linear(2 * width, width)
        self.blocks = nn.ModuleList(nn.ModuleDict({"behaviour": BehaviourEncoder(behaviours, width, heads),
                                                   "sequence": SequenceEncoder(width, heads)}) for _ in range(blocks))
        self.class1, self.class2 = nn.Linear(2 * width, width), nn.Linear(width, behaviours)

    def code(self, item_code, counts):
        """Steps (1), (2)."""
        counts = counts.to(item_code) * self.read_counts
        indicator = self.indicator(counts.log1p() if self.log_counts else counts)
        return self.feature(torch.cat([item_code, indicator], dim=-1))

    def embedded(self, ids):
        return F.embedding(ids, self.item) * (ids > 0).unsqueeze(-1)

    def input_code(self, item, counts):
        v = self.embedded(item) * self.item.shape[1] ** 0.5
        return (self.code(v, counts) + self.position[-item.shape[1]:]) * (item > 0).unsqueeze(-1)

    def candidate_code(self, ids, counts):
        return self.code(self.embedded(ids), counts)

    def forward(self, item, behaviour, counts, tap=ignore):
        """Hidden states [B, T, D]."""
        z = self.input_code(item, counts)
        tap("input", z)
        for block in self.blocks:
            s = z
            if self.merge == "encoder":
                s = block["behaviour"](z, behaviour, tap)
                tap("merged", s)
            z = block["sequence"](s, z, item > 0, tap)
        tap("states", z)
        return z

    def score(self, item, behaviour, counts, candidate, history):
        """Step (5) after the last event.  candidate [B, C], history [B, N+1, K] -> [B, C]."""
        z = self(item, behaviour, counts)[:, -1:]  # [B, 1, D]
        one = F.one_hot(torch.tensor(self.target - 1), history.shape[-1]).expand(*candidate.shape, -1)
        own = history.gather(1, candidate.unsqueeze(-1).expand_as(one))
        return (z * self.candidate_code(candidate, own if self.own_counts else one)).sum(-1)

    def class_logits(self, q, z):
        """Step (6)."""
        return self.class2(self.class1(torch.cat([q, z], dim=-1)))

    def loss(self, events, follow, negative, tap=ignore):
        """Step (7).  events, follow: item, behaviour and counts; negative: item and counts."""
        z, (item, behaviour, counts), mask = self(*events, tap), follow, follow[0] > 0
        q = self.candidate_code(item, counts)
        q_negative = self.candidate_code(negative[0], negative[1] if self.own_counts else counts)
        label = (behaviour - 1).clamp(min=0)
        ranked = {"all": mask, "new": mask & (counts == 0).all(-1), "target": mask & (behaviour == self.target)}
        rank = ranking_loss((z * q).sum(-1), (z * q_negative).sum(-1), z.new_tensor(self.weights)[label],
                            ranked[self.positives], negative[0] > 0)
        classes = F.cross_entropy(self.class_logits(q, z).flatten(0, 1), label.flatten(), reduction="none")
        return rank + self.theta * mean_of(classes.view_as(mask), mask)


def ranking_loss(positive, negative, weight, mask, has_negative):
    return mean_of(-weight * F.logsigmoid(positive) - F.logsigmoid(-negative) * has_negative, mask)


# What the kit asks for.

BACKEND = "torch"
SWITCHES = ("items", "behaviours", "width", "length", "heads", "blocks", "target", "theta", "weights", "merge",
            "indicator", "count_scale", "candidate_counts", "positives")


def model_of(inputs):
    """An HMAR of the sizes and switches of a case, without parameters."""
    with torch.device("meta"):
        return HMAR(**{name: inputs[name] for name in SWITCHES if name in inputs})


def events_of(inputs, prefix=""):
    return tuple(inputs[prefix + name] for name in ("item", "behaviour", "counts"))


def hmar_behaviour_mask(params, inputs, tap):
    return {"mask": same_behaviour(inputs["behaviour"])}


def hmar_indicator(params, inputs, tap):
    return {"counts": counts_upto(inputs["item"], *(inputs[name] for name in ("item", "behaviour", "count")))}


def hmar_candidate_counts(params, inputs, tap):
    return {"counts": counts_upto(*(inputs[name] for name in ("candidate", "item", "behaviour", "count")))}


def hmar_code(params, inputs, tap):
    return {"code": call(model_of(inputs), params, inputs["item_code"], inputs["counts"], method="code")}


def hmar_input_code(params, inputs, tap):
    return {"code": call(model_of(inputs), params, inputs["item"], inputs["counts"], method="input_code")}


def hmar_candidate_code(params, inputs, tap):
    return {"code": call(model_of(inputs), params, inputs["candidate"], inputs["counts"], method="candidate_code")}


def hmar_behaviour_encoder(params, inputs, tap):
    encoder = BehaviourEncoder(len(params["res"]), inputs["x"].shape[-1], inputs["heads"])
    return {"y": call(encoder, params, inputs["x"], inputs["behaviour"], tap)}


def hmar_sequence_encoder(params, inputs, tap):
    encoder = SequenceEncoder(inputs["s"].shape[-1], inputs["heads"])
    return {"z": call(encoder, params, inputs["s"], inputs["residual"], inputs["real"], tap)}


def hmar_class_logits(params, inputs, tap):
    return {"logits": call(model_of(inputs), params, inputs["q"], inputs["z"], method="class_logits")}


def hmar_ranking_loss(params, inputs, tap):
    return {"loss": ranking_loss(*(inputs[n] for n in ("positive", "negative", "weight", "mask", "has_negative")))}


def hmar_score(params, inputs, tap):
    args = *events_of(inputs), inputs["candidate"], inputs["history"]
    return {"scores": call(model_of(inputs), params, *args, method="score")}


def hmar(params, inputs, tap):
    args = events_of(inputs), events_of(inputs, "next_"), (inputs["negative"], inputs["negative_counts"]), tap
    return {"loss": call(model_of(inputs), params, *args, method="loss")}
