"""Pictures of a run: how training went, and what was taken for what."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake.files import whole_file
from deepfake.videos import LABEL_NAMES

INK, MUTED = "#22303c", "#8795a1"
TRAIN, VALIDATION = "#4c78a8", "#e4572e"

sns.set_theme(
    style="whitegrid",
    rc={
        "figure.dpi": 150,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "grid.color": "#e6eaee",
    },
)


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, and close it."""
    with whole_file(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight")
    plt.close(figure)


def plot_history(train: Sequence[float], validation: Sequence[float], best_epoch: int, name: str, path: Path) -> None:
    """Draw a figure of merit by epoch for both sets, with the kept epoch (counted from 1) marked."""
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
    sns.despine(figure)
    save(figure, path)


def plot_confusion(confusion: np.ndarray, title: str, path: Path) -> None:
    """Draw a 2 x 2 confusion matrix (rows the truth, columns the verdict; fake, real): counts and shares of rows."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    texts = np.array(
        [[f"{n}\n{share:.1%}" for n, share in zip(*row, strict=True)] for row in zip(confusion, shares, strict=True)]
    )
    names = [name.upper() for name in LABEL_NAMES]
    figure, axes = plt.subplots(figsize=(4.8, 4.2))
    sns.heatmap(
        shares,
        annot=texts,
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        square=True,
        linewidths=3,
        cbar=False,
        xticklabels=names,
        yticklabels=names,
        annot_kws={"size": 15, "linespacing": 1.5},
        ax=axes,
    )
    accuracy = confusion.trace() / max(1, confusion.sum())
    axes.set_title(title, pad=26)
    axes.text(0, 1.03, f"{confusion.trace()} of {confusion.sum()} right ({accuracy:.1%})", transform=axes.transAxes)
    axes.set(xlabel="verdict", ylabel="truth")
    axes.tick_params(axis="y", rotation=0)
    save(figure, path)
