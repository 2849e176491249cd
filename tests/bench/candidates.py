"""What HierSRec's candidates save at test time: the 20 best items of a batch, in time and memory.

Time is processor time of one process with one BLAS thread, the ways taking turns, medians. Memory
is the peak of what NumPy allocates, by tracemalloc, without inputs; BLAS's own buffers, some MB for
every way alike, are not seen. The layout by category is made once a model.

Dense stands there twice: scoring some sessions at a time needs no candidates, saves as much memory,
and is faster wherever the system is slow to hand out large memory.
"""
import json
import sys
import time
import tracemalloc
from functools import partial
from timeit import timeit
from typing import NamedTuple

import numpy as np

from mbref.bench.step import run_apart
from mbref.candidates import blocks as by_blocks, choose
from mbref.errors import require
from mbref.nn.losses import log_softmax

N_BEST = 20
PART = 32  # sessions that `dense` scores at a time; of 1, 4 .. 256 it was the fastest
SHARE = 0.04  # of the items that are candidates, at which all policies are tried


class Case(NamedTuple):
    """One batch, in float32."""
    queries: np.ndarray       # [B, D]
    weights: np.ndarray       # [N, D]
    layout: by_blocks.Layout  # of the weights
    logp: np.ndarray          # [B, C] log-probabilities of categories


def draw_case(rng, items, categories, width, batch, agree):
    """Random queries and weights; sizes of categories lognormal.  -> Case.

    agree=True: all sessions like the same large categories, each with a little of its own.
    """
    sizes = rng.lognormal(size=categories)
    category = np.concatenate([[0], rng.choice(categories, size=items, p=sizes / sizes.sum())])
    common = 2 * np.log(sizes) * agree  # [C]
    logits = common + rng.normal(size=(batch, categories))  # [B, C]
    queries, weights = rng.normal(size=(batch, width)), rng.normal(size=(items, width))
    queries, weights, logits = (x.astype(np.float32) for x in (queries, weights, logits))
    layout = by_blocks.lay_out(weights, choose.index_of(category, categories))
    return Case(queries, weights, layout, log_softmax(logits))


def best_columns(scores, n=N_BEST):
    """The n best columns, best first.  scores [..., M], M >= n -> [..., n]."""
    start = scores.shape[-1] - n
    found = np.argpartition(scores, start, axis=-1)[..., start:]
    order = np.argsort(-np.take_along_axis(scores, found, -1), axis=-1)
    return np.take_along_axis(found, order, -1)


def dense(case, policy, part=None):
    """All scores, then the best, `part` sessions at a time; no choice is made.  -> [B, n] items."""
    starts = range(0, len(case.queries), part or len(case.queries))
    every = [best_columns(case.queries[i:][:part] @ case.weights.T) for i in starts]
    return np.concatenate(every) + 1


def gather(case, policy):
    """A session at a time: copy its items' rows, one product, the best."""
    layout, chosen = case.layout, policy(case.logp)
    top = np.zeros((len(chosen), N_BEST), np.int64)
    for b, query in enumerate(case.queries):
        items = by_blocks.candidates_of_session(chosen[b], layout.index)
        scores = layout.rows[layout.place[items]] @ query  # [m]
        n = min(N_BEST, len(items))
        if n:
            top[b, :n] = items[best_columns(scores, n)]
    return top


def blocks(case, policy):
    """Category by category: `top_by_blocks`, with lists exactly as defined."""
    return by_blocks.top_by_blocks(case.queries, case.layout, policy(case.logp), N_BEST)


def candidates(items, categories, width, batch, shares, repeats):
    """Every way for each number of items, kind of sessions and share of candidates.

    Choosing is part of the time. -> rows, dicts. Raises InputError if the lists of `gather` and
    `blocks` differ by more than rounding explains.
    """
    rows = []
    for count in items:
        for sessions in ("agree", "disagree"):
            rng = np.random.default_rng(0)
            case = draw_case(rng, count, categories, width, batch, sessions == "agree")
            about, ways = zip(*list_ways(case, shares), strict=True)
            costs = measure(ways, repeats)
            (all_at_once, size), (in_parts, _), *_ = costs
            rows += [{"items": count, "sessions": sessions, **what, "ms": 1e3 * own,
                      "faster": all_at_once / own, "parts": in_parts / own, "MB": held / 1e6,
                      "less": size / held} for what, (own, held) in zip(about, costs, strict=True)]
    return rows


def list_ways(case, shares):
    """Every way on one case, both dense ones first: {what it is}, function to call."""
    for way, part in {"dense": None, f"dense, {PART} at a time": PART}.items():
        yield {"way": way, "share": None, "candidates": 1.0}, partial(dense, case, None, part)
    for share in shares:
        for name, policy in policies(case, share).items():
            real = choose.share(policy(case.logp), case.layout.index)
            agreement = np.mean(gather(case, policy) == blocks(case, policy))
            require(agreement > 0.99,
                    f"gather and blocks agree on {agreement:.1%} of the lists only.")
            for call in (gather, blocks):
                about = {"way": f"{call.__name__}, {name}", "share": share, "candidates": real}
                yield about, partial(call, case, policy)


def policies(case, share):
    """`topk` with about this share of candidates, at 4% the others too.  -> {name: function}."""
    index = case.layout.index
    k = choose.k_of_share(case.logp, share, index)
    named = {f"K = {k}": partial(choose.topk, K=k)}
    if share == SHARE:
        chosen = choose.topk(case.logp, k)  # [B, C]
        tau = float(np.sum(np.exp(case.logp[chosen])) / len(chosen))
        named |= {f"rho = {share:g}": partial(choose.budget, rho=share, index=index),
                  f"tau = {tau:.2f}": partial(choose.mass, tau=tau)}
    return named


def measure(ways, repeats):
    """Median processor seconds and peak bytes of each way, taking turns.  -> list of [2]."""
    times = [[timeit(way, timer=time.process_time, number=1) for way in ways]
             for _ in range(repeats)]
    return list(zip(np.median(times, axis=0), map(peak, ways), strict=True))


def peak(call):
    """Most bytes that Python and NumPy hold at a time during the call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def table(rows):
    """The rows as text."""
    lines = [f"{'':56}  faster than dense,   peak  less than\n"
             f"{'items':>8}  {'sessions':8}  {'way':20} {'candidates':>10} {'ms':>7} "
             f"{'':>6} {'in parts':>9} {'MB':>6} {'dense':>9}"]
    lines += [f"{row['items']:8,}  {row['sessions']:8}  {row['way']:20} {row['candidates']:10.1%} "
              f"{row['ms']:7.1f} {row['faster']:5.1f}x {row['parts']:8.1f}x {row['MB']:6.1f} "
              f"{row['less']:8.1f}x" for row in rows]
    return "\n".join(lines)


def run(options):
    """Print the table for parsed options. Raises InputError for senseless sizes."""
    names = ("items", "categories", "width", "batch", "shares", "repeats")
    settings = {name: vars(options)[name] for name in names}
    require(min(options.items) >= N_BEST, f"sizes: there must be at least {N_BEST} items.")
    require(all(0 < share <= 1 for share in options.shares),
            "a share of candidates must lie in (0, 1].")
    run_apart("tests.bench.candidates", settings)


if __name__ == "__main__":
    print(table(candidates(**json.loads(sys.argv[1]))))
