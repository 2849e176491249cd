"""What autograd says about NumPy arrays, to the bit; test_device_rules.py runs it as a program without a device."""
import json
import warnings

import autograd.numpy as np
import numpy as onp
from autograd import grad

FUNCTIONS = {
    "square": lambda x: np.sum(x**2),
    "sum": lambda x: np.sum(x * np.sum(x, axis=(0, 2), keepdims=True)),
    "mean": lambda x: np.sum(np.mean(x, axis=1) ** 2),
    "var": lambda x: np.sum(np.var(x, axis=-1) ** 2),
    "std": lambda x: np.sum(np.std(x, axis=-1)),
    "max": lambda x: np.sum(np.max(x, axis=-1) ** 2),
    "max with ties": lambda x: np.sum(np.max(np.concatenate([x, x], axis=-1), axis=-1)),
    "min": lambda x: np.sum(np.min(x, axis=0, keepdims=True) ** 2),
    "maximum": lambda x: np.sum(np.maximum(x, 0.0)),
    "maximum with ties": lambda x: np.sum(np.maximum(x * 2, x * 2)),
    "minimum": lambda x: np.sum(np.minimum(x, x**2)),
    "where": lambda x: np.sum(np.where(x > 0, x**2, x)),
    "reshape": lambda x: np.sum(np.reshape(x, (6, 4), order="F") ** 2),
    "ravel": lambda x: np.sum(np.ravel(x, order="F") ** 3),
    "index": lambda x: np.sum(x[:, onp.array([0, 2, 0])] ** 2),
    "list index": lambda x: np.sum(x[[0, 1, 0]] ** 2),
    "concatenate": lambda x: np.sum(np.concatenate([x, x**2], axis=1) ** 2),
    "stack": lambda x: np.sum(np.stack([x, x**2], axis=1) ** 2),
    "array of arrays": lambda x: np.sum(np.array([x, x**2]) ** 2),
    "einsum": lambda x: np.sum(np.einsum("abc,abd->acd", x, x) ** 2),
    "einsum of one": lambda x: np.sum(np.einsum("abc->a", x) ** 2),
    "dot": lambda x: np.sum(np.dot(x[0], x[1].T) ** 2),
    "sort": lambda x: np.sum(np.sort(x[0, 0]) * onp.arange(4.0)),
}


def answers():
    """{"function, dtype": [dtype of the gradient, its bytes]}."""
    x = onp.random.default_rng(0).normal(size=(2, 3, 4))
    found = {}
    for kind in ("float64", "float32"):
        for name, f in FUNCTIONS.items():
            g = grad(f)(x.astype(kind))
            found[f"{name}, {kind}"] = [g.dtype.name, g.tobytes().hex()]
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(answers()))
