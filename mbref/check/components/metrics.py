"""mbref's side of the metrics. g other candidates score more than the target, e others the same."""
from types import SimpleNamespace

from mbref import metrics
from mbref.check.components.reading import component
from mbref.data import negatives

greater_and_ties = component("g", "e")(lambda scores, target, allowed: metrics.greater_and_ties(
    scores, target, allowed))
hit_rate = component("hit_rate")(lambda g, e, k, ties: metrics.hit_rate(g, e, k, ties))
mrr = component("mrr")(lambda g, e, k, ties: metrics.mrr(g, e, k, ties))
ndcg = component("ndcg")(lambda g, e, k, ties: metrics.ndcg(g, e, k, ties))
recall_many = component("recall")(lambda scores, positive, k, allowed: metrics.recall_many(
    scores, positive, k, allowed))
ndcg_many = component("ndcg")(lambda scores, positive, k, allowed: metrics.ndcg_many(
    scores, positive, k, allowed))
auc = component("auc")(lambda scores, positive, ties, allowed: metrics.auc(
    scores, positive, ties, allowed))
macro_auc = component("mean", "skipped")(
    lambda scores, positive: metrics.macro_auc(metrics.auc(scores, positive)))
expected_sampled_rank = component("rank")(
    lambda r, n, m: negatives.expected_sampled_rank(r, n, m))
rank_plug_in = component("rank")(lambda r_sampled, n, m: negatives.rank_plug_in(r_sampled, n, m))
bias_variance_estimator = component("x")(
    lambda metric, m, gamma, prior: negatives.bias_variance_estimator(metric, m, gamma, prior))
mean_and_spread = component("mean", "sd")(lambda values: metrics.mean_and_spread(values))
paired_bootstrap = component("mean", "low", "high")(
    lambda a, b, picks: metrics.paired_bootstrap(a, b, replay(picks), len(picks)))


def replay(picks):
    """In place of a Generator: it draws these picks [n, B] row by row, cut to what is asked for."""
    left = iter(picks)
    return SimpleNamespace(integers=lambda high, size: next(left)[:size] % high)
