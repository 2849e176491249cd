"""mbref's side of HMAR as released: the graphs of the authors' four model files."""
from mbref.check.components.reading import component, take, where_real
from mbref.nn.layers import ignore
from mbref.released.hmar import model as hmar
from mbref.released.hmar.data import Batch, Next

SHOWN = ("input", "merged", "states")


@component("loss")
def released(params, inputs, tap):
    """The loss of a batch as the authors' code has it.  -> [].  Steps (1)-(7)."""
    batch, config = batch_of(inputs), config_of(params, inputs)
    if tap is not ignore:
        shown = where_real(tap, batch.item > 0)
        hmar.forward(params, batch, config,
                     lambda name, a: shown(name, a) if name in SHOWN else None)
    return hmar.loss(params, batch, config)


def batch_of(inputs):
    """The Batch with its Next."""
    follow = Next(*take(inputs, "next_item next_weight next_label next_counts negative"))
    return Batch(*take(inputs, "item behaviour counts"), follow)


def config_of(params, inputs):
    """Sizes from the parameters."""
    rows, width = params["item"].shape
    return hmar.Config(items=rows - 1, behaviours=len(params["indicator"]["w"]), width=width,
                       heads=inputs["heads"], variant=inputs["variant"],
                       length=len(params["position"]), dropout=0.0)
