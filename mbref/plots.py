"""Figures of `reproduce`: functions of its results, each writes one PNG."""
import matplotlib.pyplot as plt
import numpy as np


def rows(results, path, column="NDCG@10"):
    """Every row's mean with its spread over seeds; counting baselines hollow, trained models filled."""
    names = list(results["rows"])
    fig, ax = plt.subplots(figsize=(7, 0.32 * len(names) + 1))
    for y, name in enumerate(names):
        row = results["rows"][name]
        trained = "model" in row
        ax.errorbar(row["mean"][column], y, xerr=row["sd"][column] if trained else None, fmt="o", capsize=3,
                    color="C0" if trained else "C7", mfc="C0" if trained else "white")
    ax.set(yticks=range(len(names)), yticklabels=names, xlim=(0, None),
           xlabel=f"{column}, full ranking; trained models: mean ± sd over seeds")
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    return finish(fig, path)


def sweep(results, path, values, parameter, column="NDCG@10"):
    """One row a value of a parameter: every seed as a dot, the mean as a line.  values {number: row name}."""
    values = {value: name for value, name in values.items() if name in results["rows"]}
    each = [[figures[column] for figures in results["rows"][name]["seeds"]] for name in values.values()]
    fig, ax = plt.subplots(figsize=(5, 3))
    at = np.arange(len(values))  # equal steps: the values are not evenly spread
    for x, seeds in zip(at, each, strict=True):
        ax.plot([x] * len(seeds), seeds, "o", color="C0", alpha=0.5)
    ax.plot(at, [np.mean(seeds) for seeds in each], color="C0")
    ax.set(xticks=at, xticklabels=[f"{v:g}" for v in values], xlabel=parameter, ylabel=f"{column}, full ranking")
    ax.grid(alpha=0.3)
    return finish(fig, path)


def learning(results, path, names):
    """Validation NDCG@10 against steps, one line a seed, one colour a row."""
    fig, ax = plt.subplots(figsize=(6, 3.5))
    for colour, name in enumerate(n for n in names if n in results["rows"]):
        for number, about in enumerate(results["rows"][name]["training"]):
            steps, metric = zip(*about["validation"], strict=True)
            ax.plot(steps, metric, color=f"C{colour}", alpha=0.7, label=None if number else name)
    ax.set(xlabel="training steps", ylabel="NDCG@10 on the validation events")
    ax.legend(fontsize=8, bbox_to_anchor=(1, 1), loc="upper left", frameon=False)
    ax.grid(alpha=0.3)
    return finish(fig, path)


def finish(fig, path):
    """Save as PNG and close.  -> path."""
    fig.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(fig)
    return path
