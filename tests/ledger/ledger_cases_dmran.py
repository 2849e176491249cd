"""Cases of the ledger's rows on DMRAN, on a log of three users; see ledger_cases.py."""
from dataclasses import replace

import numpy as np

from mbref import metrics, training
from mbref.data import sequences, targets
from mbref.nn.layers import dense, time_bucket
from mbref.nn.losses import log_softmax
from mbref.nn.masks import padding
from mbref.papers import dmran
from tests.ledger.ledger_cases import draw_as

N, DAY = 9, 86400
BASE = dmran.Config(items=N, width=8, hops=3, heads=2)
ITEMS, DAYS = [3, 1, 4, 1, 5, 2, 7, 2, 8], [0, 1, 9, 40, 400, 2, 3, 5, 6]
CATEGORY = np.array([0, 1, 2, 2, 3, 1, 3, 1, 2, 3])


def events(config=BASE):
    """Users 1, 2 and 3 with 5, 3 and 1 events; the last one is no target."""
    log = sequences.from_rows(np.array([1] * 5 + [2] * 3 + [3]), np.array(ITEMS), np.ones(9, int), 1)
    return log._replace(time=np.array(DAYS) * DAY, category=CATEGORY if config.categories else None)


def params_of(config):
    return draw_as(dmran.init(np.random.default_rng(0), config))


def batch_of(config=BASE):
    rows, = dmran.examples(events(config), config, np.random.default_rng(1))
    return dmran.batch(events(config), rows, config, np.random.default_rng(2))


def scores(config, params=None, batch=None):
    batch = batch or batch_of(config)
    return dmran.score(params or params_of(config), batch, batch.candidate, config)


def loss(config):
    return dmran.loss(params_of(config), batch_of(config), config)


def by_scores(change):
    return scores(BASE), scores(replace(BASE, **change))


def by_loss(change):
    return loss(BASE), loss(replace(BASE, **change))


def by_category(change):
    """How far the scores move when all items change their category."""
    moved = []
    for config in (BASE, replace(BASE, **change)):
        features = batch_of(config).features[0].copy()
        features[:, 1:] = features[::-1, 1:]
        other = batch_of(config)._replace(features=(features,))
        moved.append(np.abs(scores(config, batch=other) - scores(config)).max())
    return tuple(moved)


def activation_of_eq_1():
    """H itself, and what a ReLU after eq. 1 would leave of it."""
    H = dmran.forward(params_of(BASE), batch_of(), replace(BASE, variant="feature"))[0]
    return H, np.maximum(H, 0)


def one_hot_time():
    """One-hot buckets with the weights T W_0 instead of a learned table T give the same H."""
    params, history = params_of(BASE), batch_of().histories[0]
    v = dmran.object_code(params, np.array(batch_of().features[0])[history.item])
    one_hot = time_bucket(history.gap, BASE.bucket)[..., None] == np.arange(14)
    w = np.concatenate([params["W_0"]["w"][:8], params["T"] @ params["W_0"]["w"][8:]])
    H = dmran.history_code(params, history, batch_of().features[0], BASE)
    return H, dense({"w": w, "b": params["W_0"]["b"]}, np.concatenate([v, one_hot], axis=-1))


def bias_before_the_relu():
    """A by eq. 7, and with a bias of 1 beside W_s1."""
    return _hops(), _hops(inside=1.0)


def bias_after_the_relu():
    """A by eq. 7, and with a bias beside W_s2: it is the same for all events, so the softmax removes it."""
    return dmran.forward(params_of(BASE), batch_of(), BASE)[2], _hops(outside=2.0)


def _hops(inside=0.0, outside=0.0):
    """A by eq. 7 with biases, written out."""
    params, history = params_of(BASE), batch_of().histories[0]
    H = dmran.history_code(params, history, batch_of().features[0], BASE)
    s = np.maximum(H @ params["W_s1"].T + inside, 0) @ params["W_s2"].T + outside  # [B, n, r]
    e = np.exp(s) * padding(history.item)[..., None]
    return np.swapaxes(e / e.sum(axis=1, keepdims=True), 1, 2)


def shared_vanilla_block():
    """Two blocks for h and h^, and the first one for both."""
    config = replace(BASE, robust=True)
    params = params_of(config)
    return scores(config, params), scores(config, params | {"van_hat": params["van"]})


def gate_by_either_name():
    """Giving G to h^ is giving 1 - G to h: the same with W_f1, W_f2 and b_f of the other sign."""
    params, rng = params_of(BASE), np.random.default_rng(0)
    h, h_hat = rng.normal(size=(2, 4, 1, 8))
    other = {"W_f1": -params["W_f2"], "W_f2": -params["W_f1"], "b_f": -params["b_f"]}
    return dmran.fusion(params, h, h_hat), dmran.fusion(other, h_hat, h)


def candidate_as_it_is():
    """i_c is V[c], no affine map of it."""
    params, batch = params_of(BASE), batch_of()
    i_c = dmran.logits(params, batch, dmran.forward(params, batch, BASE), batch.candidate, BASE)[2]
    return i_c, params["V"][0][batch.candidate]


def penalty_without_users():
    """lambda_1 is on h_c and i_c: the loss grows by half of it times their squares."""
    params, batch = params_of(BASE), batch_of()
    _, h_c, i_c = dmran.logits(params, batch, dmran.forward(params, batch, BASE), batch.candidate, BASE)
    more = replace(BASE, penalty=BASE.penalty + 2)
    return dmran.loss(params, batch, more) - dmran.loss(params, batch, BASE), np.sum(h_c**2) + np.sum(i_c**2)


def mean_of_the_likelihood():
    """The loss, and a sum over all scores in place of the mean."""
    config, params, batch = replace(BASE, penalty=0.0, redundancy=0.0), params_of(BASE), batch_of()
    z = dmran.score(params, batch, batch.candidate, config)
    return dmran.loss(params, batch, config), np.sum(np.logaddexp(0, np.where(batch.label, -z, z)))


def negatives_of_the_past_alone():
    """Of 400 negatives of user 1's first target, is one an item that follows? Not if the whole list is looked at."""
    past = sequences.from_rows(np.ones(2, int), np.array(ITEMS[:2]), np.ones(2, int), 1)
    rng, later = np.random.default_rng(0), set(ITEMS[2:5])
    drawn = [{rows[0, 2] for _ in range(400) for rows in dmran.examples(log, BASE, rng)} for log in (events(), past)]
    return tuple(bool(items & later) for items in drawn)


def batch_size(change):
    """Scores in one step, two a row."""
    settings = training.Settings(batch_size=int(dmran.SETTINGS["batch_size"]))
    tasks = [np.zeros((100, 3), int)]
    return tuple(2 * len(training.rows_of_step(tasks, s, 0)[1]) for s in (settings, replace(settings, **change)))


def falling_rate(change):
    """The step size after 400,000 steps."""
    settings = training.Settings(optimiser="sgd", rate=float(dmran.SETTINGS["rate"]))
    return tuple(training.rule(s, 400_000).rate for s in (settings, replace(settings, **change)))


def nothing_is_drawn():
    """The loss with a Generator, as in training, and without."""
    params, batch = params_of(BASE), batch_of()
    return dmran.loss(params, batch, BASE, np.random.default_rng(0)), dmran.loss(params, batch, BASE)


def order_by_softmax():
    """AUC by scores, and by eq. 19's softmax over all items."""
    batch, z = batch_of(), dmran.score(params_of(BASE), batch_of(), None, BASE)
    positive = np.arange(1, N + 1) == batch.candidate[:, :1]
    return metrics.auc(z, positive), metrics.auc(np.exp(log_softmax(z)), positive)


def padding_at_the_end():
    """Scores with three more columns of padding."""
    batch, params = batch_of(), params_of(BASE)
    history = targets.History(*(np.pad(x, ((0, 0), (0, 3))) for x in batch.histories[0]))
    wide = batch._replace(histories=(history,))
    return tuple(dmran.score(params, b, batch.candidate, BASE) for b in (batch, wide))


def feature_of_m_j():
    """M^ by eq. 12, and with m_i in place of m_j, where the weights sum to 1 and M^ is M."""
    M, M_hat, _, _ = dmran.forward(params_of(BASE), batch_of(), BASE)
    return M_hat, M
