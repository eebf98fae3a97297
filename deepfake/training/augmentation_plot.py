"""Augmentation.png: crops as training sees them."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from deepfake.core.labels import LABEL_NAMES
from deepfake.evaluation.plots import LABEL_COLOURS, frame_picture, save


def draw_augmentation(rows: list[np.ndarray], labels: list[int], path: Path) -> None:
    """Draw augmented crops: a row of N x S x S x 3 uint8 for each label, with the original crop first."""
    columns = len(rows[0])
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(1.3 * columns, 1.36 * len(rows)), squeeze=False, layout="constrained"
    )
    for row, images, label in zip(axes, rows, labels, strict=True):
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image)
            frame_picture(ax, LABEL_COLOURS[label], 2 if ax is row[0] else 0)
        row[0].set_ylabel(LABEL_NAMES[label].upper(), color=LABEL_COLOURS[label], fontweight="bold", fontsize=9)
    axes[0][0].set_title("as it is", fontsize=9)
    # this text is wider than its column and must not move the other columns
    told = "as training sees it, changed anew in each epoch"
    axes[0][1].text(0, 1.05, told, transform=axes[0][1].transAxes, fontsize=9, fontweight="bold", in_layout=False)
    save(figure, path)
