"""Draw Errors.png: the videos with the worst mistakes, with the prediction of each crop."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from deepfake.core.decision import THRESHOLD, is_real
from deepfake.core.errors import UserError, VideoError
from deepfake.core.labels import FAKE, LABEL_NAMES, REAL
from deepfake.evaluation.plots import INK, LABEL_COLOURS, save
from deepfake.evaluation.predictions import JudgedCrop
from deepfake.frames.png import decode_png
from deepfake.split.store import CropStore

MAX_VIDEOS = 12
MAX_CROPS = 8  # per video
MAX_ID_LENGTH = 26
TEXT_WIDTH, TILE, HEAD = 2.6, 1.1, 0.16  # inches


def most_wrong(verdicts: pd.DataFrame) -> list[str]:
    """Return the ids of up to MAX_VIDEOS videos with a wrong verdict, worst first; if none, the least confident ones.

    `verdicts` has a row for each video: video, label (1 is real), average (its p_real), is_real (the verdict).
    """
    return _worst(verdicts)["video"].tolist()


def _worst(verdicts: pd.DataFrame) -> pd.DataFrame:
    chosen = verdicts[_wrong(verdicts)] if _wrong(verdicts).any() else verdicts
    ordered = chosen.assign(error=(chosen["average"] - chosen["label"]).abs())
    return ordered.sort_values(["error", "video"], ascending=[False, True]).head(MAX_VIDEOS)


def _wrong(verdicts: pd.DataFrame) -> pd.Series:
    return verdicts["is_real"].astype(bool) != (verdicts["label"] == REAL)


def draw_errors(
    verdicts: pd.DataFrame,
    judged: Sequence[JudgedCrop],
    store: CropStore,
    path: Path,
    threshold: float = THRESHOLD,
) -> None:
    """Draw a row for each video of `most_wrong`: its verdict, and some crops with their p_real.

    `verdicts` is as in `most_wrong`, with a column method (may be None). `judged` are the crops of these videos, in the
    `store`. Missing crops leave their place empty.

    Raises:
        UserError: the crops cannot be read, or all are missing.
    """
    rows = _worst(verdicts)
    crops: dict[str, list[JudgedCrop]] = {video: [] for video in rows["video"]}
    for crop in sorted(judged, key=lambda crop: crop.file):
        crops.get(crop.video, []).append(crop)
    shown = [_spread(crops[video]) for video in rows["video"]]
    images = _read_images(store, [crop for line in shown for crop in line if crop])
    figure, axes = _grid(len(rows))
    above = 1 + HEAD / figure.get_figheight()
    figure.text(0, above, _title(verdicts), va="bottom", weight="bold", fontsize=13)
    taken = [Patch(facecolor="none", edgecolor=LABEL_COLOURS[i], label=f"judged {LABEL_NAMES[i]}") for i in (0, 1)]
    figure.legend(handles=taken, loc="lower right", bbox_to_anchor=(1, above), borderaxespad=0, ncols=2, frameon=False)
    for row, line, of_video in zip(rows.itertuples(), axes, shown, strict=True):
        _describe(line[0], row)
        for ax, crop in zip(line[1:], of_video, strict=True):
            _draw_crop(ax, crop, images, threshold)
    save(figure, path)


def _read_images(store: CropStore, crops: Sequence[JudgedCrop]) -> dict[JudgedCrop, np.ndarray]:
    """Read some crops, H x W x 3 uint8 RGB each, leaving out unreadable ones."""
    images = {}
    for number, png in store.read(crops):
        with suppress(VideoError):
            images[crops[number]] = decode_png(png, crops[number].file)
    if crops and not images:
        raise UserError(f"{store}: holds none of the crops; give --manifest in the folder of the crops")
    return images


def _grid(rows: int) -> tuple[Figure, np.ndarray]:
    """Make a figure with rows x (1 + MAX_CROPS) axes for text and crops; by hand, since a layout takes seconds."""
    figure, axes = plt.subplots(
        rows,
        1 + MAX_CROPS,
        figsize=(TEXT_WIDTH + MAX_CROPS * TILE, rows * 1.2 * TILE),
        width_ratios=[TEXT_WIDTH] + [TILE] * MAX_CROPS,
        squeeze=False,
    )
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.3)
    return figure, axes


def _title(verdicts: pd.DataFrame) -> str:
    wrong, total = int(_wrong(verdicts).sum()), len(verdicts)
    if not wrong:
        return f"None of {total} test videos judged wrong: the least confident ones"
    shown = f": the {MAX_VIDEOS} worst" if wrong > MAX_VIDEOS else ""
    return f"{wrong} of {total} test videos judged wrong{shown}"


def _spread(crops: Sequence[JudgedCrop]) -> list[JudgedCrop | None]:
    """Choose MAX_CROPS of a video's crops evenly; if there are fewer, fill up with None."""
    numbers = np.linspace(0, len(crops) - 1, min(MAX_CROPS, len(crops))).round().astype(int)
    return [crops[number] for number in numbers] + [None] * (MAX_CROPS - len(numbers))


def _describe(axes: Axes, row: Any) -> None:
    """Write a video's id, truth, verdict and mean into axes."""
    truth, verdict = int(row.label), REAL if row.is_real else FAKE
    method = f" ({row.method})" if isinstance(row.method, str) and row.method else ""
    lines = [
        (0.80, _shortened(row.video), INK, "bold"),
        (0.56, f"is {LABEL_NAMES[truth].upper()}{method}", LABEL_COLOURS[truth], "normal"),
        (0.34, f"judged {LABEL_NAMES[verdict].upper()}", LABEL_COLOURS[verdict], "normal"),
        (0.12, f"p_real {row.average:.3f}", INK, "normal"),
    ]
    for height, text, colour, weight in lines:
        axes.text(0, height, text, color=colour, weight=weight, fontsize=9, transform=axes.transAxes)
    axes.axis("off")


def _shortened(id: str) -> str:
    half = MAX_ID_LENGTH // 2
    return id if len(id) <= MAX_ID_LENGTH else f"{id[:half]}…{id[-half:]}"


def _draw_crop(axes: Axes, crop: JudgedCrop | None, images: dict[JudgedCrop, np.ndarray], threshold: float) -> None:
    if crop is None:
        axes.axis("off")
        return
    colour = LABEL_COLOURS[int(is_real(crop.p_real, threshold))]
    if (image := images.get(crop)) is not None:
        # square tiles, so that rows have the same height
        axes.imshow(image, extent=_extent(*image.shape[:2]), interpolation="antialiased")
    axes.set(xticks=[], yticks=[], xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), box_aspect=1, facecolor="#f3f5f7")
    axes.grid(visible=False)
    axes.set_xlabel(f"{crop.p_real:.2f}", color=colour, fontsize=9, labelpad=3)
    for side in axes.spines.values():
        side.set(edgecolor=colour, linewidth=2)


def _extent(height: int, width: int) -> tuple[float, float, float, float]:
    """Fit an image into a square of side 1 around 0; returns left, right, bottom, top."""
    x, y = width / max(height, width) / 2, height / max(height, width) / 2
    return -x, x, -y, y
