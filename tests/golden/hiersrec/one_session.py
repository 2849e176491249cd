"""HierSRec for one session with every switch of variants/hiersrec.py, in loops: an oracle.

What no switch changes is that of by_hand/hiersrec.py, whose docstring says what a session and
`about` are.
"""
import autograd.numpy as np

from mbref.by_hand.hiersrec import (
    category_logits,
    dense,
    encoder_block,
    layer_norm,
    softmax,
    weighted_sum,
)


def surprise(z, label):
    """-log softmax(z)[label] of a list of numbers, for large ones too."""
    return max(z) + np.log(sum(np.exp(x - max(z)) for x in z)) - z[label]


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


def projection(params, logits, config, true=None, constant=None):
    """g for one value of `hier`.  logits [C+1] -> [d_p].  (3).

    true: the category of the next click, for "oracle". constant: for "stop", the same logits of
    parameters that are not differentiated.
    """
    if config.hier == "oracle":
        return params["W_p"][true]
    if config.hier == "logits":
        return layer_norm(params["ln_logits"], logits) @ params["W_p"]
    if config.hier == "tied":
        return weighted_sum(softmax(list(logits)), params["E_C"])
    if config.hier == "stop":
        logits = constant
    return weighted_sum(softmax(list(logits)), params["W_p"])


def item_logit(params, q, item, about, config):
    """z_I of one item.  -> number.  (4)."""
    if config.item_out == "fc":
        return np.dot(q, params["item"]["w"][:, item - 1]) + params["item"]["b"][item - 1]
    v = item_features(params, item, about, config) @ params["value"]
    return np.dot(q @ params["query"], v) + params["b_i"][item - 1]


def predict(params, s, about, config, true=None, constant=None):
    """After a click, from s: the logits of all items and of the categories, or None.  (2)-(4)."""
    logits = category_logits(params, s) if config.tasks == "both" else None
    q = s
    if config.hier != "none":
        q = np.concatenate([s, projection(params, logits, config, true, constant)])
    items = range(1, config.items + 1)
    return [item_logit(params, q, item, about, config) for item in items], logits


def losses(params, session, about, config, fixed=None, known=None):
    """L_item and L_cat of one session, sums over all clicks with a next one (not means).  (5).

    fixed: parameters that are not differentiated, whose p_C goes into g where hier is "stop".
    known: the items with a training click, where these alone are in the softmax; None: all.
    """
    item_loss = category_loss = 0.0
    states = encode(params, session[:-1], about, config)
    others = encode(fixed, session[:-1], about, config) if fixed else states
    for s, other, target in zip(states, others, session[1:], strict=True):
        true = about[0][target]
        constant = category_logits(fixed, other) if fixed else None
        z_item, z_category = predict(params, s, about, config, true, constant)
        every = config.softmax == "all" or known is None
        items = range(1, len(z_item) + 1) if every else known
        item_loss = item_loss + surprise([z_item[i - 1] for i in items], list(items).index(target))
        if config.tasks == "both":
            category_loss = category_loss + surprise(list(z_category), true)
    return item_loss, category_loss


def loss(params, session, about, config, fixed=None, known=None):
    """L_item + lambda L_cat of one session, a sum over clicks.  (5)."""
    item_loss, category_loss = losses(params, session, about, config, fixed, known)
    return item_loss + config.category_weight * category_loss
