"""Where a video cuts: frames in which neither the picture nor anybody in it is that of another frame."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from deepfake.faces.people import Box

# A person, seen from the hair to the chest: the parts of a face's box around it that count (left and right, above,
# below), halved into head and body, whose colours are compared. Rooms and light change around who walks with a camera.
BESIDE, ABOVE, BELOW = 0.2, 0.3, 1.2
SIDE = 48  # pixels that a person is shrunk to
BRIGHTNESSES = 4  # by rank, so that exposure changes nothing
COLOURS, COLOUR_WIDTH = 16, 5.0  # along each axis of CIELAB's a and b
ALIKE = 0.55  # of the colours in common; of different people up to 0.53, of the same 0.56 to 1 where the light stays

# A picture, by points that another has in the same arrangement, whatever its exposure is (SIFT, Lowe 2004)
LONGER_SIDE = 480
POINTS = 400
SURE_MATCH = 0.75  # Lowe's ratio of the distances to the nearest and the next
OFF = 6.0  # pixels from where a shift, turn and zoom of the whole would put it
FEWEST_MATCHES = 16  # other pictures have up to 12 in common, those of one place 20 or more, whatever the light is
EDGE = 4  # the lowest quarter of a picture, and its upper corners, hold what channels lay over all that they show


@dataclass(frozen=True)
class _Look:
    """What is compared of a frame with faces: H x W x 3 uint8 RGB, and their boxes in pixels of it."""

    image: np.ndarray
    boxes: Sequence[Box]

    @cached_property
    def people(self) -> list[np.ndarray]:
        return [_colours_of(self.image, box) for box in self.boxes]

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Where the points of the picture are, in pixels of it at LONGER_SIDE, and what they look like."""
        grey = cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)
        scale = LONGER_SIDE / max(grey.shape)
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        small = cv2.equalizeHist(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        counts, height, width = np.ones_like(small), size[1] // EDGE, size[0] // EDGE
        counts[len(small) - height :] = counts[:height, :width] = counts[:height, size[0] - width :] = 0
        points, looks = cv2.SIFT_create(POINTS).detectAndCompute(small, counts)
        return np.array([point.pt for point in points], np.float32).reshape(-1, 2), looks


def find_shots(images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]]) -> list[int]:
    """The number of the shot that each frame of a video belongs to, from 0; one that is cut back to keeps its number.

    `images` are H x W x 3 uint8 RGB; `faces` has the boxes x, y, width, height (pixels) in each of them.

    In doubt there is no cut. Frames are of one shot where a person looks the same, or the pictures show the same place;
    both are compared with all frames before, so that neither a camera that moves, nor light that changes, nor a flash
    is one. A frame without faces, or a single one between two of the same shot, goes with the one before it.
    """
    looks = {
        number: _Look(image, boxes) for number, (image, boxes) in enumerate(zip(images, faces, strict=True)) if boxes
    }
    shot_of: dict[int, int] = {}
    for number, look in looks.items():
        before = list(shot_of)
        person = {other: _likeness(look, looks[other]) for other in before}
        nearest = max(before, key=lambda other: (person[other], other), default=None)
        if nearest is None or person[nearest] < ALIKE:
            nearest = next((other for other in reversed(before) if _same_place(look, looks[other])), None)
        shot_of[number] = max(shot_of.values(), default=-1) + 1 if nearest is None else shot_of[nearest]
    _drop_single(shot_of)
    shots: list[int] = []
    for number in range(len(images)):
        shots.append(shot_of.get(number, shots[-1] if shots else 0))
    return shots


def _drop_single(shot_of: dict[int, int]) -> None:
    counts, numbers = Counter(shot_of.values()), list(shot_of)
    for before, number, after in zip(numbers, numbers[1:], numbers[2:], strict=False):
        if counts[shot_of[number]] == 1 and shot_of[before] == shot_of[after]:
            shot_of[number] = shot_of[before]


def _colours_of(image: np.ndarray, box: Box) -> np.ndarray:
    """How often each colour is in a person's head and body: 2 x BRIGHTNESSES x COLOURS x COLOURS, each 1 in all."""
    x, y, width, height = box
    top, bottom = max(0, int(y - ABOVE * height)), int(y + (1 + BELOW) * height)
    left, right = max(0, int(x - BESIDE * width)), int(x + (1 + BESIDE) * width)
    part = image[top:bottom, left:right]
    if not part.size:
        return np.zeros((2, BRIGHTNESSES, COLOURS, COLOURS))
    small = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    ranks = np.argsort(np.argsort(lab[..., 0].ravel(), kind="stable"), kind="stable") / SIDE**2
    hues = np.clip(lab[..., 1:].reshape(-1, 2) / COLOUR_WIDTH + COLOURS / 2, 0, COLOURS - 0.01)
    values = np.column_stack([BRIGHTNESSES * ranks, hues])
    sides = (BRIGHTNESSES, COLOURS, COLOURS)
    halves = (np.histogramdd(half, sides, [(0, side) for side in sides])[0] for half in np.split(values, 2))
    return np.stack([_smooth(half) for half in halves])


def _smooth(counts: np.ndarray) -> np.ndarray:
    """Counts in shares of them all, of which neighbours get a part: a little more light makes another colour."""
    for axis in range(counts.ndim):
        padded = np.pad(counts, [(int(axis == other),) * 2 for other in range(counts.ndim)])
        before, after = (np.take(padded, np.arange(counts.shape[axis]) + start, axis) for start in (0, 2))
        counts = counts / 2 + (before + after) / 4
    return counts / counts.sum()


def _likeness(one: _Look, other: _Look) -> float:
    """The share of colours in common of those two people who are most alike."""
    return max(float(np.minimum(a, b).sum()) / 2 for a in one.people for b in other.people)


def _same_place(one: _Look, other: _Look) -> bool:
    """Whether two pictures have points in the same arrangement."""
    (places, looks), (other_places, other_looks) = one.points, other.points
    if min(len(places), len(other_places)) < FEWEST_MATCHES:
        return False
    pairs = [
        (nearest.queryIdx, nearest.trainIdx)
        for nearest, second in cv2.BFMatcher().knnMatch(looks, other_looks, k=2)
        if nearest.distance < SURE_MATCH * second.distance
    ]
    if len(pairs) < FEWEST_MATCHES:
        return False
    here, there = places[[a for a, _ in pairs]], other_places[[b for _, b in pairs]]
    _, fits = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=OFF)
    return fits is not None and int(fits.sum()) >= FEWEST_MATCHES
