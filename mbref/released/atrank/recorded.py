"""Recorded states of ATRank's release: its names and inputs, and what model.py makes of them.

The names are those of the release's variables and placeholders (github.com/jinze1994/ATRank @
2031fd1, under TensorFlow). Kernels of conv1d have a leading axis 1 there, and a filter is [events,
width, 1, number].
"""
import re

import numpy as np
from autograd import grad

from mbref.errors import require
from mbref.nn import optim
from mbref.nn.vjps import sigmoid
from mbref.released.atrank import model as atrank, step as atrank_step
from mbref.released.atrank.batches import Batch, History
from mbref.released.recorded import Recomputed, last_step

TABLES = {name: f"{name.replace('category', 'cate')}_emb_w" for name in (
    "user", "item", "shop", "category", "brand", "action", "query", "coupon")}
# folders that have a table of users, though bpr alone reads it
WITH_USERS = ("rnn", "rnn_att", "bpr", "multi")
GROUPS = "iqc"                                   # items, queries, coupons, in names of multi/
BIASES = ("item_b", "item_q", "item_c")
# inputs/map_n of the groups; map_5, a coupon's type, is never read
MAPS = ((0, 1, 2), (), (3, 4))
LAYERS = {"q": "attention/dense", "k": "attention/dense_1", "v": "attention/dense_2",
          "f1": "feed_forward/conv1d", "f2": "feed_forward/conv1d_1"}


def recompute(arrays, config):
    """All that a recorded state holds beside inputs and parameters.  -> Recomputed.

    arrays: the .npz by name; config: its meta/config. Raises InputError for parameters or inputs
    that do not fit together, and KeyError with the name of what is missing.
    """
    folder = str(arrays["meta/release"]).split("/")[-1]
    require(folder in atrank.VARIANTS, f"meta/release {folder} is no folder of ATRank's release.")
    settings = settings_of(arrays, config, folder)
    names, batch = names_of(settings, folder), batch_of(arrays, config, settings, folder)
    params = parameters(arrays, names, settings)
    trees = {"grads": grad(atrank.loss)(params, batch, settings)}
    trees |= steps(arrays, config, params, batch, settings)
    found = outputs(params, batch, settings, arrays)
    found |= {"global_norm_dense": optim.global_norm(trees["grads"])}
    found = {f"outputs/{name}": value for name, value in found.items()}
    for prefix, tree in trees.items():
        for (_, name), (_, array) in zip(optim.leaves(names), optim.leaves(tree), strict=True):
            found[f"{prefix}/{name}"] = array.reshape(arrays[f"params/{name}"].shape)
    return Recomputed(found)


def settings_of(arrays, config, folder):
    """The Config of a recorded state: meta/config, and sizes from its tables and filters."""
    variant = atrank.VARIANTS[folder]
    more = {"width": number(config, "hidden_units"), "penalty": number(config, "regulation_rate"),
            "dropout": 0.0}
    if folder in ("atrank", "multi"):
        more |= {"heads": number(config, "num_heads"), "blocks": number(config, "num_blocks")}
    if folder == "multi":
        more |= run_of(config["net_type"])
    if more.get("net", variant.get("net")) == "cnn":
        sizes = sum(name.startswith("params/conv-maxpool-") and name.endswith("/W")
                    for name in arrays)
        more |= {"sizes": sizes, "filters": arrays["params/conv-maxpool-1/b"].size}
    features = {name for group in variant.get("groups", atrank.Config.groups) for name in group}
    features |= {"user"} if folder in WITH_USERS else set()
    features |= {"action"} if any(variant.get("actions", ())) else set()
    tables = [(name, arrays[f"params/{table}"]) for name, table in TABLES.items()
              if name in features]
    require(all(table.ndim == 2 for _, table in tables),
            "each params/..._emb_w must be a table of two axes.")
    return atrank.variant(folder, tables=tuple((name, *table.shape) for name, table in tables),
                          **more)


def number(config, name):
    """A number of meta/config."""
    require(isinstance(config[name], (int, float)),
            f"{name} in meta/config must be a number, not {config[name]!r}.")
    return config[name]


def run_of(name):
    """Net and groups read by a run of multi/: att-i2q reads items, predicts queries; a is all."""
    parts = re.fullmatch("(att|rnn|rna|cnn)-([iqca])2[iqca]", str(name))
    require(parts, f"net_type {name} in meta/config is no run of multi/ such as att-a2i.")
    return {"net": parts[1], "read": (0, 1, 2) if parts[2] == "a" else (GROUPS.index(parts[2]),)}


def names_of(settings, folder):
    """The release's names, nested as the parameters of atrank.init."""
    events = [f"{g}_layer" for g in GROUPS] if folder == "multi" else ["dense"]
    return {
        "tables": {name: TABLES[name] for name, *_ in settings.tables},
        "groups": [layer(name) if settings.time else {} for name in events],
        "bias": list(BIASES[: len(settings.groups)]),
    } | NET_NAMES[settings.net](settings)


def layer(name, w="kernel", b="bias"):
    """Names of a dense layer."""
    return {"w": f"{name}/{w}", "b": f"{name}/{b}"}


def attention_names(settings):
    """Names of the attention net."""
    def norm(scope):
        return {"gamma": f"{scope}/ln/Variable_1", "beta": f"{scope}/ln/Variable"}

    def block(scope, kind):
        parts = {part: layer(f"{scope}/{kind * (part in 'qkv')}{name}")
                 for part, name in LAYERS.items()}
        return parts | {"ln": norm(f"{scope}/{kind}attention"),
                        "ln_f": norm(f"{scope}/feed_forward")}

    def blocks(scope, kind):
        return [block(f"all/{scope}/num_blocks_{n}", kind) for n in range(settings.blocks)]

    return {"self": blocks("user_hist_group", "self_"),
            "vanilla": blocks("item_feature_group", "vanilla_")}


def cnn_names(settings):
    """Names of the filters, and of the layer after them, which follows that of the events."""
    filters = [layer(f"conv-maxpool-{size}", "W", "b") for size in range(1, settings.sizes + 1)]
    return {"filters": filters} | ({"user": layer("dense_1")} if settings.last else {})


def lstm_names(settings):
    """Names of both directions' cells and of the layer after them."""
    ways = {"forwards": "fw", "backwards": "bw"}
    cells = {way: layer(f"bidirectional_rnn/{name}/multi_rnn_cell/cell_0/lstm_cell")
             for way, name in ways.items()}
    return {"lstm": cells, "user": layer("dense")}


NET_NAMES = {"att": attention_names, "cnn": cnn_names, "rnn": lstm_names, "rna": lstm_names,
             "mf": lambda settings: {}}


def parameters(arrays, names, settings, prefix="params"):
    """Parameters in float64, or under grads, after/1 ... what there is one of for each.

    Raises InputError if one has another shape than the rest asks for.
    """
    def one(name, like):
        array = arrays[f"{prefix}/{name}"]
        require(array.size == like.size and array.shape[-1:] == like.shape[-1:],
                f"{prefix}/{name} has shape {array.shape} where {like.shape} was expected.")
        return array.reshape(like.shape).astype(np.float64)

    return optim.tree_map(one, names, atrank.init(np.random.default_rng(0), settings))


def batch_of(arrays, config, settings, folder):
    """The recorded inputs as a Batch. Raises InputError for what is out of range."""
    multi, mf = folder == "multi", settings.net == "mf"
    sizes = [arrays[f"params/{name}"].size for name in BIASES[: len(settings.groups)]]
    target = str(config["target"])[:1] if multi else "i"
    require(target in GROUPS, f"target {target} in meta/config must be item, query or coupon.")
    group = GROUPS.index(target)
    one = (len(arrays[f"inputs/{target}"]),)
    candidate = [ids(arrays, name, sizes[group], one) for name in ("ij" if mf else target)]
    return Batch(
        tuple(history(arrays, GROUPS[g], sizes[g], settings, multi, one) if g in settings.read
              else None
              for g in range(len(sizes))),
        tuple(features(arrays, settings, g, size, multi) for g, size in enumerate(sizes)),
        ids(arrays, "u", table_size(settings, "user"), one) if mf else np.zeros(one, int),
        group, np.stack(candidate, axis=1), None if mf else ids(arrays, "y", 2, one)[:, None] == 1)


def table_size(settings, feature):
    """Rows of a table."""
    return next(rows for name, rows, _ in settings.tables if name == feature)


def ids(arrays, name, below, shape):
    """inputs/`name` as whole numbers of 0 .. below - 1. Raises InputError for others."""
    x = arrays[f"inputs/{name}"]
    require(x.shape == shape, f"inputs/{name} has shape {x.shape} where {shape} was expected.")
    require(np.all((x >= 0) & (x < below) & (x == np.floor(x))),
            f"inputs/{name} must hold whole numbers of 0 to {below - 1}.")
    return x.astype(np.int64)


def history(arrays, g, size, settings, multi, one):
    """The History of one group as recorded; `one` is the shape (B,)."""
    item, time, length = "hist_i", "hist_t", "sl"
    if multi:
        item, time, length = f"hist_{g}_id", f"hist_{g}_time", f"hist_{g}_sl"
    shape = one + arrays[f"inputs/{item}"].shape[1:2]  # (B, L)
    item, length = ids(arrays, item, size, shape), ids(arrays, length, shape[-1] + 1, one)
    action = 0 * item
    if multi and g == "i":
        action = ids(arrays, "hist_i_act", table_size(settings, "action"), shape)
    return History(item, action, ids(arrays, time, 10**9, shape) if settings.time else 0 * item,
                   length)


def features(arrays, settings, g, size, multi):
    """Ids of the features of every object of a group.  -> [N, F]."""
    names = [f"map_{m}" for m in MAPS[g]] if multi else ["cate_list"]
    columns = [ids(arrays, name, table_size(settings, feature), (size,))
               for name, feature in zip(names, settings.groups[g][1:], strict=True)]
    return np.stack([np.arange(size), *columns], axis=1)


def steps(arrays, config, params, batch, settings):
    """{"after/1": parameters after one step ...} up to the last that is recorded."""
    rate, clip, found = number(config, "lr"), number(config, "max_gradient_norm") or None, {}
    for n in range(1, last_step(arrays) + 1):
        params = atrank_step.step(params, batch, settings, rate, clip)
        found[f"after/{n}"] = params
    return found


def outputs(params, batch, settings, arrays):
    """What the release hands out, without the prefix outputs/."""
    taps = {}
    states = atrank.forward(params, batch, settings, taps.__setitem__)
    z, u, x = atrank.logits(params, batch, states, batch.candidate, settings, taps.__setitem__)
    found = {"global_norm_tf": atrank_step.unmerged_norm(params, batch, settings)}
    loss = atrank.loss(params, batch, settings)
    if settings.net == "mf":
        return found | {"logits": sigmoid(z[:, 0] - z[:, 1]), "bprloss": loss,
                        "mf_auc": pair_auc(params, batch, settings, u, x, batch.candidate)}
    if settings.net == "att":  # of the last block, the heads side by side on the first axis
        att, stt = (np.concatenate(np.swapaxes(taps[name], 0, 1))
                    for name in ("vanilla_weights", "self_weights"))
        found |= {"att": att, "stt": stt, "att_vec": att, "stt_vec": stt}
    if "inputs/j" in arrays:
        j = ids(arrays, "j", len(params["bias"][0]), batch.user.shape)
        both = np.stack([batch.candidate[:, 0], j], axis=1)
        x = atrank.target_code(params, settings, 0, batch.features[0][both])
        found["mf_auc"] = pair_auc(params, batch, settings, u, x, both)
    return found | {"logits": z[:, 0], "loss": loss}


def pair_auc(params, batch, settings, u, x, candidates):
    """Share of pairs i, j with b_i - b_j + u . (x_i - x_j) > 0, in float32."""
    bias = params["bias"][0][candidates]
    return np.float32(np.mean(bias[:, 0] - bias[:, 1]
                              + np.sum(u[:, 0] * (x[:, 0] - x[:, 1]), axis=-1) > 0))
