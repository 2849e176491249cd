"""What notebooks 01 and 10 share: small logs, a check of a split, hits of a scorer, figures.

Glossary of shapes: n events, S test cases, N items.
"""
from dataclasses import replace
from math import comb
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np

from mbref import evaluation, metrics
from mbref.data.log import Log
from mbref.released.hmar import model as hmar

HOUR = 3600
BEHAVIOURS = "buy", "cart", "fav", "view"
# is each event of a user a purchase? -> row of the test event, row of the validation event
SPLITS = {"two purchases": ([0, 1, 1], (2, 1)), "one purchase": ([0, 1, 0], (1, None)),
          "events after the last purchase": ([1, 0, 1, 0, 0], (2, 0)),
          "no purchase": ([0, 0, 0], (None, None)), "four purchases": ([1, 1, 0, 1, 1], (4, 3))}


def check_split(answer):
    """Say whether answer(is_target [n] bool) -> (test row, validation row) is right."""
    for situation, (bought, expected) in SPLITS.items():
        try:
            given = tuple(answer(np.array(bought, bool)))
        except NotImplementedError as stub:
            return print(f"leave_one_out: {stub}")
        except Exception as fault:
            return print(f"leave_one_out: fails for {situation} ({fault!r})")
        if given != expected:
            return print(f"leave_one_out: fails for {situation}")
    print(f"leave_one_out: {len(SPLITS)} cases pass")


# Logs.

def log_of(user, item, behaviour, time, items):
    """A Log of ids from 1 on, sorted by user and time, behaviours buy, cart, fav, view."""
    users, names = (np.arange(count + 1).astype(str) for count in (user.max(), items))
    return Log(user, item, behaviour, time, None, users, names, None, BEHAVIOURS, ())


def noise_log(users=300, items=200, visits=6):
    """Nothing to learn: at every visit a user looks at a random item and buys it."""
    item = np.random.default_rng(0).integers(1, items + 1, users * visits)
    user = np.repeat(np.arange(1, users + 1), visits * 2)
    return log_of(user, np.repeat(item, 2), np.tile([4, 1], users * visits), None, items)


def fashion_log(users=300, items=50, visits=6, hours=600, share=0.8):
    """Every hour has an item in fashion: this share of its purchases; the others are random."""
    rng = np.random.default_rng(0)
    fashion = rng.integers(1, items + 1, hours)
    time = np.sort(rng.integers(hours * HOUR, size=(users, visits)), axis=1).ravel()
    item = np.where(rng.random(len(time)) < share, fashion[time // HOUR],
                    rng.integers(1, items + 1, len(time)))
    user = np.repeat(np.arange(1, users + 1), visits)
    return log_of(user, item, np.ones_like(user), time, items)


# Scorers, as evaluation.py takes them, and their hits.

def in_fashion(events, items, until_now):
    """Score of an item: its events in the hour of the case, all of them or those before it."""
    def score(history, cases):
        rows = []
        for now in history.now[cases]:
            known = events.time // HOUR == now // HOUR
            if until_now:
                known &= events.time < now
            rows.append(np.bincount(events.item[known], minlength=items + 1)[1:])
        return np.array(rows, float)

    return score


def met_in(log):
    """Score of an item: how often the user meets it in the whole log, the future included."""
    met = np.zeros((len(log.users), len(log.items)))
    np.add.at(met, (log.user, log.item), 1)
    return lambda history, cases: met[history.user[cases], 1:]


def hits(score, held, items, negatives=None, k=10, ties="expected"):
    """HR@k of every case, among all items or among `negatives` [S, m] alone.  -> [S]."""
    sets = () if negatives is None else (negatives,)
    g, e = evaluation.count_rivals(score, held, items, negatives=sets)[-1]
    return metrics.hit_rate(g, e, k, ties)


# What a rank is worth, and what is left of it among negatives.

def sampled(rank, n, m):
    """P(j of m negatives, drawn with replacement, beat an item of this rank among n).  [m + 1]."""
    beats = (rank - 1) / (n - 1)
    return np.array([comb(m, j) * beats**j * (1 - beats) ** (m - j) for j in range(m + 1)])


def power(users, gap, apart):
    """Chance that a 95% interval of a difference in HR excludes 0.

    gap: the true difference; apart: share of users whom one of the two models finds, not both.
    """
    return NormalDist().cdf(gap * (users / (apart - gap**2)) ** 0.5 - 1.96)


# Figures.

def draw_split(log, split):
    """All events in order of time, a line a user; what is tested and validated stands out."""
    fig, ax = plt.subplots(figsize=(8.4, 3.2), layout="constrained")
    place = np.empty(len(log.time), int)
    place[np.argsort(log.time, kind="stable")] = np.arange(1, len(log.time) + 1)
    ax.plot(place, log.user, "o", color="grey", ms=5, label="to train on")
    for held, mark, name in (split.validation, "C1s", "validation"), (split.test, "C0D", "test"):
        rows = [rows_of(log, *case) for case in zip(held.history.user, held.item, strict=True)]
        ax.plot(place[rows], log.user[rows], mark, ms=9, label=name)
    for x, user, item, kind in zip(place, log.user, log.item, log.behaviour, strict=True):
        ax.annotate(f"{log.items[item]}\n{log.behaviours[kind - 1]}", (x, user), (0, 8),
                    textcoords="offset points", ha="center", fontsize=8)
    ax.set(xlabel="all events in order of time", ylim=(len(log.users) - 0.5, 0.2))
    ax.set_xticks(range(1, len(place) + 1))
    ax.set_yticks(range(1, len(log.users)), log.users[1:])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()


def rows_of(log, user, item):
    """The row of a user's last purchase of an item."""
    return np.flatnonzero((log.user == user) & (log.item == item) & (log.behaviour == 1))[-1]


def draw_worth(rank, k, n=20):
    """What every rank among n items earns; the legend has the numbers of one rank."""
    ranks, inside = np.arange(1, n + 1), np.arange(1, n + 1) <= k
    worth = {f"HR@{k}": inside * 1.0, f"NDCG@{k}": inside / np.log2(ranks + 1),
             f"MRR@{k}": inside / ranks, "AUC": 1 - (ranks - 1) / (n - 1)}
    fig, ax = plt.subplots(figsize=(7.4, 3), layout="constrained")
    for (name, values), mark in zip(worth.items(), "osd^", strict=True):
        ax.plot(ranks, values, mark + "-", ms=4, lw=1, label=f"{name}: {values[rank - 1]:.2f}")
    ax.axvline(rank, color="k", ls=":", lw=1)
    ax.set(xlabel=f"rank of the item to find, among {n}", ylabel="worth")
    ax.set_xticks(ranks)
    ax.legend(title=f"at rank {rank}", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()


def draw_sampled(m, k, n=1000, last=300):
    """Chance that an item of each true rank is among the first k of 1 + m candidates."""
    fig, ax = plt.subplots(figsize=(7.4, 2.8), layout="constrained")
    ranks = np.arange(1, last + 1)
    ax.step(ranks, ranks <= k, "C1--", where="mid", label=f"HR@{k} among all {n:,} items")
    ax.plot(ranks, [sampled(rank, n, m)[:k].sum() for rank in ranks], "C0-",
            label=f"HR@{k} among {m} negatives")
    ax.set(xlabel="true rank of the item to find", ylabel="chance of a hit")
    ax.legend(frameon=False)
    plt.show()


def draw_power(gaps, apart):
    """How often a difference is seen, by the number of users."""
    fig, ax = plt.subplots(figsize=(7.4, 2.8), layout="constrained")
    users = np.geomspace(100, 100_000, 61)
    for gap, style in zip(gaps, ("C0-", "C1--", "C2-."), strict=True):
        ax.semilogx(users, [power(u, gap, apart) for u in users], style, label=f"HR + {gap}")
    ax.axhline(0.8, color="grey", lw=1)
    ax.set(xlabel="users", ylabel="share of experiments\nthat see it", ylim=(0, 1.02))
    ax.legend(frameon=False, title="true difference")
    plt.show()


# Two numbers for one model, notebook 10.

def note(page, title, shown, meant):
    """Keep and print two numbers of one model: the one that misleads, the one that is meant."""
    page[title] = float(shown), float(meant)
    print(f"{title}:  {shown:.2f}  and  {meant:.2f}")


def behind_padding(params, batch, config, mask_mode, candidates, columns=4):
    """Ranks [S] of the first candidate: with the events as they are, and behind more padding.

    By HMAR's released graph, whose masks are the zeros of an array ("release") or "boolean".
    """
    config = replace(config, mask_mode=mask_mode)
    wider = {name: np.pad(x, [(0, 0), (columns, 0), (0, 0)][: x.ndim]) for name, x in (
        ("item", batch.item), ("behaviour", batch.behaviour), ("counts", batch.counts))}
    position = np.pad(params["position"], [(columns, 0), (0, 0)])
    longer = replace(config, length=config.length + columns)
    scores = (hmar.score(params, batch, candidates, config),
              hmar.score({**params, "position": position}, batch._replace(**wider), candidates,
                         longer))
    return [1 + (s > s[:, :1]).sum(axis=1) for s in scores]


def draw_pairs(page):
    """Both numbers of every trap."""
    fig, ax = plt.subplots(figsize=(8.4, 0.8 + 0.28 * len(page)), layout="constrained")
    for y, (shown, meant) in enumerate(page.values()):
        ax.plot((shown, meant), (y, y), color="lightgrey", lw=3, zorder=0)
        ax.plot(shown, y, "C1X", ms=9, label="misleads" if y == 0 else None)
        ax.plot(meant, y, "C0o", ms=7, label="is meant" if y == 0 else None)
    ax.set_yticks(range(len(page)), page)
    ax.set(xlim=(-0.04, 1.04), ylim=(len(page) - 0.5, -0.5), xlabel="one model, two numbers")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()
