"""Faults that few kinds of input show: of the paper's form of ATRank beside that of the release, of candidates that are
none, of items of unknown category, of tables of positions that are longer than the histories.

{component: {fault: function}}.
"""
import autograd.numpy as np

from mbref.check.components import atrank, atrank_groups, dmran, hiersrec, hmar, layers as right_layers, metrics, optim
from mbref.nn import attention as att, layers
from mbref.nn.layers import layer_norm, pick
from mbref.nn.losses import masked_mean, sigmoid_cross_entropy
from mbref.papers import atrank as atrank_paper
from tests.golden.dmran import faults_match
from tests.golden.fault import alter, feed, give, plant
from tests.golden.shared.faults_attention import SOFTMAX


# ATRank as printed.

def first_block(name):
    """A change of parameters: one block in place of several."""
    return alter(name, lambda blocks: blocks[:1])


def as_printed(function, *lists):
    """Faults of the paper's blocks alone, and of blocks after the first."""
    eps = {f"eps of the paper's norms {text} instead of 1e-8": plant(
        function, atrank_paper, layer_norm=lambda p, x, value=value: layer_norm(p, x, value))
        for text, value in (("1e-5", 1e-5), ("1e-6", 1e-6))}
    return eps | {f"only the first block of {name}": give(function, first_block(name)) for name in lists}


NOTHING = "-inf on a row where nothing is allowed"
ATRANK = {
    "atrank.user_vectors": as_printed(atrank_groups.user_vectors) | {
        NOTHING: plant(atrank_groups.user_vectors, att, masked_softmax=SOFTMAX[NOTHING])},
    "atrank.score": as_printed(atrank.score, "self", "vanilla"),
    "atrank.groups_score": as_printed(atrank_groups.groups_score, "self", "vanilla"),
    "atrank.groups": as_printed(atrank_groups.groups, "self", "vanilla"),
}


# DMRAN.

def mean_of_all(values, mask):
    return np.mean(values)


def loss(mean=masked_mean):
    """DMRAN's loss with another mean over the candidates."""
    def of(params, inputs, tap):
        config, batch = dmran.read_config(inputs), dmran.batch_of(inputs)
        states = dmran.dmran.forward(params, batch, config)
        s = dmran.dmran.logits(params, batch, states, batch.candidate, config)[0]
        each, real = sigmoid_cross_entropy(s, batch.label), batch.candidate > 0
        return {"loss": dmran.model(params, inputs, tap)["loss"] - masked_mean(each, real) + mean(each, real)}
    return of


DMRAN = {
    "dmran": {"candidates that are none count in the mean": loss(mean_of_all),
              "penalty of missing candidates too": faults_match.model(lambda h, i_c, real: np.sum(h**2 + i_c**2))},
    "dmran.score": {
        "unknown category has an embedding": plant(dmran.score, layers, lookup=pick),
        "categories one item off": feed(dmran.score, lambda i: (
            {"category": np.roll(i["category"], 1)} if "category" in i else {}))},
}


# Positions.

FROM_END = {"positions from the end of the table": lambda params, inputs: (
    params | {"position": params["position"][-inputs["item"].shape[1]:]})}
FROM_START = {"positions from the start of the table": lambda params, inputs: (
    params | {"position": params["position"][:inputs["item"].shape[1]]})}


def placed(function, faults):
    """Faults of a function whose parameters depend on its inputs."""
    return {name: lambda p, i, tap, change=change: function(change(p, i), i, tap) for name, change in faults.items()}


POSITIONS = {"hiersrec.encode": placed(hiersrec.encode, FROM_END), "hiersrec.score": placed(hiersrec.score, FROM_END),
             "hiersrec": placed(hiersrec.model, FROM_END), "hmar.score": placed(hmar.score, FROM_START),
             "hmar": placed(hmar.model, FROM_START)}

# What is read from the inputs, and numbers that are kept in few bits.

def fixed(function, **values):
    """Settings that are not read."""
    return feed(function, lambda inputs: values)


def squash(inputs):
    return {"scores": 1 / (1 + np.exp(-inputs["scores"]))}


def cut_ids(inputs):
    return {name: inputs[name] % 256 for name in ("item", "candidate") if name in inputs}


def root_of_eight(params):
    """What is multiplied by the root of the width is, as if that were 8."""
    return params | {"item": params["item"] * np.asarray((8 / params["item"].shape[1]) ** 0.5, params["item"].dtype)}


def without_zeros(params, inputs, tap):
    x = inputs["x"]
    return {"y": right_layers.dense(params, inputs, tap)["y"] * np.any(x != 0, axis=-1, keepdims=True)}


FIRST = {"labels of the first row for all": lambda inputs: {"label": inputs["label"][:1] & (inputs["label"] | True)},
         "the first candidate is the positive": lambda inputs: {
             "label": (np.arange(inputs["label"].shape[1]) == 0) & (inputs["label"] | True)}}
READ = {name: {fault: feed(function, change) for fault, change in FIRST.items()} for name, function in (
    ("atrank", atrank.model), ("atrank.groups", atrank_groups.groups), ("dmran", dmran.model))}
READ["dmran"] |= DMRAN.pop("dmran")
READ["atrank.groups"] |= ATRANK.pop("atrank.groups")
REST = {
    "optim.adam": {"eps 1e-8 whatever it is to be": fixed(optim.adam, eps=1e-8),
                   "beta1 0.9 whatever it is to be": fixed(optim.adam, beta1=0.9)},
    "hmar.indicator": {"ids in 8 bits": feed(hmar.indicator, cut_ids)},
    "hmar.candidate_counts": {"ids in 8 bits": feed(hmar.candidate_counts, cut_ids)},
    "hmar.input_code": {"the root of 8 whatever the width": give(hmar.input_code, root_of_eight)},
    "layers.dense": {"rows of zeros stay zeros": without_zeros},
    **{f"metrics.{name}": {"scores after a sigmoid": feed(vars(metrics)[name], squash)}
       for name in ("greater_and_ties", "auc", "recall_many", "ndcg_many")},
}

FAULTS = ATRANK | DMRAN | POSITIONS | READ | REST

# The text around the faults, without any: it must be right.
RIGHT = {"dmran": [loss()]}
