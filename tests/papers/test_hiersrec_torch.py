"""HierSRec against an independent one in torch, written from the specification's formulas alone.

Nothing of mbref computes here: embeddings, layer norm, attention and both losses are torch's own, and so are the
gradients. Padding is on the right and attention causal, so torch is told of padding only by the targets it ignores.
"""
from dataclasses import replace

import numpy as np
import pytest
from autograd import value_and_grad

from mbref.data.session_batches import Batch
from mbref.nn import optim
from mbref.papers import hiersrec
from tests.optional import library

torch = library("torch")
F = library("torch.nn.functional")

N, CATEGORIES, TEXT, LONGEST = 30, 5, 3, 9
DEFAULT = hiersrec.Config(items=N, categories=CATEGORIES, text=TEXT, width=8, item_width=6, category_width=4,
                          projection_width=5, length=LONGEST + 2)
CONFIGS = {"default": DEFAULT,
           "tied": replace(DEFAULT, hier="tied", item_out="tied"),
           "tied, mean, two blocks": replace(DEFAULT, hier="tied", item_out="tied", pool="mean", blocks=2, heads=4,
                                             category_weight=0.3)}
every = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def random_params(config):
    """Parameters away from their initial zeros."""
    rng = np.random.default_rng(0)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), hiersrec.init(rng, config))


def random_batch():
    """Sessions of 1 to 9 clicks and the click that follows each; some items have no known category."""
    rng = np.random.default_rng(1)
    size = np.array([1, 2, 5, 7, 8, LONGEST])[:, None]
    clicks = rng.integers(1, N + 1, (len(size), LONGEST + 1))
    real = np.arange(LONGEST) < size
    text = rng.normal(size=(N + 1, TEXT))
    text[0] = 0
    return Batch(clicks[:, :-1] * real, rng.integers(0, CATEGORIES + 1, N + 1), text, clicks[:, 1:] * real)


def to_torch(tree):
    """The same tree of float64 leaves whose gradients torch keeps."""
    return optim.tree_map(lambda a: torch.tensor(a, requires_grad=True), tree)


def linear(p, x):
    return F.linear(x, p["w"].T, p["b"])


def norm(p, x):
    return F.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], eps=1e-8)


def features(p, batch, item):
    """concat(EI[x], EC[cat[x]], M[x]), 0 where x is padding.  Sections 1, 3."""
    category, text = torch.tensor(batch.category), torch.tensor(batch.text)
    e = torch.cat([F.embedding(item, p["E_I"]), F.embedding(category[item], p["E_C"]), text[item]], dim=-1)
    return torch.where((item > 0).unsqueeze(-1), e, 0.0)


def oracle(p, batch, config):
    """Logits of all items and of the categories after every click.  Sections 3, 4."""
    item = torch.tensor(batch.item)
    h = linear(p["in"], features(p, batch, item)) + p["position"][: item.shape[1]]
    for block in p["blocks"]:
        a = norm(block["ln1"], h)
        q, k, v = (torch.einsum("bld,de->ble", a, block[name]).unflatten(-1, (config.heads, -1)).transpose(1, 2)
                   for name in "qkv")  # [B, H, L, d_h]
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        h = h + torch.einsum("bld,de->ble", found, block["o"])
        h = h + linear(block["f2"], F.relu(linear(block["f1"], norm(block["ln2"], h))))
    s = norm(p["ln"], h)
    if config.pool == "mean":
        s = torch.stack([s[:, : t + 1].mean(dim=1) for t in range(s.shape[1])], dim=1)
    zc = linear(p["category"], s)
    g = torch.einsum("blc,cd->bld", zc.softmax(-1), p["E_C"] if config.hier == "tied" else p["W_p"])
    q = torch.cat([s, g], dim=-1)
    if config.item_out == "fc":
        return linear(p["item"], q), zc
    v = torch.einsum("ne,ed->nd", features(p, batch, torch.arange(1, N + 1)), p["value"])
    return torch.einsum("blq,qd,nd->bln", q, p["query"], v) + p["b_i"], zc


def oracle_losses(p, batch, config):
    """L_item and L_cat: both means over the clicks that have a next one; unknown items are out.  Section 5."""
    zi, zc = oracle(p, batch, config)
    if batch.known is not None:
        zi = zi.masked_fill(~torch.tensor(batch.known), -torch.inf)
    y = torch.tensor(batch.next)
    yc = torch.where(y > 0, torch.tensor(batch.category)[y], -1)
    return (F.cross_entropy(zi.flatten(0, 1), (y - 1).flatten(), ignore_index=-1),
            F.cross_entropy(zc.flatten(0, 1), yc.flatten(), ignore_index=-1))


@every
def test_scores_and_categories_equal_those_of_torch(config):
    params, batch = random_params(config), random_batch()
    zi, zc = (z.detach() for z in oracle(to_torch(params), batch, config))
    last = (batch.item > 0).sum(axis=1) - 1
    rows = np.arange(len(last))
    close = dict(rtol=0, atol=1e-10)
    np.testing.assert_allclose(hiersrec.score(params, batch, None, config), zi[rows, last].numpy(), **close)
    logp = hiersrec.category_logp(params, hiersrec.newest(params, batch, config))
    np.testing.assert_allclose(logp, zc[rows, last].log_softmax(-1).numpy(), **close)


@every
@pytest.mark.parametrize("cold", [False, True])
def test_losses_and_all_gradients_equal_those_of_torch(config, cold):
    """Each loss by itself, then the joint one."""
    params, batch = random_params(config), random_batch()
    if cold:
        batch = batch._replace(known=np.isin(np.arange(1, N + 1), batch.next))
        assert 0 < batch.known.sum() < N
    tensors = to_torch(params)
    want = oracle_losses(tensors, batch, config)
    for got, loss in zip(hiersrec.losses(params, batch, config), want, strict=True):
        assert got == pytest.approx(loss.item(), abs=1e-10)
    total = want[0] + config.category_weight * want[1]
    for wanted, function in ((want[0], lambda p: hiersrec.losses(p, batch, config)[0]),
                             (want[1], lambda p: hiersrec.losses(p, batch, config)[1]),
                             (total, lambda p: hiersrec.loss(p, batch, config))):
        leaves = [tensor for _, tensor in optim.leaves(tensors)]
        gradients = torch.autograd.grad(wanted, leaves, retain_graph=True, materialize_grads=True)
        value, gradient = value_and_grad(function)(params)
        assert value == pytest.approx(wanted.item(), abs=1e-10)
        for (name, a), b in zip(optim.leaves(gradient), gradients, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-10, err_msg=name)
