"""Faults of ATRank with several groups, and of its step (6).  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.check.components import atrank as items, atrank_groups as right
from mbref.check.components.atrank import read_config
from mbref.nn import attention as att
from mbref.nn.layers import COLUMNS, dense, embed, lookup, stop_gradient
from mbref.variants import atrank
from tests.golden.atrank.faults import all_events, model, plant_events, right_events
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import split_interleaved

# Codes.

def coded(order=("object", "action", "time"), read=lookup, bias=1, group=lambda g: g):
    """F_M with its parts in another order, another embedding of actions, no bias, or the layer of
    another group."""
    def code(params, config, g, x, action, time):
        p = params["groups"][group(g)]
        parts = {"object": x, "time": time}
        if config.actions[g]:
            parts["action"] = read(p["action"], action)
        joined = np.concatenate([parts[name] for name in order if name in parts], axis=-1)
        y = dense({"w": p["w"], "b": bias * p["b"]}, joined)
        return y * (y > 0) if config.group_relu else y
    return code


def backwards(params, config, group, ids):
    """An object's features in the other order, each with its own table."""
    names = config.groups[group][::-1]
    return embed([params["tables"][name] for name in names], ids[..., ::-1])


def at(time=0, action=0, **changes):
    """A target at a time, or after an action, through the layer of its group or a changed one."""
    def code(params, config, group, ids):
        x = atrank.object_code(params, config, group, ids)
        if config.query == "raw":
            return x
        columns = np.arange(COLUMNS[config.bucket]) == time - 1
        return coded(**changes)(params, config, group, x, np.full(ids.shape[:-1], action),
                                np.broadcast_to(columns,
                                                x.shape[:-1] + columns.shape).astype(x.dtype))
    return code


def in_all_gaps(change):
    """Of the gaps of every group."""
    return lambda i: {name: change(a) for name, a in i.items() if name.startswith("gap_")}


CODES = {
    "atrank.group_code": {
        "action not read": feed(right.group_code, lambda i: {"action_0": 0 * i["action_0"]}),
        "actions counted from 0": feed(right.group_code,
                                       lambda i: {"action_0": np.maximum(i["action_0"] - 1, 0)}),
        "an unknown action has an embedding": plant(
            right.group_code, atrank, group_code=coded(read=lambda table, ids: table[ids])),
        "action behind the time": plant(right.group_code, atrank,
                                        group_code=coded(("object", "time", "action"))),
        "features in the other order": plant(right.group_code, atrank, object_code=backwards),
        "features one object off": feed(right.group_code,
                                        lambda i: {"features_0": np.roll(i["features_0"], 1, 0)}),
        "time gaps in seconds taken as days": feed(right.group_code,
                                                   in_all_gaps(lambda gap: gap * 86400)),
        "ReLU after a linear layer": feed(right.group_code, lambda i: {"group_relu": True}),
        "ReLU forgotten": feed(right.group_code, lambda i: {"group_relu": False}),
    },
    "atrank.target_code": {
        "a time bucket where the target has none": plant(right.target_code, atrank,
                                                         target_code=at(time=1)),
        "target with the first action": plant(right.target_code, atrank, target_code=at(action=1)),
        "target's group layer left out": feed(right.target_code, lambda i: {"query": "raw"}),
        "target always through its group's layer": feed(right.target_code,
                                                        lambda i: {"query": "group"}),
        "group layer without its bias": plant(right.target_code, atrank, target_code=at(bias=0)),
        "features in the other order": plant(right.target_code, atrank, object_code=backwards),
        "ReLU after a linear layer": feed(right.target_code, lambda i: {"group_relu": True}),
    },
}


# Several groups.

own_block, own_object = atrank.attention_block, atrank.object_code


def user_vectors(blocks=lambda p: p, states=lambda states: states, query=lambda x, first: x):
    """Step (6) with other blocks, or blocks that read something else."""
    def vectors(params, inputs, tap):
        x = first = inputs["x"]
        config = read_config(inputs, items=1, width=x.shape[-1], query="group")
        allowed = np.broadcast_to(inputs["real"][:, None], x.shape[:2] + inputs["real"].shape[1:])
        for block in blocks(params["vanilla"]):
            x = atrank.attention_block(block, query(x, first), states(inputs["states"]), allowed,
                                       config, None)
        return {"e": x}
    return vectors


def own_group_only(params, inputs, tap, function):
    """Events attend to those of their own group alone."""
    sizes = [inputs[f"object_{g}"].shape[1] for g in range(len(inputs["groups"]))]
    of = np.repeat(np.arange(len(sizes)), sizes)

    def block(p, query, memory, allowed, *more):
        return own_block(p, query, memory,
                         allowed & (of[:, None] == of if query is memory else True), *more)
    return plant(function, atrank, attention_block=block)(params, inputs, tap)


def still_in(group):
    """An object's code whose tables learn nothing from that group."""
    def code(params, config, g, ids):
        x = own_object(params, config, g, ids)
        return stop_gradient(x) if g == group else x
    return code


def other_groups_gone(batch):
    """Events of the candidates' group alone are real."""
    sizes = [history.item.shape[1] for history in batch.histories]
    return right_events(batch) & (np.repeat(np.arange(len(sizes)), sizes) == batch.group)


def one_bias(function):
    def faulty(params, inputs, tap):
        first = params["bias"][0]
        return function(params | {"bias": [first for _ in params["bias"]]}, inputs, tap)
    return faulty


def of_both(function):
    """Faults that the score and the loss share."""
    return {
        "padding attended": plant_events(function, all_events),
        "groups do not attend to each other": lambda p, i, tap: own_group_only(p, i, tap, function),
        "history of the candidates' group alone": plant(
            plant_events(function, other_groups_gone), items,
            real_events=other_groups_gone),
        "bias of the first group for all": one_bias(function),
        "a shared table learns nothing from the second group": plant(function, atrank,
                                                                     object_code=still_in(1)),
        "item bias left out": feed(function, lambda i: {"item_bias": False}),
        "self-attention left out": lambda p, i, tap: function(p | {"self": []}, i, tap),
        "target's group layer left out": feed(function, lambda i: {"query": "raw"}),
        "time gaps in seconds taken as days": feed(function, in_all_gaps(lambda gap: gap * 86400)),
        "heads interleaved in the width": plant(function, att, split_heads=split_interleaved),
    }


GROUPS = {
    "atrank.user_vectors": {
        "padding attended": feed(right.user_vectors, lambda i: {"real": np.ones_like(i["real"])}),
        "only the first block": user_vectors(blocks=lambda p: p[:1]),
        "blocks in the other order": user_vectors(blocks=lambda p: p[::-1]),
        "one block's weights for all": user_vectors(blocks=lambda p: [p[0]] * len(p)),
        "every block starts from the candidate": user_vectors(query=lambda x, first: first),
        "states get no gradient": user_vectors(states=stop_gradient),
        "bilinear scores for dot products": feed(right.user_vectors,
                                                 lambda i: {"scores": "bilinear"}),
        "dot products for bilinear scores": feed(right.user_vectors, lambda i: {"scores": "dot"}),
        "heads interleaved in the width": plant(right.user_vectors, att,
                                                split_heads=split_interleaved),
    },
    "atrank.groups_score": of_both(right.groups_score),
    "atrank.groups": of_both(right.groups) | {
        "labels the wrong way round": model(labels=lambda label: ~label, of=right),
        "penalty of the user vector alone": model(lambda u, x, real: np.sum(u**2 * real), of=right),
        "penalty of missing candidates too": model(lambda u, x, real: np.sum(u**2 + x**2),
                                                   of=right),
        "loss summed instead of averaged": model(mean=lambda values, mask: np.sum(values * mask),
                                                 of=right),
    },
}

FAULTS = {**CODES, **GROUPS}

# The text around the faults, without any: it must be right.
RIGHT = {
    "atrank.group_code": [plant(right.group_code, atrank, group_code=coded())],
    "atrank.target_code": [plant(right.target_code, atrank, target_code=at())],
    "atrank.user_vectors": [user_vectors()],
    "atrank.groups": [model(of=right), plant_events(right.groups, right_events)],
}
