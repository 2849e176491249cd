"""The stored cases of sampled ranks, of the spread of results and of HierSRec's test time, against
SciPy, Python's own statistics and hand arithmetic."""
import statistics
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.check import casefile, cases
from tests.optional import library

optimize, special, stats = library("scipy.optimize"), library("scipy.special"), library(
    "scipy.stats")


def stored(component):
    """Each case: its settings, inputs and outputs."""
    for case in cases(component + "/"):
        arrays = casefile.arrays(case)
        yield case.config, casefile.part(arrays, "inputs"), casefile.part(arrays, "outputs")


def test_expected_sampled_ranks_are_means_of_binomials_and_without_replacement_of_hypergeometrics():
    for config, inputs, outputs in stored("metrics.expected_sampled_rank"):
        n, m, better = config["n"], config["m"], inputs["r"] - 1
        np.testing.assert_allclose(outputs["rank"], 1 + stats.binom.mean(m, better / (n - 1)),
                                   rtol=1e-12)
        if m < n:
            chance = stats.hypergeom.pmf(np.arange(m + 1), n - 1, better[:, None], m)  # [R, m + 1]
            np.testing.assert_allclose(outputs["rank"], 1 + chance @ np.arange(m + 1), rtol=1e-12)


def test_estimated_ranks_are_right_on_average():
    """Every true rank is the mean of the estimates of its sampled ranks, weighted as the binomial
    says."""
    of_all = [case for case in stored("metrics.rank_plug_in")
              if len(case[1]["r_sampled"]) == case[0]["m"] + 1]
    assert len(of_all) == 2  # the other cases hold some of the sampled ranks
    for config, inputs, outputs in of_all:
        n, m = config["n"], config["m"]
        for r in range(1, n + 1):
            chance = stats.binom.pmf(inputs["r_sampled"] - 1, m, (r - 1) / (n - 1))
            assert chance @ outputs["rank"] == pytest.approx(r, rel=1e-12)


def objective(x, chance, metric, prior, gamma):
    """Squared bias and gamma times variance over the true ranks.  chance [n, m + 1]."""
    mean = chance @ x
    return prior @ ((mean - metric) ** 2 + gamma * (chance @ x**2 - mean**2))


def test_estimators_are_where_the_objective_is_least():
    for config, inputs, outputs in stored("metrics.bias_variance_estimator"):
        n, m = len(inputs["metric"]), config["m"]
        chance = stats.binom.pmf(np.arange(m + 1), m, np.arange(n)[:, None] / (n - 1))  # [n, m + 1]
        given = chance, inputs["metric"], inputs["prior"], config["gamma"]
        found = optimize.minimize(objective, np.zeros(m + 1), given, method="BFGS",
                                  options={"gtol": 1e-10})
        np.testing.assert_allclose(outputs["x"], found.x, atol=1e-5)
        assert objective(outputs["x"], *given) <= found.fun + 1e-14


def test_means_and_spreads_are_those_of_the_standard_library():
    for _, inputs, outputs in stored("metrics.mean_and_spread"):
        values = inputs["values"].tolist()
        assert outputs["mean"] == pytest.approx(statistics.mean(values), rel=1e-14)
        # one value has no spread: the sum of squares is divided by 0
        spread = statistics.stdev(values) if len(values) > 1 else np.nan
        assert outputs["sd"] == pytest.approx(spread, rel=1e-12, nan_ok=True)


def test_bootstrap_intervals_are_scipys_of_the_same_resamples():
    """SciPy takes the means of earlier resamples; it draws none of its own here."""
    for _, inputs, outputs in stored("metrics.paired_bootstrap"):
        gap = inputs["a"] - inputs["b"]
        earlier = SimpleNamespace(
            bootstrap_distribution=np.array([np.mean(gap[picked]) for picked in inputs["picks"]]))
        interval = stats.bootstrap((gap,), np.mean, n_resamples=0, bootstrap_result=earlier,
                                   confidence_level=0.95, method="percentile").confidence_interval
        np.testing.assert_allclose([outputs["low"], outputs["high"]], interval, rtol=1e-12)
        assert outputs["mean"] == pytest.approx(gap.mean(), rel=1e-12)


def test_two_level_probabilities_sum_to_those_of_the_categories_that_have_items():
    for _, inputs, outputs in stored("hiersrec.two_level_logp"):
        category = inputs["category"][1:]
        for c in np.unique(category):
            own = category == c
            want = inputs["category_logp"][:, [c]] + special.log_softmax(
                inputs["item_logits"][:, own], axis=1)
            np.testing.assert_allclose(outputs["logp"][:, own], want, rtol=1e-12)
        total = np.exp(special.logsumexp(outputs["logp"], axis=1))
        present = np.exp(inputs["category_logp"])[:, np.unique(category)].sum(axis=1)
        np.testing.assert_allclose(total, present, rtol=1e-12)


def test_places_among_candidates_are_scipys_ranks():
    """The lowest and the highest rank of a target among its candidates, by falling score."""
    for _, inputs, outputs in stored("hiersrec.places"):
        scores = inputs["queries"] @ inputs["weights"].T
        for b, target in enumerate(inputs["target"]):
            items = 1 + np.flatnonzero(inputs["chosen"][b, inputs["category"][1:]])
            assert outputs["inside"][b] == (target in items)
            if outputs["inside"][b]:
                low, high = (stats.rankdata(-scores[b, items - 1], rule)[items == target][0]
                             for rule in ("min", "max"))
                assert (outputs["greater"][b], outputs["ties"][b]) == (low - 1, high - low)


def test_gained_less_lost_is_the_difference_of_two_hit_rates():
    """Of every order of the tied ones, with equal weight."""
    def rate(greater, ties, k):
        return np.mean([np.mean(np.arange(int(g), int(g + e) + 1) < k)
                        for g, e in zip(greater, ties, strict=True)])

    for config, inputs, outputs in stored("hiersrec.gap"):
        before = rate(inputs["full_greater"], inputs["full_ties"], config["k"])
        after = rate(inputs["greater"], inputs["ties"], config["k"])
        assert outputs["gained"] - outputs["lost"] == pytest.approx(after - before, abs=1e-12)
        assert outputs["gained"] >= 0 and outputs["lost"] >= 0
