"""HierSRec for ONE session without padding, written out: loops over clicks, heads and items.

Steps (1)-(5) as in papers/hiersrec.py, where the tags say what is the paper's and what is ours. A
session is a list of item ids, oldest first; `about` is what is known of all items, (their
categories, their text vectors or None), both read by item id. Vectors are [D].
"""
import autograd.numpy as np

from mbref.by_hand.basics import attend, dense, layer_norm, softmax, weighted_sum


def item_features(params, item, about):
    """e = concat(E^I, E^C, E^M) of one item.  -> [d_in].  (1)."""
    categories, texts = about
    parts = [params["E_I"][item], params["E_C"][categories[item]]]
    if texts is not None:
        parts.append(texts[item])
    return np.concatenate(parts)


def encoder_block(p, h, heads):
    """n clicks attend to themselves and earlier ones; then feed-forward.  n vectors -> n.  (1)."""
    a, out = [layer_norm(p["ln1"], x) for x in h], []
    for t in range(len(h)):
        keys = [x @ p["k"] for x in a[: t + 1]]
        values = [x @ p["v"] for x in a[: t + 1]]
        y = h[t] + attend(a[t] @ p["q"], keys, values, heads) @ p["o"]
        hidden = np.maximum(dense(p["f1"], layer_norm(p["ln2"], y)), 0)
        out.append(y + dense(p["f2"], hidden))
    return out


def encode(params, session, about, config):
    """s, the session encoding after every click.  -> n vectors.  (1)."""
    h = [dense(params["in"], item_features(params, item, about)) + params["position"][t]
         for t, item in enumerate(session)]
    for p in params["blocks"]:
        h = encoder_block(p, h, config.heads)
    return [layer_norm(params["ln"], x) for x in h]


def category_logits(params, s):
    """z_C of the classes 0..C, 0 = unknown.  -> [C+1].  (2)."""
    return dense(params["category"], s)


def projection(params, logits):
    """g, the expectation of one vector a category.  logits [C+1] -> [d_p].  (3)."""
    return weighted_sum(softmax(list(logits)), params["W_p"])


def predict(params, s, config):
    """After a click, from s: logits of all items, a list of N, and of the categories.  (2)-(4)."""
    logits = category_logits(params, s)
    q = np.concatenate([s, projection(params, logits)])
    w, b = params["item"]["w"], params["item"]["b"]
    return [np.dot(q, w[:, i]) + b[i] for i in range(config.items)], logits


def losses(params, session, about, config, known=None):
    """L_item and L_cat of one session, sums over all clicks with a next one (not means).  (5).

    known: the items with a training click, where there are others, too.
    """
    item_loss = category_loss = 0.0
    known = known or list(range(1, config.items + 1))
    for s, target in zip(encode(params, session[:-1], about, config), session[1:], strict=True):
        z_item, z_category = predict(params, s, config)
        p_item = softmax([z_item[i - 1] for i in known])[known.index(target)]
        p_category = softmax(list(z_category))[about[0][target]]
        item_loss = item_loss - np.log(p_item)
        category_loss = category_loss - np.log(p_category)
    return item_loss, category_loss


def loss(params, session, about, config, known=None):
    """L_item + lambda L_cat of one session, a sum over clicks.  (5)."""
    item_loss, category_loss = losses(params, session, about, config, known)
    return item_loss + config.category_weight * category_loss
