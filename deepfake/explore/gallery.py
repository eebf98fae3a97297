"""A picture of a dataset: some originals beside their fakes, each frame with the found face and its crop."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from deepfake.core.errors import UserError, VideoError
from deepfake.core.labels import LABEL_NAMES, REAL
from deepfake.datasets.video import Video, source_groups
from deepfake.evaluation.plots import INK, LABEL_COLOURS, frame_picture, save
from deepfake.faces.records import read_faces_json
from deepfake.faces.table import hint_at_table
from deepfake.frames.files import read_frame
from deepfake.frames.png import read_png


@dataclass(frozen=True)
class Tile:
    """A frame (H x W x 3 uint8), the crop of its surest face, and where that was cut: x, y, width, height."""

    video: Video
    frame: np.ndarray
    crop: np.ndarray
    box: tuple[int, int, int, int]


def read_tile(video: Video, work_dir: Path) -> Tile:
    """The frame in the middle of those with a face.

    Raises:
        VideoError: step 01a has found no face, or a file is missing.
    """
    folder = work_dir / video.id
    recorded = read_faces_json(folder)
    faces = [face for face in recorded.faces if face["face"] == 0]
    if not faces:
        raise VideoError("no face")
    face = faces[len(faces) // 2]
    frame = read_frame(folder, face["index"], recorded.turned)
    return Tile(video, frame, read_png(folder / "faces" / face["file"]), face["crop"])


def choose_tiles(videos: list[Video], work_dir: Path, rows: int, columns: int) -> list[list[Tile]]:
    """For each of the first source groups that have an original and fakes enough, the original and then its fakes.

    Raises:
        UserError: there is no such group.
    """
    groups = source_groups(videos)
    lines = []
    for group in sorted(set(groups.values())):
        tiles = []
        for video in sorted((v for v in videos if groups[v.id] == group), key=lambda v: (-v.label, v.id)):
            try:
                tiles.append(read_tile(video, work_dir))
            except VideoError:
                continue
        if len(tiles) >= columns and tiles[0].video.label == REAL:
            lines.append(tiles[:columns])
        if len(lines) == rows:
            return lines
    if not lines:
        remedy = hint_at_table(work_dir) or "run steps 00 and 01a, or give fewer --columns"
        raise UserError(f"{work_dir}: no original with {columns - 1} fakes and faces; {remedy}")
    return lines


def draw_tile(axes: tuple[Axes, Axes], tile: Tile) -> None:
    """Draw a frame with its box on the first axes and the crop on the second."""
    video, colour = tile.video, LABEL_COLOURS[tile.video.label]
    axes[0].imshow(tile.frame)
    x, y, width, height = tile.box
    axes[0].add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=2))
    axes[1].imshow(tile.crop)
    title = LABEL_NAMES[video.label].upper() + (f": {video.method}" if video.method else "")
    axes[0].set_title(title, color=colour, fontsize=11, pad=4)
    axes[0].text(0, 1, f" {video.file}", transform=axes[0].transAxes, va="top", fontsize=7, color="white")
    frame_picture(axes[0], INK, 0.5)
    frame_picture(axes[1], colour, 2)


def draw_gallery(lines: list[list[Tile]], path: Path) -> None:
    """Write a picture with a line for each list of tiles."""
    columns = len(lines[0])
    frame, crop = lines[0][0].frame, lines[0][0].crop
    widths = [frame.shape[1] / frame.shape[0], crop.shape[1] / crop.shape[0]] * columns
    figure, axes = plt.subplots(
        len(lines),
        2 * columns,
        figsize=(2.1 * sum(widths), 2.3 * len(lines)),
        width_ratios=widths,
        squeeze=False,
        layout="constrained",
    )
    for row, tiles in zip(axes, lines, strict=True):
        for column, tile in enumerate(tiles):
            draw_tile((row[2 * column], row[2 * column + 1]), tile)
    save(figure, path)
