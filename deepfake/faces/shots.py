"""Find the shots of a video: a cut is where neither the scene nor any person matches an earlier frame."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from deepfake.faces.people import Box

# People are compared by the colours of head and body, since background and light change when someone walks with a
# camera. The compared area extends the face's box to both sides, above and below by these shares of it.
BESIDE, ABOVE, BELOW = 0.2, 0.3, 1.2
SIDE = 48  # pixels to which a person is resized
BRIGHTNESSES = 4  # bins by rank, so that exposure has no effect
COLOURS, COLOUR_WIDTH = 16, 5.0  # bins along CIELAB's a and b, and their width
ALIKE = 0.55  # shared colours: up to 0.53 for different people, 0.56 to 1 for the same person in the same light

# Scenes are compared by matching keypoints, independent of exposure (SIFT, Lowe 2004).
LONGER_SIDE = 480
POINTS = 400
SURE_MATCH = 0.75  # Lowe's ratio of the distances to the nearest and second nearest
OFF = 6.0  # maximum distance in pixels from the position by a common shift, rotation and zoom
MIN_MATCHES = 16  # different scenes have up to 12 matches, the same scene 20 or more in any light
EDGE = 4  # 1/4: the lowest quarter and the upper corners are ignored, since broadcasters put their overlays there


@dataclass(frozen=True)
class _Look:
    """A frame with faces, to be compared: H x W x 3 uint8 RGB, and the faces' boxes in pixels."""

    image: np.ndarray
    boxes: Sequence[Box]

    @cached_property
    def people(self) -> list[np.ndarray]:
        return [_colours_of(self.image, box) for box in self.boxes]

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray | None]:
        """SIFT keypoints (n x 2, pixels of the image resized to LONGER_SIDE) and their descriptors."""
        grey = cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)
        scale = LONGER_SIDE / max(grey.shape)
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        small = cv2.equalizeHist(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        counts, height, width = np.ones_like(small), size[1] // EDGE, size[0] // EDGE
        counts[len(small) - height :] = counts[:height, :width] = counts[:height, size[0] - width :] = 0
        points, looks = cv2.SIFT_create(POINTS).detectAndCompute(small, counts)
        return np.array([point.pt for point in points], np.float32).reshape(-1, 2), looks


def find_shots(images: Sequence[np.ndarray], faces: Sequence[Sequence[Box]]) -> list[int]:
    """Return the number of each frame's shot, from 0; a shot that returns keeps its number.

    `images` are H x W x 3 uint8 RGB; `faces` has the boxes (x, y, width, height in pixels) in each of them.

    If in doubt, there is no cut. Frames belong to one shot if a person looks the same or the scene is the same. Each
    frame is compared with all earlier ones, so a moving camera, changing light or a flash is no cut. A frame without
    faces, or a single frame between two of one shot, belongs to the shot before it.
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
    """Return colour histograms of a person's head and body: 2 x BRIGHTNESSES x COLOURS x COLOURS, each of sum 1."""
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
    """Normalize a histogram and spread counts to neighbouring bins, since a little more light changes colours."""
    for axis in range(counts.ndim):
        padded = np.pad(counts, [(int(axis == other),) * 2 for other in range(counts.ndim)])
        before, after = (np.take(padded, np.arange(counts.shape[axis]) + start, axis) for start in (0, 2))
        counts = counts / 2 + (before + after) / 4
    return counts / counts.sum()


def _likeness(one: _Look, other: _Look) -> float:
    """Return the share of common colours of the two most similar people."""
    return max(float(np.minimum(a, b).sum()) / 2 for a in one.people for b in other.people)


def _same_place(one: _Look, other: _Look) -> bool:
    """Whether two frames show the same scene, i.e. have enough keypoints in the same arrangement."""
    (places, looks), (other_places, other_looks) = one.points, other.points
    if min(len(places), len(other_places)) < MIN_MATCHES:
        return False
    pairs = [
        (nearest.queryIdx, nearest.trainIdx)
        for nearest, second in cv2.BFMatcher().knnMatch(looks, other_looks, k=2)
        if nearest.distance < SURE_MATCH * second.distance
    ]
    if len(pairs) < MIN_MATCHES:
        return False
    here, there = places[[a for a, _ in pairs]], other_places[[b for _, b in pairs]]
    _, fits = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=OFF)
    return fits is not None and int(fits.sum()) >= MIN_MATCHES
