"""mbref's side of HMAR as released: the graphs of the authors' four model files."""
from mbref.check.components.reading import take, where_real
from mbref.released.hmar import model as hmar
from mbref.released.hmar.data import Batch, Next

SHOWN = ("input", "merged", "states")


def released(params, inputs, tap):
    """The loss of a batch.  -> loss []. Each event predicts the next one; padding is on the left.

    variant "taobao", "tianchi", "yelp", "movielens": the model file, see VARIANTS in
    released/hmar.py; heads. item, behaviour [B, T]; counts [B, T, K]; next_item [B, T], 0 = nothing
    to predict; next_weight [B, T] of the positive; next_label [B, T] 0..K-1; next_counts [B, T, K],
    of the positive and of the negative; negative [B, T]. Taps, NaN at padding: input, merged,
    states, all [B, T, D].
    """
    follow = Next(*take(inputs, "next_item next_weight next_label next_counts negative"))
    batch = Batch(*take(inputs, "item behaviour counts"), follow)
    config = config_of(params, inputs)
    shown = where_real(tap, batch.item > 0)
    hmar.forward(params, batch, config, lambda name, a: shown(name, a) if name in SHOWN else None)
    return {"loss": hmar.loss(params, batch, config)}


def config_of(params, inputs):
    """Sizes from the parameters."""
    rows, width = params["item"].shape
    return hmar.Config(items=rows - 1, behaviours=len(params["indicator"]["w"]), width=width,
                       heads=inputs["heads"], variant=hmar.VARIANTS[inputs["variant"]],
                       length=len(params["position"]), dropout=0.0)
