"""Logs, Configs and parameters of every model, drawn at random; small, but of every shape that is allowed."""
from dataclasses import fields
from types import SimpleNamespace

import numpy as np

from mbref import protocol, runs
from mbref.data.leave_one_out import leave_one_out
from mbref.data.log import Log
from mbref.nn import optim
from tests.optional import st

MODELS = {**runs.MODELS, **{f"{name} variants": model for name, model in runs.VARIANTS.items()}}
# values of fields, for those models that have them
VALUES = {"width": (4, 8), "table_width": (4, 8), "item_width": (3, 4), "category_width": (2, 3), "projection_width": (2, 3),
          "length": (1, 2, 5, 9), "heads": (1, 2), "blocks": (1, 2), "hops": (1, 3), "sizes": (1, 3), "filters": (1, 2),
          "dropout": (0.0,), "unit": (1, 86400), "loss": ("softmax", "bce"), "attention": (True, False), "pairs": (True, False),
          "self_attention": (True, False), "time": (True, False), "group_relu": (True, False), "item_bias": (True, False),
          "diagonal": (True, False), "robust": (True, False), "fuse": (True, False), "indicator": (True, False)}
# switches of one model; those that read the future ("whole-log", "oracle") are not for these tests
SWITCHES = {
    "hmar variants": {"merge": ("encoder", "bypass"), "counts": ("running", "window"), "candidate_counts": ("own", "target"),
                      "count_scale": ("raw", "log1p"), "positives": ("all", "new", "target"), "newest_only": (False, True)},
    "atrank variants": {"scores": ("bilinear", "dot"), "bucket": ("paper", "release"), "hidden": (0, 3)},
    "dmran variants": {"variant": ("full", "item", "feature"), "bucket": ("paper", "release"), "pool": ("attention", "mean")},
    "hiersrec variants": {"tasks": ("both", "item"), "inputs": ("id+category+text", "id", "category"), "pool": ("last", "mean"),
                          "hier": ("soft", "logits", "tied", "stop", "none"), "item_out": ("fc", "tied"), "softmax": ("known", "all")}}
HMAR_RELEASED = {3: "movielens", 4: "taobao"}  # its files by their number of behaviours


def draw_log(seed, sizes, items=19, behaviours=2, categories=3, users=37, gap=10**6):
    """A log of so many events for each of the first users; each ends with purchases and what follows them."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    n = len(user)
    category = np.append(0, rng.integers(0, categories + 1, items))
    item, kind = rng.integers(1, items + 1, n), rng.integers(1, behaviours + 1, n)
    time = np.concatenate([np.sort(rng.integers(0, gap + 1, size)) for size in sizes])
    ids = [np.array(["", *map(str, range(1, size + 1))]) for size in (users, items, categories)]
    names = ("buy", "cart", "fav", "pv")[:behaviours]
    return Log(user, item, kind, time, category[item], *ids, names, ())


def add_text(split, text):
    """The split with a vector for each item."""
    parts = {name: getattr(split, name)._replace(text=text) for name in ("train", "refit")}
    held = {name: getattr(split, name) for name in ("validation", "test")}
    return split._replace(**parts, **{name: h._replace(history=h.history._replace(text=text)) for name, h in held.items()})


def config_of(model, log, values, text=0):
    """Its Config for a log, with those of the values that it has fields for."""
    known = {field.name for field in fields(model.Config)}
    sizes = dict(items=len(log.items) - 1, users=len(log.users) - 1, behaviours=len(log.behaviours),
                 categories=len(log.categories) - 1, text=text, **values)
    if "mask_mode" in known:
        sizes["variant"] = HMAR_RELEASED[len(log.behaviours)]
    return model.Config(**{name: value for name, value in sizes.items() if name in known})


def draw_params(model, config, seed, scale=1.0, dtype=np.float64):
    """Parameters away from their first zeros."""
    rng = np.random.default_rng(seed)
    return optim.tree_map(lambda a: (scale * (a + rng.normal(0, 0.2, a.shape))).astype(dtype), model.init(rng, config))


def split_of(model, config, log, text):
    return add_text(leave_one_out(log, "buy", counts=protocol.optional(model, "history_counts")(config)), text)


@st.composite
def problems(draw, name, scales=(1.0,), dtypes=(np.float64,)):
    """A log that holds out a purchase of each user who has three events, and a model for it."""
    model, seed = MODELS[name], draw(st.integers(0, 2**32 - 1))
    behaviours = draw(st.sampled_from((3, 4) if name == "hmar_released" else (1, 2, 4)))
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4).filter(lambda sizes: max(sizes) > 2))
    log = draw_log(seed, sizes, behaviours=behaviours, gap=draw(st.sampled_from((0, 10**6, 10**10))))
    long = sizes.index(max(sizes)) + 1
    log.behaviour[np.flatnonzero(log.user == long)[-draw(st.integers(1, 2)):]] = 1  # somebody is tested
    values = {field: draw(st.sampled_from(choices)) for field, choices in (VALUES | SWITCHES.get(name, {})).items()
              if field in {f.name for f in fields(model.Config)}}
    text = np.random.default_rng(seed).normal(size=(20, draw(st.sampled_from((0, 3)))))
    text[0] = 0
    config = config_of(model, log, values, text.shape[1])
    params = draw_params(model, config, seed, draw(st.sampled_from(scales)), draw(st.sampled_from(dtypes)))
    return SimpleNamespace(model=model, log=log, values=values, text=text, config=config, params=params, seed=seed,
                           split=split_of(model, config, log, text))


def score(problem, cases=None, split=None):
    """Scores of all items for cases of the test, all by default.  -> [B, N]."""
    held = (split or problem.split).test
    cases = np.arange(len(held.item)) if cases is None else cases
    return problem.model.score_all(problem.params, problem.model.ranking_batch(held.history, cases, problem.config),
                                   problem.config)
