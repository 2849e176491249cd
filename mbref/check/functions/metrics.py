"""mbref's side of the metrics. g other candidates score more than the target, e others the same."""
import numpy as np

from mbref import metrics


def greater_and_ties(params, inputs, tap):
    """Place of each target.  scores [B, C], target [B] columns, allowed [B, C] bool: who is a candidate -> g, e [B].

    A target that is not allowed is a miss: g = 2**62, e = 0.
    """
    g, e = metrics.greater_and_ties(inputs["scores"], inputs["target"], inputs["allowed"])
    return {"g": g, "e": e}


def hit_rate(params, inputs, tap):
    """[rank <= k], expected over random tie-breaking, where ranks 1 + g .. 1 + g + e are equally likely.

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
    """Expected hits among the k best over |positives|.  scores [B, C], positive, allowed [B, C] bool -> recall [B]."""
    return {"recall": metrics.recall_many(inputs["scores"], inputs["positive"], inputs["k"], inputs["allowed"])}


def ndcg_many(params, inputs, tap):
    """Expected DCG@k over that of a list with min(k, |positives|) positives first.  As recall_many -> ndcg [B]."""
    return {"ndcg": metrics.ndcg_many(inputs["scores"], inputs["positive"], inputs["k"], inputs["allowed"])}


def auc(params, inputs, tap):
    """Share of (positive, negative) pairs in the right order; a tie counts 1/2, with ties "strict" 0.

    scores [B, C], positive, allowed [B, C] bool -> auc [B].
    """
    return {"auc": metrics.auc(inputs["scores"], inputs["positive"], inputs["ties"], inputs["allowed"])}


def macro_auc(params, inputs, tap):
    """Mean AUC of the users who have one, and how many have none.  scores, positive [B, C] -> mean [], skipped []."""
    mean, skipped = metrics.macro_auc(metrics.auc(inputs["scores"], inputs["positive"]))
    return {"mean": mean, "skipped": np.asarray(skipped)}
