"""Cases of the ledger's rows on DMRAN, on a log of three users; see ledger_cases.py.

The default side is that of papers/dmran.py; a switch's side is that of variants/dmran.py.
"""
from dataclasses import replace

import numpy as np

from mbref import metrics, training
from mbref.data import sequences, targets
from mbref.nn.layers import dense, embed, time_bucket
from mbref.nn.losses import log_softmax
from mbref.nn.masks import padding
from mbref.papers import dmran
from mbref.variants import dmran as variants
from tests.ledger.ledger_cases import draw_as

N, DAY = 9, 86400
BASE = dmran.Config(items=N, width=8, hops=3)
ITEMS, DAYS = [3, 1, 4, 1, 5, 2, 7, 2, 8], [0, 1, 9, 40, 400, 2, 3, 5, 6]
CATEGORY = np.array([0, 1, 2, 2, 3, 1, 3, 1, 2, 3])


def variant(fields):
    """BASE with fields of variants/dmran.py."""
    return replace(variants.Config(**vars(BASE), heads=2), **fields)


def model_of(config):
    return variants if isinstance(config, variants.Config) else dmran


def make_events(config=BASE):
    """Users 1, 2 and 3 with 5, 3 and 1 events; the last one is no target."""
    users = np.array([1] * 5 + [2] * 3 + [3])
    log = sequences.from_rows(users, np.array(ITEMS), np.ones(9, int), 1)
    category = CATEGORY if config.categories else None
    return log._replace(time=np.array(DAYS) * DAY, category=category)


def params_of(config):
    return draw_as(model_of(config).init(np.random.default_rng(0), config))


def batch_of(config=BASE):
    events, rng = make_events(config), np.random.default_rng(1)
    rows, = dmran.examples(events, config, rng)
    return dmran.training_batch(events, rows, config, rng)


def scores(config, params=None, batch=None):
    batch, params = batch or batch_of(config), params or params_of(config)
    return model_of(config).score(params, batch, batch.candidate, config)


def loss(config, params=None, batch=None):
    batch, params = batch or batch_of(config), params or params_of(config)
    return model_of(config).loss(params, batch, config)


def states_of(config=BASE):
    return model_of(config).forward(params_of(config), batch_of(config), config)


def codes(params):
    """H of BASE."""
    batch = batch_of()
    return dmran.history_code(params, batch.histories[0], batch.features[0])


def by_scores(change):
    return scores(BASE), scores(variant(change))


def by_loss(change):
    return loss(BASE), loss(variant(change))


def by_category(change):
    """How far the scores move when all items change their category."""
    moves = []
    for config in (BASE, variant(change)):
        features = batch_of(config).features[0].copy()
        features[:, 1:] = features[::-1, 1:]
        other = batch_of(config)._replace(features=(features,))
        moves.append(np.abs(scores(config, batch=other) - scores(config)).max())
    return tuple(moves)


def activation_of_eq_1():
    """H itself, and what a ReLU after eq. 1 would leave of it."""
    H = codes(params_of(BASE))
    return H, np.maximum(H, 0)


def one_hot_time():
    """One-hot buckets with the weights T W_0 instead of a learned table T give the same H."""
    params, batch = params_of(BASE), batch_of()
    history = batch.histories[0]
    v = embed(params["V"], batch.features[0][history.item])
    one_hot = time_bucket(history.gap, "paper")[..., None] == np.arange(14)
    w = np.concatenate([params["W_0"]["w"][:8], params["T"] @ params["W_0"]["w"][8:]])
    other = dense({"w": w, "b": params["W_0"]["b"]}, np.concatenate([v, one_hot], axis=-1))
    return codes(params), other


def bias_before_the_relu():
    """A by eq. 7, and with a bias of 1 beside W_s1."""
    return states_of()[2], _hops(inside=1.0)


def bias_after_the_relu():
    """A by eq. 7, and with a bias beside W_s2, the same for all events: the softmax removes it."""
    return states_of()[2], _hops(outside=2.0)


def _hops(inside=0.0, outside=0.0):
    """A by eq. 7 with biases, written out."""
    params = params_of(BASE)
    s = np.maximum(codes(params) @ params["W_s1"].T + inside, 0) @ params["W_s2"].T + outside
    e = np.exp(s) * padding(batch_of().histories[0].item)[..., None]  # [B, n, r]
    return np.swapaxes(e / e.sum(axis=1, keepdims=True), 1, 2)


def shared_vanilla_block():
    """Two blocks for h and h^, and the first one for both."""
    config = variant({"robust": True})
    params = params_of(config)
    return scores(config, params), scores(config, params | {"van_hat": params["van"]})


def gate_by_either_name():
    """Giving G to h^ is giving 1 - G to h: the same with W_f1, W_f2 and b_f of the other sign."""
    params, rng = params_of(BASE), np.random.default_rng(0)
    h, h_hat = rng.normal(size=(2, 4, 1, 8))
    other = {"W_f1": -params["W_f2"], "W_f2": -params["W_f1"], "b_f": -params["b_f"]}
    return dmran.fusion(params, h, h_hat), dmran.fusion(other, h_hat, h)


def activations(config):
    """h_c and i_c."""
    params, batch = params_of(config), batch_of(config)
    return dmran.logits(params, batch, states_of(config), batch.candidate, config)[1:]


def candidate_as_it_is():
    """i_c is V[c], no affine map of it."""
    return activations(BASE)[1], params_of(BASE)["V"][0][batch_of().candidate]


def penalty_without_users():
    """lambda_1 is on h_c and i_c: the loss grows by half of it times their squares."""
    more = replace(BASE, penalty=BASE.penalty + 2)
    return loss(more) - loss(BASE), sum(np.sum(x**2) for x in activations(BASE))


def mean_of_the_likelihood():
    """The loss, and a sum over all scores in place of the mean."""
    config, batch = replace(BASE, penalty=0.0, redundancy=0.0), batch_of()
    z = scores(config)
    return loss(config), np.sum(np.logaddexp(0, np.where(batch.label, -z, z)))


def negatives_of_the_past_alone():
    """Of 400 negatives of user 1's first target, is one an item that follows?

    Not if the whole list is looked at.
    """
    past = sequences.from_rows(np.ones(2, int), np.array(ITEMS[:2]), np.ones(2, int), 1)
    rng, later, found = np.random.default_rng(0), set(ITEMS[2:5]), []
    for log in (make_events(), past):
        negatives = {rows[0, 2] for _ in range(400) for rows in dmran.examples(log, BASE, rng)}
        found.append(bool(negatives & later))
    return tuple(found)


def batch_size(change):
    """Scores in one step, two a row."""
    settings = training.Settings(batch_size=int(dmran.SETTINGS["batch_size"]))
    tasks, both = [np.zeros((100, 3), int)], (settings, replace(settings, **change))
    return tuple(2 * len(training.rows_of_step(tasks, one, 0)[1]) for one in both)


def falling_rate(change):
    """The step size after 400,000 steps."""
    settings = training.Settings(optimiser="sgd", rate=float(dmran.SETTINGS["rate"]))
    both = settings, replace(settings, **change)
    return tuple(training.rule(one, 400_000).rate for one in both)


def nothing_is_drawn():
    """The loss with a Generator, as in training, and without."""
    params, batch = params_of(BASE), batch_of()
    return dmran.loss(params, batch, BASE, np.random.default_rng(0)), loss(BASE)


def order_by_softmax():
    """AUC by scores, and by eq. 19's softmax over all items."""
    batch = batch_of()
    z = dmran.score_all(params_of(BASE), batch, BASE)
    positive = np.arange(1, N + 1) == batch.candidate[:, :1]
    return metrics.auc(z, positive), metrics.auc(np.exp(log_softmax(z)), positive)


def padding_at_the_end():
    """Scores with three more columns of padding."""
    batch = batch_of()
    history = targets.History(*(np.pad(x, ((0, 0), (0, 3))) for x in batch.histories[0]))
    return scores(BASE), scores(BASE, batch=batch._replace(histories=(history,)))


def feature_of_m_j():
    """M^ by eq. 12, and with m_i for m_j, where the weights sum to 1 and M^ is M."""
    M, M_hat, _ = states_of()
    return M_hat, M
