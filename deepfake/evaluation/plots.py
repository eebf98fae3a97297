"""Draw the plots of a run: training history, confusion matrix, curves and calibration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from deepfake.core.decision import THRESHOLD
from deepfake.core.files import whole_file
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.evaluation import metrics
from deepfake.evaluation.metrics import CALIBRATION_BINS, Ranking

matplotlib.use("Agg")


INK, MUTED = "#22303c", "#8795a1"
TRAIN, VALIDATION = "#4c78a8", "#e4572e"
LABEL_COLOURS = (VALIDATION, TRAIN)  # by label: fake, real
CURVE = "#3b4c5c"

HISTOGRAM_BINS = 20

# the theme: a white grid without tick marks, in larger type than matplotlib's own
plt.rcParams.update(
    {
        "figure.dpi": 150,
        "text.parse_math": False,  # a $ in a file name is not math
        "font.size": 12,
        "font.sans-serif": ["Arial", "DejaVu Sans"],
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.labelsize": 12,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 1.25,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e6eaee",
        "grid.linewidth": 1,
        "legend.fontsize": 11,
        "legend.title_fontsize": 12,
        "lines.solid_capstyle": "round",
        "patch.edgecolor": "w",
        "patch.force_edgecolor": True,
        "xtick.bottom": False,
        "ytick.left": False,
        "xtick.color": ".15",
        "xtick.labelsize": 11,
        "xtick.major.size": 6,
        "xtick.major.width": 1.25,
        "ytick.color": ".15",
        "ytick.labelsize": 11,
        "ytick.major.size": 6,
        "ytick.major.width": 1.25,
    }
)


def despine(figure: Figure, *sides: str) -> None:
    """Remove the lines at the top and right of all axes of a figure, and at other sides."""
    for axes in figure.axes:
        axes.spines[["top", "right", *sides]].set_visible(False)


def save(figure: Figure, path: Path, full: bool = False) -> None:
    """Write a figure, completely or not at all, and close it; its margins are cut off unless it is `full`."""
    # looking for margins takes as long as drawing, and a layout leaves none; fast compression is enough
    box = None if full or figure.get_layout_engine() else "tight"
    with whole_file(path) as temporary:
        figure.savefig(temporary, bbox_inches=box, pil_kwargs={"compress_level": 1})
    plt.close(figure)


def plot_history(train: Sequence[float], validation: Sequence[float], best_epoch: int, name: str, path: Path) -> None:
    """Draw a metric by epoch for both sets and mark the kept epoch (counted from 1)."""
    epochs = range(1, len(train) + 1)
    figure, axes = plt.subplots(figsize=(6.4, 4))
    axes.plot(epochs, train, color=TRAIN, marker="o", markersize=4, label="train")
    axes.plot(epochs, validation, color=VALIDATION, marker="o", markersize=4, label="validation")
    axes.axvline(best_epoch, color=MUTED, linestyle=":", zorder=0)
    axes.plot(
        best_epoch,
        validation[best_epoch - 1],
        marker="o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor=VALIDATION,
        markeredgewidth=2,
        linestyle="none",
        label=f"kept: epoch {best_epoch} ({validation[best_epoch - 1]:.3f})",
    )
    axes.set(title=name, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0, top=1.02 if name == "Accuracy" else None)
    axes.legend(frameon=False)
    despine(figure)
    save(figure, path)


def plot_confusion(confusion: np.ndarray, title: str, path: Path) -> None:
    """Draw a 2 x 2 confusion matrix (rows truth, columns verdict; fake, real) with counts and shares of rows."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    names = [name.upper() for name in LABEL_NAMES]
    figure, axes = plt.subplots(figsize=(4.8, 4.2))
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, linewidths=3, edgecolor="white")
    for (row, column), share in np.ndenumerate(shares):
        text, ink = f"{confusion[row, column]}\n{share:.1%}", "white" if share > 0.6 else ".15"
        axes.text(column + 0.5, row + 0.5, text, color=ink, size=15, linespacing=1.5, ha="center", va="center")
    axes.set(xlim=(0, 2), ylim=(2, 0), aspect="equal")
    axes.set_xticks([0.5, 1.5], names)
    axes.set_yticks([0.5, 1.5], names, va="center")
    axes.spines[:].set_visible(False)
    accuracy = confusion.trace() / max(1, confusion.sum())
    axes.set_title(title, pad=26)
    axes.text(0, 1.03, f"{confusion.trace()} of {confusion.sum()} right ({accuracy:.1%})", transform=axes.transAxes)
    axes.set(xlabel="verdict", ylabel="truth")
    axes.tick_params(axis="y", rotation=0)
    save(figure, path)


def plot_curves(
    labels: np.ndarray,
    p_real: np.ndarray,
    figures: dict[str, metrics.Figure],
    title: str,
    path: Path,
    threshold: float = THRESHOLD,
    band: tuple[float, float] | None = None,
) -> None:
    """Draw four panels of N labels (1 is real) and p_real: ROC, precision and recall, calibration, histograms.

    `figures` come from `metrics.measure_with_intervals`; within `band` a verdict is uncertain.
    """
    ranking = Ranking(labels, p_real)
    figure, axes = plt.subplots(2, 2, figsize=(9.4, 9.8), layout=ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.14))
    counts = [int((ranking.labels == label).sum()) for label in (REAL, FAKE)]
    figure.suptitle(f"{title}: {counts[0]:,} real, {counts[1]:,} fake", fontweight="bold", x=0.02, ha="left")
    _draw_roc(axes[0, 0], ranking, figures, threshold)
    _draw_precision_recall(axes[0, 1], ranking, figures, threshold)
    _draw_calibration(axes[1, 0], ranking, figures)
    _draw_histograms(axes[1, 1], ranking, threshold, band)
    despine(figure)
    save(figure, path)


def _with_interval(name: str, figure: metrics.Figure) -> str:
    if np.isnan(figure.low):
        return f"{name} {figure.value:.3f}"
    return f"{name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _name(axes: Axes, title: str, subtitle: str, xlabel: str, ylabel: str) -> None:
    """Make axes square and set title, subtitle and labels; x goes from 0 to 1."""
    axes.set_title(title, pad=24)
    axes.text(0, 1.03, subtitle, transform=axes.transAxes, fontsize=10.5).set_in_layout(False)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.015, 1.015), box_aspect=1)


def _not_defined(axes: Axes, labels: np.ndarray) -> bool:
    """Whether there is only one label, so a curve is not defined; writes this into the axes."""
    if len(set(labels.tolist())) == 2:
        return False
    only = LABEL_NAMES[labels[0]]
    axes.text(0.5, 0.5, f"not defined:\n{only} ones only", color=MUTED, ha="center", va="center", fontsize=13)
    return True


def _cut(ranking: Ranking, threshold: float) -> int:
    """Return the index of a threshold's point on a curve."""
    return int(np.searchsorted(ranking.p_real[ranking.ends], threshold, side="right"))


def _mark(axes: Axes, x: float, y: float, text: str, filled: bool = True) -> None:
    shape: dict[str, Any] = (
        {"marker": "o", "markersize": 8} if filled else {"marker": "D", "markersize": 11, "markerfacecolor": "white"}
    )
    axes.plot(x, y, color=INK, linestyle="none", label=text, clip_on=False, zorder=3, **shape)


def _draw_roc(axes: Axes, ranking: Ranking, figures: dict[str, metrics.Figure], threshold: float) -> None:
    subtitle = _with_interval("AUC", figures["roc_auc"])
    if _not_defined(axes, ranking.labels):
        subtitle = ""
    else:
        fakes, reals = ranking.counts()
        found, false_alarms = fakes / fakes[-1], reals / reals[-1]
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
        axes.plot(false_alarms, found, color=CURVE, linewidth=2, clip_on=False)
        axes.fill_between(false_alarms, found, color=CURVE, alpha=0.07, linewidth=0)
        rate, cut = figures["equal_error_rate"].value, _cut(ranking, threshold)
        _mark(axes, rate, 1 - rate, f"equal error rate {rate:.3f}", filled=False)
        _mark(axes, false_alarms[cut], found[cut], f"at the threshold {threshold:.3g}")
        axes.legend(loc="lower right", frameon=False)
    _name(axes, "ROC", subtitle, "reals taken for fake", "fakes found")
    axes.set_ylim(-0.015, 1.015)


def _draw_precision_recall(axes: Axes, ranking: Ranking, figures: dict[str, metrics.Figure], threshold: float) -> None:
    subtitle = _with_interval("average precision", figures["fake_average_precision"])
    if _not_defined(axes, ranking.labels):
        subtitle = ""
    else:
        fakes, reals = ranking.counts()
        found, precision = fakes / fakes[-1], fakes[1:] / (fakes + reals)[1:]
        share, cut = fakes[-1] / (fakes + reals)[-1], _cut(ranking, threshold)
        axes.axhline(share, color=MUTED, linestyle=":", linewidth=1, label=f"share of fakes {share:.3f}")
        # average precision is the area below these steps (scikit-learn's definition, without interpolation)
        edges = np.append(precision[0], precision)
        axes.plot(found, edges, drawstyle="steps-pre", color=CURVE, linewidth=2, clip_on=False)
        axes.fill_between(found, edges, alpha=0.07, linewidth=0, step="pre", color=CURVE)
        if cut:
            _mark(axes, found[cut], precision[cut - 1], f"at the threshold {threshold:.3g}")
        axes.legend(loc="lower left", frameon=False)
    _name(
        axes,
        "Precision and recall of fakes",
        subtitle,
        "recall: fakes found",
        "precision: truly fake",
    )
    axes.set_ylim(-0.015, 1.015)


def _draw_calibration(axes: Axes, ranking: Ranking, figures: dict[str, metrics.Figure]) -> None:
    totals = np.bincount(ranking.bins, minlength=CALIBRATION_BINS)
    used = totals > 0
    means = np.bincount(ranking.bins, ranking.p_real, CALIBRATION_BINS)[used] / totals[used]
    shares = np.bincount(ranking.bins, ranking.labels, CALIBRATION_BINS)[used] / totals[used]
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="as it should be")
    axes.plot(means, shares, color=CURVE, linewidth=1.5)
    sizes = 20 + 130 * totals[used] / totals.max()
    axes.scatter(means, shares, sizes, color=CURVE, edgecolor="white", clip_on=False, zorder=3)
    for number, total in enumerate(totals):
        middle = (number + 0.5) / CALIBRATION_BINS
        axes.text(middle, -0.075, _short(total) if total else "", fontsize=8, color=MUTED, ha="center", va="center")
    axes.legend(loc="upper left", frameon=False)
    error = _with_interval("calibration error", figures["calibration_error"])
    _name(axes, "Calibration", error, "mean p_real of each tenth, and its count", "share of reals")
    axes.set_ylim(-0.12, 1.015)


def _short(count: int) -> str:
    """Format a count in few characters: 950, 12k, 3.4M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.2g}{name}" if count < 10 * unit else f"{count / unit:.0f}{name}"
    return str(count)


def _draw_histograms(axes: Axes, ranking: Ranking, threshold: float, band: tuple[float, float] | None) -> None:
    highest = 0.0
    for label in (FAKE, REAL):
        inside = ranking.p_real[ranking.labels == label]
        if len(inside):
            heights, edges = np.histogram(inside, HISTOGRAM_BINS, range=(0, 1))
            highest = max(highest, heights.max() / len(inside))
            colour = LABEL_COLOURS[label]
            shape: dict[str, Any] = {"facecolor": (colour, 0.4), "edgecolor": colour, "linewidth": 1.5}
            axes.stairs(heights / len(inside), edges, fill=True, label=LABEL_NAMES[label], **shape)
    top = 0.8  # the legend is above
    axes.axvline(threshold, ymax=top, color=INK, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.3g}")
    if band:
        text = f"uncertain: {band[0]:.2f} to {band[1]:.2f}"
        axes.axvspan(*band, ymax=top, color=MUTED, alpha=0.2, linewidth=0, zorder=0, label=text)
    axes.legend(loc="upper center", frameon=False, ncols=2)
    _name(axes, "p_real by truth", "shares of the fakes, and of the reals", "p_real", "share")
    ticks = np.asarray(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, highest))
    axes.set(xlim=(0, 1), ylim=(0, highest / (top - 0.02)), yticks=ticks[ticks <= highest + 1e-9])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def frame_picture(ax: Axes, colour: str, width: float) -> None:
    """Draw a frame around an image instead of ticks and grid; `width` is in points."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set(edgecolor=colour, linewidth=width, visible=width > 0)
