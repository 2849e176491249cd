"""papers/atrank.py against recorded states of the authors' graphs: logits, loss, gradients, attention maps, SGD.

Both folders of the release: atrank/ (one group of items, one and two blocks, with clipping) and multi/ (items, queries,
coupons; one group or all). It computed in float64, so everything has to agree to rounding.

Conversion: the release counts ids from 0 and masks by length, here ids start at 1 and 0 is padding. It recorded time
buckets, not gaps; a gap of 2**bucket - 1 falls into that bucket again.
"""
import json
from pathlib import Path

import numpy as np
import pytest
from autograd import grad

from mbref import optim
from mbref.data.targets import Batch, History
from mbref.papers import atrank

ORACLES = Path(__file__).parent / "oracles"
FILES = sorted(path.name for path in ORACLES.glob("atrank__*.npz"))
GROUPS = {"i": ("item", "shop", "category", "brand"), "q": ("query",), "c": ("coupon", "shop", "category")}
TABLES = {name: f"{name.replace('category', 'cate')}_emb_w" for names in GROUPS.values() for name in names}
BIASES = {"i": "item_b", "q": "item_q", "c": "item_c"}  # the release's own names
LAYERS = dict(q="attention/dense", k="attention/dense_1", v="attention/dense_2",
              f1="feed_forward/conv1d", f2="feed_forward/conv1d_1")
TOLERANCE = 1e-10  # of the largest value


@pytest.fixture(params=FILES)
def state(request):
    with np.load(ORACLES / request.param, allow_pickle=False) as z:
        arrays = {key: z[key] for key in z.files}
    return arrays | {"config": json.loads(str(arrays["meta/config"]))}


def multi(state):
    return str(state["meta/release"]) == "atrank/multi"


def read_groups(state):
    """Letters of the groups whose history is read: att-a2a reads all three, att-q2q the queries alone."""
    source = state["config"]["net_type"][4] if multi(state) else "i"
    return "iqc" if source == "a" else source


def target(state):
    return state["config"]["target"][0] if multi(state) else "i"


def release_config(state):
    c = state["config"]
    common = dict(heads=c["num_heads"], blocks=c["num_blocks"], penalty=c["regulation_rate"])
    width = state["params/item_emb_w"].shape[1]
    if not multi(state):
        return atrank.Config(*(len(state[f"params/{name}"]) for name in ("item_emb_w", "cate_emb_w")),
                             table_width=width, **common)
    sizes = tuple((name, len(state[f"params/{table}"])) for name, table in TABLES.items())
    kinds = len(state["params/action_emb_w"])
    return atrank.Config(tables=sizes, groups=tuple(GROUPS[g] for g in read_groups(state)),
                         actions=tuple(kinds * (g == "i") for g in read_groups(state)), table_width=width,
                         width=c["hidden_units"], query="group", **common)


def ours(state, prefix):
    """Arrays named as the release names them (`prefix` params, grads, after/1) in the nested dict of atrank.init."""
    def one(name):
        return state[f"{prefix}/{name}"]

    def rows(name):
        return np.concatenate([np.zeros_like(one(name)[:1]), one(name)])  # row 0 is padding

    def layer(name):
        w = one(f"{name}/kernel")
        return {"w": w.reshape(w.shape[-2:]), "b": one(f"{name}/bias")}

    def norm(name):
        return {"gamma": one(f"{name}/ln/Variable_1"), "beta": one(f"{name}/ln/Variable")}

    def block(scope, kind):
        return ({part: layer(f"{scope}/{kind * (part in 'qkv')}{name}") for part, name in LAYERS.items()}
                | {"ln": norm(f"{scope}/{kind}attention"), "ln_f": norm(f"{scope}/feed_forward")})

    def blocks(scope, kind):
        return [block(f"all/{scope}/num_blocks_{n}", kind) for n in range(state["config"]["num_blocks"])]

    def group(g):
        action = {"action": rows("action_emb_w")} if multi(state) and g == "i" else {}
        return layer(f"{g}_layer" if multi(state) else "dense") | action

    tables = {name: rows(table) for name, table in TABLES.items() if f"params/{table}" in state}
    return {"tables": tables, "groups": [group(g) for g in read_groups(state)],
            "bias": [rows(BIASES[g]) for g in read_groups(state)],
            "self": blocks("user_hist_group", "self_"), "vanilla": blocks("item_feature_group", "vanilla_")}


def release_batch(state):
    x = {name.removeprefix("inputs/"): a for name, a in state.items() if name.startswith("inputs/")}

    def history(g):
        name, time, sl = (f"hist_{g}_id", f"hist_{g}_time", f"hist_{g}_sl") if multi(state) else (
            "hist_i", "hist_t", "sl")
        real = np.arange(x[name].shape[1]) < x[sl][:, None]  # [B, L]
        behaviour = x["hist_i_act"] + 1 if multi(state) and g == "i" else np.ones_like(x[name])
        return History((x[name] + 1) * real, behaviour * real, (2 ** x[time] - 1) * real)

    def features(g):
        maps = {"i": (0, 1, 2), "q": (), "c": (3, 4)}[g]  # map_5, the type of a coupon, is loaded and never read
        others = [x[f"map_{m}"] for m in maps] if multi(state) else [x["cate_list"]]
        columns = [np.arange(len(state[f"params/{BIASES[g]}"])), *others]
        return np.pad(np.stack(columns, axis=1) + 1, ((1, 0), (0, 0)))  # [N+1, F]

    read = read_groups(state)
    return Batch(tuple(map(history, read)), tuple(map(features, read)), read.index(target(state)),
                 x[target(state)][:, None] + 1, x["y"][:, None] > 0.5)


def inputs(state, prefix="params"):
    return ours(state, prefix), release_batch(state), release_config(state)


def gradient(state):
    return grad(atrank.loss)(*inputs(state))


def assert_same(got, want, scale=None, name=""):
    """To rounding of the largest absolute value of `want`, or of `scale`."""
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * (scale or np.max(np.abs(want))), err_msg=name)


def assert_same_trees(got, want):
    """Every array by its own scale; one that is 0 all over by a thousandth of the largest of all."""
    floor = 1e-3 * max(np.max(np.abs(a)) for _, a in optim.leaves(want))
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        assert_same(a, b, max(np.max(np.abs(b)), floor), name)


def test_all_states_are_here():
    assert len(FILES) == 9 and sum("multi" in name for name in FILES) == 6


def test_logits_and_loss(state):
    params, batch, config = inputs(state)
    z = atrank.score(params, batch, batch.candidate, config)[:, 0]
    assert_same(z, state["outputs/logits"])
    assert_same(atrank.loss(params, batch, config), state["outputs/loss"])


def test_every_gradient(state):
    """Both ways round: our parameters have the release's gradient, and none of the release's gradients is left out."""
    want = ours(state, "grads")
    assert_same_trees(gradient(state), want)
    entries = sum(np.sum(a**2) for name, a in state.items() if name.startswith("grads/"))
    assert_same(sum(np.sum(a**2) for _, a in optim.leaves(want)), entries)


def test_global_norm(state):
    assert_same(optim.global_norm(gradient(state)), state["outputs/global_norm_dense"])


def test_attention_maps(state):
    """[H * B, queries, S] with the heads stacked on the batch axis: those of the last block; padded rows are 0."""
    (params, batch, config), taps = inputs(state), {}
    states = atrank.forward(params, batch, config, tap=taps.__setitem__)
    atrank.logits(params, batch, states, batch.candidate, config, tap=taps.__setitem__)
    for name, recorded in (("self_weights", "stt"), ("vanilla_weights", "att")):
        got = np.concatenate(np.swapaxes(taps[name], 0, 1))  # [H * B, C or S, S]
        want = state[f"outputs/{recorded}_vec" if multi(state) else f"outputs/{recorded}"]
        assert got.shape == want.shape
        assert_same(got, want, 1.0)


def test_one_sgd_step(state):
    """TensorFlow clips by the norm over unmerged embedding rows; where neither norm is too large, ours is the same."""
    rate, clip = state["config"]["lr"], state["config"]["max_gradient_norm"]
    factor = min(1.0, clip / float(state["outputs/global_norm_tf"]))
    params, want = ours(state, "params"), ours(state, "after/1")
    got, _ = optim.update(optim.SGD(rate * factor), params, gradient(state), {}, 1)
    assert_same_trees(got, want)
    if factor == 1:
        got, _ = optim.update(optim.SGD(rate, clip), params, gradient(state), {}, 1)
        assert_same_trees(got, want)
