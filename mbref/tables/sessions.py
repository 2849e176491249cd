"""HierSRec's table: the next click, ranked among all items and among those of likely categories.

Source: the abstract of arXiv 2309.06533; what it leaves open is ours. Both rankings come from the
same scores. A target outside the candidates is a miss that stays in the denominator.

A two-head scorer is a function (history, cases) -> scores of all items [B, N], and log p of the
next category [B, C], class 0 = unknown, or None where nothing predicts that.
"""
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from mbref import evaluation, metrics, protocol, runs, training
from mbref.candidates import choose, rank
from mbref.errors import require
from mbref.nn import optim
from mbref.tables import rows, whole_catalogue
from mbref.tables.kind import Kind, plain_scorers, ready_model

CUT = 20
SHOWN = 0.04  # of the items are candidates, the example of the paper's abstract
SHARES = (0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0)  # wanted of the items, as a mean over sessions
LENGTHS = {"1 click": (1, 1), "2 clicks": (2, 2), "3-5 clicks": (3, 5), "6+ clicks": (6, np.inf)}


def open_problem(task):
    """A Problem without negatives from a log file. Raises InputError for one without this table."""
    require(task.split != "leave-one-out",
            "this table splits sessions by date: give --split-by session-rec or srgnn.")
    require(task.candidates == "all",
            "a session may click an item again: --candidates unseen is not for this table.")
    log, task, split = runs.open_task(task)
    require(log.category is not None,
            f"{task.data} has no categories, which candidates are chosen by.")
    return whole_catalogue.Problem(log, task, split, {})


def applies(model, config, task, log):
    """Can candidates be chosen by this model's own prediction of the next category?  -> bool."""
    is_cut = task.split != "leave-one-out"
    return is_cut and log.category is not None and predicts_categories(model, config)


def predicts_categories(model, config):
    """Does the model predict the next category from the session alone?  -> bool."""
    heads = protocol.optional(model, "score_categories")
    return heads is not None and protocol.optional(model, "predicts_categories")(config)


def split_of(problem, job):
    """The split that a job trains on: the problem's, or one with random vectors as its texts."""
    if job.row != rows.RANDOM_TEXT:
        return problem.split
    return runs.with_text(problem.split, problem.log, "random", job.settings.seed)


def config_of(problem, job):
    """The model's Config for one job. Raises InputError for a value that it does not take."""
    model, config = ready_model(problem, job)
    return match_width(model, config) if job.row == rows.MATCHED else config


def match_width(model, config):
    """`config` with the width that gives about as many parameters as hier=soft has."""
    size, wider = count_parameters(model, replace(config, hier="soft")), config
    while count_parameters(model, wider) < size:
        config, wider = wider, replace(wider, width=wider.width + wider.heads)
    return min(wider, config, key=lambda c: abs(count_parameters(model, c) - size))


def count_parameters(model, config):
    """How many numbers a model learns."""
    params = model.init(np.random.default_rng(0), config)
    return sum(a.size for _, a in optim.leaves(params))


def train_and_report(problem, job):
    """One row's figures for one seed.  -> ({column: number}, facts of the training).

    K is chosen with the model that did not train on the validation sessions.
    """
    model = runs.find_model(job.model, job.overrides)
    config, split = config_of(problem, job), split_of(problem, job)
    final, search = training.search_and_refit(model, config, job.settings, split, progress=False)
    facts = {"parameters": count_parameters(model, config), "config": asdict(config)}
    figures = report_of(split, problem.log, model, config, search.best, final.params)
    return figures, training.describe(final, search) | facts


def report_of(split, log, model, config, searched, final, each=map):
    """`report` of `final` parameters, K by those of the search; ids not trained on are unknown."""
    scorers = [two_heads(model, forget_ids(model, params, events, split.items), config)
               for params, events in ((searched, split.train), (final, split.refit))]
    return report(split, log, *scorers, each)


def forget_ids(model, params, events, items):
    """Parameters that know items which `events` do not hold by their features alone."""
    known = np.bincount(events.item, minlength=items + 1) > 0  # [N+1]
    return protocol.optional(model, "forget_ids")(params, known)


def plain_rows(problem, each=map):
    """Figures of chance and of all that only counts.  -> {row: {column: number}}."""
    split = problem.split
    return {name: report(split, problem.log, *[one_head(score)] * 2, each)
            for name, score in plain_scorers(split.refit, split.items).items()}


def two_heads(model, params, config):
    """A trained model as a two-head scorer."""
    score = protocol.optional(model, "score_categories")
    if score is None:
        return one_head(evaluation.item_scorer(model, params, config))
    return lambda history, cases: score(params, model.ranking_batch(history, cases, config), config)


def one_head(score):
    """A scorer of items as a two-head scorer that predicts no categories."""
    return lambda history, cases: (score(history, cases), None)


def columns(problem):
    """The columns of a table on the screen: all items, then candidates of about 4%, or the next."""
    share = min(share for share in reachable(problem.split) if share >= SHOWN)
    names = "MRR@20", "Recall@20", "coverage", "share"
    return ["MRR@20", "Recall@20", *(f"{name} at {share:.0%}" for name in names)]


# The figures of a row.

def reachable(split):
    """Those of SHARES that whole categories can make.

    These are not below the mean share of the validation targets' own categories. So a column
    "at 4%" is 4% to within half a category, and a log of few large categories has no such column.
    """
    sizes = np.bincount(split.train.category[1:])  # 0: without one
    least = sizes[split.train.category[split.validation.item]].mean() / split.items
    return tuple(share for share in SHARES if share >= min(least, 1))


def report(split, log, choosing, tested, each=map):
    """Every figure of a table row, of the test cases.  -> {column: number}.

    choosing, tested: two-head scorers. "MRR@20" is of the full ranking; "MRR@20 at 4%" among the
    items of K categories, K being the one whose mean share on the validation sessions is closest to
    4% by the scorer `choosing`; "MRR@20 at 4%, 1 click" of those cases. "share" is what the test
    sessions then rank; "gained" and "lost" are the two terms of what the choice changes in Recall.
    """
    shares, groups = reachable(split), group_cases(split)
    index = choose.index_of(split.train.category, len(log.categories))
    ks = choose_ks(choosing, split.validation, index, shares, each=each)
    found = rank_targets(tested, split.test, split.train.category, ks, each=each)
    full, _ = found.pop("")
    row = {name: value for name, value in figures(full, groups).items()
           if not name.startswith("coverage")}
    for kind, (places, amounts) in found.items():
        gap = rank.gap(full, places, CUT)
        row |= figures(places, groups, kind=kind)
        row |= {f"share{kind}": float(np.mean(amounts)),
                f"lowest share{kind}": float(np.min(amounts)),
                f"highest share{kind}": float(np.max(amounts)),
                f"K{kind}": ks[kind], f"gained{kind}": gap.gained, f"lost{kind}": gap.lost}
    return row | {f"cases{group}": int(which.sum()) for group, which in groups.items()}


def figures(places, groups, k=CUT, kind=""):
    """Recall, MRR, NDCG and coverage of each group of cases.  -> {"MRR@20 at 4%, 1 click": ...}."""
    return {f"{name}{kind}{group}": value for group, which in groups.items()
            for name, value in rank.report(*(x[which] for x in places), k=k).items()}


def group_cases(split):
    """The test cases by clicks so far, and by whether the final model trained on their target.

    -> {suffix of a column: [S] bool}, groups with cases; warm and cold only if some item is cold
    """
    size, target = np.diff(split.test.history.ptr), split.test.item
    groups = {"": np.ones(len(size), bool)}
    groups |= {f", {name}": (size >= low) & (size <= high) for name, (low, high) in LENGTHS.items()}
    cold = np.bincount(split.refit.item, minlength=split.items + 1)[target] == 0
    groups |= {", warm": ~cold, ", cold": cold} if cold.any() else {}
    return {name: which for name, which in groups.items() if which.any()}


def choose_ks(score, held, index, shares=SHARES, batch_size=64, each=map):
    """For every wanted share, the K of choose.topk whose mean share is closest to it.

    -> {" at 4%": K}, empty if the two-head scorer predicts no categories
    """
    logp = [*each(partial(categories_of_cases, score, held),
                  evaluation.batches(len(held.item), batch_size))]
    if not logp or logp[0] is None:
        return {}
    logp = np.concatenate(logp)
    return {f" at {share:.0%}": choose.k_of_share(logp, share, index) for share in shares}


def categories_of_cases(score, held, cases):
    """log p of the next category by a two-head scorer.  -> [B, C], or None."""
    return score(held.history, cases)[1]


def rank_targets(score, held, category, ks, batch_size=64, each=map):
    """Where held-out items stand among all items, and among those of the K likeliest categories.

    score: a two-head scorer. category: of every item [N+1]. ks: {name: K}.
    -> {"", and each name: (Standing, shares of the items that the sessions rank [S])}
    Raises InputError for scores that are not finite.
    """
    parts = each(partial(rank_cases, score, held, category, ks),
                 evaluation.batches(len(held.item), batch_size))
    found = {name: [*map(np.concatenate, zip(*part, strict=True))]
             for name, part in zip(("", *ks), zip(*parts, strict=True), strict=True)}
    return {name: (rank.Standing(*places), share) for name, (*places, share) in found.items()}


def rank_cases(score, held, category, ks, cases):
    """What rank_targets says of the cases [B].  -> for "" and each of `ks` four of [B]."""
    (scores, logp), column, found = score(held.history, cases), held.item[cases] - 1, []
    for k in (None, *ks.values()):
        allowed = np.ones(scores.shape, bool)  # [B, N]
        if k is not None:
            allowed = choose.topk(logp, k)[:, category[1:]]
        inside = allowed[np.arange(len(cases)), column]
        places = metrics.greater_and_ties(scores, column, allowed)
        found.append((*places, inside, allowed.mean(axis=1)))
    return found


KIND = Kind(open_problem, whole_catalogue.describe, config_of, train_and_report, plain_rows,
            whole_catalogue.about, columns, lambda problem: columns(problem)[:4])
