"""mbref's side of the optimisers: steps with gradients that are given; nothing has a gradient."""
import numpy as np

from mbref.check.components.reading import take
from mbref.nn import optim

ARRAYS = ("w", "b")


def clip_by_global_norm(params, inputs, tap):
    """All gradients times min(1, limit / norm), norm the root of the sum of all their squares.

    w [4, 3], b [3]: the gradients of two arrays; limit a number -> w [4, 3], b [3]. Nothing is
    added to the norm.
    """
    return optim.clip_by_global_norm({name: inputs[name] for name in ARRAYS}, inputs["limit"])


def all_steps(rule, inputs):
    """The parameters after each step, and the optimiser's state after the last."""
    at, path = {name: inputs[name] for name in ARRAYS}, []
    state = optim.start(rule, at)
    for step in range(1, len(inputs["grad_w"]) + 1):
        grads = {name: inputs[f"grad_{name}"][step - 1] for name in ARRAYS}
        at, state = optim.update(rule, at, grads, state, step)
        path.append(at)
    return {name: np.stack([params[name] for params in path]) for name in ARRAYS}, state


def sgd(params, inputs, tap):
    """p - rate g, with gradients clipped before each step by their norm over both arrays.

    w [4, 3], b [3]; grad_w [steps, 4, 3], grad_b [steps, 3]; rate; clip: the largest norm, 1e9
    where none is to be clipped -> w [steps, 4, 3], b [steps, 3] after every step.
    """
    return all_steps(optim.SGD(inputs["rate"], inputs["clip"]), inputs)[0]


def adam(params, inputs, tap):
    """Adam, with gradients clipped before each step as in optim.sgd; moments start at 0.

    Of the clipped gradients m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2; step t = 1,
    2 ... is p - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), or if epsilon_hat
    p - rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps). Inputs as in optim.sgd, and
    beta1, beta2, eps -> w [steps, 4, 3], b [steps, 3] after every step, m_w, m_b, v_w, v_b after
    the last.
    """
    rule = optim.Adam(*take(inputs, "rate beta1 beta2 eps epsilon_hat clip"))
    path, state = all_steps(rule, inputs)
    return path | {f"{moment}_{name}": state[moment][name] for moment in "mv" for name in ARRAYS}
