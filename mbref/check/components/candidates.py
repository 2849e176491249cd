"""mbref's side of HierSRec's test time: how many categories, and what a ranking of the items in
them is.

C categories 0..C-1, N items 1..N; category [N+1] holds theirs, entry 0 ignored. Column i - 1 is
item i.
"""
import numpy as np

from mbref.candidates import choose, rank


def candidates_share(params, inputs, tap):
    """For each rho, the K whose K most probable categories hold a mean share of the items closest
    to rho.

    logp [B, C], ties go to the lower id; category [N+1]; rho [Q] -> k [Q], the smaller where two
    are as close.
    """
    index = choose.index_of(inputs["category"], inputs["logp"].shape[1])
    return {
        "k": np.array([choose.k_of_share(inputs["logp"], rho, index) for rho in inputs["rho"]])}


def places(params, inputs, tap):
    """Where each target stands among its session's candidates, the items of the chosen categories,
    by query . weights.

    queries [B, D], weights [N, D], whose row i - 1 is item i, chosen [B, C] bool, whose column c is
    category c, category [N+1], target [B] items -> greater, ties [B] int64: how many other
    candidates score more, and the same; inside [B] bool: is the target a candidate? If not, greater
    is 2**62 and ties 0. top [B, n]: the n best candidates, the lower id first among equals, 0 where
    there are fewer.
    """
    chosen = inputs["chosen"]
    index = choose.index_of(inputs["category"], chosen.shape[1])
    found, top = rank.dense(
        inputs["queries"], inputs["weights"], index, chosen, inputs["target"], inputs["n"])
    return found._asdict() | {"top": top}


def gap(params, inputs, tap):
    """Hit rate at k among candidates less that among all items, as gained - lost; both are means
    over all B cases.

    full_greater, full_ties [B]: places among all items; greater, ties, inside [B]: among the
    candidates, as in hiersrec.places; hits are expected over random tie-breaking -> gained [], of
    targets inside; lost [], of the others.
    """
    everything = np.ones_like(inputs["inside"])
    full = rank.Places(inputs["full_greater"], inputs["full_ties"], everything)
    among = rank.Places(inputs["greater"], inputs["ties"], inputs["inside"])
    found = rank.gap(full, among, inputs["k"])
    return {name: np.asarray(value) for name, value in found._asdict().items()}


def inject_target(params, inputs, tap):
    """The candidates with each session's own target put in: a leak, which an evaluation must not
    have.

    allowed [B, N] bool, target [B] items -> injected [B, N] bool.
    """
    return {"injected": choose.inject_target(inputs["allowed"], inputs["target"])}


def backfill(params, inputs, tap):
    """Candidates of fewer than n items filled up to n with the most popular others, the lower id
    first among equals.

    allowed [B, N] bool, popularity [N], where 0 counts too; column i - 1 is item i -> filled [B, N]
    bool; a session that has n or more keeps what it has, an n above N takes all.
    """
    return {"filled": choose.backfill(inputs["allowed"], inputs["popularity"], inputs["n"])}


def two_level_logp(params, inputs, tap):
    """log p(i) = log p of i's category + log softmax of the item logits over the items of that
    category.

    category_logp [R, C], whose column c is category c, item_logits [R, N], whose column i - 1 is
    item i, category [N+1] -> logp [R, N].
    """
    logp = rank.two_level_logp(
        inputs["category_logp"], inputs["item_logits"], inputs["category"])
    return {"logp": logp}
