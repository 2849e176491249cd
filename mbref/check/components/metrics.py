"""mbref's side of the metrics. g other candidates score more than the target, e others the same."""
from types import SimpleNamespace

import numpy as np

from mbref import metrics
from mbref.data import negatives


def greater_and_ties(params, inputs, tap):
    """Place of each target.  scores [B, C], target [B] columns, allowed [B, C] bool: who is a
    candidate -> g, e [B].

    A target that is not allowed is a miss: g = 2**62, e = 0.
    """
    g, e = metrics.greater_and_ties(inputs["scores"], inputs["target"], inputs["allowed"])
    return {"g": g, "e": e}


def hit_rate(params, inputs, tap):
    """[rank <= k], expected over random tie-breaking, where ranks 1 + g .. 1 + g + e are equally
    likely.

    g, e [B] -> hit_rate [B]. ties "pessimistic": the worst of these ranks.
    """
    return {"hit_rate": metrics.hit_rate(inputs["g"], inputs["e"], inputs["k"], inputs["ties"])}


def mrr(params, inputs, tap):
    """[rank <= k] / rank, as in metrics.hit_rate.  g, e [B] -> mrr [B]."""
    return {"mrr": metrics.mrr(inputs["g"], inputs["e"], inputs["k"], inputs["ties"])}


def ndcg(params, inputs, tap):
    """[rank <= k] / log2(rank + 1), as in metrics.hit_rate.  g, e [B] -> ndcg [B]."""
    return {"ndcg": metrics.ndcg(inputs["g"], inputs["e"], inputs["k"], inputs["ties"])}


def recall_many(params, inputs, tap):
    """Expected hits among the k best over |positives|.  scores [B, C], positive, allowed [B, C]
    bool -> recall [B]."""
    return {"recall": metrics.recall_many(
        inputs["scores"], inputs["positive"], inputs["k"], inputs["allowed"])}


def ndcg_many(params, inputs, tap):
    """Expected DCG@k over that of a list with min(k, |positives|) positives first.  As recall_many
    -> ndcg [B]."""
    return {"ndcg": metrics.ndcg_many(
        inputs["scores"], inputs["positive"], inputs["k"], inputs["allowed"])}


def auc(params, inputs, tap):
    """Share of (positive, negative) pairs in the right order; a tie counts 1/2, with ties "strict"
    0.

    scores [B, C], positive, allowed [B, C] bool -> auc [B].
    """
    return {
        "auc": metrics.auc(inputs["scores"], inputs["positive"], inputs["ties"], inputs["allowed"])}


def macro_auc(params, inputs, tap):
    """Mean AUC of the users who have one, and how many have none.  scores, positive [B, C] -> mean
    [], skipped []."""
    mean, skipped = metrics.macro_auc(metrics.auc(inputs["scores"], inputs["positive"]))
    return {"mean": mean, "skipped": np.asarray(skipped)}


def expected_sampled_rank(params, inputs, tap):
    """1 + m (r - 1) / (n - 1): the mean rank among m negatives, drawn uniformly from the n - 1
    other items, of a target whose rank among all n is r, counted from 1.  r [R] -> rank [R].
    """
    return {"rank": negatives.expected_sampled_rank(inputs["r"], inputs["n"], inputs["m"])}


def rank_plug_in(params, inputs, tap):
    """Estimate of the rank among n items, not rounded, from the rank among m negatives.  r_sampled
    [R] -> rank [R]."""
    return {"rank": negatives.rank_plug_in(inputs["r_sampled"], inputs["n"], inputs["m"])}


def bias_variance_estimator(params, inputs, tap):
    """What each sampled rank counts: x that minimises sum_r p(r) [(E[x | r] - M(r))^2 + gamma Var(x
    | r)].

    metric [n], M(r) of the ranks r = 1..n; prior [n], weights p(r); each of m negatives, drawn with
    replacement, is better with chance (r - 1) / (n - 1) -> x [m+1], of sampled rank 1 first.
    """
    return {"x": negatives.bias_variance_estimator(
        inputs["metric"], inputs["m"], inputs["gamma"], inputs["prior"])}


def mean_and_spread(params, inputs, tap):
    """Mean and sample standard deviation, divisor S - 1.  values [S] -> mean [], sd []."""
    mean, sd = metrics.mean_and_spread(inputs["values"])
    return {"mean": np.asarray(mean), "sd": np.asarray(sd)}


def drawing(picks):
    """What stands in for a numpy Generator: it draws these picks [n, B], row by row.

    As many and as large as asked for: who asks for others than B below B gets others.
    """
    left = iter(picks)
    return SimpleNamespace(integers=lambda high, size: next(left)[:size] % high)


def paired_bootstrap(params, inputs, tap):
    """Mean of a - b, and low and high: percentiles 2.5 and 97.5 of the n resampled means.

    Percentile q of these in rising order, counted from 0, is at place q / 100 (n - 1), interpolated
    linearly. a, b [B]; picks [n, B], the cases 0..B-1 that each resample holds -> mean [], low [],
    high [].
    """
    found = metrics.paired_bootstrap(
        inputs["a"], inputs["b"], drawing(inputs["picks"]), len(inputs["picks"]))
    return {name: np.asarray(value) for name, value in found._asdict().items()}
