"""HierSRec's candidates fast: category by category, by matrix products, never [B, N] numbers.

Lists are exactly those of rank.py, whose `pair_scores` says what a score is: where two scores are
closer than the error bound of the products, it is asked. Shapes as there; P chosen (session,
category) pairs, S sessions of one block, Q pieces.
"""
from typing import NamedTuple

import numpy as np

from mbref.candidates import choose
from mbref.candidates.rank import check_choice, check_queries, check_weights, pair_scores
from mbref.errors import require

PIECE = 32  # items whose best score is looked at first; any number gives the same lists


class Layout(NamedTuple):
    """An output layer with its rows sorted by category, so that a category is one slice."""
    index: choose.Index
    rows: np.ndarray  # [N, D], row j of item index.order[j]
    place: np.ndarray  # [N + 1], the row of an item; entry 0 is not used
    longest: float  # the largest Euclidean norm of a row


def candidates_of_session(chosen, index):
    """Items of one session's categories, category by category.  chosen [C] -> [m]. Where items have
    several categories, ascending and each once."""
    slices = [index.order[index.indptr[c] : index.indptr[c + 1]] for c in np.flatnonzero(chosen)]
    items = np.concatenate([index.order[:0], *slices])
    return items if choose.one_category_each(index) else np.unique(items)


def lay_out(weights, index):
    """The Layout of weights [N, D]; made once a model.

    Raises InputError as rank.dense does, and for items of several categories.
    """
    require(choose.one_category_each(index),
            "items have several categories, blocks need one: rank by dense.")
    check_weights(weights, index.items)
    rows = np.ascontiguousarray(weights[index.order - 1])  # [N, D]
    place = np.zeros(len(rows) + 1, np.int64)
    place[index.order] = np.arange(len(rows))
    longest = np.linalg.norm(rows.astype(np.float64), axis=1).max()
    return Layout(index, rows, place, float(longest))


def top_by_blocks(queries, layout, chosen, n):
    """The lists of rank.dense, [B, n], category by category; arguments and errors as there.

    Items are narrowed down twice by the products, with their error bound; what is left is ordered
    by `pair_scores`.
    """
    check_choice(chosen, queries, layout.index)
    check_queries(queries, layout.rows, n)
    slack = 2 * _error_bound(queries, layout)  # [B]: products may lift one score, lower the other
    category, session = divmod(np.flatnonzero(chosen.T), len(chosen))  # 2 [P], by category
    scores, start = _scores_by_blocks(queries, layout, category, session)
    pair, begin = _pieces(start)
    peak = np.maximum.reduceat(scores, begin) if len(scores) else scores  # [pieces]
    # n pieces with an item of at least x are n items of at least x, and the n-th best is no worse
    least = _nth_best(session[pair], peak, len(queries), n) - slack  # [B]
    high = peak >= least[session[pair]]
    pair, at = _expand(pair[high], begin[high], start)
    high = scores[at] >= least[session[pair]]
    pair, at = pair[high], at[high]
    rows = layout.index.indptr[category[pair]] + at - start[pair]
    session, scores = session[pair], scores[at]
    high = scores >= (_nth_best(session, scores, len(queries), n) - slack)[session]
    return _lists(queries, layout, session[high], rows[high], n)


def _scores_by_blocks(queries, layout, category, session):
    """Scores of all candidates, pair p's in scores[start[p]:start[p + 1]].  -> scores, start."""
    start = np.concatenate([[0], np.cumsum(choose.sizes_of(layout.index)[category])])
    scores, indptr = np.empty(start[-1], queries.dtype), layout.index.indptr
    first = np.searchsorted(category, np.arange(len(indptr)))  # pair of each category
    for c in np.flatnonzero(np.diff(first)):
        pairs, rows = slice(first[c], first[c + 1]), slice(indptr[c], indptr[c + 1])
        block = scores[start[pairs.start] : start[pairs.stop]]  # a view of these pairs' scores
        block = block.reshape(pairs.stop - pairs.start, -1)
        np.matmul(queries.take(session[pairs], axis=0), layout.rows[rows].T, out=block)
    return scores, start


def _pieces(start):
    """Pairs in pieces of at most PIECE items.  start [P + 1] -> pair and begin of each, 2 [Q]."""
    count = -(-np.diff(start) // PIECE)  # [P]
    pair = np.repeat(np.arange(len(count)), count)
    return pair, start[pair] + PIECE * _position(pair)


def _expand(pair, begin, start):
    """Places of all items of these pieces.  pair, begin [Q] -> pair, at, 2 [items]."""
    at = begin[:, None] + np.arange(PIECE)  # [Q, PIECE]
    real = at < start[pair + 1][:, None]
    return np.repeat(pair, real.sum(axis=1)), at[real]


def _nth_best(session, scores, sessions, n):
    """The n-th largest score of each session, -inf where it has fewer.  2 [M] -> [B]."""
    small = session.astype(np.min_scalar_type(sessions))  # small integers sort faster
    order = np.argsort(small, kind="stable")
    session = session[order]
    position = _position(session)
    table = np.full((sessions, max(n, position.max(initial=0) + 1)), np.inf, scores.dtype)
    table[session, position] = -scores[order]  # np.partition is slow where most are -inf
    return -np.partition(table, n - 1, axis=1)[:, n - 1]


def _lists(queries, layout, session, rows, n):
    """The n best of each session, as rank.best has it.  session, rows [M] -> [B, n]."""
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
    """`pair_scores` of M pairs, few at a time, which stay in the processor's cache.  -> [M]."""
    scores, size = np.empty(len(rows), queries.dtype), max(1, 2**15 // queries.shape[1])
    for i in range(0, len(rows), size):
        part = slice(i, i + size)
        scores[part] = pair_scores(queries[session[part]], layout.rows[rows[part]])
    return scores


def _error_bound(queries, layout):
    """What two ways to compute a score of a session differ by at most.  -> [B].

    A sum of D products in any order errs by at most D u |q| |w|, u half the machine epsilon, up to
    terms of u^2 (Higham 2002, section 3.1). Two differ by twice that, doubled again for those terms
    and the bound's own rounding; the last term is for underflow. Raises InputError where a score
    could overflow.
    """
    info, width = np.finfo(queries.dtype), queries.shape[1]
    with np.errstate(over="ignore"):
        scale = np.linalg.norm(queries.astype(np.float64), axis=1) * layout.longest
    require((scale < info.max / 4).all(),
            f"queries and rows are so long that a score may overflow {queries.dtype}.")
    return (2 * (width + 2) * info.eps * scale + width * info.tiny).astype(queries.dtype)
