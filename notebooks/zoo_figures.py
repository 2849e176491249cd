"""What notebook 12 measures and draws: a model in training, two curves, maps with numbers.

Glossary of shapes: R rows, S columns of a map.
"""
import matplotlib.pyplot as plt
import numpy as np

import demo
from mbref import runs, training


def train(shop, name, steps, every, **changes):
    """Train on a world.  -> (numbers of steps from 0, loss of a batch, measure on test cases)."""
    texts = {field: str(value) for field, value in changes.items()}
    overrides, settings = runs.parse_settings(name, {
        "steps": str(steps), "evaluate_every": str(every), "patience": "0", **texts})
    model = runs.find_model(name, overrides)
    config, events, score = demo.open_items(shop.ground, model, overrides, None)

    def measure(params):
        return float(demo.figures(shop, score(params)).mean())

    fresh = training.begin(model, config, settings).params
    rows = model.examples(events, config, None)[0][: settings.batch_size]
    batch = model.training_batch(events, rows, config, None)
    first = 0, float(model.loss(fresh, batch, config)), measure(fresh)
    state = training.fit(model, config, settings, events, measure, progress=False)
    return tuple(map(np.array, zip(first, *state.validations, strict=True)))


def floor(shop):
    """What no model undercuts on new sessions: entropy of the next item plus of its category."""
    p, category = shop.ground.p, shop.ground.split.train.category[1:]  # [S, N], [N]
    p_category = p @ (category[:, None] == np.arange(category.max() + 1))
    return entropy(p) + entropy(p_category)


def entropy(p):
    """Mean over rows of -sum p log p.  p [S, N]."""
    return float(-np.mean(np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)))


def curves(panels, size=(8.4, 3.2)):
    """Curves of mbref and of the exhibit side by side.

    panels: {title of the y axis: (x, {name: y}, level or None, title of the x axis)}.
    """
    _, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for ax, (title, (x, lines, level, below)) in zip(axes[0], panels.items(), strict=True):
        for (name, y), look in zip(lines.items(), ("s-C0", "o--C1"), strict=False):
            ax.plot(x, y, look, label=name, ms=5, mfc="none" if look[0] == "o" else None)
        if level is not None:
            ax.axhline(level, color="0.4", ls=":", label="by the rule")
        ax.set_xlabel(below)
        ax.set_ylabel(title)
        ax.legend(frameon=False)
    return axes[0]


def steps_of_age(ages, scores):
    """Scores of one candidate against the age of one event, as stairs."""
    _, ax = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    for (name, y), look in zip(scores.items(), ("-C0", "--C1"), strict=True):
        ax.step(ages, y, look, where="post", label=name, lw=2)
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks([0, 1, 2, 4, 8, 16, 32], [0, 1, 2, 4, 8, 16, 32])
    ax.set_xlabel("age of the first event, days")
    ax.set_ylabel("score")
    ax.legend(frameon=False)
    return ax
