"""How a ranking is judged: hit rate, MRR, NDCG, recall, AUC, sampled negatives and the spread of the results.

A target's place is held as two counts: g other candidates score strictly more, e others score the same.
With ties its rank is not one number but any of 1 + g .. 1 + g + e, and what is done about it is always said:
the default is the mean over random tie-breaking, so a model that scores everything 0 earns what chance earns.

Letters: B cases (users or sessions), C candidates, k the cut-off of "@k", n items, m sampled negatives.
"""
from typing import NamedTuple

import numpy as np

from mbref.errors import InputError

# The g of a target that was no candidate: a count above every cut-off k, so that every metric gives it 0.
# The number of candidates C would not do, since k > C is legal and would turn the miss into a hit.
MISS = 2**62


class MacroAuc(NamedTuple):
    mean: float
    skipped: int


class MeanAndSpread(NamedTuple):
    mean: float
    sd: float


class PairedDifference(NamedTuple):
    mean: float
    low: float
    high: float


def greater_and_ties(scores, target, allowed=None):
    """Place of each target among its candidates.

    scores: [B, C] finite numbers, higher is better, compared as given: float32 scores tie where float32 does.
        Pass logits, not probabilities, since a saturated sigmoid makes ties.
    target: [B] column of the target.
    allowed: [B, C] bool or None; a candidate outside is ignored (its score must still be finite).
    Returns g, e: [B] ints, the other candidates scored strictly greater and equal. A target outside `allowed`
    is a miss, g = MISS and e = 0: every metric gives it 0 and it stays in the denominator.
    Raises InputError for NaN or infinite scores, a wrong shape, or a target that is no column.
    """
    scores, allowed = _checked_scores(scores, allowed)
    target = _checked_target(target, scores.shape)
    case = np.arange(len(scores))
    own = scores[case, target][:, None]                                        # [B, 1]
    other = allowed.copy()
    other[case, target] = False
    g = ((scores > own) & other).sum(axis=1)                                   # [B]
    e = ((scores == own) & other).sum(axis=1)                                  # [B]
    inside = allowed[case, target]                                             # [B]
    return np.where(inside, g, MISS), np.where(inside, e, 0)


def _greater_and_ties_of_all(scores, allowed):
    """The same two counts for every candidate, each [B, C]; a candidate outside `allowed` gets MISS, 0."""
    g, e = np.zeros(scores.shape, dtype=np.int64), np.zeros(scores.shape, dtype=np.int64)
    for b in range(len(scores)):
        ordered = np.sort(scores[b][allowed[b]])
        lower = np.searchsorted(ordered, scores[b], side="left")
        lower_or_equal = np.searchsorted(ordered, scores[b], side="right")
        g[b] = len(ordered) - lower_or_equal
        e[b] = lower_or_equal - lower - 1                                      # less the candidate itself
    return np.where(allowed, g, MISS), np.where(allowed, e, 0)


def hit_rate(g, e, k, ties="expected"):
    """HR@k = [rank <= k] per case, shape of g; with one target also Recall@k (session papers call it P@k).

    g, e: [B] from `greater_and_ties`; k: positive int, may exceed the number of candidates.
    ties: "expected", the mean over random tie-breaking (evaluation: McSherry & Najork 2008); "pessimistic",
    the worst rank; "optimistic", the best rank, there only to show the bracket: never report it, since it
    calls a constant scorer perfect. The metric at the mean rank is not offered: 1 / mean rank is not the mean
    of 1 / rank.
    Raises InputError for another name or a k below 1.
    """
    return _gain_at_place(np.ones(_checked_k(k)), g, e, ties)


def mrr(g, e, k, ties="expected"):
    """MRR@k = [rank <= k] / rank per case; arguments, errors and source as in `hit_rate`.

    Take k = C for the untruncated reciprocal rank; the two are different metrics.
    """
    return _gain_at_place(1 / np.arange(1, _checked_k(k) + 1), g, e, ties)


def ndcg(g, e, k, ties="expected"):
    """NDCG@k = [rank <= k] / log2(rank + 1) per case (one target's ideal DCG is 1); else as `hit_rate`."""
    return _gain_at_place(_discount(k), g, e, ties)


def _discount(k):
    """What ranks 1..k earn in DCG, [k]."""
    return 1 / np.log2(np.arange(1, _checked_k(k) + 1) + 1)


def _gain_at_place(gain, g, e, ties):
    """Mean of gain (the worth of ranks 1..k; later ranks earn 0) over the ranks that `ties` grants."""
    g, e, k = np.asarray(g), np.asarray(e), len(gain)
    best, worst = g + 1, g + 1 + e
    # Deviation HMAR D18, HierSRec D19: the expected value over ties is the default
    granted = {"expected": (best, worst), "pessimistic": (worst, worst), "optimistic": (best, best)}
    _check_choice("ties", ties, granted)
    first, last = granted[ties]
    total = np.concatenate([[0.0], np.cumsum(gain)])                           # [k + 1], total[j]: ranks 1..j
    earned = total[np.minimum(last, k)] - total[np.minimum(first - 1, k)]
    return earned / (last - first + 1)


def recall_many(scores, positive, k, allowed=None):
    """Recall@k = hits / |R_u| per case, [B], expected over random tie-breaking; R_u: the case's positives.

    scores: [B, C]; positive: [B, C] bool; allowed: [B, C] bool or None, a positive outside it is a miss and
    stays in |R_u|. The denominator is not min(k, |R_u|), so a case with |R_u| > k cannot reach 1. A case
    without positives is undefined: nan. Raises InputError as `greater_and_ties` and `hit_rate` do.
    """
    scores, allowed = _checked_scores(scores, allowed)
    positive = _checked_mask("positive", positive, scores.shape)
    hit = hit_rate(*_greater_and_ties_of_all(scores, allowed), k)              # [B, C]
    return _ratio_or_nan((hit * positive).sum(axis=1), positive.sum(axis=1))   # [B]


def ndcg_many(scores, positive, k, allowed=None):
    """NDCG@k with binary relevance per case, [B]: expected DCG@k over the DCG@k of an ideal list.

    The ideal list starts with min(k, |R_u|) positives. Arguments, nan and errors as in `recall_many`
    (evaluation: McSherry & Najork 2008 for the ties).
    """
    scores, allowed = _checked_scores(scores, allowed)
    positive = _checked_mask("positive", positive, scores.shape)
    gain = ndcg(*_greater_and_ties_of_all(scores, allowed), k)                 # [B, C]
    ideal = np.concatenate([[0.0], np.cumsum(_discount(k))])                   # [k + 1]
    ideal = ideal[np.minimum(positive.sum(axis=1), k)]                         # [B]
    return _ratio_or_nan((gain * positive).sum(axis=1), ideal)


def _ratio_or_nan(part, whole):
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def auc(scores, positive, ties="half", allowed=None):
    """AUC of each user, [B]: the share of (positive, negative) pairs in the right order (DMRAN eq. 23).

    scores: [B, C]; positive: [B, C] bool, the other candidates are the negatives; allowed: [B, C] bool or
    None, a candidate outside is in neither set. ties: "half", a tied pair counts 1/2 (Mann-Whitney: a
    constant scorer gets .5), or "strict", it counts 0 (eq. 23 to the letter: a constant scorer gets 0).
    A user without positives or without negatives is undefined: nan. Raises InputError for another `ties` and
    as `greater_and_ties` does.
    """
    scores, positive, allowed = _checked_pairs(scores, positive, ties, allowed)
    values = np.full(len(scores), np.nan)
    for b in range(len(scores)):
        wanted = scores[b][positive[b] & allowed[b]]
        unwanted = np.sort(scores[b][~positive[b] & allowed[b]])
        if len(wanted) and len(unwanted):
            beaten = np.searchsorted(unwanted, wanted, side="left")            # negatives strictly below
            met = np.searchsorted(unwanted, wanted, side="right")              # negatives below or tied
            # Halfway between the two is the positive's mid-rank among the negatives.
            won = beaten if ties == "strict" else (beaten + met) / 2
            values[b] = won.mean() / len(unwanted)
    return values


def auc_by_pairs(scores, positive, ties="half", allowed=None):
    """The same numbers as `auc`, [B], pair by pair as DMRAN eq. 23 is written: slow, for reading."""
    scores, positive, allowed = _checked_pairs(scores, positive, ties, allowed)
    worth_of_tie = 0.5 if ties == "half" else 0.0
    values = np.full(len(scores), np.nan)
    for b in range(len(scores)):
        wanted, unwanted = scores[b][positive[b] & allowed[b]], scores[b][~positive[b] & allowed[b]]
        won = [i > j for i in wanted for j in unwanted]
        tied = [i == j for i in wanted for j in unwanted]
        if won:
            values[b] = (sum(won) + worth_of_tie * sum(tied)) / len(won)
    return values


def macro_auc(values):
    """Mean of per-user AUCs [B], every user of weight 1 (DMRAN eq. 23), without the undefined (nan) users.

    Returns MacroAuc(mean, skipped), skipped counting those users; the mean is nan when no user is left.
    Neither the average weighted by positives (GAUC) nor the AUC of all users' pairs pooled is this number.
    """
    values = np.asarray(values, dtype=float)
    defined = values[~np.isnan(values)]
    return MacroAuc(mean_and_spread(defined).mean, len(values) - len(defined))


def sampled_negatives(rng, n_items, seen, m):
    """m distinct negatives of one user, uniform over the ids 1..n_items that are not in `seen`.

    rng: np.random.Generator; the same state gives the same draw. seen: ids never to draw, so the user's
    train, validation AND test items; 0 (padding) in it is harmless.
    Returns [m] ints. When fewer than m ids are free, all of them are used and 0 fills the end: pass
    `allowed = candidates != 0` to the metrics, and report the number used.
    Raises InputError for a negative m or an id outside 0..n_items.
    """
    seen = np.asarray(list(seen), dtype=np.int64)
    if m < 0 or ((seen < 0) | (seen > n_items)).any():
        raise InputError(f"seen must hold ids in 0..{n_items} and m, here {m}, must be 0 or more.")
    is_free = np.ones(n_items + 1, dtype=bool)
    is_free[0] = False
    is_free[seen] = False
    free = np.flatnonzero(is_free)
    n_drawn = min(m, len(free))
    negatives = np.zeros(m, dtype=np.int64)
    # Deviation HMAR D17: without replacement, never the target
    negatives[:n_drawn] = rng.choice(free, size=n_drawn, replace=False)
    return negatives


def negatives_of_users(rng, n_items, seen_of_users, m):
    """`sampled_negatives` for a list of B users in turn, [B, m] ints padded with 0.

    Draw once with a stored seed for all models and epochs: fresh draws let early stopping pick luck.
    """
    drawn = [sampled_negatives(rng, n_items, seen, m) for seen in seen_of_users]
    return np.array(drawn, dtype=np.int64).reshape(len(drawn), m)              # [B, m], also for B = 0


def expected_sampled_rank(r, n, m):
    """Mean rank among m uniform negatives of a target of rank r among n items: 1 + m (r - 1) / (n - 1).

    r: number or array, 1-based. The same with and without replacement (Krichene & Rendle 2020).
    Raises InputError for n < 2 or m < 1.
    """
    _check_sizes(n, m)
    return 1 + m * (np.asarray(r) - 1) / (n - 1)


def rank_plug_in(r_sampled, n, m):
    """Estimate of the rank among n items from the rank among m negatives: 1 + (n - 1)(r~ - 1) / m.

    Unbiased for the rank; a metric of it is biased, and ranks closer than (n - 1) / m look the same
    (Krichene & Rendle 2020). Raises InputError for n < 2 or m < 1.
    """
    _check_sizes(n, m)
    return 1 + (n - 1) * (np.asarray(r_sampled) - 1) / m


def bias_variance_estimator(metric_of_rank, m, gamma, prior=None):
    """What to count for each sampled rank so that the mean comes near the metric on the full ranking.

    metric_of_rank: [n], M(r) for r = 1..n; m: negatives, drawn with replacement; prior: [n] weights p(r) of
    the true ranks, uniform by default. gamma in (0, 1]: weight of variance against squared bias in
        sum_r p(r) [ (E[x | r] - M(r))^2 + gamma Var(x | r) ], which x minimises;
    gamma = 1 gives x = E[M(r) | r~], a small gamma less bias and large, even negative, values.
    Returns x: [m + 1], x[j] counts for r~ = j + 1. The idea is of Krichene & Rendle 2020; the weights are
    derived anew here.
    Raises InputError for gamma outside (0, 1], n < 2, m < 1, or a prior that makes some r~ impossible.
    """
    metric = np.asarray(metric_of_rank, dtype=float)
    n = len(metric)
    _check_sizes(n, m)
    if not 0 < gamma <= 1:
        raise InputError(f"gamma must lie in (0, 1], not {gamma}; a small one such as 0.01 favours low bias.")
    p = _checked_prior(prior, n)
    given_rank = _sampled_rank_distribution(n, m)                              # [n, m + 1]
    chance = p @ given_rank                                                    # [m + 1]
    if not (chance > 0).all():
        raise InputError("prior leaves some sampled rank impossible; give weight to ranks between 1 and n.")
    bias_part = given_rank.T @ (p[:, None] * given_rank)                       # [m + 1, m + 1]
    return np.linalg.solve((1 - gamma) * bias_part + gamma * np.diag(chance), given_rank.T @ (p * metric))


def _sampled_rank_distribution(n, m):
    """P(r~ = j + 1 | r), [n, m + 1]: each of m negatives beats the target with chance (r - 1) / (n - 1)."""
    beats = (np.arange(n) / (n - 1))[:, None]                                  # [n, 1]
    chance = np.zeros((n, m + 1))
    chance[:, 0] = 1.0
    # One negative at a time, not the binomial formula: its coefficients overflow for large m.
    for _ in range(m):
        moved = chance[:, :-1] * beats
        chance *= 1 - beats
        chance[:, 1:] += moved
    return chance


def mean_and_spread(values):
    """Mean and sample standard deviation (divisor S - 1) of S numbers, such as one metric over S seeds.

    Returns MeanAndSpread(mean, sd): nan, nan for no value, sd nan for one; a nan among the values gives nan.
    """
    values = np.asarray(values, dtype=float)
    mean = values.mean() if len(values) else np.nan
    return MeanAndSpread(mean, values.std(ddof=1) if len(values) > 1 else np.nan)


def paired_bootstrap(a, b, rng, n=1000):
    """Mean of a - b over cases and its 95% percentile interval from n resamples of whole cases.

    a, b: [B] values of two models on the SAME cases in the same order, a case being a user or a session
    (events of one session are correlated). rng: np.random.Generator.
    Returns PairedDifference(mean, low, high).
    Raises InputError for no case, unequal shapes, nan, or n < 1.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0 or n < 1:
        raise InputError(f"a and b must be [B] of the same B >= 1 and n >= 1, not {a.shape}, {b.shape}, {n}.")
    gap = a - b
    if np.isnan(gap).any():
        raise InputError("a and b must not hold nan; drop the undefined cases from both.")
    means = [gap[rng.integers(len(gap), size=len(gap))].mean() for _ in range(n)]
    low, high = np.percentile(means, [2.5, 97.5])
    return PairedDifference(gap.mean(), low, high)


def _checked_scores(scores, allowed):
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise InputError(f"scores must be [B, C], one row per case, not of shape {scores.shape}.")
    # A comparison with NaN is False, so a NaN target would come out first; an infinity is a mask in disguise.
    if not np.isfinite(scores).all():
        raise InputError("scores must be finite; mend the model, or mask candidates with allowed, not -inf.")
    if allowed is None:
        return scores, np.ones(scores.shape, dtype=bool)
    return scores, _checked_mask("allowed", allowed, scores.shape)


def _checked_mask(name, mask, shape):
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != shape:
        raise InputError(f"{name} must be bool of shape {shape}, as scores, not {mask.dtype} {mask.shape}.")
    return mask


def _checked_target(target, shape):
    given, target = target, np.asarray(target).astype(np.int64)                # an empty list comes as float
    if target.shape != shape[:1] or ((target < 0) | (target >= shape[1]) | (target != given)).any():
        raise InputError(f"target must be [{shape[0]}] columns in 0..{shape[1] - 1}, one per row of scores.")
    return target


def _checked_pairs(scores, positive, ties, allowed):
    _check_choice("ties", ties, ("half", "strict"))
    scores, allowed = _checked_scores(scores, allowed)
    return scores, _checked_mask("positive", positive, scores.shape), allowed


def _checked_k(k):
    if k < 1 or k != int(k):
        raise InputError(f"k must be a whole number of at least 1, not {k}.")
    return int(k)


def _checked_prior(prior, n):
    prior = np.ones(n) if prior is None else np.asarray(prior, dtype=float)
    if prior.shape != (n,) or not (prior >= 0).all() or not 0 < prior.sum() < np.inf:
        raise InputError(f"prior must be [{n}] weights of 0 or more with a positive sum, one per true rank.")
    return prior / prior.sum()


def _check_choice(name, value, choices):
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


def _check_sizes(n, m):
    if n < 2 or m < 1:
        raise InputError(f"n must be at least 2 items and m at least 1 negative, not n={n}, m={m}.")
