"""The four papers' losses in PyTorch, default forms: python -m tests.bench device --torch tests/torch_losses.py

Each takes what mbref's own loss takes, as tensors on any device; tests/bench/test_bench_device.py compares the two.
"""
import torch
from torch.nn import functional as F


def dense(p, x):
    return x @ p["w"] + p["b"]


def norm(p, x):
    return F.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], 1e-8)


def embed(tables, ids):
    """Rows of several tables side by side, 0 for id 0.  ids [..., F]."""
    return torch.cat([F.embedding(ids[..., f], table) * (ids[..., f] > 0)[..., None]
                      for f, table in enumerate(tables)], -1)


def attend(q, k, v, allowed, heads=1, drop=0.0, scaled=True):
    """[B, C, D], [B, S, D] twice, allowed [B, C, S] -> [B, C, D]; 0 where nothing is allowed."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / (q.shape[-1] ** 0.5 if scaled else 1)
    weights = scores.masked_fill(~allowed[:, None], -1e9).softmax(-1) * allowed[:, None]
    return (F.dropout(weights, drop) @ v).transpose(1, 2).flatten(-2)


def causal(real):
    """[B, L] -> [B, L, L]: real keys that are not later than the query."""
    length = real.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=real.device).tril() & real[:, None]


def bucket(gap):
    return torch.bucketize(gap, 2 ** torch.arange(13, device=gap.device), right=True)


def mean_where(values, mask):
    return (values * mask).sum() / mask.sum().clamp(min=1)


def point_wise(z, u, x, batch, penalty):
    """Cross entropy of each candidate, and half the penalty times the squares of u and x."""
    real = batch.candidate > 0
    each = F.binary_cross_entropy_with_logits(z, batch.label.to(z.dtype), reduction="none")
    return mean_where(each, real) + 0.5 * penalty * ((u**2 + x**2) * real[..., None]).sum()


def atrank_block(p, query, memory, allowed, heads):
    q, k, v = dense(p["q"], query).relu(), memory @ p["k"]["w"], dense(p["v"], memory).relu()
    y = norm(p["ln"], attend(q, k, v, allowed, heads, scaled=False) + query)
    return norm(p["ln_f"], dense(p["f2"], dense(p["f1"], y).relu()) + y)


def atrank_loss(params, batch, config):
    history, features, dtype = batch.histories[0], batch.features[0], params["tables"]["item"].dtype
    tables = [params["tables"][name] for name in config.groups[0]]
    group, time = params["groups"][0], F.one_hot(bucket(history.gap), 14).to(dtype)
    s = dense(group, torch.cat([embed(tables, features[history.item]), time], -1)).relu()
    real = history.item > 0
    for p in params["self"]:
        s = atrank_block(p, s, s, real[:, None] & real[:, :, None], config.heads)
    x = embed(tables, features[batch.candidate])
    u = x = (x @ group["w"][: x.shape[-1]] + group["b"]).relu()
    for p in params["vanilla"]:
        u = atrank_block(p, u, s, real[:, None].expand(-1, x.shape[1], -1), config.heads)
    return point_wise((u * x).sum(-1), u, x, batch, config.penalty)


def dmran_loss(params, batch, config):
    history, features, p = batch.histories[0], batch.features[0], params
    real = history.item > 0
    v = embed(p["V"], features[history.item])
    H = dense(p["W_0"], torch.cat([v, p["T"][bucket(history.gap)]], -1))
    scores = ((H @ p["W_s1"].T).relu() @ p["W_s2"].T).transpose(1, 2)
    A = scores.masked_fill(~real[:, None], -1e9).softmax(-1) * real[:, None]
    M = A @ H
    F_ij = (M @ p["W_s4"].T)[:, :, None] + (M @ p["W_s3"].T)[:, None] + p["b_s2"]
    beta = (F_ij.tanh() @ p["W_s5"].T + p["b_s1"].detach()).softmax(2)
    M_hat = (beta * M[:, None]).sum(2)
    i_c = embed(p["V"], features[batch.candidate])
    all_hops = torch.ones(*i_c.shape[:2], M.shape[1], dtype=torch.bool, device=M.device)
    h, h_hat = (attend(i_c, x, x, all_hops) for x in (M, M_hat))
    G = (h @ p["W_f1"] + h_hat @ p["W_f2"] + p["b_f"]).sigmoid()
    h_c = G * h + (1 - G) * h_hat
    eye = torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
    overlap = ((A @ A.transpose(1, 2) - eye) ** 2).sum() / len(A)
    fit = point_wise((h_c * i_c).sum(-1), h_c, i_c, batch, config.penalty)
    return fit + config.redundancy * overlap


def hiersrec_loss(params, batch, config):
    p, drop = params, config.dropout
    category = p["E_C"][batch.category[batch.item]] * (batch.item > 0)[..., None]
    text = batch.text[batch.item].to(category.dtype)
    x = torch.cat([embed([p["E_I"]], batch.item[..., None]), category, text], -1)
    h = F.dropout(dense(p["in"], x) + p["position"][: x.shape[1]], drop)
    for b in p["blocks"]:
        a = norm(b["ln1"], h)
        q, k, v = (a @ b[name] for name in "qkv")
        h = h + attend(q, k, v, causal(batch.item > 0), config.heads, drop) @ b["o"]
        h = h + F.dropout(dense(b["f2"], dense(b["f1"], norm(b["ln2"], h)).relu()), drop)
    s, target = norm(p["ln"], h).flatten(0, 1)[batch.at], batch.next.flatten()[batch.at]
    logp = dense(p["category"], s).log_softmax(-1)
    z = dense(p["item"], torch.cat([s, logp.exp() @ p["W_p"]], -1))
    z = z.masked_fill(~batch.known, -1e9)
    category_loss = F.nll_loss(logp, batch.category[target])
    return F.cross_entropy(z, target - 1) + config.category_weight * category_loss


def by_behaviour(p, x, mask):
    """x_t W_b + b_b with b the behaviour of event t."""
    return ((torch.einsum("bld,kde->blke", x, p["w"]) + p["b"]) * mask[..., None]).sum(2)


def hmar_loss(params, batch, config):
    p, follow, real, drop = params, batch.next, batch.item > 0, config.dropout
    kinds = torch.arange(1, config.behaviours + 1, device=real.device)
    mask, allowed = batch.behaviour[..., None] == kinds, causal(real) & real[:, :, None]
    same = allowed & (batch.behaviour[:, :, None] == batch.behaviour[:, None])

    def code(ids, counts, scale=1):
        indicator = dense(p["indicator"], counts.to(p["item"].dtype))
        return dense(p["feature"], torch.cat([embed([p["item"]], ids[..., None]) * scale, indicator], -1))

    z = code(batch.item, batch.counts, config.width**0.5) + p["position"][-real.shape[1]:]
    z = F.dropout(z, drop) * real[..., None]
    for block in p["blocks"]:
        b, s = block["behaviour"], block["sequence"]
        a = attend(*(by_behaviour(b[name], z, mask) for name in "qkv"), same, config.heads, drop)
        hidden = F.dropout(by_behaviour(b["f1"], a, mask).relu(), drop)
        merged = a + F.dropout(by_behaviour(b["f2"], hidden, mask), drop) + (mask * b["res"]).sum(-1)[..., None] * z
        y = norm(s["ln"], attend(*(dense(s[name], merged) for name in "qkv"), allowed, config.heads, drop) + z)
        y = y + F.dropout(dense(s["f2"], F.dropout(dense(s["f1"], y).relu(), drop)), drop)
        z = y * real[..., None]
    q, negative = code(follow.item, follow.counts), code(follow.negative, follow.negative_counts)
    there, label = follow.item > 0, follow.behaviour.clamp(min=1) - 1
    weight = torch.tensor(config.weights, dtype=z.dtype, device=z.device)[label]
    rank = weight * F.softplus(-(z * q).sum(-1)) + F.softplus((z * negative).sum(-1)) * (follow.negative > 0)
    logits = dense(p["class2"], dense(p["class1"], torch.cat([q, z], -1)))
    kind = F.cross_entropy(logits.transpose(1, 2), label, reduction="none")
    return mean_where(rank, there) + config.theta * mean_where(kind, there)
