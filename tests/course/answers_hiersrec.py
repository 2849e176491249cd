"""Answers to the exercises on HierSRec; see answers_hmar.py."""
import autograd.numpy as np

WRONG = {
    "my_items": [
        ("category[1:]]", "category[:-1]]", "ordinary input"),
        ("chosen[:, category[1:]]", "np.argmax(chosen, axis=1)[:, None] == category[1:]", "ordinary input"),
        ("category[1:]]", "category[1:] - 1]", "ordinary input"),
    ],
    "my_row": [
        (" * (item > 0)[..., None]", "", "histories of different lengths"),
        ("E_C[category[item]]", "E_C[category[item]] * (category[item] > 0)[..., None]", "items of unknown category"),
        ("[E_I[item], E_C[category[item]], texts[item]]", "[E_I[item], texts[item], E_C[category[item]]]", "ordinary input"),
    ],
    "my_joined": [
        ("    z = z - np.max(z, axis=-1, keepdims=True)\n", "", "large values"),
        ("np.exp(logp) @ W_p", "logp @ W_p", "ordinary input"),
        ("[s, np.exp(logp) @ W_p]", "[np.exp(logp) @ W_p, s]", "ordinary input"),
        ("z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))",
         "np.log(np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True))", "large values"),
    ],
    "my_mass": [
        ("mass < tau\n            mass = mass + np.exp(row[c])", "mass + np.exp(row[c]) <= tau\n            mass = mass + np.exp(row[c])",
         "ordinary input"),
        ("np.argsort(-row, kind=\"stable\")", "np.argsort(row, kind=\"stable\")[::-1]", "several categories of one probability"),
        ("np.argsort(-row, kind=\"stable\")", "range(len(row))", "ordinary input"),
    ],
    "my_levels": [
        ("np.exp(z - top[..., None]), axis=-1)) + top", "np.exp(z), axis=-1))", "large values"),
        ("np.where(same, 0, -1e9)", "np.where(same, 0, 0)", "ordinary input"),
        ("category_logp[:, own]", "category_logp[:, own - 1]", "ordinary input"),
        ("np.where(same, 0, -1e9)", "np.where(same & (own > 0), 0, -1e9)", "ordinary input"),
    ],
    "my_encoder": [
        ("1e-8", "1e-5", "values that hardly vary"),
        ("width**0.5", "h.shape[2] ** 0.5", "several heads"),
        ("np.tri(h.shape[1], dtype=bool) & ", "", "ordinary input"),
        (" * real[..., None]", "", "different lengths"),
        ("x = h + np.reshape(y, h.shape)", "x = a + np.reshape(y, h.shape)", "ordinary input"),
    ],
}


def my_items(chosen, category):
    return np.array([[bool(row[category[i]]) for i in range(1, len(category))] for row in chosen])


def my_row(item, category, texts, E_I, E_C):
    one_hot, kind = np.eye(len(E_I))[item], np.eye(len(E_C))[category]
    everything = one_hot @ np.concatenate([E_I, kind @ E_C, texts], axis=1)
    return np.where(item[..., None] > 0, everything, 0.0)


def my_joined(s, category, W_p):
    rows = []
    for i in range(len(s)):
        z = np.dot(s[i], category["w"]) + category["b"]
        top = np.max(z)
        rows.append(z - top - np.log(np.sum(np.exp(z - top))))
    logp = np.stack(rows)
    return {"q": np.hstack([s, np.einsum("rc,cd->rd", np.exp(logp), W_p)]), "logp": logp}


def my_mass(logp, tau):
    order = np.argsort(-logp, axis=1, kind="stable")
    p = np.take_along_axis(np.exp(logp), order, axis=1)
    before = np.concatenate([np.zeros((len(p), 1)), np.cumsum(p, axis=1)[:, :-1]], axis=1)
    return np.take_along_axis(before < tau, np.argsort(order, axis=1, kind="stable"), axis=1)


def my_levels(category_logp, item_logits, category):
    columns = []
    for i, c in enumerate(category[1:]):
        z = item_logits[:, category[1:] == c]
        top = np.max(z, axis=1)
        columns.append(category_logp[:, c] + item_logits[:, i] - top - np.log(np.sum(np.exp(z - top[:, None]), axis=1)))
    return np.stack(columns, axis=1)


def my_encoder(h, real, heads, params):
    def norm(p, x):
        scale = (np.var(x, axis=-1, keepdims=True) + 1e-8) ** -0.5
        return (x - np.mean(x, axis=-1, keepdims=True)) * scale * p["gamma"] + p["beta"]

    T, a, out = np.arange(h.shape[1]), norm(params["ln1"], h), []
    allowed = (T[:, None] >= T) & (real[:, None] * real[:, :, None] > 0)
    for q, k, v in zip(*(np.split(a @ params[n], heads, axis=-1) for n in "qkv"), strict=True):
        s = np.einsum("btd,bsd->bts", q, k) / np.sqrt(q.shape[-1])
        top = np.max(np.where(allowed, s, -np.inf), axis=-1, keepdims=True, initial=-1e30)
        e = np.exp(np.where(allowed, s - top, -np.inf))
        out.append(np.einsum("bts,bsd->btd", e / (np.sum(e, -1, keepdims=True) + ~np.any(allowed, -1, keepdims=True)), v))
    x = h + np.concatenate(out, axis=-1) @ params["o"]
    z = norm(params["ln2"], x) @ params["f1"]["w"] + params["f1"]["b"]
    return np.where(real[..., None], x + (z * (z > 0)) @ params["f2"]["w"] + params["f2"]["b"], 0.0)
