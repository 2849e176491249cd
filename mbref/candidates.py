"""HierSRec's test time: only items of the most probable categories are scored, and what that does to a ranking.

Source: the abstract of arXiv 2309.06533 for `topk`; the other policies, and what a miss costs, are ours.
An item outside the chosen categories is absent, neither last nor of score 0: as a target it is a miss that stays in
the denominator. Three paths give the same result: `dense` is the definition, `by_session` is for reading,
`places_by_blocks` and `top_by_blocks` are for speed and never build anything of shape [B, N].

One score, one value. A matrix product rounds a score differently in products of different shape, so ties come and go
and ranks differ between paths. Here `pair_scores` alone says what a score is: its rounding depends on the query and
the row and on nothing else. The fast path computes with matrix products, but where two scores are closer than the
error bound of those products it asks `pair_scores`. Therefore places and lists are EXACTLY those of `dense`, in
float32 and float64, with ties; scores of another source, such as a model's own product, agree up to their rounding.

Glossary of shapes: B sessions, C categories 0..C-1, N items 1..N (0 is padding), D width of a query, K categories
chosen, P chosen (session, category) pairs, S sessions of one block, n length of a list. A choice is bool [B, C].
"""
from math import ceil
from typing import NamedTuple

import autograd.numpy as anp
import numpy as np

from mbref import metrics
from mbref.errors import require
from mbref.layers import stop_gradient

PIECE = 32  # items whose best score is looked at first when lists are made; any number gives the same lists


class Index(NamedTuple):
    """Items by category: those of category c are order[indptr[c]:indptr[c + 1]], ascending; it may have none."""

    order: np.ndarray  # [N] item ids
    indptr: np.ndarray  # [C + 1]


class Share(NamedTuple):
    """Candidates of a session over N."""

    mean: float
    low: float
    high: float


class Places(NamedTuple):
    """Where each target stands among its session's candidates: `greater` of them score more, `ties` others the same.

    A target that is no candidate is not `inside`: greater is metrics.MISS and ties 0.
    """

    greater: np.ndarray  # [B]
    ties: np.ndarray  # [B]
    inside: np.ndarray  # [B] bool


class Layout(NamedTuple):
    """An output layer with its rows sorted by category, so that a category is one slice."""

    index: Index
    rows: np.ndarray  # [N, D], row j of item index.order[j]
    place: np.ndarray  # [N + 1], the row of an item; entry 0 is not used
    longest: float  # the largest Euclidean norm of a row


class Gap(NamedTuple):
    """Hit rate among candidates minus hit rate among all items, as gained - lost."""

    gained: float
    lost: float


def index_of(category, categories):
    """The Index of `category` [N + 1] ints 0..C-1, entry 0 (padding) ignored; `categories` is C.

    Raises InputError for another shape or type, or an item whose category is not one of the C.
    """
    category = np.asarray(category)
    require(category.ndim == 1 and len(category) > 1 and category.dtype.kind in "iu",
            "category must be [N + 1] integers, one per item 1..N after an entry 0 for padding.")
    real = category[1:]
    require(((real >= 0) & (real < categories)).all(),
            f"every item needs a category in 0..{categories - 1}; give those without one an own category 'unknown'.")
    sizes = np.bincount(real, minlength=categories)
    return Index(np.argsort(real, kind="stable") + 1, np.concatenate([[0], np.cumsum(sizes)]))


def sizes_of(index):
    """Items per category, [C]."""
    return np.diff(index.indptr)


def topk(logp, K):
    """The K most probable categories, the paper's policy; ties go to the lower id, K > C takes all.

    logp [B, C], -inf allowed -> chosen [B, C] bool. Raises InputError for NaN or K < 1.
    """
    logp = _checked_logp(logp)
    require(K >= 1 and K == int(K), f"K must be a whole number of at least 1, not {K}.")
    K = min(int(K), logp.shape[1])
    last = -np.partition(-logp, K - 1, axis=1)[:, K - 1 : K]  # [B, 1], the K-th largest
    above, level = logp > last, logp == last
    room = K - above.sum(axis=1, keepdims=True)  # [B, 1]
    return above | (level & (np.cumsum(level, axis=1) <= room))


def budget(logp, rho, index):
    """Categories by falling probability until they hold at least ceil(rho N) items; at least one category.

    So the items exceed rho N by less than the size of the last category. logp [B, C]; 0 < rho <= 1; ties as in `topk`.
    -> chosen [B, C]. Raises InputError for NaN or another rho.
    """
    logp = _checked_logp(logp, index)
    require(0 < rho <= 1, f"rho must be a share of the items in (0, 1], not {rho}.")
    items = len(index.order)
    wanted = max(1, ceil(round(rho * items, 6)))  # rounded first: 0.07 * 100 is 7.000000000000001
    order = _by_probability(logp)
    return _until(order, sizes_of(index)[order], wanted)


def mass(logp, tau):
    """Categories by falling probability until these sum to at least tau, at least one category (ours).

    logp [B, C] log-probabilities; 0 < tau <= 1; ties as in `topk`. -> chosen [B, C]. Raises InputError for NaN,
    another tau, or rows whose probabilities do not sum to 1.
    """
    logp = _checked_logp(logp)
    require(0 < tau <= 1, f"tau must be a probability in (0, 1], not {tau}.")
    p = np.exp(logp.astype(np.float64))
    require((np.abs(p.sum(axis=1) - 1) < 1e-3).all(), "logp must be log-probabilities: take log_softmax of logits.")
    order = _by_probability(logp)
    return _until(order, np.take_along_axis(p, order, axis=1), tau)


def k_of_share(logp, rho, index):
    """The K whose `topk` has a mean share of candidates closest to rho; choose it on validation sessions.  -> int."""
    sizes = sizes_of(index)[_by_probability(_checked_logp(logp, index))]  # [B, C]
    shares = np.cumsum(sizes.mean(axis=0)) / len(index.order)  # [C], of K = 1..C
    return int(np.argmin(np.abs(shares - rho))) + 1


def _by_probability(logp):
    """Category ids by falling probability, lower id first among equals.  [B, C]."""
    order = np.argsort(-logp, axis=1)
    ranked = np.take_along_axis(logp, order, axis=1)
    tied = (ranked[:, 1:] == ranked[:, :-1]).any(axis=1)  # [B]; sorting all rows stably takes several times longer
    order[tied] = np.argsort(-logp[tied], axis=1, kind="stable")
    return order


def _until(order, amounts, wanted):
    """Chosen are the first of `order` [B, C] until their `amounts` [B, C] sum to `wanted`.  -> [B, C] bool."""
    before = np.zeros(order.shape, amounts.dtype)
    before[:, 1:] = np.cumsum(amounts, axis=1)[:, :-1]
    chosen = np.empty(order.shape, bool)
    np.put_along_axis(chosen, order, before < wanted, axis=1)
    return chosen


def _checked_logp(logp, index=None):
    logp = np.asarray(logp)
    require(logp.ndim == 2 and logp.shape[1] > 0 and logp.dtype.kind == "f",
            f"logp must be [B, C] floats, not {logp.dtype} {logp.shape}.")
    require(index is None or logp.shape[1] == len(index.indptr) - 1, "logp and index differ in their categories.")
    require(not (np.isnan(logp) | (logp == np.inf)).any(), "logp holds NaN or +inf; mend the model.")
    return logp


def share(chosen, index):
    """Mean, smallest and largest share of the items that a session ranks; nan without sessions.  chosen [B, C]."""
    shares = chosen @ sizes_of(index) / len(index.order)  # [B]
    return Share(*(float(f(shares)) if len(shares) else float("nan") for f in (np.mean, np.min, np.max)))


def holds(chosen, category):
    """Does the choice hold the target's category?  chosen [B, C]; category [B] of the targets -> [B] bool."""
    return chosen[np.arange(len(chosen)), category]


def coverage(chosen, category):
    """P(target among the candidates) = Recall@K of categories.  chosen [B, C]; category [B] of the targets."""
    inside = holds(chosen, category)
    return float(inside.mean()) if len(inside) else float("nan")


def items_of(chosen, index):
    """Candidates as a mask: column i - 1 is item i.  chosen [B, C] -> [B, N]."""
    allowed = np.empty((len(chosen), len(index.order)), bool)
    allowed[:, index.order - 1] = np.repeat(chosen, sizes_of(index), axis=1)
    return allowed


def with_bias(queries, weights, bias):
    """q . w_i + b_i without a bias: a 1 behind every query, b_i behind w_i.  -> [B, D + 1], [N, D + 1]."""
    ones = np.ones((len(queries), 1), queries.dtype)
    return np.concatenate([queries, ones], axis=1), np.concatenate([weights, bias[:, None]], axis=1)


def pair_scores(queries, rows):
    """The score of each query with its row; its rounding does not depend on the other pairs.  2 [..., D] -> [...]."""
    # Order C: NumPy then sums each row's D products by itself, in one fixed order.
    return np.multiply(queries, rows, order="C").sum(axis=-1)


def dense(queries, weights, index, chosen, target, n):
    """All scores, then a mask: the definition.

    queries [B, D]; weights [N, D], row i - 1 of item i, floats of the same type; chosen [B, C]; target [B] items.
    -> Places, top [B, n] items, best first, lower id first among equals, 0 where there are fewer.
    Raises InputError for NaN or infinity, other shapes or types, or a target that is no item.
    """
    target = _checked_target(target, queries, index)
    _check_weights(weights, index)
    _check_queries(queries, weights, chosen, index, n)
    scores = np.array([pair_scores(query, weights) for query in queries])  # [B, N]
    allowed = items_of(chosen, index)
    greater, ties = metrics.greater_and_ties(scores.reshape(allowed.shape), target - 1, allowed)
    top = [best(np.flatnonzero(mask) + 1, row[mask], n) for row, mask in zip(scores, allowed, strict=True)]
    inside = allowed[np.arange(len(target)), target - 1]
    return Places(greater, ties, inside), np.array(top, np.int64).reshape(-1, n)


def by_session(queries, weights, index, chosen, target, n):
    """As `dense`, session by session: gather the chosen items, score them, rank."""
    target = _checked_target(target, queries, index)
    _check_weights(weights, index)
    _check_queries(queries, weights, chosen, index, n)
    places, top = [], []
    for b, query in enumerate(queries):
        items = candidates_of_session(chosen[b], index)  # [m]
        scores = pair_scores(query, weights[items - 1])  # [m]
        places.append(place_of_session(items, scores, target[b]))
        top.append(best(items, scores, n))
    greater, ties, inside = np.array(places, np.int64).reshape(-1, 3).T
    return Places(greater, ties, inside > 0), np.array(top, np.int64).reshape(-1, n)


def candidates_of_session(chosen, index):
    """Items of one session's categories, category by category.  chosen [C] -> [m]."""
    slices = [index.order[index.indptr[c] : index.indptr[c + 1]] for c in np.flatnonzero(chosen)]
    return np.concatenate([index.order[:0], *slices])


def place_of_session(items, scores, target):
    """greater, ties, inside of the target among one session's candidates.  items, scores [m]."""
    own = scores[items == target]  # [1], or [0] for a target outside
    if len(own) == 0:
        return metrics.MISS, 0, False
    return (scores > own).sum(), (scores == own).sum() - 1, True


def best(items, scores, n):
    """The n best items, best first, lower id first among equals, then 0.  items, scores [m] -> [n]."""
    ranked = items[np.lexsort((items, -scores))[:n]]
    return np.concatenate([ranked, np.zeros(n - len(ranked), np.int64)])


def lay_out(weights, index):
    """The Layout of weights [N, D] for the fast path; made once a model. Raises InputError as `dense`."""
    _check_weights(weights, index)
    rows = np.ascontiguousarray(weights[index.order - 1])  # [N, D]
    place = np.zeros(len(rows) + 1, np.int64)
    place[index.order] = np.arange(len(rows))
    return Layout(index, rows, place, float(np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1).max())))


def places_by_blocks(queries, layout, chosen, target):
    """The Places of `dense`, category by category, without a score kept.

    A block's product is compared with the target's own score. What it cannot tell from it, the target itself
    included, is scored by `pair_scores`, as the own score was. Arguments and errors as in `dense`.
    """
    target = _checked_target(target, queries, layout.index)
    _check_queries(queries, layout.rows, chosen, layout.index)
    slack = _error_bound(queries, layout)  # [B]
    own = pair_scores(queries, layout.rows[layout.place[target]])  # [B]
    low, high = own - slack, own + slack
    greater, ties = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
    category, session = np.nonzero(chosen.T)  # 2 [P], by category
    for pairs, rows in _blocks(category, layout.index):
        who = session[pairs]  # [S], each session once
        scores = queries.take(who, axis=0) @ layout.rows[rows].T  # [S, items of the category]
        above = scores > high[who][:, None]
        greater[who] += above.sum(axis=1)
        s, j = np.nonzero((scores >= low[who][:, None]) & ~above)
        if len(s) == 0:
            continue
        exact = _exact_scores(queries, layout, who[s], rows.start + j)
        np.add.at(greater, who[s], exact > own[who[s]])
        np.add.at(ties, who[s], exact == own[who[s]])
    home = np.searchsorted(layout.index.indptr, layout.place[target], side="right") - 1  # [B] categories
    inside = holds(chosen, home)
    return Places(np.where(inside, greater, metrics.MISS), np.where(inside, ties - 1, 0), inside)


def top_by_blocks(queries, layout, chosen, n):
    """The lists of `dense`, [B, n], category by category; arguments and errors as there.

    Memory: one score a candidate and a few times 1 / PIECE of that, nothing of [B, N]. Items are narrowed down twice
    by the scores of the products, with their error bound; what is left is ordered by `pair_scores`.
    """
    _check_queries(queries, layout.rows, chosen, layout.index, n)
    slack = 2 * _error_bound(queries, layout)  # [B]: a product may lift one score and lower the other
    category, session = np.nonzero(chosen.T)  # 2 [P], by category
    scores, start = _scores_by_blocks(queries, layout, category, session)
    pair, begin = _pieces(start)
    peak = np.maximum.reduceat(scores, begin) if len(scores) else scores  # [pieces]
    # n pieces that hold an item of at least x are n items of at least x: the n-th best item is no worse than this.
    least = _nth_best(session[pair], peak, len(queries), n) - slack  # [B]
    high = peak >= least[session[pair]]
    pair, at = _expanded(pair[high], begin[high], start)
    high = scores[at] >= least[session[pair]]
    pair, at = pair[high], at[high]
    rows = layout.index.indptr[category[pair]] + at - start[pair]
    session, scores = session[pair], scores[at]
    high = scores >= (_nth_best(session, scores, len(queries), n) - slack)[session]
    return _lists(queries, layout, session[high], rows[high], n)


def _blocks(category, index):
    """Each chosen category as two slices: its pairs, and its rows in the Layout.  category [P] sorted."""
    first = np.searchsorted(category, np.arange(len(index.indptr))).tolist()  # lists are faster to step through
    indptr = index.indptr.tolist()
    for c in range(len(indptr) - 1):
        if first[c] < first[c + 1]:
            yield slice(first[c], first[c + 1]), slice(indptr[c], indptr[c + 1])


def _scores_by_blocks(queries, layout, category, session):
    """Scores of all candidates, pair p's in scores[start[p]:start[p + 1]].  -> scores [sum of sizes], start [P + 1]."""
    start = np.concatenate([[0], np.cumsum(sizes_of(layout.index)[category])])
    scores = np.empty(start[-1], queries.dtype)
    for pairs, rows in _blocks(category, layout.index):
        block = scores[start[pairs.start] : start[pairs.stop]].reshape(pairs.stop - pairs.start, -1)  # a view
        np.matmul(queries.take(session[pairs], axis=0), layout.rows[rows].T, out=block)
    return scores, start


def _pieces(start):
    """Pairs cut into pieces of at most PIECE items: where pair p has start[p]:start[p + 1].  -> pair, begin, 2 [Q]."""
    count = -(-np.diff(start) // PIECE)  # [P]
    pair = np.repeat(np.arange(len(count)), count)
    return pair, start[pair] + PIECE * _position(pair)


def _expanded(pair, begin, start):
    """Places of all items of these pieces.  pair, begin [Q] -> pair, at, 2 [items]."""
    at = begin[:, None] + np.arange(PIECE)  # [Q, PIECE]
    real = at < start[pair + 1][:, None]
    return np.repeat(pair, real.sum(axis=1)), at[real]


def _nth_best(session, scores, sessions, n):
    """The n-th largest score of each session, -inf where it has fewer.  session, scores [M] -> [B]."""
    order = np.argsort(session.astype(np.min_scalar_type(sessions)), kind="stable")  # small integers sort faster
    session = session[order]
    position = _position(session)
    table = np.full((sessions, max(n, position.max(initial=0) + 1)), np.inf, scores.dtype)
    table[session, position] = -scores[order]  # negative: np.partition is slow where most entries are -inf
    return -np.partition(table, n - 1, axis=1)[:, n - 1]


def _lists(queries, layout, session, rows, n):
    """The n best of each session, as `best` has it, from all sessions' items.  session, rows [M] -> [B, n]."""
    items, scores = layout.index.order[rows], _exact_scores(queries, layout, session, rows)
    order = np.lexsort((items, -scores, session))
    session, items = session[order], items[order]
    position = _position(session)
    top, first = np.zeros((len(queries), n), np.int64), position < n
    top[session[first], position[first]] = items[first]
    return top


def _position(group):
    """0, 1, 2 ... within each run of equal numbers.  [M] sorted -> [M]."""
    return np.arange(len(group)) - np.searchsorted(group, group)


def _exact_scores(queries, layout, session, rows):
    """`pair_scores` of M pairs, in pieces that stay in the processor's cache.  session, rows [M] -> [M]."""
    scores, size = np.empty(len(rows), queries.dtype), max(1, 2**15 // queries.shape[1])
    for i in range(0, len(rows), size):
        part = slice(i, i + size)
        scores[part] = pair_scores(queries[session[part]], layout.rows[rows[part]])
    return scores


def _error_bound(queries, layout):
    """What two ways to compute a score of a session differ by at most.  -> [B].

    A sum of D products in any order errs by at most D u |q| |w|, u half the machine epsilon, up to terms of u^2
    (Higham 2002, section 3.1), so two differ by twice that. Doubled once more for those terms and for the rounding of
    the bound itself; the last term is for underflow. Raises InputError where a score could overflow.
    """
    info, width = np.finfo(queries.dtype), queries.shape[1]
    with np.errstate(over="ignore"):
        scale = np.linalg.norm(queries.astype(np.float64), axis=1) * layout.longest
    require((scale < info.max / 4).all(), f"queries and rows are so long that a score may overflow {queries.dtype}.")
    return (2 * (width + 2) * info.eps * scale + width * info.tiny).astype(queries.dtype)


def _check_weights(weights, index):
    require(weights.ndim == 2 and len(weights) == len(index.order) and weights.dtype in (np.float32, np.float64),
            f"weights must be floats [{len(index.order)}, D], not {weights.dtype} {weights.shape}.")
    require(np.isfinite(weights).all(), "weights hold NaN or an infinity; mend the model.")


def _check_queries(queries, rows, chosen, index, n=1):
    width = rows.shape[1]
    require(queries.ndim == 2 and queries.shape[1] == width and queries.dtype == rows.dtype,
            f"queries must be [B, {width}] {rows.dtype} as the weights, not {queries.dtype} {queries.shape}.")
    require(np.isfinite(queries).all(), "queries hold NaN or an infinity; mend the model.")
    shape = len(queries), len(index.indptr) - 1
    require(chosen.dtype == bool and chosen.shape == shape, f"chosen must be bool {shape}, not {chosen.shape}.")
    require(n >= 1, f"n must be at least 1, not {n}.")


def _checked_target(target, queries, index):
    given, target = np.asarray(target), np.asarray(target).astype(np.int64)
    require(target.shape == queries.shape[:1] and ((target >= 1) & (target <= len(index.order))).all()
            and (target == given).all(), f"target must be [{len(queries)}] items in 1..{len(index.order)}.")
    return target


def report(greater, ties, inside, k=20, share=None):
    """Means over all cases, a target outside earning 0, and the coverage; with a Share also that.  -> {name: number}.

    greater, ties, inside [B] as in Places; expected values over ties; nan without cases.
    """
    g, e = np.where(inside, greater, metrics.MISS), np.where(inside, ties, 0)
    values = {f"Recall@{k}": metrics.hit_rate(g, e, k), f"MRR@{k}": metrics.mrr(g, e, k),
              f"NDCG@{k}": metrics.ndcg(g, e, k), "coverage": np.asarray(inside, float)}
    row = {name: float(np.mean(value)) if len(value) else float("nan") for name, value in values.items()}
    return row | ({f"candidates {name}": value for name, value in share._asdict().items()} if share else {})


def gap(full, among, k=20):
    """Why Recall@k among candidates differs from Recall@k among all items.  Places, Places -> Gap.

    gained = P(r' <= k < r): inside, and k reached only because better items are gone. lost = P(r <= k < r'): outside.
    Both chances are exact under one random order of ties for both rankings. Raises InputError if a target inside
    ranks worse among fewer items, as only scores of two sources or a `full` that is not full can make it.
    """
    require(np.all(full.inside), "full must rank all items: choose all categories.")
    more = (among.greater > full.greater) | (among.greater + among.ties > full.greater + full.ties)
    require(not (more & among.inside).any(), "a target ranks worse among fewer items: take both from the same scores.")
    before = metrics.hit_rate(full.greater, full.ties, k)  # [B]
    after = np.where(among.inside, metrics.hit_rate(among.greater, among.ties, k), 0)
    mean = lambda values: float(np.mean(values)) if len(values) else float("nan")
    return Gap(mean(np.where(among.inside, after - before, 0)), mean(np.where(among.inside, 0, before)))


def two_level_logp(logp_category, item_logits, category):
    """log p(i) = log p(c(i)) + z_i - logsumexp of z over the items of c(i): class-factored softmax (Goodman 2001).

    logp_category [..., C], item_logits [..., N], category [N + 1] as in `index_of` -> [..., N], differentiable. Sums
    to 1, less the probability of categories without items. Holds an [N, C] membership.
    """
    own = np.asarray(category)[1:]  # [N]
    present, group = np.unique(own, return_inverse=True)  # group [N]; without empty categories, whose log is -inf
    member = (group[:, None] == np.arange(len(present))).astype(stop_gradient(item_logits).dtype)  # [N, C']
    peak = np.full(item_logits.shape[:-1] + present.shape, -np.inf, member.dtype)  # [..., C']
    np.maximum.at(peak, (..., group), stop_gradient(item_logits))
    shifted = item_logits - peak[..., group]  # [..., N], at most 0, and 0 once a category
    total = anp.log(anp.dot(anp.exp(shifted), member))  # [..., C']
    return logp_category[..., own] + shifted - total[..., group]
