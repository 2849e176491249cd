"""papers/hmar.py against recorded states of the authors' Taobao graph.

States, losses, every gradient, Adam's steps and scores. The recorded contexts and labels are read as
they are (the release reverses them in time), so that only the model is compared. The release
computed in float32; all is computed again here in float64.
"""
import json
from pathlib import Path

import numpy as np
import pytest
from autograd import grad

from mbref.check.components.hmar import list_counts
from mbref.data.windows import Batch, Next
from mbref.nn import optim
from mbref.papers import hmar

ORACLES = Path(__file__).parents[1] / "oracles"
PARTS = ("q", "k", "v", "f1", "f2")


def load(name):
    with np.load(ORACLES / name, allow_pickle=False) as z:
        return {key: z[key] for key in z.files}


@pytest.fixture(params=["hmar__taobao_init.npz", "hmar__taobao_pert.npz"])
def state(request):
    return load(request.param)


@pytest.fixture
def trained():
    """The state that also records optimiser steps and an evaluation."""
    return load("hmar__taobao_pert.npz")


def release_config(state):
    c = json.loads(str(state["meta/config"]))
    return hmar.Config(items=c["itemnum"], behaviours=4, width=c["hidden_units"], length=c["maxlen"],
                       heads=c["num_heads"], theta=c["theta"], weights=(0.7, 0.1, 0.1, 0.1))


def ours(state, prefix):
    """Arrays named as the release names them (`prefix` params, grads, after/1) in the nested dict of hmar.init."""
    def one(name):
        return state[f"{prefix}/{name}"].astype(np.float64)

    def layer(name):
        w = one(f"{name}.w")
        return {"w": w.reshape(w.shape[-2:]), "b": one(f"{name}.b")}

    encoders = [{part: layer(f"beh{k}.{part}") for part in PARTS} for k in range(4)]
    behaviour = optim.tree_map(lambda *arrays: np.stack(arrays), *encoders)
    behaviour["res"] = np.array([one(f"beh{k}.res") for k in range(4)])
    sequence = {part: layer(f"seq.{part}") for part in PARTS}
    sequence["ln"] = {name: one(f"seq.ln.{name}") for name in ("gamma", "beta")}
    return {"item": one("item_emb"), "position": one("pos_emb"),
            "indicator": layer("cxt"), "feature": layer("feat"), "blocks": [{"behaviour": behaviour, "sequence": sequence}],
            "class1": layer("cls1"), "class2": layer("cls2")}


def release_batch(state, side):
    """The recorded inputs; `next` has the behaviours of the weights ("rank") or labels ("class").
    """
    x = {name.split("/")[1]: a for name, a in state.items() if name.startswith("inputs/")}
    behaviour = np.einsum("kbl,k->bl", x["masks"], np.arange(1, 5)).astype(int)
    kind = np.where(x["pos_weight"] > 0.5, 1, 2) if side == "rank" else x["labels"].argmax(-1) + 1
    follow = Next(x["pos"], np.where(x["pos"] > 0, kind, 0), x["pos_cxt"], x["neg"], x["pos_cxt"],
                  x["pos"] > 0)
    return Batch(x["user"], x["seq"], behaviour, x["seq_cxt"], follow)


def losses(params, state):
    """(ranking loss, class loss), each with the behaviours that the release gave it."""
    config, free = release_config(state), np.array(1.0)
    rank_only = hmar.Config(**{**vars(config), "theta": 0.0})
    both = hmar.Config(**{**vars(config), "theta": float(free)})
    classes = release_batch(state, "class")
    rank = hmar.loss(params, release_batch(state, "rank"), rank_only)
    return rank, hmar.loss(params, classes, both) - hmar.loss(params, classes, rank_only)


def total(params, state):
    rank, classes = losses(params, state)
    return rank + release_config(state).theta * classes


def worst(got, want, floor=0.0):
    """Largest error relative to the largest absolute value of `want`."""
    return np.max(np.abs(got - want)) / max(np.max(np.abs(want)), floor)


def test_states_and_intermediates(state):
    config, batch, taps = release_config(state), release_batch(state, "class"), {}
    z = hmar.forward(ours(state, "params"), batch, config, tap=taps.__setitem__)
    assert worst(z, state["outputs/seq"]) < 1e-6
    names = ("01_ffn_buy_out", "03_ffn_cart_out", "05_ffn_fav_out", "07_ffn_click_out")
    ffn_out = [state[f"taps/{name}"] for name in names]
    merged = sum(state["inputs/masks"][k][..., None] * out for k, out in enumerate(ffn_out))
    res = np.array([state[f"params/beh{k}.res"] for k in range(4)])
    through = np.einsum("kbl,k->bl", state["inputs/masks"], res)[..., None] * taps["input"]
    assert worst(taps["merged"], merged + through) < 1e-6


def test_losses(state):
    rank, classes = losses(ours(state, "params"), state)
    assert rank == pytest.approx(float(state["outputs/rank"]), rel=1e-6)
    assert classes == pytest.approx(float(state["outputs/cls"]), rel=1e-6)
    assert total(ours(state, "params"), state) == pytest.approx(float(state["outputs/final"]), rel=1e-6)


def test_every_gradient(state):
    got, want = grad(total)(ours(state, "params"), state), ours(state, "grads")
    floor = 1e-3 * max(np.max(np.abs(a)) for _, a in optim.leaves(want))
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        assert worst(a, b, floor) < 2e-5, name


@pytest.mark.trains
@pytest.mark.parametrize("steps", [1, 3])
def test_adam_steps(trained, steps):
    state = trained
    rate = json.loads(str(state["meta/config"]))["lr"]
    rule = optim.Adam(rate, beta2=0.98, epsilon_hat=True)
    params = ours(state, "params")
    moments = optim.start(rule, params)
    for step in range(1, steps + 1):
        params, moments = optim.update(rule, params, grad(total)(params, state), moments, step)
    want = ours(state, f"after/{steps}")
    for (name, a), (_, b) in zip(optim.leaves(params), optim.leaves(want), strict=True):
        if not name.endswith("k/b"):  # gradient 0: the release's Adam amplified rounding there
            assert worst(a, b, 1e-3) < 1e-4, name


def test_scores_of_its_evaluation(trained):
    state = trained
    config, params = release_config(state), ours(state, "params")
    behaviour = np.einsum("bkl,k->bl", state["eval/masks"], np.arange(1, 5)).astype(int)
    history = np.zeros((len(behaviour), config.items + 1, 4))
    users, items = np.arange(len(behaviour))[:, None], state["eval/cand"]
    batch = Batch(state["eval/user"], state["eval/seq"], behaviour, state["eval/seq_cxt"])
    for column in range(items.shape[1]):  # one at a time: an item may come twice, counts differ
        history[users, items[:, [column]]] = state["eval/cand_cxt"][:, [column]]
        batch = batch._replace(history=list_counts(history))
        got = hmar.score(params, batch, items[:, [column]], config)[:, 0]
        assert worst(got, state["eval/scores"][:, column], np.abs(state["eval/scores"]).max()) < 1e-6
