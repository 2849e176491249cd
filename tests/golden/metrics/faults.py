"""Faults of the metrics.  {component: {fault: function}}. g others score more than the target, e
the same."""
import numpy as np

from mbref import metrics
from mbref.check.components import metrics as right
from tests.golden.fault import feed, plant

# One target.

def places(better=np.greater, itself=0, fold=lambda g, e: (g, e), allowed=lambda i: i["allowed"],
           outside=metrics.MISS):
    """g and e counted in another way; outside: the g of a target that is no candidate, None if it
    is ranked."""
    def greater_and_ties(params, inputs, tap):
        scores, rows = inputs["scores"], np.arange(len(inputs["scores"]))
        own, other = scores[rows, inputs["target"]][:, None], allowed(inputs).copy()
        other[rows, inputs["target"]] = False
        g, e = fold((better(scores, own) & other).sum(1), ((scores == own) & other).sum(1) + itself)
        inside = inputs["allowed"][rows, inputs["target"]] | (outside is None)
        return {"g": np.where(inside, g, outside or 0), "e": np.where(inside, e, 0)}
    return greater_and_ties


def at_best(g, e, ties):
    return [g + 1]


def at_worst(g, e, ties):
    return [g + 1 + e]


def at_mean(g, e, ties):
    return [g + 1 + e / 2] if ties == "expected" else at_worst(g, e, ties)


def as_granted(g, e, ties):
    return range(g + 1, g + e + 2) if ties == "expected" else at_worst(g, e, ties)


def gain_at(name, gain, ranks=as_granted):
    """A metric: the mean of gain(rank, k) over ranks(g, e, ties)."""
    def metric(params, inputs, tap):
        pairs = zip(inputs["g"].tolist(), inputs["e"].tolist(), strict=True)
        return {name: np.array([np.mean(
            [gain(rank, inputs["k"]) for rank in ranks(g, e, inputs["ties"])]) for g, e in pairs])}
    return metric


def hit(rank, k):
    return float(rank <= k)


def reciprocal(rank, k):
    return hit(rank, k) / rank


def discounted(rank, k):
    return hit(rank, k) / np.log2(rank + 1)


def tie_faults(name, gain):
    """Faults of ties, for every metric of one target."""
    return {
        "ties given the best rank": gain_at(name, gain, at_best),
        "ties given the worst rank": gain_at(name, gain, lambda g, e, ties: at_worst(g, e, ties)),
        "the metric at the mean rank of a tie": gain_at(name, gain, at_mean),
        "cut-off one rank early": gain_at(name, lambda rank, k: gain(rank, k) * (rank < k)),
        "cut-off one rank late": gain_at(name, lambda rank, k: gain(rank, k + 1)),
        "no cut-off": gain_at(name, lambda rank, k: gain(rank, 2**63)),
    }


ONE = {
    "metrics.greater_and_ties": {
        "the target tied with itself": places(itself=1),
        "ties counted as better": places(fold=lambda g, e: (g + e, 0 * e)),
        "ties not counted": places(fold=lambda g, e: (g, 0 * e)),
        "the lowest score taken for the best": places(better=np.less),
        "others ranked that are no candidates": places(
            allowed=lambda i: np.ones_like(i["allowed"])),
        "a target that is no candidate ranked": places(outside=None),
        "a target that is no candidate put behind the last": plant(
            right.greater_and_ties, metrics, MISS=4),
    },
    "metrics.hit_rate": tie_faults("hit_rate", hit),
    "metrics.mrr": tie_faults("mrr", reciprocal) | {
        "ranks counted from 0": gain_at("mrr", lambda rank, k: hit(rank, k) / (rank + 1)),
        "hit rate in its place": gain_at("mrr", hit),
    },
    "metrics.ndcg": tie_faults("ndcg", discounted) | {
        "natural logarithm instead of log2": gain_at(
            "ndcg", lambda rank, k: hit(rank, k) / np.log(rank + 1)),
        "log2(rank) instead of log2(rank + 1)": gain_at(
            "ndcg", lambda rank, k: hit(rank, k) / np.log2(max(rank, 2))),
        "ranks counted from 0": gain_at("ndcg", lambda rank, k: hit(rank, k) / np.log2(rank + 2)),
        "reciprocal rank in its place": gain_at("ndcg", reciprocal),
    },
}


# Several positives.

def place_of_all(inputs):
    """g and e of every candidate, MISS where it is none.  [B, C] twice."""
    scores, allowed = inputs["scores"], inputs["allowed"]
    C = scores.shape[1]
    found = [metrics.greater_and_ties(scores, np.full(len(scores), c), allowed) for c in range(C)]
    return np.stack([g for g, _ in found], 1), np.stack([e for _, e in found], 1)


def of_users_with_some(values, inputs):
    """NaN for users without positives, who have no value."""
    return np.where(inputs["positive"].any(1), values, np.nan)


def recall(whole=lambda i: i["positive"].sum(1), ties="expected"):
    """Recall over another denominator, or with another rule for ties."""
    def recall_many(params, inputs, tap):
        hits = metrics.hit_rate(*place_of_all(inputs), inputs["k"], ties)
        found = (hits * inputs["positive"]).sum(1) / np.maximum(whole(inputs), 1)
        return {"recall": of_users_with_some(found, inputs)}
    return recall_many


def ndcg(ideal=lambda i: np.minimum(i["positive"].sum(1), i["k"]), ties="expected"):
    """NDCG over the DCG of another ideal list, ideal(inputs) positives long, or with another rule
    for ties."""
    def ndcg_many(params, inputs, tap):
        gain = metrics.ndcg(*place_of_all(inputs), inputs["k"], ties)
        best = [sum(1 / np.log2(r + 1) for r in range(1, n + 1))
                for n in np.maximum(ideal(inputs), 1)]
        found = (gain * inputs["positive"]).sum(1) / np.array(best)
        return {"ndcg": of_users_with_some(found, inputs)}
    return ndcg_many


def all_allowed(inputs):
    return {"allowed": np.ones_like(inputs["allowed"])}


def inside(inputs):
    return (inputs["positive"] & inputs["allowed"]).sum(1)


def auc(worth=lambda ties: 0.5 * (ties == "half"), allowed=lambda i: i["allowed"],
        order=np.greater):
    """AUC pair by pair, where a tie is worth something else, or of other candidates."""
    def area(params, inputs, tap):
        found = []
        for s, p, a in zip(inputs["scores"], inputs["positive"], allowed(inputs), strict=True):
            yes, no = s[p & a][:, None], s[~p & a]
            won = order(yes, no) + worth(inputs["ties"]) * (yes == no)
            found.append(won.mean() if won.size else np.nan)
        return {"auc": np.array(found)}
    return area


def average(mean):
    """The mean of users' AUC (NaN: undefined) in another way."""
    def macro_auc(params, inputs, tap):
        values = metrics.auc(inputs["scores"], inputs["positive"])
        return {"mean": np.asarray(mean(values, inputs)), "skipped": np.isnan(values).sum()}
    return macro_auc


def pooled(values, inputs):
    return metrics.auc(inputs["scores"].reshape(1, -1), inputs["positive"].reshape(1, -1))[0]


MANY = {
    "metrics.recall_many": {
        "divided by min(k, positives)": recall(lambda i: np.minimum(i["positive"].sum(1), i["k"])),
        "divided by k": recall(lambda i: np.full(len(i["scores"]), i["k"])),
        "positives that are no candidates left out of the denominator": recall(inside),
        "ties given the best rank": recall(ties="optimistic"),
        "ties given the worst rank": recall(ties="pessimistic"),
        "others ranked that are no candidates": feed(right.recall_many, all_allowed),
    },
    "metrics.ndcg_many": {
        "ideal list of all positives, without the cut-off": ndcg(lambda i: i["positive"].sum(1)),
        "ideal list of k positives always": ndcg(lambda i: np.full(len(i["scores"]), i["k"])),
        "positives that are no candidates left out of the ideal list": ndcg(
            lambda i: np.minimum(inside(i), i["k"])),
        "ties given the best rank": ndcg(ties="optimistic"),
        "ties given the worst rank": ndcg(ties="pessimistic"),
        "others ranked that are no candidates": feed(right.ndcg_many, all_allowed),
    },
    "metrics.auc": {
        "ties counted as won": auc(lambda ties: 1),
        "ties counted as lost": auc(lambda ties: 0),
        "ties counted half where they are lost": auc(lambda ties: 0.5),
        "the wrong way round": auc(order=np.less),
        "pairs with what is no candidate": auc(allowed=lambda i: np.ones_like(i["allowed"])),
    },
    "metrics.macro_auc": {
        "users without a value counted as 0": average(
            lambda auc, i: np.nan_to_num(auc, nan=0.0).mean()),
        "users without a value counted as a half": average(
            lambda auc, i: np.nan_to_num(auc, nan=0.5).mean()),
        "weighted by the users' positives": average(lambda auc, i: np.average(
            auc[~np.isnan(auc)], weights=i["positive"].sum(1)[~np.isnan(auc)])),
        "pairs of all users pooled": average(pooled),
        "NaN of undefined users": average(lambda auc, i: auc.mean()),
    },
}

FAULTS = {**ONE, **MANY}

# The text around the faults, without any: it must be right.
RIGHT = {
    "metrics.greater_and_ties": [places()],
    "metrics.hit_rate": [gain_at("hit_rate", hit)],
    "metrics.mrr": [gain_at("mrr", reciprocal)],
    "metrics.ndcg": [gain_at("ndcg", discounted)],
    "metrics.recall_many": [recall()],
    "metrics.ndcg_many": [ndcg()],
    "metrics.auc": [auc()],
    "metrics.macro_auc": [average(lambda auc, inputs: np.nanmean(auc))],
}
