"""HierSRec's table: what follows in a session, ranked among all items and among those of the likely categories alone.

Source: the abstract of arXiv 2309.06533; what it leaves open is ours. A target outside the candidates is a miss that
stays in the denominator, K is chosen on validation sessions, and full and gated figures come from the same scores.
A `scorer` here is (history, cases) -> scores [B, N] and log p of the next category [B, C], or None without that head.

Shapes: S cases, B of them in a batch, N items, C categories with class 0 = unknown.
"""
from dataclasses import asdict, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mbref import candidates as gate
from mbref import candidates_scored as scored
from mbref import evaluation, metrics, optim, ranked, runs, training
from mbref.baselines import counting
from mbref.data import sequences, worlds_sessions
from mbref.data.readers import Log
from mbref.errors import require
from mbref.papers import hiersrec

CUT = 20
SHARES = (0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0)  # wanted of the items, as a mean over sessions, where reachable
SHOWN = 0.04                                      # the example of the paper's abstract
LENGTHS = {"1 click": (1, 1), "2 clicks": (2, 2), "3-5 clicks": (3, 5), "6+ clicks": (6, np.inf)}  # so far
MATCHED, RANDOM_TEXT, BOUND = "flat MTL, matched width", "random text", "oracle (a bound)"
ITEM = {"tasks": "item"}
ROWS = {  # row of the table: (model, fields that differ from the defaults)
    "SASRec": ("sasrec", {"validate": "MRR@20"}),
    "ID only": ("hiersrec", {**ITEM, "inputs": "id"}),
    "ID + category": ("hiersrec", {**ITEM, "inputs": "id+category"}),
    "ID + text": ("hiersrec", {**ITEM, "inputs": "id+text"}),
    "no MTL": ("hiersrec", ITEM),
    "no metadata": ("hiersrec", {"inputs": "id"}),
    "flat MTL": ("hiersrec", {"hier": "none"}),
    MATCHED: ("hiersrec", {"hier": "none"}),
    "HierSRec": ("hiersrec", {}),
    RANDOM_TEXT: ("hiersrec", {}),
    **{kind: ("hiersrec", {"hier": kind}) for kind in ("stop", "logits", "tied")},
    BOUND: ("hiersrec", {"hier": "oracle"}),
    "item weights tied": ("hiersrec", {"item_out": "tied"}),
    **{f"lambda = {x}": ("hiersrec", {"category_weight": x}) for x in ("0", "0.1", "0.3", "3")},
}
CURVES = ("HierSRec", "flat MTL", "no metadata", BOUND, "the rule behind the log")  # in the figure of shares
LAMBDAS = {x: "HierSRec" if x == 1 else f"lambda = {x}" for x in (0, 0.1, 0.3, 1, 3)}


class SessionProblem(NamedTuple):
    """The same cases for every row."""

    log: Log
    task: runs.Task
    split: sequences.Split


def from_log(task):
    """A SessionProblem from a log file. Raises InputError for one that this table cannot be made of."""
    require(task.split != "leave-one-out", "this table splits sessions by date: give --split-by session-rec or srgnn.")
    require(task.candidates == "all", "a session may click an item again: --candidates unseen is not for this table.")
    log, task, split = runs.open_task(task)
    require(log.category is not None, f"{task.data} has no categories, which candidates are chosen by.")
    return SessionProblem(log, task, split)


def applies(model, config, task, log):
    """Can candidates be chosen by this model's own prediction of the next category?  -> bool."""
    return (model is hiersrec and config.tasks == "both" and config.hier != "oracle" and task.split != "leave-one-out"
            and log.category is not None)


# One row of the table.

def split_of(problem, job):
    """The split that a job trains on: the problem's own, or with random vectors of its seed in place of texts."""
    if job.row != RANDOM_TEXT:
        return problem.split
    return runs.with_text(problem.split, problem.log, "random", job.settings.seed)


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    config = runs.make_config(runs.MODELS[job.model], problem.split, problem.log, problem.task, job.overrides)
    return matched(config, replace(config, hier="soft")) if job.row == MATCHED else config


def matched(config, wanted):
    """`config` with a larger width, a multiple of its heads, whose parameters are closest in number to `wanted`'s."""
    size, wider = parameters(hiersrec, wanted), config
    while parameters(hiersrec, wider) < size:
        config, wider = wider, replace(wider, width=wider.width + wider.heads)
    return min(wider, config, key=lambda c: abs(parameters(hiersrec, c) - size))


def parameters(model, config):
    """How many numbers a model learns."""
    return sum(a.size for _, a in optim.leaves(model.init(np.random.default_rng(0), config), ""))


def train_and_report(problem, job, progress=False):
    """One row's figures for one seed.  -> ({column: number}, {"steps": ..., "validation": ..., ...}).

    K is chosen with the model that did not train on the validation sessions.
    """
    model, config, split = runs.MODELS[job.model], config_of(problem, job), split_of(problem, job)
    final, search = training.search_and_refit(model, config, job.settings, split, progress=progress)
    about = {"steps": final.step, "validation": [(step, metric) for step, _, metric in search.history],
             "parameters": parameters(model, config), "config": asdict(config)}
    return report_of(split, problem.log, model, config, search.best, final.params), about


def report_of(split, log, model, config, searched, final):
    """The figures of a trained model: `final` parameters on the test cases, K by those of the search.  -> as `report`.
    """
    chosen, tested = (scorer(model, without_ids(params, events), config)
                      for params, events in ((searched, split.train), (final, split.refit)))
    return report(split, log, chosen, tested)


def without_ids(params, events):
    """Parameters in which items that `events` do not hold are their category and text alone: embedding and bias 0.

    Free output weights ("fc") are left as they are: they know an item by its id only.
    """
    if "b_i" not in params:
        return params
    known = np.bincount(events.item, minlength=len(params["b_i"]) + 1) > 0  # [N + 1]
    made = {"b_i": params["b_i"] * known[1:]}
    return params | made | ({"E_I": params["E_I"] * known[:, None]} if "E_I" in params else {})


def plain_rows(problem, at=()):
    """Full figures of chance and of everything that only counts; the log's rule with its own gate."""
    split, index = problem.split, index_of(problem.split, problem.log)
    plain = {"random": lambda history, cases: np.zeros((len(cases), split.items)),
             **counting.plain(split.refit, split.items)}
    scorers = {name: without_head(score) for name, score in plain.items()}
    rule = worlds_sessions.scorer_of(problem.task.data, problem.log)
    scorers |= {"the rule behind the log": with_sums(rule, index)} if rule else {}
    return {name: report(split, problem.log, score, score) for name, score in scorers.items()}


def scorer(model, params, config):
    """A trained model as a scorer of items and, where it has that head, of categories."""
    if model is not hiersrec or config.tasks == "item":
        return without_head(evaluation.scorer(model, params, config))

    def score(history, cases):
        batch = hiersrec.batch(history, cases, config)
        q, logp = hiersrec.joined(params, hiersrec.newest(params, batch, config), config, batch.oracle)
        return hiersrec.item_logits(params, batch, q, config), logp

    return score


def without_head(score):
    """A scorer of items as one that knows nothing of categories."""
    return lambda history, cases: (score(history, cases), None)


def with_sums(score, index):
    """A scorer of probabilities [B, N] of items as one that sums them for every category."""
    def both(history, cases):
        p = score(history, cases)
        with np.errstate(divide="ignore"):  # a category without items has probability 0
            return p, np.log(_by_category(p, index))

    return both


about = ranked.about


def columns(problem, at=()):
    """The columns of a table on the screen: all items, then candidates of about 4%, or what is next in reach."""
    share = min(share for share in reachable(problem.split, problem.log) if share >= SHOWN)
    return ["MRR@20", "Recall@20", *(f"{name} at {share:.0%}" for name in ("MRR@20", "Recall@20", "coverage", "share"))]


def figure_columns(problem, at=()):
    """The columns worth a figure."""
    return columns(problem)[:4]


# Figures.

def index_of(split, log):
    """The candidates' Index of the log's items, with class 0 for items without a category."""
    return gate.index_of(split.train.category, len(log.categories))


def reachable(split, log, shares=SHARES):
    """Those of the shares that whole categories can make: not below that of the validation targets' own, on average.

    So a column "at 4%" is 4% to within half a category, and a log of few large categories has no such column.
    """
    sizes = gate.sizes_of(index_of(split, log))
    least = sizes[split.train.category[split.validation.item]].mean() / split.items
    return tuple(share for share in shares if share >= min(least, 1))


def report(split, log, chosen, tested, shares=SHARES, k=CUT):
    """Every figure of a table row, of the test cases.  -> {column: number}.

    "MRR@20" is of the full ranking; "MRR@20 at 4%" among the candidates of K categories, K being the one whose mean
    share on the validation sessions is closest to 4% by the scorer `chosen`; "MRR@20 at 4%, 1 click" of those cases.
    Only `reachable` shares have columns.
    "share", "lowest share" and "highest share" are what the test sessions then rank; "gained" and "lost" are the two
    terms of what the gate changes in Recall. Shares and groups without cases have no columns.
    """
    index, groups = index_of(split, log), groups_of(split)
    ks = wanted_ks(chosen, split.validation, index, reachable(split, log, shares))
    policies = {f" at {share:.0%}": partial(gate.topk, K=K) for share, K in ks.items()}
    full, among = ranked(tested, split.test, index, policies)
    row = {name: value for name, value in figures(full, groups, k).items() if not name.startswith("coverage")}
    for (kind, (places, amounts)), K in zip(among.items(), ks.values(), strict=True):
        gap = scored.gap(full, places, k)
        row |= figures(places, groups, k, kind)
        row |= {f"share{kind}": float(np.mean(amounts)), f"lowest share{kind}": float(np.min(amounts)),
                f"highest share{kind}": float(np.max(amounts)), f"K{kind}": K,
                f"gained{kind}": gap.gained, f"lost{kind}": gap.lost}
    return row | {f"cases{group}": int(which.sum()) for group, which in groups.items()}


def figures(places, groups, k=CUT, kind=""):
    """Recall, MRR, NDCG at k and coverage for each group of cases.  -> {"MRR@20 at 4%, 1 click": ...}."""
    return {f"{name}{kind}{group}": value for group, which in groups.items()
            for name, value in scored.report(*(x[which] for x in places), k=k).items()}


def groups_of(split):
    """The test cases by how many clicks the session has so far, and by whether the target was ever trained on.

    -> {suffix of a column: [S] bool}, those with cases; warm and cold only where some item is cold.
    """
    size, target = np.diff(split.test.history.ptr), split.test.item
    groups = {"": np.ones(len(size), bool)}
    groups |= {f", {name}": (size >= low) & (size <= high) for name, (low, high) in LENGTHS.items()}
    cold = np.bincount(split.refit.item, minlength=split.items + 1)[target] == 0
    groups |= {", warm": ~cold, ", cold": cold} if cold.any() else {}
    return {name: which for name, which in groups.items() if which.any()}


def wanted_ks(score, held, index, shares=SHARES, batch_size=64):
    """For every wanted share, the K of topk whose mean share is closest to it; none without a category head.

    -> {share: K}.
    """
    logp = [score(held.history, cases)[1] for cases in _batches(len(held.item), batch_size)]
    if not logp or logp[0] is None:
        return {}
    return {share: gate.k_of_share(np.concatenate(logp), share, index) for share in shares}


def ranked(score, held, index, policies, batch_size=64):
    """Places of the held-out items among all items and among each policy's candidates, from the same scores.

    policies: {name: function of log p [B, C] -> chosen [B, C]}.
    -> (Places, {name: (Places, shares of the items that the sessions rank [S])}).
    Raises InputError for scores that are not finite.
    """
    everything, parts = np.ones(len(index.indptr) - 1, bool), {name: [] for name in (None, *policies)}
    home = np.empty(len(index.order) + 1, np.int64)
    home[index.order] = np.repeat(np.arange(len(everything)), gate.sizes_of(index))
    for cases in _batches(len(held.item), batch_size):
        scores, logp = score(held.history, cases)
        own, counts = home[held.item[cases]], rivals(scores, held.item[cases], index)
        for name, policy in {None: None, **policies}.items():
            chosen = policy(logp) if policy else np.tile(everything, (len(cases), 1))
            parts[name].append((*placed(*counts, chosen, own), chosen @ gate.sizes_of(index) / len(index.order)))
    found = {name: list(map(np.concatenate, zip(*part, strict=True))) for name, part in parts.items()}
    full, *among = ((scored.Places(*columns[:3]), columns[3]) for columns in found.values())
    return full[0], dict(zip(policies, among, strict=True))


def rivals(scores, target, index):
    """How many items of each category score more than the target, and the same, itself included.  -> 2 [B, C].

    One look at the scores [B, N] thus serves every policy. Raises InputError for scores that are not finite.
    """
    require(np.isfinite(scores).all(), "scores must be finite; mend the model.")
    own = scores[np.arange(len(scores)), target - 1][:, None]
    return _by_category(scores > own, index), _by_category(scores == own, index)


def placed(greater, ties, chosen, home):
    """Places of the targets, of category `home` [B], among the chosen categories.  greater, ties, chosen [B, C]."""
    inside = gate.holds(chosen, home)
    return scored.Places(np.where(inside, (greater * chosen).sum(axis=1), metrics.MISS),
                       np.where(inside, (ties * chosen).sum(axis=1) - 1, 0), inside)


def _by_category(values, index):
    """Sums of columns [B, N] over the items of each category.  -> [B, C]."""
    sums = np.zeros((len(values), values.shape[1] + 1), np.int64 if values.dtype == bool else values.dtype)
    np.cumsum(values[:, index.order - 1], axis=1, out=sums[:, 1:])
    return np.diff(sums[:, index.indptr], axis=1)


def _batches(cases, size):
    """0 .. cases - 1 in parts of `size`."""
    return np.split(np.arange(cases), range(size, cases, size))
