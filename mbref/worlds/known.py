"""What the worlds with a known best answer share.

Each is a page with the rule in words and as a formula, and these names:

    FORMAT, TARGET, LOG       how its log is read, which event is to be foretold, the file's name
    SIGNALS                   what may decide the next item: first the signal, then without it
    USERS, SHIPPED            users of the full world, and of the part of it in tiny_data/worlds
    draw_user(rng, signal)    one user's events (item, kind, seconds)
    chances(past, signal)     P(the next target item | the past), [N + 1], 0 at padding
    write(people, signal)     {file name: text} of the events of all users

`chances` is what draw_user draws from, so no model does better in the long run. Raw ids are the
numbers 1..N, so that a reader numbers the items as the page does.
"""
from typing import NamedTuple

import numpy as np

from mbref import metrics
from mbref.data.sequences import take

START = 1511539200  # 2017-11-25 00:00:00 at UTC+8, in seconds since 1970
DAY, HOUR = 86400, 3600  # seconds
# per case, from how many candidates score more (g) and the same (e) among n of them
MEASURES = {"NDCG@10": lambda g, e, n: metrics.ndcg(g, e, 10),
            "MRR@20": lambda g, e, n: metrics.mrr(g, e, 20),
            "AUC": lambda g, e, n: 1 - (g + e / 2) / (n - 1)}


class Past(NamedTuple):
    """What one user did: n events, oldest first, and when the next one comes."""
    item: np.ndarray   # [n] 1..N; in a log of groups the object
    kind: np.ndarray   # [n] behaviour 1..K; in a log of groups the group 0..G-1
    time: np.ndarray   # [n] seconds since 1970, 0 where the log has none
    now: int = 0       # seconds since 1970


# All chance goes through Generator.random: no other stream of NumPy's may change the files.

def whole(rng, low, high):
    """Whole number in low..high, all equally likely."""
    return low + int(rng.random() * (high - low + 1))


def draw(rng, weights):
    """Index in 0..n-1 with probability in proportion to weights [n]."""
    edges = np.cumsum(weights)
    return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))


def text_of(rows, separator=","):
    """Rows as lines of a text file."""
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def past_of(events, now=0):
    """The Past of a list of events (item, kind, seconds)."""
    return Past(*np.array(events, int).reshape(-1, 3).T, now)


def draw_item(rng, chances, events, signal):
    """The next target item, drawn from a world's chances."""
    return draw(rng, chances(past_of(events), signal))


def draw_shopper(rng, chances, signal, N, T, shares):
    """T events (item, behaviour, 0) by shares; buys, as the last, by chances, others evenly."""
    events = []
    for step in range(T):
        kind = 1 if step == T - 1 else 1 + draw(rng, shares)
        item = draw_item(rng, chances, events, signal) if kind == 1 else whole(rng, 1, N)
        events.append((item, kind, 0))
    return events


def make(world, signal=None, users=None, seed=1):
    """{file name: text} of a world; the first users are the same however many there are."""
    rng, signal = np.random.default_rng(seed), signal or world.SIGNALS[0]
    return world.write([world.draw_user(rng, signal) for _ in range(users or world.USERS)], signal)


def newest(past, kinds):
    """The item of the newest event whose kind is among `kinds`; 0 if there is none."""
    items = past.item[np.isin(past.kind, kinds)]
    return int(items[-1]) if len(items) else 0


def mix(share, chosen):
    """`share` evenly over the `chosen` items [N+1], the rest over all.  -> [N+1]."""
    even = np.ones(len(chosen)) / (len(chosen) - 1)
    even[0] = 0
    return share * chosen / chosen.sum() + (1 - share) * even if chosen.any() else even


# The best answers for the cases of a log.

def pasts_of(history, cases):
    """The pasts of the sequences `cases` of a held-out history (data.sequences.Sequences)."""
    part, _ = take(history, cases)
    time = np.zeros_like(part.item) if part.time is None else part.time
    now = np.zeros(len(cases), int) if history.now is None else history.now[cases]
    columns = (np.split(x, part.ptr[1:-1]) for x in (part.item, part.behaviour, time))
    return [Past(*one) for one in zip(*columns, now, strict=True)]


def pasts_of_rows(log, rows):
    """What came before each of the rows of a log of groups (data.groups.GroupLog)."""
    first = np.searchsorted(log.user, log.user[rows])
    return [Past(log.object[a:b], log.group[a:b], log.time[a:b], log.time[b])
            for a, b in zip(first, rows, strict=True)]


def best_of(world, signal, pasts):
    """The true distribution of the next target item after each past.  -> [S, N]."""
    return np.array([world.chances(past, signal)[1:] for past in pasts])


def expected(scores, p, measure, allowed=None):
    """A measure's mean over all next items, each as often as it comes.  scores, p [S, N] -> [S].

    sum_i p_i measure(place of i by the scores), over the candidates that are `allowed` [S, N]; ties
    count as their mean. expected(p, p, measure) is the ceiling: no scores do better.
    """
    values = np.zeros(len(p))
    for s, (row, chance) in enumerate(zip(scores, p, strict=True)):
        which = slice(None) if allowed is None else allowed[s]
        row, chance = row[which], chance[which]
        ordered = np.sort(row)
        below, upto = (np.searchsorted(ordered, row, side=side) for side in ("left", "right"))
        earned = MEASURES[measure](len(row) - upto, upto - below - 1, len(row))
        values[s] = chance @ earned / chance.sum()
    return values
