"""HierSRec against an independent one in torch, written from the specification's formulas alone.

Nothing of mbref computes here: embeddings, layer norm, attention and both losses are torch's own,
and so are the gradients. Padding is on the right and attention causal, so torch is told of padding
only by the targets it ignores.
"""
from dataclasses import replace

import numpy as np
import pytest
from autograd import value_and_grad

from mbref.data.session_batches import Batch
from mbref.nn import optim
from mbref.papers import hiersrec as paper
from mbref.variants import hiersrec
from tests.optional import library

torch = library("torch")
F = library("torch.nn.functional")

N, CATEGORIES, TEXT, LONGEST = 30, 5, 3, 9
SIZES = dict(items=N, categories=CATEGORIES, text=TEXT, width=8, item_width=6, category_width=4,
             projection_width=5, length=LONGEST + 2)
DEFAULT = hiersrec.Config(**SIZES)
TIED = replace(DEFAULT, hier="tied", item_out="tied")
CONFIGS = {"the paper": (paper, paper.Config(**SIZES)), "default": (hiersrec, DEFAULT),
           "tied": (hiersrec, TIED), "tied, mean, two blocks": (hiersrec, replace(
               TIED, pool="mean", blocks=2, heads=4, category_weight=0.3))}
every = pytest.mark.parametrize("model, config", CONFIGS.values(), ids=CONFIGS)


def random_params(model, config):
    """Parameters away from their initial zeros."""
    rng = np.random.default_rng(0)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), model.init(rng, config))


def random_batch():
    """Sessions of 1 to 9 clicks, the click that follows each; some categories are unknown."""
    rng = np.random.default_rng(1)
    size = np.array([1, 2, 5, 7, 8, LONGEST])[:, None]
    clicks = rng.integers(1, N + 1, (len(size), LONGEST + 1))
    real = np.arange(LONGEST) < size
    text = rng.normal(size=(N + 1, TEXT))
    text[0] = 0
    category, follow = rng.integers(0, CATEGORIES + 1, N + 1), clicks[:, 1:] * real
    return Batch(clicks[:, :-1] * real, category, text, follow, known=np.ones(N, bool),
                 at=np.flatnonzero(follow))


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
    parts = F.embedding(item, p["E_I"]), F.embedding(category[item], p["E_C"]), text[item]
    e = torch.cat(parts, dim=-1)
    return torch.where((item > 0).unsqueeze(-1), e, 0.0)


def oracle(p, batch, config):
    """Logits of all items and of the categories after every click.  Sections 3, 4."""
    item = torch.tensor(batch.item)
    options = {"pool": "last", "hier": "soft", "item_out": "fc"} | vars(config)
    h = linear(p["in"], features(p, batch, item)) + p["position"][: item.shape[1]]
    for block in p["blocks"]:
        a = norm(block["ln1"], h)
        q, k, v = (torch.einsum("bld,de->ble", a, block[name]) for name in "qkv")
        q, k, v = (x.unflatten(-1, (config.heads, -1)).transpose(1, 2) for x in (q, k, v))
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        h = h + torch.einsum("bld,de->ble", found, block["o"])
        h = h + linear(block["f2"], F.relu(linear(block["f1"], norm(block["ln2"], h))))
    s = norm(p["ln"], h)
    if options["pool"] == "mean":
        s = torch.stack([s[:, : t + 1].mean(dim=1) for t in range(s.shape[1])], dim=1)
    zc = linear(p["category"], s)
    table = "E_C" if options["hier"] == "tied" else "W_p"
    g = torch.einsum("blc,cd->bld", zc.softmax(-1), p[table])
    q = torch.cat([s, g], dim=-1)
    if options["item_out"] == "fc":
        return linear(p["item"], q), zc
    v = torch.einsum("ne,ed->nd", features(p, batch, torch.arange(1, N + 1)), p["value"])
    return torch.einsum("blq,qd,nd->bln", q, p["query"], v) + p["b_i"], zc


def oracle_losses(p, batch, config):
    """L_item and L_cat, means over the clicks with a next one, of known items.  Section 5."""
    zi, zc = oracle(p, batch, config)
    zi = zi.masked_fill(~torch.tensor(batch.known), -torch.inf)
    y = torch.tensor(batch.next)
    yc = torch.where(y > 0, torch.tensor(batch.category)[y], -1)
    return (F.cross_entropy(zi.flatten(0, 1), (y - 1).flatten(), ignore_index=-1),
            F.cross_entropy(zc.flatten(0, 1), yc.flatten(), ignore_index=-1))


@every
def test_scores_and_categories_equal_those_of_torch(model, config):
    params, batch = random_params(model, config), random_batch()
    zi, zc = (z.detach() for z in oracle(to_torch(params), batch, config))
    last = (batch.item > 0).sum(axis=1) - 1
    rows = np.arange(len(last))
    close = dict(rtol=0, atol=1e-10)
    scores, logp = model.score_categories(params, batch, config)
    np.testing.assert_allclose(scores, zi[rows, last].numpy(), **close)
    np.testing.assert_allclose(logp, zc[rows, last].log_softmax(-1).numpy(), **close)
    np.testing.assert_array_equal(model.score_all(params, batch, config), scores)


@every
@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("weight", [0.0, None, 3.0])
def test_loss_and_all_gradients_equal_those_of_torch(model, config, cold, weight):
    """The item loss by itself, and joint ones, from which the category loss follows."""
    params, batch = random_params(model, config), random_batch()
    if weight is not None:
        config = replace(config, category_weight=weight)
    if cold:
        batch = batch._replace(known=np.isin(np.arange(1, N + 1), batch.next))
        assert 0 < batch.known.sum() < N
    tensors = to_torch(params)
    item, category = oracle_losses(tensors, batch, config)
    total = item + config.category_weight * category
    leaves = [tensor for _, tensor in optim.leaves(tensors)]
    gradients = torch.autograd.grad(total, leaves, materialize_grads=True)
    value, gradient = value_and_grad(model.loss)(params, batch, config)
    assert value == pytest.approx(total.item(), abs=1e-10)
    for (name, a), b in zip(optim.leaves(gradient), gradients, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-10, err_msg=name)
