"""What the tests of the baselines share: Configs, a log of four users, parameters and batches."""
from dataclasses import replace

import numpy as np

from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import sequences
from mbref.nn import optim

TOLERANCE = 1e-10
N, DAY = 9, 86400
CNN = cnn.Config(items=N, categories=3, width=6, sizes=3, filters=4, length=6, penalty=1e-2)
LSTM = bilstm.Config(items=N, categories=3, width=4, length=6, penalty=1e-2)
OF_ONE_TARGET = [(cnn, CNN), (cnn, replace(CNN, categories=0)), (bilstm, LSTM),
                 (bilstm, replace(LSTM, attention=True)),
                 (bilstm, replace(LSTM, attention=True, categories=0))]
SASREC = sasrec.Config(items=N, width=4, length=6, heads=2, dropout=0.0)
BPR = bpr_mf.Config(items=N, users=4, width=4, length=6)
OF_WINDOWS = [(sasrec, SASREC), (sasrec, replace(SASREC, loss="bce", heads=1, blocks=1)),
              (bpr_mf, BPR)]
EVERY = [*OF_ONE_TARGET, *OF_WINDOWS]


def worst_error(got, want):
    """Largest error relative to the largest absolute value of `want`."""
    return np.max(np.abs(got - want)) / np.max(np.abs(want), initial=1e-30)


def random_params(model, config, seed=0):
    """Parameters away from their initial zeros, so that no gradient is hidden by them."""
    rng = np.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), model.init(rng, config))


HISTORIES = (3, 1, 3, 5, 1, 2, 3, 8), (4, 4, 2), (6, 1), (2, 5, 9, 7, 2)


def make_events(config, histories=HISTORIES):
    """One sequence a user, an event every few days."""
    item = np.concatenate([np.array(h, int) for h in histories])
    user = np.repeat(np.arange(1, len(histories) + 1), [len(h) for h in histories])
    time = np.arange(len(item)) ** 2 * DAY
    category = np.append(0, np.arange(N) % 3 + 1) if getattr(config, "categories", 0) else None
    return sequences.from_rows(user, item, np.ones_like(item), 1)._replace(
        time=time, now=np.full(len(histories), time[-1] + 9 * DAY), category=category)


def training_batch(model, config, log=None):
    rng = np.random.default_rng(0)
    log = make_events(config) if log is None else log
    return model.training_batch(log, model.examples(log, config, rng)[0], config, rng)


def ranking_batch(model, config, log=None):
    log = make_events(config) if log is None else log
    return model.ranking_batch(log, np.arange(len(log.user)), config)


