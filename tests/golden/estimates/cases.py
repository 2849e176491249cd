"""Cases of sampled ranks and of the spread of results, and the same by hand: item by item, and from
the definition."""
from math import comb

import numpy as np

from tests.golden.draw import Component, normal, plan, round8

# By hand.

def mean_rank(r, n, m):
    """1 and what each of m negatives adds: 1 where it is better than r."""
    others = [x for x in range(1, n + 1) if x != r]
    return 1 + sum(sum(x < r for x in others) / len(others) for _ in range(m))


def expected_sampled_rank(params, inputs):
    return {"rank": np.array([mean_rank(r, inputs["n"], inputs["m"]) for r in inputs["r"]])}


def rank_plug_in(params, inputs):
    """The line through the first rank, which stays 1, and the last, of which all m negatives are
    better."""
    def one(sampled):
        way = (sampled - 1) / (mean_rank(inputs["n"], inputs["n"], inputs["m"]) - 1)
        return (1 - way) * 1 + way * inputs["n"]
    return {"rank": np.array([one(sampled) for sampled in inputs["r_sampled"]])}


def bias_variance_estimator(params, inputs):
    """Least squares: a row for the bias of each rank, and one for each way in which a sampled rank
    can vary."""
    n, m, rows, wanted = len(inputs["metric"]), inputs["m"], [], []
    for r in range(1, n + 1):
        better, weight = (r - 1) / (n - 1), inputs["prior"][r - 1]
        chance = np.array([comb(m, j) * better**j * (1 - better) ** (m - j) for j in range(m + 1)])
        rows.append(weight**0.5 * chance)
        wanted.append(weight**0.5 * inputs["metric"][r - 1])
        for j in range(m + 1):
            from_mean = (np.arange(m + 1) == j) - chance
            rows.append((inputs["gamma"] * weight * chance[j]) ** 0.5 * from_mean)
            wanted.append(0.0)
    return {"x": np.linalg.lstsq(np.array(rows, float), np.array(wanted, float), rcond=None)[0]}


def mean_and_spread(params, inputs):
    values = [float(v) for v in inputs["values"]]
    mean = sum(values) / len(values)
    squares = sum((v - mean) ** 2 for v in values)
    sd = (squares / (len(values) - 1)) ** 0.5 if len(values) > 1 else np.nan
    return {"mean": np.array(mean), "sd": np.array(sd)}


def percentile(numbers, share):
    """Between the two numbers that stand around the place share (n - 1), counted from 0."""
    ordered, place = sorted(numbers), share * (len(numbers) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def paired_bootstrap(params, inputs):
    a, b = ([float(v) for v in inputs[name]] for name in "ab")
    means = [sum(a[case] - b[case] for case in picked) / len(a) for picked in inputs["picks"]]
    mean = sum(x - y for x, y in zip(a, b, strict=True)) / len(a)
    return {"mean": np.array(mean), "low": np.array(percentile(means, 0.025)),
            "high": np.array(percentile(means, 0.975))}


BY_HAND = {
    "metrics.expected_sampled_rank": expected_sampled_rank, "metrics.rank_plug_in": rank_plug_in,
    "metrics.bias_variance_estimator": bias_variance_estimator,
    "metrics.mean_and_spread": mean_and_spread,
    "metrics.paired_bootstrap": paired_bootstrap,
}


# Cases.

def ranks_case(rng, draw):
    """Some ranks 1..last, or all of them."""
    some = rng.permutation(np.arange(1, draw["last"] + 1))[:8]
    return {}, {draw["name"]: some if draw["last"] > 8 else np.sort(some)}


def metric_case(rng, draw):
    """A metric that falls with the rank, such as NDCG."""
    n = draw["n"]
    prior = round8(rng.uniform(0.2, 1, n) / np.arange(1, n + 1)) if draw.get(
        "falling") else np.ones(n)
    return {}, {"metric": round8(1 / np.log2(np.arange(2, n + 2))), "prior": prior}


def values_case(rng, draw):
    return {}, {"values": draw.get("around", 0) + np.round(8 * rng.normal(0, 1, draw["size"])) / 8}


def pairs_case(rng, draw):
    """Two models on the same cases; `alike` of them have no difference."""
    B, n = draw["size"], draw["resamples"]
    gap = round8(0.25 + 0.5 * normal(rng, B))
    gap[: draw.get("alike", 0)] = 0
    b = normal(rng, B, scale=2)
    return {}, {"a": (b + gap).astype(np.float32), "b": b, "picks": rng.integers(0, B, (n, B))}


def of_ranks(name, last, basic):
    """Cases of a map of ranks; last(n, m): the last of them."""
    row = lambda title, flags, n, m: (
        title, flags, {"name": name, "last": last(n, m)}, {"n": n, "m": m})
    return plan(ranks_case, row("basic", ("Basic",), *basic),
                row("every_rank", ("SmallSample",), 6, 4), row("two_items", ("SmallSample",), 2, 3),
                row("many_negatives", ("SmallSample",), 5, 12))


PLANS = {
    "metrics.expected_sampled_rank": of_ranks("r", lambda n, m: n, (50, 9)),
    "metrics.rank_plug_in": of_ranks("r_sampled", lambda n, m: m + 1, (64, 20)),
    "metrics.bias_variance_estimator": plan(
        metric_case, ("basic", ("Basic",), {"n": 8}, {"m": 3, "gamma": 0.25}),
        ("prior", ("Switch",), {"n": 8, "falling": True}, {"m": 3, "gamma": 0.5}),
        ("conditional_mean", ("Switch",), {"n": 9, "falling": True}, {"m": 4, "gamma": 1.0}),
        ("three_ranks", ("SmallSample",), {"n": 3}, {"m": 5, "gamma": 0.5})),
    "metrics.mean_and_spread": plan(
        values_case, ("basic", ("Basic",), {"size": 7}, {}),
        ("two_values", ("SmallSample",), {"size": 2}, {}),
        ("low_variance", ("LowVariance",), {"size": 5, "around": 4096}, {})),
    "metrics.paired_bootstrap": plan(
        pairs_case, ("basic", ("Basic",), {"size": 8, "resamples": 41}, {}),
        ("three_cases", ("SmallSample",), {"size": 3, "resamples": 8}, {}),
        ("ties", ("Ties",), {"size": 6, "resamples": 24, "alike": 3}, {})),
}

COMPONENTS = {
    "metrics.expected_sampled_rank": Component("Krichene & Rendle 2020", kind="metric", about="""
        1 + m (r - 1) / (n - 1): the mean rank among m negatives of the item of rank r among all
        n.
        Negatives are drawn uniformly from the n - 1 others; ranks count from 1.  r [R] -> rank
        [R]."""),
    "metrics.rank_plug_in": Component("Krichene & Rendle 2020", kind="metric", about="""
        Rank among n items, not rounded, by that among m negatives.  r_sampled [R] -> rank [R]."""),
    # no kind "metric": right solutions of its linear system in float32 differ by 1e-6
    "metrics.bias_variance_estimator": Component("after Krichene & Rendle 2020", about="""
        x [m+1], the worth of each sampled rank, from rank 1.  metric [n], prior [n] -> x [m+1].
        It minimises sum_r p(r) [(E[x | r] - M(r))^2 + gamma Var(x | r)], M(r) the metric of the
        ranks r = 1..n, p the prior; each of m negatives, drawn with replacement, is better with
        chance (r - 1) / (n - 1)."""),
    "metrics.mean_and_spread": Component("mean and sample sd", kind="metric", about="""
        Mean and sample standard deviation, divisor S - 1.  values [S] -> mean [], sd []."""),
    "metrics.paired_bootstrap": Component("paired bootstrap, percentiles", kind="metric", about="""
        Mean of a - b, and percentiles 2.5 and 97.5 of the n resampled means: low, high.
        Percentile q of these in rising order, counted from 0, is at place q / 100 (n - 1),
        interpolated linearly. a, b [B]; picks [n, B]: the cases 0..B-1 of each resample ->
        mean, low, high []."""),
}
