"""Other readings of HMAR's batches: what the counts may be, and which positives are ranked.

B batch, L window length, K behaviour types, N items. Each function takes and returns a
sequences.Batch; papers/hmar.py reads the counts as they come, running and raw.
"""
import autograd.numpy as np  # in checks, counts are differentiated, too


def map_counts(batch, change):
    """The batch with change(counts) in place of all counts, of events and of candidates."""
    follow = batch.next
    if follow is not None:
        follow = follow._replace(counts=change(follow.counts),
                                 negative_counts=change(follow.negative_counts))
    history = None if batch.history is None else change(batch.history)
    return batch._replace(counts=change(batch.counts), next=follow, history=history)


def hide(batch):
    """No counts anywhere."""
    return map_counts(batch, np.zeros_like)


def compress(batch):
    """log(1 + count) in place of the count."""
    return map_counts(batch, np.log1p)


def share(batch, target):
    """Candidates without counts of their own: a negative has those of the positive, as released.

    When ranking, every item counts one event of behaviour `target`.
    """
    if batch.next is not None:
        batch = batch._replace(next=batch.next._replace(negative_counts=batch.next.counts))
    if batch.history is not None:
        history = np.zeros_like(batch.history)  # [B, N+1, K]
        history[..., target - 1] = 1
        batch = batch._replace(history=history)
    return batch


def choose_positives(batch, kind, target):
    """L_rank compares "all" next events, those on "new" items, or those of behaviour "target"."""
    follow = batch.next
    chosen = {"all": follow.item > 0, "new": ~follow.counts.any(axis=-1),
              "target": follow.behaviour == target}[kind]  # [B, L]
    return batch._replace(next=follow._replace(ranked=chosen & (follow.item > 0)))
