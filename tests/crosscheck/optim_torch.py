"""The optimisers, with PyTorch's own; hmar_torch.py says what such a file is."""
import torch

BACKEND = "torch"
ARRAYS = ("w", "b")


def clipped(grads, limit):
    """Not torch.nn.utils.clip_grad_norm_: it divides by the norm plus 1e-6, so its results are other ones."""
    norm = torch.nn.utils.get_total_norm(grads)
    return [g * (limit / norm.clamp(min=limit)) for g in grads]


def all_steps(rule, inputs, before_step=lambda optimiser, step: None):
    """The parameters after every step, and the optimiser's state of both after the last."""
    params = [inputs[name].clone().requires_grad_() for name in ARRAYS]
    optimiser, path = rule(params), []
    for step, grads in enumerate(zip(inputs["grad_w"], inputs["grad_b"], strict=True), 1):
        for p, g in zip(params, clipped(grads, inputs["clip"]), strict=True):
            p.grad = g
        before_step(optimiser, step)
        optimiser.step()
        path.append([p.detach().clone() for p in params])
    stacked = {name: torch.stack(list(steps)) for name, steps in zip(ARRAYS, zip(*path, strict=True), strict=True)}
    return stacked, [optimiser.state[p] for p in params]


def optim_clip_by_global_norm(params, inputs, tap):
    return dict(zip(ARRAYS, clipped([inputs[name] for name in ARRAYS], inputs["limit"]), strict=True))


def optim_sgd(params, inputs, tap):
    return all_steps(lambda params: torch.optim.SGD(params, inputs["rate"]), inputs)[0]


def optim_adam(params, inputs, tap):
    """torch adds eps to the corrected root; for epsilon-hat eps is divided by the correction, anew at each step."""
    def scale_eps(optimiser, step):
        if inputs["epsilon_hat"]:
            optimiser.param_groups[0]["eps"] = inputs["eps"] / (1 - inputs["beta2"] ** step) ** 0.5

    betas = inputs["beta1"], inputs["beta2"]
    path, states = all_steps(lambda params: torch.optim.Adam(params, inputs["rate"], betas, inputs["eps"]), inputs,
                             scale_eps)
    letters = {"m": "exp_avg", "v": "exp_avg_sq"}
    return path | {f"{letter}_{name}": state[key] for letter, key in letters.items()
                   for name, state in zip(ARRAYS, states, strict=True)}
