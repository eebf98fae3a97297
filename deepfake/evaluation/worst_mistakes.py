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
from matplotlib.patches import Patch, Rectangle

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
# inches
TEXT_WIDTH, HEAD, TILE, COLUMN, ROW, EDGE = 2.7, 0.45, 1.1, 1.16, 1.42, 0.1
WIDTH = TEXT_WIDTH + MAX_CROPS * COLUMN + EDGE


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
    figure, axes = _canvas(len(rows))
    axes.text(EDGE, HEAD / 2, _title(verdicts), va="center", weight="bold", fontsize=13)
    taken = [Patch(facecolor="none", edgecolor=LABEL_COLOURS[i], label=f"judged {LABEL_NAMES[i]}") for i in (0, 1)]
    axes.legend(handles=taken, loc="upper right", borderaxespad=0.4, ncols=2, frameon=False)
    for number, (row, of_video) in enumerate(zip(rows.itertuples(), shown, strict=True)):
        top = HEAD + number * ROW
        _describe(axes, top, row)
        for column, crop in enumerate(of_video):
            if crop:
                corner = (TEXT_WIDTH + column * COLUMN, top)
                _draw_crop(axes, corner, images.get(crop), crop.p_real, threshold)
    save(figure, path, full=True)


def _read_images(store: CropStore, crops: Sequence[JudgedCrop]) -> dict[JudgedCrop, np.ndarray]:
    """Read some crops, H x W x 3 uint8 RGB each, leaving out unreadable ones."""
    images = {}
    for number, png in store.read(crops):
        with suppress(VideoError):
            images[crops[number]] = decode_png(png, crops[number].file)
    if crops and not images:
        raise UserError(f"{store}: holds none of the crops; give --manifest in the folder of the crops")
    return images


def _canvas(rows: int) -> tuple[Figure, Axes]:
    """Make axes as large as the picture, in inches from its upper left corner; one for each crop would take seconds."""
    height = HEAD + rows * ROW
    figure = plt.figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False)
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


def _describe(axes: Axes, top: float, row: Any) -> None:
    """Write a video's id, truth, verdict and mean to the left of its crops."""
    truth, verdict = int(row.label), REAL if row.is_real else FAKE
    method = f" ({_shortened(row.method)})" if isinstance(row.method, str) and row.method else ""
    lines = [
        (_shortened(row.video), INK, "bold"),
        (f"is {LABEL_NAMES[truth].upper()}{method}", LABEL_COLOURS[truth], "normal"),
        (f"judged {LABEL_NAMES[verdict].upper()}", LABEL_COLOURS[verdict], "normal"),
        (f"p_real {row.average:.3f}", INK, "normal"),
    ]
    for number, (text, colour, weight) in enumerate(lines):
        axes.text(EDGE, top + (0.2 + 0.25 * number) * TILE, text, color=colour, weight=weight, fontsize=9, va="center")


def _shortened(id: str) -> str:
    half = MAX_ID_LENGTH // 2
    return id if len(id) <= MAX_ID_LENGTH else f"{id[:half]}…{id[-half:]}"


def _draw_crop(
    axes: Axes, corner: tuple[float, float], image: np.ndarray | None, p_real: float, threshold: float
) -> None:
    """Draw a crop within a square with its upper left corner at `corner`, and its p_real below; `image` may be lost."""
    (left, top), colour = corner, LABEL_COLOURS[int(is_real(p_real, threshold))]
    if image is not None:
        x, y = (TILE * side / max(image.shape[:2]) / 2 for side in (image.shape[1], image.shape[0]))
        middle, centre = left + TILE / 2, top + TILE / 2
        extent = (middle - x, middle + x, centre + y, centre - y)
        axes.imshow(image, extent=extent, interpolation="antialiased", aspect="auto", zorder=1)
    axes.add_patch(Rectangle(corner, TILE, TILE, facecolor="#f3f5f7", edgecolor="none", zorder=0))
    axes.add_patch(Rectangle(corner, TILE, TILE, facecolor="none", edgecolor=colour, linewidth=2, zorder=2))
    axes.text(left + TILE / 2, top + TILE + 0.04, f"{p_real:.2f}", color=colour, fontsize=9, ha="center", va="top")
