"""Answers to the exercises on DMRAN; see answers_hmar.py."""
import autograd.numpy as np

STABLE = "0.5 + 0.5 * np.tanh((h @ W_f1 + h_hat @ W_f2 + b_f) / 2)"

WRONG = {
    "my_hops": [
        (") * real[:, None]\n", ")\n", "an empty history"),
        ("np.maximum(H @ W_s1.T, 0)", "H @ W_s1.T", "ordinary input"),
        ("np.where(real[:, None], np.swapaxes(scores, 1, 2), -1e9)", "np.swapaxes(scores, 1, 2)", "large values"),
        ("H @ W_s1.T", "H @ W_s1", "ordinary input"),
    ],
    "my_history": [
        (" * (i > 0)[..., None]", "", "items of unknown category"),
        ("np.arange(13)", "np.arange(12)", "very long time gaps"),
        (" * (item > 0)[..., None]", "", "histories of different lengths"),
        ('[*rows, params["T"][bucket]]', '[params["T"][bucket], *rows]', "ordinary input"),
    ],
    "my_alignment": [
        ("np.max(F, axis=2, keepdims=True)) * yes\n    total = np.sum(e, axis=2, keepdims=True)",
         "np.max(F, axis=3, keepdims=True)) * yes\n    total = np.sum(e, axis=3, keepdims=True)", "ordinary input"),
        ("(M @ W_s4.T)[:, :, None], (M @ W_s3.T)[:, None]", "(M @ W_s3.T)[:, :, None], (M @ W_s4.T)[:, None]", "ordinary input"),
        ("allowed[..., None]", "np.swapaxes(allowed, 1, 2)[..., None] | True", "rows that leave themselves out"),
        (" - np.max(F, axis=2, keepdims=True)", "", "large values"),
    ],
    "my_features": [
        ("M[:, None], axis=2", "M[:, :, None], axis=2", "ordinary input"),
        ("M[:, None], axis=2", "M[:, None], axis=1", "ordinary input"),
        ("np.sum(beta * M[:, None], axis=2)", "np.sum(beta * M[:, None], axis=2) + M", "ordinary input"),
    ],
    "my_readout": [
        (" / M.shape[2] ** 0.5", "", "ordinary input"),
        (") * real[:, None]\n", ")\n", "an empty history"),
        (" - np.max(scores, axis=-1, keepdims=True)", "", "large values"),
    ],
    "my_fusion": [
        ("G * h + (1 - G) * h_hat", "(1 - G) * h + G * h_hat", "ordinary input"),
        (STABLE, "1 / (1 + np.exp(-(h @ W_f1 + h_hat @ W_f2 + b_f)))", "large values"),
        (" + b_f", "", "ordinary input"),
    ],
    "my_score": [
        ("my_readout(M_hat, i_c", "my_readout(M, i_c", "ordinary input"),
        ("yes = np.ones((*M.shape[:2], M.shape[1]), dtype=bool)",
         "yes = np.ones((*M.shape[:2], M.shape[1]), dtype=bool) & ~np.eye(M.shape[1], dtype=bool)", "ordinary input"),
        (" * (candidate > 0)[..., None]", "", "no candidate"),
        ("h_c * i_c, axis=-1", "h * i_c, axis=-1", "ordinary input"),
    ],
}


def ratio(scores, allowed, axis):
    """Softmax, zeros without anything allowed."""
    top = np.max(np.where(allowed, scores, -np.inf), axis=axis, keepdims=True, initial=-1e30)
    e = np.exp(np.where(allowed, scores - top, -np.inf))
    return e / (np.sum(e, axis=axis, keepdims=True) + ~np.any(allowed, axis=axis, keepdims=True))


def my_hops(H, real, W_s1, W_s2):
    z = np.einsum("btd,ed->bte", H, W_s1)
    scores = np.einsum("bte,re->brt", z * (z > 0), W_s2)
    return ratio(scores, np.repeat(real[:, None], len(W_s2), axis=1), -1)


def my_history(params, inputs, tap):
    item, rest = inputs["item"], params["T"][np.array([[min(int(g).bit_length(), 13) for g in row] for row in inputs["gap"]])]
    parts = [np.where(item[..., None] > 0, params["V"][0][item], 0.0)]
    if len(params["V"]) == 2:
        category = inputs["category"][item]
        parts.append(np.where(category[..., None] > 0, params["V"][1][category], 0.0))
    w, objects = params["W_0"]["w"], np.concatenate(parts, axis=-1)
    H = objects @ w[: objects.shape[-1]] + rest @ w[objects.shape[-1] :] + params["W_0"]["b"]
    return {"H": np.where(item[..., None] > 0, H, 0.0)}


def my_alignment(M, allowed, W_s3, W_s4, W_s5, b_s1, b_s2):
    rows = [np.tanh(np.einsum("bd,ed->be", M[:, i], W_s4)[:, None] + np.einsum("bjd,ed->bje", M, W_s3) + b_s2)
            for i in range(M.shape[1])]
    F = np.einsum("bijd,ed->bije", np.stack(rows, axis=1), W_s5) + b_s1
    return ratio(F, np.repeat(allowed[..., None], F.shape[-1], axis=3), 2)


def my_features(M, allowed, W_s3, W_s4, W_s5, b_s1, b_s2):
    return np.einsum("bijd,bjd->bid", my_alignment(M, allowed, W_s3, W_s4, W_s5, b_s1, b_s2), M)


def my_readout(M, i_c, real):
    scores = np.einsum("brd,bcd->bcr", M, i_c) / np.sqrt(M.shape[-1])
    return np.einsum("bcr,brd->bcd", ratio(scores, np.repeat(real[:, None], i_c.shape[1], axis=1), -1), M)


def my_fusion(h, h_hat, W_f1, W_f2, b_f):
    x = h @ W_f1 + h_hat @ W_f2 + b_f
    small = np.exp(-np.abs(x))
    G = np.where(x > 0, 1 / (1 + small), small / (1 + small))
    return h_hat + G * (h - h_hat)


def my_score(params, inputs, tap):
    H = my_history(params, inputs, tap)["H"]
    M = np.einsum("brt,btd->brd", my_hops(H, inputs["item"] > 0, params["W_s1"], params["W_s2"]), H)
    B, r, _ = M.shape
    M_hat = my_features(M, np.full((B, r, r), True), **{n: params[n] for n in ("W_s3", "W_s4", "W_s5", "b_s1", "b_s2")})
    i_c = np.where(inputs["candidate"][..., None] > 0, params["V"][0][inputs["candidate"]], 0.0)
    both = (my_readout(rows, i_c, np.full((B, r), True)) for rows in (M, M_hat))
    h_c = my_fusion(*both, *(params[n] for n in ("W_f1", "W_f2", "b_f")))
    return {"scores": np.einsum("bcd,bcd->bc", h_c, i_c)}
