"""`train hmar_released`: the release's graph on mbref's own splits.

Graph, windows, negatives, reversed contexts and loss weights are the release's; the split is
mbref's, so that counts are of the events so far and nothing held out is seen. In ranking every item
counts as one target event: the release gives the held-out item its own counts instead, but a full
ranking must not know which item that is. An epoch reads every user once; the release draws users.
"""
from dataclasses import asdict, dataclass, replace

from mbref.errors import require, require_choice, require_ranges
from mbref.released.hmar import data, model

# Taobao's step size; the release does not clip
SETTINGS = {"batch_size": "128", "rate": "6e-4", "clip": "1e9"}


@dataclass(frozen=True)
class Config:
    """Shapes, and which of the four model files; as in model.Config."""
    items: int                         # N
    behaviours: int                    # K; 4, or 3 for "movielens"
    target: int = 1                    # the behaviour to predict, 1..K
    variant: str = "taobao"            # or "tianchi", "yelp", "movielens"
    width: int = 50                    # D
    length: int = 50                   # L
    heads: int = 1
    blocks: int = 1
    dropout: float = 0.45
    mask_mode: str = "release"         # "boolean": masks hold after the behaviours' layer norm
    attention_residual: bool = False   # True: the usual residual around the behaviours' attention
    reverse_context: bool = True       # indicators and class labels against the order of time

    def __post_init__(self):
        require_choice(self, variant=tuple(model.VARIANTS), mask_mode=("release", "boolean"))
        kinds = len(model.VARIANTS[self.variant].weights)
        fitting = [name for name, file in model.VARIANTS.items()
                   if len(file.weights) == self.behaviours]
        mend = f"choose {' or '.join(fitting)}" if fitting else "train hmar, for any number of them"
        require(kinds == self.behaviours,
                f"variant {self.variant} is for {kinds} behaviours and the log has "
                f"{self.behaviours}: {mend}.")
        require_ranges(self)


def graph(config):
    """The release's own Config: the variant's largest weight goes to the target behaviour."""
    variant = model.VARIANTS[config.variant]
    weights = list(variant.weights[1:])
    weights.insert(config.target - 1, variant.weights[0])
    return model.Config(**asdict(config) | {"variant": replace(variant, weights=tuple(weights)),
                                            "candidate_counts": "target"})


def init(rng, config):
    """Parameters as a nested dict of float64 arrays."""
    return model.init(rng, graph(config))


def examples(events, config, rng):
    """The sequences with two events or more, whose newest windows are trained on."""
    return [data.users_to_train(events)]


def training_batch(events, rows, config, rng):
    """The newest windows of the sequences `rows`."""
    return data.sample(events, rows, graph(config), rng)


def ranking_batch(events, cases, config):
    """The newest events of the sequences `cases`."""
    return data.newest(events, cases, graph(config))


def score(params, batch, candidates, config):
    """Scores of candidates [B, C].  -> [B, C]."""
    return model.score(params, batch, candidates, graph(config))


def score_all(params, batch, config):
    """Scores of all items 1..N.  -> [B, N]."""
    return model.score_all(params, batch, graph(config))


def loss(params, batch, config, rng=None):
    """L_rank + theta L_class.  -> scalar."""
    return model.loss(params, batch, graph(config), rng)
