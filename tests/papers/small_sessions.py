"""A few sessions on seven items in three categories, and what the tests of HierSRec share."""
import autograd.numpy as np
import numpy as onp
from autograd import grad

from mbref.data import sequences, session_batches
from mbref.nn import optim

N, CATEGORIES, TEXT = 7, 3, 2
SIZES = dict(items=N, categories=CATEGORIES, text=TEXT, width=4, item_width=3, category_width=2,
             projection_width=3, length=4)
SESSIONS = [[3, 1, 3, 5, 1, 2], [4, 4, 2], [6, 1], [5, 7, 5, 5, 3]]  # oldest first
CATEGORY = np.array([0, 1, 3, 2, 1, 0, 3, 2])  # of items 1..N; item 5 is of unknown category
LABELS = np.array([2, 0, 1, 3])                # category of each session's held-out click
WARM = [[3, 1, 3, 5, 1, 2], [4, 4, 2]]         # without items 6 and 7


def texts(seed=3):
    """One fixed vector an item, zeros for padding."""
    vectors = onp.random.default_rng(seed).normal(size=(N + 1, TEXT))
    return vectors * (np.arange(N + 1) > 0)[:, None]


ABOUT = CATEGORY, texts()  # what by-hand forms read of the items


def events(sessions=SESSIONS, **changed):
    """A log of these sessions; one may be empty."""
    sizes, items = [len(s) for s in sessions], np.array([i for s in sessions for i in s], int)
    log = sequences.from_rows(np.zeros(len(items), int), items, np.ones(len(items), int), 1)
    log = log._replace(ptr=np.append(0, np.cumsum(sizes)), user=np.arange(1, len(sizes) + 1),
                       category=CATEGORY, text=texts(), oracle=LABELS[: len(sizes)])
    return log._replace(**changed)


def training_batch(config, log=None):
    """All windows of the log."""
    log = log or events()
    rows, = session_batches.examples(log, config, None)
    return session_batches.training_batch(log, rows, config, onp.random.default_rng(0))


def ranking_batch(config, log=None):
    """All sessions of the log."""
    log = log or events()
    return session_batches.ranking_batch(log, np.arange(len(log.user)), config)


def random_params(model, config, seed=0):
    """Parameters away from their initial zeros and ones, so that no gradient is hidden by them."""
    rng = onp.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.4, a.shape), model.init(rng, config))


def row_by_hand(batch, b):
    """Row b without padding: its clicks, and with a `next` also the one after the last."""
    clicks = [int(i) for i in batch.item[b] if i]
    return clicks if batch.next is None else [*clicks, int(batch.next[b, len(clicks) - 1])]


def one_row(batch, b):
    """A batch of row b alone."""
    follow = batch.next[b : b + 1]
    return batch._replace(item=batch.item[b : b + 1], next=follow, at=np.flatnonzero(follow))


def pad(batch):
    """The batch with three more padded places in every session."""
    def more(x):
        return np.concatenate([x, np.zeros((len(x), 3), int)], axis=1)

    if batch.next is None:
        return batch._replace(item=more(batch.item))
    follow = more(batch.next)
    return batch._replace(item=more(batch.item), next=follow, at=np.flatnonzero(follow))


def every_item(rows):
    """All items as the candidates of each session."""
    return np.broadcast_to(np.arange(1, N + 1), (rows, N))


def assert_same_trees(got, want, atol=1e-10):
    """Assert that two trees have the same leaves, numbers up to rounding."""
    got, want = dict(optim.leaves(got)), dict(optim.leaves(want))
    assert got.keys() == want.keys()
    for name, a in got.items():
        onp.testing.assert_allclose(a, want[name], rtol=0, atol=atol, err_msg=name)


def names_with_gradient(function, params):
    """Names of the parameters whose gradient is not 0 everywhere."""
    return {name for name, a in optim.leaves(grad(function)(params)) if a.any()}
