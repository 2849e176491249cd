"""mbref's side of the metrics. g other candidates score more than the target, e others the same."""
from types import SimpleNamespace

from mbref import metrics
from mbref.check.components.reading import component
from mbref.data import negatives

greater_and_ties = component("g", "e")(metrics.greater_and_ties)
hit_rate = component("hit_rate")(metrics.hit_rate)
mrr = component("mrr")(metrics.mrr)
ndcg = component("ndcg")(metrics.ndcg)
recall_many = component("recall")(metrics.recall_many)
ndcg_many = component("ndcg")(metrics.ndcg_many)
auc = component("auc")(metrics.auc)
macro_auc = component("mean", "skipped")(
    lambda scores, positive: metrics.macro_auc(metrics.auc(scores, positive)))
expected_sampled_rank = component("rank")(negatives.expected_sampled_rank)
rank_plug_in = component("rank")(negatives.rank_plug_in)
bias_variance_estimator = component("x")(
    lambda metric, m, gamma, prior: negatives.bias_variance_estimator(metric, m, gamma, prior))
mean_and_spread = component("mean", "sd")(metrics.mean_and_spread)
paired_bootstrap = component("mean", "low", "high")(
    lambda a, b, picks: metrics.paired_bootstrap(a, b, replay(picks), len(picks)))


def replay(picks):
    """In place of a Generator: it draws these picks [n, B] row by row, cut to what is asked for."""
    left = iter(picks)
    return SimpleNamespace(integers=lambda high, size: next(left)[:size] % high)
