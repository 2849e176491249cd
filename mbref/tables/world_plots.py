"""Figures of the tables on worlds: functions of their results, each writes one PNG."""
import matplotlib.pyplot as plt
import numpy as np

from mbref.tables import plots
from mbref.tables.plots import save_figure


def draw(results, folder):
    """All figures of the report.  -> paths."""
    rows = results["mechanisms"]
    paths = [function(rows, folder / f"{name}.png") for name, function in (
        ("mechanisms", differences), ("ceilings", ceilings), ("learning", learning))]
    paths += [plots.rows(table, folder / f"{paper.lower()}.png", table["about"]["columns"])
              for paper, table in results["tables"].items()]
    paths += [plots.sweep(one, folder / f"sweep_{one['name']}.png",
                          {float(text): text for text in one["rows"]}, one["label"],
                          one["measure"]) for one in results["sweeps"]]
    curves = [row["ON"]["coverage"] for row in rows if row["mechanism"] == "category task"]
    return [*paths, *(coverage(curve, folder / "coverage.png") for curve in curves)]


def differences(rows, path):
    """Full model minus the one without the mechanism, with the signal and without it."""
    fig, ax = plt.subplots(figsize=(7, 0.42 * len(rows) + 1.2), layout="constrained")
    for part, shift, look in (("ON", -0.12, {"color": "C0"}),
                              ("OFF", 0.12, {"color": "C7", "mfc": "white"})):
        found = [row[part] for row in rows]
        middle = np.array([one["difference"] for one in found])
        ends = [[m - one["low"], one["high"] - m] for m, one in zip(middle, found, strict=True)]
        ax.errorbar(middle, np.arange(len(rows)) + shift, xerr=np.transpose(ends), fmt="o",
                    capsize=3, label=f"signal {part}", **look)
    ax.axvline(0, color="k", lw=0.8)
    ax.set(yticks=range(len(rows)), yticklabels=names(rows),
           xlabel="full model minus the one without (AUC, NDCG@10 or MRR@20), 95% over users")
    ax.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
    ax.grid(axis="x", alpha=0.3)
    fig.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
    return save_figure(fig, path)


def ceilings(rows, path):
    """Chance, the model without the mechanism, the full one and the ceiling, with the signal."""
    fig, ax = plt.subplots(figsize=(7, 0.42 * len(rows) + 1.2), layout="constrained")
    for y, row in enumerate(rows):
        on = row["ON"]
        ax.plot([on["chance"], on["ceiling"]], [y, y], color="0.8", lw=6, solid_capstyle="butt")
        ax.plot(on["without"]["mean"], y, "o", color="C7", mfc="white")
        ax.plot(on["full"]["mean"], y, "o", color="C0")
    ax.plot([], [], color="0.8", lw=6, label="from chance to the ceiling")
    ax.plot([], [], "o", color="C7", mfc="white", label="without the mechanism")
    ax.plot([], [], "o", color="C0", label="full model")
    labels = [f"{name} ({row['measure']})" for name, row in zip(names(rows), rows, strict=True)]
    ax.set(yticks=range(len(rows)), yticklabels=labels, xlabel="measure, with the signal")
    ax.set_ylim(len(rows) - 0.5, -0.5)
    fig.legend(fontsize=8, loc="outside lower center", ncols=3, frameon=False)
    return save_figure(fig, path)


def learning(rows, path):
    """Validation against steps of both models, with the signal: a panel a mechanism."""
    down = -(-len(rows) // 4)
    fig, axes = plt.subplots(down, 4, figsize=(12, 2.4 * down), layout="constrained",
                             squeeze=False)
    for ax in axes.flat[len(rows):]:
        ax.set_axis_off()
    for ax, name, row in zip(axes.flat, names(rows), rows, strict=False):
        for role, colour in (("full", "C0"), ("without", "C7")):
            for number, curve in enumerate(row["ON"][role]["curves"]):
                ax.plot(*zip(*curve, strict=True), color=colour, alpha=0.8,
                        label=role if number == 0 else None)
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=7)
        ax.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    fig.supxlabel("training steps", fontsize=8)
    fig.supylabel("validation", fontsize=8)
    return save_figure(fig, path)


def coverage(curves, path):
    """How often the next item is of the K likeliest categories; curves {by whom: [C]}."""
    fig, ax = plt.subplots(figsize=(5, 3))
    looks = {"model": "C0o-", "rule": "k:", "chance": "C7--"}
    for who, curve in curves.items():
        share = np.arange(1, len(curve) + 1) / len(curve)
        ax.plot(share, curve, looks[who], label={"rule": "the world's rule"}.get(who, who))
    ax.set(xlabel="candidates, share of all items", ylabel="coverage", ylim=(0, 1.02))
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.3)
    return save_figure(fig, path)


def names(rows):
    """What a figure calls each row."""
    return [f"{row['paper']}: {row['mechanism']}" for row in rows]
