"""Faults of the optimisers.  {component: {fault: function}}. i holds a case's inputs, g gradients
by name."""
import numpy as np

from mbref.check.components import optim as right
from mbref.nn import optim
from tests.golden.fault import feed, plant

# as they are, while a fault stands in their place
clip, update = optim.clip_by_global_norm, optim.update


# Clipping.

def each_alone(g, limit):
    return {name: clip({name: a}, limit)[name] for name, a in g.items()}


def by_value(g, limit):
    return {name: np.clip(a, -limit, limit) for name, a in g.items()}


def to_the_limit(g, limit):
    """Scaled up, too."""
    norm = optim.global_norm(g)
    return {name: a * (limit / norm).astype(a.dtype) for name, a in g.items()}


def to_unit_first(g, limit):
    norm = optim.global_norm(g)
    return {name: a / norm.astype(a.dtype) * np.minimum(norm, limit).astype(a.dtype)
            for name, a in g.items()}


def squares(g):
    return sum(np.sum(a * a, dtype=np.float64) for a in g.values())


CLIPPED_ALONE = {
    "each array clipped on its own": {"clip_by_global_norm": each_alone},
    "every entry clipped to the limit": {"clip_by_global_norm": by_value},
    "norm from the mean of the squares instead of their sum": {
        "global_norm": lambda g: (squares(g) / sum(a.size for a in g.values())) ** 0.5},
    "0 / 0 where all gradients are 0": {"clip_by_global_norm": to_unit_first},
}
CLIPPED = CLIPPED_ALONE | {
    "squared norm compared with the limit": {"global_norm": squares},
    "norms of the arrays added up": {
        "global_norm": lambda g: sum(np.sum(a * a, dtype=np.float64) ** 0.5 for a in g.values())},
    "norm of the weights without the biases": {
        "global_norm": lambda g: squares({"w": g["w"]}) ** 0.5},
    "small gradients scaled up to the limit": {"clip_by_global_norm": to_the_limit},
}


# Steps.

def update_with_decay(rule, params, grads, state, step):
    """L2 regularisation, a gradient of its own."""
    return update(rule, params, optim.tree_map(lambda g, p: g + 0.01 * p, grads, params), state,
                  step)


def of_grads(change):
    """Both arrays of gradients [steps, ...] changed."""
    return lambda i: {name: change(i[name]) for name in ("grad_w", "grad_b")}


def add_momentum(g):
    velocity = [g[0]]
    for one in g[1:]:
        velocity.append(0.9 * velocity[-1] + one)
    return np.stack(velocity)


def of_any_rule(function):
    """Faults that SGD and Adam share."""
    return {
        "gradient added instead of subtracted": feed(function, lambda i: {"rate": -i["rate"]}),
        "gradients of the steps before not set to 0": feed(
            function, of_grads(lambda g: np.cumsum(g, axis=0))),
        "gradients not clipped": feed(function, lambda i: {"clip": 1e9}),
        "weight decay added to the gradient": plant(function, optim, update=update_with_decay),
        **{name: plant(function, optim, **changed) for name, changed in CLIPPED_ALONE.items()}}


# Adam.

def blend(moment, new, beta):
    return beta * moment + (1 - beta) * new


def corrections(i, step):
    return 1 - i["beta1"] ** step, 1 - i["beta2"] ** step


def step_of_adam(i, p, m, v, step):
    first, second = corrections(i, step)
    if i["epsilon_hat"]:
        return p - i["rate"] * second**0.5 / first * m / (np.sqrt(v) + i["eps"])
    return p - i["rate"] / first * m / (np.sqrt(v / second) + i["eps"])


def eps_in_root(i, p, m, v, step):
    first, second = corrections(i, step)
    if i["epsilon_hat"]:
        return p - i["rate"] * second**0.5 / first * m / np.sqrt(v + i["eps"])
    return p - i["rate"] / first * m / np.sqrt(v / second + i["eps"])


def without_root(i, p, m, v, step):
    first, second = corrections(i, step)
    return p - i["rate"] / first * m / (v / second + i["eps"])


def first_alone(i, p, m, v, step):
    return p - i["rate"] / corrections(i, step)[0] * m / (np.sqrt(v) + i["eps"])


def second_alone(i, p, m, v, step):
    return step_of_adam(i, p, m * corrections(i, step)[0], v, step)


def adam(move=step_of_adam, blend=blend, square=lambda g, before: g * g):
    """Adam whose steps or moments are other ones; `before` are the gradients that are not clipped.
    """
    def all_steps(params, inputs, tap):
        at, path = {name: inputs[name] for name in right.ARRAYS}, []
        m = v = {name: np.zeros_like(a) for name, a in at.items()}
        for step in range(1, len(inputs["grad_w"]) + 1):
            before = {name: inputs[f"grad_{name}"][step - 1] for name in at}
            g = clip(before, inputs["clip"])
            m = {name: blend(m[name], g[name], inputs["beta1"]) for name in at}
            v = {name: blend(v[name], square(g[name], before[name]), inputs["beta2"])
                 for name in at}
            at = {name: move(inputs, at[name], m[name], v[name], step) for name in at}
            path.append(at)
        moments = {f"{letter}_{name}": tree[name] for letter, tree in (("m", m), ("v", v))
                   for name in at}
        return {name: np.stack([one[name] for one in path]) for name in at} | moments
    return all_steps


ADAM = {
    "Adam's eps inside the root": adam(eps_in_root),
    "Adam's eps 1e-7 instead of 1e-8": feed(right.adam, lambda i: {"eps": 1e-7}),
    "Adam without eps": feed(right.adam, lambda i: {"eps": 0.0}),
    "Adam's eps in the other place": feed(
        right.adam, lambda i: {"epsilon_hat": not i["epsilon_hat"]}),
    "Adam's beta1 and beta2 swapped": feed(
        right.adam, lambda i: {"beta1": i["beta2"], "beta2": i["beta1"]}),
    "Adam without the root": adam(without_root),
    "Adam without bias correction": adam(
        lambda i, p, m, v, step: p - i["rate"] * m / (np.sqrt(v) + i["eps"])),
    "bias correction of the first moment alone": adam(first_alone),
    "bias correction of the second moment alone": adam(second_alone),
    "bias correction with the step counted from 0": adam(
        lambda i, p, m, v, step: step_of_adam(i, p, m, v, np.float64(step - 1))),
    "bias correction one step ahead": adam(
        lambda i, p, m, v, step: step_of_adam(i, p, m, v, step + 1)),
    "bias correction always of the first step": adam(
        lambda i, p, m, v, step: step_of_adam(i, p, m, v, 1)),
    "weight decay beside the step, as in AdamW": adam(
        lambda i, p, m, v, step: step_of_adam(i, p, m, v, step) - i["rate"] * 0.01 * p),
    "moments that start anew at each step": adam(blend=lambda moment, new, beta: (1 - beta) * new),
    "moments that are sums instead of means": adam(
        blend=lambda moment, new, beta: beta * moment + new),
    "shares of old and new swapped in the moments": adam(
        blend=lambda moment, new, beta: blend(new, moment, beta)),
    "second moment of absolute values instead of squares": adam(square=lambda g, before: np.abs(g)),
    "second moment of the gradients before clipping": adam(
        square=lambda g, before: before * before),
}

FAULTS = {
    "optim.clip_by_global_norm": {name: plant(right.clip_by_global_norm, optim, **changed)
                                  for name, changed in CLIPPED.items()},
    "optim.sgd": of_any_rule(right.sgd) | {"momentum 0.9": feed(right.sgd, of_grads(add_momentum))},
    "optim.adam": ADAM | of_any_rule(right.adam),
}

# The text around the faults, without any: it must be right.
RIGHT = {
    "optim.adam": [adam()],
}
