"""mbref's side of HierSRec's test time: how many categories, and how their items rank.

C categories 0..C-1, N items 1..N; category [N+1] holds theirs, entry 0 ignored. Column i - 1 is
item i.
"""
import numpy as np

from mbref.candidates import choose, rank
from mbref.check.components.reading import component

inject_target = component("injected")(choose.inject_target)
backfill = component("filled")(choose.backfill)
two_level_logp = component("logp")(
    lambda category_logp, item_logits, category: rank.two_level_logp(
        category_logp, item_logits, category))


@component("k")
def candidates_share(logp, category, rho):
    """K whose K likeliest categories hold each mean share rho of the items.  Step (6)."""
    index = choose.index_of(category, logp.shape[1])
    return np.array([choose.k_of_share(logp, share, index) for share in rho])


@component()
def places(queries, weights, category, chosen, target, n):
    """Targets' places among the items of the chosen categories.  queries [B, D].  Step (6)."""
    index = choose.index_of(category, chosen.shape[1])
    found, top = rank.dense(queries, weights, index, chosen, target, n)
    return found._asdict() | {"top": top}


@component("gained", "lost")
def gap(full_greater, full_ties, greater, ties, inside, k):
    """Hit rate among candidates less that among all items, as gained - lost.  Step (6)."""
    full = rank.Standing(full_greater, full_ties, np.ones_like(inside))
    return rank.gap(full, rank.Standing(greater, ties, inside), k)
