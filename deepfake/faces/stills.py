"""Find faces that are still images: a photograph on the wall, a poster, a frozen window of a broadcast."""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np

from deepfake.faces.people import Box

MIN_FRAMES = 4  # minimum number of frames of a still

# MTCNN's box of a photograph jitters by up to this share of its side or this many pixels, sometimes a little more.
MOVES, MOVES_PIXELS = 0.02, 1.0
STEADY = 0.8  # share of the frames in which the box must stay within this jitter

# Pixels are averaged in cells, CELLS per side of a face, but no smaller than CELL_PIXELS.
CELLS = 24
CELL_PIXELS = 2.0
BUSIEST = 0.97  # quantile of change over a face's cells; high, since eyes and mouth are few of all cells
CALM = 0.25  # quantile of change over background cells; low, since people walk by and cameras shake
# limits of a still's BUSIEST change; all of them must hold
NOISE = 3.0  # x the CALM change of the background
MAX_CHANGE = 1.5  # grey levels
FROZEN = 0.05  # grey levels; no stills if the background changes less: compression has frozen people too
SHIFT = 0.1  # the change by a movement of this share of a cell
NEAR = 2.0  # background is everything within this distance of the face, in sides of its box,
AROUND = 0.5  # but not within this distance of any face
MIN_BACKGROUND = 100  # cells


def find_stills(
    images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]], people: Sequence[Sequence[int]]
) -> set[int]:
    """Return the numbers of the people who are still images: neither their boxes nor their pixels change over time.

    `images` are frames of a video, H x W x 3 uint8 RGB; `faces` has the boxes (x, y, width, height in pixels) in each
    of them, and `people` the person's number of each face, from `join_people`.

    If in doubt, a person is not a still: with fewer than MIN_FRAMES frames, or too little background to tell noise
    from movement. A photograph is not found if the camera moves, somebody passes in front of it, or noise and
    compression change it as much as a blink would. The frames must span some seconds, since strong compression can
    freeze a person for less. If all people are stills, the caller keeps them. If the frame size varies, there are none.
    """
    if len({image.shape for image in images}) > 1:
        return set()
    seen: dict[int, dict[int, Box]] = defaultdict(dict)
    for frame, (boxes, persons) in enumerate(zip(faces, people, strict=True)):
        for box, person in zip(boxes, persons, strict=True):
            seen[person][frame] = box
    return {person for person, boxes in seen.items() if _is_still(images, faces, boxes)}


def _is_still(images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]], boxes: dict[int, Box]) -> bool:
    """Whether a person with these boxes (by frame) is a still."""
    places = np.array(list(boxes.values()))
    if len(places) < MIN_FRAMES or not _is_steady(places):
        return False
    box = np.median(places, axis=0)
    size = max(CELL_PIXELS, np.sqrt(box[2] * box[3]) / CELLS)
    corner = np.maximum(0, box[:2] - NEAR * box[2:]).astype(int)
    end = (box[:2] + (1 + NEAR) * box[2:]).astype(int)
    cells = np.stack([_cells(images[frame][corner[1] : end[1], corner[0] : end[0]], size) for frame in boxes])
    background = np.ones(cells.shape[1:], bool)
    for other in (other for frame in faces for other in frame):
        background[_part(other, corner, size, AROUND)] = False
    face = cells[:, *_part(box, corner, size)]
    if not face.size or background.sum() < MIN_BACKGROUND:
        return False
    change, contrast = _change(face, np.ones(face.shape[1:], bool))
    changes, contrasts = (values[background] for values in _change(cells, background))
    busiest = np.quantile(change, BUSIEST)
    noise = _noise(changes, contrasts, np.median(contrast))
    most = min(NOISE * noise, MAX_CHANGE, SHIFT * np.sqrt(np.square(contrast).mean()))
    return bool(noise >= FROZEN and busiest < most)


def _is_steady(boxes: np.ndarray) -> bool:
    """Whether boxes (n x 4: x, y, width, height) stay in place except for the detector's jitter."""
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    moves = np.abs(centres - np.median(centres, axis=0)).max(axis=1)
    side = np.sqrt(np.median(boxes[:, 2] * boxes[:, 3]))
    return np.quantile(moves, STEADY) <= max(MOVES_PIXELS, MOVES * side)


def _cells(image: np.ndarray, size: float) -> np.ndarray:
    """Average the brightness of an image over cells of `size` pixels a side (float32), which reduces noise."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (max(1, int(width / size)), max(1, int(height / size))), interpolation=cv2.INTER_AREA)
    return cv2.blur(small.astype(np.float32), (2, 2))


def _part(box: Sequence[float], corner: np.ndarray, size: float, margin: float = 0.0) -> tuple[slice, slice]:
    """Return the rows and columns of the cells that a box with a margin covers; cells start at `corner`."""
    sides = np.array(box[2:])
    start = (np.array(box[:2]) - margin * sides - corner) / size
    left, top = np.maximum(0, start.round()).astype(int)
    right, bottom = np.maximum(0, (start + (1 + 2 * margin) * sides / size).round()).astype(int)
    return slice(top, bottom), slice(left, right)


def _change(cells: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure each cell's change over n frames (n x h x w) and its contrast with its neighbours; returns both, h x w.

    Changes common to all cells `where` (exposure) or smooth over space (shadows) are removed. Change is the root mean
    square of the differences to the median over time, in grey levels.
    """
    side = (CELLS // 2 + 1,) * 2
    detail = np.stack([frame - cv2.blur(frame, side, borderType=cv2.BORDER_REPLICATE) for frame in cells])
    usual = np.median(detail, axis=0)
    gains = detail[:, where] @ usual[where] / (np.square(usual[where]).sum() + 1e-6)
    change = np.sqrt(np.square(detail / np.clip(gains, 0.5, 2)[:, None, None] - usual).mean(axis=0))
    return change, np.hypot(cv2.Sobel(usual, -1, 1, 0, scale=1 / 8), cv2.Sobel(usual, -1, 0, 1, scale=1 / 8))


def _noise(change: np.ndarray, contrast: np.ndarray, least: float) -> float:
    """Return the change of the background's calm cells, if possible only of those with at least this contrast."""
    alike = contrast >= least  # compression changes edges more than flat areas
    return np.quantile(change[alike] if alike.sum() >= MIN_BACKGROUND else change, CALM)
