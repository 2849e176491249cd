"""DMRAN against an independent form in torch, written from the paper's equations alone.

Nothing of mbref computes here: time buckets, masks, loss and gradients are torch's own.
"""
import numpy as np
import pytest
from autograd import value_and_grad

from mbref.data.targets import Batch, History
from mbref.nn import optim
from mbref.papers import dmran
from tests.optional import library

torch = library("torch")

N, CATEGORIES, ROWS, LONGEST = 30, 5, 6, 9


def random_params(config):
    """Parameters away from their initial zeros."""
    rng = np.random.default_rng(0)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), dmran.init(rng, config))


def random_batch(config):
    """Histories of 1 to 9 events, gaps over all buckets, a positive and a negative a row."""
    rng = np.random.default_rng(1)
    real = np.arange(LONGEST) < np.array([1, 2, 5, 7, 8, LONGEST])[:, None]
    item = rng.integers(1, N + 1, real.shape) * real
    small, large = rng.integers(0, 5, real.shape), 2 ** rng.integers(0, 15, real.shape)
    gap = np.where(rng.random(real.shape) < 0.3, small, large)
    category = np.append(0, rng.integers(1, CATEGORIES + 1, N))
    features = np.stack([np.arange(N + 1), category][: 1 + bool(config.categories)], axis=1)
    candidate = np.stack([rng.permutation(np.arange(1, N + 1))[:2] for _ in range(ROWS)])
    label = np.broadcast_to([True, False], candidate.shape)
    return Batch((History(item, (item > 0) * 1, gap * real),), (features,), 0, candidate, label)


def to_torch(tree):
    """The same tree of float64 leaves whose gradients torch keeps."""
    return optim.tree_map(lambda a: torch.tensor(a, requires_grad=True), tree)


def objects(p, ids):
    """V[i]; with categories, item and category side by side."""
    return torch.cat([table[ids[..., f]] for f, table in enumerate(p["V"])], dim=-1)


def oracle(p, batch, candidates):
    """Scores of eq. 17, and h_c, i_c and A."""
    history = batch.histories[0]
    item, gap = torch.tensor(history.item), torch.tensor(history.gap)
    features = torch.tensor(batch.features[0])
    day = gap.double().clamp(min=1)
    g = torch.where(gap < 1, 0, torch.floor(torch.log2(day)).long() + 1).clamp(max=13)
    x = torch.cat([objects(p, features[item]), p["T"][g]], -1)
    H = torch.einsum("bne,ed->bnd", x, p["W_0"]["w"]) + p["W_0"]["b"]  # eq. 1, 2
    e = torch.relu(torch.einsum("kd,bnd->bnk", p["W_s1"], H))
    e = torch.einsum("rk,bnk->brn", p["W_s2"], e)
    A = e.masked_fill((item == 0).unsqueeze(1), float("-inf")).softmax(-1)  # eq. 7
    M = torch.einsum("brn,bnd->brd", A, H)  # eq. 8
    own = torch.einsum("kd,bid->bik", p["W_s4"], M)
    other = torch.einsum("kd,bjd->bjk", p["W_s3"], M)
    inner = torch.tanh(own[:, :, None] + other[:, None] + p["b_s2"])
    beta = (torch.einsum("fk,bijk->bijf", p["W_s5"], inner) + p["b_s1"]).softmax(2)  # eq. 9-11
    M_hat = torch.einsum("bijf,bjf->bif", beta, M)  # eq. 12, 13
    i_c = objects(p, features[torch.tensor(candidates)])

    def van(X):  # eq. 14, 15
        a = torch.einsum("bcd,brd->bcr", i_c, X) / X.shape[-1] ** 0.5
        return torch.einsum("bcr,brd->bcd", a.softmax(-1), X)

    h, h_hat = van(M), van(M_hat)
    G = torch.sigmoid(h @ p["W_f1"] + h_hat @ p["W_f2"] + p["b_f"])
    h_c = G * h + (1 - G) * h_hat  # eq. 16
    return (h_c * i_c).sum(-1), h_c, i_c, A


def oracle_loss(p, batch, config):
    """Eq. 20-22, weighted as papers/dmran.py decides in (D13), (D14) and (D15)."""
    s, h_c, i_c, A = oracle(p, batch, batch.candidate)
    P = torch.sigmoid(s[:, 0]) * (1 - torch.sigmoid(s[:, 1]))
    overlap = torch.linalg.matrix_norm(A @ A.mT - torch.eye(A.shape[1], dtype=A.dtype), "fro") ** 2
    return (-torch.log(P).mean() / 2 + config.penalty / 2 * (h_c.pow(2).sum() + i_c.pow(2).sum())
            + config.redundancy * overlap.mean())


CONFIGS = [dmran.Config(items=N, width=8, hops=4),
           dmran.Config(items=N, width=8, categories=CATEGORIES, redundancy=0.3, penalty=0.02)]


@pytest.mark.parametrize("config", CONFIGS)
def test_scores_equal_those_of_torch(config):
    params, batch = random_params(config), random_batch(config)
    candidates = np.broadcast_to(np.arange(1, N + 1), (ROWS, N))
    want = oracle(to_torch(params), batch, candidates)[0].detach().numpy()
    np.testing.assert_allclose(dmran.score_all(params, batch, config), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("config", CONFIGS)
def test_loss_and_all_gradients_equal_those_of_torch(config):
    params, batch = random_params(config), random_batch(config)
    tensors = to_torch(params)
    want = oracle_loss(tensors, batch, config)
    want.backward()
    loss, gradient = value_and_grad(dmran.loss)(params, batch, config)
    assert loss == pytest.approx(want.item(), abs=1e-10)
    for (name, a), (_, b) in zip(optim.leaves(gradient), optim.leaves(tensors), strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), rtol=0, atol=1e-10, err_msg=name)
