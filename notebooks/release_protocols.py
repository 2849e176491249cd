"""HMAR's released graph under one protocol after another: what each habit does to the score.

A protocol is how a log is split, what the model reads, what the number of steps is chosen by and
how ties count. `table` trains and measures the same model under each of them, and plain baselines
on the same candidates.

Glossary of shapes: S users to test, C candidates (the held-out item first), K behaviour types,
N items.
"""
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbref import metrics, training
from mbref.baselines import bpr_mf, counting
from mbref.errors import require_choice
from mbref.nn import optim
from mbref.nn.lookup import value_and_grad
from mbref.released.hmar import data as hmar_data, model as hmar

PLAIN = ("popularity, events", "co-occurrence, last item", "co-occurrence, last 10", "seen before")
LEAK = "the candidates' counts alone"


@dataclass(frozen=True)
class Protocol:
    """Where an evaluation of HMAR may follow its release; the defaults do, as the Taobao file."""
    counts: str = "whole-log"           # or "training", "running": the rows that indicators count
    candidate_counts: str = "release"   # "target": the held-out item does not bring its own counts
    reverse_context: bool = True        # indicators and class labels against the order of time
    drop_target_history: bool = False   # True: no earlier rows on the held-out item
    merge: str = "encoder"              # "bypass": the behaviour encoder's result is not used
    behaviour_norm: bool = False        # True: layer norm before each behaviour's attention
    mask_mode: str = "release"          # "boolean": the masks hold after that layer norm, too
    choice: str = "test"                # steps: the best on the "test" or on "validation" rows
    ties: str = "expected"              # as in hmar_data.hits

    def __post_init__(self):
        require_choice(self, choice=("test", "validation"),
                       ties=("expected", "release", "pessimistic", "optimistic"))


PROTOCOLS = {  # each but the first changes one thing
    "as released": Protocol(),
    "positive without its own counts": Protocol(candidate_counts="target"),
    "counts of training rows only": Protocol(counts="training", candidate_counts="target"),
    "contexts in order of time": Protocol(reverse_context=False),
    "target item not in the history": Protocol(drop_target_history=True),
    "behaviour encoder bypassed": Protocol(merge="bypass"),
    "layer norm, masks revived": Protocol(behaviour_norm=True),
    "layer norm, masks kept": Protocol(behaviour_norm=True, mask_mode="boolean"),
    "steps chosen on validation rows": Protocol(choice="validation"),
    "ties as they fall": Protocol(ties="release"),
}


class Problem(NamedTuple):
    """What is trained on, and the candidates of every user to test."""

    events: hmar_data.Partition
    users: np.ndarray        # [S] places in the partition
    candidates: np.ndarray   # [sets, S, C]


def problem_of(log, target, protocol, negatives=None, sets=3):
    """Partition and candidates.  negatives [sets, users, m] of all users -> Problem.

    None draws them as the release, from seed 0. The held-out rows do not depend on the protocol;
    negatives that are drawn do where it removes training rows.
    """
    drop, items = protocol.drop_target_history, len(log.items) - 1
    events = hmar_data.partition(log, target, drop, protocol.counts, "train")
    users, rng = hmar_data.users_to_test(events), np.random.default_rng(0)
    if negatives is None:
        each = [hmar_data.candidates(events, users, items, rng) for _ in range(sets)]
        return Problem(events, users, np.array(each))
    targets = np.broadcast_to(events.target[users][:, None], (len(negatives), len(users), 1))
    return Problem(events, users, np.concatenate([targets, negatives[:, users]], axis=2))


def before_the_held_out(log, events):
    """The log before the rows that `events` holds out: validation rows are cut from it.  -> Log."""
    train = events.train
    user = np.repeat(train.user, np.diff(train.ptr))
    return log._replace(user=user, item=train.item, behaviour=train.behaviour)


def config_of(protocol, config):
    """A hmar.Config with the protocol's switches."""
    variant = replace(config.file, merge=protocol.merge, behaviour_norm=protocol.behaviour_norm,
                      drop_target_history=protocol.drop_target_history)
    return replace(config, variant=variant, candidate_counts=protocol.candidate_counts,
                   mask_mode=protocol.mask_mode, reverse_context=protocol.reverse_context)


def train(events, config, at, seed=0, rate=6e-4, batch_size=128, kind=np.float32):
    """Parameters of type `kind` after each number of steps in `at`, by the release's Adam.

    Yields (step, params).
    """
    rng, rows = np.random.default_rng(seed), np.arange(batch_size)
    rule = optim.Adam(rate, beta2=0.98, epsilon_hat=True)
    params = optim.tree_map(lambda a: a.astype(kind), hmar.init(rng, config))
    moments = optim.start(rule, params)
    for step in range(max(at) + 1):
        if step in at:
            yield step, params
        if step < max(at):
            batch = hmar.training_batch(events, rows, config, rng)
            _, grads = value_and_grad(hmar.loss)(params, batch, config, rng)
            params, moments = optim.update(rule, params, grads, moments, step + 1)


def figures(problem, score, ties="expected"):
    """HR@10 and NDCG@10 of score(users, candidates [S, C]), mean over the sets of candidates."""
    each = [np.mean(hmar_data.hits(score(problem.users, chosen), ties), axis=1)
            for chosen in problem.candidates]
    return tuple(float(x) for x in np.mean(each, axis=0))


def scorer(params, config, events):
    """The released model as a function (users, candidates [S, C]) -> [S, C]."""
    return lambda users, candidates: hmar.score(
        params, hmar.ranking_batch(events, users, config), candidates, config)


def same_training(protocols):
    """Protocols that differ only in how a trained model is measured stand together.

    -> list of {name: protocol}.
    """
    groups = {}
    for name, protocol in protocols.items():
        key = replace(protocol, candidate_counts="release", choice="test", ties="expected")
        groups.setdefault(key, {})[name] = protocol
    return list(groups.values())


def hmar_rows(log, target, protocols, config, at, seeds, negatives=None, **settings):
    """The model, trained once a seed, under protocols of `same_training`.

    Each reports the number of steps in `at` whose NDCG@10 is highest, on the test rows or on
    validation rows. -> {name: [(HR@10, NDCG@10), one a seed]}.
    """
    first, rows = next(iter(protocols.values())), {name: [] for name in protocols}
    problem, own = problem_of(log, target, first, negatives), config_of(first, config)

    def measure(found, problem, protocol):
        kind = config_of(protocol, config)
        return {step: figures(problem, scorer(params, kind, problem.events), protocol.ties)
                for step, params in found}

    for seed in seeds:
        states = list(train(problem.events, own, at, seed, **settings))
        for name, protocol in protocols.items():
            found = by = measure(states, problem, protocol)
            if protocol.choice == "validation":
                earlier = problem_of(before_the_held_out(log, problem.events), target, protocol)
                by = measure(train(earlier.events, own, at, seed, **settings), earlier, protocol)
            rows[name].append(found[best_step(by)])
    return rows


def best_step(by):
    """The number of steps with the highest NDCG@10.  by {steps: (HR@10, NDCG@10)}."""
    return max(by, key=lambda step: by[step][1])


def plain_rows(problem, config, ties="expected", learned=()):
    """Baselines on the same candidates; `learned`: scorers of BPR-MF, one a seed.

    -> {name: [(HR@10, NDCG@10), ...]}.
    """
    known = counting.plain(problem.events.train, config.items)
    scorers = {"all scores equal": lambda users, candidates: np.zeros(candidates.shape)}
    scorers |= {name: pick(known[name], problem.events.train) for name in PLAIN}
    scorers[LEAK] = lambda users, candidates: hmar.candidate_counts(
        hmar.ranking_batch(problem.events, users, config), candidates.shape, config).sum(-1)
    rows = {name: [figures(problem, score, ties)] for name, score in scorers.items()}
    return rows | {"BPR-MF": [figures(problem, score, ties) for score in learned]}


def pick(score, history):
    """A scorer (history, cases) -> [cases, N] as one (users, candidates [S, C]) -> [S, C]."""
    return lambda users, candidates: np.take_along_axis(
        score(history, users), candidates - 1, axis=1)


def bpr(train, like, seed, steps):
    """BPR-MF, trained on the same rows in windows as long: (users, candidates) -> scores."""
    config = bpr_mf.Config(like.items, int(train.user.max()), length=like.length)
    settings = training.Settings(seed=seed, steps=steps, rate=0.01, float32=False)
    params = training.fit(bpr_mf, config, settings, train, progress=False).params
    return lambda users, candidates: bpr_mf.score(
        params, bpr_mf.ranking_batch(train, users, config), candidates, config)


def table(log, target, config, at, seeds=(0, 1, 2), protocols=None, negatives=None, bpr_steps=300,
          **settings):
    """Every protocol's rows.  -> {protocol: {model: [(HR@10, NDCG@10), ...]}}.

    There is one pair a seed where a model learns. negatives: {drop_target_history: [sets, users,
    m]}, or None to draw them; settings: rate, batch_size and kind of `train`.
    """
    protocols, found, learned = protocols or PROTOCOLS, {}, {}
    negatives = negatives or {False: None, True: None}
    for group in same_training(protocols):
        given = negatives[next(iter(group.values())).drop_target_history]
        rows = hmar_rows(log, target, group, config, at, seeds, given, **settings)
        found |= {name: {"HMAR": row} for name, row in rows.items()}
    for name, protocol in protocols.items():
        drop = protocol.drop_target_history
        problem = problem_of(log, target, protocol, negatives[drop])
        if drop not in learned:
            learned[drop] = [bpr(problem.events.train, config, seed, bpr_steps)
                             for seed in seeds]
        own = config_of(protocol, config)
        found[name] |= plain_rows(problem, own, protocol.ties, learned[drop])
    return {name: found[name] for name in protocols}


def keep(name, make):
    """What a file beside this one keeps; without the file, make() is called and kept.

    `rm notebooks/release_ring.json; pytest notebooks/06_paper_and_release.ipynb` makes it anew.
    """
    path = Path(__file__).with_name(name)
    if not path.exists():
        path.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def text(found, models):
    """The table as text: HR@10 / NDCG@10, mean of the seeds, and HR@10's spread if several.

    models: {model: head of its column}.
    """
    def cell(row):
        hit, gain = (metrics.mean_and_spread([pair[i] for pair in row]) for i in (0, 1))
        spread = f" ± {hit.sd:.3f}" if len(row) > 1 else ""
        return f"{hit.mean:.3f} / {gain.mean:.3f}{spread}".replace("0.", ".")

    rows = [("", *models.values())]
    rows += [(name, *(cell(row[model]) for model in models)) for name, row in found.items()]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    return "\n".join(row[0].ljust(32) + "".join(map(str.rjust, row[1:], widths[1:]))
                     for row in rows)
