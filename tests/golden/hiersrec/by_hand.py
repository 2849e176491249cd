"""HierSRec's components by hand, row by row of a batch."""
from fractions import Fraction

import autograd.numpy as np
from autograd.tracer import getval

from mbref.by_hand import hiersrec as by_hand
from mbref.check.components.reading import config_of
from mbref.nn import optim
from mbref.variants import hiersrec
from tests.golden.hiersrec import one_session
from tests.golden.shared.by_hand import rows, spread


def config_from(inputs, **more):
    return config_of(hiersrec.Config, inputs, **more)


def about(inputs):
    """What is known of all items."""
    return inputs["category"], inputs.get("texts")


def item_features(params, inputs):
    config = config_from(inputs)

    def one(item):
        found = [one_session.item_features(params, i, about(inputs), config)
                 for i in item[item > 0]]
        return spread(found, item > 0, hiersrec.input_width(config))
    return {"features": rows(one, inputs["item"])}


def encoder_block(params, inputs):
    def one(h, real):
        found = by_hand.encoder_block(params, [h[t] for t in np.flatnonzero(real)], inputs["heads"])
        return spread(found, real, h.shape[1])
    return {"y": rows(one, inputs["h"], inputs["real"])}


def encode(params, inputs):
    config = config_from(inputs)

    def one(item):
        clicks = item[item > 0]
        found = one_session.encode(params, clicks, about(inputs), config) if len(clicks) else []
        return spread(found, item > 0, config.width)
    return {"s": rows(one, inputs["item"])}


def category_logp(params, inputs):
    def one(s):
        z = by_hand.category_logits(params, s)
        top = max(getval(z))
        return z - top - np.log(sum(np.exp(z[c] - top) for c in range(len(z))))
    return {"logp": rows(one, inputs["s"])}


def projection(params, inputs):
    """From log p: a layer norm does not notice that they are not logits.

    The gradient of exp(log p) is not a softmax's.
    """
    config = config_from(inputs, items=1, categories=1)

    def one(logp, true):
        if config.hier in ("logits", "oracle"):
            return one_session.projection(params, logp, config, true)
        p = np.exp(getval(logp) if config.hier == "stop" else logp)
        return by_hand.weighted_sum(p, params["E_C" if config.hier == "tied" else "W_p"])
    return {"g": rows(one, inputs["logp"], inputs["oracle"])}


def join(params, inputs):
    """The gradient of log p in the vector and that of log p itself come together."""
    config = config_from(inputs)

    def one(s, true):
        if config.tasks == "item":
            return [s, None]
        z = by_hand.category_logits(params, s)
        logp = np.array([-one_session.surprise(list(z), c) for c in range(len(z))])
        if config.hier == "none":
            return [s, logp]
        g = one_session.projection(params, z, config, true, getval(z))
        return [np.concatenate([s, g]), logp]

    pairs = [one(*row) for row in zip(inputs["s"], inputs["oracle"], strict=True)]
    q, logp = zip(*pairs, strict=True)
    return {"q": np.array(q)} | ({} if config.tasks == "item" else {"logp": np.array(logp)})


def item_logits(params, inputs):
    config = config_from(inputs)
    items = range(1, config.items + 1)


    def one(q):
        return [one_session.item_logit(params, q, i, about(inputs), config) for i in items]
    return {"logits": rows(one, inputs["q"])}


def by_probability(logp):
    """Categories, the most probable first, the lower id first among equals."""
    return sorted(range(len(logp)), key=lambda c: (-logp[c], c))


def choose_until(logp, enough):
    """Categories by falling probability until enough(those chosen so far).  -> [C] bool."""
    chosen = []
    for c in by_probability(logp):
        chosen.append(c)
        if enough(chosen):
            break
    return np.isin(np.arange(len(logp)), chosen)


def candidates_topk(params, inputs):
    def one(logp):
        return choose_until(logp, lambda chosen: len(chosen) == inputs["k"])
    return {"chosen": rows(one, inputs["logp"])}


def candidates_mass(params, inputs):
    def one(logp):
        def enough(chosen):
            return sum(np.exp(logp[c]) for c in chosen) >= inputs["tau"]
        return choose_until(logp, enough)
    return {"chosen": rows(one, inputs["logp"])}


def candidates_budget(params, inputs):
    category = inputs["category"][1:]

    def one(logp):
        def enough(chosen):
            return sum(c in chosen for c in category) >= Fraction(str(inputs["rho"])) * len(category)
        return choose_until(logp, enough)
    return {"chosen": rows(one, inputs["logp"])}


def candidate_items(params, inputs):
    def one(chosen):
        return [chosen[c] for c in inputs["category"][1:]]
    return {"allowed": rows(one, inputs["chosen"])}


def score(params, inputs):
    config, scores = config_from(inputs), []
    columns = (inputs[name] for name in ("item", "candidate", "oracle"))
    for item, candidate, true in zip(*columns, strict=True):
        s = one_session.encode(params, item[item > 0], about(inputs), config)[-1]
        logits = by_hand.category_logits(params, s) if config.tasks == "both" else None
        z = one_session.predict(params, s, about(inputs), config, true, logits)[0]
        scores.append(np.array([z[i - 1] for i in candidate]))
    return {"scores": np.array(scores)}


def model(params, inputs):
    """The sum over all sessions by the number of clicks with a next one."""
    config, total = config_from(inputs), 0.0
    fixed = optim.tree_map(getval, params) if config.hier == "stop" else None
    known = [int(i) + 1 for i in np.flatnonzero(inputs["known"])]
    for item, follow in zip(inputs["item"], inputs["next"], strict=True):
        n = (follow > 0).sum()
        if n:
            session = [*item[:n], follow[n - 1]]
            total = total + one_session.loss(params, session, about(inputs), config, fixed, known)
    return {"loss": total / (inputs["next"] > 0).sum()}


BY_HAND = {
    "hiersrec.item_features": item_features, "hiersrec.encoder_block": encoder_block,
    "hiersrec.encode": encode, "hiersrec.category_logp": category_logp,
    "hiersrec.projection": projection, "hiersrec.joined": join,
    "hiersrec.item_logits": item_logits,
    "hiersrec.candidates_topk": candidates_topk, "hiersrec.candidates_mass": candidates_mass,
    "hiersrec.candidates_budget": candidates_budget, "hiersrec.candidate_items": candidate_items,
    "hiersrec.score": score, "hiersrec": model,
}
