"""The released graphs of HMAR as models, with the rows that they draw from; events are a Partition."""
from mbref.released.hmar.data import users_to_train
from mbref.released.hmar.model import (  # noqa: F401
    VARIANTS,
    Config,
    forward,
    init,
    loss,
    ranking_batch,
    score,
    score_all,
    training_batch,
)


def examples(events, config, rng):
    """Rows to draw training batches from, one array a task: users with two rows to train on."""
    return [users_to_train(events.train)]
