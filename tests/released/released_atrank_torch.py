"""ATRank's release a second time, in torch, on its own names; makes states of any kind and size.

Written from the description of the graphs alone, head by head and sequence by sequence, for
comparison with mbref/released/atrank/model.py. A row that is looked up keeps its own gradient, as
TensorFlow's clipping needs it.
"""
import json

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d

torch.set_num_threads(1)  # the arrays are tiny
GROUPS = {"i": ("item", "shop", "cate", "brand"), "q": ("query",), "c": ("coupon", "shop", "cate")}
MAPS = {"i": (None, 0, 1, 2), "q": (None,), "c": (None, 3, 4)}
BIAS = {"i": "item_b", "q": "item_q", "c": "item_c"}
NETS = {"atrank": "att", "atrank/cnn": "cnn", "atrank/rnn": "rnn", "atrank/rnn_att": "rna",
        "atrank/bpr": "mf"}


def net_of(kind, config):
    return config["net_type"][:3] if kind == "atrank/multi" else NETS[kind]


def draw_params(kind, config, sizes, widths, rng):
    """{release's name: array}, all random, the layer norms' too. sizes: rows of tables; widths:
    their columns."""
    d, net, shapes = config["hidden_units"], net_of(kind, config), {}

    def layer(name, rows, columns):
        shapes.update({f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)})

    for name, rows in sizes.items():
        shapes[f"{name}_emb_w"] = (rows, widths[name])
    shapes["item_b"] = (sizes["item"],)
    if kind == "atrank/multi":
        shapes |= {"item_q": (sizes["query"],), "item_c": (sizes["coupon"],)}
        for g, names in GROUPS.items():
            layer(f"{g}_layer", sum(widths[n] for n in names) + widths["action"] * (g == "i") + 12,
                  d)
    elif kind in ("atrank", "atrank/cnn"):
        layer("dense", widths["item"] + widths["cate"] + 12, d)
    if net == "att":
        for n in range(config["num_blocks"]):
            for side, att in (("user_hist_group", "self_attention"),
                              ("item_feature_group", "vanilla_attention")):
                scope = f"all/{side}/num_blocks_{n}"
                for name in ("dense", "dense_1", "dense_2"):
                    layer(f"{scope}/{att}/{name}", d, d)
                layer(f"{scope}/feed_forward/conv1d", d, d // 4)
                layer(f"{scope}/feed_forward/conv1d_1", d // 4, d)
                for part in (att, "feed_forward"):
                    shapes |= {f"{scope}/{part}/ln/Variable": (d,),
                               f"{scope}/{part}/ln/Variable_1": (d,)}
        shapes = {name: (1, *s) if "conv1d" in name and "kernel" in name else s
                  for name, s in shapes.items()}
    if net == "cnn":
        sizes_of_filters, n = (8 if kind == "atrank/multi" else 10), config["num_filters_per_size"]
        for k in range(1, sizes_of_filters + 1):
            shapes |= {f"conv-maxpool-{k}/W": (k, d, 1, n), f"conv-maxpool-{k}/b": (n,)}
        if kind == "atrank/cnn":
            layer("dense_1", 10 * n, d)
    if net in ("rnn", "rna"):
        into = d if kind == "atrank/multi" else widths["item"] + widths["cate"]
        for way in ("fw", "bw"):
            layer(f"bidirectional_rnn/{way}/multi_rnn_cell/cell_0/lstm_cell", into + d, 4 * d)
        layer("dense", 2 * d, d)
    return {name: rng.normal(0, 0.4, shape) for name, shape in shapes.items()}


def layer(P, name, x):
    return x @ P[f"{name}/kernel"].reshape(-1, P[f"{name}/kernel"].shape[-1]) + P[f"{name}/bias"]


def norm(P, scope, x):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    gamma, beta = P[f"{scope}/ln/Variable_1"], P[f"{scope}/ln/Variable"]
    return gamma * (x - mean) / (variance + 1e-8).sqrt() + beta


def block(P, scope, att, query, memory, query_mask, key_mask, heads):
    """One attention with its feed-forward net.  -> output, weights [heads * B, queries, keys]."""
    q = layer(P, f"{scope}/{att}/dense", query).relu()
    k, v = (layer(P, f"{scope}/{att}/{name}", memory).relu() for name in ("dense_1", "dense_2"))
    size, outputs, weights = q.shape[-1] // heads, [], []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = torch.einsum("bqd,bkd->bqk", q[..., part], k[..., part]) / size**0.5
        scores = torch.where(key_mask[:, None, :], scores,
                             torch.tensor(-2.0**32 + 1, dtype=torch.float64))
        weights.append(scores.softmax(-1) * query_mask[:, :, None])
        outputs.append(weights[-1] @ v[..., part])
    y = norm(P, f"{scope}/{att}", torch.cat(outputs, -1) + query)
    inner = layer(P, f"{scope}/feed_forward/conv1d", y).relu()
    outer = layer(P, f"{scope}/feed_forward/conv1d_1", inner)
    return norm(P, f"{scope}/feed_forward", outer + y), torch.cat(weights)


def attention_net(P, config, x, mask, target):
    every, heads = torch.ones(len(x), 1, dtype=bool), config["num_heads"]
    for n in range(config["num_blocks"]):
        x, stt = block(P, f"all/user_hist_group/num_blocks_{n}", "self_attention", x, x, mask, mask,
                       heads)
    u = target[:, None]
    for n in range(config["num_blocks"]):
        u, att = block(P, f"all/item_feature_group/num_blocks_{n}", "vanilla_attention", u, x,
                       every, mask, heads)
    return u[:, 0], att, stt


def lstm(P, way, x, d):
    """States of one sequence [T, D], in the order in which it is given."""
    cell = f"bidirectional_rnn/{way}/multi_rnn_cell/cell_0/lstm_cell"
    h = c = torch.zeros(d, dtype=torch.float64)
    states = []
    for event in x:
        i, j, f, o = layer(P, cell, torch.cat([event, h])).split(d)
        c = (f + 1).sigmoid() * c + i.sigmoid() * j.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states)


def recurrent_net(P, config, x, lengths, target, with_attention):
    users, d = [], config["hidden_units"]
    for b, length in enumerate(lengths):
        forwards = lstm(P, "fw", x[b, :length], d)
        backwards = lstm(P, "bw", x[b, :length].flip(0), d).flip(0)
        if with_attention:
            states = torch.cat([forwards, backwards], 1)
            weights = (states @ torch.cat([target[b], target[b]]) / (2 * d) ** 0.5).softmax(0)
            users.append(weights @ states)
        else:
            users.append(torch.cat([forwards[-1], backwards[0]]))
    return layer(P, "dense", torch.stack(users))


def cnn_net(P, x, mask, padded):
    x = torch.cat([x * mask[:, :, None], torch.zeros(len(x), padded - x.shape[1], x.shape[2],
                                                     dtype=x.dtype)], 1)
    pooled, k = [], 1
    while f"conv-maxpool-{k}/W" in P:
        filters = P[f"conv-maxpool-{k}/W"].permute(3, 2, 0, 1)  # [n, 1, k, D]
        answers = conv2d(x[:, None], filters,
                         P[f"conv-maxpool-{k}/b"])[..., 0].relu()  # [B, n, padded - k + 1]
        pooled.append(answers.max(-1).values)
        k += 1
    return torch.cat(pooled, 1)


def objects(P, look_up, kind, X, g, ids):
    """Embeddings of objects of a group, their features side by side."""
    if kind != "atrank/multi":
        return torch.cat([look_up("item_emb_w", ids),
                          look_up("cate_emb_w", X["cate_list"][ids])], -1)
    parts = [ids if m is None else X[f"map_{m}"][ids] for m in MAPS[g]]
    return torch.cat([look_up(f"{name}_emb_w", part)
                      for name, part in zip(GROUPS[g], parts, strict=True)], -1)


def events(P, look_up, kind, X, g):
    """Coded history of a group [B, T, D], and its mask [B, T]."""
    multi = kind == "atrank/multi"
    ids, time, length = ((X[f"hist_{g}_id"], X[f"hist_{g}_time"], X[f"hist_{g}_sl"]) if multi
                         else (X["hist_i"], X.get("hist_t"), X["sl"]))
    x, mask = objects(P, look_up, kind, X, g, ids), torch.arange(ids.shape[1]) < length[:, None]
    if time is None:
        return x, mask
    parts = [x, look_up("action_emb_w", X["hist_i_act"])] if multi and g == "i" else [x]
    one_hot = torch.stack([time == bucket for bucket in range(12)], -1).double()
    return layer(P, f"{g}_layer" if multi else "dense", torch.cat([*parts, one_hot], -1)), mask


def target_of(P, look_up, kind, X, g, ids):
    x = objects(P, look_up, kind, X, g, ids)
    if kind != "atrank/multi":
        return x
    missing = P[f"{g}_layer/kernel"].shape[0] - x.shape[-1]
    return layer(P, f"{g}_layer", torch.cat([x, torch.zeros(len(x), missing, dtype=x.dtype)], -1))


def run(kind, config, P, X):
    """Outputs by name, among them the loss; and every looked-up array with its table's name."""
    rows = []

    def look_up(table, ids):
        found = P[table][ids]
        found.retain_grad()
        rows.append((table, found))
        return found

    half = config["regulation_rate"] / 2
    if kind == "atrank/bpr":
        u, (xi, xj) = look_up("user_emb_w", X["u"]), (objects(P, look_up, kind, X, "i", X[name])
                                                      for name in "ij")
        x = look_up("item_b", X["i"]) - look_up("item_b", X["j"]) + (u * (xi - xj)).sum(1)
        loss = -x.sigmoid().log().mean() + half * sum((part**2).sum() for part in (u, xi, xj))
        return {"logits": x.sigmoid(), "bprloss": loss,
                "mf_auc": (x > 0).float().mean()}, loss, rows
    multi, net = kind == "atrank/multi", net_of(kind, config)
    source = config["net_type"][4] if multi else "i"
    g = config["target"][0] if multi else "i"
    coded = [events(P, look_up, kind, X, s) for s in ("iqc" if source == "a" else source)]
    x, mask = (torch.cat(parts, 1) for parts in zip(*coded, strict=True))
    target, bias, found = target_of(P, look_up, kind, X, g, X[g]), look_up(BIAS[g], X[g]), {}
    if net == "att":
        u, att, stt = attention_net(P, config, x, mask, target)
        found = {"att_vec": att, "stt_vec": stt} if multi else {"att": att, "stt": stt}
    elif net == "cnn":
        u = cnn_net(P, x, mask, 30 if multi else 500)
        u = u if multi else layer(P, "dense_1", u)
    else:
        u = recurrent_net(P, config, x, mask.sum(1), target, net == "rna")
    z = bias + (u * target).sum(1)
    loss = binary_cross_entropy_with_logits(z, X["y"]) + half * ((u**2).sum() + (target**2).sum())
    if "j" in X:
        other = objects(P, look_up, kind, X, "i", X["j"])
        pairs = bias - look_up("item_b", X["j"]) + (u * (target - other)).sum(1)
        found["mf_auc"] = (pairs > 0).float().mean()
    return found | {"logits": z, "loss": loss}, loss, rows


def gradients(kind, config, params, X):
    """-> outputs, gradients by name (0 where there is none), norm over unmerged rows."""
    P = {name: torch.tensor(a, requires_grad=True) for name, a in params.items()}
    found, loss, rows = run(kind, config, P, X)
    loss.backward()
    looked_up = {table for table, _ in rows}
    squares = sum((r.grad**2).sum() for _, r in rows if r.grad is not None)
    squares += sum((p.grad**2).sum() for name, p in P.items() if name not in looked_up
                   and p.grad is not None)
    grads = {name: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for name, p in P.items()}
    return {name: a.detach().numpy() for name, a in found.items()}, grads, float(squares) ** 0.5


def record(kind, config, params, inputs, steps=(1, 3)):
    """A recorded state: {name: array} as the release's were recorded."""
    X = {name: torch.tensor(a) for name, a in inputs.items()}
    found, grads, unmerged = gradients(kind, config, params, X)
    dense = sum(np.sum(g**2) for g in grads.values()) ** 0.5
    arrays = {"meta/release": np.array(kind), "meta/config": np.array(json.dumps(config)),
              "meta/dtype": np.array("float64"), "outputs/global_norm_tf": np.array(unmerged),
              "outputs/global_norm_dense": np.array(dense)}
    for prefix, group in (("inputs", inputs), ("params", params), ("outputs", found),
                          ("grads", grads)):
        arrays |= {f"{prefix}/{name}": np.asarray(a) for name, a in group.items()}
    for step in range(1, max(steps) + 1):
        _, grads, unmerged = gradients(kind, config, params, X)
        clip = config["max_gradient_norm"]
        factor = clip / max(unmerged, clip) if clip else 1.0
        params = {name: a - config["lr"] * factor * grads[name] for name, a in params.items()}
        if step in steps:
            arrays |= {f"after/{step}/{name}": a for name, a in params.items()}
    return arrays


def draw_history(rng, rows, longest, objects, empty=False):
    """ids, time buckets [B, T] and lengths [B] as the release pads them: 0 after the end.

    The first row is full; with `empty` the second has no event in any group, others may have none.
    """
    length = rng.integers(0 if empty else 1, longest + 1, rows)
    length[:2] = longest, 0 if empty else length[1]
    real = np.arange(longest) < length[:, None]
    item, time = (rng.integers(0, size, real.shape) * real for size in (objects, 14))
    return item, time, length


def draw_inputs(kind, sizes, target, rng, rows, longest, empty):
    """Inputs of one batch. longest: of each group's history; empty: whether histories without
    events occur."""
    x = {"u": rng.integers(0, sizes["user"], rows), "y": rng.integers(0, 2, rows).astype(float)}
    if kind == "atrank/multi":
        for g, longest_of_group in zip("iqc", longest, strict=True):
            count = sizes[GROUPS[g][0]]
            ids, time, length = draw_history(rng, rows, longest_of_group, count, empty)
            x |= {f"hist_{g}_id": ids, f"hist_{g}_time": time, f"hist_{g}_sl": length}
            x[g] = rng.integers(0, count, rows) * (g == target)
        seen = x["hist_i_id"] > 0
        x["hist_i_act"] = rng.integers(0, sizes["action"], seen.shape) * seen
        for g, columns in (("item", ("shop", "cate", "brand")),
                           ("coupon", ("shop", "cate", "cate"))):
            x |= {f"map_{len(columns) * (g == 'coupon') + m}": rng.integers(0, sizes[name],
                                                                            sizes[g])
                  for m, name in enumerate(columns)}
        return x
    ids, time, length = draw_history(rng, rows, longest[0], sizes["item"], empty)
    x |= {"i": rng.integers(0, sizes["item"], rows),
          "cate_list": rng.integers(0, sizes["cate"], sizes["item"])}
    x |= {} if kind == "atrank/bpr" else {"hist_i": ids, "sl": length}
    timed = kind in ("atrank", "atrank/cnn")
    x |= {"hist_t": time} if timed else {"j": rng.integers(0, sizes["item"], rows)}
    return {name: a for name, a in x.items() if name != "y" or kind != "atrank/bpr"}


def draw_state(kind, seed, run="", target="i", longest=None, empty=False, clip=None, steps=(1, 3)):
    """A recorded state of random sizes. run: multi's net_type, att-a2i for instance."""
    rng = np.random.default_rng(seed)
    heads = int(rng.integers(1, 4))
    config = {"lr": float(rng.uniform(0.05, 0.5)), "hidden_units": heads * 4
              * int(rng.integers(1, 3)),
              "max_gradient_norm": float(rng.uniform(0.1, 6)) if clip is None else clip,
              "regulation_rate": float(10 ** rng.uniform(-5, -1)), "num_heads": heads,
              "num_blocks": int(rng.integers(1, 3)),
              "num_filters_per_size": int(rng.integers(1, 4))}
    more = ("shop", "brand", "action", "query", "coupon")
    names = ("user", "item", "cate") + more * (kind == "atrank/multi")
    sizes = {name: int(rng.integers(3, 9)) for name in names}
    widths = {name: int(rng.integers(1, 6)) for name in names}
    if kind == "atrank/multi":
        config |= {"net_type": run, "target": {"i": "item", "q": "query", "c": "coupon"}[target]}
        if run.startswith("cnn"):
            config["hidden_units"] = 8 * config["num_filters_per_size"]
            config["num_heads"] = 1
    else:
        d = config["hidden_units"]
        widths["item"] = int(rng.integers(1, d))
        widths |= {"cate": d - widths["item"], "user": d}
        if kind in ("atrank", "atrank/cnn"):
            del sizes["user"]
    longest = rng.integers(1, 8, 3) if longest is None else longest
    inputs = draw_inputs(kind, {"user": 5} | sizes, target, rng, int(rng.integers(2, 6)), longest,
                         empty)
    return record(kind, config, draw_params(kind, config, sizes, widths, rng), inputs, steps)
