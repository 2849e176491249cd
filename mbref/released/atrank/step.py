"""One training step of ATRank's release: stochastic gradient descent, clipped as TensorFlow clips.

TensorFlow keeps the gradient of an embedding table as one row a look-up and takes the norm of these
rows, duplicates not summed. That differs from the norm of the dense gradient in either direction,
so a clipped step differs too.
"""
import numpy as np
from autograd import grad

from mbref.nn import optim
from mbref.released.atrank import model as atrank


def step(params, batch, config, rate, clip=None):
    """Parameters after one step; `clip` is the largest norm, as TensorFlow counts, or None."""
    grads = grad(atrank.loss)(params, batch, config)
    factor = 1.0 if clip is None else clip / max(clip, unmerged_norm(params, batch, config))
    return optim.tree_map(lambda p, g: p - rate * factor * g, params, grads)


def unmerged_norm(params, batch, config):
    """The norm by which the release clips: one row a look-up where rows are looked up."""
    apart, batch = look_ups_apart(params, batch, config)
    return optim.global_norm(grad(atrank.loss)(apart, batch, config))


def look_ups_apart(params, batch, config):
    """The same model with a row of its own for every look-up.  -> params, batch."""
    rows = {name: [table[:0]] for name, table in params["tables"].items()}

    def own(name, ids):
        """Ids of new rows of a table, which are copies of the old ones."""
        first = sum(map(len, rows[name]))
        rows[name].append(params["tables"][name][ids.ravel()])
        return first + np.arange(ids.size).reshape(ids.shape)

    def own_objects(group, ids):
        """Features, each in new rows, of new objects in place of `ids`.  -> [ids.size, F]."""
        old = batch.features[group][ids.ravel()]
        return np.stack([own(name, old[:, f]) for f, name in enumerate(config.groups[group])],
                        axis=1)

    features, histories, bias = list(batch.features), list(batch.histories), list(params["bias"])
    for g in config.read:
        h = batch.histories[g]
        features[g] = own_objects(g, h.item)
        histories[g] = h._replace(item=np.arange(h.item.size).reshape(h.item.shape),
                                  action=own("action", h.action) if config.actions[g] else h.action)
    g, candidate = batch.group, batch.candidate
    before = features[g] if g in config.read else features[g][:0]
    features[g] = np.concatenate([before, own_objects(g, candidate)])
    bias[g] = np.concatenate([np.zeros(len(before)), bias[g][candidate.ravel()]])
    new = batch._replace(histories=tuple(histories), features=tuple(features),
                         candidate=len(before) + np.arange(candidate.size).reshape(candidate.shape),
                         user=own("user", batch.user) if config.net == "mf" else batch.user)
    return params | {"tables": {name: np.concatenate(parts) for name, parts in rows.items()},
                     "bias": bias}, new
