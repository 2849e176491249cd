"""mbref's side of ATRank. Histories are padded on the right. D width, N items, F features."""
import autograd.numpy as np

from mbref.check.components.reading import component, config_of, where_real
from mbref.data.targets import Batch, History
from mbref.nn import layers
from mbref.variants import atrank


def batch_of(inputs):
    """One group of items: each its item and its category."""
    item, category = inputs["item"], inputs["category"]
    features = np.stack([np.arange(len(category), like=category), category], axis=1)
    history = History(item, (item > 0).astype(int), inputs["gap"])
    return Batch((history,), (features,), 0, inputs.get("candidate"), inputs.get("label"))


def read_config(inputs, **more):
    """The Config of a case: what it leaves out is as released, D as wide as an object's code."""
    features = inputs["groups"][0] if "groups" in inputs else ("item", "category")
    width = len(features) * inputs.get("table_width", 64)
    return config_of(atrank.Config, inputs, **{**atrank.RELEASED, "width": width, **more})


def block_config(inputs, query):
    """The Config of blocks alone, which read no more of it."""
    read = {name: inputs[name] for name in ("heads", "scores")}
    return read_config(read, items=1, width=query.shape[-1], query="group")


time_bucket = component("bucket")(layers.time_bucket)
behaviour_code = component("code")(lambda params, inputs: first_code(
    params, batch_of(inputs), read_config(inputs)))
score = component("scores")(lambda params, inputs, candidate: atrank.score(
    with_blocks(params), batch_of(inputs), candidate, read_config(inputs)))
model = component("loss")(lambda params, inputs, tap: loss_of(
    with_blocks(params), batch_of(inputs), read_config(inputs), tap))


def with_blocks(params):
    """The parameters of a case: no array of it tells of an empty list of blocks."""
    return {"self": [], **params}


@component("y")
def attention_block(params, inputs, query, memory, allowed, tap):
    """Attention, then feed-forward, with residuals and norms.  -> [B, C, D].  Steps (5), (6)."""
    config = block_config(inputs, query)
    return atrank.attention_block(params, query, memory, allowed, config, None, tap)


def first_code(params, batch, config):
    """The code of the events of the first group, 0 at padding.  -> [B, T, D]."""
    history, features = batch.histories[0], batch.features[0]
    code = atrank.behaviour_code(params, config, 0, history, features)
    return code * (history.item > 0)[..., None]


def real_events(batch):
    """True where there is an event, groups one after the other.  -> [B, S]."""
    return np.concatenate([history.item > 0 for history in batch.histories], axis=1)


def loss_of(params, batch, config, tap):
    """The loss of a batch, with the taps of its events and of its candidates."""
    if tap is not layers.ignore:
        states = atrank.forward(params, batch, config, where_real(tap, real_events(batch)))
        shown = where_real(tap, batch.candidate > 0)
        atrank.logits(params, batch, states, batch.candidate, config, shown)
    return atrank.loss(params, batch, config)
