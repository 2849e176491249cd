"""Cases of the ledger's rows on ATRank, on two histories of items with categories.

See ledger_cases.py. The default side is that of papers/atrank.py, a switch's side that of
variants/atrank.py.
"""
from dataclasses import replace

import numpy as np
from autograd import grad

from mbref.by_hand import atrank as by_hand
from mbref.data.targets import Batch, History
from mbref.nn.layers import dense, embed, relu, time_bucket
from mbref.papers import atrank
from mbref.variants import atrank as variants
from tests.ledger.ledger_cases import draw_as

BASE = atrank.Config(items=6, categories=3, table_width=4, width=8, heads=2)
GAPS = np.array([[400, 31, 8, 2], [4, 0, 0, 0]])
BATCH = Batch((History(np.array([[3, 1, 5, 2], [4, 6, 0, 0]]),
                       np.array([[1, 2, 1, 1], [2, 1, 0, 0]]), GAPS),),
              (np.array([[0, 0], [1, 2], [2, 1], [3, 3], [4, 2], [5, 1], [6, 3]]),),
              candidate=np.array([[2, 4], [3, 1]]), label=np.array([[True, False]] * 2))


def variant(fields):
    """BASE with fields of variants/atrank.py."""
    return replace(variants.Config(**vars(BASE)), **fields)


def model_of(config):
    return variants if isinstance(config, variants.Config) else atrank


def params_of(config):
    return draw_as(model_of(config).init(np.random.default_rng(0), config))


def scores(config, batch=BATCH):
    return model_of(config).score(params_of(config), batch, batch.candidate, config)


def by_scores(change):
    return scores(BASE), scores(variant(change))


def by_loss(change):
    other = variant(change)
    return (atrank.loss(params_of(BASE), BATCH, BASE),
            variants.loss(params_of(other), BATCH, other))


def by_action(change):
    """How far the scores move when all events of the histories are of another kind."""
    history = BATCH.histories[0]
    history = history._replace(behaviour=np.where(history.item > 0, 3 - history.behaviour, 0))
    other = BATCH._replace(histories=(history,))
    return tuple(np.abs(scores(config, other) - scores(config)).max()
                 for config in (BASE, variant(change)))


def hidden_units(change):
    """Of the feed-forward nets."""
    return tuple(params_of(config)["vanilla"][0]["f1"]["w"].shape[1]
                 for config in (BASE, variant(change)))


def gradient_of_key_biases(change):
    """In the bilinear form keys are S itself; as released they are a layer, whose bias is read."""
    return tuple(grad(model_of(config).loss)(params_of(config), BATCH, config)["self"][0]["k"]["b"]
                 for config in (BASE, variant(change)))


def training_states(change):
    """States with the weights of a training step."""
    return tuple(model_of(config).forward(params_of(config), BATCH, config,
                                          rng=np.random.default_rng(1))[0]
                 for config in (BASE, variant(change)))


def lookup_added():
    """One-hot buckets beside the object, through W; and a table of W's last rows, added after W."""
    params, history, features = params_of(BASE), BATCH.histories[0], BATCH.features[0]
    p, names = params["groups"][0], BASE.groups[0]
    x = embed([params["tables"][name] for name in names], features[history.item])
    added = p["w"][8:][time_bucket(GAPS, "paper")]
    return atrank.behaviour_code(params, p, names, history, features), relu(dense(
        {"w": p["w"][:8], "b": p["b"]}, x) + added)


def heads_side_by_side():
    """The heads' results as they are; and the block by hand, which only puts them together."""
    params, x = params_of(BASE)["self"][0], np.random.default_rng(0).normal(size=(1, 3, 8))
    block = atrank.attention_block(params, x, x, np.ones((1, 3, 3), bool), BASE, None)
    return block[0], np.array([by_hand.block(params, one, x[0], BASE.heads) for one in x[0]])
