"""HierSRec in PyTorch; hmar_torch.py says what such a file is and how it is run.

B sessions, T clicks, D width, N items, C categories and class 0, "unknown", like any other.
Sessions are padded on the right and attention is causal, so a click never reads padding.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

from tests.crosscheck.torch_modules import call


def ignore(name, tensor):
    """A tap that nobody reads."""


def norm(size):
    return nn.LayerNorm(size, eps=1e-8)


class EncoderBlock(nn.Module):
    """Pre-norm transformer block; the attention's matrices have no biases."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Parameter(torch.empty(width, width)) for _ in range(4))
        self.f1, self.f2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.ln1, self.ln2 = norm(width), norm(width)

    def forward(self, h, real, tap=ignore):
        """h [B, T, D], real [B, T]."""
        a = self.ln1(h)
        q, k, v = (a @ matrix for matrix in (self.q, self.k, self.v))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        earlier = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).tril()  # [T, T]
        allowed = earlier & real[:, None, None]  # [B, 1, T, T]
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~allowed, torch.finfo(h.dtype).min)
        weights = scores.softmax(-1) * allowed
        tap("weights", weights)
        h = h + (weights @ v).transpose(1, 2).flatten(2) @ self.o
        return h + self.f2(F.relu(self.f1(self.ln2(h))))


class HierSRec(nn.Module):
    """Steps (1)-(5), with the switches of mbref/variants/hiersrec.py.

    category [N+1] and texts [N+1, M] describe all items.
    """

    def __init__(self, items=1, categories=1, text=0, inputs="id+category+text", width=64,
                 item_width=64, category_width=32, projection_width=32, length=20, heads=2,
                 blocks=1, pool="last", tasks="both", hier="soft", item_out="fc",
                 category_weight=1.0, softmax="known"):
        super().__init__()
        self.reads = [x for x in inputs.split("+") if x != "text" or text]
        self.hier = hier if tasks == "both" else "none"
        self.pool, self.tasks, self.item_out = pool, tasks, item_out
        self.category_weight, self.softmax = category_weight, softmax
        widths = {"id": item_width, "category": category_width, "text": text}
        d_in = sum(widths[name] for name in self.reads)
        d_g = {"tied": category_width, "none": 0}.get(self.hier, projection_width)
        self.add_module("in", nn.Linear(d_in, width))
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(blocks))
        self.ln = norm(width)
        self.category, self.ln_logits = nn.Linear(width, categories + 1), norm(categories + 1)
        self.item = nn.Linear(width + d_g, items)
        shapes = {"position": (length, width), "E_I": (items + 1, item_width),
                  "E_C": (categories + 1, category_width), "W_p": (categories + 1, d_g),
                  "query": (width + d_g, width), "value": (d_in, width), "b_i": (items,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def item_features(self, ids, category, texts):
        """Step (1): what is read of items, side by side; 0 at padding."""
        parts = {"id": lambda: F.embedding(ids, self.E_I), "text": lambda: texts[ids],
                 "category": lambda: F.embedding(category[ids], self.E_C)}
        return torch.cat([parts[name]() for name in self.reads], dim=-1) * (ids > 0).unsqueeze(-1)

    def forward(self, item, category, texts, tap=ignore):
        """s: the session encoding after every click.  -> [B, T, D]."""
        h = self.get_submodule("in")(self.item_features(item, category, texts))
        h = h + self.position[: item.shape[1]]
        for block in self.blocks:
            h = block(h, item > 0, tap)
        s = self.ln(h)
        tap("states", s)
        if self.pool == "last":
            return s
        return s.cumsum(1) / torch.arange(1, s.shape[1] + 1).to(s).unsqueeze(1)

    def category_logp(self, s):
        """Step (2)."""
        return self.category(s).log_softmax(-1)

    def projection(self, logp, oracle=None):
        """Step (3): what the item head learns of the category."""
        if self.hier == "oracle":
            return self.W_p[oracle]
        if self.hier == "logits":
            return self.ln_logits(logp) @ self.W_p
        p = logp.detach().exp() if self.hier == "stop" else logp.exp()
        return p @ (self.E_C if self.hier == "tied" else self.W_p)

    def join(self, s, oracle=None):
        """Session and category side by side, and log p of the categories."""
        logp = self.category_logp(s) if self.tasks == "both" else None
        if self.hier == "none":
            return s, logp
        return torch.cat([s, self.projection(logp, oracle)], dim=-1), logp

    def item_logits(self, q, category, texts):
        """Step (4): of all items 1..N."""
        if self.item_out == "fc":
            return self.item(q)
        features = self.item_features(torch.arange(1, len(self.b_i) + 1), category, texts)
        return q @ self.query @ (features @ self.value).mT + self.b_i

    def score(self, candidate, oracle, item, category, texts):
        """Candidates [B, C] after the last click."""
        s = self(item, category, texts)
        last = ((item > 0).sum(1) - 1).clamp(min=0)
        q, _ = self.join(s[torch.arange(len(s)), last], oracle)
        return self.item_logits(q, category, texts).gather(1, candidate - 1)

    def losses(self, follow, known, *session):
        """Step (5): means over the clicks that have a next one.  -> item loss, category loss."""
        has, category = follow > 0, session[1]
        label = category[follow[has]]
        q, logp = self.join(self(*session)[has], label)
        z = self.item_logits(q, *session[1:3])
        if known is not None and self.softmax == "known":
            z = z.masked_fill(~known, -torch.inf)
        item = F.cross_entropy(z, follow[has] - 1)
        return item, z.new_zeros(()) if logp is None else F.nll_loss(logp, label)

    def loss(self, *args):
        item, category = self.losses(*args)
        return item + self.category_weight * category


def until(logp, shares, wanted):
    """Categories by falling probability, the lower id first, until shares [B, C] reach `wanted`."""
    order = logp.argsort(dim=1, descending=True, stable=True)
    before = F.pad(shares.gather(1, order).cumsum(1)[:, :-1], (1, 0))
    return torch.zeros_like(logp, dtype=torch.bool).scatter(1, order, before < wanted)


def items_in(category, classes):
    """How many items each category holds.  category [N+1], entry 0 ignored -> [C]."""
    return torch.bincount(category[1:], minlength=classes)


def places(scores, allowed, target, n):
    """Each target's place among the allowed items, and the n best of these.

    scores, allowed [B, N]; target [B].
    """
    column = (target - 1).unsqueeze(1)
    own, inside = scores.gather(1, column), allowed.gather(1, column).squeeze(1)
    greater, ties = ((test(scores, own) & allowed).sum(1) for test in (torch.gt, torch.eq))
    scores = scores.masked_fill(~allowed, -torch.inf)
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :n]
    return {"greater": torch.where(inside, greater, MISS), "ties": (ties - 1) * inside,
            "inside": inside, "top": (order + 1) * allowed.gather(1, order)}


def hit_rate(greater, ties, k):
    """Share of the ranks greater + 1 .. greater + 1 + ties that are at most k."""
    return (k - greater).clamp(min=0).minimum(ties + 1).double() / (ties + 1)


def two_level_logp(category_logp, item_logits, category):
    """Class-factored softmax, category by category.  -> [R, N]."""
    logp = torch.zeros_like(item_logits)
    for c in category.unique():
        within = item_logits[:, category == c].log_softmax(-1)
        logp[:, category == c] = category_logp[:, [c]] + within
    return logp


# What the kit asks for.

MISS = 2**62  # the place of a target that is no candidate
BACKEND = "torch"
SWITCHES = ("items", "categories", "text", "inputs", "width", "item_width", "category_width",
            "projection_width", "length", "heads", "blocks", "pool", "tasks", "hier", "item_out",
            "category_weight", "softmax")


def model_of(inputs):
    """A HierSRec of the sizes and switches of a case, without parameters."""
    with torch.device("meta"):
        return HierSRec(**{name: inputs[name] for name in SWITCHES if name in inputs})


def items_of(inputs):
    return inputs.get("category"), inputs.get("texts")


def hiersrec_item_features(params, inputs, tap):
    args = inputs["item"], *items_of(inputs)
    return {"features": call(model_of(inputs), params, *args, method="item_features")}


def hiersrec_encoder_block(params, inputs, tap):
    real = inputs["real"]
    block = EncoderBlock(inputs["h"].shape[-1], inputs["heads"])
    return {"y": call(block, params, inputs["h"], real, tap) * real.unsqueeze(-1)}


def hiersrec_encode(params, inputs, tap):
    s = call(model_of(inputs), params, inputs["item"], *items_of(inputs), tap)
    return {"s": s * (inputs["item"] > 0).unsqueeze(-1)}


def hiersrec_category_logp(params, inputs, tap):
    return {"logp": call(model_of(inputs), params, inputs["s"], method="category_logp")}


def hiersrec_projection(params, inputs, tap):
    model = model_of({**inputs, "categories": inputs["logp"].shape[1] - 1})
    return {"g": call(model, params, inputs["logp"], inputs.get("oracle"), method="projection")}


def hiersrec_joined(params, inputs, tap):
    q, logp = call(model_of(inputs), params, inputs["s"], inputs["oracle"], method="join")
    return {"q": q} if logp is None else {"q": q, "logp": logp}


def hiersrec_item_logits(params, inputs, tap):
    args = inputs["q"], *items_of(inputs)
    return {"logits": call(model_of(inputs), params, *args, method="item_logits")}


def hiersrec_candidates_topk(params, inputs, tap):
    return {"chosen": until(inputs["logp"], torch.ones_like(inputs["logp"]), inputs["k"])}


def hiersrec_candidates_mass(params, inputs, tap):
    return {"chosen": until(inputs["logp"], inputs["logp"].exp(), inputs["tau"])}


def hiersrec_candidates_budget(params, inputs, tap):
    logp, category = inputs["logp"], inputs["category"]
    wanted = max(1, math.ceil(round(inputs["rho"] * (len(category) - 1), 6)))
    return {"chosen": until(logp, items_in(category, logp.shape[1]).expand(logp.shape), wanted)}


def hiersrec_candidate_items(params, inputs, tap):
    return {"allowed": inputs["chosen"][:, inputs["category"][1:]]}


def hiersrec_candidates_share(params, inputs, tap):
    logp, category = inputs["logp"], inputs["category"]
    order = logp.argsort(dim=1, descending=True, stable=True)
    held = items_in(category, logp.shape[1])[order].cumsum(1)
    shares = held.double().mean(0) / (len(category) - 1)
    return {"k": (shares - inputs["rho"].unsqueeze(1)).abs().argmin(1) + 1}


def hiersrec_places(params, inputs, tap):
    allowed = inputs["chosen"][:, inputs["category"][1:]]
    return places(inputs["queries"] @ inputs["weights"].mT, allowed, inputs["target"], inputs["n"])


def hiersrec_gap(params, inputs, tap):
    before = hit_rate(inputs["full_greater"], inputs["full_ties"], inputs["k"])
    after, inside = hit_rate(inputs["greater"], inputs["ties"], inputs["k"]), inputs["inside"]
    return {"gained": ((after - before) * inside).mean(), "lost": (before * ~inside).mean()}


def hiersrec_inject_target(params, inputs, tap):
    return {"injected": inputs["allowed"].scatter(1, (inputs["target"] - 1).unsqueeze(1), True)}


def hiersrec_backfill(params, inputs, tap):
    """Candidates first, then the others by popularity, until there are n; or all candidates."""
    allowed, popular = inputs["allowed"], inputs["popularity"].argsort(descending=True, stable=True)
    order = popular[allowed[:, popular].int().argsort(dim=1, descending=True, stable=True)]
    size = allowed.sum(1, keepdim=True).clamp(min=inputs["n"])
    first = torch.arange(allowed.shape[1]) < size
    return {"filled": torch.zeros_like(allowed).scatter(1, order, first)}


def hiersrec_two_level_logp(params, inputs, tap):
    category = inputs["category"][1:]
    return {"logp": two_level_logp(inputs["category_logp"], inputs["item_logits"], category)}


def hiersrec_score(params, inputs, tap):
    args = inputs["candidate"], inputs.get("oracle"), inputs["item"], *items_of(inputs)
    return {"scores": call(model_of(inputs), params, *args, method="score")}


def hiersrec(params, inputs, tap):
    args = inputs["next"], inputs.get("known"), inputs["item"], *items_of(inputs), tap
    return {"loss": call(model_of(inputs), params, *args, method="loss")}
