"""papers/hmar.py against recorded states of the authors' Taobao graph: states, losses, every gradient, Adam, scores.

The recorded contexts are fed as they are, so that only the model is compared. The release computed in float32.
"""
import json
from pathlib import Path

import numpy as np
import pytest
from autograd import value_and_grad

from mbref.data.sequences import Batch, Next
from mbref.papers import hmar

ORACLES = Path(__file__).parent / "oracles"
STATES = ["hmar__taobao_init.npz", "hmar__taobao_pert.npz"]


@pytest.fixture(params=STATES)
def state(request):
    with np.load(ORACLES / request.param, allow_pickle=False) as z:
        return {name: z[name] for name in z.files}


def release_config(state):
    c = json.loads(str(state["meta/config"]))
    return hmar.Config(items=c["itemnum"], behaviours=4, width=c["hidden_units"], length=c["maxlen"],
                       heads=c["num_heads"], theta=c["theta"], weights=(0.7, 0.1, 0.1, 0.1))


def ours(state, prefix):
    """Arrays named as the release names them (`prefix` params, grads, ...) in the nested dict of hmar.init."""
    def one(name):
        return state[f"{prefix}/{name}"].astype(np.float64)

    def layer(*names, axis=False):
        arrays = {part: [one(f"{name}.{part}").reshape(one(f"{name}.{part}").shape[-2:] if part == "w" else -1)
                         for name in names] for part in "wb"}
        return {part: np.stack(a) if axis else a[0] for part, a in arrays.items()}

    parts = ("q", "k", "v", "f1", "f2")
    behaviour = {p: layer(*(f"beh{k}.{p}" for k in range(4)), axis=True) for p in parts}
    behaviour["res"] = np.array([one(f"beh{k}.res") for k in range(4)])
    sequence = {p: layer(f"seq.{p}") for p in parts} | {"ln": {n: one(f"seq.ln.{n}") for n in ("gamma", "beta")}}
    return {"item": one("item_emb"), "position": one("pos_emb"), "indicator": layer("cxt"), "feature": layer("feat"),
            "blocks": [{"behaviour": behaviour, "sequence": sequence}], "class1": layer("cls1"), "class2": layer("cls2")}


def release_batch(state):
    x = {name.split("/")[1]: a for name, a in state.items() if name.startswith("inputs/")}
    behaviour = np.einsum("kbl,k->bl", x["masks"], np.arange(1, 5)).astype(int)
    label = np.where(x["pos"] > 0, x["labels"].argmax(-1) + 1, 0)
    follow = Next(x["pos"], label, x["pos_cxt"], x["neg"], x["pos_cxt"])
    return Batch(x["user"], x["seq"], behaviour, x["seq_cxt"], follow)
