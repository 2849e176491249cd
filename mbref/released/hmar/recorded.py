"""A recorded state of HMAR's release, computed again in float64.

Such a file holds `params/*` and `inputs/*`, and what the release made of them: `taps/*`,
`outputs/*`, `grads/*`, `after/1/*` (after one step of Adam) and so on; perhaps also a log
(`data/*`) with the release's partition of it, and an evaluation (`eval/*`).
"""
import re
from dataclasses import replace

import numpy as np
from autograd import grad

from mbref import metrics
from mbref.data.log import Log
from mbref.errors import require
from mbref.nn import masks, optim
from mbref.released.hmar import data as hmar_data, model as hmar
from mbref.released.hmar.data import Batch, Next
from mbref.released.recorded import Recomputed, last_step

TAP = re.compile(r"(mha|ffn|ln)_\w+_(in|out)")
# of the largest score: scores closer than this may have stood in either order in float32
ROUNDING = 2e-5
LEFT_OUT = {
    r"(grads|after/\d+)/.*\.k\.b": "key bias: its true gradient is 0, what is recorded comes from "
                                   "rounding",
    "inputs/neg|eval/cand": "drawn at random by the release",
    "data/log_rows|eval/user": "given, not computed",
}


def recompute(arrays, config):
    """What follows from a file's parameters, inputs and log.  -> Recomputed.

    Raises InputError for what does not fit, and KeyError with the name of what is missing.
    """
    ours = release_config(config)
    require_ids(arrays, ours)
    params, batch = parameters(arrays, ours), recorded_batch(arrays)
    computed = taps(params, batch, arrays, ours) | outputs(params, batch, arrays, ours)
    computed |= steps(params, batch, ours, config["lr"], last_step(arrays))
    bounds = {"outputs/auc": auc_bounds(computed, batch)}
    if "data/log_rows" in arrays:
        computed |= from_log(arrays, ours, config["behaviours"])
    if "eval/seq" in arrays:
        computed["eval/scores"] = eval_scores(params, arrays, ours)
        bounds |= metric_bounds(computed["eval/scores"])
    left_out = {name: why for name in arrays for rule, why in LEFT_OUT.items()
                if re.fullmatch(rule, name)}
    compared = {name: np.reshape(a, arrays[name].shape) if np.size(a) == arrays[name].size else a
                for name, a in computed.items() if name in arrays and name not in left_out}
    return Recomputed(compared, left_out,
                      {name: pair for name, pair in bounds.items() if name in arrays})


def require_ids(arrays, config):
    """Raise InputError unless all items and behaviours are such as the tables have."""
    most = dict.fromkeys(("inputs/seq", "inputs/pos", "inputs/neg", "inputs/test_items", "eval/seq",
                          "eval/cand"), config.items)
    most["data/log_rows"] = (len(arrays.get("data/log_rows", ())), config.items,
                             config.behaviours - 1)  # user, item, behaviour
    for name in most.keys() & arrays.keys():
        ids = arrays[name]
        require(ids.dtype.kind in "iu" and np.all((ids >= 0) & (ids <= most[name])),
                f"{name} must hold whole numbers of 0 to {most[name]}.")


def release_config(config):
    """The hmar.Config that `meta/config` describes."""
    own = hmar.Config(items=config["itemnum"], behaviours=len(config["behaviours"]),
                      width=config["hidden_units"], length=config["maxlen"],
                      variant=config["variant"], heads=config["num_heads"])
    return replace(own, variant=replace(own.file, theta=config["theta"]))


def name_params(params):
    """The release's names of our parameters, or what has their structure.  -> {name: view}."""
    behaviour, sequence = params["blocks"][-1]["behaviour"], params["blocks"][-1]["sequence"]
    parts = {"cxt": params["indicator"], "feat": params["feature"], "cls1": params["class1"],
             "cls2": params["class2"],
             "seq": {name: p for name, p in sequence.items() if name != "final"}}
    parts |= {"seq.outln": sequence["final"]} if "final" in sequence else {}
    for k in range(len(behaviour["res"])):
        parts[f"beh{k}"] = optim.tree_map(lambda a, k=k: a[k, ...], behaviour)
    tree = {"item_emb": params["item"], "pos_emb": params["position"], **parts}
    return {path.replace("/", "."): view for path, view in optim.leaves(tree)}


def parameters(arrays, config):
    """`params/*` nested as by hmar.init, in float64."""
    params = hmar.init(np.random.default_rng(0), config)
    for name, view in name_params(params).items():
        # 1x1 convolutions have a leading axis of 1
        view[...] = np.reshape(arrays[f"params/{name}"], view.shape)
    return params


def recorded_batch(arrays):
    """`inputs/*` as a Batch, as they were fed, in float64."""
    names = "seq masks seq_cxt pos pos_weight labels pos_cxt neg".split()
    seq, masks_of, seen, item, weight, label, counts, negative = (
        arrays[f"inputs/{name}"] for name in names)
    follow = Next(item, weight.astype(float), label.argmax(-1), counts.astype(float), negative)
    return Batch(seq, behaviours(masks_of, 0), seen.astype(float), follow)


def behaviours(recorded, axis):
    """Ids 1..K, 0 = padding, from masks with the behaviours on one axis.  -> [B, L]."""
    on = np.moveaxis(np.asarray(recorded), axis, -1)  # [B, L, K]
    return on.argmax(-1) + 1 - (on.sum(-1) == 0)


def taps(params, batch, arrays, config):
    """Inputs and outputs of attentions, layer norms and feed-forwards, in order.

    Of a recorded name only number, kind and side are used: its middle part is the release's own
    word. Where the behaviour encoder is bypassed the release has built it all the same.
    """
    shown = {}
    for variant in (replace(config.file, merge="encoder"), config.file):
        hmar.forward(params, batch, replace(config, variant=variant), shown.__setitem__)
    shown = {name: a for name, a in shown.items() if TAP.fullmatch(name)}
    inputs = [name for name in shown if name.endswith("_in")]
    ours = {(n, name.split("_")[0], side): shown[name.removesuffix("in") + side]
            for n, name in enumerate(inputs) for side in ("in", "out")}
    words = {name: name.removeprefix("taps/").split("_") for name in arrays if name[:5] == "taps/"}
    keys = {name: (int(first), kind, side) for name, (first, kind, *_, side) in words.items()}
    return {name: ours[key] for name, key in keys.items() if key in ours}


def outputs(params, batch, arrays, config):
    """States, logits and losses.  -> {"outputs/seq": ...}."""
    z, follow = hmar.forward(params, batch, config), batch.next
    q, q_negative = (hmar.candidate_code(params, item, follow.counts)
                     for item in (follow.item, follow.negative))
    rank, classes = hmar.losses(params, batch, config)
    found = {"seq": z, "rank": rank, "cls": classes, "final": hmar.loss(params, batch, config),
             "pos_logits": np.sum(z * q, axis=-1), "neg_logits": np.sum(z * q_negative, axis=-1),
             "class_pred": hmar.class_logits(params, q, z, config)}
    if "inputs/test_items" in arrays:
        code = hmar.candidate_code(params, arrays["inputs/test_items"],
                                   arrays["inputs/test_cxt"].astype(float))
        found["test_logits"] = z[:, -1] @ code.T  # [B, C]
    return {f"outputs/{name}": np.asarray(a) for name, a in found.items()}


def steps(params, batch, config, rate, last):
    """Gradients, and parameters after 1 .. `last` steps of Adam.  -> {"grads/item_emb": ...}."""
    gradient, rule = grad(hmar.loss), optim.Adam(rate, beta2=0.98, epsilon_hat=True)
    grads, moments = gradient(params, batch, config), optim.start(rule, params)
    found = {f"grads/{name}": a for name, a in name_params(grads).items()}
    for step in range(1, last + 1):
        params, moments = optim.update(rule, params, grads, moments, step)
        found |= {f"after/{step}/{name}": a for name, a in name_params(params).items()}
        grads = gradient(params, batch, config) if step < last else grads
    return found


def from_log(arrays, config, names):
    """The partition of the recorded log, and what the sampler and the evaluation read of it."""
    user, item, behaviour = arrays["data/log_rows"].T
    numbers = [np.arange(column.max() + 1).astype(str) for column in (user, item)]
    log = Log(user, item, behaviour + 1, None, None, *numbers, None, tuple(names), ())
    events = hmar_data.partition(log, names[config.target - 1], config.file.drop_target_history,
                                 without_target="train")
    train, weights = events.train, np.array(hmar_data.list_weights(config))
    found = {"users": train.user, "ptr": train.ptr, "items": train.item,
             "beh": train.behaviour - 1, "weights": weights[train.behaviour - 1],
             "counts": train.counts, "target": events.target, "target_counts": events.target_counts}
    found = {f"data/part_{name}": a for name, a in found.items()}
    found |= sampler_inputs(events, np.searchsorted(train.user, arrays["inputs/user"]), config)
    if "eval/user" in arrays:  # the release feeds them for given candidates
        batch = hmar_data.ranking_batch(
            events, np.searchsorted(train.user, arrays["eval/user"]), config)
        kinds = masks.behaviour(batch.behaviour, config.behaviours)  # [B, L, K]
        counts = hmar.candidate_counts(batch, arrays["eval/cand"].shape, config)
        found |= {"eval/seq": batch.item, "eval/seq_cxt": batch.counts, "eval/cand_cxt": counts,
                  "eval/masks": np.moveaxis(kinds, -1, 1)}
    return found


def sampler_inputs(events, users, config):
    """`inputs/*` as the release's sampler derives them, negatives left out."""
    batch = hmar_data.sample(events.train, users, config, np.random.default_rng(0))
    follow, K = batch.next, config.behaviours
    label = (follow.label + 1) * (follow.item > 0)
    return {"inputs/seq": batch.item, "inputs/pos": follow.item, "inputs/seq_cxt": batch.counts,
            "inputs/pos_cxt": follow.counts, "inputs/pos_weight": follow.weight,
            "inputs/neg_weight": follow.item > 0,
            "inputs/masks": np.moveaxis(masks.behaviour(batch.behaviour, K), -1, 0),
            "inputs/labels": masks.behaviour(label, K)}


def eval_scores(params, arrays, config):
    """The scores of the recorded candidates with the recorded contexts.  -> [B, C]."""
    batch = Batch(arrays["eval/seq"], behaviours(arrays["eval/masks"], 1),
                  arrays["eval/seq_cxt"].astype(float))
    z = hmar.forward(params, batch, config)[:, -1]  # [B, D]
    counts = arrays["eval/cand_cxt"].astype(float)
    q = hmar.candidate_code(params, arrays["eval/cand"], counts)  # [B, C, D]
    return np.sum(z[:, None] * q, axis=-1)


def metric_bounds(scores):
    """HR@10 and NDCG@10 of the first column if ties fall badly or well."""
    near = np.abs(scores - scores[:, :1]) <= ROUNDING * np.abs(scores).max()
    places = metrics.greater_and_ties(np.where(near, scores[:, :1], scores),
                                      np.zeros(len(scores), int))
    return {f"eval/{name}": tuple(metric(*places, 10, ties).mean()
                                  for ties in ("pessimistic", "optimistic"))
            for name, metric in (("hr", metrics.hit_rate), ("ndcg", metrics.ndcg))}


def auc_bounds(computed, batch):
    """Share of positions whose positive scores more, with room for rounding."""
    positive, negative = (computed[f"outputs/{name}_logits"] for name in ("pos", "neg"))
    real, gap = batch.next.item > 0, positive - negative
    room = ROUNDING * np.abs(positive).max()
    low, high = ((np.sign(gap + shift)[real] + 1).mean() / 2 for shift in (-room, room))
    return low - ROUNDING, high + ROUNDING
