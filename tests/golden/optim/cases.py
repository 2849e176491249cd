"""Cases of the optimisers, and the same by hand: one list of all entries, updated number by number.
"""
import numpy as np

from tests.golden.draw import Component, normal, plan, round8

W, BIAS = (4, 3), (3,)


# By hand.

def clip(grads, limit):
    """A list of numbers, times limit / norm where their norm is above the limit."""
    norm = sum(g * g for g in grads) ** 0.5
    return [g * limit / norm for g in grads] if norm > limit else grads


def join(w, b):
    """The entries of both arrays.  -> list."""
    return [float(x) for x in (*w.flatten(), *b)]


def split(entries, names=("w", "b"), shape=W):
    """A list of entries as the two arrays again."""
    size = shape[0] * shape[1]
    return {names[0]: np.array(entries[:size]).reshape(shape), names[1]: np.array(entries[size:])}


def clip_steps(inputs):
    """Entries of the gradients, clipped step by step."""
    return [clip(join(*grads), inputs["clip"])
            for grads in zip(inputs["grad_w"], inputs["grad_b"], strict=True)]


def stack(path, shape):
    """What `split` says of each step, stacked."""
    steps = [split(entries, shape=shape) for entries in path]
    return {name: np.array([step[name] for step in steps]) for name in ("w", "b")}


def clip_by_global_norm(params, inputs):
    return split(clip(join(inputs["w"], inputs["b"]), inputs["limit"]), shape=inputs["w"].shape)


def sgd(params, inputs):
    path = [join(inputs["w"], inputs["b"])]
    for grads in clip_steps(inputs):
        path.append([p - inputs["rate"] * g for p, g in zip(path[-1], grads, strict=True)])
    return stack(path[1:], inputs["w"].shape)


def adam_of_one(p, grads, rate, beta1, beta2, eps, hat):
    """One entry: algorithm 1, line by line, or with epsilon-hat the last lines of the paper's
    section 2.

    -> the entry after each step, m, v
    """
    m = v = 0.0
    path = []
    for t, g in enumerate(grads, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        if hat:
            p = p - rate * (1 - beta2**t) ** 0.5 / (1 - beta1**t) * m / (v**0.5 + eps)
        else:
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
            p = p - rate * m_hat / (v_hat**0.5 + eps)
        path.append(p)
    return path, m, v


def adam(params, inputs):
    rule = [inputs[name] for name in ("rate", "beta1", "beta2", "eps", "epsilon_hat")]
    of_entries = zip(*clip_steps(inputs), strict=True)
    found = [adam_of_one(p, grads, *rule)
             for p, grads in zip(join(inputs["w"], inputs["b"]), of_entries, strict=True)]
    paths, m, v = zip(*found, strict=True)
    shape = inputs["w"].shape
    return stack(zip(*paths, strict=True), shape) | split(m, ("m_w", "m_b"), shape) | split(v, ("v_w", "v_b"), shape)


BY_HAND = {"optim.clip_by_global_norm": clip_by_global_norm, "optim.sgd": sgd, "optim.adam": adam}


# Cases.

def grads_case(rng, draw):
    size_w, size_b = draw["sizes"]
    return {}, {"w": round8(size_w * normal(rng, *W)), "b": round8(size_b * normal(rng, *BIAS))}


def steps_case(rng, draw):
    """Gradients of one size a step, 0 among them."""
    sizes = np.array(draw["sizes"], float)
    arrays = {"w": normal(rng, *W), "b": normal(rng, *BIAS)}
    return {}, arrays | {f"grad_{name}": round8(sizes.reshape(-1, *[1] * a.ndim) * normal(
        rng, len(sizes), *a.shape)) for name, a in arrays.items()}


NEVER = 1e9   # a norm that no gradient has
ADAM = {"rate": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "epsilon_hat": False, "clip": NEVER}

PLANS = {
    "optim.clip_by_global_norm": plan(
        grads_case, ("basic", ("Basic", "Clipped"), {"sizes": (1, 1)}, {"limit": 4.0}),
        ("below", ("Basic",), {"sizes": (0.5, 0.5)}, {"limit": 2.5}),
        ("one_large", ("Clipped",), {"sizes": (1, 64)}, {"limit": 16.0}),
        ("tiny", ("TinyGradients", "Clipped"), {"sizes": (2.0**-13,) * 2}, {"limit": 2.0**-14}),
        ("zero", ("ZeroGradient",), {"sizes": (0, 0)}, {"limit": 1.0})),
    "optim.sgd": plan(
        steps_case, ("basic", ("Basic",), {"sizes": (1, 1, 1)}, {"rate": 0.1, "clip": NEVER}),
        ("clipped", ("Clipped",), {"sizes": (0.1, 16, 1)}, {"rate": 0.25, "clip": 1.0}),
        ("zero", ("ZeroGradient",), {"sizes": (1, 0, 1)}, {"rate": 0.25, "clip": 2.0})),
    "optim.adam": plan(
        steps_case, ("basic", ("Basic",), {"sizes": (4, 2, 4, 8)}, ADAM),
        ("first_step", ("FirstStep",), {"sizes": (4,)}, ADAM | {"beta2": 0.98}),
        ("tiny", ("TinyGradients",), {"sizes": (1e-8, 2e-8, 1e-9)}, ADAM),
        ("tiny_epsilon_hat", ("TinyGradients", "Switch"), {"sizes": (1e-7, 1e-8, 1e-7)},
         ADAM | {"beta2": 0.98, "epsilon_hat": True}),
        ("clipped", ("Clipped",), {"sizes": (1, 64, 4)}, ADAM | {"beta2": 0.98, "clip": 8.0}),
        ("zero", ("ZeroGradient", "FirstStep"), {"sizes": (0, 4, 4)}, ADAM | {"clip": 4.0}),
        ("zero_later", ("ZeroGradient",), {"sizes": (4, 0, 4)}, ADAM),
        ("settings", ("Basic",), {"sizes": (4, 2, 8)},
         ADAM | {"rate": 0.01, "beta1": 0.5, "beta2": 0.98, "eps": 1e-3})),
}

COMPONENTS = {
    "optim.clip_by_global_norm": Component("Pascanu et al. 2013", about="""
        All gradients times min(1, limit / norm), norm the root of the sum of all their squares.
        w [D, E], b [E]: the gradients of two arrays; limit a number -> w [D, E], b [E]. Nothing
        is added to the norm."""),
    "optim.sgd": Component("p - rate g", about="""
        p - rate g, with gradients clipped before each step by their norm over both arrays.
        w [D, E], b [E]; grad_w [steps, D, E], grad_b [steps, E]; rate; clip: the largest norm,
        1e9 where none is to be clipped -> w [steps, D, E], b [steps, E] after every step."""),
    "optim.adam": Component("Kingma & Ba 2015, algorithm 1", about="""
        Adam, with gradients clipped before each step as in optim.sgd; moments start at 0.
        Of the clipped gradients m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2;
        step t = 1, 2 ... is p - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), or if
        epsilon_hat p - rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps). Inputs as in
        optim.sgd, and beta1, beta2, eps -> w [steps, D, E], b [steps, E] after every step, m_w,
        m_b, v_w, v_b after the last."""),
}
