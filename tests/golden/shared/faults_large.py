"""Faults of large values and of norms, planted wherever attention, a loss or a norm is.

{component: {fault: function}}; a fault is planted in the module from which the component takes it.
"""
import autograd.numpy as np

from mbref.check.components import atrank, attention, dmran, hiersrec, hmar
from mbref.nn import attention as att
from mbref.nn.layers import dense, layer_norm
from mbref.papers import dmran as dmran_paper, hiersrec as hiersrec_paper, hmar as hmar_paper
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


NORMS = {"eps dropped": lambda p, x, eps=1e-8: layer_norm(p, x, 0.0),
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


NORMED = {
    "hmar": {"": (hmar.model, hmar_paper, lambda p: [b["sequence"]["ln"] for b in p["blocks"]])},
    "atrank.attention_block": {
        f"{name}'s ": (atrank.attention_block, atrank_variant, lambda p, name=name: [p[name]])
        for name in ("ln", "ln_f")},
    "dmran.feature_attention": {
        f"{name}'s ": (dmran.feature_attention, dmran_variant, lambda p, name=name: [p.get("after", p).get(name)])
        for name in ("ln", "ln_f")},
    "dmran.vanilla": {
        f"{name}'s ": (dmran.vanilla, atrank_variant, lambda p, name=name: [p.get("van", p).get(name)])
        for name in ("ln", "ln_f")},
    "dmran": {f"{of} {name}'s ": (dmran.model, module, lambda p, of=of, name=name: [p.get(of, p).get(name)])
              for of, module in (("after", dmran_variant),)
              for name in ("ln", "ln_f")},
    "hiersrec.encoder_block": {
        f"{name}'s ": (hiersrec.encoder_block, hiersrec_paper, lambda p, name=name: [p[name]])
        for name in ("ln1", "ln2")},
    "hiersrec": {
        "last norm's ": (hiersrec.model, hiersrec_paper, lambda p: [p["ln"]]),
        **{f"{name}'s ": (hiersrec.model, hiersrec_paper, of_blocks(name, "blocks")) for name in ("ln1",)}},
    "hiersrec.projection": {
        "logits' norm's ": (hiersrec.projection, hiersrec_variant, lambda p: [p.get("ln_logits")])},
}
FEWER = {"hiersrec.projection": ("eps 1e-5 instead of 1e-8",),  # where values spread by a tenth
         "hiersrec": ("eps 1e-5 instead of 1e-8",),
         **{model: ("eps dropped", "eps 1e-5 instead of 1e-8") for model in ("hmar", "dmran")}}


def of_norms(component, places):
    """The faults of a component's norms."""
    return {f"{place}{name}": in_norm(*where, norm) for place, where in places.items() for name, norm in NORMS.items()
            if name in FEWER.get(component, NORMS)}


FAULTS = {
    "layers.layer_norm": {"variance in one pass": lambda p, i, tap: {"y": one_pass(p, i["x"], i["eps"])}},
    **{component: {name: plant(*where, masked_softmax=f) for name, f in SOFTMAX.items()
                   if component not in AS_BY_50 or "30" not in name}
       for component, where in ATTENTION.items()},
}
for more in (LOSSES, {name: of_norms(name, places) for name, places in NORMED.items()}):
    for component, faults in more.items():
        FAULTS.setdefault(component, {}).update(faults)


def plant_right(component):
    """The same with what is right."""
    function, module = ATTENTION[component]
    return plant(function, module, masked_softmax=att.masked_softmax)


RIGHT = {"hmar.ranking_loss": [plant(hmar.ranking_loss, hmar, softplus=lambda x: np.logaddexp(0, x))],
         "hmar": [in_norm(hmar.model, hmar_paper, NORMED["hmar"][""][2], layer_norm), plant_right("hmar")]}
