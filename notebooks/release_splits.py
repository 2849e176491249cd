"""HMAR's release on two logs of real shop events: the fixed splits, cut from UserBehavior.csv.

That is Taobao's public file. The split files hold training lists, targets and negatives, but not
the rows after a held-out one, which the release's whole-log counts need; so the log is cut from
the public file again, and the negatives are taken from the split files.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from mbref.data import readers
from mbref.data.sequences import NO_NPZ
from mbref.errors import InputError, require
from mbref.released.hmar import model as hmar
from notebooks import release_protocols as protocols
from notebooks.release_protocols import Protocol

FIRST, END = 1511539200, 1512316800  # 2017-11-25 .. 2017-12-03 in China (UTC+8), in seconds
LEAST = {"item": 3, "cate": 5}       # events that an item, or a category, must have
RATES = {"taobao": 6e-4, "tianchi": 5e-4}


def shop_log(log, kind):
    """The "item" log of a Taobao log, or its "cate" log with categories in the items' place.

    Rare items, or categories, are left out first, then users with fewer than 5 events or without a
    purchase.
    -> Log with items and users numbered as in the split files. Raises InputError for another kind.
    """
    require(kind in LEAST, f"unknown kind {kind!r}: choose item or cate.")
    column, names = (log.item, log.items) if kind == "item" else (log.category, log.categories)
    keep = (log.time >= FIRST) & (log.time < END)
    keep &= (np.bincount(column[keep], minlength=len(names)) >= LEAST[kind])[column]
    events, purchases = (np.bincount(log.user[rows], minlength=len(log.users))
                         for rows in (keep, keep & (log.behaviour == 1)))
    keep &= ((events >= 5) & (purchases >= 1))[log.user]
    users, user = np.unique(log.user[keep], return_inverse=True)
    items, item = np.unique(column[keep], return_inverse=True)
    return log._replace(user=user + 1, item=item + 1, behaviour=log.behaviour[keep],
                        time=log.time[keep], users=np.append("", log.users[users]),
                        items=np.append("", names[items]), category=None, categories=None)


def read(data, kind):
    """The same from the folder that holds taobao_userbehavior/UserBehavior.csv."""
    path = Path(data, "taobao_userbehavior", "UserBehavior.csv")
    return shop_log(readers.read(path, "taobao"), kind)


def negatives(splits, kind):
    """The release's negatives of both forms, from hmar_{kind}_{keep,drop}.npz.

    -> {drop_target_history: [sets, users, 99]}. Raises InputError if a file is missing or no split.
    """
    found = {}
    for drop, form in ((False, "keep"), (True, "drop")):
        path = Path(splits, f"hmar_{kind}_{form}.npz")
        try:
            with np.load(path, allow_pickle=False) as z:
                found[drop] = z["neg_release"]
        except NO_NPZ as error:
            raise InputError(
                f"{path} is no split file ({error}): give the folder of hmar_*.npz.") from error
    return found


def rows(data, splits, kind, drop, variant, at, seed):
    """One training of a released graph (width 50, windows of 50, dropout .4), measured 3 times.

    Yields (step, {"a": (HR@10, NDCG@10), "b": ..., "c": ...}) after each number of steps in `at`.
    a: as released, the positive brings its counts over the whole log; b: all candidates count as
    bought once; c: as b, with indicators of training rows alone in the input. Mean over the file's
    5 sets of negatives, expected over ties.
    """
    log, given = read(data, kind), negatives(splits, kind)[drop]
    whole, own = (
        protocols.problem_of(log, "buy", Protocol(counts=counts, drop_target_history=drop), given)
        for counts in ("whole-log", "training"))
    config = hmar.Config(items=len(log.items) - 1, behaviours=4, variant=hmar.VARIANTS[variant],
                         dropout=0.4)
    equal = replace(config, candidate_counts="target")
    for step, params in protocols.train(whole.events, config, at, seed, RATES[variant]):
        ways = ("a", whole, config), ("b", whole, equal), ("c", own, equal)
        yield step, {
            name: protocols.figures(problem, protocols.scorer(params, kind, problem.events))
            for name, problem, kind in ways}
