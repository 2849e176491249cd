"""How a ranking is judged: hit rate, MRR, NDCG, recall, AUC and the spread of the results.

A target's place is held as two counts: g other candidates score strictly more, e others score the
same, so its rank is any of 1 + g .. 1 + g + e. The default is the mean over random tie-breaking: a
model that scores everything 0 earns what chance earns. Sampled negatives: data/negatives.py.

Letters: B cases (users or sessions), C candidates, k the cut-off of "@k".
"""
from collections import namedtuple

import numpy as np

from mbref.errors import MOST, InputError, require, require_generator

# The g of a target that was no candidate: above every cut-off k, which may exceed C, so every
# metric is 0.
MISS = 2**62
MacroAuc = namedtuple("MacroAuc", "mean skipped")
MeanAndSpread = namedtuple("MeanAndSpread", "mean sd")
PairedDifference = namedtuple("PairedDifference", "mean low high")


def greater_and_ties(scores, target, allowed=None):
    """Place of each target among its candidates.

    scores: [B, C] finite numbers, higher is better; pass logits, not probabilities, since a
        saturated sigmoid makes ties.
    target: [B] column of the target.
    allowed: [B, C] bool or None; a candidate outside is ignored (its score must still be finite).
    Returns g, e: [B] ints, the other candidates scored strictly greater and equal. A target outside
    `allowed` is a miss, g = MISS and e = 0: every metric gives it 0, and it stays in the mean.
    Raises InputError for NaN or infinite scores, a wrong shape, or a target that is no column.
    """
    scores, allowed = _require_scores(scores, allowed)
    target = _read_numbers("target", target)
    require(target.shape == scores.shape[:1]
            and ((target >= 0) & (target < scores.shape[1]) & (target == np.floor(target))).all(),
            f"target must be [{len(scores)}] columns in 0..{scores.shape[1] - 1}, "
            "one per row of scores.")
    target = target.astype(np.int64)  # an empty list comes as float
    case = np.arange(len(scores))
    own = scores[case, target][:, None]                                        # [B, 1]
    other = allowed.copy()
    other[case, target] = False
    g = ((scores > own) & other).sum(axis=1)                                   # [B]
    e = ((scores == own) & other).sum(axis=1)                                  # [B]
    inside = allowed[case, target]                                             # [B]
    return np.where(inside, g, MISS), np.where(inside, e, 0)


def _greater_and_ties_of_all(scores, allowed):
    """The same two counts for every candidate, each [B, C]; outside `allowed` MISS, 0."""
    g, e = np.zeros((2, *scores.shape), dtype=np.int64)
    for b in range(len(scores)):
        ordered = np.sort(scores[b][allowed[b]])
        lower = np.searchsorted(ordered, scores[b], side="left")
        lower_or_equal = np.searchsorted(ordered, scores[b], side="right")
        g[b] = len(ordered) - lower_or_equal
        e[b] = lower_or_equal - lower - 1                              # less the candidate itself
    return np.where(allowed, g, MISS), np.where(allowed, e, 0)


def hit_rate(g, e, k, ties="expected"):
    """HR@k = [rank <= k] per case, shape of g; with one target also Recall@k, or P@k of sessions.

    g, e: [B] from `greater_and_ties`; k: positive int, may exceed the number of candidates.
    ties: "expected", the mean over random tie-breaking (McSherry & Najork 2008); "pessimistic", the
    worst rank; "optimistic", the best rank, there only to show the bracket: never report it, since
    it calls a constant scorer perfect. Raises InputError for another name or a k below 1.
    """
    return _gain_at_place(np.ones(_require_k(k)), g, e, ties)


def mrr(g, e, k, ties="expected"):
    """MRR@k = [rank <= k] / rank per case; arguments, errors and source as in `hit_rate`.

    Take k = C for the untruncated reciprocal rank; the two are different metrics.
    """
    return _gain_at_place(1 / np.arange(1, _require_k(k) + 1), g, e, ties)


def ndcg(g, e, k, ties="expected"):
    """NDCG@k = [rank <= k] / log2(rank + 1) per case (the ideal DCG is 1); else as `hit_rate`."""
    return _gain_at_place(_discount(k), g, e, ties)


def _discount(k):
    """What ranks 1..k earn in DCG, [k]."""
    return 1 / np.log2(np.arange(2, _require_k(k) + 2))


def _gain_at_place(gain, g, e, ties):
    """Mean of gain, the worth of ranks 1..k, over the ranks that `ties` grants; later ranks: 0."""
    g, e, k = _read_counts("g", g), _read_counts("e", e), len(gain)
    require(g.shape == e.shape, f"g and e must have the same shape, not {g.shape} and {e.shape}.")
    best, worst = g + 1, g + 1 + e
    # Deviation HMAR D18, HierSRec D19: the expected value over ties is the default
    granted = {"expected": (best, worst), "pessimistic": (worst, worst), "optimistic": (best, best)}
    _require_ties(ties, granted)
    first, last = granted[ties]
    total = np.concatenate([[0.0], np.cumsum(gain)])                 # [k + 1], total[j]: ranks 1..j
    earned = total[np.minimum(last, k)] - total[np.minimum(first - 1, k)]
    return earned / (last - first + 1)


def recall_many(scores, positive, k, allowed=None):
    """Recall@k = hits / |R_u| per case, [B], expected over ties; R_u: the case's positives.

    scores: [B, C]; positive: [B, C] bool; allowed: [B, C] bool or None, a positive outside it is a
    miss and stays in |R_u|. A case with |R_u| > k cannot reach 1; one without positives is nan.
    Raises InputError as `greater_and_ties` and `hit_rate` do.
    """
    scores, allowed = _require_scores(scores, allowed)
    positive = _require_mask("positive", positive, scores.shape)
    hit = hit_rate(*_greater_and_ties_of_all(scores, allowed), k)              # [B, C]
    return _ratio((hit * positive).sum(axis=1), positive.sum(axis=1))          # [B]


def ndcg_many(scores, positive, k, allowed=None):
    """NDCG@k of many positives, [B]: expected DCG@k over that of min(k, |R_u|) positives in front.

    Arguments, nan and errors as in `recall_many`; ties by McSherry & Najork 2008.
    """
    scores, allowed = _require_scores(scores, allowed)
    positive, k = _require_mask("positive", positive, scores.shape), _require_k(k)
    gain = ndcg(*_greater_and_ties_of_all(scores, allowed), k)                 # [B, C]
    ideal = np.concatenate([[0.0], np.cumsum(_discount(k))])                   # [k + 1]
    ideal = ideal[np.minimum(positive.sum(axis=1), k)]                         # [B]
    return _ratio((gain * positive).sum(axis=1), ideal)


def _ratio(part, whole):
    """part / whole, nan where whole is 0.  2 [B] -> [B]."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def auc(scores, positive, ties="half", allowed=None):
    """AUC of each user, [B]: the share of (positive, negative) pairs in order (DMRAN eq. 23).

    scores: [B, C]; positive: [B, C] bool, the other candidates are the negatives; allowed: [B, C]
    bool or None, a candidate outside is in neither set. ties: "half", a tied pair counts 1/2
    (Mann-Whitney), or "strict", it counts 0 (eq. 23 to the letter). A user without positives or
    without negatives is nan. Raises InputError for another `ties` and as `greater_and_ties` does.
    """
    _require_ties(ties, ("half", "strict"))
    scores, allowed = _require_scores(scores, allowed)
    positive = _require_mask("positive", positive, scores.shape)
    values = np.full(len(scores), np.nan)
    for b in range(len(scores)):
        wanted = scores[b][positive[b] & allowed[b]]
        unwanted = np.sort(scores[b][~positive[b] & allowed[b]])
        if len(wanted) and len(unwanted):
            beaten = np.searchsorted(unwanted, wanted, side="left")       # negatives strictly below
            met = np.searchsorted(unwanted, wanted, side="right")         # negatives below or tied
            won = beaten if ties == "strict" else (beaten + met) / 2
            values[b] = won.mean() / len(unwanted)
    return values


def macro_auc(values):
    """Mean of per-user AUCs [B] that are not nan, each of weight 1 (DMRAN eq. 23).

    Returns MacroAuc(mean, skipped); the mean is nan when no user is left. Neither the average
    weighted by positives (GAUC) nor the AUC of all users' pairs pooled is this number.
    """
    values = _read_numbers("values", values, axes=1)
    defined = values[~np.isnan(values)]
    return MacroAuc(mean_and_spread(defined).mean, len(values) - len(defined))


def mean_and_spread(values):
    """Mean and sample standard deviation (divisor S - 1) of S numbers, such as one over S seeds.

    Returns MeanAndSpread(mean, sd): nan, nan for no value, sd nan for one value.
    """
    values = _read_numbers("values", values, axes=1).astype(float)
    mean = values.mean() if len(values) else np.nan
    return MeanAndSpread(mean, values.std(ddof=1) if len(values) > 1 else np.nan)


def paired_bootstrap(a, b, rng, n=1000):
    """Mean of a - b over cases, and its 95% percentile interval by resampling whole cases.

    a, b: [B] values of two models on the SAME cases in the same order, a case being a user or a
    session (events of one session are correlated). rng: np.random.Generator; n: resamples.
    Returns PairedDifference(mean, low, high).
    Raises InputError for no case, unequal shapes, nan, no Generator, or an n that is no count.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    require(a.ndim == 1 and a.shape == b.shape and len(a) > 0,
            f"a and b must be [B] of the same B >= 1, not {a.shape}, {b.shape}.")
    gap = a - b
    require(not np.isnan(gap).any(),
            "a and b must not hold nan; drop the undefined cases from both.")
    require_generator(rng)
    draws = range(_require_k(n, "n"))
    means = [gap[rng.integers(len(gap), size=len(gap))].mean() for _ in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return PairedDifference(gap.mean(), low, high)


def bootstrap_of_seeds(a, b, rng, n=1000):
    """`paired_bootstrap` of two models trained with several seeds each: a [S, B], b [S', B].

    Drawn anew are the cases, the same for both, and the seeds of each: an interval for other users
    and other trainings (Owen 2007, the pigeonhole bootstrap). S drawn seeds vary by (S - 1) / S of
    what seeds do, so that with few of them it is somewhat narrow.
    Returns PairedDifference(mean, low, high). Raises InputError for what is no such array, no case,
    nan, no Generator, or an n that is no count.
    """
    a, b = (_read_numbers(name, x, axes=2) for name, x in (("a", a), ("b", b)))
    require(a.size > 0 and b.size > 0 and a.shape[1] == b.shape[1],
            f"a and b must be [S, B] of the same B >= 1, not {a.shape}, {b.shape}.")
    require(np.isfinite(a).all() and np.isfinite(b).all(),
            "a and b must be finite; drop the undefined cases from both.")
    require_generator(rng)
    means = []
    for _ in range(_require_k(n, "n")):
        cases = rng.integers(a.shape[1], size=a.shape[1])
        of_a, of_b = (x[rng.integers(len(x), size=len(x))][:, cases].mean() for x in (a, b))
        means.append(of_a - of_b)
    return PairedDifference(a.mean() - b.mean(), *np.percentile(means, [2.5, 97.5]))


def _require_scores(scores, allowed):
    scores = _read_numbers("scores", scores, axes=2)
    # A comparison with NaN is False, so a NaN target would come out first; an infinity is a mask.
    require(np.isfinite(scores).all(),
            "scores must be finite; mend the model, or mask candidates with allowed, not -inf.")
    if allowed is None:
        return scores, np.ones(scores.shape, dtype=bool)
    return scores, _require_mask("allowed", allowed, scores.shape)


def _read_numbers(name, values, axes=None):
    """The array of real numbers that `values` are, of so many axes."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} must be an array, whose rows are of one length.") from error
    require(array.dtype.kind in "biuf" and axes in (None, array.ndim),
            f"{name} must be real numbers on {axes or 'any'} axes, "
            f"not {array.dtype} of shape {array.shape}.")
    return array


def _read_counts(name, values):
    """The array of whole numbers of at least 0 that `values` are, as int64."""
    array = _read_numbers(name, values)
    # an empty list comes as float; 2^63 would be negative
    require(((array >= 0) & (array < 2**63) & (array == np.floor(array))).all(),
            f"{name} must be whole numbers of at least 0.")
    return array.astype(np.int64)


def _require_mask(name, mask, shape):
    mask = np.asarray(mask)
    require(mask.dtype == bool and mask.shape == shape,
            f"{name} must be bool of shape {shape}, as scores, not {mask.dtype} {mask.shape}.")
    return mask


def _require_k(k, name="k"):
    require(isinstance(k, (int, float, np.integer, np.floating)) and 1 <= k <= MOST and k == int(k),
            f"{name} must be a whole number of at least 1 and at most {MOST:,}, not {k}.")
    return int(k)


def _require_ties(ties, choices):
    require(ties in [*choices], f"ties must be one of {', '.join(choices)}, not {ties!r}.")
