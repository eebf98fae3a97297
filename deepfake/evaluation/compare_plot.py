"""Draw Comparison.png: the metrics of some runs, with intervals."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from deepfake.evaluation.metrics import CONFIDENCE, Figure
from deepfake.evaluation.plots import INK, MUTED, TRAIN, despine, save

# metric, title, which value is best, value of a model that knows nothing, and its name
PANELS = (
    ("roc_auc", "ROC AUC", max, 0.5, "chance"),
    ("log_loss", "Log loss (less is better)", min, np.log(2), "0.5 for all"),
    ("accuracy", "Accuracy", max, 0.5, "a coin"),
)
MAX_NAME_LENGTH = 32


def plot_runs(figures: dict[str, dict[str, Figure]], path: Path) -> None:
    """Draw a dot and its interval for each run and metric in PANELS; `figures` maps run, then metric."""
    names = list(figures)
    figure, axes = plt.subplots(
        1, len(PANELS), figsize=(13, 1.5 + 0.42 * len(names)), sharey=True, layout=ConstrainedLayoutEngine(w_pad=0.12)
    )
    title = f"By test video, {CONFIDENCE:.0%} intervals (bootstrap over source groups)"
    figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
    for ax, (key, name, better, *chance) in zip(axes, PANELS, strict=True):
        _draw_panel(ax, [figures[run][key] for run in names], better, *chance)
        ax.set_title(name)
    axes[0].set_yticks(range(len(names)), [_shortened(name) for name in names])
    axes[0].set_ylim(len(names) - 0.4, -0.7)
    despine(figure, "left")
    save(figure, path)


def _draw_panel(axes: Axes, figures: list[Figure], better: Callable, chance: float, called: str) -> None:
    """Draw a row for each run from the top; the best are blue, a dotted line marks a model that knows nothing."""
    best = better((figure.value for figure in figures if not np.isnan(figure.value)), default=np.nan)
    for row, figure in enumerate(figures):
        colour = TRAIN if figure.value == best else INK
        axes.plot([figure.low, figure.high], [row, row], color=colour, linewidth=2, alpha=0.6, clip_on=False)
        axes.plot(figure.value, row, "o", color=colour, markersize=7, clip_on=False)
        text = "not defined" if np.isnan(figure.value) else f"{figure.value:.3f}"
        place = chance if np.isnan(figure.value) else figure.value
        axes.annotate(text, (place, row), (0, 6), textcoords="offset points", ha="center", fontsize=9, color=colour)
    ends = [value for figure in figures for value in (figure.value, figure.low, figure.high) if not np.isnan(value)]
    low, high = min([*ends, chance]), max([*ends, chance])
    margin = 0.04 * (high - low or 1)
    axes.axvline(chance, color=MUTED, linestyle=":", linewidth=1.2, zorder=0)
    side = "right" if chance == high else "left"
    axes.text(chance, len(figures) - 0.45, f" {called} ", fontsize=8, color=MUTED, va="bottom", ha=side)
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(visible=False, axis="y")


def _shortened(name: str) -> str:
    half = MAX_NAME_LENGTH // 2
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:half]}…{name[-half:]}"
