"""Which people of a video are pictures: a photograph on the wall, a poster, a frozen window of a broadcast."""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np

from deepfake.faces.people import Box

FEWEST_FRAMES = 4  # in which a still is seen

# A still's box: MTCNN's box of a photograph jitters by up to this, in shares of its side and in pixels, and now and
# then by a little more.
MOVES, MOVES_PIXELS = 0.02, 1.0
STEADY = 0.8  # in this share of the frames

# Its pixels: seen in cells of which a face has so many a side, unless they had fewer pixels than CELL_PIXELS.
CELLS = 24
CELL_PIXELS = 2.0
BUSIEST = 0.97  # of the cells change less than what is compared: eyes and mouth are a few of all
CALM = 0.25  # of the background's cells change less than what it is compared with: people walk by, cameras shake
NOISE = 3.0  # times as much as the calm background a still's busiest cells may change,
MOST_CHANGE = 1.5  # but never more, in grey levels
FROZEN = 0.05  # grey levels; where the background changes less, compression has frozen people as well
SHIFT = 0.1  # and not as much as if it had moved by this share of a cell
NEAR = 2.0  # background is what is this near to a still, in its sides,
AROUND = 0.5  # but not what is this near to a face
LEAST_BACKGROUND = 100  # cells


def find_stills(
    images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]], people: Sequence[Sequence[int]]
) -> set[int]:
    """The numbers of the people who are stills: neither their boxes nor their pixels change while they are seen.

    `images` are frames of a video, H x W x 3 uint8 RGB; `faces` has the boxes x, y, width, height (pixels)
    in each of them, and `people` the number of each face's person, as `join_people` gives them.

    In doubt a person is none: who is seen in fewer than FEWEST_FRAMES frames, or where there is no background to tell
    noise from movement. Nor is a picture before a moving camera, in front of which somebody passes, or that noise and
    compression change as much as a blink would. The frames must be spread over some seconds: in less, strong
    compression can freeze a person. All people of a video can be stills; then nobody is left to be judged in their
    stead, and the caller judges them. A video whose frames change their size has none.
    """
    if len({image.shape for image in images}) > 1:
        return set()
    seen: dict[int, dict[int, Box]] = defaultdict(dict)
    for frame, (boxes, persons) in enumerate(zip(faces, people, strict=True)):
        for box, person in zip(boxes, persons, strict=True):
            seen[person][frame] = box
    return {person for person, boxes in seen.items() if _is_still(images, faces, boxes)}


def _is_still(images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]], boxes: dict[int, Box]) -> bool:
    """Whether a person, seen in the frames and boxes of `boxes`, is a still."""
    places = np.array(list(boxes.values()))
    if len(places) < FEWEST_FRAMES or not _is_steady(places):
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
    if not face.size or background.sum() < LEAST_BACKGROUND:
        return False
    change, contrast = _change(face, np.ones(face.shape[1:], bool))
    changes, contrasts = (values[background] for values in _change(cells, background))
    busiest = np.quantile(change, BUSIEST)
    noise = _noise(changes, contrasts, np.median(contrast))
    most = min(NOISE * noise, MOST_CHANGE, SHIFT * np.sqrt(np.square(contrast).mean()))
    return bool(noise >= FROZEN and busiest < most)


def _is_steady(boxes: np.ndarray) -> bool:
    """Whether boxes x, y, width, height (n x 4) stay in their place, but for a detector's jitter."""
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    moves = np.abs(centres - np.median(centres, axis=0)).max(axis=1)
    side = np.sqrt(np.median(boxes[:, 2] * boxes[:, 3]))
    return np.quantile(moves, STEADY) <= max(MOVES_PIXELS, MOVES * side)


def _cells(image: np.ndarray, size: float) -> np.ndarray:
    """The brightness of an image in cells of `size` pixels a side, float32: this averages noise away."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (max(1, int(width / size)), max(1, int(height / size))), interpolation=cv2.INTER_AREA)
    return cv2.blur(small.astype(np.float32), (2, 2))


def _part(box: Sequence[float], corner: np.ndarray, size: float, margin: float = 0.0) -> tuple[slice, slice]:
    """The rows and columns of cells, counted from a corner of the frame, that a box with a margin covers."""
    sides = np.array(box[2:])
    start = (np.array(box[:2]) - margin * sides - corner) / size
    left, top = np.maximum(0, start.round()).astype(int)
    right, bottom = np.maximum(0, (start + (1 + 2 * margin) * sides / size).round()).astype(int)
    return slice(top, bottom), slice(left, right)


def _change(cells: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each cell changes over n frames (n x h x w), and how much it differs from its neighbours (each h x w).

    Brightness and contrast that change for all cells `where` alike, as exposure does, or slowly over space, as a shadow
    does, do not count. Change is the root mean square of the differences to the median over time, in grey levels.
    """
    side = (CELLS // 2 + 1,) * 2
    detail = np.stack([frame - cv2.blur(frame, side, borderType=cv2.BORDER_REPLICATE) for frame in cells])
    usual = np.median(detail, axis=0)
    gains = detail[:, where] @ usual[where] / (np.square(usual[where]).sum() + 1e-6)
    change = np.sqrt(np.square(detail / np.clip(gains, 0.5, 2)[:, None, None] - usual).mean(axis=0))
    return change, np.hypot(cv2.Sobel(usual, -1, 1, 0, scale=1 / 8), cv2.Sobel(usual, -1, 0, 1, scale=1 / 8))


def _noise(change: np.ndarray, contrast: np.ndarray, least: float) -> float:
    """How much calm cells of the background change, where it can be those of at least so much contrast."""
    alike = contrast >= least  # compression changes edges more than flat walls
    return np.quantile(change[alike] if alike.sum() >= LEAST_BACKGROUND else change, CALM)
