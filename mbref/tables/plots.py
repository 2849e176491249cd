"""Figures of tables and of the report on worlds: functions of results, each writes one PNG."""
import matplotlib.pyplot as plt
import numpy as np

from mbref.data.files import write_whole

HOLLOW = {"color": "C7", "mfc": "white"}
BESIDE = {"fontsize": 8, "bbox_to_anchor": (1, 1), "loc": "upper left", "frameon": False}


def rows(results, path, columns):
    """Every row's mean, with its spread over seeds: one panel a column, plain baselines hollow."""
    names = list(results["rows"])
    size = (2.5 + 4.5 * len(columns), 0.32 * len(names) + 1)
    fig, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False,
                             layout="constrained")
    for ax, column in zip(axes[0], columns, strict=True):
        for y, row in enumerate(results["rows"].values()):
            mean, spread, look = row["mean"].get(column), None, HOLLOW
            if "model" in row:
                spread, look = row["sd"].get(column), {"color": "C0"}
            if mean is not None:
                ax.errorbar(mean, y, xerr=spread, fmt="o", capsize=3, **look)
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
    """One row a value {number: row}: a dot a seed, the mean as a line; dotted the ceiling."""
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


def learning(results, path, names):
    """What was validated against steps, one line a seed, one colour a row."""
    fig, ax = plt.subplots(figsize=(6, 4))
    for colour, name in enumerate(names):
        curves = [about["validation"] for about in results["rows"][name]["training"]]
        draw_curves(ax, curves, name, color=plt.cm.tab20(colour % 20), alpha=0.7)
    measure = results["rows"][names[0]]["settings"]["validate"]
    ax.set(xlabel="training steps", ylabel=f"{measure} on the validation events")
    ax.legend(**BESIDE)
    ax.grid(alpha=0.3)
    return save_figure(fig, path)


def draw_curves(ax, curves, name, **look):
    """Curves of (step, metric), one entry of the legend for all."""
    for curve in curves:
        marker = "o" if len(curve) == 1 else None  # of which there is no line
        ax.plot(*zip(*curve, strict=True), label=name, marker=marker, **look)
        name = None


# The report on worlds. Here rows are those of the mechanism table.

def report(results, folder):
    """All figures of the report.  -> paths."""
    found = results["mechanisms"]
    paths = [function(found, folder / f"{name}.png") for name, function in (
        ("mechanisms", differences), ("ceilings", ceilings), ("learning", mechanism_curves))]
    paths += [rows(table, folder / f"{paper.lower()}.png", table["about"]["columns"])
              for paper, table in results["tables"].items()]
    paths += [sweep(one, folder / f"sweep_{one['name']}.png",
                    {float(text): text for text in one["rows"]}, one["label"], one["measure"])
              for one in results["sweeps"]]
    curves = [row["ON"]["coverage"] for row in found if row["mechanism"] == "category task"]
    return [*paths, *(coverage(curve, folder / "coverage.png") for curve in curves)]


def differences(rows, path):
    """Full model minus the one without the mechanism, with the signal and without it."""
    fig, ax = open_lines([f"{row['paper']}: {row['mechanism']}" for row in rows])
    for part, shift, look in (("ON", -0.12, {"color": "C0"}), ("OFF", 0.12, HOLLOW)):
        middle, low, high = (np.array([row[part][name] for row in rows])
                             for name in ("difference", "low", "high"))
        ax.errorbar(middle, np.arange(len(rows)) + shift, xerr=(middle - low, high - middle),
                    fmt="o", capsize=3, label=f"signal {part}", **look)
    ax.axvline(0, color="k", lw=0.8)
    ax.set(xlabel="full model minus the one without (AUC, NDCG@10 or MRR@20), 95%")
    ax.grid(axis="x", alpha=0.3)
    fig.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    return save_figure(fig, path)


def open_lines(names):
    """A figure with a line for each of the names, the first one on top.  -> (figure, axes)."""
    fig, ax = plt.subplots(figsize=(7, 0.42 * len(names) + 1.2), layout="constrained")
    ax.set(yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5), yticklabels=names)
    return fig, ax


def ceilings(rows, path):
    """Chance, the model without the mechanism, the full one and the ceiling, with the signal."""
    fig, ax = open_lines([f"{row['paper']}: {row['mechanism']} ({row['measure']})" for row in rows])
    on, lines = [row["ON"] for row in rows], range(len(rows))
    ax.hlines(lines, *([one[end] for one in on] for end in ("chance", "ceiling")), color="0.8",
              lw=6, label="from chance to the ceiling")
    ax.plot([one["without"]["mean"] for one in on], lines, "o", label="without the mechanism",
            **HOLLOW)
    ax.plot([one["full"]["mean"] for one in on], lines, "o", color="C0", label="full model")
    ax.set(xlabel="measure, with the signal")
    fig.legend(fontsize=8, loc="outside lower center", ncols=3, frameon=False)
    return save_figure(fig, path)


def mechanism_curves(rows, path):
    """Validation against steps of both models, with the signal: a panel a mechanism."""
    down = -(-len(rows) // 4)
    fig, axes = plt.subplots(down, 4, figsize=(12, 2.4 * down), layout="constrained", squeeze=False)
    for ax in axes.flat[len(rows):]:
        ax.set_axis_off()
    for ax, row in zip(axes.flat, rows, strict=False):
        for role, colour in (("full", "C0"), ("without", "C7")):
            draw_curves(ax, row["ON"][role]["curves"], role, color=colour, alpha=0.8)
        ax.set_title(f"{row['paper']}: {row['mechanism']}", fontsize=8)
        ax.tick_params(labelsize=7)
        ax.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    fig.supxlabel("training steps", fontsize=8)
    fig.supylabel("validation", fontsize=8)
    return save_figure(fig, path)


def coverage(curves, path):
    """How often the next item is of the K likeliest categories; curves {by whom: [C]}."""
    fig, ax = plt.subplots(figsize=(5, 3))
    for who, look, name in (("model", "C0o-", "model"), ("rule", "k:", "the world's rule"),
                            ("chance", "C7--", "chance")):
        share = np.arange(1, len(curves[who]) + 1) / len(curves[who])
        ax.plot(share, curves[who], look, label=name)
    ax.set(xlabel="candidates, share of all items", ylabel="coverage", ylim=(0, 1.02))
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.3)
    return save_figure(fig, path)


def save_figure(fig, path):
    """Save as PNG and close.  -> path. Raises InputError if it cannot be written."""
    write_whole(path, lambda file: fig.savefig(file, dpi=120, bbox_inches="tight", format="png"))
    plt.close(fig)
    return path
