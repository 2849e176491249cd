"""DMRAN's components by hand, row by row of a batch."""
import autograd.numpy as np

from mbref.by_hand import dmran as by_hand
from mbref.check.components.reading import config_of
from mbref.papers import dmran
from tests.golden.shared.by_hand import rows, spread


def config_from(inputs):
    return config_of(dmran.Config, inputs)


def thing(inputs, item):
    """An item as by_hand reads it."""
    return [item, inputs["category"][item]] if inputs.get("categories") else [item]


def histories(inputs):
    """The events of every row."""
    for item, gap in zip(inputs["item"], inputs["gap"], strict=True):
        yield [(thing(inputs, i), g) for i, g in zip(item, gap, strict=True) if i]


def history_code(params, inputs):
    config = config_from(inputs)
    return {"H": np.array([np.array(spread(by_hand.history_code(params, events, config), item > 0, config.width))
                           for events, item in zip(histories(inputs), inputs["item"], strict=True)])}


def item_attention(params, inputs):
    def one(H, real):
        at = np.flatnonzero(real)
        A = by_hand.item_attention(params, [H[t] for t in at]) if len(at) else [[]] * len(params["W_s2"])
        return [np.array(spread(hop, real, ())) for hop in A]
    return {"A": rows(one, inputs["H"], inputs["real"])}


def redundancy(params, inputs):
    return {"penalty": rows(by_hand.redundancy, inputs["A"])}


def beta_of(params, M, allowed):
    """Weights of one sample: r lists of r vectors, zeros for rows that are not allowed."""
    weights = []
    for i in range(len(M)):
        others = np.flatnonzero(allowed[i])
        beta = by_hand.feature_weights(params, M, i, others) if len(others) else []
        vectors = [np.array([of_feature[n] for of_feature in beta]) for n in range(len(others))]
        weights.append(np.array(spread(vectors, allowed[i], M.shape[1])))
    return np.array(weights)


def alignment(params, inputs):
    return {"beta": rows(lambda M, allowed: beta_of(params, M, allowed), inputs["M"], inputs["allowed"])}


def feature_attention(params, inputs):
    def one(M, allowed):
        beta = beta_of(params, M, allowed)
        M_hat = [sum(beta[i, j] * M[j] for j in range(len(M))) for i in range(len(M))]
        if inputs.get("robust"):
            return [by_hand.feed_forward(params["after"], m_hat + m) for m_hat, m in zip(M_hat, M, strict=True)]
        return M_hat
    return {"M_hat": rows(one, inputs["M"], inputs["allowed"])}


def vanilla(params, inputs):
    config = config_of(dmran.Config, inputs, items=1, width=inputs["M"].shape[-1])
    p = params.get("van")

    def nothing(c):
        return by_hand.feed_forward(p, c) if config.robust else 0 * c

    def one(M, i_c, real):
        kept = [M[j] for j in np.flatnonzero(real)]
        return [by_hand.vanilla(p, kept, c, config) if kept else nothing(c) for c in i_c]
    return {"h": rows(one, inputs["M"], inputs["i_c"], inputs["real"])}


def fusion(params, inputs):
    return {"h_c": rows(lambda h, h_hat: [by_hand.fusion(params, *pair) for pair in zip(h, h_hat, strict=True)],
                        inputs["h"], inputs["h_hat"])}


def states(params, events, config):
    """M, M^ and A of one history; of an empty one M and A are zeros, and so is all that follows."""
    if events:
        return by_hand.forward(params, events, config)
    M = [np.zeros(config.width)] * config.hops
    M_hat = by_hand.feature_attention(params, M, config) if config.variant != "item" else None
    return M, M_hat, [[0.0]] * config.hops


def score(params, inputs):
    config, scores = config_from(inputs), []
    for events, row in zip(histories(inputs), inputs["candidate"], strict=True):
        M, M_hat, _ = states(params, events, config)
        scores.append(np.array([by_hand.match(params, M, M_hat, thing(inputs, i), config)[0] for i in row]))
    return {"scores": np.array(scores)}


def model(params, inputs):
    """Rows of a positive and a negative; lambda_1 counts every activation, everything else is a mean."""
    config, total, n = config_from(inputs), 0.0, len(inputs["item"])
    for events, (positive, negative) in zip(histories(inputs), inputs["candidate"], strict=True):
        M, M_hat, A = states(params, events, config)
        found = [by_hand.match(params, M, M_hat, thing(inputs, i), config) for i in (positive, negative)]
        P = 1 / (1 + np.exp(-found[0][0])) * (1 - 1 / (1 + np.exp(-found[1][0])))
        used = by_hand.squares([x for _, *more in found for x in more])
        overlap = by_hand.redundancy(A) if config.variant != "feature" else 0.0
        total = total - np.log(P) / 2 / n + config.penalty / 2 * used + config.redundancy * overlap / n
    return {"loss": total + config.weight_decay / 2 * by_hand.squares(params)}


BY_HAND = {"dmran.history_code": history_code, "dmran.item_attention": item_attention, "dmran.redundancy": redundancy,
           "dmran.alignment": alignment, "dmran.feature_attention": feature_attention, "dmran.vanilla": vanilla,
           "dmran.fusion": fusion, "dmran.score": score, "dmran": model}
