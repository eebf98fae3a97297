#!/usr/bin/env python3
"""Compare step 01a's detector with the `mtcnn` package, frame by frame at standard size.

Each row counts faces by their shorter side, in pixels of the standard size, at a confidence of 0.95 or 0.80:
package: faces that the package finds at this confidence
found:   those that this project's detector also finds at this confidence, with a box overlap (IoU) of at least 0.7
kept:    those that step 01a keeps: at 0.95, and the most confident face of a frame without any at 0.95
lost:    those neither found nor kept
share:   share of the package's faces that are not lost
more:    faces that this project's detector finds at this confidence, but the package does not, even at 0.80
Without --videos-dir, 201 videos are drawn. --sheet draws the lost and the additional faces, to check them by eye.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import clone  # noqa: F401
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from variants import make_variants

from deepfake.core import cli
from deepfake.core.crop_rule import DEFAULT, FRAMES_PER_VIDEO, CropRule
from deepfake.core.errors import UserError
from deepfake.datasets.listing import find_videos
from deepfake.evaluation.plots import save
from deepfake.faces.crop import Box, Face, crop_box, cut, find_faces, keep_faces, overlap
from deepfake.frames.read import read_video
from deepfake.sample.dataset import draw_dataset

CONFIDENCES = (DEFAULT.min_confidence, 0.8)
SIDES = (0, 20, 40, 80, 160, float("inf"))  # pixels
SAME, OTHER = 0.7, 0.3  # boxes are of the same face from SAME overlap on, of two faces below OTHER
COLUMNS = ("package", "found", "kept", "lost", "more")
ROWS_OF_TILES, TILES_A_ROW = 6, 4  # per page
TILES = ROWS_OF_TILES * TILES_A_ROW


@dataclass(frozen=True)
class Seen:
    """A face found by either detector, with both confidences, and whether step 01a keeps it.

    `theirs` (the package) or `ours` is None if that detector has not found it. `tile` is the frame (H x W x 3 uint8) of
    a face that may be lost or additional.
    """

    where: str
    box: Box
    theirs: float | None
    ours: float | None
    kept: bool
    overlap: float
    tile: np.ndarray | None

    def judge(self, confidence: float) -> set[str]:
        """Return the COLUMNS in which the face counts at a confidence."""
        sure = self.ours is not None and self.ours >= confidence
        if self.theirs is None:
            return {"more"} if sure else set()
        if self.theirs < confidence:
            return set()
        columns = {"package"} | ({"found"} if sure else set()) | ({"kept"} if self.kept else set())
        return columns if sure or self.kept else columns | {"lost"}


@dataclass
class Comparison:
    """All faces of some videos, and the CPU seconds of both detectors."""

    videos: int = 0
    faces: list[Seen] = field(default_factory=list)
    seconds: np.ndarray = field(default_factory=lambda: np.zeros(2))


def see(where: str, frame: np.ndarray, theirs: Sequence[tuple[Box, float]], ours: Sequence[Face]) -> list[Seen]:
    """Match the faces that the package (boxes and confidences) and this project's detector found in a frame."""
    kept = {face.box for face in keep_faces(ours, DEFAULT)}
    seen = []
    for box, confidence in theirs:
        best = max(ours, key=lambda face: overlap(box, face.box), default=None)
        value = overlap(box, best.box) if best else 0.0
        same = best if value >= SAME else None
        is_found = same is not None and (
            same.confidence >= DEFAULT.min_confidence or confidence < DEFAULT.min_confidence
        )
        tile = None if is_found else frame
        ours_at = same.confidence if same else None
        seen.append(Seen(where, box, confidence, ours_at, same is not None and same.box in kept, value, tile))
    for face in ours:
        if max((overlap(face.box, box) for box, _ in theirs), default=0) < OTHER:
            seen.append(Seen(where, face.box, None, face.confidence, face.box in kept, 0.0, frame))
    return seen


def compare(paths: Sequence[Path]) -> Comparison:
    """Find faces in the chosen frames of videos with both detectors."""
    from deepfake.models import runtime as devices  # isort: skip  # noqa: F401  (silences TensorFlow)
    from mtcnn import MTCNN

    package, result = MTCNN(), Comparison(videos=len(paths))
    for path in paths:
        frames = [frame.image for frame in read_video(path, FRAMES_PER_VIDEO)[0]]
        began = time.process_time()
        theirs = package.detect_faces(frames)
        between = time.process_time()
        ours = find_faces(frames)
        result.seconds += between - began, time.process_time() - between
        for number, (frame, detections, faces) in enumerate(zip(frames, theirs, ours, strict=True)):
            boxes = [(tuple(map(int, found["box"])), float(found["confidence"])) for found in detections]
            result.faces += see(f"{path.stem} {number}", frame, boxes, faces)
    return result


def table(comparison: Comparison) -> list[str]:
    """Format a row for each confidence and size, and a summary line."""
    lines = [" ".join(f"{name:>10}" for name in ("confidence", "side", *COLUMNS, "share"))]
    for confidence in CONFIDENCES:
        sizes = [*pairwise(SIDES), (0, float("inf"))]
        for low, high in sizes:
            name = "all" if (low, high) == sizes[-1] else f"{low}+" if np.isinf(high) else f"{low}-{high}"
            judged = [face.judge(confidence) for face in comparison.faces if low <= min(face.box[2:]) < high]
            counts = {column: sum(column in columns for columns in judged) for column in COLUMNS}
            faces = counts["package"]
            share = f"{1 - counts['lost'] / faces:.4f}" if faces else "-"
            lines.append(" ".join(f"{value!s:>10}" for value in (confidence, name, *counts.values(), share)))
    same = [face.overlap for face in comparison.faces if face.overlap >= SAME]
    package, ours = comparison.seconds / max(1, comparison.videos)
    lines.append(
        f"{comparison.videos} videos, mean IoU {np.mean(same) if same else 0:.3f}, "
        f"processor seconds a video: package {package:.2f}, here {ours:.2f}"
    )
    return lines


def draw_sheet(path: Path, faces: Sequence[Seen]) -> list[Path]:
    """Draw the lost and the additional faces with their frames, one file per page; returns the files."""
    marked = [
        (f"{what} at {confidence:.2f}", face)
        for confidence in CONFIDENCES
        for what in ("lost", "more")
        for face in faces
        if what in face.judge(confidence)
    ]
    first = {id(face): (what, face) for what, face in reversed(marked)}  # each face once, at the higher confidence
    tiles = [(what, face) for what, face in marked if first[id(face)][0] == what]
    pages = []
    for start in range(0, len(tiles), TILES):
        page = tiles[start : start + TILES]
        pages.append(path.with_stem(f"{path.stem}-{len(pages) + 1}") if pages else path)
        rows = -(-len(page) // TILES_A_ROW)
        figure, axes = plt.subplots(rows, TILES_A_ROW * 2, figsize=(20, 2.8 * rows), layout="constrained", dpi=80)
        for place in axes.flat:
            place.axis("off")
        for pair, (what, face) in zip(axes.reshape(-1, 2), page, strict=False):
            draw_tile(pair, what, face)
        save(figure, pages[-1])
    return pages


def draw_tile(axes: tuple[Axes, Axes], what: str, face: Seen) -> None:
    """Draw the frame with the box, and the surroundings of the box."""
    height, width = face.tile.shape[:2]
    x, y, w, h = face.box
    axes[0].imshow(face.tile)
    axes[0].add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="red", linewidth=1.5))
    axes[0].set_title(f"{what}: {face.where}", fontsize=9)
    axes[1].imshow(cut(face.tile, crop_box(face.box, CropRule(margin=0.5), width, height)))
    theirs, ours = ("-" if value is None else f"{value:.3f}" for value in (face.theirs, face.ours))
    axes[1].set_title(f"{w} x {h}, package {theirs}, here {ours}", fontsize=9)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos-dir", type=Path, help="a folder of videos (default: 201 are drawn)")
    parser.add_argument("--variants", type=int, metavar="N", help="compare on N variants of the videos instead")
    parser.add_argument("--seed", type=int, default=0, help="of the variants")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="draw the lost and the additional faces")
    return parser.parse_args()


def main() -> None:
    args = parse()
    with tempfile.TemporaryDirectory() as temporary:
        drawn, varied = Path(temporary, "drawn"), Path(temporary, "variants")
        if not args.videos_dir:
            draw_dataset(drawn, originals=67, seed=100)
        paths = find_videos(args.videos_dir or drawn)
        if not paths:
            raise UserError(f"{args.videos_dir}: holds no videos; give another --videos-dir")
        if args.variants:
            make_variants(paths, args.variants, args.seed, varied)
            paths = find_videos(varied)
        comparison = compare(paths)
    print("\n".join(table(comparison)))
    if args.sheet:
        print("\n".join(f"wrote {page}" for page in draw_sheet(args.sheet, comparison.faces)))


if __name__ == "__main__":
    cli.run(main)
