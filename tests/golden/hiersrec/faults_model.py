"""Faults of HierSRec's joined heads, score and whole model.  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.check.components import hiersrec as right
from mbref.nn import masks
from mbref.nn.layers import dense, stop_gradient
from mbref.papers import hiersrec
from tests.golden.fault import fed, planted
from tests.golden.hiersrec.faults import backwards, later, own_features
from tests.golden.shared.faults_attention import exponents, share

own_forward, own_projection = hiersrec.forward, hiersrec.projection


def at_the_end(params, batch, config):
    """The state of the last place, padding or not."""
    return own_forward(params, batch, config)[:, -1]


def joined(side=lambda s, g: [s, g], head=lambda s: s, shown=lambda logp: logp, axis=-1):
    """Session and category vector in another order, with another reading of the category head."""
    def both(params, inputs, tap):
        config, s = right.config_of(hiersrec.Config, inputs), inputs["s"]
        if config.tasks == "item":
            return {"q": s}
        logp = np.log(share(exponents(dense(params["category"], head(s)), axis), axis))
        if config.hier == "none":
            return {"q": s, "logp": shown(logp)}
        g = hiersrec.projection(params, logp, config, inputs["oracle"])
        return {"q": np.concatenate(side(s, g), axis=-1), "logp": shown(logp)}
    return both


def of_form(hier, instead, function=right.model):
    """The model with another form of the projection, where it has the form `hier`."""
    return fed(function, lambda i: {"hier": instead if i.get("hier", "soft") == hier else i.get("hier", "soft")})


def all_clicks(params, inputs, tap):
    """Means over all clicks, also those that nothing follows, and padding."""
    share = (inputs["next"] > 0).sum() / inputs["next"].size
    return {name: a * share for name, a in right.model(params, inputs, tap).items()}


def of_the_click(params, inputs, tap):
    """The category head learns the category of the click itself."""
    config, batch = right.config_of(hiersrec.Config, inputs), right.batch_of(inputs)
    item, _ = hiersrec.losses(params, batch, config)
    at = np.flatnonzero(inputs["next"])
    s = np.reshape(hiersrec.forward(params, batch, config), (inputs["item"].size, -1))[at]
    logp, label = hiersrec.category_logp(params, s), inputs["category"][inputs["item"].ravel()[at]]
    category = -np.sum(logp[np.arange(len(at)), label]) / len(at)
    return {"loss": item + config.category_weight * category, "item_loss": item, "category_loss": category}


FAULTS = {
    "hiersrec.joined": {
        "category vector before the session": joined(lambda s, g: [g, s]),
        "softmax over the sessions": joined(axis=0),
        "probabilities instead of their logarithms": joined(shown=np.exp),
        "no gradient from the category head to the session": joined(head=stop_gradient),
        "gradient through the probabilities stopped": of_form("soft", "stop", right.joined),
        "gradient through the probabilities not stopped": of_form("stop", "soft", right.joined),
        "the predicted category where the true one is meant": of_form("oracle", "soft", right.joined),
        "the true category where the predicted one is meant": of_form("soft", "oracle", right.joined),
    },
    "hiersrec.score": {
        "state of the last place, even where it is padding": planted(right.score, hiersrec, newest=at_the_end),
        "attends to later clicks": planted(right.score, masks, causal=later),
        "positions from the newest click": backwards(right.score),
        "candidates one item off": fed(right.score, lambda i: {"candidate": np.maximum(i["candidate"] - 1, 1)}),
        "the predicted category not read": planted(
            right.score, hiersrec, projection=lambda *args: 0 * own_projection(*args)),
    },
    "hiersrec": {
        "attends to later clicks": planted(right.model, masks, causal=later),
        "positions from the newest click": backwards(right.model),
        "means over padding too": all_clicks,
        "category loss not weighted": fed(right.model, lambda i: {"category_weight": 1.0}),
        "category loss left out": fed(right.model, lambda i: {"category_weight": 0.0}),
        "category head learns the category of the click itself": of_the_click,
        "unknown items in the softmax": fed(right.model, lambda i: {"softmax": "all"}),
        "gradient through the probabilities stopped": of_form("soft", "stop"),
        "gradient through the probabilities not stopped": of_form("stop", "soft"),
        "heads side by side, without the projection": planted(
            right.model, hiersrec, projection=lambda *args: 0 * own_projection(*args)),
        "items' features get no gradient": planted(
            right.model, hiersrec, item_features=lambda *args: stop_gradient(own_features(*args))),
    },
}
