"""Cases of HierSRec's test time beyond the choice itself, and the same by hand, item by item."""
import autograd.numpy as np
from autograd.tracer import getval

from mbref.metrics import MISS
from tests.golden.draw import Component, log_probabilities, normal, plan, with_ties
from tests.golden.hiersrec.by_hand import by_probability
from tests.golden.hiersrec.cases import CATEGORIES, EVERY, ITEMS, category_of, filled
from tests.golden.shared.by_hand import rows

B, C, WIDTH = 4, CATEGORIES + 1, 4

# By hand.

def candidates_share(params, inputs):
    category = inputs["category"][1:]

    def share(k):
        held = [sum(c in by_probability(logp)[:k] for c in category) for logp in inputs["logp"]]
        return sum(held) / (len(held) * len(category))

    classes = range(1, inputs["logp"].shape[1] + 1)
    shares = {k: share(k) for k in classes}

    def closest(rho):
        return min(classes, key=lambda k: (abs(shares[k] - rho), k))
    return {"k": np.array([closest(rho) for rho in inputs["rho"]])}


def candidates_of(chosen, category):
    return [item for item in range(1, len(category)) if chosen[category[item]]]


def places(params, inputs):
    def one(query, chosen, target):
        def score(item):
            return sum(q * w for q, w in zip(query, inputs["weights"][item - 1], strict=True))

        items = candidates_of(chosen, inputs["category"])
        best = sorted(items, key=lambda item: (-score(item), item))[: inputs["n"]]
        top = np.array(best + [0] * (inputs["n"] - len(best)))
        if target not in items:
            return MISS, 0, False, top
        better = sum(score(item) > score(target) for item in items)
        ties = sum(score(item) == score(target) for item in items if item != target)
        return better, ties, True, top

    sessions = zip(inputs["queries"], inputs["chosen"], inputs["target"], strict=True)
    found = [one(*session) for session in sessions]
    return {name: np.array(column) for name, column in zip(
        ("greater", "ties", "inside", "top"), zip(*found, strict=True), strict=True)}


def hit(greater, ties, k):
    """Of the ranks that random tie-breaking gives, the share up to k."""
    ranks = range(int(greater) + 1, int(greater + ties) + 2)
    return sum(rank <= k for rank in ranks) / len(ranks)


def gap(params, inputs):
    gained = lost = 0.0
    for b, inside in enumerate(inputs["inside"]):
        before = hit(inputs["full_greater"][b], inputs["full_ties"][b], inputs["k"])
        if inside:
            gained += hit(inputs["greater"][b], inputs["ties"][b], inputs["k"]) - before
        else:
            lost += before
    count = len(inputs["inside"])
    return {"gained": np.array(gained / count), "lost": np.array(lost / count)}


def inject_target(params, inputs):
    def one(allowed, target):
        return [a or i == target for i, a in enumerate(allowed, 1)]
    return {"injected": rows(one, inputs["allowed"], inputs["target"])}


def backfill(params, inputs):
    popularity = inputs["popularity"]
    popular = sorted(range(len(popularity)), key=lambda column: (-popularity[column], column))

    def one(allowed):
        kept = [bool(a) for a in allowed]
        for column in popular:
            kept[column] = kept[column] or sum(kept) < inputs["n"]
        return kept
    return {"filled": rows(one, inputs["allowed"])}


def two_level_logp(params, inputs):
    category = inputs["category"][1:]

    def one(logp, z):
        found = []
        for i, c in enumerate(category):
            same = [z[j] for j in range(len(category)) if category[j] == c]
            top = max(getval(x) for x in same)
            found.append(logp[c] + z[i] - top - np.log(sum(np.exp(x - top) for x in same)))
        return found
    return {"logp": rows(one, inputs["category_logp"], inputs["item_logits"])}


BY_HAND = {
    "hiersrec.candidates_share": candidates_share, "hiersrec.places": places, "hiersrec.gap": gap,
    "hiersrec.inject_target": inject_target, "hiersrec.backfill": backfill,
    "hiersrec.two_level_logp": two_level_logp,
}


# Cases.

def share_case(rng, draw):
    """Eight items and four sessions, so that mean shares are exact; with ties, if asked for."""
    if draw.get("halfway"):
        logp = log_probabilities(rng, (B, 4), 1.5)
        category = rng.permutation(8) % 4  # two items in each
    elif draw.get("levels"):
        logp, category = with_ties(rng, B), rng.integers(0, C, 8)
    else:
        logp = log_probabilities(rng, (B, C), 1.5)
        category = rng.choice([c for c in range(C) if c not in draw.get("empty", ())], 8)
    return {}, {"logp": logp, "category": np.append(0, category), "rho": np.array(draw["rho"])}


def places_case(rng, draw):
    """Whole numbers, so that ties are ties in every type.

    The targets of the sessions `outside` are no candidates.
    """
    low, category = -draw["most"], filled(rng, draw)
    target, chosen = rng.integers(1, ITEMS + 1, B), rng.random((B, C)) < draw["share"]
    chosen[np.arange(B), category[target]] = ~np.isin(np.arange(B), draw.get("outside", ()))
    whole = lambda *shape: rng.integers(low, draw["most"] + 1, shape).astype(float)
    return {}, {"queries": whole(B, WIDTH), "weights": whole(ITEMS, WIDTH), "chosen": chosen,
                "category": category, "target": target}


def gap_case(rng, draw):
    """Places among all items, and among fewer, where a target may be no candidate."""
    cases, ties = 12, draw["ties"]
    inside = rng.random(cases) >= draw["outside"]
    full_greater, full_ties = rng.integers(0, 9, cases), rng.integers(0, ties + 1, cases)
    greater, fewer_ties = (rng.integers(0, full + 1) for full in (full_greater, full_ties))
    return {}, {"full_greater": full_greater, "full_ties": full_ties,
                "greater": np.where(inside, greater, MISS),
                "ties": np.where(inside, fewer_ties, 0), "inside": inside}


def inject_case(rng, draw):
    """Some targets are candidates, or none is."""
    allowed, target = rng.random((B, ITEMS)) < draw["share"], rng.permutation(ITEMS)[:B] + 1
    allowed[np.arange(B), target - 1] = np.arange(B) < draw["inside"]
    return {}, {"allowed": allowed, "target": target}


def backfill_case(rng, draw):
    allowed = rng.random((B, ITEMS)) < draw["share"]
    if "levels" in draw:
        popularity = rng.integers(0, draw["levels"], ITEMS)
    else:
        popularity = rng.permutation(ITEMS)
    return {}, {"allowed": allowed, "popularity": popularity}


def two_level_case(rng, draw):
    category = filled(rng, draw) if "empty" in draw else category_of(rng, draw)
    return {}, {"category_logp": log_probabilities(rng, (3, C)),
                "item_logits": draw.get("spread", 1) * normal(rng, 3, ITEMS), "category": category}


RHO = np.arange(1, 17) / 16
PLANS = {
    "hiersrec.candidates_share": plan(
        share_case, ("basic", ("Basic",), {"rho": RHO}, {}),
        ("ties", ("SeveralTop",), {"levels": True, "rho": RHO}, {}),
        ("halfway", ("Ties",), {"halfway": True, "rho": (0.375, 0.625, 0.875)}, {}),
        ("empty_category", ("EmptyCategory",), {"empty": (1, 3), "rho": RHO}, {})),
    "hiersrec.places": plan(
        places_case, ("basic", ("Basic",), {"most": 16, "share": 0.6} | EVERY, {"n": 3}),
        ("ties", ("Ties",), {"most": 1, "share": 0.8} | EVERY, {"n": 4}),
        ("masked", ("Masked", "Ties"), {"most": 2, "share": 0.6, "outside": (0, 2)} | EVERY,
         {"n": 3}),
        ("cutoff", ("Cutoff", "EmptyCategory"),
         {"most": 8, "share": 0.4, "outside": (3,), "empty": (0, 2)}, {"n": 7}),
        ("nothing", ("EmptyHistory", "Masked"),
         {"most": 8, "share": 0, "outside": range(B)} | EVERY, {"n": 2})),
    "hiersrec.gap": plan(
        gap_case, ("basic", ("Basic", "Masked"), {"ties": 0, "outside": 0.4}, {"k": 3}),
        ("ties", ("Ties", "Masked"), {"ties": 4, "outside": 0.4}, {"k": 3}),
        ("all_inside", ("Ties",), {"ties": 3, "outside": 0}, {"k": 4}),
        ("cutoff", ("Cutoff", "Masked"), {"ties": 3, "outside": 0.5}, {"k": 40})),
    "hiersrec.inject_target": plan(
        inject_case, ("basic", ("Basic",), {"share": 0.4, "inside": 2}, {}),
        ("masked", ("Masked",), {"share": 0.5, "inside": 0}, {}),
        ("nothing", ("EmptyHistory", "Masked"), {"share": 0, "inside": 0}, {})),
    "hiersrec.backfill": plan(
        backfill_case, ("basic", ("Basic",), {"share": 0.4}, {"n": 5}),
        ("ties", ("Ties",), {"share": 0.2, "levels": 2}, {"n": 4}),
        ("enough", ("Basic",), {"share": 0.7}, {"n": 3}),
        ("cutoff", ("Cutoff", "EmptyHistory"), {"share": 0}, {"n": 20})),
    "hiersrec.two_level_logp": plan(
        two_level_case, ("basic", ("Basic",), EVERY, {}),
        ("unknown_category", ("UnknownCategory",), {"unknown": 0.5}, {}),
        ("empty_category", ("EmptyCategory",), {"empty": (1, 3)}, {}),
        ("large", ("LargeValues",), {"spread": 500} | EVERY, {})),
}

COMPONENTS = {
    "hiersrec.candidates_share": Component("HierSRec step (6)", about="""
        The K whose K most probable categories hold a mean share of the items closest to each
        rho.
        logp [B, C], ties go to the lower id; category [N+1]; rho [Q] -> k [Q], the smaller
        where two are as close."""),
    "hiersrec.places": Component("HierSRec step (6)", about="""
        Each target's place by query . weights among the items of the session's chosen
        categories.
        queries [B, D], weights [N, D], whose row i - 1 is item i, chosen [B, C] bool, whose
        column c is category c, category [N+1], target [B] items -> greater, ties [B] int64: how
        many other candidates score more, and the same; inside [B] bool: is the target a
        candidate? If not, greater is 2**62 and ties 0. top [B, n]: the n best candidates, the
        lower id first among equals, 0 where there are fewer."""),
    "hiersrec.gap": Component("HierSRec step (6)", kind="metric", about="""
        Hit rate at k among candidates less that among all items, as gained - lost.
        full_greater, full_ties [B]: places among all items; greater, ties, inside [B]: among
        the candidates, as in hiersrec.places; hits are expected over random tie-breaking ->
        gained [], of targets inside; lost [], of the others; both are means over all B cases."""),
    "hiersrec.inject_target": Component("HierSRec step (6), a leak", about="""
        The candidates and each session's target: a leak, which an evaluation must not have.
        allowed [B, N] bool, target [B] items -> injected [B, N] bool."""),
    "hiersrec.backfill": Component("HierSRec step (6)", about="""
        Candidates, where they are fewer than n filled up to n with the most popular others.
        allowed [B, N] bool, popularity [N], where 0 counts too, the lower id first among
        equals; column i - 1 is item i -> filled [B, N] bool; an n above N takes all."""),
    "hiersrec.two_level_logp": Component("Goodman 2001", ("category_logp", "item_logits"), about="""
        log p(i) = log p of i's category + log softmax of the logits of that category's items.
        category_logp [R, C], whose column c is category c, item_logits [R, N], whose column i -
        1 is item i, category [N+1] -> logp [R, N]."""),
}
