"""mbref's side of the metrics. g other candidates score more than the target, e others the same."""
from types import SimpleNamespace

import numpy as np

from mbref import metrics
from mbref.check.components.reading import take
from mbref.data import negatives


def greater_and_ties(params, inputs, tap):
    """Place of each target. A target that is not allowed is a miss: g = 2**62, e = 0.

    scores [B, C], target [B] columns, allowed [B, C] bool: who is a candidate -> g, e [B].
    """
    g, e = metrics.greater_and_ties(*take(inputs, "scores target allowed"))
    return {"g": g, "e": e}


def hit_rate(params, inputs, tap):
    """[rank <= k], expected over ties: ranks 1 + g .. 1 + g + e are equally likely.

    g, e [B] -> hit_rate [B]. ties "pessimistic": the worst of these ranks.
    """
    return {"hit_rate": metrics.hit_rate(*take(inputs, "g e k ties"))}


def mrr(params, inputs, tap):
    """[rank <= k] / rank, as in metrics.hit_rate.  g, e [B] -> mrr [B]."""
    return {"mrr": metrics.mrr(*take(inputs, "g e k ties"))}


def ndcg(params, inputs, tap):
    """[rank <= k] / log2(rank + 1), as in metrics.hit_rate.  g, e [B] -> ndcg [B]."""
    return {"ndcg": metrics.ndcg(*take(inputs, "g e k ties"))}


def recall_many(params, inputs, tap):
    """Hits among the k best over |positives|.  scores, positive, allowed [B, C] -> recall [B]."""
    return {"recall": metrics.recall_many(*take(inputs, "scores positive k allowed"))}


def ndcg_many(params, inputs, tap):
    """DCG@k over that of min(k, |positives|) positives, then others. As recall_many -> ndcg [B]."""
    return {"ndcg": metrics.ndcg_many(*take(inputs, "scores positive k allowed"))}


def auc(params, inputs, tap):
    """Share of (positive, negative) pairs in the right order; a tie is 1/2, with ties "strict" 0.

    scores [B, C], positive, allowed [B, C] bool -> auc [B].
    """
    return {"auc": metrics.auc(*take(inputs, "scores positive ties allowed"))}


def macro_auc(params, inputs, tap):
    """Mean AUC, and how many users have none.  scores, positive [B, C] -> mean [], skipped []."""
    mean, skipped = metrics.macro_auc(metrics.auc(inputs["scores"], inputs["positive"]))
    return {"mean": mean, "skipped": np.asarray(skipped)}


def expected_sampled_rank(params, inputs, tap):
    """1 + m (r - 1) / (n - 1): the mean rank among m negatives of the item of rank r among all n.

    Negatives are drawn uniformly from the n - 1 others; ranks count from 1.  r [R] -> rank [R].
    """
    return {"rank": negatives.expected_sampled_rank(*take(inputs, "r n m"))}


def rank_plug_in(params, inputs, tap):
    """Rank among n items, not rounded, by that among m negatives.  r_sampled [R] -> rank [R]."""
    return {"rank": negatives.rank_plug_in(*take(inputs, "r_sampled n m"))}


def bias_variance_estimator(params, inputs, tap):
    """x [m+1], the worth of each sampled rank, from rank 1.  metric [n], prior [n] -> x [m+1].

    It minimises sum_r p(r) [(E[x | r] - M(r))^2 + gamma Var(x | r)], M(r) the metric of the ranks
    r = 1..n, p the prior; each of m negatives, drawn with replacement, is better with chance
    (r - 1) / (n - 1).
    """
    return {"x": negatives.bias_variance_estimator(*take(inputs, "metric m gamma prior"))}


def mean_and_spread(params, inputs, tap):
    """Mean and sample standard deviation, divisor S - 1.  values [S] -> mean [], sd []."""
    mean, sd = metrics.mean_and_spread(inputs["values"])
    return {"mean": np.asarray(mean), "sd": np.asarray(sd)}


def replay(picks):
    """In place of a Generator: it draws these picks [n, B] row by row, cut to what is asked for."""
    left = iter(picks)
    return SimpleNamespace(integers=lambda high, size: next(left)[:size] % high)


def paired_bootstrap(params, inputs, tap):
    """Mean of a - b, and percentiles 2.5 and 97.5 of the n resampled means: low, high.

    Percentile q of these in rising order, counted from 0, is at place q / 100 (n - 1), interpolated
    linearly. a, b [B]; picks [n, B]: the cases 0..B-1 of each resample -> mean, low, high [].
    """
    a, b, picks = take(inputs, "a b picks")
    found = metrics.paired_bootstrap(a, b, replay(picks), len(picks))
    return {name: np.asarray(value) for name, value in found._asdict().items()}
