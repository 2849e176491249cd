"""Recorded states of ATRank's release: its names and inputs, and what model.py makes of them.

The names are those of the release's variables and placeholders, under TensorFlow. Kernels of conv1d
have a leading axis 1 there, and a filter is [events, width, 1, number].
"""
import re

import numpy as np
from autograd import grad

from mbref.errors import require
from mbref.nn import optim
from mbref.nn.vjps import sigmoid
from mbref.released.atrank import model as atrank
from mbref.released.atrank.model import Batch, History
from mbref.released.recorded import Recomputed, last_step

TABLES = ("user", "item", "shop", "category", "brand", "action", "query", "coupon")
WITH_USERS = ("rnn", "rnn_att", "bpr", "multi")  # have a table of users, though bpr alone reads it
GROUPS = "iqc"                                   # items, queries, coupons, in names of multi/
BIASES = ("item_b", "item_q", "item_c")
MAPS = ((0, 1, 2), (), (3, 4))                   # inputs/map_n of the groups; nothing reads map_5
NAMES = {  # pieces of paths of ours, such as "self/0/q/w": the release's, put in one after another
    "tables/category": "cate_emb_w", r"tables/(\w+)": r"\1_emb_w",
    "groups/0": "i_layer", "groups/1": "q_layer", "groups/2": "c_layer",
    **{f"bias/{group}": name for group, name in enumerate(BIASES)},
    r"self/(\d+)/": r"all/user_hist_group/num_blocks_\1/self_",
    r"vanilla/(\d+)/": r"all/item_feature_group/num_blocks_\1/vanilla_",
    "_q/": "_attention/dense/", "_k/": "_attention/dense_1/", "_v/": "_attention/dense_2/",
    "_ln/": "_attention/ln/", "(self|vanilla)_ln_f/": "feed_forward/ln/",
    "(self|vanilla)_f1/": "feed_forward/conv1d/", "(self|vanilla)_f2/": "feed_forward/conv1d_1/",
    "gamma": "Variable_1", "beta": "Variable",
    **{f"lstm/{ours}wards": f"bidirectional_rnn/{theirs}/multi_rnn_cell/cell_0/lstm_cell"
       for ours, theirs in (("for", "fw"), ("back", "bw"))},
    "/w$": "/kernel", "/b$": "/bias",
}


def recompute(arrays, config):
    """What follows from a file's parameters and inputs.  -> Recomputed.

    Raises InputError for what does not fit, and KeyError with the name of what is missing.
    """
    folder = str(arrays["meta/release"]).split("/")[-1]
    require(folder in atrank.VARIANTS, f"meta/release {folder} is no folder of ATRank's release.")
    settings = settings_of(arrays, config, folder)
    params, batch = parameters(arrays, settings), batch_of(arrays, config, settings, folder)
    trees = {"grads": grad(atrank.loss)(params, batch, settings)}
    trees |= steps(arrays, config, params, batch, settings)
    found = {f"outputs/{name}": value
             for name, value in outputs(params, batch, settings, arrays).items()}
    found |= {"outputs/global_norm_dense": optim.global_norm(trees["grads"])}
    for prefix, tree in trees.items():
        for path, array in optim.leaves(tree):
            name = name_of(path, settings)
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
        run = re.fullmatch("(att|rnn|rna|cnn)-([iqca])2[iqca]", str(config["net_type"]))
        require(run, f"net_type {config['net_type']} in meta/config is no run of multi/ such as "
                     "att-a2i.")
        read = (0, 1, 2) if run[2] == "a" else (GROUPS.index(run[2]),)  # a: all groups
        more |= {"net": run[1], "read": read}
    if more.get("net", variant.get("net")) == "cnn":
        sizes = sum(bool(re.fullmatch(r"params/conv-maxpool-\d+/W", name)) for name in arrays)
        more |= {"sizes": sizes, "filters": arrays["params/conv-maxpool-1/b"].size}
    features = {name for group in variant.get("groups", atrank.Config.groups) for name in group}
    features |= {"user"} if folder in WITH_USERS else set()
    features |= {"action"} if any(variant.get("actions", ())) else set()
    tables = [(name, arrays[f"params/{name_of(f'tables/{name}', atrank.Config)}"].shape)
              for name in TABLES if name in features]
    require(all(len(shape) == 2 for _, shape in tables),
            "each params/..._emb_w must be a table of two axes.")
    return atrank.variant(folder, tables=tuple((name, *shape) for name, shape in tables), **more)


def number(config, name):
    """A number of meta/config."""
    require(isinstance(config[name], (int, float)),
            f"{name} in meta/config must be a number, not {config[name]!r}.")
    return config[name]


def name_of(path, settings):
    """The release's name of the parameter that is ours under `path`."""
    if path.startswith("filters/"):
        _, number, part = path.split("/")
        return f"conv-maxpool-{int(number) + 1}/{'W' if part == 'w' else part}"
    own = {"^user": "dense_1" if settings.net == "cnn" else "dense"}
    own |= {"groups/0/": "dense/"} if len(settings.groups) == 1 else {}
    for ours, theirs in (own | NAMES).items():
        path = re.sub(ours, theirs, path)
    return path


def parameters(arrays, settings, prefix="params"):
    """Parameters in float64, or what grads, after/1 ... hold for each. Raises InputError."""
    params = atrank.init(np.random.default_rng(0), settings)
    for path, view in optim.leaves(params):
        name = f"{prefix}/{name_of(path, settings)}"
        array = arrays[name]
        require(array.size == view.size and array.shape[-1:] == view.shape[-1:],
                f"{name} has shape {array.shape} where {view.shape} was expected.")
        view[...] = array.reshape(view.shape)
    return params


def batch_of(arrays, config, settings, folder):
    """The recorded inputs as a Batch. Raises InputError for what is out of range."""
    multi, mf = folder == "multi", settings.net == "mf"
    sizes = [arrays[f"params/{name}"].size for name in BIASES[: len(settings.groups)]]
    target = str(config["target"])[:1] if multi else "i"
    require(target in GROUPS, f"target {target} in meta/config must be item, query or coupon.")
    group = GROUPS.index(target)
    one = (len(arrays[f"inputs/{target}"]),)
    candidate = [ids(arrays, name, sizes[group], one) for name in ("ij" if mf else target)]
    histories = [history(arrays, GROUPS[g], size, settings, multi, one) if g in settings.read
                 else None for g, size in enumerate(sizes)]
    objects = [features(arrays, settings, g, size, multi) for g, size in enumerate(sizes)]
    user = ids(arrays, "u", table_size(settings, "user"), one) if mf else np.zeros(one, int)
    label = None if mf else ids(arrays, "y", 2, one)[:, None] == 1
    return Batch(tuple(histories), tuple(objects), user, group, np.stack(candidate, axis=1), label)


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
    names = [f"hist_{g}_{part}" for part in ("id", "time", "sl")]
    item, time, length = names if multi else ("hist_i", "hist_t", "sl")
    shape = one + arrays[f"inputs/{item}"].shape[1:2]  # (B, L)
    item, length = ids(arrays, item, size, shape), ids(arrays, length, shape[-1] + 1, one)
    action = time_of = 0 * item
    if multi and g == "i":
        action = ids(arrays, "hist_i_act", table_size(settings, "action"), shape)
    if settings.time:
        time_of = ids(arrays, time, 10**9, shape)
    return History(item, action, time_of, length)


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
        params = step(params, batch, settings, rate, clip)
        found[f"after/{n}"] = params
    return found


def step(params, batch, config, rate, clip=None):
    """Parameters after one step of descent; `clip` is the largest norm, or None.

    TensorFlow keeps the gradient of an embedding table as one row a look-up and takes the norm of
    these rows, duplicates not summed. It differs from that of the dense gradient either way.
    """
    grads = grad(atrank.loss)(params, batch, config)
    factor = 1.0 if clip is None else clip / max(clip, unmerged_norm(params, batch, config))
    return optim.tree_map(lambda p, g: p - rate * factor * g, params, grads)


def unmerged_norm(params, batch, config):
    """The norm by which the release clips: one row a look-up where rows are looked up."""
    apart, batch = look_ups_apart(params, batch, config)
    return optim.global_norm(grad(atrank.loss)(apart, batch, config))


def look_ups_apart(params, batch, config):
    """The same model with a row of its own for every look-up.  -> params, batch."""
    rows = {name: [table[:0]] for name, table in params["tables"].items()}

    def own(name, ids):
        """Ids of new rows of a table, which are copies of the old ones."""
        first = sum(map(len, rows[name]))
        rows[name].append(params["tables"][name][ids.ravel()])
        return first + np.arange(ids.size).reshape(ids.shape)

    def own_objects(group, ids):
        """Features, each in new rows, of new objects in place of `ids`.  -> [ids.size, F]."""
        old = batch.features[group][ids.ravel()]
        return np.stack([own(name, old[:, f]) for f, name in enumerate(config.groups[group])],
                        axis=1)

    features, histories, bias = list(batch.features), list(batch.histories), list(params["bias"])
    for g in config.read:
        h = batch.histories[g]
        features[g] = own_objects(g, h.item)
        histories[g] = h._replace(item=np.arange(h.item.size).reshape(h.item.shape),
                                  action=own("action", h.action) if config.actions[g] else h.action)
    g, candidate = batch.group, batch.candidate
    before = features[g] if g in config.read else features[g][:0]
    features[g] = np.concatenate([before, own_objects(g, candidate)])
    bias[g] = np.concatenate([np.zeros(len(before)), bias[g][candidate.ravel()]])
    new = batch._replace(histories=tuple(histories), features=tuple(features),
                         candidate=len(before) + np.arange(candidate.size).reshape(candidate.shape),
                         user=own("user", batch.user) if config.net == "mf" else batch.user)
    return params | {"tables": {name: np.concatenate(parts) for name, parts in rows.items()},
                     "bias": bias}, new


def outputs(params, batch, settings, arrays):
    """What the release hands out, without the prefix outputs/."""
    taps = {}
    states = atrank.forward(params, batch, settings, taps.__setitem__)
    z, u, x = atrank.logits(params, batch, states, batch.candidate, settings, taps.__setitem__)
    found = {"global_norm_tf": unmerged_norm(params, batch, settings)}
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
