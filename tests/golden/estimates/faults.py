"""Faults of sampled ranks and of the spread of results.  {component: {fault: function}}. Ranks
count from 1."""
from math import comb

import numpy as np

from mbref.check.components import metrics as right
from tests.golden.fault import feed

# Sampled ranks.

def sampled_rank(rank):
    """rank(r, n, m) in place of 1 + m (r - 1) / (n - 1)."""
    return lambda p, i, tap: {"rank": rank(i["r"], i["n"], i["m"])}


def plug_in(rank):
    """rank(r~, n, m) in place of 1 + (n - 1) (r~ - 1) / m."""
    return lambda p, i, tap: {"rank": rank(i["r_sampled"], i["n"], i["m"])}


def with_replacement(n, m):
    """How likely each sampled rank is, [n, m + 1]: each negative is better with chance (r - 1) / (n
    - 1)."""
    return binomial(np.arange(n) / (n - 1), m)


def binomial(better, m):
    """Chances [n] that a negative is better -> chances of 0..m that are, [n, m + 1]."""
    better, j = better[:, None], np.arange(m + 1)
    return np.array([comb(m, k) for k in j]) * better**j * (1 - better) ** (m - j)


def every_item(n, m):
    """The target may be drawn as its own negative."""
    return binomial(np.arange(n) / n, m)


def estimator(chances=with_replacement, bias=lambda gamma: 1, variance=lambda gamma: gamma,
              prior=lambda i: i["prior"]):
    """x that minimises sum_r p(r) [bias(gamma) (E[x | r] - M(r))^2 + variance(gamma) Var(x | r)].
    """
    def x(params, inputs, tap):
        M, p, gamma = inputs["metric"], prior(inputs) / prior(inputs).sum(), inputs["gamma"]
        given = chances(len(M), inputs["m"])
        of_bias, of_both = bias(gamma) - variance(gamma), variance(gamma) * np.diag(p @ given)
        return {"x": np.linalg.solve(of_bias * given.T @ (p[:, None] * given) + of_both,
                                     bias(gamma) * given.T @ (p * M))}
    return x


SAMPLED = {
    "metrics.expected_sampled_rank": {
        "r instead of r - 1": sampled_rank(lambda r, n, m: 1 + m * r / (n - 1)),
        "n instead of n - 1": sampled_rank(lambda r, n, m: 1 + m * (r - 1) / n),
        "ranks counted from 0": sampled_rank(lambda r, n, m: m * (r - 1) / (n - 1)),
        "r scaled by m / n": sampled_rank(lambda r, n, m: r * m / n),
        "the target counted as one of the m": sampled_rank(
            lambda r, n, m: 1 + (m - 1) * (r - 1) / (n - 1)),
        "rounded to whole ranks": sampled_rank(lambda r, n, m: np.round(1 + m * (r - 1) / (n - 1))),
    },
    "metrics.rank_plug_in": {
        "r instead of r - 1": plug_in(lambda r, n, m: 1 + (n - 1) * r / m),
        "n instead of n - 1": plug_in(lambda r, n, m: 1 + n * (r - 1) / m),
        "ranks counted from 0": plug_in(lambda r, n, m: (n - 1) * (r - 1) / m),
        "r scaled by n / m": plug_in(lambda r, n, m: r * n / m),
        "m + 1 instead of m": plug_in(lambda r, n, m: 1 + (n - 1) * (r - 1) / (m + 1)),
        "rounded to whole ranks": plug_in(lambda r, n, m: np.round(1 + (n - 1) * (r - 1) / m)),
    },
    "metrics.bias_variance_estimator": {
        "gamma weights the bias instead of the variance": estimator(
            bias=lambda gamma: gamma, variance=lambda gamma: 1),
        "bias weighted by 1 - gamma": estimator(bias=lambda gamma: 1 - gamma),
        "gamma left out, the conditional mean always": estimator(variance=lambda gamma: 1),
        "prior left out": estimator(prior=lambda i: np.ones_like(i["prior"])),
        "the target may be its own negative": estimator(every_item),
        "r / n as the chance of a better negative": estimator(
            lambda n, m: binomial(np.arange(1, n + 1) / n, m)),
        "sampled ranks from the last to the first": lambda p, i, tap: {
            "x": right.bias_variance_estimator(p, i, tap)["x"][::-1]},
    },
}


# Spread.

def spread(sd, mean=np.mean):
    """sd(values) in place of the sample standard deviation."""
    return lambda p, i, tap: {"mean": np.asarray(mean(i["values"])),
                              "sd": np.asarray(sd(i["values"]))}


def sample_sd(values):
    return np.std(values, ddof=1)


def from_squares(values):
    """Cancels where the values hardly vary."""
    n = len(values)
    return np.sqrt(np.maximum((values**2).sum() - n * values.mean() ** 2, 0) / (n - 1))


def of_means(gap, picks):
    """Means of all resamples."""
    return gap[picks].mean(axis=1)


def by_percentiles(means, gap, percents=(2.5, 97.5), method="linear"):
    return np.percentile(means, percents, method=method)


def normal_interval(means, gap):
    return gap.mean() + 1.96 * means.std(ddof=1) * np.array([-1, 1])


def bootstrap(interval=by_percentiles, centre=lambda means, gap: gap.mean(),
              means=lambda i: of_means(i["a"] - i["b"], i["picks"])):
    """Another interval(means of the resamples, a - b), or around another centre."""
    def difference(params, inputs, tap):
        gap, found = inputs["a"] - inputs["b"], means(inputs)
        low, high = interval(found, gap)
        return {"mean": np.asarray(centre(found, gap)), "low": np.asarray(low),
                "high": np.asarray(high)}
    return difference


def resample_apart(inputs):
    """b's resamples are others than a's."""
    return of_means(inputs["a"], inputs["picks"]) - of_means(inputs["b"], inputs["picks"][::-1])


SPREAD = {
    "metrics.mean_and_spread": {
        "population standard deviation, n instead of n - 1": spread(np.std),
        "standard error of the mean in its place": spread(lambda v: sample_sd(v) / np.sqrt(len(v))),
        "variance instead of its root": spread(lambda v: np.var(v, ddof=1)),
        "mean of the squares less the square of the mean": spread(from_squares),
        "median instead of the mean": spread(sample_sd, np.median),
    },
    "metrics.paired_bootstrap": {
        "a and b resampled apart": bootstrap(means=resample_apart),
        "percentiles 5 and 95": bootstrap(lambda means, gap: by_percentiles(means, gap, (5, 95))),
        "1.96 standard deviations instead of percentiles": bootstrap(normal_interval),
        "percentiles of the cases instead of the resamples": bootstrap(
            lambda means, gap: by_percentiles(gap, gap)),
        "percentiles that are not interpolated": bootstrap(
            lambda means, gap: by_percentiles(means, gap, method="lower")),
        "mean of the resamples instead of the cases": bootstrap(
            centre=lambda means, gap: means.mean()),
        "b - a": feed(right.paired_bootstrap, lambda i: {"a": i["b"], "b": i["a"]}),
    },
}

FAULTS = {**SAMPLED, **SPREAD}

# The text around the faults, without any: it must be right.
RIGHT = {
    "metrics.expected_sampled_rank": [sampled_rank(lambda r, n, m: 1 + m * (r - 1) / (n - 1))],
    "metrics.rank_plug_in": [plug_in(lambda r, n, m: 1 + (n - 1) * (r - 1) / m)],
    "metrics.bias_variance_estimator": [estimator()],
    "metrics.mean_and_spread": [spread(sample_sd)],
    "metrics.paired_bootstrap": [bootstrap()],
}
