"""By hand, row by row: the components that several papers share, and what the by-hand forms of the
papers need."""
import autograd.numpy as np

from mbref.by_hand import hmar as by_hand
from tests.golden.atrank import by_hand as atrank_by_hand
from tests.golden.atrank.by_hand import entropy
from tests.golden.hiersrec.one_session import surprise


def rows(function, *arrays):
    """function(row of each array) for all rows, stacked."""
    return np.array([function(*row) for row in zip(*arrays, strict=True)])


def of_pairs(function, a, b):
    """function(entry of a, entry of b) for all entries of [B, T, ...] twice."""
    return rows(lambda x, y: [function(*pair) for pair in zip(x, y, strict=True)], a, b)


def spread(found, real, width):
    """A list of vectors [width], one where `real` [T] is True, in their order; zeros elsewhere.  ->
    T vectors."""
    left = iter(found)
    return [next(left) if r else np.zeros(width) for r in real]


def vectors(function, x):
    """function(vector) for all vectors of [B, T, D]."""
    return np.array([[function(v) for v in row] for row in x])


def dense_by_hand(params, inputs):
    return {"y": vectors(lambda v: by_hand.dense(params, v), inputs["x"])}


def lookup_by_hand(params, inputs):
    return {"y": vectors(lambda i: atrank_by_hand.row(params["table"], i), inputs["ids"])}


def embed_by_hand(params, inputs):
    def one(ids):
        parts = [atrank_by_hand.row(table, i)
                 for table, i in zip(params["tables"], ids, strict=True)]
        return np.concatenate(parts)
    return {"y": vectors(one, inputs["ids"])}


def relu_by_hand(params, inputs):
    return {"y": vectors(lambda x: x if x > 0 else 0.0 * x, inputs["x"])}


def dropout_by_hand(params, inputs):
    rate = inputs["rate"]

    def one(xs, draws):
        return [0.0 * x if draw < rate else x / (1 - rate)
                for x, draw in zip(xs, draws, strict=True)]
    return {"y": of_pairs(one, inputs["x"], inputs["draws"])
            if inputs["training"] else 1.0 * inputs["x"]}


def layer_norm_by_hand(params, inputs):
    def one(x):
        centred = x - sum(x) / len(x)
        return params["gamma"] * centred / (
            np.dot(centred, centred) / len(x) + inputs["eps"]) ** 0.5 + params["beta"]
    return {"y": vectors(one, inputs["x"])}


def time_bucket_by_hand(params, inputs):
    return {"bucket": vectors(lambda gap: atrank_by_hand.bucket(int(gap), inputs["rule"]),
                              inputs["gap"])}


def padding_by_hand(params, inputs):
    return {"mask": vectors(lambda i: i != 0, inputs["ids"])}


def diagonal_by_hand(params, inputs):
    events = range(inputs["ids"].shape[1])
    return {"mask": np.array([[s == t for s in events] for t in events])}


def positions_by_hand(params, inputs):
    size = inputs["ids"].shape[1]
    found = [b * size + t for b, row in enumerate(inputs["ids"])
             for t, i in enumerate(row) if i != 0]
    return {"positions": np.array(found, int)}


def causal_by_hand(params, inputs):
    events = range(inputs["ids"].shape[1])
    return {"mask": np.array([[s <= t for s in events] for t in events])}


def behaviour_by_hand(params, inputs):
    return {"mask": vectors(lambda b: [b == k for k in range(1, inputs["count"] + 1)],
                            inputs["behaviour"])}


def same_behaviour_by_hand(params, inputs):
    return {"mask": rows(lambda b: [[x == y and x > 0 for y in b] for x in b], inputs["behaviour"])}


def guarded_softmax(scores, allowed):
    """Among the allowed entries of a list; zeros where there is none."""
    weights = by_hand.softmax([s for s, a in zip(scores, allowed, strict=True) if a]) if any(
        allowed) else []
    left = iter(weights)
    return [next(left) if a else 0.0 for a in allowed]


def masked_softmax_by_hand(params, inputs):
    return {"weights": of_pairs(guarded_softmax, inputs["scores"], inputs["allowed"])}


def attend(query, keys, values, allowed, heads, scaled):
    """One query over its allowed keys, head by head.  -> [D]."""
    size, found = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = [np.dot(query[part], key[part]) / (size**0.5 if scaled else 1) for key in keys]
        weights = guarded_softmax(scores, allowed)
        found.append(sum(w * value[part] for w, value in zip(weights, values, strict=True)))
    return np.concatenate(found)


def attention_by_hand(params, inputs):
    def one(q, k, v, allowed):
        return [attend(q[t], k, v, allowed[t], inputs["heads"], inputs["scaled"])
                for t in range(len(q))]
    return {"y": rows(one, *(inputs[name] for name in ("q", "k", "v", "allowed")))}


def softplus_by_hand(params, inputs):
    def one(x):
        return (x if x > 0 else 0.0) + np.log1p(np.exp(-abs(x)))
    return {"y": vectors(one, inputs["x"])}


def log_softmax_by_hand(params, inputs):
    def one(z):
        return z - max(z) - np.log(sum(np.exp(x - max(z)) for x in z))
    return {"logp": vectors(one, inputs["logits"])}


def sigmoid_cross_entropy_by_hand(params, inputs):
    return {"loss": of_pairs(entropy, inputs["logits"], inputs["labels"])}


def cross_entropy_by_hand(params, inputs):
    return {"loss": of_pairs(surprise, inputs["logits"], inputs["labels"])}


def masked_mean_by_hand(params, inputs):
    real = [v
            for v, m in zip(inputs["values"].flatten(), inputs["mask"].flatten(), strict=True) if m]
    return {"mean": sum(real) / len(real) if real else 0 * np.sum(inputs["values"])}


BY_HAND = {
    "layers.embed": embed_by_hand, "layers.relu": relu_by_hand, "layers.dropout": dropout_by_hand,
    "masks.padding": padding_by_hand, "masks.diagonal": diagonal_by_hand,
    "masks.positions": positions_by_hand,
    "losses.softplus": softplus_by_hand, "losses.log_softmax": log_softmax_by_hand,
    "layers.dense": dense_by_hand, "layers.lookup": lookup_by_hand,
    "layers.layer_norm": layer_norm_by_hand,
    "atrank.time_bucket": time_bucket_by_hand, "masks.causal": causal_by_hand,
    "masks.behaviour": behaviour_by_hand,
    "masks.same_behaviour": same_behaviour_by_hand,
    "attention.masked_softmax": masked_softmax_by_hand,
    "attention.attention": attention_by_hand,
    "losses.sigmoid_cross_entropy": sigmoid_cross_entropy_by_hand,
    "losses.cross_entropy": cross_entropy_by_hand, "losses.masked_mean": masked_mean_by_hand,
}
