"""The picture of docs/scale.md: how long step 01a takes on how many nodes, and what it waits for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import clone  # noqa: F401
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from deepfake.evaluation.plots import CURVE, MUTED, TRAIN, VALIDATION, save

TICKS = (1, 2, 5, 10, 20, 60, 120, 240, 480)  # minutes


def plot_makespan(
    nodes: Sequence[int], floor: Sequence[float], makespan: Sequence[float], limits: Mapping[str, float], path: Path
) -> None:
    """Draw the seconds of a job by nodes: the work shared out evenly, and simulated; `limits` are level lines."""
    figure, axes = plt.subplots(figsize=(7.6, 4.6))
    axes.plot(nodes, [value / 60 for value in floor], color=MUTED, linestyle=":", label="core hours / cores")
    axes.plot(nodes, [value / 60 for value in makespan], color=CURVE, marker="o", markersize=5, label="simulated")
    for (name, seconds), colour in zip(limits.items(), (VALIDATION, TRAIN, MUTED), strict=False):
        axes.axhline(seconds / 60, color=colour, linestyle="--", linewidth=1.2)
        axes.text(nodes[0], seconds / 60 * 1.05, name, color=colour, fontsize=9.5, va="bottom")
    axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel="minutes")
    axes.set_title("All of DFDC through step 01a", pad=12)
    axes.xaxis.set_major_locator(FixedLocator(list(nodes)))
    axes.yaxis.set_major_locator(FixedLocator(TICKS))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.legend(loc="upper right", frameon=False)
    sns.despine(figure)
    save(figure, path)
