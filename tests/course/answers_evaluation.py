"""Answers to the exercises on evaluation; see answers_hmar.py."""
import itertools

import numpy as np

EARNED = "upto[np.minimum(g + e + 1, k)] - upto[np.minimum(g, k)]\n    return earned / (e + 1)"

WRONG = {
    "my_places": [
        ("allowed & (np.arange", "(np.arange", "a target that is no candidate"),
        ("scores == own) & other", "scores == own) & allowed", "tied scores"),
        ("scores > own", "scores >= own", "tied scores"),
        ("np.where(inside, g, 2**62)", "g", "a target that is no candidate"),
    ],
    "my_ndcg": [
        ("np.log2(", "np.log(", "ordinary input"),
        (EARNED, "upto[np.minimum(g + 1, k)] - upto[np.minimum(g, k)]\n    return earned", "tied scores"),
        (EARNED, "upto[np.minimum(g + e + 1, k)] - upto[np.minimum(g + e, k)]\n    return earned", "tied scores"),
        (EARNED, "g + 1 + e / 2\n    return (earned <= k) / np.log2(earned + 1)", "tied scores"),
    ],
    "my_auc": [
        (" + 0.5 * (wanted[:, None] == rest)", "", "tied scores"),
        ("else np.nan", "else 0.0", "users without positives or without negatives"),
        ("s[~good & among]", "s[~good]", "a target that is no candidate"),
    ],
    "my_macro": [
        ("np.mean(known) if", "np.sum(known) / len(values) if", "users without positives"),
        ("len(values) - len(known)", "len(known)", "users without positives"),
        ("values = my_auc(scores, positive, np.ones(scores.shape, dtype=bool))",
         "values = my_auc(scores.reshape(1, -1), positive.reshape(1, -1), np.ones((1, scores.size), dtype=bool))",
         "ordinary input"),
    ],
    "my_sampled_rank": [
        ("(n - 1)", "n", "very few numbers"),
        ("1 + m * (r - 1)", "m * r", "ordinary input"),
        ("(r - 1)", "r", "ordinary input"),
    ],
    "my_bootstrap": [
        ("[2.5, 97.5]", "[5, 95]", "very few numbers"),
        ("[2.5, 97.5])", '[2.5, 97.5], method="lower")', "very few numbers"),
        ("np.mean(gap[picks], axis=1)", "np.mean(a[picks], axis=1) - np.mean(b[picks[::-1]], axis=1)", "very few numbers"),
        ('"mean": np.mean(gap)', '"mean": np.mean(means)', "very few numbers"),
    ],
}


def my_places(scores, target, allowed):
    g, e = [], []
    for row, t, among in zip(scores, target, allowed, strict=True):
        others = [row[c] for c in range(len(row)) if among[c] and c != t]
        g.append(sum(s > row[t] for s in others) if among[t] else 2**62)
        e.append(sum(s == row[t] for s in others) if among[t] else 0)
    return {"g": np.array(g, int), "e": np.array(e, int)}


def my_ndcg(g, e, k):
    values = []
    for more, same in zip(g.tolist(), e.tolist(), strict=True):
        ranks = range(more + 1, more + same + 2)
        values.append(sum(1 / np.log2(rank + 1) for rank in ranks if rank <= k) / len(ranks))
    return np.array(values)


def my_auc(scores, positive, allowed):
    def one(s, good, among):
        pairs = list(itertools.product(s[good & among], s[among & ~good]))
        return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else float("nan")

    return np.array([one(*row) for row in zip(scores, positive, allowed, strict=True)])


def my_macro(scores, positive):
    values = [v for v in my_auc(scores, positive, np.full(scores.shape, True)) if v == v]
    return {"mean": sum(values) / len(values) if values else float("nan"), "skipped": len(scores) - len(values)}


def my_sampled_rank(r, n, m):
    chance = (r - 1) / (n - 1)
    return 1 + sum(chance for _ in range(m))


def my_bootstrap(a, b, picks):
    means = sorted(np.mean(a[row]) - np.mean(b[row]) for row in picks)

    def at(share):
        place = share * (len(means) - 1)
        below = int(place)
        return means[below] + (place - below) * (means[min(below + 1, len(means) - 1)] - means[below])

    return {"mean": np.mean(a) - np.mean(b), "low": at(0.025), "high": at(0.975)}
