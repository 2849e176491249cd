"""Faults of large values and of norms, planted wherever attention, a loss or a norm is.

{component: {fault: function}}; a fault is planted in the module from which the component takes it.
"""
import autograd.numpy as np

from mbref.check.components import atrank, atrank_groups, attention, dmran, hiersrec, hmar
from mbref.nn import attention as att
from mbref.nn.layers import dense, layer_norm
from mbref.papers import atrank as atrank_paper, dmran as dmran_paper
from mbref.papers import hiersrec as hiersrec_paper, hmar as hmar_paper
from mbref.variants import atrank as atrank_variant, dmran as dmran_variant
from mbref.variants import hiersrec as hiersrec_variant
from tests.golden.fault import plant
from tests.golden.shared.faults_attention import exponents, no_shift, share, sigmoid


def lowered(by):
    """A mask that takes `by` from the scores of keys that are not allowed, and no more."""
    def softmax(scores, allowed):
        return share(exponents(scores - by * ~allowed)) * np.any(allowed, axis=-1, keepdims=True)
    return softmax


SOFTMAX = {"softmax without the shift by the largest score": no_shift,
           "masked scores lowered by 50 alone": lowered(50.0),
           "masked scores lowered by 30 alone": lowered(30.0)}
ATTENTION = {
    "attention.attention": (attention.attention, att), "hmar.behaviour_encoder": (hmar.behaviour_encoder, att),
    "hmar.sequence_encoder": (hmar.sequence_encoder, att), "hmar.score": (hmar.score, att),
    "hmar": (hmar.model, att), "atrank.attention_block": (atrank.attention_block, att),
    "atrank.user_vectors": (atrank_groups.user_vectors, att), "atrank.score": (atrank.score, att),
    "atrank": (atrank.model, att), "atrank.groups_score": (atrank_groups.groups_score, att),
    "atrank.groups": (atrank_groups.groups, att),
    "dmran.item_attention": (dmran.item_attention, dmran_paper), "dmran.alignment": (dmran.alignment, dmran_variant),
    "dmran.feature_attention": (dmran.feature_attention, dmran_variant), "dmran.vanilla": (dmran.vanilla, att),
    "dmran.score": (dmran.score, dmran_paper), "dmran": (dmran.model, dmran_paper),
    "hiersrec.encoder_block": (hiersrec.encoder_block, att), "hiersrec.encode": (hiersrec.encode, att),
    "hiersrec.score": (hiersrec.score, att), "hiersrec": (hiersrec.model, att),
}

# where no case tells what is lowered by 30 from what is lowered by 50
AS_BY_50 = {"hmar.sequence_encoder", "hmar.score", "hmar", "hiersrec.encoder_block", "hiersrec.encode",
            "hiersrec.score", "hiersrec"}


# Losses.

def log_of_sigmoid(x):
    """Softplus as -log of the sigmoid of -x."""
    return -np.log(sigmoid(-x))


def log_of_cross_entropy(logits, labels):
    return log_of_sigmoid(np.where(labels, -1, 1).astype(logits.dtype) * logits)


def log_of_softmax(logits):
    return np.log(share(exponents(logits)))


def log_of_classes(logits, labels):
    picked = labels[..., None] == np.arange(logits.shape[-1])
    return -np.log(np.sum(share(exponents(logits)) * picked, axis=-1))


def log_of_items(p, q, labels, known):
    return np.sum(log_of_classes(np.where(known, dense(p, q), -1e9), labels))


LOG = "log of a sigmoid that saturates"
CLASSES = "log of a softmax that underflows"
LOSSES = {
    "hmar.ranking_loss": {LOG: plant(hmar.ranking_loss, hmar, softplus=log_of_sigmoid)},
    "hmar": {LOG: plant(hmar.model, hmar_paper, softplus=log_of_sigmoid),
             CLASSES: plant(hmar.model, hmar_paper, cross_entropy=log_of_classes)},
    "atrank": {LOG: plant(atrank.model, atrank_paper, sigmoid_cross_entropy=log_of_cross_entropy)},
    "atrank.groups": {LOG: plant(atrank_groups.groups, atrank_paper,
                                 sigmoid_cross_entropy=log_of_cross_entropy)},
    "dmran": {LOG: plant(dmran.model, dmran_paper, sigmoid_cross_entropy=log_of_cross_entropy)},
    "dmran.fusion": {"sigmoid that overflows": plant(dmran.fusion, dmran_paper, sigmoid=lambda x: (
        np.exp(x) / (1 + np.exp(x))))},
    "hiersrec": {CLASSES: plant(hiersrec.model, hiersrec_variant, sum_of_losses=log_of_items),
                 "log of category probabilities that underflow": plant(
                     hiersrec.model, hiersrec_paper, log_softmax=log_of_softmax)},
    "hiersrec.joined": {CLASSES: plant(hiersrec.joined, hiersrec_paper, log_softmax=log_of_softmax)},
}


# Norms.

def one_pass(p, x, eps=1e-8):
    """The variance as mean of squares less square of the mean."""
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(x * x, axis=-1, keepdims=True) - mean * mean
    return p["gamma"] * (x - mean) / np.sqrt(np.maximum(variance, 0) + eps) + p["beta"]


def outside_root(p, x, eps=1e-8):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return p["gamma"] * centred / (np.sqrt(np.mean(centred**2, axis=-1, keepdims=True)) + eps) + p["beta"]


ONE_PASS = "variance in one pass"
NORMS = {ONE_PASS: one_pass,
         "eps dropped": lambda p, x, eps=1e-8: layer_norm(p, x, 0.0),
         "eps 1e-5 instead of 1e-8": lambda p, x, eps=1e-8: layer_norm(p, x, 1e-5),
         "eps 1e-6 instead of 1e-8": lambda p, x, eps=1e-8: layer_norm(p, x, 1e-6),
         "eps outside the square root": outside_root}


def in_norm(function, module, pick, faulty):
    """`function` whose norms with the parameters that pick(params) lists are `faulty`."""
    def run(params, inputs, tap):
        chosen = pick(params)

        def norm(p, x, eps=1e-8):
            found = faulty if any(p is one for one in chosen) else layer_norm
            return found(p, x, eps)
        return plant(function, module, layer_norm=norm)(params, inputs, tap)
    return run


def of_blocks(name, *lists):
    """The norms of this name in all blocks."""
    return lambda params: [block[name] for part in lists for block in params.get(part, ())]


def of_part(part, name):
    """The norm of this name in a part of the parameters that not every form has."""
    return lambda params: [params.get(part, params).get(name)]


ENDS = ("ln", "ln_f")
SELF, VANILLA = ("self", "vanilla"), ("vanilla",)
ENCODER = {"last norm's ": lambda p: [p["ln"]],
           **{f"{name}'s ": of_blocks(name, "blocks") for name in ("ln1", "ln2")}}
SEQUENCE = {"": lambda p: [b["sequence"]["ln"] for b in p["blocks"]]}
NORMED = {  # component: the function, the module of its norms, where these are among the parameters
    "hmar.sequence_encoder": (hmar.sequence_encoder, hmar_paper, {"": lambda p: [p["ln"]]}),
    "hmar.score": (hmar.score, hmar_paper, SEQUENCE), "hmar": (hmar.model, hmar_paper, SEQUENCE),
    "atrank.attention_block": (atrank.attention_block, atrank_variant, {
        f"{name}'s ": lambda p, name=name: [p[name]] for name in ENDS}),
    "atrank.user_vectors": (atrank_groups.user_vectors, atrank_variant, {
        f"{name}'s ": of_blocks(name, *VANILLA) for name in ENDS}),
    "atrank.score": (atrank.score, atrank_variant, {
        f"{name}'s ": of_blocks(name, *SELF) for name in ENDS}),
    "atrank": (atrank.model, atrank_variant, {
        f"{name}'s ": of_blocks(name, *SELF) for name in ENDS}),
    "atrank.groups_score": (atrank_groups.groups_score, atrank_variant, {
        f"{name}'s ": of_blocks(name, *SELF) for name in ENDS}),
    "atrank.groups": (atrank_groups.groups, atrank_variant, {
        f"{name}'s ": of_blocks(name, *SELF) for name in ENDS}),
    "dmran.feature_attention": (dmran.feature_attention, dmran_variant, {
        f"{name}'s ": of_part("after", name) for name in ENDS}),
    "dmran.vanilla": (dmran.vanilla, atrank_variant, {
        f"{name}'s ": of_part("van", name) for name in ENDS}),
    "dmran.score": (dmran.score, atrank_variant, {
        f"van {name}'s ": of_part("van", name) for name in ENDS}),
    "dmran": (dmran.model, dmran_variant, {
        f"after {name}'s ": of_part("after", name) for name in ENDS}),
    "hiersrec.encoder_block": (hiersrec.encoder_block, hiersrec_paper, {
        f"{name}'s ": lambda p, name=name: [p[name]] for name in ("ln1", "ln2")}),
    "hiersrec.encode": (hiersrec.encode, hiersrec_paper, ENCODER),
    "hiersrec.score": (hiersrec.score, hiersrec_paper, ENCODER),
    "hiersrec": (hiersrec.model, hiersrec_paper, ENCODER),
    "hiersrec.projection": (hiersrec.projection, hiersrec_variant, {
        "logits' norm's ": lambda p: [p.get("ln_logits")]}),
}
OF_EPS = ("eps dropped", "eps 1e-5 instead of 1e-8")
FEWER = {"hiersrec.projection": OF_EPS[1:],  # where values spread by a tenth
         "atrank.groups_score": OF_EPS,
         # hmar/faults.py has that of 1e-5
         "hmar.sequence_encoder": [name for name in NORMS if "1e-5" not in name],
         **dict.fromkeys(("hmar", "hmar.score", "atrank", "atrank.score", "atrank.groups", "atrank.user_vectors",
                          "dmran", "dmran.score", "hiersrec", "hiersrec.encode", "hiersrec.score"),
                         (ONE_PASS, *OF_EPS))}


def of_norms(component, function, module, places):
    """The faults of a component's norms."""
    return {f"{place}{name}": in_norm(function, module, pick, norm)
            for place, pick in places.items() for name, norm in NORMS.items()
            if name in FEWER.get(component, NORMS)}


FAULTS = {
    "layers.layer_norm": {ONE_PASS: lambda p, i, tap: {"y": one_pass(p, i["x"], i["eps"])}},
    **{component: {name: plant(*where, masked_softmax=f) for name, f in SOFTMAX.items()
                   if component not in AS_BY_50 or "30" not in name}
       for component, where in ATTENTION.items()},
}
for more in (LOSSES, {name: of_norms(name, *places) for name, places in NORMED.items()}):
    for component, faults in more.items():
        FAULTS.setdefault(component, {}).update(faults)


def plant_right(component):
    """The same with what is right."""
    function, module = ATTENTION[component]
    return plant(function, module, masked_softmax=att.masked_softmax)


RIGHT = {"hmar.ranking_loss": [plant(hmar.ranking_loss, hmar, softplus=lambda x: np.logaddexp(0, x))],
         "hmar": [in_norm(hmar.model, hmar_paper, SEQUENCE[""], layer_norm), plant_right("hmar")]}
