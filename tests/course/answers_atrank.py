"""Answers to the exercises on ATRank; see answers_hmar.py."""
import autograd.numpy as np

WRONG = {
    "my_bucket": [
        ("np.arange(13)", "np.arange(12)", "time gaps at the edges"),
        ("None] >= 2", "None] > 2", "time gaps at the edges of the buckets"),
        ("gap[..., None] >= 2 ** np.arange(13)", "gap[..., None] + 1 >= 2 ** np.arange(1, 14)", "time gaps at the edges"),
        ("np.sum(gap[..., None] >= 2 ** np.arange(13), axis=-1)",
         "np.ceil(np.log2(np.maximum(gap, 0.5))).astype(int) + 1", "time gaps at the edges"),
    ],
    "my_objects": [
        (" * (ids[..., f] > 0)[..., None]", "", "items of unknown category"),
        ("(ids[..., f] > 0)[", "(ids[..., 0] > 0)[", "items of unknown category"),
        ("concatenate(rows,", "concatenate(rows[::-1],", "ordinary input"),
    ],
    "my_space": [
        ("np.maximum(x @ first[\"w\"] + first[\"b\"], 0)", "x @ first[\"w\"] + first[\"b\"]", "an equation that has several forms"),
        ("[my_objects(tables, ids), time]", "[time, my_objects(tables, ids)]", "an equation that has several forms"),
        (" * (item > 0)[..., None]", "", "padding"),
        ("np.eye(14)[my_bucket(inputs[\"gap\"])]", "np.eye(14)[np.minimum(inputs[\"gap\"], 13)]", "very long time gaps"),
    ],
    "my_norm": [
        ("np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)", "values that hardly vary"),
        ("np.mean(x**2, axis=-1, keepdims=True)", "np.sum(x**2, axis=-1, keepdims=True) / (x.shape[-1] - 1)", "ordinary input"),
        ("+ eps)", "+ 1e-5)", "values that hardly vary"),
        ("x = x - np.mean(x, axis=-1, keepdims=True)\n    variance = np.mean(x**2, axis=-1, keepdims=True)",
         "m = np.mean(x, axis=-1, keepdims=True)\n    variance = np.mean(x**2, axis=-1, keepdims=True) - m**2\n    x = x - m",
         "too fine for float32"),
    ],
    "my_block": [
        ('memory @ params["k"]["w"]', 'ramp("k", memory)', "several heads"),
        ("np.swapaxes(by_head(k), 2, 3)", "np.swapaxes(by_head(k), 2, 3) / (q.shape[2] // heads) ** 0.5", "several heads"),
        (" + query, **", ", **", "several heads"),
        (" - np.max(scores, axis=-1, keepdims=True)", "", "large values"),
        (") * yes\n", ")\n", "an empty history"),
    ],
    "my_score": [
        ('for block in params["self"]', "for block in []", "an equation that has several forms"),
        ("np.maximum(c @ first[\"w\"][: c.shape[2]] + first[\"b\"], 0)",
         "c @ first[\"w\"][: c.shape[2]] + first[\"b\"]", "an equation that has several forms"),
        ("np.sum(u * h, axis=-1)", 'np.sum(u * h, axis=-1) + params["bias"][0][candidate]', "an equation that has several forms"),
        ("my_block(u, x,", "my_block(h, x,", "(atrank.score/paper_blocks: "),
    ],
}


def my_bucket(gap):
    return np.array([[min(int(g).bit_length(), 13) for g in row] for row in gap.tolist()])


def my_objects(tables, ids):
    def rows(table, one):
        return np.where(one[..., None] == 0, 0.0, np.eye(len(table))[one] @ table)

    return np.concatenate([rows(table, ids[..., f]) for f, table in enumerate(tables)], axis=-1)


def my_space(params, inputs, tap):
    w, b = params["groups"][0]["w"], params["groups"][0]["b"]
    item, category = inputs["item"], inputs["category"][inputs["item"]]
    objects = my_objects([params["tables"]["item"], params["tables"]["category"]], np.stack([item, category], 2))
    z = objects @ w[:-14] + w[-14:][my_bucket(inputs["gap"])] + b
    return {"code": np.where((item[..., None] > 0) & (z > 0), z, 0.0)}


def my_norm(x, gamma, beta, eps):
    scale = (np.var(x, axis=-1, keepdims=True) + eps) ** -0.5
    return (x - np.mean(x, axis=-1, keepdims=True)) * scale * gamma + beta


def my_block(query, memory, allowed, heads, params):
    def dense(name, x):
        return np.einsum("btd,de->bte", x, params[name]["w"]) + params[name]["b"]

    q, v = (dense(name, x) * (dense(name, x) > 0) for name, x in (("q", query), ("v", memory)))
    k, out = np.einsum("btd,de->bte", memory, params["k"]["w"]), []
    for q_h, k_h, v_h in zip(*(np.split(x, heads, axis=-1) for x in (q, k, v)), strict=True):
        s = np.einsum("bcd,bsd->bcs", q_h, k_h)
        top = np.max(np.where(allowed, s, -np.inf), axis=-1, keepdims=True, initial=-1e30)
        e = np.exp(np.where(allowed, s - top, -np.inf))
        out.append(np.einsum("bcs,bsd->bcd", e / (np.sum(e, -1, keepdims=True) + ~np.any(allowed, -1, keepdims=True)), v_h))
    y = my_norm(np.concatenate(out, axis=-1) + query, params["ln"]["gamma"], params["ln"]["beta"], 1e-8)
    hidden = dense("f1", y)
    z = y + dense("f2", hidden * (hidden > 0))
    return my_norm(z, params["ln_f"]["gamma"], params["ln_f"]["beta"], 1e-8)


def my_score(params, inputs, tap):
    item, candidate, heads = inputs["item"], inputs["candidate"], inputs["heads"]
    mask, states = item > 0, my_space(params, inputs, tap)["code"]
    for p in params["self"]:
        states = my_block(states, states, mask[:, None] * mask[:, :, None] > 0, heads, p)
    w, b = params["groups"][0]["w"], params["groups"][0]["b"]
    ids = np.stack([candidate, inputs["category"][candidate]], 2)
    z = my_objects([params["tables"]["item"], params["tables"]["category"]], ids) @ w[:-14] + b
    h = z * (z > 0)
    e = h
    for p in params["vanilla"]:
        e = my_block(e, states, (candidate[..., None] >= 0) & mask[:, None], heads, p)
    return {"scores": np.einsum("bcd,bcd->bc", e, h)}
