"""Cases of ATRank with several groups of objects and of its step (6), and the same by hand."""
import autograd.numpy as np

from mbref.check.components.atrank import read_config
from mbref.variants import atrank
from tests.golden.atrank import by_hand
from tests.golden.atrank.cases import params_of
from tests.golden.draw import B, Component, ids, moved, normal, plan, real_right, round8
from tests.golden.shared.by_hand import rows, spread

C, S, D = 2, 6, 4  # a narrow model: it has many parameters


# By hand.

def thing(inputs, group, number):
    """An object as by_hand reads it: its group and its features."""
    return group, inputs[f"features_{group}"][number]


def events(inputs, group):
    """The events of one group in every row."""
    for row in zip(*(inputs[f"{name}_{group}"] for name in ("object", "action", "gap")),
                   strict=True):
        yield [(thing(inputs, group, number), action, gap)
               for number, action, gap in zip(*row, strict=True) if number]


def histories(inputs):
    """The events of every row, of all groups."""
    for groups in zip(*(events(inputs, g) for g in range(len(inputs["groups"]))), strict=True):
        yield sum(groups, [])


def group_code(params, inputs):
    config = read_config(inputs)
    return {"code": np.array([
        np.array(spread([by_hand.behaviour(params, event, config) for event in found], number > 0,
                        config.width))
        for found, number in zip(events(inputs, 0), inputs["object_0"], strict=True)])}


def target_code(params, inputs):
    config = read_config(inputs)
    group = inputs["group"]
    return {"code": np.array([
        np.array([by_hand.target(params, thing(inputs, group, i), config) for i in row])
        for row in inputs["candidate"]])}


def user_vectors(params, inputs):
    config = read_config(inputs, items=1, width=D, query="group")

    def one(x, states, real):
        memory = [states[s] for s in np.flatnonzero(real)]
        return [by_hand.user_vector(params, candidate, memory, config) for candidate in x]
    return {"e": rows(one, inputs["x"], inputs["states"], inputs["real"])}


def score(params, inputs):
    config = read_config(inputs)
    return {"scores": np.array([
        np.array([by_hand.score(params, found, thing(inputs, inputs["group"], i), config)[0]
                  for i in candidates])
        for found, candidates in zip(histories(inputs), inputs["candidate"], strict=True)])}


def model(params, inputs):
    config, count = read_config(inputs), (inputs["candidate"] > 0).sum()
    return {"loss": sum(
        by_hand.loss(params, found, thing(inputs, inputs["group"], i), label, config, count)
        for found, candidates, labels in zip(histories(inputs), inputs["candidate"],
                                             inputs["label"], strict=True)
        for i, label in zip(candidates, labels, strict=True) if i)}


BY_HAND = {"atrank.group_code": group_code, "atrank.target_code": target_code,
           "atrank.user_vectors": user_vectors,
           "atrank.groups_score": score, "atrank.groups": model}


# Cases.

def features_of(rng, config, unknown):
    """What the objects of every group are: themselves, and features of which some are unknown."""
    sizes = dict(config["tables"])
    for names in config["groups"]:
        count = sizes[names[0]]
        more = [rng.integers(1, sizes[name] + 1, count) * (rng.random(count) >= unknown)
                for name in names[1:]]
        yield np.stack([np.arange(count + 1), *(np.append(0, column) for column in more)], axis=1)


def history(rng, draw):
    """Objects, actions, some of them unknown, and falling gaps of every group; lengths: a row of
    numbers a group."""
    config, found = draw["config"], {}
    for g, features in enumerate(features_of(rng, config, draw.get("unknown", 0))):
        real = real_right(draw["lengths"][g], max(draw["lengths"][g]))
        gap = -np.sort(-(2 ** rng.integers(0, draw.get("years", 11), real.shape)), axis=1)
        known = real & (rng.random(real.shape) >= draw.get("unknown", 0))
        found |= {f"object_{g}": ids(rng, real, min(len(features) - 1, draw.get("objects", 99))),
                  f"action_{g}": ids(rng, known, max(config["actions"][g], 1)),
                  f"gap_{g}": gap * real, f"features_{g}": features}
    return found


def candidates(rng, inputs, group, count):
    """Different objects of a group in every row."""
    objects = len(inputs[f"features_{group}"]) - 1
    rows = len(inputs["object_0"]) if "object_0" in inputs else B
    return np.array([rng.permutation(objects)[:count] + 1 for _ in range(rows)])


def group_code_case(rng, draw):
    p = params_of(rng, draw, 0.4)
    return {name: p[name] for name in ("tables", "groups")}, history(rng, draw)


def target_code_case(rng, draw):
    p, inputs = params_of(rng, draw, 0.4), history(rng, draw)
    candidate = candidates(rng, inputs, draw["config"]["group"], C)
    features = {name: a for name, a in inputs.items() if name.startswith("features")}
    return {name: p[name] for name in ("tables", "groups")}, features | {"candidate": candidate}


def user_vectors_case(rng, draw):
    blocks = [moved(rng, atrank.init_block(rng, D, 3), 0.4) for _ in range(draw["blocks"])]
    rows, size = len(draw["lengths"]), draw.get("events", S)
    x, states = normal(rng, rows, C, D), normal(rng, rows, size, D)
    return {"vanilla": blocks}, {"x": x, "states": round8(states),
                                 "real": real_right(draw["lengths"], size)}


def score_case(rng, draw):
    inputs = history(rng, draw)
    params, group = params_of(rng, draw, 0.2), draw["config"]["group"]
    return params, inputs | {"candidate": candidates(rng, inputs, group, 3)}


def model_case(rng, draw):
    """A positive and a negative a row, where one could be drawn."""
    inputs = history(rng, draw)
    candidate = candidates(rng, inputs, draw["config"]["group"], C)
    candidate[:, 1] *= rng.random(len(candidate)) >= draw.get("without", 0)
    label = np.broadcast_to([True, False], candidate.shape)
    return params_of(rng, draw, 0.2), inputs | {"candidate": candidate, "label": label}


# items and queries share categories
SHOP = {"tables": [["item", 6], ["category", 3], ["query", 3]],
        "groups": [["item", "category"], ["query", "category"]], "actions": [3, 0], "group": 0,
        "table_width": 2, "width": D, "hidden": 3, "heads": 2, "penalty": 0.01, "query": "group"}
ITEMS = SHOP | {"tables": SHOP["tables"][:2], "groups": SHOP["groups"][:1], "actions": [3],
                "penalty": 0.0}
PRINTED = {"scores": "bilinear", "bucket": "paper", "item_bias": False, "group_relu": True,
           "weight_decay": 0.01}
SOME = ((5, 3, 1), (2, 1, 3))   # events of every group in every row
GONE = ((4, 0, 0), (0, 2, 0))   # a row without queries, one without items, one without anything


def row(name, flags, lengths, draw=(), base=SHOP, **config):
    """A case with the whole model's config."""
    config = base | config
    return name, flags, {"lengths": lengths, "config": config} | dict(draw), config


PLANS = {
    "atrank.group_code": [
        *plan(group_code_case, row("basic", ("Basic", "Padding"), SOME[:1], base=ITEMS),
                 row("unknown", ("UnknownCategory", "EmptyHistory"), ((5, 0, 3),), {"unknown": 0.5},
                     base=ITEMS),
                 row("without_action", ("Switch", "RepeatedItem"), SOME[:1], {"objects": 2},
                     base=ITEMS, actions=[0]),
                 side="released"),
        *plan(group_code_case, row("paper", ("Switch", "LongGap"), SOME[:1], {"years": 15},
                                   base=ITEMS, **PRINTED),
                 side="paper")],
    "atrank.target_code": [
        *plan(target_code_case, row("basic", ("Basic",), SOME[:1], base=ITEMS),
                 row("raw", ("Switch",), SOME[:1], base=ITEMS, query="raw"),
                 row("other_group", ("Switch", "UnknownCategory"), SOME, {"unknown": 0.6}, group=1),
                 side="released"),
        *plan(target_code_case, row("paper", ("Switch",), SOME[:1], base=ITEMS, **PRINTED),
              side="paper")],
    "atrank.user_vectors": [
        *plan(user_vectors_case,
              ("basic", ("Basic", "Heads", "Padding"), {"blocks": 2, "lengths": (S, 3, 1)},
                                     {"heads": 2, "scores": "dot"}),
                 ("empty_history", ("EmptyHistory",), {"blocks": 1, "lengths": (S, 0, 1)},
                  {"heads": 1, "scores": "dot"}), side="released"),
        *plan(user_vectors_case,
              ("bilinear", ("Switch", "SingleEvent"), {"blocks": 1, "lengths": (S, 1, 1)},
                                     {"heads": 2, "scores": "bilinear"}), side="paper")],
    "atrank.groups_score": [
        *plan(score_case, row("basic", ("Basic", "Padding"), SOME),
                 row("empty_groups", ("EmptyHistory", "UnknownCategory"), GONE, {"unknown": 0.4},
                     group=1),
                 side="released"),
        *plan(score_case, row("paper", ("Switch", "RepeatedItem"), SOME, {"objects": 2}, **PRINTED),
              side="paper")],
    "atrank.groups": [
        *plan(model_case, row("basic", ("Basic", "Heads", "Padding"), SOME, rate=0.05),
                 row("empty_groups", ("EmptyHistory", "NoNegative", "UnknownCategory"), GONE,
                     {"unknown": 0.4, "without": 0.6}, group=1, rate=0.05), side="released"),
        *plan(model_case, row("paper", ("Switch", "LongGap"), SOME, {"years": 15}, group=1,
                              blocks=2, rate=0.05,
                                 **PRINTED), side="paper")],
}

COMPONENTS = {
    "atrank.group_code": Component("ATRank steps (2)-(4)", about="""
        [features' embeddings ; action ; one-hot time bucket] W + b, of group 0 alone.
        -> code [B, L, D], 0 at padding. object_0, action_0, gap_0 [B, L]; features_0 [N+1, F];
        params: tables by name, groups/0 (w, whose rows are the features in the order of
        groups[0], the action if actions[0] is not 0, and the time; b; action [A+1,
        table_width]). Buckets, rules and group_relu as in atrank.behaviour_code; action 0 and
        feature 0 have embeddings of zeros."""),
    "atrank.target_code": Component("ATRank step (6)", about="""
        A candidate as step (6) reads it; no candidate is 0.
        candidate [B, C] of `group`, features_g [N_g+1, F_g] -> code [B, C, D]. query "raw": its
        features' embeddings; "group": these through the group's layer (w, b, and the ReLU of
        group_relu), with zeros in place of the action's embedding and of all columns of time:
        no bucket, not even that of a gap of 0. params as atrank.group_code, one of groups/ a
        group."""),
    "atrank.user_vectors": Component("ATRank step (6)", ("x", "states"), about="""
        e: every block of params vanilla in turn, as atrank.attention_block, on the same states.
        x [B, C, D], states [B, S, D], real [B, S] bool -> e [B, C, D]; heads, scores. Tap:
        vanilla_weights [B, H, C, S] of the first block."""),
    "atrank.groups_score": Component("ATRank step (7)", about="""
        Logits of candidates of `group`, as atrank.groups.  candidate [B, C] -> scores [B, C]."""),
    "atrank.groups": Component("ATRank steps (2)-(7)", kind="model", about="""
        The loss of a batch, as atrank, whose candidates belong to `group`.  -> loss [].
        The events of all groups attend to each other, S = the sum of L_g of them, groups one
        after the other; candidate, label [B, C]. Taps as atrank, with S for T."""),
}
