"""mbref's side of ATRank with groups, as in the release's folder multi/, and of its step (6).

A group g has arrays of its own: object_g, action_g, gap_g [B, L_g], 0 = padding on the right, and
features_g [N_g+1, F_g], the ids of every object's features, itself first. The config says tables:
[name, number of ids] of every embedding table, groups: the tables of each group's features, and
actions: action kinds a group, 0 = not read.
"""
from mbref.check.components.atrank import block_config, first_code, loss_of, read_config
from mbref.check.components.reading import component
from mbref.data.targets import Batch, History
from mbref.variants import atrank


def batch_of(inputs):
    """All groups, and which of them the candidates belong to."""
    groups, names = range(len(inputs["groups"])), ("object", "action", "gap")
    histories = tuple(History(*(inputs[f"{name}_{g}"] for name in names)) for g in groups)
    features = tuple(inputs[f"features_{g}"] for g in groups)
    candidate, label = inputs.get("candidate"), inputs.get("label")
    return Batch(histories, features, inputs["group"], candidate, label)


group_code = component("code")(lambda params, inputs: first_code(
    params, batch_of(inputs), read_config(inputs)))
groups_score = component("scores")(lambda params, inputs, candidate: atrank.score(
    params, batch_of(inputs), candidate, read_config(inputs)))
groups = component("loss")(lambda params, inputs, tap: loss_of(
    params, batch_of(inputs), read_config(inputs), tap))


@component("code")
def target_code(params, inputs, group, candidate):
    """Candidates of one group as step (6) reads them.  candidate [B, C] -> [B, C, D]."""
    ids = inputs[f"features_{group}"][candidate]
    return atrank.target_code(params, read_config(inputs), group, ids)


@component("e")
def user_vectors(params, inputs, x, states, real, tap):
    """e: all vanilla blocks on the same states.  x [B, C, D] -> [B, C, D].  Step (6)."""
    return atrank.user_vectors(params, x, (states, real), block_config(inputs, x), tap)
