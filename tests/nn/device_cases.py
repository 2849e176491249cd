"""Every model in small, on one log that has all that any of them reads; for the tests of mbref/nn/device.py."""
from typing import NamedTuple

import numpy as np

from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import group_events, groups, sequences
from mbref.nn import device
from mbref.nn import optim
from mbref.papers import atrank, dmran, hiersrec, hmar
from mbref.released.hmar import data as hmar_data
from mbref.variants import (
    atrank as variants_atrank,
    dmran as variants_dmran,
    hiersrec as variants_hiersrec,
    hmar as variants_hmar,
)
from tests.nn import fake_cupy
from tests.released import atrank_folders as released_atrank, hmar_graphs as released_hmar

DEVICE = "fake"
device.add_device(DEVICE, fake_cupy.cupy)
ITEMS, CATEGORIES, KINDS, USERS = 9, 3, 3, 5


class Case(NamedTuple):
    model: object
    config: object
    events: object


def log(kind=np.float64, kinds=KINDS):
    """Five users with 3 .. 7 events: times, categories, text vectors of type `kind`; counts of `kinds` behaviours."""
    rng = np.random.default_rng(0)
    size = np.arange(3, 3 + USERS)
    user, n = np.repeat(np.arange(1, USERS + 1), size), size.sum()
    item, behaviour = rng.integers(1, ITEMS, n), rng.integers(1, KINDS + 1, n)  # nobody meets the last item
    time = np.cumsum(rng.integers(0, 300_000, n))
    return sequences.from_rows(user, item, behaviour, kinds)._replace(
        time=time, now=time[np.cumsum(size) - 1] + 86_400, text=rng.normal(size=(ITEMS + 1, 4)).astype(kind),
        category=np.append(0, rng.integers(0, CATEGORIES + 1, ITEMS)), oracle=rng.integers(0, CATEGORIES + 1, USERS))


def group_log():
    """Items and queries of three users in turn, with two kinds of action."""
    rng, n = np.random.default_rng(1), 24
    user, group = np.repeat([1, 2, 3], n // 3), np.tile([0, 1], n // 2)
    features = (np.stack([np.arange(6), [0, 1, 1, 2, 2, 2]], axis=1), np.arange(5)[:, None])
    objects = (np.arange(6).astype(str), np.arange(5).astype(str))
    return groups.GroupLog(
        user=user, group=group, object=rng.integers(1, 5, n), action=rng.integers(1, 3, n),
        time=np.cumsum(rng.integers(0, 300_000, n)), users=np.arange(4).astype(str), groups=("item", "query"),
        objects=objects, actions=("look", "ask"), features=features,
        feature_names=(("item", "category"), ("query",)), sizes={"item": 5, "category": 2, "query": 4}, notes=())


def many_groups():
    """ATRank with two groups, of which one has an action."""
    of = group_log()
    config = atrank.Config(tables=(("item", 5), ("category", 2), ("query", 4)), actions=(2, 0), table_width=4, width=8,
                           groups=(("item", "category"), ("query",)), heads=2, length=3, pairs=True)
    return Case(atrank, config, group_events.GroupEvents(of, np.arange(len(of.user)), (0, 1), (1, 0)))


def released_cases():
    """{name: Case} of the authors' code."""
    one = dict(tables=(("item", ITEMS, 8), ("user", USERS, 8)), groups=(("item",),), actions=(False,), width=8)
    many = dict(tables=(("item", 5, 4), ("category", 3, 4), ("query", 4, 4), ("action", 2, 4)), actions=(True, False),
                groups=(("item", "category"), ("query",)), read=(0, 1), query="group")
    plain = log()._replace(category=None)
    nets = {"atrank": dict(heads=2), "cnn": dict(net="cnn", sizes=3, filters=2, padded=8),
            "rnn": dict(net="rnn", time=False), "rnn_att": dict(net="rna", time=False),
            "bpr": dict(net="mf", read=(), time=False)}
    own = {f"released atrank, {name}": Case(released_atrank, released_atrank.Config(**one | net), plain)
           for name, net in nets.items()}
    config = released_atrank.Config(**many, width=8, heads=2)
    own["released atrank, multi"] = Case(released_atrank, config, many_groups().events)
    for name, variant in released_hmar.VARIANTS.items():
        kinds = len(variant.weights)
        events = hmar_data.Partition(log(kinds=kinds), np.arange(USERS) + 1, np.ones((USERS, kinds)))
        config = released_hmar.Config(items=ITEMS, behaviours=kinds, variant=variant, width=4, length=4, dropout=0,
                                      candidate_counts="target")
        own[f"released hmar, {name}"] = Case(released_hmar, config, events)
    return own


def cases(kind=np.float64):
    """{name: Case}: each model, and each switch that leads through other lines of it."""
    events = log(kind)
    shop = dict(behaviours=KINDS, width=4, length=4, dropout=0)
    sessions = dict(categories=CATEGORIES, text=4, width=4, item_width=4, category_width=3, projection_width=3, length=4)
    one = dict(table_width=4, width=8, heads=2, length=4)
    hops = dict(width=4, hops=3, length=4)
    ours = {
        "hmar": (hmar, shop | dict(heads=2)),
        "hmar, target counts": (variants_hmar, shop | dict(candidate_counts="target", positives="new")),
        "hmar, two blocks": (hmar, shop | dict(blocks=2)),
        "hmar, two blocks and targets": (variants_hmar, shop | dict(blocks=2, positives="target", count_scale="log1p")),
        "hmar, bypass": (variants_hmar, shop | dict(merge="bypass", indicator=False)),
        "atrank": (atrank, one | dict(categories=CATEGORIES)),
        "atrank, pairs": (variants_atrank, one | dict(weight_decay=0.1, pairs=True)),
        "atrank, as released": (variants_atrank, one | variants_atrank.RELEASED | dict(categories=CATEGORIES)),
        "dmran": (dmran, hops | dict(categories=CATEGORIES)),
        "dmran, item": (variants_dmran, hops | dict(heads=2, variant="item", weight_decay=0.1)),
        "dmran, feature": (variants_dmran, dict(width=4, heads=2, length=4, variant="feature", pool="mean", time=False)),
        "dmran, robust": (variants_dmran, hops | dict(heads=2, robust=True, diagonal=False, item_bias=True)),
        "hiersrec": (hiersrec, sessions),
        **{f"hiersrec, {hier}": (variants_hiersrec, sessions | dict(hier=hier))
           for hier in ("soft", "logits", "tied", "stop", "oracle", "none")},
        "hiersrec, tied items": (variants_hiersrec, sessions | dict(item_out="tied", pool="mean", tasks="item")),
        "bilstm": (bilstm, dict(categories=CATEGORIES, width=4, length=4)),
        "bilstm, attention": (bilstm, dict(width=4, length=4, attention=True, pairs=True)),
        "bpr_mf": (bpr_mf, dict(users=USERS, width=4, length=4)),
        "cnn": (cnn, dict(categories=CATEGORIES, width=4, sizes=3, filters=2, length=4)),
        "sasrec": (sasrec, dict(width=4, length=4, heads=2, dropout=0)),
        "sasrec, bce": (sasrec, dict(width=4, length=4, blocks=1, dropout=0, loss="bce")),
    }
    return {"atrank, groups": many_groups(),
            **{name: Case(model, model.Config(items=ITEMS, **given), events) for name, (model, given) in ours.items()}}


NAMES, RELEASED = list(cases()), list(released_cases())


def prepared(name, kind=np.float64):
    """A Case, its parameters, moved off their zeros, and a training batch of one task."""
    case = (cases(kind) | released_cases())[name]
    rng = np.random.default_rng(2)
    params = optim.tree_map(lambda a: (a + rng.normal(0, 0.3, a.shape)).astype(kind), case.model.init(rng, case.config))
    rows = case.model.examples(case.events, case.config, rng)[0]
    return case, params, case.model.training_batch(case.events, rows[: len(rows) // 2 * 2], case.config, rng)


def ranking_batch(case):
    """A batch to rank from."""
    return case.model.ranking_batch(case.events, held(case), case.config)


def held(case):
    """What there is to rank for: sequences, or of a log of groups events of one group."""
    return case.events.rows[1:9:2] if isinstance(case.events, group_events.GroupEvents) else np.arange(USERS)
