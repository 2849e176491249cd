"""HierSRec's test time, first half: every session's likely categories, whose items it ranks.

Source: the abstract of arXiv 2309.06533 for `topk`; the other policies are ours. B sessions, C
categories 0..C-1, N items 1..N (0 is padding), M pairs of an item and a category of it, N of them
where every item has one. A choice is bool [B, C], a set of candidates bool [B, N].
"""
from math import ceil
from typing import NamedTuple

import numpy as np

from mbref.errors import require


class Index(NamedTuple):
    """Items of category c, perhaps none, are order[indptr[c] : indptr[c + 1]], ascending."""
    order: np.ndarray  # [M] item ids
    indptr: np.ndarray  # [C + 1]
    items: int  # N


def index_of(category, categories):
    """The Index of `category` [N + 1] ints 0..C-1, entry 0 (padding) ignored; `categories` is C.

    Raises InputError for another shape or type, or an item whose category is not one of the C.
    """
    category = np.asarray(category)
    require(category.ndim == 1 and len(category) > 1 and category.dtype.kind in "iu",
            "category must be [N + 1] integers, one per item 1..N after an entry 0 for padding.")
    # Deviation HierSRec D11: one category an item
    return index_of_pairs(np.arange(1, len(category)), category[1:], len(category) - 1, categories)


def index_of_pairs(item, category, items, categories):
    """The Index of items that may have several categories: pairs (item, category), 2 [M].

    `budget` and `k_of_share` take only an Index of one category an item. Raises InputError for
    numbers that are none, or an item without.
    """
    item, category = np.asarray(item), np.asarray(category)
    whole = item.dtype.kind in "iu" and category.dtype.kind in "iu"
    require(whole and item.shape == category.shape,
            "items and categories must be integers, one pair for each category of an item.")
    inside = ((category >= 0) & (category < categories)).all()
    require(inside and np.array_equal(np.unique(item), range(1, items + 1)),
            f"every item 1..{items} needs a category in 0..{categories - 1}, be it 'unknown'.")
    pairs = np.unique(category.astype(np.int64) * (items + 1) + item)  # [M], by category, by item
    category, item = divmod(pairs, items + 1)
    return Index(item, np.searchsorted(category, np.arange(categories + 1)), items)


def one_category_each(index):
    """Does every item of the Index have one category?  -> bool."""
    return len(index.order) == index.items


def sizes_of(index):
    """Items per category, [C]; an item counts in each of its categories."""
    return np.diff(index.indptr)


def topk(logp, K):
    """The K most probable categories, the paper's policy; ties go to the lower id, K > C takes all.

    logp [B, C], -inf allowed -> chosen [B, C] bool. Raises InputError for NaN or K < 1.
    """
    logp = _check_logp(logp)
    require(K >= 1 and K == int(K), f"K must be a whole number of at least 1, not {K}.")
    return _choose_first(logp, min(int(K), logp.shape[1]))


def _choose_first(logp, K):
    """`topk` of what was checked."""
    # Deviation HierSRec D12: the same K for every session
    last = -np.partition(-logp, K - 1, axis=1)[:, K - 1 : K]  # [B, 1], the K-th largest
    chosen = logp >= last
    many = np.count_nonzero(chosen, axis=1) > K  # [B], where the lower ids among equals matter
    above, level = logp[many] > last[many], logp[many] == last[many]
    room = K - above.sum(axis=1, keepdims=True)
    chosen[many] = above | (level & (np.cumsum(level, axis=1) <= room))
    return chosen


def budget(logp, rho, index):
    """Categories by falling probability, at least one, until they hold at least ceil(rho N) items.

    logp [B, C], 0 < rho <= 1, ties as in `topk`. -> chosen [B, C]. Raises InputError for NaN or
    another rho.
    """
    logp = _check_logp(logp, index)
    require(0 < rho <= 1, f"rho must be a share of the items in (0, 1], not {rho}.")
    wanted = max(1, ceil(round(rho * index.items, 6)))  # 0.07 * 100 is 7.000000000000001
    sizes = sizes_of(index)
    return _take_until(logp, wanted, lambda order, falling: sizes[order])


def mass(logp, tau):
    """Categories by falling probability, at least one, until these sum to at least tau (ours).

    logp [B, C], 0 < tau <= 1, ties as in `topk`. -> chosen [B, C]. Raises InputError for NaN,
    another tau, or rows whose probabilities do not sum to 1.
    """
    logp = _check_logp(logp)
    require(0 < tau <= 1, f"tau must be a probability in (0, 1], not {tau}.")
    total = np.exp(logp).sum(axis=1, dtype=np.float64)
    require((np.abs(total - 1) < 1e-3).all(),
            "logp must be log-probabilities: take log_softmax of logits.")
    return _take_until(logp, tau, lambda order, falling: np.exp(falling.astype(np.float64)))


def k_of_share(logp, rho, index):
    """The K whose `topk` has a mean share of candidates closest to rho.  -> int.

    Choose it on validation sessions, logp [B, C]. Where two are as close, it is the smaller K.
    """
    order, _ = _sort_categories(_check_logp(logp, index), logp.shape[1])
    sizes = sizes_of(index)[order]  # [B, C]
    shares = np.cumsum(sizes.mean(axis=0)) / index.items  # [C], of K = 1..C
    return int(np.argmin(np.abs(shares - rho))) + 1


def _sort_categories(logp, count):
    """The `count` most probable categories, falling, lower id first: ids, log p, 2 [B, count]."""
    first = np.nonzero(_choose_first(logp, count))[1].reshape(-1, count)  # ids ascending
    order = np.argsort(-np.take_along_axis(logp, first, axis=1), axis=1, kind="stable")
    first = np.take_along_axis(first, order, axis=1)
    return first, np.take_along_axis(logp, first, axis=1)


def _take_until(logp, wanted, amounts, count=64):
    """By falling probability until their amounts sum to `wanted`.  -> chosen [B, C].

    amounts(ids, log p) of some categories. Few are enough as a rule: `count` are sorted at first.
    """
    count = min(count, logp.shape[1])
    order, falling = _sort_categories(logp, count)
    sums = np.cumsum(amounts(order, falling), axis=1)  # [B, count]
    chosen = np.zeros(logp.shape, bool)
    np.put_along_axis(chosen, order, np.pad(sums[:, :-1], ((0, 0), (1, 0))) < wanted, axis=1)
    short = (sums[:, -1] < wanted) & (count < logp.shape[1])  # [B]
    if short.any():
        chosen[short] = _take_until(logp[short], wanted, amounts, 8 * count)
    return chosen


def _check_logp(logp, index=None):
    """log p [B, C] as an array. Raises InputError for NaN, +inf, another shape or type."""
    logp = np.asarray(logp)
    require(logp.ndim == 2 and logp.shape[1] > 0 and logp.dtype.kind == "f",
            f"logp must be [B, C] floats, not {logp.dtype} {logp.shape}.")
    if index is not None:
        require(logp.shape[1] == len(index.indptr) - 1,
                "logp and index differ in their categories.")
        require(one_category_each(index),
                "items have several categories, so sizes do not add up: choose by topk.")
    require(not (np.isnan(logp) | (logp == np.inf)).any(),
            "logp holds NaN or +inf; mend the model.")
    return logp


def share(chosen, index):
    """Mean share of the items that a session ranks, nan without sessions.  chosen [B, C]."""
    single = one_category_each(index)
    counts = chosen @ sizes_of(index) if single else items_of(chosen, index).sum(axis=1)  # [B]
    return float(np.mean(counts / index.items)) if len(chosen) else float("nan")


def items_of(chosen, index):
    """Items of any chosen category: column i - 1 is item i.  chosen [B, C] -> [B, N]."""
    allowed = np.zeros((len(chosen), index.items), bool)  # Deviation HierSRec D14: a hard set
    pairs = np.repeat(chosen, sizes_of(index), axis=1)  # [B, M]
    np.logical_or.at(allowed, (slice(None), index.order - 1), pairs)
    return allowed


def inject_target(allowed, target):
    """The candidates with each session's target put in, a leak shown on purpose.  -> [B, N]."""
    return allowed | (np.arange(1, allowed.shape[1] + 1) == np.asarray(target)[:, None])


def draw_others(rng, sizes, target, items):
    """`sizes` [B] items a session, drawn uniformly from all but its target.  -> [B, N].

    Sampled evaluation ranks a target among such. Raises InputError for a size not in 0..N-1.
    """
    sizes = np.asarray(sizes)
    require(((sizes >= 0) & (sizes < items)).all(),
            f"sizes must lie in 0..{items - 1}, the items besides the target.")
    keys = rng.random((len(sizes), items))
    keys[np.arange(len(sizes)), target - 1] = 2  # the last one, never drawn
    drawn = np.zeros(keys.shape, bool)
    np.put_along_axis(drawn, np.argsort(keys, axis=1), np.arange(items) < sizes[:, None], axis=1)
    return drawn


def backfill(allowed, popularity, n):
    """Candidates of fewer than n items filled up to n with the most popular others, lower id first.

    No table here does so. allowed [B, N]; popularity [N]. -> [B, N].
    """
    popular = np.argsort(-np.asarray(popularity), kind="stable")  # [N] columns
    free = ~allowed[:, popular]
    room = np.maximum(n - allowed.sum(axis=1, keepdims=True), 0)  # [B, 1]
    filled = allowed.copy()
    filled[:, popular] |= free & (np.cumsum(free, axis=1) <= room)
    return filled
