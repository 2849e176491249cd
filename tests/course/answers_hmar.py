"""Answers to the exercises on HMAR: WRONG[task] changes the solution's text, the functions are right in another way."""
import autograd.numpy as np

WRONG = {
    "my_masks": [  # (text of the solution, what stands there instead, what the student is told)
        ("np.arange(1, count + 1)", "np.arange(count)", "ordinary input"),
        ("behaviour[..., None] == np.arange(1, count + 1)",
         "behaviour[:, None] == np.arange(1, count + 1)[:, None]", "ordinary input"),
        ("==", ">=", "ordinary input"),
    ],
    "my_counts": [
        ("np.tri(item.shape[1], dtype=bool)", "np.tri(item.shape[1], k=-1, dtype=bool)", "an item that occurs several times"),
        ("np.tri(item.shape[1], dtype=bool)", "True", "an item that occurs several times"),
        ("candidate[:, :, None]", "item[:, :, None]", "an item that occurs several times"),
    ],
    "my_code": [
        ("[item_code, c]", "[c, item_code]", "ordinary input"),
        ('counts @ indicator["w"] + indicator["b"]', 'counts @ indicator["w"]', "ordinary input"),
        ("return both", 'c = np.log1p(counts) @ indicator["w"] + indicator["b"]\n    '
         "both = np.concatenate([item_code, c], axis=-1)\n    return both", "an item that occurs several times"),
    ],
    "my_input": [
        ("[-item.shape[1] :]", "[: item.shape[1]]", "histories of different lengths"),
        (" * table.shape[1] ** 0.5", "", "ordinary input"),
        (" * (item > 0)[..., None]", "", "histories of different lengths"),
    ],
    "my_attention": [
        ("width**0.5", "q.shape[2] ** 0.5", "several heads"),
        (" - np.max(scores, axis=-1, keepdims=True)", "", "large values"),
        ("np.swapaxes(np.reshape(x, (*x.shape[:2], heads, width)), 1, 2)",
         "np.reshape(x, (len(x), heads, x.shape[1], width))", "several heads"),
        ("* allowed[:, None]\n", "\n", "an empty history"),
    ],
    "my_encoder": [
        ("1e-8", "1e-5", "values that hardly vary"),
        ("+ residual", "+ s", "several heads"),
        ("np.tri(s.shape[1], dtype=bool) & ", "", "several heads"),
        (" & real[:, None] & real[:, :, None]", "", "different lengths"),
    ],
    "my_loss": [
        ("np.logaddexp(0, negative)", "np.log(1 + np.exp(negative))", "large values"),
        (" * has_negative", "", "positions without a negative"),
        ("max(mask.sum(), 1)", "mask.size", "different lengths"),
        ("max(mask.sum(), 1)", "mask.sum()", "an empty history"),
    ],
}


def my_masks(behaviour, count):
    return np.stack([behaviour == b + 1 for b in range(count)], axis=-1)


def my_counts(candidate, item, behaviour, count):
    counts = np.zeros((*item.shape, count))
    for user, t in np.argwhere(candidate > 0):
        met = behaviour[user, : t + 1][item[user, : t + 1] == candidate[user, t]]
        counts[user, t] = [np.sum(met == b + 1) for b in range(count)]
    return counts


def my_code(item_code, counts, indicator, feature):
    above, below = np.split(feature["w"], 2)
    return item_code @ above + (counts @ indicator["w"] + indicator["b"]) @ below + feature["b"]


def my_input(params, inputs, tap):
    item, table, T = inputs["item"], params["item"], inputs["item"].shape[1]
    v = np.sqrt(table.shape[1]) * np.eye(len(table))[item] @ table
    code = my_code(v, inputs["counts"], params["indicator"], params["feature"])
    places = params["position"][np.arange(T) + len(params["position"]) - T]
    return {"code": np.where(item[..., None] > 0, code + places, 0.0)}


def my_attention(q, k, v, allowed, heads, scaled=True):
    parts = zip(*(np.split(x, heads, axis=-1) for x in (q, k, v)), strict=True)
    root = np.sqrt(q.shape[-1] / heads) if scaled else 1.0
    out = []
    for q_h, k_h, v_h in parts:
        s = np.einsum("btd,bsd->bts", q_h, k_h) / root
        top = np.max(np.where(allowed, s, -np.inf), axis=-1, keepdims=True, initial=-1e30)
        w = np.exp(np.where(allowed, s - top, -np.inf))
        out.append(np.einsum("bts,bsd->btd", w / (np.sum(w, -1, keepdims=True) + ~np.any(allowed, -1, keepdims=True)), v_h))
    return np.concatenate(out, axis=-1)


def my_encoder(s, residual, real, heads, params):
    q, k, v, = (np.einsum("btd,de->bte", s, params[n]["w"]) + params[n]["b"] for n in "qkv")
    T = np.arange(s.shape[1])
    x = residual + my_attention(q, k, v, (T[:, None] >= T) & (real[:, :, None] * real[:, None] > 0), heads)
    y = (x - np.mean(x, -1, keepdims=True)) / np.sqrt(np.var(x, -1, keepdims=True) + 1e-8)
    y = y * params["ln"]["gamma"] + params["ln"]["beta"]
    hidden = y @ params["f1"]["w"] + params["f1"]["b"]
    z = y + (hidden * (hidden > 0)) @ params["f2"]["w"] + params["f2"]["b"]
    return np.where(real[..., None], z, 0.0)


def my_loss(positive, negative, weight, mask, has_negative):
    def cost(x):  # -log sigmoid(-x)
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    if not mask.any():
        return 0.0
    return np.sum(np.where(mask, weight * cost(-positive) + np.where(has_negative, cost(negative), 0.0), 0.0)) / np.sum(mask)
