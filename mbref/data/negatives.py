"""Negatives to rank among, and what a rank among them says of the rank among all items.

Letters: n items, m negatives, B users, r a rank among all items, r~ one among the negatives.
"""
import numpy as np

from mbref.errors import require, require_generator


def negatives_of_user(rng, n_items, seen, m):
    """m distinct negatives of one user, uniform over the ids 1..n_items that are not in `seen`.

    seen: ids never to draw, so the user's train, validation AND test items; 0 (padding) in it is
    harmless. When fewer than m ids are free, all of them are used and 0 fills the end: pass
    `allowed = candidates != 0` to the metrics, and report the number used.
    Raises InputError for no Generator, a count that is none, or an id outside 0..n_items.
    """
    require_generator(rng)
    seen, kinds = np.asarray(list(seen)), (int, np.integer)
    require(isinstance(m, kinds) and isinstance(n_items, kinds) and m >= 0 and n_items >= 0
            and seen.dtype.kind in "iu" + "f" * (seen.size == 0)  # of an empty list
            and ((seen >= 0) & (seen <= n_items)).all(),
            f"seen must hold ids in 0..{n_items} and m, here {m}, must be 0 or more.")
    seen = np.unique(seen[seen > 0]).astype(np.int64)
    free = n_items - len(seen)
    # Deviation HMAR D17: without replacement, never the target
    place = 1 + rng.choice(free, size=min(m, free), replace=False)  # among the free ids, from 1
    # the free id at a place has as many seen ones before it as had no more free ones before them
    drawn = place + np.searchsorted(seen - np.arange(len(seen)), place, side="right")
    return np.append(drawn, np.zeros(m - len(drawn), np.int64))


def negatives_of_users(rng, n_items, seen_of_users, m):
    """`negatives_of_user` for a list of B users in turn, [B, m] ints padded with 0.

    Draw once with a stored seed for all models and epochs: fresh draws let early stopping pick
    luck.
    """
    every = [negatives_of_user(rng, n_items, seen, m) for seen in seen_of_users]
    return np.array(every, dtype=np.int64).reshape(len(every), m)  # [B, m], also for B = 0


def expected_sampled_rank(r, n, m):
    """Mean rank among m uniform negatives of rank r among n items: 1 + m (r - 1) / (n - 1).

    The same with and without replacement (Krichene & Rendle 2020). Ranks r count from 1.
    """
    _require_sizes(n, m)
    return 1 + m * (np.asarray(r) - 1) / (n - 1)


def rank_plug_in(r_sampled, n, m):
    """Estimate of the rank among n items from the rank among m negatives: 1 + (n - 1)(r~ - 1) / m.

    Unbiased for the rank; a metric of it is biased, and ranks closer than (n - 1) / m look the same
    (Krichene & Rendle 2020).
    """
    _require_sizes(n, m)
    return 1 + (n - 1) * (np.asarray(r_sampled) - 1) / m


def bias_variance_estimator(metric_of_rank, m, gamma, prior=None):
    """What to count for each sampled rank so that the mean is near the metric on all items.

    metric_of_rank: [n], M(r) for r = 1..n; m: negatives, drawn with replacement; prior: [n] weights
    p(r) of the true ranks, uniform by default. gamma in (0, 1]: weight of variance against squared
    bias in
        sum_r p(r) [ (E[x | r] - M(r))^2 + gamma Var(x | r) ], which x minimises;
    gamma = 1 gives x = E[M(r) | r~], a small gamma less bias and large, even negative, values.
    Returns x: [m + 1], x[j] counts for r~ = j + 1. The idea is of Krichene & Rendle 2020; the
    weights are derived anew here. Raises InputError for a prior that makes some r~ impossible, too.
    """
    metric = np.asarray(metric_of_rank, dtype=float)
    n = len(metric)
    _require_sizes(n, m)
    require(0 < gamma <= 1, f"gamma must lie in (0, 1], not {gamma}; "
                            "a small one such as 0.01 favours low bias.")
    p = np.ones(n) if prior is None else np.asarray(prior, dtype=float)
    require(p.shape == (n,) and (p >= 0).all() and 0 < p.sum() < np.inf,
            f"prior must be [{n}] weights of 0 or more with a positive sum, one per true rank.")
    p = p / p.sum()  # else tiny weights would leave no chance at all
    given_rank = _sampled_rank_distribution(n, m)                              # [n, m + 1]
    chance = p @ given_rank                                                    # [m + 1]
    require((chance > 0).all(), "prior leaves some sampled rank impossible; "
                                "give weight to ranks between 1 and n.")
    bias_part = given_rank.T @ (p[:, None] * given_rank)                       # [m + 1, m + 1]
    system = (1 - gamma) * bias_part + gamma * np.diag(chance)
    return np.linalg.solve(system, given_rank.T @ (p * metric))


def _sampled_rank_distribution(n, m):
    """P(r~ = j + 1 | r), [n, m + 1]: a negative beats the target with chance (r - 1) / (n - 1)."""
    beats = (np.arange(n) / (n - 1))[:, None]                                  # [n, 1]
    chance = np.zeros((n, m + 1))
    chance[:, 0] = 1.0
    # One negative at a time, not the binomial formula: its coefficients overflow for large m.
    for _ in range(m):
        moved = chance[:, :-1] * beats
        chance *= 1 - beats
        chance[:, 1:] += moved
    return chance


def _require_sizes(n, m):
    require(n >= 2 and m >= 1,
            f"n must be at least 2 items and m at least 1 negative, not n={n}, m={m}.")
