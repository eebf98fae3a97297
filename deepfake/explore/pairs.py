"""Draw originals beside their fakes: aligned crops of the same frame, and their difference."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.layout_engine import ConstrainedLayoutEngine

from deepfake.core.errors import VideoError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.video import Video
from deepfake.evaluation.plots import INK, LABEL_COLOURS, MUTED, frame_picture, save
from deepfake.faces.crop import Box, cut, in_full_frame
from deepfake.faces.records import read_faces_json
from deepfake.frames.png import read_png

PAIRS = 6
COLUMNS = 2

# intersection over union of the two crops; below it, the face or the frame size is a different one
MIN_OVERLAP = 0.5

# a difference of 255 / GAIN is the brightest colour
GAIN = 5


@dataclass(frozen=True)
class Pair:
    """A fake and its original in one frame, cut to the part that both crops show: H x W x 3 uint8 each."""

    fake: Video
    frame: int
    original_pixels: np.ndarray
    fake_pixels: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """The mean absolute difference over the colours, H x W, 0 to 255."""
        return np.abs(self.original_pixels.astype(float) - self.fake_pixels).mean(axis=2)


def overlap(one: Box, other: Box) -> tuple[Box, float]:
    """Return the intersection of two boxes (x, y, width, height) and their intersection over union."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[0] + one[2], other[0] + other[2]), min(one[1] + one[3], other[1] + other[3])
    width, height = max(0, right - left), max(0, bottom - top)
    common = width * height
    return (left, top, width, height), common / (one[2] * one[3] + other[2] * other[3] - common)


def read_pair(fake: Video, work_dir: Path) -> Pair | None:
    """Return a fake beside its original, in the middle one of the frames with a face at the same place.

    Returns None if there is no such frame. If it shows several people, the one that differs most is taken, since the
    others are often untouched. Crops are aligned by their boxes, exactly if both videos have the same frame size.
    """
    if fake.original is None:
        return None
    folders = work_dir / fake.original, work_dir / fake.id
    try:
        originals, fakes = map(_faces_of, folders)
        places: dict[int, list[tuple[dict, dict]]] = defaultdict(list)
        for face in fakes:
            for other in originals:
                number = face["index"]
                if number == other["index"] and overlap(face["crop"], other["crop"])[1] >= MIN_OVERLAP:
                    places[number].append((other, face))
        if not places:
            return None
        middle = sorted(places)[len(places) // 2]
        pairs = [_cut_pair(fake, middle, *faces, folders) for faces in places[middle]]
    except (VideoError, KeyError, TypeError, ValueError):
        return None
    return max(pairs, key=lambda pair: pair.difference.mean())


def _faces_of(folder: Path) -> list[dict]:
    """Return the faces of a video, with `crop` in pixels of the frame that it was cut from."""
    recorded = read_faces_json(folder)
    if recorded.rule.crops_from == "standard":
        return recorded.faces
    return [face | {"crop": in_full_frame(face["crop"], face["scale"])} for face in recorded.faces]


def _cut_pair(fake: Video, frame: int, original: dict, face: dict, folders: tuple[Path, Path]) -> Pair:
    (left, top, width, height), _ = overlap(original["crop"], face["crop"])
    pixels = []
    for folder, record in zip(folders, (original, face), strict=True):
        x, y = record["crop"][:2]
        crop = read_png(folder / "faces" / record["file"], step="01a")
        pixels.append(cut(crop, (left - x, top - y, width, height)))
    if pixels[0].shape != pixels[1].shape:
        raise VideoError("crops do not have the size in faces.json; run step 01a again")
    return Pair(fake, frame, *pixels)


def choose_pairs(videos: Sequence[Video], work_dir: Path, count: int = PAIRS) -> list[Pair]:
    """Choose up to `count` pairs: methods take turns, and originals are repeated only if there are no others."""
    real = {video.id for video in videos if video.label == REAL}
    waiting: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        if video.label == FAKE and video.original in real:
            waiting[video.method or ""].append(video)
    chosen: list[Pair] = []
    shown: set[str | None] = set()
    while len(chosen) < count and any(waiting.values()):
        for method in sorted(waiting):
            pair = _next_pair(waiting[method], shown, work_dir)
            if pair and len(chosen) < count:
                chosen.append(pair)
                shown.add(pair.fake.original)
    return sorted(chosen, key=lambda pair: (pair.fake.method or "", pair.fake.id))


def _next_pair(fakes: list[Video], shown: set[str | None], work_dir: Path) -> Pair | None:
    """Remove fakes until one gives a pair and return it; fakes of originals not shown yet come first."""
    fakes.sort(key=lambda video: (video.original in shown, video.id))
    while fakes:
        if pair := read_pair(fakes.pop(0), work_dir):
            return pair
    return None


def draw_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """Draw one or more pairs: original, fake, and their difference, GAIN times as bright."""
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(
        rows,
        4 * columns - 1,
        figsize=(6.6 * columns, 2.75 * rows + 0.3),
        width_ratios=([1, 1, 1, 0.12] * columns)[:-1],
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.06),
    )
    for ax in axes.flat:
        ax.axis("off")
    for number, pair in enumerate(pairs):
        row, column = divmod(number, columns)
        _draw_pair(axes[row, 4 * column : 4 * column + 3], pair)
    figure.suptitle(
        f"Originals, their fakes, and the difference, {GAIN} times as bright",
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    save(figure, path)


def _draw_pair(axes: np.ndarray, pair: Pair) -> None:
    axes[0].imshow(pair.original_pixels)
    axes[1].imshow(pair.fake_pixels)
    axes[2].imshow(pair.difference, cmap="magma", vmin=0, vmax=255 / GAIN)
    method = f": {pair.fake.method}" if pair.fake.method else ""
    titles = (("REAL", LABEL_COLOURS[REAL]), (f"FAKE{method}", LABEL_COLOURS[FAKE]), ("difference", INK))
    files = (pair.fake.original or "", pair.fake.id, f"frame {pair.frame}, mean {pair.difference.mean():.1f}")
    for ax, (title, colour), file in zip(axes, titles, files, strict=True):
        ax.axis("on")
        ax.set_title(title, color=colour, fontsize=9, pad=4)
        ax.set_xlabel(file, color=MUTED, fontsize=8, labelpad=3)
        frame_picture(ax, colour, 2)
