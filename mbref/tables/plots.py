"""Figures of `reproduce`: functions of its results, each writes one PNG."""
import io

import matplotlib.pyplot as plt
import numpy as np

from mbref.data.files import write_whole


def rows(results, path, columns):
    """Every row's mean, with its spread over seeds: one panel a column, plain baselines hollow."""
    names = list(results["rows"])
    size = (2.5 + 4.5 * len(columns), 0.32 * len(names) + 1)
    fig, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False,
                             layout="constrained")
    for ax, column in zip(axes[0], columns, strict=True):
        for y, name in enumerate(names):
            row = results["rows"][name]
            if column not in row["mean"]:
                continue
            spread, look = None, {"color": "C7", "mfc": "white"}
            if "model" in row:
                spread, look = row["sd"][column], {"color": "C0", "mfc": "C0"}
            ax.errorbar(row["mean"][column], y, xerr=spread, fmt="o", capsize=3, **look)
        lowest = None if "AUC" in column else 0  # an AUC of .5 is chance
        ax.set(yticks=range(len(names)), yticklabels=names, xlim=(lowest, None),
               xlabel=label(column))
        ax.grid(axis="x", alpha=0.3)
    axes[0][0].invert_yaxis()
    fig.supxlabel("trained models: mean ± sd over seeds", fontsize=8)
    return save_figure(fig, path)


def label(column):
    """A column's name as the label of an axis."""
    return f"{column}, full ranking" if column in ("NDCG@10", "MRR@20", "Recall@20") else column


def sweep(results, path, values, parameter, column):
    """One row a value of a parameter: a dot a seed, the mean as a line.  values {number: row}.

    Dotted: the ceiling, where the results have one.
    """
    values = {value: name for value, name in values.items() if name in results["rows"]}
    each = [[figures[column] for figures in results["rows"][name]["seeds"]]
            for name in values.values()]
    fig, ax = plt.subplots(figsize=(5, 3))
    at = np.arange(len(values))  # equal steps: the values are not evenly spread
    for x, seeds in zip(at, each, strict=True):
        ax.plot([x] * len(seeds), seeds, "o", color="C0", alpha=0.5)
    ax.plot(at, [np.mean(seeds) for seeds in each], color="C0")
    if "ceiling" in results:
        ax.axhline(results["ceiling"], color="k", ls=":", lw=1)
    ax.set(xticks=at, xticklabels=[f"{v:g}" for v in values], xlabel=parameter,
           ylabel=label(column))
    ax.grid(alpha=0.3)
    return save_figure(fig, path)


def shares(results, path, names, wanted):
    """Coverage and Recall@20 among candidates against their mean share of all items, a line a row.

    names: rows that have such figures; wanted: the shares of their columns. Dotted: Recall@20 of
    the full ranking.
    """
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.5))
    for colour, name in enumerate(names):
        mean = results["rows"][name]["mean"]
        kinds = [f" at {share:.0%}" for share in wanted if f"coverage at {share:.0%}" in mean]
        for ax, measure in zip(axes, ("coverage", "Recall@20"), strict=True):
            ax.plot([mean[f"share{kind}"] for kind in kinds],
                    [mean[measure + kind] for kind in kinds], "o-", color=f"C{colour}", label=name)
        axes[1].axhline(mean["Recall@20"], color=f"C{colour}", ls=":", lw=1)
    for ax, measure in zip(axes, ("coverage", "Recall@20"), strict=True):
        ax.set(xscale="log", xlabel="candidates, mean share of all items", ylabel=measure,
               ylim=(0, None))
        ax.grid(alpha=0.3)
    axes[1].legend(fontsize=8, bbox_to_anchor=(1, 1), loc="upper left", frameon=False,
                   title="dotted: among all items", title_fontsize=8)
    return save_figure(fig, path)


def learning(results, path, names):
    """What was validated against steps, one line a seed, one colour a row."""
    fig, ax = plt.subplots(figsize=(6, 4))
    for colour, name in enumerate(n for n in names if n in results["rows"]):
        for number, about in enumerate(results["rows"][name]["training"]):
            steps, metric = zip(*about["validation"], strict=True)
            first = name if number == 0 else None  # one entry of the legend a row
            ax.plot(steps, metric, color=plt.cm.tab20(colour % 20), alpha=0.7, label=first)
    measure = results["rows"][names[0]]["settings"]["validate"]
    ax.set(xlabel="training steps", ylabel=f"{measure} on the validation events")
    ax.legend(fontsize=8, bbox_to_anchor=(1, 1), loc="upper left", frameon=False)
    ax.grid(alpha=0.3)
    return save_figure(fig, path)


def save_figure(fig, path):
    """Save as PNG and close.  -> path, which may be a buffer, as notebooks have it.

    Raises InputError if the file cannot be written.
    """
    def save(file):
        fig.savefig(file, dpi=120, bbox_inches="tight", format="png")

    if isinstance(path, io.BytesIO):
        save(path)
    else:
        write_whole(path, save)
    plt.close(fig)
    return path
