"""HierSRec for ONE session without padding, written out: loops over clicks, heads and items.

Uses autograd.numpy alone, so that its gradients can be compared too. Steps (1)-(5) as in papers/hiersrec.py, where the
tags say what is the paper's and what is ours. A session is a list of item ids, oldest first; `about` is what is known
of all items, (their categories, their text vectors or None), both read by item id. Vectors are [D].
"""
import autograd.numpy as np


def dense(p, x):
    """x W + b.  [D_in] -> [D_out]."""
    return x @ p["w"] + p["b"]


def softmax(scores):
    """Of a list of numbers.  -> list."""
    top = max(scores)
    e = [np.exp(s - top) for s in scores]
    total = sum(e)
    return [x / total for x in e]


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [D] -> [D]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]


def weighted_sum(weights, vectors):
    """sum_j w_j x_j."""
    return sum(w * x for w, x in zip(weights, vectors, strict=True))


def attend(query, keys, values, heads):
    """One query over a list of keys, head by head.  -> [D].  (1)."""
    size, found = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        weights = softmax([np.dot(query[part], key[part]) / size**0.5 for key in keys])
        found.append(weighted_sum(weights, [value[part] for value in values]))
    return np.concatenate(found)


def item_features(params, item, about, config):
    """e = concat(E^I, E^C, E^M) of one item, as far as they are read.  -> [d_in].  (1)."""
    (categories, texts), parts = about, []
    for name in config.inputs.split("+"):
        if name == "id":
            parts.append(params["E_I"][item])
        elif name == "category":
            parts.append(params["E_C"][categories[item]])
        else:
            parts.append(texts[item])
    return np.concatenate(parts)


def encoder_block(p, h, heads):
    """Every click attends to itself and the earlier ones; then the feed-forward net.  n vectors -> n vectors.  (1)."""
    a, out = [layer_norm(p["ln1"], x) for x in h], []
    for t in range(len(h)):
        earlier = a[: t + 1]
        found = attend(a[t] @ p["q"], [x @ p["k"] for x in earlier], [x @ p["v"] for x in earlier], heads)
        y = h[t] + found @ p["o"]
        out.append(y + dense(p["f2"], np.maximum(dense(p["f1"], layer_norm(p["ln2"], y)), 0)))
    return out


def encode(params, session, about, config):
    """s, the session encoding after every click.  -> n vectors.  (1)."""
    h = [dense(params["in"], item_features(params, item, about, config)) + params["position"][t]
         for t, item in enumerate(session)]
    for p in params["blocks"]:
        h = encoder_block(p, h, config.heads)
    states = [layer_norm(params["ln"], x) for x in h]
    if config.pool == "last":
        return states
    return [sum(states[: t + 1]) / (t + 1) for t in range(len(states))]


def category_logits(params, s):
    """z_C of the classes 0..C, 0 = unknown.  -> [C+1].  (2)."""
    return dense(params["category"], s)


def category_vector(params, logits, config, true=None, fixed=None):
    """g for one value of `hier`.  logits [C+1] -> [d_p].  (3).

    true: the category of the next click, for "oracle". fixed: for "stop", the same logits of parameters that are not
    differentiated.
    """
    if config.hier == "oracle":
        return params["W_p"][true]
    if config.hier == "logits":
        return layer_norm(params["ln_logits"], logits) @ params["W_p"]
    if config.hier == "tied":
        return weighted_sum(softmax(list(logits)), params["E_C"])
    return weighted_sum(softmax(list(fixed if config.hier == "stop" else logits)), params["W_p"])


def item_logit(params, q, item, about, config):
    """z_I of one item.  -> number.  (4)."""
    if config.item_out == "fc":
        return np.dot(q, params["item"]["w"][:, item - 1]) + params["item"]["b"][item - 1]
    v = item_features(params, item, about, config) @ params["value"]
    return np.dot(q @ params["query"], v) + params["b_i"][item - 1]


def predict(params, s, about, config, true=None, fixed=None):
    """After a click, from s: the logits of all items, a list of N, and of the categories, [C+1] or None.  (2)-(4)."""
    logits = category_logits(params, s) if config.tasks == "both" else None
    q = s
    if config.hier != "none":
        q = np.concatenate([s, category_vector(params, logits, config, true, fixed)])
    return [item_logit(params, q, item, about, config) for item in range(1, config.items + 1)], logits


def item_probability(z, item, known=None):
    """p_I of one item, among the `known` ones or among all.  z: a list of N logits.  (5)."""
    known = known or list(range(1, len(z) + 1))
    return softmax([z[i - 1] for i in known])[known.index(item)]


def losses(params, session, about, config, fixed=None, known=None):
    """L_item and L_cat of one session, sums over all clicks with a next one (not means).  (5).

    fixed: parameters that are not differentiated, whose p_C goes into g where hier is "stop". known: items with a
    training click, where there are others, too.
    """
    item_loss = category_loss = 0.0
    encodings = encode(params, session[:-1], about, config)
    other = encode(fixed, session[:-1], about, config) if fixed else encodings
    for t, following in enumerate(session[1:]):
        true = about[0][following]
        constant = category_logits(fixed, other[t]) if fixed else None
        z_item, z_category = predict(params, encodings[t], about, config, true, constant)
        item_loss = item_loss - np.log(item_probability(z_item, following, known))
        if config.tasks == "both":
            category_loss = category_loss - np.log(softmax(list(z_category))[true])
    return item_loss, category_loss


def loss(params, session, about, config, fixed=None, known=None):
    """L_item + lambda L_cat of one session, a sum over clicks.  (5)."""
    item_loss, category_loss = losses(params, session, about, config, fixed, known)
    return item_loss + config.category_weight * category_loss


def two_level_logp(logits, item_logits, categories):
    """log p of the class-factored softmax (Goodman 2001), a peer: p(i) = p_C(c(i)) p(i | c(i)).  -> list of N.

    logits [C+1] of the categories; item_logits, a list of N; categories by item id. The inner softmax runs over the
    items of i's category alone.
    """
    p_category, logp = softmax(list(logits)), []
    for item in range(1, len(item_logits) + 1):
        same = [i for i in range(1, len(item_logits) + 1) if categories[i] == categories[item]]
        within = softmax([item_logits[i - 1] for i in same])[same.index(item)]
        logp.append(np.log(p_category[categories[item]] * within))
    return logp
