"""What the four files beside this one share, for one vector or a list of them.

It uses autograd.numpy alone, and so do they, so that gradients can be compared, too.
"""
import autograd.numpy as np

BUCKETS = 14  # of time gaps


def bucket(gap):
    """0 for a gap below 1, 1 in [1, 2), 2 in [2, 4) and so on; 13 from 4096 on."""
    k = 0
    while k < BUCKETS - 1 and gap >= 2**k:
        k += 1
    return k


def row(table, number):
    """One row of an embedding table, zeros for 0.  -> [D]."""
    return table[number] if number > 0 else np.zeros(table.shape[1])


def dense(p, x):
    """x W + b.  [D_in] -> [D_out]."""
    return x @ p["w"] + p["b"]


def softmax(scores):
    """Of a list of numbers.  -> list."""
    e = [np.exp(s - max(scores)) for s in scores]
    return [x / sum(e) for x in e]


def weighted_sum(weights, vectors):
    """sum_j w_j x_j."""
    return sum(w * x for w, x in zip(weights, vectors, strict=True))


def attend(query, keys, values, heads):
    """One query over a list of keys, head by head.  -> [D]."""
    size, results = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        weights = softmax([np.dot(query[part], key[part]) / size**0.5 for key in keys])
        results.append(weighted_sum(weights, [value[part] for value in values]))
    return np.concatenate(results)


def layer_norm(p, x):
    """gamma (x - mean) / sqrt(var + 1e-8) + beta.  [D] -> [D]."""
    centred = x - np.mean(x)
    return p["gamma"] * centred / np.sqrt(np.mean(centred**2) + 1e-8) + p["beta"]
