"""Augmentation.png: crops as training sees them."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from deepfake.core.labels import LABEL_NAMES
from deepfake.evaluation.plots import LABEL_COLOURS, save

GAP = 0.02  # beside a crop, in shares of its side


def draw_augmentation(rows: list[np.ndarray], labels: list[int], path: Path) -> None:
    """Draw augmented crops: a row of N x S x S x 3 uint8 for each label, with the original crop first."""
    columns = len(rows[0])
    # one pair of axes for all crops, since each pair takes as long to draw as ten crops
    figure, ax = plt.subplots(figsize=(1.3 * columns, 1.36 * len(rows)), layout="constrained")
    for y, (images, label) in enumerate(zip(rows, labels, strict=True)):
        for x, image in enumerate(images):
            ax.imshow(image, extent=(x + GAP, x + 1 - GAP, y + 1 - GAP, y + GAP))
        side = 1 - 2 * GAP
        ax.add_patch(Rectangle((GAP, y + GAP), side, side, fill=False, edgecolor=LABEL_COLOURS[label], linewidth=2))
    ax.set(xlim=(0, columns), ylim=(len(rows), 0), xticks=[])
    names = [LABEL_NAMES[label].upper() for label in labels]
    ax.set_yticks(np.arange(len(rows)) + 0.5, names, rotation=90, va="center")
    for text, label in zip(ax.get_yticklabels(), labels, strict=True):
        text.set(color=LABEL_COLOURS[label], fontweight="bold", fontsize=9)
    ax.tick_params(length=0)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.text(0.5, -0.05, "as it is", fontsize=9, fontweight="bold", ha="center")
    ax.text(1 + GAP, -0.05, "as training sees it, changed anew in each epoch", fontsize=9, fontweight="bold")
    save(figure, path)
