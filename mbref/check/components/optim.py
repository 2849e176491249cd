"""mbref's side of the optimisers: steps with gradients that are given; nothing has a gradient."""
import numpy as np

from mbref.check.components.reading import component
from mbref.nn import optim

ARRAYS = ("w", "b")

clip_by_global_norm = component()(
    lambda w, b, limit: optim.clip_by_global_norm({"w": w, "b": b}, limit))
sgd = component()(lambda inputs, rate, clip: all_steps(optim.SGD(rate, clip), inputs)[0])


@component()
def adam(inputs, rate, beta1, beta2, eps, epsilon_hat, clip):
    """Some steps of Adam with clipped gradients (Kingma & Ba 2015, algorithm 1)."""
    rule = optim.Adam(rate, beta1, beta2, eps, epsilon_hat, clip)
    path, state = all_steps(rule, inputs)
    return path | {f"{moment}_{name}": state[moment][name] for moment in "mv" for name in ARRAYS}


def all_steps(rule, inputs):
    """The parameters after each step, and the optimiser's state after the last."""
    at, path = {name: inputs[name] for name in ARRAYS}, []
    state = optim.start(rule, at)
    for step in range(1, len(inputs["grad_w"]) + 1):
        grads = {name: inputs[f"grad_{name}"][step - 1] for name in ARRAYS}
        at, state = optim.update(rule, at, grads, state, step)
        path.append(at)
    return {name: np.stack([params[name] for params in path]) for name in ARRAYS}, state
