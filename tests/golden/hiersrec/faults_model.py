"""Faults of HierSRec's joined heads, score and whole model.  {component: {fault: function}}."""
from dataclasses import replace

import autograd.numpy as np

from mbref.check.components import hiersrec as right
from mbref.nn import masks
from mbref.nn.layers import dense, stop_gradient
from mbref.nn.losses import log_softmax
from mbref.variants import hiersrec
from tests.golden.fault import feed, plant
from tests.golden.hiersrec.faults import backwards, later, without_gradient

own_projection = hiersrec.projection


def at_the_end(states, item):
    """The state of the last place, padding or not."""
    return states[:, -1]


def causal_keys(real):
    """A mask that lets a place of padding attend to the session, as its state is read here."""
    return masks.causal(real.shape[1]) & real[:, None]


def join(side=lambda s, g: [s, g], head=lambda s: s, shown=lambda logp: logp, axis=-1):
    """Session and category vector in another order, with another reading of the category head."""
    def both(params, inputs, tap):
        config, s = right.config_of(hiersrec.Config, inputs), inputs["s"]
        if config.tasks == "item":
            return {"q": s}
        z = dense(params["category"], head(s))
        logp = np.swapaxes(log_softmax(np.swapaxes(z, axis, -1)), axis, -1)
        if config.hier == "none":
            return {"q": s, "logp": shown(logp)}
        g = hiersrec.projection(params, logp, config, inputs["oracle"])
        return {"q": np.concatenate(side(s, g), axis=-1), "logp": shown(logp)}
    return both


def of_form(hier, instead, function=right.model):
    """The model with another form of the projection, where it has the form `hier`."""
    def change(inputs):
        own = inputs.get("hier", "soft")
        return {"hier": instead if own == hier else own}
    return feed(function, change)


def all_clicks(params, inputs, tap):
    """Means over all clicks, also those that nothing follows, and padding."""
    share = (inputs["next"] > 0).sum() / inputs["next"].size
    return {name: a * share for name, a in right.model(params, inputs, tap).items()}


def of_the_click(params, inputs, tap):
    """The category head learns the category of the click itself."""
    config, batch = right.config_of(hiersrec.Config, inputs), right.batch_of(inputs)
    item = hiersrec.loss(params, batch, replace(config, category_weight=0.0))
    s = np.reshape(hiersrec.forward(params, batch, config), (batch.item.size, -1))[batch.at]
    logp, label = hiersrec.category_logp(params, s), batch.category[batch.item.ravel()[batch.at]]
    category = -np.sum(logp[np.arange(len(label)), label]) / len(label)
    return {"loss": item + config.category_weight * category}


FAULTS = {
    "hiersrec.joined": {
        "category vector before the session": join(lambda s, g: [g, s]),
        "softmax over the sessions": join(axis=0),
        "probabilities instead of their logarithms": join(shown=np.exp),
        "no gradient from the category head to the session": join(head=stop_gradient),
        "gradient through the probabilities stopped": of_form("soft", "stop", right.joined),
        "gradient through the probabilities not stopped": of_form("stop", "soft", right.joined),
        "the predicted category where the true one is meant": of_form(
            "oracle", "soft", right.joined),
        "the true category where the predicted one is meant": of_form(
            "soft", "oracle", right.joined),
    },
    "hiersrec.score": {
        "state of the last place, even where it is padding": plant(
            plant(right.score, hiersrec, newest=at_the_end), masks, causal_real=causal_keys),
        "attends to later clicks": plant(right.score, masks, causal=later),
        "positions from the newest click": backwards(right.score),
        "candidates one item off": feed(
            right.score, lambda i: {"candidate": np.maximum(i["candidate"] - 1, 1)}),
        "the predicted category not read": plant(
            right.score, hiersrec, projection=lambda *args: 0 * own_projection(*args)),
    },
    "hiersrec": {
        "attends to later clicks": plant(right.model, masks, causal=later),
        "positions from the newest click": backwards(right.model),
        "means over padding too": all_clicks,
        "category loss not weighted": feed(right.model, lambda i: {"category_weight": 1.0}),
        "category loss left out": feed(right.model, lambda i: {"category_weight": 0.0}),
        "category head learns the category of the click itself": of_the_click,
        "unknown items in the softmax": feed(right.model, lambda i: {"softmax": "all"}),
        "gradient through the probabilities stopped": of_form("soft", "stop"),
        "gradient through the probabilities not stopped": of_form("stop", "soft"),
        "heads side by side, without the projection": plant(
            right.model, hiersrec, projection=lambda *args: 0 * own_projection(*args)),
        "items' features get no gradient": plant(
            right.model, hiersrec, item_features=without_gradient),
    },
}

# The text around the faults, without any: it must be right.
RIGHT = {
    "hiersrec.joined": [join()],
}
