"""mbref's side of ATRank with groups, as in the release's folder multi/, and of its step (6).

A group g has arrays of its own: object_g, action_g, gap_g [B, L_g], 0 = padding on the right, and
features_g [N_g+1, F_g], the ids of every object's features, itself first. The config says tables:
[name, number of ids] of every embedding table, groups: the tables of each group's features, and
actions: action kinds a group, 0 = not read.
"""
from mbref.check.components.atrank import loss_of, read_config
from mbref.data.targets import Batch, History
from mbref.variants import atrank


def batch_of(inputs):
    """All groups, and which of them the candidates belong to."""
    groups, names = range(len(inputs["groups"])), ("object", "action", "gap")
    histories = tuple(History(*(inputs[f"{name}_{g}"] for name in names)) for g in groups)
    features = tuple(inputs[f"features_{g}"] for g in groups)
    candidate, label = inputs.get("candidate"), inputs.get("label")
    return Batch(histories, features, inputs["group"], candidate, label)


def group_code(params, inputs, tap):
    """[features' embeddings ; action ; one-hot time bucket] W + b, of group 0 alone.

    -> code [B, L, D], 0 at padding. object_0, action_0, gap_0 [B, L]; features_0 [N+1, F]; params:
    tables by name, groups/0 (w, whose rows are the features in the order of groups[0], the action
    if actions[0] is not 0, and the time; b; action [A+1, table_width]). Buckets, rules and
    group_relu as in atrank.behaviour_code; action 0 and feature 0 have embeddings of zeros.
    """
    batch, config = batch_of(inputs), read_config(inputs)
    code = atrank.behaviour_code(params, config, 0, batch.histories[0], batch.features[0])
    return {"code": code * (inputs["object_0"] > 0)[..., None]}


def target_code(params, inputs, tap):
    """A candidate as step (6) reads it; no candidate is 0.

    candidate [B, C] of `group`, features_g [N_g+1, F_g] -> code [B, C, D]. query "raw": its
    features' embeddings; "group": these through the group's layer (w, b, and the ReLU of
    group_relu), with zeros in place of the action's embedding and of all columns of time: no
    bucket, not even that of a gap of 0. params as atrank.group_code, one of groups/ a group.
    """
    config, group = read_config(inputs), inputs["group"]
    ids = inputs[f"features_{group}"][inputs["candidate"]]
    return {"code": atrank.target_code(params, config, group, ids)}


def user_vectors(params, inputs, tap):
    """e: every block of params vanilla in turn, as atrank.attention_block, on the same states.

    x [B, C, D], states [B, S, D], real [B, S] bool -> e [B, C, D]; heads, scores. Tap:
    vanilla_weights [B, H, C, S] of the first block.
    """
    config = read_config(inputs, items=1, width=inputs["x"].shape[-1], query="group")
    states = inputs["states"], inputs["real"]
    return {"e": atrank.user_vectors(params, inputs["x"], states, config, tap)}


def groups_score(params, inputs, tap):
    """Logits of candidates of `group`, as atrank.groups.  candidate [B, C] -> scores [B, C]."""
    config = read_config(inputs)
    return {"scores": atrank.score(params, batch_of(inputs), inputs["candidate"], config)}


def groups(params, inputs, tap):
    """The loss of a batch, as atrank, whose candidates belong to `group`.  -> loss [].

    The events of all groups attend to each other, S = the sum of L_g of them, groups one after the
    other; candidate, label [B, C]. Taps as atrank, with S for T.
    """
    return loss_of(params, batch_of(inputs), read_config(inputs), tap)
