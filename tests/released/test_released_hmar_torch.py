"""released/hmar.py against a second implementation of the four graphs, in torch: one user, one head, one behaviour at a
time, masks by -2^32 + 1 and by zeros, as the release computes. All parameters random, layer norms and scalars included,
but so small that no sigmoid comes near 1, where 1 - sigmoid would be rounding.
"""
from dataclasses import replace

import numpy as np
import pytest
from autograd import grad

from mbref.released.hmar import model as hmar
from mbref.released.hmar.data import Batch, Next
from mbref.released.hmar.recorded import name_params
from tests.optional import library

torch = library("torch")

WEIGHTS = {"tianchi": 4, "taobao": 4, "yelp": 4, "movielens": 3}
N, L, D = 11, 7, 6
LENGTHS = (7, 4, 1, 6, 3)  # real events of each user; the rest is padding on the left


def case(name, heads, seed):
    """-> (config, random parameters, batch)."""
    rng, K = np.random.default_rng(seed), WEIGHTS[name]
    config = hmar.Config(items=N, behaviours=K, variant=hmar.VARIANTS[name], width=D, length=L, heads=heads, dropout=0)
    params = hmar.init(rng, config)
    for view in name_params(params).values():
        view[...] += rng.normal(0, 0.15, view.shape)
    B, real = len(LENGTHS), np.arange(L) >= L - np.array(LENGTHS)[:, None]
    item, follow, negative = rng.integers(1, N + 1, (3, B, L)) * real
    behaviour, label = rng.integers(1, K + 1, (B, L)) * real, rng.integers(0, K, (B, L)) * real
    counts, next_counts = rng.integers(0, 4, (2, B, L, K)) * real[..., None].astype(float)
    weight = rng.uniform(0.1, 0.9, (B, L)) * real
    return config, params, Batch(item, behaviour, counts, Next(follow, weight, label, next_counts, negative))


def norm(p, name, x):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return p[f"{name}.gamma"] * (x - mean) / torch.sqrt(variance + 1e-8) + p[f"{name}.beta"]


def attend(p, name, u, heads):
    """One user: u [L, D]."""
    q, k, v = (u @ p[f"{name}.{part}.w"] + p[f"{name}.{part}.b"] for part in "qkv")
    alive = (u.abs().sum(-1) != 0).double()
    later = torch.triu(torch.ones(L, L), 1).bool()
    out = []
    for h in range(heads):
        part = slice(h * D // heads, (h + 1) * D // heads)
        score = q[:, part] @ k[:, part].T / (D / heads) ** 0.5
        score = torch.where(alive[None, :] == 0, -(2.0**32) + 1, score)
        score = torch.where(later, -(2.0**32) + 1, score)
        out.append((torch.softmax(score, -1) * alive[:, None]) @ v[:, part])
    return torch.cat(out, -1)


def feed_forward(p, name, x):
    hidden = torch.relu(x @ p[f"{name}.f1.w"] + p[f"{name}.f1.b"])
    return x + hidden @ p[f"{name}.f2.w"] + p[f"{name}.f2.b"]


def candidate(p, item, c):
    table = torch.cat([torch.zeros(1, D, dtype=torch.float64), p["item_emb"][1:]])
    return torch.cat([table[item], c @ p["cxt.w"] + p["cxt.b"]], -1) @ p["feat.w"] + p["feat.b"]


def states(p, name, heads, K, item, behaviour, c):
    """One user: item, behaviour [L], c [L, K] -> [L, D]."""
    table = torch.cat([torch.zeros(1, D, dtype=torch.float64), p["item_emb"][1:]])
    pad, code = (item != 0).double()[:, None], c @ p["cxt.w"] + p["cxt.b"]
    r = (torch.cat([table[item] * D**0.5, code], -1) @ p["feat.w"] + p["feat.b"] + p["pos_emb"]) * pad
    merged = torch.zeros_like(r)
    for k in range(K):
        on, res = (behaviour == k + 1).double()[:, None], p[f"beh{k}.res"]
        u = r * on
        if name in ("tianchi", "yelp"):
            u = norm(p, f"beh{k}.ln", u)
        y = feed_forward(p, f"beh{k}", attend(p, f"beh{k}", u, heads))
        merged = merged + (y * on + res * u if name in ("tianchi", "yelp") else (y + res * u) * on)
    s = {"tianchi": merged + code, "taobao": merged, "yelp": r, "movielens": r}[name] * pad
    z = attend(p, "seq", s, heads) + r
    if name == "yelp":
        z = z + s
    H = feed_forward(p, "seq", norm(p, "seq.ln", z)) * pad
    return norm(p, "seq.outln", H) if name == "movielens" else H


def twin(p, name, heads, K, batch):
    """-> (states [B, L, D], logits of the classes, L_rank, L_class, L)."""
    every, rank, classes, total, logits = [], 0, 0, 0, []
    for item, behaviour, c, follow, weight, label, pc, negative in zip(
            *map(torch.as_tensor, (batch.item, batch.behaviour, batch.counts, *batch.next)), strict=True):
        H = states(p, name, heads, K, item, behaviour, c)
        q, q_negative = candidate(p, follow, pc), candidate(p, negative, pc)
        positive, other = (H * q).sum(-1), (H * q_negative).sum(-1)
        logit = (torch.cat([q, H], -1) @ p["cls1.w"] + p["cls1.b"]) @ p["cls2.w"] + p["cls2.b"]
        logit = torch.relu(logit) if name == "tianchi" else logit
        T = (follow != 0).double()
        each = -weight * torch.log(torch.sigmoid(positive) + 1e-24) - torch.log(1 - torch.sigmoid(other) + 1e-24)
        rank, total = rank + (T * each).sum(), total + T.sum()
        classes = classes + (T * torch.nn.functional.cross_entropy(logit, label, reduction="none")).sum()
        every.append(H)
        logits.append(logit)
    rank, classes = rank / total, classes / total
    return torch.stack(every), torch.stack(logits), rank, classes, rank + (0.15 if name == "tianchi" else 0.1) * classes


@pytest.fixture(scope="module", params=[(name, heads) for name in WEIGHTS for heads in (1, 2)], ids=str)
def both(request):
    """(config, params, batch, parameters as torch leaves, what the twin makes of them)."""
    name, heads = request.param
    config, params, batch = case(name, heads, seed=heads)
    p = {key: torch.tensor(np.array(a), dtype=torch.float64, requires_grad=True) for key, a in name_params(params).items()}
    return config, params, batch, p, twin(p, name, heads, config.behaviours, batch)


def test_states_and_logits(both):
    config, params, batch, _, (H, logits, *_) = both
    z = hmar.forward(params, batch, config)
    np.testing.assert_allclose(z, H.detach().numpy(), rtol=0, atol=1e-10)
    q = hmar.candidate_code(params, batch.next.item, batch.next.counts)
    np.testing.assert_allclose(hmar.class_logits(params, q, z, config), logits.detach().numpy(), rtol=0, atol=1e-10)


def test_losses(both):
    config, params, batch, _, (_, _, rank, classes, total) = both
    np.testing.assert_allclose(hmar.losses(params, batch, config), (rank.item(), classes.item()), rtol=1e-12)
    assert hmar.loss(params, batch, config) == pytest.approx(total.item(), rel=1e-12)


def test_every_gradient(both):
    config, params, batch, p, (*_, total) = both
    total.backward(retain_graph=True)
    ours = name_params(grad(hmar.loss)(params, batch, config))
    assert ours.keys() == p.keys()
    for name, want in p.items():
        want = np.zeros(want.shape) if want.grad is None else want.grad.numpy()
        np.testing.assert_allclose(ours[name], want, rtol=1e-9, atol=1e-10, err_msg=name)


def test_scores_of_the_release(both):
    """The held-out item, in the first column, with its own counts; the others as bought once; also a second time."""
    config, params, batch, p, (H, *_) = both
    rng = np.random.default_rng(5)
    candidates = rng.integers(1, N + 1, (len(LENGTHS), 6))
    candidates[:, 3] = candidates[:, 0]
    own = rng.integers(0, 4, (len(LENGTHS), config.behaviours)).astype(float)
    c = np.zeros((*candidates.shape, config.behaviours))
    c[..., 0] = 1
    c[:, 0] = own
    want = (H[:, -1:] * candidate(p, torch.tensor(candidates), torch.tensor(c))).sum(-1)
    got = hmar.score(params, batch._replace(next=None, target_counts=own), candidates, config)
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=0, atol=1e-10)
    equal = hmar.score(params, batch, candidates, replace(config, candidate_counts="target"))
    np.testing.assert_allclose(equal[:, 0], equal[:, 3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(equal[:, 1:], got[:, 1:], rtol=0, atol=1e-12)
