"""Draw Robustness.png: ROC AUC by video for each kind of damage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from deepfake.evaluation.metrics import CONFIDENCE, Figure
from deepfake.evaluation.plots import CURVE, MUTED, TRAIN, despine, save

CHANCE = 0.5
LOWEST = 0.4  # lower end of the axis, unless a value is lower

Curve = Sequence[tuple[str, Figure]]


def plot_robustness(curves: Mapping[tuple[str, str], Curve], undamaged: Figure, path: Path) -> None:
    """Draw a panel for each kind of damage (with its unit), with the AUC and interval of each level."""
    figure, axes = plt.subplots(1, len(curves), figsize=(3.1 * len(curves), 3.7), sharey=True, layout="constrained")
    title = f"ROC AUC by video of damaged test crops, {CONFIDENCE:.0%} intervals"
    figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
    for ax, ((kind, unit), curve) in zip(axes, curves.items(), strict=True):
        places, values = np.arange(len(curve)), [point.value for _, point in curve]
        lows, highs = [point.low for _, point in curve], [point.high for _, point in curve]
        ax.axhline(undamaged.value, color=TRAIN, linestyle="--", linewidth=1.3, label=f"as it is {undamaged.value:.3f}")
        ax.axhline(CHANCE, color=MUTED, linestyle=":", linewidth=1.2, label="chance")
        ax.fill_between(places, lows, highs, color=CURVE, alpha=0.15, linewidth=0)
        ax.plot(places, values, color=CURVE, marker="o", linewidth=2, clip_on=False, label="damaged")
        ax.set_title(kind)
        ax.set_xlabel(unit)
        ax.set_xticks(places, [level for level, _ in curve])
        ax.set_xlim(-0.3, len(curve) - 0.7)
        ax.grid(visible=False, axis="x")
    lowest = min(point.value for curve in curves.values() for _, point in curve)
    axes[0].set_ylim(min(LOWEST, lowest - 0.02), 1.01)  # wide intervals of few videos may be cut off
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper right", ncols=3, frameon=False)
    despine(figure)
    save(figure, path)
