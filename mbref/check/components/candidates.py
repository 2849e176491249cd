"""mbref's side of HierSRec's test time: how many categories, and how their items rank.

C categories 0..C-1, N items 1..N; category [N+1] holds theirs, entry 0 ignored. Column i - 1 is
item i.
"""
import numpy as np

from mbref.candidates import choose, rank
from mbref.check.components.reading import take


def candidates_share(params, inputs, tap):
    """The K whose K most probable categories hold a mean share of the items closest to each rho.

    logp [B, C], ties go to the lower id; category [N+1]; rho [Q] -> k [Q], the smaller where two
    are as close.
    """
    logp = inputs["logp"]
    index = choose.index_of(inputs["category"], logp.shape[1])
    return {"k": np.array([choose.k_of_share(logp, rho, index) for rho in inputs["rho"]])}


def places(params, inputs, tap):
    """Each target's place by query . weights among the items of the session's chosen categories.

    queries [B, D], weights [N, D], whose row i - 1 is item i, chosen [B, C] bool, whose column c is
    category c, category [N+1], target [B] items -> greater, ties [B] int64: how many other
    candidates score more, and the same; inside [B] bool: is the target a candidate? If not, greater
    is 2**62 and ties 0. top [B, n]: the n best candidates, the lower id first among equals, 0 where
    there are fewer.
    """
    chosen = inputs["chosen"]
    index = choose.index_of(inputs["category"], chosen.shape[1])
    queries, weights, target, n = take(inputs, "queries weights target n")
    found, top = rank.dense(queries, weights, index, chosen, target, n)
    return found._asdict() | {"top": top}


def gap(params, inputs, tap):
    """Hit rate at k among candidates less that among all items, as gained - lost.

    full_greater, full_ties [B]: places among all items; greater, ties, inside [B]: among the
    candidates, as in hiersrec.places; hits are expected over random tie-breaking -> gained [], of
    targets inside; lost [], of the others; both are means over all B cases.
    """
    inside = inputs["inside"]
    full = rank.Standing(inputs["full_greater"], inputs["full_ties"], np.ones_like(inside))
    among = rank.Standing(inputs["greater"], inputs["ties"], inside)
    found = rank.gap(full, among, inputs["k"])
    return {name: np.asarray(value) for name, value in found._asdict().items()}


def inject_target(params, inputs, tap):
    """The candidates and each session's target: a leak, which an evaluation must not have.

    allowed [B, N] bool, target [B] items -> injected [B, N] bool.
    """
    return {"injected": choose.inject_target(inputs["allowed"], inputs["target"])}


def backfill(params, inputs, tap):
    """Candidates, where they are fewer than n filled up to n with the most popular others.

    allowed [B, N] bool, popularity [N], where 0 counts too, the lower id first among equals; column
    i - 1 is item i -> filled [B, N] bool; an n above N takes all.
    """
    return {"filled": choose.backfill(*take(inputs, "allowed popularity n"))}


def two_level_logp(params, inputs, tap):
    """log p(i) = log p of i's category + log softmax of the logits of that category's items.

    category_logp [R, C], whose column c is category c, item_logits [R, N], whose column i - 1 is
    item i, category [N+1] -> logp [R, N].
    """
    return {"logp": rank.two_level_logp(*take(inputs, "category_logp item_logits category"))}
